/* The client's side of a call: the request, and what the answer's headers and trailers say. */
#include <string.h>

#include "rpc/conn_impl.h"

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(size_t)name, (uint8_t *)(size_t)value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NONE};
}

static int32_t submit(struct sm_rpc_stream *s, const char *path, uint64_t timeout_ns)
{
    struct sm_rpc_conn *c = s->c;
    char timeout[SM_GRPC_TIMEOUT_ROOM];
    nghttp2_nv list[8] = {
        nv(":method", "POST"),           nv(":scheme", c->scheme), nv(":path", path),
        nv(":authority", c->authority),  nv("te", "trailers"),     nv("content-type", "application/grpc"),
        nv("user-agent", c->user_agent),
    };
    size_t n = 7;
    if (timeout_ns) {
        sm_grpc_timeout_encode(timeout_ns, timeout);
        list[n++] = nv("grpc-timeout", timeout);
    }
    return nghttp2_submit_request(c->h2, NULL, list, n, &sm_rpc_h2_data, s);
}

static uint32_t calls_max(const struct sm_rpc_conn *c)
{
    return nghttp2_session_get_remote_settings(c->h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

static sm_err check_call(const struct sm_rpc_conn *c, struct sm_errinfo *ei)
{
    if (c->cfg.server) return sm_fail(ei, SM_E_ARG, "a server connection opens no calls");
    if (!sm_rpc_conn_usable(c))
        return sm_fail(ei, SM_E_NET, "the connection to %s is ending%s%s", c->authority, c->why_text[0] ? ": " : "",
                       c->why_text);
    if (c->streams_n >= calls_max(c))
        return sm_fail(ei, SM_E_BUSY, "%s allows %u calls at a time, and all are under way", c->authority,
                       calls_max(c));
    return SM_OK;
}

size_t sm_rpc_conn_room(const struct sm_rpc_conn *c)
{
    return sm_rpc_conn_usable(c) && c->streams_n < calls_max(c) ? calls_max(c) - c->streams_n : 0;
}

sm_err sm_rpc_call(struct sm_rpc_conn *c, const char *path, uint64_t timeout_ns, uint64_t now_ns,
                   const struct sm_rpc_stream_events *ev, void *ctx, struct sm_rpc_stream **out, struct sm_errinfo *ei)
{
    sm_err err = check_call(c, ei);
    if (err) return err;
    struct sm_rpc_stream *s = sm_rpc_stream_new(c);
    if (!s) return sm_fail(ei, SM_E_NOMEM, "out of memory for a call of %s", path);
    s->ev = ev;
    s->ctx = ctx;
    s->id = submit(s, path, timeout_ns);
    if (s->id < 0) {
        err = s->id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE ? SM_E_NET : SM_E_NOMEM;
        err = sm_fail(ei, err, "cannot call %s: %s", path, nghttp2_strerror(s->id));
        sm_rpc_stream_free(s);
        return err;
    }
    if (timeout_ns) s->deadline_ns = timeout_ns < SM_RPC_NEVER - now_ns ? now_ns + timeout_ns : SM_RPC_NEVER;
    if (!c->streams_n++ && now_ns > c->quiet_since_ns) c->quiet_since_ns = now_ns;
    s->announced = true;
    sm_rpc_conn_wake(c);
    *out = s;
    return SM_OK;
}

/* ---- the answer ---- */

/* What an answer that is no gRPC answer means. */
static void refuse_answer(struct sm_rpc_stream *s, const char *authority)
{
    const struct sm_rpc_headers *h = &s->in;
    if (h->http_status != 200)
        sm_rpc_stream_fail(s, sm_grpc_code_of_http(h->http_status), "%s answered with HTTP status %u", authority,
                           h->http_status);
    else if (!h->is_grpc)
        sm_rpc_stream_fail(s, SM_GRPC_UNKNOWN, "%s answered with %s, which is not gRPC", authority,
                           h->content_type_seen ? "another content type" : "no content type");
    else if (h->encoding_foreign)
        sm_rpc_stream_fail(s, SM_GRPC_INTERNAL, "%s compresses messages, which nobody asked for", authority);
}

void sm_rpc_call_headers(struct sm_rpc_stream *s, bool end_stream)
{
    struct sm_rpc_conn *c = s->c;
    struct sm_rpc_headers *h = &s->in;
    if (s->ended) return;
    if (h->list_bytes > c->cfg.limits.header_list_max) {
        sm_rpc_stream_fail(s, SM_GRPC_RESOURCE_EXHAUSTED, "headers of %s are longer than %u bytes", c->authority,
                           c->cfg.limits.header_list_max);
        return;
    }
    if (!s->answered && h->http_status / 100 == 1) { /* an interim answer: the real one follows */
        *h = (struct sm_rpc_headers){0};
        return;
    }
    if (!s->answered && !(h->status_seen && end_stream)) refuse_answer(s, c->authority);
    s->answered = true;
    h->list_bytes = 0; /* trailers are counted by themselves */
}

void sm_rpc_call_end(struct sm_rpc_stream *s)
{
    const struct sm_rpc_headers *h = &s->in;
    if (s->ended) return;
    if (sm_rpc_frame_partial(&s->rx))
        sm_rpc_stream_end(s, SM_GRPC_INTERNAL, "the answer ended inside a message");
    else if (!h->status_seen)
        sm_rpc_stream_end(s, SM_GRPC_UNKNOWN, "the answer ended without a status");
    else
        sm_rpc_stream_end(s, h->status.code, "%s", h->status.message);
    if (s->end_sent || s->detached) return;
    /* We had not half-closed: what is still queued here is of no use to anybody. */
    (void)nghttp2_submit_rst_stream(s->c->h2, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    sm_rpc_stream_detach(s);
}
