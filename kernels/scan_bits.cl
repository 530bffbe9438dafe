/* scan_bits.cl: the label scan of the prover (post.md, 5.3), bitsliced: one work item takes 32 labels.
 *
 * Build: as scan.cl, and -DKERNEL_ROLLED on processors; the tables serve the second cipher only. scan_slice turns the labels of a launch into words of bits
 * once, scan_labels then uses them for every nonce group. The comparison with the difficulty's top byte comes before
 * the last round, as in scan.cl.
 * Registers: 128 words of state and about 40 more; counts per device are in bench/RESULTS.md. */
#include "kernels/device/aes128_bits.h"
#include "kernels/device/scan_work.h"

/* Words of bits: word w of block b is bits[w * stride + b], so that items side by side read words side by side. */
KERNEL_INLINE uint slice_stride(__constant struct sm_scan_launch *job)
{
    return (job->count + 32u * WG_ITEMS - 1u) / (32u * WG_ITEMS) * WG_ITEMS;
}

/* One item per block of 32 labels, slice_stride() in all. What is behind the last label repeats it. */
__kernel __attribute__((reqd_work_group_size(WG_ITEMS, 1, 1))) void
scan_slice(__constant struct sm_scan_launch *job, const __global uint *restrict labels, __global uint *restrict bits)
{
    const uint block = (uint)get_global_id(0), stride = slice_stride(job);
#pragma unroll 1
    for (uint word = 0; word < 4u; word++) {
        uint x[32];
        KERNEL_UNROLL for (uint i = 0; i < 32u; i++) x[i] = labels[(job->first + min(32u * block + i, job->count - 1u)) * 4u + word];
        aes_bits_transpose(x);
        KERNEL_UNROLL for (uint i = 0; i < 32u; i++) bits[(32u * word + i) * stride + block] = x[i];
    }
}

/* Blocks whose byte is equal to the target. */
KERNEL_INLINE uint equal_blocks(const uint *s, const __global uint *target)
{
    uint differs = 0;
    KERNEL_UNROLL for (uint i = 0; i < 8u; i++) differs |= s[i] ^ target[i];
    return ~differs;
}

/* Blocks whose byte, once key is added, is below msb. */
KERNEL_INLINE uint blocks_below(const uint *s, const __global uint *key, const uint msb)
{
    uint below = 0, equal = ~0u;
    KERNEL_UNROLL for (uint k = 0; k < 8u; k++) {
        const uint i = 7u - k, v = s[i] ^ key[i], m = 0u - (msb >> i & 1u);
        below |= equal & ~v & m;
        equal &= ~(v ^ m);
    }
    return below;
}

/* masks: SM_SCAN_KEY_ROWS rows of SM_SCAN_MASK_ROW words per group. bits: from scan_slice. The others as in scan.cl. */
__kernel __attribute__((reqd_work_group_size(WG_ITEMS, 1, 1))) void
scan_labels(__constant struct sm_scan_launch *job, const __global uint *restrict masks,
            const __global uint4 *restrict lazy, const __global uint4 *restrict labels, volatile __global uint *counts,
            __global struct sm_scan_found *restrict found, __local uint *mem, const __global uint *restrict bits)
{
    const struct scan_work w = scan_begin(job, lazy, labels, counts, found, mem);
    const uint stride = slice_stride(job);
    const uint parts = (job->groups_n + job->unit_groups - 1u) / job->unit_groups;
    const uint units = stride / WG_ITEMS * parts;
    for (uint unit = scan_claim(&w); unit < units; unit = scan_claim(&w)) {
        const uint block = unit / parts * WG_ITEMS + w.item, first = unit % parts * job->unit_groups;
        const uint end = min(first + job->unit_groups, job->groups_n), at = 32u * block;
        const uint here = at < job->count ? min(job->count - at, 32u) : 0u; /* labels of this item */
        const uint valid = here == 32u ? ~0u : (1u << here) - 1u;
        for (uint g = first; g < end; g++) {
            const __global uint *mask = masks + g * (SM_SCAN_KEY_ROWS * SM_SCAN_MASK_ROW);
            uint s[128], marks[16];
            KERNEL_UNROLL for (uint i = 0; i < 128u; i++) s[i] = bits[i * stride + block];
            aes_bits_add(s, (const __global uint4 *)mask);
#pragma unroll 1
            for (uint round = 1; round < 10u; round++) {
                aes_bits_sub_all(s);
                aes_bits_mix(s);
                aes_bits_add(s, (const __global uint4 *)(mask + round * SM_SCAN_MASK_ROW));
            }
            KERNEL_UNROLL for (uint p = 0; p < 16u; p++)
                marks[p] = equal_blocks(s + 8u * p, mask + 11u * SM_SCAN_MASK_ROW + 8u * p) & valid;
            if (job->msb) {
                aes_bits_sub_all(s);
                KERNEL_UNROLL for (uint p = 0; p < 16u; p++) {
                    const uint o = aes_offset_of(p);
                    for (uint m = blocks_below(s + 8u * p, mask + 10u * SM_SCAN_MASK_ROW + 8u * o, job->msb) & valid; m;
                         m &= m - 1u)
                        scan_report(&w, at + 31u - clz(m & (0u - m)), 16u * g + o);
                }
            }
            bool full;
            do {
                KERNEL_UNROLL for (uint p = 0; p < 16u; p++)
                    for (; marks[p]; marks[p] &= marks[p] - 1u)
                        if (!scan_push(&w, at + 31u - clz(marks[p] & (0u - marks[p])), 16u * g + aes_offset_of(p)))
                            break;
                full = scan_settle(&w, false);
            } while (full);
        }
    }
    (void)scan_settle(&w, true);
}
