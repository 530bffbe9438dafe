#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys/keyfile.h"
#include "util/io.h"
#include "util/text.h"

static bool ends_in(const char *name, const char *suffix)
{
    const size_t n = strlen(name), k = strlen(suffix);
    return n > k && strcmp(name + n - k, suffix) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sm_keyfile *)a)->name, ((const struct sm_keyfile *)b)->name);
}

/* Names only; files of another kind are none of ours, temporary ones start with a dot. */
static sm_err list_names(const char *dir, struct sm_keyring *r, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    DIR *d = opendir(dir);
    if (!d) return sm_fail_errno(ei, errno, "cannot read directory %s", dir);
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(d);
        struct stat st;
        if (!e) {
            if (errno) err = sm_fail_errno(ei, errno, "cannot read directory %s", dir);
            break;
        }
        if (e->d_name[0] == '.' || !(ends_in(e->d_name, SM_KEY_SUFFIX) || ends_in(e->d_name, SM_SEALED_SUFFIX)))
            continue;
        if (fstatat(dirfd(d), e->d_name, &st, 0) != 0) {
            err = sm_fail_errno(ei, errno, "cannot stat %s/%s", dir, e->d_name);
            break;
        }
        if (S_ISDIR(st.st_mode)) continue;
        struct sm_keyfile *v = realloc(r->v, (r->n + 1) * sizeof *v);
        if (!v) {
            err = sm_fail(ei, SM_E_NOMEM, "out of memory listing %s", dir);
            break;
        }
        r->v = v;
        v[r->n] = (struct sm_keyfile){.lock_fd = -1};
        (void)snprintf(v[r->n].name, sizeof v[r->n].name, "%s", e->d_name);
        r->n++;
    }
    (void)closedir(d);
    if (r->n) qsort(r->v, r->n, sizeof *r->v, by_name);
    return err;
}

/* An advisory lock on the file itself: whatever directory or journal a second process was given, it meets the key. */
static sm_err lock_file(struct sm_keyfile *f, const char *path, struct sm_errinfo *ei)
{
    sm_err err = sm_io_open(path, O_RDONLY | O_NONBLOCK, 0, &f->lock_fd, ei);
    if (err) return err;
    if (flock(f->lock_fd, LOCK_EX | LOCK_NB) == 0) return SM_OK;
    if (errno == EWOULDBLOCK)
        return sm_fail(ei, SM_E_BUSY, "%s is in use by another process: one signer per key", path);
    return sm_fail_errno(ei, errno, "cannot lock %s", path);
}

/* A sealed file tells its public key without the passphrase. */
static sm_err peek_sealed(const char *path, struct sm_keyfile *f, struct sm_errinfo *ei)
{
    uint8_t file[SM_SEALED_BYTES + 1];
    int fd = -1;
    size_t n = 0;
    struct stat st;
    sm_err err = sm_io_open(path, O_RDONLY | O_NONBLOCK, 0, &fd, ei);
    if (err) return err;
    if (fstat(fd, &st) != 0)
        err = sm_fail_errno(ei, errno, "cannot stat %s", path);
    else if (!S_ISREG(st.st_mode))
        err = sm_fail(ei, SM_E_FORMAT, "%s is not a regular file", path);
    else
        err = sm_io_pread(fd, path, file, sizeof file, 0, &n, ei);
    if (!err) err = sm_sealed_peek((struct sm_slice){file, n}, path, &f->node_id, ei);
    if (!err) f->exposed = (st.st_mode & (S_IRWXG | S_IRWXO)) != 0;
    sm_io_close(fd);
    return err;
}

static sm_err load_file(const char *dir, sm_keyring_mode mode, const struct sm_passphrase *pass, struct sm_keyfile *f,
                        struct sm_errinfo *ei)
{
    char path[PATH_MAX];
    sm_err err = sm_io_path(path, sizeof path, dir, f->name, ei);
    if (err) return err;
    f->sealed = ends_in(f->name, SM_SEALED_SUFFIX);
    if (f->sealed && mode == SM_KEYRING_LIST) return peek_sealed(path, f, ei);
    if (mode == SM_KEYRING_OPEN) err = lock_file(f, path, ei);
    if (!err) err = sm_keyfile_read(path, pass, &f->secret, &f->exposed, ei);
    if (err) return err;
    f->node_id = f->secret->node_id;
    if (mode == SM_KEYRING_LIST) {
        sm_secret_free(f->secret);
        f->secret = NULL;
    }
    return SM_OK;
}

static sm_err check_rules(const char *dir, const struct sm_keyring *r, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->n > 1 && strcmp(r->v[i].name, SM_KEY_LOCAL_NAME) == 0)
            return sm_fail(ei, SM_E_MISMATCH,
                           "%s: %s is reserved for a single identity, but there are %zu keys: rename it", dir,
                           SM_KEY_LOCAL_NAME, r->n);
        for (size_t j = 0; j < i; j++)
            if (memcmp(&r->v[i].node_id, &r->v[j].node_id, sizeof r->v[i].node_id) == 0)
                return sm_fail(ei, SM_E_MISMATCH, "%s: %s and %s hold the same key: remove one", dir, r->v[j].name,
                               r->v[i].name);
    }
    return SM_OK;
}

sm_err sm_keyring_load(const char *dir, sm_keyring_mode mode, const struct sm_passphrase *pass, struct sm_keyring *out,
                       struct sm_errinfo *ei)
{
    struct sm_keyring r = {0};
    if (sodium_init() < 0) return sm_fail(ei, SM_E_IO, "libsodium finds no random source");
    sm_err err = list_names(dir, &r, ei);
    for (size_t i = 0; !err && i < r.n; i++) err = load_file(dir, mode, pass, &r.v[i], ei);
    if (!err) err = check_rules(dir, &r, ei);
    if (err)
        sm_keyring_fini(&r);
    else
        *out = r;
    return err;
}

void sm_keyring_fini(struct sm_keyring *r)
{
    for (size_t i = 0; i < r->n; i++) {
        sm_secret_free(r->v[i].secret);
        sm_io_close(r->v[i].lock_fd);
    }
    free(r->v);
    *r = (struct sm_keyring){0};
}

const struct sm_keyfile *sm_keyring_find(const struct sm_keyring *r, const struct sm_node_id *id)
{
    for (size_t i = 0; i < r->n; i++)
        if (memcmp(&r->v[i].node_id, id, sizeof *id) == 0) return &r->v[i];
    return NULL;
}
