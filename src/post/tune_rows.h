/* post/tune_rows.h: what was measured about OpenCL devices, as rows: a text file of which each line "- {…}" is YAML and
 * its braces are JSON. Lines that are no row, or somebody else's, are kept and ignored.
 *
 * Rows are looked for in a file the user names, then in tuning.yaml in the cache directory, which is also where new ones
 * go, then in configs/tuning.yaml, which travels inside the program. */
#ifndef SM_POST_TUNE_ROWS_H
#define SM_POST_TUNE_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "gpu/labeler.h"
#include "util/err.h"

#define SM_TUNE_FILE "tuning.yaml"

/* What a row is found by. */
struct sm_tune_key {
    const struct sm_gpu_device *device; /* name and driver */
    const char *kernel;                 /* "romix", "scan" */
    const char *source;                 /* id of the kernel's source: another one has another best */
    uint32_t scrypt_n;                  /* 0: does not matter */
};

/* Does the row carry this text, or this number, under `key`? */
bool sm_tune_row_says(const json_t *row, const char *key, const char *value);

/* The first row with this key for which `parse` returns true. A row that lacks driver or source fits any. `file` may be
 * NULL. False: none. Any thread. */
bool sm_tune_rows_find(const struct sm_tune_key *key, const char *file, bool (*parse)(const json_t *row, void *out),
                       void *out);

/* Puts `row`, which need not hold the key's members nor the date, in the place of the row with this key in the cache
 * directory's file. Takes `row` over; NULL counts as out of memory. */
SM_MUST_CHECK sm_err sm_tune_rows_save(const struct sm_tune_key *key, json_t *row, struct sm_errinfo *ei);

#endif
