#include "rig/discover.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "post/datadir.h"
#include "util/io.h"
#include "util/text.h"

#define DIRS_MAX 20000u /* visited; ours: a root of "/" by mistake ends with a sentence */

struct place {
    dev_t dev;
    ino_t ino;
};

struct search {
    const struct sm_rig_cfg *cfg;
    const struct sm_post_params *params;
    const struct sm_disk_tables *tables;
    const struct sm_cancel *cancel;
    struct sm_rig_found found;
    struct place *seen; /* directories */
    size_t seen_n, seen_room;
    bool full;
    bool met;   /* a data set under this root, new or not */
    sm_err err; /* ends the search */
    struct sm_errinfo *ei;
};

/* ---- results ---- */

static void *grow(struct search *s, void *v, size_t n, size_t item)
{
    void *more = realloc(v, (n + 1) * item);
    if (!more) s->err = sm_fail(s->ei, SM_E_NOMEM, "out of memory searching for data sets");
    return more;
}

static void skip(struct search *s, const char *dir, const char *fmt, ...) SM_PRINTF(3, 4);
static void skip(struct search *s, const char *dir, const char *fmt, ...)
{
    struct sm_rig_skipped *v = grow(s, s->found.skipped, s->found.skipped_n, sizeof *v);
    char why[SM_ERRINFO_TEXT];
    if (!v) return;
    s->found.skipped = v;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    struct sm_rig_skipped *it = &v[s->found.skipped_n++];
    *it = (struct sm_rig_skipped){.dir = strdup(dir), .why = strdup(why)};
    if (!it->dir || !it->why) s->err = sm_fail(s->ei, SM_E_NOMEM, "out of memory searching for data sets");
}

void sm_rig_found_fini(struct sm_rig_found *f)
{
    for (size_t i = 0; i < f->sets_n; i++) free(f->sets[i].dir);
    for (size_t i = 0; i < f->skipped_n; i++) {
        free(f->skipped[i].dir);
        free(f->skipped[i].why);
    }
    free(f->sets);
    free(f->skipped);
    *f = (struct sm_rig_found){0};
}

/* ---- one data set ---- */

/* Why it cannot be proved with; false: it can. */
static bool is_unfit(struct search *s, const char *dir, const struct sm_datadir_info *info)
{
    const struct sm_metadata *m = &info->meta;
    const struct sm_post_params *p = s->params;
    if (info->status == SM_DATADIR_NOT_STARTED || info->status == SM_DATADIR_STARTED)
        skip(s, dir, "the data is not complete: %" PRIu64 " of %" PRIu64 " labels%s%s; finish it with init",
             info->labels, info->layout.num_labels, info->problems_n ? "; " : "",
             info->problems_n ? info->problems[0] : "");
    else if (!m->has_nonce)
        skip(s, dir, "the metadata has no VRF nonce, and nodes take no proof without one: search it with nonce");
    else if (m->num_units < p->min_num_units || m->num_units > p->max_num_units)
        skip(s, dir, "%" PRIu32 " units; network %s takes %" PRIu32 " to %" PRIu32, m->num_units, p->name,
             p->min_num_units, p->max_num_units);
    else if (m->labels_per_unit != p->labels_per_unit)
        skip(s, dir, "%" PRIu64 " labels per unit; network %s has %" PRIu64, m->labels_per_unit, p->name,
             p->labels_per_unit);
    else
        return false;
    return true;
}

static void set_name(struct sm_rig_dataset *d, const struct sm_rig_set *set)
{
    char id[SM_HEX_ROOM(5)];
    const char *slash = strrchr(d->dir, '/');
    if (set && set->name)
        (void)snprintf(d->name, sizeof d->name, "%s", set->name);
    else if (slash && slash[1])
        (void)snprintf(d->name, sizeof d->name, "%.40s-%s", slash + 1, sm_hex_encode(d->node_id.b, 5, id));
    else
        (void)snprintf(d->name, sizeof d->name, "%s", sm_hex_encode(d->node_id.b, 5, id));
    for (char *c = d->name; *c; c++) /* names end up in logs and metrics */
        if ((unsigned char)*c < ' ' || *c == '"' || *c == '\\' || *c == 0x7f) *c = '_';
}

static void set_disks(struct search *s, struct sm_rig_dataset *d, const struct sm_rig_set *set)
{
    struct sm_errinfo ei = {0};
    if (sm_disks_of(s->tables, d->dir, &d->disks, &d->rotational, &ei)) /* gone in this very moment */
        (void)snprintf(d->disks.name[d->disks.n++], SM_DISK_ROOM, "%s", "unknown");
    if (!set || !set->disk) return;
    d->disks = (struct sm_disks){.n = 1};
    (void)snprintf(d->disks.name[0], SM_DISK_ROOM, "%s", set->disk);
}

static void add_dataset(struct search *s, const char *real, const struct sm_rig_set *set,
                        const struct sm_datadir_info *info)
{
    struct sm_rig_dataset *v = grow(s, s->found.sets, s->found.sets_n, sizeof *v);
    if (!v) return;
    s->found.sets = v;
    struct sm_rig_dataset *d = &v[s->found.sets_n];
    *d = (struct sm_rig_dataset){.dir = strdup(real),
                                 .node_id = info->meta.node_id,
                                 .commitment_atx_id = info->meta.commitment_atx_id,
                                 .num_units = info->meta.num_units,
                                 .labels_per_unit = info->meta.labels_per_unit,
                                 .vrf_nonce = info->meta.nonce,
                                 .nonces = set && set->nonces ? set->nonces : s->cfg->prove.nonces,
                                 .window_s = set && set->window_s ? set->window_s : s->cfg->prove.window_s,
                                 .paused = set && set->paused};
    if (!d->dir) {
        s->err = sm_fail(s->ei, SM_E_NOMEM, "out of memory searching for data sets");
        return;
    }
    s->found.sets_n++;
    if (d->nonces == 0) d->nonces = s->params->nonces;
    set_name(d, set);
    set_disks(s, d, set);
}

static void take(struct search *s, const char *dir, const struct sm_rig_set *set)
{
    struct sm_datadir_info info = {0};
    struct sm_errinfo ei = {0};
    char real[PATH_MAX];
    if (!realpath(dir, real)) {
        skip(s, dir, "%s", strerror(errno));
        return;
    }
    if (s->found.sets_n == SM_RIG_SETS_MAX) {
        skip(s, real, "more than %u data sets", SM_RIG_SETS_MAX);
        return;
    }
    sm_err err = sm_datadir_inspect(real, &info, &ei);
    if (err) {
        skip(s, real, "%s", ei.text);
        return;
    }
    if (!info.has_meta)
        skip(s, real, "there is no %s", SM_METADATA_FILE);
    else if (!is_unfit(s, real, &info))
        add_dataset(s, real, set, &info);
    sm_datadir_info_fini(&info);
}

/* ---- the walk ---- */

/* First time here? Links make loops, and roots overlap. */
static bool first_visit(struct search *s, const char *dir, bool *out_is_dir)
{
    struct stat st;
    *out_is_dir = stat(dir, &st) == 0 && S_ISDIR(st.st_mode);
    if (!*out_is_dir) return false;
    for (size_t i = 0; i < s->seen_n; i++)
        if (s->seen[i].dev == st.st_dev && s->seen[i].ino == st.st_ino) return false;
    if (s->seen_n == s->seen_room) {
        const size_t room = s->seen_room ? 2 * s->seen_room : 64;
        struct place *seen = realloc(s->seen, room * sizeof *seen);
        if (!seen) {
            s->err = sm_fail(s->ei, SM_E_NOMEM, "out of memory searching for data sets");
            return false;
        }
        s->seen = seen;
        s->seen_room = room;
    }
    s->seen[s->seen_n++] = (struct place){st.st_dev, st.st_ino};
    return true;
}

static bool has_metadata(const char *dir)
{
    static const char *const names[] = {SM_METADATA_FILE, SM_METADATA_BACKUP_FILE};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (sm_io_path(path, sizeof path, dir, names[i], NULL) == SM_OK && access(path, F_OK) == 0) return true;
    return false;
}

static void search_dir(struct search *s, const char *dir, uint64_t depth)
{
    char path[PATH_MAX];
    bool is_dir = false;
    const bool is_set = has_metadata(dir);
    s->met = s->met || is_set;
    if (s->err || s->full || !first_visit(s, dir, &is_dir)) return;
    if (sm_cancelled(s->cancel)) {
        s->err = sm_fail(s->ei, SM_E_CANCELLED, "stopped while searching for data sets");
        return;
    }
    if (s->seen_n >= DIRS_MAX) {
        s->full = true;
        skip(s, dir, "more than %u directories under the roots: name the data sets, or lower data.depth", DIRS_MAX);
        return;
    }
    if (is_set) {
        take(s, dir, NULL);
        return;
    }
    DIR *d = depth ? opendir(dir) : NULL;
    if (!d) {
        if (depth) skip(s, dir, "cannot be listed: %s", strerror(errno));
        return;
    }
    for (const struct dirent *e; !s->err && (e = readdir(d));) {
        const bool may_be_dir = e->d_type == DT_DIR || e->d_type == DT_LNK || e->d_type == DT_UNKNOWN;
        if (!may_be_dir || e->d_name[0] == '.' || strcmp(e->d_name, "lost+found") == 0 ||
            sm_io_path(path, sizeof path, dir, e->d_name, NULL))
            continue;
        search_dir(s, path, depth - 1);
    }
    (void)closedir(d);
}

static void search_root(struct search *s, const char *pattern)
{
    glob_t g = {0};
    const int rc = glob(pattern, 0, NULL, &g);
    const size_t seen = s->seen_n;
    s->met = false;
    if (rc == GLOB_NOSPACE) s->err = sm_fail(s->ei, SM_E_NOMEM, "out of memory searching for data sets");
    if (rc == GLOB_NOMATCH) skip(s, pattern, "this root does not exist, or the pattern matches nothing");
    if (rc == GLOB_ABORTED) skip(s, pattern, "this root cannot be read");
    for (size_t i = 0; rc == 0 && i < g.gl_pathc; i++) search_dir(s, g.gl_pathv[i], s->cfg->data.depth);
    globfree(&g);
    if (rc == 0 && !s->err && s->seen_n > seen && !s->met)
        skip(s, pattern, "no data set here, %" PRIu64 " levels deep", s->cfg->data.depth);
}

static void take_named(struct search *s, const struct sm_rig_set *set)
{
    bool is_dir = false;
    if (first_visit(s, set->dir, &is_dir))
        take(s, set->dir, set);
    else if (!is_dir)
        skip(s, set->dir, "there is no such directory");
    else if (!s->err)
        skip(s, set->dir, "this directory is named twice");
}

/* ---- duplicates ---- */

static int by_name(const void *a, const void *b)
{
    const struct sm_rig_dataset *x = a, *y = b;
    const int c = strcmp(x->name, y->name);
    return c ? c : strcmp(x->dir, y->dir);
}

static const struct sm_rig_dataset *twin_of(const struct search *s, size_t at)
{
    for (size_t i = 0; i < s->found.sets_n; i++)
        if (i != at && memcmp(s->found.sets[i].node_id.b, s->found.sets[at].node_id.b, 32) == 0)
            return &s->found.sets[i];
    return NULL;
}

static void refuse_twins(struct search *s)
{
    struct sm_rig_found *f = &s->found;
    bool *out = calloc(f->sets_n + 1, sizeof *out);
    size_t kept = 0;
    if (!out) {
        s->err = sm_fail(s->ei, SM_E_NOMEM, "out of memory searching for data sets");
        return;
    }
    for (size_t i = 0; i < f->sets_n && !s->err; i++) {
        const struct sm_rig_dataset *twin = twin_of(s, i);
        char id[SM_HEX_ROOM(5)];
        out[i] = twin != NULL;
        if (twin)
            skip(s, f->sets[i].dir, "identity %s is also in %s; neither is served: remove or rename one",
                 sm_hex_encode(f->sets[i].node_id.b, 5, id), twin->dir);
    }
    for (size_t i = 0; i < f->sets_n; i++) {
        if (out[i])
            free(f->sets[i].dir);
        else
            f->sets[kept++] = f->sets[i];
    }
    f->sets_n = kept;
    free(out);
}

sm_err sm_rig_discover(const struct sm_rig_cfg *cfg, const struct sm_post_params *params,
                       const struct sm_disk_tables *tables, const struct sm_cancel *cancel, struct sm_rig_found *out,
                       struct sm_errinfo *ei)
{
    struct search s = {.cfg = cfg, .params = params, .tables = tables, .cancel = cancel, .ei = ei};
    for (size_t i = 0; !s.err && i < cfg->data.sets_n; i++) take_named(&s, &cfg->data.sets[i]);
    for (size_t i = 0; !s.err && i < cfg->data.roots.n; i++) search_root(&s, cfg->data.roots.v[i]);
    if (!s.err) refuse_twins(&s);
    if (!s.err && s.found.sets_n) qsort(s.found.sets, s.found.sets_n, sizeof *s.found.sets, by_name);
    free(s.seen);
    if (s.err)
        sm_rig_found_fini(&s.found);
    else
        *out = s.found;
    return s.err;
}
