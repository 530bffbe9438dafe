/* bench/stage.h: the stages of `smesher bench`: each checks its subject for correct results, then times it.
 *
 * All rates are of all threads together. A bound is what the same hardware could do at most if the named resource
 * were the only limit; it is measured in alternation with the rate. Blocking; one stage at a time. */
#ifndef SM_BENCH_STAGE_H
#define SM_BENCH_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/team.h"
#include "crypto/randomx.h"
#include "post/label.h"
#include "post/params.h"
#include "util/cancel.h"
#include "util/err.h"

#define SM_BENCH_BOUNDS_MAX 4u

struct sm_bench_bound {
    char kind[24]; /* "alu", "memory", "disk"; "alu_computed", "memory_computed" */
    double rate;   /* same unit as the row's */
};

struct sm_bench_row {
    char stage[16];   /* init, disk, prove, k2pow, verify */
    char device[64];  /* "cpu", an OpenCL device id, or a path */
    char variant[96]; /* "avx512", "vaes512", "direct read", "fast", … */
    unsigned threads; /* 0 where it has no meaning */
    uint32_t nonces;  /* prove only */
    char unit[16];    /* "labels/s", "bytes/s", "hashes/s", "proofs/s" */
    struct sm_bench_stat rate;
    double bytes_per_s; /* of label data, where that has a meaning, else 0 */
    struct sm_bench_bound bounds[SM_BENCH_BOUNDS_MAX];
    unsigned bounds_n;
    char note[200];
};

/* Clears the row and fills in what it is about. */
void sm_bench_row_start(struct sm_bench_row *row, const char *stage, const char *device, const char *variant,
                        unsigned threads, const char *unit);

/* The tightest bound, or NULL. */
const struct sm_bench_bound *sm_bench_row_bound(const struct sm_bench_row *row);

/* Labels on the CPU. variant NULL = best; threads 0 = all. As it is tuned, after tuning it for at most tune_seconds when
 * that was never done with so many threads. Bounds: alu (rows in L1), memory (the row traffic alone). */
SM_MUST_CHECK sm_err sm_bench_init_cpu(const char *variant, uint32_t scrypt_n, unsigned threads, double tune_seconds,
                                       double seconds, const struct sm_cancel *cancel, struct sm_bench_row *out,
                                       struct sm_errinfo *ei);
/* Labels on an OpenCL device. `kernel` NULL: as it is tuned, after tuning it for at most tune_seconds when no row is known
 * (0: not at all); else "item", "quad", "fetch", as a row about it says, or as suits the device but for the kernel.
 * Bounds, measured on the device: alu (the same code, all rows in a cache), memory (the same rows stored and fetched,
 * nothing computed); and computed, where enough is known of it (gpu/peak.h). The note says how many operations per compute
 * unit and cycle the rate is, and how much of a processor the host spent. opts may be NULL. */
SM_MUST_CHECK sm_err sm_bench_init_gpu(const char *device_id, uint32_t scrypt_n, const char *kernel,
                                       const struct sm_label_gpu_opts *opts, double tune_seconds, double seconds,
                                       const struct sm_cancel *cancel, struct sm_bench_row *out, struct sm_errinfo *ei);
/* The kernel in general use, for comparison (gpu/plain.h). */
SM_MUST_CHECK sm_err sm_bench_init_baseline(const char *device_id, uint32_t scrypt_n,
                                            const struct sm_label_gpu_opts *opts, double seconds,
                                            const struct sm_cancel *cancel, struct sm_bench_row *out,
                                            struct sm_errinfo *ei);

/* Sequential direct write and read of a temporary file of `bytes` in `dir`,
 * removed afterwards. Two rows. The content is verified on reading. SM_E_NOSPACE before writing when it would leave
 * less than 1 GiB free. */
SM_MUST_CHECK sm_err sm_bench_disk(const char *dir, uint64_t bytes, const struct sm_cancel *cancel,
                                   struct sm_bench_row out[2], struct sm_errinfo *ei);

/* The label scan from memory: each thread its own 16 MiB buffer. Bound: alu (buffer in L1). */
SM_MUST_CHECK sm_err sm_bench_scan(const char *variant, uint32_t nonces, unsigned threads, double seconds,
                                   const struct sm_cancel *cancel, struct sm_bench_row *out, struct sm_errinfo *ei);

/* The label scan on an OpenCL device, labels in the host's memory, tuned first when it is not yet (sm_scan_open); the row's
 * variant says how it runs. Checked against the processor. Bound: bus (the transfer of the labels alone, in turns). The
 * note says what the host's processors spend on it. */
SM_MUST_CHECK sm_err sm_bench_scan_device(const char *device_id, uint32_t nonces, double seconds,
                                          const struct sm_cancel *cancel, struct sm_bench_row *out,
                                          struct sm_errinfo *ei);

/* One pass of the real prover over a temporary data set of `bytes` in `dir` (removed afterwards) that holds no proof.
 * direct: O_DIRECT reads; otherwise from the page cache, which the file was just written through.
 * `disk_bytes_per_s` (0 = unknown) becomes the disk bound of the direct row. */
SM_MUST_CHECK sm_err sm_bench_prove_file(const char *dir, uint64_t bytes, uint32_t nonces, unsigned threads,
                                         bool direct, double disk_bytes_per_s, const struct sm_cancel *cancel,
                                         struct sm_bench_row *out, struct sm_errinfo *ei);

/* RandomX hashes as k2pow does them. */
SM_MUST_CHECK sm_err sm_bench_k2pow(const struct sm_randomx_cfg *cfg, unsigned threads, double seconds,
                                    const struct sm_cancel *cancel, struct sm_bench_row *out, struct sm_errinfo *ei);

/* Full verification (all indices) of a known proof with N = 8192 and K2 = 37, many at once. */
SM_MUST_CHECK sm_err sm_bench_verify(unsigned threads, double seconds, const struct sm_cancel *cancel,
                                     struct sm_bench_row *out, struct sm_errinfo *ei);

#endif
