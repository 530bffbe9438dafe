/* Two labels per register, four lines in flight. */
#include "crypto/scan_impl.h"

#include <immintrin.h>

static inline __m256i round_key(const struct sm_aes128 *k, unsigned r)
{
    return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)k->rk[r]));
}

/* The state that becomes msb in every byte; see scan_impl.h. */
static inline __m256i equal_target(const struct sm_aes128 *k, uint8_t msb)
{
    const __m128i last = _mm_load_si128((const __m128i *)(const void *)k->rk[10]);
    const __m128i want = _mm_xor_si128(last, _mm_set1_epi8((char)msb));
    return _mm256_broadcastsi128_si256(_mm_aesdeclast_si128(want, _mm_setzero_si128()));
}

__attribute__((always_inline)) static inline uint64_t marked(__m256i x, __m256i rk10, __m256i want, const bool equal)
{
    if (equal) return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, want));
    x = _mm256_aesenclast_epi128(x, rk10); /* below: not (want <= x) */
    return (uint32_t)~_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(x, want), want));
}

#define LINES 4u /* per step; a line is two registers */

__attribute__((always_inline)) static inline size_t step(const __m256i rk[11], __m256i want, const uint8_t *labels,
                                                         size_t line, const unsigned count, struct sm_scan_marks *out,
                                                         size_t n, const bool equal)
{
    const __m256i *in = (const __m256i *)(const void *)(labels + 64 * line);
    __m256i x[2 * LINES];
    SM_SCAN_UNROLLED for (unsigned i = 0; i < 2 * count; i++) x[i] =
        _mm256_xor_si256(rk[0], _mm256_loadu_si256(&in[i]));
    SM_SCAN_UNROLLED for (unsigned r = 1; r < 10; r++) SM_SCAN_UNROLLED for (unsigned i = 0; i < 2 * count; i++) x[i] =
        _mm256_aesenc_epi128(x[i], rk[r]);
    SM_SCAN_UNROLLED for (unsigned l = 0; l < count; l++)
    {
        const uint64_t lo = marked(x[2 * l], rk[10], want, equal), hi = marked(x[2 * l + 1], rk[10], want, equal);
        n = sm_scan_mark(out, n, lo | hi << 32, line + l);
    }
    return n;
}

__attribute__((always_inline)) static inline size_t find(const struct sm_aes128 *key, uint8_t msb,
                                                         const uint8_t *labels, size_t lines, const uint8_t *ahead,
                                                         struct sm_scan_sorter *sorter, struct sm_scan_marks *out,
                                                         const bool equal)
{
    __m256i rk[11];
    SM_SCAN_UNROLLED for (unsigned r = 0; r < 11; r++) rk[r] = round_key(key, r);
    const __m256i want = equal ? equal_target(key, msb) : _mm256_set1_epi8((char)msb);

    size_t n = 0, line = 0;
    for (; line + LINES <= lines; line += LINES, ahead += 64) {
        _mm_prefetch((const char *)ahead, _MM_HINT_T1);
        n = step(rk, want, labels, line, LINES, out, n, equal);
        if (equal && line % SM_SCAN_UNROLL) sm_scan_sort_step(sorter);
    }
    for (; line < lines; line += 2) n = step(rk, want, labels, line, 2, out, n, equal); /* 8 labels: two lines */
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

static inline __m256i gather2(const uint8_t *labels, const uint16_t *at)
{
    const __m128i lo = _mm_loadu_si128((const __m128i *)(const void *)(labels + 16u * at[0]));
    const __m128i hi = _mm_loadu_si128((const __m128i *)(const void *)(labels + 16u * at[1]));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(lo), hi, 1);
}

static size_t lazy(const struct sm_aes128 *key, uint64_t lsb, const uint8_t *labels, const uint16_t *at, size_t n,
                   uint16_t *good)
{
    __m256i rk[11];
    SM_SCAN_UNROLLED for (unsigned r = 0; r < 11; r++) rk[r] = round_key(key, r);

    size_t found = 0;
    for (size_t i = 0; i < n; i += 8) {
        __m256i x[4];
        SM_SCAN_UNROLLED for (unsigned j = 0; j < 4; j++) x[j] =
            _mm256_xor_si256(rk[0], gather2(labels, at + i + 2 * j));
        SM_SCAN_UNROLLED for (unsigned r = 1; r < 10; r++) SM_SCAN_UNROLLED for (unsigned j = 0; j < 4; j++) x[j] =
            _mm256_aesenc_epi128(x[j], rk[r]);
        uint64_t v[8];
        SM_SCAN_UNROLLED for (unsigned j = 0; j < 4; j++)
        {
            const __m256i last = _mm256_aesenclast_epi128(x[j], rk[10]);
            v[2 * j] = (uint64_t)_mm256_extract_epi64(last, 0);
            v[2 * j + 1] = (uint64_t)_mm256_extract_epi64(last, 2);
        }
        SM_SCAN_UNROLLED for (unsigned j = 0; j < 8; j++)
        {
            good[found] = at[i + j];
            found += v[j] << 8 < lsb << 8 && i + j < n; /* the low 56 bits */
        }
    }
    return found;
}

const struct sm_scan_ops sm_scan_ops_vaes256 = {.equal = find_equal, .below = find_below, .lazy = lazy};
