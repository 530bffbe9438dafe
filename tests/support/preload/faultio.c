/* faultio: an LD_PRELOAD object that makes a disk fail, or kills the process, at a chosen file call.
 *
 * Only files below FAULTIO_DIR (an absolute path without links) count; everything else passes through.
 *
 *   FAULTIO_MATCH    part of the path; faults (not kills) hit matching files only
 *   FAULTIO_KILL_AT  k: SIGKILL instead of the k-th call, 1 is the first; a write is first done in part
 *   FAULTIO_TEAR     percent of that last write that still reaches the file, default 0
 *   FAULTIO_FAIL     op:errno:k[:n]  the k-th `op` and the n - 1 after it (default 1; 0: all) fail with EIO or ENOSPC;
 *                    op is open, read, write, sync, truncate, rename or unlink
 *   FAULTIO_SPACE    bytes: room for data; the write that crosses it is short, those after it fail with ENOSPC
 *   FAULTIO_SHORT    seed: reads and writes transfer a random part of what was asked for
 *   FAULTIO_STATS    file of struct faultio_stats (created by the caller), kept up to date, survives SIGKILL
 *
 * A wrong setting aborts: a test must not pass because its fault was never injected. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT       __attribute__((visibility("default")))
#define PATH_ROOM    4096
#define DIRECT_BLOCK 4096u /* the kernel shortens direct transfers to whole blocks, so this does too */

enum op { OP_OPEN, OP_READ, OP_WRITE, OP_SYNC, OP_TRUNCATE, OP_RENAME, OP_UNLINK, OPS };

static const char *const op_names[OPS] = {"open", "read", "write", "sync", "truncate", "rename", "unlink"};

/* tests/integration/harness.py reads this. */
struct faultio_stats {
    uint64_t calls;                     /* all counted calls: the range of FAULTIO_KILL_AT */
    uint64_t matching[OPS];             /* of matching files: the range of FAULTIO_FAIL */
    uint64_t bytes_read, bytes_written; /* of matching files */
    uint64_t faults;                    /* failures and short transfers injected */
};

static struct {
    char dir[PATH_ROOM];
    size_t dir_n;
    const char *match;
    uint64_t kill_at, tear;
    bool fails;
    enum op fail_op;
    int fail_errno;
    uint64_t fail_first, fail_n;
    bool has_space;
    uint64_t space;
    bool shorts;
    uint64_t rng;
} cfg;

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* cfg.space, cfg.rng, *stats */
static struct faultio_stats private_stats, *stats = &private_stats;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct {
    int (*open)(const char *, int, ...);
    int (*openat)(int, const char *, int, ...);
    ssize_t (*pread)(int, void *, size_t, off_t);
    ssize_t (*read)(int, void *, size_t);
    ssize_t (*pwrite)(int, const void *, size_t, off_t);
    ssize_t (*write)(int, const void *, size_t);
    int (*fsync)(int);
    int (*fdatasync)(int);
    int (*ftruncate)(int, off_t);
    int (*rename)(const char *, const char *);
    int (*renameat2)(int, const char *, int, const char *, unsigned);
    int (*unlink)(const char *);
} libc;

static void die(const char *what)
{
    fprintf(stderr, "faultio: %s\n", what);
    abort();
}

static uint64_t number(const char *name, const char *text)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long n = strtoull(text, &end, 10);
    if (errno || end == text || (*end && *end != ':')) die(name);
    return n;
}

static void parse_fail(const char *text)
{
    char op[16] = "", code[16] = "", first[24] = "", count[24] = "1";
    if (sscanf(text, "%15[^:]:%15[^:]:%23[^:]:%23[^:]", op, code, first, count) < 3) die("FAULTIO_FAIL");
    cfg.fail_op = OPS;
    for (unsigned i = 0; i < OPS; i++)
        if (strcmp(op, op_names[i]) == 0) cfg.fail_op = (enum op)i;
    if (cfg.fail_op == OPS) die("FAULTIO_FAIL: unknown operation");
    if (strcmp(code, "EIO") != 0 && strcmp(code, "ENOSPC") != 0) die("FAULTIO_FAIL: EIO or ENOSPC");
    cfg.fail_errno = strcmp(code, "EIO") == 0 ? EIO : ENOSPC;
    cfg.fail_first = number("FAULTIO_FAIL: count", first);
    cfg.fail_n = number("FAULTIO_FAIL: length", count);
    cfg.fails = true;
}

static void map_stats(const char *path)
{
    const int fd = libc.open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) die("FAULTIO_STATS: cannot open the file");
    void *p = mmap(NULL, sizeof *stats, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct stat st;
    if (p == MAP_FAILED || fstat(fd, &st) != 0 || (size_t)st.st_size < sizeof *stats) die("FAULTIO_STATS: too small");
    stats = p;
    (void)close(fd);
}

static void load(void)
{
    /* dlsym returns an object pointer; POSIX guarantees that it converts. */
    *(void **)&libc.open = dlsym(RTLD_NEXT, "open");
    *(void **)&libc.openat = dlsym(RTLD_NEXT, "openat");
    *(void **)&libc.pread = dlsym(RTLD_NEXT, "pread");
    *(void **)&libc.read = dlsym(RTLD_NEXT, "read");
    *(void **)&libc.pwrite = dlsym(RTLD_NEXT, "pwrite");
    *(void **)&libc.write = dlsym(RTLD_NEXT, "write");
    *(void **)&libc.fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&libc.fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **)&libc.ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    *(void **)&libc.rename = dlsym(RTLD_NEXT, "rename");
    *(void **)&libc.renameat2 = dlsym(RTLD_NEXT, "renameat2");
    *(void **)&libc.unlink = dlsym(RTLD_NEXT, "unlink");

    const char *text = getenv("FAULTIO_DIR");
    if (!text || text[0] != '/' || strlen(text) >= sizeof cfg.dir) die("FAULTIO_DIR: an absolute path is needed");
    cfg.dir_n = strlen(strcpy(cfg.dir, text));
    cfg.match = getenv("FAULTIO_MATCH");
    if ((text = getenv("FAULTIO_KILL_AT"))) cfg.kill_at = number("FAULTIO_KILL_AT", text);
    if ((text = getenv("FAULTIO_TEAR"))) cfg.tear = number("FAULTIO_TEAR", text);
    if ((text = getenv("FAULTIO_FAIL"))) parse_fail(text);
    if ((text = getenv("FAULTIO_SPACE"))) cfg.has_space = true, cfg.space = number("FAULTIO_SPACE", text);
    if ((text = getenv("FAULTIO_SHORT"))) cfg.shorts = true, cfg.rng = number("FAULTIO_SHORT", text);
    if ((text = getenv("FAULTIO_STATS"))) map_stats(text);
}

__attribute__((constructor)) static void at_start(void)
{
    pthread_once(&once, load);
}

/* splitmix64 */
static uint64_t random_u64(void)
{
    uint64_t z = (cfg.rng += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static bool below_dir(const char *path)
{
    return strncmp(path, cfg.dir, cfg.dir_n) == 0 && (path[cfg.dir_n] == '/' || path[cfg.dir_n] == '\0');
}

/* Where a descriptor points, NULL when that is not below the directory. Keeps errno. */
static const char *fd_path(int fd, char room[PATH_ROOM])
{
    char link[64];
    const int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, room, PATH_ROOM - 1);
    errno = saved;
    if (n <= 0) return NULL;
    room[n] = '\0';
    return below_dir(room) ? room : NULL;
}

/* The path that `name` will have; the file need not exist. */
static const char *name_path(int dir_fd, const char *name, char room[PATH_ROOM])
{
    char base[PATH_ROOM] = "", joined[2 * PATH_ROOM], parent[PATH_ROOM];
    const int saved = errno;
    if (name[0] != '/') {
        char link[64] = "/proc/self/cwd";
        if (dir_fd != AT_FDCWD) snprintf(link, sizeof link, "/proc/self/fd/%d", dir_fd);
        if (readlink(link, base, sizeof base - 1) < 0) return errno = saved, NULL;
    }
    snprintf(joined, sizeof joined, "%s%s%s", base, base[0] ? "/" : "", name);
    const char *whole = realpath(joined, room);
    if (!whole) {
        char *slash = strrchr(joined, '/');
        *slash = '\0';
        whole = realpath(joined[0] ? joined : "/", parent);
        if (whole && (size_t)snprintf(room, PATH_ROOM, "%s/%s", parent, slash + 1) < PATH_ROOM)
            whole = room;
        else
            whole = NULL;
    }
    errno = saved;
    return whole && below_dir(room) ? room : NULL;
}

static bool matches(const char *path)
{
    return !cfg.match || strstr(path, cfg.match);
}

/* A torn write of the dying process: the part goes through the page cache, where it may end at any byte. */
static void tear(int fd, const void *buf, size_t n, off_t off)
{
    const size_t part = (size_t)(n * (cfg.tear > 100 ? 100 : cfg.tear) / 100);
    const int flags = fcntl(fd, F_GETFL);
    if (!part || flags < 0) return;
    (void)fcntl(fd, F_SETFL, flags & ~O_DIRECT);
    ssize_t done = off < 0 ? libc.write(fd, buf, part) : libc.pwrite(fd, buf, part, off);
    if (done < 0) die("FAULTIO_TEAR: the partial write failed");
}

/* What is to happen to one transfer of n bytes: how many of them, or -1 with errno. */
static ssize_t plan(enum op op, int fd, const char *path, size_t n)
{
    if (!matches(path)) return (ssize_t)n;
    const uint64_t ordinal = ++stats->matching[op];
    if (cfg.fails && op == cfg.fail_op && ordinal >= cfg.fail_first &&
        (!cfg.fail_n || ordinal - cfg.fail_first < cfg.fail_n)) {
        stats->faults++;
        errno = cfg.fail_errno;
        return -1;
    }
    size_t part = n;
    if (cfg.shorts && n > 1 && (op == OP_READ || op == OP_WRITE)) part = 1 + (size_t)(random_u64() % n);
    if (cfg.has_space && op == OP_WRITE && part > cfg.space) {
        part = (size_t)cfg.space;
        if (!part) return stats->faults++, errno = ENOSPC, -1;
    }
    if (part < n) {
        const int flags = fcntl(fd, F_GETFL);
        if (flags >= 0 && (flags & O_DIRECT)) part -= part % DIRECT_BLOCK;
        if (!part && cfg.has_space && op == OP_WRITE && cfg.space < n) return stats->faults++, errno = ENOSPC, -1;
        if (!part) part = n < DIRECT_BLOCK ? n : DIRECT_BLOCK;
        if (part < n) stats->faults++;
    }
    if (op == OP_WRITE && cfg.has_space) cfg.space -= part;
    return (ssize_t)part;
}

/* Counts a call, and dies when it is the chosen one. */
static void count(void)
{
    if (++stats->calls == cfg.kill_at) (void)kill(getpid(), SIGKILL);
}

static ssize_t before(enum op op, int fd, const char *path, const void *buf, size_t n, off_t off)
{
    pthread_mutex_lock(&mu);
    if (op == OP_WRITE && stats->calls + 1 == cfg.kill_at) tear(fd, buf, n, off);
    count();
    const ssize_t part = plan(op, fd, path, n);
    pthread_mutex_unlock(&mu);
    return part;
}

static ssize_t after(enum op op, const char *path, ssize_t done)
{
    if (done <= 0 || !matches(path)) return done;
    pthread_mutex_lock(&mu);
    *(op == OP_READ ? &stats->bytes_read : &stats->bytes_written) += (uint64_t)done;
    pthread_mutex_unlock(&mu);
    return done;
}

EXPORT ssize_t pread(int fd, void *buf, size_t n, off_t off)
{
    char room[PATH_ROOM];
    pthread_once(&once, load);
    const char *path = fd_path(fd, room);
    if (!path) return libc.pread(fd, buf, n, off);
    const ssize_t part = before(OP_READ, fd, path, NULL, n, off);
    return part < 0 ? -1 : after(OP_READ, path, libc.pread(fd, buf, (size_t)part, off));
}

EXPORT ssize_t read(int fd, void *buf, size_t n)
{
    char room[PATH_ROOM];
    pthread_once(&once, load);
    const char *path = fd_path(fd, room);
    if (!path) return libc.read(fd, buf, n);
    const ssize_t part = before(OP_READ, fd, path, NULL, n, -1);
    return part < 0 ? -1 : after(OP_READ, path, libc.read(fd, buf, (size_t)part));
}

EXPORT ssize_t pwrite(int fd, const void *buf, size_t n, off_t off)
{
    char room[PATH_ROOM];
    pthread_once(&once, load);
    const char *path = fd_path(fd, room);
    if (!path) return libc.pwrite(fd, buf, n, off);
    const ssize_t part = before(OP_WRITE, fd, path, buf, n, off);
    return part < 0 ? -1 : after(OP_WRITE, path, libc.pwrite(fd, buf, (size_t)part, off));
}

EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
    char room[PATH_ROOM];
    pthread_once(&once, load);
    const char *path = fd_path(fd, room);
    if (!path) return libc.write(fd, buf, n);
    const ssize_t part = before(OP_WRITE, fd, path, buf, n, -1);
    return part < 0 ? -1 : after(OP_WRITE, path, libc.write(fd, buf, (size_t)part));
}

EXPORT int fsync(int fd)
{
    char room[PATH_ROOM];
    pthread_once(&once, load);
    const char *path = fd_path(fd, room);
    return path && before(OP_SYNC, fd, path, NULL, 0, -1) < 0 ? -1 : libc.fsync(fd);
}

EXPORT int fdatasync(int fd)
{
    char room[PATH_ROOM];
    pthread_once(&once, load);
    const char *path = fd_path(fd, room);
    return path && before(OP_SYNC, fd, path, NULL, 0, -1) < 0 ? -1 : libc.fdatasync(fd);
}

EXPORT int ftruncate(int fd, off_t size)
{
    char room[PATH_ROOM];
    pthread_once(&once, load);
    const char *path = fd_path(fd, room);
    return path && before(OP_TRUNCATE, fd, path, NULL, 0, -1) < 0 ? -1 : libc.ftruncate(fd, size);
}

EXPORT int rename(const char *from, const char *to)
{
    char room[PATH_ROOM];
    pthread_once(&once, load);
    const char *path = name_path(AT_FDCWD, to, room);
    return path && before(OP_RENAME, -1, path, NULL, 0, -1) < 0 ? -1 : libc.rename(from, to);
}

EXPORT int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    char room[PATH_ROOM];
    pthread_once(&once, load);
    const char *path = name_path(to_fd, to, room);
    return path && before(OP_RENAME, -1, path, NULL, 0, -1) < 0 ? -1 : libc.renameat2(from_fd, from, to_fd, to, flags);
}

EXPORT int unlink(const char *name)
{
    char room[PATH_ROOM];
    pthread_once(&once, load);
    const char *path = name_path(AT_FDCWD, name, room);
    return path && before(OP_UNLINK, -1, path, NULL, 0, -1) < 0 ? -1 : libc.unlink(name);
}

static int open_any(int dir_fd, const char *name, int flags, mode_t mode)
{
    char room[PATH_ROOM];
    pthread_once(&once, load);
    const char *path = name_path(dir_fd, name, room);
    return path && before(OP_OPEN, -1, path, NULL, 0, -1) < 0 ? -1 : libc.openat(dir_fd, name, flags, mode);
}

/* `mode` is there only when the flags say that a file may be created. */
#define MODE_ARGUMENT(flags)                                         \
    __extension__({                                                  \
        mode_t mode_ = 0;                                            \
        if (((flags)&O_CREAT) || ((flags)&O_TMPFILE) == O_TMPFILE) { \
            va_list ap;                                              \
            va_start(ap, flags);                                     \
            mode_ = va_arg(ap, mode_t);                              \
            va_end(ap);                                              \
        }                                                            \
        mode_;                                                       \
    })

EXPORT int open(const char *name, int flags, ...)
{
    return open_any(AT_FDCWD, name, flags, MODE_ARGUMENT(flags));
}

EXPORT int openat(int dir_fd, const char *name, int flags, ...)
{
    return open_any(dir_fd, name, flags, MODE_ARGUMENT(flags));
}

/* The names that large-file builds call; off_t has 64 bits here. */
_Static_assert(sizeof(off_t) == 8, "64-bit file offsets");
EXPORT ssize_t pread64(int, void *, size_t, off64_t) __attribute__((alias("pread")));
EXPORT ssize_t pwrite64(int, const void *, size_t, off64_t) __attribute__((alias("pwrite")));
EXPORT int ftruncate64(int, off64_t) __attribute__((alias("ftruncate")));
EXPORT int open64(const char *, int, ...) __attribute__((alias("open")));
EXPORT int openat64(int, const char *, int, ...) __attribute__((alias("openat")));
