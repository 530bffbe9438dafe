#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/scrypt.h"
#include "post/difficulty.h"
#include "post/init_run.h"
#include "util/io.h"
#include "util/text.h"

#define NEW_FILE_MULTIPLE 128u /* eight labels, or the prover of the reference loses the rest: post.md §3.3 */

/* ---- options ---- */

static sm_err check_file_size(uint64_t bytes, bool new_data, struct sm_errinfo *ei)
{
    const uint64_t multiple = new_data ? NEW_FILE_MULTIPLE : SM_LABEL_BYTES;
    if (bytes >= SM_MAX_FILE_SIZE_MIN && bytes % multiple == 0) return SM_OK;
    return sm_fail(ei, SM_E_ARG,
                   "a maximum file size of %" PRIu64 " bytes is not a multiple of %" PRIu64 " that is at least %u",
                   bytes, multiple, SM_MAX_FILE_SIZE_MIN);
}

static sm_err check_options(struct sm_init_run *r, struct sm_errinfo *ei)
{
    const struct sm_init_cfg *c = r->cfg;
    uint64_t labels = 0;
    if (!c->engines_n) return sm_fail(ei, SM_E_ARG, "no engine was given that could compute labels");
    if (c->scrypt_n < SM_SCRYPT_N_MIN || c->scrypt_n > SM_SCRYPT_N_MAX || (c->scrypt_n & (c->scrypt_n - 1)))
        return sm_fail(ei, SM_E_ARG, "scrypt N = %u is not a power of two from %u to %u", c->scrypt_n, SM_SCRYPT_N_MIN,
                       SM_SCRYPT_N_MAX);
    if (!c->num_units || !c->labels_per_unit)
        return sm_fail(ei, SM_E_ARG, "%u units of %" PRIu64 " labels are no data set", c->num_units,
                       c->labels_per_unit);
    sm_err err = sm_num_labels(c->num_units, c->labels_per_unit, &labels, ei);
    if (err) return err;
    if (labels > INT64_MAX / SM_LABEL_BYTES)
        return sm_fail(ei, SM_E_ARG, "%u units of %" PRIu64 " labels are more than any disk holds", c->num_units,
                       c->labels_per_unit);
    err = sm_vrf_difficulty(labels, r->difficulty, ei);
    if (err) return sm_fail_add(ei, err, ": the data set is too small for a VRF nonce");
    err = check_file_size(c->max_file_size, false, ei);
    if (err) return err;
    return sm_layout_make(labels, c->max_file_size, c->from_file, c->to_file, &r->layout, ei);
}

/* ---- the directory ---- */

/* Which directory gets which file, and whether there is room. */
static sm_err arrange(struct sm_init_run *r, const struct sm_datadir_info *info, struct sm_errinfo *ei)
{
    const struct sm_init_cfg *c = r->cfg;
    const struct sm_spread_job job = {.main_dir = c->dir,
                                      .commitment = r->commitment,
                                      .layout = &r->layout,
                                      .files = info->files,
                                      .files_n = info->files_n,
                                      .also = c->also,
                                      .also_n = c->also_n,
                                      .same_disk = c->same_disk};
    struct sm_spread_rooms rooms = {0};
    sm_err err = sm_spread_arrange(&r->spread, &job, &r->spread_changed, &rooms, ei);
    free(rooms.v);
    return err;
}

/* A new directory only after what would be refused in it. */
static sm_err make_directory(struct sm_init_run *r, struct sm_errinfo *ei)
{
    const char *dir = r->cfg->dir;
    struct stat st;
    char copy[PATH_MAX];
    if (stat(dir, &st) == 0) return SM_OK;
    if (errno != ENOENT) return sm_fail_errno(ei, errno, "cannot examine %s", dir);
    sm_err err = check_file_size(r->cfg->max_file_size, true, ei);
    if (err) return err;
    if ((size_t)snprintf(copy, sizeof copy, "%s", dir) >= sizeof copy)
        return sm_fail(ei, SM_E_ARG, "path too long: %s", dir);
    const char *parent = dirname(copy);
    if (stat(parent, &st) != 0)
        return sm_fail_errno(ei, errno, "cannot create %s: its parent directory cannot be examined", dir);
    err = arrange(r, &(struct sm_datadir_info){0}, ei);
    sm_spread_fini(&r->spread); /* it is arranged again when the directory is locked */
    if (err) return err;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) return sm_fail_errno(ei, errno, "cannot create directory %s", dir);
    return sm_io_sync_dir(parent, ei);
}

/* ---- metadata ---- */

static sm_err same_id(const char *what, const uint8_t a[32], const uint8_t b[32], const char *dir,
                      struct sm_errinfo *ei)
{
    char x[SM_HEX_ROOM(32)], y[SM_HEX_ROOM(32)];
    if (memcmp(a, b, 32) == 0) return SM_OK;
    return sm_fail(ei, SM_E_MISMATCH, "%s: %s in the metadata is %s, in the options %s", dir, what,
                   sm_hex_encode(a, 32, x), sm_hex_encode(b, 32, y));
}

static sm_err same_number(const char *what, uint64_t a, uint64_t b, const char *dir, struct sm_errinfo *ei)
{
    if (a == b) return SM_OK;
    return sm_fail(ei, SM_E_MISMATCH, "%s: %s in the metadata is %" PRIu64 ", in the options %" PRIu64, dir, what, a,
                   b);
}

static sm_err check_num_units(struct sm_init_run *r, struct sm_errinfo *ei)
{
    const uint32_t have = r->meta.num_units, want = r->cfg->num_units, to = r->side.grow_to;
    const char *dir = r->cfg->dir;
    if (to && to != have && (!r->cfg->grow || want != to))
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s is being grown from %u to %u units, the options say %u: finish that with `smesher grow`, or "
                       "go back with `smesher shrink` to %u",
                       dir, have, to, want, have);
    if (want < have)
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s: the metadata says %u units, the options %u: to remove labels use `smesher shrink`", dir,
                       have, want);
    if (want > have && !r->cfg->grow)
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s: the metadata says %u units, the options %u: to add units use `smesher grow`", dir, have,
                       want);
    r->growing = want > have;
    return SM_OK;
}

static sm_err check_metadata(struct sm_init_run *r, struct sm_errinfo *ei)
{
    const struct sm_init_cfg *c = r->cfg;
    const struct sm_metadata *m = &r->meta;
    sm_err err = same_id("NodeId", m->node_id.b, c->node_id.b, c->dir, ei);
    if (!err) err = same_id("CommitmentAtxId", m->commitment_atx_id.b, c->commitment_atx_id.b, c->dir, ei);
    if (!err) err = same_number("LabelsPerUnit", m->labels_per_unit, c->labels_per_unit, c->dir, ei);
    if (!err) err = same_number("MaxFileSize", m->max_file_size, c->max_file_size, c->dir, ei);
    if (!err && m->has_scrypt) {
        err = same_number("Scrypt N", m->scrypt_n, c->scrypt_n, c->dir, ei);
        if (!err) err = same_number("Scrypt R", m->scrypt_r, 1, c->dir, ei);
        if (!err) err = same_number("Scrypt P", m->scrypt_p, 1, c->dir, ei);
    }
    if (!err) err = check_num_units(r, ei);
    if (!err && m->version > SM_METADATA_VERSION)
        err = sm_fail(ei, SM_E_FORMAT,
                      "%s: the metadata has Version %u, newer than the %u this program may write: use the program that "
                      "made it",
                      c->dir, m->version, SM_METADATA_VERSION);
    return err;
}

/* ---- side file ---- */

static bool is_complete(const struct sm_init_run *r, uint64_t number)
{
    for (size_t i = 0; i < r->parts_n; i++)
        if (r->parts[i].number == number) return r->parts[i].labels == sm_layout_file_labels(&r->layout, number);
    return false;
}

/* Another range than the recorded one is fine when it only adds files that are there already: parts that were brought
 * together by hand. */
static bool may_widen(const struct sm_init_run *r, uint64_t from, uint64_t to)
{
    const struct sm_layout *l = &r->layout;
    if (l->from > from || l->to < to) return false;
    if (to - from + 1 + r->parts_n < l->to - l->from + 1) return false; /* cheap before the walk */
    for (uint64_t i = l->from; i <= l->to; i++)
        if ((i < from || i > to) && !is_complete(r, i)) return false;
    return true;
}

static sm_err check_subset(struct sm_init_run *r, struct sm_errinfo *ei)
{
    const struct sm_layout *l = &r->layout;
    const uint64_t from = r->side.has_subset ? r->side.from : 0;
    const uint64_t to = r->side.has_subset ? r->side.to : l->files - 1;
    if (from == l->from && to == l->to) return SM_OK;
    if (r->growing && from == l->from && to <= l->to) return SM_OK;
    if (may_widen(r, from, to)) {
        r->rescan = true; /* of the added files nobody knows whether the nonce covers them */
        return SM_OK;
    }
    return sm_fail(ei, SM_E_MISMATCH,
                   "%s is responsible for files %" PRIu64 " to %" PRIu64 " (" SM_SIDECAR_FILE
                   "), the options say %" PRIu64 " to %" PRIu64
                   ": give the same --from-file and --to-file, or delete that file to change its range",
                   r->cfg->dir, from, to, l->from, l->to);
}

static sm_err check_sidecar(struct sm_init_run *r, struct sm_errinfo *ei)
{
    if (!r->has_side) return SM_OK;
    if (r->side.scrypt_n && r->side.scrypt_n != r->cfg->scrypt_n)
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s: the labels were made with scrypt N = %u (" SM_SIDECAR_FILE "), the options say %u",
                       r->cfg->dir, r->side.scrypt_n, r->cfg->scrypt_n);
    return check_subset(r, ei);
}

/* ---- files ---- */

/* Refuses what the layout does not know and takes the files of the subset. */
static sm_err take_files(struct sm_init_run *r, const struct sm_datadir_info *info, struct sm_errinfo *ei)
{
    const struct sm_layout *l = &r->layout;
    char name[64];
    r->parts = calloc(info->files_n ? info->files_n : 1, sizeof *r->parts);
    if (!r->parts) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu files", info->files_n);
    for (size_t i = 0; i < info->files_n; i++) {
        const struct sm_datafile *f = &info->files[i];
        const uint64_t want = sm_layout_file_labels(l, f->number);
        sm_layout_file_name(f->number, name);
        if (f->number >= l->files)
            return sm_fail(ei, SM_E_MISMATCH,
                           "%s/%s is beyond the %" PRIu64 " files of %u units: to remove labels use `smesher shrink`",
                           r->cfg->dir, name, l->files, r->cfg->num_units);
        if (f->bytes > want * SM_LABEL_BYTES)
            return sm_fail(ei, SM_E_MISMATCH,
                           "%s/%s has %" PRIu64 " bytes, %u units need %" PRIu64
                           " of them: to remove labels use `smesher shrink`",
                           r->cfg->dir, name, f->bytes, r->cfg->num_units, want * SM_LABEL_BYTES);
        if (f->number < l->from || f->number > l->to) continue;
        r->parts[r->parts_n++] =
            (struct sm_init_part){.number = f->number, .bytes = f->bytes, .labels = f->bytes / SM_LABEL_BYTES};
    }
    return SM_OK;
}

static sm_err load_sidecar(struct sm_init_run *r, struct sm_errinfo *ei)
{
    struct sm_errinfo why = {0};
    const sm_err err = sm_sidecar_load(r->cfg->dir, &r->side, &why);
    r->has_side = !err;
    return err && err != SM_E_NOTFOUND ? sm_fail(ei, err, "%s", why.text) : SM_OK;
}

static sm_err load_spread(struct sm_init_run *r, struct sm_errinfo *ei)
{
    struct sm_errinfo why = {0};
    const sm_err err = sm_spread_load(r->cfg->dir, &r->spread, &why);
    return err && err != SM_E_NOTFOUND ? sm_fail(ei, err, "%s", why.text) : SM_OK;
}

static sm_err check_all(struct sm_init_run *r, const struct sm_datadir_info *info, struct sm_errinfo *ei)
{
    if (!r->has_meta && info->labels)
        return sm_fail(ei, SM_E_NOTFOUND,
                       "%s holds labels but no " SM_METADATA_FILE ": restore it from a copy, or use another directory",
                       r->cfg->dir);
    sm_err err = r->has_meta ? check_metadata(r, ei) : check_file_size(r->cfg->max_file_size, true, ei);
    if (!err) err = take_files(r, info, ei);
    if (!err) err = check_sidecar(r, ei);
    if (!err) err = load_spread(r, ei);
    return err ? err : arrange(r, info, ei);
}

sm_err sm_init_open(struct sm_init_run *r, struct sm_errinfo *ei)
{
    struct sm_datadir_info info = {0};
    sm_err err = check_options(r, ei);
    if (!err) err = make_directory(r, ei);
    if (!err) err = sm_dirlock_take(r->cfg->dir, true, &r->lock, ei);
    if (!err) err = sm_datadir_inspect(r->cfg->dir, &info, ei);
    if (!err) err = load_sidecar(r, ei);
    if (err) goto out;
    r->has_meta = info.has_meta;
    r->meta_from_backup = info.meta_from_backup;
    r->meta = info.meta;
    info.meta.extra = NULL; /* ours now */
    err = check_all(r, &info, ei);
out:
    sm_datadir_info_fini(&info);
    return err;
}
