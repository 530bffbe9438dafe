/* Sixteen labels side by side: 16 registers hold a block, 16 more its copy for the feed-forward. */
#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#define LANES 16u
typedef __m512i vec;
typedef __mmask16 v_mask;

#define v_add(a, b)       _mm512_add_epi32(a, b)
#define v_xor(a, b)       _mm512_xor_si512(a, b)
#define v_xor3(a, b, c)   _mm512_ternarylogic_epi32(a, b, c, 0x96)
#define v_rotl16(v)       _mm512_rol_epi32(v, 16)
#define v_rotl12(v)       _mm512_rol_epi32(v, 12)
#define v_rotl8(v)        _mm512_rol_epi32(v, 8)
#define v_rotl7(v)        _mm512_rol_epi32(v, 7)
#define v_set(u)          _mm512_set1_epi32((int)(u))
#define v_gt(a, b)        _mm512_cmpgt_epi32_mask(a, b)
#define v_select(m, a, b) _mm512_mask_blend_epi32(m, b, a)
#define v_fence()         _mm_sfence()

#define v_stream(p, v) _mm512_stream_si512((void *)(p), v)

static inline __attribute__((always_inline)) void v_scatter(uint8_t *p, size_t stride, vec v)
{
    _mm_store_si128((__m128i *)(void *)p, _mm512_castsi512_si128(v));
    _mm_store_si128((__m128i *)(void *)(p + stride), _mm512_extracti32x4_epi32(v, 1));
    _mm_store_si128((__m128i *)(void *)(p + 2 * stride), _mm512_extracti32x4_epi32(v, 2));
    _mm_store_si128((__m128i *)(void *)(p + 3 * stride), _mm512_extracti32x4_epi32(v, 3));
}

static inline __attribute__((always_inline)) void v_transpose4(vec x[4])
{
    const vec a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
    const vec c = _mm512_unpacklo_epi32(x[2], x[3]), d = _mm512_unpackhi_epi32(x[2], x[3]);
    x[0] = _mm512_unpacklo_epi64(a, c);
    x[1] = _mm512_unpackhi_epi64(a, c);
    x[2] = _mm512_unpacklo_epi64(b, d);
    x[3] = _mm512_unpackhi_epi64(b, d);
}

#include "crypto/romix_lanes.h"

ROMIX_KERNEL(run_1, 1)

static bool usable(const struct sm_cpu *cpu)
{
    return cpu->avx512;
}

static const struct sm_romix_kernel kernels[] = {{.groups = 1, .run = run_1}};
static const struct sm_romix_ops ops = {
    .kernels = kernels,
    .kernels_n = sizeof kernels / sizeof kernels[0],
    .keccak = &sm_keccak_x8,
    .sets_max = SM_ROMIX_SETS_MAX,
    .prefetches = true,
    .streams = true,
};
static const struct sm_scrypt_tune tunes[] = {
    {.groups = 1, .sets = 5, .lookup_gap = 1, .prefetch = 2, .stream = 2},
    {.groups = 1, .sets = 4, .lookup_gap = 1, .prefetch = 2, .stream = 2},
    {.groups = 1, .sets = 6, .lookup_gap = 1, .prefetch = 2, .stream = 2},
    {.groups = 1, .sets = 4, .lookup_gap = 1, .prefetch = 2, .stream = 1},
    {.groups = 1, .sets = 2, .lookup_gap = 1, .prefetch = 1, .stream = 2},
    {.groups = 1, .sets = 1, .lookup_gap = 1, .prefetch = 1, .stream = 1},
    {.groups = 1, .sets = 4, .lookup_gap = 2, .prefetch = 2, .stream = 2},
    /* many cores, a large cache, little bandwidth */
    {.groups = 1, .sets = 2, .lookup_gap = 4, .prefetch = 2, .stream = 1},
};

const struct sm_scrypt_variant sm_scrypt_avx512 = {
    .name = "avx512",
    .lanes = LANES,
    .usable = usable,
    .tunes = tunes,
    .tunes_n = sizeof tunes / sizeof tunes[0],
    .impl = &ops,
};
