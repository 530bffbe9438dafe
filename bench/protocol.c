/* bench/protocol: signatures, VRF proofs, ATXs and eligibility counts, one thread.
 *
 *   bench_protocol [VECTORS [seconds per line]]
 *
 * VECTORS is the directory with wire-atx-v1.json and wire-atx-v2.json (tests/vectors). Per second of processor time, so
 * that a busy machine does not spoil the numbers; the median of five repetitions. */
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/registry.h"
#include "crypto/ecvrf.h"
#include "crypto/ed25519.h"
#include "eligibility/eligibility.h"
#include "util/text.h"

#define REPS 5u

static double cpu_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One operation; false when its result is wrong. */
typedef bool op_fn(void *ctx);

static bool measure(const char *what, double seconds, op_fn *op, void *ctx)
{
    double rate[REPS];
    for (unsigned r = 0; r < REPS; r++) {
        const double begin = cpu_seconds();
        uint64_t n = 0;
        do {
            if (!op(ctx)) {
                (void)fprintf(stderr, "%s: wrong result\n", what);
                return false;
            }
            n++;
        } while (cpu_seconds() - begin < seconds / REPS);
        rate[r] = (double)n / (cpu_seconds() - begin);
    }
    qsort(rate, REPS, sizeof rate[0], ascending);
    (void)printf("%-52s %10.0f /s (%.0f ... %.0f)\n", what, rate[REPS / 2], rate[0], rate[REPS - 1]);
    return true;
}

struct signing {
    uint8_t secret[64];
    struct sm_node_id id;
    uint8_t message[96];
    uint8_t signature[64];
    struct sm_vrf_proof proof;
};

static bool verify(void *ctx)
{
    const struct signing *s = ctx;
    const struct sm_slice part = {s->message, sizeof s->message};
    return sm_ed25519_verify(s->id.b, &part, 1, s->signature);
}

static bool verify_libsodium(void *ctx)
{
    const struct signing *s = ctx;
    return crypto_sign_verify_detached(s->signature, s->message, sizeof s->message, s->id.b) == 0;
}

static bool vrf_prove(void *ctx)
{
    struct signing *s = ctx;
    return sm_ecvrf_prove(s->secret, (struct sm_slice){s->message, 16}, &s->proof, NULL) == SM_OK;
}

static bool vrf_verify(void *ctx)
{
    const struct signing *s = ctx;
    return sm_ecvrf_verify(&s->id, (struct sm_slice){s->message, 16}, &s->proof);
}

struct atx {
    const struct sm_object *type;
    uint8_t *blob;
    size_t n;
    struct sm_genesis_id genesis;
};

static bool atx_check(void *ctx)
{
    const struct atx *a = ctx;
    struct sm_arena arena = {0};
    struct sm_object_facts f;
    void *obj;
    const struct sm_object_context known = {.genesis = &a->genesis};
    bool good = sm_object_decode(a->type, (struct sm_slice){a->blob, a->n}, &arena, &obj, NULL) == SM_OK &&
                sm_object_facts_of(a->type, obj, &known, &f, NULL) == SM_OK && f.checks_n == 1 &&
                f.checks[0].known == SM_KNOWN_GOOD;
    sm_arena_free(&arena);
    return good;
}

/* Measures an ATX of the vectors; false when the file cannot be used. */
static bool atx_line(const char *dir, const char *file, const char *type, size_t row, double seconds)
{
    char path[4096], what[96];
    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    json_t *j = json_load_file(path, 0, NULL);
    const json_t *a = json_array_get(json_object_get(j, "atxs"), row);
    const char *hex = json_string_value(json_object_get(a, "blob"));
    const char *genesis = json_string_value(json_object_get(j, "genesis_id"));
    struct atx x = {.type = sm_object_find(type)};
    bool good = hex && genesis && (x.blob = malloc(strlen(hex) / 2 + 1)) != NULL;
    if (good) {
        x.n = strlen(hex) / 2;
        good = sm_hex_decode(hex, "blob", x.blob, x.n, NULL) == SM_OK &&
               sm_hex_decode(genesis, "genesis", x.genesis.b, sizeof x.genesis.b, NULL) == SM_OK;
    }
    (void)snprintf(what, sizeof what, "%s (%zu bytes): decode, ID, signature", type, x.n);
    if (good)
        good = measure(what, seconds, atx_check, &x);
    else
        (void)fprintf(stderr, "%s: cannot be used\n", path);
    free(x.blob);
    json_decref(j);
    return good;
}

struct draw {
    uint64_t weight, total;
    uint32_t committee;
    uint64_t state;
    uint64_t sum;
};

static struct sm_vrf_proof next_vrf(struct draw *d)
{
    struct sm_vrf_proof p = {{0}};
    d->state = d->state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    sm_le64_store(p.b, d->state ^ d->state >> 29);
    return p;
}

static bool count(void *ctx)
{
    struct draw *d = ctx;
    const struct sm_vrf_proof p = next_vrf(d);
    d->sum += sm_hare_count(d->weight, d->total, d->committee, &p);
    return true;
}

static bool claim(void *ctx)
{
    struct draw *d = ctx;
    const struct sm_vrf_proof p = next_vrf(d);
    d->sum += sm_hare_count_valid(d->weight, d->total, d->committee, &p, 1);
    return true;
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : "tests/vectors";
    const double seconds = argc > 2 ? strtod(argv[2], NULL) : 1.0;
    struct signing s;
    if (sodium_init() < 0) return 1;
    (void)crypto_sign_keypair(s.id.b, s.secret);
    randombytes_buf(s.message, sizeof s.message);
    (void)crypto_sign_detached(s.signature, NULL, s.message, sizeof s.message, s.secret);
    struct draw small = {.weight = 10000, .total = 2000000000, .committee = 400, .state = 1};
    struct draw large = {.weight = 100000000, .total = 2000000000, .committee = 400, .state = 1};
    bool good = measure("Ed25519 verify, cofactored", seconds, verify, &s) &&
                measure("Ed25519 verify, libsodium, for comparison", seconds, verify_libsodium, &s) &&
                measure("ECVRF prove", seconds, vrf_prove, &s) && measure("ECVRF verify", seconds, vrf_verify, &s) &&
                atx_line(dir, "wire-atx-v1.json", "atx-v1", 0, seconds) &&
                atx_line(dir, "wire-atx-v2.json", "atx-v2", 0, seconds) &&
                atx_line(dir, "wire-atx-v2.json", "atx-v2", 3, seconds) &&
                measure("eligibility count, 0.002 expected", seconds, count, &small) &&
                measure("eligibility count, 20 expected", seconds, count, &large) &&
                measure("claimed count of 1, 20 expected", seconds, claim, &large);
    return good ? 0 : 1;
}
