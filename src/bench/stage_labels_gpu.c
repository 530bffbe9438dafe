/* The init stage on OpenCL devices. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/stage.h"
#include "crypto/scrypt.h"
#include "gpu/peak.h"
#include "gpu/plain.h"
#include "post/gpu_tune.h"
#include "util/clock.h"
#include "util/log.h"

#define LABELS_MAX     (1u << 22) /* of one call: 64 MiB on the host */
#define CHECKED_LABELS 8u
#define CHUNKMIX_OPS   832.0 /* 32-bit operations: 2 * (32 quarter rounds of 12, 16 additions, 16 XORs) */

/* Any fixed commitment serves: the work does not depend on it. */
static const uint8_t commitment[32] = "smesher bench: a commitment ...";

/* Rates of `slices` slices of about seconds / slices each, in whole widths and as few calls as memory allows. */
static sm_err measure(struct sm_gpu_labeler *g, unsigned slices, double seconds, const struct sm_cancel *cancel,
                      struct sm_bench_stat *out, struct sm_errinfo *ei)
{
    const size_t width = sm_gpu_labeler_width(g), most = width < LABELS_MAX ? LABELS_MAX / width * width : width;
    double rates[SM_BENCH_SLICES], seen = sm_gpu_labeler_rate(g);
    uint8_t *labels = malloc(most * SM_LABEL_BYTES);
    if (!labels) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu labels", most);
    struct sm_gpu_label_job job = {.commitment = commitment};
    sm_err err = SM_OK;
    for (unsigned i = 0; i < slices && !err; i++) {
        const uint64_t start = sm_clock_ns(), first = job.first;
        double passed = 0;
        do {
            const double want = ceil((seconds / slices - passed) * seen / (double)width);
            job.count = want < 1 ? width : want > (double)(most / width) ? most : (size_t)want * width;
            err = sm_gpu_labeler_run(g, &job, cancel, labels, ei);
            job.first += job.count;
            passed = sm_clock_seconds_since(start);
        } while (!err && passed < 0.9 * seconds / slices);
        rates[i] = seen = (double)(job.first - first) / passed;
    }
    if (!err) *out = sm_bench_stat_of(rates, slices);
    free(labels);
    return err;
}

/* A bound: the same labeler with a part of its work alone. One that the device refuses is left out. */
static sm_err add_bound(struct sm_bench_row *row, const char *id, struct sm_gpu_labeler_cfg cfg, sm_gpu_probe probe,
                        const char *kind, double seconds, const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    struct sm_gpu_labeler *g = NULL;
    struct sm_bench_stat stat = {0};
    struct sm_errinfo why = {0};
    cfg.probe = probe;
    sm_err err = sm_gpu_labeler_new(id, &cfg, &g, &why);
    if (!err) err = measure(g, 3, seconds, cancel, &stat, &why);
    sm_gpu_labeler_free(g);
    if (err == SM_E_CANCELLED) return sm_fail(ei, err, "%s", why.text);
    if (err) {
        sm_log(SM_LOG_WARN, "bench", "bound not measured", "device=%s bound=%s why=\"%s\"", id, kind, why.text);
        return SM_OK;
    }
    struct sm_bench_bound *b = &row->bounds[row->bounds_n++];
    (void)snprintf(b->kind, sizeof b->kind, "%s", kind);
    b->rate = stat.median;
    return SM_OK;
}

/* ChunkMixes of a label: one to fill each row, and one to mix it, after gap / 2 - 1 / 2 more to compute a row that is not
 * stored; post.md §8.1, without divergence. */
static double chunkmixes(const struct sm_gpu_labeler_cfg *cfg)
{
    return cfg->scrypt_n * (2 + (cfg->lookup_gap - 1) / 2.0);
}

static void add_computed(struct sm_bench_row *row, const char *id, const struct sm_gpu_labeler_cfg *cfg)
{
    const struct sm_gpu_peak peak = sm_gpu_peak_of(id);
    const double bytes = 128.0 * cfg->scrypt_n * (1 + 1.0 / cfg->lookup_gap);
    if (peak.chunkmixes_per_s > 0)
        row->bounds[row->bounds_n++] = (struct sm_bench_bound){"alu_computed", peak.chunkmixes_per_s / chunkmixes(cfg)};
    if (peak.bytes_per_s > 0)
        row->bounds[row->bounds_n++] = (struct sm_bench_bound){"memory_computed", peak.bytes_per_s / bytes};
}

/* What the rate means for the arithmetic units, by the clock that the driver names; and what it costs the host, unless that
 * is the device. */
static void write_note(struct sm_bench_row *row, const char *id, const struct sm_gpu_labeler_cfg *cfg, const char *how,
                       double host)
{
    struct sm_gpu_device d = {0};
    const bool known = sm_gpu_describe(id, &d);
    char ops[80] = "", spent[48] = "";
    if (known && d.clock_mhz)
        (void)snprintf(ops, sizeof ops, "; %.1f operations per unit and cycle (%u units, %u MHz)",
                       row->rate.median * CHUNKMIX_OPS * chunkmixes(cfg) / (1e6 * d.clock_mhz * d.compute_units),
                       d.compute_units, d.clock_mhz);
    if (known && d.type != SM_GPU_TYPE_CPU)
        (void)snprintf(spent, sizeof spent, "; %.1f %% of one processor", 100 * host);
    (void)snprintf(row->note, sizeof row->note, "%s%s%s", how, ops, spent);
}

static sm_err tune_first(const char *id, uint32_t n, const struct sm_label_gpu_opts *opts, double seconds,
                         const struct sm_cancel *cancel, const char **how, struct sm_errinfo *ei)
{
    struct sm_gpu_device d;
    struct sm_gpu_tuned t;
    struct sm_errinfo why = {0};
    *how = "default";
    if (!sm_gpu_describe(id, &d)) return SM_OK; /* opening it says so */
    *how = "tuned";
    if (sm_gpu_tune_load(&d, n, opts ? opts->tuning_file : NULL, &t)) return SM_OK;
    *how = "default, not tuned";
    if (seconds <= 0) return SM_OK;
    sm_log(SM_LOG_INFO, "gpu", "tuning this device, once", "device=%s seconds=%.0f", id, seconds);
    const sm_err err = sm_gpu_tune(&d, n, opts, seconds, cancel, &t, &why);
    if (err == SM_E_CANCELLED) return sm_fail(ei, err, "%s", why.text);
    if (err)
        sm_log(SM_LOG_WARN, "gpu", "tuning failed", "device=%s why=\"%s\"", id, why.text);
    else
        *how = "tuned now";
    return SM_OK;
}

/* The device's row is about this kernel. */
static bool tuned_as(const char *id, uint32_t n, const char *kernel, const struct sm_label_gpu_opts *opts)
{
    struct sm_gpu_device d;
    struct sm_gpu_tuned t;
    return sm_gpu_describe(id, &d) && sm_gpu_tune_load(&d, n, opts ? opts->tuning_file : NULL, &t) &&
           t.cfg.kernel == sm_gpu_kernel_of(kernel);
}

sm_err sm_bench_init_gpu(const char *device_id, uint32_t scrypt_n, const char *kernel,
                         const struct sm_label_gpu_opts *opts, double tune_seconds, double seconds,
                         const struct sm_cancel *cancel, struct sm_bench_row *out, struct sm_errinfo *ei)
{
    struct sm_gpu_labeler *g = NULL;
    struct sm_gpu_labeler_cfg cfg = {.scrypt_n = scrypt_n};
    const char *how = "default";
    sm_err err = SM_OK;
    if (kernel && !tuned_as(device_id, scrypt_n, kernel, opts)) {
        cfg.kernel = sm_gpu_kernel_of(kernel);
        cfg.memory_cap_bytes = opts ? opts->memory_cap_bytes : 0;
        cfg.launch_ms = opts ? opts->launch_ms : 0;
        err = sm_gpu_labeler_new(device_id, &cfg, &g, ei);
    } else {
        err = tune_first(device_id, scrypt_n, opts, tune_seconds, cancel, &how, ei);
        if (!err) err = sm_label_gpu_open(device_id, scrypt_n, opts, &g, ei);
    }
    if (err) return err;
    sm_bench_row_start(out, "init", device_id, sm_gpu_labeler_describe(g), 0, "labels/s");
    const double spent = sm_bench_processor_seconds();
    const uint64_t start = sm_clock_ns();
    err = measure(g, SM_BENCH_SLICES, 0.6 * seconds, cancel, &out->rate, ei);
    const double host = (sm_bench_processor_seconds() - spent) / sm_clock_seconds_since(start);
    cfg = sm_gpu_labeler_cfg_of(g);
    sm_gpu_labeler_free(g); /* the probes need the memory */
    if (!err) err = add_bound(out, device_id, cfg, SM_GPU_PROBE_ALU, "alu", 0.2 * seconds, cancel, ei);
    if (!err) err = add_bound(out, device_id, cfg, SM_GPU_PROBE_MEMORY, "memory", 0.2 * seconds, cancel, ei);
    if (err) return err;
    out->bytes_per_s = out->rate.median * SM_LABEL_BYTES;
    add_computed(out, device_id, &cfg);
    write_note(out, device_id, &cfg, how, host);
    return SM_OK;
}

/* ---- the kernel in general use ---- */

static sm_err check_baseline(const uint8_t *labels, uint64_t first, uint32_t count, uint32_t n, struct sm_errinfo *ei)
{
    for (uint32_t i = 0; i < CHECKED_LABELS && i < count; i++) {
        const uint32_t at = (uint32_t)((uint64_t)i * (count - 1) / (CHECKED_LABELS - 1));
        uint8_t want[SM_SCRYPT_OUT_BYTES];
        const sm_err err = sm_scrypt_one(n, commitment, first + at, want, ei);
        if (err) return err;
        if (memcmp(want, labels + (size_t)at * sizeof want, sizeof want) != 0)
            return sm_fail(ei, SM_E_DEVICE, "the baseline kernel computes wrong labels (index %llu)",
                           (unsigned long long)(first + at));
    }
    return SM_OK;
}

sm_err sm_bench_init_baseline(const char *device_id, uint32_t scrypt_n, const struct sm_label_gpu_opts *opts,
                              double seconds, const struct sm_cancel *cancel, struct sm_bench_row *out,
                              struct sm_errinfo *ei)
{
    struct sm_gpu_plain *g = NULL;
    sm_err err = sm_gpu_plain_new(device_id, scrypt_n, opts ? opts->memory_cap_bytes : 0, &g, ei);
    if (err) return err;
    const uint32_t width = sm_gpu_plain_width(g);
    uint64_t first = (UINT64_C(1) << 32) - width / 2;
    double rates[SM_BENCH_SLICES];
    uint8_t *labels = malloc((size_t)width * SM_SCRYPT_OUT_BYTES);
    if (!labels) err = sm_fail(ei, SM_E_NOMEM, "out of memory for %u labels", width);
    if (!err) err = sm_gpu_plain_run(g, commitment, first, width, labels, ei); /* drivers finish compiling here */
    if (!err) err = check_baseline(labels, first, width, scrypt_n, ei);
    for (unsigned i = 0; i < SM_BENCH_SLICES && !err; i++) {
        const uint64_t start = sm_clock_ns(), from = first;
        do {
            if (sm_cancelled(cancel)) err = sm_fail(ei, SM_E_CANCELLED, "cancelled");
            if (!err) err = sm_gpu_plain_run(g, commitment, first += width, width, labels, ei);
        } while (!err && sm_clock_seconds_since(start) < seconds / SM_BENCH_SLICES);
        rates[i] = (double)(first - from) / sm_clock_seconds_since(start);
    }
    if (!err) {
        sm_bench_row_start(out, "init", device_id, sm_gpu_plain_describe(g), 0, "labels/s");
        out->rate = sm_bench_stat_of(rates, SM_BENCH_SLICES);
        out->bytes_per_s = out->rate.median * SM_LABEL_BYTES;
        (void)snprintf(out->note, sizeof out->note, "the kernel in general use, for comparison");
    }
    free(labels);
    sm_gpu_plain_free(g);
    return err;
}
