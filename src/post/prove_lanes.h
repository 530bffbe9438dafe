/* post/prove_lanes.h: reading a data set that is on several disks from all of them at once. Private to prove*.c.
 *
 * Each disk is a lane with a cursor over its files in order. Batches are scanned as they come, and what was found in one that
 * is ahead of the order of the labels is parked until the labels before it were merged: hits are few, so however far a
 * fast disk is ahead, it costs next to no memory, and the proof is the one that a single disk would have given. */
#ifndef SM_POST_PROVE_LANES_H
#define SM_POST_PROVE_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/aes.h"
#include "post/layout.h"
#include "util/err.h"

#define SM_PROVE_LANES_MAX 32u /* ours: disks beyond share the lanes of the others */

/* Which files are on which disk. */
struct sm_prove_disks {
    uint8_t *lane_of; /* [files]; owned; NULL: one lane */
    unsigned lanes_n; /* at least 1 */
};
/* devices[i]: st_dev of file i; read during the call only. */
SM_MUST_CHECK sm_err sm_prove_disks_init(struct sm_prove_disks *d, const uint64_t *devices, uint64_t files,
                                         struct sm_errinfo *ei);
void sm_prove_disks_fini(struct sm_prove_disks *d); /* accepts a zeroed one */

/* ---- what is read next ---- */

struct sm_prove_batch {
    uint64_t file, offset; /* bytes */
    uint64_t first_label;
    size_t labels;
    uint64_t next_label; /* of the data set: where the merge goes on behind this batch */
};

struct sm_prove_lanes {
    const struct sm_prove_disks *disks;
    struct sm_layout layout;
    bool whole_chunks; /* only whole chunks of 8 labels of a file take part */
    uint64_t limit;    /* nothing from this label on is handed out any more */
    struct {
        uint64_t file, label; /* inside the file */
    } at[SM_PROVE_LANES_MAX];
};
/* All lanes begin at `label` of the data set or behind it. */
void sm_prove_lanes_seek(struct sm_prove_lanes *l, const struct sm_prove_disks *disks, const struct sm_layout *layout,
                         bool whole_chunks, uint64_t label);
/* The lane's next batch, of at most so many labels (>= 1). False: it has none. */
bool sm_prove_lanes_cut(struct sm_prove_lanes *l, unsigned lane, size_t most, struct sm_prove_batch *out);
bool sm_prove_lanes_more(struct sm_prove_lanes *l, unsigned lane);
/* `label`, or the first one behind it that takes part; num_labels when there is none. */
uint64_t sm_prove_lanes_next(const struct sm_prove_lanes *l, uint64_t label);
void sm_prove_lanes_stop_at(struct sm_prove_lanes *l, uint64_t label); /* lowers the limit */
bool sm_prove_lanes_end(struct sm_prove_lanes *l);                     /* no lane has anything left */

/* ---- what is ahead ---- */

struct sm_prove_hit {
    uint64_t label;
    uint32_t nonce;
};

/* Merged batches side by side: [first, next). */
struct sm_prove_run {
    uint64_t first, next;
    struct sm_prove_hit *hits; /* by label, in the order of their batch; owned */
    size_t hits_n, hits_room;
    struct sm_prove_run *before, *behind;
};
struct sm_prove_parked { /* zero-initialise */
    struct sm_prove_run *head, *tail;
    uint64_t labels; /* in all runs */
};
/* Keeps the hits of a scanned batch, whose labels are counted from first_label. */
SM_MUST_CHECK sm_err sm_prove_park(struct sm_prove_parked *p, const struct sm_prove_batch *b,
                                   const struct sm_scan_hit *hits, size_t n, struct sm_errinfo *ei);
/* The run that begins at `label`, for sm_prove_run_free; NULL: it is not there yet. */
struct sm_prove_run *sm_prove_unpark(struct sm_prove_parked *p, uint64_t label);
void sm_prove_run_free(struct sm_prove_run *r);
void sm_prove_parked_fini(struct sm_prove_parked *p);

#endif
