/* post/layout.h: which labels are in which file. Integer arithmetic only. Source: post.md §3.3, 3.7. */
#ifndef SM_POST_LAYOUT_H
#define SM_POST_LAYOUT_H

#include <stdint.h>

#include "util/err.h"

#define SM_LABEL_BYTES 16u
#define SM_MAX_FILE_SIZE_MIN 1024u /* post config/config.go @d483b39 */

struct sm_layout {
    uint64_t num_labels;      /* of the whole data set */
    uint64_t labels_per_file; /* F */
    uint64_t files;           /* of the whole data set */
    uint64_t from, to;        /* this subset, inclusive; from > to only when files == 0 */
};

/* `from`/`to`: SM_LAYOUT_ALL for the default. SM_E_ARG text names the flag. */
#define SM_LAYOUT_ALL UINT64_MAX
SM_MUST_CHECK sm_err sm_layout_make(uint64_t num_labels, uint64_t max_file_size, uint64_t from, uint64_t to,
                                    struct sm_layout *out, struct sm_errinfo *ei);

/* Labels that file `i` of the whole holds when complete (0 for i >= files), and its first label. */
uint64_t sm_layout_file_labels(const struct sm_layout *l, uint64_t i);
uint64_t sm_layout_file_first(const struct sm_layout *l, uint64_t i);
/* Labels of the subset from..to. */
uint64_t sm_layout_subset_labels(const struct sm_layout *l);

/* "postdata_N.bin" into out[64]. */
char *sm_layout_file_name(uint64_t i, char out[64]);

#endif
