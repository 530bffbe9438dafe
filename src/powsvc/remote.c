#include "powsvc/remote.h"

#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/blake3.h"
#include "http/client.h"
#include "powsvc/path.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/u256.h"

#define PARALLELISM 5u                  /* post-service.md §3.1 */
#define BACKOFF_MS  5000u               /* OUR-15 */
#define BACKOFF_MAX 60000u              /* OUR-15 */
#define TIMEOUT_MS  30000u              /* OUR-15 */
#define SLICE_NS    (50 * SM_NS_PER_MS) /* a cancel is seen after at most this */
#define BODY_MAX    1024u
#define SLOWEST_HPS 50.0 /* ours: RandomX light on one slow core makes more */
#define NOBODY      UINT32_MAX

#define WARNED_AWAY  1u
#define WARNED_WRONG 2u

struct sm_pow_remote {
    struct sm_pow_remote_cfg cfg;
    char **urls;
    char *token, *ca_file;
    struct sm_k2pow_source source;
};

/* ---- the workers ---- */

static sm_err copy_url(const char *url, char **out, struct sm_errinfo *ei)
{
    char what[300];
    (void)snprintf(what, sizeof what, "the k2pow worker %.256s", strchr(url, '@') ? "(with user or password)" : url);
    sm_err err = sm_http_check_url(url, what, ei);
    if (err) return err;
    if (strpbrk(url, "?#")) return sm_fail(ei, SM_E_ARG, "%s: an address without ? and # is expected", what);
    size_t n = strlen(url);
    while (n && url[n - 1] == '/') n--;
    *out = strndup(url, n);
    return *out ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory");
}

static sm_err remote_solve(void *ctx, const struct sm_k2pow_job *jobs, size_t n,
                           sm_err (*found)(void *, size_t, uint64_t, bool *, struct sm_errinfo *), void *found_ctx,
                           const struct sm_cancel *cancel, struct sm_errinfo *ei);

sm_err sm_pow_remote_new(const struct sm_pow_remote_cfg *cfg, struct sm_pow_remote **out, struct sm_errinfo *ei)
{
    if (cfg->urls_n == 0 || cfg->urls_n > SM_POW_WORKERS_MAX)
        return sm_fail(ei, SM_E_ARG, "%zu k2pow workers: must be 1 to %u", cfg->urls_n, SM_POW_WORKERS_MAX);
    struct sm_pow_remote *r = calloc(1, sizeof *r);
    if (r) r->urls = calloc(cfg->urls_n, sizeof *r->urls);
    sm_err err = r && r->urls ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory");
    if (!err) {
        r->cfg = *cfg;
        r->source = (struct sm_k2pow_source){.solve = remote_solve, .ctx = r};
        if (!r->cfg.parallelism) r->cfg.parallelism = PARALLELISM;
        if (!r->cfg.backoff_first_ms) r->cfg.backoff_first_ms = BACKOFF_MS;
        if (!r->cfg.backoff_max_ms) r->cfg.backoff_max_ms = BACKOFF_MAX;
        if (!r->cfg.request_timeout_ms) r->cfg.request_timeout_ms = TIMEOUT_MS;
        r->token = cfg->bearer_token ? strdup(cfg->bearer_token) : NULL;
        r->ca_file = cfg->ca_file ? strdup(cfg->ca_file) : NULL;
        if ((cfg->bearer_token && !r->token) || (cfg->ca_file && !r->ca_file))
            err = sm_fail(ei, SM_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; !err && i < cfg->urls_n; i++) err = copy_url(cfg->urls[i], &r->urls[i], ei);
    if (err) {
        sm_pow_remote_free(r);
        return err;
    }
    for (size_t i = 0; r->token && i < cfg->urls_n; i++)
        if (sm_http_is_in_clear(r->urls[i]))
            sm_log(SM_LOG_WARN, "k2pow", "the token crosses the network unencrypted: use https", "worker=%s",
                   r->urls[i]);
    *out = r;
    return SM_OK;
}

void sm_pow_remote_free(struct sm_pow_remote *r)
{
    if (!r) return;
    for (size_t i = 0; r->urls && i < r->cfg.urls_n; i++) free(r->urls[i]);
    if (r->token) sodium_memzero(r->token, strlen(r->token));
    free(r->token);
    free(r->ca_file);
    free(r->urls);
    free(r);
}

const struct sm_k2pow_source *sm_pow_remote_source(const struct sm_pow_remote *r)
{
    return &r->source;
}

struct ranked {
    uint64_t rank;
    unsigned position;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return x->position < y->position ? -1 : 1;
}

/* Every worker's own hash: when one is added or taken away, the order of the others stays. */
void sm_pow_remote_order(const struct sm_pow_remote *r, const struct sm_k2pow_job *job, unsigned *out)
{
    struct ranked list[SM_POW_WORKERS_MAX];
    for (unsigned i = 0; i < r->cfg.urls_n; i++) {
        struct sm_blake3 h;
        uint8_t hash[32];
        sm_blake3_init(&h);
        sm_blake3_update(&h, job->node_id.b, sizeof job->node_id.b);
        sm_blake3_update(&h, &job->group, 1);
        sm_blake3_update(&h, r->urls[i], strlen(r->urls[i]));
        sm_blake3_final(&h, hash);
        list[i] = (struct ranked){.rank = sm_le64_load(hash), .position = i};
    }
    qsort(list, r->cfg.urls_n, sizeof list[0], by_rank);
    for (unsigned i = 0; i < r->cfg.urls_n; i++) out[i] = list[i].position;
}

uint64_t sm_pow_backoff_ms(unsigned first_ms, unsigned max_ms, unsigned failures, uint32_t retry_after_s,
                           uint32_t random)
{
    uint64_t ms = first_ms;
    if (retry_after_s) {
        ms = 1000ull * retry_after_s + random % (first_ms / 2 + 1);
        return ms < max_ms ? ms : max_ms;
    }
    for (unsigned i = 1; i < failures && ms < max_ms; i++) ms *= 2;
    if (ms > max_ms) ms = max_ms;
    return ms / 2 + random % (ms - ms / 2 + 1);
}

uint64_t sm_pow_patience_ns(const struct sm_k2pow_job *job)
{
    const double s = 0x1p256 / sm_u256_to_double(job->difficulty) / SLOWEST_HPS, max_s = 365 * 86400.0;
    return (uint64_t)((s < max_s ? s : max_s) * (double)SM_NS_PER_S);
}

/* ---- one solve ---- */

struct solve {
    const struct sm_pow_remote *r;
    const struct sm_k2pow_job *jobs;
    size_t n;
    sm_err (*found)(void *, size_t, uint64_t, bool *, struct sm_errinfo *);
    void *found_ctx;
    const struct sm_cancel *cancel;
    struct sm_cancel over; /* ends requests and waits of all threads: cancelled, failed, or left to the prover */
    atomic_size_t next;    /* job that nobody has taken */
    atomic_uint_fast64_t progress_ns;
    atomic_uint_fast8_t refused[SM_POW_WORKERS_MAX]; /* answered 400: not asked any more */
    atomic_uint_fast8_t warned[SM_POW_WORKERS_MAX];  /* WARNED_… since it was well */
    pthread_mutex_t mu;                              /* found, and what follows */
    sm_err err;
    struct sm_errinfo ei;
    bool left; /* the fallback */
};

/* One group on its way. */
struct group {
    struct solve *s;
    struct sm_http_client *http;
    size_t index;
    char path[SM_POW_PATH_ROOM];
    unsigned order[SM_POW_WORKERS_MAX];
    uint32_t accepted_by;   /* worker that said 201 last; NOBODY */
    uint64_t accepted_ns;   /* when it said so first */
    bool strained;          /* … and could not be asked the last time */
    unsigned failures;      /* rounds in which nobody had the job */
    uint32_t retry_after_s; /* the shortest of this round; 0: nobody said */
    bool solved;
};

static void end_with(struct solve *s, sm_err err, const struct sm_errinfo *why)
{
    (void)pthread_mutex_lock(&s->mu);
    if (!s->err && !s->left) {
        s->err = err;
        s->ei = *why;
    }
    (void)pthread_mutex_unlock(&s->mu);
    sm_cancel_request(&s->over);
}

static void leave_to_prover(struct solve *s, const char *why)
{
    (void)pthread_mutex_lock(&s->mu);
    const bool first = !s->left && !s->err;
    if (first) s->left = true;
    (void)pthread_mutex_unlock(&s->mu);
    sm_cancel_request(&s->over);
    if (first) sm_log(SM_LOG_WARN, "k2pow", "the workers are given up, searching here", "reason=\"%s\"", why);
}

/* Also looks at the two things that end everything: who asked us, and the clock. */
static bool is_over(struct solve *s)
{
    if (sm_cancelled(s->cancel)) sm_cancel_request(&s->over);
    const uint64_t now = sm_clock_ns(), progress = atomic_load(&s->progress_ns), fallback = s->r->cfg.fallback_ns;
    if (fallback && now > progress && now - progress >= fallback)
        leave_to_prover(s, "no worker accepted a job or returned a result in time");
    return sm_cancelled(&s->over);
}

static void note_progress(struct solve *s)
{
    atomic_store(&s->progress_ns, sm_clock_ns());
}

/* One line for each worker that fails, not one for each group and round. */
static sm_log_level level_of(struct solve *s, unsigned worker, unsigned what)
{
    return atomic_fetch_or(&s->warned[worker], what) & what ? SM_LOG_DEBUG : SM_LOG_WARN;
}

static bool parse_pow(const struct sm_http_reply *reply, uint64_t *out)
{
    uint64_t v = 0;
    if (reply->body_n == 0 || reply->body_n > 20) return false;
    for (size_t i = 0; i < reply->body_n; i++) {
        const unsigned digit = (unsigned)(unsigned char)reply->body[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, (uint64_t)digit, &v))
            return false;
    }
    *out = v;
    return v <= SM_K2POW_NONCE_MAX;
}

/* A result: checked before it is believed. */
static void take_result(struct group *g, unsigned worker, const struct sm_http_reply *reply)
{
    struct solve *s = g->s;
    struct sm_errinfo ei = {0};
    uint64_t pow = 0;
    bool valid = false;
    sm_err err = SM_OK;
    if (parse_pow(reply, &pow)) {
        (void)pthread_mutex_lock(&s->mu);
        err = s->found(s->found_ctx, g->index, pow, &valid, &ei);
        (void)pthread_mutex_unlock(&s->mu);
    }
    if (err) {
        end_with(s, err, &ei);
    } else if (valid) {
        g->solved = true;
        note_progress(s);
    } else {
        sm_log(level_of(s, worker, WARNED_WRONG), "k2pow", "a worker's result is wrong", "worker=%s group=%u",
               s->r->urls[worker], s->jobs[g->index].group);
    }
}

static void take_refusal(struct group *g, unsigned worker)
{
    struct solve *s = g->s;
    if (atomic_exchange(&s->refused[worker], 1)) return;
    sm_log(SM_LOG_WARN, "k2pow", "a worker does not understand our jobs and is not asked again", "worker=%s",
           s->r->urls[worker]);
    for (size_t i = 0; i < s->r->cfg.urls_n; i++)
        if (!atomic_load(&s->refused[i])) return;
    const struct sm_errinfo why = {
        "every k2pow worker answers 400 (bad request): check the addresses of --remote-k2pow"};
    if (s->r->cfg.fallback_ns)
        leave_to_prover(s, why.text);
    else
        end_with(s, SM_E_REFUSED, &why);
}

/* The worker, or what is in front of it, is unwell. Once, its job may still run there: it is given another chance before a
 * second worker starts the same job. True: that chance. */
static bool stays(struct group *g, unsigned worker)
{
    if (g->accepted_by != worker) return false;
    if (g->strained) {
        g->accepted_by = NOBODY;
        return false;
    }
    g->strained = true;
    return true;
}

static void take_acceptance(struct group *g, unsigned worker)
{
    const uint64_t now = sm_clock_ns();
    if (g->accepted_by != worker) g->accepted_ns = now;
    if (now - g->accepted_ns <= sm_pow_patience_ns(&g->s->jobs[g->index])) note_progress(g->s);
    g->accepted_by = worker;
    g->strained = false;
    g->failures = 0;
}

/* True: the round ends here, with a result or with the job in good hands. */
static bool judge(struct group *g, unsigned worker, const struct sm_http_reply *reply)
{
    switch (reply->status) {
    case 200:
        take_result(g, worker, reply);
        return g->solved;
    case 201:
        take_acceptance(g, worker);
        return true;
    case 400:
        take_refusal(g, worker);
        break;
    case 429:
        if (reply->retry_after_s && (!g->retry_after_s || reply->retry_after_s < g->retry_after_s))
            g->retry_after_s = reply->retry_after_s;
        break;
    case 502: /* bad gateway, service unavailable, gateway timeout */
    case 503:
    case 504:
        return stays(g, worker);
    default:
        sm_log(SM_LOG_DEBUG, "k2pow", "worker answers", "worker=%s status=%u", g->s->r->urls[worker], reply->status);
    }
    if (g->accepted_by == worker) g->accepted_by = NOBODY; /* restarted, or it gave the job up */
    return false;
}

static bool ask(struct group *g, unsigned worker)
{
    struct solve *s = g->s;
    char url[2048];
    struct sm_errinfo ei = {0};
    struct sm_http_reply reply = {0};
    if ((size_t)snprintf(url, sizeof url, "%s%s", s->r->urls[worker], g->path) >= sizeof url) return false;
    const struct sm_http_ask a = {.url = url,
                                  .timeout_ms = s->r->cfg.request_timeout_ms,
                                  .body_max = BODY_MAX,
                                  .cancel = &s->over,
                                  .cancel_too = s->cancel};
    const sm_err err = sm_http_perform(g->http, &a, &reply, &ei);
    if (err == SM_E_CANCELLED) return true;
    if (err) {
        sm_log(level_of(s, worker, WARNED_AWAY), "k2pow", "worker cannot be asked", "worker=%s error=\"%s\"",
               s->r->urls[worker], ei.text);
        return stays(g, worker);
    }
    (void)atomic_fetch_and(&s->warned[worker], ~WARNED_AWAY);
    const bool settled = judge(g, worker, &reply);
    sm_http_reply_fini(&reply);
    return settled;
}

/* Who accepted the job is asked first, and the others only when it does not have it any more. */
static void ask_round(struct group *g)
{
    struct solve *s = g->s;
    const uint32_t first = g->accepted_by;
    g->retry_after_s = 0;
    if (first != NOBODY && ask(g, first)) return;
    for (unsigned i = 0; i < s->r->cfg.urls_n && !is_over(s); i++) {
        const unsigned worker = g->order[i];
        if (worker == first || atomic_load(&s->refused[worker])) continue;
        if (ask(g, worker)) return;
    }
}

static void wait_before_next(struct group *g)
{
    struct solve *s = g->s;
    const struct sm_pow_remote_cfg *cfg = &s->r->cfg;
    const bool runs = g->accepted_by != NOBODY && !g->strained;
    if (!runs) g->failures++;
    const uint64_t ms = sm_pow_backoff_ms(cfg->backoff_first_ms, cfg->backoff_max_ms, g->failures,
                                          runs ? 0 : g->retry_after_s, randombytes_random());
    const uint64_t until = sm_clock_ns() + ms * SM_NS_PER_MS;
    for (uint64_t now = sm_clock_ns(); now < until && !is_over(s); now = sm_clock_ns())
        sm_clock_sleep_ns(until - now < SLICE_NS ? until - now : SLICE_NS);
}

static void solve_one(struct solve *s, struct sm_http_client *http, size_t index)
{
    struct group g = {.s = s, .http = http, .index = index, .accepted_by = NOBODY};
    (void)sm_pow_path_make(&s->jobs[index], g.path);
    sm_pow_remote_order(s->r, &s->jobs[index], g.order);
    while (!is_over(s)) {
        ask_round(&g);
        if (g.solved) return;
        if (!is_over(s)) wait_before_next(&g);
    }
}

static void solve_thread(void *ctx, unsigned index)
{
    struct solve *s = ctx;
    struct sm_http_client *http = NULL;
    struct sm_errinfo ei = {0};
    const struct sm_http_client_cfg cfg = {
        .bearer_token = s->r->token, .ca_file = s->r->ca_file, .connect_timeout_ms = s->r->cfg.request_timeout_ms};
    (void)index;
    const sm_err err = sm_http_client_new(&cfg, &http, &ei);
    if (err) end_with(s, err, &ei);
    while (!err && !is_over(s)) {
        const size_t i = atomic_fetch_add(&s->next, 1);
        if (i >= s->n) break;
        solve_one(s, http, i);
    }
    sm_http_client_free(http);
}

static sm_err remote_solve(void *ctx, const struct sm_k2pow_job *jobs, size_t n,
                           sm_err (*found)(void *, size_t, uint64_t, bool *, struct sm_errinfo *), void *found_ctx,
                           const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    const struct sm_pow_remote *r = ctx;
    struct solve *s = calloc(1, sizeof *s);
    if (!s) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    s->r = r;
    s->jobs = jobs;
    s->n = n;
    s->found = found;
    s->found_ctx = found_ctx;
    s->cancel = cancel;
    (void)pthread_mutex_init(&s->mu, NULL);
    note_progress(s);
    sm_threads_run((unsigned)(n < r->cfg.parallelism ? n : r->cfg.parallelism), solve_thread, s);
    sm_err err = s->err;
    if (err && ei)
        *ei = s->ei;
    else if (!err && !s->left && sm_cancelled(cancel))
        err = sm_fail(ei, SM_E_CANCELLED, "k2pow: cancelled");
    (void)pthread_mutex_destroy(&s->mu);
    free(s);
    return err;
}
