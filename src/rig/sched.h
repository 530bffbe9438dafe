/* rig/sched.h: which identity works on what, and when. Source: post-service.md §2.8, 2.9, 9.4; the rules are ours.
 *
 * A machine without threads, clock or I/O: events come in with the time, and it tells what to do through a table of
 * callbacks. The rig drives it under one lock, tests with a clock of their own.
 *
 *   request ── start ──> a run looks for the stored proof, then proves; before each phase it asks at a gate:
 *     K2POW   one identity at a time: it takes all processors, and the RandomX dataset is shared
 *     SCAN    one identity per disk: two readers on one spindle are slower than one after the other
 *     VERIFY  at once
 *
 * So the k2pow of one identity overlaps with the disk pass of another. Whoever waits is served by deadline, then by
 * arrival; nobody is overtaken at a disk. A failure that may pass is tried again SM_SCHED_RETRIES times (OUR-7), then
 * answered with ERROR once, and the identity is idle. A new challenge replaces the old one (OUR-6), but the zero
 * challenge of a first proof never replaces another. */
#ifndef SM_RIG_SCHED_H
#define SM_RIG_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/prove.h"
#include "rig/meter.h"
#include "rig/proofs.h"
#include "util/err.h"

#define SM_SCHED_RETRIES 3u
#define SM_DISKS_MAX     32u /* of one data set; ours: more are cut off when they are found */
#define SM_DISK_ROOM     64u /* bytes of a disk's name */
#define SM_SCHED_NEVER   UINT64_MAX

/* The disks that reading a data set keeps busy. */
struct sm_disks {
    char name[SM_DISKS_MAX][SM_DISK_ROOM];
    size_t n;
};
bool sm_disks_shared(const struct sm_disks *a, const struct sm_disks *b);

struct sm_sched;
struct sm_sched_id; /* an identity in it */

/* Called inside the sm_sched_... calls: must not call back. `owner` is the caller's, of sm_sched_add. */
struct sm_sched_ops {
    /* Begins a run: look for a stored proof, prove, and finally tell sm_sched_ended. A failure is handled like one of
     * the run. */
    sm_err (*start)(void *ctx, void *owner, const struct sm_challenge *challenge, struct sm_errinfo *ei);
    void (*stop)(void *ctx, void *owner);  /* the run shall end soon, with what it has saved */
    void (*grant)(void *ctx, void *owner); /* the gate where the run waits is open */
    /* Told once per challenge, in time to do something about it: the proof will be late. */
    void (*late)(void *ctx, void *owner, double eta_s, double left_s);
};

struct sm_sched_cfg {
    unsigned scans_max; /* disk passes at once; 0 = one per disk */
    uint64_t retry_ns[SM_SCHED_RETRIES];
};
extern const uint64_t sm_sched_retry_ns[SM_SCHED_RETRIES];

SM_MUST_CHECK sm_err sm_sched_new(const struct sm_sched_cfg *cfg, const struct sm_sched_ops *ops, void *ctx,
                                  struct sm_sched **out, struct sm_errinfo *ei);
void sm_sched_free(struct sm_sched *s); /* accepts NULL; no run is left */

struct sm_sched_identity {
    struct sm_disks disks;
    uint64_t bytes;     /* of its labels */
    double hashes;      /* that the k2pow of a pass takes on average; 0 = unknown */
    uint64_t window_ns; /* from the first request of a challenge to its deadline; 0 = unknown */
    bool paused;
    bool was_asked; /* before: for this challenge, first at that time, which may be negative (before the last boot) */
    struct sm_challenge asked_for;
    int64_t asked_ns;
};
SM_MUST_CHECK sm_err sm_sched_add(struct sm_sched *s, const struct sm_sched_identity *what, void *owner,
                                  struct sm_sched_id **out, struct sm_errinfo *ei);
/* Only while no run is left (sm_sched_running). */
void sm_sched_remove(struct sm_sched_id *id);
void sm_sched_change(struct sm_sched_id *id, const struct sm_sched_identity *what); /* from the next wait on */
bool sm_sched_running(const struct sm_sched_id *id);

/* ---- what a node asks ---- */

typedef enum sm_sched_answer { SM_SCHED_IN_PROGRESS, SM_SCHED_HAVE, SM_SCHED_ERROR } sm_sched_answer;
/* Starts, polls or replaces. HAVE: *out is lent until the next event. ERROR: *why is lent likewise; told once. */
sm_sched_answer sm_sched_request(struct sm_sched_id *id, const struct sm_challenge *challenge, uint64_t now_ns,
                                 const struct sm_stored_proof **out, const char **why);
/* The proof for `challenge` arrived. The proof to be marked on disk, when that is news; else NULL. */
const struct sm_stored_proof *sm_sched_fetched(struct sm_sched_id *id, const struct sm_challenge *challenge);

/* ---- what the operator asks ---- */

void sm_sched_pause(struct sm_sched_id *id);
void sm_sched_resume(struct sm_sched_id *id, uint64_t now_ns);
/* Gives the challenge up: the node is told ERROR once. False when there is nothing to give up. */
bool sm_sched_cancel(struct sm_sched_id *id);

/* ---- what a run tells ---- */

void sm_sched_gate(struct sm_sched_id *id, sm_prove_phase phase, uint64_t now_ns);
bool sm_sched_waiting(const struct sm_sched_id *id); /* at a gate that is not open yet */
void sm_sched_progress(struct sm_sched_id *id, const struct sm_prove_progress *p, uint64_t now_ns);
/* How a run ended. */
struct sm_sched_end {
    sm_err err;
    const char *text;                    /* why, when err */
    const struct sm_stored_proof *proof; /* copied; NULL when err */
    bool recalled;                       /* it was in the store: nothing was computed */
};
void sm_sched_ended(struct sm_sched_id *id, const struct sm_sched_end *end, uint64_t now_ns);

/* ---- time ---- */

uint64_t sm_sched_next_ns(const struct sm_sched *s); /* when tick is due; SM_SCHED_NEVER */
void sm_sched_tick(struct sm_sched *s, uint64_t now_ns);
/* No run is started from now on; those that run are told to stop. */
void sm_sched_shutdown(struct sm_sched *s);

/* ---- views ---- */

typedef enum sm_sched_phase {
    SM_SCHED_IDLE,
    SM_SCHED_QUEUED, /* waits for a gate, a retry, or its worker */
    SM_SCHED_RANDOMX,
    SM_SCHED_K2POW,
    SM_SCHED_READING,
    SM_SCHED_VERIFYING,
    SM_SCHED_DONE,   /* the proof is there */
    SM_SCHED_FAILED, /* and the node does not know yet */
} sm_sched_phase;
const char *sm_sched_phase_name(sm_sched_phase p); /* "idle", "queued", "randomx-init", … */

struct sm_sched_view {
    sm_sched_phase phase;
    bool paused, has_challenge, waits_for_disk;
    struct sm_challenge challenge;
    char message[256]; /* what it waits for, or why it failed; may be empty */
    struct sm_prove_progress progress;
    struct sm_meter bytes, hashes;
    double eta_s;                       /* until the proof; negative: unknown */
    uint64_t deadline_ns;               /* SM_SCHED_NEVER: unknown */
    unsigned tries;                     /* failed ones for this challenge */
    const struct sm_stored_proof *last; /* NULL: none in this process */
};
void sm_sched_look(const struct sm_sched_id *id, uint64_t now_ns, struct sm_sched_view *out);

/* Wants the processors, or has them: the RandomX dataset is still needed. */
bool sm_sched_wants_randomx(const struct sm_sched *s);
/* Something was delivered in this process, and nothing asked for is unfinished or undelivered. */
bool sm_sched_all_delivered(const struct sm_sched *s);
struct sm_sched_counts {
    uint64_t made, recalled, failed, retried, delivered;
};
struct sm_sched_counts sm_sched_counts(const struct sm_sched *s);

#endif
