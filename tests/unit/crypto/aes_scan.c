/* Every scan variant against the reference; the reference against the protocol's constants (post.md §5.10). */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/aes.h"
#include "crypto/blake3.h"
#include "util/bytes.h"
#include "util/clock.h"

#define HITS_ROOM 300000u

struct hits {
    struct sm_scan_hit *at;
    size_t n;
    size_t stop_after; /* refuse once so many were seen; 0 never */
};

static bool collect(void *ctx, const struct sm_scan_hit *hits, size_t n)
{
    struct hits *h = ctx;
    cr_assert_leq(h->n + n, HITS_ROOM);
    memcpy(h->at + h->n, hits, n * sizeof *hits);
    h->n += n;
    return !h->stop_after || h->n < h->stop_after;
}

static struct hits hits_new(void)
{
    return (struct hits){.at = malloc(HITS_ROOM * sizeof(struct sm_scan_hit))};
}

static uint64_t seed;

static void seed_print(void)
{
    const char *s = getenv("SM_TEST_SEED");
    seed = s ? strtoull(s, NULL, 0) : sm_clock_ns() | 1;
    (void)fprintf(stderr, "SM_TEST_SEED=%" PRIu64 "\n", seed); /* cr_log_warn would fail the test */
}

static uint64_t random_u64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static struct sm_scan_group *random_groups(uint32_t n)
{
    struct sm_scan_group *g = aligned_alloc(_Alignof(struct sm_scan_group), n * sizeof *g);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t key[16];
        for (unsigned o = 0; o <= 16; o++) {
            sm_le64_store(key, random_u64());
            sm_le64_store(key + 8, random_u64());
            sm_aes128_init(o < 16 ? &g[i].lazy[o] : &g[i].key, key);
        }
        g[i].nonce_base = 16 * (i + 3);
    }
    return g;
}

static uint8_t *random_labels(size_t n)
{
    uint8_t *p = aligned_alloc(64, (16 * n + 63) & ~(size_t)63);
    for (size_t i = 0; i < 2 * n; i++) sm_le64_store(p + 8 * i, random_u64());
    return p;
}

static void assert_same(const struct sm_scan_variant *v, const struct sm_scan_job *job, const uint8_t *labels, size_t n)
{
    struct sm_scan_scratch *s = sm_scan_scratch_new();
    struct hits want = hits_new(), got = hits_new();
    cr_assert_eq(sm_scan_run(sm_scan_all()[0], job, s, labels, n, collect, &want), n);
    cr_assert_eq(sm_scan_run(v, job, s, labels, n, collect, &got), n);
    cr_assert_eq(got.n, want.n, "%s, %zu labels, %u groups, msb %u: %zu hits, expected %zu", v->name, n, job->groups_n,
                 job->difficulty_msb, got.n, want.n);
    for (size_t i = 0; i < want.n; i++)
        cr_assert(got.at[i].label == want.at[i].label && got.at[i].nonce == want.at[i].nonce,
                  "%s, %zu labels, %u groups, msb %u: hit %zu is label %u nonce %u, expected label %u nonce %u",
                  v->name, n, job->groups_n, job->difficulty_msb, i, got.at[i].label, got.at[i].nonce, want.at[i].label,
                  want.at[i].nonce);
    free(want.at);
    free(got.at);
    sm_scan_scratch_free(s);
}

/* Calls `check` for every variant this processor has; says which it has not. */
static void each_variant(void (*check)(const struct sm_scan_variant *v))
{
    for (const struct sm_scan_variant *const *v = sm_scan_all(); *v; v++) {
        if (!(*v)->usable(sm_cpu()))
            (void)fprintf(stderr, "%s: not on this processor\n", (*v)->name);
        else
            check(*v);
    }
}

static void check_counts(const struct sm_scan_variant *v)
{
    static const size_t counts[] = {0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 63, 64, 65, 1000, 1024, 1031};
    uint8_t *labels = random_labels(1031);
    struct sm_scan_group *g = random_groups(3);
    struct sm_scan_job job = {.groups = g, .groups_n = 3};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        for (unsigned k = 0; k < 3; k++) {
            job.difficulty_msb = (uint8_t)(k == 0 ? 0 : random_u64());
            job.difficulty_lsb = random_u64() >> 8;
            assert_same(v, &job, labels, counts[i]);
        }
    free(g);
    free(labels);
}

Test(scan, counts_around_the_chunk_and_register)
{
    seed_print();
    each_variant(check_counts);
}

static void check_tiles(const struct sm_scan_variant *v)
{
    static const size_t counts[] = {8191, 8192, 8193, 8200, 8207, 16384, 16391, 40001};
    uint8_t *labels = random_labels(40001);
    struct sm_scan_group *g = random_groups(2);
    const struct sm_scan_job job = {.groups = g, .groups_n = 2, .difficulty_lsb = UINT64_C(1) << 52};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) assert_same(v, &job, labels, counts[i]);
    free(g);
    free(labels);
}

Test(scan, counts_around_the_tile)
{
    seed_print();
    each_variant(check_tiles);
}

static void check_groups(const struct sm_scan_variant *v)
{
    static const uint32_t groups[] = {1, 2, 3, 7, 8, 18, 255, 256};
    uint8_t *labels = random_labels(72);
    struct sm_scan_group *g = random_groups(256);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        for (unsigned k = 0; k < 3; k++) {
            const struct sm_scan_job job = {.groups = g,
                                            .groups_n = groups[i],
                                            .difficulty_msb = (uint8_t)(k * 7),
                                            .difficulty_lsb = random_u64() >> 8};
            assert_same(v, &job, labels, 72);
        }
    free(g);
    free(labels);
}

Test(scan, from_16_to_4096_nonces)
{
    seed_print();
    each_variant(check_groups);
}

/* Nearly every pair is a hit: more than a tile can hold at once. */
static void check_crowded(const struct sm_scan_variant *v)
{
    uint8_t *labels = random_labels(10000);
    struct sm_scan_group *g = random_groups(256);
    struct sm_scan_job job = {
        .groups = g, .groups_n = 256, .difficulty_msb = 255, .difficulty_lsb = (UINT64_C(1) << 56) - 1};
    assert_same(v, &job, labels, 72);
    job.groups_n = 1;
    assert_same(v, &job, labels, 10000);
    job.difficulty_msb = 128;
    assert_same(v, &job, labels, 10000);
    free(g);
    free(labels);
}

Test(scan, every_pair_a_hit)
{
    seed_print();
    each_variant(check_crowded);
}

/* post-rs test "sanity": zero labels at difficulty 2^64 - 1 report every pair, label-major. */
static void check_sanity(const struct sm_scan_variant *v)
{
    static const uint8_t zeros[8 * 16];
    struct sm_scan_group *g = random_groups(1);
    g->nonce_base = 0;
    const struct sm_scan_job job = {
        .groups = g, .groups_n = 1, .difficulty_msb = 255, .difficulty_lsb = (UINT64_C(1) << 56) - 1};
    struct hits got = hits_new();
    struct sm_scan_scratch *s = sm_scan_scratch_new();
    cr_assert_eq(sm_scan_run(v, &job, s, zeros, 8, collect, &got), 8);
    cr_assert_eq(got.n, 128);
    for (uint32_t i = 0; i < 128; i++)
        cr_assert(got.at[i].label == i / 16 && got.at[i].nonce == i % 16, "%s, hit %u", v->name, i);
    free(got.at);
    free(g);
    sm_scan_scratch_free(s);
}

Test(scan, zero_labels_at_the_highest_difficulty)
{
    seed_print();
    each_variant(check_sanity);
}

/* post-rs test "proving_vector": nonce 3 is the first to have 32 labels: 0, 3, …, 93. */
static void check_proving_vector(const struct sm_scan_variant *v)
{
    uint8_t labels[2048], in[48] = {0}, key[32];
    for (unsigned i = 0; i < sizeof labels; i++) labels[i] = (uint8_t)(i % 12);
    struct sm_scan_group g = {0};
    memcpy(in, "hello world, CHALLENGE me!!!!!!!", 32);
    sm_blake3_hash(in, 44, key);
    sm_aes128_init(&g.key, key);
    for (uint32_t o = 0; o < 16; o++) {
        sm_le32_store(in + 44, o);
        sm_blake3_hash(in, 48, key);
        sm_aes128_init(&g.lazy[o], key);
    }
    const struct sm_scan_job job = {.groups = &g, .groups_n = 1, .difficulty_msb = 8};
    struct hits got = hits_new();
    struct sm_scan_scratch *s = sm_scan_scratch_new();
    (void)sm_scan_run(v, &job, s, labels, 128, collect, &got);
    uint32_t counts[16] = {0}, lists[16][128];
    size_t i = 0;
    for (; i < got.n; i++) {
        const struct sm_scan_hit h = got.at[i];
        lists[h.nonce][counts[h.nonce]++] = h.label;
        if (counts[h.nonce] == 32) break;
    }
    cr_assert_lt(i, got.n, "%s: no list reached 32", v->name);
    cr_assert_eq(got.at[i].nonce, 3, "%s: nonce %u", v->name, got.at[i].nonce);
    for (uint32_t k = 0; k < 32; k++) cr_assert_eq(lists[3][k], 3 * k, "%s", v->name);
    free(got.at);
    sm_scan_scratch_free(s);
}

Test(scan, proving_vector_of_the_reference)
{
    each_variant(check_proving_vector);
}

static void check_stop(const struct sm_scan_variant *v)
{
    uint8_t *labels = random_labels(4000);
    struct sm_scan_group *g = random_groups(1);
    const struct sm_scan_job job = {.groups = g, .groups_n = 1, .difficulty_msb = 40};
    struct sm_scan_scratch *s = sm_scan_scratch_new();
    struct hits got = hits_new();
    got.stop_after = 100;
    cr_assert_lt(sm_scan_run(v, &job, s, labels, 4000, collect, &got), 4000, "%s", v->name);
    cr_assert_geq(got.n, 100);
    free(got.at);
    free(g);
    free(labels);
    sm_scan_scratch_free(s);
}

Test(scan, stops_when_told)
{
    seed_print();
    each_variant(check_stop);
}

Test(scan, pick_takes_the_best_or_the_named_or_refuses)
{
    struct sm_errinfo ei = {0};
    const struct sm_scan_variant *v = NULL;
    (void)unsetenv("SM_AES_ISA");
    struct sm_cpu plain = {0};
    cr_assert_eq(sm_scan_pick(&plain, NULL, &v, &ei), SM_OK);
    cr_assert_str_eq(v->name, "ref");
    cr_assert_eq(sm_scan_pick(sm_cpu(), "ref", &v, &ei), SM_OK);
    cr_assert_str_eq(v->name, "ref");
    cr_assert_eq(sm_scan_pick(&plain, "vaes512", &v, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "vaes512") && strstr(ei.text, "ref"), "%s", ei.text);
    (void)setenv("SM_AES_ISA", "nonsense", 1);
    cr_assert_eq(sm_scan_pick(sm_cpu(), NULL, &v, &ei), SM_E_ARG);
    cr_assert_eq(sm_scan_pick(sm_cpu(), "ref", &v, &ei), SM_OK, "the argument outranks the environment");
}

Test(scan, bound_is_positive)
{
    seed_print();
    struct sm_scan_group *g = random_groups(1);
    const struct sm_scan_job job = {.groups = g, .groups_n = 1, .difficulty_lsb = 1000};
    for (const struct sm_scan_variant *const *v = sm_scan_all(); *v; v++)
        if ((*v)->usable(sm_cpu())) cr_assert_gt(sm_scan_bound(*v, &job, 0.001), 0.0, "%s", (*v)->name);
    free(g);
}
