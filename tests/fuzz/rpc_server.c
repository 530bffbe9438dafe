/* A server connection fed with anything, in any pieces, while its application acts: every call ends exactly once,
 * what is held is bounded, and a connection that has failed says so.
 *
 * Input: steps of one byte n and n % 128 bytes for the connection; n >= 128: and one byte that says what else happens.
 * Preface and SETTINGS come from here, so that the bytes start with frames; a first byte of 0xff leaves them out. */
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "rpc/conn.h"
#include "util/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS 512u

static void check(bool holds)
{
    if (!holds) abort();
}

static struct {
    struct sm_rpc_stream *open[CALLS]; /* NULL: has ended */
    size_t n;
    unsigned sum; /* so that messages are read */
} app;

static void on_message(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    check(*(struct sm_rpc_stream **)ctx == s);
    for (size_t i = 0; i < msg.n; i++) app.sum += msg.p[i];
    if (!msg.n || msg.p[0] == 's') (void)!sm_rpc_send(s, msg, NULL);
    if (msg.n && msg.p[0] == 'c') sm_rpc_cancel(s);
    if (msg.n && msg.p[0] == 'f') sm_rpc_finish(s, &(struct sm_grpc_status){.code = SM_GRPC_OK});
    if (msg.n) app.sum += msg.p[msg.n - 1];
}

static void on_half_close(void *ctx, struct sm_rpc_stream *s)
{
    check(*(struct sm_rpc_stream **)ctx == s);
    sm_rpc_finish(s, &(struct sm_grpc_status){.code = SM_GRPC_ABORTED, .message = "half \xff%"});
}

static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    struct sm_rpc_stream **s = ctx;
    check(*s != NULL && memchr(st->message, 0, sizeof st->message) != NULL);
    *s = NULL;
}

static const struct sm_rpc_stream_events events = {on_message, on_half_close, NULL, on_end};

static bool open_call(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                      struct sm_grpc_status *refuse)
{
    (void)ctx;
    if (app.n == CALLS) {
        refuse->code = SM_GRPC_UNAVAILABLE;
        return false;
    }
    app.open[app.n] = s;
    *ev = &events;
    *ev_ctx = &app.open[app.n++];
    return true;
}

static void act(struct sm_rpc_conn *c, uint8_t what, uint64_t *now)
{
    struct sm_rpc_stream *s = app.n ? app.open[(what >> 3) % app.n] : NULL;
    switch (what & 7) {
    case 0:
        *now += SM_NS_PER_S * (1u + (what >> 3));
        break;
    case 1:
        sm_rpc_conn_shutdown(c, *now, SM_NS_PER_S * (what >> 3));
        break;
    case 2:
        if (s) sm_rpc_cancel(s);
        break;
    case 3:
        if (s) sm_rpc_finish(s, &(struct sm_grpc_status){.code = SM_GRPC_NOT_FOUND, .message = "none"});
        break;
    case 4:
        if (s) (void)!sm_rpc_send(s, (struct sm_slice){(const uint8_t *)"answer", 6}, NULL);
        break;
    case 5:
        if (what >> 3 == 31) sm_rpc_conn_eof(c, *now, "gone");
        break;
    default:
        break;
    }
}

static void turn(struct sm_rpc_conn *c, uint64_t now, bool reads)
{
    const uint8_t *p;
    size_t n, turns = 0;
    while (sm_rpc_conn_deadline(c) <= now && ++turns < 100) sm_rpc_conn_tick(c, now);
    check(turns < 100);
    while (reads && (n = sm_rpc_conn_output(c, &p)) > 0) {
        check(n <= 65536 + 16384 + 9);
        sm_rpc_conn_sent(c, n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sm_rpc_method methods[] = {{.path = "/s", .open = open_call},
                                            {.path = "/u", .kind = SM_RPC_UNARY, .open = open_call}};
    const struct sm_rpc_conn_cfg cfg = {.server = true,
                                        .methods = methods,
                                        .methods_n = 2,
                                        .limits = {.message_max = 1000, .input_max = 1500, .output_max = 2000},
                                        .ping_interval_ns = 600 * SM_NS_PER_S,
                                        .ping_min_ns = 60 * SM_NS_PER_S,
                                        .idle_timeout_ns = 3600 * SM_NS_PER_S};
    static const uint8_t settings[9] = {0, 0, 0, NGHTTP2_SETTINGS};
    struct sm_rpc_conn *c = NULL;
    uint64_t now = SM_NS_PER_S;
    app.n = 0;
    check(sm_rpc_conn_new(&cfg, now, &c, NULL) == SM_OK);
    if (size && *data != 0xff) {
        check(sm_rpc_conn_feed(c, (const uint8_t *)NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN, now, NULL) == SM_OK);
        check(sm_rpc_conn_feed(c, settings, sizeof settings, now, NULL) == SM_OK);
    }
    bool reads = true;
    for (size_t at = 0; at < size;) {
        const uint8_t step = data[at++];
        const size_t left = size - at, n = (step & 127u) < left ? step & 127u : left;
        const sm_err err = sm_rpc_conn_feed(c, data + at, n, now, NULL);
        check((err != SM_OK) <= sm_rpc_conn_finished(c));
        at += n;
        if (step >= 128 && at < size) {
            reads = (data[at] & 7) == 6 ? !reads : reads;
            act(c, data[at++], &now);
        }
        turn(c, now, reads);
    }
    sm_rpc_conn_free(c);
    for (size_t i = 0; i < app.n; i++) check(app.open[i] == NULL);
    return 0;
}
