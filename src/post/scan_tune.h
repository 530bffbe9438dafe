/* post/scan_tune.h: how an OpenCL device scans best: measured once per device, driver and kernel source, and kept beside
 * the rows of gpu_tune.h in tuning.yaml, with the kernel "scan":
 *
 *   - {"kernel": "scan", "device": "…", "driver": "…", "source": "9f…", "kind": "tables", "tables": 1, "copies": 32,
 *      "wg_items": 256, "bytes_per_s": 2.1e10, "nonces": 288, "measured": "2026-01-02T03:04:05Z"}
 *
 * Other lines of the file are kept as they are. */
#ifndef SM_POST_SCAN_TUNE_H
#define SM_POST_SCAN_TUNE_H

#include <stdbool.h>
#include <stdint.h>

#include "gpu/scanner.h"
#include "util/cancel.h"
#include "util/err.h"

#define SM_SCAN_TUNE_NONCES 288u /* the main network's */

/* The row for devices of this name and driver, and the kernels of this program. False: none, or the file cannot be used.
 * Any thread. */
bool sm_scan_tune_load(const struct sm_gpu_device *device, struct sm_gpu_scanner_cfg *out);

/* Tries what is worth trying on the device, in about `seconds` and the time the compiler takes; every trial proves itself
 * against the processor first. The best is saved (a failure to do so is logged). What the device refuses is left out;
 * when it refuses everything, its last error is that of the call. SM_E_CANCELLED. Blocks; nobody else should use the
 * device. *out_bytes_per_s: labels scanned for SM_SCAN_TUNE_NONCES nonces. */
SM_MUST_CHECK sm_err sm_scan_tune(const struct sm_gpu_device *device, double seconds, const struct sm_cancel *cancel,
                                  struct sm_gpu_scanner_cfg *out, double *out_bytes_per_s, struct sm_errinfo *ei);

/* Opens the device with its tuned scan. Not tuned yet, and seconds > 0: tunes it first; otherwise takes the default. A
 * tuned scan that the device no longer does is tried without. Failures: those of sm_gpu_scanner_new. */
SM_MUST_CHECK sm_err sm_scan_open(const char *device_id, double tune_seconds, const struct sm_cancel *cancel,
                                  struct sm_gpu_scanner **out, struct sm_errinfo *ei);

/* Bytes of labels per second, all lanes at work on labels[0 … labels_n) over and over, with the job set before; or of
 * their transfer alone. labels_n is at least that of one call. */
SM_MUST_CHECK sm_err sm_scan_measure(struct sm_gpu_scanner *g, const uint8_t *labels, size_t labels_n,
                                     bool transfer_only, double seconds, double *out, struct sm_errinfo *ei);

#endif
