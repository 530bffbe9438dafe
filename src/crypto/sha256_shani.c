/* SHA-256 with the SHA extensions. The instructions want the state as ABEF and CDGH, highest word first, and message
 * words four to a register, lowest first. */
#include <immintrin.h>

#include "crypto/sha256_impl.h"

struct regs {
    __m128i abef, cdgh;
};

static inline __m128i constants(unsigned t)
{
    return _mm_loadu_si128((const __m128i *)&sm_sha256_k[4 * t]);
}

/* Rounds 4 t … 4 t + 3 with message words `w`. */
static inline __attribute__((always_inline)) void rounds(struct regs *s, unsigned t, __m128i w)
{
    const __m128i wk = _mm_add_epi32(w, constants(t));
    s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, wk);
    s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_shuffle_epi32(wk, 0x0e));
}

/* Words t + 16 … t + 19 from those at t, t + 4, t + 8, t + 12. */
static inline __attribute__((always_inline)) __m128i expand(__m128i w0, __m128i w1, __m128i w2, __m128i w3)
{
    const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8(w3, w2, 4));
    return _mm_sha256msg2_epu32(sum, w3);
}

static inline __attribute__((always_inline)) void block(struct regs *s, __m128i w0, __m128i w1, __m128i w2, __m128i w3)
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
    s->abef = _mm_add_epi32(s->abef, before.abef);
    s->cdgh = _mm_add_epi32(s->cdgh, before.cdgh);
}

static inline struct regs load_state(const uint32_t words[8])
{
    const __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)words), 0xb1);       /* B A D C */
    const __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(words + 4)), 0xb1); /* F E H G */
    return (struct regs){.abef = _mm_unpacklo_epi64(efgh, abcd), .cdgh = _mm_unpackhi_epi64(efgh, abcd)};
}

static inline __attribute__((always_inline)) __m128i words_abcd(struct regs s)
{
    return _mm_shuffle_epi32(_mm_unpackhi_epi64(s.abef, s.cdgh), 0xb1);
}

static inline __attribute__((always_inline)) __m128i words_efgh(struct regs s)
{
    return _mm_shuffle_epi32(_mm_unpacklo_epi64(s.abef, s.cdgh), 0xb1);
}

static inline void store_state(uint32_t words[8], struct regs s)
{
    _mm_storeu_si128((__m128i *)words, words_abcd(s));
    _mm_storeu_si128((__m128i *)(words + 4), words_efgh(s));
}

static inline __m128i load_words(const uint8_t *p)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)p), swap);
}

static void compress(uint32_t state[8], const uint8_t *blocks, size_t n)
{
    struct regs s = load_state(state);
    for (; n; n--, blocks += SM_SHA256_BLOCK)
        block(&s, load_words(blocks), load_words(blocks + 16), load_words(blocks + 32), load_words(blocks + 48));
    store_state(state, s);
}

/* The digest stays in registers: its words are the next message's words, so nothing is swapped or stored in between. */
static void iterate(uint32_t words[8], uint64_t times)
{
    const struct regs iv = load_state(sm_sha256_iv);
    const __m128i pad0 = _mm_loadu_si128((const __m128i *)sm_sha256_pad);
    const __m128i pad1 = _mm_loadu_si128((const __m128i *)(sm_sha256_pad + 4));
    struct regs s = load_state(words);
    for (; times; times--) {
        const __m128i w0 = words_abcd(s), w1 = words_efgh(s);
        s = iv;
        block(&s, w0, w1, pad0, pad1);
    }
    store_state(words, s);
}

static bool usable(const struct sm_cpu *cpu)
{
    return cpu->shani;
}

const struct sm_sha256_variant sm_sha256_shani = {"shani", usable, compress, iterate};
