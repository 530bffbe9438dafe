#include "keys/keyfile.h"

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

#include "util/io.h"
#include "util/text.h"

#define KEY_HEX   (2u * SM_SECRET_BYTES)
#define FILE_ROOM 512u /* more than any key file has */

static size_t without_newline(struct sm_slice text)
{
    size_t n = text.n;
    if (n && text.p[n - 1] == '\n') n--;
    if (n < text.n && n && text.p[n - 1] == '\r') n--;
    return n;
}

sm_err sm_keyfile_decode(struct sm_slice text, const char *what, struct sm_secret **out, struct sm_errinfo *ei)
{
    const size_t n = without_newline(text);
    if (sodium_init() < 0) return sm_fail(ei, SM_E_IO, "libsodium finds no random source");
    if (n != KEY_HEX)
        return sm_fail(ei, SM_E_FORMAT, "%s: invalid key size: %zu characters, exactly %u hex digits are expected",
                       what, n, KEY_HEX);
    uint8_t *bytes = sodium_malloc(SM_SECRET_BYTES);
    size_t got = 0;
    if (!bytes) return sm_fail(ei, SM_E_NOMEM, "no guarded memory to read %s", what);
    if (sodium_hex2bin(bytes, SM_SECRET_BYTES, (const char *)text.p, KEY_HEX, NULL, &got, NULL) != 0 ||
        got != SM_SECRET_BYTES) {
        sodium_free(bytes);
        return sm_fail(ei, SM_E_FORMAT, "%s: not hex (digits 0-9, a-f)", what);
    }
    return sm_secret_new(bytes, what, out, ei);
}

/* ---- reading ---- */

/* A key file in guarded memory. */
struct key_text {
    uint8_t *p; /* sodium_malloc'd */
    size_t n;
    bool exposed;
};

static sm_err text_read(int fd, const char *path, struct key_text *out, struct sm_errinfo *ei)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return sm_fail_errno(ei, errno, "cannot stat %s", path);
    if (!S_ISREG(st.st_mode)) return sm_fail(ei, SM_E_FORMAT, "%s is not a regular file", path);
    uint8_t *p = sodium_malloc(FILE_ROOM);
    if (!p) return sm_fail(ei, SM_E_NOMEM, "no guarded memory to read %s", path);
    size_t n = 0;
    sm_err err = sm_io_pread(fd, path, p, FILE_ROOM, 0, &n, ei);
    if (err) {
        sodium_free(p);
        return err;
    }
    *out = (struct key_text){.p = p, .n = n, .exposed = (st.st_mode & (S_IRWXG | S_IRWXO)) != 0};
    return SM_OK;
}

static bool is_sealed(const struct key_text *t)
{
    return t->n >= 8 && memcmp(t->p, "smeskey\n", 8) == 0;
}

static sm_err text_open(const struct key_text *t, const char *path, const struct sm_passphrase *pass,
                        struct sm_secret **out, struct sm_errinfo *ei)
{
    const struct sm_slice s = {t->p, t->n};
    if (!is_sealed(t)) return sm_keyfile_decode(s, path, out, ei);
    if (!pass) return sm_fail(ei, SM_E_REFUSED, "%s is sealed: give its passphrase by file or descriptor", path);
    return sm_sealed_open(s, path, pass, out, ei);
}

sm_err sm_keyfile_read(const char *path, const struct sm_passphrase *pass, struct sm_secret **out, bool *out_exposed,
                       struct sm_errinfo *ei)
{
    int fd = -1;
    struct key_text t = {0};
    if (sodium_init() < 0) return sm_fail(ei, SM_E_IO, "libsodium finds no random source");
    sm_err err = sm_io_open(path, O_RDONLY | O_NONBLOCK, 0, &fd, ei);
    if (err) return err;
    err = text_read(fd, path, &t, ei);
    if (!err) err = text_open(&t, path, pass, out, ei);
    if (!err && out_exposed) *out_exposed = t.exposed;
    sodium_free(t.p);
    sm_io_close(fd);
    return err;
}

/* ---- writing ---- */

static sm_err check_name(const char *name, bool sealed, struct sm_errinfo *ei)
{
    const char *suffix = sealed ? SM_SEALED_SUFFIX : SM_KEY_SUFFIX;
    const size_t n = strlen(name), k = strlen(suffix);
    if (n <= k || n + sizeof ".tmp" > SM_KEY_NAME_ROOM || name[0] == '.' || strchr(name, '/') ||
        strcmp(name + n - k, suffix) != 0)
        return sm_fail(ei, SM_E_ARG, "'%s' cannot name a key: a plain file name ending in %s is expected", name,
                       suffix);
    return SM_OK;
}

/* A directory held against other writers of keys. */
static sm_err dir_hold(const char *dir, int *out_fd, struct sm_errinfo *ei)
{
    int fd = -1;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) return sm_fail_errno(ei, errno, "cannot create directory %s", dir);
    sm_err err = sm_io_open(dir, O_RDONLY | O_DIRECTORY, 0, &fd, ei);
    if (err) return err;
    int rc;
    do rc = flock(fd, LOCK_EX);
    while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        err = sm_fail_errno(ei, errno, "cannot lock directory %s", dir);
        sm_io_close(fd);
        return err;
    }
    *out_fd = fd;
    return SM_OK;
}

static sm_err refuse_twin(const char *dir, const char *name, const struct sm_node_id *id, struct sm_errinfo *ei)
{
    struct sm_keyring ring = {0};
    sm_err err = sm_keyring_load(dir, SM_KEYRING_LIST, NULL, &ring, ei);
    if (err) return err;
    const struct sm_keyfile *twin = sm_keyring_find(&ring, id);
    if (twin) err = sm_fail(ei, SM_E_MISMATCH, "%s/%s holds this key already", dir, twin->name);
    for (size_t i = 0; !err && i < ring.n; i++) {
        const bool clash = strcmp(name, SM_KEY_LOCAL_NAME) == 0 || strcmp(ring.v[i].name, SM_KEY_LOCAL_NAME) == 0;
        if (clash && strcmp(name, ring.v[i].name) != 0)
            err = sm_fail(ei, SM_E_MISMATCH,
                          "%s: %s is reserved for a single identity and cannot stand beside another: rename it first",
                          dir, SM_KEY_LOCAL_NAME);
    }
    sm_keyring_fini(&ring);
    return err;
}

/* The directory is held: what a crash left under the temporary name is nobody's. */
static sm_err put_new(const char *dir, const char *name, const uint8_t *data, size_t n, struct sm_errinfo *ei)
{
    char path[PATH_MAX], tmp[PATH_MAX], tmp_name[SM_KEY_NAME_ROOM];
    int fd = -1;
    bool crosses = false;
    struct stat st;
    (void)snprintf(tmp_name, sizeof tmp_name, ".%.*s.tmp", (int)(sizeof tmp_name - 6), name);
    sm_err err = sm_io_path(path, sizeof path, dir, name, ei);
    if (!err) err = sm_io_path(tmp, sizeof tmp, dir, tmp_name, ei);
    if (err) return err;
    if (lstat(path, &st) == 0)
        return sm_fail(ei, SM_E_MISMATCH, "%s exists already; a key file is never replaced", path);
    if (unlink(tmp) != 0 && errno != ENOENT) return sm_fail_errno(ei, errno, "cannot remove %s", tmp);
    err = sm_io_open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &fd, ei);
    if (err) return err;
    err = sm_io_pwrite(fd, tmp, data, n, 0, ei);
    if (!err) err = sm_io_sync(fd, tmp, ei);
    sm_io_close(fd);
    if (!err) err = sm_io_rename_new(tmp, path, &crosses, ei);
    if (!err && crosses) err = sm_fail(ei, SM_E_IO, "%s: the directory spans file systems", dir);
    if (err) (void)unlink(tmp);
    return err ? err : sm_io_sync_dir(dir, ei);
}

sm_err sm_keyfile_write_new(const char *dir, const char *name, struct sm_secret *s, const struct sm_passphrase *pass,
                            struct sm_seal_cost cost, struct sm_errinfo *ei)
{
    int held = -1;
    size_t n = pass ? SM_SEALED_BYTES : KEY_HEX;
    uint8_t *data = NULL;
    sm_err err = check_name(name, pass != NULL, ei);
    if (err) return err;
    data = sodium_malloc(SM_SEALED_BYTES);
    if (!data) return sm_fail(ei, SM_E_NOMEM, "no guarded memory to write %s", name);
    if (pass) {
        err = sm_sealed_make(s, pass, cost, data, ei);
    } else {
        const uint8_t *bytes = sm_secret_lend(s);
        if (!bytes) {
            err = sm_fail(ei, SM_E_NOMEM, "the memory of the key cannot be made readable");
        } else {
            sm_hex_encode(bytes, SM_SECRET_BYTES, (char *)data); /* 129 bytes with the terminator */
            sm_secret_return(s);
        }
    }
    if (!err) err = dir_hold(dir, &held, ei);
    if (!err) err = refuse_twin(dir, name, &s->node_id, ei);
    if (!err) err = put_new(dir, name, data, n, ei);
    sm_io_close(held);
    sodium_free(data);
    return err;
}
