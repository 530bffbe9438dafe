#include "support/faultio.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/io.h"

static struct {
    pthread_mutex_t mu;
    struct fault_plan plan;
    uint64_t calls, eintr_turn, written;
} f = {.mu = PTHREAD_MUTEX_INITIALIZER};

/* What is to happen to one call. */
struct verdict {
    int fail; /* errno, or 0 */
    bool crash;
};

static bool path_matches(const char *path)
{
    return !f.plan.path_has[0] || strstr(path, f.plan.path_has) != NULL;
}

static bool fd_matches(int fd)
{
    if (!f.plan.path_has[0]) return true;
    char link[64], path[4096];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return false;
    path[n] = '\0';
    return path_matches(path);
}

/* Under the lock. */
static struct verdict judge(unsigned kind, bool matches, bool interruptible)
{
    struct verdict v = {0};
    if (!matches || (f.plan.kinds && !(f.plan.kinds & kind))) return v;
    if (f.plan.eintr && interruptible && f.eintr_turn++ % 2 == 0) {
        v.fail = EINTR;
        return v;
    }
    f.calls++;
    if (f.plan.fail_at && (f.calls == f.plan.fail_at || (f.plan.fail_forever && f.calls > f.plan.fail_at)))
        v.fail = f.plan.fail_errno ? f.plan.fail_errno : EIO;
    v.crash = f.plan.crash_at && f.calls >= f.plan.crash_at;
    return v;
}

static bool refused(unsigned kind, bool matches, bool interruptible)
{
    (void)pthread_mutex_lock(&f.mu);
    const struct verdict v = judge(kind, matches, interruptible);
    (void)pthread_mutex_unlock(&f.mu);
    if (v.crash) _exit(FAULT_CRASH_STATUS);
    if (v.fail) errno = v.fail;
    return v.fail != 0;
}

static size_t cut(int fd, size_t n)
{
    uint64_t max = f.plan.short_max;
    if (!max) return n;
    const int flags = fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_DIRECT)) max = (max + 4095) / 4096 * 4096;
    return n < max ? n : (size_t)max;
}

static int fault_open(const char *path, int flags, mode_t mode)
{
    return refused(FAULT_OPEN, path_matches(path), true) ? -1 : sm_io_libc_ops.open(path, flags, mode);
}

static ssize_t fault_pread(int fd, void *buf, size_t n, off_t off)
{
    return refused(FAULT_READ, fd_matches(fd), true) ? -1 : pread(fd, buf, cut(fd, n), off);
}

static ssize_t fault_pwrite(int fd, const void *buf, size_t n, off_t off)
{
    n = cut(fd, n);
    (void)pthread_mutex_lock(&f.mu);
    const bool matches = fd_matches(fd);
    const struct verdict v = judge(FAULT_WRITE, matches, true);
    int fail = v.fail;
    if (!fail && f.plan.has_space && matches) {
        const uint64_t room = f.plan.space_bytes > f.written ? f.plan.space_bytes - f.written : 0;
        if (room == 0) fail = ENOSPC;
        if (n > room) n = (size_t)room;
    }
    (void)pthread_mutex_unlock(&f.mu);
    if (v.crash) {
        if (f.plan.crash_torn && pwrite(fd, buf, n / 2, off) < 0) _exit(1);
        _exit(FAULT_CRASH_STATUS);
    }
    if (fail) {
        errno = fail;
        return -1;
    }
    const ssize_t k = pwrite(fd, buf, n, off);
    (void)pthread_mutex_lock(&f.mu);
    if (k > 0 && matches) f.written += (uint64_t)k;
    (void)pthread_mutex_unlock(&f.mu);
    return k;
}

static int fault_fdatasync(int fd)
{
    return refused(FAULT_SYNC, fd_matches(fd), true) ? -1 : fdatasync(fd);
}

static int fault_fsync(int fd)
{
    return refused(FAULT_SYNC, fd_matches(fd), true) ? -1 : fsync(fd);
}

static int fault_ftruncate(int fd, off_t size)
{
    return refused(FAULT_TRUNCATE, fd_matches(fd), true) ? -1 : ftruncate(fd, size);
}

static int fault_rename(const char *from, const char *to)
{
    return refused(FAULT_RENAME, path_matches(from) || path_matches(to), false) ? -1 : rename(from, to);
}

static int fault_rename_new(const char *from, const char *to)
{
    return refused(FAULT_RENAME, path_matches(from) || path_matches(to), false) ? -1
                                                                                : sm_io_libc_ops.rename_new(from, to);
}

static int fault_unlink(const char *path)
{
    return refused(FAULT_UNLINK, path_matches(path), false) ? -1 : unlink(path);
}

static int fault_symlink(const char *target, const char *path)
{
    return refused(FAULT_SYMLINK, path_matches(path), false) ? -1 : symlink(target, path);
}

static const struct sm_io_ops fault_ops = {
    .open = fault_open,
    .pread = fault_pread,
    .pwrite = fault_pwrite,
    .fdatasync = fault_fdatasync,
    .ftruncate = fault_ftruncate,
    .rename = fault_rename,
    .rename_new = fault_rename_new,
    .unlink = fault_unlink,
    .fsync = fault_fsync,
    .symlink = fault_symlink,
};

void fault_set(const struct fault_plan *p)
{
    f.plan = *p;
    f.calls = f.eintr_turn = f.written = 0;
    sm_io_set_ops(&fault_ops);
}

void fault_clear(void)
{
    sm_io_set_ops(NULL);
}

uint64_t fault_calls(void)
{
    return f.calls;
}

uint64_t fault_written(void)
{
    return f.written;
}
