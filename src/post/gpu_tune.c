#include "post/gpu_tune.h"

#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/scrypt.h"
#include "util/cachedir.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"

#define FILE_MAX (1u << 20)
#define ROUND    (1u << 16) /* labels asked for at a time, beyond the width: memory, not speed */

static const char *const layouts[] = {
    [SM_GPU_LAYOUT_DEFAULT] = "default", [SM_GPU_LAYOUT_ROWS] = "rows", [SM_GPU_LAYOUT_TABLES] = "tables"};

/* ---- rows ---- */

/* NULL: the line is no row. */
static json_t *row_of_line(const char *line, size_t n)
{
    if (n < 2 || line[0] != '-' || line[1] != ' ') return NULL;
    return json_loadb(line + 2, n - 2, JSON_REJECT_DUPLICATES, NULL);
}

static bool says(const json_t *row, const char *key, const char *value)
{
    const char *s = json_string_value(json_object_get(row, key));
    return s && strcmp(s, value) == 0;
}

static bool row_is_for(const json_t *row, const struct sm_gpu_device *d, uint32_t n)
{
    return says(row, "kernel", "romix") && says(row, "device", d->name) && says(row, "driver", d->driver) &&
           json_integer_value(json_object_get(row, "scrypt_n")) == n;
}

static bool row_parse(const json_t *row, struct sm_gpu_tuned *out)
{
    const json_int_t wg = json_integer_value(json_object_get(row, "wg_items"));
    const json_int_t gap = json_integer_value(json_object_get(row, "lookup_gap"));
    if (wg < 1 || wg > 4096 || gap < 1 || gap > 8) return false;
    struct sm_gpu_tuned t = {.wg_items = (uint32_t)wg, .lookup_gap = (uint32_t)gap};
    for (unsigned i = SM_GPU_LAYOUT_ROWS; i <= SM_GPU_LAYOUT_TABLES; i++)
        if (says(row, "layout", layouts[i])) t.layout = (sm_gpu_layout)i;
    t.labels_per_s = json_number_value(json_object_get(row, "labels_per_s"));
    *out = t;
    return true;
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

bool sm_gpu_tune_load(const struct sm_gpu_device *device, uint32_t scrypt_n, struct sm_gpu_tuned *out)
{
    char path[PATH_MAX], *text = NULL;
    size_t n = 0;
    bool found = false;
    if (sm_cache_path(path, sizeof path, SM_GPU_TUNE_FILE, NULL)) return false;
    if (sm_io_read_file(path, FILE_MAX, &text, &n, NULL)) return false;
    const char *at = text, *line;
    for (size_t line_n; !found && next_line(&at, text + n, &line, &line_n);) {
        json_t *row = row_of_line(line, line_n);
        found = row && row_is_for(row, device, scrypt_n) && row_parse(row, out);
        json_decref(row);
    }
    free(text);
    return found;
}

static sm_err write_row(FILE *to, const struct sm_gpu_device *d, uint32_t n, const struct sm_gpu_tuned *t,
                        struct sm_errinfo *ei)
{
    char measured[32];
    struct tm tm;
    const time_t now = (time_t)sm_clock_wall_s();
    (void)strftime(measured, sizeof measured, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    json_t *row = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:f, s:s}", "kernel", "romix", "device", d->name,
                            "driver", d->driver, "scrypt_n", (json_int_t)n, "wg_items", (json_int_t)t->wg_items,
                            "lookup_gap", (json_int_t)t->lookup_gap, "layout", layouts[t->layout], "labels_per_s",
                            t->labels_per_s, "measured", measured);
    char *text = row ? json_dumps(row, JSON_REAL_PRECISION(9)) : NULL;
    json_decref(row);
    if (!text)
        return sm_fail(ei, SM_E_NOMEM,
                       "the tuning of %s cannot be written: its name is no UTF-8, or memory is "
                       "short",
                       d->id);
    (void)fprintf(to, "- %s\n", text);
    free(text);
    return SM_OK;
}

sm_err sm_gpu_tune_save(const struct sm_gpu_device *device, uint32_t scrypt_n, const struct sm_gpu_tuned *t,
                        struct sm_errinfo *ei)
{
    char path[PATH_MAX], *old = NULL, *text = NULL;
    size_t old_n = 0, n = 0;
    sm_err err = sm_cache_path(path, sizeof path, SM_GPU_TUNE_FILE, ei);
    if (err) return err;
    if (sm_io_read_file(path, FILE_MAX, &old, &old_n, NULL)) old_n = 0; /* none yet, or of no use */
    FILE *to = open_memstream(&text, &n);
    if (!to) {
        free(old);
        return sm_fail(ei, SM_E_NOMEM, "out of memory saving the tuning");
    }
    const char *at = old, *line;
    for (size_t line_n; old_n && next_line(&at, old + old_n, &line, &line_n);) {
        json_t *row = row_of_line(line, line_n);
        if (!row || !row_is_for(row, device, scrypt_n)) (void)fprintf(to, "%.*s\n", (int)line_n, line);
        json_decref(row);
    }
    err = write_row(to, device, scrypt_n, t, ei);
    if (fclose(to) != 0 && !err) err = sm_fail(ei, SM_E_NOMEM, "out of memory saving the tuning");
    if (!err) err = sm_io_write_atomic(path, text, n, 0600, ei);
    free(text);
    free(old);
    return err;
}

/* ---- measuring ---- */

struct trial {
    const struct sm_gpu_device *device;
    uint32_t scrypt_n;
    double seconds;
    const struct sm_cancel *cancel;
};

/* Labels per second of this labeler, over whole widths. */
static sm_err measure(const struct trial *t, struct sm_gpu_labeler *g, double *out, struct sm_errinfo *ei)
{
    static const uint8_t commitment[32] = {0x5a}; /* any does: speed does not depend on it */
    const size_t width = sm_gpu_labeler_width(g), count = width < ROUND ? ROUND / width * width : width;
    uint8_t *labels = malloc(count * SM_SCRYPT_OUT_BYTES);
    if (!labels) return sm_fail(ei, SM_E_NOMEM, "out of memory for tuning");
    const uint64_t start = sm_clock_ns();
    uint64_t done = 0;
    sm_err err = SM_OK;
    do {
        const double left = (t->seconds - sm_clock_seconds_since(start)) * sm_gpu_labeler_rate(g);
        const size_t n = left < (double)width ? width : left < (double)count ? (size_t)left / width * width : count;
        err = sm_gpu_labeler_run(g, commitment, done, n, t->cancel, labels, ei);
        done += n;
    } while (!err && sm_clock_seconds_since(start) < t->seconds);
    *out = (double)done / sm_clock_seconds_since(start);
    free(labels);
    return err;
}

/* Tries `shape` and keeps it when it is faster than *best. */
static sm_err try_shape(const struct trial *t, struct sm_gpu_tuned shape, struct sm_gpu_tuned *best,
                        struct sm_errinfo *ei)
{
    struct sm_gpu_labeler *g = NULL;
    const struct sm_gpu_labeler_cfg cfg = {
        .scrypt_n = t->scrypt_n, .wg_items = shape.wg_items, .lookup_gap = shape.lookup_gap, .layout = shape.layout};
    sm_err err = sm_gpu_labeler_new(t->device->id, &cfg, &g, ei);
    if (!err) err = measure(t, g, &shape.labels_per_s, ei);
    sm_gpu_labeler_free(g);
    if (err) return err;
    sm_log(SM_LOG_DEBUG, "gpu", "tried", "device=%s wg_items=%" PRIu32 " lookup_gap=%" PRIu32 " labels_per_s=%.0f",
           t->device->id, shape.wg_items, shape.lookup_gap, shape.labels_per_s);
    if (shape.labels_per_s > best->labels_per_s) *best = shape;
    return SM_OK;
}

sm_err sm_gpu_tune(const struct sm_gpu_device *device, uint32_t scrypt_n, double seconds,
                   const struct sm_cancel *cancel, struct sm_gpu_tuned *out, struct sm_errinfo *ei)
{
    static const uint32_t gpu_groups[] = {32, 128, 256}, cpu_groups[] = {2, 4, 8}, gaps[] = {1, 4};
    const bool cpu = device->type == SM_GPU_TYPE_CPU;
    const uint32_t *groups = cpu ? cpu_groups : gpu_groups;
    const struct trial t = {.device = device, .scrypt_n = scrypt_n, .seconds = seconds, .cancel = cancel};
    struct sm_gpu_tuned best = {0}; /* the shapes that the labeler would choose itself come first */
    struct sm_errinfo why = {0};
    const struct sm_gpu_tuned first = {
        .wg_items = cpu ? 1 : 64, .lookup_gap = 2, .layout = cpu ? SM_GPU_LAYOUT_TABLES : SM_GPU_LAYOUT_ROWS};
    sm_err err = try_shape(&t, first, &best, ei);
    if (err) return err;
    struct sm_gpu_tuned next = best;
    for (int i = 0; i < 3 && !sm_cancelled(cancel); i++) {
        next.wg_items = groups[i];
        (void)try_shape(&t, next, &best, &why);
    }
    next = best;
    for (int i = 0; i < 2 && !sm_cancelled(cancel); i++) {
        next.lookup_gap = gaps[i];
        (void)try_shape(&t, next, &best, &why);
    }
    if (sm_cancelled(cancel)) return sm_fail(ei, SM_E_CANCELLED, "tuning was stopped");
    if (sm_gpu_tune_save(device, scrypt_n, &best, &why)) /* it is measured again next time */
        sm_log(SM_LOG_WARN, "gpu", "tuning not saved", "reason=\"%s\"", why.text);
    *out = best;
    return SM_OK;
}
