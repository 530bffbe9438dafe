#include "post/prove_lanes.h"

#include <stdlib.h>
#include <string.h>

/* ---- disks ---- */

sm_err sm_prove_disks_init(struct sm_prove_disks *d, const uint64_t *devices, uint64_t files, struct sm_errinfo *ei)
{
    uint64_t known[SM_PROVE_LANES_MAX];
    *d = (struct sm_prove_disks){.lane_of = calloc(files ? files : 1, 1)};
    if (!d->lane_of) return sm_fail(ei, SM_E_NOMEM, "out of memory for %llu files", (unsigned long long)files);
    for (uint64_t i = 0; i < files; i++) {
        unsigned lane = 0;
        while (lane < d->lanes_n && known[lane] != devices[i]) lane++;
        if (lane == d->lanes_n && lane < SM_PROVE_LANES_MAX) known[d->lanes_n++] = devices[i];
        d->lane_of[i] = (uint8_t)(lane < SM_PROVE_LANES_MAX ? lane : devices[i] % SM_PROVE_LANES_MAX);
    }
    if (!d->lanes_n) d->lanes_n = 1;
    return SM_OK;
}

void sm_prove_disks_fini(struct sm_prove_disks *d)
{
    free(d->lane_of);
    *d = (struct sm_prove_disks){0};
}

/* ---- cursors ---- */

static uint64_t labels_of(const struct sm_prove_lanes *l, uint64_t file)
{
    const uint64_t n = sm_layout_file_labels(&l->layout, file);
    return l->whole_chunks ? n - n % 8 : n;
}

static bool is_mine(const struct sm_prove_lanes *l, unsigned lane, uint64_t file)
{
    return !l->disks->lane_of || l->disks->lane_of[file] == lane;
}

/* Moves the lane to its next label; false at its end. */
static bool settle(struct sm_prove_lanes *l, unsigned lane)
{
    while (l->at[lane].file < l->layout.files &&
           (!is_mine(l, lane, l->at[lane].file) || l->at[lane].label >= labels_of(l, l->at[lane].file))) {
        l->at[lane].file++;
        l->at[lane].label = 0;
    }
    return l->at[lane].file < l->layout.files &&
           sm_layout_file_first(&l->layout, l->at[lane].file) + l->at[lane].label < l->limit;
}

void sm_prove_lanes_seek(struct sm_prove_lanes *l, const struct sm_prove_disks *disks, const struct sm_layout *layout,
                         bool whole_chunks, uint64_t label)
{
    *l = (struct sm_prove_lanes){.disks = disks, .layout = *layout, .whole_chunks = whole_chunks, .limit = UINT64_MAX};
    for (unsigned i = 0; i < disks->lanes_n; i++) {
        l->at[i].file = label / layout->labels_per_file;
        l->at[i].label = label % layout->labels_per_file;
        if (l->at[i].file < layout->files && !is_mine(l, i, l->at[i].file)) {
            l->at[i].file++;
            l->at[i].label = 0;
        }
    }
}

/* The first label at or behind (file, label) that takes part, on whatever disk. */
static uint64_t next_of_all(const struct sm_prove_lanes *l, uint64_t file, uint64_t label)
{
    while (file < l->layout.files && label >= labels_of(l, file)) {
        file++;
        label = 0;
    }
    return file < l->layout.files ? sm_layout_file_first(&l->layout, file) + label : l->layout.num_labels;
}

bool sm_prove_lanes_cut(struct sm_prove_lanes *l, unsigned lane, size_t most, struct sm_prove_batch *out)
{
    if (!settle(l, lane)) return false;
    const uint64_t file = l->at[lane].file, label = l->at[lane].label, left = labels_of(l, file) - label;
    *out = (struct sm_prove_batch){.file = file,
                                   .offset = SM_LABEL_BYTES * label,
                                   .first_label = sm_layout_file_first(&l->layout, file) + label,
                                   .labels = (size_t)(left < most ? left : most)};
    l->at[lane].label += out->labels;
    out->next_label = next_of_all(l, file, l->at[lane].label);
    return true;
}

bool sm_prove_lanes_more(struct sm_prove_lanes *l, unsigned lane)
{
    return settle(l, lane);
}

uint64_t sm_prove_lanes_next(const struct sm_prove_lanes *l, uint64_t label)
{
    return next_of_all(l, label / l->layout.labels_per_file, label % l->layout.labels_per_file);
}

void sm_prove_lanes_stop_at(struct sm_prove_lanes *l, uint64_t label)
{
    if (label < l->limit) l->limit = label;
}

bool sm_prove_lanes_end(struct sm_prove_lanes *l)
{
    for (unsigned i = 0; i < l->disks->lanes_n; i++)
        if (settle(l, i)) return false;
    return true;
}

/* ---- parking ---- */

static bool add_hits(struct sm_prove_run *r, const struct sm_prove_batch *b, const struct sm_scan_hit *hits, size_t n)
{
    if (n > r->hits_room - r->hits_n) {
        const size_t room = 2 * (r->hits_n + n);
        struct sm_prove_hit *v = realloc(r->hits, room * sizeof *v);
        if (!v) return false;
        r->hits = v;
        r->hits_room = room;
    }
    for (size_t i = 0; i < n; i++)
        r->hits[r->hits_n++] = (struct sm_prove_hit){.label = b->first_label + hits[i].label, .nonce = hits[i].nonce};
    return true;
}

static void unlink_run(struct sm_prove_parked *p, struct sm_prove_run *r)
{
    *(r->before ? &r->before->behind : &p->head) = r->behind;
    *(r->behind ? &r->behind->before : &p->tail) = r->before;
}

static struct sm_prove_run *insert_behind(struct sm_prove_parked *p, struct sm_prove_run *before,
                                          const struct sm_prove_batch *b)
{
    struct sm_prove_run *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    *r = (struct sm_prove_run){.first = b->first_label, .next = b->first_label, .before = before};
    r->behind = before ? before->behind : p->head;
    *(before ? &before->behind : &p->head) = r;
    *(r->behind ? &r->behind->before : &p->tail) = r;
    return r;
}

/* New batches are mostly near the end of the list, so it is searched from there. */
sm_err sm_prove_park(struct sm_prove_parked *p, const struct sm_prove_batch *b, const struct sm_scan_hit *hits,
                     size_t n, struct sm_errinfo *ei)
{
    struct sm_prove_run *r = p->tail;
    while (r && r->first > b->first_label) r = r->before;
    if (!r || r->next != b->first_label) r = insert_behind(p, r, b);
    if (!r || !add_hits(r, b, hits, n)) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu good labels", n);
    p->labels += b->next_label - r->next;
    r->next = b->next_label;
    return SM_OK;
}

struct sm_prove_run *sm_prove_unpark(struct sm_prove_parked *p, uint64_t label)
{
    struct sm_prove_run *r = p->head;
    if (!r || r->first != label) return NULL;
    unlink_run(p, r);
    p->labels -= r->next - r->first;
    return r;
}

void sm_prove_run_free(struct sm_prove_run *r)
{
    if (r) free(r->hits);
    free(r);
}

void sm_prove_parked_fini(struct sm_prove_parked *p)
{
    for (struct sm_prove_run *r = p->head, *behind; r; r = behind) {
        behind = r->behind;
        sm_prove_run_free(r);
    }
    *p = (struct sm_prove_parked){0};
}
