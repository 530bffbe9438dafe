/* post/merge.h: putting the subset directories of one data set together. Source: post.md §3.7. */
#ifndef SM_POST_MERGE_H
#define SM_POST_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cancel.h"
#include "util/err.h"

struct sm_merge_result {
    uint64_t files_moved, files_copied;
    uint64_t files_present; /* were in the target already, or came from another source first */
    bool has_nonce;
    uint64_t nonce;
    uint64_t files_missing; /* of the whole data set, after the merge: absent or short */
};
struct sm_merge_cfg {
    const char *const *sources; /* naming one directory twice, or the target, is harmless */
    size_t sources_n;
    const char *target; /* may be one of the sources, or new: created 0700 in an existing directory */
    bool move;          /* rename instead of copying where possible; sources keep their metadata */
    /* Bytes copied of all that are to be copied; `file` is the path being read. Caller's thread; may be NULL. */
    void (*progress)(void *ctx, const char *file, uint64_t done, uint64_t total);
    void *progress_ctx;
};
/* Renames within a file system (only with `move`, and never links), else copies: under another name, flushed, read back
 * and compared with what was read from the source (BLAKE3), then renamed; the source is kept. An existing file is never
 * overwritten. Everything that can be refused is, before anything is changed:
 *
 *   SM_E_MISMATCH  metadata or scrypt N of two directories disagree (other than in the nonce); a grow is unfinished; two
 *                  files of one number differ; a file is beyond the data set
 *   SM_E_NOTFOUND  a source or its metadata does not exist
 *   SM_E_NOSPACE   the copies do not fit; SM_E_BUSY
 *
 * Then the target gets metadata, with the nonce whose label is smallest (checked where scrypt N is known), then the
 * files one by one. Interrupted at any point (crash, SM_E_CANCELLED, SM_E_IO), the same call finishes it. */
SM_MUST_CHECK sm_err sm_merge_run(const struct sm_merge_cfg *cfg, const struct sm_cancel *cancel,
                                  struct sm_merge_result *out, struct sm_errinfo *ei);

#endif
