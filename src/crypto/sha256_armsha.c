/* SHA-256 with the cryptographic extension of ARMv8. */
#include <arm_neon.h>

#include "crypto/sha256_impl.h"

struct regs {
    uint32x4_t abcd, efgh;
};

/* Rounds 4 t … 4 t + 3 with message words `w`. */
static inline __attribute__((always_inline)) void rounds(struct regs *s, unsigned t, uint32x4_t w)
{
    const uint32x4_t wk = vaddq_u32(w, vld1q_u32(&sm_sha256_k[4 * t])), abcd = s->abcd;
    s->abcd = vsha256hq_u32(abcd, s->efgh, wk);
    s->efgh = vsha256h2q_u32(s->efgh, abcd, wk);
}

/* Words t + 16 … t + 19 from those at t, t + 4, t + 8, t + 12. */
static inline __attribute__((always_inline)) uint32x4_t expand(uint32x4_t w0, uint32x4_t w1, uint32x4_t w2,
                                                               uint32x4_t w3)
{
    return vsha256su1q_u32(vsha256su0q_u32(w0, w1), w2, w3);
}

static inline __attribute__((always_inline)) void block(struct regs *s, uint32x4_t w0, uint32x4_t w1, uint32x4_t w2,
                                                        uint32x4_t w3)
{
    const struct regs before = *s;
    rounds(s, 0, w0);
    rounds(s, 1, w1);
    rounds(s, 2, w2);
    rounds(s, 3, w3);
    for (unsigned t = 4; t < 16; t += 4) {
        w0 = expand(w0, w1, w2, w3);
        rounds(s, t, w0);
        w1 = expand(w1, w2, w3, w0);
        rounds(s, t + 1, w1);
        w2 = expand(w2, w3, w0, w1);
        rounds(s, t + 2, w2);
        w3 = expand(w3, w0, w1, w2);
        rounds(s, t + 3, w3);
    }
    s->abcd = vaddq_u32(s->abcd, before.abcd);
    s->efgh = vaddq_u32(s->efgh, before.efgh);
}

static inline uint32x4_t load_words(const uint8_t *p)
{
    return vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(p)));
}

static void compress(uint32_t state[8], const uint8_t *blocks, size_t n)
{
    struct regs s = {.abcd = vld1q_u32(state), .efgh = vld1q_u32(state + 4)};
    for (; n; n--, blocks += SM_SHA256_BLOCK)
        block(&s, load_words(blocks), load_words(blocks + 16), load_words(blocks + 32), load_words(blocks + 48));
    vst1q_u32(state, s.abcd);
    vst1q_u32(state + 4, s.efgh);
}

/* The digest's words are the next message's words. */
static void iterate(uint32_t words[8], uint64_t times)
{
    const struct regs iv = {.abcd = vld1q_u32(sm_sha256_iv), .efgh = vld1q_u32(sm_sha256_iv + 4)};
    const uint32x4_t pad0 = vld1q_u32(sm_sha256_pad), pad1 = vld1q_u32(sm_sha256_pad + 4);
    struct regs s = {.abcd = vld1q_u32(words), .efgh = vld1q_u32(words + 4)};
    for (; times; times--) {
        const uint32x4_t w0 = s.abcd, w1 = s.efgh;
        s = iv;
        block(&s, w0, w1, pad0, pad1);
    }
    vst1q_u32(words, s.abcd);
    vst1q_u32(words + 4, s.efgh);
}

static bool usable(const struct sm_cpu *cpu)
{
    return cpu->armsha;
}

const struct sm_sha256_variant sm_sha256_armsha = {"armsha", usable, compress, iterate};
