/* PINGs: ours to see whether the peer is there, the peer's against the rules of gRPC servers, and probes of the
 * application. Source: grpc/grpc doc/keepalive.md; our spec, post-service.md "2.3" (keepalive table) and OUR-1,
 * OUR-8. */
#include <string.h>

#include "rpc/conn_impl.h"
#include "util/clock.h"

#define STRIKES_MAX      2u                      /* the third ends the connection */
#define IDLE_PING_MIN_NS (7200ull * SM_NS_PER_S) /* between PINGs while no call is open */
#define TOO_MANY_PINGS   "too_many_pings"

void sm_rpc_keepalive_init(struct sm_rpc_conn *c, uint64_t now_ns)
{
    c->start_ns = c->last_rx_ns = c->quiet_since_ns = c->idle_since_ns = now_ns;
    c->next_interval_ns = c->cfg.ping_interval_ns;
}

uint64_t sm_rpc_ping_send(struct sm_rpc_conn *c)
{
    uint8_t data[8];
    const uint64_t id = ++c->ping_ids;
    sm_be64_store(data, id);
    return nghttp2_submit_ping(c->h2, NGHTTP2_FLAG_NONE, data) == 0 ? id : 0;
}

/* ---- the peer's ---- */

static bool is_strike(const struct sm_rpc_conn *c)
{
    const uint64_t least = c->streams_n ? c->cfg.ping_min_ns : IDLE_PING_MIN_NS;
    return c->pinged && c->now_ns - c->last_ping_ns < least;
}

void sm_rpc_keepalive_ping(struct sm_rpc_conn *c)
{
    if (!c->cfg.server || !c->cfg.ping_min_ns) return;
    if (c->strikes_forgiven) {
        c->strikes_forgiven = false;
        c->strikes = 0;
    } else if (is_strike(c) && ++c->strikes > STRIKES_MAX) {
        sm_rpc_conn_die(c, SM_E_REFUSED, NGHTTP2_ENHANCE_YOUR_CALM, TOO_MANY_PINGS,
                        "the client sent PINGs more often than agreed");
    }
    c->pinged = true;
    c->last_ping_ns = c->now_ns;
}

void sm_rpc_keepalive_goaway(struct sm_rpc_conn *c, uint32_t h2_error, struct sm_slice debug)
{
    static const char too_many[] = TOO_MANY_PINGS;
    if (c->cfg.server) return;
    if (h2_error != NGHTTP2_ENHANCE_YOUR_CALM || debug.n != sizeof too_many - 1 ||
        memcmp(debug.p, too_many, debug.n) != 0)
        return;
    const uint64_t interval = c->cfg.ping_interval_ns;
    c->next_interval_ns = interval > UINT64_MAX / 2 ? UINT64_MAX : 2 * interval;
}

uint64_t sm_rpc_conn_ping_interval(const struct sm_rpc_conn *c)
{
    return c->next_interval_ns;
}

/* ---- ours ---- */

void sm_rpc_keepalive_pong(struct sm_rpc_conn *c, const uint8_t data[8])
{
    const uint64_t id = sm_be64_load(data);
    if (!id) return;
    if (id == c->keepalive_ping) c->keepalive_ping = 0;
    if (id == c->notice_ping) c->notice_deadline_ns = c->now_ns;
    for (size_t i = 0; i < SM_RPC_PROBES; i++) {
        struct sm_rpc_probe *p = &c->probes[i];
        if (p->id != id || p->over) continue;
        p->over = p->acked = true;
        c->due = true;
    }
}

/* When the keepalive PING is due. */
static uint64_t ping_at(const struct sm_rpc_conn *c)
{
    if (!c->cfg.ping_interval_ns || (!c->cfg.server && !c->streams_n)) return SM_RPC_NEVER;
    const uint64_t quiet = c->last_rx_ns > c->quiet_since_ns ? c->last_rx_ns : c->quiet_since_ns;
    return quiet > SM_RPC_NEVER - c->cfg.ping_interval_ns ? SM_RPC_NEVER : quiet + c->cfg.ping_interval_ns;
}

uint64_t sm_rpc_keepalive_next(const struct sm_rpc_conn *c)
{
    uint64_t next = c->keepalive_ping ? c->keepalive_deadline_ns : ping_at(c);
    for (size_t i = 0; i < SM_RPC_PROBES; i++)
        if (c->probes[i].id && !c->probes[i].over && c->probes[i].deadline_ns < next) next = c->probes[i].deadline_ns;
    return next;
}

static void expire_probes(struct sm_rpc_conn *c)
{
    for (size_t i = 0; i < SM_RPC_PROBES; i++) {
        struct sm_rpc_probe *p = &c->probes[i];
        if (!p->id || p->over || p->deadline_ns > c->now_ns) continue;
        p->over = true;
        c->due = true;
    }
}

void sm_rpc_keepalive_tick(struct sm_rpc_conn *c)
{
    expire_probes(c);
    const bool late = c->keepalive_ping && c->keepalive_deadline_ns <= c->now_ns;
    if (late && c->last_rx_ns > c->quiet_since_ns) {
        c->keepalive_ping = 0; /* its answer is behind other bytes: the peer is there */
    } else if (late) {
        sm_rpc_conn_die(c, SM_E_TIMEOUT, NGHTTP2_NO_ERROR, "ping_timeout", "no answer to a PING in %llu s",
                        (unsigned long long)(c->cfg.ping_timeout_ns / SM_NS_PER_S));
        return;
    }
    if (c->keepalive_ping || ping_at(c) > c->now_ns) return;
    c->keepalive_ping = sm_rpc_ping_send(c);
    c->keepalive_deadline_ns = c->now_ns + c->cfg.ping_timeout_ns;
    c->quiet_since_ns = c->now_ns; /* the next one an interval later */
}

/* ---- probes ---- */

sm_err sm_rpc_conn_ping(struct sm_rpc_conn *c, void (*done)(void *ctx, bool acked), void *ctx, uint64_t timeout_ns,
                        uint64_t now_ns, struct sm_errinfo *ei)
{
    struct sm_rpc_probe *p = c->probes;
    if (c->state == SM_RPC_DEAD) return sm_fail(ei, SM_E_NET, "the connection has ended");
    while (p < c->probes + SM_RPC_PROBES && p->id) p++;
    if (p == c->probes + SM_RPC_PROBES)
        return sm_fail(ei, SM_E_BUSY, "%u PINGs are under way on this connection already", SM_RPC_PROBES);
    const uint64_t id = sm_rpc_ping_send(c);
    if (!id) return sm_fail(ei, SM_E_NOMEM, "out of memory for a PING");
    *p = (struct sm_rpc_probe){.id = id, .done = done, .ctx = ctx};
    p->deadline_ns = timeout_ns < SM_RPC_NEVER - now_ns ? now_ns + timeout_ns : SM_RPC_NEVER;
    sm_rpc_conn_wake(c);
    return SM_OK;
}

void sm_rpc_probes_deliver(struct sm_rpc_conn *c, bool all)
{
    for (size_t i = 0; i < SM_RPC_PROBES; i++) {
        const struct sm_rpc_probe p = c->probes[i];
        if (!p.id || (!p.over && !all)) continue;
        c->probes[i] = (struct sm_rpc_probe){0};
        p.done(p.ctx, p.acked);
    }
}
