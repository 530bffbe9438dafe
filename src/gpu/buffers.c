#include "gpu/buffers.h"

#include <inttypes.h>

#include "util/log.h"

#define HIT_BYTES sizeof(struct sm_romix_hit)

uint64_t sm_gpu_buffers_label_bytes(const struct sm_gpu_shape *s)
{
    return sm_gpu_shape_label_bytes(s) + SM_ROMIX_ROW_BYTES + SM_GPU_TURNS * (SM_GPU_LABEL_BYTES + HIT_BYTES);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Labels of one part under the limit of one allocation; state is the other buffer that could exceed it. */
static uint64_t part_labels_max(const struct sm_gpu_shape *s, const struct sm_gpu_limits *limits)
{
    const uint64_t labels = limits->alloc_bytes / sm_gpu_shape_label_bytes(s);
    return labels - labels % sm_gpu_shape_group_labels(s);
}

uint32_t sm_gpu_buffers_fit(const struct sm_gpu_shape *s, const struct sm_gpu_limits *limits)
{
    uint64_t n = limits->total_bytes / sm_gpu_buffers_label_bytes(s);
    n = min_u64(n, SM_ROMIX_PARTS * part_labels_max(s, limits));
    n = min_u64(n, limits->alloc_bytes / SM_ROMIX_ROW_BYTES);
    n = min_u64(n, UINT32_MAX / 8); /* item numbers are 32-bit on the device, and a label may take four */
    return (uint32_t)(n - n % sm_gpu_shape_group_labels(s));
}

/* Drivers allocate on first use: a fill of one row at either end makes them, and shows whether they can. */
static cl_int touch(struct sm_gpu_queue *q, cl_mem m, uint64_t bytes)
{
    const cl_uint zero[4] = {0};
    const size_t n = SM_ROMIX_ROW_BYTES;
    cl_int rc = q->cl->EnqueueFillBuffer(q->q, m, zero, sizeof zero, 0, n, 0, NULL, NULL);
    if (rc == CL_SUCCESS && bytes > n)
        rc = q->cl->EnqueueFillBuffer(q->q, m, zero, sizeof zero, (size_t)(bytes - n), n, 0, NULL, NULL);
    return rc;
}

static cl_int create(struct sm_gpu_queue *q, cl_context context, cl_mem_flags flags, uint64_t bytes, cl_mem *out)
{
    if (bytes < SM_ROMIX_ROW_BYTES) bytes = SM_ROMIX_ROW_BYTES;
    cl_int rc = CL_SUCCESS;
    cl_mem m = q->cl->CreateBuffer(context, flags, (size_t)bytes, NULL, &rc);
    if (!m) return rc != CL_SUCCESS ? rc : CL_MEM_OBJECT_ALLOCATION_FAILURE;
    *out = m; /* released by the caller, whatever follows */
    return rc != CL_SUCCESS ? rc : touch(q, m, bytes);
}

/* One attempt with b->width. */
static cl_int allocate(struct sm_gpu_buffers *b, struct sm_gpu_queue *q, cl_context context,
                       const struct sm_gpu_shape *s, const struct sm_gpu_limits *limits)
{
    const uint32_t group = sm_gpu_shape_group_labels(s);
    const uint64_t groups = b->width / group, groups_max = part_labels_max(s, limits) / group;
    b->parts = (uint32_t)((groups + groups_max - 1) / groups_max);
    b->labels_per_part = (uint32_t)((groups + b->parts - 1) / b->parts * group);

    cl_int rc = create(q, context, CL_MEM_READ_ONLY, sizeof(struct sm_romix_job), &b->job);
    if (rc == CL_SUCCESS)
        rc = create(q, context, CL_MEM_READ_WRITE, (uint64_t)b->width * SM_ROMIX_ROW_BYTES, &b->state);
    for (uint32_t i = 0; i < SM_GPU_TURNS && rc == CL_SUCCESS; i++) {
        rc = create(q, context, CL_MEM_WRITE_ONLY, (uint64_t)b->width * SM_GPU_LABEL_BYTES, &b->labels[i]);
        if (rc == CL_SUCCESS)
            rc = create(q, context, CL_MEM_READ_WRITE, (b->width + UINT64_C(1)) * HIT_BYTES, &b->hits[i]);
    }
    for (uint32_t i = 0; i < b->parts && rc == CL_SUCCESS; i++)
        rc = create(q, context, CL_MEM_READ_WRITE | CL_MEM_HOST_NO_ACCESS,
                    b->labels_per_part * sm_gpu_shape_label_bytes(s), &b->part[i]);
    const cl_int done = q->cl->Finish(q->q);
    return rc != CL_SUCCESS ? rc : done;
}

static bool worth_retrying(cl_int rc)
{
    return rc == CL_MEM_OBJECT_ALLOCATION_FAILURE || rc == CL_OUT_OF_RESOURCES || rc == CL_OUT_OF_HOST_MEMORY ||
           rc == CL_INVALID_BUFFER_SIZE;
}

sm_err sm_gpu_buffers_init(struct sm_gpu_buffers *b, struct sm_gpu_queue *q, cl_context context,
                           const struct sm_gpu_shape *s, const struct sm_gpu_limits *limits, uint32_t width,
                           struct sm_errinfo *ei)
{
    for (;;) {
        *b = (struct sm_gpu_buffers){.cl = q->cl, .width = width};
        const cl_int rc = allocate(b, q, context, s, limits);
        if (rc == CL_SUCCESS) return SM_OK;
        sm_gpu_buffers_fini(b);
        const uint32_t group = sm_gpu_shape_group_labels(s), groups = width / group;
        if (groups <= 1 || !worth_retrying(rc))
            return sm_cl_fail(ei, rc, "allocating %" PRIu64 " bytes on %s", width * sm_gpu_buffers_label_bytes(s),
                              q->device);
        sm_log(SM_LOG_DEBUG, "gpu", "allocation failed, trying less", "device=\"%s\" labels=%" PRIu32 " error=%s",
               q->device, width, sm_cl_error_name(rc));
        width = (groups - (groups + 3) / 4) * group;
    }
}

static void release(const struct sm_cl *cl, cl_mem *m)
{
    if (*m) (void)cl->ReleaseMemObject(*m);
    *m = NULL;
}

void sm_gpu_buffers_fini(struct sm_gpu_buffers *b)
{
    if (!b->cl) return;
    release(b->cl, &b->job);
    release(b->cl, &b->state);
    for (uint32_t i = 0; i < SM_GPU_TURNS; i++) {
        release(b->cl, &b->labels[i]);
        release(b->cl, &b->hits[i]);
    }
    for (uint32_t i = 0; i < SM_ROMIX_PARTS; i++) release(b->cl, &b->part[i]);
}
