/* ChunkMix by four work items, one column of the matrix each: a label takes a quarter of the registers, and a row of V is
 * read as 64 contiguous bytes twice. Column rounds are local; for a diagonal round the items pass words on by one, two
 * and three columns, and back.
 *
 * Build: QUAD_EXCHANGE 0: through local memory; 1: shfl.sync of NVIDIA; 2: DPP of AMD; 3: cl_intel_subgroups. The first
 * has barriers, and the second is one instruction only when it is known that all items of a warp take part: with those
 * two all items take the same branches. For the others it is enough that the four do. */
#ifndef SM_KERNELS_QUAD_H
#define SM_KERNELS_QUAD_H

#include "kernels/device/chacha8.h"

#if QUAD_EXCHANGE == 3
#pragma OPENCL EXTENSION cl_intel_subgroups : enable
#endif

/* One column of both blocks. */
struct column {
    uint r[8];
};

/* Where an item stands. */
struct seat {
    uint item;         /* in its group */
    __local uint *mem; /* of the group: QUAD_LOCAL_WORDS */
};

/* The item that holds the column `by` to the right of ours. */
#define QUAD_AT(s, by) (((s)->item & ~3u) | (((s)->item + (by)) & 3u))

#if QUAD_EXCHANGE == 1
SM_INLINE uint quad_take(const uint v, const uint from)
{
    uint out;
    asm volatile("shfl.sync.idx.b32 %0, %1, %2, 31, 0xffffffff;" : "=r"(out) : "r"(v), "r"(from));
    return out;
}
#define QUAD_TAKE(s, v, by) quad_take(v, QUAD_AT(s, by) & 31u)
#elif QUAD_EXCHANGE == 2
#define QUAD_PERM(by)       ((by) == 1 ? 0x39 : (by) == 2 ? 0x4e : 0x93)
#define QUAD_TAKE(s, v, by) ((uint)__builtin_amdgcn_mov_dpp((int)(v), QUAD_PERM(by), 15, 15, true))
#elif QUAD_EXCHANGE == 3
#define QUAD_TAKE(s, v, by)                                                                                            \
    intel_sub_group_shuffle(v, (get_sub_group_local_id() & ~3u) | ((get_sub_group_local_id() + (by)) & 3u))
#endif

/* Words that pass through local memory: a set of three per item for the exchanges with even numbers, one for those with
 * odd numbers, and one word for what is between them (QUAD_WORD_16). With two sets one barrier each is enough: whoever
 * writes a set again has passed the other set's barrier, before which all have read this one. */
#define QUAD_LOCAL_WORDS (7u * WG_ITEMS)
#define QUAD_WORD_16     (6u * WG_ITEMS)

/* b, c and d become those of the items b_by, c_by and d_by columns on. */
#if QUAD_EXCHANGE == 0
#define QUAD_PASS(s, set, b, c, d, b_by, d_by)                                                                         \
    (s)->mem[(3u * set) * WG_ITEMS + (s)->item] = b;                                                                   \
    (s)->mem[(3u * set + 1u) * WG_ITEMS + (s)->item] = c;                                                              \
    (s)->mem[(3u * set + 2u) * WG_ITEMS + (s)->item] = d;                                                              \
    barrier(CLK_LOCAL_MEM_FENCE);                                                                                      \
    b = (s)->mem[(3u * set) * WG_ITEMS + QUAD_AT(s, b_by)];                                                            \
    c = (s)->mem[(3u * set + 1u) * WG_ITEMS + QUAD_AT(s, 2u)];                                                         \
    d = (s)->mem[(3u * set + 2u) * WG_ITEMS + QUAD_AT(s, d_by)];
#else
#define QUAD_PASS(s, set, b, c, d, b_by, d_by)                                                                              \
    b = QUAD_TAKE(s, b, b_by);                                                                                         \
    c = QUAD_TAKE(s, c, 2);                                                                                            \
    d = QUAD_TAKE(s, d, d_by);
#endif

#define SM_ROT1(x, n) rotate(x, (uint)(n))

SM_INLINE void quad_chacha8(struct column *x, const int at, const struct seat *s)
{
    uint a = x->r[at], b = x->r[at + 1], c = x->r[at + 2], d = x->r[at + 3];
#if ROUNDS_ROLLED
#pragma unroll 1
#else
#pragma unroll
#endif
    for (int i = 0; i < 4; i++) {
        SM_QUARTER(a, b, c, d, SM_ROT1)
        QUAD_PASS(s, 0u, b, c, d, 1, 3)
        SM_QUARTER(a, b, c, d, SM_ROT1)
        QUAD_PASS(s, 1u, b, c, d, 3, 1)
    }
    x->r[at] += a;
    x->r[at + 1] += b;
    x->r[at + 2] += c;
    x->r[at + 3] += d;
}

SM_INLINE void quad_mix(struct column *x, const struct seat *s)
{
#pragma unroll
    for (int z = 0; z < 4; z++) x->r[z] ^= x->r[4 + z];
    quad_chacha8(x, 0, s);
#pragma unroll
    for (int z = 0; z < 4; z++) x->r[4 + z] ^= x->r[z];
    quad_chacha8(x, 4, s);
}

#endif
