/* Finding data sets, and the disks they are on. */
#include "rig/discover.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "post/spread.h"
#include "support/dataset.h"
#include "support/tmpdir.h"

struct setup {
    char dir[256];
    struct sm_rig_cfg cfg;
    struct sm_post_params params;
    struct sm_rig_found found;
};

static const char *at(const struct setup *s, const char *name)
{
    return tmpdir_path(s->dir, name);
}

static void setup_make(struct setup *s)
{
    struct sm_errinfo ei = {0};
    *s = (struct setup){.params = {.name = "test",
                                   .min_num_units = 1,
                                   .max_num_units = 8,
                                   .labels_per_unit = dataset_tiny.labels_per_unit,
                                   .nonces = 48}};
    (void)tmpdir_make(s->dir);
    char *real = realpath(s->dir, NULL);
    (void)strcpy(s->dir, real);
    free(real);
    sm_rig_cfg_init(&s->cfg);
    cr_assert_eq(sm_rig_cfg_defaults(&s->cfg, &ei), SM_OK, "%s", ei.text);
}

static void make_dir(const struct setup *s, const char *name)
{
    cr_assert_eq(mkdir(at(s, name), 0755), 0, "%s", name);
}

/* A data set; node IDs differ by `node`. */
static void put(const struct setup *s, const char *name, uint8_t node)
{
    struct dataset d = dataset_tiny;
    d.node_id = node;
    make_dir(s, name);
    dataset_put(at(s, name), &d);
}

static void add_root(struct setup *s, const char *name)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_rig_list_add(&s->cfg.data.roots, name[0] ? at(s, name) : s->dir, &ei), SM_OK, "%s", ei.text);
}

static void discover(struct setup *s)
{
    struct sm_errinfo ei = {0};
    sm_rig_found_fini(&s->found);
    cr_assert_eq(sm_rig_discover(&s->cfg, &s->params, &sm_disk_tables_linux, NULL, &s->found, &ei), SM_OK, "%s",
                 ei.text);
}

static void setup_remove(struct setup *s)
{
    sm_rig_found_fini(&s->found);
    sm_rig_cfg_fini(&s->cfg);
    tmpdir_remove(s->dir);
}

static const char *why(const struct setup *s, const char *name)
{
    for (size_t i = 0; i < s->found.skipped_n; i++)
        if (strcmp(s->found.skipped[i].dir, at(s, name)) == 0) return s->found.skipped[i].why;
    return "(not reported)";
}

#define assert_skipped(s, name, text) \
    cr_assert(strstr(why((s), (name)), (text)), "%s: '%s' is not in '%s'", (name), (text), why((s), (name)))

Test(discover, below_roots_and_by_pattern)
{
    struct setup s;
    setup_make(&s);
    make_dir(&s, "disk1");
    make_dir(&s, "disk2");
    make_dir(&s, "disk2/deep");
    put(&s, "disk1/alpha", 1);
    put(&s, "disk2/deep/beta", 2);
    make_dir(&s, "disk2/deep/beta/inside"); /* nothing below a data set is searched */
    put(&s, "disk2/deep/beta/inside/gamma", 3);
    add_root(&s, "disk*");
    discover(&s);
    cr_assert_eq(s.found.sets_n, 2);
    cr_assert_eq(s.found.skipped_n, 0);
    cr_assert_str_eq(s.found.sets[0].name, "alpha-0101010101");
    cr_assert_str_eq(s.found.sets[0].dir, at(&s, "disk1/alpha"));
    cr_assert_str_eq(s.found.sets[1].dir, at(&s, "disk2/deep/beta"));
    cr_assert_eq(s.found.sets[0].nonces, 48, "the network's");
    cr_assert_eq(s.found.sets[0].num_units, dataset_tiny.num_units);
    cr_assert_eq(s.found.sets[0].window_s, 12 * 3600);
    cr_assert_geq(s.found.sets[0].disks.n, 1);
    cr_assert_eq(sm_disks_shared(&s.found.sets[0].disks, &s.found.sets[1].disks), true, "one file system, two disks");
    s.cfg.data.depth = 1;
    discover(&s);
    cr_assert_eq(s.found.sets_n, 1);
    assert_skipped(&s, "disk*", "(not reported)"); /* something was found under the pattern */
    setup_remove(&s);
}

Test(discover, links_are_followed_and_loops_end)
{
    struct setup s;
    setup_make(&s);
    make_dir(&s, "root");
    make_dir(&s, "elsewhere");
    put(&s, "elsewhere/alpha", 1);
    cr_assert_eq(symlink(at(&s, "elsewhere/alpha"), at(&s, "root/link")), 0);
    cr_assert_eq(symlink(at(&s, "elsewhere/alpha"), at(&s, "root/again")), 0); /* the same directory, not a twin */
    cr_assert_eq(symlink(at(&s, "root"), at(&s, "root/loop")), 0);
    cr_assert_eq(symlink(at(&s, "nowhere"), at(&s, "root/dangling")), 0);
    add_root(&s, "root");
    add_root(&s, "elsewhere");
    s.cfg.data.depth = 16;
    discover(&s);
    cr_assert_eq(s.found.sets_n, 1);
    cr_assert_str_eq(s.found.sets[0].dir, at(&s, "elsewhere/alpha"));
    cr_assert_eq(s.found.skipped_n, 0, "%s", s.found.skipped_n ? s.found.skipped[0].why : "");
    setup_remove(&s);
}

/* The files of a data set in two directories: post/spread.h. */
Test(discover, a_data_set_on_several_disks_is_one)
{
    struct setup s;
    struct sm_errinfo ei = {0};
    struct sm_spread_dir dirs[2] = {{".", SM_SPREAD_UNLIMITED}, {"", SM_SPREAD_UNLIMITED}};
    struct sm_dirlock lock = SM_DIRLOCK_NONE;
    setup_make(&s);
    put(&s, "main", 1);
    make_dir(&s, "other");
    (void)snprintf(dirs[1].path, sizeof dirs[1].path, "%s", at(&s, "other"));
    const struct sm_spread spread = {.dirs = dirs, .dirs_n = 2};
    cr_assert_eq(sm_spread_begin(&spread, at(&s, "main"), &lock, &ei), SM_OK, "%s", ei.text);
    sm_dirlock_release(&lock);
    cr_assert_eq(rename(at(&s, "main/postdata_1.bin"), at(&s, "other/postdata_1.bin")), 0);
    cr_assert_eq(symlink(at(&s, "other/postdata_1.bin"), at(&s, "main/postdata_1.bin")), 0);
    add_root(&s, "");
    discover(&s);
    cr_assert(s.found.sets_n == 1 && s.found.skipped_n == 0);

    cr_assert_eq(rename(at(&s, "other"), at(&s, "away")), 0);
    discover(&s);
    cr_assert(s.found.sets_n == 0 && s.found.skipped_n == 1);
    cr_assert(strstr(s.found.skipped[0].why, "/other, a directory of this data set, is not there"), "%s",
              s.found.skipped[0].why);
    setup_remove(&s);
}

Test(discover, two_directories_of_one_identity_are_both_refused)
{
    struct setup s;
    setup_make(&s);
    put(&s, "alpha", 1);
    put(&s, "copy", 1);
    put(&s, "beta", 2);
    add_root(&s, "");
    discover(&s);
    cr_assert_eq(s.found.sets_n, 1);
    cr_assert_str_eq(s.found.sets[0].dir, at(&s, "beta"));
    assert_skipped(&s, "alpha", at(&s, "copy"));
    assert_skipped(&s, "copy", at(&s, "alpha"));
    setup_remove(&s);
}

Test(discover, what_is_left_out_is_reported)
{
    struct setup s;
    struct dataset no_nonce = dataset_tiny, other_size = dataset_tiny, many = dataset_tiny;
    setup_make(&s);
    put(&s, "missing-file", 1);
    cr_assert_eq(unlink(at(&s, "missing-file/postdata_2.bin")), 0);
    put(&s, "short-file", 2);
    cr_assert_eq(truncate(at(&s, "short-file/postdata_3.bin"), 16), 0);
    no_nonce.node_id = 3;
    no_nonce.no_nonce = true;
    make_dir(&s, "no-nonce");
    dataset_put(at(&s, "no-nonce"), &no_nonce);
    other_size.node_id = 4;
    other_size.labels_per_unit = 64;
    make_dir(&s, "other-size");
    dataset_put(at(&s, "other-size"), &other_size);
    many.node_id = 5;
    many.num_units = 9;
    make_dir(&s, "too-many");
    char many_dir[512]; /* the paths of its 18 files go round the ring of at() */
    (void)snprintf(many_dir, sizeof many_dir, "%s", at(&s, "too-many"));
    dataset_put(many_dir, &many);
    put(&s, "broken", 6);
    file_put(at(&s, "broken/postdata_metadata.json"), "{", 1);
    make_dir(&s, "empty");
    add_root(&s, "");
    add_root(&s, "nowhere*");
    add_root(&s, "empty");
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_rig_cfg_add_dir(&s.cfg, at(&s, "not-there"), &ei), SM_OK);
    discover(&s);
    cr_assert_eq(s.found.sets_n, 0);
    assert_skipped(&s, "missing-file", "not complete");
    assert_skipped(&s, "missing-file", "postdata_2.bin");
    assert_skipped(&s, "short-file", "not complete");
    assert_skipped(&s, "no-nonce", "no VRF nonce");
    assert_skipped(&s, "other-size", "64 labels per unit");
    assert_skipped(&s, "too-many", "9 units");
    assert_skipped(&s, "broken", "postdata_metadata.json");
    assert_skipped(&s, "nowhere*", "matches nothing");
    assert_skipped(&s, "not-there", "no such directory");
    setup_remove(&s);
}

Test(discover, an_empty_root_is_reported)
{
    struct setup s;
    setup_make(&s);
    make_dir(&s, "empty");
    add_root(&s, "empty");
    discover(&s);
    assert_skipped(&s, "empty", "no data set here");
    setup_remove(&s);
}

Test(discover, entries_of_the_configuration_come_first)
{
    struct setup s;
    setup_make(&s);
    put(&s, "alpha", 1);
    put(&s, "beta", 2);
    char yaml[1024];
    (void)snprintf(yaml, sizeof yaml,
                   "data:\n  roots: [%s]\n  sets:\n    - {dir: %s, name: zulu, disk: shelf, nonces: 16, window: 1h, "
                   "paused: yes}\n    - {dir: %s}\n",
                   s.dir, at(&s, "alpha"), at(&s, "alpha"));
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_rig_cfg_parse(&s.cfg, yaml, strlen(yaml), "f.yaml", "", &ei), SM_OK, "%s", ei.text);
    discover(&s);
    cr_assert_eq(s.found.sets_n, 2);
    const struct sm_rig_dataset *d = &s.found.sets[1];
    cr_assert_str_eq(d->name, "zulu");
    cr_assert_eq(d->disks.n, 1);
    cr_assert_str_eq(d->disks.name[0], "shelf");
    cr_assert_eq(d->nonces, 16);
    cr_assert_eq(d->window_s, 3600);
    cr_assert(d->paused);
    assert_skipped(&s, "alpha", "named twice");
    setup_remove(&s);
}

Test(discover, cancel)
{
    struct setup s;
    struct sm_cancel cancel = {0};
    struct sm_errinfo ei = {0};
    setup_make(&s);
    add_root(&s, "");
    sm_cancel_request(&cancel);
    cr_assert_eq(sm_rig_discover(&s.cfg, &s.params, &sm_disk_tables_linux, &cancel, &s.found, &ei), SM_E_CANCELLED);
    setup_remove(&s);
}

/* ---- disks: a sysfs of our own ---- */

static void make_dirs(const struct setup *s, const char *const *names)
{
    for (; *names; names++) make_dir(s, *names);
}

static void link_to(const struct setup *s, const char *name, const char *target)
{
    cr_assert_eq(symlink(at(s, target), at(s, name)), 0, "%s", name);
}

static void make_sysfs(const struct setup *s)
{
    static const char *const dirs[] = {"dev",
                                       "block",
                                       "block/sda",
                                       "block/sda/queue",
                                       "block/sda/sda1",
                                       "block/sda/slaves",
                                       "block/sdb",
                                       "block/sdb/queue",
                                       "block/nvme0n1",
                                       "block/nvme0n1/queue",
                                       "block/nvme0n1/nvme0n1p2",
                                       "block/dm-0", /* encrypted volume on md0 */
                                       "block/dm-0/slaves",
                                       "block/md0", /* of sda1 and sdb */
                                       "block/md0/slaves",
                                       NULL};
    make_dirs(s, dirs);
    file_put(at(s, "block/sda/queue/rotational"), "1\n", 2);
    file_put(at(s, "block/sda/sda1/partition"), "1\n", 2);
    file_put(at(s, "block/sdb/queue/rotational"), "1\n", 2);
    file_put(at(s, "block/nvme0n1/queue/rotational"), "0\n", 2);
    file_put(at(s, "block/nvme0n1/nvme0n1p2/partition"), "2\n", 2);
    link_to(s, "dev/8:1", "block/sda/sda1");
    link_to(s, "dev/8:16", "block/sdb");
    link_to(s, "dev/259:2", "block/nvme0n1/nvme0n1p2");
    link_to(s, "dev/253:0", "block/dm-0");
    link_to(s, "block/dm-0/slaves/md0", "block/md0");
    link_to(s, "block/md0/slaves/sda1", "block/sda/sda1");
    link_to(s, "block/md0/slaves/sdb", "block/sdb");
}

Test(disks, partitions_and_volumes_are_traced_to_the_hardware)
{
    struct setup s;
    setup_make(&s);
    make_sysfs(&s);
    const struct sm_disk_tables t = {.sys_dev_block = at(&s, "dev"), .mountinfo = "/nonexistent"};
    struct sm_disks d = {0};
    bool turns = false;
    sm_disks_add_device(&t, 259, 2, s.dir, &d, &turns);
    cr_assert_eq(d.n, 1);
    cr_assert_str_eq(d.name[0], "nvme0n1");
    cr_assert_not(turns);
    sm_disks_add_device(&t, 8, 1, s.dir, &d, &turns);
    cr_assert_eq(d.n, 2);
    cr_assert_str_eq(d.name[1], "sda");
    cr_assert(turns);
    struct sm_disks volume = {0};
    sm_disks_add_device(&t, 253, 0, s.dir, &volume, &turns);
    cr_assert_eq(volume.n, 2, "the volume is on two disks");
    cr_assert(sm_disks_shared(&volume, &d), "reading the volume keeps sda busy");
    setup_remove(&s);
}

Test(disks, file_systems_without_a_block_device)
{
    struct setup s;
    setup_make(&s);
    struct sm_disks d = {0};
    bool turns = false;
    const struct sm_disk_tables none = {.sys_dev_block = "/nonexistent", .mountinfo = "/nonexistent"};
    sm_disks_add_device(&none, 0, 45, s.dir, &d, &turns);
    cr_assert_str_eq(d.name[0], "dev-0:45");

    struct statx st;
    if (statx(AT_FDCWD, s.dir, 0, 0x1000u /* STATX_MNT_ID */, &st) != 0 || !(st.stx_mask & 0x1000u))
        cr_skip_test("this kernel tells no mount ids");
    char table[400];
    (void)snprintf(table, sizeof table,
                   "1000001 1 0:44 / /other rw - nfs4 other:/x rw\n"
                   "%llu 1 0:45 / /data rw,relatime shared:5 - nfs4 server:/export/post rw,vers=4.2\n",
                   (unsigned long long)st.stx_mnt_id);
    file_put(at(&s, "mountinfo"), table, strlen(table));
    const struct sm_disk_tables t = {.sys_dev_block = "/nonexistent", .mountinfo = at(&s, "mountinfo")};
    struct sm_disks nfs = {0};
    sm_disks_add_device(&t, 0, 45, s.dir, &nfs, &turns);
    cr_assert_str_eq(nfs.name[0], "server:/export/post");
    setup_remove(&s);
}

Test(disks, links_of_single_files_count)
{
    struct setup s;
    struct stat here, shm;
    setup_make(&s);
    put(&s, "alpha", 1);
    char file[] = "/dev/shm/smesher-test-XXXXXX";
    const int fd = mkstemp(file);
    if (fd < 0 || fstat(fd, &shm) != 0 || stat(s.dir, &here) != 0 || shm.st_dev == here.st_dev) {
        if (fd >= 0) (void)unlink(file);
        cr_skip_test("needs a second file system at /dev/shm");
    }
    (void)close(fd);
    cr_assert_eq(unlink(at(&s, "alpha/postdata_1.bin")), 0);
    cr_assert_eq(symlink(file, at(&s, "alpha/postdata_1.bin")), 0);
    const struct sm_disk_tables none = {.sys_dev_block = "/nonexistent", .mountinfo = "/nonexistent"};
    struct sm_disks d;
    struct sm_errinfo ei = {0};
    bool turns;
    cr_assert_eq(sm_disks_of(&none, at(&s, "alpha"), &d, &turns, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(d.n, 2);
    (void)unlink(file);
    setup_remove(&s);
}
