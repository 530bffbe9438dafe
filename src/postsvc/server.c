#include "postsvc/server.h"

#include <stdlib.h>
#include <string.h>

#include "postsvc/checker.h"
#include "rpc/peer.h"
#include "util/clock.h"

#define PROBE_NS (5 * SM_NS_PER_S) /* OUR-8 */

struct sm_post_server {
    struct sm_loop *loop;
    struct sm_post_registry *registry;
    struct sm_post_checker *checker;
    struct sm_loop_timer timer;
    struct sm_rpc_method methods[2];
    struct probe *probes; /* under way */
    bool closing;
};

struct stream {
    struct sm_post_server *srv;
    struct sm_rpc_stream *rpc;
    struct sm_post_session *session; /* NULL while it opens */
};

/* The registry knows when it wants to be called next; the loop must know it too after each of its calls. */
static void arm(struct sm_post_server *srv)
{
    sm_loop_timer_set(srv->loop, &srv->timer, sm_post_registry_deadline(srv->registry));
}

static void timer_due(void *ctx)
{
    struct sm_post_server *srv = ctx;
    sm_post_registry_tick(srv->registry, sm_loop_now(srv->loop));
    arm(srv);
}

/* ---- what the registry asks for ---- */

static bool io_send(void *stream, struct sm_slice msg)
{
    struct stream *s = stream;
    struct sm_errinfo ei;
    if (!sm_rpc_send(s->rpc, msg, &ei)) return true;
    if (s->session) sm_rpc_cancel(s->rpc); /* one that takes no question would keep its identity for ever */
    return false;
}

static void io_finish(void *stream, const struct sm_grpc_status *st)
{
    sm_rpc_finish(((struct stream *)stream)->rpc, st);
}

static void io_drop(void *stream, const struct sm_grpc_status *st)
{
    struct stream *s = stream;
    struct sm_rpc_conn *conn = sm_rpc_stream_conn(s->rpc);
    sm_rpc_finish(s->rpc, st);
    sm_rpc_conn_shutdown(conn, sm_loop_now(s->srv->loop), 0);
}

static bool io_same_connection(const void *a, const void *b)
{
    return sm_rpc_stream_conn(((const struct stream *)a)->rpc) == sm_rpc_stream_conn(((const struct stream *)b)->rpc);
}

struct asked { /* one identity's part in a probe */
    struct asked *next;
    struct sm_node_id id;
    uint64_t serial;
};

/* A PING that is under way. It outlives the streams it is about, but not their connection. A connection has one at a time:
 * when many identities of a rig come back, each asks about the same older connection, and the answer is the same. */
struct probe {
    struct probe *next;
    struct sm_post_server *srv;
    const struct sm_rpc_conn *conn;
    struct asked *asked;
};

static void probed(void *ctx, bool acked)
{
    struct probe *p = ctx, **at = &p->srv->probes;
    struct sm_post_server *srv = p->srv;
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    for (struct asked *a = p->asked, *next; a; a = next) {
        next = a->next;
        sm_post_registry_probed(srv->registry, &a->id, a->serial, acked, sm_loop_now(srv->loop));
        free(a);
    }
    arm(srv);
    free(p);
}

static struct probe *send_probe(struct sm_post_server *srv, struct sm_rpc_conn *conn)
{
    struct sm_errinfo ei;
    struct probe *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    *p = (struct probe){.next = srv->probes, .srv = srv, .conn = conn};
    if (sm_rpc_conn_ping(conn, probed, p, PROBE_NS, sm_loop_now(srv->loop), &ei)) {
        free(p);
        return NULL;
    }
    return srv->probes = p;
}

static bool io_probe(void *ctx, void *stream, const struct sm_node_id *id, uint64_t serial)
{
    struct sm_post_server *srv = ctx;
    struct sm_rpc_conn *conn = sm_rpc_stream_conn(((struct stream *)stream)->rpc);
    struct asked *a = malloc(sizeof *a);
    struct probe *p = srv->probes;
    while (p && p->conn != conn) p = p->next;
    if (a && !p) p = send_probe(srv, conn);
    if (!a || !p) {
        free(a);
        return false;
    }
    *a = (struct asked){.next = p->asked, .id = *id, .serial = serial};
    p->asked = a;
    return true;
}

static bool io_verify(void *ctx, struct sm_post_check *job)
{
    return sm_post_checker_add(((struct sm_post_server *)ctx)->checker, job);
}

static void verified(void *ctx, struct sm_post_check *job, sm_err err, const struct sm_verdict *verdict,
                     const char *text)
{
    struct sm_post_server *srv = ctx;
    if (srv->closing) {
        free(job);
        return;
    }
    sm_post_registry_verified(srv->registry, job, err, verdict, text);
    arm(srv);
}

static const struct sm_post_registry_io io = {io_send, io_finish, io_drop, io_same_connection, io_probe, io_verify};

/* ---- Register ---- */

static void on_message(void *ctx, struct sm_rpc_stream *rpc, struct sm_slice msg)
{
    struct stream *s = ctx;
    (void)rpc;
    sm_post_registry_message(s->session, msg, sm_loop_now(s->srv->loop));
    arm(s->srv);
}

static void on_half_close(void *ctx, struct sm_rpc_stream *rpc)
{
    struct sm_grpc_status st;
    (void)ctx;
    sm_grpc_status_set(&st, SM_GRPC_OK, "the post service closed its side");
    sm_rpc_finish(rpc, &st);
}

static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    struct stream *s = ctx;
    struct sm_post_server *srv = s->srv;
    sm_post_registry_ended(s->session, st->message[0] ? st->message : sm_grpc_code_name(st->code),
                           sm_loop_now(srv->loop));
    arm(srv);
    free(s);
}

static bool open_register(void *ctx, struct sm_rpc_stream *rpc, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                          struct sm_grpc_status *refuse)
{
    static const struct sm_rpc_stream_events events = {
        .on_message = on_message, .on_half_close = on_half_close, .on_end = on_end};
    struct sm_post_server *srv = ctx;
    struct stream *s = calloc(1, sizeof *s);
    if (!s) {
        sm_grpc_status_set(refuse, SM_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return false;
    }
    s->srv = srv;
    s->rpc = rpc;
    s->session = sm_post_registry_open(srv->registry, s, sm_rpc_stream_peer(rpc), sm_loop_now(srv->loop), refuse);
    if (!s->session) {
        free(s);
        return false;
    }
    arm(srv);
    *ev = &events;
    *ev_ctx = s;
    return true;
}

/* ---- PostStates ---- */

static void on_states_message(void *ctx, struct sm_rpc_stream *rpc, struct sm_slice msg)
{
    struct sm_post_server *srv = ctx;
    struct sm_errinfo ei = {0};
    struct sm_grpc_status st = {.code = SM_GRPC_OK};
    uint8_t *bytes = NULL;
    size_t n = 0;
    (void)msg; /* PostStatesRequest has no fields */
    sm_err err = sm_post_registry_states(srv->registry, &bytes, &n, &ei);
    if (!err) err = sm_rpc_send(rpc, (struct sm_slice){bytes, n}, &ei);
    if (err) sm_grpc_status_set(&st, SM_GRPC_RESOURCE_EXHAUSTED, "%s", ei.text);
    sm_rpc_finish(rpc, &st);
    free(bytes);
}

static void on_states_end(void *ctx, const struct sm_grpc_status *st)
{
    (void)ctx, (void)st;
}

static bool open_states(void *ctx, struct sm_rpc_stream *rpc, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                        struct sm_grpc_status *refuse)
{
    static const struct sm_rpc_stream_events events = {.on_message = on_states_message, .on_end = on_states_end};
    (void)rpc, (void)refuse;
    *ev = &events;
    *ev_ctx = ctx;
    return true;
}

/* ---- new and free ---- */

sm_err sm_post_server_new(const struct sm_post_server_cfg *cfg, struct sm_post_server **out, struct sm_errinfo *ei)
{
    struct sm_post_server *srv = calloc(1, sizeof *srv);
    if (!srv) return sm_fail(ei, SM_E_NOMEM, "out of memory for a post server");
    const struct sm_post_registry_cfg registry = {
        .params = cfg->params,
        .known = cfg->known,
        .known_n = cfg->known_n,
        .only_known = cfg->only_known,
        .identities_max = cfg->identities_max,
        .io = &io,
        .io_ctx = srv,
        .events = cfg->events,
        .events_ctx = cfg->events_ctx,
    };
    const struct sm_post_checker_cfg checker = {
        .loop = cfg->loop,
        .params = cfg->params,
        .randomx = &cfg->randomx,
        .threads = cfg->verify_threads,
        .done = verified,
        .ctx = srv,
    };
    srv->loop = cfg->loop;
    srv->timer = (struct sm_loop_timer){.fn = timer_due, .ctx = srv};
    srv->methods[0] = (struct sm_rpc_method){SM_POST_REGISTER_PATH, SM_RPC_STREAMING, srv, open_register};
    srv->methods[1] = (struct sm_rpc_method){SM_POST_STATES_PATH, SM_RPC_UNARY, srv, open_states};
    sm_err err = sm_post_registry_new(&registry, &srv->registry, ei);
    if (!err) err = sm_post_checker_new(&checker, &srv->checker, ei);
    if (err)
        sm_post_server_free(srv);
    else
        *out = srv;
    return err;
}

void sm_post_server_free(struct sm_post_server *srv)
{
    if (!srv) return;
    srv->closing = true; /* the owner hears no more */
    sm_post_checker_free(srv->checker);
    sm_loop_timer_clear(srv->loop, &srv->timer);
    sm_post_registry_free(srv->registry);
    free(srv);
}

const struct sm_rpc_method *sm_post_server_methods(const struct sm_post_server *srv, size_t *out_n)
{
    *out_n = sizeof srv->methods / sizeof srv->methods[0];
    return srv->methods;
}

/* ---- the owner ---- */

sm_err sm_post_server_request(struct sm_post_server *srv, const struct sm_node_id *id,
                              const struct sm_challenge *challenge, const struct sm_atx_id *commitment,
                              uint64_t deadline_ns, struct sm_errinfo *ei)
{
    const sm_err err =
        sm_post_registry_request(srv->registry, id, challenge, commitment, deadline_ns, sm_loop_now(srv->loop), ei);
    arm(srv);
    return err;
}

bool sm_post_server_cancel(struct sm_post_server *srv, const struct sm_node_id *id)
{
    const bool was = sm_post_registry_cancel(srv->registry, id);
    arm(srv);
    return was;
}

void sm_post_server_list(struct sm_post_server *srv, void (*fn)(void *ctx, const struct sm_post_identity *id),
                         void *ctx)
{
    sm_post_registry_list(srv->registry, fn, ctx);
}

size_t sm_post_server_count(const struct sm_post_server *srv)
{
    return sm_post_registry_count(srv->registry);
}
