/* label_ends.cl: the two ends of a label, before and after romix.cl. One work item per label, whatever the kernel between
 * them; a program of its own, because it takes as long to compile as that and all of those share it.
 *
 * Build: -cl-std=CL1.2 -DWG_ITEMS=64 */
#include "kernels/shared/romix_job.h"
#include "kernels/device/label.h"

#define SM_KERNEL __kernel __attribute__((reqd_work_group_size(WG_ITEMS, 1, 1)))

SM_KERNEL void label_start(__constant struct sm_romix_job *job, __global uint4 *state, __global uint *found)
{
    const uint label = (uint)get_global_id(0);
    if (label >= job->count) return;
    if (label == 0) *found = 0;
    struct password p;
    password_of(&p, job, label);
#pragma unroll 1
    for (uint block = 0; block < 2; block++) {
        uint4 rows[4];
        label_begin(rows, &p, block);
#pragma unroll
        for (int z = 0; z < 4; z++) state[(size_t)(4 * block + z) * job->width + label] = rows[z];
    }
}

SM_KERNEL void label_finish(__constant struct sm_romix_job *job, const __global uint4 *state, __global uint4 *labels,
                            volatile __global uint *found, __global uint4 *hits)
{
    const uint label = (uint)get_global_id(0);
    if (label >= job->count) return;
    struct password p;
    password_of(&p, job, label);
    ulong salt[16];
#pragma unroll
    for (int z = 0; z < 8; z++) {
        const ulong2 pair = as_ulong2(state[(size_t)z * job->width + label]);
        salt[2 * z] = pair.x;
        salt[2 * z + 1] = pair.y;
    }
    struct keccak s;
    pbkdf2_last(&s, &p, salt);
    label_end(job, label, &s, labels, found, hits);
}
