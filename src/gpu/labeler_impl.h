/* gpu/labeler_impl.h: the labeler as its own files see it. */
#ifndef SM_GPU_LABELER_IMPL_H
#define SM_GPU_LABELER_IMPL_H

#include "gpu/buffers.h"
#include "gpu/device.h"
#include "gpu/kernel.h"
#include "gpu/queue.h"

typedef enum sm_gpu_stage {
    SM_GPU_START,  /* first PBKDF2 */
    SM_GPU_FILL,   /* N steps that write the table */
    SM_GPU_MIX,    /* N steps that read it */
    SM_GPU_FINISH, /* last PBKDF2 */
    SM_GPU_STAGES,
} sm_gpu_stage;

struct sm_gpu_labeler {
    const struct sm_cl *cl;
    struct sm_gpu_found dev;
    struct sm_gpu_shape shape;
    cl_context context;
    struct sm_gpu_queue queue;
    cl_program program;
    cl_kernel kernel[SM_GPU_STAGES];
    struct sm_gpu_buffers buf;
    struct sm_gpu_pace pace[SM_GPU_STAGES]; /* of FILL and MIX */
    struct sm_romix_job job[2]; /* uploaded without waiting: alternate, so that the one in flight stays as it is */
    double labels_per_s;        /* seen by the self-test */
    bool lost;                  /* the device failed: nothing more is asked of it */
    char what[160];             /* sm_gpu_labeler_describe */
};

/* Compares labels at a full width, across 2^32 and at the seams of the scratch parts, with the CPU's, and measures the
 * rate. SM_E_DEVICE names the first that differs. */
SM_MUST_CHECK sm_err sm_gpu_selftest(struct sm_gpu_labeler *g, struct sm_errinfo *ei);

#endif
