#include <stdlib.h>
#include <string.h>

#include "post/init_run.h"
#include "post/init_writer.h"

/* Missing labels of the subset in order; stretches over several files are one range. malloc'd. */
static struct sm_label_range *missing_ranges(const struct sm_init_run *r, size_t *out_n)
{
    struct sm_label_range *v = calloc(r->parts_n + 1, sizeof *v);
    uint64_t at = sm_init_subset_first(r);
    size_t n = 0;
    for (size_t i = 0; v && i <= r->parts_n; i++) {
        const bool end = i == r->parts_n;
        const uint64_t stored = end ? sm_init_subset_end(r) : sm_layout_file_first(&r->layout, r->parts[i].number);
        if (stored > at) v[n++] = (struct sm_label_range){.first = at, .count = stored - at};
        if (!end) at = stored + r->parts[i].labels;
    }
    *out_n = n;
    return v;
}

uint64_t sm_init_first_missing(const struct sm_init_run *r)
{
    uint64_t at = sm_init_subset_first(r);
    for (size_t i = 0; i < r->parts_n; i++) {
        const uint64_t first = sm_layout_file_first(&r->layout, r->parts[i].number);
        if (first > at) break;
        at = first + r->parts[i].labels;
    }
    return at;
}

struct feed {
    struct sm_init_run *r;
    struct sm_init_writer *writer;
};

static sm_err save(void *ctx, uint64_t position, const struct sm_vrf_best *best, struct sm_errinfo *ei)
{
    return sm_init_record(ctx, position, best, ei);
}

static void show(struct sm_init_run *r, uint64_t next_label)
{
    struct sm_init_progress *p = &r->progress;
    const uint64_t file = (next_label - 1) / r->layout.labels_per_file;
    p->file = file;
    p->file_labels_done = next_label - sm_layout_file_first(&r->layout, file);
    p->file_labels_total = sm_layout_file_labels(&r->layout, file);
    sm_init_report(r, false);
}

static sm_err take_labels(void *ctx, struct sm_label_range range, const uint8_t *labels, const struct sm_vrf_best *best,
                          struct sm_errinfo *ei)
{
    struct feed *f = ctx;
    struct sm_init_run *r = f->r;
    sm_vrf_best_merge(&r->best, best);
    sm_err err = sm_init_writer_put(f->writer, range, labels, &r->best, ei);
    if (err) return err;
    r->result->labels_written += range.count;
    r->progress.labels_done += range.count;
    show(r, range.first + range.count);
    return SM_OK;
}

sm_err sm_init_write(struct sm_init_run *r, struct sm_errinfo *ei)
{
    struct feed f = {.r = r};
    size_t n = 0;
    struct sm_label_range *ranges = missing_ranges(r, &n);
    sm_err err = ranges ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory for the list of missing labels");
    if (err || n == 0) goto out;
    const struct sm_init_writer_cfg cfg = {
        .dir = r->cfg->dir,
        .spread = &r->spread,
        .layout = r->layout,
        .direct_io = r->cfg->direct_io,
        .checkpoint_bytes = r->checkpoint_bytes,
        .checkpoint = save,
        .ctx = r,
    };
    err = sm_init_farm(r, ei);
    if (!err) err = sm_init_writer_new(&cfg, &f.writer, ei);
    if (err) goto out;

    const struct sm_label_job job = {
        .commitment = r->commitment, .scrypt_n = r->cfg->scrypt_n, .vrf_difficulty = r->difficulty};
    err = sm_label_farm_run(r->farm, &job, ranges, n, r->cancel, take_labels, &f, ei);
    /* What was computed is worth keeping, whatever stopped the engines; the first failure is the one to report. */
    struct sm_errinfo late = {0};
    const sm_err finish_err = sm_init_writer_finish(f.writer, &late);
    if (finish_err && (!err || err == SM_E_CANCELLED)) err = sm_fail(ei, finish_err, "%s", late.text);
out:
    sm_init_writer_free(f.writer);
    free(ranges);
    return err;
}
