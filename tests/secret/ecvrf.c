/* Does the VRF prover branch on the secret, or use it as an address? Run under valgrind's memcheck with the seed marked as
 * undefined: every such use is an error. With the argument "leak" the program makes one, to see it found. */
#include <stdio.h>
#include <string.h>
#include <sodium.h>
#include <valgrind/memcheck.h>

#include "crypto/ecvrf.h"

/* libsodium tells whether the product is the neutral element: one bit, the same for every honest key. The calls are wrapped
 * (linker option --wrap) so that this verdict, and nothing else, is declared public. */
int __real_crypto_scalarmult_ed25519_noclamp(unsigned char *q, const unsigned char *n, const unsigned char *p);
int __wrap_crypto_scalarmult_ed25519_noclamp(unsigned char *q, const unsigned char *n, const unsigned char *p);
int __real_crypto_scalarmult_ed25519_base_noclamp(unsigned char *q, const unsigned char *n);
int __wrap_crypto_scalarmult_ed25519_base_noclamp(unsigned char *q, const unsigned char *n);

int __wrap_crypto_scalarmult_ed25519_noclamp(unsigned char *q, const unsigned char *n, const unsigned char *p)
{
    int verdict = __real_crypto_scalarmult_ed25519_noclamp(q, n, p);
    VALGRIND_MAKE_MEM_DEFINED(&verdict, sizeof verdict);
    return verdict;
}

int __wrap_crypto_scalarmult_ed25519_base_noclamp(unsigned char *q, const unsigned char *n)
{
    int verdict = __real_crypto_scalarmult_ed25519_base_noclamp(q, n);
    VALGRIND_MAKE_MEM_DEFINED(&verdict, sizeof verdict);
    return verdict;
}

static bool leak(const uint8_t *secret)
{
    static volatile int sink;
    if (secret[0] & 1) sink = 1;
    return sink;
}

int main(int argc, char **argv)
{
    uint8_t secret[64], seed[32] = {1, 2, 3};
    struct sm_node_id id;
    struct sm_vrf_proof pi;
    const struct sm_slice message = {(const uint8_t *)"message", 7};
    if (!RUNNING_ON_VALGRIND) {
        (void)fprintf(stderr, "run this under valgrind\n");
        return 2;
    }
    if (sodium_init() < 0 || crypto_sign_seed_keypair(id.b, secret, seed) != 0) return 2;
    VALGRIND_MAKE_MEM_UNDEFINED(secret, 32);
    if (argc > 1 && strcmp(argv[1], "leak") == 0) (void)leak(secret);
    const sm_err err = sm_ecvrf_prove(secret, message, &pi, NULL);
    VALGRIND_MAKE_MEM_DEFINED(&pi, sizeof pi);
    if (err || !sm_ecvrf_verify(&id, message, &pi)) return 2;
    return 0;
}
