/* Tuning of OpenCL devices: the file, and a device tuned for real (PoCL's processor will do). */
#include <criterion/criterion.h>

#include "post/gpu_tune.h"
#include "post/label.h"
#include "post/tune_rows.h"
#include "support/tmpdir.h"
#include "unit/gpu/device.h"

static const struct sm_gpu_device card = {.id = "pci-1", .name = "Card \"X\": 7\\", .driver = "1.2, beta"};

static const char *tuning(const char *dir)
{
    return tmpdir_path(dir, SM_TUNE_FILE);
}

static void use_cache(char dir[256])
{
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
}

static struct sm_gpu_tuned shape(uint32_t wg, uint32_t gap, sm_gpu_layout layout, double rate)
{
    return (struct sm_gpu_tuned){.cfg = {.kernel = SM_GPU_KERNEL_ITEM,
                                         .wg_items = wg,
                                         .lookup_gap = gap,
                                         .layout = layout,
                                         .interleave = 1,
                                         .unroll = 4,
                                         .width = 8 * wg},
                                 .labels_per_s = rate};
}

static void save(const struct sm_gpu_device *d, uint32_t n, struct sm_gpu_tuned t)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_gpu_tune_save(d, n, &t, &ei), SM_OK, "%s", ei.text);
}

Test(gpu_tune, what_is_saved_is_found_again)
{
    char dir[256];
    use_cache(dir);
    struct sm_gpu_tuned t = {0};
    struct sm_gpu_device other = card;
    cr_assert_not(sm_gpu_tune_load(&card, 8192, NULL, &t), "no file");
    save(&card, 8192, shape(64, 2, SM_GPU_LAYOUT_ROWS, 1234.5));
    save(&card, 2, shape(32, 1, SM_GPU_LAYOUT_TABLES, 9));
    cr_assert(sm_gpu_tune_load(&card, 8192, NULL, &t));
    cr_assert(t.cfg.wg_items == 64 && t.cfg.lookup_gap == 2 && t.cfg.layout == SM_GPU_LAYOUT_ROWS &&
              t.labels_per_s == 1234.5);
    cr_assert(sm_gpu_tune_load(&card, 2, NULL, &t) && t.cfg.layout == SM_GPU_LAYOUT_TABLES);
    cr_assert_not(sm_gpu_tune_load(&card, 4, NULL, &t), "another N");
    (void)strcpy(other.driver, "1.3");
    cr_assert_not(sm_gpu_tune_load(&other, 8192, NULL, &t), "another driver");
    save(&card, 8192, shape(128, 4, SM_GPU_LAYOUT_ROWS, 2000));
    cr_assert(sm_gpu_tune_load(&card, 8192, NULL, &t) && t.cfg.wg_items == 128, "replaced");
    size_t n;
    char *text = (char *)file_get(tuning(dir), &n);
    unsigned rows = 0;
    for (size_t i = 0; i < n; i++) rows += text[i] == '\n';
    cr_assert_eq(rows, 2, "%s", text);
    free(text);
    tmpdir_remove(dir);
}

Test(gpu_tune, what_is_no_row_is_kept_and_ignored)
{
    static const char foreign[] =
        "# measured by hand\n"
        "- {kernel: romix, device: plain yaml}\n"
        "- {\"kernel\": \"romix\", \"device\": \"Card \\\"X\\\": 7\\\\\", \"driver\": \"1.2, beta\", "
        "\"scrypt_n\": 4, \"wg_items\": 0, \"lookup_gap\": 2}\n"
        "- \n-\n\n{]\n"
        "- {\"kernel\": \"other\"}"; /* without an end of line */
    char dir[256];
    use_cache(dir);
    file_put(tuning(dir), foreign, sizeof foreign - 1);
    struct sm_gpu_tuned t = {0};
    cr_assert_not(sm_gpu_tune_load(&card, 4, NULL, &t), "no group has 0 items");
    save(&card, 8, shape(64, 2, SM_GPU_LAYOUT_ROWS, 1));
    cr_assert(sm_gpu_tune_load(&card, 8, NULL, &t));
    size_t n;
    char *text = (char *)file_get(tuning(dir), &n);
    cr_assert_eq(strncmp(text, foreign, sizeof foreign - 1), 0, "%s", text);
    free(text);
    tmpdir_remove(dir);
}

/* configs/tuning.yaml travels inside the program; a row of another kernel source would never be found. */
Test(gpu_tune, a_shipped_row_is_found_last)
{
    static const struct sm_gpu_device pocl = {
        .id = "x", .name = "pthread-skylake-avx512-AMD EPYC", .driver = "3.1+debian"};
    char dir[256];
    use_cache(dir);
    struct sm_gpu_tuned t = {0};
    cr_assert(sm_gpu_tune_load(&pocl, 8192, NULL, &t), "measure configs/tuning.yaml again: the kernels have changed");
    cr_assert(t.cfg.kernel == SM_GPU_KERNEL_FETCH && t.cfg.lookup_gap >= 1 && t.labels_per_s > 0);

    save(&pocl, 8192, shape(16, 3, SM_GPU_LAYOUT_ROWS, 5));
    cr_assert(sm_gpu_tune_load(&pocl, 8192, NULL, &t) && t.cfg.lookup_gap == 3,
              "what was measured here comes before it");
    static const char own[] = "- {\"kernel\": \"romix\", \"device\": \"pthread-skylake-avx512-AMD EPYC\", "
                              "\"scrypt_n\": 8192, \"lookup_gap\": 7}\n";
    const char *file = tmpdir_path(dir, "own.yaml");
    file_put(file, own, sizeof own - 1);
    cr_assert(sm_gpu_tune_load(&pocl, 8192, file, &t) && t.cfg.lookup_gap == 7, "and the user's own file before both");
    cr_assert(t.cfg.wg_items == 0 && t.cfg.kernel == SM_GPU_KERNEL_DEFAULT, "what a row leaves out suits the device");
    cr_assert(sm_gpu_tune_load(&pocl, 8192, tmpdir_path(dir, "none.yaml"), &t) && t.cfg.lookup_gap == 3);
    tmpdir_remove(dir);
}

static struct sm_gpu_device first_device(void)
{
    char id[64] = "";
    gpu_first_device(id);
    struct sm_gpu_device *v = NULL, found = {0};
    size_t n = 0;
    struct sm_gpu_report report;
    cr_assert_eq(sm_gpu_list(&v, &n, &report, NULL), SM_OK);
    for (size_t i = 0; i < n; i++)
        if (strcmp(v[i].id, id) == 0) found = v[i];
    free(v);
    return found;
}

Test(gpu_tune, a_device_is_tuned_and_runs_so)
{
    const struct sm_gpu_device d = first_device();
    char dir[256];
    use_cache(dir);
    struct sm_gpu_tuned t = {0}, again = {0};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_gpu_tune(&d, 2, NULL, 2, NULL, &t, &ei), SM_OK, "%s", ei.text);
    cr_assert(t.labels_per_s > 0 && t.cfg.wg_items >= 1 && t.cfg.lookup_gap >= 1);
    cr_assert(sm_gpu_tune_load(&d, 2, NULL, &again) && again.cfg.wg_items == t.cfg.wg_items &&
              again.cfg.lookup_gap == t.cfg.lookup_gap);

    save(&d, 2, shape(1, 4, SM_GPU_LAYOUT_TABLES, 1));
    struct sm_label_engine e = {0};
    cr_assert_eq(sm_label_engine_gpu(d.id, 2, NULL, &e, &ei), SM_OK, "%s", ei.text);
    cr_assert(strstr(e.variant, "gap=4") && strstr(e.variant, "wg=1 "), "%s", e.variant);
    sm_label_engine_free(&e);

    save(&d, 2, shape(4096, 4, SM_GPU_LAYOUT_TABLES, 1)); /* PoCL allows groups of 4096; others do not */
    cr_assert_eq(sm_label_engine_gpu(d.id, 2, NULL, &e, &ei), SM_OK, "a row that no longer fits is no failure: %s",
                 ei.text);
    sm_label_engine_free(&e);
    tmpdir_remove(dir);
}

Test(gpu_tune, it_can_be_cancelled)
{
    const struct sm_gpu_device d = first_device();
    char dir[256];
    use_cache(dir);
    struct sm_cancel cancel = {0};
    sm_cancel_request(&cancel);
    struct sm_gpu_tuned t = {0};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_gpu_tune(&d, 2, NULL, 2, &cancel, &t, &ei), SM_E_CANCELLED, "%s", ei.text);
    cr_assert_not(sm_gpu_tune_load(&d, 2, NULL, &t));
    tmpdir_remove(dir);
}
