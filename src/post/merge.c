#include "post/merge.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/scrypt.h"
#include "post/datadir.h"
#include "post/datadir_list.h"
#include "post/difficulty.h"
#include "post/merge_copy.h"
#include "post/sidecar.h"
#include "util/io.h"
#include "util/text.h"

/* A directory that takes part. */
struct place {
    const char *dir;
    struct sm_dirlock lock;
    dev_t dev;
    ino_t ino;
    bool has_meta;
    struct sm_metadata meta;
    struct sm_sidecar side; /* zeroed when there is none */
    struct sm_datafile *files;
    size_t files_n;
};

/* A file and where it is now. */
struct item {
    uint64_t number, bytes;
    size_t place;
    bool copy; /* cannot be renamed */
};

struct merge {
    const struct sm_merge_cfg *cfg;
    const struct sm_cancel *cancel;
    struct place *places; /* [0] is the target */
    size_t places_n;
    struct sm_layout layout; /* of the whole */
    uint32_t scrypt_n;       /* 0 unknown */
    struct item *items;      /* to be transferred, by number */
    size_t items_n;
    struct sm_merge_progress progress;
    struct sm_merge_result res;
};

/* ---- opening ---- */

static bool known_place(const struct merge *m, const struct stat *st)
{
    for (size_t i = 0; i < m->places_n; i++)
        if (m->places[i].dev == st->st_dev && m->places[i].ino == st->st_ino) return true;
    return false;
}

static sm_err place_open(struct merge *m, const char *dir, bool exclusive, struct sm_errinfo *ei)
{
    struct sm_sentences ignored = {0}; /* odd names are none of our business */
    struct sm_errinfo why = {0};
    struct stat st;
    bool from_backup;
    if (stat(dir, &st) != 0) return sm_fail_errno(ei, errno, "cannot open directory %s", dir);
    if (known_place(m, &st)) return SM_OK;
    struct place *p = &m->places[m->places_n++]; /* released by merge_fini from here on */
    *p = (struct place){.dir = dir, .lock = SM_DIRLOCK_NONE, .dev = st.st_dev, .ino = st.st_ino};

    sm_err err = sm_dirlock_take(dir, exclusive, &p->lock, ei);
    if (!err) err = sm_datadir_list(dir, &p->files, &p->files_n, &ignored, ei);
    sm_sentences_fini(&ignored);
    if (err) return err;
    err = sm_metadata_load(dir, &p->meta, &from_backup, &why);
    p->has_meta = !err;
    if (err && !(err == SM_E_NOTFOUND && p == m->places && p->files_n == 0)) return sm_fail(ei, err, "%s", why.text);
    err = sm_sidecar_load(dir, &p->side, &why);
    return err && err != SM_E_NOTFOUND ? sm_fail(ei, err, "%s", why.text) : SM_OK;
}

static sm_err make_target(const char *dir, struct sm_errinfo *ei)
{
    char parent[PATH_MAX];
    if (mkdir(dir, 0700) != 0)
        return errno == EEXIST ? SM_OK : sm_fail_errno(ei, errno, "cannot create directory %s", dir);
    if ((size_t)snprintf(parent, sizeof parent, "%s", dir) >= sizeof parent)
        return sm_fail(ei, SM_E_ARG, "path too long: %s", dir);
    return sm_io_sync_dir(dirname(parent), ei); /* before anything is moved into it */
}

static sm_err open_places(struct merge *m, struct sm_errinfo *ei)
{
    const struct sm_merge_cfg *cfg = m->cfg;
    if (cfg->sources_n == 0) return sm_fail(ei, SM_E_ARG, "nothing to merge: name the parts");
    m->places = calloc(cfg->sources_n + 1, sizeof *m->places);
    if (!m->places) return sm_fail(ei, SM_E_NOMEM, "out of memory for merging");
    for (size_t i = 0; i < cfg->sources_n; i++) { /* before the target is created */
        struct stat st;
        if (stat(cfg->sources[i], &st) != 0)
            return sm_fail_errno(ei, errno, "cannot open directory %s", cfg->sources[i]);
    }
    sm_err err = make_target(cfg->target, ei);
    if (!err) err = place_open(m, cfg->target, true, ei);
    for (size_t i = 0; i < cfg->sources_n && !err; i++) err = place_open(m, cfg->sources[i], cfg->move, ei);
    return err;
}

static void merge_fini(struct merge *m)
{
    for (size_t i = 0; i < m->places_n; i++) {
        sm_metadata_fini(&m->places[i].meta);
        free(m->places[i].files);
        sm_dirlock_release(&m->places[i].lock);
    }
    free(m->places);
    free(m->items);
}

/* ---- agreeing ---- */

/* The first place with metadata: the target, unless it is new. */
static struct place *base(const struct merge *m)
{
    for (size_t i = 0; i < m->places_n; i++)
        if (m->places[i].has_meta) return &m->places[i];
    return NULL;
}

static sm_err same_u64(const char *what, const struct place *a, uint64_t x, const struct place *b, uint64_t y,
                       struct sm_errinfo *ei)
{
    if (x == y) return SM_OK;
    return sm_fail(ei, SM_E_MISMATCH, "%s is %" PRIu64 " in %s, but %" PRIu64 " in %s", what, x, a->dir, y, b->dir);
}

static sm_err same_id(const char *what, const struct place *a, const uint8_t x[32], const struct place *b,
                      const uint8_t y[32], struct sm_errinfo *ei)
{
    char tx[SM_BASE64_ROOM(32)], ty[SM_BASE64_ROOM(32)];
    if (memcmp(x, y, 32) == 0) return SM_OK;
    return sm_fail(ei, SM_E_MISMATCH, "%s is %s in %s, but %s in %s", what, sm_base64_encode(x, 32, tx), a->dir,
                   sm_base64_encode(y, 32, ty), b->dir);
}

static sm_err agree(const struct place *a, const struct place *b, struct sm_errinfo *ei)
{
    const struct sm_metadata *x = &a->meta, *y = &b->meta;
    sm_err err = same_id("NodeId", a, x->node_id.b, b, y->node_id.b, ei);
    if (!err) err = same_id("CommitmentAtxId", a, x->commitment_atx_id.b, b, y->commitment_atx_id.b, ei);
    if (!err) err = same_u64("LabelsPerUnit", a, x->labels_per_unit, b, y->labels_per_unit, ei);
    if (!err) err = same_u64("NumUnits", a, x->num_units, b, y->num_units, ei);
    if (!err) err = same_u64("MaxFileSize", a, x->max_file_size, b, y->max_file_size, ei);
    return err;
}

static uint64_t recorded_n(const struct place *p)
{
    return p->side.scrypt_n || !p->meta.has_scrypt ? p->side.scrypt_n : p->meta.scrypt_n;
}

static sm_err agree_all(struct merge *m, struct sm_errinfo *ei)
{
    const struct place *first = base(m), *with_n = NULL;
    sm_err err = SM_OK;
    for (size_t i = 0; i < m->places_n && !err; i++) {
        const struct place *p = &m->places[i];
        if (p->side.grow_to)
            return sm_fail(ei, SM_E_MISMATCH, "%s is growing to %" PRIu32 " units: finish that first", p->dir,
                           p->side.grow_to);
        if (p->has_meta) err = agree(first, p, ei);
        const uint64_t n = recorded_n(p);
        if (!n || err) continue;
        if (with_n) err = same_u64("scrypt N", with_n, recorded_n(with_n), p, n, ei);
        with_n = p;
        m->scrypt_n = (uint32_t)n;
    }
    if (err) return err;
    return sm_layout_make(first->meta.labels_per_unit * first->meta.num_units, first->meta.max_file_size, SM_LAYOUT_ALL,
                          SM_LAYOUT_ALL, &m->layout, ei);
}

/* ---- planning ---- */

static int by_number(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->number != y->number) return x->number < y->number ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static sm_err item_path(const struct merge *m, const struct item *it, char out[PATH_MAX], struct sm_errinfo *ei)
{
    char name[64];
    return sm_io_path(out, PATH_MAX, m->places[it->place].dir, sm_layout_file_name(it->number, name), ei);
}

static sm_err collect(struct merge *m, struct item **out, size_t *out_n, struct sm_errinfo *ei)
{
    size_t n = 0;
    for (size_t i = 0; i < m->places_n; i++) n += m->places[i].files_n;
    struct item *all = calloc(n + 1, sizeof *all);
    if (!all) return sm_fail(ei, SM_E_NOMEM, "out of memory for merging");
    *out = all;
    *out_n = n;
    for (size_t i = 0; i < m->places_n; i++)
        for (size_t k = 0; k < m->places[i].files_n; k++)
            *all++ = (struct item){m->places[i].files[k].number, m->places[i].files[k].bytes, i, false};
    if (n) qsort(*out, n, sizeof **out, by_number);
    return SM_OK;
}

static sm_err check_twin(const struct merge *m, const struct item *kept, const struct item *other,
                         struct sm_errinfo *ei)
{
    char a[PATH_MAX], b[PATH_MAX];
    bool equal = false;
    sm_err err = item_path(m, kept, a, ei);
    if (!err) err = item_path(m, other, b, ei);
    if (err) return err;
    if (kept->bytes != other->bytes)
        return sm_fail(ei, SM_E_MISMATCH, "%s has %" PRIu64 " bytes, but %s has %" PRIu64 ": remove the wrong one", a,
                       kept->bytes, b, other->bytes);
    err = sm_merge_look_equal(a, b, kept->bytes, &equal, ei);
    if (err || equal) return err;
    return sm_fail(ei, SM_E_MISMATCH, "%s and %s differ: verify both and remove the wrong one", a, b);
}

/* A link is copied: moved, a relative one would lead nowhere. */
static sm_err plan_transfer(struct merge *m, struct item *it, struct sm_errinfo *ei)
{
    char path[PATH_MAX];
    struct stat st;
    sm_err err = item_path(m, it, path, ei);
    if (err) return err;
    if (lstat(path, &st) != 0) return sm_fail_errno(ei, errno, "cannot examine %s", path);
    it->copy = !m->cfg->move || !S_ISREG(st.st_mode) || st.st_dev != m->places[0].dev;
    if (it->copy) m->progress.total += it->bytes;
    m->items[m->items_n++] = *it;
    return SM_OK;
}

static sm_err plan(struct merge *m, struct sm_errinfo *ei)
{
    struct item *all = NULL;
    size_t n = 0;
    sm_err err = collect(m, &all, &n, ei);
    if (err) return err;
    m->items = calloc(n + 1, sizeof *m->items);
    if (!m->items) err = sm_fail(ei, SM_E_NOMEM, "out of memory for merging");
    for (size_t i = 0, kept = 0; i < n && !err; i++) {
        if (all[i].number >= m->layout.files) {
            err = sm_fail(ei, SM_E_MISMATCH,
                          "postdata_%" PRIu64 ".bin in %s is beyond the last file of the data set, %" PRIu64,
                          all[i].number, m->places[all[i].place].dir, m->layout.files - 1);
        } else if (i > 0 && all[i].number == all[kept].number) {
            err = check_twin(m, &all[kept], &all[i], ei);
            m->res.files_present++;
        } else {
            kept = i;
            if (all[i].place != 0) err = plan_transfer(m, &all[i], ei);
        }
    }
    free(all);
    return err;
}

static sm_err check_space(const struct merge *m, struct sm_errinfo *ei)
{
    uint64_t room = 0;
    if (m->progress.total == 0) return SM_OK;
    sm_err err = sm_io_free_bytes(m->cfg->target, &room, ei);
    if (err || room >= m->progress.total) return err;
    return sm_fail(ei, SM_E_NOSPACE, "%s has room for %" PRIu64 " bytes, the files to copy have %" PRIu64,
                   m->cfg->target, room, m->progress.total);
}

/* ---- nonce ---- */

/* What a nonce is compared by: its label where N is known, which also shows whether it is valid; else what was recorded,
 * and nothing recorded is the largest. */
static sm_err rank(const struct merge *m, const struct place *p, bool *out_valid, uint8_t out[32],
                   struct sm_errinfo *ei)
{
    const struct sm_metadata *meta = &p->meta;
    uint8_t difficulty[32];
    *out_valid = true;
    memset(out, 0xff, 32);
    if (!m->scrypt_n) {
        if (meta->has_nonce_value) memcpy(out, meta->nonce_value, sizeof meta->nonce_value);
        return SM_OK;
    }
    const struct sm_commitment c = sm_commitment_of(&meta->node_id, &meta->commitment_atx_id);
    sm_err err = sm_scrypt_one(m->scrypt_n, c.b, meta->nonce, out, ei);
    if (!err) err = sm_vrf_difficulty(m->layout.num_labels, difficulty, ei);
    if (!err) *out_valid = memcmp(out, difficulty, sizeof difficulty) < 0;
    return err;
}

/* Gives `meta` the smallest nonce of all places, or none. */
static sm_err choose_nonce(struct merge *m, struct sm_metadata *meta, struct sm_errinfo *ei)
{
    const struct place *best = NULL;
    uint8_t best_label[32], label[32];
    bool valid;
    for (size_t i = 0; i < m->places_n; i++) {
        const struct place *p = &m->places[i];
        if (!p->has_meta || !p->meta.has_nonce) continue;
        sm_err err = rank(m, p, &valid, label, ei);
        if (err) return err;
        if (!valid || (best && memcmp(label, best_label, sizeof label) >= 0)) continue;
        best = p;
        memcpy(best_label, label, sizeof label);
    }
    meta->has_nonce = best != NULL;
    meta->has_nonce_value = best && (m->scrypt_n || best->meta.has_nonce_value);
    meta->nonce = best ? best->meta.nonce : 0;
    if (meta->has_nonce_value) memcpy(meta->nonce_value, best_label, sizeof meta->nonce_value);
    m->res.has_nonce = meta->has_nonce;
    m->res.nonce = meta->nonce;
    return SM_OK;
}

/* ---- doing it ---- */

static sm_err save_metadata(struct merge *m, struct sm_errinfo *ei)
{
    struct sm_metadata meta = base(m)->meta;                  /* borrows its extra members */
    const struct sm_sidecar side = {.scrypt_n = m->scrypt_n}; /* the whole, and to be searched anew */
    sm_err err = choose_nonce(m, &meta, ei);
    if (!err) err = sm_metadata_save(m->cfg->target, &meta, ei);
    const struct sm_sidecar *old = &m->places[0].side;
    if (!err && (m->scrypt_n || old->has_subset || old->has_searched)) err = sm_sidecar_save(m->cfg->target, &side, ei);
    return err;
}

static sm_err transfer(struct merge *m, const struct item *it, struct sm_errinfo *ei)
{
    char from[PATH_MAX], to[PATH_MAX], tmp[PATH_MAX], name[64];
    bool crosses = true;
    sm_err err = item_path(m, it, from, ei);
    if (!err) err = sm_io_path(to, sizeof to, m->cfg->target, sm_layout_file_name(it->number, name), ei);
    (void)snprintf(name, sizeof name, "merge_%" PRIu64 ".tmp", it->number);
    if (!err) err = sm_io_path(tmp, sizeof tmp, m->cfg->target, name, ei);
    if (err) return err;

    if (!it->copy) err = sm_io_rename_new(from, to, &crosses, ei);
    if (err) return err;
    if (crosses) {
        if (!it->copy) m->progress.total += it->bytes; /* a mount inside one device */
        err = sm_merge_copy(from, tmp, to, it->bytes, m->cancel, &m->progress, ei);
        if (err) return err;
        m->res.files_copied++;
        return sm_io_sync_dir(m->cfg->target, ei);
    }
    m->res.files_moved++;
    err = sm_io_sync_dir(m->cfg->target, ei); /* a crash must not find the name in neither directory */
    return err ? err : sm_io_sync_dir(m->places[it->place].dir, ei);
}

static sm_err count_missing(struct merge *m, struct sm_errinfo *ei)
{
    struct sm_datafile *files = NULL;
    struct sm_sentences ignored = {0};
    size_t n = 0;
    sm_err err = sm_datadir_list(m->cfg->target, &files, &n, &ignored, ei);
    if (!err) m->res.files_missing = sm_datadir_incomplete(files, n, &m->layout);
    sm_sentences_fini(&ignored);
    free(files);
    return err;
}

sm_err sm_merge_run(const struct sm_merge_cfg *cfg, const struct sm_cancel *cancel, struct sm_merge_result *out,
                    struct sm_errinfo *ei)
{
    struct merge m = {.cfg = cfg, .cancel = cancel, .progress = {.fn = cfg->progress, .ctx = cfg->progress_ctx}};
    sm_err err = open_places(&m, ei);
    if (!err && !base(&m)) err = sm_fail(ei, SM_E_NOTFOUND, "%s: neither data nor other parts", cfg->target);
    if (!err) err = agree_all(&m, ei);
    if (!err) err = plan(&m, ei);
    if (!err) err = check_space(&m, ei);
    if (!err) err = save_metadata(&m, ei);
    for (size_t i = 0; i < m.items_n && !err; i++) {
        if (sm_cancelled(cancel))
            err = sm_fail(ei, SM_E_CANCELLED, "the merge was stopped");
        else
            err = transfer(&m, &m.items[i], ei);
    }
    if (!err) err = count_missing(&m, ei);
    if (!err) *out = m.res;
    merge_fini(&m);
    return err;
}
