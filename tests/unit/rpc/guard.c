/* rpc/guard.h: what is no flood */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rpc/guard.h"
#include "util/bytes.h"

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

static const char *open_stream(struct sm_rpc_guard *g, uint32_t stream)
{
    uint8_t head[9] = {0, 0, 0, 1, 4};
    size_t good;
    sm_be32_store(head + 5, stream);
    return sm_rpc_guard_scan(g, head, sizeof head, g->buckets[0].at_ns + 1000000, &good);
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
            const bool bad = open_stream(&g, 2 * at + 1) != NULL;
            const bool known = next - at <= SM_RPC_GUARD_STREAMS;
            cr_assert_eq(bad, at < next && known && !used[at], "seed %u: %u after %u", seed, at, next);
            cr_assert_eq(bad, g.out_of_order);
            refused += bad;
            if (bad) g = before;
            if (at >= next) next = at + 1, used[at] = true;
        }
        cr_assert_gt(refused, 100);
    }
}
