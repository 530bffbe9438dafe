#include "rpc/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "util/io.h"

#define BACKLOG 512

const char *sm_sockaddr_text(const union sm_sockaddr *a, char out[SM_SOCKADDR_ROOM])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (a->sa.sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &a->in4.sin_addr, ip, sizeof ip);
        (void)snprintf(out, SM_SOCKADDR_ROOM, "%s:%u", ip, ntohs(a->in4.sin_port));
    } else if (a->sa.sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &a->in6.sin6_addr, ip, sizeof ip);
        (void)snprintf(out, SM_SOCKADDR_ROOM, "[%s]:%u", ip, ntohs(a->in6.sin6_port));
    } else {
        (void)snprintf(out, SM_SOCKADDR_ROOM, "?");
    }
    return out;
}

socklen_t sm_sockaddr_len(const union sm_sockaddr *a)
{
    return a->sa.sa_family == AF_INET ? sizeof a->in4 : sizeof a->in6;
}

bool sm_sockaddr_literal(const struct sm_rpc_address *a, union sm_sockaddr *out)
{
    char port[8];
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    if (!sm_rpc_address_is_ip(a)) return false;
    (void)snprintf(port, sizeof port, "%u", a->port);
    if (getaddrinfo(a->host, port, &hints, &list) != 0) return false; /* a zone that this machine does not have */
    const bool fits = list->ai_addrlen <= sizeof *out;
    if (fits) memcpy(out, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    return fits;
}

/* ---- options ---- */

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static int or_default(uint32_t value, uint32_t otherwise)
{
    return (int)(value ? value : otherwise);
}

/* Before connect and listen: the window scale is settled in the handshake. */
static void size_buffers(int fd, const struct sm_tcp_cfg *cfg)
{
    if (!cfg->buffer_bytes) return;
    set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)cfg->buffer_bytes);
    set_option(fd, SOL_SOCKET, SO_RCVBUF, (int)cfg->buffer_bytes);
}

void sm_tcp_tune(int fd, const struct sm_tcp_cfg *cfg)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, or_default(cfg->idle_s, 20));
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, or_default(cfg->interval_s, 3));
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, or_default(cfg->probes, 4));
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, or_default(cfg->user_timeout_ms, 32000));
}

/* ---- listening ---- */

static int listen_at(const union sm_sockaddr *at, const struct sm_tcp_cfg *cfg)
{
    const int fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* restarts need not wait for old connections to time out */
    if (at->sa.sa_family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    size_buffers(fd, cfg);
    if (bind(fd, &at->sa, sm_sockaddr_len(at)) == 0 && listen(fd, BACKLOG) == 0) return fd;
    const int why = errno;
    sm_io_close(fd);
    errno = why;
    return -1;
}

static int listen_at_name(const struct sm_rpc_address *a, const struct sm_tcp_cfg *cfg, sm_err *err,
                          struct sm_errinfo *ei)
{
    char port[8];
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    static const int families[] = {AF_INET, AF_INET6};
    (void)snprintf(port, sizeof port, "%u", a->port);
    const int rc = getaddrinfo(a->host, port, &hints, &list);
    if (rc != 0) {
        *err = sm_fail(ei, SM_E_NET, "cannot listen at %s: %s", a->host, gai_strerror(rc));
        return -1;
    }
    int fd = -1, why = 0;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        for (const struct addrinfo *r = list; r && fd < 0; r = r->ai_next) {
            union sm_sockaddr at;
            if (r->ai_family != families[i] || r->ai_addrlen > sizeof at) continue;
            memcpy(&at, r->ai_addr, r->ai_addrlen);
            fd = listen_at(&at, cfg);
            if (fd < 0) why = errno;
        }
    }
    freeaddrinfo(list);
    errno = why;
    return fd;
}

static sm_err explain_listen(const struct sm_rpc_address *a, int why, struct sm_errinfo *ei)
{
    char text[SM_RPC_ADDRESS_ROOM];
    (void)sm_rpc_address_text(a, text);
    if (why == EADDRINUSE)
        return sm_fail(ei, SM_E_BUSY, "cannot listen at %s: another program uses this port; stop it or choose another",
                       text);
    if (why == EADDRNOTAVAIL)
        return sm_fail(ei, SM_E_NET, "cannot listen at %s: this machine does not have that address", text);
    if (why == EACCES)
        return sm_fail(ei, SM_E_NET, "cannot listen at %s: not allowed; choose a port from 1024 on", text);
    return sm_fail_errno(ei, why, "cannot listen at %s", text);
}

sm_err sm_tcp_listen(const struct sm_rpc_address *a, const struct sm_tcp_cfg *cfg, int *out_fd, uint16_t *out_port,
                     struct sm_errinfo *ei)
{
    union sm_sockaddr at;
    socklen_t n = sizeof at;
    sm_err err = SM_OK;
    const int fd = sm_sockaddr_literal(a, &at) ? listen_at(&at, cfg) : listen_at_name(a, cfg, &err, ei);
    if (err) return err;
    if (fd < 0) return explain_listen(a, errno, ei);
    if (getsockname(fd, &at.sa, &n) != 0) {
        err = explain_listen(a, errno, ei);
        sm_io_close(fd);
        return err;
    }
    *out_fd = fd;
    *out_port = ntohs(at.sa.sa_family == AF_INET ? at.in4.sin_port : at.in6.sin6_port);
    return SM_OK;
}

/* ---- connecting ---- */

int sm_tcp_connect(const union sm_sockaddr *to, const struct sm_tcp_cfg *cfg, int *out_errno)
{
    const int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        size_buffers(fd, cfg);
        sm_tcp_tune(fd, cfg);
        if (connect(fd, &to->sa, sm_sockaddr_len(to)) == 0 || errno == EINPROGRESS) return fd;
    }
    *out_errno = errno;
    sm_io_close(fd);
    return -1;
}

int sm_tcp_error(int fd)
{
    int why = 0;
    socklen_t n = sizeof why;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) == 0 ? why : errno;
}
