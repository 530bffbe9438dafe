#include "crypto/aes_impl.h"

#include <immintrin.h>

void sm_aes128_encrypt_aesni(const struct sm_aes128 *k, const uint8_t in[16], uint8_t out[16])
{
    const __m128i *rk = (const __m128i *)(const void *)k->rk;
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)in);
    x = _mm_xor_si128(x, _mm_load_si128(&rk[0]));
    for (unsigned r = 1; r < 10; r++) x = _mm_aesenc_si128(x, _mm_load_si128(&rk[r]));
    x = _mm_aesenclast_si128(x, _mm_load_si128(&rk[10]));
    _mm_storeu_si128((__m128i *)(void *)out, x);
}
