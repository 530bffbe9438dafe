#include "rpc/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

static const char *const names[] = {
    "OK",        "CANCELLED",       "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS",  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",    "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED",
};
#define CODES (sizeof names / sizeof names[0])

const char *sm_grpc_code_name(sm_grpc_code code)
{
    return (size_t)code < CODES ? names[code] : names[SM_GRPC_UNKNOWN];
}

void sm_grpc_status_set(struct sm_grpc_status *out, sm_grpc_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    out->code = code;
    if (vsnprintf(out->message, sizeof out->message, fmt, ap) < 0) out->message[0] = '\0';
    va_end(ap);
}

sm_grpc_code sm_grpc_code_parse(struct sm_slice text)
{
    unsigned v = 0;
    if (text.n < 1 || text.n > 2) return SM_GRPC_UNKNOWN;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return SM_GRPC_UNKNOWN;
        v = v * 10 + (unsigned)(text.p[i] - '0');
    }
    return v < CODES ? (sm_grpc_code)v : SM_GRPC_UNKNOWN;
}

sm_grpc_code sm_grpc_code_of_reset(uint32_t h2_error)
{
    switch (h2_error) {
    case NGHTTP2_CANCEL:
        return SM_GRPC_CANCELLED;
    case NGHTTP2_REFUSED_STREAM:
        return SM_GRPC_UNAVAILABLE;
    case NGHTTP2_ENHANCE_YOUR_CALM:
        return SM_GRPC_RESOURCE_EXHAUSTED;
    case NGHTTP2_INADEQUATE_SECURITY:
        return SM_GRPC_PERMISSION_DENIED;
    default:
        return SM_GRPC_INTERNAL;
    }
}

sm_grpc_code sm_grpc_code_of_http(unsigned http_status)
{
    switch (http_status) {
    case 400:
        return SM_GRPC_INTERNAL;
    case 401:
        return SM_GRPC_UNAUTHENTICATED;
    case 403:
        return SM_GRPC_PERMISSION_DENIED;
    case 404:
        return SM_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return SM_GRPC_UNAVAILABLE;
    default:
        return SM_GRPC_UNKNOWN;
    }
}

sm_err sm_grpc_code_err(sm_grpc_code code)
{
    switch (code) {
    case SM_GRPC_OK:
        return SM_OK;
    case SM_GRPC_UNAVAILABLE:
        return SM_E_NET;
    case SM_GRPC_DEADLINE_EXCEEDED:
        return SM_E_TIMEOUT;
    case SM_GRPC_CANCELLED:
        return SM_E_CANCELLED;
    default:
        return SM_E_REFUSED;
    }
}

/* ---- grpc-message ---- */

size_t sm_grpc_message_encode(const char *text, char *out, size_t room)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        const bool plain = *p >= 0x20 && *p <= 0x7e && *p != '%';
        if (room - n < (plain ? 1u : 3u)) break;
        if (plain) {
            out[n++] = (char)*p;
            continue;
        }
        out[n++] = '%';
        out[n++] = digits[*p >> 4];
        out[n++] = digits[*p & 15];
    }
    return n;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The length without a last UTF-8 sequence that was cut. */
static size_t whole_utf8(const char *p, size_t n)
{
    size_t at = n;
    while (at && n - at < 3 && ((unsigned char)p[at - 1] & 0xc0) == 0x80) at--;
    if (!at) return n;
    const unsigned char lead = (unsigned char)p[at - 1];
    const size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    return want > n - at + 1 ? at - 1 : n;
}

void sm_grpc_message_decode(struct sm_slice wire, char *out, size_t room)
{
    size_t n = 0, i = 0;
    while (i < wire.n && n + 1 < room) {
        int c = wire.p[i];
        if (c == '%' && wire.n - i > 2 && hex_digit(wire.p[i + 1]) >= 0 && hex_digit(wire.p[i + 2]) >= 0) {
            c = hex_digit(wire.p[i + 1]) * 16 + hex_digit(wire.p[i + 2]);
            i += 2;
        }
        out[n++] = c ? (char)c : '?';
        i++;
    }
    if (i < wire.n) n = whole_utf8(out, n);
    out[n] = '\0';
}

/* ---- grpc-timeout ---- */

static const struct {
    char name;
    uint64_t ns;
} units[] = {{'n', 1}, {'u', 1000}, {'m', 1000000}, {'S', 1000000000u}, {'M', 60000000000ull}, {'H', 3600000000000ull}};
#define TIMEOUT_DIGITS_MAX 99999999u

void sm_grpc_timeout_encode(uint64_t ns, char out[SM_GRPC_TIMEOUT_ROOM])
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        const uint64_t v = ns / units[i].ns + (ns % units[i].ns ? 1 : 0);
        if (v > TIMEOUT_DIGITS_MAX) continue; /* 2^64 ns are 5.1 million hours: the last unit always fits */
        (void)snprintf(out, SM_GRPC_TIMEOUT_ROOM, "%u%c", v ? (unsigned)v : 1u, units[i].name);
        return;
    }
}

bool sm_grpc_timeout_parse(struct sm_slice text, uint64_t *out_ns)
{
    uint64_t v = 0;
    if (text.n < 2 || text.n > 9) return false;
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return false;
        v = v * 10 + (uint64_t)(text.p[i] - '0');
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (text.p[text.n - 1] != (uint8_t)units[i].name) continue;
        if (sm_mul_overflows_u64(v, units[i].ns, out_ns)) *out_ns = UINT64_MAX;
        return true;
    }
    return false;
}
