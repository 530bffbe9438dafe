/* rpc/client.h: one connection to one gRPC server, made when the owner says so. When to try again, and where, is the owner's
 * policy. Loop thread. */
#ifndef SM_RPC_CLIENT_H
#define SM_RPC_CLIENT_H

#include "rpc/address.h"
#include "rpc/conn.h"
#include "rpc/loop.h"
#include "rpc/peer.h"
#include "rpc/tcp.h"
#include "rpc/tls.h"

#define SM_RPC_CONNECT_TIMEOUT_NS (10ull * 1000000000ull) /* post-service.md OUR-1 */

struct sm_rpc_client;

/* Never called from inside functions of this header. Each may connect, close or free the client. */
struct sm_rpc_client_events {
    /* Calls can be made: the server has answered in HTTP/2. `c` is valid until on_down, close or free. */
    void (*on_up)(void *ctx, struct sm_rpc_conn *c);
    /* The attempt failed, or the connection is lost; its calls have ended. Exactly once for each attempt, unless the owner
     * closes first. `why`: SM_OK after an orderly end (GOAWAY of the server, say); SM_E_TIMEOUT, SM_E_NET: trying again may
     * help; SM_E_REFUSED, SM_E_ARG: not before somebody changes something (certificates, names, protocols); SM_E_FORMAT: the
     * server broke HTTP/2; SM_E_NOMEM. `text` names the server. */
    void (*on_down)(void *ctx, sm_err why, const char *text);
};

struct sm_rpc_client_cfg {
    struct sm_rpc_address address;
    struct sm_tls_context *tls; /* borrowed; needed for https, and only there (OUR-2) */
    const char *server_name;    /* that the certificate must hold; NULL: the address's host. Copied */
    struct sm_rpc_limits limits;
    struct sm_tcp_cfg tcp;
    uint64_t connect_timeout_ns; /* from connect to the server's first bytes of HTTP/2; 0: SM_RPC_CONNECT_TIMEOUT_NS */
    uint64_t ping_interval_ns;   /* as of struct sm_rpc_conn_cfg; doubled after too_many_pings (OUR-1). 0: none */
    uint64_t ping_timeout_ns, message_timeout_ns, write_timeout_ns;
};

/* Opens nothing yet. SM_E_ARG (certificates and protocol do not go together; a ping interval below SM_RPC_PING_MIN_NS),
 * SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_rpc_client_new(struct sm_loop *l, const struct sm_rpc_client_cfg *cfg,
                                       const struct sm_rpc_client_events *events, void *ctx, struct sm_rpc_client **out,
                                       struct sm_errinfo *ei);
/* One attempt. Nothing when one is under way, or the connection is up. */
void sm_rpc_client_connect(struct sm_rpc_client *c);
/* Gives up the attempt or the connection: open calls end with UNAVAILABLE before this returns (from inside an event of the
 * connection: right after it). on_down is not called. */
void sm_rpc_client_close(struct sm_rpc_client *c);
/* Closes. Accepts NULL. */
void sm_rpc_client_free(struct sm_rpc_client *c);

/* The connection, between on_up and its end; else NULL. */
struct sm_rpc_conn *sm_rpc_client_conn(const struct sm_rpc_client *c);
/* Who is on the other side, while there is a connection; else NULL. */
const struct sm_peer *sm_rpc_client_peer(const struct sm_rpc_client *c);
/* What the next connection will use. */
uint64_t sm_rpc_client_ping_interval(const struct sm_rpc_client *c);

#endif
