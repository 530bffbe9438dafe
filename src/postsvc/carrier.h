/* postsvc/carrier.h: the way to one address of a node, for one identity or for many: connections that are opened for the
 * first who wants one and closed after the last, with a Register stream for each.
 *
 *   sm_post_carrier_get(&pool, &cfg, &carrier, ei);          the same one for the same address and certificates
 *   sm_post_carrier_board(carrier, &events, ctx, &ride, ei); joins the connection, the attempt under way, or begins one
 *   on_up, or sm_post_ride_is_up at once: sm_post_ride_open, _send, _confirm
 *   sm_post_ride_leave(ride);                                the stream ends; so does the connection after the last
 *   sm_post_carrier_put(carrier);
 *
 * When an attempt fails or a connection is lost, every ride hears of it and is over; what to do then is each one's own
 * decision (postsvc/link.h). A stream that ends or is refused is no matter of the others. Where the node takes fewer calls
 * on a connection than there are rides, further connections are opened. There is one keepalive PING per connection, and one
 * confirmation at a time for all who wait for one: servers count PINGs by connection (grpc doc/keepalive.md).
 *
 * Loop thread. Source: our spec, post-service.md §2.3, OUR-1, OUR-3. */
#ifndef SM_POSTSVC_CARRIER_H
#define SM_POSTSVC_CARRIER_H

#include <stdbool.h>
#include <stdint.h>

#include "rpc/address.h"
#include "rpc/conn.h"
#include "rpc/loop.h"
#include "rpc/tls.h"

struct sm_post_carrier;
struct sm_post_ride;

/* Carriers to be shared: {0} at first, there until the last of them is put back. */
struct sm_post_carriers {
    struct sm_post_carrier *first;
};

struct sm_post_carrier_cfg {
    struct sm_loop *loop;
    struct sm_rpc_address address;
    struct sm_tls_context *tls; /* borrowed; for https, and only there */
    const char *tls_name;       /* name in the node's certificate; NULL: the address's host */
    uint64_t ping_interval_ns, ping_timeout_ns;
};

/* Of the pool when it has one of this configuration, else a new one. pool NULL: one of its own. SM_E_ARG as of
 * sm_rpc_client_new, SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_post_carrier_get(struct sm_post_carriers *pool, const struct sm_post_carrier_cfg *cfg,
                                         struct sm_post_carrier **out, struct sm_errinfo *ei);
/* Its rides have left. The last one releases it. Accepts NULL. Not from inside on_message, on_end and on_confirmed. */
void sm_post_carrier_put(struct sm_post_carrier *c);
/* Connections that are up or being made. */
size_t sm_post_carrier_connections(const struct sm_post_carrier *c);
/* What a new connection would use: doubled when the node has said too_many_pings on one of them. */
uint64_t sm_post_carrier_ping_interval(const struct sm_post_carrier *c);

/* Never called from inside functions of this header. Each may leave. */
struct sm_post_ride_events {
    void (*on_up)(void *ctx); /* there is room for a stream, now */
    /* The attempt failed or the connection is lost: as of sm_rpc_client_events. The ride is over, nothing is to be left. */
    void (*on_down)(void *ctx, sm_err why, const char *text);
    void (*on_message)(void *ctx, struct sm_slice msg);
    void (*on_end)(void *ctx, const struct sm_grpc_status *st); /* the stream; the ride is left as ever */
    void (*on_confirmed)(void *ctx, uint32_t confirm);
};

/* SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_post_carrier_board(struct sm_post_carrier *c, const struct sm_post_ride_events *ev, void *ctx,
                                           struct sm_post_ride **out, struct sm_errinfo *ei);
/* The connection is up; on_up is not called for what this said already. */
bool sm_post_ride_is_up(const struct sm_post_ride *r);
/* Register. Once per ride, from inside on_up or at once after is_up. As sm_rpc_call. */
SM_MUST_CHECK sm_err sm_post_ride_open(struct sm_post_ride *r, struct sm_errinfo *ei);
/* As sm_rpc_send. */
SM_MUST_CHECK sm_err sm_post_ride_send(struct sm_post_ride *r, struct sm_slice msg, struct sm_errinfo *ei);
/* Calls on_confirmed with this number (not 0) when all that was sent has reached the node's machine. Best effort: no word
 * when the node's PING answer does not come. A new number replaces the old one. */
void sm_post_ride_confirm(struct sm_post_ride *r, uint32_t confirm);
/* Nothing follows. Accepts NULL. */
void sm_post_ride_leave(struct sm_post_ride *r);

#endif
