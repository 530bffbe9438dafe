/* The gate between the phases of a proof: order, and what a run keeps that may not go on. */
#include "unit/post/prove_cases.h"

#include <criterion/parameterized.h>

#define LOG_MAX 32u

struct gate {
    sm_prove_phase log[LOG_MAX];
    unsigned n;
    unsigned refuse_at;  /* the call that fails, from 1; 0 = none */
    sm_prove_phase seen; /* phase of the last progress report: must not run ahead of the gate */
};

static sm_err pass(void *ctx, sm_prove_phase phase, struct sm_errinfo *ei)
{
    struct gate *g = ctx;
    cr_assert_lt(g->n, LOG_MAX);
    cr_assert(phase == SM_PROVE_K2POW || g->seen < phase, "phase %d was reported before its gate", phase);
    g->log[g->n++] = phase;
    return g->n == g->refuse_at ? sm_fail(ei, SM_E_CANCELLED, "told to stop at the gate") : SM_OK;
}

static void on_progress(void *ctx, const struct sm_prove_progress *p)
{
    struct gate *g = ctx;
    g->seen = p->phase;
}

ParameterizedTestParameters(prove_gate, is_passed_once_per_phase)
{
    static struct prove_case cases[8];
    return cr_make_param_array(struct prove_case, cases, load_cases(cases, 8));
}

ParameterizedTest(struct prove_case *c, prove_gate, is_passed_once_per_phase)
{
    char dir[256];
    struct sm_errinfo ei = {0};
    struct gate g = {0};
    put_data(c, tmpdir_make(dir));
    struct sm_prove_cfg cfg = cfg_of(c, dir);
    cfg.state_dir = "";
    cfg.verify = true;
    cfg.gate = pass;
    cfg.gate_ctx = &g;
    cfg.progress = on_progress;
    cfg.progress_ctx = &g;
    struct sm_prove_result r = {0};
    cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_OK, "%s: %s", c->name, ei.text);
    assert_proof(c, &r, "with a gate");
    cr_assert_eq(g.n, 2 * c->passes + 1);
    for (unsigned i = 0; i < 2 * c->passes; i++)
        cr_assert_eq(g.log[i], i % 2 ? SM_PROVE_SCAN : SM_PROVE_K2POW, "%s: call %u", c->name, i);
    cr_assert_eq(g.log[2 * c->passes], SM_PROVE_VERIFY);
    tmpdir_remove(dir);
}

/* Refused at each gate in turn: what the phases before have made is there in the next run. */
Test(prove_gate, a_refusal_keeps_what_was_made)
{
    const struct prove_case c = load_case("e2e");
    char dir[256], state[256];
    put_data(&c, tmpdir_make(dir));
    struct sm_randomx *rx = hold_randomx();
    for (unsigned at = 1; at <= 3; at++) {
        struct sm_errinfo ei = {0};
        struct gate g = {.refuse_at = at};
        struct sm_prove_cfg cfg = cfg_of(&c, dir);
        cfg.state_dir = tmpdir_make(state);
        cfg.verify = true;
        cfg.gate = pass;
        cfg.gate_ctx = &g;
        struct sm_prove_result r = {0};
        cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_E_CANCELLED, "gate %u: %s", at, ei.text);
        cr_assert(strstr(ei.text, "at the gate"), "%s", ei.text);
        g = (struct gate){0};
        cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_OK, "after gate %u: %s", at, ei.text);
        assert_proof(&c, &r, "after a refusal");
        cr_assert_eq(r.resumed, at > 1, "gate %u", at);
        if (at == 3) {
            cr_assert_eq(r.bytes_read, 0, "the scan was repeated after a refusal at verification");
            cr_assert_eq(g.n, 1);
        }
        tmpdir_remove(state);
    }
    sm_randomx_close(rx);
    tmpdir_remove(dir);
}
