#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/blake3.h"
#include "post/k2pow.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/text.h"

/* One line of text: "k2pow 1 <key in hex> <pow>\n", in a file named after the key. A folder of their own, because a
 * proof leaves one for each group. */
#define FOLDER   "k2pow"
#define FILE_MAX 256u
#define PREFIX   "k2pow 1 "

/* BLAKE3 of everything that the result depends on. */
static void job_key(const struct sm_k2pow_job *job, char out[SM_HEX_ROOM(32)])
{
    struct sm_blake3 h;
    uint8_t key[32];
    sm_blake3_init(&h);
    sm_blake3_update(&h, job->node_id.b, sizeof job->node_id.b);
    sm_blake3_update(&h, job->challenge.b, 8);
    sm_blake3_update(&h, &job->group, 1);
    sm_blake3_update(&h, job->difficulty, sizeof job->difficulty);
    sm_blake3_final(&h, key);
    (void)sm_hex_encode(key, sizeof key, out);
}

static sm_err job_path(const char *dir, const char *key, char *out, size_t room, struct sm_errinfo *ei)
{
    char name[64];
    (void)snprintf(name, sizeof name, FOLDER "/%.32s.txt", key);
    return sm_io_path(out, room, dir, name, ei);
}

static bool parse(const char *text, const char *key, uint64_t *out)
{
    const size_t key_n = strlen(key);
    if (strncmp(text, PREFIX, sizeof PREFIX - 1) != 0) return false;
    text += sizeof PREFIX - 1;
    if (strncmp(text, key, key_n) != 0 || text[key_n] != ' ') return false;
    text += key_n + 1;
    if (*text < '0' || *text > '9') return false; /* strtoull takes signs and white space */
    char *end;
    const uint64_t pow = strtoull(text, &end, 10);
    if (strcmp(end, "\n") != 0 || pow > SM_K2POW_NONCE_MAX) return false;
    *out = pow;
    return true;
}

sm_err sm_k2pow_cache_get(const char *dir, const struct sm_k2pow_job *job, uint64_t *out_pow, struct sm_errinfo *ei)
{
    char key[SM_HEX_ROOM(32)], path[4096], *text = NULL;
    size_t n;
    job_key(job, key);
    sm_err err = job_path(dir, key, path, sizeof path, ei);
    if (err) return err;
    err = sm_io_read_file(path, FILE_MAX, &text, &n, ei);
    if (err) return sm_fail(ei, SM_E_NOTFOUND, "no usable k2pow result in %s", path);
    const bool good = strlen(text) == n && parse(text, key, out_pow);
    free(text);
    return good ? SM_OK : sm_fail(ei, SM_E_NOTFOUND, "%s: not a k2pow result of this job", path);
}

sm_err sm_k2pow_cache_put(const char *dir, const struct sm_k2pow_job *job, uint64_t pow, struct sm_errinfo *ei)
{
    char key[SM_HEX_ROOM(32)], path[4096], text[FILE_MAX];
    job_key(job, key);
    sm_err err = sm_io_path(path, sizeof path, dir, FOLDER, ei);
    if (err) return err;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return sm_fail_errno(ei, errno, "cannot create %s", path);
    err = job_path(dir, key, path, sizeof path, ei);
    if (err) return err;
    const int n = snprintf(text, sizeof text, PREFIX "%s %" PRIu64 "\n", key, pow);
    return sm_io_write_atomic(path, text, (size_t)n, 0600, ei);
}

static int64_t age_s(const struct stat *st)
{
    const int64_t now = sm_clock_wall_s(), age = now - (int64_t)st->st_mtime;
    return age < 0 ? 0 : age; /* the clock was set back */
}

int64_t sm_k2pow_cache_age_s(const char *dir, const struct sm_k2pow_job *job)
{
    char key[SM_HEX_ROOM(32)], path[4096];
    struct stat st;
    job_key(job, key);
    if (job_path(dir, key, path, sizeof path, NULL) || stat(path, &st) != 0) return -1;
    return age_s(&st);
}

/* Only names that job_path makes: nothing else in the folder is ours to remove. */
static bool is_result(const char *name)
{
    return strspn(name, "0123456789abcdef") == 32 && strcmp(name + 32, ".txt") == 0;
}

sm_err sm_k2pow_cache_sweep(const char *dir, int64_t keep_s, size_t *out_left, struct sm_errinfo *ei)
{
    char folder[4096], path[4096];
    struct dirent *e;
    struct stat st;
    sm_err err = sm_io_path(folder, sizeof folder, dir, FOLDER, ei);
    *out_left = 0;
    if (err) return err;
    DIR *d = opendir(folder);
    if (!d) return errno == ENOENT ? SM_OK : sm_fail_errno(ei, errno, "cannot list %s", folder);
    while (!err && (e = readdir(d))) {
        if (!is_result(e->d_name)) continue;
        err = sm_io_path(path, sizeof path, folder, e->d_name, ei);
        if (err || stat(path, &st) != 0) continue;
        if (age_s(&st) < keep_s)
            ++*out_left;
        else if ((err = sm_io_unlink(path, ei)) == SM_E_NOTFOUND)
            err = SM_OK; /* somebody else removed it */
    }
    (void)closedir(d);
    return err;
}
