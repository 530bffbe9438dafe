#include "post/merge_copy.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/blake3.h"
#include "util/bytes.h"
#include "util/io.h"

#define COPY_BYTES  ((size_t)1 << 20)
#define LOOK_PLACES 64u
#define LOOK_BYTES  4096u

struct copy {
    const char *from, *tmp;
    uint64_t bytes;
    const struct sm_cancel *cancel;
    struct sm_merge_progress *progress;
    int in, out;
    uint8_t *buf; /* COPY_BYTES */
};

static size_t piece(const struct copy *c, uint64_t at)
{
    return c->bytes - at < COPY_BYTES ? (size_t)(c->bytes - at) : COPY_BYTES;
}

static sm_err stopped(const struct copy *c, struct sm_errinfo *ei)
{
    return sm_cancelled(c->cancel) ? sm_fail(ei, SM_E_CANCELLED, "the merge was stopped at %s", c->from) : SM_OK;
}

static sm_err transfer(const struct copy *c, uint8_t out_hash[SM_BLAKE3_BYTES], struct sm_errinfo *ei)
{
    struct sm_blake3 h;
    sm_blake3_init(&h);
    for (uint64_t at = 0; at < c->bytes;) {
        const size_t n = piece(c, at);
        sm_err err = stopped(c, ei);
        if (!err) err = sm_io_pread_exact(c->in, c->from, c->buf, n, at, ei);
        if (!err) err = sm_io_pwrite(c->out, c->tmp, c->buf, n, at, ei);
        if (err) return err;
        sm_blake3_update(&h, c->buf, n);
        sm_io_drop_cache(c->in, at, n);
        at += n;
        c->progress->done += n;
        if (c->progress->fn) c->progress->fn(c->progress->ctx, c->from, c->progress->done, c->progress->total);
    }
    sm_blake3_final(&h, out_hash);
    return sm_io_sync(c->out, c->tmp, ei);
}

/* What the disk returns, now that it was flushed and dropped from the cache. */
static sm_err verify(const struct copy *c, const uint8_t want[SM_BLAKE3_BYTES], struct sm_errinfo *ei)
{
    struct sm_blake3 h;
    uint8_t hash[SM_BLAKE3_BYTES];
    uint64_t size = 0;
    sm_blake3_init(&h);
    sm_io_drop_cache(c->out, 0, 0);
    sm_err err = sm_io_size(c->out, c->tmp, &size, ei);
    for (uint64_t at = 0; !err && at < c->bytes;) {
        const size_t n = piece(c, at);
        err = stopped(c, ei);
        if (!err) err = sm_io_pread_exact(c->out, c->tmp, c->buf, n, at, ei);
        if (err) break;
        sm_blake3_update(&h, c->buf, n);
        sm_io_drop_cache(c->out, at, n);
        at += n;
    }
    if (err) return err;
    sm_blake3_final(&h, hash);
    if (size == c->bytes && memcmp(hash, want, sizeof hash) == 0) return SM_OK;
    return sm_fail(ei, SM_E_IO, "%s: the copy of %s does not read back as it was written: the disk or memory is faulty",
                   c->tmp, c->from);
}

sm_err sm_merge_copy(const char *from, const char *tmp, const char *to, uint64_t bytes, const struct sm_cancel *cancel,
                     struct sm_merge_progress *progress, struct sm_errinfo *ei)
{
    struct copy c = {.from = from, .tmp = tmp, .bytes = bytes, .cancel = cancel, .progress = progress};
    uint8_t hash[SM_BLAKE3_BYTES];
    bool crosses;
    c.in = c.out = -1;
    c.buf = malloc(COPY_BYTES);
    if (!c.buf) return sm_fail(ei, SM_E_NOMEM, "out of memory for copying");
    sm_err err = sm_io_open(from, O_RDONLY, 0, &c.in, ei);
    if (err) goto out;
    err = sm_io_open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, &c.out, ei);
    if (err) goto out;
    err = transfer(&c, hash, ei);
    if (!err) err = verify(&c, hash, ei);
    if (!err) err = sm_io_rename_new(tmp, to, &crosses, ei); /* one directory: it cannot cross */
    if (err && sm_io_unlink(tmp, NULL) != SM_OK) {           /* the next attempt overwrites it */
    }
out:
    sm_io_close(c.in);
    sm_io_close(c.out);
    free(c.buf);
    return err;
}

sm_err sm_merge_look_equal(const char *a, const char *b, uint64_t bytes, bool *out, struct sm_errinfo *ei)
{
    int fa = -1, fb = -1;
    bool equal = true;
    sm_err err = sm_io_open(a, O_RDONLY, 0, &fa, ei);
    if (!err) err = sm_io_open(b, O_RDONLY, 0, &fb, ei);
    const size_t n = bytes < LOOK_BYTES ? (size_t)bytes : LOOK_BYTES;
    for (unsigned i = 0; !err && equal && i < LOOK_PLACES; i++) {
        uint8_t x[LOOK_BYTES], y[LOOK_BYTES];
        const uint64_t at = (uint64_t)((sm_u128)(bytes - n) * i / (LOOK_PLACES - 1));
        err = sm_io_pread_exact(fa, a, x, n, at, ei);
        if (!err) err = sm_io_pread_exact(fb, b, y, n, at, ei);
        equal = !err && memcmp(x, y, n) == 0;
    }
    sm_io_close(fa);
    sm_io_close(fb);
    if (!err) *out = equal;
    return err;
}
