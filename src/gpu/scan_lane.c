#include <inttypes.h>

#include "gpu/scanner_impl.h"
#include "util/clock.h"

#define WITNESS 512u /* encrypted blocks per launch that the processor repeats: 32 marked bytes when msb is 0 */
#define FIRST_BLOCKS \
    (4u << 20) /* encrypted blocks of a job's first launch: tens of milliseconds on the slowest devices */
#define LAUNCH_NS    (100 * SM_NS_PER_MS) /* longest launch to aim for: display watchdogs, and the end of a pass */
#define UNITS_PER_CU 64u   /* units of work per compute unit at least: the last ones to finish are then a small part */
#define ITEMS_BITS   512u  /* of these a compute unit has room for so many: registers */
#define ITEMS_PER_CU 2048u /* no device has more in flight */

sm_err sm_gpu_scan_put(struct sm_gpu_scanner *g, struct sm_gpu_scan_lane *l, cl_mem to, const void *p, size_t n,
                       struct sm_errinfo *ei)
{
    cl_event ev = NULL;
    const cl_int rc = g->cl->EnqueueWriteBuffer(l->queue.q, to, CL_FALSE, 0, n, p, 0, NULL, &ev);
    return sm_gpu_queue_push(&l->queue, rc, ev, NULL, 0, "clEnqueueWriteBuffer", ei);
}

static sm_err get(struct sm_gpu_scanner *g, struct sm_gpu_scan_lane *l, cl_mem from, void *p, size_t n,
                  struct sm_errinfo *ei)
{
    cl_event ev = NULL;
    const cl_int rc = g->cl->EnqueueReadBuffer(l->queue.q, from, CL_FALSE, 0, n, p, 0, NULL, &ev);
    sm_err err = sm_gpu_queue_push(&l->queue, rc, ev, NULL, 0, "clEnqueueReadBuffer", ei);
    return err ? err : sm_gpu_queue_drain(&l->queue, ei);
}

static sm_err launch_kernel(struct sm_gpu_scanner *g, struct sm_gpu_scan_lane *l, cl_kernel kernel, size_t groups,
                            const char *what, struct sm_errinfo *ei)
{
    const size_t local = g->cfg.wg_items, global = groups * local;
    cl_event ev = NULL;
    const cl_int rc = g->cl->EnqueueNDRangeKernel(l->queue.q, kernel, 1, NULL, &global, &local, 0, NULL, &ev);
    return sm_gpu_queue_push(&l->queue, rc, ev, NULL, 0, what, ei);
}

/* Witnesses of a launch: somewhere in it, never more than it has. */
static void place_witnesses(struct sm_gpu_scan_lane *l, struct sm_scan_launch *launch, const struct sm_scan_job *job)
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

static uint32_t divide_up(uint32_t n, uint32_t by)
{
    return (n + by - 1) / by;
}

/* Work groups to launch: as many as can be in flight, at most one per unit. */
static uint32_t share_out(const struct sm_gpu_scanner *g, struct sm_scan_launch *launch)
{
    const bool bits = g->cfg.kind == SM_GPU_SCAN_BITS;
    const uint32_t blocks = divide_up(launch->count, g->cfg.wg_items * (bits ? SM_GPU_SLICE : 1));
    uint32_t parts = divide_up(UNITS_PER_CU * g->compute_units, blocks);
    if (parts > launch->groups_n || bits) parts = launch->groups_n; /* sliced labels cost nothing to load again */
    launch->unit_groups = divide_up(launch->groups_n, parts);
    const uint32_t units = blocks * divide_up(launch->groups_n, launch->unit_groups);
    const uint32_t most = g->compute_units * divide_up(bits ? ITEMS_BITS : ITEMS_PER_CU, g->cfg.wg_items);
    return units < most ? units : most;
}

/* One launch over [first, first + n) of the labels on the device. *fits false: too many hits, nothing is known. */
static sm_err scan_range(struct sm_gpu_scanner *g, struct sm_gpu_scan_lane *l, uint32_t first, uint32_t n, bool *fits,
                         struct sm_errinfo *ei)
{
    struct sm_scan_launch *launch = &l->launch;
    l->counted = (struct sm_scan_counts){0};
    *launch = (struct sm_scan_launch){.lsb = g->job->difficulty_lsb,
                                      .first = first,
                                      .count = n,
                                      .groups_n = g->job->groups_n,
                                      .msb = g->job->difficulty_msb,
                                      .hits_max = SM_GPU_SCAN_HITS_MAX};
    place_witnesses(l, launch, g->job);
    const uint32_t groups = share_out(g, launch);
    sm_err err = sm_gpu_scan_put(g, l, l->job, launch, sizeof *launch, ei);
    if (!err) err = sm_gpu_scan_put(g, l, l->counts, &l->zero, sizeof l->zero, ei);
    if (!err && l->slice)
        err = launch_kernel(g, l, l->slice, divide_up(n, SM_GPU_SLICE * g->cfg.wg_items), "scan_slice", ei);
    if (!err) err = launch_kernel(g, l, l->kernel, groups, "scan_labels", ei);
    if (!err) err = get(g, l, l->counts, &l->counted, sizeof l->counted, ei);
    if (err) return err; /* the device may still be writing */
    *fits = l->counted.found <= SM_GPU_SCAN_HITS_MAX;
    l->hits.n = *fits ? l->counted.found : 0;
    if (l->hits.n) err = get(g, l, l->found, l->hits.found, l->hits.n * sizeof *l->hits.found, ei);
    return err;
}

uint32_t sm_gpu_scan_first_range(const struct sm_gpu_scanner *g)
{
    const uint32_t n = FIRST_BLOCKS / (g->job ? g->job->groups_n : SM_GPU_SCAN_GROUPS_MAX);
    return n < g->cfg.labels_max ? n : g->cfg.labels_max;
}

static uint32_t smaller_range(uint32_t n)
{
    return n / 2 < 8 ? 8 : n / 2 & ~UINT32_C(7);
}

/* After a launch over n labels that took so long. */
static void adapt_range(const struct sm_gpu_scanner *g, struct sm_gpu_scan_lane *l, uint32_t n, uint64_t took_ns)
{
    if (took_ns > LAUNCH_NS)
        l->range = smaller_range(n);
    else if (n == l->range && took_ns < LAUNCH_NS / 3 && l->hits.n < SM_GPU_SCAN_HITS_MAX / 4)
        l->range = l->range > g->cfg.labels_max / 2 ? g->cfg.labels_max : 2 * l->range;
}

static sm_err scan_all(struct sm_gpu_scanner *g, struct sm_gpu_scan_lane *l, const uint8_t *labels, uint32_t labels_n,
                       sm_scan_emit emit, void *ctx, size_t *out_done, struct sm_errinfo *ei)
{
    sm_err err = sm_gpu_scan_put(g, l, l->labels, labels, (size_t)16 * labels_n, ei);
    uint32_t first = 0;
    while (!err && first < labels_n) {
        bool fits = false;
        const uint32_t left = labels_n - first, n = left < l->range ? left : l->range;
        const uint64_t start = sm_clock_ns();
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
        adapt_range(g, l, n, sm_clock_ns() - start);
        first += n;
    }
    *out_done = first;
    return err;
}

/* The lane for a call, or why there is none. */
static sm_err take_lane(struct sm_gpu_scanner *g, unsigned lane, size_t labels_n, struct sm_gpu_scan_lane **out,
                        struct sm_errinfo *ei)
{
    if (lane >= SM_GPU_SCAN_LANES || labels_n > g->cfg.labels_max)
        return sm_fail(ei, SM_E_ARG, "scan of %zu labels in lane %u: at most %" PRIu32, labels_n, lane,
                       g->cfg.labels_max);
    if (atomic_load(&g->lost))
        return sm_fail(ei, SM_E_DEVICE, "%s (%s) failed earlier and is no longer used", g->dev.info.id,
                       g->dev.info.name);
    *out = &g->lane[lane];
    return SM_OK;
}

/* After the last command of a call. */
static sm_err end_call(struct sm_gpu_scanner *g, struct sm_gpu_scan_lane *l, sm_err err, struct sm_errinfo *ei)
{
    if (!err) err = sm_gpu_queue_drain(&l->queue, ei);
    if (err) sm_gpu_queue_abandon(&l->queue); /* nothing may read the labels after the return */
    if (err) atomic_store(&g->lost, true);
    return err;
}

sm_err sm_gpu_scanner_run(struct sm_gpu_scanner *g, unsigned lane, const uint8_t *labels, size_t labels_n,
                          sm_scan_emit emit, void *ctx, size_t *out_done, struct sm_errinfo *ei)
{
    struct sm_gpu_scan_lane *l = NULL;
    *out_done = 0;
    if (!g->job) return sm_fail(ei, SM_E_ARG, "%s was given no job", g->dev.info.id);
    sm_err err = take_lane(g, lane, labels_n, &l, ei);
    if (err || labels_n == 0) return err;
    return end_call(g, l, scan_all(g, l, labels, (uint32_t)labels_n, emit, ctx, out_done, ei), ei);
}

sm_err sm_gpu_scanner_upload(struct sm_gpu_scanner *g, unsigned lane, const uint8_t *labels, size_t labels_n,
                             struct sm_errinfo *ei)
{
    struct sm_gpu_scan_lane *l = NULL;
    sm_err err = take_lane(g, lane, labels_n, &l, ei);
    if (err || labels_n == 0) return err;
    return end_call(g, l, sm_gpu_scan_put(g, l, l->labels, labels, 16 * labels_n, ei), ei);
}
