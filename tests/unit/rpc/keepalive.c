/* PINGs and the end of connections: intervals, strikes, probes, drain. */
#include "raw.h"

#define MINUTE (60 * SM_NS_PER_S)

static struct sm_grpc_status ok = {.code = SM_GRPC_OK};

static void note_ping(void *ctx, bool acked)
{
    unsigned *seen = ctx; /* [0] times, [1] acked */
    seen[0]++;
    seen[1] += acked;
}

/* ---- ours ---- */

Test(keepalive, client_pings_only_while_a_call_is_open)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    k->client_cfg.ping_interval_ns = 10 * MINUTE;
    k->server_cfg.ping_min_ns = MINUTE;
    kit_start(k);
    cr_assert_eq(sm_rpc_conn_deadline(k->c), UINT64_MAX);
    kit_pass(k, 20 * MINUTE);
    struct sm_rpc_stream *s = kit_call(k, KIT_PATH, &call);
    kit_run(k);
    const uint64_t carried = k->carried;
    cr_assert_eq(sm_rpc_conn_deadline(k->c), k->now + 10 * MINUTE);
    kit_pass(k, 10 * MINUTE);
    cr_assert_eq(k->carried - carried, 34); /* PING and its answer */
    kit_pass(k, 100 * MINUTE);
    cr_assert_eq(k->carried - carried, 11 * 34, "%llu", (unsigned long long)(k->carried - carried));
    cr_assert_eq(call.ends, 0);
    sm_rpc_cancel(s);
    kit_run(k);
    cr_assert_eq(sm_rpc_conn_deadline(k->c), UINT64_MAX);
    kit_stop(k);
}

Test(keepalive, traffic_makes_pings_needless)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    k->client_cfg.ping_interval_ns = MINUTE;
    k->server.calls[0].echo = true;
    kit_start(k);
    struct sm_rpc_stream *s = kit_call(k, KIT_PATH, &call);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(sm_rpc_send(s, kit_text("x"), NULL), SM_OK);
        kit_run(k);
        cr_assert_eq(sm_rpc_conn_deadline(k->c), k->now + MINUTE);
        kit_pass(k, MINUTE - 1);
    }
    kit_stop(k);
}

static void run_silence(bool server)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    struct sm_errinfo ei = {0};
    k->client_cfg.ping_interval_ns = server ? 0 : 10 * MINUTE;
    k->server_cfg.ping_interval_ns = server ? 10 * MINUTE : 0;
    kit_start(k);
    (void)kit_call(k, KIT_PATH, &call);
    kit_run(k);
    struct sm_rpc_conn *c = server ? k->s : k->c;
    const struct kit_call *mine = server ? &k->server.calls[0] : &call;
    const uint8_t *p;
    sm_rpc_conn_tick(c, k->now + 10 * MINUTE); /* nothing is carried any more */
    cr_assert_eq(sm_rpc_conn_output(c, &p), 17);
    sm_rpc_conn_sent(c, 17);
    cr_assert_eq(sm_rpc_conn_deadline(c), k->now + 10 * MINUTE + 20 * SM_NS_PER_S);
    sm_rpc_conn_tick(c, k->now + 10 * MINUTE + 20 * SM_NS_PER_S - 1);
    cr_assert_eq(mine->ends, 0);
    sm_rpc_conn_tick(c, k->now + 10 * MINUTE + 20 * SM_NS_PER_S);
    kit_assert_end(mine, SM_GRPC_UNAVAILABLE, "no answer to a PING in 20 s");
    cr_assert(sm_rpc_conn_finished(c));
    cr_assert_eq(sm_rpc_conn_why(c, &ei), SM_E_TIMEOUT);
    cr_assert(strstr(ei.text, "PING"));
    kit_stop(k);
}

Test(keepalive, silence_ends_the_connection)
{
    run_silence(false);
    run_silence(true);
}

/* ---- the rules of servers ---- */

static void ping(struct raw *r)
{
    struct raw_bytes b = {0};
    raw_frame(&b, &(struct raw_frame){NGHTTP2_PING, 0, 0, "0102030405060708", 0});
    raw_feed(r, &b, b.n);
    free(b.p);
}

static void start(struct raw *r, bool with_call)
{
    struct raw_bytes b = {0};
    struct kit *k = kit_prepare();
    k->server_cfg.ping_min_ns = MINUTE;
    raw_start(r, true, k);
    raw_hello(&b, true);
    if (with_call) raw_frame(&b, &(struct raw_frame){NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, RAW_REQUEST, 0});
    raw_feed(r, &b, b.n);
    free(b.p);
    if (with_call) ping(r); /* what the answer's headers forgive */
}

static void assert_pings(bool with_call, uint64_t spacing, unsigned fatal)
{
    struct raw r;
    start(&r, with_call);
    for (unsigned i = 1; i <= 20 && (!fatal || i <= fatal); i++) {
        ping(&r);
        cr_assert_eq(r.seen.goaway, i == fatal, "PING %u of %u", i, fatal);
        r.kit->now += spacing;
    }
    if (fatal) {
        cr_assert_eq(r.seen.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
        cr_assert_str_eq(r.seen.goaway_debug, "too_many_pings");
        cr_assert_eq(r.err, SM_E_REFUSED);
        if (with_call) kit_assert_end(&r.kit->server.calls[0], SM_GRPC_UNAVAILABLE, "PING");
    }
    raw_stop(&r);
}

Test(keepalive, third_strike)
{
    assert_pings(true, MINUTE - 1, 3); /* the one of start() was the first to count from */
    assert_pings(true, MINUTE, 0);
    assert_pings(false, 119 * MINUTE, 4);
    assert_pings(false, 120 * MINUTE, 0);
}

Test(keepalive, answers_forgive_strikes)
{
    struct raw r;
    start(&r, true);
    for (unsigned i = 0; i < 20; i++) {
        ping(&r);
        ping(&r);
        cr_assert_not(r.seen.goaway);
        cr_assert_eq(sm_rpc_send(r.kit->server.calls[0].s, kit_text("x"), NULL), SM_OK);
        raw_drain(&r);
    }
    raw_stop(&r);
}

/* gRPC peers measure the path whenever data comes: a PING for each message is no flood. */
Test(keepalive, a_ping_for_each_message)
{
    struct raw r;
    start(&r, true);
    for (unsigned i = 0; i < 3000; i++) {
        cr_assert_eq(sm_rpc_send(r.kit->server.calls[0].s, kit_text("x"), NULL), SM_OK);
        raw_drain(&r);
        ping(&r);
        cr_assert_not(r.seen.goaway, "after %u", i);
    }
    raw_stop(&r);
}

Test(keepalive, client_doubles_its_interval)
{
    struct raw r;
    struct raw_bytes b = {0};
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    struct sm_rpc_stream *s;
    k->client_cfg.ping_interval_ns = MINUTE;
    raw_start(&r, false, k);
    cr_assert_eq(sm_rpc_call(r.conn, KIT_PATH, 0, k->now, &kit_events, &call, &s, NULL), SM_OK);
    cr_assert_eq(sm_rpc_conn_ping_interval(r.conn), MINUTE);
    raw_drain(&r);
    raw_hello(&b, false);
    raw_frame(&b, &(struct raw_frame){NGHTTP2_GOAWAY, 0, 0, "00000001 0000000b 'too_many_pings'", 0});
    raw_feed(&r, &b, b.n);
    cr_assert_eq(sm_rpc_conn_ping_interval(r.conn), 2 * MINUTE);
    cr_assert_not(sm_rpc_conn_usable(r.conn));
    cr_assert_eq(call.ends, 0);
    sm_rpc_conn_eof(r.conn, k->now, "closed");
    kit_assert_end(&call, SM_GRPC_UNAVAILABLE, "ENHANCE_YOUR_CALM, too_many_pings");
    raw_stop(&r);
    free(b.p);
}

/* ---- probes ---- */

Test(keepalive, probes)
{
    struct kit *k = kit_prepare();
    unsigned answered[2] = {0}, lost[2] = {0}, freed[2] = {0};
    kit_start(k);
    cr_assert_eq(sm_rpc_conn_ping(k->s, note_ping, answered, 5 * SM_NS_PER_S, k->now, NULL), SM_OK);
    cr_assert_eq(answered[0], 0);
    kit_run(k);
    cr_assert_eq(answered[0], 1);
    cr_assert_eq(answered[1], 1);
    cr_assert_eq(sm_rpc_conn_ping(k->s, note_ping, lost, 5 * SM_NS_PER_S, k->now, NULL), SM_OK);
    sm_rpc_conn_tick(k->s, k->now + 5 * SM_NS_PER_S);
    cr_assert_eq(lost[0], 1);
    cr_assert_eq(lost[1], 0);
    cr_assert_not(sm_rpc_conn_finished(k->s));
    for (unsigned i = 0; i < 8; i++)
        cr_assert_eq(sm_rpc_conn_ping(k->s, note_ping, freed, UINT64_MAX, k->now, NULL), SM_OK);
    cr_assert_eq(sm_rpc_conn_ping(k->s, note_ping, freed, 1, k->now, NULL), SM_E_BUSY);
    sm_rpc_conn_free(k->s);
    k->s = NULL;
    cr_assert_eq(freed[0], 8);
    cr_assert_eq(freed[1], 0);
    sm_rpc_conn_eof(k->c, k->now, "gone");
    cr_assert_eq(sm_rpc_conn_ping(k->c, note_ping, freed, 1, k->now, NULL), SM_E_NET);
    kit_stop(k);
}

/* ---- drain ---- */

Test(drain, open_calls_may_end)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0}, late = {0};
    struct sm_rpc_stream *s;
    k->server.calls[0].echo = true;
    kit_start(k);
    struct sm_rpc_stream *open = kit_call(k, KIT_PATH, &call);
    kit_run(k);
    sm_rpc_conn_shutdown(k->s, k->now, 10 * MINUTE);
    kit_run(k);
    cr_assert_not(sm_rpc_conn_usable(k->c));
    cr_assert_eq(sm_rpc_call(k->c, KIT_PATH, 0, k->now, &kit_events, &late, &s, NULL), SM_E_NET);
    kit_pass(k, 5 * MINUTE);
    cr_assert_eq(sm_rpc_send(open, kit_text("still"), NULL), SM_OK);
    kit_run(k);
    cr_assert_eq(call.messages, 1);
    cr_assert_not(sm_rpc_conn_finished(k->s));
    sm_rpc_finish(k->server.calls[0].s, &ok);
    kit_run(k);
    kit_assert_end(&call, SM_GRPC_OK, "");
    cr_assert(sm_rpc_conn_finished(k->s));
    cr_assert(sm_rpc_conn_finished(k->c));
    cr_assert_eq(sm_rpc_conn_why(k->s, NULL), SM_OK);
    kit_stop(k);
}

Test(drain, grace_ends)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    kit_start(k);
    (void)kit_call(k, KIT_PATH, &call);
    kit_run(k);
    sm_rpc_conn_shutdown(k->s, k->now, 10 * SM_NS_PER_S);
    kit_pass(k, 10 * SM_NS_PER_S - 1);
    cr_assert_eq(call.ends, 0);
    kit_pass(k, 1);
    kit_assert_end(&k->server.calls[0], SM_GRPC_UNAVAILABLE, "shutting down");
    kit_assert_end(&call, SM_GRPC_UNAVAILABLE, "shutting down");
    cr_assert(sm_rpc_conn_finished(k->s));
    kit_stop(k);
}

/* A call that was under way on the wire when the server began to drain is still served. */
Test(drain, call_on_the_wire)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    k->server.calls[0].finish_on_message = &ok;
    kit_start(k);
    sm_rpc_conn_shutdown(k->s, k->now, MINUTE);
    cr_assert_eq(sm_rpc_send(kit_call(k, KIT_PATH, &call), kit_text("x"), NULL), SM_OK);
    kit_run(k);
    kit_assert_end(&call, SM_GRPC_OK, "");
    cr_assert(sm_rpc_conn_finished(k->s));
    kit_stop(k);
}

Test(drain, at_once)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    kit_start(k);
    (void)kit_call(k, KIT_PATH, &call);
    kit_run(k);
    sm_rpc_conn_shutdown(k->s, k->now, 0);
    cr_assert_eq(k->server.calls[0].ends, 0); /* never from inside */
    kit_run(k);
    kit_assert_end(&call, SM_GRPC_UNAVAILABLE, "");
    cr_assert(sm_rpc_conn_finished(k->s));
    kit_stop(k);
}

Test(drain, client)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    kit_start(k);
    (void)kit_call(k, KIT_PATH, &call);
    kit_run(k);
    sm_rpc_conn_shutdown(k->c, k->now, SM_NS_PER_S);
    kit_pass(k, SM_NS_PER_S);
    kit_assert_end(&call, SM_GRPC_UNAVAILABLE, "closing");
    kit_assert_end(&k->server.calls[0], SM_GRPC_CANCELLED, "");
    cr_assert(sm_rpc_conn_finished(k->c));
    kit_stop(k);
}

Test(drain, idle_connections)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    k->server_cfg.idle_timeout_ns = MINUTE;
    k->server.calls[0].finish_on_half_close = &ok;
    kit_start(k);
    struct sm_rpc_stream *s = kit_call(k, KIT_PATH, &call);
    kit_pass(k, 10 * MINUTE);
    cr_assert(sm_rpc_conn_usable(k->c));
    sm_rpc_half_close(s);
    kit_run(k);
    kit_pass(k, MINUTE - 1);
    cr_assert(sm_rpc_conn_usable(k->c));
    kit_pass(k, 1);
    cr_assert_not(sm_rpc_conn_usable(k->c));
    cr_assert(sm_rpc_conn_finished(k->s));
    cr_assert(sm_rpc_conn_finished(k->c));
    kit_stop(k);
}

/* Asked again with less patience: the shorter grace holds, from the first moment. */
Test(drain, shortened)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    kit_start(k);
    (void)kit_call(k, KIT_PATH, &call);
    kit_run(k);
    sm_rpc_conn_shutdown(k->s, k->now, 10 * MINUTE);
    sm_rpc_conn_shutdown(k->s, k->now, 20 * MINUTE);
    sm_rpc_conn_shutdown(k->s, k->now, SM_NS_PER_S / 10);
    cr_assert_leq(sm_rpc_conn_deadline(k->s), k->now + SM_NS_PER_S / 10);
    kit_pass(k, SM_NS_PER_S / 10);
    kit_assert_end(&call, SM_GRPC_UNAVAILABLE, "shutting down");
    kit_stop(k);
}

/* The answer is late, but other bytes came meanwhile: the peer is there. */
Test(keepalive, any_input_is_a_sign_of_life)
{
    struct raw r;
    struct raw_bytes b = {0};
    struct kit *k = kit_prepare();
    k->server_cfg.ping_interval_ns = MINUTE;
    raw_start(&r, true, k);
    raw_hello(&b, true);
    raw_frame(&b, &(struct raw_frame){NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, RAW_REQUEST, 0});
    raw_feed(&r, &b, b.n);
    k->now += MINUTE;
    sm_rpc_conn_tick(r.conn, k->now);
    raw_drain(&r);
    cr_assert_eq(r.seen.pings, 1);
    k->now += 19 * SM_NS_PER_S;
    b.n = 0;
    raw_frame(&b, &(struct raw_frame){NGHTTP2_DATA, 0, 1, "0000000000", 0});
    raw_feed(&r, &b, b.n);
    k->now += SM_NS_PER_S;
    sm_rpc_conn_tick(r.conn, k->now);
    cr_assert_not(sm_rpc_conn_finished(r.conn));
    k->now += MINUTE;
    sm_rpc_conn_tick(r.conn, k->now);
    raw_drain(&r);
    cr_assert_eq(r.seen.pings, 2);
    sm_rpc_conn_tick(r.conn, k->now + 20 * SM_NS_PER_S);
    cr_assert(sm_rpc_conn_finished(r.conn));
    raw_stop(&r);
    free(b.p);
}
