/* Verification threads: verdicts come back on the loop, and so does what was not begun. Proofs: vectors/post_proofs.json. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "postsvc/checker.h"
#include "support/vectors.h"

#define JOBS 4u

static struct sm_post_params params = {
    .min_num_units = 1, .max_num_units = 100, .k3 = 1, .nonces = 16, .num_units = 1, .max_file_size = 1024};
static struct sm_proof proof;
static struct sm_proof_meta meta;

static struct {
    struct sm_loop *loop;
    unsigned n, valid, invalid, cancelled;
} got;

static void load(void)
{
    json_t *file = vec_load("post_proofs.json");
    const json_t *p = json_array_get(file, 0), *q = vec_get(p, "proof");
    size_t n;
    uint8_t *indices = vec_hex_var(q, "indices_hex", &n);
    params.labels_per_unit = vec_u64(p, "labels_per_unit");
    params.k1 = (uint32_t)vec_u64(p, "k1");
    params.k2 = (uint32_t)vec_u64(p, "k2");
    params.scrypt_n = (uint32_t)vec_u64(vec_get(p, "scrypt"), "n");
    vec_hex(p, "pow_difficulty_hex", params.pow_difficulty, 32);
    vec_hex(p, "node_id_hex", meta.node_id.b, 32);
    vec_hex(p, "commitment_atx_id_hex", meta.commitment_atx_id.b, 32);
    vec_hex(p, "challenge_hex", meta.challenge.b, 32);
    meta.num_units = (uint32_t)vec_u64(p, "num_units");
    meta.labels_per_unit = params.labels_per_unit;
    proof.nonce = (uint32_t)vec_u64(q, "nonce");
    proof.pow = vec_u64(q, "pow");
    proof.indices_n = (uint32_t)n;
    memcpy(proof.indices, indices, n);
    free(indices);
    json_decref(file);
}

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
    load();
    cr_assert_eq(sm_loop_new(&got.loop, &ei), SM_OK, "%s", ei.text);
    const struct sm_post_checker_cfg cfg = {
        .loop = got.loop, .params = &params, .randomx = &light, .threads = threads, .done = done};
    cr_assert_eq(sm_post_checker_new(&cfg, &c, &ei), SM_OK, "%s", ei.text);
    return c;
}

static void add_jobs(struct sm_post_checker *c)
{
    for (unsigned i = 0; i < JOBS; i++) { /* odd ones are damaged */
        struct sm_post_check *job = calloc(1, sizeof *job);
        job->serial = i;
        job->what.proof = proof;
        job->what.meta = meta;
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
