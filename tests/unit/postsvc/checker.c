/* Verification threads: verdicts come back on the loop, and so does what was not begun. Proofs: vectors/post_proofs.json. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "kit.h"
#include "postsvc/checker.h"

#define JOBS 4u

static struct kit kit;

static struct {
    struct sm_loop *loop;
    unsigned n, valid, invalid, cancelled;
} got;

static void done(void *ctx, struct sm_post_check *job, sm_err err, const struct sm_verdict *verdict, const char *text)
{
    (void)ctx;
    if (err == SM_E_CANCELLED)
        got.cancelled++;
    else {
        cr_assert_eq(err, SM_OK, "%s", text);
        if (job->serial % 2)
            cr_assert_neq(verdict->code, SM_VERDICT_VALID);
        else
            cr_assert_eq(verdict->code, SM_VERDICT_VALID, "%s", verdict->text);
        verdict->code == SM_VERDICT_VALID ? got.valid++ : got.invalid++;
    }
    free(job);
    if (++got.n == JOBS) sm_loop_stop(got.loop);
}

static struct sm_post_checker *checker(unsigned threads)
{
    static const struct sm_randomx_cfg light = {.mode = SM_RANDOMX_LIGHT};
    struct sm_post_checker *c = NULL;
    struct sm_errinfo ei = {0};
    kit = kit_load();
    cr_assert_eq(sm_loop_new(&got.loop, &ei), SM_OK, "%s", ei.text);
    const struct sm_post_checker_cfg cfg = {
        .loop = got.loop, .params = &kit.params, .randomx = &light, .threads = threads, .done = done};
    cr_assert_eq(sm_post_checker_new(&cfg, &c, &ei), SM_OK, "%s", ei.text);
    return c;
}

static void add_jobs(struct sm_post_checker *c)
{
    for (unsigned i = 0; i < JOBS; i++) { /* odd ones are damaged */
        struct sm_post_check *job = calloc(1, sizeof *job);
        job->serial = i;
        job->what.proof = kit.proof;
        job->what.meta = kit.meta;
        job->what.proof.indices[2] ^= (uint8_t)(i % 2);
        cr_assert(sm_post_checker_add(c, job));
    }
}

Test(post_checker, tells_valid_proofs_from_damaged_ones_on_the_loop)
{
    struct sm_post_checker *c = checker(2);
    add_jobs(c);
    cr_assert_eq(sm_loop_run(got.loop, NULL, NULL), SM_OK);
    cr_assert_eq(got.valid, JOBS / 2);
    cr_assert_eq(got.invalid, JOBS / 2);
    sm_post_checker_free(c);
    sm_loop_free(got.loop);
}

Test(post_checker, gives_back_every_job_when_it_ends)
{
    struct sm_post_checker *c = checker(1);
    add_jobs(c);
    sm_post_checker_free(c);
    cr_assert_eq(got.n, JOBS);
    cr_assert_geq(got.cancelled, 1);
    sm_loop_free(got.loop);
}
