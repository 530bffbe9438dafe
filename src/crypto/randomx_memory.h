/* crypto/randomx_memory.h: private to randomx*.c: how much memory may be used before the kernel kills somebody. */
#ifndef SM_CRYPTO_RANDOMX_MEMORY_H
#define SM_CRYPTO_RANDOMX_MEMORY_H

#include <stdint.h>

/* The smaller of MemAvailable and what the control groups above this process (version 1 or 2) still allow, page cache
 * counted as free. UINT64_MAX when nothing is known. `root` is put before /proc and /sys: "" but in tests. */
uint64_t sm_randomx_memory_available(const char *root);

#endif
