/* post/shrink.h: making a data set smaller: the only code that removes labels, and only when asked by name.
 * Source: post.md §3.9. */
#ifndef SM_POST_SHRINK_H
#define SM_POST_SHRINK_H

#include <stdint.h>

#include "util/err.h"

/* What would be removed. */
struct sm_shrink_plan {
    uint32_t from_units, to_units; /* equal: finishing an interrupted shrink, or undoing an unfinished grow */
    uint64_t files_removed;
    uint64_t bytes_removed; /* including the cut of the new last file */
    uint64_t cut_file;      /* number of the file cut, valid when cut_bytes_after is not 0 */
    uint64_t cut_bytes_after;
};
/* Changes nothing. SM_E_ARG: to_units is 0 or above the metadata's, or nothing of this subset would be left.
 * SM_E_NOTFOUND: no directory or no metadata. SM_E_FORMAT: metadata we may not write. */
SM_MUST_CHECK sm_err sm_shrink_plan(const char *dir, uint32_t to_units, struct sm_shrink_plan *out,
                                    struct sm_errinfo *ei);
/* Takes the exclusive lock, lowers num_units in the metadata durably first, then removes from the end. Repeatable after
 * a crash at any point. Where a data file is a link, the file it leads to goes, then the link. The VRF nonce stays: the
 * difficulty only gets easier. SM_E_BUSY, SM_E_IO besides the plan's. */
SM_MUST_CHECK sm_err sm_shrink_run(const char *dir, uint32_t to_units, struct sm_errinfo *ei);

#endif
