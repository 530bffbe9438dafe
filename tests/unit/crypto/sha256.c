/* SHA-256: published vectors, libsodium on random input, and the chain against single hashes; for every variant. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/sha256.h"
#include "support/vectors.h"

#define FOR_USABLE(v)                                                         \
    for (const struct sm_sha256_variant *const *v = sm_sha256_all(); *v; v++) \
        if (!(*v)->usable(sm_cpu()))                                          \
            cr_log_warn("%s: not on this CPU", (*v)->name);                   \
        else

static void digest_of(const struct sm_sha256_variant *v, const void *p, size_t n, uint8_t out[32])
{
    struct sm_sha256 h;
    sm_sha256_init(&h, v);
    sm_sha256_update(&h, p, n);
    sm_sha256_final(&h, out);
}

Test(sha256, matches_fips_180_4)
{
    /* FIPS 180-4 examples: empty, one block, two blocks, a million a. */
    static const struct {
        const char *text, *digest;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqr"
         "stu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    uint8_t got[32], want[32];
    FOR_USABLE(v)
    {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            hex_to(cases[i].digest, want, 32);
            digest_of(*v, cases[i].text, strlen(cases[i].text), got);
            cr_assert_arr_eq(got, want, 32, "%s, case %zu", (*v)->name, i);
        }
        struct sm_sha256 h;
        sm_sha256_init(&h, *v);
        char a[1000];
        memset(a, 'a', sizeof a);
        for (unsigned i = 0; i < 1000; i++) sm_sha256_update(&h, a, sizeof a);
        sm_sha256_final(&h, got);
        hex_to("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", want, 32);
        cr_assert_arr_eq(got, want, 32, "%s, a million a", (*v)->name);
    }
}

Test(sha256, every_length_and_split_equals_libsodium)
{
    uint8_t in[300], got[32], want[32];
    randombytes_buf(in, sizeof in);
    FOR_USABLE(v)
    for (size_t n = 0; n <= sizeof in; n++) {
        crypto_hash_sha256(want, in, n);
        digest_of(*v, in, n, got);
        cr_assert_arr_eq(got, want, 32, "%s, %zu bytes", (*v)->name, n);
        const size_t cut = n ? randombytes_uniform((uint32_t)n) : 0;
        struct sm_sha256 h;
        sm_sha256_init(&h, *v);
        sm_sha256_update(&h, in, cut);
        sm_sha256_update(&h, in + cut, n - cut);
        sm_sha256_final(&h, got);
        cr_assert_arr_eq(got, want, 32, "%s, %zu bytes cut at %zu", (*v)->name, n, cut);
    }
}

Test(sha256, parts_are_one_message)
{
    uint8_t in[200], got[32], want[32];
    randombytes_buf(in, sizeof in);
    const struct sm_slice parts[] = {{in, 7}, {NULL, 0}, {in + 7, 64}, {in + 71, 129}};
    sm_sha256_hash(parts, 4, got);
    crypto_hash_sha256(want, in, sizeof in);
    cr_assert_arr_eq(got, want, 32);
}

Test(sha256, iterated_equals_hash_of_hash)
{
    static const uint64_t times[] = {0, 1, 2, 3, 100, 399};
    FOR_USABLE(v)
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        uint8_t got[32], want[32];
        randombytes_buf(got, sizeof got);
        memcpy(want, got, 32);
        for (uint64_t k = 0; k < times[i]; k++) crypto_hash_sha256(want, want, 32);
        sm_sha256_iterate(*v, got, times[i]);
        cr_assert_arr_eq(got, want, 32, "%s, %d times", (*v)->name, (int)times[i]);
    }
}

Test(sha256, variants_are_picked_by_name)
{
    const struct sm_sha256_variant *v = NULL;
    const struct sm_cpu none = {.ssse3 = false};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_sha256_pick(&none, NULL, &v, &ei), SM_OK);
    cr_assert_str_eq(v->name, "ref");
    cr_assert_eq(sm_sha256_pick(sm_cpu(), "ref", &v, &ei), SM_OK);
    cr_assert_str_eq(v->name, "ref");
    cr_assert_eq(sm_sha256_pick(sm_cpu(), "abacus", &v, &ei), SM_E_ARG);
    cr_assert_neq(ei.text[0], '\0');
    for (const struct sm_sha256_variant *const *a = sm_sha256_all() + 1; *a; a++)
        cr_assert_eq(sm_sha256_pick(&none, (*a)->name, &v, &ei), SM_E_DEVICE, "%s", (*a)->name);
}
