#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/labeler.h"
#include "post/gpu_tune.h"
#include "post/label.h"
#include "util/log.h"

#define STORED_BYTES 16u
#define CHUNK_MAX    (UINT64_C(1) << 20) /* ours: 16 MiB of labels wait for order per chunk */
#define CHUNK_S      0.5

struct gpu_engine {
    struct sm_gpu_labeler *g;
    uint32_t scrypt_n;
};

static void engine_free(void *self)
{
    struct gpu_engine *e = self;
    if (!e) return;
    sm_gpu_labeler_free(e->g);
    free(e);
}

/* What the device found below the difficulty. */
struct offer {
    const uint8_t *difficulty;
    struct sm_vrf_best *best;
};

static void offer(void *ctx, uint64_t index, const uint8_t label[32])
{
    const struct offer *o = ctx;
    sm_vrf_best_offer(o->best, o->difficulty, index, label);
}

static sm_err compute(void *self, const struct sm_label_job *job, struct sm_label_range range,
                      const struct sm_cancel *cancel, uint8_t *labels, struct sm_vrf_best *best, struct sm_errinfo *ei)
{
    struct gpu_engine *e = self;
    if (job->scrypt_n != e->scrypt_n)
        return sm_fail(ei, SM_E_ARG, "the device was set up for N = %u, the job has %u", e->scrypt_n, job->scrypt_n);
    struct offer o = {.difficulty = job->vrf_difficulty, .best = best};
    const struct sm_gpu_label_job run = {.commitment = job->commitment.b,
                                         .first = range.first,
                                         .count = (size_t)range.count,
                                         .threshold = job->vrf_difficulty,
                                         .hit = offer,
                                         .ctx = &o};
    return sm_gpu_labeler_run(e->g, &run, cancel, labels, ei);
}

/* Whole widths worth about CHUNK_S, at least one. */
static uint64_t chunk_of(const struct sm_gpu_labeler *g)
{
    const uint64_t width = sm_gpu_labeler_width(g);
    const double want = CHUNK_S * sm_gpu_labeler_rate(g);
    uint64_t n = want > (double)CHUNK_MAX ? CHUNK_MAX : (uint64_t)want;
    n -= n % width;
    return n ? n : width;
}

static const struct sm_label_engine_ops gpu_ops = {.compute = compute, .free = engine_free};

sm_err sm_label_gpu_open(const char *device_id, uint32_t scrypt_n, const struct sm_label_gpu_opts *opts,
                         struct sm_gpu_labeler **out, struct sm_errinfo *ei)
{
    const struct sm_label_gpu_opts none = {0}, *o = opts ? opts : &none;
    const struct sm_gpu_labeler_cfg plain = {
        .scrypt_n = scrypt_n, .memory_cap_bytes = o->memory_cap_bytes, .launch_ms = o->launch_ms};
    struct sm_gpu_device device;
    struct sm_gpu_tuned t;
    if (sm_gpu_describe(device_id, &device) && sm_gpu_tune_load(&device, scrypt_n, o->tuning_file, &t)) {
        struct sm_gpu_labeler_cfg cfg = t.cfg;
        struct sm_errinfo why = {0};
        cfg.scrypt_n = plain.scrypt_n;
        cfg.memory_cap_bytes = plain.memory_cap_bytes;
        cfg.launch_ms = plain.launch_ms;
        if (!sm_gpu_labeler_new(device_id, &cfg, out, &why)) return SM_OK;
        sm_log(SM_LOG_WARN, "gpu", "tuning does not fit, using the defaults", "device=%s why=\"%s\"", device_id,
               why.text);
    }
    return sm_gpu_labeler_new(device_id, &plain, out, ei);
}

sm_err sm_label_engine_gpu(const char *device_id, uint32_t scrypt_n, const struct sm_label_gpu_opts *opts,
                           struct sm_label_engine *out, struct sm_errinfo *ei)
{
    struct gpu_engine *e = calloc(1, sizeof *e);
    if (!e) return sm_fail(ei, SM_E_NOMEM, "out of memory opening %s", device_id);
    e->scrypt_n = scrypt_n;
    const sm_err err = sm_label_gpu_open(device_id, scrypt_n, opts, &e->g, ei);
    if (err) {
        engine_free(e);
        return err;
    }
    *out = (struct sm_label_engine){
        .ops = &gpu_ops, .self = e, .chunk = chunk_of(e->g), .width = sm_gpu_labeler_width(e->g), .trusted = false};
    (void)snprintf(out->device, sizeof out->device, "%s", device_id);
    (void)snprintf(out->variant, sizeof out->variant, "%s", sm_gpu_labeler_describe(e->g));
    return SM_OK;
}
