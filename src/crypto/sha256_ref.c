#include <string.h>

#include "crypto/sha256_impl.h"

/* FIPS 180-4, 6.2.2. `w` holds the block's 16 words and is overwritten. */
static void compress_words(uint32_t s[8], uint32_t w[16])
{
    uint32_t a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    for (size_t t = 0; t < 64; t++) {
        if (t >= 16) {
            const uint32_t w15 = w[(t - 15) % 16], w2 = w[(t - 2) % 16];
            const uint32_t s0 = sm_rotr32(w15, 7) ^ sm_rotr32(w15, 18) ^ w15 >> 3;
            const uint32_t s1 = sm_rotr32(w2, 17) ^ sm_rotr32(w2, 19) ^ w2 >> 10;
            w[t % 16] += s0 + w[(t - 7) % 16] + s1;
        }
        const uint32_t sum1 = sm_rotr32(e, 6) ^ sm_rotr32(e, 11) ^ sm_rotr32(e, 25);
        const uint32_t t1 = h + sum1 + ((e & f) ^ (~e & g)) + sm_sha256_k[t] + w[t % 16];
        const uint32_t sum0 = sm_rotr32(a, 2) ^ sm_rotr32(a, 13) ^ sm_rotr32(a, 22);
        const uint32_t t2 = sum0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    s[0] += a;
    s[1] += b;
    s[2] += c;
    s[3] += d;
    s[4] += e;
    s[5] += f;
    s[6] += g;
    s[7] += h;
}

static void compress(uint32_t state[8], const uint8_t *blocks, size_t n)
{
    for (; n; n--, blocks += SM_SHA256_BLOCK) {
        uint32_t w[16];
        for (size_t i = 0; i < 16; i++) w[i] = sm_be32_load(blocks + 4 * i);
        compress_words(state, w);
    }
}

static void iterate(uint32_t words[8], uint64_t times)
{
    for (; times; times--) {
        uint32_t w[16];
        memcpy(w, words, 32);
        memcpy(w + 8, sm_sha256_pad, 32);
        memcpy(words, sm_sha256_iv, 32);
        compress_words(words, w);
    }
}

static bool usable(const struct sm_cpu *cpu)
{
    (void)cpu;
    return true;
}

const struct sm_sha256_variant sm_sha256_ref = {"ref", usable, compress, iterate};
