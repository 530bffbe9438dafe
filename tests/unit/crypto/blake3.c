/* BLAKE3 against appendix A, the subset constant of post.md §6.4, and vectors of an independent implementation. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/blake3.h"
#include "support/vectors.h"
#include "util/bytes.h"

Test(blake3, appendix_a_and_commitments)
{
    static const struct {
        const char *input, *hash;
    } cases[] = {
        {"", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},
        {"616263", "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"},
        {"0000000000000000000000000000000000000000000000000000000000000000"
         "0000000000000000000000000000000000000000000000000000000000000000",
         "4d006976636a8696d909a630a4081aad4d7c50f81afdee04020bf05086ab6a55"},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
         "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
         "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98"},
        {"4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d"
         "0000000000000000000000000000000000000000000000000000000000000000",
         "788596c567c2b8f4d5fd10329c57077e432f42caee8283101e0f3964f8c7e076"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t in[64], want[32], got[32];
        const size_t n = strlen(cases[i].input) / 2;
        hex_to(cases[i].input, in, n);
        hex_to(cases[i].hash, want, 32);
        sm_blake3_hash(in, n, got);
        cr_assert_arr_eq(got, want, 32, "case %zu", i);
    }
}

static uint8_t *pattern(size_t n)
{
    uint8_t *p = malloc(n + 1);
    cr_assert_not_null(p);
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(i % 251);
    return p;
}

/* Each vector with the input in one piece and in pieces of `step`, and the output likewise. */
static void check_case(const json_t *c, size_t step)
{
    const size_t n = vec_u64(c, "len");
    uint8_t want[131], hash[32], got[sizeof want];
    vec_hex(c, "out_hex", want, sizeof want);
    uint8_t *in = pattern(n);
    struct sm_blake3 h;
    sm_blake3_init(&h);
    for (size_t at = 0; at < n; at += step) sm_blake3_update(&h, in + at, n - at < step ? n - at : step);
    sm_blake3_final(&h, hash);
    cr_assert_arr_eq(hash, want, sizeof hash, "length %zu step %zu", n, step);
    struct sm_blake3_xof x;
    sm_blake3_xof_start(&h, &x);
    for (size_t at = 0; at < sizeof got; at += step)
        sm_blake3_xof_read(&x, got + at, sizeof got - at < step ? sizeof got - at : step);
    cr_assert_arr_eq(got, want, sizeof got, "length %zu step %zu", n, step);
    free(in);
}

Test(blake3, matches_independent_vectors)
{
    json_t *file = vec_load("blake3.json");
    const json_t *cases = vec_get(file, "cases"), *c;
    size_t i, seen = 0;
    json_array_foreach(cases, i, c)
    {
        static const size_t steps[] = {1, 3, 63, 64, 65, 1000, 1024, 4096, SIZE_MAX};
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) check_case(c, steps[s]);
        seen++;
    }
    cr_assert_geq(seen, 30);
    json_decref(file);
}

Test(blake3, final_leaves_the_state_open)
{
    uint8_t *in = pattern(3000), a[32], b[32];
    struct sm_blake3 h;
    sm_blake3_init(&h);
    sm_blake3_update(&h, in, 1024);
    sm_blake3_final(&h, a);
    sm_blake3_hash(in, 1024, b);
    cr_assert_arr_eq(a, b, 32);
    sm_blake3_update(&h, in + 1024, 3000 - 1024);
    sm_blake3_final(&h, a);
    sm_blake3_hash(in, 3000, b);
    cr_assert_arr_eq(a, b, 32);
    free(in);
}

static uint16_t next_below(struct sm_blake3_xof *x, uint16_t limit)
{
    for (;;) {
        uint8_t r[2];
        sm_blake3_xof_read(x, r, sizeof r);
        if (sm_le16_load(r) < limit) return sm_le16_load(r);
    }
}

Test(blake3, stream_shuffles_as_in_the_spec)
{
    static const uint8_t want[100] = {
        39, 13, 95, 77, 36, 41, 74, 17, 59, 87, 91, 63, 40, 20, 94, 78, 48, 60, 18, 32, 67, 43, 23, 69, 71,
        1,  51, 79, 19, 53, 86, 80, 14, 84, 97, 92, 83, 26, 2,  81, 42, 55, 50, 88, 75, 82, 44, 34, 58, 72,
        35, 25, 10, 68, 12, 11, 70, 27, 98, 57, 96, 16, 45, 73, 0,  15, 62, 46, 30, 89, 33, 54, 9,  29, 7,
        90, 38, 5,  49, 61, 93, 99, 22, 6,  64, 24, 76, 85, 37, 65, 31, 4,  52, 3,  56, 21, 8,  28, 66, 47,
    };
    struct sm_blake3 h;
    struct sm_blake3_xof x;
    sm_blake3_init(&h);
    sm_blake3_xof_start(&h, &x);
    uint8_t items[100];
    for (unsigned i = 0; i < 100; i++) items[i] = (uint8_t)i;
    for (unsigned i = 0; i < 100; i++) {
        const uint16_t remaining = (uint16_t)(100 - i);
        const uint16_t r = next_below(&x, (uint16_t)(65535 - 65535 % remaining));
        const unsigned other = r % remaining + i;
        const uint8_t t = items[i];
        items[i] = items[other];
        items[other] = t;
    }
    cr_assert_arr_eq(items, want, 100);
}
