/* poet/round.h: when PoET rounds begin and end, and what that means for an ATX. Pure arithmetic on seconds.
 *
 * Round r starts at genesis + phase shift + r * epoch and ends one cycle gap before the next. An ATX published in
 * epoch P is built on round P - 1. Source: our spec, poet-nipost.md §6; poet server/config.go @3bff648. */
#ifndef SM_POET_ROUND_H
#define SM_POET_ROUND_H

#include <stdint.h>

#include "util/err.h"

struct sm_round_times {
    int64_t genesis_s; /* Unix seconds, as all instants here */
    uint32_t epoch_s;  /* at least 1 */
    uint32_t phase_shift_s, cycle_gap_s, grace_period_s;
    uint32_t positioning_timeout_s; /* 0: no deadline of its own */
};

/* The round that registrations go into at `now_s`. */
uint64_t sm_round_open(const struct sm_round_times *t, int64_t now_s);

struct sm_round_schedule {
    uint32_t round;
    int64_t build_start_s;          /* of the challenge: choose the positioning ATX from here on */
    int64_t positioning_deadline_s; /* equals build_start_s without a timeout */
    int64_t start_s;                /* no registration afterwards */
    int64_t end_s;
    int64_t next_start_s;                   /* publish before it, or miss the next round */
    int64_t proof_deadline_s;               /* no proof is asked for afterwards; also the submit deadline */
    int64_t publish_start_s, publish_end_s; /* epoch P */
};
/* SM_E_ARG for epoch 0, which has no round. */
SM_MUST_CHECK sm_err sm_round_schedule(const struct sm_round_times *t, uint32_t publish_epoch,
                                       struct sm_round_schedule *out, struct sm_errinfo *ei);

/* Bounds of the random wait after the round's end before the proof is asked for, in milliseconds. */
void sm_round_query_jitter_ms(const struct sm_round_times *t, uint32_t *out_least, uint32_t *out_most);

#endif
