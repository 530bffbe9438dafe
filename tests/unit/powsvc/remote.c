/* The client of several workers, against servers of ours that answer by script. What holds is decided here, so that no
 * RandomX is needed. */
#include "powsvc/remote.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/server.h"
#include "powsvc/path.h"
#include "util/clock.h"

#define SERVERS 4u
#define GROUPS  12u

/* A worker: the answers to the requests for a group, in turn; the last one is repeated. 200 gives 1000 + group. */
struct worker {
    struct sm_http_server *server;
    unsigned script[8];
    const char *body; /* of a 200, instead */
    atomic_uint asked, per_group[256];
};

static void on_request(void *ctx, const struct sm_http_request *rq, struct sm_http_response *out)
{
    struct worker *w = ctx;
    struct sm_k2pow_job job;
    const char *path = strstr(rq->path, "/job/"); /* behind a prefix */
    cr_assert(path && sm_pow_path_parse(path, &job, NULL) == SM_OK, "%s", rq->path);
    atomic_fetch_add(&w->asked, 1);
    unsigned turn = atomic_fetch_add(&w->per_group[job.group], 1), i = 0;
    while (turn-- && w->script[i + 1]) i++;
    out->status = w->script[i];
    if (out->status == 200 && w->body)
        sm_http_response_text(out, 200, "%s", w->body);
    else if (out->status == 200)
        sm_http_response_text(out, 200, "%u", 1000u + job.group);
}

struct fixture {
    struct worker workers[SERVERS];
    const char *urls[SERVERS];
    char text[SERVERS][96];
    size_t n;
    struct sm_k2pow_job jobs[GROUPS];
    uint64_t pow[GROUPS];
    unsigned found, wrong;
    struct sm_cancel cancel;
    bool cancel_at_first;
    sm_err found_err;
};

static void add(struct fixture *f, const char *suffix, const unsigned script[8])
{
    struct worker *w = &f->workers[f->n];
    struct sm_errinfo ei = {0};
    const struct sm_http_server_cfg cfg = {.listen = "127.0.0.1:0", .handler = on_request, .ctx = w};
    memcpy(w->script, script, sizeof w->script);
    cr_assert_eq(sm_http_server_start(&cfg, &w->server, &ei), SM_OK, "%s", ei.text);
    (void)snprintf(f->text[f->n], sizeof f->text[0], "%s%s", sm_http_server_url(w->server), suffix);
    f->urls[f->n] = f->text[f->n];
    f->n++;
}
#define SCRIPT(...) ((const unsigned[8]){__VA_ARGS__})

static sm_err found(void *ctx, size_t i, uint64_t pow, bool *out_valid, struct sm_errinfo *ei)
{
    struct fixture *f = ctx;
    *out_valid = pow == 1000u + f->jobs[i].group;
    if (f->found_err) return sm_fail(ei, f->found_err, "no memory");
    if (f->cancel_at_first) sm_cancel_request(&f->cancel);
    if (*out_valid) {
        f->pow[i] = pow;
        f->found++;
    } else {
        f->wrong++;
    }
    return SM_OK;
}

static sm_err solve(struct fixture *f, uint64_t fallback_ns, struct sm_errinfo *ei)
{
    struct sm_pow_remote *r = NULL;
    const struct sm_pow_remote_cfg cfg = {.urls = f->urls,
                                          .urls_n = f->n,
                                          .parallelism = 4,
                                          .backoff_first_ms = 4,
                                          .backoff_max_ms = 20,
                                          .request_timeout_ms = 5000,
                                          .fallback_ns = fallback_ns};
    for (unsigned i = 0; i < GROUPS; i++) {
        f->jobs[i] = (struct sm_k2pow_job){.group = (uint8_t)(i * 21)};
        memset(f->jobs[i].difficulty, 0xff, 32);
    }
    cr_assert_eq(sm_pow_remote_new(&cfg, &r, ei), SM_OK, "%s", ei->text);
    const struct sm_k2pow_source *s = sm_pow_remote_source(r);
    const sm_err err = s->solve(s->ctx, f->jobs, GROUPS, found, f, &f->cancel, ei);
    sm_pow_remote_free(r);
    return err;
}

static void stop(struct fixture *f)
{
    for (size_t i = 0; i < f->n; i++) sm_http_server_stop(f->workers[i].server);
}

static void expect_all(struct fixture *f)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(solve(f, 0, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(f->found, GROUPS);
    for (unsigned i = 0; i < GROUPS; i++) cr_assert_eq(f->pow[i], 1000u + f->jobs[i].group);
    stop(f);
}

Test(remote, one_worker)
{
    struct fixture f = {0};
    add(&f, "", SCRIPT(201, 201, 201, 200));
    expect_all(&f);
    cr_assert_eq(atomic_load(&f.workers[0].asked), 4 * GROUPS);
    cr_assert_eq(f.wrong, 0);
}

Test(remote, prefix_and_slash)
{
    struct fixture f = {0};
    add(&f, "/pow/one//", SCRIPT(200));
    expect_all(&f);
}

/* Everything but 200 and 400 is tried again. */
Test(remote, bad_weather)
{
    struct fixture f = {0};
    add(&f, "", SCRIPT(500, 502, 429, 201, 404, 401, 200));
    expect_all(&f);
}

Test(remote, busy_workers_are_skipped)
{
    struct fixture f = {0};
    add(&f, "", SCRIPT(429));
    add(&f, "", SCRIPT(200));
    add(&f, "", SCRIPT(429));
    expect_all(&f);
    cr_assert_eq(atomic_load(&f.workers[1].asked), GROUPS);
}

/* The job stays with the worker that accepted it: no other one is asked. */
Test(remote, stays_with_who_accepted)
{
    struct fixture f = {0};
    for (int i = 0; i < 3; i++) add(&f, "", SCRIPT(201, 201, 201, 201, 200));
    expect_all(&f);
    for (unsigned i = 0; i < GROUPS; i++) {
        unsigned asked = 0;
        for (size_t k = 0; k < 3; k++) asked += atomic_load(&f.workers[k].per_group[f.jobs[i].group]) != 0;
        cr_assert_eq(asked, 1, "group %u", f.jobs[i].group);
    }
    for (size_t k = 0; k < 3; k++) cr_assert_neq(atomic_load(&f.workers[k].asked), 5 * GROUPS, "the groups are spread");
}

/* One bad moment of the worker, or of a proxy, does not start the job a second time elsewhere; two do. */
Test(remote, one_failure_is_forgiven)
{
    struct fixture f = {0};
    for (int i = 0; i < 3; i++) add(&f, "", SCRIPT(201, 503, 201, 502, 200));
    expect_all(&f);
    cr_assert_eq(atomic_load(&f.workers[0].asked) + atomic_load(&f.workers[1].asked) + atomic_load(&f.workers[2].asked),
                 5 * GROUPS);

    struct fixture g = {0};
    add(&g, "", SCRIPT(201, 503));
    add(&g, "", SCRIPT(429, 200));
    expect_all(&g);
}

Test(remote, lies_are_noticed)
{
    static const char *const lies[] = {
        "", "17", "-1", "1000 ", "x", "99999999999999999999", "72057594037927936", "1.0", "<html>no</html>"};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct fixture f = {0};
        add(&f, "", SCRIPT(200));
        add(&f, "", SCRIPT(429, 200));
        f.workers[0].body = lies[i];
        expect_all(&f);
    }
}

Test(remote, dead_workers)
{
    struct fixture f = {0};
    add(&f, "", SCRIPT(200));
    add(&f, "", SCRIPT(200));
    sm_http_server_stop(f.workers[0].server); /* nobody listens there any more */
    f.workers[0].server = NULL;
    expect_all(&f);
}

Test(remote, bad_request_is_final)
{
    struct fixture f = {0};
    struct sm_errinfo ei = {0};
    add(&f, "", SCRIPT(400));
    cr_assert_eq(solve(&f, 0, &ei), SM_E_REFUSED);
    cr_assert(strstr(ei.text, "400"), "%s", ei.text);
    stop(&f);

    struct fixture g = {0}; /* with a fallback the rest is left */
    add(&g, "", SCRIPT(400));
    cr_assert_eq(solve(&g, 3600 * SM_NS_PER_S, &ei), SM_OK);
    cr_assert_eq(g.found, 0);
    stop(&g);

    struct fixture h = {0}; /* one sane worker is enough */
    add(&h, "", SCRIPT(400));
    add(&h, "", SCRIPT(429, 200));
    expect_all(&h);
}

/* 201 for ever: accepted, but nothing comes of it. */
Test(remote, falls_back)
{
    struct fixture f = {0};
    struct sm_errinfo ei = {0};
    add(&f, "", SCRIPT(201));
    cr_assert_eq(solve(&f, 100 * SM_NS_PER_MS, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(f.found, 0);
    stop(&f);
}

Test(remote, cancelled)
{
    struct fixture f = {0};
    struct sm_errinfo ei = {0};
    add(&f, "", SCRIPT(200));
    f.cancel_at_first = true;
    f.workers[0].script[0] = 200;
    const sm_err err = solve(&f, 0, &ei);
    cr_assert_eq(err, SM_E_CANCELLED, "%s", sm_err_name(err));
    cr_assert_geq(f.found, 1);
    stop(&f);

    struct fixture g = {0};
    add(&g, "", SCRIPT(201));
    sm_cancel_request(&g.cancel);
    cr_assert_eq(solve(&g, 0, &ei), SM_E_CANCELLED);
    cr_assert_eq(atomic_load(&g.workers[0].asked), 0);
    stop(&g);
}

Test(remote, failures_of_found_end_it)
{
    struct fixture f = {.found_err = SM_E_NOMEM};
    struct sm_errinfo ei = {0};
    add(&f, "", SCRIPT(200));
    cr_assert_eq(solve(&f, 0, &ei), SM_E_NOMEM);
    cr_assert_str_eq(ei.text, "no memory");
    stop(&f);
}

/* ---- order and waits ---- */

static struct sm_pow_remote *named(const char *const *urls, size_t n)
{
    struct sm_pow_remote *r = NULL;
    const struct sm_pow_remote_cfg cfg = {.urls = urls, .urls_n = n};
    cr_assert_eq(sm_pow_remote_new(&cfg, &r, NULL), SM_OK);
    return r;
}

Test(order, is_a_permutation_spread_and_stable)
{
    static const char *const urls[] = {"http://a", "http://b", "http://c", "http://d"};
    struct sm_pow_remote *four = named(urls, 4), *three = named(urls, 3);
    unsigned firsts[4] = {0};
    for (unsigned g = 0; g < 256; g++) {
        const struct sm_k2pow_job job = {.group = (uint8_t)g};
        unsigned a[4], b[3], seen = 0, k = 0;
        sm_pow_remote_order(four, &job, a);
        sm_pow_remote_order(three, &job, b);
        for (unsigned i = 0; i < 4; i++) seen |= 1u << a[i];
        cr_assert_eq(seen, 15);
        firsts[a[0]]++;
        for (unsigned i = 0; i < 4; i++)
            if (a[i] != 3) cr_assert_eq(a[i], b[k++], "the others keep their order");
    }
    for (unsigned i = 0; i < 4; i++) cr_assert(firsts[i] > 32 && firsts[i] < 96, "%u first of 256: %u", i, firsts[i]);
    sm_pow_remote_free(four);
    sm_pow_remote_free(three);
}

Test(backoff, grows_and_is_bounded)
{
    static const uint64_t full[] = {5000, 10000, 20000, 40000, 60000, 60000};
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(sm_pow_backoff_ms(5000, 60000, i + 1, 0, 0), full[i] / 2);
        cr_assert_eq(sm_pow_backoff_ms(5000, 60000, i + 1, 0, (uint32_t)(full[i] / 2)), full[i]);
        for (uint32_t r = 0; r < 100000; r += 997) cr_assert_leq(sm_pow_backoff_ms(5000, 60000, i + 1, 0, r), full[i]);
    }
    cr_assert_leq(sm_pow_backoff_ms(5000, 60000, UINT32_MAX, 0, UINT32_MAX), 60000);
    cr_assert_leq(sm_pow_backoff_ms(1, 1, 1, 0, 7), 1);
}

/* A job that runs is asked about at the first interval for as long as it takes. */
Test(backoff, a_running_job_is_no_failure)
{
    for (uint32_t r = 0; r < 100000; r += 997) {
        const uint64_t ms = sm_pow_backoff_ms(5000, 60000, 0, 0, r);
        cr_assert(ms >= 2500 && ms <= 5000, "%llu", (unsigned long long)ms);
    }
}

Test(backoff, workers_know_when_they_are_free)
{
    for (unsigned failures = 1; failures < 9; failures++)
        for (uint32_t r = 0; r < 100000; r += 997) {
            const uint64_t ms = sm_pow_backoff_ms(5000, 60000, failures, 7, r);
            cr_assert(ms >= 7000 && ms <= 9500, "%llu", (unsigned long long)ms);
        }
    cr_assert_eq(sm_pow_backoff_ms(5000, 60000, 1, UINT32_MAX, UINT32_MAX), 60000);
}

/* A thousand units take a slow worker hours, and that is no reason to give it up. */
Test(backoff, patience_is_that_of_a_slow_worker)
{
    struct sm_k2pow_job job = {0};
    cr_assert_geq(sm_pow_patience_ns(&job), 86400 * SM_NS_PER_S, "even a job that never ends");
    memset(job.difficulty, 0xff, 32);
    cr_assert_leq(sm_pow_patience_ns(&job), SM_NS_PER_S / 10);
    job.difficulty[0] = 0; /* 256 hashes … */
    const uint64_t one = sm_pow_patience_ns(&job);
    cr_assert(one >= 5 * SM_NS_PER_S && one <= 6 * SM_NS_PER_S);
    job.difficulty[1] = 0; /* … and 256 times as many */
    cr_assert_leq(sm_pow_patience_ns(&job) / one, 257);
    cr_assert_geq(sm_pow_patience_ns(&job) / one, 255);
}

Test(refusals, addresses)
{
    static const char *const bad[] = {
        "", "worker:3000", "ftp://worker", "http://u:secret@worker", "http://worker/?a=b", "http://worker/#x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sm_pow_remote *r = NULL;
        struct sm_errinfo ei = {0};
        const struct sm_pow_remote_cfg cfg = {.urls = &bad[i], .urls_n = 1};
        cr_assert_eq(sm_pow_remote_new(&cfg, &r, &ei), SM_E_ARG, "%s", bad[i]);
        cr_assert(ei.text[0] && !strstr(ei.text, "secret"), "%s", ei.text);
    }
    struct sm_pow_remote *r = NULL;
    const struct sm_pow_remote_cfg none = {0};
    cr_assert_eq(sm_pow_remote_new(&none, &r, NULL), SM_E_ARG);
}
