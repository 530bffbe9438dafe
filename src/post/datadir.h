/* post/datadir.h: a PoST data directory: lock, what is in it, and reading labels from it. Source: post.md §3. */
#ifndef SM_POST_DATADIR_H
#define SM_POST_DATADIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/layout.h"
#include "post/metadata.h"
#include "util/err.h"

#define SM_LOCK_FILE "smesher.lock"

/* Advisory flock on SM_LOCK_FILE in the directory, and in every other directory of a data set that is spread over several
 * (post/spread.h), each of which must be there with its mark: writers exclusive, readers shared. SM_E_BUSY names the holder's
 * pid when it is known; SM_E_IO a directory whose disk is missing. A read-only directory can be locked shared without the
 * file. Released by release or death. */
struct sm_dirlock {
    int fd;
    int *others; /* of the other directories; owned */
    size_t others_n;
};
#define SM_DIRLOCK_NONE ((struct sm_dirlock){.fd = -1}) /* what release accepts before take */
SM_MUST_CHECK sm_err sm_dirlock_take(const char *dir, bool exclusive, struct sm_dirlock *out, struct sm_errinfo *ei);
/* Of the directory itself alone; of one more. A directory that is locked by `l` already is locked once. */
SM_MUST_CHECK sm_err sm_dirlock_take_main(const char *dir, bool exclusive, struct sm_dirlock *out,
                                          struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_dirlock_add(struct sm_dirlock *l, const char *dir, bool exclusive, struct sm_errinfo *ei);
void sm_dirlock_release(struct sm_dirlock *l);

/* One postdata_N.bin as found. */
struct sm_datafile {
    uint64_t number;
    uint64_t bytes;
    uint64_t allocated_bytes; /* st_blocks * 512: sparse files show */
    uint64_t device;          /* st_dev: which disk */
};

typedef enum sm_datadir_status {
    SM_DATADIR_NOT_STARTED,
    SM_DATADIR_STARTED,   /* some labels */
    SM_DATADIR_COMPLETE,  /* every file of the layout has exactly its labels */
    SM_DATADIR_OVERSIZED, /* complete, and more than the layout says */
} sm_datadir_status;

/* What a directory holds. Foreign files are ignored. */
struct sm_datadir_info {
    struct sm_metadata meta; /* valid when has_meta */
    bool has_meta, meta_from_backup;
    struct sm_datafile *files; /* sorted by number; owned */
    size_t files_n;
    uint64_t labels;         /* whole labels in all files */
    struct sm_layout layout; /* of the whole, valid when has_meta */
    sm_datadir_status status;
    char **problems; /* sentences: "postdata_3.bin is missing", …; owned */
    size_t problems_n;
};
/* Reads metadata and the directory listing, no labels. SM_E_NOTFOUND: no directory. Broken metadata is SM_E_FORMAT unless
 * the backup serves. Names: digits with leading zeros and the reference's "any character before bin" are reported as
 * problems, not used. Links are followed. */
SM_MUST_CHECK sm_err sm_datadir_inspect(const char *dir, struct sm_datadir_info *out, struct sm_errinfo *ei);
void sm_datadir_info_fini(struct sm_datadir_info *info);

/* The keys beside the data: identity.key or key.bin, if present: its public key. SM_E_NOTFOUND when there is none,
 * SM_E_FORMAT when broken. The private half is read into guarded memory, checked and wiped. post.md §3.4. */
SM_MUST_CHECK sm_err sm_datadir_key(const char *dir, struct sm_node_id *out, char out_name[32], struct sm_errinfo *ei);

#endif
