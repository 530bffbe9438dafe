/* post/gpu_tune.h: how labels are computed best on an OpenCL device: measured once per device, driver, kernel source and
 * N, and kept as a row (post/tune_rows.h):
 *
 *   - {"kernel": "romix", "device": "…", "driver": "…", "source": "…", "scrypt_n": 8192, "variant": "item",
 *      "lookup_gap": 1, "wg_items": 64, "layout": "rows", "interleave": 1, "unroll": 4, "width": 101376,
 *      "labels_per_s": 1200000.0, "measured": "2026-01-02T03:04:05Z"} */
#ifndef SM_POST_GPU_TUNE_H
#define SM_POST_GPU_TUNE_H

#include <stdbool.h>
#include <stdint.h>

#include "gpu/labeler.h"
#include "post/label.h"
#include "util/cancel.h"
#include "util/err.h"

struct sm_gpu_tuned {
    struct sm_gpu_labeler_cfg cfg; /* kernel, gap, group, layout, interleave, unroll, width */
    double labels_per_s;
};

/* The row for devices of this name, driver and N. `file` (may be NULL) comes before the others. False: none. Any thread. */
bool sm_gpu_tune_load(const struct sm_gpu_device *device, uint32_t scrypt_n, const char *file,
                      struct sm_gpu_tuned *out);
/* Adds or replaces it. */
SM_MUST_CHECK sm_err sm_gpu_tune_save(const struct sm_gpu_device *device, uint32_t scrypt_n,
                                      const struct sm_gpu_tuned *t, struct sm_errinfo *ei);

/* Varies kernel, lookup gap, group size, labels in flight, interleave, unrolling and layout, one after another, each from
 * the best so far, until all were tried or about `seconds` have passed (compiling included; a trial that has begun is
 * finished). Every trial proves itself on known labels first. The best is saved (a failure to do so is logged). What the
 * device refuses is left out; the error of the default shape is that of the call. Of `opts` (may be NULL) memory cap and
 * launch time count. SM_E_CANCELLED. Blocks; nobody else should use the device. */
SM_MUST_CHECK sm_err sm_gpu_tune(const struct sm_gpu_device *device, uint32_t scrypt_n,
                                 const struct sm_label_gpu_opts *opts, double seconds, const struct sm_cancel *cancel,
                                 struct sm_gpu_tuned *out, struct sm_errinfo *ei);

/* Opens the device with the labeler that its row describes, or that suits it; a row that no longer fits is logged and left
 * alone. Failures: those of sm_gpu_labeler_new. */
SM_MUST_CHECK sm_err sm_label_gpu_open(const char *device_id, uint32_t scrypt_n, const struct sm_label_gpu_opts *opts,
                                       struct sm_gpu_labeler **out, struct sm_errinfo *ei);

#endif
