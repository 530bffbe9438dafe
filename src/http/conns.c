#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "http/server_impl.h"
#include "util/clock.h"

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / SM_NS_PER_S), .tv_nsec = (long)(ns % SM_NS_PER_S)};
}

/* Shuts down what is over its time and returns when the next one will be; 0: no connection. The daemon's thread notices,
 * and it closes: removing takes our lock first, so a descriptor in the list is never somebody else's. */
static uint64_t reap(struct sm_http_conns *c, uint64_t now)
{
    uint64_t next = 0;
    for (unsigned i = 0; i < c->shared.n; i++) {
        struct sm_http_conn *conn = &c->shared.list[i];
        if (conn->since_ns == UINT64_MAX) continue; /* shut down already */
        const uint64_t deadline = conn->since_ns + c->timeout_ns;
        if (deadline <= now) {
            (void)shutdown(conn->fd, SHUT_RDWR);
            conn->since_ns = UINT64_MAX;
        } else if (!next || deadline < next) {
            next = deadline;
        }
    }
    return next;
}

static void *watch(void *arg)
{
    struct sm_http_conns *c = arg;
    (void)pthread_mutex_lock(&c->shared.mu);
    while (!c->shared.stop) {
        const uint64_t next = reap(c, sm_clock_ns());
        const struct timespec at = timespec_of(next);
        if (next)
            (void)pthread_cond_timedwait(&c->shared.changed, &c->shared.mu, &at);
        else
            (void)pthread_cond_wait(&c->shared.changed, &c->shared.mu);
    }
    (void)pthread_mutex_unlock(&c->shared.mu);
    return NULL;
}

sm_err sm_http_conns_start(struct sm_http_conns *c, unsigned max, uint64_t timeout_ns, struct sm_errinfo *ei)
{
    pthread_condattr_t attr;
    c->timeout_ns = timeout_ns;
    c->shared.max = max;
    c->shared.list = calloc(max, sizeof *c->shared.list);
    if (!c->shared.list || pthread_condattr_init(&attr) != 0) goto nomem;
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&c->shared.mu, NULL);
    (void)pthread_cond_init(&c->shared.changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    c->started = pthread_create(&c->thread, NULL, watch, c) == 0;
    if (c->started) return SM_OK;
nomem:
    free(c->shared.list);
    c->shared.list = NULL;
    return sm_fail(ei, SM_E_NOMEM, "cannot start the HTTP server: out of memory or threads");
}

void sm_http_conns_stop(struct sm_http_conns *c)
{
    if (!c->started) return;
    (void)pthread_mutex_lock(&c->shared.mu);
    c->shared.stop = true;
    (void)pthread_cond_signal(&c->shared.changed);
    (void)pthread_mutex_unlock(&c->shared.mu);
    (void)pthread_join(c->thread, NULL);
    (void)pthread_cond_destroy(&c->shared.changed);
    (void)pthread_mutex_destroy(&c->shared.mu);
    free(c->shared.list);
    *c = (struct sm_http_conns){0};
}

void sm_http_conns_add(struct sm_http_conns *c, int fd)
{
    (void)pthread_mutex_lock(&c->shared.mu);
    if (c->shared.n < c->shared.max)
        c->shared.list[c->shared.n++] = (struct sm_http_conn){.fd = fd, .since_ns = sm_clock_ns()};
    (void)pthread_cond_signal(&c->shared.changed);
    (void)pthread_mutex_unlock(&c->shared.mu);
}

void sm_http_conns_remove(struct sm_http_conns *c, int fd)
{
    (void)pthread_mutex_lock(&c->shared.mu);
    for (unsigned i = 0; i < c->shared.n; i++)
        if (c->shared.list[i].fd == fd) {
            c->shared.list[i] = c->shared.list[--c->shared.n];
            break;
        }
    (void)pthread_mutex_unlock(&c->shared.mu);
}

void sm_http_conns_next_request(struct sm_http_conns *c, int fd)
{
    (void)pthread_mutex_lock(&c->shared.mu);
    for (unsigned i = 0; i < c->shared.n; i++)
        if (c->shared.list[i].fd == fd && c->shared.list[i].since_ns != UINT64_MAX)
            c->shared.list[i].since_ns = sm_clock_ns();
    (void)pthread_mutex_unlock(&c->shared.mu);
}
