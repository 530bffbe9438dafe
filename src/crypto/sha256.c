#include "crypto/sha256.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/sha256_impl.h"

// clang-format off
const uint32_t sm_sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
const uint32_t sm_sha256_iv[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};
// clang-format on
const uint32_t sm_sha256_pad[8] = {0x80000000, 0, 0, 0, 0, 0, 0, 8 * SM_SHA256_BYTES};

static const struct sm_sha256_variant *const variants[] = {
    &sm_sha256_ref,
#if defined(__x86_64__)
    &sm_sha256_shani,
#elif defined(__aarch64__)
    &sm_sha256_armsha,
#endif
    NULL,
};

const struct sm_sha256_variant *const *sm_sha256_all(void)
{
    return variants;
}

static const struct sm_sha256_variant *fastest(const struct sm_cpu *cpu)
{
    const struct sm_sha256_variant *best = &sm_sha256_ref;
    for (size_t i = 0; variants[i]; i++)
        if (variants[i]->usable(cpu)) best = variants[i];
    return best;
}

sm_err sm_sha256_pick(const struct sm_cpu *cpu, const char *force, const struct sm_sha256_variant **out,
                      struct sm_errinfo *ei)
{
    if (!force) force = getenv("SM_SHA256_ISA");
    if (!force || !*force) {
        *out = fastest(cpu);
        return SM_OK;
    }
    for (size_t i = 0; variants[i]; i++) {
        if (strcmp(variants[i]->name, force) != 0) continue;
        if (!variants[i]->usable(cpu))
            return sm_fail(ei, SM_E_DEVICE, "SHA-256 variant '%s': this processor cannot run it", force);
        *out = variants[i];
        return SM_OK;
    }
    return sm_fail(ei, SM_E_ARG, "SHA-256 variant '%s' is unknown; leave it out for the fastest", force);
}

static const struct sm_sha256_variant *chosen;

static void choose(void)
{
    if (sm_sha256_pick(sm_cpu(), NULL, &chosen, NULL)) chosen = fastest(sm_cpu());
}

const struct sm_sha256_variant *sm_sha256_default(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, choose);
    return chosen;
}

void sm_sha256_init(struct sm_sha256 *h, const struct sm_sha256_variant *v)
{
    h->v = v ? v : sm_sha256_default();
    memcpy(h->state, sm_sha256_iv, sizeof h->state);
    h->bytes = 0;
}

void sm_sha256_update(struct sm_sha256 *h, const void *p, size_t n)
{
    const uint8_t *in = p;
    const size_t used = h->bytes % SM_SHA256_BLOCK;
    if (!n) return;
    h->bytes += n;
    if (used) {
        const size_t room = SM_SHA256_BLOCK - used, take = n < room ? n : room;
        memcpy(h->block + used, in, take);
        if (take < room) return;
        h->v->compress(h->state, h->block, 1);
        in += take;
        n -= take;
    }
    if (n >= SM_SHA256_BLOCK) h->v->compress(h->state, in, n / SM_SHA256_BLOCK);
    const size_t rest = n % SM_SHA256_BLOCK;
    if (rest) memcpy(h->block, in + (n - rest), rest);
}

static void words_store(uint8_t out[SM_SHA256_BYTES], const uint32_t words[8])
{
    for (size_t i = 0; i < 8; i++) sm_be32_store(out + 4 * i, words[i]);
}

void sm_sha256_final(struct sm_sha256 *h, uint8_t out[SM_SHA256_BYTES])
{
    size_t used = h->bytes % SM_SHA256_BLOCK;
    h->block[used++] = 0x80;
    if (used > SM_SHA256_BLOCK - 8) {
        memset(h->block + used, 0, SM_SHA256_BLOCK - used);
        h->v->compress(h->state, h->block, 1);
        used = 0;
    }
    memset(h->block + used, 0, SM_SHA256_BLOCK - 8 - used);
    sm_be64_store(h->block + SM_SHA256_BLOCK - 8, h->bytes * 8);
    h->v->compress(h->state, h->block, 1);
    words_store(out, h->state);
}

void sm_sha256_hash(const struct sm_slice *parts, size_t parts_n, uint8_t out[SM_SHA256_BYTES])
{
    struct sm_sha256 h;
    sm_sha256_init(&h, NULL);
    for (size_t i = 0; i < parts_n; i++) sm_sha256_update(&h, parts[i].p, parts[i].n);
    sm_sha256_final(&h, out);
}

void sm_sha256_iterate(const struct sm_sha256_variant *v, uint8_t digest[SM_SHA256_BYTES], uint64_t times)
{
    uint32_t words[8];
    if (!v) v = sm_sha256_default();
    for (size_t i = 0; i < 8; i++) words[i] = sm_be32_load(digest + 4 * i);
    v->iterate(words, times);
    words_store(digest, words);
}
