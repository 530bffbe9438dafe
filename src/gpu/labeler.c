#include "gpu/labeler.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "gpu/labeler_impl.h"
#include "gpu/program.h"
#include "util/clock.h"
#include "util/log.h"

#define LAUNCH_MS   100u /* display watchdogs start at 1-2 s; cancelling waits for a window of launches */
#define ANSWER_MS   60000u
#define FIRST_STEPS 16u /* of a full-width launch of unknown speed */

const char *const sm_gpu_stage_names[SM_GPU_STAGES] = {
    [SM_GPU_START] = "label_start",
    [SM_GPU_FILL] = "romix_fill",
    [SM_GPU_MIX] = "romix_mix",
    [SM_GPU_FINISH] = "label_finish",
};

static bool is_end(int stage)
{
    return stage == SM_GPU_START || stage == SM_GPU_FINISH;
}

static void release_programs(struct sm_gpu_labeler *g)
{
    for (int i = 0; i < SM_GPU_STAGES; i++) {
        if (g->kernel[i]) (void)g->cl->ReleaseKernel(g->kernel[i]);
        g->kernel[i] = NULL;
    }
    if (g->romix) (void)g->cl->ReleaseProgram(g->romix);
    if (g->ends) (void)g->cl->ReleaseProgram(g->ends);
    g->romix = g->ends = NULL;
}

static sm_err build_romix(struct sm_gpu_labeler *g, struct sm_errinfo *ei)
{
    char options[SM_GPU_OPTIONS_ROOM];
    return sm_gpu_program_build(g->cl, g->context, &g->dev, sm_kernel_romix_source,
                                sm_gpu_shape_options(&g->shape, options), &g->romix, ei);
}

static sm_err compile(struct sm_gpu_labeler *g, struct sm_errinfo *ei)
{
    char options[SM_GPU_OPTIONS_ROOM];
    sm_err err = build_romix(g, ei);
    if (err && g->shape.exchange != SM_GPU_EXCHANGE_LOCAL) {
        sm_log(SM_LOG_DEBUG, "gpu", "no shuffle between items", "device=\"%s\" why=\"%s\"", g->dev.info.id,
               ei ? ei->text : "");
        g->no_shuffle = true;
        g->shape.exchange = SM_GPU_EXCHANGE_LOCAL;
        err = build_romix(g, ei);
    }
    if (!err)
        err = sm_gpu_program_build(g->cl, g->context, &g->dev, sm_kernel_label_ends_source,
                                   sm_gpu_shape_ends_options(&g->shape, options), &g->ends, ei);
    for (int i = 0; i < SM_GPU_STAGES && !err; i++) {
        cl_int rc = CL_SUCCESS;
        g->kernel[i] = g->cl->CreateKernel(is_end(i) ? g->ends : g->romix, sm_gpu_stage_names[i], &rc);
        if (!g->kernel[i] || rc != CL_SUCCESS)
            err = sm_cl_fail(ei, rc, "clCreateKernel %s on %s", sm_gpu_stage_names[i], g->dev.info.name);
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
    const uint32_t items = sm_gpu_kernel_items(g->shape.kernel);
    for (;;) {
        sm_err err = compile(g, ei);
        if (err) return err;
        const uint32_t max = compiled_wg_max(g);
        if (max >= g->shape.wg_items) return SM_OK;
        if (c->wg_items || max < items)
            return sm_fail(ei, SM_E_ARG,
                           "%s runs this kernel with at most %" PRIu32 " work items per group, %" PRIu32
                           " were asked for",
                           g->dev.info.name, max, g->shape.wg_items);
        release_programs(g);
        g->shape.wg_items = max - max % items;
    }
}

static cl_int set_mem(const struct sm_cl *cl, cl_kernel k, cl_uint at, const cl_mem *m)
{
    return cl->SetKernelArg(k, at, sizeof *m, m);
}

/* Everything but the outputs of a turn and the step range of FILL and MIX. */
static sm_err set_arguments(struct sm_gpu_labeler *g, struct sm_errinfo *ei)
{
    const struct sm_gpu_buffers *b = &g->buf;
    cl_int rc = CL_SUCCESS;
    for (int i = 0; i < SM_GPU_STAGES && rc == CL_SUCCESS; i++) {
        cl_uint at = 0;
        rc = set_mem(g->cl, g->kernel[i], at++, &b->job);
        if (rc == CL_SUCCESS) rc = set_mem(g->cl, g->kernel[i], at++, &b->state);
        if (is_end(i)) continue;
        /* Parts that are not in use are never selected; any buffer will do. */
        for (uint32_t p = 0; p < SM_ROMIX_PARTS && rc == CL_SUCCESS; p++)
            rc = set_mem(g->cl, g->kernel[i], at++, b->part[p] ? &b->part[p] : &b->part[0]);
    }
    return rc == CL_SUCCESS ? SM_OK : sm_cl_fail(ei, rc, "clSetKernelArg on %s", g->dev.info.name);
}

static sm_err open_context(struct sm_gpu_labeler *g, struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    g->context = g->cl->CreateContext(NULL, 1, &g->dev.handle, NULL, NULL, &rc);
    if (!g->context || rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "clCreateContext on %s", g->dev.info.name);
    return sm_gpu_queue_init(&g->queue, g->cl, g->context, g->dev.handle, g->dev.info.name,
                             g->asked.answer_ms ? g->asked.answer_ms : ANSWER_MS, ei);
}

/* Host memory of the turns, pinned if the driver can. */
static sm_err open_turns(struct sm_gpu_labeler *g, struct sm_errinfo *ei)
{
    const size_t labels_bytes = (size_t)SM_GPU_LABEL_BYTES * g->buf.width;
    const size_t turn_bytes = labels_bytes + (1 + SM_GPU_HITS_READ) * sizeof(struct sm_romix_hit);
    struct sm_errinfo why = {0};
    uint8_t *at = NULL;
    if (sm_gpu_host_init(&g->host, &g->queue, g->context, CL_MAP_READ, SM_GPU_TURNS * turn_bytes, &why)) {
        sm_log(SM_LOG_DEBUG, "gpu", "no pinned memory", "device=\"%s\" why=\"%s\"", g->dev.info.id, why.text);
        at = g->ordinary = calloc(SM_GPU_TURNS, turn_bytes);
        if (!at) return sm_fail(ei, SM_E_NOMEM, "out of memory for the results of %s", g->dev.info.name);
    } else {
        at = g->host.at;
    }
    for (unsigned i = 0; i < SM_GPU_TURNS; i++, at += turn_bytes) {
        g->turn[i].labels = at;
        g->turn[i].records = (struct sm_romix_hit *)(void *)(at + labels_bytes);
    }
    return SM_OK;
}

static void start_pace(struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c)
{
    for (int i = 0; i < SM_GPU_STAGES; i++)
        g->pace[i] = (struct sm_gpu_pace){
            .steps = FIRST_STEPS < c->scrypt_n ? FIRST_STEPS : c->scrypt_n,
            .steps_max = c->scrypt_n,
            .target_ns = (c->launch_ms ? c->launch_ms : LAUNCH_MS) * SM_NS_PER_MS,
        };
}

static void write_description(struct sm_gpu_labeler *g)
{
    const struct sm_gpu_shape *s = &g->shape;
    (void)snprintf(g->what, sizeof g->what,
                   "kernel=%s gap=%" PRIu32 " wg=%" PRIu32 " layout=%s interleave=%" PRIu32 " unroll=%" PRIu32
                   " parts=%" PRIu32 " width=%" PRIu32,
                   sm_gpu_kernel_name(s->kernel), s->lookup_gap, s->wg_items,
                   s->layout == SM_GPU_LAYOUT_ROWS ? "rows" : "tables", s->interleave, s->unroll, g->buf.parts,
                   g->buf.width);
}

sm_err sm_gpu_labeler_new(const char *device_id, const struct sm_gpu_labeler_cfg *cfg, struct sm_gpu_labeler **out,
                          struct sm_errinfo *ei)
{
    uint32_t width = 0;
    struct sm_gpu_limits limits;
    struct sm_gpu_labeler *g = calloc(1, sizeof *g);
    if (!g) return sm_fail(ei, SM_E_NOMEM, "out of memory opening an OpenCL device");

    g->asked = *cfg;
    sm_err err = sm_gpu_find(device_id, &g->cl, &g->dev, ei);
    if (err) goto out;
    err = sm_gpu_choose_shape(g, cfg, ei);
    if (err) goto out;
    limits = sm_gpu_choose_limits(g, cfg);
    err = sm_gpu_choose_width(g, cfg, &limits, &width, ei);
    if (err) goto out;
    err = open_context(g, ei);
    if (err) goto out;
    err = compile_to_fit(g, cfg, ei);
    if (err) goto out;
    err = sm_gpu_choose_width(g, cfg, &limits, &width, ei); /* the group may have become smaller */
    if (err) goto out;
    err = sm_gpu_buffers_init(&g->buf, &g->queue, g->context, &g->shape, &limits, width, ei);
    if (err) goto out;
    err = set_arguments(g, ei);
    if (err) goto out;
    err = open_turns(g, ei);
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
    if (atomic_load(&g->queue.hangs)) {
        sm_gpu_keep(&g->kept);
        return;
    }
    release_programs(g);
    sm_gpu_buffers_fini(&g->buf);
    if (g->queue.q) sm_gpu_host_fini(&g->host, &g->queue);
    free(g->ordinary);
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

struct sm_gpu_labeler_cfg sm_gpu_labeler_cfg_of(const struct sm_gpu_labeler *g)
{
    struct sm_gpu_labeler_cfg c = g->asked;
    c.kernel = g->shape.kernel;
    c.lookup_gap = g->shape.lookup_gap;
    c.wg_items = g->shape.wg_items;
    c.width = g->buf.width;
    c.interleave = g->shape.interleave;
    c.unroll = g->shape.unroll;
    c.layout = g->shape.layout;
    return c;
}
