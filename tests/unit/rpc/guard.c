/* rpc/guard.h: what is no flood */
#include <criterion/criterion.h>

#include "rpc/guard.h"

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
