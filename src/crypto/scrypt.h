/* crypto/scrypt.h: the label hash in bulk: scrypt-jane, ChaCha20/8 block mix, Keccak-512 PBKDF2, r = p = 1.
 *
 *   out = scrypt(commitment[32] || le64(index) || 0^32, salt = "", N)      32 bytes
 *
 * Source: scrypt-jane @0ab6125 as built by post-rs; our spec, post.md §1.2-1.6.
 *
 * A worker owns the scratch memory of one thread and computes `lanes * groups * sets` labels at a time. */
#ifndef SM_CRYPTO_SCRYPT_H
#define SM_CRYPTO_SCRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/cpu.h"
#include "util/cancel.h"
#include "util/err.h"
#include "util/mem.h"

#define SM_SCRYPT_OUT_BYTES 32u
#define SM_SCRYPT_N_MIN 2u
#define SM_SCRYPT_N_MAX (1u << 20) /* ours: keeps 128 * N below 2^32; the network uses 2 and 8192 */

/* How a variant is run. All fields are powers of two or small counts; 0 means "the variant's default". */
struct sm_scrypt_tune {
    uint32_t groups;      /* registers of lanes advanced in lockstep */
    uint32_t sets;        /* software-pipelined sets of groups: one set's rows are prefetched while others compute */
    uint32_t lookup_gap;  /* store every gap-th row and recompute the rest; power of two */
    uint32_t prefetch;    /* 0 default, 1 off, 2 on */
    uint32_t stream;      /* 0 default, 1 ordinary stores, 2 non-temporal stores in the fill phase */
};

struct sm_scrypt_worker;

/* One row per compiled-in implementation: "ref", "ssse3", "avx2", "avx512", "neon". */
struct sm_scrypt_variant {
    const char *name;
    uint32_t lanes;                            /* labels side by side in one register group */
    bool (*usable)(const struct sm_cpu *cpu);
    const struct sm_scrypt_tune *tunes;        /* candidates for auto-tuning, best guess first */
    size_t tunes_n;
    const void *impl;                          /* private: struct sm_romix_ops */
};

/* Every compiled-in variant, ref first, NULL ends. */
const struct sm_scrypt_variant *const *sm_scrypt_all(void);

/* The best usable variant, or the one named by `force` (or, when force is NULL, by the environment variable
 * SM_CPU_ISA). SM_E_ARG with the list of names when that is unknown or not usable here. */
SM_MUST_CHECK sm_err sm_scrypt_pick(const struct sm_cpu *cpu, const char *force, const struct sm_scrypt_variant **out,
                                    struct sm_errinfo *ei);

/* `tune` may be NULL: the variant's first. SM_E_ARG for an N that is not a power of two in range or a tune the
 * variant cannot run, SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_scrypt_worker_new(const struct sm_scrypt_variant *v, const struct sm_scrypt_tune *tune,
                                          uint32_t n, struct sm_scrypt_worker **out, struct sm_errinfo *ei);
void sm_scrypt_worker_free(struct sm_scrypt_worker *w);

/* Labels computed at a time: feed multiples of this. */
uint32_t sm_scrypt_worker_width(const struct sm_scrypt_worker *w);
size_t sm_scrypt_worker_bytes(const struct sm_scrypt_worker *w); /* scratch memory */
sm_pages sm_scrypt_worker_pages(const struct sm_scrypt_worker *w);

/* One password: 32-byte commitment (borrowed during the call) and label index. */
struct sm_scrypt_in {
    const uint8_t *commitment;
    uint64_t index;
};

/* Computes out[32 * i] for in[i]; any count, different commitments allowed; the driver pads to the width.
 * `cancel` may be NULL, polled between widths. SM_OK or SM_E_CANCELLED (out is then garbage).
 * One call at a time per worker. */
SM_MUST_CHECK sm_err sm_scrypt_run(struct sm_scrypt_worker *w, const struct sm_scrypt_in *in, size_t count,
                                   const struct sm_cancel *cancel, uint8_t *out);

/* As sm_scrypt_run for indices first … first + count - 1 of one commitment. first + count must not wrap. */
SM_MUST_CHECK sm_err sm_scrypt_range(struct sm_scrypt_worker *w, const uint8_t commitment[32], uint64_t first,
                                     size_t count, const struct sm_cancel *cancel, uint8_t *out);

/* Measures the variant's own compute bound: the same code with every row access redirected to rows that stay in
 * the L1 cache. Labels per second of one thread, over at least `seconds`. The output is not a label. */
double sm_scrypt_bound(struct sm_scrypt_worker *w, double seconds);

/* One label with the ref variant, no worker: for spot checks of a few labels. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_scrypt_one(uint32_t n, const uint8_t commitment[32], uint64_t index, uint8_t out[32],
                                   struct sm_errinfo *ei);

#endif
