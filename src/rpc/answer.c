/* The server's side of a call: judging the request, response headers, trailers. */
#include <stdio.h>
#include <string.h>

#include "rpc/conn_impl.h"

#define NV(name, value, n) \
    ((nghttp2_nv){(uint8_t *)(size_t)(name), (uint8_t *)(size_t)(value), sizeof(name) - 1, (n), NGHTTP2_NV_FLAG_NONE})
#define NV_TEXT(name, value) NV(name, value, sizeof(value) - 1)

struct trailers { /* grpc-status and grpc-message */
    char code[4];
    char message[3 * SM_GRPC_MESSAGE_ROOM];
    nghttp2_nv nv[2];
    size_t n;
};

static void make_trailers(struct trailers *t, const struct sm_grpc_status *st)
{
    const int n = snprintf(t->code, sizeof t->code, "%u", (unsigned)st->code % 100u);
    t->nv[0] = NV("grpc-status", t->code, (size_t)n);
    t->n = 1;
    if (!st->message[0]) return;
    const size_t text_n = sm_grpc_message_encode(st->message, t->message, sizeof t->message);
    t->nv[t->n++] = NV("grpc-message", t->message, text_n);
}

void sm_rpc_answer_begin(struct sm_rpc_stream *s)
{
    if (s->answered || s->detached) return;
    const nghttp2_nv nv[] = {NV_TEXT(":status", "200"), NV_TEXT("content-type", "application/grpc")};
    if (nghttp2_submit_response(s->c->h2, s->id, nv, sizeof nv / sizeof nv[0], &sm_rpc_h2_data) != 0) {
        sm_rpc_stream_reset(s, NGHTTP2_INTERNAL_ERROR, SM_GRPC_INTERNAL, "out of memory for an answer");
        return;
    }
    s->answered = true;
}

int sm_rpc_answer_trailers(struct sm_rpc_stream *s)
{
    struct trailers t;
    make_trailers(&t, &s->last);
    return nghttp2_submit_trailer(s->c->h2, s->id, t.nv, t.n);
}

/* Trailers-Only: the whole answer is one header block. */
static void answer_status_only(struct sm_rpc_stream *s)
{
    struct trailers t;
    make_trailers(&t, &s->last);
    const nghttp2_nv nv[] = {NV_TEXT(":status", "200"), NV_TEXT("content-type", "application/grpc"), t.nv[0], t.nv[1]};
    if (nghttp2_submit_response(s->c->h2, s->id, nv, 2 + t.n, NULL) != 0)
        sm_rpc_stream_reset(s, NGHTTP2_INTERNAL_ERROR, SM_GRPC_INTERNAL, "out of memory for an answer");
    s->answered = true;
}

void sm_rpc_answer_finish(struct sm_rpc_stream *s, const struct sm_grpc_status *st)
{
    if (s->local_done || s->detached) return;
    s->last = *st;
    s->local_done = true;
    if (s->answered)
        (void)nghttp2_session_resume_data(s->c->h2, s->id); /* fails when it is not asleep: it then comes by itself */
    else if (!s->tx.n)
        answer_status_only(s);
    else
        sm_rpc_answer_begin(s);
    sm_rpc_conn_wake(s->c);
}

/* ---- the request ---- */

/* An answer to somebody who does not speak gRPC. */
static void answer_http(struct sm_rpc_stream *s, const char status[4])
{
    const nghttp2_nv nv[] = {NV(":status", status, 3), NV_TEXT("content-length", "0")};
    s->answered = s->local_done = true;
    if (nghttp2_submit_response(s->c->h2, s->id, nv, sizeof nv / sizeof nv[0], NULL) != 0)
        sm_rpc_stream_reset(s, NGHTTP2_INTERNAL_ERROR, SM_GRPC_INTERNAL, "out of memory for an answer");
}

static const struct sm_rpc_method *find_method(const struct sm_rpc_conn *c, const char *path)
{
    for (size_t i = 0; i < c->cfg.methods_n; i++)
        if (!strcmp(c->cfg.methods[i].path, path)) return &c->cfg.methods[i];
    return NULL;
}

/* False: the call is refused, and `st` says why. */
static bool judge(const struct sm_rpc_stream *s, struct sm_grpc_status *st)
{
    const struct sm_rpc_conn *c = s->c;
    const struct sm_rpc_headers *h = &s->in;
    if (h->list_bytes > c->cfg.limits.header_list_max)
        sm_grpc_status_set(st, SM_GRPC_RESOURCE_EXHAUSTED, "request headers are longer than %u bytes",
                           c->cfg.limits.header_list_max);
    else if (h->timeout_bad)
        sm_grpc_status_set(st, SM_GRPC_INTERNAL, "malformed grpc-timeout");
    else if (h->encoding_foreign)
        sm_grpc_status_set(st, SM_GRPC_UNIMPLEMENTED, "compressed messages are not supported here");
    else if (h->path_too_long || !s->method)
        sm_grpc_status_set(st, SM_GRPC_UNIMPLEMENTED, "unknown method %.200s", h->path);
    else if (c->drain_failed)
        sm_grpc_status_set(st, SM_GRPC_UNAVAILABLE, "the server is shutting down");
    else
        return true;
    return false;
}

void sm_rpc_answer_open(struct sm_rpc_stream *s)
{
    struct sm_rpc_conn *c = s->c;
    struct sm_grpc_status refuse = {.code = SM_GRPC_UNKNOWN};
    const bool cut = s->in.list_bytes > c->cfg.limits.header_list_max; /* what was cut off is unknown, not wrong */
    s->delivered = true;                                               /* until the application knows it */
    if (!cut && !s->in.is_post) {
        answer_http(s, "405");
        return;
    }
    if (!cut && !s->in.is_grpc) {
        answer_http(s, "415");
        return;
    }
    s->method = find_method(c, s->in.path);
    if (!judge(s, &refuse)) {
        sm_rpc_answer_finish(s, &refuse);
        return;
    }
    if (s->in.timeout_seen)
        s->deadline_ns = s->in.timeout_ns < SM_RPC_NEVER - c->now_ns ? c->now_ns + s->in.timeout_ns : SM_RPC_NEVER;
    if (s->method->kind == SM_RPC_UNARY) s->message_since_ns = c->now_ns ? c->now_ns : 1;
    refuse = (struct sm_grpc_status){.code = SM_GRPC_OK};
    if (!s->method->open(s->method->ctx, s, &s->ev, &s->ctx, &refuse)) {
        s->ev = NULL;
        s->deadline_ns = SM_RPC_NEVER;
        s->message_since_ns = 0;
        sm_rpc_answer_finish(s, &refuse);
        return;
    }
    s->announced = true;
    s->delivered = false;
    c->streams_n++;
}
