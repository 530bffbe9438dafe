#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "post/label.h"
#include "post/label_tune.h"
#include "util/thread.h"

/* 32-byte results of one call of the worker: 64 KiB stay in the L2 cache. */
#define BLOCK_LABELS 2048u
/* Rates for the size of a chunk, labels * N per second and thread: 512 labels/s at N = 8192 for one lane, measured
 * on the portable variant, 5600 with 16 lanes. Only balance depends on it. */
#define REF_RATE  4.2e6
#define WIDE_GAIN 0.7
#define RATE_CAP  250e3 /* labels/s: the hashing around ROMix dominates at tiny N */
#define CHUNK_S   0.4
#define CHUNK_MAX 16384u

struct cpu_engine {
    const struct sm_scrypt_variant *variant;
    bool tuned;
    struct sm_scrypt_tune tune;
    uint32_t n;
    struct { /* made by the first compute on the engine's own thread: the memory lands on that thread's node */
        struct sm_scrypt_worker *worker;
        uint8_t *block;
        size_t block_labels;
    } hot;
};

static void cpu_free(void *self)
{
    struct cpu_engine *c = self;
    if (!c) return;
    sm_scrypt_worker_free(c->hot.worker);
    free(c->hot.block);
    free(c);
}

static sm_err cpu_ready(struct cpu_engine *c, struct sm_errinfo *ei)
{
    if (c->hot.worker) return SM_OK;
    struct sm_scrypt_worker *w = NULL;
    sm_err err = SM_E_ARG;
    if (c->tuned) err = sm_scrypt_worker_new(c->variant, &c->tune, c->n, &w, ei);
    if (err)
        err = sm_scrypt_worker_new(c->variant, NULL, c->n, &w, ei); /* a tuning may ask for what is not there now */
    if (err) return err;
    const size_t width = sm_scrypt_worker_width(w);
    const size_t labels = width * (width < BLOCK_LABELS ? BLOCK_LABELS / width : 1);
    uint8_t *block = malloc(labels * SM_SCRYPT_OUT_BYTES);
    if (!block) {
        sm_scrypt_worker_free(w);
        return sm_fail(ei, SM_E_NOMEM, "out of memory for the labels of one CPU thread");
    }
    c->hot.worker = w;
    c->hot.block = block;
    c->hot.block_labels = labels;
    return SM_OK;
}

static sm_err cpu_compute(void *self, const struct sm_label_job *job, struct sm_label_range range,
                          const struct sm_cancel *cancel, uint8_t *labels, struct sm_vrf_best *best,
                          struct sm_errinfo *ei)
{
    struct cpu_engine *c = self;
    if (job->scrypt_n != c->n)
        return sm_fail(ei, SM_E_ARG, "this CPU engine was made for scrypt N = %u, asked for %u", c->n, job->scrypt_n);
    sm_err err = cpu_ready(c, ei);
    for (uint64_t done = 0; !err && done < range.count;) {
        const uint64_t left = range.count - done;
        const size_t k = left < c->hot.block_labels ? (size_t)left : c->hot.block_labels;
        err = sm_scrypt_range(c->hot.worker, job->commitment.b, range.first + done, k, cancel, c->hot.block);
        for (size_t i = 0; !err && i < k; i++) {
            const uint8_t *label = c->hot.block + i * SM_SCRYPT_OUT_BYTES;
            memcpy(labels + (done + i) * SM_LABEL_BYTES, label, SM_LABEL_BYTES);
            if (job->vrf_difficulty) sm_vrf_best_offer(best, job->vrf_difficulty, range.first + done + i, label);
        }
        done += k;
    }
    return err;
}

static const struct sm_label_engine_ops cpu_ops = {.compute = cpu_compute, .free = cpu_free};

/* The worker does not exist yet: its width from its tuning, where zero is the variant's default. */
static uint32_t expected_width(const struct cpu_engine *c)
{
    const struct sm_scrypt_tune *d = c->variant->tunes_n ? &c->variant->tunes[0] : &c->tune;
    const struct sm_scrypt_tune *t = c->tuned ? &c->tune : d;
    const uint32_t groups = t->groups ? t->groups : d->groups, sets = t->sets ? t->sets : d->sets;
    const double width = (double)c->variant->lanes * (groups ? groups : 1) * (sets ? sets : 1);
    return width <= CHUNK_MAX ? (uint32_t)width : c->variant->lanes; /* a saved value may be anything */
}

static uint64_t chunk_labels(const struct sm_scrypt_variant *v, uint32_t n, uint32_t width, double measured)
{
    double rate = measured;
    if (!(rate > 0)) rate = REF_RATE / n * (v->lanes > 1 ? WIDE_GAIN * v->lanes : 1);
    if (rate > RATE_CAP) rate = RATE_CAP;
    const double want = rate * CHUNK_S;
    const uint64_t labels = want < 1 ? 1 : want > CHUNK_MAX ? CHUNK_MAX : (uint64_t)want;
    return (labels + width - 1) / width * width;
}

sm_err sm_label_engine_cpu(const char *variant, uint32_t scrypt_n, unsigned threads, struct sm_label_engine *out,
                           struct sm_errinfo *ei)
{
    const struct sm_scrypt_variant *v = NULL;
    sm_err err = sm_scrypt_pick(sm_cpu(), variant, &v, ei);
    if (err) return err;
    if (scrypt_n < SM_SCRYPT_N_MIN || scrypt_n > SM_SCRYPT_N_MAX || (scrypt_n & (scrypt_n - 1)))
        return sm_fail(ei, SM_E_ARG, "scrypt N = %u is not a power of two between %u and %u", scrypt_n, SM_SCRYPT_N_MIN,
                       SM_SCRYPT_N_MAX);
    struct cpu_engine *c = calloc(1, sizeof *c);
    if (!c) return sm_fail(ei, SM_E_NOMEM, "out of memory for a CPU engine");
    struct sm_label_tuned tuned = {0};
    c->variant = v;
    c->n = scrypt_n;
    c->tuned = sm_label_tune_load(v, scrypt_n, threads ? threads : sm_cpu_count(), &tuned);
    c->tune = tuned.tune;
    *out = (struct sm_label_engine){.ops = &cpu_ops, .self = c, .trusted = true, .width = expected_width(c)};
    out->chunk = chunk_labels(v, scrypt_n, out->width, tuned.threads ? tuned.labels_per_s / tuned.threads : 0);
    (void)snprintf(out->device, sizeof out->device, "cpu");
    (void)snprintf(out->variant, sizeof out->variant, "%s", v->name);
    return SM_OK;
}
