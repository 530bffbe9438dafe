/* A client and a server connection joined in memory, under a clock that only the test moves; calls that note what
 * they hear. */
#ifndef SM_TEST_RPC_KIT_H
#define SM_TEST_RPC_KIT_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/conn.h"
#include "util/clock.h"

#define KIT_PATH    "/test.v1.Echo/Stream"
#define KIT_UNARY   "/test.v1.Echo/Unary"
#define KIT_SILENT  "/test.v1.Echo/Silent"
#define KIT_REFUSED "/test.v1.Echo/Refused"

struct kit_call { /* what one side of a call heard */
    struct sm_rpc_stream *s;
    unsigned messages, half_closes, writables, ends;
    size_t bytes;       /* of all messages */
    uint8_t last[1024]; /* beginning of the last message */
    size_t last_n;
    struct sm_grpc_status end;
    bool echo, cancel_on_message;
    struct sm_grpc_status *finish_on_message, *finish_on_half_close;
};

__attribute__((unused)) static void kit_on_message(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    struct kit_call *k = ctx;
    cr_assert_eq(k->ends, 0, "a message after the end");
    k->messages++;
    k->bytes += msg.n;
    k->last_n = msg.n < sizeof k->last ? msg.n : sizeof k->last;
    if (k->last_n) memcpy(k->last, msg.p, k->last_n);
    if (k->echo) cr_assert_eq(sm_rpc_send(s, msg, NULL), SM_OK);
    if (k->cancel_on_message) sm_rpc_cancel(s);
    if (msg.n) k->last[0] = msg.p[0]; /* still readable after all that */
    if (k->finish_on_message) sm_rpc_finish(s, k->finish_on_message);
}

__attribute__((unused)) static void kit_on_half_close(void *ctx, struct sm_rpc_stream *s)
{
    struct kit_call *k = ctx;
    k->half_closes++;
    if (k->finish_on_half_close) sm_rpc_finish(s, k->finish_on_half_close);
}

__attribute__((unused)) static void kit_on_writable(void *ctx, struct sm_rpc_stream *s)
{
    (void)s;
    ((struct kit_call *)ctx)->writables++;
}

__attribute__((unused)) static void kit_on_end(void *ctx, const struct sm_grpc_status *st)
{
    struct kit_call *k = ctx;
    cr_assert_eq(k->ends, 0, "a second end");
    k->ends++;
    k->end = *st;
    k->s = NULL;
}

static const struct sm_rpc_stream_events kit_events = {kit_on_message, kit_on_half_close, kit_on_writable, kit_on_end};

#define KIT_CALLS 4096
struct kit_server { /* the calls in the order in which they came; rows may be prepared before */
    struct kit_call calls[KIT_CALLS];
    size_t n;
};

__attribute__((unused)) static bool kit_open(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev,
                                             void **ev_ctx, struct sm_grpc_status *refuse)
{
    struct kit_server *server = ctx;
    (void)refuse;
    cr_assert_lt(server->n, KIT_CALLS);
    struct kit_call *k = &server->calls[server->n++];
    k->s = s;
    *ev = &kit_events;
    *ev_ctx = k;
    return true;
}

__attribute__((unused)) static bool kit_refuse(void *ctx, struct sm_rpc_stream *s,
                                               const struct sm_rpc_stream_events **ev, void **ev_ctx,
                                               struct sm_grpc_status *refuse)
{
    (void)ctx;
    (void)s;
    (void)ev;
    (void)ev_ctx;
    sm_grpc_status_set(refuse, SM_GRPC_FAILED_PRECONDITION, "not today: 100%% \xc3\xa4");
    return false;
}

struct kit {
    struct kit_server server;
    struct sm_rpc_method methods[4];
    struct sm_rpc_conn_cfg client_cfg, server_cfg;
    struct sm_rpc_conn *c, *s;
    uint64_t now;
    size_t step; /* bytes carried at a time; 0: all */
    unsigned wakes;
    bool cut;            /* an end of the connection was seen */
    sm_err c_err, s_err; /* what feed returned last */
    uint64_t carried;
};

__attribute__((unused)) static void kit_wake(void *ctx)
{
    ++*(unsigned *)ctx;
}

/* Fill client_cfg and server_cfg between prepare and start. */
__attribute__((unused)) static struct kit *kit_prepare(void)
{
    struct kit *k = calloc(1, sizeof *k);
    cr_assert(k);
    k->now = 1000 * SM_NS_PER_S;
    k->methods[0] = (struct sm_rpc_method){.path = KIT_PATH, .ctx = &k->server, .open = kit_open};
    k->methods[1] =
        (struct sm_rpc_method){.path = KIT_UNARY, .kind = SM_RPC_UNARY, .ctx = &k->server, .open = kit_open};
    k->methods[2] = (struct sm_rpc_method){.path = KIT_SILENT, .ctx = &k->server, .open = kit_open};
    k->methods[3] = (struct sm_rpc_method){.path = KIT_REFUSED, .open = kit_refuse};
    k->client_cfg = (struct sm_rpc_conn_cfg){.authority = "node:9094", .on_wake = kit_wake, .wake_ctx = &k->wakes};
    k->server_cfg = (struct sm_rpc_conn_cfg){.server = true, .methods = k->methods, .methods_n = 4, .peer = k};
    return k;
}

/* Carries bytes from one side to the other; returns how many. */
__attribute__((unused)) static size_t kit_carry(struct kit *k, struct sm_rpc_conn *from, struct sm_rpc_conn *to,
                                                sm_err *err)
{
    const uint8_t *p;
    size_t n = sm_rpc_conn_output(from, &p);
    if (k->step && n > k->step) n = k->step;
    if (!n) return 0;
    uint8_t *copy = malloc(n); /* exactly as long, for the sanitizer */
    memcpy(copy, p, n);
    sm_rpc_conn_sent(from, n);
    *err = sm_rpc_conn_feed(to, copy, n, k->now, NULL);
    free(copy);
    k->carried += n;
    return n;
}

__attribute__((unused)) static void kit_tick(struct kit *k)
{
    while (sm_rpc_conn_deadline(k->c) <= k->now) sm_rpc_conn_tick(k->c, k->now);
    while (sm_rpc_conn_deadline(k->s) <= k->now) sm_rpc_conn_tick(k->s, k->now);
}

/* Until both are quiet. */
__attribute__((unused)) static void kit_run(struct kit *k)
{
    size_t moved;
    do {
        kit_tick(k);
        moved = kit_carry(k, k->c, k->s, &k->s_err);
        moved += kit_carry(k, k->s, k->c, &k->c_err);
    } while (moved);
}

__attribute__((unused)) static void kit_start(struct kit *k)
{
    cr_assert_eq(sm_rpc_conn_new(&k->client_cfg, k->now, &k->c, NULL), SM_OK);
    cr_assert_eq(sm_rpc_conn_new(&k->server_cfg, k->now, &k->s, NULL), SM_OK);
    kit_run(k);
}

/* In steps of what is next to happen, so that no timer is jumped over. */
__attribute__((unused)) static void kit_pass(struct kit *k, uint64_t ns)
{
    const uint64_t end = k->now + ns;
    kit_run(k);
    for (;;) {
        const uint64_t a = sm_rpc_conn_deadline(k->c), b = sm_rpc_conn_deadline(k->s);
        const uint64_t next = a < b ? a : b;
        if (next > end) break;
        if (next > k->now) k->now = next;
        kit_run(k);
    }
    k->now = end;
    kit_run(k);
}

__attribute__((unused)) static void kit_stop(struct kit *k)
{
    sm_rpc_conn_free(k->c);
    sm_rpc_conn_free(k->s);
    free(k);
}

__attribute__((unused)) static struct sm_rpc_stream *kit_call(struct kit *k, const char *path, struct kit_call *call)
{
    struct sm_rpc_stream *s = NULL;
    cr_assert_eq(sm_rpc_call(k->c, path, 0, k->now, &kit_events, call, &s, NULL), SM_OK);
    call->s = s;
    return s;
}

static inline struct sm_slice kit_text(const char *text)
{
    return (struct sm_slice){(const uint8_t *)text, strlen(text)};
}

static inline void kit_assert_end(const struct kit_call *k, sm_grpc_code code, const char *text)
{
    cr_assert_eq(k->ends, 1, "the call has not ended");
    cr_assert_eq(k->end.code, code, "%s: %s", sm_grpc_code_name(k->end.code), k->end.message);
    if (text) cr_assert(strstr(k->end.message, text), "\"%s\" lacks \"%s\"", k->end.message, text);
}

#endif
