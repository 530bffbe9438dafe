/* device/scan_work.h: what both label scans share: how work is shared out, and what happens to candidates.
 *
 * A candidate is a label whose byte equals the top byte of the difficulty: one in 256 per nonce, and its second cipher
 * decides. Encrypting it on the spot would have a whole group of items wait for one, so candidates queue up in local memory
 * until there is one for every item.
 *
 * Work is cut into units, a block of labels times some nonce groups, which the groups of items take one by one: none
 * waits for another, however many of them fit into the device at a time.
 *
 * Build: WG_ITEMS, SCAN_QUEUE (entries, at least 2 * WG_ITEMS), and the options of device/aes128.h. Local memory:
 * SCAN_LOCAL_WORDS words, as a kernel argument: a __local variable of these kernels reads as zeros on PoCL. */
#ifndef SM_KERNELS_DEVICE_SCAN_WORK_H
#define SM_KERNELS_DEVICE_SCAN_WORK_H

#include "kernels/shared/scan_job.h"
#include "kernels/device/aes128.h"

struct scan_work {
    __constant struct sm_scan_launch *job;
    const __global uint4 *lazy;     /* 11 round keys of each nonce */
    const __global uint4 *labels;   /* of this launch */
    volatile __global uint *counts; /* struct sm_scan_counts */
    __global struct sm_scan_found *found;
    __local uint *queued, *claimed, *queue; /* queued: entries wanted, perhaps more than there are */
    const __local uint *t;
    uint item; /* in the group */
};

/* All items of the group. */
KERNEL_INLINE struct scan_work scan_begin(__constant struct sm_scan_launch *job, const __global uint4 *lazy,
                                   const __global uint4 *labels, volatile __global uint *counts,
                                   __global struct sm_scan_found *found, __local uint *mem)
{
    struct scan_work w;
    w.job = job;
    w.lazy = lazy;
    w.labels = labels + job->first;
    w.counts = counts;
    w.found = found;
    w.item = (uint)get_local_id(0);
    w.queued = mem + AES_WORDS;
    w.claimed = mem + AES_WORDS + 1;
    w.queue = mem + AES_WORDS + 2;
    w.t = aes_own_copy(mem, w.item);
    aes_fill(mem, w.item);
    if (w.item == 0) *w.queued = 0;
    barrier(CLK_LOCAL_MEM_FENCE);
    return w;
}

/* The next unit, the same for all items of the group; past the last one when nothing is left. */
KERNEL_INLINE uint scan_claim(const struct scan_work *w)
{
    barrier(CLK_LOCAL_MEM_FENCE); /* all have read the one before */
    if (w->item == 0) *w->claimed = atomic_inc(&w->counts[1]);
    barrier(CLK_LOCAL_MEM_FENCE);
    return *w->claimed;
}

/* `at`: position in the launch. Hits beyond the room are counted only. */
KERNEL_INLINE void scan_report(const struct scan_work *w, const uint at, const uint nonce)
{
    const uint slot = atomic_inc(&w->counts[0]);
    if (slot >= w->job->hits_max) return;
    w->found[slot].label = w->job->first + at;
    w->found[slot].nonce = nonce;
}

/* Bytes 0 to 6 of the nonce's own cipher, against the rest of the difficulty. */
KERNEL_INLINE void scan_judge(const struct scan_work *w, const uint entry)
{
    const __local uint *t = w->t;
    const uint at = entry >> SM_SCAN_NONCE_BITS, nonce = entry & ((1u << SM_SCAN_NONCE_BITS) - 1u);
    const uint witness = w->job->first + at - w->job->witness_first; /* wraps below it */
    const ulong lsb = witness < w->job->witness_n ? w->job->witness_lsb : w->job->lsb;
    const __global uint4 *key = w->lazy + (size_t)nonce * 11u;
    uint4 s = w->labels[at];
    AES_NINE_ROUNDS(t, key, s);
    const uint lo = aes_last_column(t, s.s0, s.s1, s.s2, s.s3) ^ key[10].s0;
    const uint hi = aes_last_column(t, s.s1, s.s2, s.s3, s.s0) ^ key[10].s1;
    if (((ulong)lo | (ulong)(hi & 0xffffffu) << 32) < lsb) scan_report(w, at, nonce);
}

/* Puts a candidate into the queue; false when that is full: again after the next scan_settle. */
KERNEL_INLINE bool scan_push(const struct scan_work *w, const uint at, const uint nonce)
{
    const uint slot = atomic_inc(w->queued);
    if (slot >= SCAN_QUEUE) return false;
    w->queue[slot] = at << SM_SCAN_NONCE_BITS | nonce;
    return true;
}

/* All items of the group: judges as many candidates as keep every item busy, or all of them. True when some item found
 * the queue full. */
KERNEL_INLINE bool scan_settle(const struct scan_work *w, const bool all)
{
    barrier(CLK_LOCAL_MEM_FENCE);
    const uint wanted = *w->queued, n = min(wanted, (uint)SCAN_QUEUE), rest = all ? 0u : n % WG_ITEMS;
    for (uint i = rest + w->item; i < n; i += WG_ITEMS) scan_judge(w, w->queue[i]);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (w->item == 0) *w->queued = rest;
    barrier(CLK_LOCAL_MEM_FENCE);
    return wanted > SCAN_QUEUE;
}

#endif
