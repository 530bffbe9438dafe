/* A label that is wrong on disk may be "good" for a nonce where the right one is not: then it gets into a proof, and only
 * the verification tells. The network would call such a proof a fraud, so the label is left out and the search goes on
 * (OUR-11). */
#include "post/prove_impl.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "util/io.h"
#include "util/log.h"

#define SAMPLES 32u /* ours: enough to tell damaged data from foreign data, and computed in a second or two */

bool sm_prove_is_bad(const struct sm_prove_bad *b, uint64_t label)
{
    uint32_t low = 0, high = b->n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (b->labels[middle] < label)
            low = middle + 1;
        else
            high = middle;
    }
    return low < b->n && b->labels[low] == label;
}

/* --- where they are --- */

/* The next range of labels[*at … n), ascending; moves *at behind it. A range does not leave its file. */
static struct sm_prove_bad_range next_range(const struct sm_layout *l, const uint64_t *labels, uint32_t n, uint32_t *at)
{
    const uint64_t first = labels[*at], file = first / l->labels_per_file;
    struct sm_prove_bad_range r = {.file = file, .offset = SM_LABEL_BYTES * (first % l->labels_per_file)};
    while (*at < n && labels[*at] == first + r.labels && labels[*at] / l->labels_per_file == file) {
        r.labels++;
        ++*at;
    }
    return r;
}

static void log_ranges(const struct sm_prover *p, const uint64_t *labels, uint32_t n)
{
    char name[64];
    for (uint32_t at = 0; at < n;) {
        const struct sm_prove_bad_range r = next_range(&p->data.layout, labels, n, &at);
        sm_log(SM_LOG_WARN, "post", "labels on disk are wrong and left out of the proof",
               "file=%s/%s offset=%" PRIu64 " labels=%" PRIu64, p->data.dir, sm_layout_file_name(r.file, name),
               r.offset, r.labels);
    }
}

void sm_prove_bad_summary(struct sm_prover *p)
{
    struct sm_prove_result *out = &p->result;
    out->bad_labels = p->bad.n;
    out->bad_n = 0;
    for (uint32_t at = 0; at < p->bad.n;)
        out->bad[out->bad_n++] = next_range(&p->data.layout, p->bad.labels, p->bad.n, &at);
}

/* --- damaged, or foreign --- */

static sm_err is_right(const struct sm_prover *p, const struct sm_commitment *commitment, uint64_t label, bool *out,
                       struct sm_errinfo *ei)
{
    const struct sm_layout *l = &p->data.layout;
    char name[64], path[4096];
    uint8_t have[SM_LABEL_BYTES], want[SM_SCRYPT_OUT_BYTES];
    int fd = -1;
    sm_err err = sm_io_path(path, sizeof path, p->data.dir, sm_layout_file_name(label / l->labels_per_file, name), ei);
    if (!err) err = sm_io_open(path, O_RDONLY, 0, &fd, ei);
    if (!err) err = sm_io_pread_exact(fd, path, have, sizeof have, SM_LABEL_BYTES * (label % l->labels_per_file), ei);
    sm_io_close(fd);
    if (!err) err = sm_scrypt_one(p->cfg->params.scrypt_n, commitment->b, label, want, ei);
    if (!err) *out = memcmp(have, want, sizeof have) == 0;
    return err;
}

/* A proof without one right label is what data of another N or identity gives. Searching on would take a pass or more
 * for every few nonces and find nothing, so some labels all over the data are looked at. */
static sm_err check_foreign(const struct sm_prover *p, struct sm_errinfo *ei)
{
    const uint64_t n = p->data.layout.num_labels, slice = n / SAMPLES;
    const struct sm_commitment commitment = sm_commitment_of(&p->data.node_id, &p->data.commitment_atx_id);
    for (uint64_t i = 0; i < SAMPLES; i++) {
        bool right = false;
        if (sm_cancelled(p->cancel)) return sm_fail(ei, SM_E_CANCELLED, "proving was stopped during verification");
        const uint64_t label = slice ? i * slice + slice / 2 : i % n;
        const sm_err err = is_right(p, &commitment, label, &right, ei);
        if (err || right) return err;
    }
    return sm_fail(ei, SM_E_MISMATCH,
                   "the proof found does not verify, and none of %u labels all over %s is right: they were made with "
                   "another N or for another identity, or are damaged throughout; check them with verify --all",
                   SAMPLES, p->cfg->dir);
}

/* --- leaving out --- */

static int ascending(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static sm_err too_many(const struct sm_prover *p, uint64_t last, struct sm_errinfo *ei)
{
    char name[64];
    const struct sm_layout *l = &p->data.layout;
    return sm_fail(ei, SM_E_MISMATCH,
                   "more than %u labels in %s are wrong, one of them in %s at byte %" PRIu64
                   "; repair them before proving: smesher verify --dir %s --all --repair",
                   SM_PROVE_BAD_MAX, p->cfg->dir, sm_layout_file_name(last / l->labels_per_file, name),
                   SM_LABEL_BYTES * (last % l->labels_per_file), p->cfg->dir);
}

/* The batch that completed the list was merged in part. What it gave is dropped, and it is scanned again: then the lists
 * have every label below next_label, as the scan wants them, and none is full. */
static void step_back(struct sm_prover *p)
{
    struct sm_prove_pass *pass = &p->pass;
    struct sm_prove_lists *l = &pass->lists;
    l->longest = 0;
    for (uint32_t i = 0; i < l->nonces; i++) {
        uint64_t *labels = &l->labels[(size_t)i * l->k2];
        uint32_t kept = 0;
        for (uint32_t k = 0; k < l->counts[i]; k++)
            if (labels[k] < pass->next_label && !sm_prove_is_bad(&p->bad, labels[k])) labels[kept++] = labels[k];
        l->counts[i] = kept;
        if (kept > l->longest) l->longest = kept;
    }
    pass->found = false;
}

sm_err sm_prove_leave_out(struct sm_prover *p, const uint32_t *bad, uint32_t n, struct sm_errinfo *ei)
{
    uint64_t *labels = p->result.indices; /* the bad ones move to the front */
    for (uint32_t i = 0; i < n; i++) labels[i] = labels[bad[i]];
    sm_err err = n == p->cfg->params.k2 ? check_foreign(p, ei) : SM_OK;
    if (err) return err;
    log_ranges(p, labels, n);
    if (n > SM_PROVE_BAD_MAX - p->bad.n) return too_many(p, labels[n - 1], ei);
    memcpy(p->bad.labels + p->bad.n, labels, n * sizeof *labels);
    p->bad.n += n;
    qsort(p->bad.labels, p->bad.n, sizeof *p->bad.labels, ascending);
    p->progress.bad_labels = p->bad.n;
    step_back(p);
    sm_prove_report(p);
    return SM_OK;
}
