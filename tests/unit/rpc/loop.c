/* rpc/loop.h, rpc/timers.h */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "rpc/loop.h"
#include "util/clock.h"

static struct sm_loop *loop_new(void)
{
    struct sm_loop *l = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_loop_new(&l, &ei), SM_OK, "%s", ei.text);
    return l;
}

static void run(struct sm_loop *l)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_loop_run(l, NULL, &ei), SM_OK, "%s", ei.text);
}

/* ---- timers ---- */

#define TIMERS 2000

struct mark {
    struct sm_loop_timer t;
    uint64_t at, order;
};

static struct sm_loop_timer *pop(struct sm_timers *h)
{
    struct sm_loop_timer *t = h->root;
    if (t) sm_timers_clear(h, t);
    return t;
}

Test(timers, random_operations_keep_the_order)
{
    static struct mark m[TIMERS];
    struct sm_timers h = {0};
    const unsigned seed = (unsigned)sm_clock_ns();
    cr_log_info("seed %u", seed);
    srandom(seed);
    uint64_t order = 0;
    for (size_t round = 0; round < 20 * TIMERS; round++) {
        struct mark *one = &m[(size_t)random() % TIMERS];
        if (random() % 3 == 0) {
            sm_timers_clear(&h, &one->t);
        } else {
            one->at = (uint64_t)(random() % 100);
            one->order = order++;
            sm_timers_set(&h, &one->t, one->at);
        }
    }
    size_t set = 0, popped = 0;
    for (size_t i = 0; i < TIMERS; i++) set += m[i].t.heap.set;
    const struct mark *last = NULL;
    for (struct sm_loop_timer *t; (t = pop(&h)); popped++) {
        const struct mark *one = (const struct mark *)t; /* first member */
        cr_assert(!last || last->at < one->at || (last->at == one->at && last->order < one->order), "seed %u", seed);
        last = one;
    }
    cr_assert_gt(set, 0);
    cr_assert_eq(popped, set, "seed %u", seed);
}

struct chain {
    struct sm_loop *l;
    struct sm_loop_timer t[4];
    char got[16];
    size_t n;
};
static struct chain chain;

static void note(char c)
{
    chain.got[chain.n++] = c;
}
static void on_a(void *ctx)
{
    (void)ctx;
    note('a');
    sm_loop_timer_clear(chain.l, &chain.t[1]); /* due in this very turn */
}
static void on_b(void *ctx)
{
    (void)ctx;
    note('b');
}
static void on_c(void *ctx)
{
    (void)ctx;
    note('c');
    if (chain.n < 4) sm_loop_timer_set(chain.l, &chain.t[2], 0); /* again, without starving the one behind */
}
static void on_end(void *ctx)
{
    (void)ctx;
    note('.');
    if (chain.n >= 6)
        sm_loop_stop(chain.l);
    else
        sm_loop_timer_set(chain.l, &chain.t[3], sm_loop_now(chain.l) + 1);
}

Test(loop, timers_run_in_order_and_can_change_each_other)
{
    chain.l = loop_new();
    void (*const fns[])(void *) = {on_a, on_b, on_c, on_end};
    for (size_t i = 0; i < 4; i++) {
        chain.t[i].fn = fns[i];
        sm_loop_timer_set(chain.l, &chain.t[i], 1 + i);
    }
    run(chain.l);
    cr_assert_str_eq(chain.got, "ac.c.."); /* c sets itself; '.' follows in its turn each time */
    sm_loop_free(chain.l);
}

static void on_time(void *ctx)
{
    struct sm_loop *l = ctx;
    sm_loop_stop(l);
}

Test(loop, a_timer_never_comes_early)
{
    struct sm_loop *l = loop_new();
    for (uint64_t ns = 1; ns < 20 * SM_NS_PER_MS; ns = ns * 3 + 12345) {
        struct sm_loop_timer t = {.fn = on_time, .ctx = l};
        const uint64_t at = sm_loop_now(l) + ns;
        sm_loop_timer_set(l, &t, at);
        run(l);
        cr_assert_geq(sm_clock_ns(), at);
    }
    sm_loop_free(l);
}

/* ---- posts ---- */

#define PRODUCERS 4
#define POSTS     2000

static struct {
    struct sm_loop *l;
    unsigned next[PRODUCERS]; /* loop thread only */
    unsigned total;
    atomic_uint errors;
} posts;

static void on_post(void *ctx)
{
    const unsigned who = (unsigned)((uintptr_t)ctx / POSTS), which = (unsigned)((uintptr_t)ctx % POSTS);
    if (posts.next[who]++ != which) atomic_fetch_add(&posts.errors, 1);
    if (++posts.total == PRODUCERS * POSTS) sm_loop_stop(posts.l);
}

static void *produce(void *arg)
{
    for (uintptr_t i = 0; i < POSTS; i++)
        if (sm_loop_post(posts.l, on_post, (void *)((uintptr_t)arg * POSTS + i), NULL))
            atomic_fetch_add(&posts.errors, 1);
    return NULL;
}

Test(loop, posts_of_many_threads_each_in_order)
{
    pthread_t threads[PRODUCERS];
    posts.l = loop_new();
    for (uintptr_t i = 0; i < PRODUCERS; i++) cr_assert_eq(pthread_create(&threads[i], NULL, produce, (void *)i), 0);
    run(posts.l);
    for (size_t i = 0; i < PRODUCERS; i++) cr_assert_eq(pthread_join(threads[i], NULL), 0);
    cr_assert_eq(posts.total, PRODUCERS * POSTS);
    cr_assert_eq(atomic_load(&posts.errors), 0);
    sm_loop_free(posts.l);
}

struct again {
    struct sm_loop *l;
    struct sm_loop_job job;
    struct sm_loop_timer t;
    unsigned posts;
    bool timer;
};

static void on_again(void *ctx)
{
    struct again *a = ctx;
    a->posts++;
    if (!a->timer) sm_loop_post_job(a->l, &a->job);
}
static void on_again_timer(void *ctx)
{
    struct again *a = ctx;
    a->timer = true;
    sm_loop_stop(a->l);
}

Test(loop, a_job_that_posts_itself_starves_nobody)
{
    struct again a = {.l = loop_new(), .job = {.fn = on_again, .ctx = &a}, .t = {.fn = on_again_timer, .ctx = &a}};
    sm_loop_post_job(a.l, &a.job);
    sm_loop_timer_set(a.l, &a.t, sm_loop_now(a.l) + SM_NS_PER_MS);
    run(a.l);
    cr_assert(a.timer);
    cr_assert_geq(a.posts, 1);
    (void)sm_loop_take_job(a.l, &a.job);
    sm_loop_free(a.l);
}

static char order[8];
static size_t order_n;
static struct sm_loop_job jobs[3];
static struct sm_loop *jobs_loop;

static void on_job(void *ctx)
{
    struct sm_loop_job *j = ctx;
    order[order_n++] = (char)('0' + (j - jobs));
    if (j == &jobs[0]) cr_assert(sm_loop_take_job(jobs_loop, &jobs[1])); /* of this very turn */
    if (j == &jobs[2]) sm_loop_stop(jobs_loop);
}

Test(loop, a_job_that_is_taken_back_never_runs)
{
    jobs_loop = loop_new();
    for (size_t i = 0; i < 3; i++) jobs[i] = (struct sm_loop_job){.fn = on_job, .ctx = &jobs[i]};
    for (size_t i = 0; i < 3; i++) sm_loop_post_job(jobs_loop, &jobs[i]);
    cr_assert(sm_loop_take_job(jobs_loop, &jobs[2])); /* the last: the end of the queue moves */
    cr_assert_not(sm_loop_take_job(jobs_loop, &jobs[2]));
    sm_loop_post_job(jobs_loop, &jobs[2]);
    run(jobs_loop);
    cr_assert_str_eq(order, "02");
    sm_loop_free(jobs_loop);
}

Test(loop, what_was_posted_and_never_ran_is_released)
{
    struct sm_loop *l = loop_new();
    struct sm_loop_job job = {.fn = on_job};
    cr_assert_eq(sm_loop_post(l, on_time, l, NULL), SM_OK);
    sm_loop_post_job(l, &job);
    cr_assert_eq(sm_loop_post(l, on_time, l, NULL), SM_OK);
    sm_loop_free(l); /* the leak checker looks */
}

/* ---- stopping ---- */

Test(loop, a_stop_before_the_start_counts)
{
    struct sm_loop *l = loop_new();
    sm_loop_stop(l);
    run(l);
    sm_loop_stop(l);
    run(l);
    sm_loop_free(l);
}

static struct sm_cancel cancel;

static void *cancel_soon(void *arg)
{
    sm_cancel_request(&cancel);
    sm_loop_wake(arg);
    return NULL;
}

Test(loop, cancel_ends_it)
{
    pthread_t thread;
    struct sm_loop *l = loop_new();
    cr_assert_eq(pthread_create(&thread, NULL, cancel_soon, l), 0);
    cr_assert_eq(sm_loop_run(l, &cancel, NULL), SM_OK);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(sm_loop_run(l, &cancel, NULL), SM_OK); /* still set */
    sm_loop_free(l);
}

/* ---- descriptors ---- */

#define PIPES 300 /* more than one batch */

static struct {
    struct sm_loop *l;
    struct sm_loop_fd w[PIPES];
    int ends[PIPES][2];
    unsigned calls;
} pipes;

/* The first that is served ends the watch of all others: none of them may be called, though they are ready. */
static void on_pipe(void *ctx, uint32_t events)
{
    struct sm_loop_fd *self = ctx;
    cr_assert(events & EPOLLIN);
    pipes.calls++;
    for (size_t i = 0; i < PIPES; i++)
        if (&pipes.w[i] != self) sm_loop_fd_del(pipes.l, &pipes.w[i]);
    sm_loop_fd_del(pipes.l, self);
    sm_loop_fd_del(pipes.l, self); /* twice is harmless */
    sm_loop_stop(pipes.l);
}

Test(loop, a_watch_that_ended_is_not_called)
{
    struct sm_errinfo ei = {0};
    pipes.l = loop_new();
    for (size_t i = 0; i < PIPES; i++) {
        cr_assert_eq(pipe(pipes.ends[i]), 0);
        cr_assert_eq(write(pipes.ends[i][1], "x", 1), 1);
        pipes.w[i] = (struct sm_loop_fd){.fn = on_pipe, .ctx = &pipes.w[i]};
        cr_assert_eq(sm_loop_fd_add(pipes.l, &pipes.w[i], pipes.ends[i][0], EPOLLIN, &ei), SM_OK, "%s", ei.text);
    }
    run(pipes.l);
    cr_assert_eq(pipes.calls, 1);
    sm_loop_stop(pipes.l);
    run(pipes.l);
    sm_loop_free(pipes.l);
}

struct paused {
    struct sm_loop *l;
    struct sm_loop_fd w;
    struct sm_loop_timer t;
    bool resumed;
};

static void on_paused(void *ctx, uint32_t events)
{
    struct paused *p = ctx;
    (void)events;
    cr_assert(p->resumed, "called while nothing was waited for");
    sm_loop_stop(p->l);
}
static void on_resume(void *ctx)
{
    struct paused *p = ctx;
    p->resumed = true;
    sm_loop_fd_mod(p->l, &p->w, EPOLLIN);
}

Test(loop, events_are_paused_and_resumed)
{
    int ends[2];
    struct paused p = {.l = loop_new(), .w = {.fn = on_paused, .ctx = &p}, .t = {.fn = on_resume, .ctx = &p}};
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(write(ends[1], "x", 1), 1);
    cr_assert_eq(sm_loop_fd_add(p.l, &p.w, ends[0], 0, NULL), SM_OK);
    sm_loop_timer_set(p.l, &p.t, sm_loop_now(p.l) + SM_NS_PER_MS);
    run(p.l);
    cr_assert(p.resumed);
    sm_loop_free(p.l);
}

Test(loop, a_descriptor_that_cannot_be_watched)
{
    struct sm_loop *l = loop_new();
    struct sm_loop_fd w = {.fn = on_paused};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_loop_fd_add(l, &w, -1, EPOLLIN, &ei), SM_E_IO);
    cr_assert(*ei.text);
    sm_loop_fd_del(l, &w);
    sm_loop_free(l);
}
