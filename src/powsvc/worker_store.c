#include <errno.h>
#include <sys/stat.h>

#include "powsvc/worker_impl.h"
#include "util/clock.h"
#include "util/log.h"

sm_err sm_pow_store_open(struct sm_pow_worker *w, struct sm_errinfo *ei)
{
    const char *dir = w->cfg.state_dir;
    if (!dir) return SM_OK;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) return sm_fail_errno(ei, errno, "cannot create %s", dir);
    return sm_k2pow_cache_sweep(dir, (int64_t)(w->keep_ns / SM_NS_PER_S), &w->shared.stored, ei);
}

void sm_pow_store_sweep(struct sm_pow_worker *w)
{
    struct sm_errinfo why = {0};
    size_t left = 0;
    if (!w->cfg.state_dir) return;
    const sm_err err = sm_k2pow_cache_sweep(w->cfg.state_dir, (int64_t)(w->keep_ns / SM_NS_PER_S), &left, &why);
    (void)pthread_mutex_lock(&w->shared.mu);
    if (!err) w->shared.stored = left;
    (void)pthread_mutex_unlock(&w->shared.mu);
    if (err) sm_log(SM_LOG_WARN, "k2pow", "old results cannot be removed", "error=\"%s\"", why.text);
}

void sm_pow_store_put(struct sm_pow_worker *w, const struct sm_k2pow_job *job, uint64_t pow)
{
    struct sm_errinfo why = {0};
    if (!w->cfg.state_dir) return;
    (void)pthread_mutex_lock(&w->shared.mu);
    const bool room = w->shared.stored < SM_POW_RESULTS_MAX;
    if (room) w->shared.stored++;
    (void)pthread_mutex_unlock(&w->shared.mu);
    sm_err err = room ? sm_k2pow_cache_put(w->cfg.state_dir, job, pow, &why)
                      : sm_fail(&why, SM_E_NOSPACE, "%u results are on disk already", SM_POW_RESULTS_MAX);
    if (!err) return;
    (void)pthread_mutex_lock(&w->shared.mu);
    const bool warned = w->shared.store_warned;
    w->shared.store_warned = true;
    (void)pthread_mutex_unlock(&w->shared.mu);
    if (!warned)
        sm_log(SM_LOG_WARN, "k2pow", "results will not survive a restart", "dir=%s error=\"%s\"", w->cfg.state_dir,
               why.text);
}

void sm_pow_store_recall(struct sm_pow_worker *w, const struct sm_k2pow_job *job)
{
    uint64_t pow = 0;
    bool valid = false;
    if (!w->cfg.state_dir) return;
    const int64_t age_s = sm_k2pow_cache_age_s(w->cfg.state_dir, job);
    if (age_s < 0 || (uint64_t)age_s >= w->keep_ns / SM_NS_PER_S) return;
    if (sm_k2pow_cache_get(w->cfg.state_dir, job, &pow, NULL)) return;
    if (sm_k2pow_check(w->randomx, job, pow, &valid, NULL) || !valid) return; /* it is searched again */
    (void)pthread_mutex_lock(&w->shared.mu);
    sm_pow_jobs_learn(w->shared.jobs, job, pow, sm_clock_ns() - (uint64_t)age_s * SM_NS_PER_S);
    w->shared.recalled++;
    (void)pthread_mutex_unlock(&w->shared.mu);
}
