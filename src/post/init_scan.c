#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "post/init_run.h"
#include "util/io.h"
#include "util/log.h"

#define READ_BYTES (1u << 20)

static const uint8_t zeros[SM_LABEL_BYTES];

/* A stored label that may be smaller than the best: its 32 bytes decide. *out_hole: it was never written; a power cut
 * leaves such stretches. */
static sm_err judge(struct sm_init_run *r, uint64_t index, const uint8_t stored[16], bool *out_hole,
                    struct sm_errinfo *ei)
{
    uint8_t label[32];
    sm_err err = sm_scrypt_one(r->cfg->scrypt_n, r->commitment.b, index, label, ei);
    if (err) return err;
    if (memcmp(label, stored, SM_LABEL_BYTES) == 0) {
        sm_vrf_best_offer(&r->best, r->difficulty, index, label);
        return SM_OK;
    }
    *out_hole = memcmp(stored, zeros, sizeof zeros) == 0;
    if (!*out_hole)
        sm_log(SM_LOG_WARN, "init", "a stored label is wrong: run `smesher verify --repair`", "label=%" PRIu64, index);
    return SM_OK;
}

/* *out_good: labels before a hole, `n` when there is none. */
static sm_err scan_buffer(struct sm_init_run *r, uint64_t first, const uint8_t *labels, uint64_t n, uint64_t *out_good,
                          struct sm_errinfo *ei)
{
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *limit = r->best.found ? r->best.label : r->difficulty;
        const uint8_t *stored = labels + i * SM_LABEL_BYTES;
        bool hole = false;
        if (memcmp(stored, limit, SM_LABEL_BYTES) > 0) continue;
        sm_err err = judge(r, first + i, stored, &hole, ei);
        if (err) return err;
        if (!hole) continue;
        *out_good = i;
        return SM_OK;
    }
    *out_good = n;
    return SM_OK;
}

static sm_err scan_part(struct sm_init_run *r, struct sm_init_part *p, uint64_t at, uint8_t *buf, struct sm_errinfo *ei)
{
    char path[PATH_MAX];
    int fd = -1;
    const uint64_t first = sm_layout_file_first(&r->layout, p->number), start = at;
    sm_err err = sm_init_open_file(r, p->number, O_RDONLY, path, &fd, ei);
    while (!err && at < p->labels) {
        uint64_t n = p->labels - at, good = 0;
        if (n > READ_BYTES / SM_LABEL_BYTES) n = READ_BYTES / SM_LABEL_BYTES;
        err = sm_io_pread_exact(fd, path, buf, n * SM_LABEL_BYTES, at * SM_LABEL_BYTES, ei);
        if (!err) err = scan_buffer(r, first + at, buf, n, &good, ei);
        if (!err && good < n) {
            p->labels = at + good;
            sm_log(SM_LOG_WARN, "init", "labels were never written, they are made now", "file=%s first_label=%" PRIu64,
                   path, first + p->labels);
        }
        at += n;
        r->progress.searched += n;
        sm_init_report(r, false);
        if (!err && sm_cancelled(r->cancel)) err = sm_fail(ei, SM_E_CANCELLED, "cancelled");
    }
    if (!err) sm_io_drop_cache(fd, start * SM_LABEL_BYTES, (at - start) * SM_LABEL_BYTES);
    sm_io_close(fd);
    return err;
}

sm_err sm_init_scan(struct sm_init_run *r, uint64_t from, struct sm_errinfo *ei)
{
    uint8_t *buf = malloc(READ_BYTES);
    sm_err err = buf ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory to read labels");
    for (size_t i = 0; i < r->parts_n && !err; i++) {
        struct sm_init_part *p = &r->parts[i];
        const uint64_t first = sm_layout_file_first(&r->layout, p->number);
        if (first + p->labels <= from) continue;
        err = scan_part(r, p, from > first ? from - first : 0, buf, ei);
    }
    free(buf);
    return err;
}
