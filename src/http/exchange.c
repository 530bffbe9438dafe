#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/server_impl.h"

/* A request while its body arrives. */
struct exchange {
    uint8_t *body;
    size_t n;
    bool too_large;
};

const char *sm_http_request_header(const struct sm_http_request *rq, const char *name)
{
    return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

const char *sm_http_request_query(const struct sm_http_request *rq, const char *name)
{
    return MHD_lookup_connection_value(rq->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* A decoded NUL would end the path early: "/a%00b" is not "/a". */
size_t sm_http_on_unescape(void *ctx, struct MHD_Connection *connection, char *text)
{
    (void)ctx;
    (void)connection;
    return strstr(text, "%00") ? strlen(text) : MHD_http_unescape(text);
}

/* Takes out->body. */
static enum MHD_Result answer(struct MHD_Connection *connection, struct sm_http_response *out)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(
        out->body ? out->body_n : 0, out->body, out->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!r) {
        free(out->body);
        return MHD_NO;
    }
    bool ok = true;
    if (out->body)
        ok = MHD_add_response_header(r, "Content-Type",
                                     out->content_type ? out->content_type : "text/plain; charset=utf-8") == MHD_YES;
    ok = ok && MHD_add_response_header(r, "X-Content-Type-Options", "nosniff") == MHD_YES;
    for (size_t i = 0; ok && i < out->headers_n; i++)
        ok = MHD_add_response_header(r, out->headers[i].name, out->headers[i].value) == MHD_YES;
    const enum MHD_Result queued = ok ? MHD_queue_response(connection, out->status ? out->status : 500, r) : MHD_NO;
    MHD_destroy_response(r);
    return queued;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct sm_http_response out = {0};
    sm_http_response_text(&out, status, "%s", text);
    if (status == 401) sm_http_response_header(&out, "WWW-Authenticate", "Bearer");
    return answer(connection, &out);
}

/* Hashes of equal length are compared, so that time tells nothing about the token, not even its length. */
static bool may_ask(const struct sm_http_server *s, struct MHD_Connection *connection)
{
    if (!s->has_token) return true;
    const char *given = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    uint8_t hash[32];
    if (!given || strncasecmp(given, "Bearer ", 7) != 0) return false;
    given += 7;
    (void)crypto_generichash(hash, sizeof hash, (const uint8_t *)given, strlen(given), NULL, 0);
    return sodium_memcmp(hash, s->token_hash, sizeof hash) == 0;
}

static bool announces_too_much(const struct sm_http_server *s, struct MHD_Connection *connection)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    return length && strtoull(length, NULL, 10) > s->body_max;
}

/* What does not fit is swallowed, and answered at the end: libmicrohttpd takes no answer in between. */
static void take_body(const struct sm_http_server *s, struct exchange *x, const char *p, size_t n)
{
    if (x->too_large) return;
    uint8_t *grown = n > s->body_max - x->n ? NULL : realloc(x->body, x->n + n);
    if (!grown) {
        x->too_large = true;
        return;
    }
    memcpy(grown + x->n, p, n);
    x->body = grown;
    x->n += n;
}

static enum MHD_Result handle(struct sm_http_server *s, struct MHD_Connection *connection, const char *url,
                              const char *method, const struct exchange *x)
{
    struct sm_http_response out = {0};
    const struct sm_http_request rq = {.method = strcmp(method, "HEAD") == 0 ? "GET" : method,
                                       .path = url,
                                       .body = {x->body, x->n},
                                       .connection = connection};
    s->handler(s->ctx, &rq, &out);
    return answer(connection, &out);
}

enum MHD_Result sm_http_on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                   const char *version, const char *upload, size_t *upload_n, void **state)
{
    struct sm_http_server *s = ctx;
    struct exchange *x = *state;
    (void)version;
    if (!x) { /* headers are complete */
        if (!may_ask(s, connection)) return refuse(connection, 401, "this server asks for its bearer token\n");
        if (announces_too_much(s, connection)) return refuse(connection, 413, "the body is too large\n");
        *state = x = calloc(1, sizeof *x);
        return x ? MHD_YES : MHD_NO;
    }
    if (*upload_n) {
        take_body(s, x, upload, *upload_n);
        *upload_n = 0;
        return MHD_YES;
    }
    if (x->too_large) return refuse(connection, 413, "the body is too large\n");
    return handle(s, connection, url, method, x);
}

void sm_http_on_completed(void *ctx, struct MHD_Connection *connection, void **state,
                          enum MHD_RequestTerminationCode how)
{
    struct sm_http_server *s = ctx;
    struct exchange *x = *state;
    if (x) free(x->body);
    free(x);
    *state = NULL;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info && how == MHD_REQUEST_TERMINATED_COMPLETED_OK) sm_http_conns_next_request(&s->conns, info->connect_fd);
}
