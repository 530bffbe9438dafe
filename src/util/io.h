/* util/io.h: files. Every call loops over short transfers and EINTR, and every failure names the path and,
 * where it has one, the offset.
 *
 * All system calls go through one table, so that tests inject short transfers, EIO and ENOSPC
 * (sm_io_set_ops); the product never replaces it. Any thread; one descriptor may be shared for positioned
 * reads and writes. */
#ifndef SM_UTIL_IO_H
#define SM_UTIL_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

#define SM_IO_ALIGN 4096u /* offsets, lengths and buffers of direct I/O */

struct sm_io_ops {
    int (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*pread)(int fd, void *buf, size_t n, off_t off);
    ssize_t (*pwrite)(int fd, const void *buf, size_t n, off_t off);
    int (*fdatasync)(int fd);
    int (*ftruncate)(int fd, off_t size);
    int (*rename)(const char *from, const char *to);
    int (*rename_new)(const char *from, const char *to); /* EEXIST when `to` exists */
    int (*unlink)(const char *path);
    int (*fsync)(int fd); /* directories */
    int (*symlink)(const char *target, const char *path);
};
extern const struct sm_io_ops sm_io_libc_ops;
/* Tests only, before threads start. NULL restores the C library's. */
void sm_io_set_ops(const struct sm_io_ops *ops);

/* O_CLOEXEC is added. SM_E_NOTFOUND when there is no such file. */
SM_MUST_CHECK sm_err sm_io_open(const char *path, int flags, mode_t mode, int *out_fd, struct sm_errinfo *ei);
/* Ignores negative descriptors. */
void sm_io_close(int fd);

/* Reads up to n bytes at `off`; *out_got < n only at end of file. */
SM_MUST_CHECK sm_err sm_io_pread(int fd, const char *path, void *buf, size_t n, uint64_t off, size_t *out_got,
                                 struct sm_errinfo *ei);
/* Reads exactly n bytes; end of file is SM_E_FORMAT naming the size that was expected. */
SM_MUST_CHECK sm_err sm_io_pread_exact(int fd, const char *path, void *buf, size_t n, uint64_t off,
                                       struct sm_errinfo *ei);
/* Writes all n bytes or fails; after SM_E_NOSPACE or SM_E_IO a part may be on disk. */
SM_MUST_CHECK sm_err sm_io_pwrite(int fd, const char *path, const void *buf, size_t n, uint64_t off,
                                  struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_io_sync(int fd, const char *path, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_io_truncate(int fd, const char *path, uint64_t size, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_io_size(int fd, const char *path, uint64_t *out, struct sm_errinfo *ei);

/* Switches O_DIRECT on or off. False when the file system refuses (tmpfs): go on buffered. */
bool sm_io_set_direct(int fd, bool on);
/* Tells the kernel that a range will not be read again (page cache hygiene; advisory). */
void sm_io_drop_cache(int fd, uint64_t off, uint64_t len);

/* Whole small file, NUL-terminated for the caller's comfort, *out freed by the caller with free().
 * SM_E_FORMAT when larger than `max` or not a regular file. */
SM_MUST_CHECK sm_err sm_io_read_file(const char *path, size_t max, char **out, size_t *out_n, struct sm_errinfo *ei);

/* Replaces `path` so that a reader or a crash sees the old or the new content, never a mix: temporary file PATH.tmp,
 * fdatasync, rename, directory sync. Symbolic links are followed. `mode` for a new file; an existing one keeps its mode
 * and, where we may, its owner. Writers of one path in several processes or threads take turns. A failure of the very
 * last step leaves the new content in place, its durability unknown. */
SM_MUST_CHECK sm_err sm_io_write_atomic(const char *path, const void *data, size_t n, mode_t mode,
                                        struct sm_errinfo *ei);

/* Removes a name (SM_E_NOTFOUND when it is gone). Follow with sm_io_sync_dir. */
SM_MUST_CHECK sm_err sm_io_unlink(const char *path, struct sm_errinfo *ei);
/* Renames without ever replacing: SM_E_MISMATCH when `to` exists. *out_crosses: they are on different file systems
 * and nothing was done (the call still returns SM_OK). Follow with sm_io_sync_dir. */
SM_MUST_CHECK sm_err sm_io_rename_new(const char *from, const char *to, bool *out_crosses, struct sm_errinfo *ei);

/* Makes the symbolic link `path`; SM_E_MISMATCH when the name exists. Follow with sm_io_sync_dir. */
SM_MUST_CHECK sm_err sm_io_symlink(const char *target, const char *path, struct sm_errinfo *ei);

/* Replaces `to` if it exists. Not durable before sm_io_sync_dir. */
SM_MUST_CHECK sm_err sm_io_rename(const char *from, const char *to, struct sm_errinfo *ei);

/* Makes a created, renamed or removed name in `dir` durable. */
SM_MUST_CHECK sm_err sm_io_sync_dir(const char *dir, struct sm_errinfo *ei);

/* Bytes an unprivileged user may still write on the file system of `path`. */
SM_MUST_CHECK sm_err sm_io_free_bytes(const char *path, uint64_t *out, struct sm_errinfo *ei);

/* dir + "/" + name; SM_E_ARG when it does not fit. */
SM_MUST_CHECK sm_err sm_io_path(char *out, size_t room, const char *dir, const char *name, struct sm_errinfo *ei);

#endif
