/* Files: short transfers, interruptions, failures, atomic replacement, direct I/O. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/faultio.h"
#include "support/tmpdir.h"
#include "util/io.h"

static int open_rw(const char *path)
{
    int fd = -1;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_io_open(path, O_RDWR | O_CREAT, 0600, &fd, &ei), SM_OK, "%s", ei.text);
    return fd;
}

static void fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(i * 31 + i / 256);
}

Test(io, transfers_survive_interruption_and_cutting)
{
    char dir[256];
    uint8_t out[1000], in[1000];
    size_t got = 0;
    struct sm_errinfo ei = {0};
    const char *path = tmpdir_path(tmpdir_make(dir), "f");
    fill(out, sizeof out);
    fault_set(&(struct fault_plan){.eintr = true, .short_max = 7});
    const int fd = open_rw(path);
    cr_assert_eq(sm_io_pwrite(fd, path, out, sizeof out, 5, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_io_sync(fd, path, &ei), SM_OK);
    cr_assert_eq(sm_io_pread_exact(fd, path, in, sizeof in, 5, &ei), SM_OK, "%s", ei.text);
    cr_assert_arr_eq(in, out, sizeof in);
    cr_assert_eq(sm_io_pread(fd, path, in, sizeof in, 900, &got, &ei), SM_OK);
    cr_assert_eq(got, 105);
    cr_assert_eq(sm_io_truncate(fd, path, 10, &ei), SM_OK);
    fault_clear();
    cr_assert_gt(fault_calls(), 300);
    uint64_t size;
    cr_assert_eq(sm_io_size(fd, path, &size, &ei), SM_OK);
    cr_assert_eq(size, 10);
    sm_io_close(fd);
    sm_io_close(-1);
}

Test(io, failures_name_path_and_offset)
{
    char dir[256];
    uint8_t b[100] = {0};
    struct sm_errinfo ei = {0};
    const char *path = tmpdir_path(tmpdir_make(dir), "f");
    int fd = -1;
    cr_assert_eq(sm_io_open(path, O_RDONLY, 0, &fd, &ei), SM_E_NOTFOUND);
    cr_assert(strstr(ei.text, path));
    fd = open_rw(path);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(sm_io_pwrite(fd, path, b, 50, 0, &ei), SM_OK);
    cr_assert_eq(sm_io_pread_exact(fd, path, b, 100, 10, &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "ends at byte 50") && strstr(ei.text, "110"), "%s", ei.text);

    fault_set(&(struct fault_plan){.short_max = 30, .kinds = FAULT_READ | FAULT_WRITE, .fail_at = 2});
    cr_assert_eq(sm_io_pread_exact(fd, path, b, 50, 0, &ei), SM_E_IO);
    cr_assert(strstr(ei.text, "at offset 30") && strstr(ei.text, path), "%s", ei.text);
    fault_set(&(struct fault_plan){.has_space = true, .space_bytes = 60});
    cr_assert_eq(sm_io_pwrite(fd, path, b, 100, 7, &ei), SM_E_NOSPACE);
    cr_assert(strstr(ei.text, "at offset 67"), "%s", ei.text);
    cr_assert_eq(fault_written(), 60);
    fault_set(&(struct fault_plan){.kinds = FAULT_SYNC, .fail_at = 1});
    cr_assert_eq(sm_io_sync(fd, path, &ei), SM_E_IO);
    fault_set(&(struct fault_plan){.kinds = FAULT_TRUNCATE, .fail_at = 1, .fail_errno = EFBIG});
    cr_assert_eq(sm_io_truncate(fd, path, 5, &ei), SM_E_NOSPACE);
    fault_clear();
    sm_io_close(fd);
}

static ssize_t write_nothing(int fd, const void *buf, size_t n, off_t off)
{
    (void)fd, (void)buf, (void)n, (void)off;
    return 0;
}

Test(io, a_write_that_moves_nothing_ends)
{
    char dir[256];
    struct sm_io_ops ops = sm_io_libc_ops;
    const char *path = tmpdir_path(tmpdir_make(dir), "f");
    const int fd = open_rw(path);
    ops.pwrite = write_nothing;
    sm_io_set_ops(&ops);
    cr_assert_eq(sm_io_pwrite(fd, path, "x", 1, 0, NULL), SM_E_IO);
    sm_io_set_ops(NULL);
    sm_io_close(fd);
}

Test(io, direct_transfers_and_odd_ends)
{
    char dir[256];
    void *mem = NULL;
    size_t got = 0;
    struct sm_errinfo ei = {0};
    const char *path = tmpdir_path(tmpdir_make(dir), "f");
    cr_assert_eq(posix_memalign(&mem, SM_IO_ALIGN, 16 * SM_IO_ALIGN), 0);
    uint8_t *buf = mem, *want = malloc(16 * SM_IO_ALIGN);
    fill(want, 16 * SM_IO_ALIGN);
    file_put(path, want, 9 * SM_IO_ALIGN + 123);
    const int fd = open_rw(path);
    if (!sm_io_set_direct(fd, true)) cr_skip_test("no direct I/O on this file system");
    fault_set(&(struct fault_plan){.eintr = true, .short_max = SM_IO_ALIGN});
    cr_assert_eq(sm_io_pread(fd, path, buf, 16 * SM_IO_ALIGN, 0, &got, &ei), SM_OK, "%s", ei.text);
    fault_clear();
    cr_assert_eq(got, 9 * SM_IO_ALIGN + 123);
    cr_assert_arr_eq(buf, want, got);
    cr_assert_eq(sm_io_pread(fd, path, buf, SM_IO_ALIGN, 9 * SM_IO_ALIGN, &got, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(got, 123);
    memcpy(buf, want, SM_IO_ALIGN);
    cr_assert_eq(sm_io_pwrite(fd, path, buf, SM_IO_ALIGN, SM_IO_ALIGN, &ei), SM_OK, "%s", ei.text);
    cr_assert(sm_io_set_direct(fd, false));
    cr_assert_eq(sm_io_pwrite(fd, path, "odd", 3, 9 * SM_IO_ALIGN + 123, &ei), SM_OK);
    sm_io_drop_cache(fd, 0, 0);
    sm_io_close(fd);
    free(want);
    free(mem);
}

Test(io, read_file)
{
    char dir[256], *text = NULL;
    size_t n = 0;
    struct sm_errinfo ei = {0};
    const char *path = tmpdir_path(tmpdir_make(dir), "f");
    file_put(path, "abc", 3);
    cr_assert_eq(sm_io_read_file(path, 3, &text, &n, &ei), SM_OK, "%s", ei.text);
    cr_assert(n == 3 && strcmp(text, "abc") == 0);
    free(text);
    cr_assert_eq(sm_io_read_file(path, 2, &text, &n, &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "3 bytes"));
    cr_assert_eq(sm_io_read_file(dir, 100, &text, &n, &ei), SM_E_FORMAT, "a directory");
    const char *fifo = tmpdir_path(dir, "fifo");
    cr_assert_eq(mkfifo(fifo, 0600), 0);
    cr_assert_eq(sm_io_read_file(fifo, 100, &text, &n, &ei), SM_E_FORMAT, "must not wait for a writer");
    cr_assert_eq(sm_io_read_file(tmpdir_path(dir, "gone"), 100, &text, &n, &ei), SM_E_NOTFOUND);
}

/* ---- atomic replacement ---- */

static void assert_content(const char *path, const char *want)
{
    char *text = (char *)file_get(path, NULL);
    cr_assert_str_eq(text, want);
    free(text);
}

Test(io_atomic, new_and_existing)
{
    char dir[256];
    struct stat st;
    struct sm_errinfo ei = {0};
    const char *path = tmpdir_path(tmpdir_make(dir), "f");
    (void)umask(0077);
    cr_assert_eq(sm_io_write_atomic(path, "one", 3, 0644, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0644, "not subject to the umask");
    cr_assert_eq(chmod(path, 0604), 0);
    cr_assert_eq(sm_io_write_atomic(path, "three", 5, 0600, &ei), SM_OK);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0604);
    assert_content(path, "three");
    cr_assert_eq(sm_io_write_atomic(path, "", 0, 0600, &ei), SM_OK);
    cr_assert_eq(file_size(path), 0);
    cr_assert_eq(file_size(tmpdir_path(dir, "f.tmp")), -1);
    cr_assert_neq(sm_io_write_atomic(tmpdir_path(dir, "no/f"), "x", 1, 0600, &ei), SM_OK);
}

Test(io_atomic, links_are_followed_and_stay)
{
    char dir[256], other[256];
    struct stat st;
    struct sm_errinfo ei = {0};
    tmpdir_make(dir);
    tmpdir_make(other);
    const char *real = tmpdir_path(other, "real"), *link = tmpdir_path(dir, "link");
    file_put(real, "old", 3);
    cr_assert_eq(symlink(real, link), 0);
    cr_assert_eq(sm_io_write_atomic(link, "new", 3, 0600, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(lstat(link, &st), 0);
    cr_assert(S_ISLNK(st.st_mode));
    assert_content(real, "new");
    (void)unlink(real);
    cr_assert_eq(sm_io_write_atomic(link, "new", 3, 0600, &ei), SM_E_IO, "where should it go?");
    cr_assert(strstr(ei.text, "link"), "%s", ei.text);
    cr_assert_eq(lstat(link, &st), 0);
}

Test(io_atomic, leftovers_of_a_crash_are_reused)
{
    char dir[256];
    struct sm_errinfo ei = {0};
    const char *path = tmpdir_path(tmpdir_make(dir), "f"), *tmp = tmpdir_path(dir, "f.tmp");
    file_put(tmp, "a long and torn half of something", 33);
    cr_assert_eq(sm_io_write_atomic(path, "new", 3, 0600, &ei), SM_OK, "%s", ei.text);
    assert_content(path, "new");
    cr_assert_eq(file_size(tmp), -1);
    cr_assert_eq(symlink(path, tmp), 0); /* somebody lays a trap */
    cr_assert_neq(sm_io_write_atomic(path, "x", 1, 0600, &ei), SM_OK);
    assert_content(path, "new");
}

Test(io_atomic, every_crash_leaves_old_or_new)
{
    char dir[256];
    const char *path = tmpdir_path(tmpdir_make(dir), "f");
    uint64_t k = 1;
    for (bool done = false; !done; k++) {
        file_put(path, "old", 3);
        const pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            fault_set(&(struct fault_plan){.crash_at = k, .crash_torn = true});
            _exit(sm_io_write_atomic(path, "new", 3, 0600, NULL) == SM_OK ? 0 : 1);
        }
        int status = 0;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        char *text = (char *)file_get(path, NULL);
        cr_assert(strcmp(text, done ? "new" : "old") == 0 || strcmp(text, "new") == 0, "call %" PRIu64 ": %s", k, text);
        free(text);
    }
    cr_assert_geq(k, 8);
}

struct writers {
    const char *path;
    sm_err err[8];
};

static void *write_often(void *arg)
{
    struct writers *w = ((void **)arg)[0];
    const size_t me = (size_t)((void **)arg)[1];
    char text[2000];
    memset(text, (int)('a' + me), sizeof text);
    for (int i = 0; i < 20 && !w->err[me]; i++) w->err[me] = sm_io_write_atomic(w->path, text, sizeof text, 0600, NULL);
    return NULL;
}

Test(io_atomic, many_writers_take_turns)
{
    char dir[256];
    struct writers w = {.path = tmpdir_path(tmpdir_make(dir), "f")};
    const pid_t child = fork(); /* another process among them */
    if (child == 0) {
        (void)write_often((void *[]){&w, (void *)4});
        _exit(w.err[4] != SM_OK);
    }
    pthread_t t[4];
    void *arg[4][2];
    for (size_t i = 0; i < 4; i++) {
        arg[i][0] = &w;
        arg[i][1] = (void *)i;
        cr_assert_eq(pthread_create(&t[i], NULL, write_often, arg[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) cr_assert_eq(pthread_join(t[i], NULL), 0);
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    for (size_t i = 0; i < 4; i++) cr_assert_eq(w.err[i], SM_OK);
    size_t n;
    uint8_t *p = file_get(w.path, &n);
    cr_assert_eq(n, 2000);
    for (size_t i = 1; i < n; i++) cr_assert_eq(p[i], p[0], "a mix of two writers");
    free(p);
    cr_assert_eq(file_size(tmpdir_path(dir, "f.tmp")), -1);
}

/* ---- names ---- */

Test(io_names, rename_never_replaces)
{
    char dir[256];
    bool crosses = true;
    struct sm_errinfo ei = {0};
    tmpdir_make(dir);
    const char *a = tmpdir_path(dir, "a"), *b = tmpdir_path(dir, "b"), *c = tmpdir_path(dir, "c");
    file_put(a, "a", 1);
    file_put(b, "b", 1);
    cr_assert_eq(sm_io_rename_new(a, b, &crosses, &ei), SM_E_MISMATCH);
    cr_assert(strstr(ei.text, b) && !crosses);
    assert_content(b, "b");
    cr_assert_eq(sm_io_rename_new(a, c, &crosses, &ei), SM_OK);
    assert_content(c, "a");
    cr_assert_eq(sm_io_rename_new(a, tmpdir_path(dir, "d"), &crosses, &ei), SM_E_NOTFOUND);
    fault_set(&(struct fault_plan){.kinds = FAULT_RENAME, .fail_at = 1, .fail_errno = EXDEV});
    cr_assert_eq(sm_io_rename_new(c, a, &crosses, &ei), SM_OK);
    fault_clear();
    cr_assert(crosses);
    assert_content(c, "a");
    cr_assert_eq(sm_io_unlink(c, &ei), SM_OK);
    cr_assert_eq(sm_io_unlink(c, &ei), SM_E_NOTFOUND);
    cr_assert_eq(sm_io_sync_dir(dir, &ei), SM_OK, "%s", ei.text);
    cr_assert_neq(sm_io_sync_dir(b, &ei), SM_OK, "not a directory");
}

Test(io_names, paths_and_space)
{
    char out[16];
    uint64_t n = 0;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_io_path(out, sizeof out, "dir", "name", &ei), SM_OK);
    cr_assert_str_eq(out, "dir/name");
    cr_assert_eq(sm_io_path(out, sizeof out, "/", "name", &ei), SM_OK);
    cr_assert_str_eq(out, "/name");
    cr_assert_eq(sm_io_path(out, 9, "dir", "name", &ei), SM_OK);
    cr_assert_eq(sm_io_path(out, 8, "dir", "name", &ei), SM_E_ARG);
    cr_assert_eq(sm_io_free_bytes("/", &n, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_io_free_bytes("/no/such/place", &n, &ei), SM_E_NOTFOUND);
}
