/* The job table, with a clock of our own. */
#include "powsvc/jobs.h"

#include <criterion/criterion.h>
#include <string.h>

#include "support/vectors.h"
#include "util/clock.h"

#define MINUTE (60 * SM_NS_PER_S)
#define HOUR   (60 * MINUTE)
#define T0     (1000 * HOUR)

static struct sm_pow_jobs *table(unsigned accepted)
{
    struct sm_pow_jobs *t = NULL;
    const struct sm_pow_jobs_cfg cfg = {
        .accepted = accepted, .abandoned_ns = 10 * MINUTE, .keep_ns = 24 * HOUR, .results_max = 4};
    cr_assert_eq(sm_pow_jobs_new(&cfg, &t, NULL), SM_OK);
    return t;
}

static struct sm_k2pow_job job_of(char name)
{
    struct sm_k2pow_job job = {.group = (uint8_t)name};
    memset(job.node_id.b, 7, sizeof job.node_id.b);
    return job;
}

static sm_pow_state ask(struct sm_pow_jobs *t, char name, uint64_t now)
{
    const struct sm_k2pow_job job = job_of(name);
    return sm_pow_jobs_ask(t, &job, now).state;
}

static char run_next(struct sm_pow_jobs *t)
{
    struct sm_k2pow_job job;
    return sm_pow_jobs_next(t, &job) ? (char)job.group : 0;
}

/* The sequence of the published worker's tests. */
Test(jobs, published_sequence)
{
    static const char *const names[] = {"created", "in progress", "done", "failed", "too many jobs"};
    json_t *file = vec_load("powsvc-k2pow.json"), *row;
    struct sm_pow_jobs *t = table(1);
    size_t i;
    json_array_foreach(vec_get(file, "sequence"), i, row)
    {
        if (json_object_get(row, "finish")) {
            sm_pow_jobs_finish(t, SM_OK, 1234, NULL, T0 + i);
            continue;
        }
        const sm_pow_state state = ask(t, vec_str(row, "job")[0], T0 + i);
        cr_assert_str_eq(names[state], vec_str(row, "state"), "step %zu", i);
        (void)run_next(t);
    }
    cr_assert_eq(i, 7);
    sm_pow_jobs_free(t);
    json_decref(file);
}

Test(jobs, the_four_values_are_the_job)
{
    struct sm_pow_jobs *t = table(16);
    struct sm_k2pow_job a = job_of('A'), b[5];
    for (int i = 0; i < 5; i++) b[i] = a;
    b[0].node_id.b[31] ^= 1;
    b[1].group ^= 1;
    b[2].challenge.b[7] ^= 1;
    b[3].difficulty[31] ^= 1;
    b[4].challenge.b[8] ^= 1; /* only eight bytes count */
    cr_assert_eq(sm_pow_jobs_ask(t, &a, T0).state, SM_POW_CREATED);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(sm_pow_jobs_ask(t, &b[i], T0).state, i < 4 ? SM_POW_CREATED : SM_POW_IN_PROGRESS, "%d", i);
    sm_pow_jobs_free(t);
}

Test(jobs, results_live_a_day)
{
    struct sm_pow_jobs *t = table(1);
    const struct sm_k2pow_job a = job_of('A');
    cr_assert_eq(ask(t, 'A', T0), SM_POW_CREATED);
    cr_assert_eq(run_next(t), 'A');
    sm_pow_jobs_finish(t, SM_OK, 77, NULL, T0);
    const struct sm_pow_answer r = sm_pow_jobs_ask(t, &a, T0 + 24 * HOUR - 1);
    cr_assert_eq(r.state, SM_POW_DONE);
    cr_assert_eq(r.pow, 77);
    cr_assert(sm_pow_jobs_knows(t, &a, T0 + 24 * HOUR - 1));
    cr_assert_not(sm_pow_jobs_knows(t, &a, T0 + 24 * HOUR));
    cr_assert_eq(ask(t, 'A', T0 + 24 * HOUR), SM_POW_CREATED);
    cr_assert_eq(sm_pow_jobs_count(t).results, 0);
    sm_pow_jobs_free(t);
}

Test(jobs, results_are_bounded)
{
    struct sm_pow_jobs *t = table(1);
    for (char c = 'A'; c < 'A' + 6; c++) {
        const struct sm_k2pow_job job = job_of(c);
        sm_pow_jobs_learn(t, &job, (uint64_t)c, T0 + (uint64_t)c);
        sm_pow_jobs_learn(t, &job, (uint64_t)c, T0 + (uint64_t)c); /* twice is one */
    }
    cr_assert_eq(sm_pow_jobs_count(t).results, 4);
    for (char c = 'A'; c < 'A' + 6; c++) {
        const struct sm_k2pow_job job = job_of(c);
        cr_assert_eq(sm_pow_jobs_knows(t, &job, T0 + 200), c >= 'C', "%c", c);
    }
    sm_pow_jobs_free(t);
}

Test(jobs, failures_are_told_once)
{
    struct sm_pow_jobs *t = table(1);
    const struct sm_k2pow_job a = job_of('A');
    cr_assert_eq(ask(t, 'A', T0), SM_POW_CREATED);
    cr_assert_eq(run_next(t), 'A');
    sm_pow_jobs_finish(t, SM_E_NOMEM, 0, "no memory for RandomX", T0);
    const struct sm_pow_answer r = sm_pow_jobs_ask(t, &a, T0 + 1);
    cr_assert_eq(r.state, SM_POW_FAILED);
    cr_assert_str_eq(r.why, "no memory for RandomX");
    cr_assert_eq(ask(t, 'A', T0 + 2), SM_POW_CREATED);
    cr_assert_eq(run_next(t), 'A');
    sm_pow_jobs_free(t);
}

Test(jobs, queue_in_order_of_arrival)
{
    struct sm_pow_jobs *t = table(3);
    cr_assert_eq(ask(t, 'A', T0), SM_POW_CREATED);
    cr_assert_eq(ask(t, 'B', T0), SM_POW_CREATED);
    cr_assert_eq(run_next(t), 'A');
    cr_assert_eq(run_next(t), 0, "one at a time");
    cr_assert_eq(ask(t, 'C', T0), SM_POW_CREATED);
    cr_assert_eq(ask(t, 'D', T0), SM_POW_TOO_MANY);
    cr_assert_eq(sm_pow_jobs_count(t).waiting, 2);
    sm_pow_jobs_finish(t, SM_OK, 1, NULL, T0);
    cr_assert_eq(ask(t, 'D', T0), SM_POW_CREATED);
    cr_assert_eq(run_next(t), 'B');
    sm_pow_jobs_finish(t, SM_OK, 1, NULL, T0);
    cr_assert_eq(run_next(t), 'C');
    sm_pow_jobs_free(t);
}

Test(jobs, abandoned_gives_way_when_another_waits)
{
    struct sm_pow_jobs *t = table(1);
    cr_assert_eq(ask(t, 'A', T0), SM_POW_CREATED);
    cr_assert_eq(run_next(t), 'A');
    cr_assert_eq(ask(t, 'A', T0 + 30 * MINUTE), SM_POW_IN_PROGRESS, "nobody else waits");
    cr_assert_eq(ask(t, 'B', T0 + 40 * MINUTE - 1), SM_POW_TOO_MANY);
    cr_assert_not(sm_pow_jobs_running_unwanted(t));
    cr_assert_eq(ask(t, 'B', T0 + 40 * MINUTE), SM_POW_CREATED);
    cr_assert(sm_pow_jobs_running_unwanted(t));
    cr_assert_eq(run_next(t), 0, "A is still being stopped");
    sm_pow_jobs_finish(t, SM_E_CANCELLED, 0, NULL, T0 + 40 * MINUTE);
    cr_assert_not(sm_pow_jobs_running_unwanted(t));
    cr_assert_eq(run_next(t), 'B');
    cr_assert_eq(ask(t, 'A', T0 + 41 * MINUTE), SM_POW_TOO_MANY, "A starts anew");
    sm_pow_jobs_free(t);
}

Test(jobs, abandoned_in_the_queue)
{
    struct sm_pow_jobs *t = table(2);
    cr_assert_eq(ask(t, 'A', T0), SM_POW_CREATED);
    cr_assert_eq(run_next(t), 'A');
    cr_assert_eq(ask(t, 'B', T0), SM_POW_CREATED);
    cr_assert_eq(ask(t, 'A', T0 + 10 * MINUTE), SM_POW_IN_PROGRESS); /* B has given way */
    cr_assert_eq(sm_pow_jobs_count(t).waiting, 0);
    cr_assert_eq(ask(t, 'C', T0 + 10 * MINUTE), SM_POW_CREATED);
    /* The waiting one's polls are what ends a running one that nobody polls. */
    cr_assert_eq(ask(t, 'C', T0 + 19 * MINUTE), SM_POW_IN_PROGRESS);
    cr_assert_not(sm_pow_jobs_running_unwanted(t));
    cr_assert_eq(ask(t, 'C', T0 + 20 * MINUTE), SM_POW_IN_PROGRESS);
    cr_assert(sm_pow_jobs_running_unwanted(t));
    sm_pow_jobs_finish(t, SM_E_CANCELLED, 0, NULL, T0 + 20 * MINUTE);
    cr_assert_eq(run_next(t), 'C');
    sm_pow_jobs_free(t);
}

Test(jobs, cancelled)
{
    struct sm_pow_jobs *t = table(2);
    const struct sm_k2pow_job a = job_of('A'), b = job_of('B');
    cr_assert_not(sm_pow_jobs_cancel(t, &a));
    (void)ask(t, 'A', T0);
    (void)ask(t, 'B', T0);
    cr_assert_eq(run_next(t), 'A');
    cr_assert(sm_pow_jobs_cancel(t, &b));
    cr_assert_not(sm_pow_jobs_running_unwanted(t));
    cr_assert(sm_pow_jobs_cancel(t, &a));
    cr_assert(sm_pow_jobs_running_unwanted(t));
    cr_assert_not(sm_pow_jobs_cancel(t, &a));
    cr_assert_eq(sm_pow_jobs_count(t).running, 1);
    cr_assert_eq(sm_pow_jobs_count(t).waiting, 0);
    sm_pow_jobs_finish(t, SM_E_CANCELLED, 0, NULL, T0);
    cr_assert_eq(sm_pow_jobs_count(t).running, 0);
    cr_assert_eq(run_next(t), 0);
    cr_assert_eq(sm_pow_jobs_count(t).results, 0);
    sm_pow_jobs_free(t);
}

/* Asked for again while it is being stopped, and found after all: nothing is searched twice. */
Test(jobs, found_while_being_stopped)
{
    struct sm_pow_jobs *t = table(1);
    const struct sm_k2pow_job a = job_of('A');
    (void)ask(t, 'A', T0);
    (void)run_next(t);
    cr_assert(sm_pow_jobs_cancel(t, &a));
    cr_assert_eq(ask(t, 'A', T0), SM_POW_CREATED);
    sm_pow_jobs_finish(t, SM_OK, 5, NULL, T0);
    cr_assert_eq(run_next(t), 0);
    cr_assert_eq(ask(t, 'A', T0), SM_POW_DONE);
    sm_pow_jobs_free(t);
}

/* A failure of what nobody wants any more is nobody's. */
Test(jobs, failed_while_being_stopped)
{
    struct sm_pow_jobs *t = table(1);
    const struct sm_k2pow_job a = job_of('A');
    (void)ask(t, 'A', T0);
    (void)run_next(t);
    cr_assert(sm_pow_jobs_cancel(t, &a));
    cr_assert_eq(ask(t, 'A', T0), SM_POW_CREATED);
    sm_pow_jobs_finish(t, SM_E_NOMEM, 0, "x", T0);
    cr_assert_eq(ask(t, 'A', T0), SM_POW_IN_PROGRESS);
    cr_assert_eq(run_next(t), 'A');
    sm_pow_jobs_free(t);
}

Test(jobs, refusals)
{
    struct sm_pow_jobs *t = NULL;
    struct sm_pow_jobs_cfg cfg = {.accepted = 0, .results_max = 1};
    cr_assert_eq(sm_pow_jobs_new(&cfg, &t, NULL), SM_E_ARG);
    cfg.accepted = 1025;
    cr_assert_eq(sm_pow_jobs_new(&cfg, &t, NULL), SM_E_ARG);
    sm_pow_jobs_free(NULL);
}
