#include "util/clock.h"

#include <errno.h>
#include <time.h>

uint64_t sm_clock_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * SM_NS_PER_S + (uint64_t)ts.tv_nsec;
}

int64_t sm_clock_wall_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec;
}

void sm_clock_sleep_ns(uint64_t ns)
{
    struct timespec ts = {.tv_sec = (time_t)(ns / SM_NS_PER_S), .tv_nsec = (long)(ns % SM_NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR) {}
}
