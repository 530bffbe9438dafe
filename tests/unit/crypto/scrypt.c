/* The label hash: building blocks and intermediate values for ref, vectors for every variant and tune, and every
 * variant against ref on random input. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/pbkdf2.h"
#include "crypto/romix.h"
#include "crypto/scrypt.h"
#include "support/vectors.h"
#include "util/bytes.h"

Test(romix_ref, chacha8_vector)
{
    uint32_t s[16];
    uint8_t want[64];
    for (unsigned i = 0; i < 16; i++) s[i] = i;
    hex_to("d73f3dbfd40f85c8371f047dcbaa4df98fe3b9de623fb2985f9caf3f170f4248"
           "5574a279c32ae60abbf703652c1797abd5314a61317f039d1cfff16b23d55344",
           want, 64);
    sm_romix_ref_chacha8(s);
    cr_assert_arr_eq(s, want, 64);
}

static void check_hex(const void *got, const char *hex, size_t n, const char *what)
{
    uint8_t want[128];
    hex_to(hex, want, n);
    cr_assert_arr_eq((const uint8_t *)got, want, n, "%s", what);
}

/* post.md §1.6, step by step. */
Test(romix_ref, intermediate_values)
{
    static const uint64_t password[SM_PBKDF2_PASSWORD_WORDS];
    struct sm_pbkdf2_key key;
    uint64_t chunk[SM_PBKDF2_CHUNK_WORDS], out[SM_PBKDF2_OUT_WORDS];
    sm_pbkdf2_key(&sm_keccak_x1, password, &key);
    sm_pbkdf2_expand(&sm_keccak_x1, &key, chunk);
    check_hex(chunk,
              "bc331280666710245171f3efa6d02b7a6661d65e2e95e909eba0b063145c5e12"
              "d2c956cfd46b8df02e9cb15160869e7470872a190d1490264ac0c270346d0288"
              "d6c9ce07391b93dbfc89b88aa33230ab6aeb95b82ad8643762681af0d1a78319"
              "3399646c6bbbc3220c568ecad98765b360c4278904382e66d4b0094837c92bbb",
              128, "first PBKDF2");
    uint32_t v[2][SM_ROMIX_WORDS], x[SM_ROMIX_WORDS];
    memcpy(v[0], chunk, 128);
    memcpy(v[1], chunk, 128);
    sm_romix_ref_chunkmix(v[1]);
    check_hex(v[1],
              "c1073c697429fa77893d22356f756540cc6b69073e4ddd6e0b1b896dad32ec21"
              "edf9489e5ba6df8e3513c9aae3bc8d892b929de5ca550358c92e58cc7fd7fde8"
              "56b8bc6d999063fa1165e610c8fc38b09c7707fd031ea9977670f557df6f5485"
              "9225c3f8f8650ecb7cea01293b19f28bf248488eeb1a3abe776636cdf1f2a58b",
              128, "V[1]");
    memcpy(x, v[1], 128);
    sm_romix_ref_chunkmix(x);
    check_hex(x,
              "c8a5e742066fcdaa62c87e34cfc1364bd4b19f007cdc00b3ea01e8312e5c5936"
              "ac76c9e78ffcf995f7a6ed21bada85732c2cb519405356471343e80521a4efc3"
              "c4ee642d2e73fdf3b549de389fb153f1338821b2cc75252a7430532e4f321c46"
              "bb4ebdc1e78c01e2239e74fdb946c3a526a5cb8c7a1c23ed481ccf7693314967",
              128, "before the random phase");
    static const char *const steps[2] = {
        "0e76398499b7846f6fe988088e2d1caa574aee6b82e478f80f5cea2fe4aa6e31"
        "90d7cf3fdd5d10b67f28b57ad51d48fc4b94ebda237334e486bb161d577c946f"
        "fce22bc4739c750227924480d08e1dc4ecad76926af7bb5a3118d82b95c347de"
        "5fd7b30cdd445519457987f122ea93c84f2887d52e42fc7194d727ea25c315de",
        "17f086a185196ed2f2047e4c012840d0c45333e9111e2db62f97a89afc63bf39"
        "26a3dbb2ae1b005396b1aae029aed5ac32e14cefca06d495dc612d000d41a881"
        "297acb0e95a62eeddb06239ee9806e6fb83f2d440414e628bae5a19ee47866a6"
        "270602991b4edb3988fd1cf953b2ebe91fe448a73bd2735b60806872d301a910",
    };
    for (unsigned i = 0; i < 2; i++) {
        const uint32_t j = x[16] & 1;
        cr_assert_eq(j, 0);
        for (unsigned w = 0; w < SM_ROMIX_WORDS; w++) x[w] ^= v[j][w];
        sm_romix_ref_chunkmix(x);
        check_hex(x, steps[i], 128, i ? "step 2" : "step 1");
    }
    memcpy(chunk, x, 128);
    sm_pbkdf2_finish(&sm_keccak_x1, &key, chunk, out);
    check_hex(out, "ff29deee2578176c8c7d9495164e88213859c3db4b0fe3cdfdd27818b26943a6", 32, "label");
}

/* §1.5: an empty password is HMAC's zero key block, as is our password of commitment 0, index 0. */
Test(scrypt_one, generic_scrypt_check)
{
    static const uint8_t zero[32];
    uint8_t got[32];
    cr_assert_eq(sm_scrypt_one(16, zero, 0, got, NULL), SM_OK);
    check_hex(got, "77cb70bfaed44c5bbcd3ec8a82438db37f1ffb7036324da6b7133777300c3cfb", 32,
              "scrypt(\"\", \"\", 16, 1, 1)");
}

/* ---- every variant, every tune ---- */

struct tune_case {
    uint32_t variant, tune; /* positions in sm_scrypt_all() and its tunes */
};

static size_t tune_cases(struct tune_case *out, size_t room)
{
    size_t n = 0;
    for (uint32_t v = 0; sm_scrypt_all()[v]; v++)
        for (uint32_t t = 0; t < sm_scrypt_all()[v]->tunes_n && n < room; t++)
            out[n++] = (struct tune_case){.variant = v, .tune = t};
    return n;
}

static struct sm_scrypt_worker *worker_for(const struct tune_case *c, uint32_t n)
{
    const struct sm_scrypt_variant *v = sm_scrypt_all()[c->variant];
    if (!v->usable(sm_cpu())) cr_skip_test("%s: not on this processor", v->name);
    struct sm_errinfo ei = {0};
    struct sm_scrypt_worker *w = NULL;
    cr_assert_eq(sm_scrypt_worker_new(v, &v->tunes[c->tune], n, &w, &ei), SM_OK, "%s", ei.text);
    return w;
}

struct label_case {
    uint32_t n;
    uint64_t index;
    uint8_t commitment[32], label[32];
};

#define LABEL_CASES 252

static void load_labels(struct label_case out[LABEL_CASES])
{
    json_t *file = vec_load("labels.json"), *row;
    cr_assert_eq(json_array_size(file), LABEL_CASES);
    size_t i;
    json_array_foreach(file, i, row)
    {
        out[i].n = (uint32_t)vec_u64(row, "n");
        out[i].index = vec_u64(row, "index");
        vec_hex(row, "commitment_hex", out[i].commitment, 32);
        vec_hex(row, "label32_hex", out[i].label, 32);
    }
    json_decref(file);
}

/* All vectors of one N in one call: mixed commitments and indices in one width. */
static size_t check_vectors_of(const struct tune_case *c, uint32_t n, const struct label_case *cases)
{
    struct sm_scrypt_in in[LABEL_CASES];
    const struct label_case *which[LABEL_CASES];
    static uint8_t got[LABEL_CASES * 32];
    size_t count = 0;
    for (size_t i = 0; i < LABEL_CASES; i++) {
        if (cases[i].n != n) continue;
        which[count] = &cases[i];
        in[count++] = (struct sm_scrypt_in){.commitment = cases[i].commitment, .index = cases[i].index};
    }
    if (!count) return 0;
    struct sm_scrypt_worker *w = worker_for(c, n);
    cr_assert_eq(sm_scrypt_run(w, in, count, NULL, got), SM_OK);
    for (size_t i = 0; i < count; i++)
        cr_assert_arr_eq(got + 32 * i, which[i]->label, 32, "%s tune %u: N=%u index=%" PRIu64,
                         sm_scrypt_all()[c->variant]->name, c->tune, n, which[i]->index);
    sm_scrypt_worker_free(w);
    return count;
}

ParameterizedTestParameters(scrypt, matches_vectors)
{
    static struct tune_case cases[128];
    return cr_make_param_array(struct tune_case, cases, tune_cases(cases, 128));
}

ParameterizedTest(struct tune_case *c, scrypt, matches_vectors)
{
    static struct label_case labels[LABEL_CASES];
    load_labels(labels);
    size_t seen = 0;
    for (uint32_t n = 2; n <= 8192; n *= 2) seen += check_vectors_of(c, n, labels);
    cr_assert_eq(seen, LABEL_CASES);
}

/* xorshift64*; the seed is printed by the tests that use it. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

static uint64_t random_seed(void)
{
    const char *text = getenv("SM_TEST_SEED");
    const uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 0x9e3779b97f4a7c15u | 1;
    cr_log_info("SM_TEST_SEED=%" PRIu64, seed);
    return seed;
}

#define COMMITMENTS 5

/* Indices small, around 2^32, around 2^63 and anywhere; commitments in no order. */
static void random_inputs(uint64_t *rnd, const uint8_t (*commitments)[32], struct sm_scrypt_in *in, size_t count)
{
    static const uint64_t around[] = {0, (uint64_t)1 << 32, (uint64_t)1 << 63, UINT64_MAX - 3};
    for (size_t i = 0; i < count; i++) {
        const uint64_t r = next_random(rnd);
        in[i].commitment = commitments[r % COMMITMENTS];
        in[i].index = r & 64 ? next_random(rnd) : around[r >> 8 & 3] + (r >> 16 & 7) - 4;
    }
}

static void check_against_ref(const struct tune_case *c, uint32_t n, size_t count, uint64_t *rnd, uint64_t seed)
{
    uint8_t commitments[COMMITMENTS][32];
    for (size_t i = 0; i < sizeof commitments; i++) (&commitments[0][0])[i] = (uint8_t)next_random(rnd);
    struct sm_scrypt_in *in = calloc(count, sizeof *in);
    uint8_t *want = malloc(32 * count), *got = malloc(32 * count + 1);
    cr_assert(in && want && got);
    random_inputs(rnd, (const uint8_t(*)[32])commitments, in, count);
    got[32 * count] = 0xa5;

    struct sm_scrypt_worker *ref = NULL, *w = worker_for(c, n);
    cr_assert_eq(sm_scrypt_worker_new(sm_scrypt_all()[0], NULL, n, &ref, NULL), SM_OK);
    cr_assert_eq(sm_scrypt_run(ref, in, count, NULL, want), SM_OK);
    cr_assert_eq(sm_scrypt_run(w, in, count, NULL, got), SM_OK);
    for (size_t i = 0; i < count; i++)
        cr_assert_arr_eq(got + 32 * i, want + 32 * i, 32,
                         "%s tune %u: N=%u label %zu of %zu index=%" PRIu64 " seed=%" PRIu64,
                         sm_scrypt_all()[c->variant]->name, c->tune, n, i, count, in[i].index, seed);
    cr_assert_eq(got[32 * count], 0xa5, "padding was written");
    sm_scrypt_worker_free(ref);
    sm_scrypt_worker_free(w);
    free(in);
    free(want);
    free(got);
}

ParameterizedTestParameters(scrypt, matches_ref)
{
    static struct tune_case cases[128];
    return cr_make_param_array(struct tune_case, cases, tune_cases(cases, 128));
}

ParameterizedTest(struct tune_case *c, scrypt, matches_ref)
{
    const uint64_t seed = random_seed();
    uint64_t rnd = seed;
    struct sm_scrypt_worker *w = worker_for(c, 2);
    const size_t width = sm_scrypt_worker_width(w);
    sm_scrypt_worker_free(w);
    const size_t counts[] = {1, width > 1 ? width - 1 : 1, width, width + 1, 2 * width + 3};
    for (uint32_t n = 2; n <= 128; n *= 4)
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) check_against_ref(c, n, counts[i], &rnd, seed);
    check_against_ref(c, 16384, 2, &rnd, seed);
}

/* The default must run everywhere, also where the lookup gap exceeds N. */
Test(scrypt, default_tune_runs_every_n)
{
    uint64_t seed = random_seed(), rnd = seed;
    for (uint32_t v = 0; sm_scrypt_all()[v]; v++) {
        if (!sm_scrypt_all()[v]->usable(sm_cpu())) continue;
        const struct tune_case c = {.variant = v};
        for (uint32_t n = 2; n <= 32768; n *= 2) check_against_ref(&c, n, 3, &rnd, seed);
    }
}

Test(scrypt, range_is_run_of_consecutive_indices)
{
    const struct sm_scrypt_variant *v = NULL;
    struct sm_scrypt_worker *w = NULL;
    cr_assert_eq(sm_scrypt_pick(sm_cpu(), NULL, &v, NULL), SM_OK);
    cr_assert_eq(sm_scrypt_worker_new(v, NULL, 16, &w, NULL), SM_OK);
    enum { COUNT = 150 };
    static const uint8_t commitment[32] = {1, 2, 3};
    const uint64_t first = UINT64_MAX - COUNT;
    struct sm_scrypt_in in[COUNT];
    uint8_t a[32 * COUNT], b[32 * COUNT], one[32];
    for (unsigned i = 0; i < COUNT; i++) in[i] = (struct sm_scrypt_in){.commitment = commitment, .index = first + i};
    cr_assert_eq(sm_scrypt_run(w, in, COUNT, NULL, a), SM_OK);
    cr_assert_eq(sm_scrypt_range(w, commitment, first, COUNT, NULL, b), SM_OK);
    cr_assert_arr_eq(a, b, sizeof a);
    cr_assert_eq(sm_scrypt_one(16, commitment, first + COUNT - 1, one, NULL), SM_OK);
    cr_assert_arr_eq(one, b + 32 * (COUNT - 1), 32);
    cr_assert_eq(sm_scrypt_range(w, commitment, 0, 0, NULL, NULL), SM_OK);
    sm_scrypt_worker_free(w);
}

/* ---- choosing, refusing, stopping ---- */

Test(scrypt_pick, environment_and_force)
{
    const struct sm_scrypt_variant *v = NULL;
    struct sm_errinfo ei = {0};
    setenv("SM_CPU_ISA", "ref", 1);
    cr_assert_eq(sm_scrypt_pick(sm_cpu(), NULL, &v, &ei), SM_OK);
    cr_assert_str_eq(v->name, "ref");
    setenv("SM_CPU_ISA", "z80", 1);
    cr_assert_eq(sm_scrypt_pick(sm_cpu(), NULL, &v, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "z80") && strstr(ei.text, " ref"), "%s", ei.text);
    cr_assert_eq(sm_scrypt_pick(sm_cpu(), "ref", &v, &ei), SM_OK, "force overrides the environment");
    setenv("SM_CPU_ISA", "", 1);
    cr_assert_eq(sm_scrypt_pick(sm_cpu(), NULL, &v, &ei), SM_OK);
    for (size_t i = 0; sm_scrypt_all()[i]; i++) {
        const struct sm_scrypt_variant *row = sm_scrypt_all()[i];
        const sm_err want = row->usable(sm_cpu()) ? SM_OK : SM_E_ARG;
        cr_assert_eq(sm_scrypt_pick(sm_cpu(), row->name, &v, &ei), want);
        cr_assert(want || v == row);
    }
}

Test(scrypt_pick, best_of_what_the_processor_has)
{
    const struct sm_scrypt_variant *v = NULL;
    const struct sm_cpu bare = {.name = "bare"};
    unsetenv("SM_CPU_ISA");
    cr_assert_eq(sm_scrypt_pick(&bare, NULL, &v, NULL), SM_OK);
    cr_assert_str_eq(v->name, "ref");
#if defined(__x86_64__)
    const struct sm_cpu avx2 = {.ssse3 = true, .avx2 = true};
    cr_assert_eq(sm_scrypt_pick(&avx2, NULL, &v, NULL), SM_OK);
    cr_assert_str_eq(v->name, "avx2");
    cr_assert_eq(sm_scrypt_pick(&avx2, "avx512", &v, NULL), SM_E_ARG);
#endif
}

Test(scrypt_worker, refuses_what_cannot_run)
{
    const struct sm_scrypt_variant *v = NULL, *ref = sm_scrypt_all()[0];
    struct sm_scrypt_worker *w = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_scrypt_pick(sm_cpu(), NULL, &v, NULL), SM_OK);
    static const uint32_t bad_n[] = {0, 1, 3, 8191, SM_SCRYPT_N_MAX * 2};
    for (size_t i = 0; i < sizeof bad_n / sizeof bad_n[0]; i++)
        cr_assert_eq(sm_scrypt_worker_new(v, NULL, bad_n[i], &w, &ei), SM_E_ARG, "N=%u", bad_n[i]);
    static const struct sm_scrypt_tune bad[] = {
        {.groups = 9}, {.sets = 9}, {.lookup_gap = 3}, {.lookup_gap = 128}, {.prefetch = 3}, {.stream = 3},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(sm_scrypt_worker_new(v, &bad[i], 16, &w, &ei), SM_E_ARG, "tune %zu", i);
    cr_assert_eq(sm_scrypt_worker_new(ref, &(struct sm_scrypt_tune){.stream = 2}, 16, &w, &ei), SM_E_ARG);
    cr_assert_null(w);
    cr_assert_eq(sm_scrypt_worker_new(v, &(struct sm_scrypt_tune){.lookup_gap = 64}, 2, &w, &ei), SM_OK, "%s", ei.text);
    sm_scrypt_worker_free(w);
    sm_scrypt_worker_free(NULL);
}

Test(scrypt_worker, memory_is_one_mib_per_label_in_flight)
{
    for (size_t i = 0; sm_scrypt_all()[i]; i++) {
        const struct sm_scrypt_variant *v = sm_scrypt_all()[i];
        if (!v->usable(sm_cpu())) continue;
        for (size_t t = 0; t < v->tunes_n; t++) {
            struct sm_scrypt_worker *w = NULL;
            cr_assert_eq(sm_scrypt_worker_new(v, &v->tunes[t], 8192, &w, NULL), SM_OK);
            const uint32_t width = v->lanes * v->tunes[t].groups * v->tunes[t].sets;
            cr_assert_eq(sm_scrypt_worker_width(w), width);
            cr_assert_leq(sm_scrypt_worker_bytes(w), (size_t)width << 20);
            sm_scrypt_worker_free(w);
        }
    }
}

Test(scrypt_worker, stops_when_asked_and_measures_its_bound)
{
    const struct sm_scrypt_variant *v = NULL;
    struct sm_scrypt_worker *w = NULL;
    static const uint8_t commitment[32];
    struct sm_scrypt_in in = {.commitment = commitment};
    uint8_t out[32];
    struct sm_cancel cancel = {0};
    cr_assert_eq(sm_scrypt_pick(sm_cpu(), NULL, &v, NULL), SM_OK);
    cr_assert_eq(sm_scrypt_worker_new(v, NULL, 64, &w, NULL), SM_OK);
    cr_assert_eq(sm_scrypt_run(w, &in, 1, &cancel, out), SM_OK);
    sm_cancel_request(&cancel);
    cr_assert_eq(sm_scrypt_run(w, &in, 1, &cancel, out), SM_E_CANCELLED);
    cr_assert_eq(sm_scrypt_range(w, commitment, 0, 1, &cancel, out), SM_E_CANCELLED);
    cr_assert_gt(sm_scrypt_bound(w, 0.01), 0);
    uint8_t again[32];
    cr_assert_eq(sm_scrypt_run(w, &in, 1, NULL, again), SM_OK);
    cr_assert_arr_eq(again, out, 32, "measuring leaves the worker intact");
    sm_scrypt_worker_free(w);
}
