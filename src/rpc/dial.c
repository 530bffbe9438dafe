#include "rpc/dial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "rpc/resolve.h"
#include "util/io.h"

struct attempt {
    struct sm_dial *dial;
    struct sm_loop_fd watch;
    int fd; /* -1: over */
};

struct sm_dial {
    struct sm_loop *loop;
    struct sm_rpc_address to;
    struct sm_tcp_cfg tcp;
    sm_dial_done done;
    void *ctx;
    struct sm_resolve *resolve;
    struct sm_resolved list;
    size_t next, open; /* list.a[next] is the next to try; `open` attempts are under way */
    struct attempt attempts[SM_RESOLVED_MAX];
    struct sm_loop_timer timer; /* the next address; or, when all have failed, the end */
    struct sm_errinfo ei;       /* what failed so far */
};

static void close_attempt(struct attempt *a)
{
    if (a->fd < 0) return;
    sm_loop_fd_del(a->dial->loop, &a->watch);
    sm_io_close(a->fd);
    a->fd = -1;
    a->dial->open--;
}

void sm_dial_cancel(struct sm_dial *d)
{
    if (!d) return;
    sm_resolve_cancel(d->resolve);
    sm_loop_timer_clear(d->loop, &d->timer);
    for (size_t i = 0; i < d->next; i++) close_attempt(&d->attempts[i]);
    free(d);
}

static void finish(struct sm_dial *d, int fd, const union sm_sockaddr *peer)
{
    const sm_dial_done done = d->done;
    void *ctx = d->ctx;
    const struct sm_errinfo ei = d->ei;
    union sm_sockaddr to = {0};
    if (peer) to = *peer;
    sm_dial_cancel(d);
    done(ctx, fd, fd >= 0 ? &to : NULL, fd >= 0 ? SM_OK : SM_E_NET, fd >= 0 ? "" : ei.text);
}

/* One more address did not work. */
static void note_failure(struct sm_dial *d, size_t which, int why)
{
    char host[SM_RPC_ADDRESS_ROOM], address[SM_SOCKADDR_ROOM];
    if (!*d->ei.text)
        (void)sm_fail(&d->ei, SM_E_NET, "cannot connect to %s: ", sm_rpc_address_text(&d->to, host));
    else
        (void)sm_fail_add(&d->ei, SM_E_NET, "; ");
    if (d->list.n > 1 || !sm_rpc_address_is_ip(&d->to))
        (void)sm_fail_add(&d->ei, SM_E_NET, "%s: ", sm_sockaddr_text(&d->list.a[which], address));
    (void)sm_fail_add(&d->ei, SM_E_NET, "%s", strerrordesc_np(why) ? strerrordesc_np(why) : "unknown error");
}

static void on_event(void *ctx, uint32_t events);

/* False: failed at once. */
static bool try_address(struct sm_dial *d, size_t which)
{
    int why = 0;
    struct attempt *a = &d->attempts[which];
    *a = (struct attempt){.dial = d, .watch = {.fn = on_event, .ctx = a}, .fd = -1};
    a->fd = sm_tcp_connect(&d->list.a[which], &d->tcp, &why);
    if (a->fd < 0) {
        note_failure(d, which, why);
        return false;
    }
    d->open++;
    if (sm_loop_fd_add(d->loop, &a->watch, a->fd, EPOLLOUT, NULL) == SM_OK) return true;
    close_attempt(a);
    note_failure(d, which, ENOMEM);
    return false;
}

/* Tries the next address that does not fail at once. Ends the dial, and then returns, when nothing is left to hope for. */
static void advance(struct sm_dial *d)
{
    bool started = false;
    while (!started && d->next < d->list.n) started = try_address(d, d->next++);
    if (d->next < d->list.n)
        sm_loop_timer_set(d->loop, &d->timer, sm_loop_now(d->loop) + SM_DIAL_STAGGER_NS);
    else
        sm_loop_timer_clear(d->loop, &d->timer);
    if (!d->open) finish(d, -1, NULL);
}

static void on_event(void *ctx, uint32_t events)
{
    struct attempt *a = ctx;
    struct sm_dial *d = a->dial;
    const size_t which = (size_t)(a - d->attempts);
    const int why = sm_tcp_error(a->fd);
    (void)events;
    if (why == 0) {
        const int fd = a->fd;
        sm_loop_fd_del(d->loop, &a->watch);
        a->fd = -1;
        d->open--;
        finish(d, fd, &d->list.a[which]);
        return;
    }
    close_attempt(a);
    note_failure(d, which, why);
    advance(d);
}

static void on_timer(void *ctx)
{
    advance(ctx);
}

static void on_resolved(void *ctx, const struct sm_resolved *list, const char *text)
{
    struct sm_dial *d = ctx;
    d->resolve = NULL;
    if (!list) {
        (void)sm_fail(&d->ei, SM_E_NET, "%s", text);
        finish(d, -1, NULL);
        return;
    }
    d->list = *list;
    sm_resolved_interleave(&d->list);
    advance(d);
}

sm_err sm_dial_start(struct sm_loop *l, const struct sm_rpc_address *to, const struct sm_tcp_cfg *tcp,
                     sm_dial_done done, void *ctx, struct sm_dial **out, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    struct sm_dial *d = calloc(1, sizeof *d);
    if (!d) return sm_fail(ei, SM_E_NOMEM, "out of memory for a connection to %s", to->host);
    *d = (struct sm_dial){
        .loop = l, .to = *to, .tcp = *tcp, .done = done, .ctx = ctx, .timer = {.fn = on_timer, .ctx = d}};
    if (sm_sockaddr_literal(to, &d->list.a[0])) {
        d->list.n = 1;
        sm_loop_timer_set(l, &d->timer, 0); /* in a turn of its own: done is never called from here */
    } else {
        err = sm_resolve_start(l, to, on_resolved, d, &d->resolve, ei);
    }
    if (err)
        sm_dial_cancel(d);
    else
        *out = d;
    return err;
}

const char *sm_dial_phase(const struct sm_dial *d)
{
    return d->resolve ? "looking up the host" : "connecting";
}
