#include "crypto/aes_impl.h"

#include <string.h>

/* FIPS-197, 5.2. Keys are expanded rarely: portable code serves all variants, whose round keys are these bytes. */
void sm_aes128_init(struct sm_aes128 *k, const uint8_t key[16])
{
    memcpy(k->rk[0], key, 16);
    uint8_t rcon = 1;
    for (unsigned r = 1; r <= 10; r++) {
        const uint8_t *prev = k->rk[r - 1];
        uint8_t *next = k->rk[r];
        for (unsigned i = 0; i < 4; i++) next[i] = prev[i] ^ sm_aes_sbox[prev[12 + (i + 1) % 4]];
        next[0] ^= rcon;
        for (unsigned i = 4; i < 16; i++) next[i] = prev[i] ^ next[i - 4];
        rcon = (uint8_t)((rcon << 1) ^ (rcon & 0x80 ? 0x1b : 0));
    }
}

void sm_aes128_encrypt(const struct sm_aes128 *k, const uint8_t in[16], uint8_t out[16])
{
#if defined(__x86_64__)
    if (sm_cpu()->aesni) {
        sm_aes128_encrypt_aesni(k, in, out);
        return;
    }
#elif defined(__aarch64__)
    if (sm_cpu()->armaes) {
        sm_aes128_encrypt_armaes(k, in, out);
        return;
    }
#endif
    sm_aes128_encrypt_ref(k, in, out);
}
