#include "rpc/conn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rpc/conn_impl.h"
#include "util/clock.h"

#define MIB                  1048576u
#define DEFAULT_PING_TIMEOUT (20 * SM_NS_PER_S) /* post-service.md 2.7 */
#define DEFAULT_TIMEOUT      (60 * SM_NS_PER_S)
#define DEFAULT_HEADERS      (10 * SM_NS_PER_S)
#define NOTICE_NS            SM_NS_PER_S /* for calls that were on the wire when the first GOAWAY went out */
#define LAST_WORDS_NS        SM_NS_PER_S /* for trailers after the grace */
#define CONTROL_FRAMES_MAX   256u        /* waiting, before no more input is asked for */

/* ---- new and free ---- */

static void default_size(size_t *v, size_t fallback)
{
    if (!*v) *v = fallback;
}

static void default_u32(uint32_t *v, uint32_t fallback)
{
    if (!*v) *v = fallback;
}

static void default_ns(uint64_t *v, uint64_t fallback)
{
    if (!*v) *v = fallback;
}

static void fill_defaults(struct sm_rpc_conn_cfg *cfg)
{
    struct sm_rpc_limits *l = &cfg->limits;
    default_size(&l->message_max, (cfg->server ? 10u : 4u) * (size_t)MIB);
    default_size(&l->input_max, l->message_max > SIZE_MAX / 4 ? SIZE_MAX : 4 * l->message_max);
    default_size(&l->output_max, 16u * (size_t)MIB);
    default_u32(&l->streams_max, 100);
    default_u32(&l->header_list_max, 16384);
    default_u32(&l->header_block_max, 16384);
    default_u32(&l->stream_window, MIB);
    default_u32(&l->conn_window, 4 * MIB);
    default_ns(&cfg->ping_timeout_ns, DEFAULT_PING_TIMEOUT);
    default_ns(&cfg->header_timeout_ns, DEFAULT_HEADERS);
    default_ns(&cfg->message_timeout_ns, DEFAULT_TIMEOUT);
    default_ns(&cfg->write_timeout_ns, DEFAULT_TIMEOUT);
}

static sm_err check_cfg(const struct sm_rpc_conn_cfg *cfg, struct sm_errinfo *ei)
{
    if (!cfg->server && (!cfg->authority || strlen(cfg->authority) >= sizeof((struct sm_rpc_conn *)0)->authority))
        return sm_fail(ei, SM_E_ARG, "a client connection needs the host and port of the server");
    if (!cfg->server && cfg->ping_interval_ns && cfg->ping_interval_ns < SM_RPC_PING_MIN_NS)
        return sm_fail(ei, SM_E_ARG,
                       "a ping interval of %llu s is refused: servers drop clients that ping more often "
                       "than every 60 s",
                       (unsigned long long)(cfg->ping_interval_ns / SM_NS_PER_S));
    if (cfg->limits.stream_window > INT32_MAX || cfg->limits.conn_window > INT32_MAX)
        return sm_fail(ei, SM_E_ARG, "a receive window has at most 2147483647 bytes");
    return SM_OK;
}

sm_err sm_rpc_conn_new(const struct sm_rpc_conn_cfg *cfg, uint64_t now_ns, struct sm_rpc_conn **out,
                       struct sm_errinfo *ei)
{
    sm_err err = check_cfg(cfg, ei);
    if (err) return err;
    struct sm_rpc_conn *c = sm_rpc_alloc(sizeof *c);
    if (!c) return sm_fail(ei, SM_E_NOMEM, "out of memory for a connection");
    c->cfg = *cfg;
    fill_defaults(&c->cfg);
    (void)snprintf(c->scheme, sizeof c->scheme, "%s", cfg->scheme ? cfg->scheme : "http");
    (void)snprintf(c->authority, sizeof c->authority, "%s", cfg->authority ? cfg->authority : "the client");
    (void)snprintf(c->user_agent, sizeof c->user_agent, "%s",
                   cfg->user_agent ? cfg->user_agent : "smesher/" SM_VERSION);
    c->now_ns = now_ns;
    c->input.max = c->cfg.limits.input_max;
    c->drain_deadline_ns = c->notice_deadline_ns = SM_RPC_NEVER;
    sm_rpc_guard_init(&c->guard, cfg->server, c->cfg.limits.header_block_max, now_ns);
    sm_rpc_keepalive_init(c, now_ns);
    err = sm_rpc_h2_open(c, ei);
    if (err)
        sm_rpc_conn_free(c);
    else
        *out = c;
    return err;
}

void sm_rpc_conn_free(struct sm_rpc_conn *c)
{
    if (!c) return;
    c->busy = true;
    c->muted = true;
    if (c->h2) {
        sm_rpc_conn_die(c, SM_E_NET, NGHTTP2_NO_ERROR, NULL, "the connection was closed");
        sm_rpc_streams_deliver(c);
    }
    sm_rpc_probes_deliver(c, true);
    nghttp2_session_del(c->h2);
    sm_rpc_buf_fini(&c->out);
    sm_rpc_free(c);
}

/* ---- the end ---- */

void sm_rpc_conn_wake(struct sm_rpc_conn *c)
{
    if (c->busy || c->woken) return;
    c->woken = true;
    if (c->cfg.on_wake) c->cfg.on_wake(c->cfg.wake_ctx);
}

void sm_rpc_conn_die(struct sm_rpc_conn *c, sm_err why, uint32_t h2_error, const char *debug, const char *fmt, ...)
{
    if (c->state == SM_RPC_DEAD) return;
    c->state = SM_RPC_DEAD;
    if (!c->why) { /* a GOAWAY of the peer has said more already */
        va_list ap;
        va_start(ap, fmt);
        c->why = why;
        if (vsnprintf(c->why_text, sizeof c->why_text, fmt, ap) < 0) c->why_text[0] = '\0';
        va_end(ap);
    }
    for (struct sm_rpc_stream *s = c->streams; s; s = s->next) {
        sm_rpc_stream_end(s, SM_GRPC_UNAVAILABLE, "%s", c->why_text);
        sm_rpc_stream_detach(s);
    }
    for (size_t i = 0; i < SM_RPC_PROBES; i++) c->probes[i].over = true;
    c->due = true;
    if (c->muted) return;
    const int32_t last = nghttp2_session_get_last_proc_stream_id(c->h2);
    if (nghttp2_submit_goaway(c->h2, NGHTTP2_FLAG_NONE, last, h2_error, (const uint8_t *)debug,
                              debug ? strlen(debug) : 0) != 0)
        c->muted = true;
}

sm_err sm_rpc_conn_why(const struct sm_rpc_conn *c, struct sm_errinfo *ei)
{
    return c->why ? sm_fail(ei, c->why, "%s", c->why_text) : SM_OK;
}

void sm_rpc_conn_shutdown(struct sm_rpc_conn *c, uint64_t now_ns, uint64_t grace_ns)
{
    const uint64_t end = grace_ns < SM_RPC_NEVER - now_ns ? now_ns + grace_ns : SM_RPC_NEVER;
    if (c->state == SM_RPC_DEAD) return;
    if (end < c->drain_deadline_ns && !c->drain_failed) c->drain_deadline_ns = end;
    if (end < c->notice_deadline_ns) c->notice_deadline_ns = end;
    sm_rpc_conn_wake(c);
    if (c->state != SM_RPC_OPEN) return;
    if (!c->cfg.server) {
        c->state = SM_RPC_DRAINING;
        (void)nghttp2_submit_goaway(c->h2, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
        return;
    }
    c->state = SM_RPC_NOTICE;
    (void)nghttp2_submit_shutdown_notice(c->h2);
    c->notice_ping = sm_rpc_ping_send(c); /* its answer comes behind everything that was on the wire */
    if (now_ns + NOTICE_NS < end) c->notice_deadline_ns = now_ns + NOTICE_NS;
}

static void tick_drain(struct sm_rpc_conn *c)
{
    if (c->state == SM_RPC_NOTICE && c->notice_deadline_ns <= c->now_ns) {
        c->state = SM_RPC_DRAINING;
        const int32_t last = nghttp2_session_get_last_proc_stream_id(c->h2);
        (void)nghttp2_submit_goaway(c->h2, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
    }
    if (c->state != SM_RPC_DRAINING || c->drain_deadline_ns > c->now_ns) return;
    if (c->drain_failed) {
        sm_rpc_conn_die(c, SM_OK, NGHTTP2_NO_ERROR, NULL, "the connection was shut down");
        return;
    }
    c->drain_failed = true;
    c->drain_deadline_ns = c->now_ns + LAST_WORDS_NS;
    for (struct sm_rpc_stream *s = c->streams; s; s = s->next)
        sm_rpc_stream_fail(s, SM_GRPC_UNAVAILABLE, "%s",
                           c->cfg.server ? "the server is shutting down" : "the connection is closing");
}

bool sm_rpc_conn_usable(const struct sm_rpc_conn *c)
{
    return c->state == SM_RPC_OPEN && !c->peer_away && nghttp2_session_check_request_allowed(c->h2);
}

size_t sm_rpc_conn_streams(const struct sm_rpc_conn *c)
{
    return c->streams_n;
}

bool sm_rpc_conn_finished(const struct sm_rpc_conn *c)
{
    if (c->state == SM_RPC_DEAD) return true;
    return (c->state == SM_RPC_DRAINING || c->peer_away) && !c->streams && !nghttp2_session_want_write(c->h2);
}

/* ---- a turn of the transport ---- */

static void begin_turn(struct sm_rpc_conn *c, uint64_t now_ns)
{
    if (now_ns > c->now_ns) c->now_ns = now_ns; /* never backwards */
    c->busy = true;
    c->woken = false;
}

/* Calls what is owed and fills the output, until neither brings more of the other. */
static void end_turn(struct sm_rpc_conn *c)
{
    if (c->cfg.server)
        for (struct sm_rpc_stream *s = c->streams; s; s = s->next)
            if (s->announced && !s->ended) sm_rpc_answer_begin(s);
    do {
        sm_rpc_h2_pump(c);
        if (!c->due) break;
        sm_rpc_streams_deliver(c);
        sm_rpc_probes_deliver(c, false);
    } while (c->due);
    c->busy = false;
}

static void feed_h2(struct sm_rpc_conn *c, const uint8_t *p, size_t n)
{
    const ssize_t rc = nghttp2_session_mem_recv(c->h2, p, n);
    if (rc >= 0) return;
    if (rc == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
        sm_rpc_conn_die(c, SM_E_FORMAT, NGHTTP2_PROTOCOL_ERROR, NULL, "the client does not speak HTTP/2");
    else if (rc == NGHTTP2_ERR_FLOODED)
        sm_rpc_conn_die(c, SM_E_REFUSED, NGHTTP2_ENHANCE_YOUR_CALM, "flooded", "the peer floods the connection");
    else
        sm_rpc_conn_die(c, SM_E_NOMEM, NGHTTP2_INTERNAL_ERROR, NULL, "cannot go on reading: %s",
                        nghttp2_strerror((int)rc));
}

sm_err sm_rpc_conn_feed(struct sm_rpc_conn *c, const uint8_t *p, size_t n, uint64_t now_ns, struct sm_errinfo *ei)
{
    size_t good;
    begin_turn(c, now_ns);
    if (c->state != SM_RPC_DEAD && n) {
        c->last_rx_ns = c->now_ns;
        const char *flood = sm_rpc_guard_scan(&c->guard, p, n, c->now_ns, &good);
        if (good) feed_h2(c, p, good);
        sm_rpc_h2_pump(c); /* a GOAWAY of the library's own shows here */
        if (flood && c->guard.h2_error)
            sm_rpc_conn_die(c, SM_E_FORMAT, c->guard.h2_error, flood, "the client broke HTTP/2: %s",
                            c->guard.h2_error == NGHTTP2_STREAM_CLOSED ? "it went on with a call that it had ended"
                                                                       : "it opened its calls out of order");
        else if (flood)
            sm_rpc_conn_die(c, SM_E_REFUSED, NGHTTP2_ENHANCE_YOUR_CALM, flood, "the peer floods the connection: %s",
                            flood);
    }
    end_turn(c);
    if (c->state != SM_RPC_DEAD) return SM_OK;
    return c->why ? sm_fail(ei, c->why, "%s", c->why_text) : sm_fail(ei, SM_E_NET, "the connection was shut down");
}

void sm_rpc_conn_eof(struct sm_rpc_conn *c, uint64_t now_ns, const char *why)
{
    begin_turn(c, now_ns);
    c->muted = true;
    if (sm_rpc_conn_finished(c) || (c->cfg.server && !c->streams))
        sm_rpc_conn_die(c, SM_OK, NGHTTP2_NO_ERROR, NULL, "%s", why);
    else
        sm_rpc_conn_die(c, SM_E_NET, NGHTTP2_NO_ERROR, NULL, "%s", why);
    sm_rpc_buf_fini(&c->out);
    end_turn(c);
}

size_t sm_rpc_conn_output(struct sm_rpc_conn *c, const uint8_t **out)
{
    c->busy = true; /* what becomes due here shows in the deadline */
    sm_rpc_h2_pump(c);
    c->busy = false;
    c->woken = false;
    *out = c->out.p ? c->out.p + c->out.at : NULL;
    return c->out.n;
}

void sm_rpc_conn_sent(struct sm_rpc_conn *c, size_t n)
{
    sm_rpc_buf_consume(&c->out, n);
    if (n) c->stall_since_ns = 0;
}

bool sm_rpc_conn_wants_input(const struct sm_rpc_conn *c)
{
    return c->state == SM_RPC_DEAD || nghttp2_session_get_outbound_queue_size(c->h2) < CONTROL_FRAMES_MAX;
}

/* ---- time ---- */

static uint64_t after(uint64_t since_ns, uint64_t timeout_ns)
{
    return timeout_ns && timeout_ns < SM_RPC_NEVER - since_ns ? since_ns + timeout_ns : SM_RPC_NEVER;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the peer is late with what it began: preface and SETTINGS, a header block. */
static uint64_t headers_late_at(const struct sm_rpc_conn *c)
{
    uint64_t at = SM_RPC_NEVER;
    if (!c->guard.settings_seen) at = after(c->start_ns, c->cfg.header_timeout_ns);
    if (c->guard.block_since_ns) at = least(at, after(c->guard.block_since_ns, c->cfg.header_timeout_ns));
    return at;
}

static uint64_t idle_at(const struct sm_rpc_conn *c)
{
    if (!c->cfg.server || c->streams_n || c->state != SM_RPC_OPEN) return SM_RPC_NEVER;
    return after(c->idle_since_ns, c->cfg.idle_timeout_ns);
}

uint64_t sm_rpc_conn_deadline(const struct sm_rpc_conn *c)
{
    uint64_t at = SM_RPC_NEVER;
    if (c->due) return 0;
    if (c->out.n) {
        if (!c->stall_since_ns) return 0;
        at = after(c->stall_since_ns, c->cfg.write_timeout_ns);
    }
    if (c->state == SM_RPC_DEAD) return at;
    at = least(at, least(headers_late_at(c), idle_at(c)));
    at = least(at, sm_rpc_keepalive_next(c));
    if (c->state == SM_RPC_NOTICE) at = least(at, c->notice_deadline_ns);
    if (c->state == SM_RPC_DRAINING) at = least(at, c->drain_deadline_ns);
    for (const struct sm_rpc_stream *s = c->streams; s && at; s = s->next) at = least(at, sm_rpc_stream_next(s));
    return at;
}

static void tick_output(struct sm_rpc_conn *c)
{
    if (!c->out.n)
        c->stall_since_ns = 0;
    else if (!c->stall_since_ns)
        c->stall_since_ns = c->now_ns ? c->now_ns : 1;
    else if (after(c->stall_since_ns, c->cfg.write_timeout_ns) <= c->now_ns) {
        c->muted = true; /* it would not read a GOAWAY either */
        sm_rpc_conn_die(c, SM_E_TIMEOUT, NGHTTP2_NO_ERROR, NULL, "the peer reads nothing");
        sm_rpc_buf_fini(&c->out);
    }
}

void sm_rpc_conn_tick(struct sm_rpc_conn *c, uint64_t now_ns)
{
    begin_turn(c, now_ns);
    tick_output(c);
    if (c->state != SM_RPC_DEAD) {
        if (headers_late_at(c) <= c->now_ns)
            sm_rpc_conn_die(c, SM_E_TIMEOUT, NGHTTP2_SETTINGS_TIMEOUT, "headers_late",
                            "the peer did not complete %s in time",
                            c->guard.settings_seen ? "a header block" : "the beginning of HTTP/2");
        if (idle_at(c) <= c->now_ns) sm_rpc_conn_shutdown(c, c->now_ns, 0);
        for (struct sm_rpc_stream *s = c->streams; s; s = s->next) sm_rpc_stream_tick(s);
        sm_rpc_keepalive_tick(c);
        tick_drain(c);
    }
    end_turn(c);
}
