#include "post/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "post/datadir_list.h"
#include "post/sidecar.h"
#include "post/spread.h"
#include "util/bytes.h"
#include "util/io.h"
#include "util/text.h"

/* ---- lock ---- */

/* The writer that left its pid, if it still runs; 0 when readers hold the lock or nobody knows. */
static long holder_pid(int fd)
{
    char text[32] = "";
    const ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n <= 0) return 0;
    const long pid = strtol(text, NULL, 10);
    if (pid <= 0 || pid > INT_MAX) return 0;
    return kill((pid_t)pid, 0) == 0 || errno == EPERM ? pid : 0;
}

/* The pid is a courtesy for the error text of others: a full disk must not keep us from working. */
static void leave_pid(int fd)
{
    char text[32];
    const int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) < 0) return;
}

/* Root may look into a user's directory; that must not keep the user out of it later. */
static void give_to_owner(int fd, const char *dir)
{
    struct stat d, f;
    if (geteuid() != 0 || stat(dir, &d) != 0 || fstat(fd, &f) != 0 || f.st_uid == d.st_uid) return;
    if (fchown(fd, d.st_uid, d.st_gid) != 0) return; /* the file system has one owner for all */
}

/* A reader needs no file where none can be made and none is: read-only, full, or a file system of the kernel's own. No
 * writer was ever there. */
static sm_err lock_open(const char *dir, const char *path, bool exclusive, int *out_fd, struct sm_errinfo *ei)
{
    struct sm_errinfo why = {0}, ignored = {0};
    struct stat st;
    sm_err err = sm_io_open(path, O_RDWR | O_CREAT, 0600, out_fd, &why);
    if (!err) return SM_OK;
    if (!exclusive) {
        if (stat(dir, &st) != 0) return sm_fail_errno(ei, errno, "cannot open directory %s", dir);
        const sm_err again = sm_io_open(path, O_RDONLY, 0, out_fd, &ignored);
        if (!again) return SM_OK;
        if (again == SM_E_NOTFOUND && (err == SM_E_NOTFOUND || err == SM_E_NOSPACE || access(dir, W_OK) != 0)) {
            *out_fd = -1;
            return SM_OK;
        }
    }
    return sm_fail(ei, err, "%s", why.text);
}

static sm_err lock_one(const char *dir, bool exclusive, int *out_fd, struct sm_errinfo *ei)
{
    char path[PATH_MAX];
    int fd = -1;
    sm_err err = sm_io_path(path, sizeof path, dir, SM_LOCK_FILE, ei);
    if (err) return err;
    err = lock_open(dir, path, exclusive, &fd, ei);
    if (err || fd < 0) return err;

    int rc;
    do rc = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
    while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        const int why = errno;
        const long pid = why == EWOULDBLOCK ? holder_pid(fd) : 0;
        sm_io_close(fd);
        if (why != EWOULDBLOCK) return sm_fail_errno(ei, why, "cannot lock %s", path);
        if (pid) return sm_fail(ei, SM_E_BUSY, "%s is in use by process %ld: wait for it or stop it", dir, pid);
        return sm_fail(ei, SM_E_BUSY, "%s is in use by another process: wait for it or stop it", dir);
    }
    give_to_owner(fd, dir);
    if (exclusive) leave_pid(fd);
    *out_fd = fd;
    return SM_OK;
}

sm_err sm_dirlock_take_main(const char *dir, bool exclusive, struct sm_dirlock *out, struct sm_errinfo *ei)
{
    *out = SM_DIRLOCK_NONE;
    return lock_one(dir, exclusive, &out->fd, ei);
}

static bool same_file(int fd, const char *path)
{
    struct stat a, b;
    return fd >= 0 && fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Two locks of one process on one file exclude each other like those of two. */
static bool holds(const struct sm_dirlock *l, const char *dir)
{
    char path[PATH_MAX];
    if (sm_io_path(path, sizeof path, dir, SM_LOCK_FILE, NULL)) return false;
    bool yes = same_file(l->fd, path);
    for (size_t i = 0; i < l->others_n; i++) yes = yes || same_file(l->others[i], path);
    return yes;
}

sm_err sm_dirlock_add(struct sm_dirlock *l, const char *dir, bool exclusive, struct sm_errinfo *ei)
{
    if (holds(l, dir)) return SM_OK;
    int *v = realloc(l->others, (l->others_n + 1) * sizeof *v);
    if (!v) return sm_fail(ei, SM_E_NOMEM, "out of memory locking %s", dir);
    l->others = v;
    v[l->others_n] = -1;
    sm_err err = lock_one(dir, exclusive, &v[l->others_n], ei);
    if (!err) l->others_n++;
    return err;
}

static sm_err lock_others(const char *dir, bool exclusive, struct sm_dirlock *l, struct sm_errinfo *ei)
{
    struct sm_spread s = {0};
    struct sm_errinfo why = {0};
    sm_err err = sm_spread_load(dir, &s, &why);
    if (err == SM_E_NOTFOUND) return SM_OK;
    if (err) return sm_fail(ei, err, "%s", why.text);
    for (size_t i = 1; i < s.dirs_n && !err; i++) {
        err = sm_spread_check_mark(&s, i, ei);
        if (!err) err = sm_dirlock_add(l, s.dirs[i].path, exclusive, ei);
    }
    sm_spread_fini(&s);
    return err;
}

sm_err sm_dirlock_take(const char *dir, bool exclusive, struct sm_dirlock *out, struct sm_errinfo *ei)
{
    sm_err err = sm_dirlock_take_main(dir, exclusive, out, ei);
    if (!err) err = lock_others(dir, exclusive, out, ei);
    if (err) sm_dirlock_release(out);
    return err;
}

static void unlock_one(int fd)
{
    /* While we hold it, shared or not, nobody else's pid is in there; a later reader's must not be mistaken for ours. */
    if (fd >= 0 && ftruncate(fd, 0) != 0) { /* read-only: nothing of ours is in it */
    }
    sm_io_close(fd);
}

void sm_dirlock_release(struct sm_dirlock *l)
{
    for (size_t i = 0; i < l->others_n; i++) unlock_one(l->others[i]);
    free(l->others);
    unlock_one(l->fd);
    *l = SM_DIRLOCK_NONE;
}

/* ---- what is in it ---- */

/* A file with fewer blocks than bytes has a hole, or the file system compresses: SEEK_HOLE tells. */
static sm_err look_for_hole(const char *dir, const struct sm_datafile *f, struct sm_sentences *problems,
                            struct sm_errinfo *ei)
{
    char name[64], path[PATH_MAX];
    int fd = -1;
    if (f->allocated_bytes >= f->bytes) return SM_OK;
    sm_err err = sm_io_path(path, sizeof path, dir, sm_layout_file_name(f->number, name), ei);
    if (err) return err;
    struct sm_errinfo ignored = {0};
    if (sm_io_open(path, O_RDONLY, 0, &fd, &ignored) != SM_OK)
        return sm_sentences_add(problems, ei, "%s cannot be read: %s", name, ignored.text);
    const off_t hole = lseek(fd, 0, SEEK_HOLE);
    sm_io_close(fd);
    if (hole < 0 || (uint64_t)hole >= f->bytes) return SM_OK;
    return sm_sentences_add(problems, ei, "%s has a hole at byte %" PRIu64 ": no labels were ever written there", name,
                            (uint64_t)hole);
}

static sm_datadir_status status_of(const struct sm_datadir_info *info)
{
    const struct sm_layout *l = &info->layout;
    if (info->labels == 0) return SM_DATADIR_NOT_STARTED;
    if (!info->has_meta) return SM_DATADIR_STARTED;
    if (sm_datadir_incomplete(info->files, info->files_n, l) > 0) return SM_DATADIR_STARTED;
    for (size_t i = 0; i < info->files_n; i++)
        if (info->files[i].bytes > sm_layout_file_labels(l, info->files[i].number) * SM_LABEL_BYTES)
            return SM_DATADIR_OVERSIZED;
    return SM_DATADIR_COMPLETE;
}

/* A subset is only responsible for its own files; that it cannot prove alone is said once. */
static sm_err compare_with_layout(const char *dir, struct sm_datadir_info *info, struct sm_sentences *problems,
                                  struct sm_errinfo *ei)
{
    struct sm_layout part = info->layout;
    struct sm_sidecar side = {0};
    struct sm_errinfo why = {0};
    sm_err err = sm_sidecar_load(dir, &side, &why);
    if (err && err != SM_E_NOTFOUND) {
        err = sm_sentences_add(problems, ei, "%s", why.text);
        if (err) return err;
    }
    if (side.has_subset && (side.from > 0 || side.to < info->layout.files - 1)) {
        if (sm_layout_make(info->layout.num_labels, info->meta.max_file_size, side.from, side.to, &part, &why) != SM_OK)
            err = sm_sentences_add(problems, ei, SM_SIDECAR_FILE ": %s", why.text);
        else
            err = sm_sentences_add(problems, ei,
                                   "this is a part of the data set, files %" PRIu64 " to %" PRIu64 " of 0 to %" PRIu64
                                   ": merge the parts before proving",
                                   side.from, side.to, info->layout.files - 1);
        if (err) return err;
    }
    return sm_datadir_compare(info->files, info->files_n, &part, problems, ei);
}

/* Directories that are not there, and files in those that are which have no name here. */
static sm_err look_at_disks(const char *dir, struct sm_sentences *problems, struct sm_errinfo *ei)
{
    struct sm_spread s = {0};
    struct sm_errinfo why = {0};
    sm_err err = sm_spread_load(dir, &s, &why);
    if (err == SM_E_NOTFOUND) return SM_OK;
    if (err) return sm_sentences_add(problems, ei, "%s", why.text);
    for (size_t i = 1; i < s.dirs_n && !err; i++) {
        uint64_t n = 0;
        sm_err bad = sm_spread_check_mark(&s, i, &why);
        if (!bad) bad = sm_spread_count_unlinked(&s, dir, i, &n, &why);
        if (bad)
            err = sm_sentences_add(problems, ei, "%s", why.text);
        else if (n)
            err = sm_sentences_add(
                problems, ei, "%" PRIu64 " data files in %s have no link here: restore it by smesher disks --relink", n,
                s.dirs[i].path);
    }
    sm_spread_fini(&s);
    return err;
}

static sm_err read_metadata(const char *dir, struct sm_datadir_info *info, struct sm_errinfo *ei)
{
    sm_err err = sm_metadata_load(dir, &info->meta, &info->meta_from_backup, ei);
    if (err == SM_E_NOTFOUND) return SM_OK;
    if (err) return err;
    info->has_meta = true;
    /* the metadata reader has checked the product */
    return sm_layout_make(info->meta.labels_per_unit * info->meta.num_units, info->meta.max_file_size, SM_LAYOUT_ALL,
                          SM_LAYOUT_ALL, &info->layout, ei);
}

sm_err sm_datadir_inspect(const char *dir, struct sm_datadir_info *out, struct sm_errinfo *ei)
{
    struct sm_datadir_info info = {0};
    struct sm_sentences problems = {0};
    sm_err err = look_at_disks(dir, &problems, ei); /* first: a missing disk explains what follows */
    if (!err) err = sm_datadir_list(dir, &info.files, &info.files_n, &problems, ei);
    if (err) goto out;
    for (size_t i = 0; i < info.files_n; i++) info.labels += info.files[i].bytes / SM_LABEL_BYTES;

    err = read_metadata(dir, &info, ei);
    if (err) goto out;
    if (info.has_meta)
        err = compare_with_layout(dir, &info, &problems, ei);
    else if (info.files_n)
        err = sm_sentences_add(&problems, ei, SM_METADATA_FILE " is missing");
    for (size_t i = 0; i < info.files_n && !err; i++) err = look_for_hole(dir, &info.files[i], &problems, ei);
    if (err) goto out;

    info.status = status_of(&info);
    info.problems = problems.v;
    info.problems_n = problems.n;
    *out = info;
    return SM_OK;
out:
    sm_sentences_fini(&problems);
    sm_datadir_info_fini(&info);
    return err;
}

void sm_datadir_info_fini(struct sm_datadir_info *info)
{
    sm_metadata_fini(&info->meta);
    free(info->files);
    sm_sentences_fini(&(struct sm_sentences){info->problems, info->problems_n});
    *info = (struct sm_datadir_info){0};
}

/* ---- key ---- */

#define KEY_HEX 128u

/* Everything secret lives in here: guarded, locked, and wiped by sodium_free. */
struct key_room {
    char text[KEY_HEX + 2]; /* one more than allowed, to notice it */
    uint8_t key[64];        /* seed, public key */
    uint8_t pk[32], sk[64]; /* recomputed from the seed */
};

static sm_err key_check(struct key_room *k, size_t n, const char *path, struct sm_errinfo *ei)
{
    if (n != KEY_HEX)
        return sm_fail(ei, SM_E_FORMAT, "%s: %s bytes than expected: exactly %u hex digits, no newline", path,
                       n < KEY_HEX ? "fewer" : "more", KEY_HEX);
    size_t got = 0;
    if (sodium_hex2bin(k->key, sizeof k->key, k->text, KEY_HEX, NULL, &got, NULL) != 0 || got != sizeof k->key)
        return sm_fail(ei, SM_E_FORMAT, "%s: not hex (digits 0-9, a-f)", path);
    (void)crypto_sign_seed_keypair(k->pk, k->sk, k->key);
    if (sodium_memcmp(k->pk, k->key + 32, 32) != 0)
        return sm_fail(ei, SM_E_FORMAT, "%s: its two halves do not belong together: restore the file from a copy",
                       path);
    return SM_OK;
}

static sm_err key_read(const char *path, struct sm_node_id *out, struct sm_errinfo *ei)
{
    int fd = -1;
    size_t n = 0;
    struct key_room *k = NULL;
    sm_err err = sm_io_open(path, O_RDONLY | O_NONBLOCK, 0, &fd, ei);
    if (err) return err;
    k = sodium_malloc(sizeof *k);
    if (!k) {
        err = sm_fail(ei, SM_E_NOMEM, "no guarded memory to read %s", path);
        goto out;
    }
    err = sm_io_pread(fd, path, k->text, KEY_HEX + 1, 0, &n, ei);
    if (err) goto out;
    err = key_check(k, n, path, ei);
    if (err) goto out;
    memcpy(out->b, k->pk, sizeof out->b);
out:
    sodium_free(k);
    sm_io_close(fd);
    return err;
}

sm_err sm_datadir_key(const char *dir, struct sm_node_id *out, char out_name[32], struct sm_errinfo *ei)
{
    static const char *const names[] = {"identity.key", "key.bin"};
    if (sodium_init() < 0) return sm_fail(ei, SM_E_IO, "libsodium finds no random source");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[PATH_MAX];
        sm_err err = sm_io_path(path, sizeof path, dir, names[i], ei);
        if (err) return err;
        err = key_read(path, out, ei);
        if (err == SM_E_NOTFOUND) continue;
        if (!err) (void)snprintf(out_name, 32, "%s", names[i]);
        return err;
    }
    return sm_fail(ei, SM_E_NOTFOUND, "%s holds no identity.key", dir);
}
