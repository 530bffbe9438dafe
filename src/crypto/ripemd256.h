/* crypto/ripemd256.h: RIPEMD-256, which only the PoET registration proof of work uses. Source: Dobbertin, Bosselaers,
 * Preneel, "RIPEMD-160: A Strengthened Version of RIPEMD" (1996), appendix on 256-bit results. No failure. */
#ifndef SM_CRYPTO_RIPEMD256_H
#define SM_CRYPTO_RIPEMD256_H

#include <stddef.h>
#include <stdint.h>

#define SM_RIPEMD256_BYTES 32u

struct sm_ripemd256 {
    uint32_t state[8]; /* left line, right line */
    uint64_t bytes;
    uint8_t block[64];
};
void sm_ripemd256_init(struct sm_ripemd256 *h);
void sm_ripemd256_update(struct sm_ripemd256 *h, const void *p, size_t n);
void sm_ripemd256_final(struct sm_ripemd256 *h, uint8_t out[SM_RIPEMD256_BYTES]);

#endif
