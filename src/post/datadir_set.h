/* post/datadir_set.h: a data directory opened for reading its labels: what the nonce search and the check start from. */
#ifndef SM_POST_DATADIR_SET_H
#define SM_POST_DATADIR_SET_H

#include <stddef.h>
#include <stdint.h>

#include "post/datadir.h"
#include "post/datadir_list.h"
#include "post/ids.h"
#include "post/layout.h"
#include "post/metadata.h"
#include "util/err.h"

struct sm_dataset {
    struct sm_metadata meta;
    struct sm_layout layout; /* of the files asked for */
    struct sm_commitment commitment;
    uint32_t scrypt_n;
    struct sm_datafile *files; /* those of from..to that exist, sorted; owned */
    size_t files_n;
    struct sm_sentences problems; /* of the names, and of these files against the layout */
};

/* scrypt_n      0 = what the directory says (side file, or "Scrypt" in the metadata); it must not contradict it
 * from, to      SM_LAYOUT_ALL = default: the part the side file names, else everything
 * SM_E_NOTFOUND no directory or no metadata; SM_E_MISMATCH another N, both in the text; SM_E_ARG no such files. */
SM_MUST_CHECK sm_err sm_dataset_open(const char *dir, uint32_t scrypt_n, uint64_t from, uint64_t to,
                                     struct sm_dataset *out, struct sm_errinfo *ei);
void sm_dataset_fini(struct sm_dataset *s); /* accepts a zeroed one */

/* Whole labels of a file that belong to the data set, and the index of the first. */
uint64_t sm_dataset_labels(const struct sm_dataset *s, const struct sm_datafile *f);
uint64_t sm_dataset_first(const struct sm_dataset *s, const struct sm_datafile *f);

/* Recomputes three labels of the first file that has any. SM_E_MISMATCH when none of them is as stored: another N,
 * other ids, or no data of ours. SM_OK says nothing about the rest. */
SM_MUST_CHECK sm_err sm_dataset_probe(const struct sm_dataset *s, const char *dir, struct sm_errinfo *ei);

#endif
