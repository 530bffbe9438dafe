/* The identities of one rig on one connection, over loopback: what they share and what each keeps for itself. */
#include <string.h>

#include "sharing_kit.h"

/* ---- cases ---- */

Test(post_sharing, ten_identities_on_one_connection)
{
    start_node(0, NULL, 0);
    add_all(w.rig, &w.pool);
    run_until(all_registered);
    cr_assert_eq(came_from(), 1);
    cr_assert_eq(sm_post_carrier_connections(w.pool.first), 1);
    cr_assert_eq(w.registered, N);
    end();
}

Test(post_sharing, without_it_each_has_its_own)
{
    start_node(0, NULL, 0);
    add_all(w.rig, NULL);
    run_until(all_registered);
    cr_assert_eq(came_from(), N);
    cr_assert_null(w.pool.first);
    end();
}

static bool nine_and_one_refused(void)
{
    return w.registered == N - 1 && phase(&w.rig[3]) == SM_POST_LINK_WAITING;
}

Test(post_sharing, one_that_is_refused_disturbs_nobody)
{
    struct sm_post_known known[N - 1];
    memset(known, 0, sizeof known);
    for (uint8_t i = 0, n = 0; i < N; i++)
        if (i != 3) known[n++].id.b[0] = (uint8_t)(i + 1);
    start_node(0, known, N - 1);
    add_all(w.rig, &w.pool);
    run_until(nine_and_one_refused);
    cr_assert_eq(sm_post_client_state(w.rig[3].client)->reason, SM_POST_LINK_FORBIDDEN);
    cr_assert_eq(w.gone, 0);
    cr_assert_eq(came_from(), 1);
    end();
}

static bool all_gone(void)
{
    for (size_t i = 0; i < N; i++)
        if (phase(&w.rig[i]) == SM_POST_LINK_REGISTERED || phase(&w.rig[i]) == SM_POST_LINK_OPENING) return false;
    return w.gone == N;
}

Test(post_sharing, a_lost_connection_brings_all_back)
{
    start_node(0, NULL, 0);
    add_all(w.rig, &w.pool);
    run_until(all_registered);
    const uint16_t port = sm_rpc_server_port(w.rpc);
    sm_rpc_server_stop(w.rpc, 0);
    run_until(all_gone);
    sm_rpc_server_free(w.rpc);
    listen_at(port, 0);
    run_until(all_registered);
    cr_assert_eq(w.registered, 2 * N);
    cr_assert_eq(came_from(), 1);
    cr_assert_eq(sm_post_carrier_connections(w.pool.first), 1);
    end();
}

Test(post_sharing, a_node_with_fewer_calls_per_connection_gets_more_connections)
{
    start_node(3, NULL, 0);
    add_all(w.rig, &w.pool);
    run_until(all_registered);
    cr_assert_eq(came_from(), 4);
    cr_assert_eq(sm_post_carrier_connections(w.pool.first), 4);
    cr_assert_eq(w.gone, 0);
    cr_assert_eq(w.refused, 0);
    free_all(w.rig); /* and they are left again */
    end();
}

static bool one_left(void)
{
    return w.gone == 1;
}

Test(post_sharing, one_that_stops_leaves_and_may_come_back)
{
    start_node(0, NULL, 0);
    add_all(w.rig, &w.pool);
    run_until(all_registered);
    sm_post_client_stop(w.rig[7].client);
    run_until(one_left);
    cr_assert_eq(sm_post_server_count(w.post), N - 1);
    sm_post_client_start(w.rig[7].client);
    run_until(all_registered);
    cr_assert_eq(w.registered, N + 1);
    cr_assert_eq(came_from(), 1, "on the same connection");
    sm_post_client_stop(w.rig[0].client); /* its stream ends only when it is gone already */
    sm_post_client_free(w.rig[0].client);
    w.rig[0].client = NULL;
    w.gone = 0;
    run_until(one_left);
    cr_assert_eq(sm_post_server_count(w.post), N - 1);
    end();
}

static bool others_refused(void)
{
    if (w.gone) return true; /* wrong, as will be seen */
    for (size_t i = 0; i < N; i++)
        if (phase(&w.other[i]) != SM_POST_LINK_WAITING) return false;
    return true;
}

/* More questions about one connection than it takes PINGs: the node must not take it for dead. */
Test(post_sharing, a_second_rig_with_the_same_identities_is_refused)
{
    struct sm_post_carriers pool = {0};
    start_node(0, NULL, 0);
    add_all(w.rig, &w.pool);
    run_until(all_registered);
    for (uint8_t i = 0; i < N; i++)
        add(&w.other[i], (uint8_t)(i + 1), sm_rpc_server_port(w.rpc), &pool,
            (struct sm_post_client_cfg){.reconnect_interval_ns = 3600 * SM_NS_PER_S});
    run_until(others_refused);
    for (size_t i = 0; i < N; i++)
        cr_assert_str_eq(sm_post_client_state(w.other[i].client)->text, "post service already registered");
    cr_assert_eq(w.registered, N);
    cr_assert_eq(w.gone, 0);
    cr_assert_eq(w.refused, N);
    free_all(w.other);
    cr_assert_null(pool.first);
    end();
}

static bool twin_refused(void)
{
    return phase(&w.other[0]) == SM_POST_LINK_WAITING;
}

Test(post_sharing, one_identity_twice_on_one_connection)
{
    start_node(0, NULL, 0);
    add_all(w.rig, &w.pool);
    run_until(all_registered);
    add(&w.other[0], 1, sm_rpc_server_port(w.rpc), &w.pool,
        (struct sm_post_client_cfg){.reconnect_interval_ns = 3600 * SM_NS_PER_S});
    run_until(twin_refused);
    cr_assert_eq(sm_post_client_state(w.other[0].client)->reason, SM_POST_LINK_DUPLICATE);
    cr_assert_eq(w.gone, 0);
    cr_assert_eq(sm_post_carrier_connections(w.pool.first), 1);
    end();
}

static bool three_rounds_fetched(void)
{
    return w.failed == 3 * N && w.fetched == 3 * N;
}

/* The node drops a connection at the third PING that it finds too early. */
Test(post_sharing, every_proof_is_known_to_be_fetched_and_no_ping_is_too_many)
{
    start_node(0, NULL, 0);
    add_all(w.rig, &w.pool);
    run_until(all_registered);
    w.ask = 3 * N;
    ask_next();
    run_until(three_rounds_fetched);
    for (size_t i = 0; i < N; i++) cr_assert_eq(w.rig[i].fetched, 3);
    cr_assert_eq(w.gone, 0);
    end();
}

static bool all_fetched(void)
{
    return w.fetched == N;
}

Test(post_sharing, proofs_at_the_same_moment_share_their_confirmation)
{
    start_node(0, NULL, 0);
    add_all(w.rig, &w.pool);
    run_until(all_registered);
    for (unsigned i = 0; i < N; i++) {
        w.ask = i + 1;
        ask_next();
    }
    w.ask = 0;
    run_until(all_fetched);
    cr_assert_eq(w.gone, 0);
    end();
}

Test(post_sharing, each_counts_its_own_retries)
{
    start_node(0, NULL, 0);
    const uint16_t port = sm_rpc_server_port(w.rpc);
    sm_rpc_server_free(w.rpc); /* nobody listens there now */
    w.rpc = NULL;
    for (uint8_t i = 0; i < 3; i++)
        add(&w.rig[i], (uint8_t)(i + 1), port, &w.pool,
            (struct sm_post_client_cfg){.limited = true, .max_retries = 2u - i});
    run_until(all_given_up);
    cr_assert_str_eq(w.rig[0].text, "max retries (2) reached");
    cr_assert_str_eq(w.rig[1].text, "max retries (1) reached");
    cr_assert_str_eq(w.rig[2].text, "max retries (0) reached");
    cr_assert_null(w.pool.first);
    end();
}
