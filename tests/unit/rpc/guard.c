/* rpc/guard.h: what is no flood */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nghttp2/nghttp2.h>

#include "rpc/guard.h"
#include "util/bytes.h"
#include "util/clock.h"

static const uint8_t ping[17] = {0, 0, 8, 6};

static const char *scan(struct sm_rpc_guard *g)
{
    size_t good;
    return sm_rpc_guard_scan(g, ping, sizeof ping, 1, &good);
}

/* gRPC for Go measures bandwidth with a PING for each burst of data; a thousand quick turns of a stream took it for one. */
Test(guard, a_ping_for_each_data_frame)
{
    struct sm_rpc_guard g;
    sm_rpc_guard_init(&g, false, 16384, 1);
    for (unsigned i = 0; i < 100000; i++) {
        sm_rpc_guard_expect(&g, SM_RPC_FLOOD_PING, 1);
        cr_assert_null(scan(&g), "frame %u", i);
    }
}

Test(guard, pings_without_data)
{
    struct sm_rpc_guard g;
    unsigned n = 0;
    sm_rpc_guard_init(&g, false, 16384, 1);
    const char *why = NULL;
    for (unsigned i = 0; i < 1000; i++) sm_rpc_guard_expect(&g, SM_RPC_FLOOD_PING, 1);
    while (!(why = scan(&g)) && n < 10000) n++;
    cr_assert_eq(n, 1500); /* what data allowed, and the burst that anybody may send */
    cr_assert_str_eq(why, "too_many_pings");
}

/* One frame, so long after the last that it is part of no flood. */
static const char *see(struct sm_rpc_guard *g, uint8_t type, uint8_t flags, uint32_t stream)
{
    static uint64_t now_ns = 1;
    const uint8_t n = type == NGHTTP2_RST_STREAM ? 4 : type == NGHTTP2_DATA ? 1 : 0;
    uint8_t frame[13] = {0, 0, n, type, flags};
    size_t good;
    sm_be32_store(frame + 5, stream);
    return sm_rpc_guard_scan(g, frame, 9u + n, now_ns += SM_NS_PER_S, &good);
}

/* Against a table of all ids: skipped ones are refused, those that were used are not, far ones pass. */
Test(guard, streams_in_order)
{
    enum { IDS = 40000 };
    static bool used[IDS];
    const unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    srand(seed);
    for (unsigned round = 0; round < 20; round++) {
        struct sm_rpc_guard g;
        uint32_t next = 0;
        unsigned refused = 0;
        memset(used, 0, sizeof used);
        sm_rpc_guard_init(&g, true, 16384, 1);
        g.preface_left = 0;
        while (next < IDS - 3000) {
            const bool back = next > 0 && rand() % 3 == 0;
            const uint32_t skip = rand() % 50 == 0 ? (uint32_t)(rand() % 2500) : (uint32_t)(rand() % 3);
            const uint32_t at = back ? next - 1 - (uint32_t)rand() % (next < 1500 ? next : 1500) : next + skip;
            struct sm_rpc_guard before = g;
            const bool bad = see(&g, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2 * at + 1) != NULL;
            const bool known = next - at <= SM_RPC_GUARD_STREAMS;
            cr_assert_eq(bad, at < next && known && !used[at], "seed %u: %u after %u", seed, at, next);
            cr_assert_eq(g.h2_error, bad ? NGHTTP2_PROTOCOL_ERROR : 0);
            refused += bad;
            if (bad) g = before;
            if (at >= next) next = at + 1, used[at] = true;
        }
        cr_assert_gt(refused, 100);
    }
}

/* Against a table of all ids: behind a client's own end of a call come no more of its HEADERS and DATA. */
Test(guard, calls_end_once)
{
    enum { IDS = 20000, NEAR = 1200 };
    static const uint8_t types[] = {NGHTTP2_HEADERS, NGHTTP2_DATA, NGHTTP2_RST_STREAM};
    static bool ended[IDS];
    const unsigned seed = (unsigned)time(NULL);
    struct sm_rpc_guard g;
    unsigned refused = 0;
    cr_log_info("seed %u", seed);
    srand(seed);
    sm_rpc_guard_init(&g, true, 16384, 1);
    g.preface_left = 0;
    for (uint32_t next = 0; next < IDS;) {
        const bool fresh = next == 0 || rand() % 4 == 0;
        const uint32_t at = fresh ? next : next - 1 - (uint32_t)rand() % (next < NEAR ? next : NEAR);
        const uint8_t type = types[fresh ? 0 : rand() % 3];
        const bool end = type == NGHTTP2_RST_STREAM || rand() % 2;
        const uint8_t flags = type == NGHTTP2_RST_STREAM ? 0 : NGHTTP2_FLAG_END_HEADERS | (end ? 1 : 0);
        const bool known = next - at <= SM_RPC_GUARD_STREAMS;
        const struct sm_rpc_guard before = g;
        const bool bad = see(&g, type, flags, 2 * at + 1) != NULL;
        cr_assert_eq(bad, !fresh && known && ended[at] && type != NGHTTP2_RST_STREAM, "seed %u: %u", seed, at);
        cr_assert_eq(g.h2_error, bad ? NGHTTP2_STREAM_CLOSED : 0);
        refused += bad;
        if (bad) g = before;
        ended[at] |= end && (fresh || known);
        next += fresh;
    }
    cr_assert_gt(refused, 1000);
}
