#include "rpc/health.h"

#include <string.h>

#include <grpc/health/v1/health.pb-c.h>

#include "rpc/mem.h"
#include "rpc/pb.h"

#define REQUEST_MAX 1024u /* bytes; a name and its head */

typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus status;
#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

struct service {
    struct service *next;
    status now;
    char name[]; /* terminated */
};

struct watcher { /* one call of either method */
    struct sm_health *health;
    struct watcher *next, **link;
    struct sm_rpc_stream *s;
    bool asked;  /* Watch: the request has come */
    bool behind; /* the last change is not sent yet */
    status told;
    char name[REQUEST_MAX];
};

struct sm_health {
    struct service *services;
    struct watcher *watchers;
};

/* ---- the table ---- */

static struct service *find(const struct sm_health *h, const char *name)
{
    struct service *s = h->services;
    while (s && strcmp(s->name, name) != 0) s = s->next;
    return s;
}

static status state_of(const struct sm_health *h, const char *name)
{
    const struct service *s = find(h, name);
    return s ? s->now : STATUS(SERVICE_UNKNOWN);
}

static void tell(struct watcher *w)
{
    const status now = state_of(w->health, w->name);
    if (!w->asked || (!w->behind && now == w->told)) return;
    Grpc__Health__V1__HealthCheckResponse answer = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    answer.status = now;
    w->behind = sm_rpc_send_pb(w->s, &answer.base, NULL) != SM_OK; /* then on_writable, or the end */
    w->told = now;
}

sm_err sm_health_set(struct sm_health *h, const char *service, bool serving, struct sm_errinfo *ei)
{
    struct service *s = find(h, service);
    if (!s) {
        s = sm_rpc_alloc(sizeof *s + strlen(service) + 1);
        if (!s) return sm_fail(ei, SM_E_NOMEM, "out of memory for the health of %s", service);
        memcpy(s->name, service, strlen(service));
        s->next = h->services;
        h->services = s;
    }
    s->now = serving ? STATUS(SERVING) : STATUS(NOT_SERVING);
    for (struct watcher *w = h->watchers; w; w = w->next)
        if (!strcmp(w->name, service)) tell(w);
    return SM_OK;
}

sm_err sm_health_new(struct sm_health **out, struct sm_errinfo *ei)
{
    struct sm_health *h = sm_rpc_alloc(sizeof *h);
    if (!h) return sm_fail(ei, SM_E_NOMEM, "out of memory for the health service");
    const sm_err err = sm_health_set(h, "", false, ei);
    if (err)
        sm_health_free(h);
    else
        *out = h;
    return err;
}

void sm_health_free(struct sm_health *h)
{
    if (!h) return;
    for (struct service *s = h->services, *next; s; s = next) {
        next = s->next;
        sm_rpc_free(s);
    }
    sm_rpc_free(h);
}

/* ---- the calls ---- */

/* False: the call was refused. */
static bool take_name(struct watcher *w, struct sm_slice msg)
{
    Grpc__Health__V1__HealthCheckRequest *r = NULL;
    if (msg.n <= REQUEST_MAX) r = grpc__health__v1__health_check_request__unpack(NULL, msg.n, msg.p);
    if (!r) {
        sm_rpc_refuse(w->s, SM_GRPC_INVALID_ARGUMENT, "no HealthCheckRequest");
        return false;
    }
    const size_t n = strlen(r->service); /* < REQUEST_MAX: the message is longer than its name */
    memcpy(w->name, r->service, n + 1);
    grpc__health__v1__health_check_request__free_unpacked(r, NULL);
    return true;
}

static void on_check(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    struct watcher *w = ctx;
    if (!take_name(w, msg)) return;
    const status now = state_of(w->health, w->name);
    if (now == STATUS(SERVICE_UNKNOWN)) {
        sm_rpc_refuse(s, SM_GRPC_NOT_FOUND, "unknown service %.200s", w->name);
        return;
    }
    Grpc__Health__V1__HealthCheckResponse answer = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    answer.status = now;
    sm_rpc_answer_pb(s, &answer.base);
}

static void on_watch(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    struct watcher *w = ctx;
    (void)s;
    if (!take_name(w, msg)) return;
    w->asked = w->behind = true;
    tell(w);
}

static void on_writable(void *ctx, struct sm_rpc_stream *s)
{
    (void)s;
    tell(ctx);
}

static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    struct watcher *w = ctx;
    (void)st;
    *w->link = w->next;
    if (w->next) w->next->link = w->link;
    sm_rpc_free(w);
}

static const struct sm_rpc_stream_events check_events = {.on_message = on_check, .on_end = on_end};
static const struct sm_rpc_stream_events watch_events = {
    .on_message = on_watch, .on_writable = on_writable, .on_end = on_end};

static bool open_call(struct sm_health *h, struct sm_rpc_stream *s, void **ev_ctx, struct sm_grpc_status *refuse)
{
    struct watcher *w = sm_rpc_alloc(sizeof *w);
    if (!w) {
        sm_grpc_status_set(refuse, SM_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return false;
    }
    w->health = h;
    w->s = s;
    w->next = h->watchers;
    w->link = &h->watchers;
    if (w->next) w->next->link = &w->next;
    h->watchers = w;
    *ev_ctx = w;
    return true;
}

static bool open_check(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                       struct sm_grpc_status *refuse)
{
    *ev = &check_events;
    return open_call(ctx, s, ev_ctx, refuse);
}

static bool open_watch(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                       struct sm_grpc_status *refuse)
{
    *ev = &watch_events;
    return open_call(ctx, s, ev_ctx, refuse);
}

void sm_health_methods(struct sm_health *h, struct sm_rpc_method out[SM_HEALTH_METHODS])
{
    out[0] = (struct sm_rpc_method){"/grpc.health.v1.Health/Check", SM_RPC_UNARY, h, open_check};
    out[1] = (struct sm_rpc_method){"/grpc.health.v1.Health/Watch", SM_RPC_UNARY, h, open_watch};
}
