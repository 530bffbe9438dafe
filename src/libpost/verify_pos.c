#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libpost/impl.h"
#include "libpost/utf8.h"
#include "post/check.h"
#include "post/datadir.h"

#define NONE UINT64_MAX

/* The first of from..to that is missing or too short; NONE. */
static uint64_t first_incomplete(const struct sm_datadir_info *d, uint64_t from, uint64_t to)
{
    uint64_t next = from;
    for (size_t i = 0; i < d->files_n && next <= to; i++) {
        const struct sm_datafile *f = &d->files[i];
        if (f->number < next) continue;
        if (f->number > next || f->bytes / SM_LABEL_BYTES < sm_layout_file_labels(&d->layout, next)) return next;
        next++;
    }
    return next <= to ? next : NONE;
}

/* Our check takes at least one label of every file, the published one rounds down: the files whose share is nothing are
 * left out. They are all but the last, the last, or all. */
static uint64_t last_to_check(const struct sm_layout *l, uint64_t to, double fraction)
{
    const double share = fraction / 100;
    if ((double)l->labels_per_file * share >= 1) {
        if (to + 1 < l->files || (double)sm_layout_file_labels(l, to) * share >= 1) return to;
        return to ? to - 1 : NONE;
    }
    return l->files == 1 && (double)sm_layout_file_labels(l, 0) * share >= 1 ? to : NONE;
}

struct asked {
    uint64_t from, to; /* inclusive */
    double fraction;
    uint32_t scrypt_n;
};

static void note_total(void *ctx, uint64_t done, uint64_t total, uint64_t bad)
{
    (void)done, (void)bad;
    *(uint64_t *)ctx = total;
}

/* SM_OK with *out either valid or the first bad label. */
static sm_err check(const char *dir, const struct sm_datadir_info *d, const struct asked *a, VerifyPosResult *out,
                    struct sm_errinfo *ei)
{
    uint64_t total = 0;
    const uint64_t incomplete = first_incomplete(d, a->from, a->to), to = last_to_check(&d->layout, a->to, a->fraction);
    const struct sm_check_cfg cfg = {.dir = dir,
                                     .scrypt_n = a->scrypt_n,
                                     .from_file = a->from,
                                     .to_file = to,
                                     .fraction = a->fraction,
                                     .progress = note_total,
                                     .progress_ctx = &total};
    struct sm_check_result r = {0};
    sm_err err = to == NONE || to < a->from ? SM_OK : sm_check_run(&cfg, NULL, &r, ei);
    if (err) return err;
    const bool bad = r.bad_n && r.bad[0].file < incomplete;
    if (bad)
        *out = (VerifyPosResult){.tag = VerifyPosResult_Invalid,
                                 .invalid = {.file = (uintptr_t)r.bad[0].file, .offset = r.bad[0].offset}};
    else if (incomplete != NONE)
        err = sm_fail(ei, SM_E_NOTFOUND, "%s: postdata_%" PRIu64 ".bin is missing or too short", dir, incomplete);
    else if (r.labels_checked < total)
        err = sm_fail(ei, SM_E_IO, "%s", r.file_problems_n ? r.file_problems[r.file_problems_n - 1] : dir);
    sm_check_result_fini(&r);
    return err;
}

static sm_err verify(const char *dir, const uint32_t *from, const uint32_t *to, double fraction, uint32_t scrypt_n,
                     VerifyPosResult *out, struct sm_errinfo *ei)
{
    struct sm_datadir_info d = {0};
    sm_err err = sm_datadir_inspect(dir, &d, ei);
    if (err) return err;
    const struct asked a = {.from = from ? *from : 0,
                            .to = to ? *to : d.layout.files - 1, /* valid with metadata, where there is a file */
                            .fraction = fraction,
                            .scrypt_n = scrypt_n};
    if (!d.has_meta)
        err = sm_fail(ei, SM_E_NOTFOUND, "%s has no %s", dir, SM_METADATA_FILE);
    else if (d.layout.files && a.from <= a.to) /* else there is nothing to check */
        err = check(dir, &d, &a, out, ei);
    sm_datadir_info_fini(&d);
    return err;
}

VerifyPosResult verify_pos(const char *datadir, const uint32_t *from_file, const uint32_t *to_file, double fraction,
                           ScryptParams scrypt)
{
    VerifyPosResult out = {.tag = VerifyPosResult_Ok};
    struct sm_errinfo ei = {"the path is missing or no UTF-8"};
    uint32_t n = 0;
    sm_err err = datadir && sm_utf8_valid(datadir, strlen(datadir)) ? SM_OK : SM_E_ARG;
    if (!err && !(fraction >= 0 && fraction <= 100)) /* so is what is no number */
        err = sm_fail(&ei, SM_E_ARG, "a fraction of %g percent", fraction);
    if (!err) err = sm_libpost_scrypt_n(scrypt, false, &n, &ei);
    if (err)
        out.tag = VerifyPosResult_InvalidArgument;
    else if ((err = verify(datadir, from_file, to_file, fraction, n, &out, &ei)) != SM_OK)
        out.tag = VerifyPosResult_Failed;
    if (err) sm_libpost_failed("verify_pos", &ei);
    return out;
}
