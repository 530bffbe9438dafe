/* Calls between a client and a server connection in memory: messages, ends, deadlines, windows. */
#include "kit.h"

static struct sm_grpc_status ok = {.code = SM_GRPC_OK};

Test(calls, unary)
{
    static const size_t steps[] = {0, 1, 7, 100};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct kit *k = kit_prepare();
        struct kit_call call = {0};
        k->step = steps[i];
        k->server.calls[0] = (struct kit_call){.echo = true, .finish_on_message = &ok};
        kit_start(k);
        struct sm_rpc_stream *s = kit_call(k, KIT_UNARY, &call);
        cr_assert_eq(sm_rpc_send(s, kit_text("hello"), NULL), SM_OK);
        sm_rpc_half_close(s);
        kit_run(k);
        kit_assert_end(&call, SM_GRPC_OK, "");
        cr_assert_eq(call.messages, 1);
        cr_assert_arr_eq(call.last, "hello", 5);
        kit_assert_end(&k->server.calls[0], SM_GRPC_OK, "");
        cr_assert_eq(sm_rpc_conn_streams(k->c), 0);
        cr_assert_eq(sm_rpc_conn_streams(k->s), 0);
        kit_stop(k);
    }
}

Test(calls, streaming_both_ways)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    k->server.calls[0] = (struct kit_call){.echo = true, .finish_on_half_close = &ok};
    kit_start(k);
    struct sm_rpc_stream *s = kit_call(k, KIT_PATH, &call);
    for (unsigned i = 0; i < 100; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "message %u", i);
        cr_assert_eq(sm_rpc_send(s, kit_text(i % 10 ? text : ""), NULL), SM_OK);
        if (i % 3 == 0) kit_run(k);
    }
    kit_run(k);
    cr_assert_eq(call.messages, 100);
    cr_assert_eq(call.ends, 0);
    cr_assert_eq(sm_rpc_stream_peer(k->server.calls[0].s), k);
    cr_assert_eq(sm_rpc_stream_conn(k->server.calls[0].s), k->s);
    sm_rpc_half_close(s);
    kit_run(k);
    cr_assert_eq(k->server.calls[0].half_closes, 1);
    kit_assert_end(&call, SM_GRPC_OK, "");
    kit_stop(k);
}

/* The windows are used up many times over: more than 100 MiB each way. */
Test(calls, windows_are_opened_again)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    k->server.calls[0] = (struct kit_call){.echo = true};
    kit_start(k);
    struct sm_rpc_stream *s = kit_call(k, KIT_PATH, &call);
    const size_t n = 3 * 1024 * 1024 + 17;
    uint8_t *big = calloc(1, n);
    big[0] = 0x5a;
    for (unsigned i = 0; i < 40; i++) {
        cr_assert_eq(sm_rpc_send(s, (struct sm_slice){big, n}, NULL), SM_OK);
        kit_run(k);
        cr_assert_eq(call.messages, i + 1);
    }
    for (unsigned i = 0; i < 50000; i++) { /* finding 24: weeks of polling */
        cr_assert_eq(sm_rpc_send(s, (struct sm_slice){big, 41}, NULL), SM_OK);
        kit_run(k);
    }
    cr_assert_eq(call.bytes, 40 * n + 50000u * 41u);
    cr_assert_eq(call.last[0], 0x5a);
    free(big);
    kit_stop(k);
}

Test(calls, answers_without_messages)
{
    struct kit *k = kit_prepare();
    struct kit_call unknown = {0}, refused = {0}, silent = {0};
    kit_start(k);
    (void)kit_call(k, "/test.v1.Echo/NoSuch", &unknown);
    (void)kit_call(k, KIT_REFUSED, &refused);
    (void)kit_call(k, KIT_SILENT, &silent);
    kit_run(k);
    kit_assert_end(&unknown, SM_GRPC_UNIMPLEMENTED, "/test.v1.Echo/NoSuch");
    kit_assert_end(&refused, SM_GRPC_FAILED_PRECONDITION, "not today: 100% \xc3\xa4");
    cr_assert_eq(silent.ends, 0);
    struct sm_grpc_status st;
    sm_grpc_status_set(&st, SM_GRPC_ABORTED, "later");
    sm_rpc_finish(k->server.calls[0].s, &st);
    cr_assert_eq(k->server.calls[0].ends, 0); /* never from inside */
    kit_run(k);
    kit_assert_end(&silent, SM_GRPC_ABORTED, "later");
    kit_assert_end(&k->server.calls[0], SM_GRPC_ABORTED, "later");
    kit_stop(k);
}

Test(calls, cancelled_by_either_side)
{
    struct kit *k = kit_prepare();
    struct kit_call a = {0}, b = {0}, c = {.cancel_on_message = true};
    k->server.calls[2].echo = true;
    kit_start(k);
    struct sm_rpc_stream *s = kit_call(k, KIT_PATH, &a);
    (void)kit_call(k, KIT_PATH, &b);
    kit_run(k);
    sm_rpc_cancel(s);
    cr_assert_eq(a.ends, 0);
    cr_assert_eq(sm_rpc_conn_deadline(k->c), 0);
    sm_rpc_cancel(k->server.calls[1].s);
    kit_run(k);
    kit_assert_end(&a, SM_GRPC_CANCELLED, "");
    kit_assert_end(&b, SM_GRPC_CANCELLED, "");
    kit_assert_end(&k->server.calls[0], SM_GRPC_CANCELLED, "");
    kit_assert_end(&k->server.calls[1], SM_GRPC_CANCELLED, "");
    s = kit_call(k, KIT_PATH, &c);
    uint8_t big[70000] = {1}; /* the message lies in the reader when it is cancelled */
    cr_assert_eq(sm_rpc_send(s, (struct sm_slice){big, sizeof big}, NULL), SM_OK);
    kit_run(k);
    kit_assert_end(&c, SM_GRPC_CANCELLED, "");
    kit_assert_end(&k->server.calls[2], SM_GRPC_CANCELLED, "");
    s = kit_call(k, KIT_PATH, &(struct kit_call){0}); /* a call that never got out */
    sm_rpc_cancel(s);
    kit_run(k);
    cr_assert_eq(k->server.n, 3);
    kit_stop(k);
}

Test(calls, deadlines)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    struct sm_rpc_stream *s;
    kit_start(k);
    cr_assert_eq(sm_rpc_call(k->c, KIT_PATH, 5 * SM_NS_PER_S, k->now, &kit_events, &call, &s, NULL), SM_OK);
    kit_run(k);
    cr_assert_eq(sm_rpc_conn_deadline(k->c), k->now + 5 * SM_NS_PER_S);
    cr_assert_eq(sm_rpc_conn_deadline(k->s), k->now + 5 * SM_NS_PER_S); /* told by grpc-timeout */
    kit_pass(k, 5 * SM_NS_PER_S - 1);
    cr_assert_eq(call.ends, 0);
    kit_pass(k, 1);
    kit_assert_end(&call, SM_GRPC_DEADLINE_EXCEEDED, "");
    cr_assert_eq(k->server.calls[0].ends, 1);
    cr_assert(k->server.calls[0].end.code == SM_GRPC_DEADLINE_EXCEEDED ||
              k->server.calls[0].end.code == SM_GRPC_CANCELLED);
    kit_stop(k);
}

/* The server keeps the deadline by itself, and says so in trailers. */
Test(calls, deadline_at_the_server)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    struct sm_rpc_stream *s;
    kit_start(k);
    cr_assert_eq(sm_rpc_call(k->c, KIT_PATH, SM_NS_PER_S, k->now, &kit_events, &call, &s, NULL), SM_OK);
    while (kit_carry(k, k->c, k->s, &k->s_err)) {}
    sm_rpc_conn_tick(k->s, k->now + SM_NS_PER_S);
    kit_assert_end(&k->server.calls[0], SM_GRPC_DEADLINE_EXCEEDED, "");
    while (kit_carry(k, k->s, k->c, &k->c_err)) {}
    sm_rpc_conn_tick(k->c, k->now);
    kit_assert_end(&call, SM_GRPC_DEADLINE_EXCEEDED, "deadline exceeded");
    kit_stop(k);
}

Test(calls, message_limits)
{
    struct kit *k = kit_prepare();
    struct kit_call big = {0}, fits = {0}, answer = {0};
    k->server_cfg.limits.message_max = 1000;
    k->client_cfg.limits.message_max = 500;
    k->server.calls[1].echo = k->server.calls[2].echo = true;
    kit_start(k);
    uint8_t bytes[1001] = {0};
    struct sm_rpc_stream *s = kit_call(k, KIT_PATH, &big);
    cr_assert_eq(sm_rpc_send(s, (struct sm_slice){bytes, 1001}, NULL), SM_OK);
    kit_run(k);
    kit_assert_end(&big, SM_GRPC_RESOURCE_EXHAUSTED, "1001 bytes; the limit is 1000");
    kit_assert_end(&k->server.calls[0], SM_GRPC_RESOURCE_EXHAUSTED, "1001");
    s = kit_call(k, KIT_PATH, &fits);
    cr_assert_eq(sm_rpc_send(s, (struct sm_slice){bytes, 500}, NULL), SM_OK);
    kit_run(k);
    cr_assert_eq(fits.messages, 1);
    s = kit_call(k, KIT_PATH, &answer);
    cr_assert_eq(sm_rpc_send(s, (struct sm_slice){bytes, 1000}, NULL), SM_OK);
    kit_run(k);
    kit_assert_end(&answer, SM_GRPC_RESOURCE_EXHAUSTED, "1000 bytes; the limit is 500");
    kit_assert_end(&k->server.calls[2], SM_GRPC_CANCELLED, "");
    kit_stop(k);
}

/* Many calls that are half through a message hold no more than input_max together. */
Test(calls, half_messages_are_bounded_together)
{
    struct kit *k = kit_prepare();
    struct kit_call calls[8] = {0};
    k->server_cfg.limits.message_max = 100000;
    k->server_cfg.limits.input_max = 150000;
    kit_start(k);
    uint8_t *bytes = calloc(1, 100000);
    for (size_t i = 0; i < 8; i++)
        cr_assert_eq(sm_rpc_send(kit_call(k, KIT_PATH, &calls[i]), (struct sm_slice){bytes, 100000}, NULL), SM_OK);
    kit_run(k);
    size_t exhausted = 0, whole = 0;
    for (size_t i = 0; i < 8; i++) {
        exhausted += calls[i].ends && calls[i].end.code == SM_GRPC_RESOURCE_EXHAUSTED;
        whole += k->server.calls[i].messages;
    }
    cr_assert_gt(exhausted, 0);
    cr_assert_gt(whole, 0);
    cr_assert_eq(exhausted + whole, 8);
    free(bytes);
    kit_stop(k);
}

Test(calls, unary_takes_one_message)
{
    struct kit *k = kit_prepare();
    struct kit_call two = {0}, none = {0};
    kit_start(k);
    struct sm_rpc_stream *s = kit_call(k, KIT_UNARY, &two);
    cr_assert_eq(sm_rpc_send(s, kit_text("a"), NULL), SM_OK);
    cr_assert_eq(sm_rpc_send(s, kit_text("b"), NULL), SM_OK);
    sm_rpc_half_close(kit_call(k, KIT_UNARY, &none));
    kit_run(k);
    kit_assert_end(&two, SM_GRPC_INTERNAL, "more than one message");
    kit_assert_end(&none, SM_GRPC_INTERNAL, "without a message");
    kit_stop(k);
}

Test(calls, sending_is_bounded)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    k->client_cfg.limits.output_max = 10000;
    kit_start(k);
    struct sm_rpc_stream *s = kit_call(k, KIT_PATH, &call);
    uint8_t bytes[20000] = {0};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_rpc_send(s, (struct sm_slice){bytes, 3000}, NULL), SM_OK);
    cr_assert_eq(sm_rpc_send(s, (struct sm_slice){bytes, 3000}, NULL), SM_OK);
    cr_assert_eq(sm_rpc_send(s, (struct sm_slice){bytes, 4000}, &ei), SM_E_BUSY);
    cr_assert_eq(sm_rpc_stream_queued(s), 6010);
    cr_assert_eq(call.writables, 0);
    kit_run(k);
    cr_assert_eq(call.writables, 1);
    cr_assert_eq(sm_rpc_send(s, (struct sm_slice){bytes, sizeof bytes}, NULL), SM_OK); /* alone it fits */
    cr_assert_eq(sm_rpc_send(s, (struct sm_slice){bytes, 1}, NULL), SM_E_BUSY);
    kit_run(k);
    cr_assert_eq(k->server.calls[0].messages, 3);
    sm_rpc_half_close(s);
    cr_assert_eq(sm_rpc_send(s, (struct sm_slice){bytes, 1}, NULL), SM_E_NET);
    kit_stop(k);
}

Test(calls, as_many_as_the_server_allows)
{
    struct kit *k = kit_prepare();
    struct kit_call calls[4] = {0};
    struct sm_rpc_stream *s;
    k->server_cfg.limits.streams_max = 3;
    kit_start(k);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(sm_rpc_conn_room(k->c), 3 - i);
        (void)kit_call(k, KIT_PATH, &calls[i]);
    }
    cr_assert_eq(sm_rpc_conn_room(k->c), 0);
    cr_assert_eq(sm_rpc_call(k->c, KIT_PATH, 0, k->now, &kit_events, &calls[3], &s, NULL), SM_E_BUSY);
    kit_run(k);
    sm_rpc_cancel(calls[0].s);
    kit_run(k);
    cr_assert_eq(sm_rpc_conn_room(k->c), 1);
    (void)kit_call(k, KIT_PATH, &calls[3]);
    kit_run(k);
    cr_assert_eq(k->server.n, 4);
    sm_rpc_cancel(calls[1].s);
    sm_rpc_conn_shutdown(k->c, k->now, SM_NS_PER_S);
    cr_assert_eq(sm_rpc_conn_room(k->c), 0, "it is ending");
    kit_stop(k);
}

Test(calls, connection_lost)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0}, later = {0};
    struct sm_rpc_stream *s;
    kit_start(k);
    (void)kit_call(k, KIT_PATH, &call);
    kit_run(k);
    sm_rpc_conn_eof(k->c, k->now, "connection reset by peer");
    kit_assert_end(&call, SM_GRPC_UNAVAILABLE, "connection reset by peer");
    cr_assert(sm_rpc_conn_finished(k->c));
    cr_assert_eq(sm_rpc_conn_why(k->c, NULL), SM_E_NET);
    cr_assert_eq(sm_rpc_call(k->c, KIT_PATH, 0, k->now, &kit_events, &later, &s, NULL), SM_E_NET);
    sm_rpc_conn_free(k->s); /* ends what is open */
    kit_assert_end(&k->server.calls[0], SM_GRPC_UNAVAILABLE, "");
    k->s = NULL;
    kit_stop(k);
}

Test(calls, wake_up_comes_once)
{
    struct kit *k = kit_prepare();
    struct kit_call call = {0};
    kit_start(k);
    k->wakes = 0;
    struct sm_rpc_stream *s = kit_call(k, KIT_PATH, &call);
    cr_assert_eq(k->wakes, 1);
    cr_assert_eq(sm_rpc_send(s, kit_text("x"), NULL), SM_OK);
    cr_assert_eq(k->wakes, 1);
    kit_run(k);
    cr_assert_eq(sm_rpc_send(s, kit_text("x"), NULL), SM_OK);
    cr_assert_eq(k->wakes, 2);
    kit_stop(k);
}

Test(calls, bad_configuration)
{
    struct sm_rpc_conn *c = NULL;
    struct sm_rpc_conn_cfg cfg = {.authority = NULL};
    cr_assert_eq(sm_rpc_conn_new(&cfg, 0, &c, NULL), SM_E_ARG);
    cfg.authority = "x:1";
    cfg.ping_interval_ns = 59 * SM_NS_PER_S;
    cr_assert_eq(sm_rpc_conn_new(&cfg, 0, &c, NULL), SM_E_ARG);
    cfg.ping_interval_ns = SM_RPC_PING_MIN_NS;
    cfg.limits.stream_window = 0x80000000u;
    cr_assert_eq(sm_rpc_conn_new(&cfg, 0, &c, NULL), SM_E_ARG);
    cr_assert_null(c);
}

/* What is thrown away for calls that ended early is given back to the connection's window. */
Test(calls, windows_survive_cancelled_calls)
{
    static const uint8_t bytes[500000] = {'x'};
    struct kit *k = kit_prepare();
    k->step = 100000;
    k->client_cfg.limits.conn_window = k->server_cfg.limits.conn_window = 1 << 20;
    kit_start(k);
    for (size_t i = 0; i < 50; i++) { /* the server stops listening while the rest is on its way, then the client */
        struct kit_call up = {0}, down = {0};
        struct sm_rpc_stream *s = kit_call(k, KIT_PATH, &up);
        cr_assert_eq(sm_rpc_send(s, (struct sm_slice){bytes, sizeof bytes}, NULL), SM_OK);
        (void)kit_carry(k, k->c, k->s, &k->s_err);
        sm_rpc_cancel(k->server.calls[k->server.n - 1].s);
        kit_run(k);
        kit_assert_end(&up, SM_GRPC_CANCELLED, "");
        s = kit_call(k, KIT_PATH, &down);
        kit_run(k);
        cr_assert_eq(sm_rpc_send(k->server.calls[k->server.n - 1].s, (struct sm_slice){bytes, sizeof bytes}, NULL),
                     SM_OK);
        (void)kit_carry(k, k->s, k->c, &k->c_err);
        sm_rpc_cancel(s);
        kit_run(k);
        kit_assert_end(&down, SM_GRPC_CANCELLED, "");
    }
    struct kit_call last = {0};
    k->server.calls[100].echo = true;
    cr_assert_eq(sm_rpc_send(kit_call(k, KIT_PATH, &last), (struct sm_slice){bytes, sizeof bytes}, NULL), SM_OK);
    kit_run(k);
    cr_assert_eq(last.bytes, sizeof bytes);
    kit_stop(k);
}

/* Calls that are served are no flood, at any rate: here all in one moment, half of them ended before the client had. */
Test(calls, many_in_no_time)
{
    struct kit *k = kit_prepare();
    kit_start(k);
    for (unsigned i = 0; i < 20000; i++) {
        struct kit_call call = {0};
        k->server.n = 0;
        k->server.calls[0] = (struct kit_call){.finish_on_message = &ok};
        struct sm_rpc_stream *s = kit_call(k, KIT_PATH, &call);
        cr_assert_eq(sm_rpc_send(s, kit_text("x"), NULL), SM_OK);
        if (i % 2) sm_rpc_half_close(s);
        kit_run(k);
        cr_assert_eq(k->s_err, SM_OK, "after %u calls", i);
        cr_assert_eq(k->c_err, SM_OK, "after %u calls", i);
        kit_assert_end(&call, SM_GRPC_OK, "");
    }
    kit_stop(k);
}
