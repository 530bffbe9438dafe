/* util/clock.h: time. Monotonic nanoseconds for durations and deadlines; wall clock for display only. */
#ifndef SM_UTIL_CLOCK_H
#define SM_UTIL_CLOCK_H

#include <stdint.h>

#define SM_NS_PER_S 1000000000ull
#define SM_NS_PER_MS 1000000ull

uint64_t sm_clock_ns(void);      /* CLOCK_MONOTONIC */
int64_t sm_clock_wall_s(void);   /* seconds since 1970 UTC */
void sm_clock_sleep_ns(uint64_t ns); /* at least ns, restarted after signals */

static inline double sm_clock_seconds_since(uint64_t start_ns)
{
    return (double)(sm_clock_ns() - start_ns) / (double)SM_NS_PER_S;
}

#endif
