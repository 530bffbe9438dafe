#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "post/datadir_list.h"
#include "post/spread.h"
#include "util/io.h"

#define SMALL_FILES_BYTES 65536u /* metadata, marks, locks: what every file system must have left */

struct planner {
    struct sm_spread *s;
    const struct sm_spread_job *job;
    struct sm_spread_rooms rooms;
    size_t first_new;                   /* directory that the manifest does not have yet */
    size_t room_of[SM_SPREAD_DIRS_MAX]; /* the file system of each directory */
    uint64_t used[SM_SPREAD_DIRS_MAX];  /* bytes of labels that are or will be in each directory */
    struct sm_errinfo *ei;
};

/* ---- file systems ---- */

static sm_err add_room(struct planner *p, const struct stat *st, const char *path, size_t *out)
{
    for (size_t i = 0; i < p->rooms.n; i++) {
        if (p->rooms.v[i].device != st->st_dev) continue;
        *out = i;
        return SM_OK;
    }
    struct sm_spread_room *v = realloc(p->rooms.v, (p->rooms.n + 1) * sizeof *v);
    if (!v) return sm_fail(p->ei, SM_E_NOMEM, "out of memory planning a data set");
    p->rooms.v = v;
    struct sm_spread_room *r = &v[p->rooms.n];
    *r = (struct sm_spread_room){.device = st->st_dev};
    (void)snprintf(r->path, sizeof r->path, "%s", path);
    sm_err err = sm_io_free_bytes(path, &r->free_bytes, p->ei);
    if (!err) *out = p->rooms.n++;
    return err;
}

/* A directory that is not there yet will be on the file system of its parent. */
static sm_err look(struct planner *p, const char *dir, size_t *out_room)
{
    struct stat st;
    char copy[PATH_MAX];
    if (stat(dir, &st) == 0) {
        if (!S_ISDIR(st.st_mode)) return sm_fail(p->ei, SM_E_ARG, "%s is not a directory", dir);
        return add_room(p, &st, dir, out_room);
    }
    if (errno != ENOENT) return sm_fail_errno(p->ei, errno, "cannot examine %s", dir);
    (void)snprintf(copy, sizeof copy, "%s", dir);
    const char *parent = dirname(copy);
    if (stat(parent, &st) != 0)
        return sm_fail_errno(p->ei, errno, "cannot create %s: its parent directory cannot be examined", dir);
    return add_room(p, &st, parent, out_room);
}

static const char *dir_path(const struct planner *p, size_t i)
{
    return i ? p->s->dirs[i].path : p->job->main_dir;
}

/* ---- directories ---- */

static sm_err absolute(const char *dir, char out[PATH_MAX], struct sm_errinfo *ei)
{
    char a[PATH_MAX], b[PATH_MAX], parent[PATH_MAX];
    if (realpath(dir, out)) return SM_OK;
    if (errno != ENOENT) return sm_fail_errno(ei, errno, "cannot examine %s", dir);
    if ((size_t)snprintf(a, sizeof a, "%s", dir) >= sizeof a) return sm_fail(ei, SM_E_ARG, "path too long: %s", dir);
    (void)snprintf(b, sizeof b, "%s", dir);
    if (!realpath(dirname(a), parent))
        return sm_fail_errno(ei, errno, "cannot create %s: its parent directory cannot be examined", dir);
    return sm_io_path(out, PATH_MAX, parent, basename(b), ei);
}

/* A new directory of the set: empty of data, and of marks of other sets. */
static sm_err check_new(struct planner *p, size_t i)
{
    const char *dir = p->s->dirs[i].path;
    char path[PATH_MAX];
    struct sm_datafile *files = NULL;
    struct sm_sentences odd = {0};
    struct sm_errinfo why = {0};
    struct sm_commitment marked;
    struct stat st;
    size_t n = 0, place = 0;
    if (stat(dir, &st) != 0) return SM_OK; /* look() has found its parent */
    sm_err err = sm_io_path(path, sizeof path, dir, SM_METADATA_FILE, p->ei);
    if (err) return err;
    if (stat(path, &st) == 0)
        return sm_fail(p->ei, SM_E_MISMATCH, "%s is a data directory of its own: to join it with another one use merge",
                       dir);
    err = sm_spread_read_mark(dir, &marked, &place, &why);
    if (err == SM_E_FORMAT) return sm_fail(p->ei, err, "%s", why.text);
    if (!err && memcmp(&marked, &p->job->commitment, sizeof marked) != 0)
        return sm_fail(p->ei, SM_E_MISMATCH,
                       "%s belongs to another data set (" SM_SPREAD_MARK "): name another directory", dir);
    err = sm_datadir_list(dir, &files, &n, &odd, p->ei);
    if (!err && n)
        err = sm_fail(p->ei, SM_E_MISMATCH,
                      "%s holds data files already, postdata_%" PRIu64 ".bin for example: name an empty directory", dir,
                      files[0].number);
    sm_sentences_fini(&odd);
    free(files);
    return err;
}

static sm_err add_dir(struct planner *p, const char *path, uint64_t max_bytes)
{
    struct sm_spread *s = p->s;
    if (s->dirs_n == SM_SPREAD_DIRS_MAX)
        return sm_fail(p->ei, SM_E_ARG, "a data set can be in %u directories at most", SM_SPREAD_DIRS_MAX);
    struct sm_spread_dir *v = realloc(s->dirs, (s->dirs_n + 1) * sizeof *v);
    if (!v) return sm_fail(p->ei, SM_E_NOMEM, "out of memory planning a data set");
    s->dirs = v;
    s->dirs[s->dirs_n] = (struct sm_spread_dir){.max_bytes = max_bytes};
    memcpy(s->dirs[s->dirs_n++].path, path, strlen(path) + 1);
    return SM_OK;
}

/* Index of a directory; dirs_n when it is new. */
static size_t find_dir(const struct planner *p, const char *path, const char *main_path)
{
    if (strcmp(path, main_path) == 0) return 0;
    size_t i = 1;
    while (i < p->s->dirs_n && strcmp(p->s->dirs[i].path, path) != 0) i++;
    return i;
}

/* Adds what is wanted and not known; *out_new: something was. */
static sm_err take_wanted(struct planner *p, bool *out_new)
{
    const struct sm_spread_job *job = p->job;
    char main_path[PATH_MAX], path[PATH_MAX];
    sm_err err = absolute(job->main_dir, main_path, p->ei);
    if (!err && !p->s->dirs_n) err = add_dir(p, ".", SM_SPREAD_UNLIMITED);
    p->first_new = p->s->dirs_n;
    for (size_t k = 0; k < job->also_n && !err; k++) {
        const struct sm_spread_want *w = &job->also[k];
        err = absolute(w->dir, path, p->ei);
        if (err) break;
        const size_t i = find_dir(p, path, main_path);
        if (i < p->s->dirs_n) {
            *out_new |= p->s->dirs[i].max_bytes != w->max_bytes;
            p->s->dirs[i].max_bytes = w->max_bytes;
            continue;
        }
        *out_new = true;
        err = add_dir(p, path, w->max_bytes);
        if (!err) err = look(p, path, &p->room_of[i]);
        if (!err) err = check_new(p, i);
    }
    return err;
}

/* Somebody who names two disks has two: the same file system twice is a disk that is not mounted. */
static sm_err check_apart(const struct planner *p)
{
    if (p->job->same_disk) return SM_OK;
    for (size_t i = p->first_new; i < p->s->dirs_n; i++)
        for (size_t k = 0; k < i; k++)
            if (p->room_of[i] == p->room_of[k])
                return sm_fail(p->ei, SM_E_MISMATCH,
                               "%s and %s are on one file system: is a disk not mounted? If that is meant, add "
                               "--same-disk",
                               dir_path(p, k), dir_path(p, i));
    return SM_OK;
}

/* ---- files ---- */

static uint64_t file_bytes(const struct planner *p, uint64_t number)
{
    return sm_layout_file_labels(p->job->layout, number) * SM_LABEL_BYTES;
}

/* Where an existing file is: dirs_n when a link leads out of the directories. */
static size_t dir_of_link(const struct planner *p, const char *path)
{
    char target[PATH_MAX];
    const ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0) return 0;
    target[n] = '\0';
    const char *dir = dirname(target);
    size_t d = 1;
    while (d < p->s->dirs_n && strcmp(p->s->dirs[d].path, dir) != 0) d++;
    return d;
}

/* What is still to be written to the files that exist, on the file systems where they are. */
static sm_err count_existing(struct planner *p, uint64_t *out_next)
{
    const struct sm_layout *l = p->job->layout;
    *out_next = l->from;
    for (size_t i = 0; i < p->job->files_n; i++) {
        const struct sm_datafile *f = &p->job->files[i];
        char name[64], path[PATH_MAX];
        struct stat st;
        size_t room = 0;
        if (f->number < l->from || f->number > l->to) continue;
        *out_next = f->number + 1;
        sm_err err = sm_io_path(path, sizeof path, p->job->main_dir, sm_layout_file_name(f->number, name), p->ei);
        if (!err && stat(path, &st) != 0) err = sm_fail_errno(p->ei, errno, "cannot examine %s", path);
        if (!err) err = add_room(p, &st, path, &room);
        if (err) return err;
        const uint64_t want = file_bytes(p, f->number);
        const uint64_t have = f->allocated_bytes > f->bytes ? f->allocated_bytes : f->bytes;
        p->rooms.v[room].need_bytes += have < want ? want - have : 0; /* what is reserved counts as written */
        const size_t d = dir_of_link(p, path);
        if (d < p->s->dirs_n) p->used[d] += want;
    }
    return SM_OK;
}

/* Files that do not exist and have their place, up to `end`. */
static void count_planned(struct planner *p, uint64_t end)
{
    struct sm_spread_walk walk = {.s = p->s};
    size_t k = 0;
    for (uint64_t i = p->job->layout->from; i < end; i++) {
        while (k < p->job->files_n && p->job->files[k].number < i) k++;
        if (k < p->job->files_n && p->job->files[k].number == i) continue;
        const size_t d = sm_spread_walk_to(&walk, i);
        p->used[d] += file_bytes(p, i);
        p->rooms.v[p->room_of[d]].need_bytes += file_bytes(p, i);
    }
}

/* One directory: what is not there will be. */
static void count_alone(struct planner *p)
{
    const struct sm_layout *l = p->job->layout;
    uint64_t bytes = sm_layout_subset_labels(l) * SM_LABEL_BYTES;
    for (size_t i = 0; i < p->job->files_n; i++)
        if (p->job->files[i].number >= l->from && p->job->files[i].number <= l->to)
            bytes -= file_bytes(p, p->job->files[i].number);
    p->rooms.v[p->room_of[0]].need_bytes += bytes;
}

static bool takes(const struct planner *p, size_t d, uint64_t bytes)
{
    const struct sm_spread_room *r = &p->rooms.v[p->room_of[d]];
    const uint64_t limit = p->s->dirs[d].max_bytes;
    return p->used[d] <= limit && limit - p->used[d] >= bytes &&
           r->need_bytes + bytes + SMALL_FILES_BYTES <= r->free_bytes;
}

static sm_err no_room(const struct planner *p, uint64_t from, uint64_t first_without)
{
    char text[256] = "";
    size_t n = 0;
    uint64_t need = 0;
    for (uint64_t i = from; i <= p->job->layout->to; i++) need += file_bytes(p, i);
    for (size_t i = 0; i < p->rooms.n && n < sizeof text - 1; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s has %.2f GiB free", i ? ", " : "", p->rooms.v[i].path,
                              (double)p->rooms.v[i].free_bytes / (1u << 30));
    return sm_fail(
        p->ei, SM_E_NOSPACE,
        "the files from postdata_%" PRIu64
        ".bin on do not fit: %.2f GiB are to be written (%s, and the limits given): name another directory by "
        "--also, raise a limit, or choose fewer units",
        first_without, (double)need / (1u << 30), text);
}

/* The stretch [from, to], turn by turn. A directory that once had no room is left out for good, so that the shares alone
 * give the same order again. */
static sm_err plan_stretch(struct planner *p, uint64_t from, uint64_t to)
{
    struct sm_spread *s = p->s;
    struct sm_spread_stretch t = {.from = from, .to = to};
    bool out[SM_SPREAD_DIRS_MAX] = {false};
    size_t d = s->dirs_n - 1;
    for (uint64_t i = from; i <= to; i++) {
        size_t tries = 0;
        do {
            d = (d + 1) % s->dirs_n;
            out[d] = out[d] || !takes(p, d, file_bytes(p, i));
        } while (out[d] && ++tries < s->dirs_n);
        if (out[d]) return no_room(p, from, i);
        t.share[d]++;
        p->used[d] += file_bytes(p, i);
        p->rooms.v[p->room_of[d]].need_bytes += file_bytes(p, i);
    }
    struct sm_spread_stretch *v = realloc(s->stretches, (s->stretches_n + 1) * sizeof *v);
    if (!v) return sm_fail(p->ei, SM_E_NOMEM, "out of memory planning a data set");
    s->stretches = v;
    s->stretches[s->stretches_n++] = t;
    return SM_OK;
}

static sm_err check_rooms(const struct planner *p)
{
    for (size_t i = 0; i < p->rooms.n; i++) {
        const struct sm_spread_room *r = &p->rooms.v[i];
        if (!r->need_bytes || r->free_bytes >= r->need_bytes + SMALL_FILES_BYTES) continue;
        return sm_fail(p->ei, SM_E_NOSPACE,
                       "the file system of %s has %" PRIu64
                       " bytes (%.2f GiB) free, the labels still to write there need %" PRIu64
                       " (%.2f GiB): free space, choose fewer units, or name another directory by --also",
                       r->path, r->free_bytes, (double)r->free_bytes / (1u << 30), r->need_bytes,
                       (double)r->need_bytes / (1u << 30));
    }
    return SM_OK;
}

/* ---- all of it ---- */

static sm_err same_set(const struct planner *p)
{
    if (!p->s->dirs_n || memcmp(&p->s->commitment, &p->job->commitment, sizeof p->s->commitment) == 0) return SM_OK;
    return sm_fail(p->ei, SM_E_MISMATCH,
                   "%s/" SM_SPREAD_FILE " is of another identity: was it copied from another data directory?",
                   p->job->main_dir);
}

static sm_err arrange(struct planner *p, bool *out_changed)
{
    const struct sm_layout *l = p->job->layout;
    bool changed = false;
    uint64_t next = l->from;
    sm_err err = same_set(p);
    p->s->commitment = p->job->commitment;
    for (size_t i = 0; i < p->s->dirs_n && !err; i++) err = look(p, dir_path(p, i), &p->room_of[i]);
    if (!err && !p->s->dirs_n) err = look(p, p->job->main_dir, &p->room_of[0]);
    if (!err) err = take_wanted(p, &changed);
    if (!err && changed) err = check_apart(p);
    if (!err) err = count_existing(p, &next);
    if (err) return err;

    if (p->s->dirs_n == 1) {
        count_alone(p);
        return check_rooms(p);
    }
    if (changed) sm_spread_cut(p->s, next);
    if (p->s->stretches_n && p->s->stretches[p->s->stretches_n - 1].to >= next)
        next = p->s->stretches[p->s->stretches_n - 1].to + 1; /* planned before */
    if (next > l->to + 1) next = l->to + 1;
    count_planned(p, next);
    if (next <= l->to) err = plan_stretch(p, next, l->to);
    *out_changed = changed || next <= l->to;
    return err ? err : check_rooms(p);
}

sm_err sm_spread_arrange(struct sm_spread *s, const struct sm_spread_job *job, bool *out_changed,
                         struct sm_spread_rooms *out, struct sm_errinfo *ei)
{
    struct planner p = {.s = s, .job = job, .ei = ei};
    *out_changed = false;
    const sm_err err = arrange(&p, out_changed);
    if (err && err != SM_E_NOSPACE)
        free(p.rooms.v);
    else
        *out = p.rooms;
    return err;
}
