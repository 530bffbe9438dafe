/* crypto/ecvrf.h: ECVRF-EDWARDS25519-SHA512-ELL2 (RFC 9381, suite 0x04). Source: wire.md §3.5.
 *
 * The network uses the 80 proof bytes themselves as the random value, so the proof must be made deterministically and
 * exactly as here. */
#ifndef SM_CRYPTO_ECVRF_H
#define SM_CRYPTO_ECVRF_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"
#include "util/ids.h"

/* `secret` is the 64-byte private key (seed, public key), in guarded memory. Constant time in the secret; intermediate
 * secrets are wiped. SM_E_ARG for a message that maps to a point without prime order (none is known). */
SM_MUST_CHECK sm_err sm_ecvrf_prove(const uint8_t secret[64], struct sm_slice alpha, struct sm_vrf_proof *out,
                                    struct sm_errinfo *ei);

/* Gamma and the public key need not be in the prime-order subgroup, as in the reference. */
bool sm_ecvrf_verify(const struct sm_node_id *public_key, struct sm_slice alpha, const struct sm_vrf_proof *pi);

/* The 64-byte VRF output, which the protocol does not use; for vectors. False when Gamma does not decode. */
bool sm_ecvrf_beta(const struct sm_vrf_proof *pi, uint8_t out[64]);

#endif
