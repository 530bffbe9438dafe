/* crypto/sha256_impl.h: what the variants of SHA-256 share. Private to crypto/sha256*.c. */
#ifndef SM_CRYPTO_SHA256_IMPL_H
#define SM_CRYPTO_SHA256_IMPL_H

#include "crypto/sha256.h"

extern const uint32_t sm_sha256_k[64];  /* FIPS 180-4, 4.2.2 */
extern const uint32_t sm_sha256_iv[8];  /* 5.3.3 */
extern const uint32_t sm_sha256_pad[8]; /* second half of the only block of a 32-byte message, as words */

extern const struct sm_sha256_variant sm_sha256_ref;
#if defined(__x86_64__)
extern const struct sm_sha256_variant sm_sha256_shani;
#elif defined(__aarch64__)
extern const struct sm_sha256_variant sm_sha256_armsha;
#endif

#endif
