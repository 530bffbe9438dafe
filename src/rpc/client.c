#include "rpc/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/dial.h"
#include "rpc/link.h"
#include "util/clock.h"

struct sm_rpc_client {
    struct sm_loop *loop;
    struct sm_rpc_client_cfg cfg;
    const struct sm_rpc_client_events *events;
    void *ctx;
    char authority[SM_RPC_ADDRESS_ROOM];
    char server_name[SM_RPC_HOST_ROOM];
    struct sm_dial *dial; /* until the socket is connected */
    struct sm_link *link; /* from then on */
    bool up;
    bool starting;              /* connect could not even begin; the timer says so */
    struct sm_loop_timer timer; /* of the attempt */
    struct sm_errinfo ei;
};

static bool is_idle(const struct sm_rpc_client *c)
{
    return !c->dial && !c->link && !c->starting;
}

/* `c` may be gone when it returns. */
static void go_down(struct sm_rpc_client *c, sm_err why, const char *text)
{
    char copy[SM_ERRINFO_TEXT];
    (void)snprintf(copy, sizeof copy, "%s", text);
    sm_rpc_client_close(c);
    c->events->on_down(c->ctx, why, copy);
}

/* ---- the connection ---- */

static void on_ready(void *ctx, struct sm_link *k)
{
    struct sm_rpc_client *c = ctx;
    sm_loop_timer_clear(c->loop, &c->timer);
    c->up = true;
    c->events->on_up(c->ctx, sm_link_conn(k));
}

static void on_closed(void *ctx, const struct sm_link_end *end)
{
    struct sm_rpc_client *c = ctx;
    c->link = NULL;
    if (end->ping_interval_ns) c->cfg.ping_interval_ns = end->ping_interval_ns;
    /* An orderly end before the beginning is none. */
    go_down(c, !c->up && !end->why ? SM_E_NET : end->why, end->text);
}

static const struct sm_link_events link_events = {.on_ready = on_ready, .on_closed = on_closed};

static struct sm_rpc_conn_cfg conn_cfg(const struct sm_rpc_client *c)
{
    return (struct sm_rpc_conn_cfg){
        .scheme = c->cfg.tls ? "https" : "http",
        .authority = c->authority,
        .limits = c->cfg.limits,
        .ping_interval_ns = c->cfg.ping_interval_ns,
        .ping_timeout_ns = c->cfg.ping_timeout_ns,
        .message_timeout_ns = c->cfg.message_timeout_ns,
        .write_timeout_ns = c->cfg.write_timeout_ns,
    };
}

static void on_dialled(void *ctx, int fd, const union sm_sockaddr *peer, sm_err err, const char *text)
{
    struct sm_rpc_client *c = ctx;
    char address[SM_SOCKADDR_ROOM];
    struct sm_errinfo ei = {0};
    c->dial = NULL;
    if (err) {
        go_down(c, err, text);
        return;
    }
    const struct sm_rpc_conn_cfg conn = conn_cfg(c);
    const struct sm_link_cfg link = {.loop = c->loop,
                                     .fd = fd,
                                     .tls = c->cfg.tls,
                                     .name = c->server_name,
                                     .where = c->authority,
                                     .address = sm_sockaddr_text(peer, address),
                                     .handshake_timeout_ns = c->cfg.connect_timeout_ns, /* our timer is earlier */
                                     .conn = &conn};
    err = sm_link_new(&link, &link_events, c, &c->link, &ei);
    if (err) go_down(c, err, ei.text);
}

static void on_timer(void *ctx)
{
    struct sm_rpc_client *c = ctx;
    struct sm_errinfo ei = {0};
    if (c->starting) {
        ei = c->ei;
        go_down(c, SM_E_NOMEM, ei.text);
        return;
    }
    const char *phase = c->dial                 ? sm_dial_phase(c->dial)
                        : sm_link_conn(c->link) ? "waiting for its first words of HTTP/2"
                                                : "the TLS handshake";
    (void)sm_fail(&ei, SM_E_TIMEOUT, "%s: no answer within %.3g s (%s)", c->authority,
                  (double)c->cfg.connect_timeout_ns / (double)SM_NS_PER_S, phase);
    go_down(c, SM_E_TIMEOUT, ei.text);
}

/* ---- for the owner ---- */

void sm_rpc_client_connect(struct sm_rpc_client *c)
{
    if (!is_idle(c)) return;
    const uint64_t now = sm_loop_now(c->loop);
    const sm_err err = sm_dial_start(c->loop, &c->cfg.address, &c->cfg.tcp, on_dialled, c, &c->dial, &c->ei);
    c->starting = err != SM_OK;
    sm_loop_timer_set(c->loop, &c->timer, err ? now : now + c->cfg.connect_timeout_ns);
}

void sm_rpc_client_close(struct sm_rpc_client *c)
{
    struct sm_link *link = c->link;
    sm_loop_timer_clear(c->loop, &c->timer);
    sm_dial_cancel(c->dial);
    c->dial = NULL;
    c->link = NULL;
    c->up = c->starting = false;
    if (link && sm_link_conn(link)) c->cfg.ping_interval_ns = sm_rpc_conn_ping_interval(sm_link_conn(link));
    sm_link_close(link); /* the last: calls that end may bring the owner back here */
}

void sm_rpc_client_free(struct sm_rpc_client *c)
{
    if (!c) return;
    sm_rpc_client_close(c);
    free(c);
}

static sm_err check(const struct sm_rpc_client_cfg *cfg, struct sm_errinfo *ei)
{
    if (cfg->ping_interval_ns && cfg->ping_interval_ns < SM_RPC_PING_MIN_NS)
        return sm_fail(ei, SM_E_ARG,
                       "a PING interval of %.3g s is too short: servers drop clients that ask more often "
                       "than every %.3g s",
                       (double)cfg->ping_interval_ns / (double)SM_NS_PER_S,
                       (double)SM_RPC_PING_MIN_NS / (double)SM_NS_PER_S);
    if (cfg->server_name && (!*cfg->server_name || strlen(cfg->server_name) >= SM_RPC_HOST_ROOM))
        return sm_fail(ei, SM_E_ARG, "'%.40s' is not a name that a server can have", cfg->server_name);
    return sm_rpc_address_check_tls(&cfg->address, cfg->tls, ei);
}

sm_err sm_rpc_client_new(struct sm_loop *l, const struct sm_rpc_client_cfg *cfg,
                         const struct sm_rpc_client_events *events, void *ctx, struct sm_rpc_client **out,
                         struct sm_errinfo *ei)
{
    sm_err err = check(cfg, ei);
    if (err) return err;
    struct sm_rpc_client *c = calloc(1, sizeof *c);
    if (!c) return sm_fail(ei, SM_E_NOMEM, "out of memory for a client of %s", cfg->address.host);
    c->loop = l;
    c->cfg = *cfg;
    c->events = events;
    c->ctx = ctx;
    c->timer = (struct sm_loop_timer){.fn = on_timer, .ctx = c};
    if (!c->cfg.connect_timeout_ns) c->cfg.connect_timeout_ns = SM_RPC_CONNECT_TIMEOUT_NS;
    (void)sm_rpc_address_text(&cfg->address, c->authority);
    const char *name = cfg->server_name ? cfg->server_name : cfg->address.host;
    (void)snprintf(c->server_name, sizeof c->server_name, "%.*s", (int)strcspn(name, "%"), name);
    c->cfg.server_name = NULL; /* not kept */
    *out = c;
    return SM_OK;
}

struct sm_rpc_conn *sm_rpc_client_conn(const struct sm_rpc_client *c)
{
    return c->up ? sm_link_conn(c->link) : NULL;
}

const struct sm_peer *sm_rpc_client_peer(const struct sm_rpc_client *c)
{
    return c->link ? sm_link_peer(c->link) : NULL;
}

uint64_t sm_rpc_client_ping_interval(const struct sm_rpc_client *c)
{
    return c->cfg.ping_interval_ns;
}
