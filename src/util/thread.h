/* util/thread.h: how many processors we may use, running a function on several threads, pinning. */
#ifndef SM_UTIL_THREAD_H
#define SM_UTIL_THREAD_H

#include <stdbool.h>

#include "util/err.h"

/* Processors this process may run on (affinity mask), at least 1. */
unsigned sm_cpu_count(void);

/* Pins the calling thread to one processor (by number as the kernel counts). False if refused. */
bool sm_thread_pin(unsigned cpu);

/* Runs fn(ctx, 0) … fn(ctx, n - 1), each on a thread of its own (index 0 on the caller's), and returns when
 * all have returned. Fewer threads are started when the system refuses more; the remaining indices then run
 * on the caller afterwards, so every index runs exactly once: fn must not wait for its siblings. */
void sm_threads_run(unsigned n, void (*fn)(void *ctx, unsigned index), void *ctx);

#endif
