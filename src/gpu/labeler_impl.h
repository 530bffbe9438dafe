/* gpu/labeler_impl.h: the labeler as its own files see it.
 *
 *   labeler.c        making one
 *   labeler_shape.c  which kernel, group size, width, and memory
 *   labeler_run.c    batches
 *   selftest.c       known labels */
#ifndef SM_GPU_LABELER_IMPL_H
#define SM_GPU_LABELER_IMPL_H

#include "gpu/buffers.h"
#include "gpu/device.h"
#include "gpu/host.h"
#include "gpu/kernel.h"
#include "gpu/queue.h"

typedef enum sm_gpu_stage {
    SM_GPU_START,  /* first PBKDF2 */
    SM_GPU_FILL,   /* N steps that write the table */
    SM_GPU_MIX,    /* N steps that read it */
    SM_GPU_FINISH, /* last PBKDF2 */
    SM_GPU_STAGES,
} sm_gpu_stage;

#define SM_GPU_HITS_READ 15u /* hits that are read with every batch; the search for a nonce has far fewer */

/* A batch under way. What the device reads and writes stands here until its last command has ended. */
struct sm_gpu_turn {
    struct sm_romix_job job;
    uint8_t *labels;              /* 16 bytes each, a width of them */
    struct sm_romix_hit *records; /* a header and SM_GPU_HITS_READ hits */
    uint64_t last;                /* commands of the queue up to its end */
    uint8_t *out;                 /* the caller's, for the labels; NULL: nothing is under way */
};

struct sm_gpu_labeler {
    const struct sm_cl *cl;
    struct sm_gpu_found dev;
    struct sm_gpu_labeler_cfg asked;
    struct sm_gpu_shape shape;
    bool no_shuffle; /* the driver did not compile one: SM_GPU_EXCHANGE_LOCAL */
    cl_context context;
    struct sm_gpu_queue queue;
    cl_program romix, ends;
    cl_kernel kernel[SM_GPU_STAGES];
    struct sm_gpu_buffers buf;
    struct sm_gpu_host host;                /* of the turns */
    void *ordinary;                         /* the same, where nothing can be pinned */
    struct sm_gpu_pace pace[SM_GPU_STAGES]; /* of FILL and MIX */
    struct sm_gpu_turn turn[SM_GPU_TURNS];
    double labels_per_s;     /* seen by the self-test */
    bool lost;               /* the device failed: nothing more is asked of it */
    struct sm_gpu_kept kept; /* when it hangs, */
    void *kept_hits;         /* with what it may still write to */
    char what[160];          /* sm_gpu_labeler_describe */
};

extern const char *const sm_gpu_stage_names[SM_GPU_STAGES];

/* Kernel, group size, layout and so on, from what is asked for, the device, and what suits it. SM_E_ARG. */
SM_MUST_CHECK sm_err sm_gpu_choose_shape(struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c,
                                         struct sm_errinfo *ei);
struct sm_gpu_limits sm_gpu_choose_limits(const struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c);
/* Labels in flight; lowers the group size, if it is ours to choose, until one group fits. SM_E_ARG. */
SM_MUST_CHECK sm_err sm_gpu_choose_width(struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c,
                                         const struct sm_gpu_limits *limits, uint32_t *out, struct sm_errinfo *ei);

/* Compares labels at a full width, across 2^32 and at the seams of the scratch parts, with the CPU's, and measures the
 * rate. SM_E_DEVICE names the first that differs. */
SM_MUST_CHECK sm_err sm_gpu_selftest(struct sm_gpu_labeler *g, struct sm_errinfo *ei);

#endif
