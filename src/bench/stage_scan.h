/* bench/stage_scan.h: what the scans of processors and devices share; only the stages include it. */
#ifndef SM_BENCH_STAGE_SCAN_H
#define SM_BENCH_STAGE_SCAN_H

#include "crypto/aes.h"

/* malloc'd, n entries with random keys; NULL when out of memory. */
struct sm_scan_group *sm_bench_random_groups(uint32_t n);

#endif
