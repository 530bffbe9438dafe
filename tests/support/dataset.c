#include "support/dataset.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "post/difficulty.h"
#include "post/ids.h"
#include "post/label.h"
#include "post/metadata.h"
#include "post/sidecar.h"
#include "support/tmpdir.h"

const struct dataset dataset_tiny = {
    .node_id = 0x77,
    .atx_id = 0x88,
    .scrypt_n = 2,
    .labels_per_unit = 128,
    .num_units = 2,
    .max_file_size = 1024,
    .from = SM_LAYOUT_ALL,
    .to = SM_LAYOUT_ALL,
};

static void must(sm_err err, const struct sm_errinfo *ei)
{
    if (err == SM_OK) return;
    (void)fprintf(stderr, "test data set: %s\n", ei->text);
    abort();
}

static struct sm_metadata metadata_of(const struct dataset *d)
{
    struct sm_metadata m = {
        .labels_per_unit = d->labels_per_unit,
        .num_units = d->num_units,
        .max_file_size = d->max_file_size,
    };
    memset(m.node_id.b, d->node_id, sizeof m.node_id.b);
    memset(m.commitment_atx_id.b, d->atx_id, sizeof m.commitment_atx_id.b);
    return m;
}

static struct sm_layout layout_of(const struct dataset *d)
{
    struct sm_layout l;
    struct sm_errinfo ei = {0};
    must(sm_layout_make(d->labels_per_unit * d->num_units, d->max_file_size, d->from, d->to, &l, &ei), &ei);
    return l;
}

/* 32 bytes each, freed by the caller. */
static uint8_t *compute(const struct dataset *d, uint64_t first, uint64_t count)
{
    const struct sm_metadata m = metadata_of(d);
    const struct sm_commitment c = sm_commitment_of(&m.node_id, &m.commitment_atx_id);
    const struct sm_scrypt_variant *v = NULL;
    struct sm_scrypt_worker *w = NULL;
    struct sm_errinfo ei = {0};
    uint8_t *out = malloc(count * 32);
    if (!out) abort();
    must(sm_scrypt_pick(sm_cpu(), NULL, &v, &ei), &ei);
    must(sm_scrypt_worker_new(v, NULL, d->scrypt_n, &w, &ei), &ei);
    must(sm_scrypt_range(w, c.b, first, count, NULL, out), &ei);
    sm_scrypt_worker_free(w);
    return out;
}

static uint8_t *file_labels(const struct dataset *d, const struct sm_layout *l, uint64_t number,
                            const uint8_t difficulty[32], struct sm_vrf_best *best)
{
    const uint64_t n = sm_layout_file_labels(l, number), first = sm_layout_file_first(l, number);
    uint8_t *full = compute(d, first, n);
    for (uint64_t i = 0; i < n; i++) {
        if (best) sm_vrf_best_offer(best, difficulty, first + i, full + 32 * i);
        memmove(full + 16 * i, full + 32 * i, 16);
    }
    return full;
}

void dataset_put(const char *dir, const struct dataset *d)
{
    const struct sm_layout l = layout_of(d);
    struct sm_metadata m = metadata_of(d);
    struct sm_vrf_best best = {0};
    struct sm_errinfo ei = {0};
    uint8_t difficulty[32];
    char name[64];
    must(sm_vrf_difficulty(l.num_labels, difficulty, &ei), &ei);
    for (uint64_t i = l.from; i <= l.to; i++) {
        uint8_t *labels = file_labels(d, &l, i, difficulty, &best);
        file_put(tmpdir_path(dir, sm_layout_file_name(i, name)), labels, 16 * sm_layout_file_labels(&l, i));
        free(labels);
    }
    if (best.found && !d->no_nonce) {
        m.has_nonce = m.has_nonce_value = true;
        m.nonce = best.index;
        memcpy(m.nonce_value, best.label, 16);
    }
    must(sm_metadata_save(dir, &m, &ei), &ei);
    if (d->no_sidecar) return;
    const struct sm_sidecar side = {
        .scrypt_n = d->scrypt_n,
        .has_subset = d->from != SM_LAYOUT_ALL || d->to != SM_LAYOUT_ALL,
        .from = l.from,
        .to = l.to,
    };
    must(sm_sidecar_save(dir, &side, &ei), &ei);
}

void dataset_label(const struct dataset *d, uint64_t index, uint8_t out[32])
{
    uint8_t *full = compute(d, index, 1);
    memcpy(out, full, 32);
    free(full);
}

bool dataset_file_right(const char *dir, const struct dataset *d, uint64_t number)
{
    struct dataset whole = *d;
    whole.from = whole.to = SM_LAYOUT_ALL;
    const struct sm_layout l = layout_of(&whole);
    char name[64];
    const char *path = tmpdir_path(dir, sm_layout_file_name(number, name));
    const uint64_t want_n = 16 * sm_layout_file_labels(&l, number);
    if (file_size(path) != (int64_t)want_n) return false;
    uint8_t *want = file_labels(&whole, &l, number, NULL, NULL), *have = file_get(path, NULL);
    const bool same = memcmp(want, have, want_n) == 0;
    free(want);
    free(have);
    return same;
}
