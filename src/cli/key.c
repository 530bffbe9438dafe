#include "cli/key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/io.h"
#include "util/text.h"

/* The secret and its text, in one guarded allocation. */
struct key_room {
    uint8_t seed[crypto_sign_SEEDBYTES];
    uint8_t secret[crypto_sign_SECRETKEYBYTES]; /* seed || public key, which is what the file holds */
    char text[SM_HEX_ROOM(crypto_sign_SECRETKEYBYTES)];
};

static sm_err write_new(const char *dir, const char *path, const char *text, size_t n, struct sm_errinfo *ei)
{
    int fd = -1;
    sm_err err = sm_io_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, ei);
    if (err) return err;
    err = sm_io_pwrite(fd, path, text, n, 0, ei);
    if (!err) err = sm_io_sync(fd, path, ei);
    sm_io_close(fd);
    if (!err) err = sm_io_sync_dir(dir, ei);
    if (err) (void)unlink(path); /* ours: O_EXCL created it */
    return err;
}

sm_err sm_key_generate(const char *dir, struct sm_node_id *out, struct sm_errinfo *ei)
{
    char path[PATH_MAX];
    struct stat st;
    struct sm_node_id id;
    struct key_room *room = NULL;
    sm_err err = sm_io_path(path, sizeof path, dir, SM_KEY_FILE, ei);
    if (err) return err;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) return sm_fail_errno(ei, errno, "cannot create directory %s", dir);
    if (lstat(path, &st) == 0)
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s exists already and is never replaced; use it by leaving out --generate-key", path);
    room = sodium_malloc(sizeof *room);
    if (!room) return sm_fail(ei, SM_E_NOMEM, "cannot lock memory for the new key");
    randombytes_buf(room->seed, sizeof room->seed);
    if (crypto_sign_seed_keypair(id.b, room->secret, room->seed) != 0) {
        err = sm_fail(ei, SM_E_STATE, "cannot derive the public key");
        goto out;
    }
    sm_hex_encode(room->secret, sizeof room->secret, room->text);
    err = write_new(dir, path, room->text, strlen(room->text), ei);
    if (!err) *out = id;
out:
    sodium_free(room);
    return err;
}
