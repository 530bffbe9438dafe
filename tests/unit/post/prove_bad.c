/* Labels that are wrong on disk and good for a nonce all the same: they are named, left out, and a proof is found. A
 * label is good by its value alone, so a copy of a label of the known proof is good for its nonce anywhere. */
#include "unit/post/prove_cases.h"

#include "crypto/blake3.h"
#include "post/verify.h"
#include "util/bytes.h"
#include "util/log.h"

#define CHECKPOINT "smesher-proof-4d4d4d4d4d.checkpoint" /* node id of case e2e */

/* Case e2e: 127 files of 1000 labels. k2pow results are given. */
struct setup {
    struct prove_case c;
    char dir[256], state[256];
    struct sm_prove_cfg cfg;
    struct sm_randomx *rx;
};

static void setup_make(struct setup *s)
{
    s->c = load_case("e2e");
    put_data(&s->c, tmpdir_make(s->dir));
    put_k2pow(&s->c, tmpdir_make(s->state));
    s->cfg = cfg_of(&s->c, s->dir);
    s->cfg.state_dir = s->state;
    s->cfg.verify = true;
    s->rx = hold_randomx();
}

static void setup_remove(struct setup *s)
{
    sm_randomx_close(s->rx);
    tmpdir_remove(s->dir);
    tmpdir_remove(s->state);
}

static uint64_t per_file(const struct setup *s)
{
    return s->c.max_file_size / SM_LABEL_BYTES;
}

static void label_io(const struct setup *s, uint64_t label, uint8_t value[16], bool write)
{
    char name[64];
    const char *path = tmpdir_path(s->dir, sm_layout_file_name(label / per_file(s), name));
    FILE *f = fopen(path, write ? "r+b" : "rb");
    cr_assert(f, "%s", path);
    cr_assert_eq(fseek(f, (long)(16 * (label % per_file(s))), SEEK_SET), 0);
    cr_assert_eq(write ? fwrite(value, 16, 1, f) : fread(value, 16, 1, f), 1);
    cr_assert_eq(fclose(f), 0);
}

/* Labels [first, first + n) become good for the nonce of the case's proof, and wrong. */
static void poison(const struct setup *s, uint64_t first, uint64_t n)
{
    uint8_t value[16];
    label_io(s, s->c.indices[s->c.k2 - 1], value, false);
    for (uint64_t i = first; i < first + n; i++) label_io(s, i, value, true);
}

static bool in_proof(const struct prove_case *c, uint64_t label)
{
    for (uint32_t i = 0; i < c->k2; i++)
        if (c->indices[i] == label) return true;
    return false;
}

/* `n` labels in a row from `from` on that are not in the proof. */
static uint64_t row(const struct setup *s, uint64_t from, uint64_t n)
{
    for (uint64_t i = from; i < from + n; i++)
        if (in_proof(&s->c, i)) return row(s, i + 1, n);
    cr_assert_lt(from + n, s->c.indices[s->c.k2 - 1]);
    return from;
}

static void must_prove(const struct setup *s, struct sm_prove_result *r, const char *how)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_prove_run(&s->cfg, NULL, r, &ei), SM_OK, "%s: %s", how, ei.text);
    cr_assert_eq(file_size(tmpdir_path(s->state, CHECKPOINT)), -1, "%s: the checkpoint is still there", how);
}

static bool is_named(const struct setup *s, const struct sm_prove_result *r, uint64_t label)
{
    for (uint32_t i = 0; i < r->bad_n; i++) {
        const uint64_t first = r->bad[i].file * per_file(s) + r->bad[i].offset / 16;
        if (label >= first && label < first + r->bad[i].labels) return true;
    }
    return false;
}

/* Valid in the eyes of others, and without a label that was named. */
static void assert_good(const struct setup *s, const struct sm_prove_result *r)
{
    struct sm_errinfo ei = {0};
    struct sm_verifier *v = NULL;
    struct sm_verdict verdict = {0};
    const struct sm_verify_job job = {.proof = &r->proof, .meta = &r->meta, .mode = SM_VERIFY_STRICT};
    cr_assert_eq(sm_verifier_new(&s->cfg.params, &s->cfg.randomx, &v, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_verify_one(v, &job, &verdict, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(verdict.code, SM_VERDICT_VALID, "%s", verdict.text);
    sm_verifier_free(v);
    for (uint32_t i = 0; i < r->indices_n; i++)
        cr_assert_not(is_named(s, r, r->indices[i]), "bad index %" PRIu64 " is in the proof", r->indices[i]);
}

static char logged[4096];

static void keep_line(void *ctx, sm_log_level level, const char *line)
{
    (void)ctx;
    const size_t n = strlen(logged);
    if (level == SM_LOG_WARN) (void)snprintf(logged + n, sizeof logged - n, "%s\n", line);
}

/* Without the bad labels the data is as it was, and so is its proof. */
Test(prove_bad, one_label_is_named_and_left_out)
{
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        struct setup s;
        struct sm_prove_result r = {0};
        setup_make(&s);
        s.cfg.threads = threads;
        const uint64_t label = row(&s, 3500, 1);
        poison(&s, label, 1);
        logged[0] = '\0';
        sm_log_set_sink(keep_line, NULL);
        must_prove(&s, &r, "one");
        sm_log_set_sink(NULL, NULL);
        char place[512];
        (void)snprintf(place, sizeof place, "file=%s/postdata_%" PRIu64 ".bin offset=%" PRIu64 " labels=1", s.dir,
                       label / per_file(&s), 16 * (label % per_file(&s)));
        cr_assert(strstr(logged, place), "\"%s\" is not in: %s", place, logged);
        assert_proof(&s.c, &r, "one bad label");
        assert_good(&s, &r);
        cr_assert_eq(r.bad_labels, 1);
        cr_assert_eq(r.bad_n, 1);
        cr_assert_eq(r.bad[0].file, label / per_file(&s));
        cr_assert_eq(r.bad[0].offset, 16 * (label % per_file(&s)));
        cr_assert_eq(r.bad[0].labels, 1);
        setup_remove(&s);
    }
}

/* Nobody asked for verification: then nobody knows. */
Test(prove_bad, without_verification_nothing_is_left_out)
{
    struct setup s;
    struct sm_prove_result r = {0};
    setup_make(&s);
    const uint64_t label = row(&s, 3500, 1);
    poison(&s, label, 1);
    s.cfg.verify = false;
    must_prove(&s, &r, "not verified");
    cr_assert_eq(r.bad_labels, 0);
    bool there = false;
    for (uint32_t i = 0; i < r.indices_n; i++) there = there || r.indices[i] == label;
    cr_assert(there, "the test's label is not good for the nonce: the other tests prove nothing");
    setup_remove(&s);
}

/* Neighbours are one range, but a range ends with its file. 206 of them take several rounds in one batch. */
Test(prove_bad, many_labels_are_ranges)
{
    struct setup s;
    struct sm_prove_result r = {0};
    setup_make(&s);
    const uint64_t border = 5 * per_file(&s), last = row(&s, 7001, 2);
    cr_assert(row(&s, border - 2, 4) == border - 2, "choose another border");
    const uint64_t many = row(&s, 20, 200);
    poison(&s, many, 200);
    poison(&s, border - 2, 4);
    poison(&s, last, 2);
    must_prove(&s, &r, "many");
    assert_proof(&s.c, &r, "many bad labels");
    assert_good(&s, &r);
    cr_assert_eq(r.bad_labels, 206, "%u", r.bad_labels);
    const struct sm_prove_bad_range want[] = {{0, 16 * many, 200},
                                              {4, 16 * (per_file(&s) - 2), 2},
                                              {5, 0, 2},
                                              {last / per_file(&s), 16 * (last % per_file(&s)), 2}};
    cr_assert_eq(r.bad_n, 4);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(r.bad[i].file, want[i].file, "%u", i);
        cr_assert_eq(r.bad[i].offset, want[i].offset, "%u", i);
        cr_assert_eq(r.bad[i].labels, want[i].labels, "%u", i);
    }
    setup_remove(&s);
}

/* In place of labels of the proof, which are destroyed, there are as many bad ones: the first proof found is bad in part
 * or throughout, and another one is needed, from this pass or a later one. */
Test(prove_bad, a_poisoned_proof_is_replaced)
{
    const uint32_t k2 = load_case("e2e").k2, counts[] = {1, 3, k2 - 1, k2};
    for (unsigned k = 0; k < 4; k++) {
        struct setup s;
        struct sm_prove_result r = {0};
        uint8_t useless[16];
        setup_make(&s);
        label_io(&s, row(&s, 10000, 1), useless, false);
        const uint64_t first = row(&s, 3500, counts[k]);
        poison(&s, first, counts[k]);
        for (uint32_t i = 0; i < counts[k]; i++) label_io(&s, s.c.indices[i], useless, true);
        must_prove(&s, &r, "poisoned");
        assert_good(&s, &r);
        cr_assert_geq(r.bad_labels, counts[k], "%u of %u", r.bad_labels, counts[k]);
        for (uint32_t i = 0; i < counts[k]; i++) cr_assert(is_named(&s, &r, first + i), "%u is not named", i);
        setup_remove(&s);
    }
}

Test(prove_bad, too_many_is_a_failure_that_says_what_to_do)
{
    struct setup s;
    setup_make(&s);
    struct sm_errinfo ei = {0};
    struct sm_prove_result r = {0};
    poison(&s, 0, SM_PROVE_BAD_MAX + s.c.k2);
    cr_assert_eq(sm_prove_run(&s.cfg, NULL, &r, &ei), SM_E_MISMATCH, "%s", ei.text);
    cr_assert(strstr(ei.text, "more than 1024 labels"), "%s", ei.text);
    cr_assert(strstr(ei.text, "postdata_"), "%s", ei.text);
    cr_assert(strstr(ei.text, "--all --repair"), "%s", ei.text);
    cr_assert_eq(file_size(tmpdir_path(s.state, CHECKPOINT)), -1);
    setup_remove(&s);
}

/* Every label wrong: no search for hours, and no talk of single labels. */
Test(prove_bad, foreign_data_fails_at_once)
{
    struct setup s;
    setup_make(&s);
    struct sm_errinfo ei = {0};
    struct sm_prove_result r = {0};
    s.cfg.params.scrypt_n *= 2;
    cr_assert_eq(sm_prove_run(&s.cfg, NULL, &r, &ei), SM_E_MISMATCH, "%s", ei.text);
    cr_assert(strstr(ei.text, "another N or for another identity"), "%s", ei.text);
    cr_assert_eq(file_size(tmpdir_path(s.state, CHECKPOINT)), -1);
    setup_remove(&s);
}

/* --- restarts --- */

struct gate {
    unsigned n, scans, refused_scan; /* the SCAN gate that refuses, from 1; 0 = none */
    uint32_t first_seen;             /* bad labels in the first report */
    bool reported;
};

static sm_err pass(void *ctx, sm_prove_phase phase, struct sm_errinfo *ei)
{
    struct gate *g = ctx;
    g->n++;
    if (phase != SM_PROVE_SCAN || ++g->scans != g->refused_scan) return SM_OK;
    return sm_fail(ei, SM_E_CANCELLED, "told to stop at the gate");
}

static void on_progress(void *ctx, const struct sm_prove_progress *p)
{
    struct gate *g = ctx;
    if (!g->reported) g->first_seen = p->bad_labels;
    g->reported = true;
}

/* Stops behind the verification that found `n` bad labels. */
static void stop_behind_verification(struct setup *s, struct gate *g, uint64_t n)
{
    struct sm_errinfo ei = {0};
    struct sm_prove_result r = {0};
    poison(s, row(s, 3500, n), n);
    *g = (struct gate){.refused_scan = 2};
    s->cfg.gate = pass;
    s->cfg.progress = on_progress;
    s->cfg.gate_ctx = s->cfg.progress_ctx = g;
    cr_assert_eq(sm_prove_run(&s->cfg, NULL, &r, &ei), SM_E_CANCELLED, "%s", ei.text);
    cr_assert_eq(g->n, 4, "k2pow, scan, verify, scan again without k2pow");
    *g = (struct gate){0};
}

Test(prove_bad, a_restart_remembers_them)
{
    struct setup s;
    struct gate g;
    struct sm_prove_result r = {0};
    setup_make(&s);
    stop_behind_verification(&s, &g, 5);
    must_prove(&s, &r, "resumed");
    assert_proof(&s.c, &r, "resumed");
    cr_assert(r.resumed);
    cr_assert_eq(g.first_seen, 5);
    cr_assert_eq(g.n, 3, "the bad proof was found and verified again");
    cr_assert_eq(r.bad_labels, 5);
    setup_remove(&s);
}

/* After a repair the data is other data: what was bad may be used again. */
Test(prove_bad, a_repair_makes_them_good_again)
{
    struct setup s;
    struct gate g;
    struct sm_prove_result r = {0};
    setup_make(&s);
    stop_behind_verification(&s, &g, 5);
    put_data(&s.c, s.dir);
    must_prove(&s, &r, "repaired");
    assert_proof(&s.c, &r, "repaired");
    cr_assert_not(r.resumed);
    cr_assert_eq(r.bad_labels, 0);
    setup_remove(&s);
}

/* Values of bad labels that cannot be, with a checksum that vouches for them. */
Test(prove_bad, an_impossible_checkpoint_is_ignored)
{
    struct setup s;
    struct gate g;
    setup_make(&s);
    stop_behind_verification(&s, &g, 2);
    size_t n = 0;
    uint8_t *good = file_get(tmpdir_path(s.state, CHECKPOINT), &n), *bad = malloc(n);
    const uint64_t first = sm_le64_load(good + n - 32 - 16);
    const struct {
        const char *what;
        size_t from_end;
        uint64_t value;
    } cases[] = {
        {"beyond the data", 8, s.c.num_units * s.c.labels_per_unit},
        {"twice the same", 8, first},
        {"descending", 8, first - 1},
        {"in a list", 16, sm_le64_load(good + 92)}, /* the first list's first: offsets as in prove_checkpoint.c */
        {"more than there are", 20, 3 | first << 32}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sm_prove_result r = {0};
        memcpy(bad, good, n);
        sm_le64_store(bad + n - 32 - cases[i].from_end, cases[i].value);
        cr_assert_neq(memcmp(bad, good, n), 0, "%s", cases[i].what);
        sm_blake3_hash(bad, n - 32, bad + n - 32);
        file_put(tmpdir_path(s.state, CHECKPOINT), bad, n);
        must_prove(&s, &r, cases[i].what);
        cr_assert_not(r.resumed, "%s", cases[i].what);
        assert_proof(&s.c, &r, cases[i].what);
    }
    free(good);
    free(bad);
    setup_remove(&s);
}

/* --- the verdict --- */

Test(prove_bad, every_bad_position_is_found)
{
    struct setup s;
    struct sm_errinfo ei = {0};
    struct sm_verifier *v = NULL;
    struct sm_verdict verdict = {0};
    struct sm_prove_result r = {0};
    uint32_t bad[SM_K2_MAX], n = 9;
    setup_make(&s);
    must_prove(&s, &r, "good");
    cr_assert_eq(sm_verifier_new(&s.cfg.params, &s.cfg.randomx, &v, &ei), SM_OK, "%s", ei.text);
    struct sm_verify_job job = {.proof = &r.proof, .meta = &r.meta, .mode = SM_VERIFY_STRICT};
    cr_assert_eq(sm_verify_find_bad(v, &job, &verdict, bad, &n, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(verdict.code, SM_VERDICT_VALID);
    cr_assert_eq(n, 0);
    r.indices[1] = row(&s, r.indices[1] + 1, 1);
    r.indices[4] = row(&s, r.indices[4] + 1, 1);
    const unsigned bits = sm_index_bits(s.c.num_units * s.c.labels_per_unit);
    sm_indices_pack(r.indices, r.indices_n, bits, r.proof.indices);
    cr_assert_eq(sm_verify_find_bad(v, &job, &verdict, bad, &n, &ei), SM_OK, "%s", ei.text);
    cr_assert(verdict.code == SM_VERDICT_MSB || verdict.code == SM_VERDICT_LSB, "%s", verdict.text);
    cr_assert_eq(verdict.position, 1);
    cr_assert_eq(n, 2);
    cr_assert(bad[0] == 1 && bad[1] == 4, "%u, %u", bad[0], bad[1]);
    r.proof.pow++; /* then labels mean nothing */
    cr_assert_eq(sm_verify_find_bad(v, &job, &verdict, bad, &n, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(verdict.code, SM_VERDICT_POW);
    cr_assert_eq(n, 0);
    sm_verifier_free(v);
    setup_remove(&s);
}
