#include "postsvc/client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postsvc/link.h"
#include "rpc/client.h"
#include "util/clock.h"

#define PING_INTERVAL_NS (600 * SM_NS_PER_S) /* post-service.md §2.3, as is the next */
#define PING_TIMEOUT_NS  (20 * SM_NS_PER_S)
#define CONFIRM_NS       (60 * SM_NS_PER_S)  /* ours: a PING behind a proof that is lost costs nothing */
#define CONFIRM_TRY_NS   (20 * SM_NS_PER_MS) /* ours: how often to look whether the proof has left */

struct place { /* one address of the node */
    struct sm_post_client *client;
    struct sm_rpc_client *rpc;
    bool tls;
};

struct sm_post_client {
    struct sm_loop *loop;
    void (*given_up)(void *ctx, const char *text);
    void *ctx;
    struct place *places;
    size_t places_n;
    struct place *used;           /* connecting or connected; NULL: none */
    struct sm_rpc_stream *stream; /* Register; NULL: none */
    struct sm_loop_timer timer;
    struct sm_loop_timer confirm_timer;
    uint32_t confirm; /* what the timer is about */
    struct sm_post_link link;
};

static void handle(struct sm_post_client *c, const struct sm_post_link_event *ev);

/* ---- the stream ---- */

static bool complains_about_pings(const char *text)
{
    return text && strstr(text, "too_many_pings");
}

static void leave_stream(struct sm_post_client *c)
{
    c->stream = NULL;
    sm_loop_timer_clear(c->loop, &c->confirm_timer);
}

static void on_message(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    struct sm_post_client *c = ctx;
    if (s == c->stream) handle(c, &(struct sm_post_link_event){.kind = SM_POST_LINK_MESSAGE, .msg = msg});
}

static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    struct sm_post_client *c = ctx;
    if (!c->stream) return; /* we closed it */
    leave_stream(c);
    handle(c, &(struct sm_post_link_event){
                  .kind = SM_POST_LINK_ENDED, .status = st, .pings = complains_about_pings(st->message)});
}

struct ack {
    struct sm_post_client *client;
    uint32_t confirm;
};

static void on_ack(void *ctx, bool acked)
{
    struct ack *a = ctx;
    if (acked) handle(a->client, &(struct sm_post_link_event){.kind = SM_POST_LINK_ACKED, .confirm = a->confirm});
    free(a);
}

/* A PING behind the proof: its answer shows that the node's machine has it. Nodes allow one within a minute now and then,
 * and every message of theirs starts that count anew. HTTP/2 sends PINGs before data that waits, so that the proof must have
 * left first. */
static void ask_for_ack(void *ctx)
{
    struct sm_post_client *c = ctx;
    struct sm_errinfo ei;
    if (sm_rpc_stream_queued(c->stream) > 0) {
        sm_loop_timer_set(c->loop, &c->confirm_timer, sm_loop_now(c->loop) + CONFIRM_TRY_NS);
        return;
    }
    struct ack *a = malloc(sizeof *a);
    if (!a) return; /* the next request confirms it too */
    *a = (struct ack){c, c->confirm};
    if (sm_rpc_conn_ping(sm_rpc_stream_conn(c->stream), on_ack, a, CONFIRM_NS, sm_loop_now(c->loop), &ei)) free(a);
}

/* ---- actions ---- */

static void close_all(struct sm_post_client *c)
{
    struct place *used = c->used;
    c->used = NULL;
    leave_stream(c);
    if (used) sm_rpc_client_close(used->rpc);
}

static void fail_stream(struct sm_post_client *c, const struct sm_errinfo *ei)
{
    struct sm_grpc_status st;
    sm_grpc_status_set(&st, SM_GRPC_UNAVAILABLE, "%s", ei->text);
    leave_stream(c);
    handle(c, &(struct sm_post_link_event){.kind = SM_POST_LINK_ENDED, .status = &st});
}

static void open_stream(struct sm_post_client *c)
{
    static const struct sm_rpc_stream_events events = {.on_message = on_message, .on_end = on_end};
    struct sm_errinfo ei = {0};
    if (sm_rpc_call(sm_rpc_client_conn(c->used->rpc), SM_POST_REGISTER_PATH, 0, sm_loop_now(c->loop), &events, c,
                    &c->stream, &ei))
        fail_stream(c, &ei);
}

static void send_reply(struct sm_post_client *c, const struct sm_post_link_action *a)
{
    struct sm_errinfo ei = {0};
    if (sm_rpc_send(c->stream, (struct sm_slice){a->bytes, a->bytes_n}, &ei)) {
        fail_stream(c, &ei);
    } else if (a->confirm) {
        c->confirm = a->confirm;
        sm_loop_timer_set(c->loop, &c->confirm_timer, sm_loop_now(c->loop));
    }
}

static void connect_to(struct sm_post_client *c, uint32_t address)
{
    c->used = &c->places[address];
    sm_rpc_client_connect(c->used->rpc);
}

static void give_up(struct sm_post_client *c)
{
    char text[sizeof c->link.state.text];
    (void)snprintf(text, sizeof text, "%s", c->link.state.text);
    close_all(c);
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
        close_all(c);
        break;
    case SM_POST_LINK_DO_GIVE_UP:
        give_up(c);
        break;
    }
}

/* ---- the connection ---- */

static void on_up(void *ctx, struct sm_rpc_conn *conn)
{
    struct place *p = ctx;
    (void)conn;
    if (p == p->client->used) handle(p->client, &(struct sm_post_link_event){.kind = SM_POST_LINK_UP});
}

static void on_down(void *ctx, sm_err why, const char *text)
{
    struct place *p = ctx;
    struct sm_post_client *c = p->client;
    if (p != c->used) return;
    leave_stream(c);
    handle(c, &(struct sm_post_link_event){.kind = SM_POST_LINK_DOWN,
                                           .text = text,
                                           .tls = p->tls && why == SM_E_REFUSED,
                                           .pings = complains_about_pings(text)});
}

static void timer_due(void *ctx)
{
    handle(ctx, &(struct sm_post_link_event){.kind = SM_POST_LINK_TICK});
}

/* ---- for the owner ---- */

static sm_err make_places(struct sm_post_client *c, const struct sm_post_client_cfg *cfg, struct sm_errinfo *ei)
{
    static const struct sm_rpc_client_events events = {.on_up = on_up, .on_down = on_down};
    c->places = calloc(cfg->addresses_n, sizeof *c->places);
    if (!c->places) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu addresses", cfg->addresses_n);
    sm_err err = SM_OK;
    for (size_t i = 0; !err && i < cfg->addresses_n; i++) {
        const struct sm_rpc_client_cfg rpc = {
            .address = cfg->addresses[i],
            .tls = cfg->addresses[i].tls ? cfg->tls : NULL,
            .server_name = cfg->addresses[i].tls ? cfg->tls_name : NULL,
            .limits = {.message_max = SM_POST_MESSAGE_MAX},
            .ping_interval_ns = cfg->ping_interval_ns ? cfg->ping_interval_ns : PING_INTERVAL_NS,
            .ping_timeout_ns = PING_TIMEOUT_NS,
        };
        c->places[i] = (struct place){.client = c, .tls = cfg->addresses[i].tls};
        err = sm_rpc_client_new(c->loop, &rpc, &events, &c->places[i], &c->places[i].rpc, ei);
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
    c->confirm_timer = (struct sm_loop_timer){.fn = ask_for_ack, .ctx = c};
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
    c->used = NULL;
    leave_stream(c);
    for (size_t i = 0; i < c->places_n; i++) sm_rpc_client_free(c->places[i].rpc);
    free(c->places);
    free(c);
}
