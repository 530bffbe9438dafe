/* Peers that only want to hurt: each flood ends with GOAWAY(ENHANCE_YOUR_CALM) or a status, in little memory. */
#include "raw.h"

#include "rpc/mem.h"

enum { H = NGHTTP2_HEADERS, EH = NGHTTP2_FLAG_END_HEADERS, ES = NGHTTP2_FLAG_END_STREAM };

/* ---- memory that counts itself ---- */

static struct {
    size_t now, peak;
} held;

static void *count_realloc(void *p, size_t n, void *ctx)
{
    (void)ctx;
    size_t *block = p ? (size_t *)p - 2 : NULL;
    const size_t old = block ? *block : 0;
    block = realloc(block, n + 16);
    if (!block) return NULL;
    *block = n;
    held.now += n - old;
    if (held.now > held.peak) held.peak = held.now;
    return block + 2;
}

static void *count_malloc(size_t n, void *ctx)
{
    return count_realloc(NULL, n, ctx);
}

static void *count_calloc(size_t n, size_t size, void *ctx)
{
    void *p = count_realloc(NULL, n * size, ctx);
    if (p) memset(p, 0, n * size);
    return p;
}

static void count_free(void *p, void *ctx)
{
    (void)ctx;
    if (!p) return;
    held.now -= ((size_t *)p)[-2];
    free((size_t *)p - 2);
}

static nghttp2_mem counting = {NULL, count_malloc, count_free, count_calloc, count_realloc};

static void start(struct raw *r)
{
    struct raw_bytes hello = {0};
    held.peak = held.now = 0;
    sm_rpc_mem_set(&counting);
    raw_start(r, true, kit_prepare());
    raw_hello(&hello, true);
    raw_feed(r, &hello, hello.n);
    free(hello.p);
}

static void stop(struct raw *r)
{
    raw_stop(r);
    sm_rpc_mem_set(NULL);
    cr_expect_eq(held.now, 0, "%zu bytes are still held", held.now);
}

/* ---- floods of one frame ---- */

struct flood {
    const char *name, *debug; /* of the GOAWAY */
    unsigned limit;           /* frames after which it must have come */
    bool reads;               /* the peer takes our answers */
    struct raw_frame frames[2];
    bool with_call; /* on call 1, which is opened first */
    bool new_ids;   /* each round on a new stream */
};

static const struct flood floods[] = {
    {"PING", "too_many_pings", 600, true, {{NGHTTP2_PING, 0, 0, "0102030405060708", 0}}, false, false},
    {"PING, never reading", "too_many_pings", 600, false, {{NGHTTP2_PING, 0, 0, "0102030405060708", 0}}, false, false},
    {"SETTINGS", "too_many_settings", 100, true, {{NGHTTP2_SETTINGS, 0, 0, "000400010000", 0}}, false, false},
    {"SETTINGS, never reading", "too_many_settings", 100, false, {{NGHTTP2_SETTINGS, 0, 0, "", 0}}, false, false},
    {"PRIORITY", "too_many_frames", 600, true, {{NGHTTP2_PRIORITY, 0, 1, "00000000 10", 0}}, true, false},
    {"unknown", "too_many_frames", 600, true, {{0xee, 0, 0, "", 0}}, false, false},
    {"empty DATA", "too_many_empty_frames", 600, true, {{NGHTTP2_DATA, 0, 1, "", 0}}, true, false},
    {"padded empty DATA", "too_many_empty_frames", 600, true, {{NGHTTP2_DATA, 8, 1, "03", 3}}, true, false},
    {"WINDOW_UPDATE",
     "too_many_window_updates",
     6000,
     true,
     {{NGHTTP2_WINDOW_UPDATE, 0, 0, "00000001", 0}},
     true,
     false},
    {"rapid reset",
     "too_many_resets",
     600,
     true,
     {{H, EH, 1, RAW_REQUEST, 0}, {NGHTTP2_RST_STREAM, 0, 1, "00000008", 0}},
     false,
     true},
    {"rapid reset, never reading",
     "too_many_resets",
     600,
     false,
     {{H, EH, 1, RAW_REQUEST, 0}, {NGHTTP2_RST_STREAM, 0, 1, "00000008", 0}},
     false,
     true},
    {"rapid reset by us",
     "too_many_bad_requests",
     600,
     true,
     {{H, EH, 1, RAW_REQUEST, 0}, {NGHTTP2_WINDOW_UPDATE, 0, 1, "7fffffff", 0}},
     false,
     true},
    {"malformed calls", "too_many_bad_requests", 600, true, {{H, EH | ES, 1, "83 86", 0}}, false, true},
    {"calls", "too_many_headers", 4100, true, {{H, EH | ES, 1, RAW_GRPC_TO("02", "/x"), 0}}, false, true},
    {"calls, never reading",
     "too_many_headers",
     4100,
     false,
     {{H, EH | ES, 1, RAW_GRPC_TO("02", "/x"), 0}},
     false,
     true},
};

static void add_round(struct raw_bytes *b, const struct flood *f, uint32_t round)
{
    for (size_t i = 0; i < 2 && (f->frames[i].payload || f->frames[i].type); i++) {
        struct raw_frame frame = f->frames[i];
        if (f->new_ids) frame.id = 2 * round + 1;
        raw_frame(b, &frame);
    }
}

static void run_flood(const struct flood *f)
{
    struct raw r;
    struct raw_bytes b = {0};
    unsigned round = 0;
    start(&r);
    if (f->with_call) {
        raw_frame(&b, &(struct raw_frame){H, EH, 1, RAW_REQUEST, 0});
        raw_feed(&r, &b, b.n);
    }
    const size_t before = held.peak;
    for (; round < f->limit && r.err == SM_OK; round++) {
        b.n = 0;
        add_round(&b, f, round);
        raw_feed_only(&r, b.p, b.n);
        if (f->reads) raw_drain(&r);
    }
    raw_drain(&r); /* what is left when the peer reads at last */
    cr_expect(r.err == SM_E_REFUSED || (!f->reads && r.err != SM_OK), "%s: %s after %u rounds", f->name,
              sm_err_name(r.err), round);
    if (f->reads) {
        cr_expect_eq(r.seen.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM, "%s: code %u", f->name, r.seen.goaway_code);
        cr_expect_str_eq(r.seen.goaway_debug, f->debug, "%s: %s", f->name, r.seen.goaway_debug);
    }
    cr_expect(r.seen.goaway, "%s: no GOAWAY", f->name);
    cr_expect_lt(held.peak - before, 400000, "%s: %zu bytes were held", f->name, held.peak - before);
    cr_expect(sm_rpc_conn_finished(r.conn));
    stop(&r);
    free(b.p);
}

Test(floods, of_frames)
{
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) run_flood(&floods[i]);
}

/* At a pace that real peers may have, none of it ends the connection. */
Test(floods, slowly_is_no_flood)
{
    for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
        const struct flood *f = &floods[i];
        struct raw r;
        struct raw_bytes b = {0};
        start(&r);
        if (f->with_call) {
            raw_frame(&b, &(struct raw_frame){H, EH, 1, RAW_REQUEST, 0});
            raw_feed(&r, &b, b.n);
        }
        for (unsigned round = 0; round < 3000 && r.err == SM_OK; round++) {
            b.n = 0;
            add_round(&b, f, round);
            raw_feed(&r, &b, b.n);
            r.kit->now += SM_NS_PER_S;
            sm_rpc_conn_tick(r.conn, r.kit->now);
            if (f->new_ids) memset(&r.kit->server, 0, sizeof r.kit->server.calls[0]);
            if (f->new_ids) r.kit->server.n = 0;
        }
        cr_expect_eq(r.err, SM_OK, "%s: %s", f->name, r.ei.text);
        stop(&r);
        free(b.p);
    }
}

/* ---- header blocks ---- */

Test(floods, continuations_without_end)
{
    struct raw r;
    struct raw_bytes b = {0};
    start(&r);
    raw_frame(&b, &(struct raw_frame){H, 0, 1, RAW_REQUEST, 0});
    for (unsigned i = 0; i < 100; i++) raw_frame(&b, &(struct raw_frame){NGHTTP2_CONTINUATION, 0, 1, "", 0});
    raw_feed(&r, &b, b.n);
    cr_assert_eq(r.err, SM_E_REFUSED);
    cr_assert_eq(r.seen.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    cr_assert_str_eq(r.seen.goaway_debug, "too_many_continuations");
    stop(&r);
    free(b.p);
}

Test(floods, header_block_too_large)
{
    struct raw r;
    struct raw_bytes b = {0};
    start(&r);
    raw_frame(&b, &(struct raw_frame){H, 0, 1, RAW_REQUEST, 0});
    raw_frame(&b, &(struct raw_frame){NGHTTP2_CONTINUATION, 0, 1, "", 16384});
    raw_feed(&r, &b, 1000);
    cr_assert_eq(r.err, SM_E_REFUSED);
    cr_assert_str_eq(r.seen.goaway_debug, "headers_too_large");
    stop(&r);
    free(b.p);
}

/* A small block that unfolds: one long field goes into the table, then one byte repeats it. */
Test(floods, header_bomb)
{
    struct raw r;
    struct raw_bytes b = {0}, payload = {0};
    start(&r);
    raw_spell(&payload, RAW_REQUEST "40 01'b' 7f c1 17"); /* a value of 3136 bytes */
    for (unsigned i = 0; i < 3136; i++) raw_put(&payload, "x", 1);
    for (unsigned i = 0; i < 4000; i++) raw_put(&payload, "\xbe", 1);
    uint8_t head[9] = {0, (uint8_t)(payload.n >> 8), (uint8_t)payload.n, H, EH, 0, 0, 0, 1};
    raw_put(&b, head, 9);
    raw_put(&b, payload.p, payload.n);
    raw_feed(&r, &b, b.n);
    cr_assert_eq(r.err, SM_OK);
    cr_assert_eq(r.seen.http_status, 200);
    cr_assert_eq(r.seen.grpc_status, SM_GRPC_RESOURCE_EXHAUSTED);
    cr_assert_eq(r.kit->server.n, 0);
    cr_assert_lt(held.peak, 200000);
    b.n = 0; /* and the connection still serves */
    raw_frame(&b, &(struct raw_frame){H, EH, 3, RAW_REQUEST, 0});
    raw_feed(&r, &b, b.n);
    cr_assert_eq(r.kit->server.n, 1);
    stop(&r);
    free(b.p);
    free(payload.p);
}

/* ---- announcing much, sending little ---- */

Test(floods, announced_lengths_cost_nothing)
{
    struct raw r;
    struct raw_bytes b = {0};
    start(&r);
    for (uint32_t i = 0; i < 100; i++) {
        raw_frame(&b, &(struct raw_frame){H, EH, 2 * i + 1, RAW_REQUEST, 0});
        raw_frame(&b, &(struct raw_frame){NGHTTP2_DATA, 0, 2 * i + 1, "00 00a00000 01", 0}); /* 10 MiB will follow */
    }
    raw_feed(&r, &b, b.n);
    cr_assert_eq(r.err, SM_OK);
    cr_assert_eq(sm_rpc_conn_streams(r.conn), 100);
    cr_assert_lt(held.peak, 500000);
    b.n = 0;
    raw_frame(&b, &(struct raw_frame){NGHTTP2_RST_STREAM, 0, 1, "00000008", 0});
    raw_frame(&b, &(struct raw_frame){H, EH, 201, RAW_REQUEST, 0});
    raw_frame(&b, &(struct raw_frame){NGHTTP2_DATA, 0, 201, "00 00a00001", 0}); /* one byte more than allowed */
    raw_feed(&r, &b, b.n);
    cr_assert_eq(r.seen.grpc_status, SM_GRPC_RESOURCE_EXHAUSTED);
    stop(&r);
    free(b.p);
}

/* ---- slowness ---- */

static void run_slow(const char *name, bool preface_only, const struct raw_frame *frame, size_t cut)
{
    struct raw r;
    struct raw_bytes b = {0};
    held.peak = held.now = 0;
    raw_start(&r, true, kit_prepare());
    if (preface_only)
        raw_put(&b, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN - 1);
    else
        raw_hello(&b, true);
    if (frame) raw_frame(&b, frame);
    raw_feed_only(&r, b.p, b.n - cut);
    raw_drain(&r);
    const uint64_t at = sm_rpc_conn_deadline(r.conn);
    cr_expect_eq(at, r.kit->now + 10 * SM_NS_PER_S, "%s", name);
    for (uint64_t s = 0; s < 9; s++) { /* a trickle buys no time */
        r.kit->now += SM_NS_PER_S;
        raw_feed_only(&r, b.p + b.n - cut, 0);
    }
    sm_rpc_conn_tick(r.conn, at - 1);
    cr_expect_not(sm_rpc_conn_finished(r.conn), "%s", name);
    sm_rpc_conn_tick(r.conn, at);
    raw_drain(&r);
    cr_expect(sm_rpc_conn_finished(r.conn), "%s", name);
    cr_expect_eq(sm_rpc_conn_why(r.conn, NULL), SM_E_TIMEOUT);
    cr_expect(r.seen.goaway);
    raw_stop(&r);
    free(b.p);
}

Test(floods, slow_beginnings)
{
    const struct raw_frame open_block = {H, 0, 1, RAW_REQUEST, 0};
    const struct raw_frame half_frame = {H, EH, 1, RAW_REQUEST, 0};
    run_slow("preface", true, NULL, 0);
    run_slow("header block", false, &open_block, 0);
    run_slow("HEADERS frame", false, &half_frame, 5);
}

Test(floods, slow_messages)
{
    struct raw r;
    struct raw_bytes b = {0};
    start(&r);
    raw_frame(&b, &(struct raw_frame){H, EH, 1, RAW_REQUEST, 0});
    raw_frame(&b, &(struct raw_frame){NGHTTP2_DATA, 0, 1, "00 00000010 01", 0}); /* half a message */
    raw_frame(&b, &(struct raw_frame){H, EH, 3, RAW_UNARY, 0});                  /* none at all */
    raw_feed(&r, &b, b.n);
    cr_assert_eq(sm_rpc_conn_streams(r.conn), 2);
    cr_assert_eq(sm_rpc_conn_deadline(r.conn), r.kit->now + 60 * SM_NS_PER_S);
    sm_rpc_conn_tick(r.conn, r.kit->now + 60 * SM_NS_PER_S);
    raw_drain(&r);
    kit_assert_end(&r.kit->server.calls[0], SM_GRPC_DEADLINE_EXCEEDED, "whole in time");
    kit_assert_end(&r.kit->server.calls[1], SM_GRPC_DEADLINE_EXCEEDED, "whole in time");
    cr_assert_eq(r.seen.grpc_status, SM_GRPC_DEADLINE_EXCEEDED);
    stop(&r);
    free(b.p);
}

/* ---- a peer that takes nothing ---- */

Test(floods, window_never_opened)
{
    struct raw r;
    struct raw_bytes b = {0};
    start(&r);
    raw_frame(&b, &(struct raw_frame){NGHTTP2_SETTINGS, 0, 0, "000400000000", 0});
    raw_frame(&b, &(struct raw_frame){H, EH, 1, RAW_REQUEST, 0});
    raw_feed(&r, &b, b.n);
    static const uint8_t bytes[100000];
    sm_err err;
    size_t sent = 0;
    while (!(err = sm_rpc_send(r.kit->server.calls[0].s, (struct sm_slice){bytes, sizeof bytes}, NULL)))
        sent += sizeof bytes;
    cr_assert_eq(err, SM_E_BUSY);
    cr_assert_leq(sent, 16u << 20);
    cr_assert_lt(held.peak, 36u << 20); /* a buffer that doubles */
    raw_drain(&r);
    sm_rpc_conn_tick(r.conn, r.kit->now);
    cr_assert_eq(sm_rpc_conn_deadline(r.conn), r.kit->now + 60 * SM_NS_PER_S);
    sm_rpc_conn_tick(r.conn, r.kit->now + 60 * SM_NS_PER_S);
    raw_drain(&r);
    kit_assert_end(&r.kit->server.calls[0], SM_GRPC_UNAVAILABLE, "takes no data");
    cr_assert_eq(r.seen.reset_code, NGHTTP2_CANCEL);
    cr_assert_not(sm_rpc_conn_finished(r.conn));
    stop(&r);
    free(b.p);
}

Test(floods, output_never_read)
{
    struct raw r;
    struct raw_bytes b = {0};
    const uint8_t *p;
    start(&r);
    raw_frame(&b, &(struct raw_frame){H, EH, 1, RAW_REQUEST, 0});
    raw_feed(&r, &b, b.n);
    cr_assert_eq(sm_rpc_send(r.kit->server.calls[0].s, kit_text("hello"), NULL), SM_OK);
    cr_assert_gt(sm_rpc_conn_output(r.conn, &p), 0); /* and none of it is sent */
    cr_assert_eq(sm_rpc_conn_deadline(r.conn), 0);
    sm_rpc_conn_tick(r.conn, r.kit->now);
    cr_assert_eq(sm_rpc_conn_deadline(r.conn), r.kit->now + 60 * SM_NS_PER_S);
    sm_rpc_conn_tick(r.conn, r.kit->now + 60 * SM_NS_PER_S);
    cr_assert(sm_rpc_conn_finished(r.conn));
    cr_assert_eq(sm_rpc_conn_why(r.conn, NULL), SM_E_TIMEOUT);
    cr_assert_eq(sm_rpc_conn_output(r.conn, &p), 0);
    kit_assert_end(&r.kit->server.calls[0], SM_GRPC_UNAVAILABLE, "reads nothing");
    stop(&r);
    free(b.p);
}

/* While the answers to its control frames pile up, a peer is not read. */
Test(floods, back_pressure)
{
    struct raw r;
    struct raw_bytes b = {0};
    start(&r);
    raw_frame(&b, &(struct raw_frame){NGHTTP2_PING, 0, 0, "0102030405060708", 0});
    unsigned n = 0;
    static uint8_t bytes[100000];
    raw_frame(&b, &(struct raw_frame){H, EH, 1, RAW_REQUEST, 0});
    raw_feed_only(&r, b.p, b.n);
    for (unsigned i = 0; i < 20; i++) /* so that the output is full */
        cr_assert_eq(sm_rpc_send(r.kit->server.calls[0].s, (struct sm_slice){bytes, sizeof bytes / 20}, NULL), SM_OK);
    while (sm_rpc_conn_wants_input(r.conn) && n++ < 450) raw_feed_only(&r, b.p, 17);
    cr_assert(n > 200 && n < 450, "%u", n);
    raw_drain(&r);
    cr_assert(sm_rpc_conn_wants_input(r.conn));
    cr_assert_eq(r.seen.ping_acks, n + 1);
    stop(&r);
    free(b.p);
}
