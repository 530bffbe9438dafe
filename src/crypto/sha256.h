/* crypto/sha256.h: SHA-256, and long chains of it. Source: FIPS 180-4; our spec, poet-nipost.md §1.1, 4.2.
 * No allocation, no failure. Not for secrets that must be wiped. One state per thread. */
#ifndef SM_CRYPTO_SHA256_H
#define SM_CRYPTO_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/cpu.h"
#include "util/bytes.h"
#include "util/err.h"

#define SM_SHA256_BYTES 32u
#define SM_SHA256_BLOCK 64u

struct sm_sha256_variant {
    const char *name; /* "ref", "shani", "armsha" */
    bool (*usable)(const struct sm_cpu *cpu);
    /* Compresses n blocks of 64 bytes into the eight state words. */
    void (*compress)(uint32_t state[8], const uint8_t *blocks, size_t n);
    /* Replaces the digest, held as eight big-endian words, by its SHA-256; `times` times. */
    void (*iterate)(uint32_t words[8], uint64_t times);
};
const struct sm_sha256_variant *const *sm_sha256_all(void); /* ref first, NULL ends */
/* The fastest usable one; `force` names another and may be NULL, as may the environment variable SM_SHA256_ISA, which
 * counts when `force` is NULL. SM_E_ARG for an unknown name, SM_E_DEVICE for one this processor lacks. */
SM_MUST_CHECK sm_err sm_sha256_pick(const struct sm_cpu *cpu, const char *force, const struct sm_sha256_variant **out,
                                    struct sm_errinfo *ei);
/* The one that everything below uses when given NULL: picked once, the fastest usable when SM_SHA256_ISA is wrong. */
const struct sm_sha256_variant *sm_sha256_default(void);

struct sm_sha256 {
    const struct sm_sha256_variant *v;
    uint32_t state[8];
    uint64_t bytes; /* hashed so far, those in `block` included */
    uint8_t block[SM_SHA256_BLOCK];
};
void sm_sha256_init(struct sm_sha256 *h, const struct sm_sha256_variant *v); /* v may be NULL */
void sm_sha256_update(struct sm_sha256 *h, const void *p, size_t n);
/* `out` may lie inside what was hashed; `h` needs a new init afterwards. */
void sm_sha256_final(struct sm_sha256 *h, uint8_t out[SM_SHA256_BYTES]);

/* SHA-256 of the parts one after the other. */
void sm_sha256_hash(const struct sm_slice *parts, size_t parts_n, uint8_t out[SM_SHA256_BYTES]);

/* Replaces the digest by its SHA-256, `times` times: each one block, whose padding is prepared once. v may be NULL. */
void sm_sha256_iterate(const struct sm_sha256_variant *v, uint8_t digest[SM_SHA256_BYTES], uint64_t times);

#endif
