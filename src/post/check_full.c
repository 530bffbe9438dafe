#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "post/check_impl.h"
#include "post/label.h"
#include "util/io.h"
#include "util/log.h"
#include "util/thread.h"

#define SLICE_LABELS   65536u /* read and compared at once: 1 MiB */
#define CONFIRM_LABELS 256u   /* bad labels of a slice recomputed first; more only when these show a lying engine */

struct sm_check_full {
    struct sm_check *c;
    struct sm_label_farm *farm;
    bool trusted;                    /* every engine is the reference itself */
    struct sm_scrypt_worker *worker; /* of confirm(), made when first needed */
    uint8_t *stored, *right;         /* SLICE_LABELS labels each */
    uint32_t *bad;                   /* positions in the slice */
    size_t bad_n;
};

/* ---- engines ---- */

/* Every processor, when the caller names no engines. */
static sm_err farm_of_processors(uint32_t scrypt_n, struct sm_label_farm **out, struct sm_errinfo *ei)
{
    const unsigned n = sm_cpu_count();
    struct sm_label_engine *engines = calloc(n, sizeof *engines);
    if (!engines) return sm_fail(ei, SM_E_NOMEM, "out of memory for label engines");
    sm_err err = SM_OK;
    for (unsigned i = 0; i < n && !err; i++) err = sm_label_engine_cpu(NULL, scrypt_n, n, &engines[i], ei);
    if (err)
        for (unsigned i = 0; i < n; i++) sm_label_engine_free(&engines[i]);
    else
        err = sm_label_farm_new(&(struct sm_label_farm_cfg){.engines = engines, .engines_n = n}, out, ei);
    free(engines);
    return err;
}

static sm_err make_farm(struct sm_check_full *f, struct sm_errinfo *ei)
{
    const struct sm_check_cfg *cfg = f->c->cfg;
    f->trusted = true;
    for (size_t i = 0; i < cfg->engines_n; i++) f->trusted = f->trusted && cfg->engines[i].trusted;
    if (cfg->engines_n == 0) return farm_of_processors(f->c->set.scrypt_n, &f->farm, ei);
    const struct sm_label_farm_cfg farm = {.engines = cfg->engines, .engines_n = cfg->engines_n};
    return sm_label_farm_new(&farm, &f->farm, ei);
}

sm_err sm_check_full_new(struct sm_check *c, struct sm_check_full **out, struct sm_errinfo *ei)
{
    struct sm_check_full *f = calloc(1, sizeof *f);
    if (!f) {
        for (size_t i = 0; i < c->cfg->engines_n; i++) sm_label_engine_free(&c->cfg->engines[i]);
        return sm_fail(ei, SM_E_NOMEM, "out of memory for checking labels");
    }
    f->c = c;
    sm_err err = make_farm(f, ei);
    if (err) goto out;
    f->stored = malloc((size_t)SLICE_LABELS * SM_LABEL_BYTES);
    f->right = malloc((size_t)SLICE_LABELS * SM_LABEL_BYTES);
    f->bad = malloc(SLICE_LABELS * sizeof *f->bad);
    if (!f->stored || !f->right || !f->bad) {
        err = sm_fail(ei, SM_E_NOMEM, "out of memory for checking labels");
        goto out;
    }
    *out = f;
    f = NULL;
out:
    sm_check_full_free(f);
    return err;
}

void sm_check_full_free(struct sm_check_full *f)
{
    if (!f) return;
    sm_label_farm_free(f->farm);
    sm_scrypt_worker_free(f->worker);
    free(f->stored);
    free(f->right);
    free(f->bad);
    free(f);
}

/* ---- confirming what an engine calls bad ---- */

/* Recomputes bad[i] for i = first, first + step, … into `right`; counts those that differ from what was there. */
static sm_err recompute(struct sm_check_full *f, uint64_t position, size_t step, size_t *out_lies,
                        struct sm_errinfo *ei)
{
    for (size_t i = 0; i < f->bad_n;) {
        struct sm_scrypt_in in[CONFIRM_LABELS];
        uint8_t full[CONFIRM_LABELS * SM_SCRYPT_OUT_BYTES];
        uint32_t at[CONFIRM_LABELS];
        size_t n = 0;
        for (; i < f->bad_n && n < CONFIRM_LABELS; i += step, n++) {
            at[n] = f->bad[i];
            in[n] = (struct sm_scrypt_in){f->c->set.commitment.b, f->c->file.first + position + at[n]};
        }
        sm_err err = sm_scrypt_run(f->worker, in, n, f->c->cancel, full);
        if (err) return sm_fail(ei, err, "the check was stopped");
        for (size_t k = 0; k < n; k++) {
            uint8_t *right = f->right + (size_t)at[k] * SM_LABEL_BYTES;
            const uint8_t *truth = full + k * SM_SCRYPT_OUT_BYTES;
            *out_lies += memcmp(right, truth, SM_LABEL_BYTES) != 0;
            memcpy(right, truth, SM_LABEL_BYTES);
        }
    }
    return SM_OK;
}

/* The bad labels of a slice go through the processor when an engine found them that is not trusted itself: a device
 * that errs must not have good data called bad, let alone overwritten. Up to CONFIRM_LABELS are all recomputed; of more,
 * as many spread over the slice, and the rest too as soon as one of those was a lie. */
static sm_err confirm(struct sm_check_full *f, uint64_t position, struct sm_errinfo *ei)
{
    size_t lies = 0, kept = 0;
    if (f->trusted || f->bad_n == 0) return SM_OK;
    if (!f->worker) {
        const struct sm_scrypt_variant *v = NULL;
        sm_err err = sm_scrypt_pick(sm_cpu(), NULL, &v, ei);
        if (!err) err = sm_scrypt_worker_new(v, NULL, f->c->set.scrypt_n, &f->worker, ei);
        if (err) return err;
    }
    const size_t step = (f->bad_n + CONFIRM_LABELS - 1) / CONFIRM_LABELS;
    sm_err err = recompute(f, position, step, &lies, ei);
    if (!err && lies && step > 1) err = recompute(f, position, 1, &lies, ei);
    if (err || !lies) return err;

    sm_log(SM_LOG_DEBUG, "post", "an engine gave wrong labels", "file=%s labels=%zu", f->c->file.path, lies);
    for (size_t i = 0; i < f->bad_n; i++) {
        const size_t at = (size_t)f->bad[i] * SM_LABEL_BYTES;
        if (memcmp(f->stored + at, f->right + at, SM_LABEL_BYTES) != 0) f->bad[kept++] = f->bad[i];
    }
    f->bad_n = kept;
    return SM_OK;
}

/* ---- comparing ---- */

static void find_bad(struct sm_check_full *f, const uint8_t *labels, size_t n)
{
    f->bad_n = 0;
    if (memcmp(f->stored, labels, n * SM_LABEL_BYTES) == 0) return;
    memcpy(f->right, labels, n * SM_LABEL_BYTES);
    for (size_t i = 0; i < n; i++)
        if (memcmp(f->stored + i * SM_LABEL_BYTES, labels + i * SM_LABEL_BYTES, SM_LABEL_BYTES) != 0)
            f->bad[f->bad_n++] = (uint32_t)i;
}

/* The run of bad labels that starts at bad[i]. */
static size_t run_length(const struct sm_check_full *f, size_t i)
{
    size_t n = 1;
    while (i + n < f->bad_n && f->bad[i + n] == f->bad[i] + n) n++;
    return n;
}

typedef sm_err (*run_fn)(struct sm_check *c, uint64_t position, uint64_t labels, const uint8_t *right,
                         struct sm_errinfo *ei);

static sm_err each_run(struct sm_check_full *f, uint64_t position, run_fn fn, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (size_t i = 0, n = 0; i < f->bad_n && !err; i += n) {
        n = run_length(f, i);
        err = fn(f->c, position + f->bad[i], n, f->right + (size_t)f->bad[i] * SM_LABEL_BYTES, ei);
    }
    return err;
}

static sm_err note_run(struct sm_check *c, uint64_t position, uint64_t labels, const uint8_t *right,
                       struct sm_errinfo *ei)
{
    (void)right;
    return sm_check_note_bad(c, position, labels, ei);
}

static sm_err handle_bad(struct sm_check_full *f, uint64_t position, struct sm_errinfo *ei)
{
    if (f->bad_n == 0) return SM_OK;
    sm_err err = each_run(f, position, note_run, ei);
    if (err || !f->c->cfg->repair) return err;
    err = each_run(f, position, sm_check_rewrite, ei);
    if (!err) err = sm_check_settle(f->c, ei);
    if (!err) err = each_run(f, position, sm_check_reread, ei);
    return err;
}

static sm_err check_slice(struct sm_check_full *f, uint64_t position, const uint8_t *labels, size_t n,
                          struct sm_errinfo *ei)
{
    struct sm_check *c = f->c;
    struct sm_errinfo why = {0};
    sm_err err =
        sm_io_pread_exact(c->file.fd, c->file.path, f->stored, n * SM_LABEL_BYTES, position * SM_LABEL_BYTES, &why);
    if (err) {
        err = sm_check_note_unreadable(c, &why, ei);
        return err ? err : SM_E_IO; /* ends this file's run; sm_check_full_file knows */
    }
    find_bad(f, labels, n);
    err = confirm(f, position, ei);
    if (!err) err = handle_bad(f, position, ei);
    if (err) return err;
    sm_io_drop_cache(c->file.fd, position * SM_LABEL_BYTES, n * SM_LABEL_BYTES);
    c->res.labels_checked += n;
    sm_check_progress(c);
    return SM_OK;
}

static sm_err take_labels(void *ctx, struct sm_label_range range, const uint8_t *labels, const struct sm_vrf_best *best,
                          struct sm_errinfo *ei)
{
    struct sm_check_full *f = ctx;
    (void)best;
    for (uint64_t done = 0; done < range.count;) {
        const uint64_t left = range.count - done;
        const size_t n = left < SLICE_LABELS ? (size_t)left : SLICE_LABELS;
        sm_err err = check_slice(f, range.first + done - f->c->file.first, labels + done * SM_LABEL_BYTES, n, ei);
        if (err) return err;
        done += n;
    }
    return SM_OK;
}

sm_err sm_check_full_file(struct sm_check_full *f, struct sm_errinfo *ei)
{
    const struct sm_check *c = f->c;
    const struct sm_label_job job = {.commitment = c->set.commitment, .scrypt_n = c->set.scrypt_n};
    const struct sm_label_range range = {.first = c->file.first, .count = c->file.labels};
    sm_err err = sm_label_farm_run(f->farm, &job, &range, 1, c->cancel, take_labels, f, ei);
    return err == SM_E_IO && c->file.unreadable ? SM_OK : err;
}
