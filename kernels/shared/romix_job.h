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
    sm_k_u32 commitment[8];   /* little-endian words */
    sm_k_u64 threshold[4];    /* 32 bytes, most significant word first: labels below it are hits; 0: none */
    sm_k_u64 first_label;
    sm_k_u32 count;           /* labels wanted; the rest of the last group computes for nothing */
    sm_k_u32 width;           /* labels the buffers have room for: stride of state */
    sm_k_u32 labels_per_part; /* labels served by one scratch buffer, whole groups of work items */
    sm_k_u32 pad[3];
};

/* A label below the threshold, in full. The first record of a batch is a header: `label` counts the hits. */
struct sm_romix_hit {
    sm_k_u32 label; /* position in the batch */
    sm_k_u32 pad[3];
    sm_k_u32 hash[8]; /* little-endian words of the 32 bytes */
};

#ifndef __OPENCL_VERSION__
_Static_assert(sizeof(struct sm_romix_job) == 96, "host and device must agree");
_Static_assert(sizeof(struct sm_romix_hit) == 48, "host and device must agree");
#endif

#endif
