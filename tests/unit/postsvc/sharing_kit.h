/* A node, and the identities of one rig or two on the same loop. */
#ifndef SM_TESTS_POSTSVC_SHARING_KIT_H
#define SM_TESTS_POSTSVC_SHARING_KIT_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "kit.h"
#include "postsvc/client.h"
#include "postsvc/server.h"
#include "rpc/server.h"
#include "util/clock.h"

#define N 10u

static const struct sm_randomx_cfg light = {.mode = SM_RANDOMX_LIGHT};

struct identity {
    uint8_t n; /* first byte of its node ID */
    struct sm_post_client *client;
    unsigned fetched;
    char text[128];
};

static struct {
    struct kit kit;
    struct sm_loop *loop;
    struct sm_post_server *post;
    struct sm_rpc_server *rpc;
    struct sm_post_carriers pool;
    struct identity rig[N], other[N];
    char address[256][SM_SOCKADDR_ROOM]; /* that the identity came from */
    unsigned registered, gone, refused, failed, fetched, given_up;
    unsigned ask; /* proofs that are still to be asked for, one after the other */
    bool (*enough)(void);
} w;

static inline void look(void)
{
    if (w.enough && w.enough()) sm_loop_stop(w.loop);
}

/* ---- the node ---- */

static inline void ask_next(void)
{
    struct sm_errinfo ei = {0};
    if (!w.ask) return;
    const struct sm_node_id id = {{(uint8_t)(--w.ask % N + 1)}};
    const struct sm_challenge challenge = {{(uint8_t)(w.ask + 1)}};
    cr_assert_eq(sm_post_server_request(w.post, &id, &challenge, NULL, UINT64_MAX, &ei), SM_OK, "%s", ei.text);
}
static inline void on_registered(void *ctx, const struct sm_post_identity *id)
{
    (void)ctx;
    (void)snprintf(w.address[id->id.b[0]], SM_SOCKADDR_ROOM, "%s", id->address);
    w.registered++;
    look();
}
static inline void on_gone(void *ctx, const struct sm_post_identity *id, const char *why)
{
    (void)ctx, (void)id, (void)why;
    w.gone++;
    look();
}
static inline void on_refused(void *ctx, const struct sm_node_id *id, const char *address,
                              const struct sm_grpc_status *why)
{
    (void)ctx, (void)id, (void)address, (void)why;
    w.refused++;
}
static inline void on_failed(void *ctx, const struct sm_post_identity *id, sm_post_failure reason, const char *text)
{
    (void)ctx, (void)id, (void)reason, (void)text;
    w.failed++;
    ask_next();
    look();
}
static const struct sm_post_events events = {
    .registered = on_registered, .gone = on_gone, .refused = on_refused, .failed = on_failed};

static inline void listen_at(uint16_t port, uint32_t streams_max)
{
    struct sm_errinfo ei = {0};
    char listen[32];
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%u", port);
    struct sm_rpc_server_cfg rpc = {
        .listen = listen, .limits = {.streams_max = streams_max}, .ping_min_ns = 60 * SM_NS_PER_S};
    rpc.methods = sm_post_server_methods(w.post, &rpc.methods_n);
    cr_assert_eq(sm_rpc_server_start(w.loop, &rpc, &w.rpc, &ei), SM_OK, "%s", ei.text);
}

static inline void start_node(uint32_t streams_max, const struct sm_post_known *known, size_t known_n)
{
    struct sm_errinfo ei = {0};
    w.kit = kit_load();
    cr_assert_eq(sm_loop_new(&w.loop, &ei), SM_OK, "%s", ei.text);
    const struct sm_post_server_cfg post = {.loop = w.loop,
                                            .params = &w.kit.params,
                                            .known = known,
                                            .known_n = known_n,
                                            .only_known = known_n > 0,
                                            .randomx = light,
                                            .events = &events};
    cr_assert_eq(sm_post_server_new(&post, &w.post, &ei), SM_OK, "%s", ei.text);
    listen_at(0, streams_max);
}

/* ---- rigs ---- */

static inline sm_err info(void *ctx, struct sm_post_info *out, struct sm_errinfo *ei)
{
    const struct identity *i = ctx;
    (void)ei;
    *out = (struct sm_post_info){.node_id = {{i->n}},
                                 .has_nonce = true,
                                 .num_units = w.kit.meta.num_units,
                                 .labels_per_unit = w.kit.meta.labels_per_unit};
    return SM_OK;
}
/* Of more units than the network allows: the node refuses it without a look at its indices. */
static inline sm_post_answer proof(void *ctx, const struct sm_challenge *challenge, struct sm_proof *out,
                                   struct sm_post_info *out_info)
{
    (void)challenge;
    *out = w.kit.proof;
    cr_assert_eq(info(ctx, out_info, NULL), SM_OK);
    out_info->num_units = w.kit.params.max_num_units + 1;
    return SM_POST_DONE;
}
static inline void fetched(void *ctx, const struct sm_challenge *challenge)
{
    struct identity *i = ctx;
    (void)challenge;
    i->fetched++;
    w.fetched++;
    look();
}
static inline void state(void *ctx, const struct sm_post_link_state *st)
{
    (void)ctx, (void)st;
    look();
}
static const struct sm_post_provider provider = {info, proof, fetched, state};

static inline void given_up(void *ctx, const char *text)
{
    struct identity *i = ctx;
    (void)snprintf(i->text, sizeof i->text, "%s", text);
    sm_post_client_free(i->client); /* as the header allows */
    i->client = NULL;
    w.given_up++;
    look();
}

static inline void add(struct identity *i, uint8_t n, uint16_t port, struct sm_post_carriers *share,
                       struct sm_post_client_cfg cfg)
{
    struct sm_errinfo ei = {0};
    const struct sm_rpc_address address = {.host = "127.0.0.1", .port = port};
    i->n = n;
    cfg.name = "rig";
    cfg.addresses = &address;
    cfg.addresses_n = 1;
    cfg.seed = n;
    cfg.share = share;
    cfg.given_up = given_up;
    if (!cfg.reconnect_interval_ns) cfg.reconnect_interval_ns = 20 * SM_NS_PER_MS;
    cr_assert_eq(sm_post_client_new(w.loop, &cfg, &provider, i, &i->client, &ei), SM_OK, "%s", ei.text);
    sm_post_client_start(i->client);
}

static inline void add_all(struct identity *rig, struct sm_post_carriers *share)
{
    for (uint8_t i = 0; i < N; i++)
        add(&rig[i], (uint8_t)(i + 1), sm_rpc_server_port(w.rpc), share, (struct sm_post_client_cfg){0});
}

static inline void run_until(bool (*enough)(void))
{
    struct sm_errinfo ei = {0};
    w.enough = enough;
    cr_assert_eq(sm_loop_run(w.loop, NULL, &ei), SM_OK, "%s", ei.text);
    w.enough = NULL;
}

static inline void free_all(struct identity *rig)
{
    for (size_t i = 0; i < N; i++) {
        sm_post_client_free(rig[i].client);
        rig[i].client = NULL;
    }
}

static inline void end(void)
{
    free_all(w.rig);
    free_all(w.other);
    cr_assert_null(w.pool.first, "a connection is left over");
    sm_rpc_server_free(w.rpc);
    sm_post_server_free(w.post);
    sm_loop_free(w.loop);
}

/* Addresses that the rig's identities came from. */
static inline unsigned came_from(void)
{
    unsigned n = 0;
    for (size_t i = 1; i <= N; i++) {
        bool seen = false;
        for (size_t k = 1; k < i; k++) seen |= strcmp(w.address[i], w.address[k]) == 0;
        n += w.address[i][0] && !seen;
    }
    return n;
}

static inline sm_post_link_phase phase(const struct identity *i)
{
    return sm_post_client_state(i->client)->phase;
}

static inline bool all_registered(void)
{
    for (size_t i = 0; i < N; i++)
        if (phase(&w.rig[i]) != SM_POST_LINK_REGISTERED) return false;
    return w.registered - w.gone == N;
}

static inline bool all_given_up(void)
{
    return w.given_up == 3;
}

#endif
