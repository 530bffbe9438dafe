#include "crypto/aes_impl.h"

#include <arm_neon.h>

void sm_aes128_encrypt_armaes(const struct sm_aes128 *k, const uint8_t in[16], uint8_t out[16])
{
    uint8x16_t x = vld1q_u8(in);
    for (unsigned r = 0; r < 9; r++) x = vaesmcq_u8(vaeseq_u8(x, vld1q_u8(k->rk[r])));
    x = veorq_u8(vaeseq_u8(x, vld1q_u8(k->rk[9])), vld1q_u8(k->rk[10]));
    vst1q_u8(out, x);
}
