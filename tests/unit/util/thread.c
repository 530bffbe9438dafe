/* Running a function on several threads. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/thread.h"

struct tally {
    atomic_uint calls[64];
    pthread_t caller;
    atomic_bool zero_on_caller;
};

static void count(void *ctx, unsigned index)
{
    struct tally *t = ctx;
    atomic_fetch_add(&t->calls[index], 1);
    if (index == 0) atomic_store(&t->zero_on_caller, pthread_equal(pthread_self(), t->caller) != 0);
}

Test(thread, every_index_runs_once)
{
    static const unsigned sizes[] = {0, 1, 2, 7, 64};
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        struct tally t = {.caller = pthread_self()};
        sm_threads_run(sizes[k], count, &t);
        for (unsigned i = 0; i < 64; i++) cr_assert_eq(atomic_load(&t.calls[i]), i < sizes[k]);
        if (sizes[k]) cr_assert(atomic_load(&t.zero_on_caller));
    }
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static void *linger(void *arg)
{
    (void)arg;
    (void)pause();
    return NULL;
}

/* In a process without address space for a stack nor, unless root, the right to more threads; stacks that the library
 * kept from earlier threads are used up first. */
static int run_cramped(void)
{
    const struct rlimit none = {0, 0}, small = {.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
    struct tally t = {.caller = pthread_self()};
    if (setrlimit(RLIMIT_NPROC, &none) != 0 || setrlimit(RLIMIT_AS, &small) != 0) return 2;
    int started = 0;
    for (pthread_t p; started < 64 && pthread_create(&p, NULL, linger, NULL) == 0;) started++;
    if (started == 64) return 3;
    sm_threads_run(8, count, &t);
    for (unsigned i = 0; i < 8; i++)
        if (atomic_load(&t.calls[i]) != 1) return 1;
    return 0;
}

Test(thread, runs_even_when_no_thread_can_be_started)
{
#ifdef SANITIZED
    cr_skip_test("sanitizers need address space");
#endif
    const pid_t pid = fork();
    if (pid == 0) _exit(run_cramped());
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
}

Test(thread, processors)
{
    const unsigned n = sm_cpu_count();
    cr_assert_geq(n, 1);
    cr_assert_leq(n, (unsigned)sysconf(_SC_NPROCESSORS_CONF));
    cpu_set_t set;
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    unsigned first = 0;
    while (!CPU_ISSET(first, &set)) first++;
    cr_assert(sm_thread_pin(first));
    cr_assert_eq(sched_getcpu(), (int)first);
    cr_assert_eq(sm_cpu_count(), 1, "the affinity mask counts");
    cr_assert_not(sm_thread_pin(CPU_SETSIZE));
}
