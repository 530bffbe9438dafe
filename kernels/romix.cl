/* romix.cl: the long part of labels. A batch is a chain of launches: label_start (label_ends.cl), romix_fill over [0, N)
 * and romix_mix over [0, N) in steps of any length, label_finish. State lives in memory between launches, so no launch has
 * to be long: display watchdogs kill those.
 *
 * Build: -cl-std=CL1.2 -DSCRYPT_N=8192u -DLOOKUP_GAP=2u -DWG_ITEMS=64 -DROW_LAYOUT=0 -DKERNEL=0 -DINTERLEAVE=1 ...
 *   LOOKUP_GAP  only rows 0, gap, 2 gap ... are stored, the others are recomputed from the row below
 *   ROW_LAYOUT  0: row-major, the labels of a part side by side (GPUs)   1: one table per label (CPUs)
 *   KERNEL      0 item: one work item per label, or for INTERLEAVE labels in turns, the rows of all fetched at once
 *               1 quad: four work items per label (device/quad.h)
 *               2 fetch: one work item per label; eight of them fetch each other's rows, one 128-byte row at a time
 *   PROBE       for bounds, results are wrong: 1 arithmetic alone, every row is the first, which stays in caches; 2
 *               memory alone, rows are stored and fetched and nothing is computed
 *   and the options of device/chacha8.h and device/quad.h
 * Scratch: 128 * ceil(SCRYPT_N / LOOKUP_GAP) bytes per label, in up to four parts; state: 128 bytes per label.
 *
 * Labels beyond the batch's count in its last group of work items are computed too, in rows of their own: kernels that
 * exchange words need all items of a group. */
#include "kernels/shared/romix_job.h"
#include "kernels/device/chacha8.h"
#include "kernels/device/quad.h"

#define ROWS ((SCRYPT_N + LOOKUP_GAP - 1u) / LOOKUP_GAP)

#define SM_KERNEL __kernel __attribute__((reqd_work_group_size(WG_ITEMS, 1, 1)))

#define PARTS_PARAMS __global uint4 *part0, __global uint4 *part1, __global uint4 *part2, __global uint4 *part3
#define PARTS        part0, part1, part2, part3

#if KERNEL == 1
#define GROUP_LABELS (WG_ITEMS / 4u)
#else
#define GROUP_LABELS (WG_ITEMS * INTERLEAVE)
#endif

#if ROW_LAYOUT == 0
#define LABEL_STRIDE       8u
#define ROW_STRIDE(labels) ((size_t)(labels) * 8u)
#else
#define LABEL_STRIDE       (8u * ROWS)
#define ROW_STRIDE(labels) ((size_t)8u)
#endif

/* The scratch table of one label: row r begins at p[r * stride]. */
struct table {
    __global uint4 *p;
    size_t stride;
};

SM_INLINE struct table table_of(__constant struct sm_romix_job *job, const uint label, PARTS_PARAMS)
{
    const uint part = label / job->labels_per_part; /* the same for a whole group */
    __global uint4 *base = part == 0 ? part0 : part == 1 ? part1 : part == 2 ? part2 : part3;
    struct table t;
    t.p = base + (size_t)(label - part * job->labels_per_part) * LABEL_STRIDE;
    t.stride = ROW_STRIDE(job->labels_per_part);
    return t;
}

/* The stored row at or below row i. */
SM_INLINE uint stored_row(const uint i)
{
#if PROBE == 1
    return i & 0u;
#else
    return i / LOOKUP_GAP;
#endif
}

#if KERNEL == 1

/* ---- four items per label ---- */

SM_INLINE void quad_step(struct column *x, const struct seat *s)
{
#if PROBE == 2
    x->r[4] = x->r[4] * 1664525u + 1013904223u;
#else
    quad_mix(x, s);
#endif
}

/* State is transposed, row z of all labels side by side; a row of V holds the columns in order, block by block. */
SM_INLINE void quad_load_state(struct column *x, const __global uint *state, const uint label, const uint width,
                            const uint column)
{
#pragma unroll
    for (int z = 0; z < 8; z++) x->r[z] = state[((size_t)z * width + label) * 4 + column];
}

SM_INLINE void quad_store_state(const struct column *x, __global uint *state, const uint label, const uint width,
                             const uint column)
{
#pragma unroll
    for (int z = 0; z < 8; z++) state[((size_t)z * width + label) * 4 + column] = x->r[z];
}

/* Word 16, which column 0 holds, for all four. */
SM_INLINE uint quad_word_16(const struct column *x, const struct seat *s)
{
#if QUAD_EXCHANGE == 0
    /* Between one use of this word and the next lie the exchanges of a step, or, when memory alone is probed, nothing:
     * then it does not matter which row is read. */
    if (s->item % 4 == 0) s->mem[QUAD_WORD_16 + s->item] = x->r[4];
    barrier(CLK_LOCAL_MEM_FENCE);
    return s->mem[QUAD_WORD_16 + (s->item & ~3u)];
#elif QUAD_EXCHANGE == 1
    return quad_take(x->r[4], s->item & 28u);
#elif QUAD_EXCHANGE == 2
    return (uint)__builtin_amdgcn_mov_dpp((int)x->r[4], 0, 15, 15, true);
#else
    return intel_sub_group_shuffle(x->r[4], get_sub_group_local_id() & ~3u);
#endif
}

SM_KERNEL void romix_fill(__constant struct sm_romix_job *job, __global uint *state, PARTS_PARAMS,
                          const uint step_first, const uint step_count)
{
    __local uint mem[QUAD_LOCAL_WORDS];
    const uint label = (uint)get_global_id(0) / 4;
    const struct seat s = {(uint)get_local_id(0), mem};
    const uint column = s.item % 4;
    const struct table t = table_of(job, label, PARTS);
    struct column x;
    quad_load_state(&x, state, label, job->width, column);
    for (uint i = step_first; i < step_first + step_count; i++) {
        if (i % LOOKUP_GAP == 0) {
            __global uint4 *p = t.p + stored_row(i) * t.stride + column;
            p[0] = (uint4)(x.r[0], x.r[1], x.r[2], x.r[3]);
            p[4] = (uint4)(x.r[4], x.r[5], x.r[6], x.r[7]);
        }
        quad_step(&x, &s);
    }
    quad_store_state(&x, state, label, job->width, column);
}

SM_KERNEL void romix_mix(__constant struct sm_romix_job *job, __global uint *state, PARTS_PARAMS,
                         const uint step_first, const uint step_count)
{
    __local uint mem[QUAD_LOCAL_WORDS];
    const uint label = (uint)get_global_id(0) / 4;
    const struct seat s = {(uint)get_local_id(0), mem};
    const uint column = s.item % 4;
    const struct table t = table_of(job, label, PARTS);
    struct column x;
    quad_load_state(&x, state, label, job->width, column);
    for (uint i = step_first; i < step_first + step_count; i++) {
        const uint j = quad_word_16(&x, &s) & (SCRYPT_N - 1u);
        const __global uint4 *p = t.p + stored_row(j) * t.stride + column;
        const uint4 v0 = p[0], v1 = p[4];
        struct column v = {{v0.s0, v0.s1, v0.s2, v0.s3, v1.s0, v1.s1, v1.s2, v1.s3}};
#if LOOKUP_GAP > 1 && QUAD_EXCHANGE <= 1
        /* All items take part in every exchange, whatever their own j. */
        for (uint k = 1; k < LOOKUP_GAP; k++) {
            struct column next = v;
            quad_step(&next, &s);
            if (k <= j % LOOKUP_GAP) v = next;
        }
#elif LOOKUP_GAP > 1
        for (uint k = j % LOOKUP_GAP; k > 0; k--) quad_step(&v, &s);
#endif
#pragma unroll
        for (int z = 0; z < 8; z++) x.r[z] ^= v.r[z];
        quad_step(&x, &s);
    }
    quad_store_state(&x, state, label, job->width, column);
}

#else

/* ---- one item per label or more ---- */

/* State is transposed, row z of all labels side by side. */
SM_INLINE void load_state(struct chunk *x, const __global uint4 *state, const uint label, const uint width)
{
#pragma unroll
    for (int z = 0; z < 8; z++) x->r[z] = state[(size_t)z * width + label];
}

SM_INLINE void store_state(const struct chunk *x, __global uint4 *state, const uint label, const uint width)
{
#pragma unroll
    for (int z = 0; z < 8; z++) state[(size_t)z * width + label] = x->r[z];
}

SM_INLINE void step(struct chunk *x)
{
#if PROBE == 2
    x->r[4].x = x->r[4].x * 1664525u + 1013904223u;
#else
    chunk_mix(x);
#endif
}

#if KERNEL == 2

/* A row of each item passes through local memory, 9 units of 16 bytes apart: no two items of eight meet in a bank. */
#define SLOT 9u

struct desk {
    uint item, lane;        /* in the group; among the eight */
    __local uint4 *slots;   /* SLOT per item */
    __local uint *row;      /* one per item */
    __global uint4 *labels; /* table of the first of the eight */
    size_t stride;          /* from row to row */
};

SM_INLINE struct desk desk_of(const struct table *t, __local uint4 *slots, __local uint *row)
{
    struct desk d;
    d.item = (uint)get_local_id(0);
    d.lane = d.item % 8;
    d.slots = slots;
    d.row = row;
    d.labels = t->p - (size_t)d.lane * LABEL_STRIDE;
    d.stride = t->stride;
    return d;
}

SM_INLINE void load_row(struct chunk *x, const struct desk *d, const uint row)
{
    barrier(CLK_LOCAL_MEM_FENCE); /* all have read their slots */
    d->row[d->item] = row;
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (uint k = 0; k < 8; k++) {
        const uint other = d->item - d->lane + k;
        d->slots[other * SLOT + d->lane] = d->labels[(size_t)k * LABEL_STRIDE + d->row[other] * d->stride + d->lane];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (int z = 0; z < 8; z++) x->r[z] = d->slots[d->item * SLOT + z];
}

SM_INLINE void store_row(const struct chunk *x, const struct desk *d, const uint row)
{
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (int z = 0; z < 8; z++) d->slots[d->item * SLOT + z] = x->r[z];
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (uint k = 0; k < 8; k++)
        d->labels[(size_t)k * LABEL_STRIDE + row * d->stride + d->lane] =
            d->slots[(d->item - d->lane + k) * SLOT + d->lane];
}

#define DESK_MEMORY      __local uint4 slots[SLOT * WG_ITEMS]; __local uint row[WG_ITEMS];
#define ROW_ACCESS       struct desk
#define ROW_ACCESS_OF(t) desk_of(t, slots, row)

#else

SM_INLINE void load_row(struct chunk *x, const struct table *t, const uint row)
{
    const __global uint4 *p = t->p + row * t->stride;
#pragma unroll
    for (int z = 0; z < 8; z++) x->r[z] = p[z];
}

SM_INLINE void store_row(const struct chunk *x, const struct table *t, const uint row)
{
    __global uint4 *p = t->p + row * t->stride;
#pragma unroll
    for (int z = 0; z < 8; z++) p[z] = x->r[z];
}

#define DESK_MEMORY
#define ROW_ACCESS       struct table
#define ROW_ACCESS_OF(t) *(t)

#endif

/* Label u of this item: neighbouring items have neighbouring labels. */
SM_INLINE uint label_of(const uint u)
{
    return (uint)get_group_id(0) * GROUP_LABELS + u * WG_ITEMS + (uint)get_local_id(0);
}

SM_KERNEL void romix_fill(__constant struct sm_romix_job *job, __global uint4 *state, PARTS_PARAMS,
                          const uint step_first, const uint step_count)
{
    DESK_MEMORY
    struct chunk x[INTERLEAVE];
    ROW_ACCESS rows[INTERLEAVE];
#pragma unroll
    for (uint u = 0; u < INTERLEAVE; u++) {
        const struct table t = table_of(job, label_of(u), PARTS);
        rows[u] = ROW_ACCESS_OF(&t);
        load_state(&x[u], state, label_of(u), job->width);
    }
    for (uint i = step_first; i < step_first + step_count; i++) {
#pragma unroll
        for (uint u = 0; u < INTERLEAVE; u++) {
            if (i % LOOKUP_GAP == 0) store_row(&x[u], &rows[u], stored_row(i));
            step(&x[u]);
        }
    }
#pragma unroll
    for (uint u = 0; u < INTERLEAVE; u++) store_state(&x[u], state, label_of(u), job->width);
}

SM_KERNEL void romix_mix(__constant struct sm_romix_job *job, __global uint4 *state, PARTS_PARAMS,
                         const uint step_first, const uint step_count)
{
    DESK_MEMORY
    struct chunk x[INTERLEAVE], v[INTERLEAVE];
    ROW_ACCESS rows[INTERLEAVE];
#pragma unroll
    for (uint u = 0; u < INTERLEAVE; u++) {
        const struct table t = table_of(job, label_of(u), PARTS);
        rows[u] = ROW_ACCESS_OF(&t);
        load_state(&x[u], state, label_of(u), job->width);
    }
    for (uint i = step_first; i < step_first + step_count; i++) {
#pragma unroll
        for (uint u = 0; u < INTERLEAVE; u++)
            load_row(&v[u], &rows[u], stored_row(x[u].r[4].x & (SCRYPT_N - 1u))); /* word 16 */
#pragma unroll
        for (uint u = 0; u < INTERLEAVE; u++) {
#if LOOKUP_GAP > 1
            for (uint k = (x[u].r[4].x & (SCRYPT_N - 1u)) % LOOKUP_GAP; k > 0; k--) step(&v[u]);
#endif
#pragma unroll
            for (int z = 0; z < 8; z++) x[u].r[z] ^= v[u].r[z];
            step(&x[u]);
        }
    }
#pragma unroll
    for (uint u = 0; u < INTERLEAVE; u++) store_state(&x[u], state, label_of(u), job->width);
}

#endif
