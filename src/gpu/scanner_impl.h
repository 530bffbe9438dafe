/* gpu/scanner_impl.h: the scanner as its own files see it. */
#ifndef SM_GPU_SCANNER_IMPL_H
#define SM_GPU_SCANNER_IMPL_H

#include "gpu/scanner.h"
#include "kernels/shared/scan_job.h"

#define SM_GPU_SCAN_GROUPS_MAX 256u

/* Hits of one launch: as the device gave them, and as sort keys in the documented order. */
struct sm_gpu_scan_hits {
    struct sm_scan_found *found;
    uint64_t *keys;
    size_t n;
};

/* Sorts the hits and holds them against the processor: each one is good, no two are the same, and in the witness window
 * they are exactly the expected ones. SM_E_DEVICE names what differs. */
SM_MUST_CHECK sm_err sm_gpu_scan_confirm(const struct sm_scan_job *job, const uint8_t *labels,
                                         const struct sm_scan_launch *launch, struct sm_gpu_scan_hits *hits,
                                         const char *device, struct sm_errinfo *ei);

/* Passes on confirmed hits; those of the witness window only if they are good by the job's own difficulty. False when
 * emit wants no more. */
bool sm_gpu_scan_emit(const struct sm_scan_job *job, const uint8_t *labels, const struct sm_scan_launch *launch,
                      const struct sm_gpu_scan_hits *hits, sm_scan_emit emit, void *ctx);

/* Scans known labels on every lane; leaves the scanner without a job. */
SM_MUST_CHECK sm_err sm_gpu_scan_selftest(struct sm_gpu_scanner *g, struct sm_errinfo *ei);

#endif
