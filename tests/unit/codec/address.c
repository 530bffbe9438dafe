/* Addresses: vectors of the reference, every single typing error, every network prefix. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "codec/address.h"
#include "support/vectors.h"

Test(address, of_public_keys)
{
    json_t *j = vec_load("wire-address.json"), *row;
    const json_t *rows = vec_get(j, "from_public_key");
    struct sm_address want, got;
    uint8_t key[32];
    size_t i;
    vec_hex(j, "wallet_template", want.b, 24);
    cr_assert_arr_eq(sm_template_wallet.b, want.b, 24);
    cr_assert_eq(json_array_size(rows), 3u);
    json_array_foreach(rows, i, row)
    {
        char text[SM_ADDRESS_ROOM], hrp[SM_HRP_MAX + 1];
        struct sm_errinfo ei = {0};
        vec_hex(row, "public_key", key, 32);
        vec_hex(row, "address", want.b, 24);
        got = sm_address_of_wallet(key);
        cr_assert_arr_eq(got.b, want.b, 24);
        cr_assert_eq(sm_address_encode(&got, SM_HRP_MAIN, text, &ei), SM_OK);
        cr_assert_str_eq(text, vec_str(row, "bech32_sm"));
        cr_assert_eq(sm_address_encode(&got, SM_HRP_TEST, text, &ei), SM_OK);
        cr_assert_str_eq(text, vec_str(row, "bech32_stest"));
        memset(&got, 0, sizeof got);
        cr_assert_eq(sm_address_decode(text, NULL, &got, hrp, &ei), SM_OK, "%s", ei.text);
        cr_assert_arr_eq(got.b, want.b, 24);
        cr_assert_str_eq(hrp, SM_HRP_TEST);
    }
    json_decref(j);
}

Test(address, verdicts_of_the_reference)
{
    json_t *j = vec_load("wire-address.json"), *row;
    const json_t *rows = vec_get(j, "parse");
    size_t i, good = 0;
    cr_assert_eq(json_array_size(rows), 9u);
    json_array_foreach(rows, i, row)
    {
        struct sm_errinfo ei = {0};
        struct sm_address want, got = {{0}};
        const sm_err err = sm_address_decode(vec_str(row, "string"), vec_str(row, "hrp"), &got, NULL, &ei);
        if (json_is_true(vec_get(row, "ok"))) {
            cr_assert_eq(err, SM_OK, "%s: %s", vec_str(row, "string"), ei.text);
            vec_hex(row, "address", want.b, 24);
            cr_assert_arr_eq(got.b, want.b, 24);
            good++;
            continue;
        }
        const bool other = strstr(vec_str(row, "error"), "wrong network") != NULL;
        cr_assert_eq(err, other ? SM_E_MISMATCH : SM_E_FORMAT, "%s", vec_str(row, "string"));
        cr_assert(ei.text[0] != '\0');
    }
    cr_assert_eq(good, 3u);
    json_decref(j);
}

static const char sample[] = "sm1qqqqqq8hmtthn74v8jsjwafczvp26ygyakx0tmc4q78t8";

Test(address, every_single_typing_error_is_found)
{
    for (size_t i = 0; i < strlen(sample); i++) {
        for (int c = 1; c < 256; c++) {
            char text[sizeof sample];
            struct sm_address a;
            memcpy(text, sample, sizeof sample);
            if (text[i] == (char)c) continue;
            text[i] = (char)c;
            cr_assert_neq(sm_address_decode(text, NULL, &a, NULL, NULL), SM_OK, "%s", text);
        }
        char cut[sizeof sample] = {0};
        struct sm_address a;
        memcpy(cut, sample, i);
        cr_assert_neq(sm_address_decode(cut, NULL, &a, NULL, NULL), SM_OK, "%s", cut);
    }
}

Test(address, odd_texts)
{
    struct sm_address a;
    char long_text[200], mixed[sizeof sample], text[SM_ADDRESS_ROOM], hrp[SM_HRP_MAX + 1];
    struct sm_errinfo ei = {0};
    memset(long_text, 'q', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    cr_assert_eq(sm_address_decode(long_text, NULL, &a, NULL, &ei), SM_E_FORMAT);
    long_text[1] = '1';
    cr_assert_eq(sm_address_decode(long_text, NULL, &a, NULL, &ei), SM_E_FORMAT);
    memcpy(mixed, sample, sizeof sample);
    mixed[20] = 'A';
    cr_assert_eq(sm_address_decode(mixed, NULL, &a, NULL, &ei), SM_E_FORMAT);
    cr_assert_eq(sm_address_decode("", NULL, &a, NULL, &ei), SM_E_FORMAT);
    cr_assert_eq(sm_address_decode("1", NULL, &a, NULL, &ei), SM_E_FORMAT);
    cr_assert_eq(sm_address_decode("sm1", NULL, &a, NULL, &ei), SM_E_FORMAT);
    cr_assert_eq(sm_address_decode(sample, SM_HRP_TEST, &a, NULL, &ei), SM_E_MISMATCH);
    cr_assert_eq(sm_address_decode(sample, SM_HRP_MAIN, &a, NULL, &ei), SM_OK);
    cr_assert_eq(sm_address_encode(&a, "", text, &ei), SM_E_ARG);
    cr_assert_eq(sm_address_encode(&a, "SM", text, &ei), SM_E_ARG);
    cr_assert_eq(sm_address_encode(&a, "abcdefghijklmnopq", text, &ei), SM_E_ARG);
    cr_assert_eq(sm_address_encode(&a, "x1y1z1", text, &ei), SM_OK); /* the last '1' separates */
    cr_assert_eq(sm_address_decode(text, NULL, &a, hrp, &ei), SM_OK);
    cr_assert_str_eq(hrp, "x1y1z1");
}

/* The sample with a padding bit set and a right checksum: computed with BIP-173's reference code. */
Test(address, padding_bits_must_be_zero)
{
    struct sm_errinfo ei = {0};
    struct sm_address a;
    cr_assert_eq(sm_address_decode("sm1qqqqqq8hmtthn74v8jsjwafczvp26ygyakx0tmegk2jk4", SM_HRP_MAIN, &a, NULL, &ei),
                 SM_E_FORMAT);
    cr_assert(strstr(ei.text, "padding"), "%s", ei.text);
}

Test(address, random_round_trips)
{
    for (int i = 0; i < 500; i++) {
        struct sm_address a = {{0}}, b;
        char text[SM_ADDRESS_ROOM];
        randombytes_buf(a.b + 4, 20);
        cr_assert_eq(sm_address_encode(&a, i % 2 ? SM_HRP_MAIN : SM_HRP_TEST, text, NULL), SM_OK);
        cr_assert_eq(sm_address_decode(text, i % 2 ? SM_HRP_MAIN : SM_HRP_TEST, &b, NULL, NULL), SM_OK);
        cr_assert_arr_eq(a.b, b.b, 24, "%s", text);
    }
}
