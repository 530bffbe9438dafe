/* rpc/timers.h: a priority queue of points in time. Its nodes live in their owners' structs, so nothing here allocates and
 * nothing can fail. Setting and clearing cost O(log n) amortised. One thread. */
#ifndef SM_RPC_TIMERS_H
#define SM_RPC_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

struct sm_loop_timer {
    void (*fn)(
        void *ctx); /* the timer is no longer set when it is called; it may be set again, or its memory released */
    void *ctx;
    struct { /* private; all zero: not set */
        bool set;
        uint64_t at_ns;
        uint64_t order;                            /* of setting; settles ties */
        struct sm_loop_timer *child, *next, *prev; /* pairing heap; prev: left sibling, or parent of a first child */
    } heap;
};

struct sm_timers {
    struct sm_loop_timer *root; /* the earliest; NULL: none */
    uint64_t order;
};

/* Sets, or moves, the timer. Timers of one time come out in the order in which they were set. */
void sm_timers_set(struct sm_timers *h, struct sm_loop_timer *t, uint64_t at_ns);
/* Does nothing when the timer is not set. */
void sm_timers_clear(struct sm_timers *h, struct sm_loop_timer *t);

#endif
