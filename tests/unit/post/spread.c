/* One data set in several directories: plan, manifest, marks, links, and what a crash or a missing disk leaves. */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>

#include "post/shrink.h"
#include "post/spread.h"
#include "support/initkit.h"
#include "util/log.h"

/* ---- the plan ---- */

static struct sm_spread_dir three_dirs[3] = {
    {".", SM_SPREAD_UNLIMITED}, {"/b", SM_SPREAD_UNLIMITED}, {"/c", SM_SPREAD_UNLIMITED}};

Test(spread, directories_take_turns)
{
    struct sm_spread_stretch t[2] = {{.from = 2, .to = 7, .share = {2, 3, 1}},
                                     {.from = 10, .to = 11, .share = {0, 0, 2}}};
    const struct sm_spread s = {.dirs = three_dirs, .dirs_n = 3, .stretches = t, .stretches_n = 2};
    static const size_t want[] = {0, 0, 0, 1, 2, 0, 1, 1, 0, 0, 2, 2, 0};
    struct sm_spread_walk walk = {.s = &s};
    for (uint64_t i = 0; i < 13; i++) {
        cr_assert_eq(sm_spread_dir_of(&s, i), want[i], "file %" PRIu64, i);
        cr_assert_eq(sm_spread_walk_to(&walk, i), want[i], "file %" PRIu64 " on the way", i);
    }
}

Test(spread, a_cut_leaves_every_file_where_it_was)
{
    const unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    srand(seed);
    for (int round = 0; round < 300; round++) {
        struct sm_spread_stretch t[2] = {{0}};
        size_t before[200];
        uint64_t at = 0;
        for (int k = 0; k < 2; k++) {
            t[k].from = at;
            for (int d = 0; d < 3; d++) at += t[k].share[d] = (uint64_t)(rand() % 30);
            if (at == t[k].from) at += t[k].share[0] = 1;
            t[k].to = at - 1;
        }
        struct sm_spread s = {.dirs = three_dirs, .dirs_n = 3, .stretches = t, .stretches_n = 2};
        for (uint64_t i = 0; i < at; i++) before[i] = sm_spread_dir_of(&s, i);
        const uint64_t cut = (uint64_t)rand() % (at + 1);
        sm_spread_cut(&s, cut);
        for (uint64_t i = 0; i < cut; i++) cr_assert_eq(sm_spread_dir_of(&s, i), before[i], "seed %u", seed);
        for (uint64_t i = cut; i < at; i++) cr_assert_eq(sm_spread_dir_of(&s, i), 0, "seed %u", seed);
        cr_assert(!s.stretches_n || s.stretches[s.stretches_n - 1].to < cut);
    }
}

Test(spread, manifest_comes_back)
{
    char dir[256];
    tmpdir_make(dir);
    struct sm_errinfo ei = {0};
    struct sm_spread_dir dirs[2] = {{".", 4096}, {"/mnt/\"b\" \xc3\xa4", SM_SPREAD_UNLIMITED}};
    struct sm_spread_stretch t[2] = {{.from = 1, .to = 3, .share = {1, 2}}, {.from = 4, .to = 4, .share = {0, 1}}};
    const struct sm_spread s = {.commitment = {{1, 2, 3}}, .dirs = dirs, .dirs_n = 2, .stretches = t, .stretches_n = 2};
    struct sm_spread got;
    cr_assert_eq(sm_spread_load(dir, &got, &ei), SM_E_NOTFOUND);
    cr_assert_eq(sm_spread_save(dir, &s, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_spread_load(dir, &got, &ei), SM_OK, "%s", ei.text);
    cr_assert_arr_eq(got.commitment.b, s.commitment.b, 32);
    cr_assert(got.dirs_n == 2 && got.stretches_n == 2);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_str_eq(got.dirs[i].path, dirs[i].path);
        cr_assert_eq(got.dirs[i].max_bytes, dirs[i].max_bytes);
        cr_assert(got.stretches[i].from == t[i].from && got.stretches[i].to == t[i].to);
        cr_assert_arr_eq(got.stretches[i].share, t[i].share, sizeof t[i].share);
    }
    sm_spread_fini(&got);
}

Test(spread, broken_manifests_are_refused)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"version\": 2}",
        "{\"version\": 1, \"commitment\": \"00\"}",
        "{\"version\": 1, \"commitment\": \"%s\", \"directories\": [], \"plan\": []}",
        "{\"version\": 1, \"commitment\": \"%s\", \"directories\": [{\"path\": \"/a\"}], \"plan\": []}",
        "{\"version\": 1, \"commitment\": \"%s\", \"directories\": [{\"path\": \".\"}, {\"path\": \"b\"}], \"plan\": "
        "[]}",
        "{\"version\": 1, \"commitment\": \"%s\", \"directories\": [{\"path\": \".\", \"max_bytes\": -1}], \"plan\": "
        "[]}",
        "{\"version\": 1, \"commitment\": \"%s\", \"directories\": [{\"path\": \".\"}]}",
        "{\"version\": 1, \"commitment\": \"%s\", \"directories\": [{\"path\": \".\"}], \"plan\": [{\"from\": 0, "
        "\"to\": 1, "
        "\"share\": [1]}]}",
        "{\"version\": 1, \"commitment\": \"%s\", \"directories\": [{\"path\": \".\"}], \"plan\": [{\"from\": 2, "
        "\"to\": 1, "
        "\"share\": [0]}]}",
        "{\"version\": 1, \"commitment\": \"%s\", \"directories\": [{\"path\": \".\"}], \"plan\": [{\"from\": 0, "
        "\"to\": 0, "
        "\"share\": [1, 0]}]}",
        "{\"version\": 1, \"commitment\": \"%s\", \"directories\": [{\"path\": \".\"}], \"plan\": [{\"from\": 0, "
        "\"to\": 1, "
        "\"share\": [2]}, {\"from\": 1, \"to\": 1, \"share\": [1]}]}",
        "{\"version\": 1, \"commitment\": \"%s\", \"directories\": [{\"path\": \".\"}], \"plan\": [{\"from\": 0, "
        "\"to\": "
        "9223372036854775807, \"share\": [9223372036854775807]}]}",
    };
    char dir[256], text[600], zeros[65];
    memset(zeros, '0', 64);
    zeros[64] = '\0';
    tmpdir_make(dir);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sm_spread s;
        struct sm_errinfo ei = {0};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        const int n = snprintf(text, sizeof text, bad[i], zeros);
#pragma GCC diagnostic pop
        file_put(tmpdir_path(dir, SM_SPREAD_FILE), text, (size_t)n);
        cr_assert_eq(sm_spread_load(dir, &s, &ei), SM_E_FORMAT, "%zu is taken", i);
        cr_assert(strstr(ei.text, SM_SPREAD_FILE), "%s", ei.text);
    }
}

/* ---- data sets ---- */

/* Main directory a/post, others b/post and c/post below one temporary directory; 12 files of 16 labels. */
struct set {
    char base[256], a[300], b[300], c[300];
    struct sm_spread_want also[3];
    struct kit k;
};

static void set_make(struct set *s)
{
    static const char *const names[] = {"a", "b", "c"};
    char *const paths[] = {s->a, s->b, s->c};
    tmpdir_make(s->base);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(mkdir(tmpdir_path(s->base, names[i]), 0700), 0);
        (void)snprintf(paths[i], 300, "%s/%s/post", s->base, names[i]);
    }
    s->also[0] = (struct sm_spread_want){s->b, SM_SPREAD_UNLIMITED};
    s->also[1] = (struct sm_spread_want){s->c, SM_SPREAD_UNLIMITED};
    s->also[2] = (struct sm_spread_want){s->a, SM_SPREAD_UNLIMITED};
    s->k = kit_in(s->a);
    s->k.file_bytes = 1024;
    s->k.units = 12; /* of 64 labels: one file each */
    s->k.also = s->also;
    s->k.also_n = 2;
}

/* Data files in a directory itself, links not counted. */
static unsigned real_files(const char *dir)
{
    char *names[64];
    struct stat st;
    unsigned n = 0;
    const size_t all = kit_names(dir, names);
    for (size_t i = 0; i < all; i++) {
        n += strncmp(names[i], "postdata_", 9) == 0 && strstr(names[i], ".bin") &&
             lstat(tmpdir_path(dir, names[i]), &st) == 0 && S_ISREG(st.st_mode);
        free(names[i]);
    }
    return n;
}

static void must_be_whole(const struct set *s)
{
    struct sm_datadir_info info;
    struct sm_errinfo ei = {0};
    kit_verify(&s->k);
    cr_assert_eq(sm_datadir_inspect(s->a, &info, &ei), SM_OK, "%s", ei.text);
    for (size_t i = 0; i < info.problems_n; i++) cr_assert_fail("%s", info.problems[i]);
    cr_assert_eq(info.status, SM_DATADIR_COMPLETE);
    sm_datadir_info_fini(&info);
}

static void must_hold(const struct set *s, unsigned a, unsigned b, unsigned c)
{
    cr_assert(real_files(s->a) == a && real_files(s->b) == b && real_files(s->c) == c, "%u %u %u", real_files(s->a),
              real_files(s->b), real_files(s->c));
}

Test(spread, files_take_turns_and_everything_reads_them)
{
    struct set s;
    set_make(&s);
    kit_must(&s.k);
    must_hold(&s, 4, 4, 4);
    must_be_whole(&s);
    cr_assert_eq(kit_must(&s.k).labels_written, 0, "running it again changes nothing");
    s.k.also_n = 0;
    cr_assert_eq(kit_must(&s.k).labels_written, 0, "nor without the directories");

    const struct sm_check_cfg cfg = {.dir = s.a, .from_file = SM_LAYOUT_ALL, .to_file = SM_LAYOUT_ALL, .fraction = 100};
    struct sm_check_result res;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_check_run(&cfg, NULL, &res, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(res.labels_checked, 12 * 64);
    cr_assert_eq(res.bad_n, 0);
    sm_check_result_fini(&res);
    tmpdir_remove(s.base);
}

Test(spread, the_same_labels_and_metadata_as_in_one_directory)
{
    struct set s;
    char one[256];
    set_make(&s);
    kit_must(&s.k);
    struct kit k = s.k;
    k.also_n = 0;
    (void)snprintf(k.dir, sizeof k.dir, "%s", tmpdir_make(one));
    kit_must(&k);
    cr_assert_eq(unlink(tmpdir_path(s.a, SM_SPREAD_FILE)), 0, "the links alone make it a data directory for others");
    kit_same(s.a, one, "by the links alone");
}

Test(spread, limits)
{
    struct set s;
    set_make(&s);
    s.also[1].max_bytes = 2 * 1024 + 500;
    s.also[2].max_bytes = 0;
    s.k.also_n = 3;
    kit_must(&s.k);
    must_hold(&s, 0, 10, 2);
    must_be_whole(&s);
    tmpdir_remove(s.base);
}

Test(spread, limits_that_are_too_low)
{
    struct set s;
    set_make(&s);
    for (int i = 0; i < 3; i++) s.also[i].max_bytes = 3 * 1024;
    s.k.also_n = 3;
    kit_refused(&s.k, SM_E_NOSPACE, "postdata_9.bin");
    cr_assert_eq(access(s.a, F_OK), -1, "nothing is made before everything is checked");
    cr_assert_eq(access(s.b, F_OK), -1);
    tmpdir_remove(s.base);
}

Test(spread, refusals)
{
    struct set s;
    struct sm_errinfo ei = {0};
    set_make(&s);
    struct sm_spread_job job = {.main_dir = s.a, .also = s.also, .also_n = 2};
    struct sm_spread spread = {0};
    struct sm_spread_rooms rooms = {0};
    struct sm_layout l;
    bool changed;
    cr_assert_eq(sm_layout_make(64, 1024, SM_LAYOUT_ALL, SM_LAYOUT_ALL, &l, &ei), SM_OK);
    job.layout = &l;
    cr_assert_eq(sm_spread_arrange(&spread, &job, &changed, &rooms, &ei), SM_E_MISMATCH);
    cr_assert(strstr(ei.text, "one file system") && strstr(ei.text, "--same-disk"), "%s", ei.text);
    sm_spread_fini(&spread);

    s.also[0].dir = "/nowhere/at/all";
    kit_refused(&s.k, SM_E_NOTFOUND, "/nowhere/at/all");
    s.also[0].dir = s.b;

    cr_assert_eq(mkdir(s.b, 0700), 0);
    file_put(tmpdir_path(s.b, "postdata_3.bin"), "", 0);
    kit_refused(&s.k, SM_E_MISMATCH, "postdata_3.bin");
    cr_assert_eq(unlink(tmpdir_path(s.b, "postdata_3.bin")), 0);
    file_put(tmpdir_path(s.b, SM_METADATA_FILE), "{}", 2);
    kit_refused(&s.k, SM_E_MISMATCH, "data directory of its own");
    cr_assert_eq(unlink(tmpdir_path(s.b, SM_METADATA_FILE)), 0);

    kit_must(&s.k);
    struct set other;
    set_make(&other);
    other.k.identity = 3;
    other.also[0].dir = s.b;
    kit_refused(&other.k, SM_E_MISMATCH, "another data set");
    cr_assert_eq(access(other.a, F_OK), -1);
    tmpdir_remove(s.base);
    tmpdir_remove(other.base);
}

Test(spread, a_missing_disk)
{
    struct set s;
    struct sm_errinfo ei = {0};
    struct sm_dirlock lock = SM_DIRLOCK_NONE;
    struct sm_datadir_info info;
    char away[300];
    set_make(&s);
    kit_must(&s.k);
    (void)snprintf(away, sizeof away, "%s/away", s.base);
    cr_assert_eq(rename(s.b, away), 0);
    for (int round = 0; round < 2; round++) { /* no directory; an empty mount point */
        if (round) cr_assert_eq(mkdir(s.b, 0700), 0);
        kit_refused(&s.k, SM_E_IO, s.b);
        cr_assert_eq(sm_dirlock_take(s.a, false, &lock, &ei), SM_E_IO);
        cr_assert(strstr(ei.text, s.b) && strstr(ei.text, "mounted"), "%s", ei.text);
        struct sm_shrink_plan plan;
        cr_assert_eq(sm_shrink_plan(s.a, 1, &plan, &ei), SM_E_IO);
        cr_assert_eq(sm_datadir_inspect(s.a, &info, &ei), SM_OK, "%s", ei.text);
        cr_assert(info.problems_n && strstr(info.problems[0], s.b), "the disk is the first problem");
        sm_datadir_info_fini(&info);
        char *names[64];
        cr_assert(!round || kit_names(s.b, names) == 0, "nothing is written to the mount point");
    }
    cr_assert_eq(sm_dirlock_take(s.c, true, &lock, &ei), SM_OK, "nothing stays locked: %s", ei.text);
    sm_dirlock_release(&lock);
    cr_assert_eq(rmdir(s.b), 0);
    cr_assert_eq(rename(away, s.b), 0);
    must_be_whole(&s);
    tmpdir_remove(s.base);
}

Test(spread, interchanged_disks)
{
    struct set s;
    char away[300];
    set_make(&s);
    kit_must(&s.k);
    (void)snprintf(away, sizeof away, "%s/away", s.base);
    cr_assert(rename(s.b, away) == 0 && rename(s.c, s.b) == 0 && rename(away, s.c) == 0);
    kit_refused(&s.k, SM_E_MISMATCH, "interchanged");
    tmpdir_remove(s.base);
}

Test(spread, moved_disks_are_pointed_to)
{
    struct set s;
    struct sm_errinfo ei = {0};
    char new_b[300], real[PATH_MAX];
    uint64_t links = 0;
    set_make(&s);
    kit_must(&s.k);
    (void)snprintf(new_b, sizeof new_b, "%s/new", s.base);
    cr_assert_not_null(realpath(s.b, real));
    cr_assert_eq(rename(s.b, new_b), 0);

    cr_assert_eq(sm_spread_repoint(s.a, &(struct sm_spread_move){"/nowhere", new_b}, 1, &links, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, real), "the known ones are named: %s", ei.text);
    cr_assert_eq(sm_spread_repoint(s.a, &(struct sm_spread_move){real, s.c}, 1, &links, &ei), SM_E_MISMATCH, "%s",
                 ei.text);
    const struct sm_spread_move move = {real, new_b};
    for (uint64_t k = 1;; k++) { /* killed before every step of it */
#ifdef __SANITIZE_THREAD__
        break;
#endif
        const pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            fault_set(&(struct fault_plan){.crash_at = k});
            _exit(sm_spread_repoint(s.a, &move, 1, &links, &ei) ? 1 : 0);
        }
        int status = 0;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status));
        if (WEXITSTATUS(status) != FAULT_CRASH_STATUS) break;
    }
    const sm_err err = sm_spread_repoint(s.a, &move, 1, &links, &ei); /* done already, or never tried */
    cr_assert(err == SM_OK || err == SM_E_ARG, "%s", ei.text);
    must_be_whole(&s);
    cr_assert_eq(kit_must(&s.k).labels_written, 0, "the old path counts as known no more, but nothing is planned");
    tmpdir_remove(s.base);
}

Test(spread, lost_links_are_made_again)
{
    struct set s;
    struct sm_errinfo ei = {0};
    uint64_t links = 0;
    set_make(&s);
    kit_must(&s.k);
    cr_assert_eq(unlink(tmpdir_path(s.a, "postdata_1.bin")), 0);
    kit_refused(&s.k, SM_E_MISMATCH, "--relink");
    cr_assert_eq(sm_spread_repoint(s.a, NULL, 0, &links, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(links, 1);
    must_be_whole(&s);
    tmpdir_remove(s.base);
}

Test(spread, a_crash_at_every_step_is_continued)
{
    struct set s;
    unsigned crashes = 0;
    sm_log_set_level(SM_LOG_ERROR);
    for (uint64_t k = 1;; k += k < 30 ? 1 : 11) { /* the plan is made in the first ones */
        set_make(&s);
        s.k.units = 4;
        const int status = kit_child(&s.k, &(struct fault_plan){.crash_at = k, .crash_torn = true});
        if (status == 100) break;
        cr_assert_eq(status, FAULT_CRASH_STATUS, "step %" PRIu64 ": %d", k, status);
        kit_must(&s.k);
        must_be_whole(&s);
        must_hold(&s, 2, 1, 1);
        tmpdir_remove(s.base);
        crashes++;
    }
    cr_assert_gt(crashes, 35);
    tmpdir_remove(s.base);
}

Test(spread, a_full_disk_and_another_one_instead)
{
    struct set s;
    set_make(&s);
    s.k.also_n = 1; /* a and b; b becomes full */
    fault_set(&(struct fault_plan){
        .kinds = FAULT_WRITE, .path_has = "/b/post/postdata_", .has_space = true, .space_bytes = 2 * 1024 + 100});
    kit_refused(&s.k, SM_E_NOSPACE, "/b/post/postdata_5.bin");
    fault_clear();
    const uint64_t stored = kit_stored_labels(s.a);
    cr_assert(stored >= 5 * 64 && stored < 6 * 64, "%" PRIu64, stored);

    s.also[0].max_bytes = 3 * 1024; /* no more there than the file that was begun */
    s.k.also_n = 2;
    cr_assert_eq(kit_must(&s.k).labels_written, 12 * 64 - stored, "what is there stays");
    must_hold(&s, 6, 3, 3);
    must_be_whole(&s);
    tmpdir_remove(s.base);
}

Test(spread, locks_cover_all_directories)
{
    struct set s;
    struct sm_errinfo ei = {0};
    struct sm_dirlock all, one;
    set_make(&s);
    kit_must(&s.k);
    cr_assert_eq(sm_dirlock_take(s.a, true, &all, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_dirlock_take(s.c, false, &one, &ei), SM_E_BUSY);
    sm_dirlock_release(&all);
    cr_assert_eq(sm_dirlock_take(s.c, false, &one, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_dirlock_take(s.a, true, &all, &ei), SM_E_BUSY);
    cr_assert(strstr(ei.text, "/c/post"), "%s", ei.text);
    cr_assert_eq(sm_dirlock_take(s.a, false, &all, &ei), SM_OK, "readers share: %s", ei.text);
    sm_dirlock_release(&all);
    sm_dirlock_release(&one);
    tmpdir_remove(s.base);
}

Test(spread, grow_shrink_and_grow_again)
{
    struct set s;
    struct sm_errinfo ei = {0};
    set_make(&s);
    s.k.units = 4;
    kit_must(&s.k);
    must_hold(&s, 2, 1, 1);
    s.k.units = 9;
    s.k.grow = true;
    s.k.also_n = 0;
    kit_must(&s.k);
    must_hold(&s, 4, 3, 2); /* the new stretch begins at the main directory again */
    must_be_whole(&s);
    cr_assert_eq(sm_shrink_run(s.a, 3, &ei), SM_OK, "%s", ei.text);
    must_hold(&s, 1, 1, 1);
    s.k.units = 3;
    must_be_whole(&s);
    s.k.units = 12;
    kit_must(&s.k);
    must_hold(&s, 4, 4, 4);
    must_be_whole(&s);
    tmpdir_remove(s.base);
}

Test(spread, one_directory_becomes_several)
{
    struct set s;
    struct sm_cancel cancel = {0};
    struct sm_init_result res;
    struct sm_errinfo ei = {0};
    set_make(&s);
    s.k.also_n = 0;
    atomic_store(&cancel.requested, true);
    cr_assert_eq(kit_run(&s.k, &cancel, &res, &ei), SM_E_CANCELLED, "%s", ei.text);
    fault_set(&(struct fault_plan){.kinds = FAULT_WRITE, .path_has = "postdata_3", .fail_at = 1, .fail_errno = EIO});
    kit_refused(&s.k, SM_E_IO, "postdata_3");
    fault_clear();
    s.k.also_n = 2;
    kit_must(&s.k); /* four files are in the main directory, the last one empty */
    must_hold(&s, 7, 3, 2);
    must_be_whole(&s);
    tmpdir_remove(s.base);
}

Test(spread, merging_from_and_into)
{
    struct set s;
    struct sm_errinfo ei = {0};
    char target[256];
    set_make(&s);
    kit_must(&s.k);
    const char *const from[] = {s.a}, *const back[] = {tmpdir_make(target)};
    struct sm_merge_result res;
    cr_assert_eq(sm_merge_run(&(struct sm_merge_cfg){.sources = from, .sources_n = 1, .target = target, .move = true},
                              NULL, &res, &ei),
                 SM_OK, "%s", ei.text);
    cr_assert_eq(res.files_copied, 8, "links are copied, their files stay");
    cr_assert_eq(res.files_missing, 0);
    must_hold(&s, 0, 4, 4);
    struct kit whole = s.k;
    (void)snprintf(whole.dir, sizeof whole.dir, "%s", target);
    kit_verify(&whole);
    cr_assert_eq(sm_merge_run(&(struct sm_merge_cfg){.sources = back, .sources_n = 1, .target = s.a}, NULL, &res, &ei),
                 SM_OK, "%s", ei.text);
    cr_assert(res.files_copied == 4 && res.files_present == 8 && res.files_missing == 0);
    must_be_whole(&s);
    tmpdir_remove(s.base);
}
