/* postsvc/timers.h: which of many things is due first. A binary heap of timers that live in their owners; thousands of
 * registrations are polled every two seconds, so nothing here is linear. One thread. */
#ifndef SM_POSTSVC_TIMERS_H
#define SM_POSTSVC_TIMERS_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct sm_post_timer { /* zero-initialise */
    uint64_t at_ns;
    size_t place; /* in the heap, from 1; 0: not set */
    void (*due)(void *owner, uint64_t now_ns);
    void *owner;
};

struct sm_post_timers { /* zero-initialise */
    struct sm_post_timer **heap;
    size_t n, room;
};

/* Makes room for `n` timers altogether, so that setting never fails. */
SM_MUST_CHECK sm_err sm_post_timers_reserve(struct sm_post_timers *h, size_t n, struct sm_errinfo *ei);
void sm_post_timers_fini(struct sm_post_timers *h);

/* Sets or moves. At most as many as reserved are set at a time. */
void sm_post_timer_set(struct sm_post_timers *h, struct sm_post_timer *t, uint64_t at_ns);
void sm_post_timer_clear(struct sm_post_timers *h, struct sm_post_timer *t);
/* UINT64_MAX when none is set. */
uint64_t sm_post_timers_next(const struct sm_post_timers *h);
/* Clears and calls what is due, earliest first; due() may set and clear any. */
void sm_post_timers_run(struct sm_post_timers *h, uint64_t now_ns);

#endif
