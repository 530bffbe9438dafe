#include "postsvc/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postsvc/link.h"
#include "util/clock.h"

#define PING_INTERVAL_NS (600 * SM_NS_PER_S) /* post-service.md §2.3, as is the next */
#define PING_TIMEOUT_NS  (20 * SM_NS_PER_S)

struct place { /* one address of the node */
    struct sm_post_carrier *carrier;
    bool tls;
};

struct sm_post_client {
    struct sm_loop *loop;
    void (*given_up)(void *ctx, const char *text);
    void *ctx;
    struct place *places;
    size_t places_n;
    const struct place *used;  /* of the ride */
    struct sm_post_ride *ride; /* connecting or connected; NULL: neither */
    struct sm_loop_timer timer;
    struct sm_post_link link;
};

static void handle(struct sm_post_client *c, const struct sm_post_link_event *ev);

static bool complains_about_pings(const char *text)
{
    return text && strstr(text, "too_many_pings");
}

/* ---- what the ride tells ---- */

static void on_up(void *ctx)
{
    handle(ctx, &(struct sm_post_link_event){.kind = SM_POST_LINK_UP});
}

static void on_down(void *ctx, sm_err why, const char *text)
{
    struct sm_post_client *c = ctx;
    c->ride = NULL;
    handle(c, &(struct sm_post_link_event){.kind = SM_POST_LINK_DOWN,
                                           .text = text,
                                           .tls = c->used->tls && why == SM_E_REFUSED,
                                           .pings = complains_about_pings(text)});
}

static void on_message(void *ctx, struct sm_slice msg)
{
    handle(ctx, &(struct sm_post_link_event){.kind = SM_POST_LINK_MESSAGE, .msg = msg});
}

static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    handle(ctx, &(struct sm_post_link_event){
                    .kind = SM_POST_LINK_ENDED, .status = st, .pings = complains_about_pings(st->message)});
}

static void on_confirmed(void *ctx, uint32_t confirm)
{
    handle(ctx, &(struct sm_post_link_event){.kind = SM_POST_LINK_ACKED, .confirm = confirm});
}

/* ---- actions ---- */

static void leave(struct sm_post_client *c)
{
    struct sm_post_ride *r = c->ride;
    c->ride = NULL;
    sm_post_ride_leave(r);
}

static void fail_stream(struct sm_post_client *c, const struct sm_errinfo *ei)
{
    struct sm_grpc_status st;
    sm_grpc_status_set(&st, SM_GRPC_UNAVAILABLE, "%s", ei->text);
    on_end(c, &st);
}

static void open_stream(struct sm_post_client *c)
{
    struct sm_errinfo ei = {0};
    if (sm_post_ride_open(c->ride, &ei)) fail_stream(c, &ei);
}

static void send_reply(struct sm_post_client *c, const struct sm_post_link_action *a)
{
    struct sm_errinfo ei = {0};
    if (sm_post_ride_send(c->ride, (struct sm_slice){a->bytes, a->bytes_n}, &ei))
        fail_stream(c, &ei);
    else if (a->confirm)
        sm_post_ride_confirm(c->ride, a->confirm);
}

static void connect_to(struct sm_post_client *c, uint32_t address)
{
    static const struct sm_post_ride_events events = {on_up, on_down, on_message, on_end, on_confirmed};
    struct sm_errinfo ei = {0};
    c->used = &c->places[address];
    const sm_err err = sm_post_carrier_board(c->used->carrier, &events, c, &c->ride, &ei);
    if (err)
        on_down(c, err, ei.text);
    else if (sm_post_ride_is_up(c->ride))
        on_up(c);
}

static void give_up(struct sm_post_client *c)
{
    char text[sizeof c->link.state.text];
    (void)snprintf(text, sizeof text, "%s", c->link.state.text);
    leave(c);
    if (c->given_up) c->given_up(c->ctx, text); /* c may be gone */
}

static void handle(struct sm_post_client *c, const struct sm_post_link_event *ev)
{
    struct sm_post_link_action a;
    sm_post_link_step(&c->link, ev, sm_loop_now(c->loop), &a);
    sm_loop_timer_set(c->loop, &c->timer, sm_post_link_deadline(&c->link));
    switch (a.kind) {
    case SM_POST_LINK_DO_NOTHING:
        break;
    case SM_POST_LINK_DO_CONNECT:
        connect_to(c, a.address);
        break;
    case SM_POST_LINK_DO_OPEN:
        open_stream(c);
        break;
    case SM_POST_LINK_DO_SEND:
        send_reply(c, &a);
        break;
    case SM_POST_LINK_DO_CLOSE:
        leave(c);
        break;
    case SM_POST_LINK_DO_GIVE_UP:
        give_up(c);
        break;
    }
}

static void timer_due(void *ctx)
{
    handle(ctx, &(struct sm_post_link_event){.kind = SM_POST_LINK_TICK});
}

/* ---- for the owner ---- */

static sm_err make_places(struct sm_post_client *c, const struct sm_post_client_cfg *cfg, struct sm_errinfo *ei)
{
    c->places = calloc(cfg->addresses_n, sizeof *c->places);
    if (!c->places) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu addresses", cfg->addresses_n);
    sm_err err = SM_OK;
    for (size_t i = 0; !err && i < cfg->addresses_n; i++) {
        const bool tls = cfg->addresses[i].tls;
        const struct sm_post_carrier_cfg carrier = {
            .loop = c->loop,
            .address = cfg->addresses[i],
            .tls = tls ? cfg->tls : NULL,
            .tls_name = tls ? cfg->tls_name : NULL,
            .ping_interval_ns = cfg->ping_interval_ns ? cfg->ping_interval_ns : PING_INTERVAL_NS,
            .ping_timeout_ns = PING_TIMEOUT_NS,
        };
        c->places[i].tls = tls;
        err = sm_post_carrier_get(cfg->share, &carrier, &c->places[i].carrier, ei);
        if (!err) c->places_n++;
    }
    return err;
}

sm_err sm_post_client_new(struct sm_loop *loop, const struct sm_post_client_cfg *cfg,
                          const struct sm_post_provider *provider, void *ctx, struct sm_post_client **out,
                          struct sm_errinfo *ei)
{
    if (cfg->addresses_n < 1 || cfg->addresses_n > SM_POST_ADDRESSES_MAX)
        return sm_fail(ei, SM_E_ARG, "1 to %u node addresses are needed, not %zu", SM_POST_ADDRESSES_MAX,
                       cfg->addresses_n);
    struct sm_post_client *c = calloc(1, sizeof *c);
    if (!c) return sm_fail(ei, SM_E_NOMEM, "out of memory for a registration");
    struct sm_post_link_cfg link = {
        .addresses_n = (uint32_t)cfg->addresses_n,
        .interval_ns = cfg->reconnect_interval_ns,
        .limited = cfg->limited,
        .max_retries = cfg->max_retries,
        .seed = cfg->seed,
    };
    (void)snprintf(link.name, sizeof link.name, "%s", cfg->name ? cfg->name : "");
    c->loop = loop;
    c->given_up = cfg->given_up;
    c->ctx = ctx;
    c->timer = (struct sm_loop_timer){.fn = timer_due, .ctx = c};
    sm_post_link_init(&c->link, &link, provider, ctx);
    const sm_err err = make_places(c, cfg, ei);
    if (err)
        sm_post_client_free(c);
    else
        *out = c;
    return err;
}

void sm_post_client_start(struct sm_post_client *c)
{
    handle(c, &(struct sm_post_link_event){.kind = SM_POST_LINK_START});
}

void sm_post_client_stop(struct sm_post_client *c)
{
    handle(c, &(struct sm_post_link_event){.kind = SM_POST_LINK_STOP});
}

const struct sm_post_link_state *sm_post_client_state(const struct sm_post_client *c)
{
    return &c->link.state;
}

void sm_post_client_free(struct sm_post_client *c)
{
    if (!c) return;
    sm_loop_timer_clear(c->loop, &c->timer);
    leave(c);
    for (size_t i = 0; i < c->places_n; i++) sm_post_carrier_put(c->places[i].carrier);
    free(c->places);
    free(c);
}
