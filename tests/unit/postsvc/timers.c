/* The heap of timers against a plain list. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

#include "postsvc/timers.h"

#define N 200

static struct sm_post_timer timers[N];
static uint64_t want[N]; /* UINT64_MAX: not set */
static uint64_t last;

static void due(void *owner, uint64_t now)
{
    struct sm_post_timer *t = owner;
    const size_t i = (size_t)(t - timers);
    cr_assert_eq(want[i], t->at_ns);
    cr_assert_leq(t->at_ns, now);
    cr_assert_geq(t->at_ns, last, "earliest first");
    last = t->at_ns;
    want[i] = UINT64_MAX;
}

static uint64_t least(void)
{
    uint64_t m = UINT64_MAX;
    for (size_t i = 0; i < N; i++) m = want[i] < m ? want[i] : m;
    return m;
}

Test(post_timers, behave_as_a_list_would)
{
    struct sm_post_timers h = {0};
    unsigned seed = (unsigned)time(NULL);
    uint64_t now = 0;
    cr_log_info("seed %u", seed);
    cr_assert_eq(sm_post_timers_reserve(&h, N, NULL), SM_OK);
    for (size_t i = 0; i < N; i++) {
        timers[i].due = due;
        timers[i].owner = &timers[i];
        want[i] = UINT64_MAX;
    }
    for (int k = 0; k < 100000; k++) {
        const size_t i = (size_t)rand_r(&seed) % N;
        const int what = rand_r(&seed) % 8;
        if (what < 5) {
            want[i] = now + (uint64_t)rand_r(&seed) % 1000;
            sm_post_timer_set(&h, &timers[i], want[i]);
        } else if (what < 7) {
            want[i] = UINT64_MAX;
            sm_post_timer_clear(&h, &timers[i]);
        } else {
            now += (uint64_t)rand_r(&seed) % 50;
            last = 0;
            sm_post_timers_run(&h, now);
            cr_assert_gt(least(), now);
        }
        cr_assert_eq(sm_post_timers_next(&h), least());
    }
    sm_post_timers_fini(&h);
}
