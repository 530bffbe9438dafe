/* The identities of one rig on one connection, over loopback: what they share and what each keeps for itself. */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

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
    unsigned fetched, given_up;
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

static void look(void)
{
    if (w.enough && w.enough()) sm_loop_stop(w.loop);
}

/* ---- the node ---- */

static void ask_next(void)
{
    struct sm_errinfo ei = {0};
    if (!w.ask) return;
    const struct sm_node_id id = {{(uint8_t)(--w.ask % N + 1)}};
    const struct sm_challenge challenge = {{(uint8_t)(w.ask + 1)}};
    cr_assert_eq(sm_post_server_request(w.post, &id, &challenge, NULL, UINT64_MAX, &ei), SM_OK, "%s", ei.text);
}
static void on_registered(void *ctx, const struct sm_post_identity *id)
{
    (void)ctx;
    (void)snprintf(w.address[id->id.b[0]], SM_SOCKADDR_ROOM, "%s", id->address);
    w.registered++;
    look();
}
static void on_gone(void *ctx, const struct sm_post_identity *id, const char *why)
{
    (void)ctx, (void)id, (void)why;
    w.gone++;
    look();
}
static void on_refused(void *ctx, const struct sm_node_id *id, const char *address, const struct sm_grpc_status *why)
{
    (void)ctx, (void)id, (void)address, (void)why;
    w.refused++;
}
static void on_failed(void *ctx, const struct sm_post_identity *id, sm_post_failure reason, const char *text)
{
    (void)ctx, (void)id, (void)reason, (void)text;
    w.failed++;
    ask_next();
    look();
}
static const struct sm_post_events events = {
    .registered = on_registered, .gone = on_gone, .refused = on_refused, .failed = on_failed};

static void listen_at(uint16_t port, uint32_t streams_max)
{
    struct sm_errinfo ei = {0};
    char listen[32];
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%u", port);
    struct sm_rpc_server_cfg rpc = {
        .listen = listen, .limits = {.streams_max = streams_max}, .ping_min_ns = 60 * SM_NS_PER_S};
    rpc.methods = sm_post_server_methods(w.post, &rpc.methods_n);
    cr_assert_eq(sm_rpc_server_start(w.loop, &rpc, &w.rpc, &ei), SM_OK, "%s", ei.text);
}

static void start_node(uint32_t streams_max, const struct sm_post_known *known, size_t known_n)
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

static sm_err info(void *ctx, struct sm_post_info *out, struct sm_errinfo *ei)
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
static sm_post_answer proof(void *ctx, const struct sm_challenge *challenge, struct sm_proof *out,
                            struct sm_post_info *out_info)
{
    (void)challenge;
    *out = w.kit.proof;
    cr_assert_eq(info(ctx, out_info, NULL), SM_OK);
    out_info->num_units = w.kit.params.max_num_units + 1;
    return SM_POST_DONE;
}
static void fetched(void *ctx, const struct sm_challenge *challenge)
{
    struct identity *i = ctx;
    (void)challenge;
    i->fetched++;
    w.fetched++;
    look();
}
static void state(void *ctx, const struct sm_post_link_state *st)
{
    (void)ctx, (void)st;
    look();
}
static const struct sm_post_provider provider = {info, proof, fetched, state};

static void given_up(void *ctx, const char *text)
{
    struct identity *i = ctx;
    (void)snprintf(i->text, sizeof i->text, "%s", text);
    sm_post_client_free(i->client); /* as the header allows */
    i->client = NULL;
    w.given_up++;
    look();
}

static void add(struct identity *i, uint8_t n, uint16_t port, struct sm_post_carriers *share,
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

static void add_all(struct identity *rig, struct sm_post_carriers *share)
{
    for (uint8_t i = 0; i < N; i++)
        add(&rig[i], (uint8_t)(i + 1), sm_rpc_server_port(w.rpc), share, (struct sm_post_client_cfg){0});
}

static void run_until(bool (*enough)(void))
{
    struct sm_errinfo ei = {0};
    w.enough = enough;
    cr_assert_eq(sm_loop_run(w.loop, NULL, &ei), SM_OK, "%s", ei.text);
    w.enough = NULL;
}

static void free_all(struct identity *rig)
{
    for (size_t i = 0; i < N; i++) {
        sm_post_client_free(rig[i].client);
        rig[i].client = NULL;
    }
}

static void end(void)
{
    free_all(w.rig);
    free_all(w.other);
    cr_assert_null(w.pool.first, "a connection is left over");
    sm_rpc_server_free(w.rpc);
    sm_post_server_free(w.post);
    sm_loop_free(w.loop);
}

/* Addresses that the rig's identities came from. */
static unsigned came_from(void)
{
    unsigned n = 0;
    for (size_t i = 1; i <= N; i++) {
        bool seen = false;
        for (size_t k = 1; k < i; k++) seen |= strcmp(w.address[i], w.address[k]) == 0;
        n += w.address[i][0] && !seen;
    }
    return n;
}

static sm_post_link_phase phase(const struct identity *i)
{
    return sm_post_client_state(i->client)->phase;
}

static bool all_registered(void)
{
    for (size_t i = 0; i < N; i++)
        if (phase(&w.rig[i]) != SM_POST_LINK_REGISTERED) return false;
    return w.registered - w.gone == N;
}

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

static bool all_given_up(void)
{
    return w.given_up == 3;
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

/* ---- confirmations, without a client ---- */

static struct {
    struct sm_post_ride *ride;
    struct sm_loop_timer later;
    unsigned messages, confirmed;
} c;

static void say(const struct sm_post_response *r)
{
    struct sm_errinfo ei = {0};
    uint8_t bytes[SM_POST_RESPONSE_ROOM];
    const size_t n = sm_post_response_encode(r, bytes);
    cr_assert_eq(sm_post_ride_send(c.ride, (struct sm_slice){bytes, n}, &ei), SM_OK, "%s", ei.text);
}
static void ride_up(void *ctx)
{
    struct sm_errinfo ei = {0};
    (void)ctx;
    cr_assert_eq(sm_post_ride_open(c.ride, &ei), SM_OK, "%s", ei.text);
}
static void ride_down(void *ctx, sm_err why, const char *text)
{
    (void)ctx, (void)why;
    cr_assert_fail("%s", text);
}
static void ride_message(void *ctx, struct sm_slice msg)
{
    struct sm_post_response r = {.kind = SM_POST_KIND_METADATA, .has_info = true};
    (void)msg;
    if (c.messages++) return; /* asked for a proof */
    cr_assert_eq(info(ctx, &r.info, NULL), SM_OK);
    say(&r);
    sm_post_ride_confirm(c.ride, 1);
}
static void ride_end(void *ctx, const struct sm_grpc_status *st)
{
    (void)ctx;
    cr_assert_fail("%s", st->message);
}
static void ask_later(void *ctx)
{
    (void)ctx;
    w.ask = 1;
    ask_next();
}
static void ride_confirmed(void *ctx, uint32_t confirm)
{
    (void)ctx;
    cr_assert_eq(confirm, ++c.confirmed);
    if (confirm == 1) {
        sm_post_ride_confirm(c.ride, 2);
        sm_loop_timer_set(w.loop, &c.later, sm_loop_now(w.loop) + 200 * SM_NS_PER_MS);
        return;
    }
    cr_assert_eq(c.messages, 2, "a PING before the node has said anything");
    sm_loop_stop(w.loop);
}

Test(post_sharing, a_second_ping_waits_for_a_word_of_the_node)
{
    static const struct sm_post_ride_events ride = {ride_up, ride_down, ride_message, ride_end, ride_confirmed};
    struct sm_errinfo ei = {0};
    struct sm_post_carrier *carrier = NULL;
    start_node(0, NULL, 0);
    c.later = (struct sm_loop_timer){.fn = ask_later};
    w.rig[0].n = 1;
    const struct sm_post_carrier_cfg cfg = {.loop = w.loop,
                                            .address = {.host = "127.0.0.1", .port = sm_rpc_server_port(w.rpc)}};
    cr_assert_eq(sm_post_carrier_get(NULL, &cfg, &carrier, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_post_carrier_board(carrier, &ride, &w.rig[0], &c.ride, &ei), SM_OK, "%s", ei.text);
    run_until(NULL);
    cr_assert_eq(c.confirmed, 2);
    sm_post_ride_leave(c.ride);
    sm_post_carrier_put(carrier);
    end();
}

/* ---- a node that takes no calls at all ---- */

static struct {
    struct sm_loop_fd fd;
    int peers[8];
    size_t n;
} full;

static void accept_full(void *ctx, uint32_t events_)
{
    static const uint8_t settings[] = {0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0}; /* MAX_CONCURRENT_STREAMS = 0 */
    (void)ctx, (void)events_;
    const int fd = accept(full.fd.watch.fd, NULL, NULL);
    cr_assert(fd >= 0 && full.n < 8);
    full.peers[full.n++] = fd;
    cr_assert_eq(write(fd, settings, sizeof settings), (ssize_t)sizeof settings);
}

Test(post_sharing, a_node_that_takes_no_calls_is_given_up)
{
    struct sm_errinfo ei = {0};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof a;
    start_node(0, NULL, 0);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && listen(fd, 8) == 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    full.fd = (struct sm_loop_fd){.fn = accept_full};
    cr_assert_eq(sm_loop_fd_add(w.loop, &full.fd, fd, EPOLLIN, &ei), SM_OK, "%s", ei.text);
    for (uint8_t i = 0; i < 3; i++)
        add(&w.rig[i], (uint8_t)(i + 1), ntohs(a.sin_port), &w.pool, (struct sm_post_client_cfg){.limited = true});
    run_until(all_given_up);
    cr_assert_eq(full.n, 1, "one attempt for all");
    cr_assert_null(w.pool.first);
    sm_loop_fd_del(w.loop, &full.fd);
    for (size_t i = 0; i < full.n; i++) (void)close(full.peers[i]);
    (void)close(fd);
    end();
}
