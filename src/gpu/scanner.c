#include "gpu/scanner.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/kernel.h"
#include "gpu/program.h"
#include "gpu/scanner_impl.h"

#define LABELS_GPU 524288u /* default: 8 MiB, so that a transfer is long against what its commands cost */
#define LABELS_CPU 16384u  /* default: processors are slow, and nothing is transferred */
#define ANSWER_MS  60000u  /* default: launches take a tenth of a second, their first one a little longer */

/* Entries of the candidates' queue: what is left over, fewer than there are items, and what comes before the next look:
 * two per item of the bitsliced kernel on average, an eighth with tables. */
static uint32_t queue_entries(const struct sm_gpu_scanner_cfg *c)
{
    return c->kind == SM_GPU_SCAN_BITS ? 4 * c->wg_items : 2 * c->wg_items;
}

/* As kernels/device/scan_work.h lays it out. */
static size_t local_bytes(const struct sm_gpu_scanner_cfg *c)
{
    return 4 * ((size_t)256 * c->tables * c->copies + 2 + queue_entries(c));
}

/* ---- making it ---- */

static sm_err make_buffer(struct sm_gpu_scanner *g, cl_mem_flags flags, size_t bytes, cl_mem *out,
                          struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    *out = g->cl->CreateBuffer(g->context, flags, bytes, NULL, &rc);
    return *out && rc == CL_SUCCESS ? SM_OK : sm_cl_fail(ei, rc, "allocating %zu bytes on %s", bytes, g->dev.info.name);
}

static sm_err make_kernel(struct sm_gpu_scanner *g, const char *name, cl_kernel *out, struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    *out = g->cl->CreateKernel(g->program, name, &rc);
    return *out && rc == CL_SUCCESS ? SM_OK : sm_cl_fail(ei, rc, "clCreateKernel %s on %s", name, g->dev.info.name);
}

/* Buffers in the order of the kernel's arguments; at `local` stands its local memory. */
static sm_err set_arguments(struct sm_gpu_scanner *g, cl_kernel kernel, const cl_mem *args, cl_uint n, cl_uint local,
                            struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    for (cl_uint i = 0; i < n && rc == CL_SUCCESS; i++)
        rc = i == local ? g->cl->SetKernelArg(kernel, i, local_bytes(&g->cfg), NULL)
                        : g->cl->SetKernelArg(kernel, i, sizeof args[i], &args[i]);
    return rc == CL_SUCCESS ? SM_OK : sm_cl_fail(ei, rc, "clSetKernelArg on %s", g->dev.info.name);
}

static sm_err make_slice(struct sm_gpu_scanner *g, struct sm_gpu_scan_lane *l, struct sm_errinfo *ei)
{
    const size_t step = (size_t)SM_GPU_SLICE * g->cfg.wg_items, padded = (g->cfg.labels_max + step - 1) / step * step;
    sm_err err = make_kernel(g, "scan_slice", &l->slice, ei);
    if (!err) err = make_buffer(g, CL_MEM_READ_WRITE, 16 * padded, &l->bits, ei);
    if (err) return err;
    const cl_mem args[] = {l->job, l->labels, l->bits};
    return set_arguments(g, l->slice, args, 3, UINT32_MAX, ei);
}

static sm_err make_lane(struct sm_gpu_scanner *g, struct sm_gpu_scan_lane *l, struct sm_errinfo *ei)
{
    const bool bits = g->cfg.kind == SM_GPU_SCAN_BITS;
    l->dice = UINT64_C(88172645463325252) + (uint64_t)(l - g->lane);
    l->hits.found = calloc(SM_GPU_SCAN_HITS_MAX, sizeof *l->hits.found);
    l->hits.keys = calloc(SM_GPU_SCAN_HITS_MAX, sizeof *l->hits.keys);
    if (!l->hits.found || !l->hits.keys) return sm_fail(ei, SM_E_NOMEM, "out of memory for the hits of a device");
    sm_err err = sm_gpu_queue_init(&l->queue, g->cl, g->context, g->dev.handle, g->dev.info.name, g->cfg.answer_ms, ei);
    if (!err) err = make_kernel(g, "scan_labels", &l->kernel, ei);
    if (!err) err = make_buffer(g, CL_MEM_READ_ONLY, sizeof(struct sm_scan_launch), &l->job, ei);
    if (!err) err = make_buffer(g, CL_MEM_READ_ONLY, (size_t)16 * g->cfg.labels_max, &l->labels, ei);
    if (!err) err = make_buffer(g, CL_MEM_READ_WRITE, sizeof(struct sm_scan_counts), &l->counts, ei);
    if (!err)
        err = make_buffer(g, CL_MEM_WRITE_ONLY, SM_GPU_SCAN_HITS_MAX * sizeof(struct sm_scan_found), &l->found, ei);
    if (!err && bits) err = make_slice(g, l, ei);
    if (err) return err;
    const cl_mem args[] = {l->job, g->keys, g->lazy, l->labels, l->counts, l->found, NULL, l->bits};
    return set_arguments(g, l->kernel, args, bits ? 8 : 7, 6, ei);
}

static void release(const struct sm_cl *cl, cl_mem m)
{
    if (m) (void)cl->ReleaseMemObject(m);
}

static void free_lane(struct sm_gpu_scanner *g, struct sm_gpu_scan_lane *l)
{
    sm_gpu_queue_fini(&l->queue);
    if (l->kernel) (void)g->cl->ReleaseKernel(l->kernel);
    if (l->slice) (void)g->cl->ReleaseKernel(l->slice);
    release(g->cl, l->job);
    release(g->cl, l->labels);
    release(g->cl, l->bits);
    release(g->cl, l->counts);
    release(g->cl, l->found);
    free(l->hits.found);
    free(l->hits.keys);
}

static sm_err compile(struct sm_gpu_scanner *g, struct sm_errinfo *ei)
{
    char options[160];
    const struct sm_gpu_scanner_cfg *c = &g->cfg;
    (void)snprintf(options, sizeof options,
                   "-cl-std=CL1.2 -DWG_ITEMS=%" PRIu32 "u -DAES_TABLES=%" PRIu32 " -DAES_COPIES=%" PRIu32
                   "u -DSCAN_QUEUE=%" PRIu32 "u%s",
                   c->wg_items, c->tables, c->copies, queue_entries(c),
                   g->dev.info.type == SM_GPU_TYPE_CPU ? " -DKERNEL_ROLLED" : "");
    return sm_gpu_program_build(g->cl, g->context, &g->dev,
                                c->kind == SM_GPU_SCAN_BITS ? sm_kernel_scan_bits_source : sm_kernel_scan_source,
                                options, &g->program, ei);
}

static sm_err check_cfg(const struct sm_gpu_scanner_cfg *c, struct sm_errinfo *ei)
{
    if (c->tables != 0 && c->tables != 1 && c->tables != 4)
        return sm_fail(ei, SM_E_ARG, "%" PRIu32 " AES tables: must be 1 or 4", c->tables);
    if (c->copies > 32 || (c->copies & (c->copies - 1)))
        return sm_fail(ei, SM_E_ARG, "%" PRIu32 " copies of the AES tables: must be 1, 2, 4, 8, 16 or 32", c->copies);
    if (c->labels_max > SM_SCAN_COUNT_MAX)
        return sm_fail(ei, SM_E_ARG, "%" PRIu32 " labels per scan: at most %u", c->labels_max, SM_SCAN_COUNT_MAX);
    return SM_OK;
}

/* What nobody set: on GPUs the kernel without waits for local memory, as far as that reaches; on processors, which run
 * the items of a group one after the other and have caches, the plain one. */
static void fill_in(struct sm_gpu_scanner_cfg *c, bool cpu, size_t wg_max, size_t local_max)
{
    if (c->kind == SM_GPU_SCAN_DEFAULT) c->kind = SM_GPU_SCAN_TABLES;
    const bool bits = c->kind == SM_GPU_SCAN_BITS;
    if (c->tables == 0) c->tables = cpu ? 4 : 1;
    if (c->wg_items == 0) {
        c->wg_items = cpu || bits ? 64 : 256;
        if (wg_max && c->wg_items > wg_max) c->wg_items = (uint32_t)wg_max;
    }
    if (c->copies == 0) {
        c->copies = cpu || c->tables == 4 ? 1 : bits ? 8 : 32;
        while (c->copies > 1 && local_bytes(c) > local_max) c->copies /= 2;
    }
    if (c->answer_ms == 0) c->answer_ms = ANSWER_MS;
    if (c->labels_max == 0) c->labels_max = cpu ? LABELS_CPU : LABELS_GPU;
}

static sm_err choose(struct sm_gpu_scanner *g, const struct sm_gpu_scanner_cfg *cfg, struct sm_errinfo *ei)
{
    sm_err err = check_cfg(cfg, ei);
    if (err) return err;
    size_t wg_max = 0;
    cl_ulong local_max = 32768; /* the least that OpenCL allows */
    if (g->cl->GetDeviceInfo(g->dev.handle, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof wg_max, &wg_max, NULL) != CL_SUCCESS)
        wg_max = 0;
    (void)g->cl->GetDeviceInfo(g->dev.handle, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local_max, &local_max, NULL);
    struct sm_gpu_scanner_cfg *c = &g->cfg;
    *c = *cfg;
    fill_in(c, g->dev.info.type == SM_GPU_TYPE_CPU, wg_max, (size_t)local_max);
    g->compute_units = g->dev.info.compute_units ? g->dev.info.compute_units : 1;
    if (wg_max && c->wg_items > wg_max)
        return sm_fail(ei, SM_E_ARG, "%s allows groups of at most %zu work items, %" PRIu32 " were asked for",
                       g->dev.info.name, wg_max, c->wg_items);
    if (local_bytes(c) > local_max)
        return sm_fail(ei, SM_E_ARG, "%s has %zu bytes of local memory, this scan needs %zu", g->dev.info.name,
                       (size_t)local_max, local_bytes(c));
    (void)snprintf(g->what, sizeof g->what, "kernel=%s tables=%" PRIu32 " copies=%" PRIu32 " wg=%" PRIu32,
                   c->kind == SM_GPU_SCAN_BITS ? "scan_bits" : "scan", c->tables, c->copies, c->wg_items);
    return SM_OK;
}

static sm_err open_all(struct sm_gpu_scanner *g, struct sm_errinfo *ei)
{
    cl_int rc = CL_SUCCESS;
    g->context = g->cl->CreateContext(NULL, 1, &g->dev.handle, NULL, NULL, &rc);
    if (!g->context || rc != CL_SUCCESS) return sm_cl_fail(ei, rc, "clCreateContext on %s", g->dev.info.name);
    sm_err err = compile(g, ei);
    if (!err)
        err =
            make_buffer(g, CL_MEM_READ_ONLY, SM_GPU_SCAN_GROUPS_MAX * sm_gpu_scan_key_bytes(g->cfg.kind), &g->keys, ei);
    if (!err)
        err = make_buffer(g, CL_MEM_READ_ONLY, (size_t)SM_GPU_SCAN_GROUPS_MAX * 16 * SM_SCAN_LAZY_ROWS * 16, &g->lazy,
                          ei);
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

bool sm_gpu_scanner_hangs(const struct sm_gpu_scanner *g)
{
    bool hangs = false;
    for (unsigned i = 0; i < SM_GPU_SCAN_LANES; i++) hangs |= atomic_load(&g->lane[i].queue.hangs);
    return hangs;
}

void sm_gpu_scanner_free(struct sm_gpu_scanner *g)
{
    if (!g) return;
    if (sm_gpu_scanner_hangs(g)) {
        sm_gpu_keep(&g->kept);
        return;
    }
    if (g->pinned.mem) sm_gpu_host_fini(&g->pinned, &g->lane[0].queue);
    for (unsigned i = 0; i < SM_GPU_SCAN_LANES; i++) free_lane(g, &g->lane[i]);
    release(g->cl, g->keys);
    release(g->cl, g->lazy);
    if (g->program) (void)g->cl->ReleaseProgram(g->program);
    if (g->context) (void)g->cl->ReleaseContext(g->context);
    free(g);
}

sm_err sm_gpu_scanner_pin(struct sm_gpu_scanner *g, size_t bytes, uint8_t **out, struct sm_errinfo *ei)
{
    if (g->pinned.mem) return sm_fail(ei, SM_E_STATE, "%s has given memory already", g->dev.info.id);
    const sm_err err = sm_gpu_host_init(&g->pinned, &g->lane[0].queue, g->context, CL_MAP_WRITE, bytes, ei);
    if (!err) *out = g->pinned.at;
    return err;
}

size_t sm_gpu_scanner_labels_max(const struct sm_gpu_scanner *g)
{
    return g->cfg.labels_max;
}

const char *sm_gpu_scanner_describe(const struct sm_gpu_scanner *g)
{
    return g->what;
}

/* ---- its job ---- */

sm_err sm_gpu_scanner_set_job(struct sm_gpu_scanner *g, const struct sm_scan_job *job, struct sm_errinfo *ei)
{
    if (job->groups_n == 0 || job->groups_n > SM_GPU_SCAN_GROUPS_MAX)
        return sm_fail(ei, SM_E_ARG, "%" PRIu32 " nonce groups: must be 1 to %u", job->groups_n,
                       SM_GPU_SCAN_GROUPS_MAX);
    const size_t keys_bytes = job->groups_n * sm_gpu_scan_key_bytes(g->cfg.kind);
    const size_t lazy_bytes = (size_t)job->groups_n * 16 * SM_SCAN_LAZY_ROWS * 16;
    struct sm_gpu_scan_lane *l = &g->lane[0];
    uint8_t *keys = malloc(keys_bytes + lazy_bytes);
    if (!keys) return sm_fail(ei, SM_E_NOMEM, "out of memory for the keys of %" PRIu32 " nonce groups", job->groups_n);
    sm_gpu_scan_keys(g->cfg.kind, job, keys);
    sm_gpu_scan_lazy_keys(job, keys + keys_bytes);
    sm_err err = sm_gpu_scan_put(g, l, g->keys, keys, keys_bytes, ei);
    if (!err) err = sm_gpu_scan_put(g, l, g->lazy, keys + keys_bytes, lazy_bytes, ei);
    if (!err) err = sm_gpu_queue_drain(&l->queue, ei);
    if (err) sm_gpu_queue_abandon(&l->queue); /* nothing may read the keys after the return */
    if (sm_gpu_scanner_hangs(g))
        g->kept_keys = keys;
    else
        free(keys);
    g->job = job;
    for (unsigned i = 0; i < SM_GPU_SCAN_LANES; i++) g->lane[i].range = sm_gpu_scan_first_range(g);
    if (err) atomic_store(&g->lost, true);
    return err;
}
