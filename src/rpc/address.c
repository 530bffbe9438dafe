#include "rpc/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/bytes.h"

/* ---- what a host is ---- */

static bool is_ip(const char *host)
{
    uint8_t b[16];
    char bare[SM_RPC_HOST_ROOM];
    (void)snprintf(bare, sizeof bare, "%.*s", (int)strcspn(host, "%"), host);
    return inet_pton(AF_INET, host, b) == 1 || inet_pton(AF_INET6, bare, b) == 1;
}

/* What resolvers take: labels of letters, digits, '-' and '_' of at most 63. Digits and dots alone are an IPv4 address or a
 * mistake ("127.1", "10.0.0.256"), which resolvers read in surprising ways. */
static bool is_name(const char *host)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    if (!*host || strlen(host) > 253 || host[strspn(host, "0123456789.")] == '\0') return false;
    while (*host) {
        const size_t n = strspn(host, allowed);
        if (n == 0 || n > 63 || host[0] == '-') return false;
        host += n;
        if (*host == '.')
            host++;
        else if (*host)
            return false;
    }
    return true;
}

/* ---- parsing ---- */

static sm_err parse_port(const char *text, const char *digits, size_t n, bool zero_ok, uint16_t *out,
                         struct sm_errinfo *ei)
{
    unsigned port = 0;
    bool good = n > 0 && n <= 5;
    for (size_t i = 0; good && i < n; i++) {
        good = digits[i] >= '0' && digits[i] <= '9';
        port = port * 10 + (unsigned)(digits[i] - '0');
    }
    if (!good || port > 65535 || (port == 0 && !zero_ok))
        return sm_fail(ei, SM_E_ARG, "address %s: the port must be a number from %d to 65535", text, zero_ok ? 0 : 1);
    *out = (uint16_t)port;
    return SM_OK;
}

static sm_err copy_host(const char *text, const char *host, size_t n, bool bracketed, struct sm_rpc_address *out,
                        struct sm_errinfo *ei)
{
    if (n == 0) return sm_fail(ei, SM_E_ARG, "address %s: the host is missing (host:port)", text);
    if (n >= sizeof out->host || memchr(host, '\0', n))
        return sm_fail(ei, SM_E_ARG, "address %s: the host is too long", text);
    memcpy(out->host, host, n);
    out->host[n] = '\0';
    if (bracketed ? !is_ip(out->host) || !strchr(out->host, ':') : !is_ip(out->host) && !is_name(out->host))
        return sm_fail(ei, SM_E_ARG, "address %s: '%s' is neither a host name nor an IP address%s", text, out->host,
                       bracketed ? " in brackets" : "");
    return SM_OK;
}

/* `rest` is `text` behind the scheme, n bytes long. */
static sm_err parse_host_port(const char *text, const char *rest, size_t n, bool zero_ok, struct sm_rpc_address *out,
                              struct sm_errinfo *ei)
{
    const char *end = rest + n, *colon;
    const bool bracketed = n && rest[0] == '[';
    if (bracketed) {
        const char *close = memchr(rest, ']', n);
        if (!close) return sm_fail(ei, SM_E_ARG, "address %s: ']' is missing", text);
        colon = close + 1;
        sm_err err = copy_host(text, rest + 1, (size_t)(close - rest - 1), true, out, ei);
        if (err) return err;
    } else {
        colon = memchr(rest, ':', n);
        if (colon && memchr(colon + 1, ':', (size_t)(end - colon - 1)))
            return sm_fail(ei, SM_E_ARG, "address %s: write an IPv6 address in brackets, as in [::1]:9094", text);
        sm_err err = copy_host(text, rest, colon ? (size_t)(colon - rest) : n, false, out, ei);
        if (err) return err;
    }
    if (!colon || colon >= end || *colon != ':')
        return sm_fail(ei, SM_E_ARG, "address %s: the port is missing (host:port)", text);
    return parse_port(text, colon + 1, (size_t)(end - colon - 1), zero_ok, &out->port, ei);
}

sm_err sm_rpc_address_parse(const char *text, struct sm_rpc_address *out, struct sm_errinfo *ei)
{
    struct sm_rpc_address a = {0};
    const char *rest = strstr(text, "://");
    if (rest) {
        const size_t n = (size_t)(rest - text);
        a.tls = n == 5 && strncasecmp(text, "https", n) == 0;
        if (!a.tls && !(n == 4 && strncasecmp(text, "http", n) == 0))
            return sm_fail(ei, SM_E_ARG, "address %s: unknown protocol; use http://host:port or https://host:port",
                           text);
        rest += 3;
    } else {
        rest = text;
    }
    const size_t n = strcspn(rest, "/?#@");
    if (rest[n] && strcmp(rest + n, "/") != 0)
        return sm_fail(ei, SM_E_ARG, "address %s: only host and port are expected, no path and no user", text);
    sm_err err = parse_host_port(text, rest, n, false, &a, ei);
    if (!err) *out = a;
    return err;
}

sm_err sm_rpc_address_parse_listen(const char *text, struct sm_rpc_address *out, struct sm_errinfo *ei)
{
    struct sm_rpc_address a = {0};
    if (strstr(text, "://"))
        return sm_fail(ei, SM_E_ARG, "address %s: to listen, write host:port without a protocol", text);
    if (text[0] == ':')
        return sm_fail(
            ei, SM_E_ARG,
            "address %s: say where to listen: 127.0.0.1%s this machine, 0.0.0.0%s every IPv4 network, [::]%s "
            "every network",
            text, text, text, text);
    sm_err err = parse_host_port(text, text, strlen(text), true, &a, ei);
    if (!err) *out = a;
    return err;
}

sm_err sm_rpc_address_check_tls(const struct sm_rpc_address *a, bool tls_given, struct sm_errinfo *ei)
{
    char text[SM_RPC_ADDRESS_ROOM];
    if (a->tls == tls_given) return SM_OK;
    (void)sm_rpc_address_text(a, text);
    if (a->tls)
        return sm_fail(ei, SM_E_ARG, "https://%s needs certificates: give the CA, our certificate and its key", text);
    return sm_fail(ei, SM_E_ARG,
                   "certificates were given, but http://%s would be spoken without encryption: write https://%s", text,
                   text);
}

/* ---- questions ---- */

const char *sm_rpc_address_text(const struct sm_rpc_address *a, char out[SM_RPC_ADDRESS_ROOM])
{
    const bool v6 = strchr(a->host, ':');
    (void)snprintf(out, SM_RPC_ADDRESS_ROOM, "%s%.*s%s:%u", v6 ? "[" : "", (int)strcspn(a->host, "%"), a->host,
                   v6 ? "]" : "", a->port);
    return out;
}

bool sm_rpc_address_is_ip(const struct sm_rpc_address *a)
{
    return is_ip(a->host);
}

bool sm_rpc_address_is_loopback(const struct sm_rpc_address *a)
{
    uint8_t b[16];
    static const uint8_t one[16] = {[15] = 1};
    if (inet_pton(AF_INET, a->host, b) == 1) return b[0] == 127;
    if (inet_pton(AF_INET6, a->host, b) == 1) return memcmp(b, one, sizeof one) == 0;
    return strcasecmp(a->host, "localhost") == 0;
}
