/* scan.cl: the label scan of the prover (post.md, 5.3), one work item per label, all nonce groups in one launch.
 *
 * Build: -cl-std=CL1.2 -DWG_ITEMS=64 -DAES_TABLES=4 (or 1; see device/aes128.h)
 * Local memory: 1024 * AES_TABLES bytes per group, as an argument: a __local variable of this kernel reads as zeros on
 * PoCL. Keys are the same for all items of a group at any time. Hits come in any order; `found_n` counts also those
 * that found no room. Neither variant's speed was measured on a GPU. */
#include "kernels/shared/scan_job.h"
#include "kernels/device/aes128.h"

static void report(__constant struct sm_scan_launch *job, volatile __global uint *found_n,
                   __global struct sm_scan_found *found, const uint label, const uint nonce)
{
    const uint at = atomic_inc(found_n);
    if (at >= job->hits_max) return;
    found[at].label = label;
    found[at].nonce = nonce;
}

/* Bytes 0 to 6 of the nonce's own cipher, against the rest of the difficulty. */
static bool lazy_is_good(const __local uint *t, const __global uint4 *key, const uint4 label, const ulong lsb)
{
    const uint4 c = aes128_encrypt(t, key, label);
    return ((ulong)c.s0 | (ulong)(c.s1 & 0xffffffu) << 32) < lsb;
}

/* keys: groups_n keys; lazy: 16 per group; t: 256 * AES_TABLES words. */
__kernel __attribute__((reqd_work_group_size(WG_ITEMS, 1, 1))) void
scan_labels(__constant struct sm_scan_launch *job, const __global uint4 *keys, const __global uint4 *lazy,
            const __global uint4 *labels, volatile __global uint *found_n, __global struct sm_scan_found *found,
            __local uint *t)
{
    aes_fill(t, (uint)get_local_id(0));
    barrier(CLK_LOCAL_MEM_FENCE);
    const uint item = (uint)get_global_id(0);
    if (item >= job->count) return; /* the last group may be partly idle */

    const uint at = job->first + item, msb = job->msb;
    const bool witness = at >= job->witness_first && at - job->witness_first < job->witness_n;
    const ulong lsb = witness ? job->witness_lsb : job->lsb;
    const uint4 label = labels[at];
    for (uint g = 0; g < job->groups_n; g++) {
        const uint4 c = aes128_encrypt(t, keys + (size_t)g * (SM_SCAN_KEY_WORDS / 4), label);
        for (uint o = 0; o < 16u; o++) {
            const uint word = o < 4u ? c.s0 : o < 8u ? c.s1 : o < 12u ? c.s2 : c.s3;
            const uint m = AES_BYTE(word, o % 4u), nonce = 16u * g + o;
            if (m > msb) continue;
            if (m < msb || lazy_is_good(t, lazy + (size_t)nonce * (SM_SCAN_KEY_WORDS / 4), label, lsb))
                report(job, found_n, found, at, nonce);
        }
    }
}
