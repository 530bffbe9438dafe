/* post/gpu_tune.h: how an OpenCL device is best run: measured once per device, driver and N, and kept in tuning.yaml in the
 * cache directory, a list of rows that are YAML and, each, JSON:
 *
 *   - {"kernel": "romix", "device": "…", "driver": "…", "scrypt_n": 8192, "wg_items": 64, "lookup_gap": 2,
 *      "layout": "rows", "labels_per_s": 120000.0, "measured": "2026-01-02T03:04:05Z"}
 *
 * One row is one line. Lines that are no row, or no row of ours, are kept and ignored. */
#ifndef SM_POST_GPU_TUNE_H
#define SM_POST_GPU_TUNE_H

#include <stdbool.h>
#include <stdint.h>

#include "gpu/labeler.h"
#include "util/cancel.h"
#include "util/err.h"

#define SM_GPU_TUNE_FILE "tuning.yaml"

struct sm_gpu_tuned {
    uint32_t wg_items, lookup_gap;
    sm_gpu_layout layout;
    double labels_per_s;
};

/* The row for devices of this name, driver and N. False: none, or the file cannot be used. Any thread. */
bool sm_gpu_tune_load(const struct sm_gpu_device *device, uint32_t scrypt_n, struct sm_gpu_tuned *out);
/* Adds or replaces it. */
SM_MUST_CHECK sm_err sm_gpu_tune_save(const struct sm_gpu_device *device, uint32_t scrypt_n,
                                      const struct sm_gpu_tuned *t, struct sm_errinfo *ei);

/* Tries group sizes, then lookup gaps, each for `seconds`; every trial proves itself on known labels first. The best is
 * saved (a failure to do so is logged). What the device refuses is left out; the error of the default shape is
 * that of the call. SM_E_CANCELLED. Blocks; nobody else should use the device. */
SM_MUST_CHECK sm_err sm_gpu_tune(const struct sm_gpu_device *device, uint32_t scrypt_n, double seconds,
                                 const struct sm_cancel *cancel, struct sm_gpu_tuned *out, struct sm_errinfo *ei);

#endif
