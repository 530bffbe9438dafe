/* AES-128 against FIPS-197 and the proving ciphers of the protocol (post.md §5.2). */
#include <criterion/criterion.h>
#include <string.h>

#include "crypto/aes_impl.h"
#include "crypto/blake3.h"
#include "support/vectors.h"
#include "util/bytes.h"

struct aes_case {
    const char *key, *in, *out;
};

static const struct aes_case cases[] = {
    /* FIPS-197, appendix B and C.1 */
    {"2b7e151628aed2a6abf7158809cf4f3c", "3243f6a8885a308d313198a2e0370734", "3925841d02dc09fbdc118597196a0b32"},
    {"000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a"},
    /* NIST SP 800-38A, F.1.1 */
    {"2b7e151628aed2a6abf7158809cf4f3c", "6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"},
    {"2b7e151628aed2a6abf7158809cf4f3c", "f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"},
    /* post.md §5.2 */
    {"a6f11e79d0c30fa56e53454c8c6ab6d3", "000102030405060708090a0b00010203", "7708b304a705447bae529ea4c6211fab"},
};

Test(aes, matches_published_vectors)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t key[16], in[16], want[16], got[16];
        hex_to(cases[i].key, key, 16);
        hex_to(cases[i].in, in, 16);
        hex_to(cases[i].out, want, 16);
        struct sm_aes128 k;
        sm_aes128_init(&k, key);
        sm_aes128_encrypt_ref(&k, in, got);
        cr_assert_arr_eq(got, want, 16, "ref, case %zu", i);
        sm_aes128_encrypt(&k, in, in); /* in place */
        cr_assert_arr_eq(in, want, 16, "fastest, case %zu", i);
    }
}

Test(aes, last_round_key_of_fips_197)
{
    uint8_t key[16], want[16];
    hex_to("2b7e151628aed2a6abf7158809cf4f3c", key, 16);
    hex_to("d014f9a8c9ee2589e13f0cc8b6630ca6", want, 16);
    struct sm_aes128 k;
    sm_aes128_init(&k, key);
    cr_assert_arr_eq(k.rk[10], want, 16);
}

/* The chain challenge, group, pow, nonce -> key, as the prover derives it. */
Test(aes, cipher_keys_of_the_protocol)
{
    uint8_t in[32 + 4 + 8 + 4] = {0}, out[32], want[16];
    memcpy(in, "hello world, CHALLENGE me!!!!!!!", 32);
    sm_blake3_hash(in, 44, out);
    hex_to("a6f11e79d0c30fa56e53454c8c6ab6d3", want, 16);
    cr_assert_arr_eq(out, want, 16, "key of group 0");
    sm_le32_store(in + 44, 3);
    sm_blake3_hash(in, 48, out);
    hex_to("dbbd9ffd536b2bb9460d42767477454a", want, 16);
    cr_assert_arr_eq(out, want, 16, "key of nonce 3");
}
