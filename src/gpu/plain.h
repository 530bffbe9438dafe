/* gpu/plain.h: labels as the kernel in general use computes them, for comparison in benchmarks: one launch per batch,
 * lookup gap 2, one scratch buffer of as much memory as one allocation may have, and a host that waits for a batch,
 * looks at it, and only then begins the next.
 *
 * Source: our spec, post.md §8.2; kernels/romix_plain.cl. */
#ifndef SM_GPU_PLAIN_H
#define SM_GPU_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct sm_gpu_plain;
/* memory_cap_bytes 0: all that the device says it has. SM_E_NOTFOUND, SM_E_NOMEM, SM_E_DEVICE. */
SM_MUST_CHECK sm_err sm_gpu_plain_new(const char *device_id, uint32_t scrypt_n, uint64_t memory_cap_bytes,
                                      struct sm_gpu_plain **out, struct sm_errinfo *ei);
void sm_gpu_plain_free(struct sm_gpu_plain *g);
uint32_t sm_gpu_plain_width(const struct sm_gpu_plain *g);       /* labels of a batch */
const char *sm_gpu_plain_describe(const struct sm_gpu_plain *g); /* "baseline gap=2 wg=64 width=4096" */

/* One batch: `count` labels of 32 bytes, 1 to the width. SM_E_DEVICE. One call at a time. */
SM_MUST_CHECK sm_err sm_gpu_plain_run(struct sm_gpu_plain *g, const uint8_t commitment[32], uint64_t first,
                                      uint32_t count, uint8_t *out, struct sm_errinfo *ei);

#endif
