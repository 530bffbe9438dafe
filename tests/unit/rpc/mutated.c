/* Good conversations with bytes changed, dropped, doubled and cut: no crash, every call ends once, and a broken
 * connection says so. */
#include "raw.h"

#include <time.h>

static unsigned seed;

static void record(struct raw_bytes *b, bool to_server)
{
    enum { H = NGHTTP2_HEADERS, D = NGHTTP2_DATA, EH = NGHTTP2_FLAG_END_HEADERS, ES = NGHTTP2_FLAG_END_STREAM };
    raw_hello(b, to_server);
    raw_frame(b, &(struct raw_frame){NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, "", 0});
    for (uint32_t id = 1; id < 8; id += 2) {
        raw_frame(b, &(struct raw_frame){H, EH, id, to_server ? RAW_REQUEST : RAW_ANSWER, 0});
        raw_frame(b, &(struct raw_frame){D, 0, id, "00 00000005 'hello' 00 00000010 'half'", 0});
        raw_frame(b, &(struct raw_frame){NGHTTP2_PING, 0, 0, "0102030405060708", 0});
        raw_frame(b, &(struct raw_frame){NGHTTP2_WINDOW_UPDATE, 0, id, "00001000", 0});
        raw_frame(b, &(struct raw_frame){D, 0, id, "'0123456789ab'", 0});
        if (id == 5)
            raw_frame(b, &(struct raw_frame){NGHTTP2_RST_STREAM, 0, id, "00000008", 0});
        else if (to_server)
            raw_frame(b, &(struct raw_frame){D, ES, id, "", 0});
        else
            raw_frame(b, &(struct raw_frame){H, EH | ES, id, "00 0b'grpc-status' 01'0'", 0});
    }
    raw_frame(b, &(struct raw_frame){NGHTTP2_GOAWAY, 0, 0, "00000007 00000000 'bye'", 0});
}

static void mutate(struct raw_bytes *b, size_t keep)
{
    const unsigned changes = 1 + (unsigned)rand() % 4;
    for (unsigned i = 0; i < changes && b->n > keep; i++) {
        const size_t at = keep + (size_t)rand() % (b->n - keep), left = b->n - at;
        const size_t n = 1 + (size_t)rand() % (left < 16 ? left : 16);
        switch (rand() % 5) {
        case 0:
            b->p[at] ^= (uint8_t)(1 << rand() % 8);
            break;
        case 1:
            b->p[at] = (uint8_t)rand();
            break;
        case 2: /* drop */
            memmove(b->p + at, b->p + at + n, left - n);
            b->n -= n;
            break;
        case 3: { /* double */
            uint8_t copy[16];
            memcpy(copy, b->p + at, n);
            raw_put(b, copy, n);
            memmove(b->p + at + n, b->p + at, b->n - n - at);
            memcpy(b->p + at, copy, n);
            break;
        }
        default:
            if (rand() % 4 == 0) b->n = at;
            break;
        }
    }
}

static void run(bool server, const struct raw_bytes *good, bool change, size_t cut)
{
    struct raw r;
    struct raw_bytes b = {0};
    struct kit_call calls[4] = {0};
    struct kit *k = kit_prepare();
    raw_put(&b, good->p, cut);
    if (change) mutate(&b, server ? NGHTTP2_CLIENT_MAGIC_LEN : 0);
    for (size_t i = 0; i < 4; i++) k->server.calls[i].echo = i % 2;
    raw_start(&r, server, k);
    for (size_t i = 0; i < 4 && !server; i++) {
        struct sm_rpc_stream *s;
        cr_assert_eq(sm_rpc_call(r.conn, KIT_PATH, 0, k->now, &kit_events, &calls[i], &s, NULL), SM_OK);
    }
    raw_drain(&r);
    raw_feed(&r, &b, 1 + (size_t)rand() % 40);
    cr_assert_eq(r.err != SM_OK, r.seen.goaway && r.seen.goaway_code, "seed %u: %s", seed, r.ei.text);
    if (r.err) cr_assert(sm_rpc_conn_finished(r.conn) && r.ei.text[0], "seed %u", seed);
    sm_rpc_conn_free(r.conn);
    r.conn = NULL;
    for (size_t i = 0; i < 4 && !server; i++) cr_assert_eq(calls[i].ends, 1, "seed %u", seed);
    for (size_t i = 0; i < k->server.n; i++) cr_assert_eq(k->server.calls[i].ends, 1, "seed %u", seed);
    if (!change && cut == good->n && server) cr_assert_eq(k->server.n, 4);
    if (!change && cut == good->n && !server) cr_assert_eq(calls[0].end.code, SM_GRPC_OK);
    raw_stop(&r);
    free(b.p);
}

static void run_side(bool server)
{
    struct raw_bytes good = {0};
    seed = (unsigned)time(NULL);
    srand(seed);
    record(&good, server);
    for (size_t cut = 0; cut <= good.n; cut++) run(server, &good, false, cut);
    for (unsigned i = 0; i < 3000; i++) run(server, &good, true, good.n);
    free(good.p);
}

Test(mutated, server)
{
    run_side(true);
}

Test(mutated, client)
{
    run_side(false);
}
