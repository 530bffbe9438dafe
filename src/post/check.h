/* post/check.h: comparing the labels on disk with what they should be, and repairing them. Source: post.md §3.8.
 *
 * Ours differs from the reference: every bad range is listed instead of the first; every file gives at least one label
 * to a sample, however small the fraction; files that are missing, short or too long are problems, not failures. */
#ifndef SM_POST_CHECK_H
#define SM_POST_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/label.h"
#include "post/layout.h"
#include "util/cancel.h"
#include "util/err.h"

struct sm_check_bad {
    uint64_t file, offset, labels;
}; /* a run of bad labels: byte offset in the file, count */
struct sm_check_cfg {
    const char *dir;
    uint32_t scrypt_n;           /* 0 = what the directory says */
    uint64_t from_file, to_file; /* SM_LAYOUT_ALL = default */
    double fraction; /* percent of the labels of each file, above 0, at least one label each; 100 = all, in order.
                         * A sample is one uniformly random label of each of as many equal slices of the file. */
    uint64_t seed;   /* of the sample; 0 = random */
    bool repair;     /* rewrite bad labels in place (exclusive lock); only with fraction 100 are all found */
    struct sm_label_engine *engines; /* for fraction 100; taken over, also on failure; none: all processors */
    size_t engines_n;
    void (*progress)(void *ctx, uint64_t labels_done, uint64_t labels_total, uint64_t bad); /* caller's thread */
    void *progress_ctx;
};
struct sm_check_result {
    uint64_t labels_checked, labels_bad, labels_repaired;
    struct sm_check_bad *bad; /* every range, sorted, merged when adjacent; owned */
    size_t bad_n;
    bool bad_more;        /* there are more ranges than SM_CHECK_RANGES_MAX; labels_bad counts them all */
    char **file_problems; /* sentences: missing, short, unreadable files; owned */
    size_t file_problems_n;
};
#define SM_CHECK_RANGES_MAX (1u << 20) /* ours: 24 MiB */

/* SM_OK also when labels are bad or files are missing: the verdict is in the result. A part of a file that cannot be
 * read is a file problem, and the rest of that file is not checked.
 *
 * Bad labels found by an engine that is not `trusted` are recomputed on the processor before they count. Repair writes
 * only labels computed there, or confirmed there, flushes them, reads them back from the disk and counts what is right
 * then; it neither creates nor lengthens files (that is init). After a repair the VRF nonce should be searched again.
 *
 * SM_E_NOTFOUND no directory or metadata; SM_E_MISMATCH another N; SM_E_ARG; SM_E_BUSY; SM_E_CANCELLED; SM_E_IO and
 * SM_E_NOSPACE when a repair cannot be written. Memory: 3 MiB beside the engines'. Worker threads only. */
SM_MUST_CHECK sm_err sm_check_run(const struct sm_check_cfg *cfg, const struct sm_cancel *cancel,
                                  struct sm_check_result *out, struct sm_errinfo *ei);
void sm_check_result_fini(struct sm_check_result *r);

#endif
