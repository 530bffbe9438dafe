/* The cache directory: which variable wins, and what is created. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cachedir.h"

static char tmp[] = "/tmp/sm-cachedir-XXXXXX";

static void fresh(void)
{
    cr_assert_not_null(mkdtemp(tmp));
    unsetenv("SM_CACHE_DIR");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
}

static void gone(void)
{
    char cmd[128];
    (void)snprintf(cmd, sizeof cmd, "rm -rf %s", tmp);
    cr_assert_eq(system(cmd), 0);
}

static void expect(const char *name, const char *want_tail)
{
    char path[256], want[256];
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_cache_path(path, sizeof path, name, &ei), SM_OK, "%s", ei.text);
    (void)snprintf(want, sizeof want, "%s%s", tmp, want_tail);
    cr_assert_str_eq(path, want);
    struct stat st;
    *strrchr(path, '/') = '\0';
    cr_assert_eq(stat(path, &st), 0);
    cr_assert(S_ISDIR(st.st_mode));
    cr_assert_eq(st.st_mode & 0077, 0, "private to the user");
}

Test(cachedir, strongest_variable_wins, .init = fresh, .fini = gone)
{
    char path[256];
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_cache_path(path, sizeof path, "x", &ei), SM_E_NOTFOUND);
    setenv("HOME", tmp, 1);
    expect("x", "/.cache/smesher/x");
    setenv("XDG_CACHE_HOME", "", 1);
    expect("x", "/.cache/smesher/x");
    char xdg[64];
    (void)snprintf(xdg, sizeof xdg, "%s/xdg", tmp);
    setenv("XDG_CACHE_HOME", xdg, 1);
    expect("a/b", "/xdg/smesher/a/b");
    expect("a/b", "/xdg/smesher/a/b");
    char own[64];
    (void)snprintf(own, sizeof own, "%s/own", tmp);
    setenv("SM_CACHE_DIR", own, 1);
    expect("deep/er/file", "/own/deep/er/file");
}

Test(cachedir, refusals_name_the_place, .init = fresh, .fini = gone)
{
    char path[256], file[64];
    struct sm_errinfo ei = {0};
    (void)snprintf(file, sizeof file, "%s/file", tmp);
    FILE *f = fopen(file, "w");
    cr_assert_not_null(f);
    (void)fclose(f);
    setenv("SM_CACHE_DIR", file, 1);
    cr_assert_eq(sm_cache_path(path, sizeof path, "x", &ei), SM_E_IO);
    cr_assert_not_null(strstr(ei.text, file));
    cr_assert_eq(sm_cache_path(path, 8, "x", &ei), SM_E_ARG);
}
