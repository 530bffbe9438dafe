/* postsvc/server.h: the node's side of Register on real connections: the registry, its streams, its time, and the threads
 * that verify. Used by `smesher hub` and by the smeshing service.
 *
 *   sm_post_server_new(&cfg, &srv, ei);
 *   methods = sm_post_server_methods(srv, &n);     rows for struct sm_rpc_server_cfg
 *   ... sm_rpc_server_start, sm_loop_run, sm_rpc_server_stop and _free ...
 *   sm_post_server_free(srv);
 *
 * Everything happens on the loop thread, the owner's calls too. Source: our spec, post-service.md §2. */
#ifndef SM_POSTSVC_SERVER_H
#define SM_POSTSVC_SERVER_H

#include "crypto/randomx.h"
#include "postsvc/registry.h"
#include "rpc/conn.h"
#include "rpc/loop.h"

struct sm_post_server_cfg {
    struct sm_loop *loop;
    const struct sm_post_params *params; /* borrowed */
    const struct sm_post_known *known;   /* copied */
    size_t known_n;
    bool only_known;
    uint32_t identities_max; /* 0 = 65536 */
    struct sm_randomx_cfg randomx;
    unsigned verify_threads; /* 0 = 1 */
    const struct sm_post_events *events;
    void *events_ctx;
};

struct sm_post_server;

/* SM_E_ARG (an identity twice), SM_E_NOMEM, SM_E_STATE. */
SM_MUST_CHECK sm_err sm_post_server_new(const struct sm_post_server_cfg *cfg, struct sm_post_server **out,
                                        struct sm_errinfo *ei);
/* After its connections are gone. Waits for the verifications that run. Accepts NULL. */
void sm_post_server_free(struct sm_post_server *srv);

/* PostService.Register and PostInfoService.PostStates; lent for the server's life. */
const struct sm_rpc_method *sm_post_server_methods(const struct sm_post_server *srv, size_t *out_n);

/* As of the registry; deadline_ns is of the loop's clock. */
SM_MUST_CHECK sm_err sm_post_server_request(struct sm_post_server *srv, const struct sm_node_id *id,
                                            const struct sm_challenge *challenge, const struct sm_atx_id *commitment,
                                            uint64_t deadline_ns, struct sm_errinfo *ei);
bool sm_post_server_cancel(struct sm_post_server *srv, const struct sm_node_id *id);
void sm_post_server_list(struct sm_post_server *srv, void (*fn)(void *ctx, const struct sm_post_identity *id),
                         void *ctx);
size_t sm_post_server_count(const struct sm_post_server *srv);

#endif
