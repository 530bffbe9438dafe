#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/labeler.h"
#include "post/gpu_tune.h"
#include "post/label.h"
#include "util/log.h"

#define HASH_BYTES   32u
#define STORED_BYTES 16u
#define CHUNK_MAX \
    (UINT64_C(1) << 20) /* ours: 16 MiB of labels wait for order per chunk, and the buffer is twice that */
#define CHUNK_S 0.5

struct gpu_engine {
    struct sm_gpu_labeler *g;
    uint32_t scrypt_n;
    uint8_t *hashes; /* `room` full labels */
    size_t room;
};

static void engine_free(void *self)
{
    struct gpu_engine *e = self;
    if (!e) return;
    sm_gpu_labeler_free(e->g);
    free(e->hashes);
    free(e);
}

/* Keeps the first half of every label; offers those below the difficulty. */
static void store(const uint8_t *hashes, uint64_t first, size_t n, const uint8_t *difficulty, uint8_t *labels,
                  struct sm_vrf_best *best)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *h = hashes + i * HASH_BYTES;
        memcpy(labels + i * STORED_BYTES, h, STORED_BYTES);
        if (difficulty && memcmp(h, difficulty, HASH_BYTES) < 0) sm_vrf_best_offer(best, difficulty, first + i, h);
    }
}

static sm_err compute(void *self, const struct sm_label_job *job, struct sm_label_range range,
                      const struct sm_cancel *cancel, uint8_t *labels, struct sm_vrf_best *best, struct sm_errinfo *ei)
{
    struct gpu_engine *e = self;
    if (job->scrypt_n != e->scrypt_n)
        return sm_fail(ei, SM_E_ARG, "the device was set up for N = %u, the job has %u", e->scrypt_n, job->scrypt_n);
    for (uint64_t done = 0; done < range.count;) {
        const size_t n = range.count - done < e->room ? (size_t)(range.count - done) : e->room;
        sm_err err = sm_gpu_labeler_run(e->g, job->commitment.b, range.first + done, n, cancel, e->hashes, ei);
        if (err) return err;
        store(e->hashes, range.first + done, n, job->vrf_difficulty, labels + done * STORED_BYTES, best);
        done += n;
    }
    return SM_OK;
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

/* How the device was tuned; its name and driver are what the row is found by. */
static bool tuned(const char *device_id, uint32_t scrypt_n, struct sm_gpu_tuned *out)
{
    struct sm_gpu_device *devices = NULL;
    struct sm_gpu_report report;
    size_t n = 0;
    bool found = false;
    if (sm_gpu_list(&devices, &n, &report, NULL)) return false;
    for (size_t i = 0; i < n && !found; i++)
        found = strcmp(devices[i].id, device_id) == 0 && sm_gpu_tune_load(&devices[i], scrypt_n, out);
    free(devices);
    return found;
}

static sm_err open_labeler(const char *device_id, uint32_t scrypt_n, struct sm_gpu_labeler **out, struct sm_errinfo *ei)
{
    struct sm_gpu_labeler_cfg cfg = {.scrypt_n = scrypt_n};
    struct sm_gpu_tuned t;
    if (tuned(device_id, scrypt_n, &t)) {
        struct sm_errinfo why = {0};
        cfg.wg_items = t.wg_items;
        cfg.lookup_gap = t.lookup_gap;
        cfg.layout = t.layout;
        if (!sm_gpu_labeler_new(device_id, &cfg, out, &why)) return SM_OK;
        sm_log(SM_LOG_WARN, "gpu", "tuning does not fit, using the defaults", "device=%s why=\"%s\"", device_id,
               why.text);
        cfg = (struct sm_gpu_labeler_cfg){.scrypt_n = scrypt_n};
    }
    return sm_gpu_labeler_new(device_id, &cfg, out, ei);
}

sm_err sm_label_engine_gpu(const char *device_id, uint32_t scrypt_n, struct sm_label_engine *out, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    struct gpu_engine *e = calloc(1, sizeof *e);
    if (!e) return sm_fail(ei, SM_E_NOMEM, "out of memory opening %s", device_id);
    e->scrypt_n = scrypt_n;
    err = open_labeler(device_id, scrypt_n, &e->g, ei);
    if (err) goto out;
    e->room = (size_t)chunk_of(e->g);
    e->hashes = malloc(e->room * HASH_BYTES);
    if (!e->hashes) {
        err = sm_fail(ei, SM_E_NOMEM, "out of memory opening %s", device_id);
        goto out;
    }
    *out = (struct sm_label_engine){
        .ops = &gpu_ops, .self = e, .chunk = e->room, .width = sm_gpu_labeler_width(e->g), .trusted = false};
    (void)snprintf(out->device, sizeof out->device, "%s", device_id);
    (void)snprintf(out->variant, sizeof out->variant, "%s", sm_gpu_labeler_describe(e->g));
    e = NULL;
out:
    engine_free(e);
    return err;
}
