#include "post/gpu_tune.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "post/tune_rows.h"
#include "util/clock.h"
#include "util/log.h"

#define TRIALS      30.0 /* about as many as there are candidates: each gets its share of the time */
#define TRIAL_MIN_S 0.05
#define LABELS_MAX  (1u << 21) /* of one call: 32 MiB on the host */
#define BETTER      1.01       /* a tie keeps what is there */

static const char *const layouts[] = {
    [SM_GPU_LAYOUT_DEFAULT] = "default", [SM_GPU_LAYOUT_ROWS] = "rows", [SM_GPU_LAYOUT_TABLES] = "tables"};

/* ---- rows ---- */

static struct sm_tune_key key_of(const struct sm_gpu_device *d, uint32_t n, char source[SM_GPU_SOURCE_ID_ROOM])
{
    return (struct sm_tune_key){
        .device = d, .kernel = "romix", .source = sm_gpu_labeler_source_id(source), .scrypt_n = n};
}

/* A number from least to most; a row without it leaves 0, "as suits the device". */
static bool number(const json_t *row, const char *key, uint32_t least, uint32_t most, uint32_t *out)
{
    const json_t *v = json_object_get(row, key);
    const json_int_t i = json_integer_value(v);
    if (v && (!json_is_integer(v) || i < least || i > most)) return false;
    *out = v ? (uint32_t)i : 0;
    return true;
}

static bool parse_row(const json_t *row, void *out)
{
    struct sm_gpu_tuned t = {0};
    const char *variant = json_string_value(json_object_get(row, "variant"));
    if (!number(row, "lookup_gap", 1, 8, &t.cfg.lookup_gap) || !number(row, "wg_items", 1, 4096, &t.cfg.wg_items) ||
        !number(row, "width", 1, UINT32_MAX / 8, &t.cfg.width) || !number(row, "interleave", 1, 4, &t.cfg.interleave) ||
        !number(row, "unroll", 1, 4, &t.cfg.unroll))
        return false;
    if (variant && !(t.cfg.kernel = sm_gpu_kernel_of(variant))) return false;
    for (unsigned i = SM_GPU_LAYOUT_ROWS; i <= SM_GPU_LAYOUT_TABLES; i++)
        if (sm_tune_row_says(row, "layout", layouts[i])) t.cfg.layout = (sm_gpu_layout)i;
    t.labels_per_s = json_number_value(json_object_get(row, "labels_per_s"));
    *(struct sm_gpu_tuned *)out = t;
    return true;
}

bool sm_gpu_tune_load(const struct sm_gpu_device *device, uint32_t scrypt_n, const char *file, struct sm_gpu_tuned *out)
{
    char source[SM_GPU_SOURCE_ID_ROOM];
    const struct sm_tune_key key = key_of(device, scrypt_n, source);
    return sm_tune_rows_find(&key, file, parse_row, out);
}

sm_err sm_gpu_tune_save(const struct sm_gpu_device *device, uint32_t scrypt_n, const struct sm_gpu_tuned *t,
                        struct sm_errinfo *ei)
{
    char source[SM_GPU_SOURCE_ID_ROOM];
    const struct sm_tune_key key = key_of(device, scrypt_n, source);
    const struct sm_gpu_labeler_cfg *c = &t->cfg;
    json_t *row = json_pack("{s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:f}", "variant", sm_gpu_kernel_name(c->kernel),
                            "lookup_gap", (json_int_t)c->lookup_gap, "wg_items", (json_int_t)c->wg_items, "layout",
                            layouts[c->layout], "interleave", (json_int_t)c->interleave, "unroll",
                            (json_int_t)c->unroll, "width", (json_int_t)c->width, "labels_per_s", t->labels_per_s);
    return sm_tune_rows_save(&key, row, ei);
}

/* ---- measuring ---- */

struct search {
    const struct sm_gpu_device *device;
    const struct sm_cancel *cancel;
    double trial_s;
    uint64_t end_ns;
    struct sm_gpu_tuned best;
    uint32_t got; /* labels in flight of the last try: fewer than asked for when memory has no room for more */
};

/* Labels per second of this labeler, over whole widths. */
static sm_err measure(const struct search *s, struct sm_gpu_labeler *g, double *out, struct sm_errinfo *ei)
{
    static const uint8_t commitment[32] = {0x5a}; /* any does: speed does not depend on it */
    const size_t width = sm_gpu_labeler_width(g), most = width < LABELS_MAX ? LABELS_MAX / width * width : width;
    uint8_t *labels = malloc(most * 16);
    if (!labels) return sm_fail(ei, SM_E_NOMEM, "out of memory for tuning");
    struct sm_gpu_label_job job = {.commitment = commitment};
    const uint64_t start = sm_clock_ns();
    double passed = 0;
    sm_err err = SM_OK;
    do {
        const double want = (s->trial_s - passed) * sm_gpu_labeler_rate(g) / (double)width;
        job.count = want < 1 ? width : want > (double)(most / width) ? most : (size_t)want * width;
        err = sm_gpu_labeler_run(g, &job, s->cancel, labels, ei);
        job.first += job.count;
        passed = sm_clock_seconds_since(start);
    } while (!err && passed < s->trial_s);
    *out = (double)job.first / passed;
    free(labels);
    return err;
}

/* Tries `cfg` and keeps it when it is faster than the best. */
static sm_err try_cfg(struct search *s, const struct sm_gpu_labeler_cfg *cfg, struct sm_errinfo *ei)
{
    struct sm_gpu_labeler *g = NULL;
    double rate = 0;
    sm_err err = sm_gpu_labeler_new(s->device->id, cfg, &g, ei);
    if (!err) s->got = sm_gpu_labeler_width(g);
    if (!err) err = measure(s, g, &rate, ei);
    if (!err)
        sm_log(SM_LOG_DEBUG, "gpu", "tried", "device=%s %s labels_per_s=%.0f", s->device->id,
               sm_gpu_labeler_describe(g), rate);
    if (!err && rate > BETTER * s->best.labels_per_s) s->best = (struct sm_gpu_tuned){*cfg, rate};
    sm_gpu_labeler_free(g);
    return err;
}

static void tell_impossible(const struct search *s, const struct sm_errinfo *why)
{
    sm_log(SM_LOG_DEBUG, "gpu", "not possible", "device=%s why=\"%s\"", s->device->id, why->text);
}

/* The member of a labeler's configuration that a step varies. */
static uint32_t *member(struct sm_gpu_labeler_cfg *c, size_t offset)
{
    return (uint32_t *)(void *)((char *)c + offset);
}

/* Tries the best with other values of one member. */
static void vary(struct search *s, size_t offset, const uint32_t *values, size_t n)
{
    const struct sm_gpu_labeler_cfg from = s->best.cfg;
    for (size_t i = 0; i < n && sm_clock_ns() < s->end_ns && !sm_cancelled(s->cancel); i++) {
        struct sm_gpu_labeler_cfg next = from;
        struct sm_errinfo why = {0};
        if (*member(&next, offset) == values[i]) continue;
        *member(&next, offset) = values[i];
        if (try_cfg(s, &next, &why)) tell_impossible(s, &why);
    }
}

/* Tries other widths, ascending, up to what memory has room for. */
static void vary_width(struct search *s, const uint32_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        s->got = values[i];
        vary(s, offsetof(struct sm_gpu_labeler_cfg, width), values + i, 1);
        if (s->got < values[i]) return;
    }
}

#define VARY(s, name, ...)                                                              \
    vary(s, offsetof(struct sm_gpu_labeler_cfg, name), (const uint32_t[]){__VA_ARGS__}, \
         sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

_Static_assert(sizeof(sm_gpu_kernel) == sizeof(uint32_t) && sizeof(sm_gpu_layout) == sizeof(uint32_t),
               "vary() writes enumerations as words");

/* In the order of what they gain, so that little is lost when time is up. */
static void search_gpu(struct search *s, uint32_t units)
{
    VARY(s, lookup_gap, 1, 4);
    VARY(s, kernel, SM_GPU_KERNEL_QUAD, SM_GPU_KERNEL_FETCH);
    const uint32_t widths[] = {512 * units,  640 * units,  768 * units, 1024 * units,
                               1280 * units, 1536 * units, 2048 * units};
    vary_width(s, widths, sizeof widths / sizeof widths[0]);
    VARY(s, wg_items, 32, 128, 256);
    if (s->best.cfg.kernel == SM_GPU_KERNEL_ITEM) VARY(s, interleave, 2);
    VARY(s, unroll, 1);
    VARY(s, lookup_gap, 1, 2, 3, 5, 6, 8);
    VARY(s, layout, SM_GPU_LAYOUT_TABLES);
}

/* Compilers for processors make vectors of a group's items. */
static void search_cpu(struct search *s)
{
    struct sm_gpu_labeler_cfg fetch = s->best.cfg;
    struct sm_errinfo why = {0};
    fetch.kernel = SM_GPU_KERNEL_FETCH;
    fetch.wg_items = 8;
    fetch.unroll = 1;
    if (try_cfg(s, &fetch, &why)) tell_impossible(s, &why);
    VARY(s, lookup_gap, 1, 4);
    VARY(s, wg_items, 4, 16, 32);
    if (s->best.cfg.kernel == SM_GPU_KERNEL_ITEM) VARY(s, interleave, 2);
    VARY(s, unroll, 1, 4);
}

sm_err sm_gpu_tune(const struct sm_gpu_device *device, uint32_t scrypt_n, const struct sm_label_gpu_opts *opts,
                   double seconds, const struct sm_cancel *cancel, struct sm_gpu_tuned *out, struct sm_errinfo *ei)
{
    const bool cpu = device->type == SM_GPU_TYPE_CPU;
    const uint32_t units = device->compute_units;
    struct search s = {.device = device,
                       .cancel = cancel,
                       .trial_s = seconds / TRIALS > TRIAL_MIN_S ? seconds / TRIALS : TRIAL_MIN_S,
                       .end_ns = sm_clock_ns() + (uint64_t)(1e9 * seconds)};
    /* What the labeler would choose itself comes first. */
    const struct sm_gpu_labeler_cfg first = {.scrypt_n = scrypt_n,
                                             .memory_cap_bytes = opts ? opts->memory_cap_bytes : 0,
                                             .launch_ms = opts ? opts->launch_ms : 0,
                                             .kernel = SM_GPU_KERNEL_ITEM,
                                             .lookup_gap = 2,
                                             .wg_items = cpu ? 1 : 64,
                                             .width = (cpu ? 16 : 768) * units,
                                             .interleave = 1,
                                             .unroll = 4,
                                             .layout = cpu ? SM_GPU_LAYOUT_TABLES : SM_GPU_LAYOUT_ROWS};
    struct sm_errinfo why = {0};
    const sm_err err = try_cfg(&s, &first, ei);
    if (err) return err;
    if (cpu)
        search_cpu(&s);
    else
        search_gpu(&s, units);
    if (sm_cancelled(cancel)) return sm_fail(ei, SM_E_CANCELLED, "tuning was stopped");
    if (sm_gpu_tune_save(device, scrypt_n, &s.best, &why)) /* it is measured again next time */
        sm_log(SM_LOG_WARN, "gpu", "tuning not saved", "reason=\"%s\"", why.text);
    *out = s.best;
    return SM_OK;
}
