/* A client connection with calls under way, fed with anything in any pieces: every call ends exactly once.
 *
 * Input: steps of one byte n and n % 128 bytes for the connection; n >= 128: and one byte that says what else happens.
 * The server's SETTINGS come from here; a first byte of 0xff leaves them out. */
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "rpc/conn.h"
#include "util/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS 64u

static void check(bool holds)
{
    if (!holds) abort();
}

static struct sm_rpc_stream *calls[CALLS]; /* NULL: has ended */
static size_t calls_n;
static unsigned sum; /* so that messages are read */

static void on_message(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    check(*(struct sm_rpc_stream **)ctx == s);
    for (size_t i = 0; i < msg.n; i++) sum += msg.p[i];
    if (msg.n && msg.p[0] == 'c') sm_rpc_cancel(s);
    if (msg.n && msg.p[0] == 'h') sm_rpc_half_close(s);
    if (msg.n) sum += msg.p[msg.n - 1];
}

static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    struct sm_rpc_stream **s = ctx;
    check(*s != NULL && st->code <= SM_GRPC_UNAUTHENTICATED && memchr(st->message, 0, sizeof st->message) != NULL);
    *s = NULL;
}

static const struct sm_rpc_stream_events events = {on_message, NULL, NULL, on_end};

static void call(struct sm_rpc_conn *c, uint64_t now)
{
    if (calls_n == CALLS) return;
    if (sm_rpc_call(c, "/s", calls_n % 3 ? 5 * SM_NS_PER_S : 0, now, &events, &calls[calls_n], &calls[calls_n], NULL))
        return;
    (void)!sm_rpc_send(calls[calls_n++], (struct sm_slice){(const uint8_t *)"question", 8}, NULL);
}

static void act(struct sm_rpc_conn *c, uint8_t what, uint64_t *now)
{
    struct sm_rpc_stream *s = calls_n ? calls[(what >> 3) % calls_n] : NULL;
    switch (what & 7) {
    case 0:
        *now += SM_NS_PER_S * (1u + (what >> 3));
        break;
    case 1:
        call(c, *now);
        break;
    case 2:
        if (s) sm_rpc_cancel(s);
        break;
    case 3:
        if (s) sm_rpc_half_close(s);
        break;
    case 4:
        if (s) (void)!sm_rpc_send(s, (struct sm_slice){(const uint8_t *)"more", 4}, NULL);
        break;
    case 5:
        if (what >> 3 == 31) sm_rpc_conn_shutdown(c, *now, SM_NS_PER_S);
        break;
    default:
        break;
    }
}

static void turn(struct sm_rpc_conn *c, uint64_t now)
{
    const uint8_t *p;
    size_t n, turns = 0;
    while ((n = sm_rpc_conn_output(c, &p)) > 0) sm_rpc_conn_sent(c, n);
    while (sm_rpc_conn_deadline(c) <= now && ++turns < 100) sm_rpc_conn_tick(c, now);
    check(turns < 100);
    while ((n = sm_rpc_conn_output(c, &p)) > 0) sm_rpc_conn_sent(c, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sm_rpc_conn_cfg cfg = {.authority = "node:1",
                                        .limits = {.message_max = 1000, .input_max = 1500, .output_max = 2000},
                                        .ping_interval_ns = 60 * SM_NS_PER_S};
    static const uint8_t settings[9] = {0, 0, 0, NGHTTP2_SETTINGS};
    struct sm_rpc_conn *c = NULL;
    uint64_t now = SM_NS_PER_S;
    calls_n = 0;
    check(sm_rpc_conn_new(&cfg, now, &c, NULL) == SM_OK);
    for (size_t i = 0; i < 3; i++) call(c, now);
    turn(c, now);
    if (size && *data != 0xff) check(sm_rpc_conn_feed(c, settings, sizeof settings, now, NULL) == SM_OK);
    for (size_t at = 0; at < size;) {
        const uint8_t step = data[at++];
        const size_t left = size - at, n = (step & 127u) < left ? step & 127u : left;
        const sm_err err = sm_rpc_conn_feed(c, data + at, n, now, NULL);
        check((err != SM_OK) <= sm_rpc_conn_finished(c));
        at += n;
        if (step >= 128 && at < size) act(c, data[at++], &now);
        turn(c, now);
    }
    sm_rpc_conn_free(c);
    for (size_t i = 0; i < calls_n; i++) check(calls[i] == NULL);
    return 0;
}
