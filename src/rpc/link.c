#include "rpc/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "rpc/tcp.h"
#include "util/clock.h"
#include "util/io.h"

#define READS_PER_TURN  4 /* of up to SM_LOOP_SCRATCH bytes: others want their turn, too */
#define WRITES_PER_TURN 16
#define FLUSH_NS        (5u * SM_NS_PER_S) /* for the last output to leave */
#define LINGER_NS       SM_NS_PER_S        /* for the peer to have read it and to close */

typedef enum link_state {
    SHAKING, /* TLS handshake */
    OPEN,
    FLUSHING,  /* HTTP/2 has ended; the last output leaves */
    LINGERING, /* nothing more will be sent */
    GONE,
} link_state;

struct sm_link {
    struct sm_loop *loop;
    const struct sm_link_events *events; /* NULL: nobody cares any more */
    void *ctx;
    int fd;
    link_state state;
    bool busy;                 /* inside turn(): callbacks may be on the stack */
    bool abandoned;            /* sm_link_close during that */
    bool ready, readable, eof; /* readable: more may be in the socket, or in OpenSSL */
    uint32_t wait;             /* EPOLLOUT: output is stuck; EPOLLIN: the handshake waits */
    struct sm_tls *tls;
    struct sm_rpc_conn *conn;
    struct sm_rpc_conn_cfg conn_cfg;
    struct sm_loop_fd watch;
    struct sm_loop_timer timer;
    uint64_t deadline_ns; /* of this state; UINT64_MAX: none */
    uint64_t ping_interval_ns;
    sm_err why;
    struct sm_errinfo ei;
    char where[128];
    struct sm_peer peer;
};

/* ---- the end ---- */

static void destroy(struct sm_link *k)
{
    k->state = GONE;
    k->busy = true; /* ending calls run callbacks, which may want to close this link again */
    struct sm_rpc_conn *conn = k->conn;
    if (conn) k->ping_interval_ns = sm_rpc_conn_ping_interval(conn);
    k->conn = NULL; /* whoever asks during the farewell finds no connection */
    sm_rpc_conn_free(conn);
    sm_loop_fd_del(k->loop, &k->watch);
    sm_loop_timer_clear(k->loop, &k->timer);
    sm_tls_free(k->tls);
    sm_io_close(k->fd);
    const struct sm_link_end end = {k->why, k->ei.text, k->ping_interval_ns};
    if (k->events && !k->abandoned) k->events->on_closed(k->ctx, &end);
    free(k);
}

/* The first reason is the one that is told. */
static void note_why(struct sm_link *k, sm_err why, const char *text)
{
    if (k->why || *k->ei.text) return;
    k->why = why;
    (void)sm_fail(&k->ei, why, "%s", text);
}

/* What the HTTP/2 connection says of its end. */
static void note_conn(struct sm_link *k)
{
    struct sm_errinfo ei = {0};
    const sm_err why = sm_rpc_conn_why(k->conn, &ei);
    char text[SM_ERRINFO_TEXT + sizeof k->where + 2];
    (void)snprintf(text, sizeof text, "%s: %s", k->where, *ei.text ? ei.text : "the connection has ended");
    note_why(k, why, text);
}

/* The socket is of no use any more. */
static void lose(struct sm_link *k, sm_err why, const char *text)
{
    struct sm_errinfo ei = {0};
    k->eof = true;
    if (k->conn) {
        sm_rpc_conn_eof(k->conn, sm_loop_now(k->loop), text);
        /* It may know better: nothing was open, or the peer has said why it goes. */
        if (sm_rpc_conn_why(k->conn, &ei) == SM_OK || strcmp(ei.text, text) != 0) note_conn(k);
    }
    note_why(k, why, text);
    if (k->state == SHAKING) k->state = FLUSHING;
}

/* ---- bytes ---- */

static sm_tls_want by_errno(struct sm_link *k, sm_tls_want blocked, struct sm_errinfo *ei)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return blocked;
    (void)sm_fail_errno(ei, errno, "%s", k->where);
    return SM_TLS_FAILED;
}

static sm_tls_want receive(struct sm_link *k, uint8_t *p, size_t n, size_t *out_n, struct sm_errinfo *ei)
{
    if (k->tls) return sm_tls_read(k->tls, p, n, out_n, ei);
    const ssize_t got = recv(k->fd, p, n, 0);
    if (got < 0) return by_errno(k, SM_TLS_READ, ei);
    *out_n = (size_t)got;
    return got ? SM_TLS_DONE : SM_TLS_CLOSED;
}

static sm_tls_want transmit(struct sm_link *k, const uint8_t *p, size_t n, size_t *out_n, struct sm_errinfo *ei)
{
    if (k->tls) return sm_tls_write(k->tls, p, n, out_n, ei);
    const ssize_t put = send(k->fd, p, n, MSG_NOSIGNAL);
    if (put < 0) return by_errno(k, SM_TLS_WRITE, ei);
    *out_n = (size_t)put;
    return SM_TLS_DONE;
}

static void feed(struct sm_link *k, const uint8_t *p, size_t n)
{
    struct sm_errinfo ei = {0};
    const sm_err err = sm_rpc_conn_feed(k->conn, p, n, sm_loop_now(k->loop), &ei);
    if (err) {
        note_conn(k);
    } else if (!k->ready && !k->abandoned) {
        k->ready = true;
        if (k->events && k->events->on_ready) k->events->on_ready(k->ctx, k);
    }
}

/* Something came instead of bytes. */
static void not_read(struct sm_link *k, sm_tls_want got, const struct sm_errinfo *ei)
{
    char text[224];
    switch (got) {
    case SM_TLS_CLOSED:
        (void)snprintf(text, sizeof text, "%s closed the connection%s", k->where,
                       k->tls && !k->ready ? " after the TLS handshake: perhaps it does not accept our certificate"
                                           : "");
        lose(k, SM_E_NET, text);
        break;
    case SM_TLS_FAILED:
        lose(k, k->tls ? sm_tls_why(k->tls) : SM_E_NET, ei->text);
        break;
    default: /* TLS may want to write to be able to read; writing sees to that */
        k->readable = false;
        break;
    }
}

static void read_in(struct sm_link *k)
{
    uint8_t *p = sm_loop_scratch(k->loop);
    for (unsigned i = 0; i < READS_PER_TURN && k->readable && !k->eof && !k->abandoned; i++) {
        struct sm_errinfo ei = {0};
        size_t n = 0;
        if (sm_rpc_conn_finished(k->conn) || !sm_rpc_conn_wants_input(k->conn)) return;
        const sm_tls_want got = receive(k, p, SM_LOOP_SCRATCH, &n, &ei);
        if (got == SM_TLS_DONE)
            feed(k, p, n);
        else
            not_read(k, got, &ei);
    }
}

/* Returns true when nothing is left to write. */
static bool write_out(struct sm_link *k)
{
    const uint8_t *p;
    k->wait &= ~(uint32_t)EPOLLOUT;
    for (unsigned i = 0; !k->eof; i++) {
        struct sm_errinfo ei = {0};
        size_t put = 0;
        const size_t n = sm_rpc_conn_output(k->conn, &p);
        if (n == 0) return true;
        if (i == WRITES_PER_TURN) { /* the socket takes more: the next turn comes at once */
            k->wait |= EPOLLOUT;
            return false;
        }
        const sm_tls_want got = transmit(k, p, n, &put, &ei);
        if (got == SM_TLS_DONE) {
            sm_rpc_conn_sent(k->conn, put);
        } else if (got == SM_TLS_FAILED) {
            lose(k, k->tls ? sm_tls_why(k->tls) : SM_E_NET, ei.text);
        } else {
            if (got == SM_TLS_WRITE) k->wait |= EPOLLOUT;
            return false;
        }
    }
    return true;
}

/* ---- states ---- */

static sm_err open_conn(struct sm_link *k, struct sm_errinfo *ei)
{
    k->conn_cfg.peer = &k->peer;
    sm_err err = sm_rpc_conn_new(&k->conn_cfg, sm_loop_now(k->loop), &k->conn, ei);
    if (err) return err;
    k->state = OPEN;
    k->deadline_ns = UINT64_MAX;
    k->wait = 0;
    k->readable = true; /* the first bytes may have come with the handshake's last */
    return SM_OK;
}

/* Nothing more will be sent; the peer gets a moment to read what was. True: there is nobody to wait for. */
static bool part(struct sm_link *k)
{
    sm_tls_free(k->tls); /* says goodbye */
    k->tls = NULL;
    k->state = LINGERING;
    k->wait = 0;
    k->deadline_ns = sm_loop_now(k->loop) + LINGER_NS;
    return shutdown(k->fd, SHUT_WR) != 0;
}

static void shake(struct sm_link *k)
{
    struct sm_errinfo ei = {0};
    if (sm_loop_now(k->loop) >= k->deadline_ns) {
        const bool stopped = k->deadline_ns == 0;
        const sm_err why = stopped ? SM_E_CANCELLED : SM_E_TIMEOUT;
        (void)sm_fail(&ei, why, "%s: %s", k->where,
                      stopped ? "stopped during the TLS handshake" : "the TLS handshake takes too long");
        lose(k, why, ei.text);
        return;
    }
    const sm_tls_want got = sm_tls_handshake(k->tls, &k->peer, &ei);
    k->wait = got == SM_TLS_WRITE ? EPOLLOUT : EPOLLIN;
    if (got == SM_TLS_FAILED) {
        const sm_err why = sm_tls_why(k->tls);
        lose(k, why, ei.text);
        /* Clients of TLS 1.3 talk on before they hear that we refuse them: the alert must survive their unread words. */
        if (why == SM_E_REFUSED && k->conn_cfg.server) (void)part(k);
    } else if (got == SM_TLS_DONE) {
        sm_err err = open_conn(k, &ei);
        if (err) lose(k, err, ei.text);
    }
}

static void work(struct sm_link *k)
{
    const uint64_t now = sm_loop_now(k->loop);
    read_in(k);
    if (sm_rpc_conn_deadline(k->conn) <= now) sm_rpc_conn_tick(k->conn, now);
    (void)write_out(k);
    if (!sm_rpc_conn_finished(k->conn)) return;
    note_conn(k);
    k->state = FLUSHING;
    k->deadline_ns = now + FLUSH_NS;
}

/* True: the link can go. */
static bool flush(struct sm_link *k)
{
    if (k->eof || !k->conn || sm_loop_now(k->loop) >= k->deadline_ns) return true;
    if (!write_out(k)) return k->eof;
    if (k->eof) return true;
    return part(k);
}

static bool linger(struct sm_link *k)
{
    if (sm_loop_now(k->loop) >= k->deadline_ns) return true;
    const ssize_t n = recv(k->fd, sm_loop_scratch(k->loop), SM_LOOP_SCRATCH, 0);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static void rearm(struct sm_link *k)
{
    uint32_t events = k->wait;
    uint64_t at = k->deadline_ns;
    if (k->state == OPEN) {
        const uint64_t due = sm_rpc_conn_deadline(k->conn);
        const bool wants = sm_rpc_conn_wants_input(k->conn);
        if (wants) events |= EPOLLIN;
        if (wants && k->readable) at = 0; /* OpenSSL may hold bytes that the socket does not show */
        if (due < at) at = due;
    }
    if (k->state == LINGERING) events |= EPOLLIN;
    sm_loop_fd_mod(k->loop, &k->watch, events);
    sm_loop_timer_set(k->loop, &k->timer, at);
}

static void turn(struct sm_link *k)
{
    bool over = false;
    k->busy = true;
    if (k->state == SHAKING) shake(k);
    if (k->state == OPEN) work(k);
    if (k->state == FLUSHING)
        over = flush(k);
    else if (k->state == LINGERING)
        over = linger(k);
    k->busy = false;
    if (over || k->abandoned)
        destroy(k);
    else
        rearm(k);
}

static void on_event(void *ctx, uint32_t events)
{
    struct sm_link *k = ctx;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) k->readable = true;
    /* A dead socket while we do not want to read: there is nobody left to be patient with. */
    if ((events & (EPOLLHUP | EPOLLERR)) && k->state == OPEN && !sm_rpc_conn_wants_input(k->conn)) {
        struct sm_errinfo ei = {0};
        const int why = sm_tcp_error(k->fd);
        (void)sm_fail_errno(&ei, why ? why : ECONNRESET, "%s", k->where);
        k->busy = true;
        lose(k, SM_E_NET, ei.text);
        k->busy = false;
    }
    turn(k);
}

static void on_timer(void *ctx)
{
    turn(ctx);
}

/* The connection has something to write, or to do sooner: in a turn of its own. */
static void on_wake(void *ctx)
{
    struct sm_link *k = ctx;
    if (!k->busy) sm_loop_timer_set(k->loop, &k->timer, 0);
}

/* ---- for the owner ---- */

static sm_err start(struct sm_link *k, const struct sm_link_cfg *cfg, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    if (cfg->tls)
        err = sm_tls_new(cfg->tls, k->fd, cfg->name, k->where, &k->tls, ei);
    else
        err = open_conn(k, ei);
    if (!err) err = sm_loop_fd_add(k->loop, &k->watch, k->fd, EPOLLIN, ei);
    if (!err) sm_loop_timer_set(k->loop, &k->timer, 0); /* the first turn: clients speak first */
    return err;
}

sm_err sm_link_new(const struct sm_link_cfg *cfg, const struct sm_link_events *events, void *ctx, struct sm_link **out,
                   struct sm_errinfo *ei)
{
    struct sm_link *k = calloc(1, sizeof *k);
    if (!k) {
        sm_io_close(cfg->fd);
        return sm_fail(ei, SM_E_NOMEM, "%s: out of memory for a connection", cfg->where);
    }
    k->loop = cfg->loop;
    k->ctx = ctx;
    k->fd = cfg->fd;
    k->deadline_ns = sm_loop_now(k->loop) + cfg->handshake_timeout_ns;
    k->watch = (struct sm_loop_fd){.fn = on_event, .ctx = k};
    k->timer = (struct sm_loop_timer){.fn = on_timer, .ctx = k};
    k->conn_cfg = *cfg->conn;
    k->conn_cfg.on_wake = on_wake;
    k->conn_cfg.wake_ctx = k;
    (void)snprintf(k->where, sizeof k->where, "%s", cfg->where);
    (void)snprintf(k->peer.address, sizeof k->peer.address, "%s", cfg->address);
    sm_err err = start(k, cfg, ei);
    if (err) {
        destroy(k); /* no events yet: nobody is told */
        return err;
    }
    k->events = events;
    *out = k;
    return SM_OK;
}

void sm_link_close(struct sm_link *k)
{
    if (!k) return;
    k->abandoned = true;
    if (k->busy) return;
    if (k->state == OPEN) { /* one try to say why the socket closes */
        k->busy = true;
        sm_rpc_conn_shutdown(k->conn, sm_loop_now(k->loop), 0);
        (void)write_out(k);
    }
    destroy(k);
}

void sm_link_shutdown(struct sm_link *k, uint64_t grace_ns)
{
    if (k->state == SHAKING) {
        k->deadline_ns = 0;
        if (!k->busy) sm_loop_timer_set(k->loop, &k->timer, 0);
    } else if (k->state == OPEN) {
        sm_rpc_conn_shutdown(k->conn, sm_loop_now(k->loop), grace_ns);
    }
}

struct sm_rpc_conn *sm_link_conn(struct sm_link *k)
{
    return k->conn;
}

const struct sm_peer *sm_link_peer(const struct sm_link *k)
{
    return &k->peer;
}

bool sm_link_is_ready(const struct sm_link *k)
{
    return k->ready && k->state == OPEN;
}
