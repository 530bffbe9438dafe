#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "post/datadir_list.h"
#include "post/spread.h"
#include "util/io.h"
#include "util/log.h"
#include "util/text.h"

#define MARK_MAX 4096u

/* ---- marks ---- */

sm_err sm_spread_read_mark(const char *dir, struct sm_commitment *out, size_t *out_place, struct sm_errinfo *ei)
{
    char path[PATH_MAX], *text = NULL;
    size_t n = 0;
    sm_err err = sm_io_path(path, sizeof path, dir, SM_SPREAD_MARK, ei);
    if (!err) err = sm_io_read_file(path, MARK_MAX, &text, &n, ei);
    if (err) return err;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    const char *hex = json_string_value(json_object_get(root, "commitment"));
    const json_int_t place = json_integer_value(json_object_get(root, "place"));
    if (!hex || sm_hex_decode(hex, "commitment", out->b, sizeof out->b, NULL) || place < 1 ||
        place >= SM_SPREAD_DIRS_MAX)
        err = sm_fail(ei, SM_E_FORMAT,
                      "%s does not say to which data set the directory belongs: restore it from a copy", path);
    else
        *out_place = (size_t)place;
    json_decref(root);
    free(text);
    return err;
}

static sm_err check_mark_at(const struct sm_spread *s, size_t i, const char *dir, struct sm_errinfo *ei)
{
    struct sm_commitment c;
    struct sm_errinfo why = {0};
    size_t place = 0;
    sm_err err = sm_spread_read_mark(dir, &c, &place, &why);
    if (err == SM_E_NOTFOUND)
        return sm_fail(ei, SM_E_IO,
                       "%s, a directory of this data set, is not there, or has no " SM_SPREAD_MARK
                       ": is its disk mounted? If the disk has moved, tell: smesher disks --moved OLD=NEW",
                       dir);
    if (err) return sm_fail(ei, err, "%s", why.text);
    if (memcmp(&c, &s->commitment, sizeof c) != 0)
        return sm_fail(ei, SM_E_MISMATCH, "%s belongs to another data set (" SM_SPREAD_MARK ")", dir);
    if (place != i)
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s is place %zu of this data set, place %zu was expected there: are two disks interchanged?",
                       dir, place, i);
    return SM_OK;
}

sm_err sm_spread_check_mark(const struct sm_spread *s, size_t i, struct sm_errinfo *ei)
{
    return i ? check_mark_at(s, i, s->dirs[i].path, ei) : SM_OK;
}

sm_err sm_spread_check_marks(const char *main_dir, struct sm_errinfo *ei)
{
    struct sm_spread s = {0};
    struct sm_errinfo why = {0};
    sm_err err = sm_spread_load(main_dir, &s, &why);
    if (err == SM_E_NOTFOUND) return SM_OK;
    if (err) return sm_fail(ei, err, "%s", why.text);
    for (size_t i = 1; i < s.dirs_n && !err; i++) err = sm_spread_check_mark(&s, i, ei);
    sm_spread_fini(&s);
    return err;
}

static sm_err put_mark(const struct sm_spread *s, size_t i, struct sm_errinfo *ei)
{
    char path[PATH_MAX], hex[SM_HEX_ROOM(32)], text[256];
    struct sm_errinfo ignored = {0};
    if (sm_spread_check_mark(s, i, &ignored) == SM_OK) return SM_OK;
    const int n = snprintf(text, sizeof text, "{\n \"version\": 1,\n \"commitment\": \"%s\",\n \"place\": %zu\n}\n",
                           sm_hex_encode(s->commitment.b, sizeof s->commitment.b, hex), i);
    sm_err err = sm_io_path(path, sizeof path, s->dirs[i].path, SM_SPREAD_MARK, ei);
    return err ? err : sm_io_write_atomic(path, text, (size_t)n, 0600, ei);
}

/* ---- making ---- */

static sm_err make_dir(const char *dir, struct sm_errinfo *ei)
{
    char copy[PATH_MAX];
    if (mkdir(dir, 0700) != 0)
        return errno == EEXIST ? SM_OK : sm_fail_errno(ei, errno, "cannot create directory %s", dir);
    (void)snprintf(copy, sizeof copy, "%s", dir);
    return sm_io_sync_dir(dirname(copy), ei);
}

sm_err sm_spread_begin(const struct sm_spread *s, const char *main_dir, struct sm_dirlock *lock, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (size_t i = 1; i < s->dirs_n && !err; i++) {
        err = make_dir(s->dirs[i].path, ei);
        if (!err) err = sm_dirlock_add(lock, s->dirs[i].path, true, ei);
        if (!err) err = put_mark(s, i, ei);
    }
    return err ? err : sm_spread_save(main_dir, s, ei);
}

sm_err sm_spread_file_path(const struct sm_spread *s, const char *main_dir, size_t i, uint64_t number,
                           char out[PATH_MAX], struct sm_errinfo *ei)
{
    char name[64];
    return sm_io_path(out, PATH_MAX, i ? s->dirs[i].path : main_dir, sm_layout_file_name(number, name), ei);
}

sm_err sm_spread_create(const struct sm_spread *s, const char *main_dir, uint64_t number, char out_path[PATH_MAX],
                        int *out_fd, struct sm_errinfo *ei)
{
    const size_t i = sm_spread_dir_of(s, number);
    char link[PATH_MAX], now[PATH_MAX];
    uint64_t bytes = 0;
    int fd = -1;
    sm_err err = sm_spread_file_path(s, main_dir, 0, number, link, ei);
    if (!err) err = sm_spread_file_path(s, main_dir, i, number, out_path, ei);
    if (!err) err = sm_spread_check_mark(s, i, ei); /* still mounted? */
    if (!err) err = sm_io_open(out_path, O_WRONLY | O_CREAT, 0600, &fd, ei);
    if (err || i == 0) goto out;
    err = sm_io_size(fd, out_path, &bytes, ei);
    if (!err && bytes)
        err = sm_fail(ei, SM_E_MISMATCH,
                      "%s has labels, but %s is no link to it: restore the links by smesher disks --relink", out_path,
                      link);
    if (!err) err = sm_io_sync_dir(s->dirs[i].path, ei);
    if (err) goto out;
    const ssize_t n = readlink(link, now, sizeof now - 1);
    if (n >= 0) now[n] = '\0';
    if (n < 0 || strcmp(now, out_path) != 0) err = sm_io_symlink(out_path, link, ei);
out:
    if (err)
        sm_io_close(fd);
    else
        *out_fd = fd;
    return err;
}

/* ---- names ---- */

/* What the main directory has under the name of a data file. */
typedef enum name_kind { NAME_NONE, NAME_RIGHT, NAME_DANGLING, NAME_OTHER } name_kind;

static name_kind name_of(const char *link, const char *file)
{
    struct stat l, f;
    if (lstat(link, &l) != 0) return NAME_NONE;
    if (stat(link, &l) != 0) return NAME_DANGLING;
    return stat(file, &f) == 0 && l.st_dev == f.st_dev && l.st_ino == f.st_ino ? NAME_RIGHT : NAME_OTHER;
}

/* A link that leads nowhere is replaced in one step. */
static sm_err set_name(const char *main_dir, const char *link, const char *file, name_kind was, struct sm_errinfo *ei)
{
    char tmp[PATH_MAX];
    struct sm_errinfo ignored = {0};
    if (was == NAME_NONE) return sm_io_symlink(file, link, ei);
    sm_err err = sm_io_path(tmp, sizeof tmp, main_dir, "smesher-link.tmp", ei);
    if (err) return err;
    err = sm_io_unlink(tmp, &ignored); /* of an interrupted run */
    if (err && err != SM_E_NOTFOUND) return sm_fail(ei, err, "%s", ignored.text);
    err = sm_io_symlink(file, tmp, ei);
    return err ? err : sm_io_rename(tmp, link, ei);
}

/* Counts the data files of `dir` that have no name in the main directory, and gives them one with `set`. */
static sm_err each_nameless(const char *main_dir, const char *dir, uint64_t *count, bool set, struct sm_errinfo *ei)
{
    struct sm_datafile *files = NULL;
    struct sm_sentences odd = {0};
    size_t n = 0;
    sm_err err = sm_datadir_list(dir, &files, &n, &odd, ei);
    for (size_t k = 0; k < n && !err; k++) {
        char name[64], link[PATH_MAX], file[PATH_MAX];
        if (!files[k].bytes) continue; /* made in the moment before a crash: init goes on with it */
        err = sm_io_path(link, sizeof link, main_dir, sm_layout_file_name(files[k].number, name), ei);
        if (!err) err = sm_io_path(file, sizeof file, dir, name, ei);
        if (err) break;
        const name_kind was = name_of(link, file);
        if (was == NAME_RIGHT || (was == NAME_OTHER && !set)) continue;
        if (was == NAME_OTHER) {
            sm_log(SM_LOG_WARN, "post", "two files of one number, the first is used", "first=%s second=%s", link, file);
            continue;
        }
        if (set) err = set_name(main_dir, link, file, was, ei);
        ++*count;
    }
    sm_sentences_fini(&odd);
    free(files);
    return err;
}

sm_err sm_spread_count_unlinked(const struct sm_spread *s, const char *main_dir, size_t i, uint64_t *out_n,
                                struct sm_errinfo *ei)
{
    *out_n = 0;
    return i ? each_nameless(main_dir, s->dirs[i].path, out_n, false, ei) : SM_OK;
}

/* ---- moved disks ---- */

static sm_err not_a_dir(const struct sm_spread *s, const char *from, struct sm_errinfo *ei)
{
    char known[256] = "";
    size_t n = 0;
    for (size_t i = 1; i < s->dirs_n && n < sizeof known - 1; i++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", i > 1 ? ", " : "", s->dirs[i].path);
    return sm_fail(ei, SM_E_ARG, "%s is none of the directories of this data set, which are %s", from, known);
}

static sm_err move_dir(struct sm_spread *s, const struct sm_spread_move *m, struct sm_dirlock *lock,
                       struct sm_errinfo *ei)
{
    char to[PATH_MAX];
    size_t i = 1;
    while (i < s->dirs_n && strcmp(s->dirs[i].path, m->from) != 0) i++;
    if (!realpath(m->to, to)) return sm_fail_errno(ei, errno, "cannot examine %s", m->to);
    if (i == s->dirs_n) return not_a_dir(s, m->from, ei);
    sm_err err = check_mark_at(s, i, to, ei);
    if (!err) err = sm_dirlock_add(lock, to, true, ei);
    if (!err) memcpy(s->dirs[i].path, to, strlen(to) + 1);
    return err;
}

static sm_err repoint(const char *main_dir, struct sm_spread *s, const struct sm_spread_move *moves, size_t moves_n,
                      struct sm_dirlock *lock, uint64_t *out_links, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (size_t k = 0; k < moves_n && !err; k++) err = move_dir(s, &moves[k], lock, ei);
    for (size_t i = 1; i < s->dirs_n && !err; i++) {
        struct sm_errinfo why = {0};
        if (sm_spread_check_mark(s, i, &why) != SM_OK) { /* another disk may still be on its way */
            sm_log(SM_LOG_WARN, "post", "directory left out", "why=\"%s\"", why.text);
            continue;
        }
        err = each_nameless(main_dir, s->dirs[i].path, out_links, true, ei);
    }
    if (!err) err = sm_io_sync_dir(main_dir, ei);
    return err || !moves_n ? err : sm_spread_save(main_dir, s, ei); /* last: until then the same call finds `from` */
}

sm_err sm_spread_repoint(const char *main_dir, const struct sm_spread_move *moves, size_t moves_n, uint64_t *out_links,
                         struct sm_errinfo *ei)
{
    struct sm_spread s = {0};
    struct sm_errinfo why = {0};
    struct sm_dirlock lock = SM_DIRLOCK_NONE;
    *out_links = 0;
    sm_err err = sm_dirlock_take_main(main_dir, true, &lock, ei);
    if (err) return err;
    err = sm_spread_load(main_dir, &s, &why);
    if (err == SM_E_NOTFOUND)
        err = sm_fail(ei, err, "%s is not spread over several directories: there is no " SM_SPREAD_FILE, main_dir);
    else if (err)
        err = sm_fail(ei, err, "%s", why.text);
    if (!err) err = repoint(main_dir, &s, moves, moves_n, &lock, out_links, ei);
    sm_spread_fini(&s);
    sm_dirlock_release(&lock);
    return err;
}
