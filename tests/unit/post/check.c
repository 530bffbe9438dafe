/* Checking labels on disk and repairing them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "post/check.h"
#include "post/datadir.h"
#include "post/sidecar.h"
#include "support/dataset.h"
#include "support/faultio.h"
#include "support/tmpdir.h"

/* Two files of 66 000 labels and one of 18 000: several slices and batches. */
static const struct dataset large = {
    .node_id = 1,
    .atx_id = 2,
    .scrypt_n = 2,
    .labels_per_unit = 50000,
    .num_units = 3,
    .max_file_size = 1056000,
    .from = SM_LAYOUT_ALL,
    .to = SM_LAYOUT_ALL,
    .no_nonce = true,
};

static struct sm_check_cfg cfg_of(const char *dir, double fraction, bool repair)
{
    return (struct sm_check_cfg){
        .dir = dir,
        .from_file = SM_LAYOUT_ALL,
        .to_file = SM_LAYOUT_ALL,
        .fraction = fraction,
        .repair = repair,
        .seed = 7,
    };
}

static struct sm_check_result check(const char *dir, double fraction, bool repair)
{
    const struct sm_check_cfg cfg = cfg_of(dir, fraction, repair);
    struct sm_check_result r = {0};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_check_run(&cfg, NULL, &r, &ei), SM_OK, "%s", ei.text);
    for (size_t i = 0; i < r.file_problems_n; i++) cr_log_info("%s", r.file_problems[i]);
    return r;
}

static bool has_problem(const struct sm_check_result *r, const char *text)
{
    for (size_t i = 0; i < r->file_problems_n; i++)
        if (strstr(r->file_problems[i], text)) return true;
    return false;
}

/* Flips a bit of each of `n` labels from `position` of the file. */
static void damage(const char *dir, uint64_t file, uint64_t position, uint64_t n)
{
    char name[64];
    size_t bytes;
    const char *path = tmpdir_path(dir, sm_layout_file_name(file, name));
    uint8_t *p = file_get(path, &bytes);
    cr_assert_leq((position + n) * 16, bytes);
    for (uint64_t i = 0; i < n; i++) p[(position + i) * 16 + (position + i) % 16] ^= 0x10;
    file_put(path, p, bytes);
    free(p);
}

static void assert_bad(const struct sm_check_result *r, size_t i, uint64_t file, uint64_t offset, uint64_t labels)
{
    cr_assert_lt(i, r->bad_n);
    cr_assert(r->bad[i].file == file && r->bad[i].offset == offset && r->bad[i].labels == labels,
              "range %zu is file %" PRIu64 " offset %" PRIu64 " labels %" PRIu64, i, r->bad[i].file, r->bad[i].offset,
              r->bad[i].labels);
}

Test(check, good_data)
{
    char dir[256];
    dataset_put(tmpdir_make(dir), &dataset_tiny);
    static const struct {
        double fraction;
        uint64_t labels;
    } rows[] = {{100, 256}, {50, 128}, {25.1, 64}, {1.5625, 4}, {1e-9, 4}, {99.99, 252}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sm_check_result r = check(dir, rows[i].fraction, false);
        cr_assert_eq(r.labels_checked, rows[i].labels, "%g %%: %" PRIu64, rows[i].fraction, r.labels_checked);
        cr_assert(r.labels_bad == 0 && r.bad_n == 0 && r.file_problems_n == 0);
        sm_check_result_fini(&r);
    }
    cr_assert_eq(file_size(tmpdir_path(dir, "postdata_0.bin")), 1024);
}

Test(check, every_bad_range_is_listed)
{
    char dir[256];
    dataset_put(tmpdir_make(dir), &large);
    damage(dir, 0, 0, 1);
    damage(dir, 0, 65535, 2); /* across a slice */
    damage(dir, 1, 50000, 300);
    damage(dir, 1, 50301, 1);
    damage(dir, 2, 17999, 1); /* the very last */
    struct sm_check_result r = check(dir, 100, false);
    cr_assert_eq(r.labels_checked, 150000);
    cr_assert_eq(r.labels_bad, 305);
    cr_assert_eq(r.labels_repaired, 0);
    cr_assert_eq(r.bad_n, 5);
    assert_bad(&r, 0, 0, 0, 1);
    assert_bad(&r, 1, 0, 65535 * 16, 2);
    assert_bad(&r, 2, 1, 50000 * 16, 300);
    assert_bad(&r, 3, 1, 50301 * 16, 1);
    assert_bad(&r, 4, 2, 17999 * 16, 1);
    sm_check_result_fini(&r);
}

Test(check, repair_writes_only_the_bad_labels)
{
    char dir[256];
    dataset_put(tmpdir_make(dir), &large);
    cr_assert_eq(sm_sidecar_save(dir, &(struct sm_sidecar){.scrypt_n = 2, .has_searched = true, .searched = 9}, NULL),
                 SM_OK);
    damage(dir, 0, 65535, 2);
    damage(dir, 1, 50000, 300);
    damage(dir, 2, 17999, 1);
    fault_set(&(struct fault_plan){.path_has = "postdata_", .kinds = FAULT_WRITE});
    struct sm_check_result r = check(dir, 100, true);
    cr_assert_eq(fault_written(), 303 * 16);
    fault_clear();
    cr_assert_eq(r.labels_bad, 303);
    cr_assert_eq(r.labels_repaired, 303);
    cr_assert_eq(r.bad_n, 3);
    cr_assert_eq(r.file_problems_n, 0);
    sm_check_result_fini(&r);
    for (uint64_t i = 0; i < 3; i++) cr_assert(dataset_file_right(dir, &large, i));
    struct sm_sidecar side;
    cr_assert_eq(sm_sidecar_load(dir, &side, NULL), SM_OK);
    cr_assert(!side.has_searched && side.scrypt_n == 2, "the VRF nonce must be searched again");
}

Test(check, sample_finds_and_repairs_runs)
{
    char dir[256];
    dataset_put(tmpdir_make(dir), &large);
    damage(dir, 1, 50000, 2000); /* at least 19 of 660 slices of 100 lie in it */
    struct sm_check_result r = check(dir, 1, false);
    cr_assert_eq(r.labels_checked, 660 + 660 + 180);
    cr_assert(r.labels_bad >= 19 && r.labels_bad <= 21, "%" PRIu64, r.labels_bad);
    for (size_t i = 0; i < r.bad_n; i++) {
        cr_assert_eq(r.bad[i].file, 1);
        cr_assert(r.bad[i].offset >= 50000 * 16 && r.bad[i].offset < 52000 * 16);
        if (i) cr_assert_gt(r.bad[i].offset, r.bad[i - 1].offset, "sorted");
    }
    const uint64_t found = r.labels_bad;
    sm_check_result_fini(&r);
    r = check(dir, 1, true);
    cr_assert(r.labels_bad == found && r.labels_repaired == found, "the same seed finds the same");
    sm_check_result_fini(&r);
    r = check(dir, 100, false);
    cr_assert_eq(r.labels_bad, 2000 - found);
    sm_check_result_fini(&r);
}

Test(check, samples_are_spread_over_the_file)
{
    char dir[256];
    struct dataset d = large;
    d.num_units = 1;
    dataset_put(tmpdir_make(dir), &d);
    damage(dir, 0, 0, 50000);
    struct sm_check_cfg cfg = cfg_of(dir, 0.654, false); /* 327 labels, one of every 152 or 153 */
    uint64_t sum = 0;
    for (cfg.seed = 1; cfg.seed <= 5; cfg.seed++) {
        struct sm_check_result r;
        cr_assert_eq(sm_check_run(&cfg, NULL, &r, NULL), SM_OK);
        cr_assert_eq(r.labels_bad, 327);
        uint64_t k = 0;
        for (size_t i = 0; i < r.bad_n; i++) {
            for (uint64_t j = 0; j < r.bad[i].labels; j++, k++) {
                const uint64_t at = r.bad[i].offset / 16 + j;
                cr_assert(at >= 50000 * k / 327 && at < 50000 * (k + 1) / 327, "label %" PRIu64 " of slice %" PRIu64,
                          at, k);
                sum += at;
            }
        }
        sm_check_result_fini(&r);
    }
    const double mean = (double)sum / (5 * 327);
    cr_assert(mean > 24990 && mean < 25010, "%g", mean); /* the place within a slice: sigma 44 / sqrt(1635) = 1.1 */
}

Test(check, files_that_are_not_as_they_should_be)
{
    char dir[256];
    size_t n;
    dataset_put(tmpdir_make(dir), &dataset_tiny);
    uint8_t *p = file_get(tmpdir_path(dir, "postdata_0.bin"), &n);
    file_put(tmpdir_path(dir, "postdata_0.bin"), p, 165);
    free(p);
    (void)unlink(tmpdir_path(dir, "postdata_1.bin"));
    p = file_get(tmpdir_path(dir, "postdata_2.bin"), &n);
    p = realloc(p, n + 16);
    memset(p + n, 0, 16);
    file_put(tmpdir_path(dir, "postdata_2.bin"), p, n + 16);
    file_put(tmpdir_path(dir, "postdata_4.bin"), p, 16);
    free(p);
    for (int repair = 0; repair < 2; repair++) {
        struct sm_check_result r = check(dir, 100, repair);
        cr_assert_eq(r.labels_checked, 10 + 64 + 64);
        cr_assert_eq(r.labels_bad, 0);
        cr_assert(has_problem(&r, "postdata_0.bin holds 10 of 64 labels and 5 bytes"));
        cr_assert(has_problem(&r, "postdata_1.bin is missing"));
        cr_assert(has_problem(&r, "postdata_2.bin is 16 bytes longer"));
        cr_assert(has_problem(&r, "postdata_4.bin is beyond the last file"));
        cr_assert_eq(has_problem(&r, "run init"), repair);
        sm_check_result_fini(&r);
        cr_assert_eq(file_size(tmpdir_path(dir, "postdata_0.bin")), 165);
        cr_assert_eq(file_size(tmpdir_path(dir, "postdata_1.bin")), -1);
    }
    struct sm_check_cfg cfg = cfg_of(dir, 100, false);
    struct sm_check_result r;
    cfg.from_file = cfg.to_file = 3;
    cr_assert_eq(sm_check_run(&cfg, NULL, &r, NULL), SM_OK);
    cr_assert_eq(r.labels_checked, 64);
    cr_assert(!has_problem(&r, "postdata_1.bin"));
    sm_check_result_fini(&r);
}

Test(check, unreadable_parts_are_problems_and_the_rest_is_checked)
{
    static const double fractions[] = {100, 40};
    for (int i = 0; i < 2; i++) {
        char dir[256];
        dataset_put(tmpdir_make(dir), &large);
        damage(dir, 2, 0, 18000);
        fault_set(&(struct fault_plan){
            .kinds = FAULT_READ, .path_has = "postdata_1.bin", .fail_at = i ? 3000 : 2, .fail_forever = true});
        struct sm_check_result r = check(dir, fractions[i], false);
        fault_clear();
        cr_assert_eq(r.file_problems_n, 1);
        cr_assert(has_problem(&r, "postdata_1.bin at offset"));
        cr_assert(has_problem(&r, "the rest of this file was not checked"));
        cr_assert_lt((double)r.labels_checked, 150000 * fractions[i] / 100);
        cr_assert_eq(r.labels_bad, i ? 7200 : 18000);
        sm_check_result_fini(&r);

        fault_set(&(struct fault_plan){.kinds = FAULT_OPEN, .path_has = "postdata_1.bin", .fail_at = 1});
        r = check(dir, fractions[i], false);
        fault_clear();
        cr_assert(has_problem(&r, "cannot open"));
        sm_check_result_fini(&r);
        tmpdir_remove(dir);
    }
}

Test(check, interrupted_and_short_transfers_do_not_matter)
{
    static const double fractions[] = {100, 50};
    for (int i = 0; i < 2; i++) {
        char dir[256];
        dataset_put(tmpdir_make(dir), &dataset_tiny);
        damage(dir, 1, 0, 64);
        fault_set(&(struct fault_plan){.eintr = true, .short_max = 11});
        struct sm_check_result r = check(dir, fractions[i], true);
        fault_clear();
        cr_assert_eq(r.labels_repaired, i ? 32 : 64);
        sm_check_result_fini(&r);
        r = check(dir, 100, true);
        cr_assert_eq(r.labels_bad, i ? 32 : 0);
        sm_check_result_fini(&r);
        cr_assert(dataset_file_right(dir, &dataset_tiny, 1));
        tmpdir_remove(dir);
    }
}

Test(check, a_failing_repair_is_an_error_and_can_be_repeated)
{
    static const struct {
        unsigned kind;
        int err;
        sm_err want;
    } rows[] = {{FAULT_WRITE, ENOSPC, SM_E_NOSPACE}, {FAULT_WRITE, EIO, SM_E_IO}, {FAULT_SYNC, EIO, SM_E_IO}};
    for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        char dir[256];
        struct sm_check_result r;
        struct sm_errinfo ei = {0};
        dataset_put(tmpdir_make(dir), &dataset_tiny);
        damage(dir, 1, 3, 2);
        damage(dir, 1, 9, 2);
        const struct sm_check_cfg cfg = cfg_of(dir, i % 2 ? 99 : 100, true);
        fault_set(&(struct fault_plan){
            .kinds = rows[i / 2].kind, .path_has = "postdata_1", .fail_at = 1, .fail_errno = rows[i / 2].err});
        cr_assert_eq(sm_check_run(&cfg, NULL, &r, &ei), rows[i / 2].want, "%s", ei.text);
        fault_clear();
        cr_assert(strstr(ei.text, "postdata_1.bin"), "%s", ei.text);
        r = check(dir, 100, true);
        sm_check_result_fini(&r);
        cr_assert(dataset_file_right(dir, &dataset_tiny, 1));
        tmpdir_remove(dir);
    }
}

Test(check, refusals)
{
    char dir[256];
    struct sm_check_result r;
    struct sm_errinfo ei = {0};
    dataset_put(tmpdir_make(dir), &dataset_tiny);
    static const double bad[] = {0, -1, 100.1, (double)NAN, (double)INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct sm_check_cfg cfg = cfg_of(dir, bad[i], false);
        cr_assert_eq(sm_check_run(&cfg, NULL, &r, &ei), SM_E_ARG, "%g", bad[i]);
    }
    struct sm_check_cfg cfg = cfg_of(dir, 100, false);
    cfg.scrypt_n = 16;
    cr_assert_eq(sm_check_run(&cfg, NULL, &r, &ei), SM_E_MISMATCH);
    cfg = cfg_of(dir, 100, false);
    cfg.to_file = 4;
    cr_assert_eq(sm_check_run(&cfg, NULL, &r, &ei), SM_E_ARG);
    struct sm_dirlock l;
    cr_assert_eq(sm_dirlock_take(dir, false, &l, NULL), SM_OK);
    cfg = cfg_of(dir, 100, false);
    cr_assert_eq(sm_check_run(&cfg, NULL, &r, &ei), SM_OK, "readers do not disturb each other");
    sm_check_result_fini(&r);
    cfg.repair = true;
    cr_assert_eq(sm_check_run(&cfg, NULL, &r, &ei), SM_E_BUSY);
    sm_dirlock_release(&l);
    (void)unlink(tmpdir_path(dir, SM_METADATA_FILE));
    cr_assert_eq(sm_check_run(&cfg, NULL, &r, &ei), SM_E_NOTFOUND);
}

static void stop_at_once(void *ctx, uint64_t done, uint64_t total, uint64_t bad)
{
    (void)done, (void)total, (void)bad;
    sm_cancel_request(ctx);
}

Test(check, cancel)
{
    static const double fractions[] = {100, 50};
    char dir[256];
    dataset_put(tmpdir_make(dir), &large);
    for (int i = 0; i < 2; i++) {
        struct sm_cancel cancel = {false};
        struct sm_check_cfg cfg = cfg_of(dir, fractions[i], false);
        struct sm_check_result r;
        cfg.progress = stop_at_once;
        cfg.progress_ctx = &cancel;
        cr_assert_eq(sm_check_run(&cfg, &cancel, &r, NULL), SM_E_CANCELLED);
    }
}

/* ---- engines that are not the reference ---- */

struct liar {
    struct sm_label_engine cpu;
    uint64_t every; /* label indices divisible by this are wrong; 0: none */
};

static sm_err liar_compute(void *self, const struct sm_label_job *job, struct sm_label_range range,
                           const struct sm_cancel *cancel, uint8_t *labels, struct sm_vrf_best *best,
                           struct sm_errinfo *ei)
{
    struct liar *l = self;
    sm_err err = l->cpu.ops->compute(l->cpu.self, job, range, cancel, labels, best, ei);
    for (uint64_t i = 0; !err && l->every && i < range.count; i++)
        if ((range.first + i) % l->every == 0) labels[16 * i] ^= 1;
    return err;
}

static void liar_free(void *self)
{
    struct liar *l = self;
    sm_label_engine_free(&l->cpu);
    free(l);
}

static const struct sm_label_engine_ops liar_ops = {.compute = liar_compute, .free = liar_free};

static struct sm_label_engine liar(uint64_t every)
{
    struct liar *l = calloc(1, sizeof *l);
    l->every = every;
    cr_assert_eq(sm_label_engine_cpu(NULL, 2, 0, &l->cpu, NULL), SM_OK);
    return (struct sm_label_engine){.ops = &liar_ops, .self = l, .device = "liar", .variant = "x", .chunk = 65536};
}

static void check_with(const char *dir, struct sm_label_engine e, uint64_t bad, bool repair)
{
    struct sm_check_cfg cfg = cfg_of(dir, 100, repair);
    struct sm_check_result r;
    struct sm_errinfo ei = {0};
    cfg.engines = &e;
    cfg.engines_n = 1;
    cr_assert_eq(sm_check_run(&cfg, NULL, &r, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(r.labels_bad, bad, "%" PRIu64 " bad", r.labels_bad);
    cr_assert_eq(r.labels_repaired, repair ? bad : 0);
    sm_check_result_fini(&r);
}

Test(check, lying_engines_do_not_make_good_data_bad)
{
    char dir[256];
    dataset_put(tmpdir_make(dir), &large);
    check_with(dir, liar(65537), 0, true); /* rare enough for the farm's spot checks not to notice */
    check_with(dir, liar(20011), 0, true);
    check_with(dir, liar(151), 0, true); /* more than are confirmed at first; the farm may notice */
    for (uint64_t i = 0; i < 3; i++) cr_assert(dataset_file_right(dir, &large, i));
    damage(dir, 0, 10, 1);
    damage(dir, 1, 0, 66000);
    check_with(dir, liar(20011), 66001, false);
    check_with(dir, liar(0), 66001, true);
    for (uint64_t i = 0; i < 3; i++) cr_assert(dataset_file_right(dir, &large, i));
}

Test(check, linked_files_are_repaired_where_they_are)
{
    char dir[256], other[256];
    dataset_put(tmpdir_make(dir), &dataset_tiny);
    tmpdir_make(other);
    cr_assert_eq(rename(tmpdir_path(dir, "postdata_2.bin"), tmpdir_path(other, "x")), 0);
    cr_assert_eq(symlink(tmpdir_path(other, "x"), tmpdir_path(dir, "postdata_2.bin")), 0);
    damage(dir, 2, 5, 1);
    struct sm_check_result r = check(dir, 100, true);
    cr_assert_eq(r.labels_repaired, 1);
    sm_check_result_fini(&r);
    struct stat st;
    cr_assert_eq(lstat(tmpdir_path(dir, "postdata_2.bin"), &st), 0);
    cr_assert(S_ISLNK(st.st_mode));
    cr_assert(dataset_file_right(dir, &dataset_tiny, 2));
}
