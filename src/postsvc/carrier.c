#include "postsvc/carrier.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postsvc/message.h"
#include "rpc/client.h"
#include "util/clock.h"

#define CONFIRM_NS      (60 * SM_NS_PER_S)  /* ours: a PING behind a proof that is lost costs nothing */
#define CONFIRM_TRY_NS  (20 * SM_NS_PER_MS) /* ours: how often to look whether the proofs have left */
#define CONFIRM_REST_NS SM_RPC_PING_MIN_NS  /* between PINGs when the node says nothing meanwhile */

typedef enum lane_phase { LANE_IDLE, LANE_CONNECTING, LANE_UP } lane_phase;

struct lane { /* one connection; stays with its carrier, for the next time */
    struct lane *next;
    struct sm_post_carrier *carrier;
    struct sm_rpc_client *rpc;
    lane_phase phase;           /* IDLE just when it has no rides */
    struct sm_post_ride *rides; /* the last that boarded first */
    struct {
        struct sm_loop_timer timer;
        bool under_way; /* a PING is */
        bool pinged;    /* since the connection is up */
        bool heard;     /* a message of the node has come since the last PING */
        uint64_t last_ns;
    } confirm;
};

struct sm_post_ride {
    struct sm_post_ride *next, **link;
    struct lane *lane; /* NULL: has left, and is there until its stream has ended */
    const struct sm_post_ride_events *ev;
    void *ctx;
    struct sm_rpc_stream *stream; /* NULL: none */
    bool up;                      /* knows that the connection is */
    uint32_t confirm;             /* 0: waits for none */
    bool asked;                   /* by the PING that is under way */
};

struct sm_post_carrier {
    struct sm_post_carriers *pool; /* NULL: not shared */
    struct sm_post_carrier *next;
    size_t refs;
    struct sm_post_carrier_cfg cfg; /* its tls_name: below, or NULL */
    char tls_name[SM_RPC_HOST_ROOM];
    struct lane *lanes; /* at least one */
};

static void send_ping(void *lane);
static void on_up(void *ctx, struct sm_rpc_conn *conn);
static void on_down(void *ctx, sm_err why, const char *text);

/* ---- lanes ---- */

/* A node that finds PINGs too frequent on one connection would on the next one, too. */
uint64_t sm_post_carrier_ping_interval(const struct sm_post_carrier *c)
{
    uint64_t ns = c->cfg.ping_interval_ns;
    for (const struct lane *l = c->lanes; l; l = l->next)
        if (sm_rpc_client_ping_interval(l->rpc) > ns) ns = sm_rpc_client_ping_interval(l->rpc);
    return ns;
}

static sm_err add_lane(struct sm_post_carrier *c, struct lane **out, struct sm_errinfo *ei)
{
    static const struct sm_rpc_client_events events = {.on_up = on_up, .on_down = on_down};
    const struct sm_rpc_client_cfg rpc = {
        .address = c->cfg.address,
        .tls = c->cfg.tls,
        .server_name = c->cfg.tls_name,
        .limits = {.message_max = SM_POST_MESSAGE_MAX},
        .ping_interval_ns = sm_post_carrier_ping_interval(c),
        .ping_timeout_ns = c->cfg.ping_timeout_ns,
    };
    struct lane *l = calloc(1, sizeof *l);
    if (!l) return sm_fail(ei, SM_E_NOMEM, "out of memory for a connection");
    l->carrier = c;
    l->confirm.timer = (struct sm_loop_timer){.fn = send_ping, .ctx = l};
    const sm_err err = sm_rpc_client_new(c->cfg.loop, &rpc, &events, l, &l->rpc, ei);
    if (err) {
        free(l);
        return err;
    }
    struct lane **at = &c->lanes;
    while (*at) at = &(*at)->next;
    *at = l;
    *out = l;
    return SM_OK;
}

static void rest(struct lane *l)
{
    l->phase = LANE_IDLE;
    sm_loop_timer_clear(l->carrier->cfg.loop, &l->confirm.timer);
    l->confirm.under_way = l->confirm.pinged = l->confirm.heard = false;
}

static bool has_room(const struct lane *l)
{
    return l->phase == LANE_CONNECTING || (l->phase == LANE_UP && sm_rpc_conn_room(sm_rpc_client_conn(l->rpc)) > 0);
}

/* What is up comes before what is on its way, and that before what is still to be begun. */
static sm_err find_lane(struct sm_post_carrier *c, struct lane **out, struct sm_errinfo *ei)
{
    struct lane *best = NULL;
    for (struct lane *l = c->lanes; l; l = l->next)
        if ((l->phase == LANE_IDLE || has_room(l)) && (!best || l->phase > best->phase)) best = l;
    const sm_err err = best ? SM_OK : add_lane(c, &best, ei);
    if (err) return err;
    if (best->phase == LANE_IDLE) {
        best->phase = LANE_CONNECTING;
        sm_rpc_client_connect(best->rpc);
    }
    *out = best;
    return SM_OK;
}

/* ---- rides ---- */

static void link_ride(struct sm_post_ride *r, struct lane *l)
{
    r->lane = l;
    r->next = l->rides;
    r->link = &l->rides;
    if (r->next) r->next->link = &r->next;
    l->rides = r;
}

static void unlink_ride(struct sm_post_ride *r)
{
    *r->link = r->next;
    if (r->next) r->next->link = r->link;
    r->lane = NULL;
}

/* `r` may be gone when it returns. */
static void end_ride(struct sm_post_ride *r)
{
    unlink_ride(r);
    if (r->stream)
        sm_rpc_cancel(r->stream); /* on_end releases it */
    else
        free(r);
}

static void end_with(struct sm_post_ride *r, sm_err why, const char *text)
{
    const struct sm_post_ride_events *ev = r->ev;
    void *ctx = r->ctx;
    end_ride(r);
    ev->on_down(ctx, why, text);
}

/* ---- the stream ---- */

/* A PING that rests may go now. */
static void hear(struct lane *l)
{
    struct sm_loop *loop = l->carrier->cfg.loop;
    if (l->confirm.pinged && !l->confirm.heard) sm_loop_timer_set(loop, &l->confirm.timer, sm_loop_now(loop));
    l->confirm.heard = true;
}

static void on_message(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    struct sm_post_ride *r = ctx;
    (void)s;
    if (!r->lane) return;
    hear(r->lane);
    r->ev->on_message(r->ctx, msg);
}

static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    struct sm_post_ride *r = ctx;
    r->stream = NULL;
    if (r->lane)
        r->ev->on_end(r->ctx, st);
    else
        free(r);
}

sm_err sm_post_ride_open(struct sm_post_ride *r, struct sm_errinfo *ei)
{
    static const struct sm_rpc_stream_events events = {.on_message = on_message, .on_end = on_end};
    assert(r->up && !r->stream);
    return sm_rpc_call(sm_rpc_client_conn(r->lane->rpc), SM_POST_REGISTER_PATH, 0,
                       sm_loop_now(r->lane->carrier->cfg.loop), &events, r, &r->stream, ei);
}

sm_err sm_post_ride_send(struct sm_post_ride *r, struct sm_slice msg, struct sm_errinfo *ei)
{
    return sm_rpc_send(r->stream, msg, ei);
}

/* ---- confirmations ---- */

/* Servers of gRPC forgive one PING after each message of theirs, and few others within their minimum (a minute and more):
 * so one at a time, and the next when the node has said something since or a minute has passed. A message that crossed the
 * last PING is forgiven already; the worst that this rule allows is one strike between two forgiven PINGs, never two. */
static uint64_t rest_until(const struct lane *l)
{
    return !l->confirm.pinged || l->confirm.heard ? 0 : l->confirm.last_ns + CONFIRM_REST_NS;
}

static void on_pong(void *ctx, bool acked)
{
    struct lane *l = ctx;
    struct sm_post_ride *r = l->rides;
    l->confirm.under_way = false;
    while (r) {
        const uint32_t confirm = r->confirm;
        if (!confirm || !r->asked) {
            r = r->next;
            continue;
        }
        r->confirm = 0; /* lost ones are not asked for again: the next request confirms them too */
        r->asked = false;
        if (!acked) continue;
        r->ev->on_confirmed(r->ctx, confirm);
        r = l->rides; /* whoever was told may have left */
    }
    if (l->phase == LANE_UP)
        sm_loop_timer_set(l->carrier->cfg.loop, &l->confirm.timer, sm_loop_now(l->carrier->cfg.loop));
}

/* HTTP/2 sends PINGs before data that waits, so that the PING behind a proof goes when the proof has left. */
static void send_ping(void *lane)
{
    struct lane *l = lane;
    struct sm_loop *loop = l->carrier->cfg.loop;
    struct sm_errinfo ei;
    const uint64_t now = sm_loop_now(loop), earliest = rest_until(l);
    size_t ready = 0, queued = 0;
    if (l->confirm.under_way || l->phase != LANE_UP) return;
    for (const struct sm_post_ride *r = l->rides; r; r = r->next) {
        if (!r->confirm || !r->stream) continue;
        *(sm_rpc_stream_queued(r->stream) ? &queued : &ready) += 1;
    }
    if (!ready && !queued) return;
    if (!ready || earliest > now) {
        sm_loop_timer_set(loop, &l->confirm.timer, earliest > now ? earliest : now + CONFIRM_TRY_NS);
        return;
    }
    if (sm_rpc_conn_ping(sm_rpc_client_conn(l->rpc), on_pong, l, CONFIRM_NS, now, &ei)) return;
    l->confirm.under_way = l->confirm.pinged = true;
    l->confirm.heard = false;
    l->confirm.last_ns = now;
    for (struct sm_post_ride *r = l->rides; r; r = r->next)
        r->asked = r->confirm && r->stream && !sm_rpc_stream_queued(r->stream);
}

void sm_post_ride_confirm(struct sm_post_ride *r, uint32_t confirm)
{
    struct sm_loop *loop = r->lane->carrier->cfg.loop;
    r->confirm = confirm;
    r->asked = false;
    sm_loop_timer_set(loop, &r->lane->confirm.timer, sm_loop_now(loop));
}

/* ---- the connection ---- */

static void fail_lane(struct lane *l, sm_err why, const char *text)
{
    struct sm_post_carrier *c = l->carrier;
    c->refs++; /* whoever is told may give up, and the last one takes the carrier along */
    rest(l);
    while (l->rides) end_with(l->rides, why, text);
    sm_post_carrier_put(c);
}

static void on_down(void *ctx, sm_err why, const char *text)
{
    fail_lane(ctx, why, text);
}

static void tell_up(struct sm_post_ride *r)
{
    r->up = true;
    r->ev->on_up(r->ctx);
}

/* To another connection: this one takes no more calls. */
static void move(struct sm_post_ride *r)
{
    struct sm_errinfo ei = {0};
    struct lane *to = NULL;
    const sm_err err = find_lane(r->lane->carrier, &to, &ei);
    if (err) {
        end_with(r, err, ei.text);
        return;
    }
    unlink_ride(r);
    link_ride(r, to);
    if (to->phase == LANE_UP) tell_up(r);
}

static struct sm_post_ride *next_untold(const struct lane *l)
{
    struct sm_post_ride *r = l->rides;
    while (r && r->up) r = r->next;
    return r;
}

static void on_up(void *ctx, struct sm_rpc_conn *conn)
{
    struct lane *l = ctx;
    struct sm_post_carrier *c = l->carrier;
    struct sm_post_ride *r;
    size_t told = 0;
    c->refs++;
    l->phase = LANE_UP;
    while (l->phase == LANE_UP && (r = next_untold(l)) != NULL) {
        if (sm_rpc_conn_room(conn) > 0) {
            told++;
            tell_up(r);
        } else if (told > 0) {
            move(r);
        } else {
            sm_rpc_client_close(l->rpc);
            fail_lane(l, SM_E_NET, "the node takes no calls on a new connection");
        }
    }
    sm_post_carrier_put(c);
}

sm_err sm_post_carrier_board(struct sm_post_carrier *c, const struct sm_post_ride_events *ev, void *ctx,
                             struct sm_post_ride **out, struct sm_errinfo *ei)
{
    struct lane *l = NULL;
    struct sm_post_ride *r = calloc(1, sizeof *r);
    if (!r) return sm_fail(ei, SM_E_NOMEM, "out of memory for a registration");
    const sm_err err = find_lane(c, &l, ei);
    if (err) {
        free(r);
        return err;
    }
    r->ev = ev;
    r->ctx = ctx;
    r->up = l->phase == LANE_UP;
    link_ride(r, l);
    *out = r;
    return SM_OK;
}

bool sm_post_ride_is_up(const struct sm_post_ride *r)
{
    return r->up;
}

void sm_post_ride_leave(struct sm_post_ride *r)
{
    if (!r) return;
    struct lane *l = r->lane;
    end_ride(r);
    if (l->rides) return;
    rest(l);
    sm_rpc_client_close(l->rpc);
}

/* ---- get and put ---- */

static bool is_for(const struct sm_post_carrier *c, const struct sm_post_carrier_cfg *cfg)
{
    const struct sm_rpc_address *a = &c->cfg.address, *b = &cfg->address;
    return c->cfg.loop == cfg->loop && strcmp(a->host, b->host) == 0 && a->port == b->port && a->tls == b->tls &&
           c->cfg.tls == cfg->tls && strcmp(c->tls_name, cfg->tls_name ? cfg->tls_name : "") == 0 &&
           c->cfg.ping_interval_ns == cfg->ping_interval_ns && c->cfg.ping_timeout_ns == cfg->ping_timeout_ns;
}

static sm_err carrier_new(const struct sm_post_carrier_cfg *cfg, struct sm_post_carrier **out, struct sm_errinfo *ei)
{
    struct lane *first = NULL;
    if (cfg->tls_name && strlen(cfg->tls_name) >= SM_RPC_HOST_ROOM)
        return sm_fail(ei, SM_E_ARG, "'%.40s' is not a name that a server can have", cfg->tls_name);
    struct sm_post_carrier *c = calloc(1, sizeof *c);
    if (!c) return sm_fail(ei, SM_E_NOMEM, "out of memory for a connection to %s", cfg->address.host);
    c->cfg = *cfg;
    (void)snprintf(c->tls_name, sizeof c->tls_name, "%s", cfg->tls_name ? cfg->tls_name : "");
    c->cfg.tls_name = cfg->tls_name ? c->tls_name : NULL;
    const sm_err err = add_lane(c, &first, ei); /* says at once what cannot work */
    if (err)
        free(c);
    else
        *out = c;
    return err;
}

sm_err sm_post_carrier_get(struct sm_post_carriers *pool, const struct sm_post_carrier_cfg *cfg,
                           struct sm_post_carrier **out, struct sm_errinfo *ei)
{
    struct sm_post_carrier *c = pool ? pool->first : NULL;
    while (c && !is_for(c, cfg)) c = c->next;
    if (!c) {
        const sm_err err = carrier_new(cfg, &c, ei);
        if (err) return err;
    }
    if (pool && c->refs == 0) {
        c->pool = pool;
        c->next = pool->first;
        pool->first = c;
    }
    c->refs++;
    *out = c;
    return SM_OK;
}

void sm_post_carrier_put(struct sm_post_carrier *c)
{
    if (!c || --c->refs > 0) return;
    struct sm_post_carrier **at = c->pool ? &c->pool->first : NULL;
    while (at && *at != c) at = &(*at)->next;
    if (at) *at = c->next;
    for (struct lane *l = c->lanes, *next; l; l = next) {
        next = l->next;
        assert(!l->rides);
        sm_loop_timer_clear(c->cfg.loop, &l->confirm.timer);
        sm_rpc_client_free(l->rpc);
        free(l);
    }
    free(c);
}

size_t sm_post_carrier_connections(const struct sm_post_carrier *c)
{
    size_t n = 0;
    for (const struct lane *l = c->lanes; l; l = l->next) n += l->phase != LANE_IDLE;
    return n;
}
