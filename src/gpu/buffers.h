/* gpu/buffers.h: the device memory of one labeler. */
#ifndef SM_GPU_BUFFERS_H
#define SM_GPU_BUFFERS_H

#include "gpu/cl.h"
#include "gpu/kernel.h"
#include "gpu/queue.h"
#include "kernels/shared/romix_job.h"

struct sm_gpu_buffers {
    const struct sm_cl *cl;
    uint32_t width;          /* labels in flight, a multiple of the group size */
    uint32_t parts;          /* scratch buffers in use, 1 … SM_ROMIX_PARTS */
    uint32_t items_per_part; /* a multiple of the group size */
    cl_mem job, state, labels;
    cl_mem part[SM_ROMIX_PARTS];
};

/* What the memory has to keep to. */
struct sm_gpu_limits {
    uint64_t total_bytes; /* all buffers together */
    uint64_t alloc_bytes; /* one buffer */
};

/* Bytes of all buffers per label in flight. */
uint64_t sm_gpu_buffers_item_bytes(const struct sm_gpu_shape *s);

/* Labels in flight that fit into the limits, a multiple of the group size; 0 if not even one group does. */
uint32_t sm_gpu_buffers_fit(const struct sm_gpu_shape *s, const struct sm_gpu_limits *limits);

/* Allocates and touches buffers for `width` labels, or for fewer when the driver has less than it said. `width` is a
 * multiple of the group size and fits the limits. SM_E_DEVICE when not even one group can be had. */
SM_MUST_CHECK sm_err sm_gpu_buffers_init(struct sm_gpu_buffers *b, struct sm_gpu_queue *q, cl_context context,
                                         const struct sm_gpu_shape *s, const struct sm_gpu_limits *limits,
                                         uint32_t width, struct sm_errinfo *ei);
/* Accepts a zeroed struct. */
void sm_gpu_buffers_fini(struct sm_gpu_buffers *b);

#endif
