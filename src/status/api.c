#include "status/api.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "status/format.h"
#include "status/utf8.h"

#define JSON_TYPE "application/json"

static void answer(struct sm_http_response *out, unsigned status, const char *type, char *body, size_t n)
{
    out->status = status;
    out->content_type = type;
    out->body = body;
    out->body_n = n;
    sm_http_response_header(out, "Cache-Control", "no-store");
}

static void answer_json(struct sm_http_response *out, unsigned status, json_t *document)
{
    char *body = document ? json_dumps(document, JSON_COMPACT) : NULL;
    json_decref(document);
    answer(out, body ? status : 500, JSON_TYPE, body, body ? strlen(body) : 0);
}

static void fail(struct sm_http_response *out, unsigned status, const char *text)
{
    char clean[SM_UTF8_ROOM(SM_ERRINFO_TEXT)];
    answer_json(out, status, json_pack("{s:{s:s}}", "error", "message", sm_utf8_clean(text, clean, sizeof clean)));
}

static unsigned status_of(sm_err err)
{
    switch (err) {
    case SM_E_NOTFOUND:
        return 404;
    case SM_E_REFUSED:
    case SM_E_STATE:
    case SM_E_BUSY:
        return 409;
    case SM_E_ARG:
        return 400;
    default:
        return 500;
    }
}

/* Leaves only the identity that `which` names. False: there is none. */
static bool keep_one(struct sm_status_snapshot *s, const char *which)
{
    const struct sm_status_identity *one = sm_status_find(s, which);
    if (!one) return false;
    memmove(s->identities, one, sizeof *one);
    s->identities_n = 1;
    return true;
}

/* ---- views ---- */

struct view {
    const char *path, *type;
    sm_err (*format)(const struct sm_status_snapshot *s, char **out, size_t *out_n, struct sm_errinfo *ei);
};

static const struct view views[] = {
    {"/status", JSON_TYPE, sm_status_format_reference},
    {"/v1/status", JSON_TYPE, sm_status_format_json},
    {"/metrics", SM_STATUS_METRICS_TYPE, sm_status_format_metrics},
};

static void show(const struct sm_status_api *api, const struct view *v, const struct sm_http_request *rq,
                 struct sm_http_response *out)
{
    struct sm_errinfo ei = {0};
    struct sm_status_snapshot s = {0};
    const char *which = sm_http_request_query(rq, "identity");
    char *body = NULL;
    size_t n = 0;
    sm_err err = api->snapshot(api->ctx, &s, &ei);
    if (!err && which && !keep_one(&s, which))
        err = sm_fail(&ei, SM_E_NOTFOUND, "no identity, or several, by this name");
    if (!err) err = v->format(&s, &body, &n, &ei);
    sm_status_snapshot_fini(&s);
    if (err)
        fail(out, status_of(err), ei.text);
    else
        answer(out, 200, v->type, body, n);
}

/* ---- orders ---- */

static const struct {
    const char *path, *done;
    sm_status_order order;
} orders[] = {
    {"/v1/pause", "paused", SM_STATUS_PAUSE},
    {"/v1/resume", "resumed", SM_STATUS_RESUME},
    {"/v1/cancel", "cancelled", SM_STATUS_CANCEL},
};

static void obey(const struct sm_status_api *api, size_t i, const struct sm_http_request *rq,
                 struct sm_http_response *out)
{
    struct sm_errinfo ei = {0};
    const char *which = sm_http_request_query(rq, "identity");
    if (sm_http_request_header(rq, "Origin")) {
        fail(out, 403, "orders are not taken from web pages");
        return;
    }
    if (!which || !*which) {
        fail(out, 400, "say which: ?identity=NODE_ID, a name, or all");
        return;
    }
    const sm_err err = api->order(api->ctx, which, orders[i].order, &ei);
    if (err)
        fail(out, status_of(err), ei.text);
    else
        answer_json(out, 200, json_pack("{s:s}", "done", orders[i].done));
}

void sm_status_api_handle(void *ctx, const struct sm_http_request *rq, struct sm_http_response *out)
{
    const struct sm_status_api *api = ctx;
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        if (strcmp(rq->path, views[i].path) != 0) continue;
        if (strcmp(rq->method, "GET") == 0)
            show(api, &views[i], rq, out);
        else
            sm_http_not_allowed(out, "GET, HEAD");
        return;
    }
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (!api->order || strcmp(rq->path, orders[i].path) != 0) continue;
        if (strcmp(rq->method, "POST") == 0)
            obey(api, i, rq, out);
        else
            sm_http_not_allowed(out, "POST");
        return;
    }
    sm_http_not_found(out);
}
