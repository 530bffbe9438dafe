/* Errors, text, 256-bit numbers. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "support/vectors.h"
#include "util/err.h"
#include "util/text.h"
#include "util/u256.h"

Test(err, text_travels_and_is_cut)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_fail(&ei, SM_E_FORMAT, "file %s: %d", "a", 7), SM_E_FORMAT);
    cr_assert_str_eq(ei.text, "file a: 7");
    cr_assert_eq(sm_fail_add(&ei, SM_E_IO, " (at %d)", 9), SM_E_IO);
    cr_assert_str_eq(ei.text, "file a: 7 (at 9)");
    cr_assert_eq(sm_fail_errno(&ei, ENOSPC, "write"), SM_E_NOSPACE);
    cr_assert(strstr(ei.text, "write: No space left") == ei.text);
    for (int i = 0; i < 200; i++) (void)sm_fail_add(&ei, SM_E_IO, "0123456789");
    cr_assert_eq(strlen(ei.text), SM_ERRINFO_TEXT - 1);
    cr_assert_eq(sm_fail(NULL, SM_E_ARG, "no place"), SM_E_ARG);
}

Test(text, hex_and_base64_are_strict)
{
    uint8_t b[4];
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_hex_decode("00ffA5b1", "x", b, 4, &ei), SM_OK);
    cr_assert_arr_eq(b, ((uint8_t[]){0x00, 0xff, 0xa5, 0xb1}), 4);
    static const char *const bad[] = {"", "00ffa5b", "00ffa5b1a", "00ffa5bg", " 0ffa5b1", "00ffa5b1\n", "0x00ffa5"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(sm_hex_decode(bad[i], "x", b, 4, &ei), SM_E_FORMAT, "%s", bad[i]);
    cr_assert_eq(sm_base64_decode("AP+lsQ==", "x", b, 4, &ei), SM_OK);
    cr_assert_arr_eq(b, ((uint8_t[]){0x00, 0xff, 0xa5, 0xb1}), 4);
    static const char *const bad64[] = {"", "AP+lsQ=", "AP+lsQ", "AP-lsQ==", "AP+lsQ==\n", "AP+lsQAA"};
    for (size_t i = 0; i < sizeof bad64 / sizeof bad64[0]; i++)
        cr_assert_eq(sm_base64_decode(bad64[i], "x", b, 4, &ei), SM_E_FORMAT, "%s", bad64[i]);
}

Test(u256, division_matches_the_spec_tables)
{
    /* post.md 4.3 and 2.1 */
    static const struct {
        uint64_t d;
        const char *want;
    } scaled[] = {
        {1, "000dfb23b0979b4b000000000000000000000000000000000000000000000000"},
        {3, "0004a90be587de6e555555555555555555555555555555555555555555555555"},
        {100, "000023ca98ce50e9b5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c28f5c"},
    };
    uint8_t base[32], want[32], got[32];
    hex_to(scaled[0].want, base, 32);
    for (size_t i = 0; i < sizeof scaled / sizeof scaled[0]; i++) {
        hex_to(scaled[i].want, want, 32);
        sm_u256_div_u64(base, scaled[i].d, got);
        cr_assert_arr_eq(got, want, 32);
    }
    sm_u256_pow256_div_u64(33792, got);
    cr_assert_not(sm_u256_shl(got, 3, got));
    hex_to("000f83e0f83e0f83e0f83e0f83e0f83e0f83e0f83e0f83e0f83e0f83e0f83e08", want, 32);
    cr_assert_arr_eq(got, want, 32);
    sm_u256_pow256_div_u64(UINT64_MAX, got); /* 2^192 + 2^128 + 2^64 + 1 */
    hex_to("0000000000000001000000000000000100000000000000010000000000000001", want, 32);
    cr_assert_arr_eq(got, want, 32);
    sm_u256_pow256_div_u64(2, got);
    cr_assert(sm_u256_shl(got, 1, got), "the top bit is lost");
}
