/* Merging subset directories: renames, copies, refusals, and interruption at every step. */
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
#include "post/merge.h"
#include "post/sidecar.h"
#include "support/dataset.h"
#include "support/faultio.h"
#include "support/tmpdir.h"

/* dataset_tiny has files 0 to 3; its smallest label, 246, is in file 3. */
static void put_part(char dir[256], uint64_t from, uint64_t to)
{
    struct dataset d = dataset_tiny;
    d.from = from;
    d.to = to;
    dataset_put(tmpdir_make(dir), &d);
}

static sm_err merge(const char *target, const char *a, const char *b, bool move, struct sm_merge_result *r,
                    struct sm_errinfo *ei)
{
    const char *const sources[] = {a, b};
    const struct sm_merge_cfg cfg = {.sources = sources, .sources_n = b ? 2 : 1, .target = target, .move = move};
    return sm_merge_run(&cfg, NULL, r, ei);
}

static void assert_whole(const char *dir)
{
    struct sm_datadir_info info;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_datadir_inspect(dir, &info, &ei), SM_OK, "%s", ei.text);
    for (size_t i = 0; i < info.problems_n; i++) cr_log_error("%s", info.problems[i]);
    cr_assert(info.status == SM_DATADIR_COMPLETE && info.problems_n == 0);
    cr_assert(info.meta.has_nonce && info.meta.nonce == 246 && info.meta.has_nonce_value);
    cr_assert_eq(info.meta.nonce_value[1], 0x05);
    for (uint64_t i = 0; i < 4; i++) cr_assert(dataset_file_right(dir, &dataset_tiny, i), "%" PRIu64, i);
    sm_datadir_info_fini(&info);
}

static bool has_file(const char *dir, int number)
{
    char name[64];
    (void)snprintf(name, sizeof name, "postdata_%d.bin", number);
    return file_size(tmpdir_path(dir, name)) >= 0;
}

Test(merge, copies_into_a_new_directory)
{
    char a[256], b[256], base[256];
    struct sm_merge_result r;
    struct sm_errinfo ei = {0};
    put_part(a, 0, 1);
    put_part(b, 2, 3);
    const char *target = tmpdir_path(tmpdir_make(base), "all");
    cr_assert_eq(merge(target, a, b, false, &r, &ei), SM_OK, "%s", ei.text);
    cr_assert(r.files_copied == 4 && r.files_moved == 0 && r.files_present == 0 && r.files_missing == 0);
    cr_assert(r.has_nonce && r.nonce == 246);
    struct stat st;
    cr_assert_eq(stat(target, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0700);
    cr_assert_eq(stat(tmpdir_path(target, "postdata_2.bin"), &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600);
    assert_whole(target);
    cr_assert(has_file(a, 0) && has_file(a, 1) && has_file(b, 2) && has_file(b, 3), "sources are kept");
    struct sm_sidecar side;
    cr_assert_eq(sm_sidecar_load(target, &side, NULL), SM_OK);
    cr_assert(side.scrypt_n == 2 && !side.has_subset);
    cr_assert_eq(merge(target, a, b, false, &r, &ei), SM_OK, "again: %s", ei.text);
    cr_assert(r.files_copied == 0 && r.files_present == 4);
    assert_whole(target);
}

Test(merge, moves_into_one_of_the_parts)
{
    char a[256], b[256];
    struct sm_merge_result r;
    struct sm_errinfo ei = {0};
    put_part(a, 0, 1);
    put_part(b, 2, 3);
    cr_assert_eq(merge(a, a, b, true, &r, &ei), SM_OK, "%s", ei.text);
    cr_assert(r.files_copied == 0 && r.files_moved == 2 && r.files_present == 0 && r.files_missing == 0);
    assert_whole(a);
    cr_assert(!has_file(b, 2) && !has_file(b, 3));
    cr_assert_geq(file_size(tmpdir_path(b, SM_METADATA_FILE)), 1, "sources keep their metadata");
    cr_assert_eq(merge(a, b, b, true, &r, &ei), SM_OK, "again: %s", ei.text);
    cr_assert_eq(r.files_missing, 0);
    assert_whole(a);
}

Test(merge, parts_that_do_not_make_a_whole)
{
    char a[256], b[256], base[256];
    struct sm_merge_result r;
    put_part(a, 0, 0);
    put_part(b, 3, 3);
    const char *target = tmpdir_path(tmpdir_make(base), "all");
    cr_assert_eq(merge(target, a, b, false, &r, NULL), SM_OK);
    cr_assert_eq(r.files_missing, 2);
    struct sm_datadir_info info;
    cr_assert_eq(sm_datadir_inspect(target, &info, NULL), SM_OK);
    cr_assert_eq(info.problems_n, 1);
    cr_assert_str_eq(info.problems[0], "postdata_1.bin to postdata_2.bin are missing");
    sm_datadir_info_fini(&info);
}

static void change(const char *dir, void (*fn)(struct sm_metadata *m))
{
    struct sm_metadata m;
    bool b;
    cr_assert_eq(sm_metadata_load(dir, &m, &b, NULL), SM_OK);
    fn(&m);
    cr_assert_eq(sm_metadata_save(dir, &m, NULL), SM_OK);
    sm_metadata_fini(&m);
}

static void other_node(struct sm_metadata *m)
{
    m->node_id.b[0] ^= 1;
}

static void other_atx(struct sm_metadata *m)
{
    m->commitment_atx_id.b[0] ^= 1;
}

static void other_labels(struct sm_metadata *m)
{
    m->labels_per_unit = 64;
}

static void other_units(struct sm_metadata *m)
{
    m->num_units = 3;
}

static void other_size(struct sm_metadata *m)
{
    m->max_file_size = 2048;
}

Test(merge, contradictions_are_refused_before_anything_changes)
{
    static const struct {
        void (*fn)(struct sm_metadata *m);
        const char *says;
    } rows[] = {
        {other_node, "NodeId"},         {other_atx, "CommitmentAtxId"},      {other_labels, "LabelsPerUnit is 128"},
        {other_units, "NumUnits is 2"}, {other_size, "MaxFileSize is 1024"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char a[256], b[256];
        struct sm_merge_result r;
        struct sm_errinfo ei = {0};
        put_part(a, 0, 1);
        put_part(b, 2, 3);
        change(b, rows[i].fn);
        cr_assert_eq(merge(a, b, NULL, true, &r, &ei), SM_E_MISMATCH, "%zu", i);
        cr_assert(strstr(ei.text, rows[i].says) && strstr(ei.text, a) && strstr(ei.text, b), "%s", ei.text);
        cr_assert(has_file(b, 2) && has_file(b, 3) && !has_file(a, 2));
        tmpdir_remove(a);
        tmpdir_remove(b);
    }
}

Test(merge, other_refusals)
{
    char a[256], b[256], base[256];
    struct sm_merge_result r;
    struct sm_errinfo ei = {0};
    put_part(a, 0, 1);
    put_part(b, 2, 3);
    const char *target = tmpdir_path(tmpdir_make(base), "all");
    cr_assert_eq(merge(target, a, tmpdir_path(base, "gone"), false, &r, &ei), SM_E_NOTFOUND);
    cr_assert(strstr(ei.text, "gone"));
    cr_assert_eq(file_size(target), -1, "not even the target was made");
    cr_assert_eq(merge(tmpdir_path(base, "x/y"), a, b, false, &r, &ei), SM_E_NOTFOUND);

    cr_assert_eq(sm_sidecar_save(b, &(struct sm_sidecar){.scrypt_n = 4}, NULL), SM_OK);
    cr_assert_eq(merge(target, a, b, false, &r, &ei), SM_E_MISMATCH);
    cr_assert(strstr(ei.text, "scrypt N is 2") && strstr(ei.text, "4"), "%s", ei.text);
    cr_assert_eq(sm_sidecar_save(b, &(struct sm_sidecar){.scrypt_n = 2, .grow_to = 9}, NULL), SM_OK);
    cr_assert_eq(merge(target, a, b, false, &r, &ei), SM_E_MISMATCH);
    cr_assert(strstr(ei.text, "growing to 9"), "%s", ei.text);
    cr_assert_eq(sm_sidecar_save(b, &(struct sm_sidecar){.scrypt_n = 2}, NULL), SM_OK);

    file_put(tmpdir_path(b, "postdata_4.bin"), "x", 1);
    cr_assert_eq(merge(target, a, b, false, &r, &ei), SM_E_MISMATCH);
    cr_assert(strstr(ei.text, "postdata_4.bin"), "%s", ei.text);
    (void)unlink(tmpdir_path(b, "postdata_4.bin"));

    struct sm_dirlock l;
    cr_assert_eq(sm_dirlock_take(b, true, &l, NULL), SM_OK);
    cr_assert_eq(merge(target, a, b, false, &r, &ei), SM_E_BUSY);
    sm_dirlock_release(&l);
    (void)unlink(tmpdir_path(b, SM_METADATA_FILE));
    cr_assert_eq(merge(target, a, b, false, &r, &ei), SM_E_NOTFOUND);
    cr_assert_eq(merge(target, a, NULL, false, &r, &ei), SM_OK, "%s", ei.text);
}

Test(merge, twins_must_be_equal_and_are_never_overwritten)
{
    char a[256], b[256];
    struct sm_merge_result r;
    struct sm_errinfo ei = {0};
    put_part(a, 0, 2);
    put_part(b, 1, 3);
    char *before = (char *)file_get(tmpdir_path(a, "postdata_1.bin"), NULL);
    uint8_t *other = file_get(tmpdir_path(b, "postdata_1.bin"), NULL);
    other[1023] ^= 1;
    file_put(tmpdir_path(b, "postdata_1.bin"), other, 1024);
    cr_assert_eq(merge(a, b, NULL, true, &r, &ei), SM_E_MISMATCH);
    cr_assert(strstr(ei.text, "differ"), "%s", ei.text);
    file_put(tmpdir_path(b, "postdata_1.bin"), other, 1008);
    cr_assert_eq(merge(a, b, NULL, true, &r, &ei), SM_E_MISMATCH);
    cr_assert(strstr(ei.text, "1024") && strstr(ei.text, "1008"), "%s", ei.text);
    cr_assert(!has_file(a, 3));
    other[1023] ^= 1;
    file_put(tmpdir_path(b, "postdata_1.bin"), other, 1024);
    cr_assert_eq(merge(a, b, NULL, true, &r, &ei), SM_OK, "%s", ei.text);
    cr_assert(r.files_present == 2 && r.files_moved == 1);
    assert_whole(a);
    cr_assert(has_file(b, 1) && has_file(b, 2), "what was there already stays in the source");
    free(before);
    free(other);
}

static void no_value(struct sm_metadata *m)
{
    m->has_nonce_value = false;
}

static void boast(struct sm_metadata *m)
{
    m->has_nonce = m->has_nonce_value = true;
    m->nonce = 5;
    memset(m->nonce_value, 0, sizeof m->nonce_value);
}

Test(merge, smallest_nonce_wins)
{
    for (int i = 0; i < 4; i++) {
        char a[256], b[256];
        struct sm_merge_result r;
        struct sm_errinfo ei = {0};
        put_part(a, 0, 1);
        put_part(b, 2, 3);
        const char *target = i % 2 ? a : b;
        if (i >= 2) { /* N known: values are recomputed, and lies exposed */
            change(a, boast);
            change(b, no_value);
        }
        cr_assert_eq(merge(target, a, b, true, &r, &ei), SM_OK, "%s", ei.text);
        cr_assert_eq(r.nonce, 246);
        assert_whole(target);
        tmpdir_remove(a);
        tmpdir_remove(b);
    }
    char a[256], b[256];
    struct sm_merge_result r;
    put_part(a, 0, 1);
    put_part(b, 2, 3);
    (void)unlink(tmpdir_path(a, SM_SIDECAR_FILE));
    (void)unlink(tmpdir_path(b, SM_SIDECAR_FILE));
    change(a, boast);
    cr_assert_eq(merge(a, b, NULL, true, &r, NULL), SM_OK);
    cr_assert_eq(r.nonce, 5, "without N the recorded values decide");
}

Test(merge, other_file_systems_and_links_are_copied)
{
    char a[256], b[256], other[256];
    struct sm_merge_result r;
    struct sm_errinfo ei = {0};
    put_part(a, 0, 1);
    put_part(b, 2, 3);
    tmpdir_make(other);
    cr_assert_eq(rename(tmpdir_path(b, "postdata_2.bin"), tmpdir_path(other, "x")), 0);
    cr_assert_eq(symlink(tmpdir_path(other, "x"), tmpdir_path(b, "postdata_2.bin")), 0);
    fault_set(
        &(struct fault_plan){.kinds = FAULT_RENAME, .path_has = "postdata_3.bin", .fail_at = 1, .fail_errno = EXDEV});
    cr_assert_eq(merge(a, b, NULL, true, &r, &ei), SM_OK, "%s", ei.text);
    fault_clear();
    cr_assert(r.files_copied == 2 && r.files_moved == 0);
    assert_whole(a);
    cr_assert(has_file(b, 2) && has_file(b, 3), "copied sources are kept");
}

Test(merge, real_second_file_system)
{
    char a[256], b[256];
    struct stat sa, sb;
    struct sm_merge_result r;
    struct sm_errinfo ei = {0};
    put_part(a, 0, 1);
    (void)setenv("TMPDIR", "/dev/shm", 1);
    if (stat("/dev/shm", &sb) != 0 || access("/dev/shm", W_OK) != 0) cr_skip_test("no /dev/shm");
    cr_assert_eq(stat(a, &sa), 0);
    if (sa.st_dev == sb.st_dev) cr_skip_test("/dev/shm and the test directory are one file system");
    put_part(b, 2, 3);
    cr_assert_eq(merge(a, b, NULL, true, &r, &ei), SM_OK, "%s", ei.text);
    cr_assert(r.files_copied == 2 && r.files_moved == 0);
    assert_whole(a);
}

Test(merge, copies_are_verified)
{
    char a[256], b[256];
    struct sm_merge_result r;
    struct sm_errinfo ei = {0};
    put_part(a, 0, 1);
    put_part(b, 2, 3);
    fault_set(&(struct fault_plan){.eintr = true, .short_max = 100});
    cr_assert_eq(merge(a, b, NULL, false, &r, &ei), SM_OK, "%s", ei.text);
    fault_clear();
    assert_whole(a);

    put_part(a, 0, 1);
    fault_set(&(struct fault_plan){.kinds = FAULT_WRITE, .path_has = "merge_", .has_space = true, .space_bytes = 1500});
    cr_assert_eq(merge(a, b, NULL, false, &r, &ei), SM_E_NOSPACE, "%s", ei.text);
    fault_clear();
    cr_assert(has_file(a, 2) && !has_file(a, 3));
    cr_assert_eq(file_size(tmpdir_path(a, "merge_3.tmp")), -1);
    cr_assert_eq(merge(a, b, NULL, false, &r, &ei), SM_OK);
    cr_assert(r.files_copied == 1 && r.files_present == 1);
    assert_whole(a);
}

struct flip {
    char path[512];
    bool done;
};

/* Spoils the copy while it is made. */
static void flip_copy(void *ctx, const char *file, uint64_t done, uint64_t total)
{
    struct flip *f = ctx;
    (void)file, (void)done, (void)total;
    if (f->done) return;
    f->done = true;
    uint8_t *p = file_get(f->path, NULL);
    p[700] ^= 1;
    FILE *out = fopen(f->path, "r+b"); /* in place: file_put would be another file */
    cr_assert_not_null(out);
    cr_assert_eq(fwrite(p, 1, 1024, out), 1024);
    cr_assert_eq(fclose(out), 0);
    free(p);
}

Test(merge, a_spoiled_copy_is_noticed)
{
    char a[256], b[256];
    struct flip f = {.done = false};
    struct sm_merge_result r;
    struct sm_errinfo ei = {0};
    put_part(a, 0, 1);
    put_part(b, 2, 3);
    (void)snprintf(f.path, sizeof f.path, "%s/merge_2.tmp", a);
    const char *const sources[] = {b};
    const struct sm_merge_cfg cfg = {
        .sources = sources, .sources_n = 1, .target = a, .progress = flip_copy, .progress_ctx = &f};
    cr_assert_eq(sm_merge_run(&cfg, NULL, &r, &ei), SM_E_IO);
    cr_assert(f.done && strstr(ei.text, "does not read back"), "%s", ei.text);
    cr_assert(!has_file(a, 2) && has_file(b, 2));
    cr_assert_eq(sm_merge_run(&cfg, NULL, &r, &ei), SM_OK);
    assert_whole(a);
}

/* Wherever the process died: every file is whole in its source or in the target, and the same call finishes. */
static void assert_nothing_lost(const char *target, const char *a, const char *b, bool move, uint64_t k)
{
    struct sm_merge_result r;
    struct sm_errinfo ei = {0};
    for (int i = 0; i < 4; i++) {
        const char *source = i < 2 ? a : b;
        const bool here = has_file(source, i), there = has_file(target, i);
        cr_assert(here || there, "call %" PRIu64 " lost file %d", k, i);
        if (!move) cr_assert(here);
        if (there) cr_assert(dataset_file_right(target, &dataset_tiny, (uint64_t)i), "call %" PRIu64 ", file %d", k, i);
        if (here) cr_assert(dataset_file_right(source, &dataset_tiny, (uint64_t)i), "call %" PRIu64 ", file %d", k, i);
    }
    cr_assert_eq(merge(target, a, b, move, &r, &ei), SM_OK, "call %" PRIu64 ": %s", k, ei.text);
    cr_assert_eq(r.files_missing, 0);
    assert_whole(target);
}

Test(merge, every_crash_can_be_finished)
{
    for (int move = 0; move < 2; move++) {
        uint64_t k = 1;
        for (bool done = false; !done; k++) {
            char a[256], b[256], base[256];
            put_part(a, 0, 1);
            put_part(b, 2, 3);
            const char *target = tmpdir_path(tmpdir_make(base), "all");
            const pid_t pid = fork();
            cr_assert_geq(pid, 0);
            if (pid == 0) {
                struct sm_merge_result r;
                fault_set(&(struct fault_plan){.crash_at = k, .crash_torn = true});
                _exit(merge(target, a, b, move, &r, NULL) == SM_OK ? 0 : 1);
            }
            int status = 0;
            cr_assert_eq(waitpid(pid, &status, 0), pid);
            cr_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULT_CRASH_STATUS));
            done = WEXITSTATUS(status) == 0;
            char keep[512];
            (void)snprintf(keep, sizeof keep, "%s", target);
            assert_nothing_lost(keep, a, b, move, k);
            tmpdir_remove(a);
            tmpdir_remove(b);
            tmpdir_remove(base);
        }
        cr_assert_gt(k, 25, "%" PRIu64, k);
    }
}

Test(merge, every_error_can_be_finished)
{
    for (int move = 0; move < 2; move++) {
        for (uint64_t k = 1;; k++) {
            char a[256], b[256], base[256], target[512];
            struct sm_merge_result r;
            struct sm_errinfo ei = {0};
            put_part(a, 0, 1);
            put_part(b, 2, 3);
            (void)snprintf(target, sizeof target, "%s/all", tmpdir_make(base));
            fault_set(&(struct fault_plan){.fail_at = k, .fail_errno = EIO});
            const sm_err err = merge(target, a, b, move, &r, &ei);
            const bool reached = fault_calls() >= k;
            fault_clear();
            cr_assert_eq(err != SM_OK, reached, "call %" PRIu64 ": %s", k, ei.text);
            assert_nothing_lost(target, a, b, move, k);
            tmpdir_remove(a);
            tmpdir_remove(b);
            tmpdir_remove(base);
            if (!reached) {
                cr_assert_gt(k, 25);
                break;
            }
        }
    }
}

static void stop_at_once(void *ctx, const char *file, uint64_t done, uint64_t total)
{
    cr_assert(strstr(file, "postdata_2.bin") && done == 1024 && total == 2048);
    sm_cancel_request(ctx);
}

Test(merge, cancel)
{
    char a[256], b[256];
    struct sm_cancel cancel = {false};
    struct sm_merge_result r;
    put_part(a, 0, 1);
    put_part(b, 2, 3);
    const char *const sources[] = {b};
    const struct sm_merge_cfg cfg = {
        .sources = sources, .sources_n = 1, .target = a, .progress = stop_at_once, .progress_ctx = &cancel};
    cr_assert_eq(sm_merge_run(&cfg, &cancel, &r, NULL), SM_E_CANCELLED);
    cr_assert(!has_file(a, 2) && !has_file(a, 3));
    cr_assert_eq(file_size(tmpdir_path(a, "merge_2.tmp")), -1);
    cr_assert_eq(merge(a, b, NULL, false, &r, NULL), SM_OK);
    assert_whole(a);
}
