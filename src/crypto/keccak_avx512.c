/* Eight Keccak states side by side in 512-bit registers: rotation and chi are one instruction each. */
#include <immintrin.h>

#include "crypto/keccak.h"

typedef __m512i lanes_t;

#define k_set(v)        _mm512_set1_epi64((long long)(v))
#define k_xor(a, b)     _mm512_xor_si512(a, b)
#define k_xor3(a, b, c) _mm512_ternarylogic_epi64(a, b, c, 0x96)
#define k_rotl(v, n)    _mm512_rol_epi64(v, n)
#define k_chi(a, b, c)  _mm512_ternarylogic_epi64(a, b, c, 0xd2)

#include "crypto/keccak_lanes.h"

static void permute(uint64_t *p)
{
    lanes_t a[SM_KECCAK_WORDS];
    for (unsigned i = 0; i < SM_KECCAK_WORDS; i++) a[i] = _mm512_load_si512(p + 8 * i);
    keccak_f(a);
    for (unsigned i = 0; i < SM_KECCAK_WORDS; i++) _mm512_store_si512(p + 8 * i, a[i]);
}

const struct sm_keccak_lanes sm_keccak_x8 = {.lanes = 8, .permute = permute};
