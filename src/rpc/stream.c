/* One call: messages in and out, and its end. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rpc/conn_impl.h"

struct sm_rpc_stream *sm_rpc_stream_new(struct sm_rpc_conn *c)
{
    struct sm_rpc_stream *s = sm_rpc_alloc(sizeof *s);
    if (!s) return NULL;
    s->c = c;
    s->deadline_ns = SM_RPC_NEVER;
    s->rx.message_max = c->cfg.limits.message_max;
    s->rx.budget = &c->input;
    s->next = c->streams;
    s->link = &c->streams;
    if (s->next) s->next->link = &s->next;
    c->streams = s;
    return s;
}

static void drop_output(struct sm_rpc_stream *s)
{
    s->c->queued -= s->tx.n;
    sm_rpc_buf_fini(&s->tx);
    if (s->c->blocked) s->c->due = true;
}

void sm_rpc_stream_free(struct sm_rpc_stream *s)
{
    drop_output(s);
    sm_rpc_frame_fini(&s->rx);
    *s->link = s->next;
    if (s->next) s->next->link = s->link;
    sm_rpc_free(s);
}

/* ---- the end ---- */

void sm_rpc_stream_detach(struct sm_rpc_stream *s)
{
    if (s->detached) return;
    (void)nghttp2_session_set_stream_user_data(s->c->h2, s->id,
                                               NULL); /* fails when the library has forgotten it already */
    s->detached = true;
    s->c->due = true;
}

static void end_with(struct sm_rpc_stream *s, const struct sm_grpc_status *st)
{
    if (s->ended) return;
    s->end = *st;
    s->ended = true;
    drop_output(s);
    if (!s->reading) sm_rpc_frame_fini(&s->rx);
    s->c->due = true;
    sm_rpc_conn_wake(s->c);
}

static void format(struct sm_grpc_status *st, sm_grpc_code code, const char *fmt, va_list ap)
{
    st->code = code;
    if (vsnprintf(st->message, sizeof st->message, fmt, ap) < 0) st->message[0] = '\0';
}

void sm_rpc_stream_end(struct sm_rpc_stream *s, sm_grpc_code code, const char *fmt, ...)
{
    struct sm_grpc_status st;
    va_list ap;
    va_start(ap, fmt);
    format(&st, code, fmt, ap);
    va_end(ap);
    end_with(s, &st);
}

static void reset_with(struct sm_rpc_stream *s, uint32_t h2_error, const struct sm_grpc_status *st)
{
    end_with(s, st);
    if (s->detached) return;
    (void)nghttp2_submit_rst_stream(s->c->h2, NGHTTP2_FLAG_NONE, s->id, h2_error);
    sm_rpc_stream_detach(s);
}

void sm_rpc_stream_reset(struct sm_rpc_stream *s, uint32_t h2_error, sm_grpc_code code, const char *fmt, ...)
{
    struct sm_grpc_status st;
    va_list ap;
    va_start(ap, fmt);
    format(&st, code, fmt, ap);
    va_end(ap);
    reset_with(s, h2_error, &st);
}

void sm_rpc_stream_fail(struct sm_rpc_stream *s, sm_grpc_code code, const char *fmt, ...)
{
    struct sm_grpc_status st;
    va_list ap;
    va_start(ap, fmt);
    format(&st, code, fmt, ap);
    va_end(ap);
    if (!s->c->cfg.server) {
        reset_with(s, NGHTTP2_CANCEL, &st);
        return;
    }
    if (s->ended) return;
    end_with(s, &st); /* what waited to be sent goes; the trailers still follow */
    if (s->local_done) s->last = st;
    sm_rpc_answer_finish(s, &st);
}

/* ---- input ---- */

static bool deaf(const struct sm_rpc_stream *s)
{
    return s->ended || !s->announced || (s->c->cfg.server && s->local_done);
}

static bool is_unary(const struct sm_rpc_stream *s)
{
    return s->method && s->method->kind == SM_RPC_UNARY;
}

static void begin_wait(struct sm_rpc_stream *s)
{
    if (sm_rpc_frame_partial(&s->rx)) {
        if (!s->message_since_ns) s->message_since_ns = s->c->now_ns ? s->c->now_ns : 1;
    } else if (!is_unary(s) || s->messages) {
        s->message_since_ns = 0;
    }
}

static void take_message(struct sm_rpc_stream *s, struct sm_slice msg)
{
    s->messages++;
    s->message_since_ns = 0;
    if (is_unary(s) && s->messages > 1) {
        sm_rpc_stream_fail(s, SM_GRPC_INTERNAL, "more than one message in a unary call");
        return;
    }
    s->reading = true;
    s->ev->on_message(s->ctx, s, msg);
    s->reading = false;
    if (s->ended) sm_rpc_frame_fini(&s->rx);
}

static void refuse_message(struct sm_rpc_stream *s, sm_rpc_frame_result why)
{
    const struct sm_rpc_limits *limits = &s->c->cfg.limits;
    if (why == SM_RPC_FRAME_COMPRESSED)
        sm_rpc_stream_fail(s, SM_GRPC_INTERNAL, "a compressed message, but no compression was agreed");
    else if (why == SM_RPC_FRAME_TOO_LARGE)
        sm_rpc_stream_fail(s, SM_GRPC_RESOURCE_EXHAUSTED, "a message of %zu bytes; the limit is %zu",
                           sm_rpc_frame_announced(&s->rx), limits->message_max);
    else if (why == SM_RPC_FRAME_CROWDED)
        sm_rpc_stream_fail(s, SM_GRPC_RESOURCE_EXHAUSTED, "half-received messages of this connection exceed %zu bytes",
                           limits->input_max);
    else
        sm_rpc_stream_fail(s, SM_GRPC_RESOURCE_EXHAUSTED, "out of memory for a message of %zu bytes",
                           sm_rpc_frame_announced(&s->rx));
}

void sm_rpc_stream_input(struct sm_rpc_stream *s, const uint8_t *p, size_t n)
{
    struct sm_slice in = {p, n}, msg;
    while (!deaf(s)) {
        const sm_rpc_frame_result r = sm_rpc_frame_read(&s->rx, &in, &msg);
        if (r == SM_RPC_FRAME_MORE) {
            begin_wait(s);
            return;
        }
        if (r == SM_RPC_FRAME_MESSAGE)
            take_message(s, msg);
        else
            refuse_message(s, r);
    }
}

void sm_rpc_stream_input_end(struct sm_rpc_stream *s)
{
    s->remote_done = true;
    if (!s->c->cfg.server) {
        sm_rpc_call_end(s);
        return;
    }
    if (deaf(s)) return;
    if (sm_rpc_frame_partial(&s->rx))
        sm_rpc_stream_fail(s, SM_GRPC_INTERNAL, "the request ended inside a message");
    else if (is_unary(s) && !s->messages)
        sm_rpc_stream_fail(s, SM_GRPC_INTERNAL, "a unary call without a message");
    else if (s->ev->on_half_close)
        s->ev->on_half_close(s->ctx, s);
}

/* ---- output ---- */

ssize_t sm_rpc_stream_output(struct sm_rpc_stream *s, uint8_t *to, size_t room, uint32_t *flags)
{
    const size_t n = s->tx.n < room ? s->tx.n : room;
    if (n) {
        memcpy(to, s->tx.p + s->tx.at, n);
        sm_rpc_buf_consume(&s->tx, n);
        s->c->queued -= n;
        s->stall_since_ns = 0;
        if (s->c->blocked && s->c->queued <= s->c->cfg.limits.output_max / 2) s->c->due = true;
    }
    if (s->tx.n) return (ssize_t)n;
    if (!s->local_done) return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (s->c->cfg.server) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (sm_rpc_answer_trailers(s) != 0) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)n;
}

sm_err sm_rpc_send(struct sm_rpc_stream *s, struct sm_slice msg, struct sm_errinfo *ei)
{
    struct sm_rpc_conn *c = s->c;
    const size_t max = c->cfg.limits.output_max;
    if (s->ended || s->local_done || s->detached) return sm_fail(ei, SM_E_NET, "the call has ended");
    if (msg.n >= UINT32_MAX) return sm_fail(ei, SM_E_ARG, "a message of %zu bytes cannot be sent", msg.n);
    if (c->queued && (c->queued >= max || msg.n + SM_RPC_FRAME_HEAD > max - c->queued)) {
        s->blocked = c->blocked = true;
        return sm_fail(ei, SM_E_BUSY, "%zu bytes wait to be sent already", c->queued);
    }
    if (!sm_rpc_frame_append(&s->tx, msg)) return sm_fail(ei, SM_E_NOMEM, "out of memory for a message to send");
    c->queued += msg.n + SM_RPC_FRAME_HEAD;
    if (c->cfg.server) sm_rpc_answer_begin(s);
    if (!s->detached) (void)nghttp2_session_resume_data(c->h2, s->id); /* fails when it is not asleep */
    sm_rpc_conn_wake(c);
    return SM_OK;
}

void sm_rpc_half_close(struct sm_rpc_stream *s)
{
    if (s->c->cfg.server || s->local_done) return;
    s->local_done = true;
    if (!s->detached) (void)nghttp2_session_resume_data(s->c->h2, s->id);
    sm_rpc_conn_wake(s->c);
}

void sm_rpc_finish(struct sm_rpc_stream *s, const struct sm_grpc_status *st)
{
    if (s->c->cfg.server && !s->ended) sm_rpc_answer_finish(s, st);
}

void sm_rpc_cancel(struct sm_rpc_stream *s)
{
    if (!s->ended) sm_rpc_stream_reset(s, NGHTTP2_CANCEL, SM_GRPC_CANCELLED, "cancelled");
}

struct sm_rpc_conn *sm_rpc_stream_conn(struct sm_rpc_stream *s)
{
    return s->c;
}

const void *sm_rpc_stream_peer(const struct sm_rpc_stream *s)
{
    return s->c->cfg.peer;
}

size_t sm_rpc_stream_queued(const struct sm_rpc_stream *s)
{
    return s->tx.n;
}

/* ---- events ---- */

/* Calls one event of `s`, if one is owed. The application may do anything to any stream meanwhile. */
static bool deliver_one(struct sm_rpc_stream *s)
{
    struct sm_rpc_conn *c = s->c;
    if (s->ended && s->announced && !s->delivered) {
        s->delivered = true;
        if (!--c->streams_n) c->idle_since_ns = c->now_ns;
        const struct sm_grpc_status end = s->end;
        s->ev->on_end(s->ctx, &end);
        return true;
    }
    if (s->blocked && !s->ended && c->queued <= c->cfg.limits.output_max / 2) {
        s->blocked = false;
        if (!s->local_done && s->ev->on_writable) s->ev->on_writable(s->ctx, s);
        return true;
    }
    return false;
}

void sm_rpc_streams_deliver(struct sm_rpc_conn *c)
{
    c->due = false;
    for (struct sm_rpc_stream *s = c->streams; s;) s = deliver_one(s) ? c->streams : s->next;
    c->blocked = false;
    for (struct sm_rpc_stream *s = c->streams, *next; s; s = next) {
        next = s->next;
        c->blocked |= s->blocked && !s->ended;
        if (s->detached && (s->delivered || !s->announced)) sm_rpc_stream_free(s);
    }
}

/* ---- time ---- */

static bool waits_for_peer(const struct sm_rpc_stream *s)
{
    return !s->detached && (s->tx.n || (s->local_done && !s->end_sent));
}

static uint64_t sooner(uint64_t a, uint64_t since, uint64_t timeout)
{
    if (!since || !timeout) return a;
    const uint64_t b = timeout < SM_RPC_NEVER - since ? since + timeout : SM_RPC_NEVER;
    return a < b ? a : b;
}

uint64_t sm_rpc_stream_next(const struct sm_rpc_stream *s)
{
    const struct sm_rpc_conn_cfg *cfg = &s->c->cfg;
    uint64_t next = SM_RPC_NEVER;
    if (waits_for_peer(s)) {
        if (!s->stall_since_ns) return 0;
        next = sooner(next, s->stall_since_ns, cfg->write_timeout_ns);
    }
    if (s->ended) return next;
    if (s->deadline_ns < next) next = s->deadline_ns;
    return sooner(next, s->message_since_ns, cfg->message_timeout_ns);
}

static bool passed(const struct sm_rpc_stream *s, uint64_t since, uint64_t timeout)
{
    return sooner(SM_RPC_NEVER, since, timeout) <= s->c->now_ns;
}

void sm_rpc_stream_tick(struct sm_rpc_stream *s)
{
    const struct sm_rpc_conn_cfg *cfg = &s->c->cfg;
    if (!waits_for_peer(s))
        s->stall_since_ns = 0;
    else if (!s->stall_since_ns)
        s->stall_since_ns = s->c->now_ns ? s->c->now_ns : 1;
    else if (passed(s, s->stall_since_ns, cfg->write_timeout_ns))
        sm_rpc_stream_reset(s, NGHTTP2_CANCEL, SM_GRPC_UNAVAILABLE, "the other side takes no data of this call");
    if (s->ended) return;
    if (s->deadline_ns <= s->c->now_ns)
        sm_rpc_stream_fail(s, SM_GRPC_DEADLINE_EXCEEDED, "deadline exceeded");
    else if (passed(s, s->message_since_ns, cfg->message_timeout_ns))
        sm_rpc_stream_fail(s, SM_GRPC_DEADLINE_EXCEEDED, "a message did not arrive whole in time");
}
