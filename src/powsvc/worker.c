#include "powsvc/worker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "powsvc/worker_impl.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"
#include "util/thread.h"

#define ABANDONED_NS (600 * SM_NS_PER_S)       /* OUR-16 */
#define KEEP_NS      (24 * 3600 * SM_NS_PER_S) /* OUR-16 */
#define SWEEP_NS     (600 * SM_NS_PER_S)       /* ours */
#define RATE_MIN_S   0.5                       /* shorter jobs say little about the speed */

/* ---- the job thread ---- */

static void on_hashes(void *ctx, uint64_t hashes)
{
    struct sm_pow_worker *w = ctx;
    atomic_store(&w->hashes_of_job, hashes);
}

/* Under mu. False: time to sweep. */
static bool wait_for_work(struct sm_pow_worker *w, uint64_t until_ns, struct sm_k2pow_job *job)
{
    const struct timespec at = {.tv_sec = (time_t)(until_ns / SM_NS_PER_S), .tv_nsec = (long)(until_ns % SM_NS_PER_S)};
    while (!w->shared.stop && !sm_pow_jobs_next(w->shared.jobs, job)) {
        if (sm_clock_ns() >= until_ns) return false;
        (void)pthread_cond_timedwait(&w->shared.changed, &w->shared.mu, &at);
    }
    if (w->shared.stop) return true;
    w->shared.job = *job;
    w->shared.job_start_ns = sm_clock_ns();
    atomic_store(&w->hashes_of_job, 0);
    atomic_store(&w->job_cancel.requested, false);
    return true;
}

static void log_end(const struct sm_k2pow_job *job, sm_err err, double seconds, uint64_t hashes, const char *why)
{
    char miner[SM_HEX_ROOM(5)];
    (void)sm_hex_encode(job->node_id.b, 5, miner);
    if (!err)
        sm_log(SM_LOG_INFO, "k2pow", "job done", "miner=%s group=%u seconds=%.1f hashes=%" PRIu64, miner, job->group,
               seconds, hashes);
    else if (err == SM_E_CANCELLED)
        sm_log(SM_LOG_INFO, "k2pow", "job given up", "miner=%s group=%u seconds=%.1f", miner, job->group, seconds);
    else
        sm_log(SM_LOG_ERROR, "k2pow", "job failed", "miner=%s group=%u error=\"%s\"", miner, job->group, why);
}

static void run_job(struct sm_pow_worker *w, const struct sm_k2pow_job *job)
{
    struct sm_errinfo ei = {0};
    uint64_t pow = 0, hashes = 0;
    const uint64_t start = sm_clock_ns();
    const struct sm_k2pow_search how = {
        .threads = w->threads, .cores = w->cfg.cores, .progress = on_hashes, .progress_ctx = w};
    const sm_err err = sm_k2pow_find(w->randomx, job, &how, &w->job_cancel, &pow, &hashes, &ei);
    const double seconds = sm_clock_seconds_since(start);
    if (!err) sm_pow_store_put(w, job, pow); /* before it is told */
    (void)pthread_mutex_lock(&w->shared.mu);
    sm_pow_jobs_finish(w->shared.jobs, err, pow, ei.text, sm_clock_ns());
    w->shared.hashes += hashes;
    if (seconds >= RATE_MIN_S) w->shared.rate = (double)hashes / seconds;
    w->shared.done += !err;
    w->shared.given_up += err == SM_E_CANCELLED;
    w->shared.failed += err && err != SM_E_CANCELLED;
    atomic_store(&w->hashes_of_job, 0);
    (void)pthread_mutex_unlock(&w->shared.mu);
    log_end(job, err, seconds, hashes, ei.text);
}

static void *job_main(void *arg)
{
    struct sm_pow_worker *w = arg;
    uint64_t sweep_ns = sm_clock_ns() + SWEEP_NS;
    for (;;) {
        struct sm_k2pow_job job;
        (void)pthread_mutex_lock(&w->shared.mu);
        const bool work = wait_for_work(w, sweep_ns, &job), stop = w->shared.stop;
        (void)pthread_mutex_unlock(&w->shared.mu);
        if (stop) return NULL;
        if (work) run_job(w, &job);
        if (sm_clock_ns() < sweep_ns) continue;
        sm_pow_store_sweep(w);
        sweep_ns = sm_clock_ns() + SWEEP_NS;
    }
}

/* ---- life ---- */

static sm_err init(struct sm_pow_worker *w, const struct sm_pow_worker_cfg *cfg, struct sm_errinfo *ei)
{
    pthread_condattr_t attr;
    const struct sm_pow_jobs_cfg jobs = {.accepted = cfg->queue ? cfg->queue : 1,
                                         .abandoned_ns = cfg->abandoned_ns ? cfg->abandoned_ns : ABANDONED_NS,
                                         .keep_ns = cfg->keep_ns ? cfg->keep_ns : KEEP_NS,
                                         .results_max = SM_POW_RESULTS_MAX};
    w->cfg = *cfg;
    w->cfg.queue = jobs.accepted;
    w->threads = cfg->threads ? cfg->threads : sm_cpu_count();
    w->keep_ns = jobs.keep_ns;
    w->start_ns = sm_clock_ns();
    (void)pthread_mutex_init(&w->shared.mu, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->shared.changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    return sm_pow_jobs_new(&jobs, &w->shared.jobs, ei);
}

sm_err sm_pow_worker_start(const struct sm_pow_worker_cfg *cfg, const struct sm_cancel *cancel,
                           struct sm_pow_worker **out, struct sm_errinfo *ei)
{
    struct sm_pow_worker *w = calloc(1, sizeof *w);
    if (!w) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    const struct sm_http_server_cfg http = {.listen = cfg->listen,
                                            .bearer_token = cfg->bearer_token,
                                            .insecure = cfg->insecure,
                                            .handler = sm_pow_worker_handle,
                                            .ctx = w,
                                            .tls_cert = cfg->tls_cert,
                                            .tls_key = cfg->tls_key};
    sm_err err = init(w, cfg, ei);
    if (!err) err = sm_pow_store_open(w, ei);
    if (!err) err = sm_k2pow_open(cfg->randomx, cancel, &w->randomx, ei);
    if (!err) {
        w->has_thread = pthread_create(&w->thread, NULL, job_main, w) == 0;
        if (!w->has_thread) err = sm_fail(ei, SM_E_NOMEM, "cannot start the thread of the k2pow jobs");
    }
    if (!err) err = sm_http_server_start(&http, &w->server, ei);
    if (err) {
        sm_pow_worker_stop(w);
        return err;
    }
    *out = w;
    return SM_OK;
}

const char *sm_pow_worker_url(const struct sm_pow_worker *w)
{
    return sm_http_server_url(w->server);
}

void sm_pow_worker_stop(struct sm_pow_worker *w)
{
    if (!w) return;
    sm_http_server_stop(w->server);
    (void)pthread_mutex_lock(&w->shared.mu);
    w->shared.stop = true;
    sm_cancel_request(&w->job_cancel);
    (void)pthread_cond_signal(&w->shared.changed);
    (void)pthread_mutex_unlock(&w->shared.mu);
    if (w->has_thread) (void)pthread_join(w->thread, NULL);
    sm_randomx_close(w->randomx);
    sm_pow_jobs_free(w->shared.jobs);
    (void)pthread_cond_destroy(&w->shared.changed);
    (void)pthread_mutex_destroy(&w->shared.mu);
    free(w);
}

struct sm_pow_worker_status sm_pow_worker_status(struct sm_pow_worker *w)
{
    const uint64_t of_job = atomic_load(&w->hashes_of_job);
    (void)pthread_mutex_lock(&w->shared.mu);
    const struct sm_pow_jobs_counts n = sm_pow_jobs_count(w->shared.jobs);
    struct sm_pow_worker_status s = {.mode = sm_randomx_mode_of(w->randomx),
                                     .threads = w->threads,
                                     .queue = w->cfg.queue,
                                     .running = n.running,
                                     .waiting = n.waiting,
                                     .results = n.results,
                                     .created = w->shared.created,
                                     .done = w->shared.done,
                                     .failed = w->shared.failed,
                                     .given_up = w->shared.given_up,
                                     .too_many = w->shared.too_many,
                                     .recalled = w->shared.recalled,
                                     .hashes = w->shared.hashes + of_job,
                                     .hashes_per_s = w->shared.rate};
    const double seconds = sm_clock_seconds_since(w->shared.job_start_ns);
    if (n.running && of_job && seconds >= RATE_MIN_S) s.hashes_per_s = (double)of_job / seconds;
    (void)pthread_mutex_unlock(&w->shared.mu);
    s.uptime_s = sm_clock_seconds_since(w->start_ns);
    return s;
}
