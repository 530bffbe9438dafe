#include "powsvc/jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Accepted and not finished. open[0] is the running one when `runs`. */
struct open_job {
    struct sm_k2pow_job job;
    uint64_t polled_ns;
};

struct result {
    struct sm_k2pow_job job;
    uint64_t at_ns;
    uint64_t pow;
    bool failed;
    char *why; /* of a failure; NULL: no memory for it */
};

struct sm_pow_jobs {
    struct sm_pow_jobs_cfg cfg;
    struct open_job *open; /* room for accepted; in order of arrival */
    unsigned open_n;
    bool runs;     /* some job runs … */
    bool detached; /* … which is not in open any more: unwanted */
    struct sm_k2pow_job running;
    struct result *results; /* oldest first */
    size_t results_n, results_room;
};

sm_err sm_pow_jobs_new(const struct sm_pow_jobs_cfg *cfg, struct sm_pow_jobs **out, struct sm_errinfo *ei)
{
    if (cfg->accepted == 0 || cfg->accepted > 1024 || cfg->results_max == 0)
        return sm_fail(ei, SM_E_ARG, "a queue of %u k2pow jobs: must be 1 to 1024", cfg->accepted);
    struct sm_pow_jobs *t = calloc(1, sizeof *t);
    if (t) t->open = calloc(cfg->accepted, sizeof *t->open);
    if (!t || !t->open) {
        free(t);
        return sm_fail(ei, SM_E_NOMEM, "out of memory for the k2pow jobs");
    }
    t->cfg = *cfg;
    *out = t;
    return SM_OK;
}

void sm_pow_jobs_free(struct sm_pow_jobs *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->results_n; i++) free(t->results[i].why);
    free(t->results);
    free(t->open);
    free(t);
}

static bool same(const struct sm_k2pow_job *a, const struct sm_k2pow_job *b)
{
    return a->group == b->group && memcmp(a->node_id.b, b->node_id.b, 32) == 0 &&
           memcmp(a->challenge.b, b->challenge.b, 8) == 0 && memcmp(a->difficulty, b->difficulty, 32) == 0;
}

/* ---- results ---- */

static void forget(struct sm_pow_jobs *t, size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) free(t->results[i].why);
    memmove(t->results + first, t->results + first + n, (t->results_n - first - n) * sizeof *t->results);
    t->results_n -= n;
}

static void forget_old(struct sm_pow_jobs *t, uint64_t now)
{
    size_t n = 0;
    while (n < t->results_n && now - t->results[n].at_ns >= t->cfg.keep_ns) n++;
    if (n) forget(t, 0, n);
}

static struct result *find(const struct sm_pow_jobs *t, const struct sm_k2pow_job *job, uint64_t now)
{
    for (size_t i = 0; i < t->results_n; i++)
        if (same(&t->results[i].job, job) && now - t->results[i].at_ns < t->cfg.keep_ns) return &t->results[i];
    return NULL;
}

/* Without memory the result is lost and its client asks again: nothing worse. */
static void remember(struct sm_pow_jobs *t, struct result r)
{
    forget_old(t, r.at_ns);
    struct result *known = find(t, &r.job, r.at_ns);
    if (known) forget(t, (size_t)(known - t->results), 1);
    if (t->results_n == t->cfg.results_max) forget(t, 0, 1);
    if (t->results_n == t->results_room) {
        const size_t room = t->results_room ? 2 * t->results_room : 64;
        struct result *grown = realloc(t->results, room * sizeof *grown);
        if (!grown) {
            free(r.why);
            return;
        }
        t->results = grown;
        t->results_room = room;
    }
    t->results[t->results_n++] = r;
}

void sm_pow_jobs_learn(struct sm_pow_jobs *t, const struct sm_k2pow_job *job, uint64_t pow, uint64_t now)
{
    remember(t, (struct result){.job = *job, .at_ns = now, .pow = pow});
}

/* ---- open jobs ---- */

static unsigned position(const struct sm_pow_jobs *t, const struct sm_k2pow_job *job)
{
    unsigned i = 0;
    while (i < t->open_n && !same(&t->open[i].job, job)) i++;
    return i; /* open_n: not there */
}

static void drop(struct sm_pow_jobs *t, unsigned i)
{
    if (i == 0 && t->runs && !t->detached) t->detached = true;
    memmove(t->open + i, t->open + i + 1, (t->open_n - i - 1) * sizeof *t->open);
    t->open_n--;
}

/* Nobody asks for it any more, and somebody else waits. */
static void give_way(struct sm_pow_jobs *t, uint64_t now)
{
    for (unsigned i = t->open_n; i-- > 0;)
        if (now - t->open[i].polled_ns >= t->cfg.abandoned_ns) drop(t, i);
}

bool sm_pow_jobs_knows(const struct sm_pow_jobs *t, const struct sm_k2pow_job *job, uint64_t now)
{
    return find(t, job, now) || position(t, job) < t->open_n;
}

static struct sm_pow_answer tell(struct sm_pow_jobs *t, struct result *r)
{
    struct sm_pow_answer a = {.state = r->failed ? SM_POW_FAILED : SM_POW_DONE, .pow = r->pow};
    if (r->failed) {
        (void)snprintf(a.why, sizeof a.why, "%s", r->why ? r->why : "out of memory");
        forget(t, (size_t)(r - t->results), 1);
    }
    return a;
}

struct sm_pow_answer sm_pow_jobs_ask(struct sm_pow_jobs *t, const struct sm_k2pow_job *job, uint64_t now)
{
    forget_old(t, now);
    struct result *r = find(t, job, now);
    if (r) return tell(t, r);
    const unsigned i = position(t, job);
    const bool known = i < t->open_n;
    if (known) t->open[i].polled_ns = now;
    if (!known || t->open_n > 1) give_way(t, now); /* who asks now is not abandoned */
    if (known) return (struct sm_pow_answer){.state = SM_POW_IN_PROGRESS};
    if (t->open_n == t->cfg.accepted) return (struct sm_pow_answer){.state = SM_POW_TOO_MANY};
    t->open[t->open_n++] = (struct open_job){.job = *job, .polled_ns = now};
    return (struct sm_pow_answer){.state = SM_POW_CREATED};
}

bool sm_pow_jobs_cancel(struct sm_pow_jobs *t, const struct sm_k2pow_job *job)
{
    const unsigned i = position(t, job);
    if (i == t->open_n) return false;
    drop(t, i);
    return true;
}

/* ---- the running job ---- */

bool sm_pow_jobs_next(struct sm_pow_jobs *t, struct sm_k2pow_job *out)
{
    if (t->runs || !t->open_n) return false;
    t->runs = true;
    t->detached = false;
    *out = t->running = t->open[0].job;
    return true;
}

bool sm_pow_jobs_running_unwanted(const struct sm_pow_jobs *t)
{
    return t->runs && t->detached;
}

void sm_pow_jobs_finish(struct sm_pow_jobs *t, sm_err err, uint64_t pow, const char *why, uint64_t now)
{
    if (!t->runs) return;
    struct result r = {.job = t->running, .at_ns = now, .pow = pow, .failed = err != SM_OK};
    const bool unwanted = t->detached;
    if (!unwanted) drop(t, 0);
    t->runs = t->detached = false;
    if (err == SM_E_CANCELLED || (err && unwanted)) return;
    if (err) r.why = strdup(why);
    remember(t, r);
    /* Asked for again while it was being stopped: it is done after all. */
    const unsigned again = position(t, &t->running);
    if (!err && again < t->open_n) drop(t, again);
}

struct sm_pow_jobs_counts sm_pow_jobs_count(const struct sm_pow_jobs *t)
{
    const unsigned listed = t->runs && !t->detached;
    return (struct sm_pow_jobs_counts){.running = t->runs, .waiting = t->open_n - listed, .results = t->results_n};
}
