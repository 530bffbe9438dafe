/* http/client.h: HTTP requests, on libcurl.
 *
 * http and https only, HTTP/1.1, no redirects followed, no proxy but the configured one (the environment's are
 * ignored), no cookies. A client keeps its connections for the next request. One thread uses a client at a time;
 * any number of clients side by side. */
#ifndef SM_HTTP_CLIENT_H
#define SM_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/cancel.h"
#include "util/err.h"

struct sm_http_client_cfg {
    const char *bearer_token;    /* sent with every request; NULL: none. Copied. */
    const char *ca_file;         /* PEM, instead of the system's; NULL: the system's. Copied. */
    const char *proxy;           /* "http://host:port"; NULL: none. Copied. */
    unsigned connect_timeout_ms; /* 0 = 10000 */
};
struct sm_http_client;

SM_MUST_CHECK sm_err sm_http_client_new(const struct sm_http_client_cfg *cfg, struct sm_http_client **out,
                                        struct sm_errinfo *ei);
void sm_http_client_free(struct sm_http_client *c); /* accepts NULL */

struct sm_http_ask {
    const char *method; /* NULL: GET */
    const char *url;    /* http:// or https://, without user and password */
    struct sm_slice body;
    const char *content_type;       /* of the body; NULL: application/octet-stream */
    unsigned timeout_ms;            /* the whole exchange; 0 = 30000 */
    size_t body_max;                /* of the answer; 0 = 64 KiB */
    const struct sm_cancel *cancel, *cancel_too; /* polled every 50 ms, either one ends it; NULL: none */
};

struct sm_http_reply {
    unsigned status;
    char *body; /* with a terminator behind body_n bytes; never NULL after success */
    size_t body_n;
    uint32_t retry_after_s; /* of the Retry-After header in seconds; 0: absent or a date */
};

/* Blocks. Any status is success: the caller judges it. SM_E_ARG (not such a URL), SM_E_NET, SM_E_TIMEOUT,
 * SM_E_CANCELLED, SM_E_REFUSED (the peer's certificate is not trusted), SM_E_FORMAT (not HTTP, or more than body_max),
 * SM_E_NOMEM. *out is written on success only; sm_http_reply_fini frees it. */
SM_MUST_CHECK sm_err sm_http_perform(struct sm_http_client *c, const struct sm_http_ask *ask, struct sm_http_reply *out,
                                     struct sm_errinfo *ei);
void sm_http_reply_fini(struct sm_http_reply *r); /* accepts a zeroed one */

/* SM_E_ARG with a sentence when `url` is none that sm_http_perform takes. `what` names its source. */
SM_MUST_CHECK sm_err sm_http_check_url(const char *url, const char *what, struct sm_errinfo *ei);

/* Would a token sent to `url` be readable on the way? http:// to anything but 127.x.x.x, [::1] and localhost. */
bool sm_http_is_in_clear(const char *url);

#endif
