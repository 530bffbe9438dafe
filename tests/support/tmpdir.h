/* tests/support/tmpdir.h: directories that vanish with the test. Failures abort it. */
#ifndef SM_TESTS_TMPDIR_H
#define SM_TESTS_TMPDIR_H

#include <stddef.h>
#include <stdint.h>

/* A fresh directory under $TMPDIR or /tmp; static storage per call site's buffer of 256 bytes. Removed by
 * tmpdir_remove, or else when the process exits normally (not by _exit or a signal). Returns `out`. */
char *tmpdir_make(char out[256]);
void tmpdir_remove(const char *dir); /* with all that is in it; links are not followed */

/* dir/name into a static ring of 16 buffers. */
const char *tmpdir_path(const char *dir, const char *name);

void file_put(const char *path, const void *data, size_t n); /* creates or replaces */
/* Whole file, NUL added behind it, free() it. */
uint8_t *file_get(const char *path, size_t *out_n);
/* -1 when there is no such file. */
int64_t file_size(const char *path);

#endif
