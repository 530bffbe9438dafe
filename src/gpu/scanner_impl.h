/* gpu/scanner_impl.h: the scanner as its own files see it.
 *
 *   scanner.c       making it, its job
 *   scan_lane.c     a scan on one lane
 *   scan_keys.c     keys as the kernels want them
 *   scan_confirm.c  what the device says against the processor; the self-test */
#ifndef SM_GPU_SCANNER_IMPL_H
#define SM_GPU_SCANNER_IMPL_H

#include <stdatomic.h>

#include "gpu/device.h"
#include "gpu/host.h"
#include "gpu/queue.h"
#include "gpu/scanner.h"
#include "kernels/shared/scan_job.h"

#define SM_GPU_SCAN_GROUPS_MAX 256u
#define SM_GPU_SCAN_HITS_MAX \
    65536u               /* of a launch; at least 8 labels * SM_NONCES_MAX, so that the shortest always fits */
#define SM_GPU_SLICE 32u /* labels of an item of the bitsliced kernel */

/* Hits of one launch: as the device gave them, and as sort keys in the documented order. */
struct sm_gpu_scan_hits {
    struct sm_scan_found *found;
    uint64_t *keys;
    size_t n;
};

struct sm_gpu_scan_lane {
    struct sm_gpu_queue queue;
    cl_kernel kernel, slice; /* slice: bitsliced kind only */
    cl_mem job, labels, bits, counts, found;
    struct sm_gpu_scan_hits hits; /* of a launch, as the device gave them, then sorted */
    struct sm_scan_launch launch; /* here, not on a stack: commands in flight read and write them until abandoned */
    struct sm_scan_counts zero, counted;
    uint32_t range; /* labels to try next: shrinks while hits overflow or launches are long */
    uint64_t dice;  /* where the next witnesses are */
};

struct sm_gpu_scanner {
    const struct sm_cl *cl;
    struct sm_gpu_found dev;
    cl_context context;
    cl_program program;
    cl_mem keys, lazy;
    struct sm_gpu_host pinned;
    struct sm_gpu_scan_lane lane[SM_GPU_SCAN_LANES];
    const struct sm_scan_job *job;
    struct sm_gpu_scanner_cfg cfg; /* as chosen: nothing is 0 */
    uint32_t compute_units;
    struct sm_gpu_kept kept;       /* when it hangs */
    void *kept_keys, *kept_labels; /* of a driver that hangs, and may still read them */
    atomic_bool lost;              /* it failed or lied: nothing more is asked of it */
    char what[96];
};

/* Bytes of one group's keys on the device, and the keys themselves. */
size_t sm_gpu_scan_key_bytes(sm_gpu_scan_kind kind);
void sm_gpu_scan_keys(sm_gpu_scan_kind kind, const struct sm_scan_job *job, uint8_t *out);
/* 16 * SM_SCAN_LAZY_ROWS * 16 bytes per group. */
void sm_gpu_scan_lazy_keys(const struct sm_scan_job *job, uint8_t *out);

/* `p` is read until the queue has drained. */
SM_MUST_CHECK sm_err sm_gpu_scan_put(struct sm_gpu_scanner *g, struct sm_gpu_scan_lane *l, cl_mem to, const void *p,
                                     size_t n, struct sm_errinfo *ei);
/* The labels a new job's first launch takes: short even on a slow device. */
uint32_t sm_gpu_scan_first_range(const struct sm_gpu_scanner *g);

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
