#include "rpc/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/io.h"

#define BATCH          128 /* descriptors that are served between two looks at posts and timers */
#define CANCEL_POLL_MS 100

struct sm_loop {
    int epoll_fd;
    struct sm_loop_fd wake;
    int wake_fd; /* an eventfd */
    struct sm_timers timers;
    uint64_t now_ns;
    bool running;
    struct epoll_event ready[BATCH]; /* of this turn; [next, n) are still to be served */
    int ready_next, ready_n;
    atomic_bool stop; /* any thread */
    struct {          /* any thread, under mu */
        pthread_mutex_t mu;
        struct sm_loop_job *first, **end;
    } posts;
    struct sm_loop_job *taken; /* posts of this turn */
    uint8_t scratch[SM_LOOP_SCRATCH];
};

struct posted { /* of sm_loop_post */
    struct sm_loop_job job;
    void (*fn)(void *ctx);
    void *ctx;
};

/* ---- posts ---- */

void sm_loop_wake(struct sm_loop *l)
{
    const int saved = errno; /* may run in a signal handler */
    const uint64_t one = 1;
    /* It fails only when the counter is full, and then the loop is woken already. */
    const ssize_t n = write(l->wake_fd, &one, sizeof one);
    (void)n;
    errno = saved;
}

void sm_loop_stop(struct sm_loop *l)
{
    atomic_store(&l->stop, true);
    sm_loop_wake(l);
}

static void on_wake(void *ctx, uint32_t events)
{
    struct sm_loop *l = ctx;
    uint64_t count;
    (void)events;
    const ssize_t n = read(l->wake_fd, &count, sizeof count);
    (void)n; /* somebody else's wake-up is as good */
}

void sm_loop_post_job(struct sm_loop *l, struct sm_loop_job *job)
{
    job->next = NULL;
    (void)pthread_mutex_lock(&l->posts.mu);
    const bool first = !l->posts.first;
    *l->posts.end = job;
    l->posts.end = &job->next;
    /* Under the lock: once the job is visible and the lock is open, the loop may run it and be freed. */
    if (first) sm_loop_wake(l);
    (void)pthread_mutex_unlock(&l->posts.mu);
}

/* Unlinks `job` from a list; *end is corrected when it was the last (end may be NULL). */
static bool unlink_job(struct sm_loop_job **first, struct sm_loop_job ***end, struct sm_loop_job *job)
{
    for (struct sm_loop_job **at = first; *at; at = &(*at)->next) {
        if (*at != job) continue;
        *at = job->next;
        if (end && !*at) *end = at;
        return true;
    }
    return false;
}

bool sm_loop_take_job(struct sm_loop *l, struct sm_loop_job *job)
{
    (void)pthread_mutex_lock(&l->posts.mu);
    const bool taken = unlink_job(&l->posts.first, &l->posts.end, job) || unlink_job(&l->taken, NULL, job);
    (void)pthread_mutex_unlock(&l->posts.mu);
    return taken;
}

static void run_posted(void *ctx)
{
    const struct posted p = *(struct posted *)ctx;
    free(ctx);
    p.fn(p.ctx);
}

sm_err sm_loop_post(struct sm_loop *l, void (*fn)(void *ctx), void *ctx, struct sm_errinfo *ei)
{
    struct posted *p = malloc(sizeof *p);
    if (!p) return sm_fail(ei, SM_E_NOMEM, "out of memory for a message between threads");
    *p = (struct posted){.job = {.fn = run_posted, .ctx = p}, .fn = fn, .ctx = ctx};
    sm_loop_post_job(l, &p->job);
    return SM_OK;
}

/* Those that were there at the start; what they post waits for the next turn. */
static void run_posts(struct sm_loop *l)
{
    (void)pthread_mutex_lock(&l->posts.mu);
    l->taken = l->posts.first;
    l->posts.first = NULL;
    l->posts.end = &l->posts.first;
    struct sm_loop_job *job;
    while ((job = l->taken)) {
        l->taken = job->next;
        (void)pthread_mutex_unlock(&l->posts.mu);
        job->fn(job->ctx);
        (void)pthread_mutex_lock(&l->posts.mu);
    }
    (void)pthread_mutex_unlock(&l->posts.mu);
}

/* ---- timers ---- */

uint64_t sm_loop_now(const struct sm_loop *l)
{
    return l->running ? l->now_ns : sm_clock_ns();
}

void sm_loop_timer_set(struct sm_loop *l, struct sm_loop_timer *t, uint64_t at_ns)
{
    /* Not earlier than now: a timer that always asks for 0 would stay in front of all that are due. */
    const uint64_t now = sm_loop_now(l);
    if (at_ns == UINT64_MAX)
        sm_timers_clear(&l->timers, t);
    else
        sm_timers_set(&l->timers, t, at_ns > now ? at_ns : now);
}

void sm_loop_timer_clear(struct sm_loop *l, struct sm_loop_timer *t)
{
    sm_timers_clear(&l->timers, t);
}

/* A timer that sets itself for "now" again waits for the next turn. */
static void run_timers(struct sm_loop *l)
{
    const uint64_t order = l->timers.order;
    struct sm_loop_timer *t;
    while ((t = l->timers.root) && t->heap.at_ns <= l->now_ns && t->heap.order < order) {
        sm_timers_clear(&l->timers, t);
        t->fn(t->ctx);
    }
}

/* Rounded up: waking before a timer is due would turn the loop in vain. */
static int wait_ms(const struct sm_loop *l, const struct sm_cancel *cancel)
{
    const uint64_t most = cancel ? CANCEL_POLL_MS : 3600u * 1000u;
    if (atomic_load(&l->stop)) return 0;
    if (!l->timers.root) return cancel ? (int)most : -1;
    const uint64_t now = sm_clock_ns(), at = l->timers.root->heap.at_ns;
    if (at <= now) return 0;
    const uint64_t ms = (at - now) / SM_NS_PER_MS + ((at - now) % SM_NS_PER_MS != 0);
    return (int)(ms < most ? ms : most);
}

/* ---- descriptors ---- */

sm_err sm_loop_fd_add(struct sm_loop *l, struct sm_loop_fd *w, int fd, uint32_t events, struct sm_errinfo *ei)
{
    struct epoll_event e = {.events = events, .data.ptr = w};
    assert(w->fn && !w->watch.on);
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
        return sm_fail_errno(ei, errno, "cannot watch a socket (limit /proc/sys/fs/epoll/max_user_watches?)");
    w->watch.on = true;
    w->watch.fd = fd;
    w->watch.events = events;
    return SM_OK;
}

void sm_loop_fd_mod(struct sm_loop *l, struct sm_loop_fd *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};
    if (!w->watch.on || events == w->watch.events) return;
    w->watch.events = events;
    const int rc = epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, w->watch.fd, &e);
    assert(rc == 0); /* a watch that exists can be changed: the kernel allocates nothing for it */
    (void)rc;
}

void sm_loop_fd_del(struct sm_loop *l, struct sm_loop_fd *w)
{
    if (!w->watch.on) return;
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->watch.fd, NULL);
    w->watch.on = false;
    for (int i = l->ready_next; i < l->ready_n; i++) /* it may be in this turn's batch already */
        if (l->ready[i].data.ptr == w) l->ready[i].data.ptr = NULL;
}

static void run_fds(struct sm_loop *l)
{
    while (l->ready_next < l->ready_n) {
        const struct epoll_event *e = &l->ready[l->ready_next++];
        struct sm_loop_fd *w = e->data.ptr;
        if (w) w->fn(w->ctx, e->events);
    }
}

/* ---- the loop ---- */

sm_err sm_loop_run(struct sm_loop *l, const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    l->running = true;
    l->now_ns = sm_clock_ns();
    while (!atomic_load(&l->stop) && !sm_cancelled(cancel)) {
        l->ready_next = 0;
        l->ready_n = epoll_wait(l->epoll_fd, l->ready, BATCH, wait_ms(l, cancel));
        if (l->ready_n < 0 && errno != EINTR) {
            err = sm_fail_errno(ei, errno, "cannot wait for the network");
            break;
        }
        l->now_ns = sm_clock_ns();
        run_fds(l);
        run_posts(l);
        run_timers(l);
    }
    l->running = false;
    atomic_store(&l->stop, false);
    return err;
}

uint8_t *sm_loop_scratch(struct sm_loop *l)
{
    return l->scratch;
}

sm_err sm_loop_new(struct sm_loop **out, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    struct sm_loop *l = calloc(1, sizeof *l);
    if (!l || pthread_mutex_init(&l->posts.mu, NULL) != 0) {
        free(l);
        return sm_fail(ei, SM_E_NOMEM, "out of memory for an event loop");
    }
    l->posts.end = &l->posts.first;
    l->wake = (struct sm_loop_fd){.fn = on_wake, .ctx = l};
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->epoll_fd < 0 || l->wake_fd < 0)
        err = sm_fail_errno(ei, errno, "cannot make an event loop");
    else
        err = sm_loop_fd_add(l, &l->wake, l->wake_fd, EPOLLIN, ei);
    if (err)
        sm_loop_free(l);
    else
        *out = l;
    return err;
}

static void free_jobs(struct sm_loop_job *job)
{
    while (job) {
        struct sm_loop_job *next = job->next;
        if (job->fn == run_posted) free(job->ctx);
        job = next;
    }
}

void sm_loop_free(struct sm_loop *l)
{
    if (!l) return;
    assert(!l->running);
    free_jobs(l->posts.first);
    sm_io_close(l->wake_fd);
    sm_io_close(l->epoll_fd);
    (void)pthread_mutex_destroy(&l->posts.mu);
    free(l);
}
