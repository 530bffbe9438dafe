/* post/k2pow.h: the proof of work of a nonce group. Source: post.md §4. */
#ifndef SM_POST_K2POW_H
#define SM_POST_K2POW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/randomx.h"
#include "post/ids.h"
#include "util/cancel.h"
#include "util/err.h"

#define SM_K2POW_INPUT_BYTES 48u
#define SM_K2POW_KEY "spacemesh-randomx-cache-key" /* 27 bytes, no terminator; post-rs src/pow/randomx.rs @a2d155a */
#define SM_K2POW_NONCE_MAX ((UINT64_C(1) << 56) - 1)

struct sm_k2pow_job {
    struct sm_node_id node_id;
    struct sm_challenge challenge; /* the first 8 bytes count */
    uint8_t group;
    uint8_t difficulty[32];        /* scaled */
};

/* pow: low 56 bits are used. */
void sm_k2pow_input(const struct sm_k2pow_job *job, uint64_t pow, uint8_t out[SM_K2POW_INPUT_BYTES]);

/* Opens RandomX with the network's key. cfg->key is set here. */
SM_MUST_CHECK sm_err sm_k2pow_open(struct sm_randomx_cfg cfg, const struct sm_cancel *cancel, struct sm_randomx **out,
                                   struct sm_errinfo *ei);

/* *out_valid: hash < difficulty. */
SM_MUST_CHECK sm_err sm_k2pow_check(struct sm_randomx *rx, const struct sm_k2pow_job *job, uint64_t pow,
                                    bool *out_valid, struct sm_errinfo *ei);

/* Searches on `threads` threads (0 = all), the first valid nonce wins; with one thread it is the smallest.
 * progress may be NULL; called from a worker about twice a second. SM_E_NOTFOUND after 2^56. */
struct sm_k2pow_search {
    unsigned threads;
    const unsigned *cores; /* pinning, `threads` entries; NULL = none */
    uint64_t first;        /* start nonce; 0 normally */
    void (*progress)(void *ctx, uint64_t hashes);
    void *progress_ctx;
};
SM_MUST_CHECK sm_err sm_k2pow_find(struct sm_randomx *rx, const struct sm_k2pow_job *job,
                                   const struct sm_k2pow_search *how, const struct sm_cancel *cancel,
                                   uint64_t *out_pow, uint64_t *out_hashes, struct sm_errinfo *ei);

/* Results on disk: one small text file per (node id, challenge[0..8), group, difficulty) under dir/k2pow, written atomically.
 * A cached value is verified before it is used (by the caller, with sm_k2pow_check). */
SM_MUST_CHECK sm_err sm_k2pow_cache_get(const char *dir, const struct sm_k2pow_job *job, uint64_t *out_pow,
                                        struct sm_errinfo *ei); /* SM_E_NOTFOUND */
SM_MUST_CHECK sm_err sm_k2pow_cache_put(const char *dir, const struct sm_k2pow_job *job, uint64_t pow,
                                        struct sm_errinfo *ei);
/* Seconds since a result was written, by the wall clock, at least 0; -1: there is none. */
int64_t sm_k2pow_cache_age_s(const char *dir, const struct sm_k2pow_job *job);
/* Removes results older than keep_s. *out_left: how many are left. A folder that is not there is empty. */
SM_MUST_CHECK sm_err sm_k2pow_cache_sweep(const char *dir, int64_t keep_s, size_t *out_left, struct sm_errinfo *ei);

#endif
