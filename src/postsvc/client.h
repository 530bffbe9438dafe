/* postsvc/client.h: one identity's registration with a node on real connections: postsvc/link.h on top of postsvc/carrier.h.
 *
 * One stream per identity, on a connection of its own or on one that it shares with others (post-service.md OUR-3); several
 * node addresses of which one is used at a time. When to try again, and where, is decided for each identity by itself.
 * Loop thread. Source: our spec, post-service.md §2. */
#ifndef SM_POSTSVC_CLIENT_H
#define SM_POSTSVC_CLIENT_H

#include "postsvc/carrier.h"
#include "postsvc/provider.h"
#include "rpc/address.h"
#include "rpc/loop.h"
#include "rpc/tls.h"

struct sm_post_client_cfg {
    const char *name;                       /* of the identity, in log lines; copied, cut to 31 characters */
    const struct sm_rpc_address *addresses; /* copied */
    size_t addresses_n;                     /* 1 to 16 */
    struct sm_tls_context *tls;             /* for https addresses; borrowed for the client's life */
    const char *tls_name;                   /* name in the node's certificate; NULL: the address's host */
    uint64_t reconnect_interval_ns;         /* 0 = 5 s */
    uint64_t ping_interval_ns;              /* 0 = 600 s; at least 60 s (OUR-1) */
    bool limited;                           /* max_retries counts */
    uint32_t max_retries;
    uint64_t seed;                  /* of the random part of waits; differs between identities */
    struct sm_post_carriers *share; /* connections are shared by the clients of one pool; NULL: not at all. Borrowed */
    /* max_retries is reached: "max retries (2) reached". May be NULL; may free the client. */
    void (*given_up)(void *ctx, const char *text);
};

#define SM_POST_ADDRESSES_MAX 16u

struct sm_post_client;

/* The provider is borrowed for the client's life; `ctx` is handed to it and to given_up. SM_E_ARG (no address, https without
 * tls, a PING interval below 60 s), SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_post_client_new(struct sm_loop *loop, const struct sm_post_client_cfg *cfg,
                                        const struct sm_post_provider *provider, void *ctx, struct sm_post_client **out,
                                        struct sm_errinfo *ei);
/* Connects and stays connected. Nothing while it runs. */
void sm_post_client_start(struct sm_post_client *c);
/* Leaves the node; may be started again. */
void sm_post_client_stop(struct sm_post_client *c);
/* Lent; changes as the registration does. */
const struct sm_post_link_state *sm_post_client_state(const struct sm_post_client *c);
/* Accepts NULL. Not from inside the provider. */
void sm_post_client_free(struct sm_post_client *c);

#endif
