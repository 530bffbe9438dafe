#include "http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http/server_impl.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"

#define CONNECTIONS    64u /* defaults: ours */
#define IDLE_S         10u
#define REQUEST_S      30u
#define HEADER_BYTES   16384u
#define BODY_BYTES     65536u
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" /* GnuTLS's words */
#define PEM_MAX        (256u << 10)

static void on_log(void *ctx, const char *fmt, va_list ap)
{
    struct sm_http_server *s = ctx;
    char text[256];
    (void)vsnprintf(text, sizeof text, fmt, ap);
    text[strcspn(text, "\r\n")] = 0;
    sm_log(SM_LOG_DEBUG, "http", "libmicrohttpd", "text=\"%s\"", text);
    if (pthread_equal(pthread_self(), s->starter)) memcpy(s->why, text, sizeof text);
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode what)
{
    struct sm_http_server *s = ctx;
    (void)state;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info) return;
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        sm_http_conns_add(&s->conns, info->connect_fd);
    else
        sm_http_conns_remove(&s->conns, info->connect_fd);
}

/* ---- the address ---- */

/* "host:port" or "[v6]:port" into its parts; the port stays text for getaddrinfo. */
static sm_err split(const char *listen, char host[64], const char **port, struct sm_errinfo *ei)
{
    const char *colon = strrchr(listen, ':');
    const char *first = listen, *end = colon;
    if (colon && listen[0] == '[') {
        first = listen + 1;
        end = colon - 1;
        if (*end != ']') colon = NULL;
    } else if (colon && memchr(listen, ':', (size_t)(colon - listen))) {
        colon = NULL; /* an IPv6 address without brackets */
    }
    if (!colon || end <= first || end - first >= 64)
        return sm_fail(ei, SM_E_ARG, "%s is not an address to listen on; write 127.0.0.1:3000 or [::1]:3000", listen);
    memcpy(host, first, (size_t)(end - first));
    host[end - first] = 0;
    if (strcmp(host, "localhost") == 0) (void)snprintf(host, 64, "127.0.0.1"); /* no resolver is asked */
    *port = colon + 1;
    return SM_OK;
}

static sm_err resolve(const char *listen, struct addrinfo **out, struct sm_errinfo *ei)
{
    char host[64];
    const char *port = NULL;
    sm_err err = split(listen, host, &port, ei);
    if (err) return err;
    char *end;
    const unsigned long number = strtoul(port, &end, 10);
    if (*port < '0' || *port > '9' || *end || number > 65535)
        return sm_fail(ei, SM_E_ARG, "%s: the port must be a number up to 65535", listen);
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    const int failed = getaddrinfo(host, port, &hints, out);
    if (!failed) return SM_OK;
    return sm_fail(ei, failed == EAI_MEMORY ? SM_E_NOMEM : SM_E_ARG, "%s: %s is not an IP address", listen, host);
}

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

static sm_err name_yourself(struct sm_http_server *s, bool tls, struct sm_errinfo *ei)
{
    struct sockaddr_storage ss;
    socklen_t n = sizeof ss;
    char host[INET6_ADDRSTRLEN], port[8];
    if (getsockname(s->listen_fd, (struct sockaddr *)&ss, &n) != 0 ||
        getnameinfo((struct sockaddr *)&ss, n, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) !=
            0)
        return sm_fail(ei, SM_E_NET, "cannot find out the address that the server listens on");
    s->port = (uint16_t)strtoul(port, NULL, 10);
    const bool v6 = ss.ss_family == AF_INET6;
    (void)snprintf(s->url, sizeof s->url, "%s://%s%s%s:%s", tls ? "https" : "http", v6 ? "[" : "", host, v6 ? "]" : "",
                   port);
    return SM_OK;
}

static sm_err listen_on(struct sm_http_server *s, const struct sm_http_server_cfg *cfg, struct sm_errinfo *ei)
{
    struct addrinfo *a = NULL;
    const int on = 1;
    sm_err err = resolve(cfg->listen, &a, ei);
    if (err) return err;
    if (!s->has_token && !cfg->insecure && !is_loopback(a->ai_addr)) {
        err =
            sm_fail(ei, SM_E_ARG,
                    "%s is not a loopback address, and without a token anybody who reaches it could ask: give a token, "
                    "or listen on 127.0.0.1",
                    cfg->listen);
        goto out;
    }
    s->listen_fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listen_fd >= 0) (void)setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (s->listen_fd < 0 || bind(s->listen_fd, a->ai_addr, a->ai_addrlen) != 0 || listen(s->listen_fd, 128) != 0) {
        (void)sm_fail_errno(ei, errno, "cannot listen on %s", cfg->listen);
        err = SM_E_NET;
        goto out;
    }
    err = name_yourself(s, cfg->tls_cert, ei);
out:
    freeaddrinfo(a);
    return err;
}

/* ---- start and stop ---- */

static sm_err load_tls(struct sm_http_server *s, const struct sm_http_server_cfg *cfg, struct sm_errinfo *ei)
{
    size_t n;
    if (!cfg->tls_cert && !cfg->tls_key) return SM_OK;
    if (!cfg->tls_cert || !cfg->tls_key)
        return sm_fail(ei, SM_E_ARG, "HTTPS needs both a certificate and its key; only one is given");
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return sm_fail(ei, SM_E_ARG,
                       "this libmicrohttpd has no TLS: leave out certificate and key, and put a proxy in front");
    sm_err err = sm_io_read_file(cfg->tls_cert, PEM_MAX, &s->tls_cert, &n, ei);
    if (!err) err = sm_io_read_file(cfg->tls_key, PEM_MAX, &s->tls_key, &s->tls_key_n, ei);
    return err;
}

static sm_err start_daemon(struct sm_http_server *s, const struct sm_http_server_cfg *cfg, struct sm_errinfo *ei)
{
    const unsigned connections = cfg->connections_max ? cfg->connections_max : CONNECTIONS;
    const size_t header = cfg->header_bytes_max ? cfg->header_bytes_max : HEADER_BYTES;
    const uint64_t request_s = cfg->request_timeout_s ? cfg->request_timeout_s : REQUEST_S;
    sm_err err = sm_http_conns_start(&s->conns, connections, request_s * SM_NS_PER_S, ei);
    if (err) return err;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, s->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, s->tls_key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    if (!s->tls_cert) options[0].option = MHD_OPTION_END;
    const unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_USE_ERROR_LOG | MHD_USE_ITC |
                           (s->tls_cert ? (unsigned)MHD_USE_TLS : 0u);
    /* Half of libmicrohttpd's memory for a connection holds the headers, the rest the answer's. */
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, sm_http_on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, s, MHD_OPTION_LISTEN_SOCKET,
        s->listen_fd, MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_CONNECTION_TIMEOUT,
        cfg->idle_timeout_s ? cfg->idle_timeout_s : IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(2 * header),
        MHD_OPTION_NOTIFY_COMPLETED, sm_http_on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_UNESCAPE_CALLBACK, sm_http_on_unescape, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (!s->daemon)
        return sm_fail(ei, s->tls_cert ? SM_E_ARG : SM_E_NET, "cannot serve on %s%s: %s", cfg->listen,
                       s->tls_cert ? " with this certificate and key" : "", s->why[0] ? s->why : "no reason given");
    s->listen_fd = -1;
    return SM_OK;
}

sm_err sm_http_server_start(const struct sm_http_server_cfg *cfg, struct sm_http_server **out, struct sm_errinfo *ei)
{
    struct sm_http_server *s = calloc(1, sizeof *s);
    if (!s || sodium_init() < 0) {
        free(s);
        return sm_fail(ei, SM_E_NOMEM, "cannot start the HTTP server: out of memory");
    }
    s->listen_fd = -1;
    s->starter = pthread_self();
    s->handler = cfg->handler;
    s->ctx = cfg->ctx;
    s->body_max = cfg->body_bytes_max ? cfg->body_bytes_max : BODY_BYTES;
    s->has_token = cfg->bearer_token && cfg->bearer_token[0];
    if (s->has_token)
        (void)crypto_generichash(s->token_hash, sizeof s->token_hash, (const uint8_t *)cfg->bearer_token,
                                 strlen(cfg->bearer_token), NULL, 0);
    sm_err err = load_tls(s, cfg, ei);
    if (!err) err = listen_on(s, cfg, ei);
    if (!err) err = start_daemon(s, cfg, ei);
    if (err) {
        sm_http_server_stop(s);
        return err;
    }
    *out = s;
    return SM_OK;
}

uint16_t sm_http_server_port(const struct sm_http_server *s)
{
    return s->port;
}

const char *sm_http_server_url(const struct sm_http_server *s)
{
    return s->url;
}

void sm_http_server_stop(struct sm_http_server *s)
{
    if (!s) return;
    if (s->daemon) MHD_stop_daemon(s->daemon); /* closes the listening socket and every connection */
    sm_http_conns_stop(&s->conns);
    sm_io_close(s->listen_fd);
    if (s->tls_key) sodium_memzero(s->tls_key, s->tls_key_n);
    free(s->tls_key);
    free(s->tls_cert);
    free(s);
}
