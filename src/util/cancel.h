/* util/cancel.h: the flag with which one thread or a signal handler asks others to stop.
 * Lock-free and async-signal-safe; long work polls it at least every 100 ms. */
#ifndef SM_UTIL_CANCEL_H
#define SM_UTIL_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct sm_cancel {
    atomic_bool requested;
};

static inline void sm_cancel_request(struct sm_cancel *c)
{
    atomic_store_explicit(&c->requested, true, memory_order_release);
}

static inline bool sm_cancelled(const struct sm_cancel *c)
{
    return c && atomic_load_explicit(&((struct sm_cancel *)(size_t)c)->requested, memory_order_acquire);
}

#endif
