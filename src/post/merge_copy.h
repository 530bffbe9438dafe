/* post/merge_copy.h: copying one file so that it is either whole and proven or not there. Private to merge*.c. */
#ifndef SM_POST_MERGE_COPY_H
#define SM_POST_MERGE_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "util/cancel.h"
#include "util/err.h"

struct sm_merge_progress {
    void (*fn)(void *ctx, const char *file, uint64_t done, uint64_t total); /* may be NULL */
    void *ctx;
    uint64_t done, total;
};

/* Copies `bytes` of `from` to `to` by way of `tmp` in the directory of `to`. SM_E_MISMATCH when `to` exists, SM_E_IO
 * when the copy does not read back as written. On failure `tmp` is removed. */
SM_MUST_CHECK sm_err sm_merge_copy(const char *from, const char *tmp, const char *to, uint64_t bytes,
                                   const struct sm_cancel *cancel, struct sm_merge_progress *progress,
                                   struct sm_errinfo *ei);

/* Cheap comparison of two files of one size: both ends and places in between. */
SM_MUST_CHECK sm_err sm_merge_look_equal(const char *a, const char *b, uint64_t bytes, bool *out,
                                         struct sm_errinfo *ei);

#endif
