/* crypto/aes_impl.h: what the files of AES share with each other; nobody else includes it. */
#ifndef SM_CRYPTO_AES_IMPL_H
#define SM_CRYPTO_AES_IMPL_H

#include "crypto/aes.h"

extern const uint8_t sm_aes_sbox[256]; /* FIPS-197, figure 7 */

void sm_aes128_encrypt_ref(const struct sm_aes128 *k, const uint8_t in[16], uint8_t out[16]);
#if defined(__x86_64__)
void sm_aes128_encrypt_aesni(const struct sm_aes128 *k, const uint8_t in[16], uint8_t out[16]);
#elif defined(__aarch64__)
void sm_aes128_encrypt_armaes(const struct sm_aes128 *k, const uint8_t in[16], uint8_t out[16]);
#endif

#endif
