/* rig/disks.h: which physical disks reading a directory's data keeps busy. Linux: sysfs and mountinfo.
 *
 * A data set is on the disks of all its files, links followed. Partitions count as their disk; logical volumes, RAID
 * and encrypted volumes as all the disks below them. File systems without a block device (btrfs volumes, NFS, overlay)
 * are known by the device or the server that the mount table names. */
#ifndef SM_RIG_DISKS_H
#define SM_RIG_DISKS_H

#include <stdbool.h>

#include "rig/sched.h"
#include "util/err.h"

/* Where the kernel's tables are; tests have their own. */
struct sm_disk_tables {
    const char *sys_dev_block; /* "/sys/dev/block" */
    const char *mountinfo;     /* "/proc/self/mountinfo" */
};
extern const struct sm_disk_tables sm_disk_tables_linux;

/* The disks of `dir` and of the postdata files in it, sorted. *out_rotational: one of them turns. More than SM_DISKS_MAX
 * are cut off, with a warning. SM_E_NOTFOUND and SM_E_IO for the directory alone: what the tables do not know is named
 * by its device number. */
SM_MUST_CHECK sm_err sm_disks_of(const struct sm_disk_tables *t, const char *dir, struct sm_disks *out,
                                 bool *out_rotational, struct sm_errinfo *ei);

/* One device number, for tests. `path` is on it. */
void sm_disks_add_device(const struct sm_disk_tables *t, unsigned major, unsigned minor, const char *path,
                         struct sm_disks *out, bool *rotational);

#endif
