#include "rpc/server.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "rpc/link.h"
#include "util/clock.h"
#include "util/io.h"

#define ACCEPTS_PER_TURN 64
#define PAUSE_NS         (200u * SM_NS_PER_MS) /* when the process has no descriptor left for a connection that waits */
#define HANDSHAKE_NS     (10u * SM_NS_PER_S)

struct slot {
    struct sm_rpc_server *server;
    struct sm_link *link;
    struct slot *next, **link_to; /* oldest first */
};

struct sm_rpc_server {
    struct sm_loop *loop;
    struct sm_rpc_server_cfg cfg;
    int fd; /* -1: does not listen any more */
    uint16_t port;
    struct sm_loop_fd watch;
    struct sm_loop_timer timer; /* listens again; after a stop: says that it is over */
    struct slot *first, **end;
    size_t n;
    bool stopping;
};

static void tell(const struct sm_rpc_server *s, sm_err why, const char *text)
{
    if (s->cfg.events && s->cfg.events->on_trouble) s->cfg.events->on_trouble(s->cfg.ctx, why, text);
}

/* ---- places ---- */

static void append(struct sm_rpc_server *s, struct slot *p)
{
    p->link_to = s->end;
    p->next = NULL;
    *s->end = p;
    s->end = &p->next;
    s->n++;
}

static void release(struct slot *p)
{
    struct sm_rpc_server *s = p->server;
    *p->link_to = p->next;
    if (p->next)
        p->next->link_to = p->link_to;
    else
        s->end = p->link_to;
    s->n--;
    free(p);
    if (s->stopping && !s->n) sm_loop_timer_set(s->loop, &s->timer, 0);
}

static void on_closed(void *ctx, const struct sm_link_end *end)
{
    struct slot *p = ctx;
    const struct sm_rpc_server *s = p->server;
    release(p);
    if (end->why) tell(s, end->why, end->text);
}

static const struct sm_link_events link_events = {.on_closed = on_closed};

/* True: there is a place for one more. */
static bool make_room(struct sm_rpc_server *s, const char *newcomer)
{
    char text[160];
    struct slot *p = s->first;
    if (s->n < s->cfg.connections_max) return true;
    while (p && sm_link_is_ready(p->link)) p = p->next;
    (void)snprintf(text, sizeof text, "%s %s: all %u connections are in use",
                   p ? sm_link_peer(p->link)->address : newcomer, p ? "was too slow and made room" : "was turned away",
                   s->cfg.connections_max);
    if (p) {
        sm_link_close(p->link);
        release(p);
    }
    tell(s, SM_E_BUSY, text);
    return p;
}

/* ---- accepting ---- */

static struct sm_rpc_conn_cfg conn_cfg(const struct sm_rpc_server_cfg *c)
{
    return (struct sm_rpc_conn_cfg){
        .server = true,
        .methods = c->methods,
        .methods_n = c->methods_n,
        .limits = c->limits,
        .ping_interval_ns = c->ping_interval_ns,
        .ping_timeout_ns = c->ping_timeout_ns,
        .ping_min_ns = c->ping_min_ns,
        .header_timeout_ns = c->header_timeout_ns,
        .message_timeout_ns = c->message_timeout_ns,
        .write_timeout_ns = c->write_timeout_ns,
        .idle_timeout_ns = c->idle_timeout_ns,
    };
}

static void admit(struct sm_rpc_server *s, int fd, const union sm_sockaddr *from)
{
    char address[SM_SOCKADDR_ROOM];
    struct sm_errinfo ei = {0};
    const struct sm_rpc_conn_cfg conn = conn_cfg(&s->cfg);
    (void)sm_sockaddr_text(from, address);
    if (!make_room(s, address)) {
        sm_io_close(fd);
        return;
    }
    struct slot *p = calloc(1, sizeof *p);
    if (!p) {
        sm_io_close(fd);
        tell(s, SM_E_NOMEM, "out of memory for a connection");
        return;
    }
    sm_tcp_tune(fd, &s->cfg.tcp);
    p->server = s;
    const struct sm_link_cfg link = {.loop = s->loop,
                                     .fd = fd,
                                     .tls = s->cfg.tls,
                                     .where = address,
                                     .address = address,
                                     .handshake_timeout_ns = s->cfg.handshake_timeout_ns,
                                     .conn = &conn};
    const sm_err err = sm_link_new(&link, &link_events, p, &p->link, &ei);
    if (err) {
        free(p);
        tell(s, err, ei.text);
        return;
    }
    append(s, p);
}

/* Connections that nobody can take would wake the loop again and again. */
static void pause_listening(struct sm_rpc_server *s, int why)
{
    struct sm_errinfo ei = {0};
    (void)sm_fail_errno(&ei, why, "cannot take a connection (raise the limit on open files?)");
    sm_loop_fd_mod(s->loop, &s->watch, 0);
    sm_loop_timer_set(s->loop, &s->timer, sm_loop_now(s->loop) + PAUSE_NS);
    tell(s, SM_E_IO, ei.text);
}

static void on_listen(void *ctx, uint32_t events)
{
    struct sm_rpc_server *s = ctx;
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN && s->fd >= 0; i++) {
        union sm_sockaddr from = {0};
        socklen_t n = sizeof from;
        const int fd = accept4(s->fd, &from.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(s, fd, &from);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_listening(s, errno);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } /* else: that connection is gone already */
    }
}

static void on_timer(void *ctx)
{
    struct sm_rpc_server *s = ctx;
    if (!s->stopping)
        sm_loop_fd_mod(s->loop, &s->watch, EPOLLIN);
    else if (s->cfg.events && s->cfg.events->on_stopped)
        s->cfg.events->on_stopped(s->cfg.ctx);
}

/* ---- for the owner ---- */

sm_err sm_rpc_server_start(struct sm_loop *l, const struct sm_rpc_server_cfg *cfg, struct sm_rpc_server **out,
                           struct sm_errinfo *ei)
{
    struct sm_rpc_address at;
    sm_err err = sm_rpc_address_parse_listen(cfg->listen, &at, ei);
    if (err) return err;
    struct sm_rpc_server *s = calloc(1, sizeof *s);
    if (!s) return sm_fail(ei, SM_E_NOMEM, "out of memory for a server at %s", cfg->listen);
    s->loop = l;
    s->cfg = *cfg;
    s->cfg.listen = NULL; /* not kept */
    if (!s->cfg.connections_max) s->cfg.connections_max = SM_RPC_CONNECTIONS_MAX;
    if (!s->cfg.handshake_timeout_ns) s->cfg.handshake_timeout_ns = HANDSHAKE_NS;
    s->fd = -1;
    s->end = &s->first;
    s->watch = (struct sm_loop_fd){.fn = on_listen, .ctx = s};
    s->timer = (struct sm_loop_timer){.fn = on_timer, .ctx = s};
    err = sm_tcp_listen(&at, &cfg->tcp, &s->fd, &s->port, ei);
    if (!err) err = sm_loop_fd_add(l, &s->watch, s->fd, EPOLLIN, ei);
    if (err)
        sm_rpc_server_free(s);
    else
        *out = s;
    return err;
}

uint16_t sm_rpc_server_port(const struct sm_rpc_server *s)
{
    return s->port;
}

size_t sm_rpc_server_connections(const struct sm_rpc_server *s)
{
    return s->n;
}

static void stop_listening(struct sm_rpc_server *s)
{
    sm_loop_fd_del(s->loop, &s->watch);
    sm_loop_timer_clear(s->loop, &s->timer);
    sm_io_close(s->fd);
    s->fd = -1;
}

void sm_rpc_server_stop(struct sm_rpc_server *s, uint64_t grace_ns)
{
    const bool again = s->stopping;
    if (!again) stop_listening(s);
    s->stopping = true;
    for (struct slot *p = s->first; p; p = p->next) sm_link_shutdown(p->link, grace_ns);
    if (!again && !s->n) sm_loop_timer_set(s->loop, &s->timer, 0);
}

void sm_rpc_server_free(struct sm_rpc_server *s)
{
    if (!s) return;
    stop_listening(s);
    while (s->first) {
        sm_link_close(s->first->link);
        release(s->first);
    }
    sm_loop_timer_clear(s->loop, &s->timer);
    free(s);
}
