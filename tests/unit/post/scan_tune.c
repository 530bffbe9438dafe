/* Tuning of the scan on OpenCL devices: a device tuned for real (PoCL's processor will do), and the file. */
#include <criterion/criterion.h>

#include "post/tune_rows.h"
#include "post/scan_tune.h"
#include "support/tmpdir.h"
#include "unit/gpu/device.h"

static struct sm_gpu_device device(void)
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

static bool same(const struct sm_gpu_scanner_cfg *a, const struct sm_gpu_scanner_cfg *b)
{
    return a->kind == b->kind && a->tables == b->tables && a->copies == b->copies && a->wg_items == b->wg_items;
}

static const char foreign[] = "# measured by hand\n"
                              "- {\"kernel\": \"romix\", \"device\": \"X\", \"driver\": \"1\", \"scrypt_n\": 8192}\n"
                              "- {kernel: scan, device: plain yaml}\n";

Test(scan_tune, the_best_is_saved_and_used)
{
    char dir[256];
    struct sm_errinfo ei = {0};
    const struct sm_gpu_device d = device();
    struct sm_gpu_device other = d;
    struct sm_gpu_scanner_cfg best = {0}, found = {0};
    struct sm_gpu_scanner *g = NULL;
    double rate = 0;
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
    file_put(tmpdir_path(dir, SM_TUNE_FILE), foreign, sizeof foreign - 1);
    cr_assert_not(sm_scan_tune_load(&d, &found), "no row yet");
    cr_assert_eq(sm_scan_tune(&d, 0.05, NULL, &best, &rate, &ei), SM_OK, "%s", ei.text);
    cr_assert_gt(rate, 0);
    cr_assert(sm_scan_tune_load(&d, &found) && same(&best, &found));
    (void)strcpy(other.driver, "another");
    cr_assert_not(sm_scan_tune_load(&other, &found), "another driver");
    cr_assert_eq(sm_scan_tune(&d, 0.05, NULL, &best, &rate, &ei), SM_OK, "%s", ei.text);

    size_t n, rows = 0;
    char *text = (char *)file_get(tmpdir_path(dir, SM_TUNE_FILE), &n);
    for (size_t i = 0; i < n; i++) rows += text[i] == '\n';
    cr_assert_eq(rows, 4, "one row of ours, and the others: %.*s", (int)n, text);
    cr_assert_eq(memcmp(text, foreign, sizeof foreign - 1), 0);
    free(text);

    char want[32];
    (void)snprintf(want, sizeof want, "wg=%u", best.wg_items);
    cr_assert_eq(sm_scan_open(d.id, 0, NULL, &g, &ei), SM_OK, "%s", ei.text);
    cr_assert_not_null(strstr(sm_gpu_scanner_describe(g), want), "%s, not %s", sm_gpu_scanner_describe(g), want);
    sm_gpu_scanner_free(g);
    tmpdir_remove(dir);
}

/* A row of another program's kernels, and one that this device cannot do. */
Test(scan_tune, rows_that_do_not_fit_are_not_used)
{
    static const char *const bad[] = {"\"wg_items\": 16", "\"source\": \""};
    static const char *const instead[] = {"\"wg_items\": 16384", "\"source\": \"0"};
    char dir[256];
    struct sm_errinfo ei = {0};
    const struct sm_gpu_device d = device();
    struct sm_gpu_scanner_cfg found = {0};
    double rate = 0;
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
    for (unsigned i = 0; i < 2; i++) {
        struct sm_gpu_scanner *g = NULL;
        cr_assert_eq(sm_scan_tune(&d, 0.02, NULL, &found, &rate, &ei), SM_OK, "%s", ei.text);
        size_t n;
        char *text = (char *)file_get(tmpdir_path(dir, SM_TUNE_FILE), &n), row[1024];
        char *at = memmem(text, n, bad[i], strlen(bad[i]));
        if (!at) at = memmem(text, n, "\"wg_items\": 64", strlen("\"wg_items\": 64"));
        cr_assert_not_null(at);
        const int len = snprintf(row, sizeof row, "%.*s%s%.*s", (int)(at - text), text, instead[i],
                                 (int)(n - (size_t)(at - text) - strlen(bad[i])), at + strlen(bad[i]));
        file_put(tmpdir_path(dir, SM_TUNE_FILE), row, (size_t)len);
        free(text);
        cr_assert_not(sm_scan_tune_load(&d, &found), "%s", row);
        cr_assert_eq(sm_scan_open(d.id, 0, NULL, &g, &ei), SM_OK, "%s", ei.text);
        sm_gpu_scanner_free(g);
    }
    tmpdir_remove(dir);
}

Test(scan_tune, stops_when_told)
{
    char dir[256];
    struct sm_errinfo ei = {0};
    const struct sm_gpu_device d = device();
    struct sm_gpu_scanner_cfg best = {0};
    struct sm_cancel stop = {false};
    struct sm_gpu_scanner *g = NULL;
    double rate = 0;
    setenv("SM_CACHE_DIR", tmpdir_make(dir), 1);
    sm_cancel_request(&stop);
    cr_assert_eq(sm_scan_tune(&d, 1, &stop, &best, &rate, &ei), SM_E_CANCELLED);
    cr_assert_eq(sm_scan_open(d.id, 1, &stop, &g, &ei), SM_E_CANCELLED);
    cr_assert_not(sm_scan_tune_load(&d, &best));
    tmpdir_remove(dir);
}
