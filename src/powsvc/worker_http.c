#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "powsvc/path.h"
#include "powsvc/worker_impl.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"
#include "util/u256.h"

#define RETRY_S_DEFAULT 5.0 /* the published client's back-off */
#define RETRY_S_MAX     60.0

/* When asking again is worth it: what is left of an average job. */
static unsigned retry_after(struct sm_pow_worker *w)
{
    const struct sm_pow_worker_status s = sm_pow_worker_status(w);
    double left = RETRY_S_DEFAULT;
    (void)pthread_mutex_lock(&w->shared.mu);
    if (s.hashes_per_s > 0)
        left = 0x1p256 / sm_u256_to_double(w->shared.job.difficulty) / s.hashes_per_s -
               sm_clock_seconds_since(w->shared.job_start_ns);
    (void)pthread_mutex_unlock(&w->shared.mu);
    return left < 1 ? 1u : (unsigned)(left < RETRY_S_MAX ? left : RETRY_S_MAX);
}

static void log_created(const struct sm_k2pow_job *job)
{
    char miner[SM_HEX_ROOM(5)];
    sm_log(SM_LOG_INFO, "k2pow", "job accepted", "miner=%s group=%u hashes=%.0f",
           sm_hex_encode(job->node_id.b, 5, miner), job->group, 0x1p256 / sm_u256_to_double(job->difficulty));
}

static void ask(struct sm_pow_worker *w, const struct sm_k2pow_job *job, struct sm_http_response *out)
{
    (void)pthread_mutex_lock(&w->shared.mu);
    const bool known = sm_pow_jobs_knows(w->shared.jobs, job, sm_clock_ns());
    (void)pthread_mutex_unlock(&w->shared.mu);
    if (!known) sm_pow_store_recall(w, job);
    (void)pthread_mutex_lock(&w->shared.mu);
    const struct sm_pow_answer a = sm_pow_jobs_ask(w->shared.jobs, job, sm_clock_ns());
    if (sm_pow_jobs_running_unwanted(w->shared.jobs)) sm_cancel_request(&w->job_cancel);
    w->shared.created += a.state == SM_POW_CREATED;
    w->shared.too_many += a.state == SM_POW_TOO_MANY;
    (void)pthread_cond_signal(&w->shared.changed);
    (void)pthread_mutex_unlock(&w->shared.mu);
    switch (a.state) {
    case SM_POW_CREATED:
        log_created(job);
        out->status = 201;
        break;
    case SM_POW_IN_PROGRESS:
        out->status = 201;
        break;
    case SM_POW_DONE:
        sm_http_response_text(out, 200, "%" PRIu64, a.pow);
        break;
    case SM_POW_FAILED:
        sm_http_response_text(out, 500, "%s", a.why);
        break;
    case SM_POW_TOO_MANY:
        out->status = 429;
        sm_http_response_header(out, "Retry-After", "%u", retry_after(w));
        break;
    }
}

static void cancel(struct sm_pow_worker *w, const struct sm_k2pow_job *job, struct sm_http_response *out)
{
    (void)pthread_mutex_lock(&w->shared.mu);
    const bool was = sm_pow_jobs_cancel(w->shared.jobs, job);
    if (sm_pow_jobs_running_unwanted(w->shared.jobs)) sm_cancel_request(&w->job_cancel);
    (void)pthread_mutex_unlock(&w->shared.mu);
    if (was)
        out->status = 204;
    else
        sm_http_response_text(out, 404, "no such job runs or waits");
}

static void on_job(struct sm_pow_worker *w, const struct sm_http_request *rq, struct sm_http_response *out)
{
    static const uint8_t zero[32];
    const bool get = strcmp(rq->method, "GET") == 0;
    struct sm_errinfo ei = {0};
    struct sm_k2pow_job job;
    if (!get && strcmp(rq->method, "DELETE") != 0) {
        sm_http_not_allowed(out, "GET, HEAD, DELETE");
        return;
    }
    sm_err err = sm_pow_path_parse(rq->path, &job, &ei);
    if (!err && memcmp(job.difficulty, zero, sizeof zero) == 0)
        err = sm_fail(&ei, SM_E_FORMAT, "difficulty: no hash is below zero");
    if (err)
        sm_http_response_text(out, 400, "%s", ei.text);
    else if (get)
        ask(w, &job, out);
    else
        cancel(w, &job, out);
}

/* The running job, or null. */
static json_t *running(struct sm_pow_worker *w, const struct sm_pow_worker_status *s)
{
    char miner[SM_HEX_ROOM(5)];
    if (!s->running) return json_null();
    (void)pthread_mutex_lock(&w->shared.mu);
    const struct sm_k2pow_job job = w->shared.job;
    const double seconds = sm_clock_seconds_since(w->shared.job_start_ns);
    (void)pthread_mutex_unlock(&w->shared.mu);
    return json_pack("{s:s, s:i, s:f, s:I, s:f}", "miner", sm_hex_encode(job.node_id.b, 5, miner), "nonce_group",
                     (int)job.group, "seconds", seconds, "hashes", (json_int_t)atomic_load(&w->hashes_of_job),
                     "expected_hashes", 0x1p256 / sm_u256_to_double(job.difficulty));
}

static void on_status(struct sm_pow_worker *w, struct sm_http_response *out)
{
    const struct sm_pow_worker_status s = sm_pow_worker_status(w);
    json_t *o = json_pack(
        "{s:s, s:f, s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o}", "version",
        SM_VERSION, "uptime_seconds", s.uptime_s, "randomx", s.mode == SM_RANDOMX_FAST ? "fast" : "light", "pages",
        sm_randomx_pages(w->randomx), "threads", (int)s.threads, "queue", (int)s.queue, "running", (int)s.running,
        "waiting", (int)s.waiting, "results", (json_int_t)s.results, "jobs_created", (json_int_t)s.created, "jobs_done",
        (json_int_t)s.done, "jobs_failed", (json_int_t)s.failed, "jobs_given_up", (json_int_t)s.given_up,
        "jobs_refused", (json_int_t)s.too_many, "jobs_recalled", (json_int_t)s.recalled, "hashes", (json_int_t)s.hashes,
        "hashes_per_second", s.hashes_per_s, "job", running(w, &s));
    out->body = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
    json_decref(o);
    out->status = out->body ? 200 : 500;
    out->body_n = out->body ? strlen(out->body) : 0;
    out->content_type = "application/json";
}

static void on_metrics(struct sm_pow_worker *w, struct sm_http_response *out)
{
    const struct sm_pow_worker_status s = sm_pow_worker_status(w);
    sm_http_response_text(out, 200,
                          "# TYPE smesher_k2pow_jobs_total counter\n"
                          "smesher_k2pow_jobs_total{event=\"created\"} %" PRIu64 "\n"
                          "smesher_k2pow_jobs_total{event=\"done\"} %" PRIu64 "\n"
                          "smesher_k2pow_jobs_total{event=\"failed\"} %" PRIu64 "\n"
                          "smesher_k2pow_jobs_total{event=\"given_up\"} %" PRIu64 "\n"
                          "smesher_k2pow_jobs_total{event=\"refused\"} %" PRIu64 "\n"
                          "smesher_k2pow_jobs_total{event=\"recalled\"} %" PRIu64 "\n"
                          "# TYPE smesher_k2pow_hashes_total counter\n"
                          "smesher_k2pow_hashes_total %" PRIu64 "\n"
                          "# TYPE smesher_k2pow_jobs gauge\n"
                          "smesher_k2pow_jobs{state=\"running\"} %u\n"
                          "smesher_k2pow_jobs{state=\"waiting\"} %u\n"
                          "# TYPE smesher_k2pow_results gauge\n"
                          "smesher_k2pow_results %zu\n"
                          "# TYPE smesher_k2pow_hashes_per_second gauge\n"
                          "smesher_k2pow_hashes_per_second %.3f\n",
                          s.created, s.done, s.failed, s.given_up, s.too_many, s.recalled, s.hashes, s.running,
                          s.waiting, s.results, s.hashes_per_s);
    out->content_type = "text/plain; version=0.0.4; charset=utf-8";
}

void sm_pow_worker_handle(void *ctx, const struct sm_http_request *rq, struct sm_http_response *out)
{
    struct sm_pow_worker *w = ctx;
    const bool root = strcmp(rq->path, "/") == 0, status = strcmp(rq->path, "/status") == 0,
               metrics = strcmp(rq->path, "/metrics") == 0;
    if (sm_pow_path_is_job(rq->path))
        on_job(w, rq, out);
    else if (!root && !status && !metrics)
        sm_http_not_found(out);
    else if (strcmp(rq->method, "GET") != 0)
        sm_http_not_allowed(out, "GET, HEAD");
    else if (status)
        on_status(w, out);
    else if (metrics)
        on_metrics(w, out);
    else
        sm_http_response_text(out, 200, "{ 'message': 'ok' }");
}
