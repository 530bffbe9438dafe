/* poet/ticks.h: what a PoET proof is worth: ticks, heights, weights. Source: our spec, wire.md §4.6.
 * Values that do not fit their type are the sender's fault: SM_E_FORMAT, results untouched. */
#ifndef SM_POET_TICKS_H
#define SM_POET_TICKS_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* floor(leaf count / tick size); tick_size > 0. */
uint64_t sm_poet_ticks(uint64_t leaf_count, uint64_t tick_size);

/* One proof of an ATX: its ticks and the units whose posts refer to it. */
struct sm_poet_share {
    uint64_t ticks;
    const uint32_t *units; /* effective, one per post */
    size_t units_n;
};
struct sm_atx_worth {
    uint64_t ticks;       /* smallest of the proofs */
    uint64_t tick_height; /* base height + ticks */
    uint32_t units;       /* of all posts */
    uint64_t weight;      /* sum over proofs of units * ticks */
};
/* Version 1 is one share with one post. shares_n = 0 is SM_E_ARG. */
SM_MUST_CHECK sm_err sm_atx_worth(uint64_t base_height, const struct sm_poet_share *shares, size_t shares_n,
                                  struct sm_atx_worth *out, struct sm_errinfo *ei);

#endif
