/* Four Keccak states side by side in 256-bit registers. */
#include <immintrin.h>

#include "crypto/keccak.h"

typedef __m256i lanes_t;

#define k_set(v)        _mm256_set1_epi64x((long long)(v))
#define k_xor(a, b)     _mm256_xor_si256(a, b)
#define k_xor3(a, b, c) _mm256_xor_si256(_mm256_xor_si256(a, b), c)
#define k_rotl(v, n)    _mm256_or_si256(_mm256_slli_epi64(v, n), _mm256_srli_epi64(v, 64 - (n)))
#define k_chi(a, b, c)  _mm256_xor_si256(a, _mm256_andnot_si256(b, c))

#include "crypto/keccak_lanes.h"

static void permute(uint64_t *p)
{
    lanes_t a[SM_KECCAK_WORDS];
    for (unsigned i = 0; i < SM_KECCAK_WORDS; i++) a[i] = _mm256_load_si256((const lanes_t *)(const void *)(p + 4 * i));
    keccak_f(a);
    for (unsigned i = 0; i < SM_KECCAK_WORDS; i++) _mm256_store_si256((lanes_t *)(void *)(p + 4 * i), a[i]);
}

const struct sm_keccak_lanes sm_keccak_x4 = {.lanes = 4, .permute = permute};
