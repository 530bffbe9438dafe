/* bench/poet: leaves per second of the PoET prover, beside the SHA-256 bound of the same core, and verifications.
 *
 *   bench_poet [seconds per measurement]
 *
 * The bound is the variant's compressions per second on one stream from the L1 cache, divided by the 400 of a label;
 * a leaf costs a few more for its parked nodes and parents. Each variant's chain is compared with the reference
 * before it is timed, and every proof made must be valid. Time is processor time of the one thread, so that
 * neighbours do not count. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/sha256.h"
#include "poet/prover.h"

#define BUFFER_BYTES 16384u
#define BATCH_LEAVES 64u

static const uint8_t statement[32] = {7};

static double cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void check(bool holds, const char *what, const struct sm_errinfo *ei)
{
    if (holds) return;
    (void)fprintf(stderr, "bench_poet: %s: %s\n", what, ei ? ei->text : "wrong result");
    exit(1);
}

static double compressions(const struct sm_sha256_variant *v, double seconds)
{
    static uint8_t buffer[BUFFER_BYTES];
    uint32_t state[8] = {0};
    uint64_t n = 0;
    const double start = cpu_s();
    double now = start;
    for (; now - start < seconds; now = cpu_s(), n += BUFFER_BYTES / SM_SHA256_BLOCK)
        v->compress(state, buffer, BUFFER_BYTES / SM_SHA256_BLOCK);
    return (double)n / (now - start);
}

static double chained(const struct sm_sha256_variant *v, double seconds)
{
    uint8_t got[32] = {1}, want[32] = {1};
    uint64_t n = 0;
    sm_sha256_iterate(v, got, 1000);
    sm_sha256_iterate(sm_sha256_all()[0], want, 1000);
    check(memcmp(got, want, 32) == 0, v->name, NULL);
    const double start = cpu_s();
    double now = start;
    for (; now - start < seconds; now = cpu_s(), n += 400) sm_sha256_iterate(v, got, 400);
    return (double)n / (now - start);
}

static double verifications(const struct sm_poet_proof *proof, double seconds)
{
    struct sm_errinfo ei = {0};
    struct sm_posw_verdict v;
    uint64_t n = 0;
    const double start = cpu_s();
    double now = start;
    for (; now - start < seconds; now = cpu_s(), n++) {
        const struct sm_slice s = {statement, sizeof statement};
        check(sm_posw_verify(&sm_posw_network, s, proof, NULL, &v, &ei) == SM_OK, "verify", &ei);
        check(v.failed == SM_POSW_VALID, "verify", NULL);
    }
    return (double)n / (now - start);
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? atof(argv[1]) : 2.0;
    struct sm_errinfo ei = {0};
    struct sm_arena arena = {0};
    struct sm_poet_proof proof;
    struct sm_poet_prover *p = NULL;
    const struct sm_poet_prover_cfg cfg = {.params = sm_posw_network, .statement = {statement, sizeof statement}};
    for (const struct sm_sha256_variant *const *v = sm_sha256_all(); *v; v++) {
        if (!(*v)->usable(sm_cpu())) continue;
        const double bound = compressions(*v, seconds), chain = chained(*v, seconds);
        (void)printf("sha256 variant=%s stream=%.0f/s chain=%.0f/s bound=%.0f leaves/s host=\"%s\"\n", (*v)->name,
                     bound, chain, bound / SM_POSW_LABEL_DEPTH, sm_cpu()->name);
    }
    check(sm_poet_prover_open(&cfg, &p, &ei) == SM_OK, "open", &ei);
    check(sm_poet_prover_add(p, 1024, NULL, &ei) == SM_OK, "warm up", &ei);
    const uint64_t first = sm_poet_prover_leaves(p);
    const double start = cpu_s();
    while (cpu_s() - start < seconds) check(sm_poet_prover_add(p, BATCH_LEAVES, NULL, &ei) == SM_OK, "add", &ei);
    const double rate = (double)(sm_poet_prover_leaves(p) - first) / (cpu_s() - start);
    check(sm_poet_prover_prove(p, &arena, &proof, &ei) == SM_OK, "prove", &ei);
    const double verified = verifications(&proof, seconds);
    const double bound = compressions(sm_sha256_default(), seconds) / SM_POSW_LABEL_DEPTH;
    (void)printf("poet variant=%s unit=leaves/s rate=%.0f bound=%.0f share=%.1f%% leaves=%" PRIu64 "\n",
                 sm_sha256_default()->name, rate, bound, 100 * rate / bound, sm_poet_prover_leaves(p));
    (void)printf("poet-verify variant=%s unit=proofs/s rate=%.1f\n", sm_sha256_default()->name, verified);
    sm_poet_prover_close(p);
    sm_arena_free(&arena);
    return 0;
}
