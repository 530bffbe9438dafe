/* romix.cl: labels, one work item per label.
 *
 * Build: -cl-std=CL1.2 -DSCRYPT_N=8192u -DLOOKUP_GAP=2u -DWG_ITEMS=64 -DROW_LAYOUT=0
 *   LOOKUP_GAP  only rows 0, gap, 2 gap ... are stored, the others are recomputed from the row below
 *   ROW_LAYOUT  0: row-major, the items of a part side by side (GPUs)   1: one table per item (CPUs)
 * Scratch: 128 * ceil(SCRYPT_N / LOOKUP_GAP) bytes per item, in up to four parts; state: 128 bytes per item.
 *
 * The work of one batch is a chain of launches: romix_start, romix_fill over [0, N) and romix_mix over [0, N) in steps
 * of any length, romix_finish. State lives in memory between launches, so no launch has to be long: display watchdogs
 * kill those. */
#include "kernels/shared/romix_job.h"
#include "kernels/device/chacha8.h"
#include "kernels/device/keccak512.h"

#define ROWS ((SCRYPT_N + LOOKUP_GAP - 1u) / LOOKUP_GAP)

#define SM_KERNEL __kernel __attribute__((reqd_work_group_size(WG_ITEMS, 1, 1)))

/* The scratch table of one item: `row` r begins at p[r * stride]. */
struct table {
    __global uint4 *p;
    size_t stride;
};

static struct table table_of(__constant struct sm_romix_job *job, const uint item, __global uint4 *part0,
                             __global uint4 *part1, __global uint4 *part2, __global uint4 *part3)
{
    const uint part = item / job->items_per_part; /* the same for a whole group */
    const size_t local_item = item - part * job->items_per_part;
    __global uint4 *base = part == 0 ? part0 : part == 1 ? part1 : part == 2 ? part2 : part3;
    struct table t;
#if ROW_LAYOUT == 0
    t.p = base + local_item * 8;
    t.stride = (size_t)job->items_per_part * 8;
#else
    t.p = base + local_item * 8 * ROWS;
    t.stride = 8;
#endif
    return t;
}

static void load_row(struct chunk *x, const struct table *t, const uint row)
{
    const __global uint4 *p = t->p + row * t->stride;
#pragma unroll
    for (int z = 0; z < 8; z++) x->r[z] = p[z];
}

static void store_row(const struct chunk *x, const struct table *t, const uint row)
{
    __global uint4 *p = t->p + row * t->stride;
#pragma unroll
    for (int z = 0; z < 8; z++) p[z] = x->r[z];
}

/* State is transposed, word z of all items side by side. */
static void load_state(struct chunk *x, const __global uint4 *state, const uint item, const uint width)
{
#pragma unroll
    for (int z = 0; z < 8; z++) x->r[z] = state[(size_t)z * width + item];
}

static void store_state(const struct chunk *x, __global uint4 *state, const uint item, const uint width)
{
#pragma unroll
    for (int z = 0; z < 8; z++) state[(size_t)z * width + item] = x->r[z];
}

static void password_of(struct password *p, __constant struct sm_romix_job *job, const uint item)
{
#pragma unroll
    for (int i = 0; i < 4; i++) p->lane[i] = job->commitment[2 * i] | ((ulong)job->commitment[2 * i + 1] << 32);
    p->lane[4] = job->first_label + item;
}

SM_KERNEL void romix_start(__constant struct sm_romix_job *job, __global uint4 *state)
{
    const uint item = (uint)get_global_id(0);
    if (item >= job->count) return; /* the last group may be partly idle */
    struct password p;
    password_of(&p, job, item);
#pragma unroll 1
    for (uint block = 0; block < 2; block++) {
        struct keccak s;
        pbkdf2_first(&s, &p, block + 1);
#pragma unroll
        for (int z = 0; z < 4; z++)
            state[(size_t)(4 * block + z) * job->width + item] = as_uint4((ulong2)(s.a[2 * z], s.a[2 * z + 1]));
    }
}

SM_KERNEL void romix_fill(__constant struct sm_romix_job *job, __global uint4 *state, __global uint4 *part0,
                          __global uint4 *part1, __global uint4 *part2, __global uint4 *part3, const uint step_first,
                          const uint step_count)
{
    const uint item = (uint)get_global_id(0);
    if (item >= job->count) return;
    const struct table t = table_of(job, item, part0, part1, part2, part3);
    struct chunk x;
    load_state(&x, state, item, job->width);
    for (uint i = step_first; i < step_first + step_count; i++) {
        if (i % LOOKUP_GAP == 0) store_row(&x, &t, i / LOOKUP_GAP);
        chunk_mix(&x);
    }
    store_state(&x, state, item, job->width);
}

SM_KERNEL void romix_mix(__constant struct sm_romix_job *job, __global uint4 *state, __global uint4 *part0,
                         __global uint4 *part1, __global uint4 *part2, __global uint4 *part3, const uint step_first,
                         const uint step_count)
{
    const uint item = (uint)get_global_id(0);
    if (item >= job->count) return;
    const struct table t = table_of(job, item, part0, part1, part2, part3);
    struct chunk x, v;
    load_state(&x, state, item, job->width);
    for (uint i = step_first; i < step_first + step_count; i++) {
        const uint j = x.r[4].x & (SCRYPT_N - 1u); /* word 16 */
        load_row(&v, &t, j / LOOKUP_GAP);
#if LOOKUP_GAP > 1
        for (uint k = j % LOOKUP_GAP; k > 0; k--) chunk_mix(&v);
#endif
#pragma unroll
        for (int z = 0; z < 8; z++) x.r[z] ^= v.r[z];
        chunk_mix(&x);
    }
    store_state(&x, state, item, job->width);
}

SM_KERNEL void romix_finish(__constant struct sm_romix_job *job, const __global uint4 *state, __global uint4 *labels)
{
    const uint item = (uint)get_global_id(0);
    if (item >= job->count) return;
    struct password p;
    password_of(&p, job, item);
    ulong salt[16];
#pragma unroll
    for (int z = 0; z < 8; z++) {
        const ulong2 pair = as_ulong2(state[(size_t)z * job->width + item]);
        salt[2 * z] = pair.x;
        salt[2 * z + 1] = pair.y;
    }
    struct keccak s;
    pbkdf2_last(&s, &p, salt);
    labels[2 * (size_t)item] = as_uint4((ulong2)(s.a[0], s.a[1]));
    labels[2 * (size_t)item + 1] = as_uint4((ulong2)(s.a[2], s.a[3]));
}
