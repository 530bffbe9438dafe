/* scan.cl: the label scan of the prover (post.md, 5.3) by AES tables, one work item per label.
 *
 * Build: -cl-std=CL1.2 -DWG_ITEMS=256 -DAES_TABLES=1 -DAES_COPIES=32 -DSCAN_QUEUE=768 (device/aes128.h,
 * device/scan_work.h). Keys are the same for all items of a group at any time. Hits come in any order.
 *
 * The comparison with the difficulty's top byte is made before the last round, as on the processor
 * (src/crypto/scan_impl.h): nothing else of that round is needed while the byte is 0, which it is on every large network. */
#include "kernels/device/scan_work.h"

/* 0x80 in the bytes that are zero. */
KERNEL_INLINE uint zero_bytes(const uint x)
{
    return ~(((x & 0x7f7f7f7fu) + 0x7f7f7f7fu) | x | 0x7f7f7f7fu);
}

/* Bit 8 * row + column for every byte that is equal to the target. */
KERNEL_INLINE uint equal_bytes(const uint4 s, const uint4 target)
{
    const uint4 x = s ^ target;
    return zero_bytes(x.s0) >> 7 | zero_bytes(x.s1) >> 6 | zero_bytes(x.s2) >> 5 | zero_bytes(x.s3) >> 4;
}

/* Reports what is below the difficulty's top byte. */
KERNEL_INLINE void report_below(const struct scan_work *w, const uint4 s, const uint4 key, const uint at, const uint nonce)
{
    const __local uint *t = w->t;
    uint4 c;
    c.s0 = aes_last_column(t, s.s0, s.s1, s.s2, s.s3);
    c.s1 = aes_last_column(t, s.s1, s.s2, s.s3, s.s0);
    c.s2 = aes_last_column(t, s.s2, s.s3, s.s0, s.s1);
    c.s3 = aes_last_column(t, s.s3, s.s0, s.s1, s.s2);
    c ^= key;
    for (uint o = 0; o < 16u; o++) {
        const uint word = o < 4u ? c.s0 : o < 8u ? c.s1 : o < 12u ? c.s2 : c.s3;
        if (AES_BYTE(word, o % 4u) < w->job->msb) scan_report(w, at, nonce + o);
    }
}

/* Bit 8 * row + column for every byte of the label under one group that is a candidate. Items behind the last label have
 * none. */
KERNEL_INLINE uint group_marks(const struct scan_work *w, __constant uint4 *key, const uint4 label, const uint at,
                        const uint nonce)
{
    if (at >= w->job->count) return 0;
    uint4 s = label;
    AES_NINE_ROUNDS(w->t, key, s);
    if (w->job->msb) report_below(w, s, key[10], at, nonce);
    return equal_bytes(s, key[11]);
}

/* keys: SM_SCAN_KEY_ROWS rows per group: 11 round keys and the target. lazy: 16 * 11 per group. labels: all of the
 * buffer. mem: SCAN_LOCAL_WORDS. */
__kernel __attribute__((reqd_work_group_size(WG_ITEMS, 1, 1))) void
scan_labels(__constant struct sm_scan_launch *job, __constant uint4 *keys, const __global uint4 *restrict lazy,
            const __global uint4 *restrict labels, volatile __global uint *counts,
            __global struct sm_scan_found *restrict found, __local uint *mem)
{
    const struct scan_work w = scan_begin(job, lazy, labels, counts, found, mem);
    const uint parts = (job->groups_n + job->unit_groups - 1u) / job->unit_groups;
    const uint units = (job->count + WG_ITEMS - 1u) / WG_ITEMS * parts;
    for (uint unit = scan_claim(&w); unit < units; unit = scan_claim(&w)) {
        const uint at = unit / parts * WG_ITEMS + w.item, first = unit % parts * job->unit_groups;
        const uint end = min(first + job->unit_groups, job->groups_n);
        const uint4 label = w.labels[min(at, job->count - 1u)];
        for (uint g = first; g < end; g += 2u) { /* two, so that the items meet half as often */
            uint marks = group_marks(&w, keys + g * SM_SCAN_KEY_ROWS, label, at, 16u * g);
            if (g + 1u < end)
                marks |= group_marks(&w, keys + (g + 1u) * SM_SCAN_KEY_ROWS, label, at, 16u * g + 16u) << 4;
            bool full;
            do {
                for (; marks; marks &= marks - 1u) {
                    const uint bit = 31u - clz(marks & (0u - marks));
                    const uint o = aes_offset_of(bit % 4u * 4u + bit / 8u);
                    if (!scan_push(&w, at, 16u * g + 4u * (bit & 4u) + o)) break;
                }
                full = scan_settle(&w, false);
            } while (full);
        }
    }
    (void)scan_settle(&w, true);
}
