/* device/label.h: the two ends of a label: what scrypt hashes, and what becomes of the result. */
#ifndef SM_KERNELS_LABEL_H
#define SM_KERNELS_LABEL_H

#include "kernels/shared/romix_job.h"
#include "kernels/device/keccak512.h"

static void password_of(struct password *p, __constant struct sm_romix_job *job, const uint label)
{
#pragma unroll
    for (int i = 0; i < 4; i++) p->lane[i] = job->commitment[2 * i] | ((ulong)job->commitment[2 * i + 1] << 32);
    p->lane[4] = job->first_label + label;
}

/* Rows of uint4 of X before ROMix, 4 * block to 4 * block + 3. */
static void label_begin(uint4 out[4], const struct password *p, const uint block)
{
    struct keccak s;
    pbkdf2_first(&s, p, block + 1);
#pragma unroll
    for (int z = 0; z < 4; z++) out[z] = as_uint4((ulong2)(s.a[2 * z], s.a[2 * z + 1]));
}

static ulong big_endian(const ulong v)
{
    return as_ulong(as_uchar8(v).s76543210);
}

/* Stores the first 16 bytes; lists all 32 when they are below the threshold, compared as byte strings. There is room
 * for a hit of every label. */
static void label_end(__constant struct sm_romix_job *job, const uint label, const struct keccak *s,
                      __global uint4 *labels, volatile __global uint *found, __global uint4 *hits)
{
    const uint4 low = as_uint4((ulong2)(s->a[0], s->a[1]));
    labels[label] = low;
    bool below = false, equal = true;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const ulong v = big_endian(s->a[i]), t = job->threshold[i];
        below = below || (equal && v < t);
        equal = equal && v == t;
    }
    if (!below) return;
    __global uint4 *hit = hits + 3 * (size_t)(1u + atomic_inc(found));
    hit[0] = (uint4)(label, 0, 0, 0);
    hit[1] = low;
    hit[2] = as_uint4((ulong2)(s->a[2], s->a[3]));
}

#endif
