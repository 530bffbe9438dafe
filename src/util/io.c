#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int libc_open(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

static int libc_rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return -1;
    struct stat st; /* the file system cannot do it in one step */
    if (lstat(to, &st) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

const struct sm_io_ops sm_io_libc_ops = {
    .open = libc_open,
    .pread = pread,
    .pwrite = pwrite,
    .fdatasync = fdatasync,
    .ftruncate = ftruncate,
    .rename = rename,
    .rename_new = libc_rename_new,
    .unlink = unlink,
    .fsync = fsync,
    .symlink = symlink,
};

static const struct sm_io_ops *io = &sm_io_libc_ops;

void sm_io_set_ops(const struct sm_io_ops *ops)
{
    io = ops ? ops : &sm_io_libc_ops;
}

sm_err sm_io_open(const char *path, int flags, mode_t mode, int *out_fd, struct sm_errinfo *ei)
{
    int fd;
    do fd = io->open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return sm_fail_errno(ei, errno, "cannot open %s", path);
    *out_fd = fd;
    return SM_OK;
}

void sm_io_close(int fd)
{
    if (fd >= 0) (void)close(fd);
}

/* A direct read that stopped at an odd end of file cannot ask there for more: some file systems then say EINVAL. */
static bool at_end(int fd, uint64_t off)
{
    struct stat st;
    return fstat(fd, &st) == 0 && off >= (uint64_t)st.st_size;
}

sm_err sm_io_pread(int fd, const char *path, void *buf, size_t n, uint64_t off, size_t *out_got, struct sm_errinfo *ei)
{
    size_t got = 0;
    while (got < n) {
        const ssize_t k = io->pread(fd, (uint8_t *)buf + got, n - got, (off_t)(off + got));
        if (k == 0) break;
        if (k < 0) {
            const int why = errno;
            if (why == EINTR) continue;
            if (why == EINVAL && got > 0 && at_end(fd, off + got)) break;
            return sm_fail_errno(ei, why, "cannot read %s at offset %" PRIu64, path, off + got);
        }
        got += (size_t)k;
    }
    *out_got = got;
    return SM_OK;
}

sm_err sm_io_pread_exact(int fd, const char *path, void *buf, size_t n, uint64_t off, struct sm_errinfo *ei)
{
    size_t got = 0;
    sm_err err = sm_io_pread(fd, path, buf, n, off, &got, ei);
    if (err) return err;
    if (got < n)
        return sm_fail(ei, SM_E_FORMAT, "%s ends at byte %" PRIu64 ", expected at least %" PRIu64, path, off + got,
                       off + n);
    return SM_OK;
}

sm_err sm_io_pwrite(int fd, const char *path, const void *buf, size_t n, uint64_t off, struct sm_errinfo *ei)
{
    size_t put = 0;
    while (put < n) {
        const ssize_t k = io->pwrite(fd, (const uint8_t *)buf + put, n - put, (off_t)(off + put));
        if (k < 0) {
            if (errno == EINTR) continue;
            return sm_fail_errno(ei, errno, "cannot write %s at offset %" PRIu64, path, off + put);
        }
        if (k == 0) return sm_fail_errno(ei, EIO, "cannot write %s at offset %" PRIu64, path, off + put);
        put += (size_t)k;
    }
    return SM_OK;
}

sm_err sm_io_sync(int fd, const char *path, struct sm_errinfo *ei)
{
    int rc;
    do rc = io->fdatasync(fd);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? sm_fail_errno(ei, errno, "cannot flush %s to disk", path) : SM_OK;
}

sm_err sm_io_truncate(int fd, const char *path, uint64_t size, struct sm_errinfo *ei)
{
    int rc;
    do rc = io->ftruncate(fd, (off_t)size);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? sm_fail_errno(ei, errno, "cannot set the size of %s to %" PRIu64, path, size) : SM_OK;
}

sm_err sm_io_size(int fd, const char *path, uint64_t *out, struct sm_errinfo *ei)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return sm_fail_errno(ei, errno, "cannot stat %s", path);
    *out = (uint64_t)st.st_size;
    return SM_OK;
}

bool sm_io_set_direct(int fd, bool on)
{
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return false;
    return fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

void sm_io_drop_cache(int fd, uint64_t off, uint64_t len)
{
    (void)posix_fadvise(fd, (off_t)off, (off_t)len, POSIX_FADV_DONTNEED);
}

sm_err sm_io_read_file(const char *path, size_t max, char **out, size_t *out_n, struct sm_errinfo *ei)
{
    int fd = -1;
    char *buf = NULL;
    size_t got = 0;
    struct stat st;
    sm_err err = sm_io_open(path, O_RDONLY | O_NONBLOCK, 0, &fd, ei); /* never wait for the writer of a pipe */
    if (err) goto out;
    if (fstat(fd, &st) != 0) {
        err = sm_fail_errno(ei, errno, "cannot stat %s", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        err = sm_fail(ei, SM_E_FORMAT, "%s is not a regular file", path);
        goto out;
    }
    const uint64_t size = (uint64_t)st.st_size;
    if (size > max) {
        err = sm_fail(ei, SM_E_FORMAT, "%s: %" PRIu64 " bytes, expected at most %zu", path, size, max);
        goto out;
    }
    buf = malloc((size_t)size + 1);
    if (!buf) {
        err = sm_fail(ei, SM_E_NOMEM, "out of memory reading %s", path);
        goto out;
    }
    err = sm_io_pread(fd, path, buf, (size_t)size, 0, &got, ei);
    if (err) goto out;
    buf[got] = '\0';
    *out = buf;
    *out_n = got;
    buf = NULL;
out:
    free(buf);
    sm_io_close(fd);
    return err;
}

sm_err sm_io_unlink(const char *path, struct sm_errinfo *ei)
{
    return io->unlink(path) != 0 ? sm_fail_errno(ei, errno, "cannot remove %s", path) : SM_OK;
}

sm_err sm_io_rename_new(const char *from, const char *to, bool *out_crosses, struct sm_errinfo *ei)
{
    *out_crosses = false;
    if (io->rename_new(from, to) == 0) return SM_OK;
    if (errno == EXDEV) {
        *out_crosses = true;
        return SM_OK;
    }
    if (errno == EEXIST) return sm_fail(ei, SM_E_MISMATCH, "%s exists already: %s is left where it is", to, from);
    return sm_fail_errno(ei, errno, "cannot rename %s to %s", from, to);
}

sm_err sm_io_symlink(const char *target, const char *path, struct sm_errinfo *ei)
{
    if (io->symlink(target, path) == 0) return SM_OK;
    if (errno == EEXIST) return sm_fail(ei, SM_E_MISMATCH, "%s exists already: no link to %s was made", path, target);
    return sm_fail_errno(ei, errno, "cannot make the link %s to %s", path, target);
}

sm_err sm_io_rename(const char *from, const char *to, struct sm_errinfo *ei)
{
    return io->rename(from, to) != 0 ? sm_fail_errno(ei, errno, "cannot rename %s to %s", from, to) : SM_OK;
}

sm_err sm_io_sync_dir(const char *dir, struct sm_errinfo *ei)
{
    int fd = -1;
    sm_err err = sm_io_open(dir, O_RDONLY | O_DIRECTORY, 0, &fd, ei);
    if (err) return err;
    int rc;
    do rc = io->fsync(fd);
    while (rc < 0 && errno == EINTR);
    if (rc != 0 && errno != EINVAL) /* EINVAL: the file system has no directory sync */
        err = sm_fail_errno(ei, errno, "cannot flush directory %s to disk", dir);
    sm_io_close(fd);
    return err;
}

/* What sm_io_write_atomic replaces. */
struct target {
    char path[PATH_MAX]; /* links resolved */
    char tmp[PATH_MAX + 8];
    char dir[PATH_MAX];
    struct stat st;
    bool exists;
};

static sm_err target_resolve(const char *path, struct target *t, struct sm_errinfo *ei)
{
    if (!realpath(path, t->path)) {
        if (errno != ENOENT) return sm_fail_errno(ei, errno, "cannot resolve %s", path);
        if (lstat(path, &t->st) == 0)
            return sm_fail(ei, SM_E_IO, "%s is a link to a file that does not exist: remove the link or its cause",
                           path);
        if ((size_t)snprintf(t->path, sizeof t->path, "%s", path) >= sizeof t->path)
            return sm_fail(ei, SM_E_ARG, "path too long: %s", path);
    }
    (void)snprintf(t->tmp, sizeof t->tmp, "%s.tmp", t->path);
    (void)snprintf(t->dir, sizeof t->dir, "%s", t->path);
    t->exists = stat(t->path, &t->st) == 0;
    return SM_OK;
}

/* Opens the temporary file and locks it, so that writers take turns and one name is enough: whatever a crash leaves
 * behind is overwritten by the next writer. When the lock was waited for, its last holder has renamed or removed the
 * file: the name is then opened afresh. */
static sm_err tmp_open(const char *tmp, int *out_fd, struct sm_errinfo *ei)
{
    for (;;) {
        int fd = -1;
        sm_err err = sm_io_open(tmp, O_WRONLY | O_CREAT | O_NOFOLLOW, 0600, &fd, ei);
        if (err) return err;
        int rc;
        do rc = flock(fd, LOCK_EX);
        while (rc != 0 && errno == EINTR);
        struct stat mine, named;
        if (fstat(fd, &mine) == 0 && lstat(tmp, &named) == 0 && mine.st_dev == named.st_dev &&
            mine.st_ino == named.st_ino) {
            *out_fd = fd;
            return SM_OK;
        }
        sm_io_close(fd);
    }
}

sm_err sm_io_write_atomic(const char *path, const void *data, size_t n, mode_t mode, struct sm_errinfo *ei)
{
    struct target t;
    int fd = -1;
    sm_err err = target_resolve(path, &t, ei);
    if (err) return err;
    err = tmp_open(t.tmp, &fd, ei);
    if (err) return err;

    err = sm_io_truncate(fd, t.tmp, 0, ei);
    if (err) goto out;
    if (t.exists && fchown(fd, t.st.st_uid, t.st.st_gid) != 0) { /* not ours to give: it stays the writer's */
    }
    if (fchmod(fd, t.exists ? t.st.st_mode & 07777 : mode) != 0) {
        err = sm_fail_errno(ei, errno, "cannot set the mode of %s", t.tmp);
        goto out;
    }
    err = sm_io_pwrite(fd, t.tmp, data, n, 0, ei);
    if (err) goto out;
    err = sm_io_sync(fd, t.tmp, ei);
    if (err) goto out;
    if (io->rename(t.tmp, t.path) != 0) err = sm_fail_errno(ei, errno, "cannot rename %s to %s", t.tmp, t.path);
out:
    if (err) (void)io->unlink(t.tmp);
    sm_io_close(fd); /* releases the lock: after the name is gone */
    return err ? err : sm_io_sync_dir(dirname(t.dir), ei);
}

sm_err sm_io_free_bytes(const char *path, uint64_t *out, struct sm_errinfo *ei)
{
    struct statvfs st;
    if (statvfs(path, &st) != 0) return sm_fail_errno(ei, errno, "cannot query the file system of %s", path);
    *out = (uint64_t)st.f_bavail * st.f_frsize;
    return SM_OK;
}

sm_err sm_io_path(char *out, size_t room, const char *dir, const char *name, struct sm_errinfo *ei)
{
    const size_t n = strlen(dir);
    const char *sep = n && dir[n - 1] == '/' ? "" : "/";
    if ((size_t)snprintf(out, room, "%s%s%s", dir, sep, name) >= room)
        return sm_fail(ei, SM_E_ARG, "path too long: %s/%s", dir, name);
    return SM_OK;
}
