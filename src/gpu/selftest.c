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
        const uint32_t seam = p * b->items_per_part;
        if (seam - 1 > probes[n - 1] && seam - 1 < count) probes[n++] = seam - 1;
        if (seam > probes[n - 1] && seam < count) probes[n++] = seam;
    }
    if (count - 1 > probes[n - 1]) probes[n++] = count - 1;
    return n;
}

static sm_err compare(const struct sm_gpu_labeler *g, const uint8_t commitment[32], const uint8_t *labels,
                      uint32_t item, struct sm_errinfo *ei)
{
    uint8_t want[32];
    char want_hex[SM_HEX_ROOM(32)], got_hex[SM_HEX_ROOM(32)];
    const uint8_t *got = labels + (size_t)item * 32;
    sm_err err = sm_scrypt_one(g->shape.scrypt_n, commitment, FIRST + item, want, ei);
    if (err || memcmp(want, got, 32) == 0) return err;
    return sm_fail(ei, SM_E_DEVICE,
                   "%s (%s) computes wrong labels and is not used: N=%" PRIu32 " index %" PRIu64 " expected %s, got %s",
                   g->dev.info.id, g->dev.info.name, g->shape.scrypt_n, FIRST + item, sm_hex_encode(want, 32, want_hex),
                   sm_hex_encode(got, 32, got_hex));
}

sm_err sm_gpu_selftest(struct sm_gpu_labeler *g, struct sm_errinfo *ei)
{
    uint8_t commitment[32];
    uint32_t probes[PROBES_MAX];
    const uint32_t count = g->buf.width > COUNT_MIN ? g->buf.width : COUNT_MIN;
    uint8_t *labels = calloc(count, 32);
    if (!labels) return sm_fail(ei, SM_E_NOMEM, "out of memory testing %s", g->dev.info.name);
    fill_commitment(commitment);

    /* A short run first: drivers finish compiling at the first launch, which would spoil the rate. */
    sm_err err = sm_gpu_labeler_run(g, commitment, FIRST, 1, NULL, labels, ei);
    if (err) goto out;
    const uint64_t start = sm_clock_ns();
    err = sm_gpu_labeler_run(g, commitment, FIRST, count, NULL, labels, ei);
    if (err) goto out;
    const double seconds = sm_clock_seconds_since(start);
    g->labels_per_s = seconds > 0 ? count / seconds : 0;

    const size_t n = choose_probes(&g->buf, count, probes);
    for (size_t i = 0; i < n && !err; i++) err = compare(g, commitment, labels, probes[i], ei);
out:
    free(labels);
    return err;
}
