#include "rig/disks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "post/datadir_list.h"
#include "util/io.h"
#include "util/log.h"

#define LAYERS_MAX 8 /* volumes on volumes; ours: a loop in sysfs cannot be */

const struct sm_disk_tables sm_disk_tables_linux = {.sys_dev_block = "/sys/dev/block",
                                                    .mountinfo = "/proc/self/mountinfo"};

static void add_name(struct sm_disks *d, const char *name)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->name[i], name) == 0) return;
    if (d->n == SM_DISKS_MAX) {
        sm_log(SM_LOG_WARN, "rig", "disk left out", "disk=%s reason=\"a data set on more than %u disks\"", name,
               SM_DISKS_MAX);
        return;
    }
    (void)snprintf(d->name[d->n++], SM_DISK_ROOM, "%s", name);
}

/* ---- block devices ---- */

/* `dir` is a device's directory in sysfs, links resolved: /sys/devices/…/block/sda/sda1 */
static bool is_rotational(const char *dir)
{
    char path[PATH_MAX], *text = NULL;
    size_t n = 0;
    if (sm_io_path(path, sizeof path, dir, "queue/rotational", NULL) || sm_io_read_file(path, 64, &text, &n, NULL))
        return false;
    const bool turns = n > 0 && text[0] == '1';
    free(text);
    return turns;
}

static void add_sysfs(const char *dir, struct sm_disks *out, bool *rotational, int layer);

/* The devices below a logical one; false when it has none. */
static bool add_slaves(const char *dir, struct sm_disks *out, bool *rotational, int layer)
{
    char slaves[PATH_MAX], path[PATH_MAX], real[PATH_MAX];
    DIR *d = sm_io_path(slaves, sizeof slaves, dir, "slaves", NULL) == SM_OK ? opendir(slaves) : NULL;
    bool any = false;
    if (!d) return false;
    for (const struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.' || sm_io_path(path, sizeof path, slaves, e->d_name, NULL) || !realpath(path, real))
            continue;
        any = true;
        add_sysfs(real, out, rotational, layer + 1);
    }
    (void)closedir(d);
    return any;
}

static void add_sysfs(const char *dir, struct sm_disks *out, bool *rotational, int layer)
{
    char disk[PATH_MAX], path[PATH_MAX];
    (void)snprintf(disk, sizeof disk, "%s", dir);
    char *slash = strrchr(disk, '/');
    if (!slash) return;
    if (sm_io_path(path, sizeof path, dir, "partition", NULL) == SM_OK && access(path, F_OK) == 0) *slash = '\0';
    if (layer < LAYERS_MAX && add_slaves(disk, out, rotational, layer)) return;
    slash = strrchr(disk, '/');
    add_name(out, slash ? slash + 1 : disk);
    *rotational = *rotational || is_rotational(disk);
}

static bool add_block(const struct sm_disk_tables *t, unsigned major, unsigned minor, struct sm_disks *out,
                      bool *rotational)
{
    char number[32], path[PATH_MAX], real[PATH_MAX];
    (void)snprintf(number, sizeof number, "%u:%u", major, minor);
    if (sm_io_path(path, sizeof path, t->sys_dev_block, number, NULL) || !realpath(path, real)) return false;
    add_sysfs(real, out, rotational, 0);
    return true;
}

/* ---- file systems without one ---- */

static bool mount_id_of(const char *path, uint64_t *out)
{
    struct statx st;
    if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &st) != 0 || !(st.stx_mask & STATX_MNT_ID)) return false;
    *out = st.stx_mnt_id;
    return true;
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw": proc(5). The source is the second word after '-'. */
static bool mount_source(const struct sm_disk_tables *t, const char *path, char *out, size_t room)
{
    uint64_t id = 0;
    char *line = NULL;
    size_t line_n = 0;
    bool found = false;
    FILE *f = mount_id_of(path, &id) ? fopen(t->mountinfo, "re") : NULL;
    if (!f) return false;
    while (!found && getline(&line, &line_n, f) > 0) {
        char *end = NULL, *save = NULL;
        if (strtoull(line, &end, 10) != id || end == line) continue;
        char *tail = strstr(end, " - ");
        if (!tail || !strtok_r(tail + 3, " \n", &save)) continue;
        const char *source = strtok_r(NULL, " \n", &save);
        found = source != NULL;
        if (found) (void)snprintf(out, room, "%s", source);
    }
    free(line);
    (void)fclose(f);
    return found;
}

void sm_disks_add_device(const struct sm_disk_tables *t, unsigned major, unsigned minor, const char *path,
                         struct sm_disks *out, bool *rotational)
{
    char source[PATH_MAX], name[SM_DISK_ROOM];
    struct stat st;
    if (major && add_block(t, major, minor, out, rotational)) return;
    if (mount_source(t, path, source, sizeof source) && source[0]) {
        if (source[0] == '/' && stat(source, &st) == 0 && S_ISBLK(st.st_mode) &&
            add_block(t, major(st.st_rdev), minor(st.st_rdev), out, rotational))
            return;
        if (strpbrk(source, "/:")) { /* a server's export, a pool; "tmpfs" and "overlay" say nothing */
            (void)snprintf(name, sizeof name, "%.*s", (int)sizeof name - 1, source);
            add_name(out, name);
            return;
        }
    }
    (void)snprintf(name, sizeof name, "dev-%u:%u", major, minor);
    add_name(out, name);
}

/* ---- data sets ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

sm_err sm_disks_of(const struct sm_disk_tables *t, const char *dir, struct sm_disks *out, bool *out_rotational,
                   struct sm_errinfo *ei)
{
    struct sm_disks disks = {0};
    struct stat st;
    dev_t last = 0;
    uint64_t number;
    bool rotational = false;
    DIR *d = opendir(dir);
    if (!d) return sm_fail_errno(ei, errno, "cannot list %s", dir);
    for (const struct dirent *e; (e = readdir(d));) {
        char path[PATH_MAX];
        if (sm_data_name_parse(e->d_name, &number) != SM_DATA_NAME_FILE) continue;
        if (sm_io_path(path, sizeof path, dir, e->d_name, NULL) || stat(path, &st) != 0 || st.st_dev == last) continue;
        last = st.st_dev;
        sm_disks_add_device(t, major(st.st_dev), minor(st.st_dev), path, &disks, &rotational);
    }
    (void)closedir(d);
    if (disks.n == 0 && stat(dir, &st) == 0)
        sm_disks_add_device(t, major(st.st_dev), minor(st.st_dev), dir, &disks, &rotational);
    qsort(disks.name, disks.n, sizeof disks.name[0], by_name);
    *out = disks;
    *out_rotational = rotational;
    return SM_OK;
}
