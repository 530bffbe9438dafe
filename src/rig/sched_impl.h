/* rig/sched_impl.h: what the scheduler's files share; nobody else includes it.
 *
 *   sched.c       events: requests, gates, ends, retries
 *   sched_view.c  what the displays show
 *   sched_eta.c   when the proofs will be there */
#ifndef SM_RIG_SCHED_IMPL_H
#define SM_RIG_SCHED_IMPL_H

#include "rig/sched.h"

typedef enum sched_need { NEED_NONE, NEED_CPU, NEED_DISK } sched_need;

struct sm_sched_id {
    struct sm_sched *s;
    void *owner;
    struct sm_sched_identity what;
    bool paused;

    /* what is asked for */
    bool has_challenge;
    struct sm_challenge challenge;
    uint64_t seq, deadline_ns;
    unsigned tries;
    bool done;            /* `last` answers it */
    bool failed;          /* and the node does not know yet */
    bool give_up;         /* the operator's cancel waits for the run to end */
    bool warned;          /* that it will be late */
    char why[256];        /* of the last failure */
    uint64_t retry_at_ns; /* SM_SCHED_NEVER: no retry is due */

    /* the run; it may still be that of an older challenge */
    bool running, stopping;
    struct sm_challenge run_challenge;
    sched_need hold, wish; /* at most one of them */
    bool gated;            /* passed the first gate: the proof was not in the store */
    bool verifying;
    struct sm_prove_progress progress;
    uint64_t hashes_done; /* of this run */
    struct sm_meter bytes, hashes;
    const struct sm_meter *metered; /* by the last progress; NULL: none, waiting does not count */

    struct { /* sched_eta.c: good while s->planned */
        int turn;
        bool placed;
        double end_s; /* from now; negative: unknown */
    } plan;

    bool has_last;
    bool delivered; /* `last`, in this process; last.fetched remembers earlier ones too */
    struct sm_stored_proof last;
};

struct sm_sched {
    struct sm_sched_cfg cfg;
    struct sm_sched_ops ops;
    void *ctx;
    struct sm_sched_id **ids; /* [n]; sorted by urgency in dispatch */
    size_t n, room;
    uint64_t seq;
    bool shutdown;
    bool planned; /* nothing has changed since the last plan */
    struct sm_sched_counts counts;
};

static inline bool sm_sched_active(const struct sm_sched_id *id)
{
    return id->has_challenge && !id->done && !id->failed;
}
void sm_sched_sort(struct sm_sched *s); /* the most urgent first */

/* Seconds until the proof, waiting included; negative: unknown. */
double sm_sched_eta(const struct sm_sched_id *id);

#endif
