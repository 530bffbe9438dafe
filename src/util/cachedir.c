#include "util/cachedir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* An empty variable counts as unset, as the XDG specification asks. */
static const char *env(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

/* Creates every directory in front of the last slash. */
static sm_err make_parents(char *path, struct sm_errinfo *ei)
{
    for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        const int rc = mkdir(path, 0700);
        const int why = errno;
        /* A parent we may not write to (EACCES, EROFS) can still exist: stat decides. */
        struct stat st;
        if (rc != 0 && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
            return sm_fail_errno(ei, why == EEXIST ? ENOTDIR : why, "cannot create directory %s", path);
        *p = '/';
    }
    return SM_OK;
}

sm_err sm_cache_path(char *out, size_t room, const char *name, struct sm_errinfo *ei)
{
    const char *dir = env("SM_CACHE_DIR"), *sub = "";
    if (!dir && (dir = env("XDG_CACHE_HOME"))) sub = "/smesher";
    if (!dir && (dir = env("HOME"))) sub = "/.cache/smesher";
    if (!dir)
        return sm_fail(ei, SM_E_NOTFOUND, "no cache directory: none of SM_CACHE_DIR, XDG_CACHE_HOME and HOME is set");
    if ((size_t)snprintf(out, room, "%s%s/%s", dir, sub, name) >= room)
        return sm_fail(ei, SM_E_ARG, "path too long: %s%s/%s", dir, sub, name);
    return make_parents(out, ei);
}
