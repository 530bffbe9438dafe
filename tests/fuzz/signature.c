/* Signatures and VRF proofs: public key, signature or proof, message. No input crashes the verifiers, none stands without
 * its key, and where libsodium accepts a signature, so do we: its rules are a part of ours. */
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/ecvrf.h"
#include "crypto/ed25519.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void signature(const uint8_t *data, size_t size)
{
    if (size < 96) return;
    const struct sm_slice message = {data + 96, size - 96};
    const bool good = sm_ed25519_verify(data, &message, 1, data + 32);
    if (crypto_sign_verify_detached(data + 32, message.p, message.n, data) == 0) check(good);
}

/* The first 32 bytes are the seed of a signer: its signature and proof are good, and not for another message. */
static void honest(const uint8_t *data, size_t size)
{
    uint8_t secret[64], sig[64], other[256];
    struct sm_node_id id;
    struct sm_vrf_proof pi;
    if (size < 32 || size - 32 >= sizeof other) return;
    const struct sm_slice message = {data + 32, size - 32};
    check(crypto_sign_seed_keypair(id.b, secret, data) == 0);
    check(crypto_sign_detached(sig, NULL, message.p, message.n, secret) == 0);
    check(sm_ed25519_verify(id.b, &message, 1, sig));
    check(sm_ecvrf_prove(secret, message, &pi, NULL) == SM_OK);
    check(sm_ecvrf_verify(&id, message, &pi));
    memcpy(other, message.p, message.n);
    other[message.n] = 0;
    const struct sm_slice longer = {other, message.n + 1};
    check(!sm_ed25519_verify(id.b, &longer, 1, sig));
    check(!sm_ecvrf_verify(&id, longer, &pi));
}

static void proof(const uint8_t *data, size_t size)
{
    struct sm_node_id id;
    struct sm_vrf_proof pi;
    uint8_t beta[64];
    if (size < 112) return;
    memcpy(id.b, data, 32);
    memcpy(pi.b, data + 32, 80);
    if (sm_ecvrf_verify(&id, (struct sm_slice){data + 112, size - 112}, &pi)) check(sm_ecvrf_beta(&pi, beta));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    switch (data[0] % 3) {
    case 0:
        signature(data + 1, size - 1);
        break;
    case 1:
        proof(data + 1, size - 1);
        break;
    default:
        honest(data + 1, size - 1);
    }
    return 0;
}
