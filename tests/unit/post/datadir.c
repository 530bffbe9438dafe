/* A directory as found: listing, problems, locks, keys. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "post/datadir.h"
#include "post/sidecar.h"
#include "support/tmpdir.h"
#include "util/text.h"

/* 2 units of 128 labels in files of 64: postdata_0.bin to postdata_3.bin, 1024 bytes each. */
static void put_metadata(const char *dir)
{
    const struct sm_metadata m = {.labels_per_unit = 128, .num_units = 2, .max_file_size = 1024};
    cr_assert_eq(sm_metadata_save(dir, &m, NULL), SM_OK);
}

static void put_data(const char *dir, const char *name, size_t n)
{
    uint8_t *p = malloc(n + 1);
    memset(p, 0x5a, n);
    file_put(tmpdir_path(dir, name), p, n);
    free(p);
}

static void put_all(const char *dir)
{
    put_metadata(dir);
    for (int i = 0; i < 4; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "postdata_%d.bin", i);
        put_data(dir, name, 1024);
    }
}

static bool has_problem(const struct sm_datadir_info *info, const char *text)
{
    for (size_t i = 0; i < info->problems_n; i++)
        if (strstr(info->problems[i], text)) return true;
    return false;
}

static struct sm_datadir_info inspect(const char *dir)
{
    struct sm_datadir_info info;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_datadir_inspect(dir, &info, &ei), SM_OK, "%s", ei.text);
    for (size_t i = 0; i < info.problems_n; i++) cr_log_info("%s", info.problems[i]);
    return info;
}

Test(datadir, complete)
{
    char dir[256];
    put_all(tmpdir_make(dir));
    put_data(dir, "notes.txt", 10);
    put_data(dir, "postdata_x.bin", 10);
    put_data(dir, "xpostdata_1.bin", 10);
    put_data(dir, "postdata_1.bin.tmp", 10);
    struct sm_datadir_info info = inspect(dir);
    cr_assert_eq(info.status, SM_DATADIR_COMPLETE);
    cr_assert(info.has_meta && !info.meta_from_backup);
    cr_assert_eq(info.files_n, 4);
    cr_assert_eq(info.labels, 256);
    cr_assert_eq(info.layout.files, 4);
    cr_assert_eq(info.problems_n, 0);
    for (size_t i = 0; i < 4; i++) cr_assert(info.files[i].number == i && info.files[i].bytes == 1024);
    sm_datadir_info_fini(&info);
}

Test(datadir, empty_and_missing)
{
    char dir[256];
    struct sm_datadir_info info;
    struct sm_errinfo ei = {0};
    tmpdir_make(dir);
    info = inspect(dir);
    cr_assert(info.status == SM_DATADIR_NOT_STARTED && !info.has_meta && info.problems_n == 0);
    sm_datadir_info_fini(&info);
    put_metadata(dir);
    info = inspect(dir);
    cr_assert(info.status == SM_DATADIR_NOT_STARTED && info.has_meta);
    cr_assert(has_problem(&info, "postdata_0.bin to postdata_3.bin are missing"));
    sm_datadir_info_fini(&info);
    cr_assert_eq(sm_datadir_inspect(tmpdir_path(dir, "nowhere"), &info, &ei), SM_E_NOTFOUND);
    cr_assert(strstr(ei.text, "nowhere"));
    cr_assert_eq(sm_datadir_inspect(tmpdir_path(dir, SM_METADATA_FILE), &info, &ei), SM_E_IO, "a file is no directory");
    file_put(tmpdir_path(dir, SM_METADATA_FILE), "", 0);
    cr_assert_eq(sm_datadir_inspect(dir, &info, &ei), SM_E_FORMAT);
}

Test(datadir, labels_without_metadata)
{
    char dir[256];
    put_data(tmpdir_make(dir), "postdata_0.bin", 64);
    struct sm_datadir_info info = inspect(dir);
    cr_assert(info.status == SM_DATADIR_STARTED && info.labels == 4);
    cr_assert(has_problem(&info, SM_METADATA_FILE " is missing"));
    sm_datadir_info_fini(&info);
}

Test(datadir, problems_are_sentences)
{
    char dir[256];
    put_all(tmpdir_make(dir));
    put_data(dir, "postdata_0.bin", 1007); /* 62 labels and 15 bytes */
    put_data(dir, "postdata_1.bin", 1040); /* one label too many */
    (void)unlink(tmpdir_path(dir, "postdata_2.bin"));
    put_data(dir, "postdata_02.bin", 1024); /* leading zero */
    put_data(dir, "postdata_2xbin", 1024);  /* the Go pattern's "any character" */
    put_data(dir, "postdata_99999999999999999999.bin", 16);
    put_data(dir, "postdata_7.bin", 16);
    cr_assert_eq(mkdir(tmpdir_path(dir, "postdata_8.bin"), 0700), 0);
    cr_assert_eq(symlink("gone", tmpdir_path(dir, "postdata_9.bin")), 0);
    struct sm_datadir_info info = inspect(dir);
    static const char *const want[] = {
        "postdata_0.bin holds 62 of 64 labels and 15 bytes of another",
        "postdata_1.bin is 16 bytes longer than its 64 labels",
        "postdata_2.bin is missing",
        "postdata_02.bin is not used",
        "postdata_2xbin is not used",
        "postdata_99999999999999999999.bin is not used",
        "postdata_7.bin is beyond the last file of the data set, number 3",
        "postdata_8.bin is not a regular file",
        "postdata_9.bin is a link to a file that does not exist",
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) cr_expect(has_problem(&info, want[i]), "%s", want[i]);
    cr_assert_eq(info.problems_n, sizeof want / sizeof want[0]);
    cr_assert_eq(info.status, SM_DATADIR_STARTED);
    cr_assert_eq(info.labels, 62 + 65 + 64 + 1);
    sm_datadir_info_fini(&info);
    put_data(dir, "postdata_0.bin", 1024);
    put_data(dir, "postdata_2.bin", 1024);
    info = inspect(dir);
    cr_assert_eq(info.status, SM_DATADIR_OVERSIZED);
    sm_datadir_info_fini(&info);
}

Test(datadir, absurd_layouts_do_not_explode)
{
    char dir[256];
    const struct sm_metadata m = {.labels_per_unit = UINT64_C(1) << 40, .num_units = 1000000, .max_file_size = 16};
    cr_assert_eq(sm_metadata_save(tmpdir_make(dir), &m, NULL), SM_OK);
    put_data(dir, "postdata_5.bin", 16);
    struct sm_datadir_info info = inspect(dir);
    cr_assert_eq(info.layout.files, UINT64_C(1099511627776000000));
    cr_assert_eq(info.problems_n, 2);
    cr_assert(has_problem(&info, "postdata_6.bin to postdata_1099511627775999999.bin are missing"));
    sm_datadir_info_fini(&info);
}

Test(datadir, holes_are_found)
{
    char dir[256];
    struct sm_metadata m = {.labels_per_unit = 65536, .num_units = 1, .max_file_size = 1048576};
    cr_assert_eq(sm_metadata_save(tmpdir_make(dir), &m, NULL), SM_OK);
    put_data(dir, "postdata_0.bin", 4096);
    cr_assert_eq(truncate(tmpdir_path(dir, "postdata_0.bin"), 1048576), 0);
    struct sm_datadir_info info = inspect(dir);
    if (info.files[0].allocated_bytes >= 1048576) cr_skip_test("this file system has no sparse files");
    cr_assert(has_problem(&info, "postdata_0.bin has a hole at byte"));
    sm_datadir_info_fini(&info);
}

Test(datadir, links_are_followed)
{
    char real[256], other[256];
    put_all(tmpdir_make(real));
    tmpdir_make(other);
    put_data(other, "far.bin", 1024);
    (void)unlink(tmpdir_path(real, "postdata_3.bin"));
    cr_assert_eq(symlink(tmpdir_path(other, "far.bin"), tmpdir_path(real, "postdata_3.bin")), 0);
    cr_assert_eq(symlink(real, tmpdir_path(other, "link")), 0);
    struct sm_datadir_info info = inspect(tmpdir_path(other, "link"));
    cr_assert(info.status == SM_DATADIR_COMPLETE && info.problems_n == 0);
    sm_datadir_info_fini(&info);
    info = inspect(tmpdir_path(other, "link/"));
    cr_assert_eq(info.status, SM_DATADIR_COMPLETE);
    sm_datadir_info_fini(&info);
}

Test(datadir, a_subset_misses_only_its_own_files)
{
    char dir[256];
    put_metadata(tmpdir_make(dir));
    put_data(dir, "postdata_1.bin", 1024);
    cr_assert_eq(sm_sidecar_save(dir, &(struct sm_sidecar){.has_subset = true, .from = 1, .to = 2}, NULL), SM_OK);
    struct sm_datadir_info info = inspect(dir);
    cr_assert_eq(info.status, SM_DATADIR_STARTED);
    cr_assert_eq(info.problems_n, 2);
    cr_assert(has_problem(&info, "files 1 to 2 of 0 to 3"));
    cr_assert(has_problem(&info, "postdata_2.bin is missing"));
    sm_datadir_info_fini(&info);
    cr_assert_eq(sm_sidecar_save(dir, &(struct sm_sidecar){.has_subset = true, .from = 1, .to = 9}, NULL), SM_OK);
    info = inspect(dir);
    cr_assert(has_problem(&info, "9"));
    sm_datadir_info_fini(&info);
    file_put(tmpdir_path(dir, SM_SIDECAR_FILE), "{", 1);
    info = inspect(dir);
    cr_assert(has_problem(&info, SM_SIDECAR_FILE));
    sm_datadir_info_fini(&info);
}

Test(datadir, unreadable_directory)
{
    if (geteuid() == 0) cr_skip_test("root reads everything");
    char dir[256];
    struct sm_datadir_info info;
    struct sm_errinfo ei = {0};
    put_all(tmpdir_make(dir));
    cr_assert_eq(chmod(dir, 0), 0);
    cr_assert_eq(sm_datadir_inspect(dir, &info, &ei), SM_E_IO);
    cr_assert_eq(chmod(dir, 0700), 0);
    cr_assert(strstr(ei.text, dir));
}

/* ---- locks ---- */

/* Runs the take in another process; the result is its code. */
static sm_err take_elsewhere(const char *dir, bool exclusive, const char *says)
{
    const pid_t pid = fork();
    if (pid == 0) {
        struct sm_dirlock l;
        struct sm_errinfo ei = {0};
        const sm_err err = sm_dirlock_take(dir, exclusive, &l, &ei);
        _exit(err && says && !strstr(ei.text, says) ? 99 : (int)err);
    }
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    return (sm_err)WEXITSTATUS(status);
}

Test(dirlock, writers_exclude_readers_share)
{
    char dir[256], pid[32];
    struct sm_dirlock w, r, r2;
    struct sm_errinfo ei = {0};
    tmpdir_make(dir);
    (void)snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    cr_assert_eq(sm_dirlock_take(dir, true, &w, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(take_elsewhere(dir, true, pid), SM_E_BUSY);
    cr_assert_eq(take_elsewhere(dir, false, pid), SM_E_BUSY);
    cr_assert_eq(sm_dirlock_take(dir, true, &r, &ei), SM_E_BUSY, "the same process too");
    cr_assert_eq(r.fd, -1);
    sm_dirlock_release(&w);
    cr_assert_eq(sm_dirlock_take(dir, false, &r, &ei), SM_OK);
    cr_assert_eq(sm_dirlock_take(dir, false, &r2, &ei), SM_OK);
    cr_assert_eq(take_elsewhere(dir, false, NULL), SM_OK);
    cr_assert_eq(take_elsewhere(dir, true, "another process"), SM_E_BUSY, "our pid as a past writer must not be named");
    sm_dirlock_release(&r);
    sm_dirlock_release(&r2);
    sm_dirlock_release(&r2);
    cr_assert_eq(take_elsewhere(dir, true, NULL), SM_OK);
    cr_assert_eq(sm_dirlock_take(dir, true, &w, &ei), SM_OK, "it died with its process");
    sm_dirlock_release(&w);
}

Test(dirlock, missing_directory)
{
    char dir[256];
    struct sm_dirlock l;
    struct sm_errinfo ei = {0};
    const char *gone = tmpdir_path(tmpdir_make(dir), "gone");
    cr_assert_eq(sm_dirlock_take(gone, true, &l, &ei), SM_E_NOTFOUND);
    cr_assert_eq(sm_dirlock_take(gone, false, &l, &ei), SM_E_NOTFOUND);
}

Test(dirlock, read_only_directory_is_shared_without_the_file)
{
    if (geteuid() == 0) cr_skip_test("root writes everywhere");
    char dir[256];
    struct sm_dirlock l;
    tmpdir_make(dir);
    cr_assert_eq(chmod(dir, 0500), 0);
    cr_assert_eq(sm_dirlock_take(dir, false, &l, NULL), SM_OK);
    cr_assert_eq(l.fd, -1);
    cr_assert_eq(sm_dirlock_take(dir, true, &l, NULL), SM_E_IO);
    sm_dirlock_release(&l);
    cr_assert_eq(chmod(dir, 0700), 0);
}

Test(dirlock, root_does_not_lock_the_owner_out)
{
    if (geteuid() != 0) cr_skip_test("needs root");
    char dir[256];
    struct stat st;
    struct sm_dirlock l;
    tmpdir_make(dir);
    cr_assert_eq(chown(dir, 65534, 65534), 0);
    cr_assert_eq(sm_dirlock_take(dir, false, &l, NULL), SM_OK);
    sm_dirlock_release(&l);
    cr_assert_eq(stat(tmpdir_path(dir, SM_LOCK_FILE), &st), 0);
    cr_assert(st.st_uid == 65534 && st.st_gid == 65534);
}

/* The kernel's own read-only directories serve where permissions do not stop us. */
Test(dirlock, read_only_file_system)
{
    struct sm_dirlock l;
    struct sm_errinfo ei = {0};
    if (access("/proc/self/fdinfo", F_OK) != 0) cr_skip_test("no /proc");
    cr_assert_eq(sm_dirlock_take("/proc/self/fdinfo", false, &l, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(l.fd, -1);
    cr_assert_neq(sm_dirlock_take("/proc/self/fdinfo", true, &l, &ei), SM_OK);
}

/* ---- keys ---- */

static void make_key(char text[129], uint8_t pk[32])
{
    uint8_t sk[64], seed[32];
    cr_assert_geq(sodium_init(), 0);
    for (int i = 0; i < 32; i++) seed[i] = (uint8_t)(i * 7 + 1);
    cr_assert_eq(crypto_sign_seed_keypair(pk, sk, seed), 0);
    sm_hex_encode(sk, 64, text);
}

Test(datadir_key, reads_either_file)
{
    char dir[256], text[129], name[32];
    uint8_t pk[32];
    struct sm_node_id id;
    struct sm_errinfo ei = {0};
    make_key(text, pk);
    tmpdir_make(dir);
    cr_assert_eq(sm_datadir_key(dir, &id, name, &ei), SM_E_NOTFOUND);
    file_put(tmpdir_path(dir, "key.bin"), text, 128);
    cr_assert_eq(sm_datadir_key(dir, &id, name, &ei), SM_OK, "%s", ei.text);
    cr_assert_str_eq(name, "key.bin");
    cr_assert_arr_eq(id.b, pk, 32);
    for (int i = 0; i < 128; i++)
        if (text[i] >= 'a') text[i] = (char)(text[i] - 32);
    file_put(tmpdir_path(dir, "identity.key"), text, 128);
    cr_assert_eq(sm_datadir_key(dir, &id, name, &ei), SM_OK, "%s", ei.text);
    cr_assert_str_eq(name, "identity.key");
    cr_assert_arr_eq(id.b, pk, 32);
}

Test(datadir_key, broken_keys_are_refused_without_showing_them)
{
    char dir[256], text[130], name[32], bad[130];
    uint8_t pk[32];
    struct sm_node_id id;
    make_key(text, pk);
    const char *file = tmpdir_path(tmpdir_make(dir), "identity.key");
    for (int i = 0; i < 6; i++) {
        static const size_t sizes[6] = {129, 127, 0, 128, 128, 128};
        struct sm_errinfo ei = {0};
        memcpy(bad, text, 128);
        bad[128] = '\n';
        if (i == 3) bad[5] = 'g';
        if (i == 4) bad[0] = bad[0] == '0' ? '1' : '0';     /* another seed */
        if (i == 5) bad[127] = bad[127] == '0' ? '1' : '0'; /* another public half */
        file_put(file, bad, sizes[i]);
        cr_assert_eq(sm_datadir_key(dir, &id, name, &ei), SM_E_FORMAT, "%d", i);
        cr_assert(strstr(ei.text, "identity.key"));
        bad[8] = '\0';
        cr_assert_null(strstr(ei.text, bad), "secrets do not belong into messages");
    }
}
