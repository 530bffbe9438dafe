/* post/spread.h: one data set in several directories, each on a disk of its own.
 *
 * The main directory is the one that people and programs name. It holds the metadata, and for every file either the file
 * or a symbolic link to it, so whoever can read a data directory can read this one, the established tools included.
 * SM_SPREAD_FILE beside them is the manifest: the other directories, and which of them gets a file that does not exist
 * yet. For a file that exists the link is the truth, not the manifest.
 *
 * Every other directory has SM_SPREAD_MARK, which says to which data set it belongs and in which place. A mount point whose
 * disk is missing has no mark: nothing is read or written there, and the sentence names the directory.
 *
 * The plan is a list of stretches of files. Inside one the directories take turns in the order of the list, and one that
 * has had its share drops out: so proving reads all disks at once, and of a data set that was made half, half is on every
 * disk. */
#ifndef SM_POST_SPREAD_H
#define SM_POST_SPREAD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/datadir.h"
#include "post/ids.h"
#include "post/layout.h"
#include "util/err.h"

#define SM_SPREAD_FILE      "smesher-disks.json"
#define SM_SPREAD_MARK      "smesher-disk.json"
#define SM_SPREAD_DIRS_MAX  32u /* ours: more disks than that are better behind one volume */
#define SM_SPREAD_UNLIMITED UINT64_MAX

struct sm_spread_dir {
    char path[PATH_MAX]; /* absolute; "." for the main directory, which is always the first */
    uint64_t max_bytes;  /* of labels to put there */
};

struct sm_spread_stretch {
    uint64_t from, to;                  /* files, inclusive */
    uint64_t share[SM_SPREAD_DIRS_MAX]; /* files for each directory; their sum is to - from + 1 */
};

struct sm_spread {
    struct sm_commitment commitment; /* of the data set */
    struct sm_spread_dir *dirs;      /* owned */
    size_t dirs_n;
    struct sm_spread_stretch *stretches; /* ascending, apart from each other; owned */
    size_t stretches_n;
};

/* ---- the manifest ---- */

/* SM_E_NOTFOUND: the data set has one directory only. SM_E_FORMAT when broken. */
SM_MUST_CHECK sm_err sm_spread_load(const char *main_dir, struct sm_spread *out, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_spread_save(const char *main_dir, const struct sm_spread *s, struct sm_errinfo *ei);
void sm_spread_fini(struct sm_spread *s); /* accepts a zeroed one */

/* The directory in which file `number` is to be made: 0, the main one, when nothing is planned for it. Cost: the files of its
 * stretch before it. */
size_t sm_spread_dir_of(const struct sm_spread *s, uint64_t number);

/* The same for ascending numbers, at the cost of one stretch for all of them. Zero-initialise but for `s`. */
struct sm_spread_walk {
    const struct sm_spread *s;
    size_t stretch;
    bool inside; /* the rest is valid */
    uint64_t next;
    size_t turn;
    uint64_t left[SM_SPREAD_DIRS_MAX];
};
size_t sm_spread_walk_to(struct sm_spread_walk *w, uint64_t number);

/* Forgets what was planned for file `from` and those behind it. */
void sm_spread_cut(struct sm_spread *s, uint64_t from);

/* ---- planning ---- */

struct sm_spread_want {
    const char *dir;    /* need not exist, its parent must */
    uint64_t max_bytes; /* SM_SPREAD_UNLIMITED */
};

struct sm_spread_job {
    const char *main_dir; /* need not exist */
    struct sm_commitment commitment;
    const struct sm_layout *layout;  /* with the subset */
    const struct sm_datafile *files; /* those there, sorted */
    size_t files_n;
    const struct sm_spread_want *also; /* the main directory may be among them, to limit it */
    size_t also_n;
    bool same_disk; /* several directories of one file system are meant */
};

/* What will be on one file system. */
struct sm_spread_room {
    char path[PATH_MAX]; /* of the first directory that is on it */
    uint64_t device;     /* st_dev */
    uint64_t need_bytes; /* of labels still to write */
    uint64_t free_bytes;
};
struct sm_spread_rooms {
    struct sm_spread_room *v; /* owned by whoever frees it with free() */
    size_t n;
};

/* Completes `s` (loaded, or zeroed for a new one) by what `job` wants, and finds out what is to be written where. Files that
 * exist stay; when a directory or its limit is new, all files behind the last existing one are planned again. Nothing
 * is written. Reads the file systems, and the marks of directories that are new.
 *
 * *out_changed: the manifest must be saved (sm_spread_begin).
 * SM_E_NOSPACE   a file system has less room than is to be written there, both in the text; *out is filled in all the same
 * SM_E_MISMATCH  a directory belongs to another data set, holds data files, is on the file system of another one
 *                (unless job->same_disk), or the manifest is of another data set */
SM_MUST_CHECK sm_err sm_spread_arrange(struct sm_spread *s, const struct sm_spread_job *job, bool *out_changed,
                                       struct sm_spread_rooms *out, struct sm_errinfo *ei);

/* ---- the directories ---- */

/* "DIR/postdata_N.bin" in directory i; the main one by `main_dir`. */
SM_MUST_CHECK sm_err sm_spread_file_path(const struct sm_spread *s, const char *main_dir, size_t i, uint64_t number,
                                         char out[PATH_MAX], struct sm_errinfo *ei);

/* Makes missing directories (0700) and marks, and saves the manifest, in this order: a crash in between leaves marks of the
 * same data set, which the next run takes for its own. Each directory is locked in `lock` as soon as it is there. */
SM_MUST_CHECK sm_err sm_spread_begin(const struct sm_spread *s, const char *main_dir, struct sm_dirlock *lock,
                                     struct sm_errinfo *ei);

/* SM_E_IO naming the directory when it, or its mark, is not there; SM_E_MISMATCH when the mark is of another data set, or of
 * another directory of this one. */
SM_MUST_CHECK sm_err sm_spread_check_mark(const struct sm_spread *s, size_t i, struct sm_errinfo *ei);
/* All of them, of the data set in `main_dir`; SM_OK when it has one directory only. */
SM_MUST_CHECK sm_err sm_spread_check_marks(const char *main_dir, struct sm_errinfo *ei);
/* What the mark in `dir` says. SM_E_NOTFOUND, SM_E_FORMAT. */
SM_MUST_CHECK sm_err sm_spread_read_mark(const char *dir, struct sm_commitment *out, size_t *out_place,
                                         struct sm_errinfo *ei);

/* Makes file `number`, which has no name in the main directory or one that leads nowhere, in its directory, and links it.
 * The caller syncs the main directory. SM_E_MISMATCH: it is there, with labels, but not linked. */
SM_MUST_CHECK sm_err sm_spread_create(const struct sm_spread *s, const char *main_dir, uint64_t number,
                                      char out_path[PATH_MAX], int *out_fd, struct sm_errinfo *ei);

/* Data files of directory i that have no name in the main directory. */
SM_MUST_CHECK sm_err sm_spread_count_unlinked(const struct sm_spread *s, const char *main_dir, size_t i,
                                              uint64_t *out_n, struct sm_errinfo *ei);

/* ---- moved disks ---- */

struct sm_spread_move {
    const char *from, *to;
};
/* Points the manifest and the links of every `from` to `to`, whose mark must be the one of that place, then gives every data
 * file in the directories that are there a name in the main directory where it has none. moves_n may be 0. Files are
 * never touched; a link that leads to a file is left alone. Interrupted, the same call finishes it.
 * *out_links: names made or replaced. SM_E_ARG when `from` is none of the directories (they are in the text). */
SM_MUST_CHECK sm_err sm_spread_repoint(const char *main_dir, const struct sm_spread_move *moves, size_t moves_n,
                                       uint64_t *out_links, struct sm_errinfo *ei);

#endif
