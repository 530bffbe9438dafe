/* What gRPC reads of a header block. Everything else is counted and skipped. */
#include <string.h>

#include "rpc/conn_impl.h"

#define LIST_OVERHEAD 32u /* RFC 9113 section 6.5.2 */

static bool is(struct sm_slice s, const char *text)
{
    return s.n == strlen(text) && !memcmp(s.p, text, s.n);
}

/* "application/grpc", "application/grpc+proto", "application/grpc;charset=…": the type compares without case. */
static bool is_grpc_type(struct sm_slice s)
{
    static const char want[] = "application/grpc";
    const size_t n = sizeof want - 1;
    if (s.n < n) return false;
    for (size_t i = 0; i < n; i++) {
        const uint8_t c = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (uint8_t)(s.p[i] | 0x20) : s.p[i];
        if (c != (uint8_t)want[i]) return false;
    }
    return s.n == n || s.p[n] == '+' || s.p[n] == ';';
}

static unsigned http_status(struct sm_slice s)
{
    unsigned v = 0; /* the HTTP/2 library has checked that these are three digits */
    for (size_t i = 0; i < s.n && i < 3; i++) v = v * 10 + (unsigned)(s.p[i] - '0');
    return v;
}

static void take_path(struct sm_rpc_headers *h, struct sm_slice value)
{
    h->path_too_long = value.n >= sizeof h->path;
    const size_t n = h->path_too_long ? 0 : value.n;
    if (n) memcpy(h->path, value.p, n);
    h->path[n] = '\0';
}

static void take(struct sm_rpc_headers *h, struct sm_slice name, struct sm_slice value)
{
    if (is(name, ":path")) {
        take_path(h, value);
    } else if (is(name, ":method")) {
        h->is_post = is(value, "POST");
    } else if (is(name, ":status")) {
        h->http_status = http_status(value);
    } else if (is(name, "content-type")) {
        h->content_type_seen = true;
        h->is_grpc = is_grpc_type(value);
    } else if (is(name, "grpc-encoding")) {
        h->encoding_foreign = !is(value, "identity");
    } else if (is(name, "grpc-status")) {
        h->status_seen = true;
        h->status.code = sm_grpc_code_parse(value);
    } else if (is(name, "grpc-message")) {
        sm_grpc_message_decode(value, h->status.message, sizeof h->status.message);
    } else if (is(name, "grpc-timeout")) {
        h->timeout_seen = true;
        h->timeout_bad = !sm_grpc_timeout_parse(value, &h->timeout_ns);
    }
}

bool sm_rpc_headers_add(struct sm_rpc_headers *h, struct sm_slice name, struct sm_slice value, size_t list_max)
{
    if (h->list_bytes > list_max) return false;
    h->list_bytes += name.n + value.n + LIST_OVERHEAD;
    if (h->list_bytes > list_max) return false;
    take(h, name, value);
    return true;
}
