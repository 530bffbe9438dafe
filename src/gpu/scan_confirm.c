#include <inttypes.h>
#include <stdlib.h>

#include "gpu/scanner_impl.h"
#include "util/bytes.h"

/* 8-label chunk, group, label of the chunk, offset: the documented order (post.md §5.6). */
static uint64_t key_of(uint32_t label, uint32_t group, uint32_t offset)
{
    return (uint64_t)(label >> 3) << 15 | (uint64_t)group << 7 | (label & 7) << 4 | offset;
}

static uint32_t key_label(uint64_t key)
{
    return (uint32_t)(key >> 15) << 3 | ((uint32_t)(key >> 4) & 7);
}

static uint32_t key_group(uint64_t key)
{
    return (uint32_t)(key >> 7) & 0xff;
}

static int by_key(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool is_witness(const struct sm_scan_launch *l, uint32_t label)
{
    return label >= l->witness_first && label - l->witness_first < l->witness_n;
}

static bool lazy_is_good(const struct sm_aes128 *key, const uint8_t label[16], uint64_t lsb)
{
    uint8_t out[16];
    sm_aes128_encrypt(key, label, out);
    return (sm_le64_load(out) & ((UINT64_C(1) << 56) - 1)) < lsb;
}

static bool is_good(const struct sm_scan_job *job, const uint8_t *labels, uint64_t key, uint64_t lsb)
{
    uint8_t out[16];
    const struct sm_scan_group *g = &job->groups[key_group(key)];
    const uint8_t *label = labels + (size_t)16 * key_label(key);
    sm_aes128_encrypt(&g->key, label, out);
    const uint8_t m = out[key & 15];
    if (m != job->difficulty_msb) return m < job->difficulty_msb;
    return lazy_is_good(&g->lazy[key & 15], label, lsb);
}

static sm_err sort(const struct sm_scan_job *job, const struct sm_scan_launch *launch, struct sm_gpu_scan_hits *hits,
                   const char *device, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < hits->n; i++) {
        const struct sm_scan_found *f = &hits->found[i];
        if (f->label < launch->first || f->label - launch->first >= launch->count || f->nonce >= 16 * job->groups_n)
            return sm_fail(ei, SM_E_DEVICE,
                           "%s reports a hit that is not in its work: label %" PRIu32 " nonce %" PRIu32, device,
                           f->label, f->nonce);
        hits->keys[i] = key_of(f->label, f->nonce / 16, f->nonce % 16);
    }
    qsort(hits->keys, hits->n, sizeof *hits->keys, by_key);
    return SM_OK;
}

/* Good pairs in the witness window, by the processor. */
static size_t count_witnesses(const struct sm_scan_job *job, const uint8_t *labels, const struct sm_scan_launch *launch)
{
    size_t good = 0;
    for (uint32_t i = 0; i < launch->witness_n; i++) {
        const uint8_t *label = labels + (size_t)16 * (launch->witness_first + i);
        for (uint32_t g = 0; g < job->groups_n; g++) {
            uint8_t out[16];
            sm_aes128_encrypt(&job->groups[g].key, label, out);
            for (uint32_t o = 0; o < 16; o++)
                good +=
                    out[o] < job->difficulty_msb || (out[o] == job->difficulty_msb &&
                                                     lazy_is_good(&job->groups[g].lazy[o], label, launch->witness_lsb));
        }
    }
    return good;
}

/* All are good and no two are the same, so as many witnesses as expected are the expected ones. */
sm_err sm_gpu_scan_confirm(const struct sm_scan_job *job, const uint8_t *labels, const struct sm_scan_launch *launch,
                           struct sm_gpu_scan_hits *hits, const char *device, struct sm_errinfo *ei)
{
    sm_err err = sort(job, launch, hits, device, ei);
    if (err) return err;
    size_t witnesses = 0;
    for (size_t i = 0; i < hits->n; i++) {
        const uint64_t key = hits->keys[i];
        const bool witness = is_witness(launch, key_label(key));
        witnesses += witness;
        if ((i && key == hits->keys[i - 1]) || !is_good(job, labels, key, witness ? launch->witness_lsb : launch->lsb))
            return sm_fail(ei, SM_E_DEVICE,
                           "%s scans wrongly and is not used: it reports label %" PRIu32 " for nonce %" PRIu32
                           " of the pass, which is not good or was reported twice",
                           device, key_label(key), 16 * key_group(key) + (uint32_t)(key & 15));
    }
    const size_t want = count_witnesses(job, labels, launch);
    if (witnesses == want) return SM_OK;
    return sm_fail(ei, SM_E_DEVICE,
                   "%s scans wrongly and is not used: %zu of %zu hits in %" PRIu32 " labels from %" PRIu32, device,
                   witnesses, want, launch->witness_n, launch->witness_first);
}

bool sm_gpu_scan_emit(const struct sm_scan_job *job, const uint8_t *labels, const struct sm_scan_launch *launch,
                      const struct sm_gpu_scan_hits *hits, sm_scan_emit emit, void *ctx)
{
    struct sm_scan_hit out[256];
    size_t n = 0;
    for (size_t i = 0; i < hits->n; i++) {
        const uint64_t key = hits->keys[i];
        if (is_witness(launch, key_label(key)) && !is_good(job, labels, key, launch->lsb)) continue;
        out[n++] = (struct sm_scan_hit){.label = key_label(key),
                                        .nonce = job->groups[key_group(key)].nonce_base + (uint32_t)(key & 15)};
        if (n < sizeof out / sizeof out[0]) continue;
        if (!emit(ctx, out, n)) return false;
        n = 0;
    }
    return n == 0 || emit(ctx, out, n);
}

/* ---- self-test ---- */

#define TEST_GROUPS 3u
#define TEST_LABELS 1031u /* odd: the last work group is partly idle */

static bool count_hits(void *ctx, const struct sm_scan_hit *hits, size_t n)
{
    (void)hits;
    *(size_t *)ctx += n;
    return true;
}

static void fill(uint8_t *p, size_t n, uint64_t x)
{
    for (size_t i = 0; i + 8 <= n; i += 8) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        sm_le64_store(p + i, x);
    }
}

/* What a lane reports is good and not reported twice, so the number decides. */
static sm_err test_lane(struct sm_gpu_scanner *g, unsigned lane, const uint8_t *labels, size_t n, size_t want,
                        struct sm_errinfo *ei)
{
    size_t got = 0, done = 0;
    sm_err err = sm_gpu_scanner_run(g, lane, labels, n, count_hits, &got, &done, ei);
    if (!err && (got != want || done != n))
        err = sm_fail(ei, SM_E_DEVICE, "%s misses good labels and is not used: %zu found, %zu expected",
                      sm_gpu_scanner_describe(g), got, want);
    return err;
}

sm_err sm_gpu_scan_selftest(struct sm_gpu_scanner *g, struct sm_errinfo *ei)
{
    const size_t most = sm_gpu_scanner_labels_max(g), n = most < TEST_LABELS ? most : TEST_LABELS;
    struct sm_scan_group *groups = aligned_alloc(_Alignof(struct sm_scan_group), TEST_GROUPS * sizeof *groups);
    struct sm_scan_scratch *scratch = sm_scan_scratch_new();
    uint8_t *labels = aligned_alloc(64, (16 * TEST_LABELS + 63) / 64 * 64);
    sm_err err = groups && scratch && labels ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory testing a device");
    if (err) goto out;
    fill(labels, 16 * n, 1);
    for (uint32_t i = 0; i < TEST_GROUPS; i++) {
        uint8_t key[16];
        for (uint32_t o = 0; o <= 16; o++) {
            fill(key, sizeof key, 17 * i + o + 2);
            sm_aes128_init(o < 16 ? &groups[i].lazy[o] : &groups[i].key, key);
        }
        groups[i].nonce_base = 16 * i;
    }
    const struct sm_scan_job job = {
        .groups = groups, .groups_n = TEST_GROUPS, .difficulty_msb = 2, .difficulty_lsb = UINT64_C(1) << 54};
    size_t want = 0;
    (void)sm_scan_run(sm_scan_all()[0], &job, scratch, labels, n, count_hits, &want);
    err = sm_gpu_scanner_set_job(g, &job, ei);
    for (unsigned lane = 0; lane < SM_GPU_SCAN_LANES && !err; lane++) err = test_lane(g, lane, labels, n, want, ei);
out:
    free(groups);
    if (sm_gpu_scanner_hangs(g))
        g->kept_labels = labels;
    else
        free(labels);
    sm_scan_scratch_free(scratch);
    return err;
}
