#include "util/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

unsigned sm_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        const int n = CPU_COUNT(&set);
        if (n > 0) return (unsigned)n;
    }
    const long n = sysconf(_SC_NPROCESSORS_ONLN); /* more than CPU_SETSIZE processors */
    return n > 0 ? (unsigned)n : 1;
}

bool sm_thread_pin(unsigned cpu)
{
    if (cpu >= CPU_SETSIZE) return false;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0;
}

struct run {
    void (*fn)(void *ctx, unsigned index);
    void *ctx;
    unsigned index;
    pthread_t thread;
    bool started;
};

static void *run_main(void *arg)
{
    struct run *r = arg;
    r->fn(r->ctx, r->index);
    return NULL;
}

void sm_threads_run(unsigned n, void (*fn)(void *ctx, unsigned index), void *ctx)
{
    struct run *runs = n > 1 ? calloc(n, sizeof *runs) : NULL;
    for (unsigned i = 1; runs && i < n; i++) {
        runs[i] = (struct run){.fn = fn, .ctx = ctx, .index = i};
        runs[i].started = pthread_create(&runs[i].thread, NULL, run_main, &runs[i]) == 0;
    }
    if (n) fn(ctx, 0);
    for (unsigned i = 1; i < n; i++)
        if (!runs || !runs[i].started) fn(ctx, i);
    for (unsigned i = 1; runs && i < n; i++)
        if (runs[i].started) (void)pthread_join(runs[i].thread, NULL);
    free(runs);
}
