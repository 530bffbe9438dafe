#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/stage.h"
#include "bench/traffic.h"
#include "crypto/scrypt.h"
#include "post/label.h"
#include "post/label_tune.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"

#define CHECKED_LABELS 8u

const struct sm_bench_bound *sm_bench_row_bound(const struct sm_bench_row *row)
{
    const struct sm_bench_bound *best = NULL;
    for (unsigned i = 0; i < row->bounds_n; i++)
        if (row->bounds[i].rate > 0 && (!best || row->bounds[i].rate < best->rate)) best = &row->bounds[i];
    return best;
}

/* Any fixed commitment serves: the work does not depend on it. */
static const uint8_t commitment[32] = "smesher bench: a commitment ...";

/* ---- CPU ---- */

struct cpu_ctx {
    const struct sm_scrypt_variant *variant;
    const struct sm_scrypt_tune *tune; /* NULL: the variant's default */
    uint32_t n;
};
struct cpu_state {
    struct sm_scrypt_worker *worker;
    struct sm_bench_traffic *traffic;
    uint8_t *out;
    uint64_t next;
    uint32_t n, batch;
};

static void cpu_teardown(void *p)
{
    struct cpu_state *s = p;
    if (!s) return;
    sm_scrypt_worker_free(s->worker);
    sm_bench_traffic_free(s->traffic);
    free(s->out);
    free(s);
}

static sm_err cpu_check(struct cpu_state *s, struct sm_errinfo *ei)
{
    /* around 2^32, where an index of 32 bits would wrap */
    const uint64_t first = (UINT64_C(1) << 32) - CHECKED_LABELS / 2;
    sm_err err = sm_scrypt_range(s->worker, commitment, first, CHECKED_LABELS, NULL, s->out);
    for (unsigned i = 0; !err && i < CHECKED_LABELS; i++) {
        uint8_t want[SM_SCRYPT_OUT_BYTES];
        err = sm_scrypt_one(s->n, commitment, first + i, want, ei);
        if (!err && memcmp(want, s->out + i * sizeof want, sizeof want) != 0)
            return sm_fail(ei, SM_E_DEVICE, "this CPU variant computes wrong labels (index %llu): do not use it",
                           (unsigned long long)(first + i));
    }
    return err;
}

static sm_err cpu_setup(void *ctx, unsigned index, void **out, struct sm_errinfo *ei)
{
    const struct cpu_ctx *c = ctx;
    struct cpu_state *s = calloc(1, sizeof *s);
    if (!s) return sm_fail(ei, SM_E_NOMEM, "out of memory for a benchmark thread");
    s->n = c->n;
    s->next = (uint64_t)index << 40;
    sm_err err = sm_scrypt_worker_new(c->variant, c->tune, c->n, &s->worker, ei);
    if (err) goto out;
    s->batch = sm_scrypt_worker_width(s->worker);
    const uint32_t room = s->batch > CHECKED_LABELS ? s->batch : CHECKED_LABELS;
    s->out = malloc((size_t)room * SM_SCRYPT_OUT_BYTES);
    err = s->out ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory for a benchmark thread");
    if (err) goto out;
    err = cpu_check(s, ei);
    if (err) goto out;
    err = sm_bench_traffic_new(sm_scrypt_worker_bytes(s->worker), &s->traffic, ei);
    if (err) goto out;
    *out = s;
    s = NULL;
out:
    cpu_teardown(s);
    return err;
}

static double cpu_step(void *p)
{
    struct cpu_state *s = p;
    if (sm_scrypt_range(s->worker, commitment, s->next, s->batch, NULL, s->out)) return -1;
    s->next += s->batch;
    return s->batch;
}

static double cpu_bound(void *p, double slice)
{
    struct cpu_state *s = p;
    return sm_scrypt_bound(s->worker, slice);
}

static double memory_bound(void *p)
{
    struct cpu_state *s = p;
    return (double)sm_bench_traffic_round(s->traffic) / (128.0 * s->n); /* a label writes and reads 128 N bytes */
}

void sm_bench_row_start(struct sm_bench_row *row, const char *stage, const char *device, const char *variant,
                        unsigned threads, const char *unit)
{
    memset(row, 0, sizeof *row);
    (void)snprintf(row->stage, sizeof row->stage, "%s", stage);
    (void)snprintf(row->device, sizeof row->device, "%s", device);
    (void)snprintf(row->variant, sizeof row->variant, "%s", variant);
    (void)snprintf(row->unit, sizeof row->unit, "%s", unit);
    row->threads = threads;
}

/* Tuned for this many threads, or for others when there is no time; false: neither. */
static bool tuning_of(const struct cpu_ctx *c, unsigned threads, double seconds, const struct sm_cancel *cancel,
                      struct sm_label_tuned *out)
{
    struct sm_errinfo why = {0};
    const bool known = sm_label_tune_load(c->variant, c->n, threads, out);
    if ((known && out->threads == threads) || c->variant->tunes_n < 2 || !(seconds > 0)) return known;
    sm_log(SM_LOG_INFO, "label", "tuning for this machine, once", "variant=%s threads=%u seconds=%.0f",
           c->variant->name, threads, seconds);
    if (!sm_label_cpu_tune(c->variant->name, c->n, threads, seconds, cancel, &out->tune, &out->labels_per_s, &why))
        return true;
    if (!sm_cancelled(cancel)) sm_log(SM_LOG_WARN, "bench", "tuning failed", "why=\"%s\"", why.text);
    return known;
}

sm_err sm_bench_init_cpu(const char *variant, uint32_t scrypt_n, unsigned threads, double tune_seconds, double seconds,
                         const struct sm_cancel *cancel, struct sm_bench_row *out, struct sm_errinfo *ei)
{
    static const struct sm_bench_team_ops ops = {cpu_setup, cpu_teardown};
    if (threads == 0) threads = sm_cpu_count();
    struct cpu_ctx ctx = {.n = scrypt_n};
    struct sm_label_tuned tuned;
    struct sm_bench_team *team = NULL;
    struct sm_bench_stat alu, mem;
    double mem_rates[3];
    sm_err err = sm_scrypt_pick(sm_cpu(), variant, &ctx.variant, ei);
    if (err) goto out;
    if (tuning_of(&ctx, threads, tune_seconds, cancel, &tuned)) ctx.tune = &tuned.tune;
    err = sm_bench_team_new(&ops, &ctx, threads, &team, ei);
    if (err) goto out;
    sm_bench_row_start(out, "init", "cpu", ctx.variant->name, threads, "labels/s");
    err = sm_bench_team_measure(team, cpu_step, cpu_bound, seconds * 0.8, cancel, &out->rate, &alu, ei);
    if (err) goto out;
    for (unsigned i = 0; !err && i < 3; i++)
        err = sm_bench_team_slice(team, memory_bound, seconds * 0.2 / 3, cancel, &mem_rates[i], ei);
    if (err) goto out;
    mem = sm_bench_stat_of(mem_rates, 3);
    out->bytes_per_s = out->rate.median * SM_LABEL_BYTES;
    out->bounds[0] = (struct sm_bench_bound){"alu", alu.median};
    out->bounds[1] = (struct sm_bench_bound){"memory", mem.median};
    out->bounds_n = 2;
    (void)snprintf(out->note, sizeof out->note, "%s", ctx.tune ? "tuned for this machine" : "default tuning");
out:
    sm_bench_team_free(team);
    return err;
}
