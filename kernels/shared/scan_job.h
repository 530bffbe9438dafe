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

/* Keys are little-endian words. Of a nonce group: 11 round keys, then the state before the last round that would make
 * every byte equal to the difficulty's top byte; of a nonce (the second cipher): 11 round keys. */
#define SM_SCAN_KEY_ROWS  12
#define SM_SCAN_LAZY_ROWS 11

/* The bitsliced scan has a nonce group's keys as masks, 128 words per row, word 8 * byte + bit; rows 1 to 10 with the
 * S-box's constant already in them, which its S-box leaves out. */
#define SM_SCAN_MASK_ROW 128

/* A candidate is position << SM_SCAN_NONCE_BITS | nonce. */
#define SM_SCAN_NONCE_BITS 12
#define SM_SCAN_COUNT_MAX  (1u << (32 - SM_SCAN_NONCE_BITS))

/* The labels [first, first + count) of the buffer. Those of the witness window are judged by an easier difficulty, so
 * that they always give something to compare with the processor's results. */
struct sm_scan_launch {
    sm_k_scan_u64 lsb;         /* 56 bits */
    sm_k_scan_u64 witness_lsb; /* 56 bits, at least lsb */
    sm_k_scan_u32 first, count;
    sm_k_scan_u32 witness_first, witness_n;
    sm_k_scan_u32 groups_n;
    sm_k_scan_u32 msb;
    sm_k_scan_u32 hits_max;    /* more are counted and not stored */
    sm_k_scan_u32 unit_groups; /* nonce groups of a unit of work */
};

/* Zero before a launch. */
struct sm_scan_counts {
    sm_k_scan_u32 found;   /* hits, also those that found no room */
    sm_k_scan_u32 claimed; /* units of work handed out */
};

/* One hit: position of the label in the buffer, and 16 * (position of the group in the job) + offset. */
struct sm_scan_found {
    sm_k_scan_u32 label, nonce;
};

#ifndef __OPENCL_VERSION__
_Static_assert(sizeof(struct sm_scan_launch) == 48, "host and device must agree");
_Static_assert(sizeof(struct sm_scan_counts) == 8, "host and device must agree");
_Static_assert(sizeof(struct sm_scan_found) == 8, "host and device must agree");
#endif

#endif
