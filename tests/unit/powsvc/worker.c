/* The worker over real HTTP, with RandomX in light mode and trivial difficulties. */
#include "powsvc/worker.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/client.h"
#include "post/k2pow.h"
#include "powsvc/path.h"
#include "powsvc/remote.h"
#include "support/tmpdir.h"
#include "util/clock.h"

static struct sm_pow_worker *start(struct sm_pow_worker_cfg cfg)
{
    struct sm_errinfo ei = {0};
    struct sm_pow_worker *w = NULL;
    cfg.listen = "127.0.0.1:0";
    cfg.threads = 1;
    cfg.randomx.mode = SM_RANDOMX_LIGHT;
    cr_assert_eq(sm_pow_worker_start(&cfg, NULL, &w, &ei), SM_OK, "%s", ei.text);
    return w;
}

/* Needs two hashes on average, or, when hard, more than anybody can make. */
static struct sm_k2pow_job job_of(uint8_t group, bool hard)
{
    struct sm_k2pow_job job = {.group = group};
    memset(job.node_id.b, 0xbe, 32);
    memset(job.challenge.b, 0xaa, 8);
    job.difficulty[hard ? 20 : 0] = 0x80;
    return job;
}

static unsigned ask(struct sm_pow_worker *w, const char *method, const struct sm_k2pow_job *job, const char *path,
                    char body[4096])
{
    char url[512], room[SM_POW_PATH_ROOM];
    struct sm_http_client *c = NULL;
    struct sm_http_reply r = {0};
    struct sm_errinfo ei = {0};
    const struct sm_http_client_cfg cfg = {0};
    (void)snprintf(url, sizeof url, "%s%s", sm_pow_worker_url(w), job ? sm_pow_path_make(job, room) : path);
    const struct sm_http_ask a = {.method = method, .url = url};
    cr_assert_eq(sm_http_client_new(&cfg, &c, &ei), SM_OK);
    cr_assert_eq(sm_http_perform(c, &a, &r, &ei), SM_OK, "%s", ei.text);
    if (body) (void)snprintf(body, 4096, "%s", r.body);
    if (r.status == 429) cr_assert(r.retry_after_s >= 1 && r.retry_after_s <= 60, "%u", r.retry_after_s);
    const unsigned status = r.status;
    sm_http_reply_fini(&r);
    sm_http_client_free(c);
    return status;
}

static uint64_t wait_for_result(struct sm_pow_worker *w, const struct sm_k2pow_job *job)
{
    char body[4096], *end;
    unsigned status;
    while ((status = ask(w, NULL, job, NULL, body)) == 201) sm_clock_sleep_ns(5 * SM_NS_PER_MS);
    cr_assert_eq(status, 200, "%u %s", status, body);
    const uint64_t pow = strtoull(body, &end, 10);
    cr_assert(body[0] && *end == 0, "%s", body);
    return pow;
}

Test(worker, published_interface)
{
    struct sm_pow_worker *w = start((struct sm_pow_worker_cfg){0});
    const struct sm_k2pow_job a = job_of(3, false), hard = job_of(4, true);
    struct sm_randomx *rx = NULL;
    char body[4096];
    bool valid = false;
    cr_assert_eq(ask(w, NULL, NULL, "/", body), 200);
    cr_assert_str_eq(body, "{ 'message': 'ok' }");
    cr_assert_eq(ask(w, NULL, &a, NULL, body), 201);
    cr_assert_str_eq(body, "");
    const uint64_t pow = wait_for_result(w, &a);
    cr_assert_eq(sm_k2pow_open((struct sm_randomx_cfg){.mode = SM_RANDOMX_LIGHT}, NULL, &rx, NULL), SM_OK);
    cr_assert_eq(sm_k2pow_check(rx, &a, pow, &valid, NULL), SM_OK);
    cr_assert(valid);
    sm_randomx_close(rx);

    cr_assert_eq(ask(w, NULL, &hard, NULL, NULL), 201);
    cr_assert_eq(ask(w, NULL, &hard, NULL, NULL), 201);
    const struct sm_k2pow_job b = job_of(5, false);
    cr_assert_eq(ask(w, NULL, &b, NULL, body), 429);
    cr_assert_str_eq(body, "");
    cr_assert_eq(ask(w, NULL, &a, NULL, NULL), 200, "results are told while another job runs");
    cr_assert_eq(ask(w, "DELETE", &hard, NULL, NULL), 204);
    cr_assert_eq(ask(w, "DELETE", &hard, NULL, NULL), 404);
    cr_assert_eq(ask(w, NULL, &b, NULL, NULL), 201);
    (void)wait_for_result(w, &b);
    sm_pow_worker_stop(w);
}

Test(worker, bad_requests)
{
    struct sm_pow_worker *w = start((struct sm_pow_worker_cfg){0});
    char body[4096];
    struct sm_k2pow_job zero = job_of(0, false);
    zero.difficulty[0] = 0;
    cr_assert_eq(ask(w, NULL, NULL, "/job/a/b/c/d", body), 400);
    cr_assert(strstr(body, "miner"), "%s", body);
    cr_assert_eq(ask(w, NULL, &zero, NULL, body), 400);
    cr_assert(strstr(body, "difficulty"), "%s", body);
    cr_assert_eq(ask(w, NULL, NULL, "/job/a/b/c", NULL), 404);
    cr_assert_eq(ask(w, NULL, NULL, "/other", NULL), 404);
    cr_assert_eq(ask(w, "POST", NULL, "/", NULL), 405);
    cr_assert_eq(ask(w, "PUT", &zero, NULL, NULL), 405);
    cr_assert_eq(ask(w, NULL, NULL, "/", NULL), 200, "it still works");
    sm_pow_worker_stop(w);
}

Test(worker, abandoned_job_gives_way)
{
    struct sm_pow_worker *w = start((struct sm_pow_worker_cfg){.abandoned_ns = 200 * SM_NS_PER_MS});
    const struct sm_k2pow_job hard = job_of(1, true), b = job_of(2, false);
    cr_assert_eq(ask(w, NULL, &hard, NULL, NULL), 201);
    while (ask(w, NULL, &b, NULL, NULL) == 429) sm_clock_sleep_ns(5 * SM_NS_PER_MS);
    (void)wait_for_result(w, &b);
    cr_assert_eq(sm_pow_worker_status(w).given_up, 1);
    sm_pow_worker_stop(w);
}

Test(worker, results_survive_a_restart)
{
    char dir[256], path[300];
    const struct sm_k2pow_job a = job_of(9, false);
    const struct sm_pow_worker_cfg cfg = {.state_dir = path};
    (void)snprintf(path, sizeof path, "%s/state", tmpdir_make(dir));
    struct sm_pow_worker *w = start(cfg);
    const uint64_t pow = wait_for_result(w, &a);
    sm_pow_worker_stop(w);
    char body[4096], want[32];
    w = start(cfg);
    (void)snprintf(want, sizeof want, "%" PRIu64, pow);
    cr_assert_eq(ask(w, NULL, &a, NULL, body), 200, "at once");
    cr_assert_str_eq(body, want);
    const struct sm_pow_worker_status s = sm_pow_worker_status(w);
    cr_assert_eq(s.recalled, 1);
    cr_assert_eq(s.created, 0);
    sm_pow_worker_stop(w);

    /* A file with a wrong result is not believed. */
    uint64_t wrong = 0;
    struct sm_randomx *rx = NULL;
    bool valid = true;
    cr_assert_eq(sm_k2pow_open((struct sm_randomx_cfg){.mode = SM_RANDOMX_LIGHT}, NULL, &rx, NULL), SM_OK);
    for (; valid; wrong++) cr_assert_eq(sm_k2pow_check(rx, &a, wrong, &valid, NULL), SM_OK);
    cr_assert_eq(sm_k2pow_cache_put(path, &a, wrong - 1, NULL), SM_OK);
    w = start(cfg);
    cr_assert_eq(ask(w, NULL, &a, NULL, NULL), 201);
    (void)wait_for_result(w, &a);
    sm_pow_worker_stop(w);
    sm_randomx_close(rx);
}

Test(worker, status_and_metrics)
{
    struct sm_pow_worker *w = start((struct sm_pow_worker_cfg){.queue = 3});
    const struct sm_k2pow_job a = job_of(1, false), hard = job_of(2, true), more = job_of(3, true);
    char body[4096];
    (void)wait_for_result(w, &a);
    cr_assert_eq(ask(w, NULL, &hard, NULL, NULL), 201);
    cr_assert_eq(ask(w, NULL, &more, NULL, NULL), 201);
    do cr_assert_eq(ask(w, NULL, NULL, "/status", body), 200);
    while (!strstr(body, "\"running\": 1")); /* the job thread takes it soon */
    json_t *o = json_loads(body, 0, NULL);
    cr_assert(o, "%s", body);
    cr_assert_eq(json_integer_value(json_object_get(o, "waiting")), 1);
    cr_assert_eq(json_integer_value(json_object_get(o, "jobs_created")), 3);
    cr_assert_eq(json_integer_value(json_object_get(o, "jobs_done")), 1);
    cr_assert_eq(json_integer_value(json_object_get(o, "queue")), 3);
    const json_t *running = json_object_get(o, "job");
    cr_assert_str_eq(json_string_value(json_object_get(running, "miner")), "bebebebebe");
    cr_assert_eq(json_integer_value(json_object_get(running, "nonce_group")), 2);
    json_decref(o);
    cr_assert_eq(ask(w, NULL, NULL, "/metrics", body), 200);
    cr_assert(strstr(body, "\nsmesher_k2pow_jobs_total{event=\"created\"} 3\n"), "%s", body);
    cr_assert(strstr(body, "\nsmesher_k2pow_jobs{state=\"waiting\"} 1\n"), "%s", body);
    sm_pow_worker_stop(w); /* with a job running and one waiting */
}

struct checking {
    struct sm_randomx *rx;
    struct sm_k2pow_job *jobs;
    size_t n;
};

static sm_err check_found(void *ctx, size_t i, uint64_t pow, bool *out_valid, struct sm_errinfo *ei)
{
    struct checking *c = ctx;
    const sm_err err = sm_k2pow_check(c->rx, &c->jobs[i], pow, out_valid, ei);
    if (*out_valid) c->n++;
    return err;
}

/* Our client and two of our workers, with more groups than they take at a time. */
Test(worker, with_our_client)
{
    struct sm_pow_worker *w[2] = {start((struct sm_pow_worker_cfg){0}), start((struct sm_pow_worker_cfg){.queue = 2})};
    const char *urls[2] = {sm_pow_worker_url(w[0]), sm_pow_worker_url(w[1])};
    struct sm_k2pow_job jobs[8];
    struct checking c = {.jobs = jobs};
    struct sm_pow_remote *r = NULL;
    struct sm_errinfo ei = {0};
    const struct sm_pow_remote_cfg cfg = {
        .urls = urls, .urls_n = 2, .parallelism = 8, .backoff_first_ms = 10, .backoff_max_ms = 100};
    for (unsigned i = 0; i < 8; i++) jobs[i] = job_of((uint8_t)i, false);
    cr_assert_eq(sm_k2pow_open((struct sm_randomx_cfg){.mode = SM_RANDOMX_LIGHT}, NULL, &c.rx, NULL), SM_OK);
    cr_assert_eq(sm_pow_remote_new(&cfg, &r, &ei), SM_OK, "%s", ei.text);
    const struct sm_k2pow_source *s = sm_pow_remote_source(r);
    cr_assert_eq(s->solve(s->ctx, jobs, 8, check_found, &c, NULL, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(c.n, 8);
    sm_pow_remote_free(r);
    sm_randomx_close(c.rx);
    for (int i = 0; i < 2; i++) sm_pow_worker_stop(w[i]);
}
