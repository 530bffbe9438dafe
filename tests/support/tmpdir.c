#include "support/tmpdir.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_DIRS 32

static struct {
    char path[256];
    pid_t owner; /* a forked child must not remove its parent's directories */
} dirs[MAX_DIRS];

static void die(const char *what, const char *path)
{
    perror(what);
    (void)fprintf(stderr, "test directory: %s\n", path);
    abort();
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

void tmpdir_remove(const char *dir)
{
    for (int i = 0; i < MAX_DIRS; i++)
        if (strcmp(dirs[i].path, dir) == 0) dirs[i].path[0] = '\0';
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void remove_all(void)
{
    for (int i = 0; i < MAX_DIRS; i++) {
        if (!dirs[i].path[0] || dirs[i].owner != getpid()) continue;
        (void)nftw(dirs[i].path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

char *tmpdir_make(char out[256])
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(out, 256, "%s/sm-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(out)) die("mkdtemp", out);
    static int armed;
    if (!armed++) (void)atexit(remove_all);
    for (int i = 0; i < MAX_DIRS; i++) {
        if (dirs[i].path[0]) continue;
        (void)snprintf(dirs[i].path, sizeof dirs[i].path, "%s", out);
        dirs[i].owner = getpid();
        return out;
    }
    die("too many test directories", out);
    return NULL;
}

const char *tmpdir_path(const char *dir, const char *name)
{
    static char ring[16][512];
    static unsigned next;
    char *p = ring[next++ % 16];
    if (snprintf(p, sizeof ring[0], "%s/%s", dir, name) >= (int)sizeof ring[0]) die("path too long", dir);
    return p;
}

void file_put(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f) die("fopen", path);
    if (n && fwrite(data, 1, n, f) != n) die("fwrite", path);
    if (fclose(f) != 0) die("fclose", path);
}

uint8_t *file_get(const char *path, size_t *out_n)
{
    const int64_t size = file_size(path);
    FILE *f = size < 0 ? NULL : fopen(path, "rb");
    uint8_t *p = f ? malloc((size_t)size + 1) : NULL;
    if (!p || fread(p, 1, (size_t)size, f) != (size_t)size) die("cannot read", path);
    (void)fclose(f);
    p[size] = '\0';
    if (out_n) *out_n = (size_t)size;
    return p;
}

int64_t file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}
