#include <inttypes.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "gpu/labeler_impl.h"
#include "util/bytes.h"

/* Ours. GPUs: enough labels to fill every compute unit of today's cards: 768 items with 80 registers each are resident on
 * an NVIDIA multiprocessor, and more only begin when those end. CPUs: one label per group keeps the ChaCha rows in vector
 * registers (PoCL: 1.8 ms per label, 2.6 with eight); a few groups per core even out the load, more would only take
 * memory. */
#define GPU_LABELS_PER_UNIT 768u
#define CPU_LABELS_PER_UNIT 16u
#define GPU_WG_ITEMS        64u
#define LOOKUP_GAP          2u /* half the memory for a quarter more work, as the reference */
#define WARP                32u

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

static sm_err check(const struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c, size_t wg_max,
                    struct sm_errinfo *ei)
{
    const uint32_t items = sm_gpu_kernel_items(c->kernel);
    if (!sm_is_pow2_u64(c->scrypt_n) || c->scrypt_n < SM_SCRYPT_N_MIN || c->scrypt_n > SM_SCRYPT_N_MAX)
        return sm_fail(ei, SM_E_ARG, "scrypt N %" PRIu32 " is not a power of two from %u to %u", c->scrypt_n,
                       SM_SCRYPT_N_MIN, SM_SCRYPT_N_MAX);
    if (c->lookup_gap > SM_GPU_LOOKUP_GAP_MAX)
        return sm_fail(ei, SM_E_ARG, "lookup gap %" PRIu32 " is not in 1 to %u", c->lookup_gap, SM_GPU_LOOKUP_GAP_MAX);
    if (c->interleave > SM_GPU_INTERLEAVE_MAX || (c->interleave > 1 && c->kernel > SM_GPU_KERNEL_ITEM))
        return sm_fail(ei, SM_E_ARG,
                       "%" PRIu32 " labels per work item: 1 to %u are possible, with the kernel \"item\" alone",
                       c->interleave, SM_GPU_INTERLEAVE_MAX);
    if (c->unroll != 0 && c->unroll != 1 && c->unroll != 4)
        return sm_fail(ei, SM_E_ARG, "unroll %" PRIu32 " is not 1 or 4", c->unroll);
    if (c->wg_items && wg_max && c->wg_items > wg_max)
        return sm_fail(ei, SM_E_ARG, "%s allows groups of at most %zu work items, %" PRIu32 " were asked for",
                       g->dev.info.name, wg_max, c->wg_items);
    if (c->wg_items % items || (wg_max && wg_max < items))
        return sm_fail(ei, SM_E_ARG, "the kernel \"%s\" needs groups of a multiple of %" PRIu32 " work items",
                       sm_gpu_kernel_name(c->kernel), items);
    return SM_OK;
}

static sm_gpu_exchange exchange_of(const struct sm_gpu_labeler *g, uint32_t wg_items)
{
    if (g->no_shuffle) return SM_GPU_EXCHANGE_LOCAL;
    if (wg_items % WARP == 0 && sm_gpu_has_extension(g->cl, g->dev.handle, "cl_nv_device_attribute_query"))
        return SM_GPU_EXCHANGE_NVIDIA;
    if (strstr(g->dev.info.platform, "AMD Accelerated")) return SM_GPU_EXCHANGE_AMD; /* its compiler has the builtin */
    if (wg_items % WARP == 0 && sm_gpu_has_extension(g->cl, g->dev.handle, "cl_intel_subgroups"))
        return SM_GPU_EXCHANGE_INTEL;
    return SM_GPU_EXCHANGE_LOCAL;
}

sm_err sm_gpu_choose_shape(struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c, struct sm_errinfo *ei)
{
    const bool cpu = g->dev.info.type == SM_GPU_TYPE_CPU;
    const size_t wg_max = device_wg_max(g->cl, g->dev.handle);
    const sm_err err = check(g, c, wg_max, ei);
    if (err) return err;
    const sm_gpu_kernel kernel = c->kernel ? c->kernel : SM_GPU_KERNEL_ITEM;
    const uint32_t items = sm_gpu_kernel_items(kernel);
    uint32_t wg = u32_or(c->wg_items, cpu ? items : GPU_WG_ITEMS);
    if (wg_max && wg > wg_max) wg = (uint32_t)(wg_max - wg_max % items);
    g->shape = (struct sm_gpu_shape){
        .scrypt_n = c->scrypt_n,
        .kernel = kernel,
        .lookup_gap = u32_or(c->lookup_gap, LOOKUP_GAP),
        .wg_items = wg,
        .layout = c->layout ? c->layout
                  : cpu     ? SM_GPU_LAYOUT_TABLES
                            : SM_GPU_LAYOUT_ROWS,
        .interleave = u32_or(c->interleave, 1),
        .unroll = u32_or(c->unroll, cpu && kernel != SM_GPU_KERNEL_ITEM ? 1 : 4), /* barriers make PoCL's code long */
        .exchange = kernel == SM_GPU_KERNEL_QUAD ? exchange_of(g, wg) : SM_GPU_EXCHANGE_LOCAL,
        .probe = c->probe,
    };
    return SM_OK;
}

struct sm_gpu_limits sm_gpu_choose_limits(const struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c)
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

sm_err sm_gpu_choose_width(struct sm_gpu_labeler *g, const struct sm_gpu_labeler_cfg *c,
                           const struct sm_gpu_limits *limits, uint32_t *out, struct sm_errinfo *ei)
{
    struct sm_gpu_shape *s = &g->shape;
    const uint32_t items = sm_gpu_kernel_items(s->kernel);
    uint32_t fit = sm_gpu_buffers_fit(s, limits);
    while (fit == 0 && !c->wg_items && s->wg_items > items) {
        s->wg_items = s->wg_items / 2 / items * items;
        if (s->wg_items < items) s->wg_items = items;
        if (s->kernel == SM_GPU_KERNEL_QUAD) s->exchange = exchange_of(g, s->wg_items);
        fit = sm_gpu_buffers_fit(s, limits);
    }
    if (fit == 0)
        return sm_fail(ei, SM_E_ARG,
                       "%s: %" PRIu64 " bytes of memory (%" PRIu64
                       " in one piece) are too few for one group of %" PRIu32 " labels at %" PRIu64
                       " bytes each; raise the memory cap or the lookup gap",
                       g->dev.info.name, limits->total_bytes, limits->alloc_bytes, sm_gpu_shape_group_labels(s),
                       sm_gpu_buffers_label_bytes(s));
    const bool cpu = g->dev.info.type == SM_GPU_TYPE_CPU;
    const uint64_t units = g->dev.info.compute_units, group = sm_gpu_shape_group_labels(s);
    uint64_t want = units * (cpu ? CPU_LABELS_PER_UNIT : GPU_LABELS_PER_UNIT);
    if (c->width) want = c->width;
    want = (want + group - 1) / group * group;
    *out = (uint32_t)min_u64(want, fit);
    return SM_OK;
}
