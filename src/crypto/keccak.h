/* crypto/keccak.h: Keccak-f[1600] for one or several states side by side, and Keccak-512 with the original padding
 * (domain byte 0x01, not SHA-3's 0x06). Source: post.md §1.3. No state, any thread. */
#ifndef SM_CRYPTO_KECCAK_H
#define SM_CRYPTO_KECCAK_H

#include <stddef.h>
#include <stdint.h>

#define SM_KECCAK_WORDS     25u /* 64-bit words of a state */
#define SM_KECCAK512_RATE   9u  /* words absorbed per permutation: 72 bytes */
#define SM_KECCAK512_BYTES  64u
#define SM_KECCAK_LANES_MAX 8u

/* Permutes `lanes` independent states: word i of state l at a[i * lanes + l], 64-aligned. */
struct sm_keccak_lanes {
    uint32_t lanes;
    void (*permute)(uint64_t *a);
};

extern const struct sm_keccak_lanes sm_keccak_x1; /* portable */
#if defined(__x86_64__)
extern const struct sm_keccak_lanes sm_keccak_x4; /* AVX2 */
extern const struct sm_keccak_lanes sm_keccak_x8; /* AVX-512 */
#endif

void sm_keccak512(const void *p, size_t n, uint8_t out[SM_KECCAK512_BYTES]);

#endif
