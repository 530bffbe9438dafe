/* rpc/server.h: a listening socket, and the gRPC connections that come in through it.
 *
 * What strangers can cost is bounded: connections_max sockets; of each, what struct sm_rpc_limits allows; handshakes and
 * prefaces that dawdle are cut off. When all places are taken, a newcomer displaces the oldest connection that has not
 * spoken HTTP/2 yet (with TLS: has not shown a certificate either), and is turned away when there is none: idle strangers
 * cannot lock out who knows how to talk. Loop thread. */
#ifndef SM_RPC_SERVER_H
#define SM_RPC_SERVER_H

#include "rpc/conn.h"
#include "rpc/loop.h"
#include "rpc/peer.h"
#include "rpc/tcp.h"
#include "rpc/tls.h"

#define SM_RPC_CONNECTIONS_MAX 1024u /* default */

struct sm_rpc_server;

struct sm_rpc_server_events {
    /* A connection ended for a reason (never SM_OK), or one was turned away: for the log, where repeats are counted. `text`
     * names the peer. May be NULL. */
    void (*on_trouble)(void *ctx, sm_err why, const char *text);
    /* After sm_rpc_server_stop: the last connection has gone. Once, not from inside stop. May be NULL. */
    void (*on_stopped)(void *ctx);
};

struct sm_rpc_server_cfg {
    const char *listen;                  /* "127.0.0.1:0" */
    struct sm_tls_context *tls;          /* borrowed; NULL: plain text */
    const struct sm_rpc_method *methods; /* borrowed */
    size_t methods_n;
    struct sm_rpc_limits limits;
    uint32_t connections_max; /* 0: SM_RPC_CONNECTIONS_MAX */
    struct sm_tcp_cfg tcp;
    /* Times in ns, as of struct sm_rpc_conn_cfg. The reference node: PING after 10 min, answer within 10 s, PINGs of clients
     * at least 60 s apart (post-service.md, "Keepalive"). */
    uint64_t ping_interval_ns, ping_timeout_ns, ping_min_ns;
    uint64_t header_timeout_ns, message_timeout_ns, write_timeout_ns, idle_timeout_ns;
    uint64_t handshake_timeout_ns;             /* TLS; 0: 10 s */
    const struct sm_rpc_server_events *events; /* borrowed; may be NULL */
    void *ctx;
};

/* Listens. sm_rpc_stream_peer() of its calls is a struct sm_peer. SM_E_ARG, SM_E_BUSY (port taken), SM_E_NET, SM_E_IO,
 * SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_rpc_server_start(struct sm_loop *l, const struct sm_rpc_server_cfg *cfg,
                                         struct sm_rpc_server **out, struct sm_errinfo *ei);
uint16_t sm_rpc_server_port(const struct sm_rpc_server *s);
/* Sockets that are open now, handshakes and farewells included. */
size_t sm_rpc_server_connections(const struct sm_rpc_server *s);
/* Listens no more. Clients are told; calls may take `grace_ns` to end. Again: with a shorter grace. */
void sm_rpc_server_stop(struct sm_rpc_server *s, uint64_t grace_ns);
/* Ends what is left at once: open calls hear UNAVAILABLE before this returns, on_stopped is not called. Not from inside an
 * event of one of its connections. Accepts NULL. */
void sm_rpc_server_free(struct sm_rpc_server *s);

#endif
