#include "post/tune_rows.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/cachedir.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"

#define FILE_MAX (1u << 20)

extern const char sm_tuning_shipped[]; /* configs/tuning.yaml, made at build time */

bool sm_tune_row_says(const json_t *row, const char *key, const char *value)
{
    const char *s = json_string_value(json_object_get(row, key));
    return s && strcmp(s, value) == 0;
}

static bool says_or_silent(const json_t *row, const char *key, const char *value)
{
    return !json_object_get(row, key) || sm_tune_row_says(row, key, value);
}

static bool is_for(const json_t *row, const struct sm_tune_key *k)
{
    return sm_tune_row_says(row, "kernel", k->kernel) && sm_tune_row_says(row, "device", k->device->name) &&
           says_or_silent(row, "driver", k->device->driver) && says_or_silent(row, "source", k->source) &&
           (!k->scrypt_n || json_integer_value(json_object_get(row, "scrypt_n")) == k->scrypt_n);
}

/* The next line of *at, without its end; false at the end of the text. */
static bool next_line(const char **at, const char *end, const char **out, size_t *out_n)
{
    if (*at == end) return false;
    const char *eol = memchr(*at, '\n', (size_t)(end - *at));
    *out = *at;
    *out_n = (size_t)((eol ? eol : end) - *at);
    *at = eol ? eol + 1 : end;
    return true;
}

/* The line's row when it has this key; else NULL. */
static json_t *own_row(const char *line, size_t n, const struct sm_tune_key *k)
{
    if (n < 2 || memcmp(line, "- ", 2) != 0) return NULL;
    json_t *row = json_loadb(line + 2, n - 2, JSON_REJECT_DUPLICATES, NULL);
    if (row && is_for(row, k)) return row;
    json_decref(row);
    return NULL;
}

static bool find_in(const char *text, size_t n, const struct sm_tune_key *k,
                    bool (*parse)(const json_t *row, void *out), void *out)
{
    bool found = false;
    const char *at = text, *line;
    for (size_t line_n; !found && next_line(&at, text + n, &line, &line_n);) {
        json_t *row = own_row(line, line_n, k);
        found = row && parse(row, out);
        json_decref(row);
    }
    return found;
}

bool sm_tune_rows_find(const struct sm_tune_key *key, const char *file, bool (*parse)(const json_t *row, void *out),
                       void *out)
{
    char cache[PATH_MAX];
    const char *files[] = {file, sm_cache_path(cache, sizeof cache, SM_TUNE_FILE, NULL) ? NULL : cache};
    bool found = false;
    for (size_t i = 0; i < sizeof files / sizeof files[0] && !found; i++) {
        char *text = NULL;
        size_t n = 0;
        struct sm_errinfo why = {0};
        if (!files[i]) continue;
        if (!sm_io_read_file(files[i], FILE_MAX, &text, &n, &why))
            found = find_in(text, n, key, parse, out);
        else if (files[i] == file) /* the other one need not exist */
            sm_log(SM_LOG_WARN, "gpu", "tuning file ignored", "why=\"%s\"", why.text);
        free(text);
    }
    return found || find_in(sm_tuning_shipped, strlen(sm_tuning_shipped), key, parse, out);
}

/* "- {…}" of the row with the key's members and the date; malloc'd, NULL when memory is short or a name is no UTF-8. */
static char *row_text(const struct sm_tune_key *k, json_t *members)
{
    char measured[32];
    struct tm tm;
    const time_t now = (time_t)sm_clock_wall_s();
    (void)strftime(measured, sizeof measured, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "kernel", k->kernel, "device", k->device->name, "driver",
                            k->device->driver, "source", k->source);
    char *text = NULL;
    bool ok = row && members;
    if (ok && k->scrypt_n) ok = json_object_set_new(row, "scrypt_n", json_integer(k->scrypt_n)) == 0;
    ok =
        ok && json_object_update(row, members) == 0 && json_object_set_new(row, "measured", json_string(measured)) == 0;
    if (ok) text = json_dumps(row, JSON_REAL_PRECISION(9));
    json_decref(row);
    return text;
}

sm_err sm_tune_rows_save(const struct sm_tune_key *key, json_t *row, struct sm_errinfo *ei)
{
    char path[PATH_MAX], *old = NULL, *text = NULL, *line = row_text(key, row);
    size_t old_n = 0, n = 0;
    FILE *to = NULL;
    sm_err err = line ? sm_cache_path(path, sizeof path, SM_TUNE_FILE, ei)
                      : sm_fail(ei, SM_E_NOMEM, "the name of %s is no UTF-8, or memory is short", key->device->id);
    json_decref(row);
    if (err) goto out;
    if (sm_io_read_file(path, FILE_MAX, &old, &old_n, NULL)) old_n = 0; /* none yet, or of no use */
    to = open_memstream(&text, &n);
    if (!to) {
        err = sm_fail(ei, SM_E_NOMEM, "out of memory saving the tuning");
        goto out;
    }
    const char *at = old, *kept;
    for (size_t kept_n; old_n && next_line(&at, old + old_n, &kept, &kept_n);) {
        json_t *replaced = own_row(kept, kept_n, key);
        if (!replaced) (void)fprintf(to, "%.*s\n", (int)kept_n, kept);
        json_decref(replaced);
    }
    (void)fprintf(to, "- %s\n", line);
    if (fclose(to) != 0) err = sm_fail(ei, SM_E_NOMEM, "out of memory saving the tuning");
    if (!err) err = sm_io_write_atomic(path, text, n, 0600, ei);
out:
    free(line);
    free(text);
    free(old);
    return err;
}
