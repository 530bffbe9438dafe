/* rpc/tcp.h: TCP sockets as this folder uses them: non-blocking, no delay, dead peers detected by the kernel.
 *
 * The kernel's probes are invisible to HTTP/2, so they do not count as PINGs, which nodes limit (our spec, post-service.md
 * OUR-1). Its times are shorter here: a rig whose node, or the way to it, has died without a word tries the next address
 * half a minute later instead of two. One thread per socket. */
#ifndef SM_RPC_TCP_H
#define SM_RPC_TCP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "rpc/address.h"
#include "util/err.h"

union sm_sockaddr {
    struct sockaddr sa;
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;
};

/* 0 = the default. */
struct sm_tcp_cfg {
    uint32_t idle_s;          /* silence before the kernel asks whether the peer is there; 20 */
    uint32_t interval_s;      /* between its questions; 3 */
    uint32_t probes;          /* unanswered ones that end the connection; 4 */
    uint32_t user_timeout_ms; /* sent bytes that stay unacknowledged this long end the connection; 32 000 */
    uint32_t buffer_bytes;    /* of the kernel, each way; as the kernel likes */
};

/* "10.1.2.3:9094", "[::1]:9094". Returns `out`. */
#define SM_SOCKADDR_ROOM 64u
const char *sm_sockaddr_text(const union sm_sockaddr *a, char out[SM_SOCKADDR_ROOM]);
socklen_t sm_sockaddr_len(const union sm_sockaddr *a);
/* An IP address, perhaps with a zone, without asking anybody. False when the host is a name. */
bool sm_sockaddr_literal(const struct sm_rpc_address *a, union sm_sockaddr *out);

/* Sets the options on a connected or connecting socket. Those the kernel refuses are left as they are. */
void sm_tcp_tune(int fd, const struct sm_tcp_cfg *cfg);

/* Listens at an IP address, or at a name that this machine knows ("localhost"; the first address of it that works, IPv4
 * first: may block while the name is looked up). *out_port is the real one. [::] takes IPv4 too. SM_E_BUSY: the port is
 * taken; SM_E_NET, SM_E_IO. */
SM_MUST_CHECK sm_err sm_tcp_listen(const struct sm_rpc_address *a, const struct sm_tcp_cfg *cfg, int *out_fd,
                                   uint16_t *out_port, struct sm_errinfo *ei);
/* Begins to connect. The socket becomes writable when that has ended; sm_tcp_error() then says how. Returns the socket, or
 * -1 with *out_errno set. */
int sm_tcp_connect(const union sm_sockaddr *to, const struct sm_tcp_cfg *cfg, int *out_errno);
/* The pending error of a socket, as errno; 0: none. */
int sm_tcp_error(int fd);

#endif
