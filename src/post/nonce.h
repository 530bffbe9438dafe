/* post/nonce.h: the VRF nonce in files that exist. Source: post.md §2.5, with our rule: the smaller label stays. */
#ifndef SM_POST_NONCE_H
#define SM_POST_NONCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/layout.h"
#include "util/cancel.h"
#include "util/err.h"

struct sm_nonce_result {
    bool found;     /* a valid nonce is known afterwards */
    bool changed;   /* the metadata got a new one, or the missing value of the old one; dry run: would have */
    uint64_t nonce; /* this and label: valid when found */
    uint8_t label[32];
    uint64_t labels_scanned;
    bool previous_invalid;                 /* the metadata had a nonce whose label is not below the difficulty */
    uint64_t files_missing;                /* of those asked for, absent or short */
    uint64_t labels_corrupt;               /* came up as candidates but are not what they should be: run a full check */
    uint64_t corrupt_file, corrupt_offset; /* the first of them, in bytes */
};
struct sm_nonce_cfg {
    const char *dir;
    uint32_t scrypt_n;           /* 0 = what the directory says */
    uint64_t from_file, to_file; /* SM_LAYOUT_ALL = default */
    bool dry_run;
    void (*progress)(void *ctx, uint64_t labels_done, uint64_t labels_total); /* caller's thread; may be NULL */
    void *progress_ctx;
};
/* Reads every label of the files asked for once, in order. A candidate counts only when its full label, recomputed, is
 * below the difficulty and below the best so far; the existing nonce takes part when it is valid. The metadata is saved
 * after each file that held a better one, and before a failure or cancellation is returned.
 *
 * SM_E_NOTFOUND  no metadata, or none of the files
 * SM_E_MISMATCH  scrypt N contradicts the directory or its labels
 * SM_E_FORMAT    more than SM_NONCE_CORRUPT_MAX corrupt candidates: the text names the first
 * SM_E_BUSY, SM_E_IO, SM_E_CANCELLED (within 100 ms). Worker threads only. */
#define SM_NONCE_CORRUPT_MAX 64u
SM_MUST_CHECK sm_err sm_nonce_search(const struct sm_nonce_cfg *cfg, const struct sm_cancel *cancel,
                                     struct sm_nonce_result *out, struct sm_errinfo *ei);

#endif
