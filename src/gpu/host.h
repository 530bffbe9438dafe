/* gpu/host.h: host memory that a device reads and writes by itself ("pinned"): transfers then neither pass through
 * another copy nor make the thread that asks for them wait. */
#ifndef SM_GPU_HOST_H
#define SM_GPU_HOST_H

#include "gpu/queue.h"

struct sm_gpu_host {
    cl_mem mem;
    void *mapped;
    uint8_t *at; /* `bytes`, aligned to a page, as direct I/O wants it */
};

/* `access`: CL_MAP_WRITE for what the host fills, CL_MAP_READ for what the device fills. SM_E_DEVICE: the driver has no
 * such memory. The queue is used by this and by fini alone, and must be idle. */
SM_MUST_CHECK sm_err sm_gpu_host_init(struct sm_gpu_host *h, struct sm_gpu_queue *q, cl_context context,
                                      cl_map_flags access, size_t bytes, struct sm_errinfo *ei);
/* Accepts a zeroed struct. */
void sm_gpu_host_fini(struct sm_gpu_host *h, struct sm_gpu_queue *q);

#endif
