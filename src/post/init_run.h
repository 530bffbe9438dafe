/* post/init_run.h: one initialization from refusal to result. Private to init*.c.
 *
 *   open    directory, lock, metadata, side file, files: everything that can be refused is, nothing is written
 *   prove   the labels on disk belong to this identity and N
 *   begin   odd tails go, metadata and side file exist
 *   scan    stored labels that the nonce does not cover yet
 *   write   the missing labels, in label order
 *   nonce   when the data set is complete and has none
 *   finish  metadata of a grown set, side file, backup
 *
 * The directory after a crash at any point and another run is the one an undisturbed run leaves: labels are a function
 * of their index, the nonce is the smallest label, and the side file's `searched` never promises a label that is not
 * durable or that the metadata's nonce does not cover; what is on disk behind it is scanned again. */
#ifndef SM_POST_INIT_RUN_H
#define SM_POST_INIT_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/datadir.h"
#include "post/init.h"
#include "post/sidecar.h"

/* Stored labels of one file of the subset; absent files have none. */
struct sm_init_part {
    uint64_t number;
    uint64_t bytes;  /* size of the file */
    uint64_t labels; /* whole and believed good: appending goes on here */
};

struct sm_init_run {
    const struct sm_init_cfg *cfg;
    const struct sm_cancel *cancel;
    struct sm_init_result *result;
    struct sm_dirlock lock;
    struct sm_commitment commitment;
    struct sm_layout layout; /* of cfg->num_units, with the subset */
    uint8_t difficulty[32];
    uint64_t checkpoint_bytes;

    bool has_meta, meta_from_backup;
    struct sm_metadata meta; /* as on disk */
    bool has_side;
    struct sm_sidecar side;     /* as on disk */
    struct sm_spread spread;    /* dirs_n > 1: the files are in several directories */
    bool spread_changed;        /* and the manifest does not say so yet */
    bool growing;               /* the metadata's num_units is still smaller than cfg->num_units */
    struct sm_init_part *parts; /* sorted; owned */
    size_t parts_n;

    struct sm_vrf_best best; /* smallest label below the difficulty known so far */
    bool rescan;             /* the nonce on disk says nothing about the stored labels: scan all of them */
    bool nonce_dropped;      /* the metadata's nonce is not one: forget it at the next save */
    struct sm_label_farm *farm;
    bool engines_taken;

    struct sm_init_progress progress;
    uint64_t reported_ns;
};

/* init_open.c */
SM_MUST_CHECK sm_err sm_init_open(struct sm_init_run *r, struct sm_errinfo *ei);
/* init_prove.c */
SM_MUST_CHECK sm_err sm_init_prove(struct sm_init_run *r, struct sm_errinfo *ei);
/* init_scan.c: stored labels of the subset from index `from` on. */
SM_MUST_CHECK sm_err sm_init_scan(struct sm_init_run *r, uint64_t from, struct sm_errinfo *ei);
/* init_write.c */
SM_MUST_CHECK sm_err sm_init_write(struct sm_init_run *r, struct sm_errinfo *ei);
/* First label that is missing, or the end of the subset. */
uint64_t sm_init_first_missing(const struct sm_init_run *r);
/* init_beyond.c */
SM_MUST_CHECK sm_err sm_init_search_beyond(struct sm_init_run *r, struct sm_errinfo *ei);

/* ---- shared helpers, init.c ---- */

uint64_t sm_init_subset_first(const struct sm_init_run *r);
uint64_t sm_init_subset_end(const struct sm_init_run *r);
/* Opens postdata_<number>.bin; `path` gets PATH_MAX bytes. */
SM_MUST_CHECK sm_err sm_init_open_file(const struct sm_init_run *r, uint64_t number, int flags, char *path, int *out_fd,
                                       struct sm_errinfo *ei);
/* Makes metadata and side file say: all labels below `searched` are durable and compared with `best`. Writes only what
 * changed. Any thread, one at a time. */
SM_MUST_CHECK sm_err sm_init_record(struct sm_init_run *r, uint64_t searched, const struct sm_vrf_best *best,
                                    struct sm_errinfo *ei);
/* The farm of the engines, made when first needed. */
SM_MUST_CHECK sm_err sm_init_farm(struct sm_init_run *r, struct sm_errinfo *ei);
/* Calls the progress callback, at most ten times a second unless `now`. */
void sm_init_report(struct sm_init_run *r, bool now);

#endif
