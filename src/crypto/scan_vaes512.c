/* Four labels per register; the round keys of a group stay in registers over a tile. */
#include "crypto/scan_impl.h"

#include <immintrin.h>

static inline __m512i round_key(const struct sm_aes128 *k, unsigned r)
{
    return _mm512_broadcast_i32x4(_mm_load_si128((const __m128i *)(const void *)k->rk[r]));
}

/* The state that becomes msb in every byte; see scan_impl.h. */
static inline __m512i equal_target(const struct sm_aes128 *k, uint8_t msb)
{
    const __m128i last = _mm_load_si128((const __m128i *)(const void *)k->rk[10]);
    const __m128i want = _mm_xor_si128(last, _mm_set1_epi8((char)msb));
    return _mm512_broadcast_i32x4(_mm_aesdeclast_si128(want, _mm_setzero_si128()));
}

/* Masks of the lines of one step. */
struct masks {
    _Alignas(64) uint64_t bits[SM_SCAN_UNROLL];
};

/* Appends those of eight lines, the first being `line`, that have marks. AES rounds run on one port only, which a move
 * from mask to general register needs too; so masks go through memory, and eight at a time are looked at. */
static inline size_t take_marked(struct sm_scan_marks *out, size_t n, const struct masks *m, size_t line)
{
    const __m512i bits = _mm512_load_si512(m->bits);
    const __m256i lines = _mm256_add_epi32(_mm256_set1_epi32((int)line), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const __mmask8 marked = _mm512_test_epi64_mask(bits, bits);
    _mm512_storeu_si512(&out->bits[n], _mm512_maskz_compress_epi64(marked, bits));
    _mm256_storeu_si256((__m256i *)(void *)&out->line[n], _mm256_maskz_compress_epi32(marked, lines));
    return n + (unsigned)__builtin_popcount(marked);
}

__attribute__((always_inline)) static inline size_t find(const struct sm_aes128 *key, uint8_t msb,
                                                         const uint8_t *labels, size_t lines, const uint8_t *ahead,
                                                         struct sm_scan_sorter *sorter, struct sm_scan_marks *out,
                                                         const bool equal)
{
    __m512i rk[11];
    SM_SCAN_UNROLLED for (unsigned r = 0; r < 11; r++) rk[r] = round_key(key, r);
    const __m512i want = equal ? equal_target(key, msb) : _mm512_set1_epi8((char)msb);

    struct masks masks[2] = {0}; /* of this step and, in memory by now, of the one before */
    size_t n = 0, line = 0, step = 0;
    for (; line + SM_SCAN_UNROLL <= lines; line += SM_SCAN_UNROLL, step ^= 1, ahead += 64 * SM_SCAN_AHEAD) {
        SM_SCAN_UNROLLED for (unsigned i = 0; i < SM_SCAN_AHEAD; i++)
            _mm_prefetch((const char *)ahead + 64 * i, _MM_HINT_T1);
        __m512i x[SM_SCAN_UNROLL];
        SM_SCAN_UNROLLED for (unsigned i = 0; i < SM_SCAN_UNROLL; i++) x[i] =
            _mm512_xor_si512(rk[0], _mm512_loadu_si512(labels + 64 * (line + i)));
        SM_SCAN_UNROLLED for (unsigned r = 1; r < 10; r++)
            SM_SCAN_UNROLLED for (unsigned i = 0; i < SM_SCAN_UNROLL; i++) x[i] = _mm512_aesenc_epi128(x[i], rk[r]);
        SM_SCAN_UNROLLED for (unsigned i = 0; i < SM_SCAN_UNROLL; i++) masks[step].bits[i] =
            equal ? _mm512_cmpeq_epi8_mask(x[i], want)
                  : _mm512_cmplt_epu8_mask(_mm512_aesenclast_epi128(x[i], rk[10]), want);
        n = take_marked(out, n, &masks[step ^ 1], line - SM_SCAN_UNROLL);
        if (equal) sm_scan_sort_step(sorter);
    }
    n = take_marked(out, n, &masks[step ^ 1], line - SM_SCAN_UNROLL);
    for (; line < lines; line++) {
        __m512i x = _mm512_xor_si512(rk[0], _mm512_loadu_si512(labels + 64 * line));
        SM_SCAN_UNROLLED for (unsigned r = 1; r < 10; r++) x = _mm512_aesenc_epi128(x, rk[r]);
        const uint64_t bits =
            equal ? _mm512_cmpeq_epi8_mask(x, want) : _mm512_cmplt_epu8_mask(_mm512_aesenclast_epi128(x, rk[10]), want);
        n = sm_scan_mark(out, n, bits, line);
    }
    return n;
}

static size_t find_equal(const struct sm_aes128 *key, uint8_t msb, const uint8_t *labels, size_t lines,
                         const uint8_t *ahead, struct sm_scan_sorter *sorter, struct sm_scan_marks *out)
{
    return find(key, msb, labels, lines, ahead, sorter, out, true);
}

static size_t find_below(const struct sm_aes128 *key, uint8_t msb, const uint8_t *labels, size_t lines,
                         struct sm_scan_marks *out)
{
    return find(key, msb, labels, lines, labels, NULL, out, false);
}

static inline __m128i label_at(const uint8_t *labels, uint16_t at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)(labels + 16u * at));
}

static inline __m512i gather4(const uint8_t *labels, const uint16_t *at)
{
    __m512i x = _mm512_castsi128_si512(label_at(labels, at[0]));
    x = _mm512_inserti32x4(x, label_at(labels, at[1]), 1);
    x = _mm512_inserti32x4(x, label_at(labels, at[2]), 2);
    return _mm512_inserti32x4(x, label_at(labels, at[3]), 3);
}

/* Two registers of four labels at a time. The low quadword of each block counts: shifted by a byte it is the 56-bit
 * value times 256. */
static size_t lazy(const struct sm_aes128 *key, uint64_t lsb, const uint8_t *labels, const uint16_t *at, size_t n,
                   uint16_t *good)
{
    __m512i rk[11];
    SM_SCAN_UNROLLED for (unsigned r = 0; r < 11; r++) rk[r] = round_key(key, r);
    const __m512i bound = _mm512_set1_epi64((long long)(lsb << 8));

    size_t found = 0;
    for (size_t i = 0; i < n; i += 8) {
        __m512i a = _mm512_xor_si512(rk[0], gather4(labels, at + i));
        __m512i b = _mm512_xor_si512(rk[0], gather4(labels, at + i + 4));
        SM_SCAN_UNROLLED for (unsigned r = 1; r < 10; r++)
        {
            a = _mm512_aesenc_epi128(a, rk[r]);
            b = _mm512_aesenc_epi128(b, rk[r]);
        }
        a = _mm512_aesenclast_epi128(a, rk[10]);
        b = _mm512_aesenclast_epi128(b, rk[10]);
        /* shifted by bytes, not bits: off the port of the AES rounds */
        const __mmask8 lo = _mm512_mask_cmplt_epu64_mask(0x55, _mm512_bslli_epi128(a, 1), bound);
        const __mmask8 hi = _mm512_mask_cmplt_epu64_mask(0x55, _mm512_bslli_epi128(b, 1), bound);
        if (_kortestz_mask8_u8(lo, hi)) continue;
        for (unsigned m = lo | (unsigned)hi << 8; m; m &= m - 1) {
            const size_t which = i + (unsigned)__builtin_ctz(m) / 2;
            if (which < n) good[found++] = at[which];
        }
    }
    return found;
}

const struct sm_scan_ops sm_scan_ops_vaes512 = {.equal = find_equal, .below = find_below, .lazy = lazy};
