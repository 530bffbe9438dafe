/* kernels/shared/scan_job.h: one launch of the label scan, as host and device see it.
 * Fixed-width members, explicit padding. Included by OpenCL C and by C17. */
#ifndef SM_KERNELS_SCAN_JOB_H
#define SM_KERNELS_SCAN_JOB_H

#ifdef __OPENCL_VERSION__
typedef uint sm_k_scan_u32;
typedef ulong sm_k_scan_u64;
#else
#include <stdint.h>
typedef uint32_t sm_k_scan_u32;
typedef uint64_t sm_k_scan_u64;
#endif

/* Words of an expanded key: 11 round keys, little-endian. */
#define SM_SCAN_KEY_WORDS 44

/* The labels [first, first + count) of the buffer. Those of the witness window are judged by an easier difficulty, so
 * that they always give something to compare with the processor's results. */
struct sm_scan_launch {
    sm_k_scan_u64 lsb;         /* 56 bits */
    sm_k_scan_u64 witness_lsb; /* 56 bits, at least lsb */
    sm_k_scan_u32 first, count;
    sm_k_scan_u32 witness_first, witness_n;
    sm_k_scan_u32 groups_n;
    sm_k_scan_u32 msb;
    sm_k_scan_u32 hits_max; /* more are counted and not stored */
    sm_k_scan_u32 pad;
};

/* One hit: position of the label in the buffer, and 16 * (position of the group in the job) + offset. */
struct sm_scan_found {
    sm_k_scan_u32 label, nonce;
};

#ifndef __OPENCL_VERSION__
_Static_assert(sizeof(struct sm_scan_launch) == 48, "host and device must agree");
_Static_assert(sizeof(struct sm_scan_found) == 8, "host and device must agree");
#endif

#endif
