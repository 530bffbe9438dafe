/* Thresholds and parameter checks. Values: post.md §2.1, 4.3, 5.1, 7. */
#include <criterion/criterion.h>
#include <string.h>

#include "post/difficulty.h"
#include "post/params.h"
#include "support/vectors.h"
#include "util/text.h"

Test(difficulty, proving_matches_the_spec)
{
    static const struct {
        uint32_t k1;
        uint64_t labels, want;
    } rows[] = {
        {1, 2, UINT64_C(1) << 63},
        {1, 4, UINT64_C(1) << 62},
        {1, 128, UINT64_C(1) << 57},
        {26, UINT64_C(4) << 32, 0x680000000},
        {26, UINT64_C(10) << 32, 0x299999999},
        {26, UINT64_C(100) << 32, 0x428f5c28},
        {26, UINT64_MAX, 26},
        {UINT32_MAX, (UINT64_C(1) << 32), 0xffffffff00000000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t got = 0;
        cr_assert_eq(sm_proving_difficulty(rows[i].k1, rows[i].labels, &got, NULL), SM_OK);
        cr_assert_eq(got, rows[i].want, "row %zu: %#lx", i, got);
    }
    uint64_t got;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_proving_difficulty(1, 0, &got, &ei), SM_E_ARG);
    cr_assert_eq(sm_proving_difficulty(0, 0, &got, &ei), SM_E_ARG);
    cr_assert_eq(sm_proving_difficulty(26, 26, &got, &ei), SM_E_ARG);
    cr_assert_eq(sm_proving_difficulty(26, 27, &got, &ei), SM_OK);
}

Test(difficulty, k2pow_is_divided_by_units)
{
    static const struct {
        uint32_t units;
        char want[65];
    } rows[] = {
        {1, "000dfb23b0979b4b000000000000000000000000000000000000000000000000"},
        {2, "0006fd91d84bcda5800000000000000000000000000000000000000000000000"},
        {3, "0004a90be587de6e555555555555555555555555555555555555555555555555"},
        {4, "00037ec8ec25e6d2c00000000000000000000000000000000000000000000000"},
        {10, "000165e9f80f2921199999999999999999999999999999999999999999999999"},
        {100, "000023ca98ce50e9b5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c"},
    };
    uint8_t base[32], want[32], got[32];
    hex_to(rows[0].want, base, 32);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hex_to(rows[i].want, want, 32);
        cr_assert_eq(sm_k2pow_difficulty(base, rows[i].units, got, NULL), SM_OK);
        cr_assert_arr_eq(got, want, 32, "%u units", rows[i].units);
    }
    cr_assert_eq(sm_k2pow_difficulty(base, 0, got, NULL), SM_E_ARG);
}

Test(difficulty, proofs_file_agrees)
{
    json_t *file = vec_load("post_proofs.json");
    size_t i;
    json_t *p;
    cr_assert_eq(json_array_size(file), 5);
    json_array_foreach(file, i, p)
    {
        uint64_t labels, proving;
        uint8_t want[32], got[32], base[32];
        cr_assert_eq(sm_num_labels((uint32_t)vec_u64(p, "num_units"), vec_u64(p, "labels_per_unit"), &labels, NULL),
                     SM_OK);
        cr_assert_eq(labels, vec_u64(p, "num_labels"));
        cr_assert_eq(sm_proving_difficulty((uint32_t)vec_u64(p, "k1"), labels, &proving, NULL), SM_OK);
        cr_assert_eq(proving, vec_u64(p, "difficulty_u64"));
        cr_assert_eq(proving >> 56, vec_u64(p, "difficulty_msb"));
        vec_hex(p, "pow_difficulty_hex", base, 32);
        vec_hex(p, "scaled_pow_difficulty_hex", want, 32);
        cr_assert_eq(sm_k2pow_difficulty(base, (uint32_t)vec_u64(p, "num_units"), got, NULL), SM_OK);
        cr_assert_arr_eq(got, want, 32);
        vec_hex(p, "vrf_difficulty_hex", want, 32);
        cr_assert_eq(sm_vrf_difficulty(labels, got, NULL), SM_OK);
        cr_assert_arr_eq(got, want, 32);
    }
    json_decref(file);
}

Test(difficulty, vrf_needs_nine_labels)
{
    uint8_t got[32], want[32];
    cr_assert_eq(sm_vrf_difficulty(0, got, NULL), SM_E_ARG);
    cr_assert_eq(sm_vrf_difficulty(1, got, NULL), SM_E_ARG);
    cr_assert_eq(sm_vrf_difficulty(8, got, NULL), SM_E_ARG);
    cr_assert_eq(sm_vrf_difficulty(9, got, NULL), SM_OK); /* floor(2^256 / 9) * 8 */
    hex_to("e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e388", want, 32);
    cr_assert_arr_eq(got, want, 32);
    cr_assert_eq(sm_vrf_difficulty(16, got, NULL), SM_OK);
    hex_to("8000000000000000000000000000000000000000000000000000000000000000", want, 32);
    cr_assert_arr_eq(got, want, 32);
    cr_assert_eq(sm_vrf_difficulty(33792, got, NULL), SM_OK);
    hex_to("000f83e0f83e0f83e0f83e0f83e0f83e0f83e0f83e0f83e0f83e0f83e0f83e08", want, 32);
    cr_assert_arr_eq(got, want, 32);
}

Test(difficulty, num_labels_overflow_is_an_error)
{
    uint64_t n = 7;
    cr_assert_eq(sm_num_labels(UINT32_MAX, UINT64_C(1) << 32, &n, NULL), SM_OK);
    cr_assert_eq(n, UINT64_MAX - UINT32_MAX);
    cr_assert_eq(sm_num_labels(UINT32_MAX, UINT64_C(1) << 33, &n, NULL), SM_E_ARG);
    cr_assert_eq(sm_num_labels(0, 5, &n, NULL), SM_OK);
    cr_assert_eq(n, 0);
}

static struct sm_post_params mainnet_like(void)
{
    struct sm_post_params p = {.name = "mainnet",
                               .min_num_units = 4,
                               .max_num_units = UINT32_MAX,
                               .labels_per_unit = UINT64_C(1) << 32,
                               .k1 = 26,
                               .k2 = 37,
                               .k3 = 1,
                               .scrypt_n = 8192,
                               .nonces = 288,
                               .randomx_fast = true,
                               .num_units = 4,
                               .max_file_size = UINT64_C(1) << 32};
    hex_to("000dfb23b0979b4b000000000000000000000000000000000000000000000000", p.pow_difficulty, 32);
    return p;
}

static void refuse(const struct sm_post_params *p, const char *field)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_post_params_check(p, &ei), SM_E_FORMAT, "%s accepted", field);
    cr_assert(strstr(ei.text, field), "\"%s\" does not name %s", ei.text, field);
}

#define REFUSE(field, value)                        \
    do {                                            \
        struct sm_post_params bad = mainnet_like(); \
        bad.field = (value);                        \
        refuse(&bad, #field);                       \
    } while (0)

Test(params, bad_fields_are_named)
{
    struct sm_post_params p = mainnet_like();
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_post_params_check(&p, &ei), SM_OK, "%s", ei.text);
    REFUSE(min_num_units, 0);
    REFUSE(max_num_units, 3);
    REFUSE(num_units, 0);
    REFUSE(labels_per_unit, 0);
    REFUSE(labels_per_unit, UINT64_C(1) << 33);
    REFUSE(labels_per_unit, 6); /* 24 labels, k1 26 */
    REFUSE(k1, 0);
    REFUSE(k2, 0);
    REFUSE(k2, 101); /* 64 bits each: 808 bytes */
    REFUSE(k2, UINT32_MAX);
    REFUSE(scrypt_n, 0);
    REFUSE(scrypt_n, 1);
    REFUSE(scrypt_n, 8191);
    REFUSE(scrypt_n, 1u << 31);
    REFUSE(nonces, 0);
    REFUSE(nonces, 17);
    REFUSE(nonces, 4112);
    REFUSE(max_file_size, 0);
    REFUSE(max_file_size, 1000);
    memset(p.pow_difficulty, 0, 32);
    refuse(&p, "pow_difficulty");
}
