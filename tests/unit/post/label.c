/* CPU label engines, the VRF minimum, the tuning file. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "post/label.h"
#include "post/label_tune.h"
#include "support/tmpdir.h"
#include "support/vectors.h"
#include "util/clock.h"
#include "util/thread.h"

static struct sm_label_engine cpu_engine(const char *variant, uint32_t n)
{
    struct sm_label_engine e = {0};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_label_engine_cpu(variant, n, 0, &e, &ei), SM_OK, "%s", ei.text);
    return e;
}

Test(vrf_best, strictly_smaller_wins_and_the_lower_index_among_equals)
{
    const uint8_t difficulty[32] = {0x10};
    uint8_t label[32] = {0x10};
    struct sm_vrf_best b = {0}, other = {0};
    sm_vrf_best_offer(&b, difficulty, 1, label);
    cr_assert(!b.found, "equal to the difficulty does not count");
    label[0] = 0x0f;
    sm_vrf_best_offer(&b, difficulty, 5, label);
    cr_assert(b.found && b.index == 5);
    sm_vrf_best_offer(&b, difficulty, 9, label);
    cr_assert_eq(b.index, 5);
    sm_vrf_best_offer(&b, difficulty, 3, label);
    cr_assert_eq(b.index, 3);
    label[31] = 1;
    sm_vrf_best_offer(&b, difficulty, 1, label);
    cr_assert_eq(b.index, 3);
    sm_vrf_best_merge(&b, &other);
    cr_assert_eq(b.index, 3, "nothing found changes nothing");
    other = b;
    other.index = 2;
    sm_vrf_best_merge(&b, &other);
    cr_assert_eq(b.index, 2);
    other.index = 1;
    other.label[5] = 1;
    sm_vrf_best_merge(&b, &other);
    cr_assert_eq(b.index, 2);
}

/* Every variant this processor has, against the vectors: each vector alone and with its neighbours. */
Test(label_cpu, every_variant_matches_the_vectors)
{
    json_t *all = vec_load("labels.json");
    for (const struct sm_scrypt_variant *const *v = sm_scrypt_all(); *v; v++) {
        if (!(*v)->usable(sm_cpu())) {
            cr_log_warn("%s: not on this CPU", (*v)->name);
            continue;
        }
        size_t i;
        json_t *row;
        json_array_foreach(all, i, row)
        {
            if (i % 3 != 0) continue; /* crypto/scrypt walks them all */
            struct sm_label_job job = {.scrypt_n = (uint32_t)vec_u64(row, "n")};
            uint8_t want[32], got[16 * 3];
            vec_hex(row, "commitment_hex", job.commitment.b, 32);
            vec_hex(row, "label32_hex", want, 32);
            struct sm_label_engine e = cpu_engine((*v)->name, job.scrypt_n);
            struct sm_vrf_best best = {0};
            struct sm_errinfo ei = {0};
            const uint64_t index = vec_u64(row, "index"), before = index ? 1 : 0;
            const struct sm_label_range r = {index - before, 3};
            cr_assert_eq(e.ops->compute(e.self, &job, r, NULL, got, &best, &ei), SM_OK, "%s", ei.text);
            cr_assert_arr_eq(got + 16 * before, want, 16, "%s row %zu", (*v)->name, i);
            cr_assert(!best.found, "no difficulty, no search");
            sm_label_engine_free(&e);
        }
    }
    json_decref(all);
}

/* post.md §2.5 gives the nonce of this commitment at two difficulties. */
Test(label_cpu, finds_the_nonce_of_the_reference)
{
    struct sm_label_job job = {.scrypt_n = 32};
    hex_to("e26b543725490682675f6f84ea7689601adeaf14caa7024ec1140c82754ca339", job.commitment.b, 32);
    uint8_t difficulty[32];
    memset(difficulty, 0xff, sizeof difficulty);
    difficulty[0] = difficulty[1] = 0;
    difficulty[2] = 0x3f;
    job.vrf_difficulty = difficulty;
    const struct sm_label_range r = {165000, 1000};
    uint8_t *labels = malloc(r.count * 16);
    struct sm_label_engine e = cpu_engine(NULL, 32);
    struct sm_vrf_best best = {0};
    struct sm_errinfo ei = {0};
    cr_assert_eq(e.ops->compute(e.self, &job, r, NULL, labels, &best, &ei), SM_OK, "%s", ei.text);
    cr_assert(best.found);
    cr_assert_eq(best.index, 165545);
    difficulty[2] = 0;
    best = (struct sm_vrf_best){0};
    cr_assert_eq(e.ops->compute(e.self, &job, r, NULL, labels, &best, &ei), SM_OK, "%s", ei.text);
    cr_assert(!best.found);
    sm_label_engine_free(&e);
    free(labels);
}

Test(label_cpu, refuses_bad_n_and_unknown_variants_and_is_lazy)
{
    struct sm_label_engine e = {0};
    struct sm_errinfo ei = {0};
    static const uint32_t bad[] = {0, 1, 3, 8191, SM_SCRYPT_N_MAX * 2};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(sm_label_engine_cpu(NULL, bad[i], 0, &e, &ei), SM_E_ARG, "%u", bad[i]);
    cr_assert_eq(sm_label_engine_cpu("mmx", 8192, 0, &e, &ei), SM_E_ARG);
    /* An engine that is never used allocates no scratch: a thousand at the largest N do no harm. */
    for (int i = 0; i < 1000; i++) {
        e = cpu_engine(NULL, SM_SCRYPT_N_MAX);
        sm_label_engine_free(&e);
    }
    sm_label_engine_free(&e);
}

Test(label_cpu, another_n_and_a_cancelled_call_are_errors)
{
    struct sm_label_engine e = cpu_engine("ref", 2);
    struct sm_label_job job = {.scrypt_n = 4};
    struct sm_cancel cancel = {0};
    struct sm_vrf_best best = {0};
    struct sm_errinfo ei = {0};
    uint8_t labels[16 * 64];
    cr_assert_eq(e.ops->compute(e.self, &job, (struct sm_label_range){0, 64}, NULL, labels, &best, &ei), SM_E_ARG);
    job.scrypt_n = 2;
    sm_cancel_request(&cancel);
    cr_assert_eq(e.ops->compute(e.self, &job, (struct sm_label_range){0, 64}, &cancel, labels, &best, &ei),
                 SM_E_CANCELLED);
    sm_label_engine_free(&e);
}

Test(label_cpu, chunks_are_whole_widths_of_about_half_a_second)
{
    char dir[256];
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
    for (const struct sm_scrypt_variant *const *v = sm_scrypt_all(); *v; v++) {
        if (!(*v)->usable(sm_cpu())) continue;
        struct sm_label_engine e = cpu_engine((*v)->name, 8192);
        cr_assert(e.trusted);
        cr_assert_str_eq(e.device, "cpu");
        cr_assert_str_eq(e.variant, (*v)->name);
        cr_assert(e.width >= (*v)->lanes && e.chunk % e.width == 0, "width %u chunk %llu", e.width,
                  (unsigned long long)e.chunk);
        cr_assert(e.chunk >= 100 && e.chunk <= 20000, "%s %llu", (*v)->name, (unsigned long long)e.chunk);
        sm_label_engine_free(&e);
        e = cpu_engine((*v)->name, 2);
        cr_assert_geq(e.chunk, 10000);
        sm_label_engine_free(&e);
    }
}

/* ---- tuning ---- */

Test(tune, is_measured_saved_and_used)
{
    char dir[256];
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
    const struct sm_scrypt_variant *v = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_scrypt_pick(sm_cpu(), NULL, &v, &ei), SM_OK);
    struct sm_label_tuned saved = {0};
    cr_assert(!sm_label_tune_load(v, 16, 1, &saved));
    struct sm_scrypt_tune tune = {0};
    double rate = 0;
    const uint64_t start = sm_clock_ns();
    cr_assert_eq(sm_label_cpu_tune(NULL, 16, 2, 0.3, NULL, &tune, &rate, &ei), SM_OK, "%s", ei.text);
    cr_assert_lt(sm_clock_seconds_since(start), 20, "bounded, even under a sanitizer");
    cr_assert(rate > 0);
    cr_assert(sm_label_tune_load(v, 16, 2, &saved));
    cr_assert_eq(memcmp(&saved.tune, &tune, sizeof tune), 0);
    cr_assert_eq(saved.threads, 2);
    cr_assert(!sm_label_tune_load(v, 32, 2, &saved), "another N is not tuned");
    struct sm_label_engine e = cpu_engine(NULL, 16);
    struct sm_label_job job = {.scrypt_n = 16};
    uint8_t labels[16 * 5], want[32];
    struct sm_vrf_best best = {0};
    cr_assert_eq(e.ops->compute(e.self, &job, (struct sm_label_range){7, 5}, NULL, labels, &best, &ei), SM_OK);
    cr_assert_eq(sm_scrypt_one(16, job.commitment.b, 11, want, &ei), SM_OK);
    cr_assert_arr_eq(labels + 16 * 4, want, 16);
    sm_label_engine_free(&e);
}

Test(tune, the_nearest_thread_count_is_taken)
{
    char dir[256];
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
    const struct sm_scrypt_variant *v = sm_scrypt_all()[0];
    struct sm_errinfo ei = {0};
    static const unsigned threads[] = {1, 4, 16, 4};
    for (unsigned i = 0; i < 4; i++) {
        const struct sm_label_tuned t = {.tune.groups = i + 1, .threads = threads[i], .labels_per_s = 10 + i};
        cr_assert_eq(sm_label_tune_save(v, 8192, &t, &ei), SM_OK, "%s", ei.text);
    }
    struct sm_label_tuned got = {0};
    cr_assert(sm_label_tune_load(v, 8192, 5, &got));
    cr_assert_eq(got.tune.groups, 4, "the second result for 4 threads replaced the first");
    cr_assert(sm_label_tune_load(v, 8192, 100, &got));
    cr_assert_eq(got.threads, 16);
}

Test(tune, an_engine_is_tuned_for_its_company)
{
    char dir[256];
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
    const struct sm_scrypt_variant *v = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_scrypt_pick(sm_cpu(), NULL, &v, &ei), SM_OK);
    if (v->lanes == 1) cr_skip_test("no variant with several lanes here");
    for (uint32_t sets = 1; sets <= 2; sets++) {
        const struct sm_scrypt_tune tune = {.groups = 1, .sets = sets, .lookup_gap = 1, .prefetch = 1, .stream = 1};
        const struct sm_label_tuned t = {.tune = tune, .threads = sets == 1 ? 16 : 1, .labels_per_s = 1};
        cr_assert_eq(sm_label_tune_save(v, 64, &t, &ei), SM_OK, "%s", ei.text);
    }
    for (unsigned threads = 1; threads <= 16; threads += 15) {
        struct sm_label_engine e = {0};
        cr_assert_eq(sm_label_engine_cpu(NULL, 64, threads, &e, &ei), SM_OK, "%s", ei.text);
        cr_assert_eq(e.width, v->lanes * (threads == 1 ? 2 : 1));
        sm_label_engine_free(&e);
    }
    tmpdir_remove(dir);
}

Test(tune, a_stop_ends_it_and_nothing_is_saved)
{
    char dir[256];
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
    const struct sm_scrypt_variant *v = NULL;
    struct sm_errinfo ei = {0};
    struct sm_label_tuned saved = {0};
    struct sm_scrypt_tune tune;
    struct sm_cancel cancel = {0};
    double rate;
    sm_cancel_request(&cancel);
    cr_assert_eq(sm_scrypt_pick(sm_cpu(), NULL, &v, &ei), SM_OK);
    cr_assert_eq(sm_label_cpu_tune(NULL, 8192, 1, 3600, &cancel, &tune, &rate, &ei), SM_E_CANCELLED);
    cr_assert_not(sm_label_tune_load(v, 8192, 1, &saved));
    tmpdir_remove(dir);
}

Test(tune, a_broken_file_means_not_tuned_and_is_replaced)
{
    static const char *const broken[] = {
        "",
        "{",
        "[]",
        "{\"version\":2}",
        "{\"version\":2,\"entries\":7}",
        "{\"version\":1,\"entries\":[]}",
        "{\"version\":2,\"entries\":[7,null,{}]}",
        "\xff\xfe\x00",
    };
    char dir[256];
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
    const struct sm_scrypt_variant *v = sm_scrypt_all()[0];
    struct sm_errinfo ei = {0};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        file_put(tmpdir_path(dir, SM_LABEL_TUNE_FILE), broken[i], strlen(broken[i]));
        struct sm_label_tuned got = {0};
        cr_assert(!sm_label_tune_load(v, 2, 1, &got), "%s", broken[i]);
        struct sm_label_engine e = cpu_engine("ref", 2);
        sm_label_engine_free(&e);
        const struct sm_label_tuned t = {.tune.groups = 1, .threads = 1, .labels_per_s = 1};
        cr_assert_eq(sm_label_tune_save(v, 2, &t, &ei), SM_OK, "%s: %s", broken[i], ei.text);
        cr_assert(sm_label_tune_load(v, 2, 1, &got), "%s", broken[i]);
    }
}

/* Entries of the right shape with values the variant cannot run: the engine uses its default instead. */
Test(tune, impossible_values_are_not_fatal)
{
    char dir[256];
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
    const struct sm_scrypt_variant *v = sm_scrypt_all()[0];
    struct sm_errinfo ei = {0};
    const struct sm_label_tuned t = {
        .tune = {.groups = 4000000000u, .sets = 4000000000u, .lookup_gap = 3, .prefetch = 9},
        .threads = 1,
        .labels_per_s = 1e300};
    cr_assert_eq(sm_label_tune_save(v, 2, &t, &ei), SM_OK, "%s", ei.text);
    struct sm_label_engine e = cpu_engine(v->name, 2);
    cr_assert(e.chunk > 0 && e.chunk <= 2 * 16384, "%llu", (unsigned long long)e.chunk);
    struct sm_label_job job = {.scrypt_n = 2};
    uint8_t labels[16 * 5];
    struct sm_vrf_best best = {0};
    cr_assert_eq(e.ops->compute(e.self, &job, (struct sm_label_range){7, 5}, NULL, labels, &best, &ei), SM_OK, "%s",
                 ei.text);
    sm_label_engine_free(&e);
}
