/* romix_plain.cl: the yardstick: labels as the kernel in general use computes them (post.md 8.2), for `bench` alone. One
 * launch does a whole batch, one work item a whole label; lookup gap 2; one scratch buffer, row-major, the items side by
 * side.
 *
 * Build: -cl-std=CL1.2 -DSCRYPT_N=8192u */
#define ROUNDS_ROLLED 0
#include "kernels/shared/romix_job.h"
#include "kernels/device/chacha8.h"
#include "kernels/device/label.h"

__kernel void romix_plain(__constant struct sm_romix_job *job, __global uint4 *scratch, __global uint4 *labels)
{
    const uint item = (uint)get_global_id(0);
    const size_t stride = (size_t)job->width * 8;
    __global uint4 *v = scratch + (size_t)item * 8;
    struct password p;
    struct chunk x;
    password_of(&p, job, item);
    label_begin(x.r, &p, 0);
    label_begin(x.r + 4, &p, 1);
    for (uint i = 0; i < SCRYPT_N; i++) {
        if (i % 2 == 0) {
            __global uint4 *row = v + i / 2 * stride;
#pragma unroll
            for (int z = 0; z < 8; z++) row[z] = x.r[z];
        }
        chunk_mix(&x);
    }
    for (uint i = 0; i < SCRYPT_N; i++) {
        const uint j = x.r[4].x & (SCRYPT_N - 1u); /* word 16 */
        const __global uint4 *row = v + j / 2 * stride;
        struct chunk y;
#pragma unroll
        for (int z = 0; z < 8; z++) y.r[z] = row[z];
        if (j % 2) chunk_mix(&y);
#pragma unroll
        for (int z = 0; z < 8; z++) x.r[z] ^= y.r[z];
        chunk_mix(&x);
    }
    ulong salt[16];
#pragma unroll
    for (int z = 0; z < 8; z++) {
        const ulong2 pair = as_ulong2(x.r[z]);
        salt[2 * z] = pair.x;
        salt[2 * z + 1] = pair.y;
    }
    struct keccak s;
    pbkdf2_last(&s, &p, salt);
    labels[2 * (size_t)item] = as_uint4((ulong2)(s.a[0], s.a[1]));
    labels[2 * (size_t)item + 1] = as_uint4((ulong2)(s.a[2], s.a[3]));
}
