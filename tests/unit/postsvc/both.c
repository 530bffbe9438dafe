/* Both sides of Register on one loop, over loopback: what the bindings add to the machines. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit.h"
#include "postsvc/client.h"
#include "postsvc/server.h"
#include "rpc/server.h"
#include "util/clock.h"

static const struct sm_randomx_cfg light = {.mode = SM_RANDOMX_LIGHT};

static struct {
    struct kit kit;
    struct sm_loop *loop;
    struct sm_post_server *post;
    struct sm_rpc_server *rpc;
    unsigned registered, gone, refused, proofs, failed, fetched;
    sm_post_failure failure;
    bool damaged; /* the rig's proof */
    char given_up[128];
    sm_post_link_reason stop_at; /* ends the loop */
} w;

/* ---- the node ---- */

static void on_registered(void *ctx, const struct sm_post_identity *id)
{
    struct sm_errinfo ei = {0};
    (void)ctx;
    if (++w.registered == 1)
        cr_assert_eq(sm_post_server_request(w.post, &id->id, &w.kit.meta.challenge, NULL, UINT64_MAX, &ei), SM_OK, "%s",
                     ei.text);
}
static void on_gone(void *ctx, const struct sm_post_identity *id, const char *why)
{
    (void)ctx, (void)id;
    cr_assert_neq(why[0], '\0');
    w.gone++;
}
static void on_refused(void *ctx, const struct sm_node_id *id, const char *address, const struct sm_grpc_status *why)
{
    (void)ctx, (void)id, (void)why;
    cr_assert_eq(strncmp(address, "127.0.0.1:", 10), 0, "%s", address);
    w.refused++;
}
static void finish_when_known(void)
{
    if (w.proofs && w.fetched) sm_loop_stop(w.loop);
}
static void on_proof(void *ctx, const struct sm_post_identity *id, const struct sm_post_verified *v)
{
    (void)ctx, (void)id;
    cr_assert_arr_eq(v->proof.indices, w.kit.proof.indices, w.kit.proof.indices_n);
    w.proofs++;
    finish_when_known();
}
static void on_failed(void *ctx, const struct sm_post_identity *id, sm_post_failure reason, const char *text)
{
    (void)ctx, (void)id, (void)text;
    w.failed++;
    w.failure = reason;
    sm_loop_stop(w.loop);
}
static const struct sm_post_events events = {on_registered, on_gone, on_refused, on_proof, on_failed};

static void start_node(void)
{
    struct sm_errinfo ei = {0};
    w.kit = kit_load();
    cr_assert_eq(sm_loop_new(&w.loop, &ei), SM_OK, "%s", ei.text);
    const struct sm_post_server_cfg post = {
        .loop = w.loop, .params = &w.kit.params, .randomx = light, .events = &events};
    cr_assert_eq(sm_post_server_new(&post, &w.post, &ei), SM_OK, "%s", ei.text);
    struct sm_rpc_server_cfg rpc = {.listen = "127.0.0.1:0"};
    rpc.methods = sm_post_server_methods(w.post, &rpc.methods_n);
    cr_assert_eq(sm_rpc_server_start(w.loop, &rpc, &w.rpc, &ei), SM_OK, "%s", ei.text);
}

static void stop_node(void)
{
    sm_rpc_server_free(w.rpc);
    sm_post_server_free(w.post);
    sm_loop_free(w.loop);
}

/* ---- a rig ---- */

static sm_err info(void *ctx, struct sm_post_info *out, struct sm_errinfo *ei)
{
    (void)ctx, (void)ei;
    *out = (struct sm_post_info){.node_id = w.kit.meta.node_id,
                                 .commitment_atx_id = w.kit.meta.commitment_atx_id,
                                 .has_nonce = true,
                                 .num_units = w.kit.meta.num_units,
                                 .labels_per_unit = w.kit.meta.labels_per_unit};
    return SM_OK;
}
static sm_post_answer proof(void *ctx, const struct sm_challenge *challenge, struct sm_proof *out,
                            struct sm_post_info *out_info)
{
    cr_assert_arr_eq(challenge->b, w.kit.meta.challenge.b, 32);
    *out = w.kit.proof;
    out->indices[1] ^= w.damaged;
    cr_assert_eq(info(ctx, out_info, NULL), SM_OK);
    return SM_POST_DONE;
}
static void fetched(void *ctx, const struct sm_challenge *challenge)
{
    (void)ctx, (void)challenge;
    w.fetched++;
    finish_when_known();
}
static void state(void *ctx, const struct sm_post_link_state *st)
{
    (void)ctx;
    if (w.stop_at && st->reason == w.stop_at) sm_loop_stop(w.loop);
}
static const struct sm_post_provider provider = {info, proof, fetched, state};

static void given_up(void *ctx, const char *text)
{
    struct sm_post_client **c = ctx;
    (void)snprintf(w.given_up, sizeof w.given_up, "%s", text);
    if (c) sm_post_client_free(*c); /* as the header allows */
    sm_loop_stop(w.loop);
}

static struct sm_post_client *rig_of(struct sm_post_client_cfg cfg, uint16_t port, void *ctx)
{
    struct sm_errinfo ei = {0};
    struct sm_post_client *c = NULL;
    const struct sm_rpc_address address = {.host = "127.0.0.1", .port = port};
    cfg.name = "rig";
    cfg.addresses = &address;
    cfg.addresses_n = 1;
    cfg.given_up = given_up;
    cr_assert_eq(sm_post_client_new(w.loop, &cfg, &provider, ctx, &c, &ei), SM_OK, "%s", ei.text);
    sm_post_client_start(c);
    return c;
}

static void run(void)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_loop_run(w.loop, NULL, &ei), SM_OK, "%s", ei.text);
}

/* ---- cases ---- */

Test(post_both, a_proof_travels_is_verified_and_known_to_be_fetched)
{
    start_node();
    struct sm_post_client *c = rig_of((struct sm_post_client_cfg){0}, sm_rpc_server_port(w.rpc), NULL);
    run();
    cr_assert_eq(w.proofs, 1);
    cr_assert_eq(sm_post_client_state(c)->phase, SM_POST_LINK_REGISTERED);
    cr_assert_eq(sm_post_server_count(w.post), 1);
    sm_post_client_free(c);
    stop_node();
}

Test(post_both, a_damaged_proof_is_not_handed_on)
{
    start_node();
    w.damaged = true;
    struct sm_post_client *c = rig_of((struct sm_post_client_cfg){0}, sm_rpc_server_port(w.rpc), NULL);
    run();
    cr_assert_eq(w.proofs, 0);
    cr_assert_eq(w.failed, 1);
    cr_assert_eq(w.failure, SM_POST_FAILURE_DATA);
    sm_post_client_stop(c);
    sm_post_client_free(c);
    stop_node();
}

Test(post_both, a_second_rig_of_the_identity_is_told_so)
{
    start_node();
    struct sm_post_client *a = rig_of((struct sm_post_client_cfg){0}, sm_rpc_server_port(w.rpc), NULL);
    run();
    w.stop_at = SM_POST_LINK_DUPLICATE;
    struct sm_post_client *b = rig_of((struct sm_post_client_cfg){0}, sm_rpc_server_port(w.rpc), NULL);
    run();
    cr_assert_eq(w.refused, 1);
    cr_assert_eq(w.registered, 1);
    cr_assert_str_eq(sm_post_client_state(b)->text, "post service already registered");
    sm_post_client_free(a);
    sm_post_client_free(b);
    stop_node();
}

Test(post_both, a_node_that_goes_away_with_work_under_way)
{
    start_node();
    struct sm_post_client *c = rig_of((struct sm_post_client_cfg){0}, sm_rpc_server_port(w.rpc), NULL);
    run();
    w.stop_at = SM_POST_LINK_LOST;
    w.damaged = true;
    cr_assert_eq(sm_post_server_request(w.post, &w.kit.meta.node_id, &w.kit.meta.challenge, NULL, UINT64_MAX, NULL),
                 SM_OK);
    sm_rpc_server_stop(w.rpc, 0);
    run();
    cr_assert_eq(w.gone, 1);
    sm_post_client_free(c);
    stop_node(); /* with a request that waits still, and perhaps a verification */
}

Test(post_both, a_rig_that_gives_up_may_free_itself)
{
    start_node();
    const uint16_t port = sm_rpc_server_port(w.rpc);
    sm_rpc_server_free(w.rpc); /* nobody listens there now */
    w.rpc = NULL;
    struct sm_post_client *c = NULL;
    c = rig_of(
        (struct sm_post_client_cfg){.limited = true, .max_retries = 2, .reconnect_interval_ns = 10 * SM_NS_PER_MS},
        port, &c);
    run();
    cr_assert_str_eq(w.given_up, "max retries (2) reached");
    stop_node();
}

Test(post_both, what_cannot_work_is_said_at_once)
{
    struct sm_errinfo ei = {0};
    struct sm_post_client *c = NULL;
    struct sm_rpc_address address = {.host = "127.0.0.1", .port = 1, .tls = true};
    struct sm_post_client_cfg cfg = {.addresses = &address};
    cr_assert_eq(sm_loop_new(&w.loop, &ei), SM_OK);
    cr_assert_eq(sm_post_client_new(w.loop, &cfg, &provider, NULL, &c, &ei), SM_E_ARG, "no address");
    cfg.addresses_n = 1;
    cr_assert_eq(sm_post_client_new(w.loop, &cfg, &provider, NULL, &c, &ei), SM_E_ARG, "https without certificates");
    address.tls = false;
    cfg.ping_interval_ns = 59 * SM_NS_PER_S;
    cr_assert_eq(sm_post_client_new(w.loop, &cfg, &provider, NULL, &c, &ei), SM_E_ARG, "PINGs that nodes punish");
    sm_loop_free(w.loop);
}
