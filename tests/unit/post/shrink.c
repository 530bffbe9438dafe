/* Shrinking, and what a crash or an error in the middle of it leaves. */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "post/datadir.h"
#include "post/shrink.h"
#include "post/sidecar.h"
#include "support/dataset.h"
#include "support/faultio.h"
#include "support/tmpdir.h"
#include "util/log.h"

/* 5 units of 100 labels in files of 64: seven full ones and one of 52. */
static const struct dataset five = {
    .node_id = 3,
    .atx_id = 4,
    .scrypt_n = 2,
    .labels_per_unit = 100,
    .num_units = 5,
    .max_file_size = 1024,
    .from = SM_LAYOUT_ALL,
    .to = SM_LAYOUT_ALL,
};

static struct dataset smaller(uint32_t units)
{
    struct dataset d = five;
    d.num_units = units;
    return d;
}

static void assert_complete(const char *dir, uint32_t units)
{
    struct sm_datadir_info info;
    struct sm_errinfo ei = {0};
    const struct dataset d = smaller(units);
    cr_assert_eq(sm_datadir_inspect(dir, &info, &ei), SM_OK, "%s", ei.text);
    for (size_t i = 0; i < info.problems_n; i++) cr_log_error("%s", info.problems[i]);
    cr_assert(info.status == SM_DATADIR_COMPLETE && info.problems_n == 0);
    cr_assert_eq(info.meta.num_units, units);
    for (uint64_t i = 0; i < info.layout.files; i++) cr_assert(dataset_file_right(dir, &d, i), "file %" PRIu64, i);
    sm_datadir_info_fini(&info);
}

Test(shrink, plan_then_run)
{
    static const struct {
        uint32_t units;
        uint64_t files, bytes, cut_file, cut_after;
    } rows[] = {
        {5, 0, 0, 0, 0},
        {4, 1, 1600, 6, 16 * (400 - 6 * 64)},
        {3, 3, 3200, 4, 16 * (300 - 4 * 64)},
        {1, 6, 6400, 1, 16 * 36},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char dir[256];
        struct sm_shrink_plan p;
        struct sm_errinfo ei = {0};
        dataset_put(tmpdir_make(dir), &five);
        cr_assert_eq(sm_shrink_plan(dir, rows[i].units, &p, &ei), SM_OK, "%s", ei.text);
        cr_assert(p.from_units == 5 && p.to_units == rows[i].units);
        cr_assert_eq(p.files_removed, rows[i].files);
        cr_assert_eq(p.bytes_removed, rows[i].bytes, "%" PRIu64, p.bytes_removed);
        cr_assert_eq(p.cut_bytes_after, rows[i].cut_after);
        if (p.cut_bytes_after) cr_assert_eq(p.cut_file, rows[i].cut_file);
        assert_complete(dir, 5); /* a plan changes nothing */
        cr_assert_eq(sm_shrink_run(dir, rows[i].units, &ei), SM_OK, "%s", ei.text);
        assert_complete(dir, rows[i].units);
        cr_assert_eq(sm_shrink_plan(dir, rows[i].units, &p, &ei), SM_OK);
        cr_assert(p.files_removed == 0 && p.bytes_removed == 0 && p.cut_bytes_after == 0);
        cr_assert_eq(sm_shrink_run(dir, rows[i].units, &ei), SM_OK, "again");
        tmpdir_remove(dir);
    }
}

Test(shrink, file_boundary_needs_no_cut)
{
    char dir[256];
    struct sm_shrink_plan p;
    dataset_put(tmpdir_make(dir), &dataset_tiny); /* 2 units, four files */
    cr_assert_eq(sm_shrink_plan(dir, 1, &p, NULL), SM_OK);
    cr_assert(p.files_removed == 2 && p.bytes_removed == 2048 && p.cut_bytes_after == 0);
    cr_assert_eq(sm_shrink_run(dir, 1, NULL), SM_OK);
    cr_assert_eq(file_size(tmpdir_path(dir, "postdata_1.bin")), 1024);
    cr_assert_eq(file_size(tmpdir_path(dir, "postdata_2.bin")), -1);
}

Test(shrink, nonce_and_foreign_files_stay)
{
    char dir[256];
    struct sm_metadata before, after;
    bool b;
    dataset_put(tmpdir_make(dir), &five);
    cr_assert_eq(sm_metadata_load(dir, &before, &b, NULL), SM_OK);
    static const char *const foreign[] = {"postdata_07.bin", "postdata_7xbin", "postdata_x.bin", "identity.key",
                                          "notes"};
    for (size_t i = 0; i < 5; i++) file_put(tmpdir_path(dir, foreign[i]), "x", 1);
    cr_assert_eq(sm_shrink_run(dir, 2, NULL), SM_OK);
    cr_assert_eq(sm_metadata_load(dir, &after, &b, NULL), SM_OK);
    cr_assert(before.has_nonce && after.has_nonce && before.nonce == after.nonce);
    cr_assert_arr_eq(before.nonce_value, after.nonce_value, 16);
    for (size_t i = 0; i < 5; i++) cr_assert_eq(file_size(tmpdir_path(dir, foreign[i])), 1, "%s", foreign[i]);
}

Test(shrink, refusals)
{
    char dir[256];
    struct sm_shrink_plan p;
    struct sm_errinfo ei = {0};
    dataset_put(tmpdir_make(dir), &five);
    cr_assert_eq(sm_shrink_run(dir, 0, &ei), SM_E_ARG);
    cr_assert_eq(sm_shrink_run(dir, 6, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "5 units") && strstr(ei.text, "grow"), "%s", ei.text);
    cr_assert_eq(sm_shrink_plan(dir, 6, &p, &ei), SM_E_ARG);
    struct sm_dirlock l;
    cr_assert_eq(sm_dirlock_take(dir, false, &l, NULL), SM_OK);
    cr_assert_eq(sm_shrink_run(dir, 1, &ei), SM_E_BUSY);
    sm_dirlock_release(&l);
    assert_complete(dir, 5);
    (void)unlink(tmpdir_path(dir, SM_METADATA_FILE));
    cr_assert_eq(sm_shrink_run(dir, 1, &ei), SM_E_NOTFOUND);
    cr_assert_eq(file_size(tmpdir_path(dir, "postdata_7.bin")), 52 * 16);
}

Test(shrink, subsets)
{
    char dir[256];
    struct dataset d = five;
    struct sm_sidecar side;
    struct sm_errinfo ei = {0};
    d.from = 2;
    d.to = 7;
    dataset_put(tmpdir_make(dir), &d);
    cr_assert_eq(sm_shrink_run(dir, 1, &ei), SM_E_ARG, "it would leave nothing");
    cr_assert(strstr(ei.text, "files 2 to 7"), "%s", ei.text);
    cr_assert_eq(sm_shrink_run(dir, 2, &ei), SM_OK);
    cr_assert_eq(sm_sidecar_load(dir, &side, NULL), SM_OK);
    cr_assert(side.has_subset && side.from == 2 && side.to == 3);
    const struct dataset two = smaller(2);
    cr_assert(dataset_file_right(dir, &two, 2) && dataset_file_right(dir, &two, 3));
    cr_assert_eq(file_size(tmpdir_path(dir, "postdata_4.bin")), -1);
}

Test(shrink, undoes_an_unfinished_grow)
{
    char dir[256];
    struct sm_metadata m;
    struct sm_sidecar side;
    bool b;
    dataset_put(tmpdir_make(dir), &five);
    cr_assert_eq(sm_metadata_load(dir, &m, &b, NULL), SM_OK);
    m.num_units = 3; /* files of five units, of which the metadata does not know yet */
    cr_assert_eq(sm_metadata_save(dir, &m, NULL), SM_OK);
    cr_assert_eq(sm_sidecar_save(dir, &(struct sm_sidecar){.scrypt_n = 2, .grow_to = 5}, NULL), SM_OK);
    cr_assert_eq(sm_shrink_run(dir, 3, NULL), SM_OK);
    assert_complete(dir, 3);
    cr_assert_eq(sm_sidecar_load(dir, &side, NULL), SM_OK);
    cr_assert(side.grow_to == 0 && side.scrypt_n == 2);
}

Test(shrink, linked_files_go_with_their_links)
{
    char dir[256], other[256];
    struct stat st;
    dataset_put(tmpdir_make(dir), &five);
    tmpdir_make(other);
    for (int i = 5; i <= 7; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "postdata_%d.bin", i);
        cr_assert_eq(rename(tmpdir_path(dir, name), tmpdir_path(other, name)), 0);
        cr_assert_eq(symlink(tmpdir_path(other, name), tmpdir_path(dir, name)), 0);
    }
    (void)unlink(tmpdir_path(other, "postdata_7.bin")); /* as a crash between the two leaves it */
    cr_assert_eq(sm_shrink_run(dir, 3, NULL), SM_OK);
    for (int i = 5; i <= 7; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "postdata_%d.bin", i);
        cr_assert_neq(lstat(tmpdir_path(dir, name), &st), 0);
        cr_assert_eq(file_size(tmpdir_path(other, name)), -1);
    }
    assert_complete(dir, 3);
}

/* At any moment the directory holds at least what its metadata says, and a second run finishes. */
static void assert_safe_then_finish(const char *dir, uint32_t to, uint64_t k)
{
    struct sm_datadir_info info;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_datadir_inspect(dir, &info, &ei), SM_OK, "call %" PRIu64 ": %s", k, ei.text);
    cr_assert(info.meta.num_units == 5 || info.meta.num_units == to);
    cr_assert(info.status == SM_DATADIR_COMPLETE || info.status == SM_DATADIR_OVERSIZED, "call %" PRIu64, k);
    cr_assert(info.meta.num_units == to || info.status == SM_DATADIR_COMPLETE, "nothing goes before the metadata");
    cr_assert_not(info.meta_from_backup);
    sm_datadir_info_fini(&info);
    cr_assert_eq(sm_shrink_run(dir, to, &ei), SM_OK, "call %" PRIu64 ": %s", k, ei.text);
    assert_complete(dir, to);
}

Test(shrink, every_crash_loses_nothing)
{
    uint64_t k = 1;
    for (bool done = false; !done; k++) {
        char dir[256];
        dataset_put(tmpdir_make(dir), &five);
        const pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            fault_set(&(struct fault_plan){.crash_at = k, .crash_torn = true});
            _exit(sm_shrink_run(dir, 3, NULL) == SM_OK ? 0 : 1);
        }
        int status = 0;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULT_CRASH_STATUS));
        done = WEXITSTATUS(status) == 0;
        assert_safe_then_finish(dir, 3, k);
        tmpdir_remove(dir);
    }
    cr_assert_gt(k, 20, "%" PRIu64 " calls", k);
}

Test(shrink, every_error_loses_nothing)
{
    static const int errors[] = {EIO, ENOSPC};
    for (int i = 0; i < 2; i++) {
        for (uint64_t k = 1;; k++) {
            char dir[256];
            struct sm_errinfo ei = {0};
            dataset_put(tmpdir_make(dir), &five);
            fault_set(&(struct fault_plan){.fail_at = k, .fail_errno = errors[i], .eintr = true});
            const sm_err err = sm_shrink_run(dir, 3, &ei);
            const bool reached = fault_calls() >= k;
            fault_clear();
            if (err) cr_assert(ei.text[0] != '\0');
            assert_safe_then_finish(dir, 3, k);
            tmpdir_remove(dir);
            if (!reached) {
                cr_assert_eq(err, SM_OK);
                cr_assert_gt(k, 20);
                break;
            }
            cr_assert_neq(err, SM_OK, "call %" PRIu64 " failed unnoticed", k);
        }
    }
}
