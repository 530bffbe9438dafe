/* util/cachedir.h: where results that can be recomputed are kept: tuning, compiled kernels, finished k2pow.
 * The directory is $SM_CACHE_DIR, else $XDG_CACHE_HOME/smesher, else $HOME/.cache/smesher. Any thread. */
#ifndef SM_UTIL_CACHEDIR_H
#define SM_UTIL_CACHEDIR_H

#include <stddef.h>

#include "util/err.h"

/* Path of `name` ("tune.json", or "opencl/<key>.bin") in the cache directory; missing directories on the way are
 * created, private to the user. Nothing is done to the file itself.
 * SM_E_NOTFOUND when none of the variables is set, SM_E_ARG (path too long), SM_E_IO: go on without a cache. */
SM_MUST_CHECK sm_err sm_cache_path(char *out, size_t room, const char *name, struct sm_errinfo *ei);

#endif
