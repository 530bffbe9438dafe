/* Eight labels side by side. With 16 registers for 16 words of state the compiler spills a few; the loads and stores
 * are hidden behind three vector pipes. Where simple vector operations take two cycles (Zen 5) one group waits for its
 * own results half of the time; two in lockstep do not. */
#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#define LANES 8u
typedef __m256i vec;
typedef __m256i v_mask;

#define v_add(a, b)       _mm256_add_epi32(a, b)
#define v_xor(a, b)       _mm256_xor_si256(a, b)
#define v_xor3(a, b, c)   v_xor(v_xor(a, b), c)
#define v_shifts(v, n)    _mm256_or_si256(_mm256_slli_epi32(v, n), _mm256_srli_epi32(v, 32 - (n)))
#define v_rotl16(v)       _mm256_shuffle_epi8(v, rotl16_bytes())
#define v_rotl12(v)       v_shifts(v, 12)
#define v_rotl8(v)        _mm256_shuffle_epi8(v, rotl8_bytes())
#define v_rotl7(v)        v_shifts(v, 7)
#define v_set(u)          _mm256_set1_epi32((int)(u))
#define v_gt(a, b)        _mm256_cmpgt_epi32(a, b)
#define v_select(m, a, b) _mm256_blendv_epi8(b, a, m)
#define v_stream(p, v)    _mm256_stream_si256((vec *)(void *)(p), v)
#define v_fence()         _mm_sfence()

static inline __attribute__((always_inline)) vec rotl16_bytes(void)
{
    return _mm256_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, /* both 128-bit halves */
                            2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}

static inline __attribute__((always_inline)) vec rotl8_bytes(void)
{
    return _mm256_setr_epi8(3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14, /* both 128-bit halves */
                            3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14);
}

static inline __attribute__((always_inline)) void v_scatter(uint8_t *p, size_t stride, vec v)
{
    _mm_store_si128((__m128i *)(void *)p, _mm256_castsi256_si128(v));
    _mm_store_si128((__m128i *)(void *)(p + stride), _mm256_extracti128_si256(v, 1));
}

static inline __attribute__((always_inline)) void v_transpose4(vec x[4])
{
    const vec a = _mm256_unpacklo_epi32(x[0], x[1]), b = _mm256_unpackhi_epi32(x[0], x[1]);
    const vec c = _mm256_unpacklo_epi32(x[2], x[3]), d = _mm256_unpackhi_epi32(x[2], x[3]);
    x[0] = _mm256_unpacklo_epi64(a, c);
    x[1] = _mm256_unpackhi_epi64(a, c);
    x[2] = _mm256_unpacklo_epi64(b, d);
    x[3] = _mm256_unpackhi_epi64(b, d);
}

#include "crypto/romix_avx2_pair.h"
#define HAVE_DOUBLE_ROUND_PAIR
#include "crypto/romix_lanes.h"

ROMIX_KERNEL(run_1, 1)
ROMIX_KERNEL(run_2, 2)

static bool usable(const struct sm_cpu *cpu)
{
    return cpu->avx2;
}

static const struct sm_romix_kernel kernels[] = {{.groups = 1, .run = run_1}, {.groups = 2, .run = run_2}};
static const struct sm_romix_ops ops = {
    .kernels = kernels,
    .kernels_n = sizeof kernels / sizeof kernels[0],
    .keccak = &sm_keccak_x4,
    .sets_max = SM_ROMIX_SETS_MAX,
    .prefetches = true,
    .streams = true,
};
static const struct sm_scrypt_tune tunes[] = {
    {.groups = 1, .sets = 4, .lookup_gap = 1, .prefetch = 2, .stream = 2},
    {.groups = 2, .sets = 5, .lookup_gap = 1, .prefetch = 2, .stream = 2},
    {.groups = 1, .sets = 6, .lookup_gap = 1, .prefetch = 2, .stream = 2},
    {.groups = 1, .sets = 4, .lookup_gap = 1, .prefetch = 2, .stream = 1},
    {.groups = 1, .sets = 2, .lookup_gap = 1, .prefetch = 1, .stream = 2},
    {.groups = 1, .sets = 1, .lookup_gap = 1, .prefetch = 1, .stream = 1},
    {.groups = 1, .sets = 4, .lookup_gap = 2, .prefetch = 2, .stream = 2},
    {.groups = 2, .sets = 4, .lookup_gap = 2, .prefetch = 2, .stream = 2},
    /* many cores, a large cache, little bandwidth */
    {.groups = 2, .sets = 2, .lookup_gap = 4, .prefetch = 2, .stream = 1},
};

const struct sm_scrypt_variant sm_scrypt_avx2 = {
    .name = "avx2",
    .lanes = LANES,
    .usable = usable,
    .tunes = tunes,
    .tunes_n = sizeof tunes / sizeof tunes[0],
    .impl = &ops,
};
