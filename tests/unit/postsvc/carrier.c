/* Connections that are shared: PINGs, and nodes that misbehave on them. */
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sharing_kit.h"

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

Test(post_carrier, a_second_ping_waits_for_a_word_of_the_node)
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

/* ---- a node that misbehaves, by its bytes ---- */

struct peer {
    struct sm_loop_fd watch;
    int fd;
    uint8_t got[4096];
    size_t n;
};

static struct {
    struct sm_loop_fd watch;
    int fd;
    uint8_t calls_max;
    struct peer peers[4];
    size_t n;
} bad;

static bool has_call(const struct peer *p)
{
    for (size_t at = 24; at + 9 <= p->n; at += 9 + ((size_t)p->got[at + 1] << 8 | p->got[at + 2]))
        if (p->got[at + 3] == 1) return true; /* HEADERS */
    return false;
}

static void read_bad(void *ctx, uint32_t events_)
{
    static const uint8_t away[] = "\0\0\x16\7\0\0\0\0\0" /* GOAWAY, 22 bytes */
                                  "\0\0\0\5\0\0\0\xb"
                                  "too_many_pings"; /* calls up to stream 5; ENHANCE_YOUR_CALM */
    struct peer *p = ctx;
    (void)events_;
    const ssize_t n = read(p->fd, p->got + p->n, sizeof p->got - p->n);
    if (n > 0) p->n += (size_t)n;
    if (n > 0 && !has_call(p)) return;
    if (n > 0) cr_assert_eq(write(p->fd, away, sizeof away - 1), (ssize_t)sizeof away - 1);
    (void)shutdown(p->fd, SHUT_WR);
    sm_loop_fd_del(w.loop, &p->watch);
}

static void accept_bad(void *ctx, uint32_t events_)
{
    const uint8_t settings[] = {0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, bad.calls_max};
    struct sm_errinfo ei = {0};
    (void)ctx, (void)events_;
    cr_assert_lt(bad.n, 4);
    struct peer *p = &bad.peers[bad.n++];
    *p = (struct peer){.fd = accept(bad.fd, NULL, NULL), .watch = {.fn = read_bad, .ctx = p}};
    cr_assert_geq(p->fd, 0);
    cr_assert_eq(write(p->fd, settings, sizeof settings), (ssize_t)sizeof settings);
    cr_assert_eq(sm_loop_fd_add(w.loop, &p->watch, p->fd, EPOLLIN, &ei), SM_OK, "%s", ei.text);
}

static uint16_t start_bad(uint8_t calls_max)
{
    struct sm_errinfo ei = {0};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof a;
    start_node(0, NULL, 0);
    bad.calls_max = calls_max;
    bad.fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(bad.fd >= 0 && bind(bad.fd, (struct sockaddr *)&a, n) == 0 && listen(bad.fd, 4) == 0);
    cr_assert_eq(getsockname(bad.fd, (struct sockaddr *)&a, &n), 0);
    bad.watch = (struct sm_loop_fd){.fn = accept_bad};
    cr_assert_eq(sm_loop_fd_add(w.loop, &bad.watch, bad.fd, EPOLLIN, &ei), SM_OK, "%s", ei.text);
    return ntohs(a.sin_port);
}

static void stop_bad(void)
{
    sm_loop_fd_del(w.loop, &bad.watch);
    for (size_t i = 0; i < bad.n; i++) {
        sm_loop_fd_del(w.loop, &bad.peers[i].watch);
        (void)close(bad.peers[i].fd);
    }
    (void)close(bad.fd);
    end();
}

Test(post_carrier, a_node_that_takes_no_calls_is_given_up)
{
    const uint16_t port = start_bad(0);
    for (uint8_t i = 0; i < 3; i++)
        add(&w.rig[i], (uint8_t)(i + 1), port, &w.pool, (struct sm_post_client_cfg){.limited = true});
    run_until(all_given_up);
    cr_assert_eq(bad.n, 1, "one attempt for all");
    cr_assert_null(w.pool.first);
    stop_bad();
}

static bool all_wait(void)
{
    for (size_t i = 0; i < 3; i++)
        if (!w.rig[i].client || phase(&w.rig[i]) != SM_POST_LINK_WAITING ||
            !sm_post_client_state(w.rig[i].client)->reason)
            return false;
    return true;
}

Test(post_carrier, too_many_pings_counts_for_all)
{
    const uint16_t port = start_bad(100);
    for (uint8_t i = 0; i < 3; i++)
        add(&w.rig[i], (uint8_t)(i + 1), port, &w.pool,
            (struct sm_post_client_cfg){.reconnect_interval_ns = 3600 * SM_NS_PER_S});
    run_until(all_wait);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(sm_post_client_state(w.rig[i].client)->reason, SM_POST_LINK_PINGS, "%s",
                     sm_post_client_state(w.rig[i].client)->text);
    cr_assert_eq(sm_post_carrier_ping_interval(w.pool.first), 1200 * SM_NS_PER_S);
    cr_assert_eq(sm_post_carrier_connections(w.pool.first), 0);
    stop_bad();
}
