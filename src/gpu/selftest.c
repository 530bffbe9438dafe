#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "gpu/labeler_impl.h"
#include "util/clock.h"
#include "util/text.h"

/* The batch begins three labels before 2^32: an index that is cut to 32 bits somewhere shows at item 3. */
#define FIRST      ((UINT64_C(1) << 32) - 3)
#define COUNT_MIN  5u
#define PROBES_MAX (COUNT_MIN + 2u * SM_ROMIX_PARTS + 1u)

/* Any fixed value; this one also has vectors in the tests. */
static void fill_commitment(uint8_t out[32])
{
    for (uint8_t i = 0; i < 32; i++) out[i] = i;
}

/* Items to compare, ascending: around 2^32, the ends of every scratch part, the last. */
static size_t choose_probes(const struct sm_gpu_buffers *b, uint32_t count, uint32_t probes[PROBES_MAX])
{
    size_t n = 0;
    const uint32_t head[] = {0, 2, 3};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) probes[n++] = head[i];
    for (uint32_t p = 1; p < b->parts; p++) {
        const uint32_t seam = p * b->labels_per_part;
        if (seam - 1 > probes[n - 1] && seam - 1 < count) probes[n++] = seam - 1;
        if (seam > probes[n - 1] && seam < count) probes[n++] = seam;
    }
    if (count - 1 > probes[n - 1]) probes[n++] = count - 1;
    return n;
}

/* Every label in full, as hits. */
struct all {
    uint8_t *labels; /* 32 bytes each */
    uint32_t count;
    uint32_t seen;
};

static void keep(void *ctx, uint64_t index, const uint8_t label[32])
{
    struct all *a = ctx;
    if (index - FIRST >= a->count) return;
    memcpy(a->labels + (size_t)(index - FIRST) * 32, label, 32);
    a->seen++;
}

static sm_err compare(const struct sm_gpu_labeler *g, const uint8_t commitment[32], const uint8_t *stored,
                      const struct all *all, uint32_t item, struct sm_errinfo *ei)
{
    uint8_t want[32], got[32];
    char want_hex[SM_HEX_ROOM(32)], got_hex[SM_HEX_ROOM(32)];
    memcpy(got, all->labels + (size_t)item * 32, 32);
    sm_err err = sm_scrypt_one(g->shape.scrypt_n, commitment, FIRST + item, want, ei);
    if (err) return err;
    if (memcmp(want, got, 32) == 0) memcpy(got, stored + (size_t)item * 16, 16);
    if (memcmp(want, got, 32) == 0) return SM_OK;
    return sm_fail(ei, SM_E_DEVICE,
                   "%s (%s) computes wrong labels and is not used: N=%" PRIu32 " index %" PRIu64 " expected %s, got %s",
                   g->dev.info.id, g->dev.info.name, g->shape.scrypt_n, FIRST + item, sm_hex_encode(want, 32, want_hex),
                   sm_hex_encode(got, 32, got_hex));
}

/* `count` labels, all of them as hits. */
static sm_err run(struct sm_gpu_labeler *g, const uint8_t commitment[32], struct all *all, uint8_t *stored,
                  struct sm_errinfo *ei)
{
    uint8_t everything[32];
    memset(everything, 0xff, sizeof everything);
    const struct sm_gpu_label_job job = {.commitment = commitment,
                                         .first = FIRST,
                                         .count = all->count,
                                         .threshold = everything,
                                         .hit = keep,
                                         .ctx = all};
    sm_err err = sm_gpu_labeler_run(g, &job, NULL, stored, ei);
    if (!err && all->seen != all->count && !g->shape.probe)
        err = sm_fail(ei, SM_E_DEVICE, "%s (%s) lists %" PRIu32 " of %" PRIu32 " labels and is not used",
                      g->dev.info.id, g->dev.info.name, all->seen, all->count);
    return err;
}

sm_err sm_gpu_selftest(struct sm_gpu_labeler *g, struct sm_errinfo *ei)
{
    uint8_t commitment[32];
    uint32_t probes[PROBES_MAX];
    struct all all = {.count = g->buf.width > COUNT_MIN ? g->buf.width : COUNT_MIN}, one = {.count = 1};
    uint8_t *stored = calloc(all.count, 16);
    all.labels = one.labels = calloc(all.count, 32);
    sm_err err = SM_OK;
    if (!stored || !all.labels) {
        err = sm_fail(ei, SM_E_NOMEM, "out of memory testing %s", g->dev.info.name);
        goto out;
    }
    fill_commitment(commitment);

    /* A short run first: drivers finish compiling at the first launch, which would spoil the rate. */
    err = run(g, commitment, &one, stored, ei);
    if (err) goto out;
    const uint64_t start = sm_clock_ns();
    err = run(g, commitment, &all, stored, ei);
    if (err) goto out;
    const double seconds = sm_clock_seconds_since(start);
    g->labels_per_s = seconds > 0 ? all.count / seconds : 0;

    const size_t n = choose_probes(&g->buf, all.count, probes);
    for (size_t i = 0; i < n && !err && !g->shape.probe; i++) err = compare(g, commitment, stored, &all, probes[i], ei);
out:
    free(stored);
    free(all.labels);
    return err;
}
