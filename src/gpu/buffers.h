/* gpu/buffers.h: the device memory of one labeler. */
#ifndef SM_GPU_BUFFERS_H
#define SM_GPU_BUFFERS_H

#include "gpu/cl.h"
#include "gpu/kernel.h"
#include "gpu/queue.h"
#include "kernels/shared/romix_job.h"

#define SM_GPU_TURNS       2u  /* batches under way: results of one travel while the next is computed */
#define SM_GPU_LABEL_BYTES 16u /* of a result */

struct sm_gpu_buffers {
    const struct sm_cl *cl;
    uint32_t width;           /* labels in flight, a multiple of a group's */
    uint32_t parts;           /* scratch buffers in use, 1 … SM_ROMIX_PARTS */
    uint32_t labels_per_part; /* a multiple of a group's */
    cl_mem job, state;
    cl_mem labels[SM_GPU_TURNS]; /* 16 bytes per label */
    cl_mem hits[SM_GPU_TURNS];   /* a header and a record per label */
    cl_mem part[SM_ROMIX_PARTS];
};

/* What the memory has to keep to. */
struct sm_gpu_limits {
    uint64_t total_bytes; /* all buffers together */
    uint64_t alloc_bytes; /* one buffer */
};

/* Bytes of all buffers per label in flight. */
uint64_t sm_gpu_buffers_label_bytes(const struct sm_gpu_shape *s);

/* Labels in flight that fit into the limits, a multiple of a group's; 0 if not even one group does. */
uint32_t sm_gpu_buffers_fit(const struct sm_gpu_shape *s, const struct sm_gpu_limits *limits);

/* Allocates and touches buffers for `width` labels, or for fewer when the driver has less than it said. `width` is a
 * multiple of a group's labels and fits the limits. SM_E_DEVICE when not even one group can be had. */
SM_MUST_CHECK sm_err sm_gpu_buffers_init(struct sm_gpu_buffers *b, struct sm_gpu_queue *q, cl_context context,
                                         const struct sm_gpu_shape *s, const struct sm_gpu_limits *limits,
                                         uint32_t width, struct sm_errinfo *ei);
/* Accepts a zeroed struct. */
void sm_gpu_buffers_fini(struct sm_gpu_buffers *b);

#endif
