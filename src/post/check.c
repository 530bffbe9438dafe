#include "post/check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "post/check_impl.h"
#include "post/sidecar.h"
#include "util/io.h"

#define REREAD_LABELS 4096u

/* ---- what is found ---- */

static bool bad_grow(struct sm_check *c)
{
    if (c->res.bad_n < c->bad_room) return true;
    const size_t room = c->bad_room ? c->bad_room * 2 : 16;
    struct sm_check_bad *bad = realloc(c->res.bad, room * sizeof *bad);
    if (!bad) return false;
    c->res.bad = bad;
    c->bad_room = room;
    return true;
}

sm_err sm_check_note_bad(struct sm_check *c, uint64_t position, uint64_t labels, struct sm_errinfo *ei)
{
    const uint64_t offset = position * SM_LABEL_BYTES;
    struct sm_check_bad *last = c->res.bad_n ? &c->res.bad[c->res.bad_n - 1] : NULL;
    c->res.labels_bad += labels;
    if (last && last->file == c->file.number && last->offset + last->labels * SM_LABEL_BYTES == offset) {
        last->labels += labels;
        return SM_OK;
    }
    if (c->res.bad_n == SM_CHECK_RANGES_MAX) {
        c->res.bad_more = true;
        return SM_OK;
    }
    if (!bad_grow(c)) return sm_fail(ei, SM_E_NOMEM, "out of memory for the list of bad labels");
    c->res.bad[c->res.bad_n++] = (struct sm_check_bad){c->file.number, offset, labels};
    return SM_OK;
}

sm_err sm_check_note_unreadable(struct sm_check *c, const struct sm_errinfo *why, struct sm_errinfo *ei)
{
    c->file.unreadable = true;
    return sm_sentences_add(&c->problems, ei, "%s; the rest of this file was not checked", why->text);
}

void sm_check_progress(const struct sm_check *c)
{
    if (c->cfg->progress) c->cfg->progress(c->cfg->progress_ctx, c->res.labels_checked, c->total, c->res.labels_bad);
}

/* ---- repairing ---- */

sm_err sm_check_rewrite(struct sm_check *c, uint64_t position, uint64_t labels, const uint8_t *right,
                        struct sm_errinfo *ei)
{
    return sm_io_pwrite(c->file.fd, c->file.path, right, (size_t)labels * SM_LABEL_BYTES, position * SM_LABEL_BYTES,
                        ei);
}

/* What is read next comes from the disk, not from the page cache. */
sm_err sm_check_settle(struct sm_check *c, struct sm_errinfo *ei)
{
    sm_err err = sm_io_sync(c->file.fd, c->file.path, ei);
    if (!err) sm_io_drop_cache(c->file.fd, 0, 0);
    return err;
}

sm_err sm_check_reread(struct sm_check *c, uint64_t position, uint64_t labels, const uint8_t *right,
                       struct sm_errinfo *ei)
{
    uint8_t have[REREAD_LABELS * SM_LABEL_BYTES];
    uint64_t same = 0;
    for (uint64_t at = 0; at < labels;) {
        const size_t n = labels - at < REREAD_LABELS ? (size_t)(labels - at) : REREAD_LABELS;
        sm_err err =
            sm_io_pread_exact(c->file.fd, c->file.path, have, n * SM_LABEL_BYTES, (position + at) * SM_LABEL_BYTES, ei);
        if (err) return err;
        for (size_t i = 0; i < n; i++)
            same += memcmp(have + i * SM_LABEL_BYTES, right + (at + i) * SM_LABEL_BYTES, SM_LABEL_BYTES) == 0;
        at += n;
    }
    c->res.labels_repaired += same;
    if (same == labels) return SM_OK;
    return sm_sentences_add(&c->problems, ei,
                            "%s: %" PRIu64 " of %" PRIu64 " labels from byte %" PRIu64
                            " on are wrong again after they were rewritten: replace the disk",
                            c->file.path, labels - same, labels, position * SM_LABEL_BYTES);
}

/* What was searched for the VRF nonce was not the right labels: whoever keeps that record must start again. */
static sm_err forget_search(const char *dir, struct sm_errinfo *ei)
{
    struct sm_sidecar side;
    struct sm_errinfo ignored = {0};
    if (sm_sidecar_load(dir, &side, &ignored) != SM_OK || !side.has_searched) return SM_OK;
    side.has_searched = false;
    side.searched = 0;
    return sm_sidecar_save(dir, &side, ei);
}

/* ---- walking the files ---- */

static sm_err file_open(struct sm_check *c, const struct sm_datafile *f, struct sm_errinfo *ei)
{
    char name[64];
    struct sm_errinfo why = {0};
    c->file.fd = -1;
    c->file.number = f->number;
    c->file.first = sm_dataset_first(&c->set, f);
    c->file.labels = sm_dataset_labels(&c->set, f);
    c->file.unreadable = false;
    sm_err err = sm_io_path(c->file.path, sizeof c->file.path, c->cfg->dir, sm_layout_file_name(f->number, name), ei);
    if (err) return err;
    if (sm_io_open(c->file.path, c->cfg->repair ? O_RDWR : O_RDONLY, 0, &c->file.fd, &why) != SM_OK)
        return sm_check_note_unreadable(c, &why, ei);
    sm_io_drop_cache(c->file.fd, 0, 0); /* the disk is to be checked, not what the kernel remembers of it */
    return SM_OK;
}

static sm_err check_files(struct sm_check *c, struct sm_check_full *full, struct sm_check_sample *sample,
                          struct sm_errinfo *ei)
{
    for (size_t i = 0; i < c->set.files_n; i++) {
        if (sm_dataset_labels(&c->set, &c->set.files[i]) == 0) continue;
        if (sm_cancelled(c->cancel)) return sm_fail(ei, SM_E_CANCELLED, "the check was stopped");
        sm_err err = file_open(c, &c->set.files[i], ei);
        if (!err && !c->file.unreadable) err = full ? sm_check_full_file(full, ei) : sm_check_sample_file(sample, ei);
        sm_io_close(c->file.fd);
        c->file.fd = -1;
        if (err) return err;
    }
    return SM_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct sm_check_bad *x = a, *y = b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* A sample is found out of order. */
static void sort_bad(struct sm_check_result *r)
{
    size_t n = 0;
    if (r->bad_n == 0) return;
    qsort(r->bad, r->bad_n, sizeof *r->bad, by_place);
    for (size_t i = 1; i < r->bad_n; i++) {
        struct sm_check_bad *last = &r->bad[n], *next = &r->bad[i];
        if (last->file == next->file && last->offset + last->labels * SM_LABEL_BYTES == next->offset)
            last->labels += next->labels;
        else
            r->bad[++n] = *next;
    }
    r->bad_n = n + 1;
}

static sm_err prepare(struct sm_check *c, struct sm_errinfo *ei)
{
    const struct sm_check_cfg *cfg = c->cfg;
    if (!(cfg->fraction > 0) || cfg->fraction > 100)
        return sm_fail(ei, SM_E_ARG, "the fraction to check is %g, expected more than 0 and at most 100 percent",
                       cfg->fraction);
    sm_err err = sm_dataset_open(cfg->dir, cfg->scrypt_n, cfg->from_file, cfg->to_file, &c->set, ei);
    if (err) return err;
    for (size_t i = 0; i < c->set.files_n; i++)
        c->total += sm_check_sample_size(sm_dataset_labels(&c->set, &c->set.files[i]), cfg->fraction);
    c->problems = c->set.problems;
    c->set.problems = (struct sm_sentences){0};
    if (cfg->repair && sm_datadir_incomplete(c->set.files, c->set.files_n, &c->set.layout))
        err =
            sm_sentences_add(&c->problems, ei, "repair neither creates nor lengthens files: run init to complete them");
    return err;
}

static sm_err run(struct sm_check *c, struct sm_errinfo *ei)
{
    struct sm_check_full *full = NULL;
    struct sm_check_sample *sample = NULL;
    sm_err err = c->cfg->fraction >= 100 ? sm_check_full_new(c, &full, ei) : sm_check_sample_new(c, &sample, ei);
    if (!err) err = check_files(c, full, sample, ei);
    if (c->res.labels_repaired) { /* also before a failure is returned */
        const sm_err forgot = forget_search(c->cfg->dir, err ? NULL : ei);
        if (!err) err = forgot;
    }
    sm_check_full_free(full);
    sm_check_sample_free(sample);
    return err;
}

sm_err sm_check_run(const struct sm_check_cfg *cfg, const struct sm_cancel *cancel, struct sm_check_result *out,
                    struct sm_errinfo *ei)
{
    struct sm_check c = {.cfg = cfg, .cancel = cancel, .file.fd = -1};
    struct sm_dirlock lock = SM_DIRLOCK_NONE;
    bool engines_gone = false;
    sm_err err = sm_dirlock_take(cfg->dir, cfg->repair, &lock, ei);
    if (err) goto out;
    err = prepare(&c, ei);
    if (err) goto out;
    engines_gone = cfg->fraction >= 100; /* the full check hands them to its farm */
    err = run(&c, ei);
    if (err) goto out;

    sort_bad(&c.res);
    c.res.file_problems = c.problems.v;
    c.res.file_problems_n = c.problems.n;
    *out = c.res;
    c.res = (struct sm_check_result){0};
    c.problems = (struct sm_sentences){0};
out:
    if (!engines_gone)
        for (size_t i = 0; i < cfg->engines_n; i++) sm_label_engine_free(&cfg->engines[i]);
    free(c.res.bad);
    sm_sentences_fini(&c.problems);
    sm_dataset_fini(&c.set);
    sm_dirlock_release(&lock);
    return err;
}

void sm_check_result_fini(struct sm_check_result *r)
{
    free(r->bad);
    sm_sentences_fini(&(struct sm_sentences){r->file_problems, r->file_problems_n});
    *r = (struct sm_check_result){0};
}
