/* http/server.h: a small HTTP/1.1 server for status pages and simple interfaces, on libmicrohttpd.
 *
 * One thread of its own reads requests and calls the handler; a second one closes connections that take too long as a
 * whole, however steadily their bytes drip. Memory is bounded by connections_max * (header_bytes_max +
 * body_bytes_max). The process ignores SIGPIPE. */
#ifndef SM_HTTP_SERVER_H
#define SM_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

/* Valid during the handler's call. */
struct sm_http_request {
    const char *method; /* as sent; "GET" for HEAD too: the body is then left out by the server */
    const char *path;   /* without query; percent-decoded but for "%00" */
    struct sm_slice body;
    void *connection; /* private */
};
const char *sm_http_request_header(const struct sm_http_request *rq, const char *name); /* NULL: absent */
const char *sm_http_request_query(const struct sm_http_request *rq, const char *name);  /* decoded; NULL: absent */

#define SM_HTTP_HEADERS_MAX 4u

struct sm_http_response {
    unsigned status;          /* the handler sets it; 0 is answered as 500 */
    const char *content_type; /* static text; NULL: "text/plain; charset=utf-8" */
    char *body;               /* malloc'd, the server frees it; NULL: empty */
    size_t body_n;
    struct {
        const char *name; /* static */
        char value[128];
    } headers[SM_HTTP_HEADERS_MAX];
    size_t headers_n;
};
/* A header of our own; cut at 127 bytes; more than SM_HTTP_HEADERS_MAX is our bug (assert). */
void sm_http_response_header(struct sm_http_response *out, const char *name, const char *fmt, ...) SM_PRINTF(3, 4);
/* Status and a text as the body; 500 without a body when memory is short. */
void sm_http_response_text(struct sm_http_response *out, unsigned status, const char *fmt, ...) SM_PRINTF(3, 4);
void sm_http_not_found(struct sm_http_response *out);                        /* 404 */
void sm_http_not_allowed(struct sm_http_response *out, const char *methods); /* 405; "GET, HEAD" for Allow */

/* On the server's thread: quick, or everybody waits. `out` is zeroed. Requests without the token never get here. */
typedef void (*sm_http_handler)(void *ctx, const struct sm_http_request *rq, struct sm_http_response *out);

struct sm_http_server_cfg {
    const char *listen;       /* "127.0.0.1:3000", "[::1]:0", "localhost:80"; a numeric address, port 0 = any free */
    const char *bearer_token; /* every request must carry it; NULL or "": none. Copied. */
    bool insecure;            /* listen beyond loopback without a token although anybody can then ask */
    sm_http_handler handler;
    void *ctx;
    const char *tls_cert, *tls_key; /* PEM files: HTTPS, TLS 1.2 or newer; both or none */
    unsigned connections_max;       /* 0 = 64 */
    unsigned idle_timeout_s;        /* nothing received; 0 = 10 */
    unsigned request_timeout_s;     /* from one request's end to the next one's, answer included; 0 = 30 */
    size_t header_bytes_max;        /* request line and headers; 0 = 16 KiB */
    size_t body_bytes_max;          /* 0 = 64 KiB; larger ones are answered 413 */
};

struct sm_http_server;

/* Serves from here on. SM_E_ARG (address, token missing beyond loopback, half a TLS pair or one that does not work),
 * SM_E_NET (cannot listen), SM_E_NOMEM, what reading the PEM files returns. */
SM_MUST_CHECK sm_err sm_http_server_start(const struct sm_http_server_cfg *cfg, struct sm_http_server **out,
                                          struct sm_errinfo *ei);
uint16_t sm_http_server_port(const struct sm_http_server *s);
/* "http://127.0.0.1:3000"; lives as long as the server. */
const char *sm_http_server_url(const struct sm_http_server *s);
/* Ends open connections; no handler runs afterwards. Accepts NULL. Not from a handler. */
void sm_http_server_stop(struct sm_http_server *s);

/* A token file: one line, printable, without spaces, 16 … 256 bytes; warns in the log when others can read it. *out is
 * wiped and freed with sm_http_token_free. */
SM_MUST_CHECK sm_err sm_http_token_read(const char *path, char **out, struct sm_errinfo *ei);
void sm_http_token_free(char *token); /* accepts NULL */

#endif
