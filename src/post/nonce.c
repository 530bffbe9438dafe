#include "post/nonce.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "post/datadir_set.h"
#include "post/difficulty.h"
#include "post/label.h"
#include "util/bytes.h"
#include "util/io.h"

#define READ_LABELS 65536u /* 1 MiB: the kernel reads ahead while we compare, and a slow disk is left within 100 ms */

struct search {
    const struct sm_nonce_cfg *cfg;
    const struct sm_cancel *cancel;
    struct sm_dataset set;
    uint8_t difficulty[32];
    struct sm_vrf_best best;
    bool unsaved; /* best is not what the metadata says */
    uint64_t total;
    struct sm_nonce_result res;
    uint8_t *buf; /* READ_LABELS labels */
};

static const uint8_t *threshold(const struct search *s)
{
    return s->best.found ? s->best.label : s->difficulty;
}

static uint64_t be64(const uint8_t *p)
{
    return __builtin_bswap64(sm_le64_load(p));
}

/* Index of the first label in [i, n) whose leading 8 bytes are not above those of the threshold; n if none. On nearly
 * every label this one comparison decides. */
static size_t next_candidate(const uint8_t *labels, size_t i, size_t n, uint64_t limit)
{
    while (i < n && be64(labels + i * SM_LABEL_BYTES) > limit) i++;
    return i;
}

static sm_err note_corrupt(struct search *s, const char *path, uint64_t file, uint64_t offset, struct sm_errinfo *ei)
{
    if (s->res.labels_corrupt++ == 0) {
        s->res.corrupt_file = file;
        s->res.corrupt_offset = offset;
    }
    if (s->res.labels_corrupt <= SM_NONCE_CORRUPT_MAX) return SM_OK;
    return sm_fail(ei, SM_E_FORMAT,
                   "the data is corrupt: %u labels are wrong, the first in postdata_%" PRIu64 ".bin at byte %" PRIu64
                   ", the last in %s at byte %" PRIu64 ": verify and repair all labels first",
                   SM_NONCE_CORRUPT_MAX + 1, s->res.corrupt_file, s->res.corrupt_offset, path, offset);
}

/* The stored 16 bytes only nominate: the full label decides. */
static sm_err consider(struct search *s, const uint8_t *stored, const char *path, uint64_t file, uint64_t position,
                       struct sm_errinfo *ei)
{
    uint8_t full[32];
    if (memcmp(stored, threshold(s), SM_LABEL_BYTES) > 0) return SM_OK;
    const uint64_t index = sm_layout_file_first(&s->set.layout, file) + position;
    sm_err err = sm_scrypt_one(s->set.scrypt_n, s->set.commitment.b, index, full, ei);
    if (err) return err;
    if (memcmp(stored, full, SM_LABEL_BYTES) != 0) return note_corrupt(s, path, file, position * SM_LABEL_BYTES, ei);
    if (memcmp(full, threshold(s), sizeof full) >= 0) return SM_OK;
    s->best.found = true;
    s->best.index = index;
    memcpy(s->best.label, full, sizeof full);
    s->unsaved = true;
    return SM_OK;
}

static sm_err scan_block(struct search *s, size_t n, const char *path, uint64_t file, uint64_t position,
                         struct sm_errinfo *ei)
{
    for (size_t i = 0;; i++) {
        i = next_candidate(s->buf, i, n, be64(threshold(s)));
        if (i >= n) return SM_OK;
        if (sm_cancelled(s->cancel)) return SM_E_CANCELLED; /* recomputing takes milliseconds each */
        sm_err err = consider(s, s->buf + i * SM_LABEL_BYTES, path, file, position + i, ei);
        if (err) return err;
    }
}

static sm_err scan_file(struct search *s, const struct sm_datafile *f, struct sm_errinfo *ei)
{
    const uint64_t labels = sm_dataset_labels(&s->set, f);
    char name[64], path[PATH_MAX];
    int fd = -1;
    sm_err err = sm_io_path(path, sizeof path, s->cfg->dir, sm_layout_file_name(f->number, name), ei);
    if (err) return err;
    err = sm_io_open(path, O_RDONLY, 0, &fd, ei);
    if (err) return err;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (uint64_t at = 0; at < labels && !err;) {
        const size_t n = labels - at < READ_LABELS ? (size_t)(labels - at) : READ_LABELS;
        if (sm_cancelled(s->cancel)) err = SM_E_CANCELLED;
        if (!err) err = sm_io_pread_exact(fd, path, s->buf, n * SM_LABEL_BYTES, at * SM_LABEL_BYTES, ei);
        if (!err) err = scan_block(s, n, path, f->number, at, ei);
        if (err) break;
        sm_io_drop_cache(fd, at * SM_LABEL_BYTES, n * SM_LABEL_BYTES);
        at += n;
        s->res.labels_scanned += n;
        if (s->cfg->progress) s->cfg->progress(s->cfg->progress_ctx, s->res.labels_scanned, s->total);
    }
    sm_io_close(fd);
    if (err == SM_E_CANCELLED)
        return sm_fail(ei, err, "the search was stopped after %" PRIu64 " of %" PRIu64 " labels", s->res.labels_scanned,
                       s->total);
    return err;
}

/* The metadata's own nonce: recomputed, and the first to beat when it is valid. */
static sm_err take_existing(struct search *s, struct sm_errinfo *ei)
{
    const struct sm_metadata *m = &s->set.meta;
    uint8_t full[32];
    if (!m->has_nonce) return SM_OK;
    sm_err err = sm_scrypt_one(s->set.scrypt_n, s->set.commitment.b, m->nonce, full, ei);
    if (err) return err;
    sm_vrf_best_offer(&s->best, s->difficulty, m->nonce, full);
    s->res.previous_invalid = !s->best.found;
    s->unsaved = s->best.found && (!m->has_nonce_value || memcmp(m->nonce_value, full, sizeof m->nonce_value) != 0);
    return SM_OK;
}

static sm_err save(struct search *s, struct sm_errinfo *ei)
{
    if (!s->unsaved) return SM_OK;
    struct sm_metadata *m = &s->set.meta;
    m->has_nonce = m->has_nonce_value = true;
    m->nonce = s->best.index;
    memcpy(m->nonce_value, s->best.label, sizeof m->nonce_value);
    sm_err err = s->cfg->dry_run ? SM_OK : sm_metadata_save(s->cfg->dir, m, ei);
    if (err) return err;
    s->unsaved = false;
    s->res.changed = true;
    return SM_OK;
}

static sm_err prepare(struct search *s, struct sm_errinfo *ei)
{
    const struct sm_nonce_cfg *cfg = s->cfg;
    sm_err err = sm_dataset_open(cfg->dir, cfg->scrypt_n, cfg->from_file, cfg->to_file, &s->set, ei);
    if (err) return err;
    for (size_t i = 0; i < s->set.files_n; i++) s->total += sm_dataset_labels(&s->set, &s->set.files[i]);
    if (s->total == 0) return sm_fail(ei, SM_E_NOTFOUND, "%s holds none of the labels asked for", cfg->dir);
    s->res.files_missing = sm_datadir_incomplete(s->set.files, s->set.files_n, &s->set.layout);
    err = sm_vrf_difficulty(s->set.layout.num_labels, s->difficulty, ei);
    if (err) return err;
    err = sm_dataset_probe(&s->set, cfg->dir, ei);
    if (err) return err;
    s->buf = malloc((size_t)READ_LABELS * SM_LABEL_BYTES);
    return s->buf ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory for reading labels");
}

sm_err sm_nonce_search(const struct sm_nonce_cfg *cfg, const struct sm_cancel *cancel, struct sm_nonce_result *out,
                       struct sm_errinfo *ei)
{
    struct search s = {.cfg = cfg, .cancel = cancel};
    struct sm_dirlock lock = SM_DIRLOCK_NONE;
    sm_err err = sm_dirlock_take(cfg->dir, !cfg->dry_run, &lock, ei);
    if (err) return err;
    err = prepare(&s, ei);
    if (err) goto out;
    err = take_existing(&s, ei);
    if (err) goto out;
    for (size_t i = 0; i < s.set.files_n && !err; i++) {
        err = scan_file(&s, &s.set.files[i], ei);
        const sm_err saved = save(&s, err ? NULL : ei); /* also what was found before a failure */
        if (!err) err = saved;
    }
    if (err) goto out;

    s.res.found = s.best.found;
    s.res.nonce = s.best.index;
    memcpy(s.res.label, s.best.label, sizeof s.res.label);
    *out = s.res;
out:
    free(s.buf);
    sm_dataset_fini(&s.set);
    sm_dirlock_release(&lock);
    return err;
}
