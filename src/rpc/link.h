/* rpc/link.h: a connected socket, TLS if there is any, and the HTTP/2 connection on top: moves bytes between them. Shared by
 * server and client; private to this folder.
 *
 * A link at rest holds no buffers: bytes are read into the loop's scratch memory. A peer that does not read is waited for
 * with write_timeout_ns of struct sm_rpc_conn_cfg, one that does not shake hands with handshake_timeout_ns. An end that we
 * decide on is announced (GOAWAY), and what the peer still sends is read for a moment, because closing a socket with unread
 * input destroys what is on its way to the peer. Loop thread. */
#ifndef SM_RPC_LINK_H
#define SM_RPC_LINK_H

#include "rpc/conn.h"
#include "rpc/loop.h"
#include "rpc/peer.h"
#include "rpc/tls.h"

struct sm_link;

struct sm_link_end {
    sm_err why;                /* SM_OK: orderly */
    const char *text;          /* names the peer */
    uint64_t ping_interval_ns; /* sm_rpc_conn_ping_interval; 0: it never came to HTTP/2 */
};

/* Never called from inside functions of this header. */
struct sm_link_events {
    void (*on_ready)(void *ctx, struct sm_link *k);              /* the peer speaks HTTP/2; may be NULL */
    void (*on_closed)(void *ctx, const struct sm_link_end *end); /* once; calls have ended, the link is gone */
};

struct sm_link_cfg {
    struct sm_loop *loop;
    int fd;                     /* the link's from the call on, also when that fails */
    struct sm_tls_context *tls; /* NULL: plain */
    const char *name;           /* TLS client: of the server */
    const char *where;          /* the peer, for messages; copied, cut at 127 bytes */
    const char *address;        /* the peer's "10.1.2.3:50412"; copied */
    uint64_t handshake_timeout_ns;
    const struct sm_rpc_conn_cfg *conn; /* read at once, but scheme, authority and user agent: until ready or closed;
                                         * peer and on_wake are set here */
};

/* SM_E_NOMEM, SM_E_ARG. */
SM_MUST_CHECK sm_err sm_link_new(const struct sm_link_cfg *cfg, const struct sm_link_events *events, void *ctx,
                                 struct sm_link **out, struct sm_errinfo *ei);
/* Ends it now: open calls end with UNAVAILABLE, on_closed is not called. From inside an event of its connection, that
 * happens as soon as the event has returned. Accepts NULL. */
void sm_link_close(struct sm_link *k);
/* Ends it when open calls have ended, or after `grace_ns`; on_closed follows. */
void sm_link_shutdown(struct sm_link *k, uint64_t grace_ns);

struct sm_rpc_conn *sm_link_conn(struct sm_link *k); /* NULL before the TLS handshake has ended */
const struct sm_peer *sm_link_peer(const struct sm_link *k);
/* Open and useful; false during the TLS handshake, before the peer's first bytes, and while it is being closed. */
bool sm_link_is_ready(const struct sm_link *k);

#endif
