#include "keys/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/io.h"
#include "util/log.h"
#include "util/text.h"

/* Opened for reading only, which is enough to lock it: the file may be another user's. -1 with errno. */
static int open_claim(const char *path)
{
    for (;;) {
        int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 || errno != ENOENT) return fd;
        fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
        if (fd >= 0) (void)fchmod(fd, 0444); /* whatever the mask says */
        if (fd >= 0 || errno != EEXIST) return fd;
    }
}

static bool is_closed_to_us(int why)
{
    return why == ENOENT || why == ENOTDIR || why == EACCES || why == EPERM || why == EROFS;
}

/* *out_fd stays -1 where there is no directory for it. */
static sm_err take(const char *dir, const struct sm_node_id *id, int *out_fd, struct sm_errinfo *ei)
{
    char path[PATH_MAX], hex[SM_HEX_ROOM(32)], name[sizeof hex + 16];
    (void)snprintf(name, sizeof name, "smesher-%s.lock", sm_hex_encode(id->b, sizeof id->b, hex));
    sm_err err = sm_io_path(path, sizeof path, dir, name, ei);
    if (err) return err;
    const int fd = open_claim(path);
    if (fd < 0 && is_closed_to_us(errno)) return SM_OK;
    if (fd < 0) return sm_fail_errno(ei, errno, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        *out_fd = fd;
        return SM_OK;
    }
    err = errno == EWOULDBLOCK
              ? sm_fail(ei, SM_E_BUSY,
                        "another process of this machine signs as identity %s, perhaps with a copy of its key: one "
                        "signer per identity",
                        hex)
              : sm_fail_errno(ei, errno, "cannot lock %s", path);
    sm_io_close(fd);
    return err;
}

sm_err sm_claims_take(const char *dir, const struct sm_node_id *ids, size_t n, struct sm_claims *out,
                      struct sm_errinfo *ei)
{
    struct sm_claims c = {.fds = calloc(n ? n : 1, sizeof *c.fds)};
    size_t missing = 0;
    if (!c.fds) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu identities", n);
    for (; c.n < n; c.n++) {
        c.fds[c.n] = -1;
        sm_err err = take(dir, &ids[c.n], &c.fds[c.n], ei);
        if (err) {
            sm_claims_fini(&c);
            return err;
        }
        missing += c.fds[c.n] < 0;
    }
    if (missing)
        sm_log(SM_LOG_WARN, "keys", "a second signer on this machine would not be noticed: no lock files can be made",
               "dir=%s identities=%zu", dir, missing);
    *out = c;
    return SM_OK;
}

void sm_claims_fini(struct sm_claims *c)
{
    for (size_t i = 0; i < c->n; i++) sm_io_close(c->fds[i]);
    free(c->fds);
    *c = (struct sm_claims){0};
}
