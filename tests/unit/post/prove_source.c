/* Proofs of work from elsewhere: checked, kept, and completed here. */
#include "unit/post/prove_cases.h"

/* Answers the groups of `mask`, each first with a wrong value; counts what it was asked. */
struct elsewhere {
    const struct prove_case *c;
    uint64_t mask;
    unsigned calls, jobs, wrong;
    sm_err end;
};

static sm_err solve(void *ctx, const struct sm_k2pow_job *jobs, size_t n,
                    sm_err (*found)(void *, size_t, uint64_t, bool *, struct sm_errinfo *), void *found_ctx,
                    const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    struct elsewhere *e = ctx;
    (void)cancel;
    e->calls++;
    for (size_t i = n; i-- > 0;) { /* any order */
        bool valid = false;
        e->jobs++;
        if (!(e->mask >> jobs[i].group & 1)) continue;
        cr_assert_eq(found(found_ctx, i, SM_K2POW_NONCE_MAX + 1, &valid, ei), SM_OK);
        if (!valid) e->wrong++;
        cr_assert_eq(found(found_ctx, i, e->c->group_pow[jobs[i].group], &valid, ei), SM_OK);
        cr_assert(valid, "group %u", jobs[i].group);
        cr_assert_eq(found(found_ctx, i, e->c->group_pow[jobs[i].group], &valid, ei), SM_OK); /* twice is harmless */
        cr_assert(valid);
    }
    return e->end ? sm_fail(ei, e->end, "no more") : SM_OK;
}

static sm_err prove(const struct prove_case *c, const char *dir, struct elsewhere *e, struct sm_errinfo *ei)
{
    struct sm_prove_result *r = calloc(1, sizeof *r);
    const struct sm_k2pow_source source = {.solve = solve, .ctx = e};
    struct sm_prove_cfg cfg = cfg_of(c, dir);
    cfg.k2pow = &source;
    e->c = c;
    sm_err err = sm_prove_run(&cfg, NULL, r, ei);
    if (!err) assert_proof(c, r, "source");
    free(r);
    return err;
}

static struct prove_case multi_group(void)
{
    struct prove_case all[8];
    const size_t n = load_cases(all, 8);
    for (size_t i = 0; i < n; i++)
        if (all[i].nonces >= 32) return all[i];
    cr_assert_fail("no case with two groups");
    return all[0];
}

Test(source, all_elsewhere)
{
    const struct prove_case c = multi_group();
    char dir[256];
    struct sm_errinfo ei = {0};
    struct sm_randomx *rx = hold_randomx();
    struct elsewhere e = {.mask = UINT64_MAX};
    put_data(&c, tmpdir_make(dir));
    cr_assert_eq(prove(&c, dir, &e, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(e.calls, c.passes);
    cr_assert_eq(e.jobs, c.nonces / 16 * c.passes);
    cr_assert_eq(e.wrong, e.jobs);
    /* The results were kept: nobody is asked again. */
    struct elsewhere none = {.mask = 0};
    cr_assert_eq(prove(&c, dir, &none, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(none.calls, 0);
    sm_randomx_close(rx);
}

Test(source, the_rest_is_searched_here)
{
    const struct prove_case c = multi_group();
    char dir[256];
    struct sm_errinfo ei = {0};
    struct sm_randomx *rx = hold_randomx();
    struct elsewhere e = {.mask = 2};
    put_data(&c, tmpdir_make(dir));
    cr_assert_eq(prove(&c, dir, &e, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(e.calls, c.passes);
    sm_randomx_close(rx);
}

Test(source, its_failure_ends_the_proof_and_loses_nothing)
{
    const struct prove_case c = multi_group();
    char dir[256];
    struct sm_errinfo ei = {0};
    struct sm_randomx *rx = hold_randomx();
    struct elsewhere e = {.mask = 1, .end = SM_E_REFUSED};
    put_data(&c, tmpdir_make(dir));
    cr_assert_eq(prove(&c, dir, &e, &ei), SM_E_REFUSED);
    cr_assert_str_eq(ei.text, "no more");
    struct elsewhere rest = {.mask = UINT64_MAX};
    cr_assert_eq(prove(&c, dir, &rest, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(rest.jobs, c.nonces / 16 * c.passes - 1);
    sm_randomx_close(rx);
}
