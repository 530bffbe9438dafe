#include "gpu/labeler.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "gpu/labeler_impl.h"
#include "gpu/program.h"
#include "util/bytes.h"
#include "util/clock.h"

/* Ours. GPUs: enough items to fill every compute unit of today's cards (2048 resident on NVIDIA, up to 2560 on AMD).
 * CPUs: one label per group keeps the ChaCha rows in vector registers (PoCL: 1.8 ms per label, 2.6 with eight); a few
 * groups per core even out the load, more would only take memory. */
#define GPU_ITEMS_PER_UNIT 2048u
#define CPU_ITEMS_PER_UNIT 16u
#define GPU_WG_ITEMS       64u
#define CPU_WG_ITEMS       1u
#define LOOKUP_GAP         2u    /* half the memory for a quarter more work, as the reference */
#define LAUNCH_MS          100u  /* display watchdogs start at 1-2 s; cancelling waits for a window of launches */
#define FIRST_STEPS        16u   /* of a full-width launch of unknown speed */
#define LONE_GROUP_STEPS   1024u /* one group alone: milliseconds on anything */

static const char *const kernel_names[SM_GPU_STAGES] = {
    [SM_GPU_START] = "romix_start",
    [SM_GPU_FILL] = "romix_fill",
    [SM_GPU_MIX] = "romix_mix",
    [SM_GPU_FINISH] = "romix_finish",
};

/* ---- deciding the shape ---- */

static uint32_t u32_or(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* 0 when the driver does not say. */
static size_t device_wg_max(const struct sm_cl *cl, cl_device_id dev)
{
    size_t all = 0, dim[16] = {0};
    if (cl->GetDeviceInfo(dev, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof all, &all, NULL) != CL_SUCCESS) all = 0;
    if (cl->GetDeviceInfo(dev, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof dim, dim, NULL) == CL_SUCCESS && dim[0] > 0 &&
        dim[0] < all)
        all = dim[0];
    return all;
}

static sm_err check_cfg(const struct sm_gpu_labeler_cfg *c, struct sm_errinfo *ei)
{
    if (!sm_is_pow2_u64(c->scrypt_n) || c->scrypt_n < SM_SCRYPT_N_MIN || c->scrypt_n > SM_SCRYPT_N_MAX)
        return sm_fail(ei, SM_E_ARG, "scrypt N %" PRIu32 " is not a power of two from %u to %u", c->scrypt_n,
                       SM_SCRYPT_N_MIN, SM_SCRYPT_N_MAX);
    if (c->lookup_gap > SM_GPU_LOOKUP_GAP_MAX)
        return sm_fail(ei, SM_E_ARG, "lookup gap %" PRIu32 " is not in 1 to %u", c->lookup_gap, SM_GPU_LOOKUP_GAP_MAX);
    return SM_OK;
}

static sm_err choose_shape(struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c, struct sm_errinfo *ei)
{
    const bool cpu = g->dev.info.type == SM_GPU_TYPE_CPU;
    const size_t wg_max = device_wg_max(g->cl, g->dev.handle);
    if (c->wg_items && wg_max && c->wg_items > wg_max)
        return sm_fail(ei, SM_E_ARG, "%s allows groups of at most %zu work items, %" PRIu32 " were asked for",
                       g->dev.info.name, wg_max, c->wg_items);
    uint32_t wg = u32_or(c->wg_items, cpu ? CPU_WG_ITEMS : GPU_WG_ITEMS);
    if (wg_max && wg > wg_max) wg = (uint32_t)wg_max;
    g->shape = (struct sm_gpu_shape){
        .scrypt_n = c->scrypt_n,
        .lookup_gap = u32_or(c->lookup_gap, LOOKUP_GAP),
        .wg_items = wg,
        .layout = c->layout ? c->layout
                  : cpu     ? SM_GPU_LAYOUT_TABLES
                            : SM_GPU_LAYOUT_ROWS,
    };
    return SM_OK;
}

static struct sm_gpu_limits limits_of(const struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c)
{
    const uint64_t free_bytes = sm_gpu_free_bytes(g->cl, &g->dev);
    struct sm_gpu_limits l = {
        /* The driver, the display and others need some of a card's memory, and most of the host's. */
        .total_bytes = g->dev.info.shares_memory ? free_bytes / 4 : free_bytes - free_bytes / 8,
        .alloc_bytes = g->dev.info.max_alloc_bytes,
    };
    if (c->memory_cap_bytes) l.total_bytes = min_u64(l.total_bytes, c->memory_cap_bytes);
    if (c->max_alloc_bytes) l.alloc_bytes = min_u64(l.alloc_bytes, c->max_alloc_bytes);
    return l;
}

/* Labels in flight; lowers the group size, if it is ours to choose, until one group fits. */
static sm_err choose_width(struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c,
                           const struct sm_gpu_limits *limits, uint32_t *out, struct sm_errinfo *ei)
{
    struct sm_gpu_shape *s = &g->shape;
    uint32_t fit = sm_gpu_buffers_fit(s, limits);
    while (fit == 0 && !c->wg_items && s->wg_items > 1) {
        s->wg_items /= 2;
        fit = sm_gpu_buffers_fit(s, limits);
    }
    if (fit == 0)
        return sm_fail(
            ei, SM_E_ARG,
            "%s: %" PRIu64 " bytes of memory (%" PRIu64 " in one piece) are too few for one group of %" PRIu32
            " labels at %" PRIu64 " bytes each; raise the memory cap or the lookup gap",
            g->dev.info.name, limits->total_bytes, limits->alloc_bytes, s->wg_items, sm_gpu_buffers_item_bytes(s));
    const uint64_t units = g->dev.info.compute_units;
    uint64_t want = units * (g->dev.info.type == SM_GPU_TYPE_CPU ? CPU_ITEMS_PER_UNIT : GPU_ITEMS_PER_UNIT);
    if (c->width) want = c->width;
    want = (want + s->wg_items - 1) / s->wg_items * s->wg_items;
    *out = (uint32_t)min_u64(want, fit);
    return SM_OK;
}

/* ---- making it ---- */

static void release_program(struct sm_gpu_labeler *g)
{
    for (int i = 0; i < SM_GPU_STAGES; i++) {
        if (g->kernel[i]) (void)g->cl->ReleaseKernel(g->kernel[i]);
        g->kernel[i] = NULL;
    }
    if (g->program) (void)g->cl->ReleaseProgram(g->program);
    g->program = NULL;
}

static sm_err compile(struct sm_gpu_labeler *g, struct sm_errinfo *ei)
{
    char options[SM_GPU_OPTIONS_ROOM];
    sm_err err = sm_gpu_program_build(g->cl, g->context, &g->dev, sm_kernel_romix_source,
                                      sm_gpu_shape_options(&g->shape, options), &g->program, ei);
    for (int i = 0; i < SM_GPU_STAGES && !err; i++) {
        cl_int rc = CL_SUCCESS;
        g->kernel[i] = g->cl->CreateKernel(g->program, kernel_names[i], &rc);
        if (!g->kernel[i] || rc != CL_SUCCESS)
            err = sm_cl_fail(ei, rc, "clCreateKernel %s on %s", kernel_names[i], g->dev.info.name);
    }
    return err;
}

/* The largest group that every compiled kernel can run with: registers may allow fewer items than the device does. */
static uint32_t compiled_wg_max(const struct sm_gpu_labeler *g)
{
    size_t least = g->shape.wg_items;
    for (int i = 0; i < SM_GPU_STAGES; i++) {
        size_t n = 0;
        const cl_int rc =
            g->cl->GetKernelWorkGroupInfo(g->kernel[i], g->dev.handle, CL_KERNEL_WORK_GROUP_SIZE, sizeof n, &n, NULL);
        if (rc == CL_SUCCESS && n > 0 && n < least) least = n;
    }
    return (uint32_t)least;
}

static sm_err compile_to_fit(struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c, struct sm_errinfo *ei)
{
    for (;;) {
        sm_err err = compile(g, ei);
        if (err) return err;
        const uint32_t max = compiled_wg_max(g);
        if (max >= g->shape.wg_items) return SM_OK;
        if (c->wg_items)
            return sm_fail(ei, SM_E_ARG,
                           "%s runs this kernel with at most %" PRIu32 " work items per group, %" PRIu32
                           " were asked for",
                           g->dev.info.name, max, c->wg_items);
        release_program(g);
        g->shape.wg_items = max;
    }
}

static cl_int set_mem(const struct sm_cl *cl, cl_kernel k, cl_uint at, const cl_mem *m)
{
    return cl->SetKernelArg(k, at, sizeof *m, m);
}

/* Everything but the step range of FILL and MIX. */
static sm_err set_arguments(struct sm_gpu_labeler *g, struct sm_errinfo *ei)
{
    const struct sm_gpu_buffers *b = &g->buf;
    cl_int rc = CL_SUCCESS;
    for (int i = 0; i < SM_GPU_STAGES && rc == CL_SUCCESS; i++) {
        cl_uint at = 0;
        rc = set_mem(g->cl, g->kernel[i], at++, &b->job);
        if (rc == CL_SUCCESS) rc = set_mem(g->cl, g->kernel[i], at++, &b->state);
        /* Parts that are not in use are never selected; any buffer will do. */
        for (uint32_t p = 0; (i == SM_GPU_FILL || i == SM_GPU_MIX) && p < SM_ROMIX_PARTS && rc == CL_SUCCESS; p++)
            rc = set_mem(g->cl, g->kernel[i], at++, b->part[p] ? &b->part[p] : &b->part[0]);
        if (rc == CL_SUCCESS && i == SM_GPU_FINISH) rc = set_mem(g->cl, g->kernel[i], at, &b->labels);
    }
    return rc == CL_SUCCESS ? SM_OK : sm_cl_fail(ei, rc, "clSetKernelArg on %s", g->dev.info.name);
}

static sm_err open_context(struct sm_gpu_labeler *g, struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    g->context = g->cl->CreateContext(NULL, 1, &g->dev.handle, NULL, NULL, &rc);
    if (!g->context || rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "clCreateContext on %s", g->dev.info.name);
    return sm_gpu_queue_init(&g->queue, g->cl, g->context, g->dev.handle, g->dev.info.name, ei);
}

static void start_pace(struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c)
{
    for (int i = 0; i < SM_GPU_STAGES; i++)
        g->pace[i] = (struct sm_gpu_pace){
            .steps = (uint32_t)min_u64(FIRST_STEPS, c->scrypt_n),
            .steps_max = c->scrypt_n,
            .target_ns = u32_or(c->launch_ms, LAUNCH_MS) * SM_NS_PER_MS,
        };
}

static void write_description(struct sm_gpu_labeler *g)
{
    (void)snprintf(g->what, sizeof g->what,
                   "kernel=romix gap=%" PRIu32 " wg=%" PRIu32 " layout=%s parts=%" PRIu32 " width=%" PRIu32,
                   g->shape.lookup_gap, g->shape.wg_items, g->shape.layout == SM_GPU_LAYOUT_ROWS ? "rows" : "tables",
                   g->buf.parts, g->buf.width);
}

sm_err sm_gpu_labeler_new(const char *device_id, const struct sm_gpu_labeler_cfg *cfg, struct sm_gpu_labeler **out,
                          struct sm_errinfo *ei)
{
    uint32_t width = 0;
    struct sm_gpu_limits limits;
    struct sm_gpu_labeler *g = NULL;
    sm_err err = check_cfg(cfg, ei);
    if (err) return err;
    g = calloc(1, sizeof *g);
    if (!g) return sm_fail(ei, SM_E_NOMEM, "out of memory opening an OpenCL device");

    err = sm_gpu_find(device_id, &g->cl, &g->dev, ei);
    if (err) goto out;
    err = choose_shape(g, cfg, ei);
    if (err) goto out;
    limits = limits_of(g, cfg);
    err = choose_width(g, cfg, &limits, &width, ei);
    if (err) goto out;
    err = open_context(g, ei);
    if (err) goto out;
    err = compile_to_fit(g, cfg, ei);
    if (err) goto out;
    err = choose_width(g, cfg, &limits, &width, ei); /* the group may have become smaller */
    if (err) goto out;
    err = sm_gpu_buffers_init(&g->buf, &g->queue, g->context, &g->shape, &limits, width, ei);
    if (err) goto out;
    err = set_arguments(g, ei);
    if (err) goto out;
    start_pace(g, cfg);
    err = sm_gpu_selftest(g, ei);
    if (err) goto out;

    write_description(g);
    *out = g;
    g = NULL;
out:
    sm_gpu_labeler_free(g);
    return err;
}

void sm_gpu_labeler_free(struct sm_gpu_labeler *g)
{
    if (!g) return;
    if (g->queue.q) sm_gpu_queue_abandon(&g->queue);
    release_program(g);
    sm_gpu_buffers_fini(&g->buf);
    sm_gpu_queue_fini(&g->queue);
    if (g->context) (void)g->cl->ReleaseContext(g->context);
    free(g);
}

uint32_t sm_gpu_labeler_width(const struct sm_gpu_labeler *g)
{
    return g->buf.width;
}

double sm_gpu_labeler_rate(const struct sm_gpu_labeler *g)
{
    return g->labels_per_s;
}

const char *sm_gpu_labeler_describe(const struct sm_gpu_labeler *g)
{
    return g->what;
}

/* ---- running it ---- */

static sm_err launch(struct sm_gpu_labeler *g, sm_gpu_stage stage, uint32_t count, uint32_t steps,
                     struct sm_errinfo *ei)
{
    const size_t local = g->shape.wg_items, global = (count + local - 1) / local * local;
    cl_event ev = NULL;
    const cl_int rc = g->cl->EnqueueNDRangeKernel(g->queue.q, g->kernel[stage], 1, NULL, &global, &local, 0, NULL, &ev);
    const bool paced = steps && count == g->buf.width; /* a narrow launch says nothing about wide ones */
    return sm_gpu_queue_push(&g->queue, rc, ev, paced ? &g->pace[stage] : NULL, steps, kernel_names[stage], ei);
}

/* The N steps of FILL or MIX, in launches of bounded length. */
static sm_err launch_steps(struct sm_gpu_labeler *g, sm_gpu_stage stage, uint32_t count, const struct sm_cancel *cancel,
                           struct sm_errinfo *ei)
{
    const cl_uint arg = 2 + SM_ROMIX_PARTS;
    sm_err err = SM_OK;
    for (cl_uint done = 0, n; done < g->shape.scrypt_n && !err; done += n) {
        if (sm_cancelled(cancel)) return sm_fail(ei, SM_E_CANCELLED, "cancelled");
        n = g->pace[stage].steps;
        if (count <= g->shape.wg_items && n < LONE_GROUP_STEPS) n = LONE_GROUP_STEPS;
        if (n > g->shape.scrypt_n - done) n = g->shape.scrypt_n - done;
        cl_int rc = g->cl->SetKernelArg(g->kernel[stage], arg, sizeof done, &done);
        if (rc == CL_SUCCESS) rc = g->cl->SetKernelArg(g->kernel[stage], arg + 1, sizeof n, &n);
        if (rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "clSetKernelArg on %s", g->dev.info.name);
        err = launch(g, stage, count, n, ei);
    }
    return err;
}

/* Enqueues one batch; `out` is written once the queue has drained. `job` is read until the batch's first launch has
 * ended, which it has when the next batch but one is written: a batch is more commands than the window holds. */
static sm_err enqueue_batch(struct sm_gpu_labeler *g, const struct sm_romix_job *job, const struct sm_cancel *cancel,
                            uint8_t *out, struct sm_errinfo *ei)
{
    cl_event ev = NULL;
    cl_int rc = g->cl->EnqueueWriteBuffer(g->queue.q, g->buf.job, CL_FALSE, 0, sizeof *job, job, 0, NULL, &ev);
    sm_err err = sm_gpu_queue_push(&g->queue, rc, ev, NULL, 0, "clEnqueueWriteBuffer", ei);
    if (!err) err = launch(g, SM_GPU_START, job->count, 0, ei);
    if (!err) err = launch_steps(g, SM_GPU_FILL, job->count, cancel, ei);
    if (!err) err = launch_steps(g, SM_GPU_MIX, job->count, cancel, ei);
    if (!err) err = launch(g, SM_GPU_FINISH, job->count, 0, ei);
    if (err) return err;
    ev = NULL;
    rc = g->cl->EnqueueReadBuffer(g->queue.q, g->buf.labels, CL_FALSE, 0, (size_t)job->count * SM_SCRYPT_OUT_BYTES, out,
                                  0, NULL, &ev);
    return sm_gpu_queue_push(&g->queue, rc, ev, NULL, 0, "clEnqueueReadBuffer", ei);
}

sm_err sm_gpu_labeler_run(struct sm_gpu_labeler *g, const uint8_t commitment[32], uint64_t first, size_t count,
                          const struct sm_cancel *cancel, uint8_t *out, struct sm_errinfo *ei)
{
    if (count == 0 || first > UINT64_MAX - (count - 1))
        return sm_fail(ei, SM_E_ARG, "label range %" PRIu64 " + %zu is empty or wraps", first, count);
    if (g->lost)
        return sm_fail(ei, SM_E_DEVICE, "%s (%s) failed earlier and is no longer used", g->dev.info.id,
                       g->dev.info.name);
    sm_err err = SM_OK;
    unsigned slot = 0;
    for (size_t done = 0; done < count && !err; slot ^= 1) {
        struct sm_romix_job *job = &g->job[slot];
        *job = (struct sm_romix_job){.first_label = first + done,
                                     .count = (uint32_t)min_u64(count - done, g->buf.width),
                                     .width = g->buf.width,
                                     .items_per_part = g->buf.items_per_part};
        memcpy(job->commitment, commitment, sizeof job->commitment);
        err = enqueue_batch(g, job, cancel, out + done * SM_SCRYPT_OUT_BYTES, ei);
        done += job->count;
    }
    if (!err) err = sm_gpu_queue_drain(&g->queue, ei);
    if (err) sm_gpu_queue_abandon(&g->queue); /* nothing may write to `out` after the return */
    if (err == SM_E_DEVICE) g->lost = true;
    return err;
}
