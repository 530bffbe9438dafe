/* post/datadir_list.h: the postdata_N.bin files of a directory, and sentences about what is wrong with them.
 * Shared by the parts of post that walk a directory; others use datadir.h. */
#ifndef SM_POST_DATADIR_LIST_H
#define SM_POST_DATADIR_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/datadir.h"
#include "post/layout.h"
#include "util/err.h"

/* A growing list of sentences. Zero-initialise. */
struct sm_sentences {
    char **v; /* owned, each malloc'd */
    size_t n;
};
SM_MUST_CHECK sm_err sm_sentences_add(struct sm_sentences *s, struct sm_errinfo *ei, const char *fmt, ...)
    SM_PRINTF(3, 4);
void sm_sentences_fini(struct sm_sentences *s);

typedef enum sm_data_name {
    SM_DATA_NAME_FOREIGN, /* none of ours */
    SM_DATA_NAME_ODD,     /* looks like a data file to other programs, or its number is none: not used */
    SM_DATA_NAME_FILE,    /* postdata_N.bin */
} sm_data_name;
sm_data_name sm_data_name_parse(const char *name, uint64_t *out_number);

/* The data files of `dir`, sorted by number, links followed; malloc'd. Odd names and names that are no regular file
 * become problems. SM_E_NOTFOUND: no directory. */
SM_MUST_CHECK sm_err sm_datadir_list(const char *dir, struct sm_datafile **out, size_t *out_n,
                                     struct sm_sentences *problems, struct sm_errinfo *ei);

/* Compares the files with the layout's from..to: missing ranges, short, longer, odd ends; and any file beyond the whole.
 * The number of sentences is bounded by the files there are, not by the layout. */
SM_MUST_CHECK sm_err sm_datadir_compare(const struct sm_datafile *files, size_t n, const struct sm_layout *l,
                                        struct sm_sentences *problems, struct sm_errinfo *ei);

/* Number of files in from..to that are absent or hold fewer labels than the layout says. */
uint64_t sm_datadir_incomplete(const struct sm_datafile *files, size_t n, const struct sm_layout *l);

#endif
