/* libpost/impl.h: what the files of this folder share. Only what post.h declares is visible outside of the library. */
#ifndef SM_LIBPOST_IMPL_H
#define SM_LIBPOST_IMPL_H

#pragma GCC visibility push(default)
#include "libpost/post.h"
#pragma GCC visibility pop

#include <stdbool.h>

#include "crypto/randomx.h"
#include "gpu/labeler.h"
#include "util/err.h"

#define SM_LIBPOST_VERSION "0.7.13" /* the release whose interface this is; callers match 0\.7\.(\d+): post.md §9 */

/* Says why a call failed. */
void sm_libpost_failed(const char *function, const struct sm_errinfo *ei);

/* The graphics devices that can be used, in the order of their provider ids; malloc'd. */
SM_MUST_CHECK sm_err sm_libpost_gpus(struct sm_gpu_device **out, size_t *out_n, struct sm_errinfo *ei);

/* N as our engine takes it. `round`: another number is lowered to a power of two, as verification does (post.md §6.2).
 * SM_E_ARG: N out of range, r or p other than 1. */
SM_MUST_CHECK sm_err sm_libpost_scrypt_n(ScryptParams s, bool round, uint32_t *out, struct sm_errinfo *ei);

struct sm_randomx_cfg sm_libpost_randomx(RandomXFlag flags);

#endif
