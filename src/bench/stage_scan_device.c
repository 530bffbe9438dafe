#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/stage.h"
#include "bench/stage_scan.h"
#include "post/proof.h"
#include "post/scan_tune.h"
#include "util/clock.h"

#define CALLS        6u   /* of labels in memory: twice as many as lanes */
#define TUNE_SECONDS 24.0 /* at most; short measurements tune shortly */
#define CHECK_LABELS 4000u

struct sm_scan_group *sm_bench_random_groups(uint32_t n)
{
    struct sm_scan_group *g = aligned_alloc(64, (n * sizeof *g + 63) / 64 * 64);
    for (uint32_t i = 0; g && i < n; i++) {
        uint8_t key[16];
        randombytes_buf(key, sizeof key);
        sm_aes128_init(&g[i].key, key);
        for (unsigned k = 0; k < 16; k++) {
            randombytes_buf(key, sizeof key);
            sm_aes128_init(&g[i].lazy[k], key);
        }
        g[i].nonce_base = i * 16;
    }
    return g;
}

/* ---- correctness ---- */

struct digest {
    crypto_generichash_state hash;
    uint64_t hits;
};

static bool add(void *ctx, const struct sm_scan_hit *hits, size_t n)
{
    struct digest *d = ctx;
    (void)crypto_generichash_update(&d->hash, (const uint8_t *)hits, n * sizeof *hits);
    d->hits += n;
    return true;
}

/* All hits of both, in their order: with the difficulty's top byte as on large networks, and not. */
static sm_err check(struct sm_gpu_scanner *g, const struct sm_scan_job *timed, const uint8_t *labels,
                    struct sm_scan_scratch *scratch, struct sm_errinfo *ei)
{
    for (uint8_t msb = 0; msb < 4; msb += 3) {
        const struct sm_scan_job job = {.groups = timed->groups,
                                        .groups_n = timed->groups_n,
                                        .difficulty_msb = msb,
                                        .difficulty_lsb = UINT64_C(1) << 55};
        struct digest d[2] = {{.hits = 0}, {.hits = 0}};
        uint8_t sum[2][32];
        size_t done = 0;
        for (unsigned i = 0; i < 2; i++) (void)crypto_generichash_init(&d[i].hash, NULL, 0, sizeof sum[i]);
        (void)sm_scan_run(sm_scan_all()[0], &job, scratch, labels, CHECK_LABELS, add, &d[0]);
        sm_err err = sm_gpu_scanner_set_job(g, &job, ei);
        if (!err) err = sm_gpu_scanner_run(g, 0, labels, CHECK_LABELS, add, &d[1], &done, ei);
        if (err) return err;
        for (unsigned i = 0; i < 2; i++) (void)crypto_generichash_final(&d[i].hash, sum[i], sizeof sum[i]);
        if (d[0].hits == 0 || memcmp(sum[0], sum[1], sizeof sum[0]) != 0)
            return sm_fail(ei, SM_E_DEVICE, "%s finds other labels than the processor: %" PRIu64 ", expected %" PRIu64,
                           sm_gpu_scanner_describe(g), d[1].hits, d[0].hits);
    }
    return SM_OK;
}

/* ---- speed ---- */

static sm_err measure(struct sm_gpu_scanner *g, const uint8_t *labels, size_t labels_n, double seconds,
                      const struct sm_cancel *cancel, struct sm_bench_row *out, struct sm_errinfo *ei)
{
    double rate[SM_BENCH_SLICES], bus[SM_BENCH_SLICES], spent = 0, passed = 0, warm;
    const double slice = seconds / (2 * SM_BENCH_SLICES + 1);
    sm_err err = sm_scan_measure(g, labels, labels_n, false, slice, &warm, ei); /* launches grow to their length */
    for (unsigned i = 0; i < SM_BENCH_SLICES && !err; i++) {
        if (sm_cancelled(cancel)) return sm_fail(ei, SM_E_CANCELLED, "interrupted");
        const double before = sm_bench_processor_seconds();
        const uint64_t start = sm_clock_ns();
        err = sm_scan_measure(g, labels, labels_n, false, slice, &rate[i], ei);
        spent += sm_bench_processor_seconds() - before;
        passed += sm_clock_seconds_since(start);
        if (!err) err = sm_scan_measure(g, labels, labels_n, true, slice, &bus[i], ei);
    }
    if (err) return err;
    out->rate = sm_bench_stat_of(rate, SM_BENCH_SLICES);
    out->bytes_per_s = out->rate.median;
    out->bounds[0] = (struct sm_bench_bound){"bus", sm_bench_stat_of(bus, SM_BENCH_SLICES).median};
    out->bounds_n = 1;
    (void)snprintf(out->note, sizeof out->note, "%.1f %% of one processor", 100 * spent / passed);
    return SM_OK;
}

static sm_err run(struct sm_gpu_scanner *g, const struct sm_scan_job *job, double seconds,
                  const struct sm_cancel *cancel, struct sm_bench_row *out, struct sm_errinfo *ei)
{
    const size_t n = CALLS * sm_gpu_scanner_labels_max(g);
    struct sm_scan_scratch *scratch = sm_scan_scratch_new();
    struct sm_errinfo why = {0};
    uint8_t *labels = NULL, *own = NULL;
    const bool pinned = sm_gpu_scanner_pin(g, 16 * n, &labels, &why) == SM_OK;
    if (!pinned) labels = own = aligned_alloc(4096, 16 * n);
    sm_err err = labels && scratch ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory for %zu bytes of labels", 16 * n);
    if (!err) {
        randombytes_buf(labels, 16 * n);
        err = check(g, job, labels, scratch, ei);
    }
    if (!err) err = sm_gpu_scanner_set_job(g, job, ei);
    if (!err) err = measure(g, labels, n, seconds, cancel, out, ei);
    (void)snprintf(out->variant, sizeof out->variant, "%s%s", sm_gpu_scanner_describe(g), pinned ? "" : " unpinned");
    sm_scan_scratch_free(scratch);
    if (!sm_gpu_scanner_hangs(g)) free(own);
    return err;
}

sm_err sm_bench_scan_device(const char *device_id, uint32_t nonces, double seconds, const struct sm_cancel *cancel,
                            struct sm_bench_row *out, struct sm_errinfo *ei)
{
    if (nonces == 0 || nonces % SM_NONCES_PER_GROUP || nonces > SM_NONCES_MAX)
        return sm_fail(ei, SM_E_ARG, "nonces is %" PRIu32 ": must be a multiple of 16, 16 to %u", nonces,
                       SM_NONCES_MAX);
    struct sm_scan_job job = {.groups_n = nonces / SM_NONCES_PER_GROUP}; /* msb 0 as on mainnet, lsb 0: no hits */
    struct sm_scan_group *groups = sm_bench_random_groups(job.groups_n);
    struct sm_gpu_scanner *g = NULL;
    if (!groups) return sm_fail(ei, SM_E_NOMEM, "out of memory for the keys of %" PRIu32 " nonces", nonces);
    job.groups = groups;
    *out = (struct sm_bench_row){.stage = "prove", .unit = "bytes/s", .nonces = nonces};
    (void)snprintf(out->device, sizeof out->device, "%.63s", device_id);
    const double tune = 8 * seconds < TUNE_SECONDS ? 8 * seconds : TUNE_SECONDS;
    sm_err err = sm_scan_open(device_id, tune, cancel, &g, ei);
    if (!err) err = run(g, &job, seconds, cancel, out, ei);
    sm_gpu_scanner_free(g);
    free(groups);
    return err;
}
