#include "gpu/plain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/device.h"
#include "gpu/kernel.h"
#include "gpu/program.h"
#include "kernels/shared/romix_job.h"

#define LABEL_BYTES 32u

struct sm_gpu_plain {
    const struct sm_cl *cl;
    struct sm_gpu_found dev;
    uint32_t scrypt_n, wg_items, width;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
    cl_kernel kernel;
    cl_mem job, scratch, labels;
    char what[64];
};

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The reference's sizing. */
static uint32_t choose_width(const struct sm_gpu_plain *g, uint64_t memory)
{
    const uint64_t lookup = (uint64_t)(g->scrypt_n / 2) * SM_ROMIX_ROW_BYTES;
    const uint64_t n =
        min_u64((memory - 32) / (lookup + LABEL_BYTES), g->dev.info.max_alloc_bytes / lookup) / g->wg_items;
    return (uint32_t)(min_u64(n, UINT32_MAX / 2 / g->wg_items) * g->wg_items);
}

static sm_err fail(const struct sm_gpu_plain *g, cl_int rc, const char *what, struct sm_errinfo *ei)
{
    return sm_cl_fail(ei, rc, "%s on %s", what, g->dev.info.name);
}

static sm_err open_device(struct sm_gpu_plain *g, struct sm_errinfo *ei)
{
    char options[96];
    cl_int rc = CL_SUCCESS;
    g->context = g->cl->CreateContext(NULL, 1, &g->dev.handle, NULL, NULL, &rc);
    if (!g->context || rc != CL_SUCCESS) return fail(g, rc, "clCreateContext", ei);
    g->queue = g->cl->CreateCommandQueue(g->context, g->dev.handle, 0, &rc);
    if (!g->queue || rc != CL_SUCCESS) return fail(g, rc, "clCreateCommandQueue", ei);
    (void)snprintf(options, sizeof options, "-cl-std=CL1.2 -DSCRYPT_N=%" PRIu32 "u", g->scrypt_n);
    sm_err err =
        sm_gpu_program_build(g->cl, g->context, &g->dev, sm_kernel_romix_plain_source, options, &g->program, ei);
    if (err) return err;
    g->kernel = g->cl->CreateKernel(g->program, "romix_plain", &rc);
    if (!g->kernel || rc != CL_SUCCESS) return fail(g, rc, "clCreateKernel romix_plain", ei);
    size_t wg = 0;
    rc = g->cl->GetKernelWorkGroupInfo(g->kernel, g->dev.handle, CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE,
                                       sizeof wg, &wg, NULL);
    g->wg_items = rc == CL_SUCCESS && wg > 0 ? (uint32_t)wg : 1;
    return SM_OK;
}

static cl_int buffer(struct sm_gpu_plain *g, cl_mem_flags flags, uint64_t bytes, cl_uint arg, cl_mem *out)
{
    cl_int rc = CL_SUCCESS;
    *out = g->cl->CreateBuffer(g->context, flags, (size_t)bytes, NULL, &rc);
    if (rc == CL_SUCCESS && !*out) rc = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    return rc == CL_SUCCESS ? g->cl->SetKernelArg(g->kernel, arg, sizeof *out, out) : rc;
}

static void release(struct sm_gpu_plain *g)
{
    cl_mem *const all[] = {&g->job, &g->scratch, &g->labels};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (*all[i]) (void)g->cl->ReleaseMemObject(*all[i]);
        *all[i] = NULL;
    }
}

/* Fewer when the driver has less than it said; the reference would end here. */
static sm_err allocate(struct sm_gpu_plain *g, struct sm_errinfo *ei)
{
    for (;;) {
        cl_int rc = buffer(g, CL_MEM_READ_ONLY, sizeof(struct sm_romix_job), 0, &g->job);
        if (rc == CL_SUCCESS)
            rc = buffer(g, CL_MEM_READ_WRITE | CL_MEM_HOST_NO_ACCESS,
                        (uint64_t)g->width * (g->scrypt_n / 2) * SM_ROMIX_ROW_BYTES, 1, &g->scratch);
        if (rc == CL_SUCCESS)
            rc = buffer(g, CL_MEM_WRITE_ONLY | CL_MEM_ALLOC_HOST_PTR | CL_MEM_HOST_READ_ONLY,
                        (uint64_t)g->width * LABEL_BYTES, 2, &g->labels);
        if (rc == CL_SUCCESS) return SM_OK;
        release(g);
        if (g->width <= g->wg_items) return fail(g, rc, "allocating memory", ei);
        g->width = g->width / 4 * 3 / g->wg_items * g->wg_items;
        if (g->width == 0) g->width = g->wg_items;
    }
}

sm_err sm_gpu_plain_new(const char *device_id, uint32_t scrypt_n, uint64_t memory_cap_bytes, struct sm_gpu_plain **out,
                        struct sm_errinfo *ei)
{
    struct sm_gpu_plain *g = calloc(1, sizeof *g);
    if (!g) return sm_fail(ei, SM_E_NOMEM, "out of memory opening an OpenCL device");
    sm_err err = sm_gpu_find(device_id, &g->cl, &g->dev, ei);
    if (err) goto out;
    g->scrypt_n = scrypt_n;
    err = open_device(g, ei);
    if (err) goto out;
    /* A card's memory is taken whole; of the host's, which others need, a quarter. */
    uint64_t memory = g->dev.info.shares_memory ? g->dev.info.memory_bytes / 4 : g->dev.info.memory_bytes;
    if (memory_cap_bytes) memory = min_u64(memory, memory_cap_bytes);
    g->width = choose_width(g, memory);
    if (g->dev.info.type == SM_GPU_TYPE_CPU && g->width > 16 * g->wg_items) g->width = 16 * g->wg_items;
    if (g->width == 0) {
        err = sm_fail(ei, SM_E_ARG, "%s: %" PRIu64 " bytes of memory are too few", g->dev.info.name, memory);
        goto out;
    }
    err = allocate(g, ei);
    if (err) goto out;
    (void)snprintf(g->what, sizeof g->what, "baseline gap=2 wg=%" PRIu32 " width=%" PRIu32, g->wg_items, g->width);
    *out = g;
    g = NULL;
out:
    sm_gpu_plain_free(g);
    return err;
}

void sm_gpu_plain_free(struct sm_gpu_plain *g)
{
    if (!g) return;
    if (g->queue) (void)g->cl->Finish(g->queue);
    if (g->cl) release(g);
    if (g->kernel) (void)g->cl->ReleaseKernel(g->kernel);
    if (g->program) (void)g->cl->ReleaseProgram(g->program);
    if (g->queue) (void)g->cl->ReleaseCommandQueue(g->queue);
    if (g->context) (void)g->cl->ReleaseContext(g->context);
    free(g);
}

uint32_t sm_gpu_plain_width(const struct sm_gpu_plain *g)
{
    return g->width;
}

const char *sm_gpu_plain_describe(const struct sm_gpu_plain *g)
{
    return g->what;
}

sm_err sm_gpu_plain_run(struct sm_gpu_plain *g, const uint8_t commitment[32], uint64_t first, uint32_t count,
                        uint8_t *out, struct sm_errinfo *ei)
{
    struct sm_romix_job job = {.first_label = first, .count = count, .width = g->width};
    memcpy(job.commitment, commitment, sizeof job.commitment);
    if (count == 0 || count > g->width) return sm_fail(ei, SM_E_ARG, "%" PRIu32 " labels in a batch", count);
    const size_t local = g->wg_items, global = (count + local - 1) / local * local;
    cl_int rc = g->cl->EnqueueWriteBuffer(g->queue, g->job, CL_TRUE, 0, sizeof job, &job, 0, NULL, NULL);
    if (rc == CL_SUCCESS)
        rc = g->cl->EnqueueNDRangeKernel(g->queue, g->kernel, 1, NULL, &global, &local, 0, NULL, NULL);
    if (rc == CL_SUCCESS)
        rc = g->cl->EnqueueReadBuffer(g->queue, g->labels, CL_TRUE, 0, (size_t)count * LABEL_BYTES, out, 0, NULL, NULL);
    return rc == CL_SUCCESS ? SM_OK : fail(g, rc, "a batch of labels", ei);
}
