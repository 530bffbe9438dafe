/* Proofs of the published cases, bit for bit, however they are made. */
#include "unit/post/prove_cases.h"

#include <criterion/parameterized.h>

#include "crypto/aes.h"
#include "util/clock.h"

#define CASES_MAX 8

ParameterizedTestParameters(prove, reproduces_the_vectors)
{
    static struct prove_case cases[CASES_MAX];
    return cr_make_param_array(struct prove_case, cases, load_cases(cases, CASES_MAX));
}

ParameterizedTest(struct prove_case *c, prove, reproduces_the_vectors)
{
    char dir[256];
    struct sm_errinfo ei = {0};
    put_data(c, tmpdir_make(dir));
    struct sm_prove_cfg cfg = cfg_of(c, dir);
    cfg.state_dir = "";
    cfg.verify = true;
    struct sm_prove_result r = {0};
    cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_OK, "%s: %s", c->name, ei.text);
    assert_proof(c, &r, "one thread");
    cr_assert_not(r.resumed);
    tmpdir_remove(dir);
}

/* Threads, readers, variants and the kind of I/O must not show in the result. */
Test(prove, does_not_depend_on_how_it_runs)
{
    static const char *const names[] = {"msb-nonzero", "tail-dropped", "testnet-like", "e2e"};
    struct sm_randomx *rx = hold_randomx();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct prove_case c = load_case(names[i]);
        char dir[256], state[256];
        put_data(&c, tmpdir_make(dir));
        put_k2pow(&c, tmpdir_make(state));
        for (unsigned k = 0; k < 8; k++) {
            struct sm_errinfo ei = {0};
            struct sm_prove_cfg cfg = cfg_of(&c, dir);
            const struct sm_scan_variant *v = sm_scan_all()[k % 4 < 2 ? 0 : k % 4 - 1];
            if (!v || !v->usable(sm_cpu())) v = sm_scan_all()[0];
            char how[64];
            cfg.state_dir = state;
            cfg.threads = 1 + k % 5;
            cfg.readers = 1 + k / 4;
            cfg.direct_io = k & 1;
            cfg.isa = v->name;
            (void)snprintf(how, sizeof how, "%s, %u threads, %u readers, direct %d", v->name, cfg.threads, cfg.readers,
                           cfg.direct_io);
            struct sm_prove_result r = {0};
            cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_OK, "%s: %s", c.name, ei.text);
            assert_proof(&c, &r, how);
        }
        tmpdir_remove(dir);
        tmpdir_remove(state);
    }
    sm_randomx_close(rx);
}

/* Surplus labels, as after a larger data set was given up, are no part of the data. */
Test(prove, ignores_what_is_behind_the_last_label)
{
    const struct prove_case c = load_case("msb-nonzero");
    char dir[256];
    struct sm_errinfo ei = {0};
    put_data(&c, tmpdir_make(dir));
    const char *last = tmpdir_path(dir, "postdata_1.bin");
    size_t n = 0;
    uint8_t *labels = file_get(last, &n), *more = calloc(2, n);
    memcpy(more, labels, n);
    file_put(last, more, 2 * n);
    file_put(tmpdir_path(dir, "postdata_2.bin"), more, n);
    struct sm_prove_cfg cfg = cfg_of(&c, dir);
    struct sm_prove_result r = {0};
    cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_OK, "%s", ei.text);
    assert_proof(&c, &r, "surplus");
    free(labels);
    free(more);
    tmpdir_remove(dir);
}

/* The nonces of one large pass are those of several small ones; with all of them a proof is found in one. */
Test(prove, takes_up_to_4096_nonces)
{
    const struct prove_case c = load_case("msb-nonzero");
    char dir[256];
    struct sm_errinfo ei = {0};
    struct sm_randomx *rx = hold_randomx();
    put_data(&c, tmpdir_make(dir));
    struct sm_prove_cfg cfg = cfg_of(&c, dir);
    memset(cfg.params.pow_difficulty, 0xff, 32); /* one hash per group will do */
    cfg.nonces = 4096;
    cfg.verify = true;
    struct sm_prove_result r = {0};
    cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(r.passes, 1);
    for (uint32_t i = 1; i < r.indices_n; i++) cr_assert_lt(r.indices[i - 1], r.indices[i]);
    sm_randomx_close(rx);
    tmpdir_remove(dir);
}

/* k2 out of reach: every pass is made, the last one shorter, and nothing is left behind. */
Test(prove, says_when_all_nonces_were_tried)
{
    struct prove_case c = load_case("fastnet-like");
    char dir[256];
    struct sm_errinfo ei = {0};
    struct sm_randomx *rx = hold_randomx();
    put_data(&c, tmpdir_make(dir));
    struct sm_prove_cfg cfg = cfg_of(&c, dir);
    memset(cfg.params.pow_difficulty, 0xff, 32);
    cfg.params.k2 = 200;
    cfg.nonces = 1504; /* 4096 = 2 * 1504 + 1088 */
    struct sm_prove_result r = {0};
    cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_E_NOTFOUND);
    cr_assert(strstr(ei.text, "all 4096 nonces"), "%s", ei.text);
    cr_assert_eq(file_size(tmpdir_path(dir, "smesher-proof-7777777777.checkpoint")), -1);
    sm_randomx_close(rx);
    tmpdir_remove(dir);
}

/* Without the reference's rule all labels count, the last 1 … 7 included: every label is good here. */
Test(prove, uses_the_last_labels_too)
{
    struct prove_case c = load_case("fastnet-like");
    c.num_units = 1;
    c.labels_per_unit = 21;
    c.max_file_size = 128;
    char dir[256];
    struct sm_errinfo ei = {0};
    struct sm_randomx *rx = hold_randomx();
    tmpdir_make(dir);
    uint8_t labels[3 * 128];
    for (unsigned i = 0; i < sizeof labels; i++) labels[i] = (uint8_t)(i * 37 + i / 16);
    file_put(tmpdir_path(dir, "postdata_0.bin"), labels, 128);
    file_put(tmpdir_path(dir, "postdata_1.bin"), labels + 128, 128);
    file_put(tmpdir_path(dir, "postdata_2.bin"), labels + 256, 5 * 16);
    put_metadata(&c, dir);
    struct sm_prove_cfg cfg = cfg_of(&c, dir);
    cfg.reference_tail = false;
    cfg.params.k1 = 20; /* 95 % of the labels are good for a nonce; among 4096 some have all 21 */
    cfg.params.k2 = 21;
    memset(cfg.params.pow_difficulty, 0xff, 32);
    struct sm_prove_result r = {0};
    cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_OK, "%s", ei.text);
    for (uint32_t i = 0; i < 21; i++) cr_assert_eq(r.indices[i], i);
    cfg.reference_tail = true; /* 16 labels are left */
    cfg.params.k2 = 16;
    cr_assert_eq(sm_prove_run(&cfg, NULL, &r, &ei), SM_OK, "%s", ei.text);
    for (uint32_t i = 0; i < 16; i++) cr_assert_eq(r.indices[i], i);
    sm_randomx_close(rx);
    tmpdir_remove(dir);
}
