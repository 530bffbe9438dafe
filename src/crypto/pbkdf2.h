/* crypto/pbkdf2.h: PBKDF2-HMAC-Keccak-512 with one iteration as the label hash uses it: 72-byte passwords, an empty
 * salt giving 128 bytes, a 128-byte salt giving 32. Several passwords side by side, as many as the permutation has
 * lanes. Every block boundary is fixed, so messages are arrays of 64-bit little-endian words: word i of lane l at
 * [i * lanes + l]. Nine permutations per label. Source: post.md §1.4. */
#ifndef SM_CRYPTO_PBKDF2_H
#define SM_CRYPTO_PBKDF2_H

#include <stdint.h>

#include "crypto/keccak.h"

#define SM_PBKDF2_PASSWORD_WORDS 9u
#define SM_PBKDF2_CHUNK_WORDS    16u
#define SM_PBKDF2_OUT_WORDS      4u

/* HMAC states that have absorbed the key block, kept from the first to the last PBKDF2. */
struct sm_pbkdf2_key {
    _Alignas(64) uint64_t inner[SM_KECCAK_WORDS * SM_KECCAK_LANES_MAX];
    _Alignas(64) uint64_t outer[SM_KECCAK_WORDS * SM_KECCAK_LANES_MAX];
};

/* password: 9 words per lane. */
void sm_pbkdf2_key(const struct sm_keccak_lanes *k, const uint64_t *password, struct sm_pbkdf2_key *key);
/* chunk: 16 words per lane, PBKDF2(password, "", 128 bytes). */
void sm_pbkdf2_expand(const struct sm_keccak_lanes *k, const struct sm_pbkdf2_key *key, uint64_t *chunk);
/* out: 4 words per lane, PBKDF2(password, chunk, 32 bytes). */
void sm_pbkdf2_finish(const struct sm_keccak_lanes *k, const struct sm_pbkdf2_key *key, const uint64_t *chunk,
                      uint64_t *out);

#endif
