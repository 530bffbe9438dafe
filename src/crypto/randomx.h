/* crypto/randomx.h: RandomX hashes over librandomx, with one shared cache and dataset per process.
 *
 * Fast mode needs 2080 MiB and is about ten times faster than light mode (256 MiB). The memory is obtained with
 * transparent huge pages asked for before the first touch, or explicit huge pages when configured.
 * Source: our spec, post.md §4.2, 4.5. The algorithm is RandomX version 1; RANDOMX_FLAG_V2 is never set. */
#ifndef SM_CRYPTO_RANDOMX_H
#define SM_CRYPTO_RANDOMX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cancel.h"
#include "util/err.h"

#define SM_RANDOMX_HASH_BYTES 32u
#define SM_RANDOMX_DATASET_BYTES ((uint64_t)2080 << 20) /* approximate; the exact count comes from the library */
#define SM_RANDOMX_CACHE_BYTES ((uint64_t)256 << 20)

typedef enum sm_randomx_mode { SM_RANDOMX_LIGHT, SM_RANDOMX_FAST } sm_randomx_mode;

struct sm_randomx_cfg {
    const void *key; /* cache key; borrowed during the call */
    size_t key_n;
    sm_randomx_mode mode;
    bool large_pages;         /* explicit huge pages first; falls back to transparent ones */
    bool no_huge_pages;       /* plain pages: the baseline of the benchmark */
    unsigned threads;         /* to build the dataset; 0 = all */
    const char *dataset_file; /* cache of the dataset, read or created; NULL = none. Checked by recomputing random
                               * items and rebuilt when wrong. */
};

/* Shared by any number of VMs; reference-counted: sm_randomx_open with an equal key and a mode that is at least as
 * strong lends the one that exists, whoever created it. */
struct sm_randomx;

/* Blocks for seconds (light) to a minute (fast). Fast mode falls back to light when memory is short, with a
 * warning in the log; see sm_randomx_mode_of. SM_E_NOMEM, SM_E_CANCELLED. Any thread. */
SM_MUST_CHECK sm_err sm_randomx_open(const struct sm_randomx_cfg *cfg, const struct sm_cancel *cancel,
                                     struct sm_randomx **out, struct sm_errinfo *ei);
void sm_randomx_close(struct sm_randomx *rx); /* accepts NULL */
sm_randomx_mode sm_randomx_mode_of(const struct sm_randomx *rx);
/* "huge", "transparent" or "normal": what backs the dataset (or the cache in light mode). */
const char *sm_randomx_pages(const struct sm_randomx *rx);

/* What this machine can do for light mode, in the numbers of the library's flags (2 AES, 8 code generation, 32 and 64
 * Argon2); never those that are the operator's choice (large pages, all memory, secure pages). */
uint32_t sm_randomx_recommended_flags(void);

/* A VM is used by one thread at a time. Hashing saves and restores the floating-point environment. */
struct sm_randomx_vm;
SM_MUST_CHECK sm_err sm_randomx_vm_new(struct sm_randomx *rx, struct sm_randomx_vm **out, struct sm_errinfo *ei);
void sm_randomx_vm_free(struct sm_randomx_vm *vm);
void sm_randomx_hash(struct sm_randomx_vm *vm, const void *in, size_t n, uint8_t out[32]);

/* Pipelined hashing of a sequence: first() loads an input, next() loads the following one and returns the hash of
 * the one before, last() returns the final hash. */
void sm_randomx_hash_first(struct sm_randomx_vm *vm, const void *in, size_t n);
void sm_randomx_hash_next(struct sm_randomx_vm *vm, const void *in, size_t n, uint8_t out[32]);
void sm_randomx_hash_last(struct sm_randomx_vm *vm, uint8_t out[32]);

#endif
