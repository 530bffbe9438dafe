/* One label per register, eight in flight. */
#include "crypto/scan_impl.h"

#include <immintrin.h>

static inline __m128i round_key(const struct sm_aes128 *k, unsigned r)
{
    return _mm_load_si128((const __m128i *)(const void *)k->rk[r]);
}

/* The state that becomes msb in every byte; see scan_impl.h. */
static inline __m128i equal_target(const struct sm_aes128 *k, uint8_t msb)
{
    return _mm_aesdeclast_si128(_mm_xor_si128(round_key(k, 10), _mm_set1_epi8((char)msb)), _mm_setzero_si128());
}

__attribute__((always_inline)) static inline uint64_t marked(__m128i x, __m128i rk10, __m128i want, const bool equal)
{
    if (equal) return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, want));
    x = _mm_aesenclast_si128(x, rk10); /* below: not (want <= x) */
    return 0xffffu & ~(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(x, want), want));
}

#define LINES 2u /* per step; a line is four registers */

__attribute__((always_inline)) static inline size_t find(const struct sm_aes128 *key, uint8_t msb,
                                                         const uint8_t *labels, size_t lines, const uint8_t *ahead,
                                                         struct sm_scan_marks *out, const bool equal)
{
    __m128i rk[11];
    SM_SCAN_UNROLLED for (unsigned r = 0; r < 11; r++) rk[r] = round_key(key, r);
    const __m128i want = equal ? equal_target(key, msb) : _mm_set1_epi8((char)msb);

    size_t n = 0;
    for (size_t line = 0; line < lines; line += LINES, ahead += 32) {
        _mm_prefetch((const char *)ahead, _MM_HINT_T1); /* each line twice */
        const __m128i *in = (const __m128i *)(const void *)(labels + 64 * line);
        __m128i x[4 * LINES];
        SM_SCAN_UNROLLED for (unsigned i = 0; i < 4 * LINES; i++) x[i] = _mm_xor_si128(rk[0], _mm_loadu_si128(&in[i]));
        SM_SCAN_UNROLLED for (unsigned r = 1; r < 10; r++) SM_SCAN_UNROLLED for (unsigned i = 0; i < 4 * LINES; i++)
            x[i] = _mm_aesenc_si128(x[i], rk[r]);
        SM_SCAN_UNROLLED for (unsigned l = 0; l < LINES; l++)
        {
            uint64_t bits = 0;
            SM_SCAN_UNROLLED for (unsigned i = 0; i < 4; i++) bits |= marked(x[4 * l + i], rk[10], want, equal)
                                                                      << (16 * i);
            n = sm_scan_mark(out, n, bits, line + l);
        }
    }
    return n;
}

static size_t find_equal(const struct sm_aes128 *key, uint8_t msb, const uint8_t *labels, size_t lines,
                         const uint8_t *ahead, struct sm_scan_sorter *sorter, struct sm_scan_marks *out)
{
    (void)sorter; /* the driver does it all */
    return find(key, msb, labels, lines, ahead, out, true);
}

static size_t find_below(const struct sm_aes128 *key, uint8_t msb, const uint8_t *labels, size_t lines,
                         struct sm_scan_marks *out)
{
    return find(key, msb, labels, lines, labels, out, false);
}

static size_t lazy(const struct sm_aes128 *key, uint64_t lsb, const uint8_t *labels, const uint16_t *at, size_t n,
                   uint16_t *good)
{
    __m128i rk[11];
    SM_SCAN_UNROLLED for (unsigned r = 0; r < 11; r++) rk[r] = round_key(key, r);

    size_t found = 0;
    for (size_t i = 0; i < n; i += 8) {
        __m128i x[8];
        SM_SCAN_UNROLLED for (unsigned j = 0; j < 8; j++) x[j] =
            _mm_xor_si128(rk[0], _mm_loadu_si128((const __m128i *)(const void *)(labels + 16u * at[i + j])));
        SM_SCAN_UNROLLED for (unsigned r = 1; r < 10; r++) SM_SCAN_UNROLLED for (unsigned j = 0; j < 8; j++) x[j] =
            _mm_aesenc_si128(x[j], rk[r]);
        SM_SCAN_UNROLLED for (unsigned j = 0; j < 8; j++)
        {
            const __m128i last = _mm_aesenclast_si128(x[j], rk[10]);
            const bool below = (uint64_t)_mm_cvtsi128_si64(last) << 8 < lsb << 8; /* the low 56 bits */
            good[found] = at[i + j];
            found += below && i + j < n;
        }
    }
    return found;
}

const struct sm_scan_ops sm_scan_ops_aesni = {.equal = find_equal, .below = find_below, .lazy = lazy};
