/* bench/scan: the label scan of the prover, from memory, one thread.
 *
 *   bench_scan [seconds per repetition]
 *
 * For every variant and several numbers of nonces: GiB of labels per second of processor time, beside the variant's
 * bound (the same code with the labels in the L1 cache), measured in turns so that both see the same clock and
 * neighbours. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crypto/aes.h"
#include "util/bytes.h"

#define LABELS ((size_t)4 << 20) /* 64 MiB */
#define REPS   9u
#define GIB    (1024.0 * 1024.0 * 1024.0)

static uint64_t seed = 88172645463325252u;

static uint64_t random_u64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void random_key(struct sm_aes128 *k)
{
    uint8_t key[16];
    sm_le64_store(key, random_u64());
    sm_le64_store(key + 8, random_u64());
    sm_aes128_init(k, key);
}

static struct sm_scan_group *make_groups(uint32_t n)
{
    struct sm_scan_group *g = aligned_alloc(_Alignof(struct sm_scan_group), n * sizeof *g);
    for (uint32_t i = 0; g && i < n; i++) {
        random_key(&g[i].key);
        for (unsigned o = 0; o < 16; o++) random_key(&g[i].lazy[o]);
        g[i].nonce_base = 16 * i;
    }
    return g;
}

struct hits {
    uint64_t n, sum;
};

static bool count_hits(void *ctx, const struct sm_scan_hit *hits, size_t n)
{
    struct hits *h = ctx;
    for (size_t i = 0; i < n; i++) h->sum = h->sum * 31 + hits[i].label * UINT64_C(4096) + hits[i].nonce;
    h->n += n;
    return true;
}

/* Against the reference, at a difficulty that gives hits and at one that needs both comparisons. */
static bool correct(const struct sm_scan_variant *v, struct sm_scan_job job, struct sm_scan_scratch *s,
                    const uint8_t *labels)
{
    for (unsigned msb = 0; msb < 2; msb++) {
        job.difficulty_msb = (uint8_t)msb;
        job.difficulty_lsb = UINT64_C(1) << 55;
        struct hits want = {0}, got = {0};
        (void)sm_scan_run(sm_scan_all()[0], &job, s, labels, 4099, count_hits, &want);
        (void)sm_scan_run(v, &job, s, labels, 4099, count_hits, &got);
        if (want.n == 0 || want.n != got.n || want.sum != got.sum) return false;
    }
    return true;
}

static double thread_seconds(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static double rate(const struct sm_scan_variant *v, const struct sm_scan_job *job, struct sm_scan_scratch *s,
                   const uint8_t *labels, double seconds)
{
    struct hits h = {0};
    uint64_t bytes = 0;
    size_t at = 0;
    const size_t piece = 65536;
    const double start = thread_seconds();
    double took;
    do {
        bytes += 16 * sm_scan_run(v, job, s, labels + 16 * at, piece, count_hits, &h);
        at = (at + piece) % LABELS;
        took = thread_seconds() - start;
    } while (took < seconds);
    return (double)bytes / took;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const struct sm_scan_variant *v, const struct sm_scan_job *job, struct sm_scan_scratch *s,
                    const uint8_t *labels, double seconds)
{
    double real[REPS], bound[REPS];
    (void)rate(v, job, s, labels, seconds / 4);
    for (unsigned i = 0; i < REPS; i++) {
        real[i] = rate(v, job, s, labels, seconds);
        bound[i] = sm_scan_bound(v, job, seconds);
    }
    qsort(real, REPS, sizeof *real, by_value);
    qsort(bound, REPS, sizeof *bound, by_value);
    const double median = real[REPS / 2], limit = bound[REPS / 2];
    printf("scan variant=%s nonces=%u unit=GiB/s median=%.3f min=%.3f max=%.3f bound=%.3f share=%.2f reps=%u "
           "host=\"%s\"\n",
           v->name, 16 * job->groups_n, median / GIB, real[0] / GIB, real[REPS - 1] / GIB, limit / GIB, median / limit,
           REPS, sm_cpu()->name);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static const uint32_t groups[] = {1, 4, 8, 18};
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.2;
    uint8_t *labels = aligned_alloc(4096, 16 * LABELS);
    struct sm_scan_scratch *s = sm_scan_scratch_new();
    struct sm_scan_group *g = make_groups(18);
    int rc = 1;
    if (!labels || !s || !g) goto out;
    for (size_t i = 0; i < 2 * LABELS; i++) sm_le64_store(labels + 8 * i, random_u64());
    for (const struct sm_scan_variant *const *v = sm_scan_all(); *v; v++) {
        if (!(*v)->usable(sm_cpu())) {
            printf("scan variant=%s: not on this processor\n", (*v)->name);
            continue;
        }
        /* 10 mainnet units: msb 0, 26 good labels per nonce in 6.9e11 bytes */
        struct sm_scan_job job = {.groups = g, .difficulty_lsb = UINT64_C(0x299999999)};
        for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
            job.groups_n = groups[i];
            if (!correct(*v, job, s, labels)) {
                printf("scan variant=%s nonces=%u: WRONG RESULT\n", (*v)->name, 16 * job.groups_n);
                goto out;
            }
            measure(*v, &job, s, labels, seconds);
        }
    }
    rc = 0;
out:
    free(labels);
    free(g);
    sm_scan_scratch_free(s);
    return rc;
}
