#include "post/label_tune.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "post/label.h"
#include "util/cachedir.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"
#include "util/thread.h"

#define TUNE_MAX_BYTES       (1u << 20)
#define TUNE_VERSION         2 /* of the kernels and candidates, too: older results say nothing about these */
#define FINALISTS            3u
#define TUNE_COMMITMENT_BYTE 0x5a /* any commitment does: speed does not depend on it */

/* ---- the file ---- */

/* The "entries" array of the saved file, or NULL: not there, broken, another version. */
static json_t *load_entries(const char *path)
{
    char *text = NULL;
    size_t n = 0;
    struct sm_errinfo ei = {0};
    if (sm_io_read_file(path, TUNE_MAX_BYTES, &text, &n, &ei)) return NULL;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    json_t *entries = NULL;
    if (root && json_integer_value(json_object_get(root, "version")) == TUNE_VERSION)
        entries = json_incref(json_object_get(root, "entries"));
    json_decref(root);
    if (entries && json_is_array(entries)) return entries;
    json_decref(entries);
    return NULL;
}

static bool member_u32(const json_t *entry, const char *key, uint32_t *out)
{
    const json_t *v = json_object_get(entry, key);
    const json_int_t i = json_integer_value(v);
    if (!json_is_integer(v) || i < 0 || i > UINT32_MAX) return false;
    *out = (uint32_t)i;
    return true;
}

static bool member_is(const json_t *entry, const char *key, const char *value)
{
    const char *s = json_string_value(json_object_get(entry, key));
    return s && strcmp(s, value) == 0;
}

static bool entry_is_for(const json_t *e, const struct sm_scrypt_variant *v, uint32_t n)
{
    uint32_t entry_n;
    return member_is(e, "cpu", sm_cpu()->name) && member_is(e, "variant", v->name) &&
           member_u32(e, "scrypt_n", &entry_n) && entry_n == n;
}

static bool entry_parse(const json_t *e, struct sm_label_tuned *out)
{
    struct sm_label_tuned t = {0};
    if (!member_u32(e, "threads", &t.threads) || !member_u32(e, "groups", &t.tune.groups) ||
        !member_u32(e, "sets", &t.tune.sets) || !member_u32(e, "lookup_gap", &t.tune.lookup_gap) ||
        !member_u32(e, "prefetch", &t.tune.prefetch) || !member_u32(e, "stream", &t.tune.stream))
        return false;
    t.labels_per_s = json_number_value(json_object_get(e, "labels_per_s"));
    *out = t;
    return t.threads > 0;
}

bool sm_label_tune_load(const struct sm_scrypt_variant *v, uint32_t n, unsigned threads, struct sm_label_tuned *out)
{
    char path[PATH_MAX];
    if (sm_cache_path(path, sizeof path, SM_LABEL_TUNE_FILE, NULL)) return false;
    json_t *entries = load_entries(path);
    bool found = false;
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *e = json_array_get(entries, i);
        struct sm_label_tuned t;
        if (!entry_is_for(e, v, n) || !entry_parse(e, &t)) continue;
        const unsigned off = t.threads > threads ? t.threads - threads : threads - t.threads;
        const unsigned best_off = out->threads > threads ? out->threads - threads : threads - out->threads;
        if (!found || off < best_off) *out = t;
        found = true;
    }
    json_decref(entries);
    return found;
}

static json_t *entry_of(const struct sm_scrypt_variant *v, uint32_t n, const struct sm_label_tuned *t)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "cpu", sm_cpu()->name, "variant", v->name,
                     "scrypt_n", (json_int_t)n, "threads", (json_int_t)t->threads, "groups", (json_int_t)t->tune.groups,
                     "sets", (json_int_t)t->tune.sets, "lookup_gap", (json_int_t)t->tune.lookup_gap, "prefetch",
                     (json_int_t)t->tune.prefetch, "stream", (json_int_t)t->tune.stream, "labels_per_s",
                     t->labels_per_s);
}

sm_err sm_label_tune_save(const struct sm_scrypt_variant *v, uint32_t n, const struct sm_label_tuned *t,
                          struct sm_errinfo *ei)
{
    char path[PATH_MAX];
    char *text = NULL;
    json_t *root = NULL, *entries = NULL;
    sm_err err = sm_cache_path(path, sizeof path, SM_LABEL_TUNE_FILE, ei);
    if (err) return err;
    entries = load_entries(path);
    if (!entries) entries = json_array();
    for (size_t i = json_array_size(entries); i-- > 0;) {
        const json_t *e = json_array_get(entries, i);
        uint32_t threads = 0;
        if (entry_is_for(e, v, n) && member_u32(e, "threads", &threads) && threads == t->threads)
            (void)json_array_remove(entries, i);
    }
    err = SM_E_NOMEM;
    if (json_array_append_new(entries, entry_of(v, n, t)) != 0) goto out;
    root = json_pack("{s:i, s:O}", "version", TUNE_VERSION, "entries", entries);
    text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    if (!text) goto out;
    err = sm_io_write_atomic(path, text, strlen(text), 0600, ei);
out:
    if (err == SM_E_NOMEM) (void)sm_fail(ei, err, "out of memory saving the tuning");
    free(text);
    json_decref(root);
    json_decref(entries);
    return err;
}

/* ---- measuring ---- */

struct trial {
    const struct sm_scrypt_variant *variant;
    const struct sm_scrypt_tune *tune;
    uint32_t n;
    const struct sm_cancel *cancel;
    double seconds;
    double *rates; /* one per thread; 0: failed or wrong */
};

/* The first and the last label of the width against the reference. */
static bool right(uint32_t n, const uint8_t commitment[32], uint32_t width, const uint8_t *out)
{
    const uint32_t at[] = {0, width - 1};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        uint8_t want[SM_SCRYPT_OUT_BYTES];
        if (sm_scrypt_one(n, commitment, at[i], want, NULL)) return false;
        if (memcmp(want, out + (size_t)at[i] * sizeof want, sizeof want) != 0) return false;
    }
    return true;
}

static void trial_thread(void *ctx, unsigned index)
{
    const struct trial *t = ctx;
    uint8_t commitment[32];
    memset(commitment, TUNE_COMMITMENT_BYTE, sizeof commitment);
    struct sm_scrypt_worker *w = NULL;
    uint8_t *out = NULL;
    if (sm_scrypt_worker_new(t->variant, t->tune, t->n, &w, NULL)) return;
    const uint32_t width = sm_scrypt_worker_width(w);
    out = malloc((size_t)width * SM_SCRYPT_OUT_BYTES);
    /* the first call also faults the memory in */
    if (!out || sm_scrypt_range(w, commitment, 0, width, t->cancel, out) || !right(t->n, commitment, width, out))
        goto out;
    const uint64_t start = sm_clock_ns();
    uint64_t labels = 0;
    do {
        if (sm_scrypt_range(w, commitment, labels, width, t->cancel, out)) goto out;
        labels += width;
    } while (sm_clock_seconds_since(start) < t->seconds);
    t->rates[index] = (double)labels / sm_clock_seconds_since(start);
out:
    free(out);
    sm_scrypt_worker_free(w);
}

/* Labels per second of all threads; 0 when one of them failed. */
static double try_tune(struct trial *t, unsigned threads)
{
    double sum = 0;
    memset(t->rates, 0, threads * sizeof *t->rates);
    sm_threads_run(threads, trial_thread, t);
    for (unsigned i = 0; i < threads; i++) {
        if (!(t->rates[i] > 0)) return 0;
        sum += t->rates[i];
    }
    return sum;
}

struct ranked {
    size_t tune;
    double rate;
};

/* A variant without a table of candidates has its default. */
static const struct sm_scrypt_tune *candidate(const struct sm_scrypt_variant *v, size_t i)
{
    return v->tunes_n ? &v->tunes[i] : NULL;
}

static int by_rate(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->rate < y->rate ? 1 : x->rate > y->rate ? -1 : x->tune < y->tune ? -1 : 1;
}

/* Two rounds: all candidates for half of the time, then the best few for the rest. Sorts `r`, best first. */
static void rank(struct trial *t, unsigned threads, double seconds, struct ranked *r, size_t n)
{
    const uint64_t start = sm_clock_ns();
    t->seconds = seconds / 2 / (double)n;
    for (size_t i = 0; i < n; i++) {
        r[i] = (struct ranked){.tune = i};
        if (i && sm_clock_seconds_since(start) > seconds * 0.7)
            continue; /* slow machine: the best guesses come first */
        t->tune = candidate(t->variant, i);
        r[i].rate = try_tune(t, threads);
    }
    qsort(r, n, sizeof *r, by_rate);
    const size_t finalists = n < FINALISTS ? n : FINALISTS;
    t->seconds = (seconds - sm_clock_seconds_since(start)) / (double)finalists;
    for (size_t i = 0; i < finalists && n > 1 && t->seconds > 0 && r[i].rate > 0; i++) {
        if (sm_clock_seconds_since(start) > seconds) break;
        t->tune = candidate(t->variant, r[i].tune);
        r[i].rate = try_tune(t, threads);
    }
    qsort(r, finalists, sizeof *r, by_rate);
}

sm_err sm_label_cpu_tune(const char *variant, uint32_t scrypt_n, unsigned threads, double seconds,
                         const struct sm_cancel *cancel, struct sm_scrypt_tune *out, double *out_labels_per_s,
                         struct sm_errinfo *ei)
{
    const struct sm_scrypt_variant *v = NULL;
    sm_err err = sm_scrypt_pick(sm_cpu(), variant, &v, ei);
    if (err) return err;
    if (threads == 0) threads = sm_cpu_count();
    struct sm_label_tuned best = {.threads = threads};
    struct trial t = {.variant = v, .n = scrypt_n, .cancel = cancel};
    const size_t n = v->tunes_n ? v->tunes_n : 1;
    struct ranked *ranked = calloc(n, sizeof *ranked);
    t.rates = calloc(threads, sizeof *t.rates);
    if (!ranked || !t.rates) {
        err = sm_fail(ei, SM_E_NOMEM, "out of memory for tuning");
        goto out;
    }
    rank(&t, threads, seconds, ranked, n);
    if (sm_cancelled(cancel)) {
        err = sm_fail(ei, SM_E_CANCELLED, "tuning was stopped");
        goto out;
    }
    if (!(ranked[0].rate > 0)) {
        err = sm_fail(ei, SM_E_DEVICE, "no tuning of variant %s computes right labels at N = %u with %u threads here",
                      v->name, scrypt_n, threads);
        goto out;
    }
    if (v->tunes_n) best.tune = v->tunes[ranked[0].tune];
    best.labels_per_s = ranked[0].rate;
    if (sm_label_tune_save(v, scrypt_n, &best, ei)) /* the measurement stands; it is made again next time */
        sm_log(SM_LOG_WARN, "label", "tuning not saved", "reason=\"%s\"", ei ? ei->text : "");
    *out = best.tune;
    *out_labels_per_s = best.labels_per_s;
out:
    free(t.rates);
    free(ranked);
    return err;
}
