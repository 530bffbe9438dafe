#include "cli/top_fetch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/client.h"
#include "status/parse.h"
#include "util/clock.h"
#include "util/text.h"

#define ASK_TIMEOUT_MS 10000u /* ours: a rig answers at once; the way to it may be slow */

struct fetcher { /* of one rig */
    struct sm_top_fetch *all;
    size_t rig;
    pthread_t thread;
    bool running;
    /* under all->mu */
    bool fresh, wanted, has_order, resume;
    struct sm_status_snapshot snapshot; /* when fresh and no trouble */
    char trouble[SM_STATUS_TEXT_ROOM];
    uint64_t answered_ns; /* 0: never */
    struct sm_node_id target;
};

struct sm_top_fetch {
    struct sm_top_fetch_cfg cfg;
    struct sm_cancel cancel;
    pthread_mutex_t mu;
    pthread_cond_t go;
    bool stopping;
    char told[SM_STATUS_TEXT_ROOM];
    struct fetcher v[SM_TOP_RIGS_MAX];
};

/* ---- one exchange ---- */

static sm_err open_client(const struct sm_top_fetch_cfg *cfg, struct sm_http_client **out, struct sm_errinfo *ei)
{
    return sm_http_client_new(&(struct sm_http_client_cfg){.bearer_token = cfg->token, .ca_file = cfg->ca_file}, out,
                              ei);
}

static sm_err perform(struct sm_http_client *c, const char *method, const char *base, const char *path,
                      const struct sm_cancel *cancel, struct sm_http_reply *out, struct sm_errinfo *ei)
{
    char url[2048];
    size_t n = strlen(base);
    while (n && base[n - 1] == '/') n--;
    const int length = snprintf(url, sizeof url, "%.*s%s", (int)n, base, path);
    if (length < 0 || (size_t)length >= sizeof url)
        return sm_fail(ei, SM_E_ARG, "--url is longer than %zu bytes", sizeof url);
    const struct sm_http_ask ask = {.method = method,
                                    .url = url,
                                    .timeout_ms = ASK_TIMEOUT_MS,
                                    .body_max = SM_STATUS_DOCUMENT_MAX,
                                    .cancel = cancel};
    sm_err err = sm_http_perform(c, &ask, out, ei);
    if (err || out->status == 200) return err;
    err = out->status == 401 ? sm_fail(ei, SM_E_REFUSED, "%s wants a token: see --token-file", base)
          : out->status == 404
              ? sm_fail(ei, SM_E_NOTFOUND, "%s does not know %s: not a rig, or nothing of that name", base, path)
              : sm_fail(ei, SM_E_REFUSED, "%s answers %u: %.200s", base, out->status, out->body);
    sm_http_reply_fini(out);
    *out = (struct sm_http_reply){0};
    return err;
}

static sm_err ask_rig(struct sm_http_client *c, const char *url, const struct sm_cancel *cancel,
                      struct sm_status_snapshot *out, struct sm_http_reply *reply, struct sm_errinfo *ei)
{
    const sm_err err = perform(c, "GET", url, "/v1/status", cancel, reply, ei);
    return err ? err : sm_status_parse(reply->body, reply->body_n, out, ei);
}

sm_err sm_top_ask(const struct sm_top_fetch_cfg *cfg, size_t rig, struct sm_status_snapshot *out, char **body,
                  struct sm_errinfo *ei)
{
    struct sm_http_client *c = NULL;
    struct sm_http_reply reply = {0};
    struct sm_status_snapshot s = {0};
    sm_err err = open_client(cfg, &c, ei);
    if (!err) err = ask_rig(c, cfg->urls[rig], cfg->cancel, &s, &reply, ei);
    char *copy = err ? NULL : strdup(reply.body);
    if (!err && !copy) err = sm_fail(ei, SM_E_NOMEM, "not enough memory for the answer of %s", cfg->urls[rig]);
    if (err) {
        sm_status_snapshot_fini(&s);
    } else {
        *out = s;
        *body = copy;
    }
    sm_http_reply_fini(&reply);
    sm_http_client_free(c);
    return err;
}

/* ---- a rig's thread ---- */

static void give_order(struct fetcher *v, struct sm_http_client *c, const struct sm_node_id *target, bool resume)
{
    char path[128], hex[SM_HEX_ROOM(sizeof target->b)];
    struct sm_http_reply reply = {0};
    struct sm_errinfo ei = {0};
    (void)snprintf(path, sizeof path, "/v1/%s?identity=%s", resume ? "resume" : "pause",
                   sm_hex_encode(target->b, sizeof target->b, hex));
    const sm_err err = perform(c, "POST", v->all->cfg.urls[v->rig], path, &v->all->cancel, &reply, &ei);
    sm_http_reply_fini(&reply);
    pthread_mutex_lock(&v->all->mu);
    sm_status_text(v->all->told, sizeof v->all->told, err ? ei.text : resume ? "resumed" : "paused");
    pthread_mutex_unlock(&v->all->mu);
}

static void ask_once(struct fetcher *v, struct sm_http_client *c)
{
    struct sm_status_snapshot s = {0};
    struct sm_http_reply reply = {0};
    struct sm_errinfo ei = {0};
    const sm_err err = ask_rig(c, v->all->cfg.urls[v->rig], &v->all->cancel, &s, &reply, &ei);
    sm_http_reply_fini(&reply);
    pthread_mutex_lock(&v->all->mu);
    sm_status_text(v->trouble, sizeof v->trouble, err ? ei.text : "");
    if (!err) {
        sm_status_snapshot_fini(&v->snapshot);
        v->snapshot = s;
        v->answered_ns = sm_clock_ns();
    }
    v->fresh = true;
    pthread_mutex_unlock(&v->all->mu);
}

/* Until the next question is due or something is wanted. Under mu. */
static void rest(struct fetcher *v)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)v->all->cfg.interval_s;
    while (!v->all->stopping && !v->wanted && !v->has_order) {
        if (pthread_cond_timedwait(&v->all->go, &v->all->mu, &until)) break;
    }
}

static void *fetcher_main(void *arg)
{
    struct fetcher *v = arg;
    struct sm_http_client *c = NULL;
    struct sm_errinfo ei = {0};
    const sm_err err = open_client(&v->all->cfg, &c, &ei);
    if (err) {
        pthread_mutex_lock(&v->all->mu);
        sm_status_text(v->trouble, sizeof v->trouble, ei.text);
        v->fresh = true;
        pthread_mutex_unlock(&v->all->mu);
        return NULL;
    }
    pthread_mutex_lock(&v->all->mu);
    while (!v->all->stopping) {
        const bool has_order = v->has_order, resume = v->resume;
        const struct sm_node_id target = v->target;
        v->has_order = v->wanted = false;
        pthread_mutex_unlock(&v->all->mu);
        if (has_order) give_order(v, c, &target, resume);
        ask_once(v, c);
        pthread_mutex_lock(&v->all->mu);
        rest(v);
    }
    pthread_mutex_unlock(&v->all->mu);
    sm_http_client_free(c);
    return NULL;
}

/* ---- all of them ---- */

sm_err sm_top_fetch_start(const struct sm_top_fetch_cfg *cfg, struct sm_top_fetch **out, struct sm_errinfo *ei)
{
    struct sm_top_fetch *f = calloc(1, sizeof *f);
    if (!f) return sm_fail(ei, SM_E_NOMEM, "not enough memory to ask %zu rigs", cfg->urls_n);
    f->cfg = *cfg;
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&f->go, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_mutex_init(&f->mu, NULL);
    for (size_t i = 0; i < cfg->urls_n; i++) {
        f->v[i].all = f;
        f->v[i].rig = i;
        f->v[i].running = pthread_create(&f->v[i].thread, NULL, fetcher_main, &f->v[i]) == 0;
        if (f->v[i].running) continue;
        sm_top_fetch_stop(f);
        return sm_fail(ei, SM_E_NOMEM, "no thread to ask %s", cfg->urls[i]);
    }
    *out = f;
    return SM_OK;
}

void sm_top_fetch_stop(struct sm_top_fetch *f)
{
    if (!f) return;
    sm_cancel_request(&f->cancel);
    pthread_mutex_lock(&f->mu);
    f->stopping = true;
    (void)pthread_cond_broadcast(&f->go);
    pthread_mutex_unlock(&f->mu);
    for (size_t i = 0; i < f->cfg.urls_n; i++) {
        if (f->v[i].running) (void)pthread_join(f->v[i].thread, NULL);
        sm_status_snapshot_fini(&f->v[i].snapshot);
    }
    (void)pthread_cond_destroy(&f->go);
    (void)pthread_mutex_destroy(&f->mu);
    free(f);
}

bool sm_top_fetch_take(struct sm_top_fetch *f, struct sm_top_rig *rigs, char *told, size_t room)
{
    bool news = false;
    pthread_mutex_lock(&f->mu);
    for (size_t i = 0; i < f->cfg.urls_n; i++) {
        struct fetcher *v = &f->v[i];
        if (v->answered_ns) rigs[i].age_s = sm_clock_seconds_since(v->answered_ns);
        if (!v->fresh) continue;
        news = true;
        v->fresh = false;
        sm_status_text(rigs[i].trouble, sizeof rigs[i].trouble, v->trouble);
        if (v->trouble[0]) continue;
        sm_status_snapshot_fini(&rigs[i].snapshot);
        rigs[i].snapshot = v->snapshot;
        v->snapshot = (struct sm_status_snapshot){0};
        rigs[i].known = true;
    }
    if (f->told[0]) {
        sm_status_text(told, room, f->told);
        f->told[0] = '\0';
        news = true;
    }
    pthread_mutex_unlock(&f->mu);
    return news;
}

void sm_top_fetch_refresh(struct sm_top_fetch *f)
{
    pthread_mutex_lock(&f->mu);
    for (size_t i = 0; i < f->cfg.urls_n; i++) f->v[i].wanted = true;
    (void)pthread_cond_broadcast(&f->go);
    pthread_mutex_unlock(&f->mu);
}

void sm_top_fetch_order(struct sm_top_fetch *f, size_t rig, const struct sm_node_id *id, bool resume)
{
    pthread_mutex_lock(&f->mu);
    f->v[rig].target = *id;
    f->v[rig].resume = resume;
    f->v[rig].has_order = true;
    (void)pthread_cond_broadcast(&f->go);
    pthread_mutex_unlock(&f->mu);
}
