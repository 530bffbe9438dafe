/* Keccak-512 against post.md §1.3, and every permutation that works on several states against the portable one. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/cpu.h"
#include "crypto/keccak.h"
#include "support/vectors.h"

Test(keccak, hash_vectors)
{
    static const uint8_t zeros[72];
    static const struct {
        const char *text;
        size_t zeros;
        const char *hash;
    } cases[] = {
        {"", 0,
         "0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304"
         "c00fa9caf9d87976ba469bcbe06713b435f091ef2769fb160cdab33d3670680e"},
        {"abc", 0,
         "18587dc2ea106b9a1563e32b3312421ca164c7f1f07bc922a9c83d77cea3a1e5"
         "d0c69910739025372dc14ac9642629379540c17e2a65b19d77aa511a9d00bb96"},
        {NULL, 71,
         "cd6559fb64f7e8e4facf51d6b402804d2006b04221e4821573ed9a368a7654ad"
         "1329d40df833c486e516d402f1bbfd8a14bdc3a1588d4d68c8341cb32e5091c3"},
        {NULL, 72,
         "bcf38e5b375422155b4d8eb150682a14778b0695d709cec479d013a772497bc8"
         "d7050ef2a23d69609d609b15e5001f275c4619270ffbd6e8c06a7a5bf72334b3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t want[64], got[64];
        hex_to(cases[i].hash, want, 64);
        if (cases[i].text)
            sm_keccak512(cases[i].text, strlen(cases[i].text), got);
        else
            sm_keccak512(zeros, cases[i].zeros, got);
        cr_assert_arr_eq(got, want, 64, "case %zu", i);
    }
}

Test(keccak, chain_of_scrypt_jane)
{
    uint8_t msg[257], chain[258 * 64], want[64], got[64];
    for (unsigned i = 0; i < sizeof msg; i++) msg[i] = (uint8_t)i;
    for (unsigned i = 0; i < 258; i++) sm_keccak512(msg, i, chain + 64 * i);
    sm_keccak512(chain, sizeof chain, got);
    hex_to("17c78ca0d9081dba8ac83e0790da918825bdd3f8784a8d5ee4969c01f3ebdc12"
           "ea3557ba94b8e9b927450a485c3d69f0db2238b5522229ea7ab2e607aa374de6",
           want, 64);
    cr_assert_arr_eq(got, want, 64);
}

static void check_lanes(const struct sm_keccak_lanes *k)
{
    _Alignas(64) uint64_t many[SM_KECCAK_WORDS * SM_KECCAK_LANES_MAX];
    uint64_t one[SM_KECCAK_LANES_MAX][SM_KECCAK_WORDS];
    srandom(7);
    for (uint32_t l = 0; l < k->lanes; l++)
        for (uint32_t i = 0; i < SM_KECCAK_WORDS; i++)
            one[l][i] = many[i * k->lanes + l] =
                (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random();
    for (unsigned round = 0; round < 20; round++) {
        k->permute(many);
        for (uint32_t l = 0; l < k->lanes; l++) {
            sm_keccak_x1.permute(one[l]);
            for (uint32_t i = 0; i < SM_KECCAK_WORDS; i++)
                cr_assert_eq(many[i * k->lanes + l], one[l][i], "lane %u of %u, word %u", l, k->lanes, i);
        }
    }
}

#if defined(__x86_64__)
Test(keccak, avx2_matches_portable)
{
    if (!sm_cpu()->avx2) cr_skip_test("no AVX2 on this processor");
    check_lanes(&sm_keccak_x4);
}

Test(keccak, avx512_matches_portable)
{
    if (!sm_cpu()->avx512) cr_skip_test("no AVX-512 on this processor");
    check_lanes(&sm_keccak_x8);
}
#else
Test(keccak, portable_matches_itself)
{
    check_lanes(&sm_keccak_x1);
}
#endif
