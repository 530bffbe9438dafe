/* The HTTP/2 library's callbacks, and its set-up. */
#include <string.h>

#include "rpc/conn_impl.h"

#define OUT_TARGET   65536u /* bytes handed to the transport at a time */
#define ACKS_MAX     500u   /* answers to PING and SETTINGS that may wait; the guard lets fewer through */
#define SETTINGS_MAX 64u    /* parameters in one SETTINGS frame; six are defined */

static ssize_t read_data(nghttp2_session *h2, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    (void)source;
    (void)user;
    struct sm_rpc_stream *s = nghttp2_session_get_stream_user_data(h2, id);
    if (!s) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return sm_rpc_stream_output(s, to, room, flags);
}
const nghttp2_data_provider sm_rpc_h2_data = {.read_callback = read_data};

/* ---- input ---- */

static int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    struct sm_rpc_conn *c = user;
    if (c->state == SM_RPC_DEAD) return NGHTTP2_ERR_CALLBACK_FAILURE; /* the rest of the input is not for us */
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    struct sm_rpc_stream *s = sm_rpc_stream_new(c);
    if (!s) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    s->id = frame->hd.stream_id;
    if (nghttp2_session_set_stream_user_data(h2, s->id, s) != 0) {
        sm_rpc_stream_free(s);
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    (void)flags;
    struct sm_rpc_conn *c = user;
    struct sm_rpc_stream *s = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
    const bool heard = !c->cfg.server || frame->headers.cat == NGHTTP2_HCAT_REQUEST; /* clients' trailers are not */
    if (s && !s->ended && heard)
        (void)sm_rpc_headers_add(&s->in, (struct sm_slice){name, name_n}, (struct sm_slice){value, value_n},
                                 c->cfg.limits.header_list_max);
    return 0;
}

static int on_data(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *user)
{
    (void)flags;
    const struct sm_rpc_conn *c = user;
    struct sm_rpc_stream *s = nghttp2_session_get_stream_user_data(h2, id);
    if (s) sm_rpc_stream_input(s, p, n);
    return c->state == SM_RPC_DEAD ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* Words of the peer that operators will read. */
static void copy_printable(char *to, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '?';
    to[n] = '\0';
}

static void see_goaway(struct sm_rpc_conn *c, const nghttp2_goaway *g)
{
    const struct sm_slice debug = {g->opaque_data, g->opaque_data_len};
    sm_rpc_keepalive_goaway(c, g->error_code, debug);
    c->peer_away = true; /* a client that leaves may still wait for answers; without calls, this is the end */
    if (g->error_code == NGHTTP2_NO_ERROR || c->why) return;
    char text[64];
    const size_t n = debug.n < sizeof text - 1 ? debug.n : sizeof text - 1;
    copy_printable(text, debug.p, n);
    c->why = SM_E_NET;
    struct sm_grpc_status st;
    sm_grpc_status_set(&st, SM_GRPC_UNAVAILABLE, "%s ended the connection: %s%s%s", c->authority,
                       nghttp2_http2_strerror(g->error_code), n ? ", " : "", text);
    memcpy(c->why_text, st.message, sizeof c->why_text);
}

static void see_headers(struct sm_rpc_stream *s, const nghttp2_frame *frame)
{
    const bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (!s->c->cfg.server)
        sm_rpc_call_headers(s, end);
    else if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        sm_rpc_answer_open(s);
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    struct sm_rpc_conn *c = user;
    struct sm_rpc_stream *s = NULL;
    switch (frame->hd.type) {
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            sm_rpc_keepalive_pong(c, frame->ping.opaque_data);
        else
            sm_rpc_keepalive_ping(c);
        break;
    case NGHTTP2_GOAWAY:
        see_goaway(c, &frame->goaway);
        break;
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        s = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
        if (s && frame->hd.type == NGHTTP2_HEADERS) see_headers(s, frame);
        if (s && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) sm_rpc_stream_input_end(s);
        break;
    default:
        break;
    }
    return c->state == SM_RPC_DEAD ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* gRPC for Go says goodbye with GOAWAY(last stream 2^31 - 1), which the library takes for an error: a client's stream cannot
 * be the last one that a client accepts. What follows is the end, and no complaint. */
static int on_invalid_frame(nghttp2_session *h2, const nghttp2_frame *frame, int code, void *user)
{
    (void)h2;
    (void)code;
    struct sm_rpc_conn *c = user;
    if (c->cfg.server && frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code == NGHTTP2_NO_ERROR)
        c->said_goodbye = true;
    return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t id, uint32_t h2_error, void *user)
{
    (void)user;
    struct sm_rpc_stream *s = nghttp2_session_get_stream_user_data(h2, id);
    if (!s) return 0;
    if (!s->ended && s->c->cfg.server && s->end_sent)
        sm_rpc_stream_end(s, s->last.code, "%s", s->last.message);
    else if (!s->ended)
        sm_rpc_stream_end(s, sm_grpc_code_of_reset(h2_error), "the call was reset: %s",
                          nghttp2_http2_strerror(h2_error));
    sm_rpc_stream_detach(s);
    return 0;
}

static int on_error(nghttp2_session *h2, int code, const char *text, size_t n, void *user)
{
    (void)h2;
    (void)code;
    struct sm_rpc_conn *c = user;
    if (n >= sizeof c->h2_text) n = sizeof c->h2_text - 1;
    copy_printable(c->h2_text, (const uint8_t *)text, n); /* it may quote headers */
    return 0;
}

/* ---- output ---- */

static void charge_refusal(struct sm_rpc_conn *c, uint32_t h2_error)
{
    if (h2_error == NGHTTP2_NO_ERROR || h2_error == NGHTTP2_CANCEL || c->state == SM_RPC_DEAD) return;
    const char *why = sm_rpc_guard_charge(&c->guard, SM_RPC_FLOOD_REFUSED, c->now_ns);
    if (why)
        sm_rpc_conn_die(c, SM_E_REFUSED, NGHTTP2_ENHANCE_YOUR_CALM, why, "the peer floods the connection: %s", why);
}

static void sent_goaway(struct sm_rpc_conn *c, uint32_t h2_error)
{
    if (h2_error == NGHTTP2_NO_ERROR && c->state != SM_RPC_DEAD) return;
    c->muted = true; /* nothing that matters comes after it */
    if (c->state == SM_RPC_DEAD) return;
    if (c->said_goodbye) {
        sm_rpc_conn_die(c, SM_OK, NGHTTP2_NO_ERROR, NULL, "the client has left");
        return;
    }
    sm_rpc_conn_die(c, SM_E_FORMAT, h2_error, NULL, "the peer broke HTTP/2: %s%s%s", nghttp2_http2_strerror(h2_error),
                    c->h2_text[0] ? ", " : "", c->h2_text);
}

/* Calls that are served in full are no flood, however many; nor is the RST_STREAM of a client that had more to say. */
static void forgive(struct sm_rpc_stream *s)
{
    if (!s->announced) return;
    sm_rpc_guard_expect(&s->c->guard, SM_RPC_FLOOD_HEADERS, 1);
    if (!s->remote_done) sm_rpc_guard_expect(&s->c->guard, SM_RPC_FLOOD_RESET, 1);
}

/* Frames of ours that make the peer send some. */
static void expect_answer(struct sm_rpc_conn *c, const nghttp2_frame *frame)
{
    if (frame->hd.type == NGHTTP2_DATA) {
        sm_rpc_guard_expect(&c->guard, SM_RPC_FLOOD_WINDOW_UPDATE, 2); /* of the call and of the connection */
        /* gRPC for Go measures bandwidth with one PING at a time, whenever data comes in
         * (grpc-go internal/transport/bdp_estimator.go). */
        sm_rpc_guard_expect(&c->guard, SM_RPC_FLOOD_PING, 1);
    } else if (!c->cfg.server) {
        sm_rpc_guard_expect(&c->guard, SM_RPC_FLOOD_HEADERS, 2); /* headers and trailers */
        sm_rpc_guard_expect(&c->guard, SM_RPC_FLOOD_RESET, 1);
    }
}

static void sent_end(struct sm_rpc_stream *s)
{
    s->end_sent = true;
    if (!s->c->cfg.server) return;
    if (!s->ended) forgive(s);
    sm_rpc_stream_end(s, s->last.code, "%s", s->last.message);
    if (!s->remote_done) (void)nghttp2_submit_rst_stream(s->c->h2, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
}

static int on_frame_sent(nghttp2_session *h2, const nghttp2_frame *frame, void *user)
{
    struct sm_rpc_conn *c = user;
    struct sm_rpc_stream *s = NULL;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
        c->strikes_forgiven = true;
        expect_answer(c, frame);
        s = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
        if (s && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) sent_end(s);
        break;
    case NGHTTP2_RST_STREAM:
        charge_refusal(c, frame->rst_stream.error_code);
        break;
    case NGHTTP2_GOAWAY:
        sent_goaway(c, frame->goaway.error_code);
        break;
    default:
        break;
    }
    return 0;
}

void sm_rpc_h2_pump(struct sm_rpc_conn *c)
{
    while (!c->muted && c->out.n < OUT_TARGET) {
        const uint8_t *p;
        const ssize_t n = nghttp2_session_mem_send(c->h2, &p);
        if (n == 0) return;
        if (n < 0 || !sm_rpc_buf_append(&c->out, p, (size_t)n)) {
            c->muted = true;
            sm_rpc_conn_die(c, SM_E_NOMEM, NGHTTP2_INTERNAL_ERROR, NULL,
                            "out of memory for the output of a connection");
        }
    }
}

/* ---- set-up ---- */

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *cb;
    if (nghttp2_session_callbacks_new(&cb) != 0) return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
    nghttp2_session_callbacks_set_error_callback2(cb, on_error);
    return cb;
}

static nghttp2_option *make_option(void)
{
    nghttp2_option *option;
    if (nghttp2_option_new(&option) != 0) return NULL;
    nghttp2_option_set_max_outbound_ack(option, ACKS_MAX);
    nghttp2_option_set_max_settings(option, SETTINGS_MAX);
    nghttp2_option_set_no_closed_streams(option, 1); /* they are kept for priorities only */
#ifdef SM_NGHTTP2_MAX_CONTINUATIONS
    /* The library's counter takes every piece of a frame head for a frame; the guard counts right. */
    nghttp2_option_set_max_continuations(option, SIZE_MAX);
#endif
#ifdef SM_NGHTTP2_RESET_RATE
    /* The library's limit looks at a clock of its own; the guard keeps a lower one. */
    nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, 1);
#endif
    nghttp2_option_set_peer_max_concurrent_streams(option, 100);
    return option;
}

static int send_settings(struct sm_rpc_conn *c)
{
    const struct sm_rpc_limits *l = &c->cfg.limits;
    nghttp2_settings_entry list[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l->stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, l->header_list_max},
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, /* the client's */
    };
    if (c->cfg.server) list[2] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->streams_max};
    const int rc = nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, list, sizeof list / sizeof list[0]);
    if (rc) return rc;
    return nghttp2_session_set_local_window_size(c->h2, NGHTTP2_FLAG_NONE, 0, (int32_t)l->conn_window);
}

sm_err sm_rpc_h2_open(struct sm_rpc_conn *c, struct sm_errinfo *ei)
{
    nghttp2_session_callbacks *cb = make_callbacks();
    nghttp2_option *option = make_option();
    int rc = NGHTTP2_ERR_NOMEM;
    if (cb && option && c->cfg.server)
        rc = nghttp2_session_server_new3(&c->h2, cb, c, option, sm_rpc_mem());
    else if (cb && option)
        rc = nghttp2_session_client_new3(&c->h2, cb, c, option, sm_rpc_mem());
    if (!rc) rc = send_settings(c);
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(option);
    if (rc) return sm_fail(ei, SM_E_NOMEM, "cannot set up an HTTP/2 connection: %s", nghttp2_strerror(rc));
    return SM_OK;
}
