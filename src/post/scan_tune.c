#include "post/scan_tune.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/kernel.h"
#include "post/tune_rows.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"

/* ---- rows ---- */

static const char *kind_name(sm_gpu_scan_kind k)
{
    return k == SM_GPU_SCAN_BITS ? "bits" : "tables";
}

static struct sm_tune_key key_of(const struct sm_gpu_device *d, char source[SM_GPU_SOURCE_ID_ROOM])
{
    return (struct sm_tune_key){.device = d,
                                .kernel = "scan",
                                .source = sm_gpu_source_id(sm_kernel_scan_source, sm_kernel_scan_bits_source, source)};
}

static bool parse_row(const json_t *row, void *out)
{
    const json_int_t tables = json_integer_value(json_object_get(row, "tables"));
    const json_int_t copies = json_integer_value(json_object_get(row, "copies"));
    const json_int_t wg = json_integer_value(json_object_get(row, "wg_items"));
    const bool bits = sm_tune_row_says(row, "kind", "bits");
    if (!bits && !sm_tune_row_says(row, "kind", "tables")) return false;
    if (tables < 1 || tables > 4 || copies < 1 || copies > 32 || wg < 1 || wg > 4096) return false;
    *(struct sm_gpu_scanner_cfg *)out =
        (struct sm_gpu_scanner_cfg){.kind = bits ? SM_GPU_SCAN_BITS : SM_GPU_SCAN_TABLES,
                                    .tables = (uint32_t)tables,
                                    .copies = (uint32_t)copies,
                                    .wg_items = (uint32_t)wg};
    return true;
}

bool sm_scan_tune_load(const struct sm_gpu_device *device, struct sm_gpu_scanner_cfg *out)
{
    char source[SM_GPU_SOURCE_ID_ROOM];
    const struct sm_tune_key key = key_of(device, source);
    return sm_tune_rows_find(&key, NULL, parse_row, out);
}

static sm_err save(const struct sm_gpu_device *d, const struct sm_gpu_scanner_cfg *c, double bytes_per_s,
                   struct sm_errinfo *ei)
{
    char source[SM_GPU_SOURCE_ID_ROOM];
    const struct sm_tune_key key = key_of(d, source);
    json_t *row = json_pack("{s:s, s:I, s:I, s:I, s:f, s:I}", "kind", kind_name(c->kind), "tables",
                            (json_int_t)c->tables, "copies", (json_int_t)c->copies, "wg_items", (json_int_t)c->wg_items,
                            "bytes_per_s", bytes_per_s, "nonces", (json_int_t)SM_SCAN_TUNE_NONCES);
    return sm_tune_rows_save(&key, row, ei);
}

/* ---- measuring ---- */

struct measure {
    struct sm_gpu_scanner *g;
    const uint8_t *labels;
    size_t labels_n, call; /* labels per call */
    bool transfer_only;
    uint64_t start_ns, end_ns;
    atomic_size_t next; /* call to make */
    atomic_uint_fast64_t bytes;
    atomic_uint_fast64_t last_ns; /* end of the last call of all lanes */
    struct {
        sm_err err;
        struct sm_errinfo ei;
    } lane[SM_GPU_SCAN_LANES];
};

static bool ignore(void *ctx, const struct sm_scan_hit *hits, size_t n)
{
    (void)ctx, (void)hits, (void)n;
    return true;
}

static void measure_lane(void *ctx, unsigned lane)
{
    struct measure *m = ctx;
    sm_err err = SM_OK;
    size_t done = 0;
    do {
        const size_t calls = m->labels_n / m->call, at = atomic_fetch_add(&m->next, 1) % calls * m->call;
        const uint8_t *labels = m->labels + 16 * at;
        err = m->transfer_only
                  ? sm_gpu_scanner_upload(m->g, lane, labels, m->call, &m->lane[lane].ei)
                  : sm_gpu_scanner_run(m->g, lane, labels, m->call, ignore, NULL, &done, &m->lane[lane].ei);
        if (!err) atomic_fetch_add(&m->bytes, 16 * m->call);
    } while (!err && sm_clock_ns() < m->end_ns);
    m->lane[lane].err = err;
    const uint64_t now = sm_clock_ns();
    uint64_t last = atomic_load(&m->last_ns);
    while (last < now && !atomic_compare_exchange_weak(&m->last_ns, &last, now)) continue;
}

sm_err sm_scan_measure(struct sm_gpu_scanner *g, const uint8_t *labels, size_t labels_n, bool transfer_only,
                       double seconds, double *out, struct sm_errinfo *ei)
{
    struct measure m = {.g = g,
                        .labels = labels,
                        .labels_n = labels_n,
                        .call = sm_gpu_scanner_labels_max(g),
                        .transfer_only = transfer_only};
    if (labels_n < m.call) return sm_fail(ei, SM_E_ARG, "%zu labels to measure with: at least %zu", labels_n, m.call);
    m.start_ns = sm_clock_ns();
    m.end_ns = m.start_ns + (uint64_t)(1e9 * seconds);
    sm_threads_run(SM_GPU_SCAN_LANES, measure_lane, &m);
    for (unsigned i = 0; i < SM_GPU_SCAN_LANES; i++)
        if (m.lane[i].err) return sm_fail(ei, m.lane[i].err, "%s", m.lane[i].ei.text);
    *out = (double)atomic_load(&m.bytes) / (1e-9 * (double)(atomic_load(&m.last_ns) - m.start_ns));
    return SM_OK;
}

/* ---- tuning ---- */

struct trial {
    const struct sm_gpu_device *device;
    struct sm_scan_job job;
    double seconds;
};

static void fill(uint8_t *p, size_t n, uint64_t x)
{
    for (size_t i = 0; i + 8 <= n; i += 8) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        sm_le64_store(p + i, x);
    }
}

static struct sm_scan_group *some_groups(uint32_t n)
{
    struct sm_scan_group *g = aligned_alloc(_Alignof(struct sm_scan_group), n * sizeof *g);
    for (uint32_t i = 0; g && i < n; i++) {
        uint8_t key[16];
        for (uint32_t o = 0; o <= 16; o++) {
            fill(key, sizeof key, 17 * i + o + 1);
            sm_aes128_init(o < 16 ? &g[i].lazy[o] : &g[i].key, key);
        }
        g[i].nonce_base = 16 * i;
    }
    return g;
}

static sm_err try_cfg(const struct trial *t, const struct sm_gpu_scanner_cfg *cfg, double *out, struct sm_errinfo *ei)
{
    struct sm_gpu_scanner *g = NULL;
    uint8_t *labels = NULL, *own = NULL;
    struct sm_errinfo why = {0};
    sm_err err = sm_gpu_scanner_new(t->device->id, cfg, &g, ei);
    const size_t n = err ? 0 : 4 * sm_gpu_scanner_labels_max(g);
    if (!err && sm_gpu_scanner_pin(g, 16 * n, &labels, &why)) {
        labels = own = aligned_alloc(4096, 16 * n);
        if (!own) err = sm_fail(ei, SM_E_NOMEM, "out of memory for tuning");
    }
    if (!err) {
        fill(labels, 16 * n, 1);
        err = sm_gpu_scanner_set_job(g, &t->job, ei);
    }
    if (!err) err = sm_scan_measure(g, labels, n, false, 0.3 * t->seconds, out, ei); /* launches grow to their length */
    if (!err) err = sm_scan_measure(g, labels, n, false, 0.7 * t->seconds, out, ei);
    if (!err)
        sm_log(SM_LOG_DEBUG, "gpu", "tried", "device=%s %s bytes_per_s=%.3g", t->device->id, sm_gpu_scanner_describe(g),
               *out);
    if (!g || !sm_gpu_scanner_hangs(g)) free(own);
    sm_gpu_scanner_free(g);
    return err;
}

/* Predicted order of speed (bench/RESULTS.md), so that a tie keeps the first. */
static const struct sm_gpu_scanner_cfg gpu_candidates[] = {
    {.kind = SM_GPU_SCAN_TABLES, .tables = 1, .copies = 32, .wg_items = 256},
    {.kind = SM_GPU_SCAN_BITS, .tables = 1, .copies = 8, .wg_items = 64},
    {.kind = SM_GPU_SCAN_TABLES, .tables = 1, .copies = 32, .wg_items = 512},
    {.kind = SM_GPU_SCAN_BITS, .tables = 1, .copies = 8, .wg_items = 32},
    {.kind = SM_GPU_SCAN_TABLES, .tables = 1, .copies = 8, .wg_items = 256},
    {.kind = SM_GPU_SCAN_TABLES, .tables = 4, .copies = 1, .wg_items = 256},
};
static const struct sm_gpu_scanner_cfg cpu_candidates[] = {
    {.kind = SM_GPU_SCAN_TABLES, .tables = 4, .copies = 1, .wg_items = 64},
    {.kind = SM_GPU_SCAN_TABLES, .tables = 4, .copies = 1, .wg_items = 16},
};

sm_err sm_scan_tune(const struct sm_gpu_device *device, double seconds, const struct sm_cancel *cancel,
                    struct sm_gpu_scanner_cfg *out, double *out_bytes_per_s, struct sm_errinfo *ei)
{
    const bool cpu = device->type == SM_GPU_TYPE_CPU;
    const struct sm_gpu_scanner_cfg *candidates = cpu ? cpu_candidates : gpu_candidates;
    const size_t n =
        cpu ? sizeof cpu_candidates / sizeof *cpu_candidates : sizeof gpu_candidates / sizeof *gpu_candidates;
    const uint32_t groups_n = SM_SCAN_TUNE_NONCES / 16;
    struct sm_scan_group *groups = some_groups(groups_n);
    if (!groups) return sm_fail(ei, SM_E_NOMEM, "out of memory for tuning");
    const struct trial t = {
        .device = device, .job = {.groups = groups, .groups_n = groups_n}, .seconds = seconds / (double)n};
    struct sm_errinfo why = {0};
    double best = 0;
    sm_err err = SM_OK;
    for (size_t i = 0; i < n && !sm_cancelled(cancel); i++) {
        double rate = 0;
        const sm_err failed = try_cfg(&t, &candidates[i], &rate, &why);
        if (failed) err = failed;
        if (!failed && rate > 1.01 * best) best = rate, *out = candidates[i];
    }
    free(groups);
    if (sm_cancelled(cancel)) return sm_fail(ei, SM_E_CANCELLED, "tuning was stopped");
    if (best <= 0) return sm_fail(ei, err, "%s", why.text);
    if (save(device, out, best, &why)) /* it is measured again next time */
        sm_log(SM_LOG_WARN, "gpu", "tuning not saved", "reason=\"%s\"", why.text);
    *out_bytes_per_s = best;
    return SM_OK;
}

sm_err sm_scan_open(const char *device_id, double tune_seconds, const struct sm_cancel *cancel,
                    struct sm_gpu_scanner **out, struct sm_errinfo *ei)
{
    struct sm_gpu_device device;
    struct sm_gpu_scanner_cfg cfg = {0};
    struct sm_errinfo why = {0};
    double rate = 0;
    if (sm_gpu_describe(device_id, &device) && !sm_scan_tune_load(&device, &cfg) && tune_seconds > 0) {
        sm_log(SM_LOG_INFO, "gpu", "tuning the scan of this device, once", "device=%s seconds=%.0f", device_id,
               tune_seconds);
        const sm_err err = sm_scan_tune(&device, tune_seconds, cancel, &cfg, &rate, &why);
        if (err == SM_E_CANCELLED) return sm_fail(ei, err, "%s", why.text);
        if (err) sm_log(SM_LOG_WARN, "gpu", "tuning failed", "device=%s why=\"%s\"", device_id, why.text);
    }
    if (cfg.kind == SM_GPU_SCAN_DEFAULT) return sm_gpu_scanner_new(device_id, &cfg, out, ei);
    if (sm_gpu_scanner_new(device_id, &cfg, out, &why) == SM_OK) return SM_OK;
    sm_log(SM_LOG_WARN, "gpu", "the tuned scan does not work, trying the default", "device=%s why=\"%s\"", device_id,
           why.text);
    return sm_gpu_scanner_new(device_id, &(struct sm_gpu_scanner_cfg){0}, out, ei);
}
