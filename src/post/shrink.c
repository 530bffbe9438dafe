#include "post/shrink.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "post/datadir.h"
#include "post/datadir_list.h"
#include "post/sidecar.h"
#include "post/spread.h"
#include "util/io.h"

struct shrink {
    const char *dir;
    struct sm_metadata meta; /* as found */
    struct sm_sidecar side;
    bool has_side;
    struct sm_layout after;
    struct sm_datafile *files;
    size_t files_n;
    struct sm_sentences ignored; /* odd names are not ours to remove */
    struct sm_shrink_plan plan;
};

static void shrink_fini(struct shrink *s)
{
    sm_metadata_fini(&s->meta);
    free(s->files);
    sm_sentences_fini(&s->ignored);
}

static sm_err check_units(const struct shrink *s, uint32_t to_units, struct sm_errinfo *ei)
{
    if (to_units == 0) return sm_fail(ei, SM_E_ARG, "a data set has at least one unit");
    if (to_units > s->meta.num_units)
        return sm_fail(ei, SM_E_ARG, "%s has %" PRIu32 " units; %" PRIu32 " would be more: use grow", s->dir,
                       s->meta.num_units, to_units);
    if (s->meta.version > SM_METADATA_VERSION)
        return sm_fail(ei, SM_E_FORMAT, "the metadata in %s has Version %" PRIu32 ": this program may not change it",
                       s->dir, s->meta.version);
    return SM_OK;
}

static sm_err load(struct shrink *s, uint32_t to_units, struct sm_errinfo *ei)
{
    bool from_backup;
    struct sm_errinfo why = {0};
    sm_err err = sm_spread_check_marks(s->dir, ei);
    if (!err) err = sm_datadir_list(s->dir, &s->files, &s->files_n, &s->ignored, ei);
    if (err) return err;
    err = sm_metadata_load(s->dir, &s->meta, &from_backup, ei);
    if (err) return err;
    err = check_units(s, to_units, ei);
    if (err) return err;
    err = sm_sidecar_load(s->dir, &s->side, &why);
    if (err && err != SM_E_NOTFOUND) return sm_fail(ei, err, "%s", why.text);
    s->has_side = !err;
    err = sm_layout_make(s->meta.labels_per_unit * to_units, s->meta.max_file_size, SM_LAYOUT_ALL, SM_LAYOUT_ALL,
                         &s->after, ei);
    if (err) return err;
    if (s->side.has_subset && s->side.from >= s->after.files)
        return sm_fail(ei, SM_E_ARG,
                       "%s holds files %" PRIu64 " to %" PRIu64 ", and %" PRIu32
                       " units end before them: remove the directory by hand if that is meant",
                       s->dir, s->side.from, s->side.to, to_units);
    return SM_OK;
}

static void make_plan(struct shrink *s, uint32_t to_units)
{
    struct sm_shrink_plan *p = &s->plan;
    p->from_units = s->meta.num_units;
    p->to_units = to_units;
    for (size_t i = 0; i < s->files_n; i++) {
        const struct sm_datafile *f = &s->files[i];
        const uint64_t keep = sm_layout_file_labels(&s->after, f->number) * SM_LABEL_BYTES;
        if (f->number >= s->after.files) {
            p->files_removed++;
            p->bytes_removed += f->bytes;
        } else if (f->number == s->after.files - 1 && f->bytes > keep) {
            p->cut_file = f->number;
            p->cut_bytes_after = keep;
            p->bytes_removed += f->bytes - keep;
        }
    }
}

sm_err sm_shrink_plan(const char *dir, uint32_t to_units, struct sm_shrink_plan *out, struct sm_errinfo *ei)
{
    struct shrink s = {.dir = dir};
    sm_err err = load(&s, to_units, ei);
    if (!err) {
        make_plan(&s, to_units);
        *out = s.plan;
    }
    shrink_fini(&s);
    return err;
}

/* ---- doing it ---- */

/* Files that go are planned again when the data set grows. */
static sm_err forget_plan(const struct shrink *s, struct sm_errinfo *ei)
{
    struct sm_spread spread = {0};
    struct sm_errinfo why = {0};
    sm_err err = sm_spread_load(s->dir, &spread, &why);
    if (err == SM_E_NOTFOUND) return SM_OK;
    if (err) return sm_fail(ei, err, "%s", why.text);
    if (spread.stretches_n && spread.stretches[spread.stretches_n - 1].to >= s->after.files) {
        sm_spread_cut(&spread, s->after.files);
        err = sm_spread_save(s->dir, &spread, ei);
    }
    sm_spread_fini(&spread);
    return err;
}

/* Until this is durable nothing is removed: a crash in between leaves more data than the metadata says, never less. */
static sm_err lower_metadata(struct shrink *s, struct sm_errinfo *ei)
{
    s->meta.num_units = s->plan.to_units;
    sm_err err = sm_metadata_save(s->dir, &s->meta, ei);
    if (!err) err = forget_plan(s, ei);
    if (err || !s->has_side) return err;
    struct sm_sidecar *side = &s->side;
    const bool clip = side->has_subset && side->to >= s->after.files;
    const bool forget = side->has_searched && side->searched > s->after.num_labels;
    if (!clip && !forget && !side->grow_to) return SM_OK;
    if (clip) side->to = s->after.files - 1;
    if (forget) side->searched = s->after.num_labels;
    side->grow_to = 0;
    return sm_sidecar_save(s->dir, side, ei);
}

static sm_err remove_file(const char *path, struct sm_errinfo *ei)
{
    char real[PATH_MAX];
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && realpath(path, real)) {
        sm_err err = sm_io_unlink(real, ei);
        if (!err) err = sm_io_sync_dir(dirname(real), ei); /* before the link: a name that comes back has its link */
        if (err) return err;
    }
    return sm_io_unlink(path, ei);
}

static sm_err remove_files(const struct shrink *s, struct sm_errinfo *ei)
{
    for (size_t i = s->files_n; i-- > 0 && s->files[i].number >= s->after.files;) {
        char name[64], path[PATH_MAX];
        sm_err err = sm_io_path(path, sizeof path, s->dir, sm_layout_file_name(s->files[i].number, name), ei);
        if (!err) err = remove_file(path, ei);
        if (err) return err;
    }
    return SM_OK;
}

/* Links whose file is gone already, after a crash between the two. */
static sm_err remove_dangling(const struct shrink *s, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    DIR *d = opendir(s->dir);
    if (!d) return sm_fail_errno(ei, errno, "cannot list directory %s", s->dir);
    for (const struct dirent *e; !err && (e = readdir(d));) {
        char path[PATH_MAX];
        struct stat st;
        uint64_t number;
        if (sm_data_name_parse(e->d_name, &number) != SM_DATA_NAME_FILE || number < s->after.files) continue;
        err = sm_io_path(path, sizeof path, s->dir, e->d_name, ei);
        if (!err && stat(path, &st) != 0 && errno == ENOENT && lstat(path, &st) == 0) err = sm_io_unlink(path, ei);
    }
    (void)closedir(d);
    return err;
}

static sm_err cut_last(const struct shrink *s, struct sm_errinfo *ei)
{
    char name[64], path[PATH_MAX];
    int fd = -1;
    if (!s->plan.cut_bytes_after) return SM_OK;
    sm_err err = sm_io_path(path, sizeof path, s->dir, sm_layout_file_name(s->plan.cut_file, name), ei);
    if (!err) err = sm_io_open(path, O_WRONLY, 0, &fd, ei);
    if (!err) err = sm_io_truncate(fd, path, s->plan.cut_bytes_after, ei);
    if (!err) err = sm_io_sync(fd, path, ei);
    sm_io_close(fd);
    return err;
}

sm_err sm_shrink_run(const char *dir, uint32_t to_units, struct sm_errinfo *ei)
{
    struct shrink s = {.dir = dir};
    struct sm_dirlock lock = SM_DIRLOCK_NONE;
    sm_err err = sm_dirlock_take(dir, true, &lock, ei);
    if (err) return err;
    err = load(&s, to_units, ei);
    if (err) goto out;
    make_plan(&s, to_units);

    err = lower_metadata(&s, ei);
    if (!err) err = remove_files(&s, ei);
    if (!err) err = remove_dangling(&s, ei);
    if (!err) err = cut_last(&s, ei);
    if (!err) err = sm_io_sync_dir(dir, ei);
out:
    shrink_fini(&s);
    sm_dirlock_release(&lock);
    return err;
}
