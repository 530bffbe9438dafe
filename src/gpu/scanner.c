#include "gpu/scanner.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/device.h"
#include "gpu/kernel.h"
#include "gpu/program.h"
#include "gpu/queue.h"
#include "gpu/scanner_impl.h"
#include "kernels/shared/scan_job.h"

#define LABELS_MAX 131072u /* default */
#define HITS_MAX   65536u  /* of a launch; at least 8 labels * SM_NONCES_MAX, so that the shortest always fits */
#define KEY_BYTES  ((size_t)4 * SM_SCAN_KEY_WORDS)
#define WITNESS    512u /* encrypted blocks per launch that the processor repeats: 32 marked bytes when msb is 0 */

struct lane {
    struct sm_gpu_queue queue;
    cl_kernel kernel;
    cl_mem job, labels, found_n, found;
    struct sm_gpu_scan_hits hits; /* of a launch, as the device gave them, then sorted */
    struct sm_scan_launch launch; /* here, not on a stack: commands in flight read and write them until abandoned */
    cl_uint zero, counted;
    uint32_t range; /* labels to try next: shrinks while hits overflow */
    uint64_t dice;  /* where the next witnesses are */
};

struct sm_gpu_scanner {
    const struct sm_cl *cl;
    struct sm_gpu_found dev;
    cl_context context;
    cl_program program;
    cl_mem keys, lazy;
    struct lane lane[SM_GPU_SCAN_LANES];
    const struct sm_scan_job *job;
    uint32_t tables, wg_items, labels_max;
    atomic_bool lost; /* it failed or lied: nothing more is asked of it */
    char what[96];
};

/* ---- making it ---- */

static sm_err make_buffer(struct sm_gpu_scanner *g, cl_mem_flags flags, size_t bytes, cl_mem *out,
                          struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    *out = g->cl->CreateBuffer(g->context, flags, bytes, NULL, &rc);
    return *out && rc == CL_SUCCESS ? SM_OK : sm_cl_fail(ei, rc, "allocating %zu bytes on %s", bytes, g->dev.info.name);
}

static sm_err set_arguments(struct sm_gpu_scanner *g, struct lane *l, struct sm_errinfo *ei)
{
    const cl_mem args[] = {l->job, g->keys, g->lazy, l->labels, l->found_n, l->found};
    cl_int rc = CL_SUCCESS;
    for (cl_uint i = 0; i < sizeof args / sizeof args[0] && rc == CL_SUCCESS; i++)
        rc = g->cl->SetKernelArg(l->kernel, i, sizeof args[i], &args[i]);
    if (rc == CL_SUCCESS)
        rc = g->cl->SetKernelArg(l->kernel, sizeof args / sizeof args[0], (size_t)1024 * g->tables, NULL);
    return rc == CL_SUCCESS ? SM_OK : sm_cl_fail(ei, rc, "clSetKernelArg on %s", g->dev.info.name);
}

static sm_err make_lane(struct sm_gpu_scanner *g, struct lane *l, struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    l->range = g->labels_max;
    l->dice = UINT64_C(88172645463325252) + (uint64_t)(l - g->lane);
    l->hits.found = calloc(HITS_MAX, sizeof *l->hits.found);
    l->hits.keys = calloc(HITS_MAX, sizeof *l->hits.keys);
    if (!l->hits.found || !l->hits.keys) return sm_fail(ei, SM_E_NOMEM, "out of memory for the hits of a device");
    sm_err err = sm_gpu_queue_init(&l->queue, g->cl, g->context, g->dev.handle, g->dev.info.name, ei);
    if (err) return err;
    l->kernel = g->cl->CreateKernel(g->program, "scan_labels", &rc);
    if (!l->kernel || rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "clCreateKernel scan_labels on %s", g->dev.info.name);
    err = make_buffer(g, CL_MEM_READ_ONLY, sizeof(struct sm_scan_launch), &l->job, ei);
    if (!err) err = make_buffer(g, CL_MEM_READ_ONLY, (size_t)16 * g->labels_max, &l->labels, ei);
    if (!err) err = make_buffer(g, CL_MEM_READ_WRITE, sizeof(cl_uint), &l->found_n, ei);
    if (!err) err = make_buffer(g, CL_MEM_WRITE_ONLY, HITS_MAX * sizeof(struct sm_scan_found), &l->found, ei);
    return err ? err : set_arguments(g, l, ei);
}

static void release(const struct sm_cl *cl, cl_mem m)
{
    if (m) (void)cl->ReleaseMemObject(m);
}

static void free_lane(struct sm_gpu_scanner *g, struct lane *l)
{
    sm_gpu_queue_fini(&l->queue);
    if (l->kernel) (void)g->cl->ReleaseKernel(l->kernel);
    release(g->cl, l->job);
    release(g->cl, l->labels);
    release(g->cl, l->found_n);
    release(g->cl, l->found);
    free(l->hits.found);
    free(l->hits.keys);
}

static sm_err compile(struct sm_gpu_scanner *g, struct sm_errinfo *ei)
{
    char options[128];
    (void)snprintf(options, sizeof options, "-cl-std=CL1.2 -DWG_ITEMS=%" PRIu32 " -DAES_TABLES=%" PRIu32, g->wg_items,
                   g->tables);
    return sm_gpu_program_build(g->cl, g->context, &g->dev, sm_kernel_scan_source, options, &g->program, ei);
}

static sm_err choose(struct sm_gpu_scanner *g, const struct sm_gpu_scanner_cfg *c, struct sm_errinfo *ei)
{
    size_t wg_max = 0;
    if (g->cl->GetDeviceInfo(g->dev.handle, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof wg_max, &wg_max, NULL) != CL_SUCCESS)
        wg_max = 0;
    if (wg_max && c->wg_items > wg_max)
        return sm_fail(ei, SM_E_ARG, "%s allows groups of at most %zu work items, %" PRIu32 " were asked for",
                       g->dev.info.name, wg_max, c->wg_items);
    g->wg_items = c->wg_items ? c->wg_items : 64;
    if (wg_max && g->wg_items > wg_max) g->wg_items = (uint32_t)wg_max;
    g->tables = c->kind == SM_GPU_SCAN_ROTATE ? 1 : 4;
    g->labels_max = c->labels_max ? c->labels_max : LABELS_MAX;
    (void)snprintf(g->what, sizeof g->what, "kernel=scan tables=%" PRIu32 " wg=%" PRIu32 " labels=%" PRIu32, g->tables,
                   g->wg_items, g->labels_max);
    return SM_OK;
}

static sm_err open_all(struct sm_gpu_scanner *g, struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    g->context = g->cl->CreateContext(NULL, 1, &g->dev.handle, NULL, NULL, &rc);
    if (!g->context || rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "clCreateContext on %s", g->dev.info.name);
    sm_err err = compile(g, ei);
    if (!err) err = make_buffer(g, CL_MEM_READ_ONLY, SM_GPU_SCAN_GROUPS_MAX * KEY_BYTES, &g->keys, ei);
    if (!err) err = make_buffer(g, CL_MEM_READ_ONLY, 16 * SM_GPU_SCAN_GROUPS_MAX * KEY_BYTES, &g->lazy, ei);
    for (unsigned i = 0; i < SM_GPU_SCAN_LANES && !err; i++) err = make_lane(g, &g->lane[i], ei);
    return err ? err : sm_gpu_scan_selftest(g, ei);
}

sm_err sm_gpu_scanner_new(const char *device_id, const struct sm_gpu_scanner_cfg *cfg, struct sm_gpu_scanner **out,
                          struct sm_errinfo *ei)
{
    struct sm_gpu_scanner *g = calloc(1, sizeof *g);
    if (!g) return sm_fail(ei, SM_E_NOMEM, "out of memory opening an OpenCL device");
    sm_err err = sm_gpu_find(device_id, &g->cl, &g->dev, ei);
    if (!err) err = choose(g, cfg, ei);
    if (!err) err = open_all(g, ei);
    if (err) {
        sm_gpu_scanner_free(g);
        return err;
    }
    g->job = NULL;
    *out = g;
    return SM_OK;
}

void sm_gpu_scanner_free(struct sm_gpu_scanner *g)
{
    if (!g) return;
    for (unsigned i = 0; i < SM_GPU_SCAN_LANES; i++) free_lane(g, &g->lane[i]);
    if (g->keys) release(g->cl, g->keys);
    if (g->lazy) release(g->cl, g->lazy);
    if (g->program) (void)g->cl->ReleaseProgram(g->program);
    if (g->context) (void)g->cl->ReleaseContext(g->context);
    free(g);
}

size_t sm_gpu_scanner_labels_max(const struct sm_gpu_scanner *g)
{
    return g->labels_max;
}

const char *sm_gpu_scanner_describe(const struct sm_gpu_scanner *g)
{
    return g->what;
}

/* ---- running it ---- */

/* `p` is read until the queue has drained. */
static sm_err put(struct sm_gpu_scanner *g, struct lane *l, cl_mem to, const void *p, size_t n, struct sm_errinfo *ei)
{
    cl_event ev = NULL;
    const cl_int rc = g->cl->EnqueueWriteBuffer(l->queue.q, to, CL_FALSE, 0, n, p, 0, NULL, &ev);
    return sm_gpu_queue_push(&l->queue, rc, ev, NULL, 0, "clEnqueueWriteBuffer", ei);
}

static sm_err get(struct sm_gpu_scanner *g, struct lane *l, cl_mem from, void *p, size_t n, struct sm_errinfo *ei)
{
    cl_event ev = NULL;
    const cl_int rc = g->cl->EnqueueReadBuffer(l->queue.q, from, CL_FALSE, 0, n, p, 0, NULL, &ev);
    sm_err err = sm_gpu_queue_push(&l->queue, rc, ev, NULL, 0, "clEnqueueReadBuffer", ei);
    return err ? err : sm_gpu_queue_drain(&l->queue, ei);
}

sm_err sm_gpu_scanner_set_job(struct sm_gpu_scanner *g, const struct sm_scan_job *job, struct sm_errinfo *ei)
{
    if (job->groups_n == 0 || job->groups_n > SM_GPU_SCAN_GROUPS_MAX)
        return sm_fail(ei, SM_E_ARG, "%" PRIu32 " nonce groups: must be 1 to %u", job->groups_n,
                       SM_GPU_SCAN_GROUPS_MAX);
    const uint32_t n = job->groups_n;
    struct lane *l = &g->lane[0];
    uint8_t *keys = malloc(17 * n * KEY_BYTES);
    if (!keys) return sm_fail(ei, SM_E_NOMEM, "out of memory for the keys of %" PRIu32 " nonce groups", n);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(keys + i * KEY_BYTES, job->groups[i].key.rk, KEY_BYTES);
        for (uint32_t o = 0; o < 16; o++)
            memcpy(keys + (n + 16 * (size_t)i + o) * KEY_BYTES, job->groups[i].lazy[o].rk, KEY_BYTES);
    }
    sm_err err = put(g, l, g->keys, keys, n * KEY_BYTES, ei);
    if (!err) err = put(g, l, g->lazy, keys + n * KEY_BYTES, 16 * n * KEY_BYTES, ei);
    if (!err) err = sm_gpu_queue_drain(&l->queue, ei);
    if (err) sm_gpu_queue_abandon(&l->queue); /* nothing may read the keys after the return */
    free(keys);
    g->job = job;
    if (err) atomic_store(&g->lost, true);
    return err;
}

/* Witnesses of a launch: somewhere in it, never more than it has. */
static void place_witnesses(struct lane *l, struct sm_scan_launch *launch, const struct sm_scan_job *job)
{
    uint64_t *x = &l->dice;
    *x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
    uint32_t n = WITNESS / job->groups_n;
    if (n < 4) n = 4;
    if (n > launch->count) n = launch->count;
    launch->witness_n = n;
    launch->witness_first = launch->first + (uint32_t)(*x % (launch->count - n + 1));
    /* Half of the marked bytes, or more where the difficulty is easier already. */
    const uint64_t half = UINT64_C(1) << 55;
    launch->witness_lsb = job->difficulty_lsb > half ? job->difficulty_lsb : half;
}

/* One launch over [first, first + n) of the labels on the device. *fits false: too many hits, nothing is known. */
static sm_err scan_range(struct sm_gpu_scanner *g, struct lane *l, uint32_t first, uint32_t n, bool *fits,
                         struct sm_errinfo *ei)
{
    struct sm_scan_launch *launch = &l->launch;
    l->counted = 0;
    *launch = (struct sm_scan_launch){.lsb = g->job->difficulty_lsb,
                                      .first = first,
                                      .count = n,
                                      .groups_n = g->job->groups_n,
                                      .msb = g->job->difficulty_msb,
                                      .hits_max = HITS_MAX};
    place_witnesses(l, launch, g->job);
    sm_err err = put(g, l, l->job, launch, sizeof *launch, ei);
    if (!err) err = put(g, l, l->found_n, &l->zero, sizeof l->zero, ei);
    if (err) return err;
    const size_t local = g->wg_items, global = (n + local - 1) / local * local;
    cl_event ev = NULL;
    const cl_int rc = g->cl->EnqueueNDRangeKernel(l->queue.q, l->kernel, 1, NULL, &global, &local, 0, NULL, &ev);
    err = sm_gpu_queue_push(&l->queue, rc, ev, NULL, 0, "scan_labels", ei);
    if (!err) err = get(g, l, l->found_n, &l->counted, sizeof l->counted, ei);
    *fits = l->counted <= HITS_MAX;
    l->hits.n = *fits ? l->counted : 0;
    if (!err && l->hits.n) err = get(g, l, l->found, l->hits.found, l->hits.n * sizeof *l->hits.found, ei);
    return err;
}

static uint32_t smaller_range(uint32_t n)
{
    return n / 2 < 8 ? 8 : n / 2 & ~UINT32_C(7);
}

static sm_err scan_all(struct sm_gpu_scanner *g, struct lane *l, const uint8_t *labels, uint32_t labels_n,
                       sm_scan_emit emit, void *ctx, size_t *out_done, struct sm_errinfo *ei)
{
    sm_err err = put(g, l, l->labels, labels, (size_t)16 * labels_n, ei);
    uint32_t first = 0;
    while (!err && first < labels_n) {
        bool fits = false;
        const uint32_t left = labels_n - first, n = left < l->range ? left : l->range;
        err = scan_range(g, l, first, n, &fits, ei);
        if (!err && !fits && n <= 8)
            err = sm_fail(ei, SM_E_DEVICE, "%s reports more hits than there are", g->dev.info.id);
        if (!err && !fits) {
            l->range = smaller_range(n);
            continue;
        }
        if (!err) err = sm_gpu_scan_confirm(g->job, labels, &l->launch, &l->hits, g->dev.info.id, ei);
        if (err) break;
        if (!sm_gpu_scan_emit(g->job, labels, &l->launch, &l->hits, emit, ctx)) break;
        if (l->hits.n < HITS_MAX / 4 && l->range < g->labels_max) l->range *= 2;
        first += n;
    }
    *out_done = first;
    return err;
}

sm_err sm_gpu_scanner_run(struct sm_gpu_scanner *g, unsigned lane, const uint8_t *labels, size_t labels_n,
                          sm_scan_emit emit, void *ctx, size_t *out_done, struct sm_errinfo *ei)
{
    struct lane *l = &g->lane[lane];
    *out_done = 0;
    if (lane >= SM_GPU_SCAN_LANES || labels_n > g->labels_max || !g->job)
        return sm_fail(ei, SM_E_ARG, "scan of %zu labels in lane %u: at most %" PRIu32 ", after a job was set",
                       labels_n, lane, g->labels_max);
    if (atomic_load(&g->lost))
        return sm_fail(ei, SM_E_DEVICE, "%s (%s) failed earlier and is no longer used", g->dev.info.id,
                       g->dev.info.name);
    if (labels_n == 0) return SM_OK;
    sm_err err = scan_all(g, l, labels, (uint32_t)labels_n, emit, ctx, out_done, ei);
    if (!err) err = sm_gpu_queue_drain(&l->queue, ei);
    if (err) sm_gpu_queue_abandon(&l->queue); /* nothing may read the labels after the return */
    if (err) atomic_store(&g->lost, true);
    return err;
}
