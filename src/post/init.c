#include "post/init.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "post/init_run.h"
#include "util/clock.h"
#include "util/io.h"

#define CHECKPOINT_DEFAULT (UINT64_C(256) << 20)
#define REPORT_NS          (100 * SM_NS_PER_MS)

/* ---- shared helpers ---- */

uint64_t sm_init_subset_first(const struct sm_init_run *r)
{
    return sm_layout_file_first(&r->layout, r->layout.from);
}

uint64_t sm_init_subset_end(const struct sm_init_run *r)
{
    return sm_init_subset_first(r) + sm_layout_subset_labels(&r->layout);
}

sm_err sm_init_open_file(const struct sm_init_run *r, uint64_t number, int flags, char *path, int *out_fd,
                         struct sm_errinfo *ei)
{
    char name[64];
    sm_err err = sm_io_path(path, PATH_MAX, r->cfg->dir, sm_layout_file_name(number, name), ei);
    return err ? err : sm_io_open(path, flags, 0, out_fd, ei);
}

void sm_init_report(struct sm_init_run *r, bool now)
{
    if (!r->cfg->progress) return;
    const uint64_t t = sm_clock_ns();
    if (!now && t - r->reported_ns < REPORT_NS) return;
    r->reported_ns = t;
    r->progress.has_nonce = r->best.found;
    r->progress.nonce = r->best.index;
    r->cfg->progress(r->cfg->progress_ctx, &r->progress);
}

static void enter(struct sm_init_run *r, sm_init_phase phase)
{
    r->progress.phase = phase;
    r->progress.searched = 0;
    sm_init_report(r, true);
}

sm_err sm_init_farm(struct sm_init_run *r, struct sm_errinfo *ei)
{
    if (r->farm) return SM_OK;
    const struct sm_label_farm_cfg cfg = {.engines = r->cfg->engines,
                                          .engines_n = r->cfg->engines_n,
                                          .paused = r->cfg->paused,
                                          .paused_ctx = r->cfg->paused_ctx,
                                          .rests = r->cfg->rests,
                                          .rests_ctx = r->cfg->rests_ctx};
    r->engines_taken = true;
    return sm_label_farm_new(&cfg, &r->farm, ei);
}

/* ---- what is known, on disk ---- */

static sm_err save_metadata(struct sm_init_run *r, struct sm_errinfo *ei)
{
    sm_err err = sm_metadata_save(r->cfg->dir, &r->meta, ei);
    if (err) return err;
    r->has_meta = true;
    r->meta_from_backup = false;
    return SM_OK;
}

/* True when the metadata changed. */
static bool set_nonce(struct sm_init_run *r, const struct sm_vrf_best *best)
{
    struct sm_metadata *m = &r->meta;
    const struct sm_metadata old = *m;
    if (best->found) {
        m->has_nonce = m->has_nonce_value = true;
        m->nonce = best->index;
        memcpy(m->nonce_value, best->label, sizeof m->nonce_value);
        return !old.has_nonce || !old.has_nonce_value || old.nonce != m->nonce ||
               memcmp(old.nonce_value, m->nonce_value, sizeof m->nonce_value) != 0;
    }
    if (!r->nonce_dropped || !m->has_nonce) return false;
    m->has_nonce = m->has_nonce_value = false;
    return true;
}

static sm_err save_side(struct sm_init_run *r, const struct sm_sidecar *next, struct sm_errinfo *ei)
{
    const struct sm_sidecar *s = &r->side;
    if (r->has_side && s->scrypt_n == next->scrypt_n && s->has_subset == next->has_subset && s->from == next->from &&
        s->to == next->to && s->grow_to == next->grow_to && s->has_searched == next->has_searched &&
        s->searched == next->searched)
        return SM_OK;
    sm_err err = sm_sidecar_save(r->cfg->dir, next, ei);
    if (err) return err;
    r->side = *next;
    r->has_side = true;
    return SM_OK;
}

sm_err sm_init_record(struct sm_init_run *r, uint64_t searched, const struct sm_vrf_best *best, struct sm_errinfo *ei)
{
    sm_err err = set_nonce(r, best) ? save_metadata(r, ei) : SM_OK;
    if (err) return err; /* the promise only after what it rests on */
    struct sm_sidecar next = r->side;
    next.has_searched = true;
    next.searched = searched;
    return save_side(r, &next, ei);
}

/* ---- begin ---- */

/* A partial label at the end of a file, after a crash or a full disk of another program; the label is made again. */
static sm_err cut_tails(struct sm_init_run *r, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < r->parts_n; i++) {
        const uint64_t odd = r->parts[i].bytes % SM_LABEL_BYTES;
        char path[PATH_MAX];
        int fd = -1;
        if (!odd) continue;
        sm_err err = sm_init_open_file(r, r->parts[i].number, O_WRONLY, path, &fd, ei);
        if (err) return err;
        err = sm_io_truncate(fd, path, r->parts[i].bytes - odd, ei);
        if (!err) err = sm_io_sync(fd, path, ei);
        sm_io_close(fd);
        if (err) return err;
        r->parts[i].bytes -= odd;
        r->result->bytes_truncated += odd;
    }
    return SM_OK;
}

static void fresh_metadata(struct sm_init_run *r)
{
    const struct sm_init_cfg *c = r->cfg;
    r->meta = (struct sm_metadata){
        .node_id = c->node_id,
        .commitment_atx_id = c->commitment_atx_id,
        .labels_per_unit = c->labels_per_unit,
        .num_units = c->num_units,
        .max_file_size = c->max_file_size,
    };
}

/* Labels that were on disk before this run and below it are covered by the metadata's nonce. */
static uint64_t scan_from(const struct sm_init_run *r)
{
    const uint64_t missing = sm_init_first_missing(r), window = r->checkpoint_bytes / SM_LABEL_BYTES;
    if (r->rescan || r->meta_from_backup || !r->has_meta) return 0;
    if (r->has_side && r->side.has_searched) return r->side.searched;
    if (!r->meta.has_nonce) return 0;
    /* Another program saves the nonce before the labels; ours, if only the side file was lost, one checkpoint later. */
    return missing > window ? missing - window : 0;
}

static sm_err begin(struct sm_init_run *r, struct sm_errinfo *ei)
{
    const uint64_t from = scan_from(r);
    const bool fresh = !r->has_meta, whole = r->layout.from == 0 && r->layout.to == r->layout.files - 1;
    sm_err err = r->spread_changed ? sm_spread_begin(&r->spread, r->cfg->dir, &r->lock, ei) : SM_OK;
    if (!err) err = cut_tails(r, ei);
    if (err) return err;
    if (fresh) fresh_metadata(r);
    if (fresh || r->meta_from_backup) err = save_metadata(r, ei);
    if (err) return err;

    struct sm_sidecar next = r->side;
    next.scrypt_n = r->cfg->scrypt_n;
    next.has_subset = !whole;
    next.from = whole ? 0 : r->layout.from;
    next.to = whole ? 0 : r->layout.to;
    next.grow_to = r->growing ? r->cfg->num_units : 0;
    next.grow_scanned = 0;
    if (from == 0) { /* until the scan is over, nothing is covered */
        next.has_searched = true;
        next.searched = sm_init_subset_first(r);
    }
    err = save_side(r, &next, ei);
    if (err) return err;

    err = sm_init_scan(r, from, ei);
    return err ? err : sm_init_record(r, sm_init_first_missing(r), &r->best, ei);
}

/* ---- end ---- */

/* All files of the subset are complete. */
static sm_err complete_nonce(struct sm_init_run *r, struct sm_errinfo *ei)
{
    const bool whole = r->layout.from == 0 && r->layout.to == r->layout.files - 1;
    sm_err err = SM_OK;
    if (r->best.found || !whole) return SM_OK;
    enter(r, SM_INIT_SEARCHING);
    if (r->growing)
        err = sm_init_scan(r, 0, ei); /* the old nonce is too large now, and may not have been the smallest */
    if (!err && !r->best.found) err = sm_init_search_beyond(r, ei);
    return err;
}

/* The backup becomes equal to the metadata, so that the finished directory does not tell how it came about. */
static sm_err settle_backup(const struct sm_init_run *r, struct sm_errinfo *ei)
{
    char path[PATH_MAX], backup[PATH_MAX];
    char *text = NULL, *old = NULL;
    size_t n = 0, old_n = 0;
    sm_err err = sm_io_path(path, sizeof path, r->cfg->dir, SM_METADATA_FILE, ei);
    if (!err) err = sm_io_path(backup, sizeof backup, r->cfg->dir, SM_METADATA_BACKUP_FILE, ei);
    if (!err) err = sm_io_read_file(path, SM_METADATA_MAX_BYTES, &text, &n, ei);
    if (err) goto out;
    const bool same = sm_io_read_file(backup, SM_METADATA_MAX_BYTES, &old, &old_n, NULL) == SM_OK && old_n == n &&
                      memcmp(old, text, n) == 0;
    if (!same) err = sm_io_write_atomic(backup, text, n, 0600, ei);
out:
    free(text);
    free(old);
    return err;
}

static sm_err finish(struct sm_init_run *r, struct sm_errinfo *ei)
{
    const uint32_t units = r->meta.num_units;
    if (r->growing) r->nonce_dropped = true; /* a part has no other nonce, and the old one is too large now */
    const bool changed = set_nonce(r, &r->best) || units != r->cfg->num_units;
    r->meta.num_units = r->cfg->num_units; /* of a grown set, now that every label is there */
    sm_err err = changed ? save_metadata(r, ei) : SM_OK;
    if (err) return err;
    struct sm_sidecar next = r->side;
    next.grow_to = 0;
    next.has_searched = true;
    next.searched = sm_init_subset_end(r);
    err = save_side(r, &next, ei);
    return err ? err : settle_backup(r, ei);
}

/* ---- the run ---- */

static void begin_progress(struct sm_init_run *r)
{
    struct sm_init_progress *p = &r->progress;
    p->labels_done = 0;
    for (size_t i = 0; i < r->parts_n; i++) p->labels_done += r->parts[i].labels;
    p->labels_at_start = p->labels_done;
    p->labels_total = sm_layout_subset_labels(&r->layout);
    p->files_total = r->layout.to - r->layout.from + 1;
    p->file = r->layout.from;
    p->file_labels_total = sm_layout_file_labels(&r->layout, r->layout.from);
}

static sm_err steps(struct sm_init_run *r, struct sm_errinfo *ei)
{
    sm_err err = sm_init_open(r, ei);
    if (err) return err;
    begin_progress(r);
    enter(r, SM_INIT_CHECKING);
    err = sm_init_prove(r, ei);
    if (!err) err = begin(r, ei);
    if (err) return err;
    begin_progress(r);
    enter(r, SM_INIT_WRITING);
    err = sm_init_write(r, ei);
    if (err) return err;
    r->result->complete = true;
    err = complete_nonce(r, ei);
    if (!err) err = finish(r, ei);
    if (!err) enter(r, SM_INIT_DONE);
    return err;
}

static void take_result(struct sm_init_run *r)
{
    struct sm_init_result *out = r->result;
    const struct sm_vrf_best *best = &r->best;
    out->has_nonce = best->found;
    out->nonce = best->index;
    memcpy(out->nonce_label, best->label, sizeof out->nonce_label);
    const size_t room = sizeof out->engines / sizeof out->engines[0];
    if (r->farm) out->engines_n = sm_label_farm_stats(r->farm, out->engines, room);
}

sm_err sm_init_run(const struct sm_init_cfg *cfg, const struct sm_cancel *cancel, struct sm_init_result *out,
                   struct sm_errinfo *ei)
{
    *out = (struct sm_init_result){0};
    struct sm_init_run *r = calloc(1, sizeof *r);
    sm_err err = r ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory to initialize %s", cfg->dir);
    if (r) {
        r->cfg = cfg;
        r->cancel = cancel;
        r->result = out;
        r->lock = SM_DIRLOCK_NONE;
        r->commitment = sm_commitment_of(&cfg->node_id, &cfg->commitment_atx_id);
        r->checkpoint_bytes = cfg->checkpoint_bytes ? cfg->checkpoint_bytes : CHECKPOINT_DEFAULT;
        err = steps(r, ei);
        take_result(r);
    }
    for (size_t i = 0; i < cfg->engines_n && !(r && r->engines_taken); i++) sm_label_engine_free(&cfg->engines[i]);
    if (r) {
        sm_label_farm_free(r->farm);
        sm_metadata_fini(&r->meta);
        sm_spread_fini(&r->spread);
        sm_dirlock_release(&r->lock);
        free(r->parts);
    }
    free(r);
    return err;
}
