/* kernels/shared/romix_job.h: one batch of labels, as host and device see it.
 * Fixed-width members, explicit padding. Included by OpenCL C and by C17. */
#ifndef SM_KERNELS_ROMIX_JOB_H
#define SM_KERNELS_ROMIX_JOB_H

#ifdef __OPENCL_VERSION__
typedef uint sm_k_u32;
typedef ulong sm_k_u64;
#else
#include <stdint.h>
typedef uint32_t sm_k_u32;
typedef uint64_t sm_k_u64;
#endif

/* Scratch is split over up to this many buffers: OpenCL guarantees that one allocation may be a quarter of the
 * device's memory, so four reach all of it. */
#define SM_ROMIX_PARTS 4

/* Bytes of one ROMix row and of the state that survives between launches. */
#define SM_ROMIX_ROW_BYTES 128

struct sm_romix_job {
    sm_k_u32 commitment[8];  /* little-endian words */
    sm_k_u64 first_label;
    sm_k_u32 count;          /* items that compute; the rest of the last group is idle */
    sm_k_u32 width;          /* items the buffers have room for: stride of state and, per part, of scratch */
    sm_k_u32 items_per_part; /* items served by one scratch buffer, a multiple of the group size */
    sm_k_u32 pad;
};

#ifndef __OPENCL_VERSION__
_Static_assert(sizeof(struct sm_romix_job) == 56, "host and device must agree");
#endif

#endif
