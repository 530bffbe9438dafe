/* crypto/blake3.h: BLAKE3 hash and extendable output, unkeyed. Source: our spec, post.md appendix A.
 * No allocation, no failure. One state per thread. */
#ifndef SM_CRYPTO_BLAKE3_H
#define SM_CRYPTO_BLAKE3_H

#include <stddef.h>
#include <stdint.h>

#define SM_BLAKE3_BYTES 32u

struct sm_blake3 {
    uint32_t cv[8];          /* of the chunk being filled */
    uint64_t chunk;          /* its number */
    uint8_t block[64];
    uint32_t block_len;
    uint32_t blocks;         /* compressed in this chunk */
    uint32_t depth;          /* chaining values on the stack */
    uint32_t stack[54][8];   /* finished left subtrees; 2^54 chunks of 1 KiB */
};

/* Root output, read sequentially. */
struct sm_blake3_xof {
    uint32_t cv[8];
    uint32_t block[16];
    uint32_t block_len, flags;
    uint64_t next;      /* output block number */
    uint8_t buf[64];
    uint32_t used;      /* bytes of buf already given */
};

void sm_blake3_init(struct sm_blake3 *h);
void sm_blake3_update(struct sm_blake3 *h, const void *p, size_t n);
/* Does not change `h`: further updates continue the same input. */
void sm_blake3_final(const struct sm_blake3 *h, uint8_t out[32]);
void sm_blake3_xof_start(const struct sm_blake3 *h, struct sm_blake3_xof *x);
void sm_blake3_xof_read(struct sm_blake3_xof *x, void *out, size_t n);

void sm_blake3_hash(const void *p, size_t n, uint8_t out[32]);

#endif
