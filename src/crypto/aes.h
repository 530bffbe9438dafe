/* crypto/aes.h: AES-128 single-block encryption (FIPS-197) and the label scan of the prover.
 *
 * Scan: every 16-byte label is encrypted under each nonce group's key; byte o of the result decides for nonce
 * 16 * group + o: below the difficulty's top byte it is good, equal needs a second cipher, above it is not.
 * Source: our spec, post.md §5.2-5.3; post-rs src/prove.rs @a2d155a. */
#ifndef SM_CRYPTO_AES_H
#define SM_CRYPTO_AES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/cpu.h"
#include "util/err.h"

#define SM_AES_BLOCK 16u

/* Expanded encryption key: 11 round keys. 16-aligned. */
struct sm_aes128 {
    _Alignas(16) uint8_t rk[11][16];
};

void sm_aes128_init(struct sm_aes128 *k, const uint8_t key[16]);
/* One block; uses the fastest usable implementation; not constant time in the reference variant (keys here are
 * public). in and out may be the same. */
void sm_aes128_encrypt(const struct sm_aes128 *k, const uint8_t in[16], uint8_t out[16]);

/* What is scanned for: the nonce groups of one pass. Shared read-only by all threads of the pass. */
struct sm_scan_group {
    struct sm_aes128 key;      /* key_group */
    struct sm_aes128 lazy[16]; /* key_nonce of the group's 16 nonces */
    uint32_t nonce_base;       /* 16 * group number */
};
struct sm_scan_job {
    const struct sm_scan_group *groups;
    uint32_t groups_n;           /* 1 … 256 */
    uint8_t difficulty_msb;
    uint64_t difficulty_lsb;     /* 56 bits */
};

/* The last round maps single bytes: byte p of the state before it decides about byte sm_scan_offset(p) of the result.
 * out[p] is the value that makes that byte `msb`. */
void sm_scan_target(const struct sm_aes128 *key, uint8_t msb, uint8_t out[16]);
unsigned sm_scan_offset(unsigned p);

/* One good (label, nonce). */
struct sm_scan_hit {
    uint32_t label; /* position in the buffer scanned */
    uint32_t nonce; /* absolute */
};

struct sm_scan_variant {
    const char *name; /* "ref", "aesni", "vaes256", "vaes512", "armaes" */
    bool (*usable)(const struct sm_cpu *cpu);
    const void *impl; /* private: struct sm_scan_ops */
};
const struct sm_scan_variant *const *sm_scan_all(void); /* ref first, NULL ends */
/* As sm_scrypt_pick; environment variable SM_AES_ISA. */
SM_MUST_CHECK sm_err sm_scan_pick(const struct sm_cpu *cpu, const char *force, const struct sm_scan_variant **out,
                                  struct sm_errinfo *ei);

/* Called for hits in scan order: 8-label chunks ascending, inside a chunk groups ascending, inside a group labels
 * ascending, inside a label nonces ascending (post.md §5.6). Returns false to stop the scan. */
typedef bool (*sm_scan_emit)(void *ctx, const struct sm_scan_hit *hits, size_t n);

/* Scans `labels_n` labels (any count; the last chunk may be shorter than 8). `labels` should be 64-aligned.
 * Returns the number of labels scanned: labels_n, or less when emit stopped it. `scratch` must come from
 * sm_scan_scratch_new, one per thread. */
struct sm_scan_scratch;
struct sm_scan_scratch *sm_scan_scratch_new(void); /* NULL when out of memory */
void sm_scan_scratch_free(struct sm_scan_scratch *s);
size_t sm_scan_run(const struct sm_scan_variant *v, const struct sm_scan_job *job, struct sm_scan_scratch *scratch,
                   const uint8_t *labels, size_t labels_n, sm_scan_emit emit, void *ctx);

/* Compute bound of the variant: bytes of labels per second of processor time, scanned from a buffer that stays in the
 * L1 cache. */
double sm_scan_bound(const struct sm_scan_variant *v, const struct sm_scan_job *job, double seconds);

#endif
