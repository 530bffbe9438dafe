/* post/label.h: label engines: anything that computes a range of labels, and the farm that feeds many of them from
 * one range queue.
 *
 *   label(i) = first 16 bytes of scrypt-jane(commitment || le64(i) || 0^32, salt = "", N, r = 1, p = 1)
 *
 * Source: post.md §1-2. */
#ifndef SM_POST_LABEL_H
#define SM_POST_LABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/ids.h"
#include "post/layout.h"
#include "util/cancel.h"
#include "util/err.h"

struct sm_label_range {
    uint64_t first, count;
}; /* [first, first + count) */

/* The smallest label seen that is below a VRF difficulty; the lowest index wins among equals. */
struct sm_vrf_best {
    bool found;
    uint64_t index;
    uint8_t label[32];
};
/* Offers one label; strictly smaller than both threshold and best replaces. */
void sm_vrf_best_offer(struct sm_vrf_best *best, const uint8_t difficulty[32], uint64_t index, const uint8_t label[32]);
/* Keeps the smaller of two (ties: lower index). */
void sm_vrf_best_merge(struct sm_vrf_best *best, const struct sm_vrf_best *other);

/* One unit of work. */
struct sm_label_job {
    struct sm_commitment commitment;
    uint32_t scrypt_n;
    const uint8_t *vrf_difficulty; /* 32 bytes, or NULL: do not search; borrowed */
};

#define SM_LABEL_DEVICE_ROOM  64u
#define SM_LABEL_VARIANT_ROOM 96u

/* An engine: one thread's or one device's worth. */
struct sm_label_engine {
    const struct sm_label_engine_ops *ops; /* constant after creation */
    void *self;
    char device[SM_LABEL_DEVICE_ROOM];   /* "cpu", or the OpenCL device id */
    char variant[SM_LABEL_VARIANT_ROOM]; /* "avx512", "kernel=item gap=2 …" */
    uint64_t chunk;                      /* labels per call that suit it: about half a second of work */
    uint32_t width; /* labels it computes side by side: calls are multiples of it where possible; 0 = no matter */
    double duty;    /* share of the time it may work, above 0; 0 = always */
    bool trusted;   /* the reference itself; others are spot-checked in every batch */
};
struct sm_label_engine_ops {
    /* labels: range.count * 16 bytes. best: initialised by the caller; offered every label below the difficulty.
     * SM_E_DEVICE: the engine is lost, the farm goes on with others. One call at a time per engine; an engine that is
     * not trusted is called by two threads in turn. */
    sm_err (*compute)(void *self, const struct sm_label_job *job, struct sm_label_range range,
                      const struct sm_cancel *cancel, uint8_t *labels, struct sm_vrf_best *best, struct sm_errinfo *ei);
    void (*free)(void *self);
};
void sm_label_engine_free(struct sm_label_engine *e); /* accepts a zeroed engine */

/* One CPU thread of `threads` that will work at once, 0 = one per processor. `variant` NULL = best or SM_CPU_ISA. Uses the
 * tuning of sm_label_cpu_tune when there is one, that of the nearest number of threads. */
SM_MUST_CHECK sm_err sm_label_engine_cpu(const char *variant, uint32_t scrypt_n, unsigned threads,
                                         struct sm_label_engine *out, struct sm_errinfo *ei);

/* How OpenCL devices are run; 0 and NULL: as suits them. */
struct sm_label_gpu_opts {
    uint64_t memory_cap_bytes; /* of a device's memory */
    uint32_t launch_ms;        /* longest launch to aim for */
    const char *tuning_file;   /* rows that come before all others (post/gpu_tune.h); borrowed during the call */
};
/* One OpenCL device, by id as in gpu/labeler.h; tuned when a row is known. `opts` may be NULL. */
SM_MUST_CHECK sm_err sm_label_engine_gpu(const char *device_id, uint32_t scrypt_n, const struct sm_label_gpu_opts *opts,
                                         struct sm_label_engine *out, struct sm_errinfo *ei);

/* CPU auto-tuning: measures the variant's candidates for this N with `threads` threads at once, each checked against
 * the reference, for at most `seconds` in all, and saves the best under the cache directory
 * ($SM_CACHE_DIR, $XDG_CACHE_HOME/smesher or ~/.cache/smesher), keyed by CPU name, variant, N, threads.
 * sm_label_engine_cpu reads it. A missing or broken file means "not tuned". SM_E_CANCELLED: nothing is saved. */
struct sm_scrypt_tune;
SM_MUST_CHECK sm_err sm_label_cpu_tune(const char *variant, uint32_t scrypt_n, unsigned threads, double seconds,
                                       const struct sm_cancel *cancel, struct sm_scrypt_tune *out,
                                       double *out_labels_per_s, struct sm_errinfo *ei);

/* ---- the farm: engines -> ordered batches ---- */

struct sm_label_farm_cfg {
    struct sm_label_engine *engines; /* the farm takes them over, also on failure */
    size_t engines_n;
    unsigned spot_checks; /* labels per chunk of an untrusted engine recomputed by the reference, the last one
                                      * always among them; 0 = default 4 */
    /* True: engines finish the chunk they have, about half a second's work, and get no other until it is false again. Asked
     * about twenty times a second on the caller's thread; NULL: never. */
    bool (*paused)(void *ctx);
    void *paused_ctx;
    /* The same for the engines of one device, about once a second: it is too hot. */
    bool (*rests)(void *ctx, const char *device);
    void *rests_ctx;
    uint64_t memory_cap_bytes; /* of chunks claimed and not delivered; 0 = seconds of all engines, 32 to 256 MiB */
};
struct sm_label_farm;
SM_MUST_CHECK sm_err sm_label_farm_new(const struct sm_label_farm_cfg *cfg, struct sm_label_farm **out,
                                       struct sm_errinfo *ei);
void sm_label_farm_free(struct sm_label_farm *f);

/* Receives chunks in label order on the caller's thread. A failure stops the farm and is returned by run. */
typedef sm_err (*sm_label_sink)(void *ctx, struct sm_label_range range, const uint8_t *labels,
                                const struct sm_vrf_best *best, struct sm_errinfo *ei);

/* Computes the ranges in order. Engines get work in proportion to the speed they show (post/farm_plan.h). An engine that fails or gives a wrong label is quarantined with a log line and its chunk
 * recomputed by another (CPU engines are created, one per processor, when none is left); SM_E_DEVICE only when that fails too.
 * SM_E_CANCELLED after finished leading chunks were delivered. */
SM_MUST_CHECK sm_err sm_label_farm_run(struct sm_label_farm *f, const struct sm_label_job *job,
                                       const struct sm_label_range *ranges, size_t ranges_n,
                                       const struct sm_cancel *cancel, sm_label_sink sink, void *ctx,
                                       struct sm_errinfo *ei);

/* Snapshot per engine for progress displays; any thread. */
struct sm_label_engine_stats {
    char device[SM_LABEL_DEVICE_ROOM], variant[SM_LABEL_VARIANT_ROOM];
    uint32_t width;  /* labels side by side, 128 * N bytes of memory each; 0 = not said */
    uint64_t labels; /* delivered */
    uint64_t busy_ns;
    bool quarantined;
    char why[160];
};
size_t sm_label_farm_stats(struct sm_label_farm *f, struct sm_label_engine_stats *out, size_t room);

#endif
