/* post/init.h: filling a data directory with labels: start, resume, subsets, VRF nonce; grow. Source: post.md §2.3-2.4,
 * 3.5, 3.7, 3.9. Nothing on disk is ever shortened except a partial label at the end of a file. */
#ifndef SM_POST_INIT_H
#define SM_POST_INIT_H

#include <stdbool.h>
#include <stdint.h>

#include "post/check.h"
#include "post/ids.h"
#include "post/label.h"
#include "post/merge.h"
#include "post/nonce.h"
#include "post/shrink.h"
#include "post/spread.h"
#include "util/cancel.h"
#include "util/err.h"

typedef enum sm_init_phase {
    SM_INIT_CHECKING, /* verifying the labels on disk before appending */
    SM_INIT_WRITING,
    SM_INIT_SEARCHING, /* VRF nonce beyond the data, or in old files after growing */
    SM_INIT_DONE,
} sm_init_phase;

struct sm_init_progress {
    sm_init_phase phase;
    uint64_t labels_done, labels_total; /* of this subset, including those found on disk */
    uint64_t labels_at_start;           /* found on disk */
    uint64_t file, file_labels_done, file_labels_total, files_total;
    uint64_t searched; /* labels searched beyond the data */
    bool has_nonce;
    uint64_t nonce;
};
/* Called on the thread that runs the initialization, about ten times a second and at every change of phase. */
typedef void (*sm_init_progress_fn)(void *ctx, const struct sm_init_progress *p);

struct sm_init_cfg {
    const char *dir; /* created (0700) when missing; its parent must exist */
    struct sm_node_id node_id;
    struct sm_atx_id commitment_atx_id;
    uint64_t labels_per_unit;
    uint32_t num_units;
    uint64_t max_file_size; /* new data: a multiple of 128, >= 1024 */
    uint32_t scrypt_n;
    uint64_t from_file, to_file;     /* SM_LAYOUT_ALL = default */
    const struct sm_spread_want *also; /* more directories, one per disk: post/spread.h */
    size_t also_n;
    bool same_disk; /* several of them on one file system are meant */
    struct sm_label_engine *engines; /* taken over, also on failure */
    size_t engines_n;
    uint64_t checkpoint_bytes; /* fsync interval; 0 = default 256 MiB */
    uint32_t recheck_labels;   /* labels at the end of the data re-verified on resume; 0 = default 16 */
    bool direct_io;            /* try O_DIRECT for full blocks */
    bool (*paused)(void *ctx); /* as in struct sm_label_farm_cfg; may be NULL */
    void *paused_ctx;
    bool (*rests)(void *ctx, const char *device); /* likewise */
    void *rests_ctx;
    bool grow; /* num_units may exceed the metadata's: see sm_init_run */
    sm_init_progress_fn progress;
    void *progress_ctx;
};

struct sm_init_result {
    uint64_t labels_written;  /* now */
    uint64_t bytes_truncated; /* odd tails removed, 0 … 15 per file */
    bool has_nonce;
    uint64_t nonce;
    uint8_t nonce_label[32];
    bool complete; /* every file of the subset is complete */
    struct sm_label_engine_stats engines[64];
    size_t engines_n;
};

/* Starts or resumes. Refusals, all before anything is written:
 *   SM_E_MISMATCH  an option contradicts the metadata or side file (both values in the text), a larger num_units without
 *                  grow, a smaller one always (that is `shrink`), scrypt N differs from what the stored labels prove,
 *                  files beyond the layout or longer than it says exist
 *   SM_E_BUSY      another process has the directory
 *   SM_E_NOSPACE   a file system has less room than the labels still to write there (text shows both)
 *   SM_E_IO        a directory of the data set is not there: its disk is not mounted
 *   SM_E_ARG       options out of range
 * While running: SM_E_NOSPACE, SM_E_IO (run again to resume), SM_E_CANCELLED (checkpointed).
 * Grow: files are extended first and the metadata gets the new num_units last, after the nonce was re-checked against
 * the new difficulty and searched again where it no longer satisfies it. */
SM_MUST_CHECK sm_err sm_init_run(const struct sm_init_cfg *cfg, const struct sm_cancel *cancel,
                                 struct sm_init_result *out, struct sm_errinfo *ei);

#endif
