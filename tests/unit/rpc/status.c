/* Status codes, texts and timeouts in their forms on the wire. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rpc/status.h"

static struct sm_slice text(const char *s)
{
    return (struct sm_slice){(const uint8_t *)s, strlen(s)};
}

Test(status, codes)
{
    cr_assert_str_eq(sm_grpc_code_name(SM_GRPC_OK), "OK");
    cr_assert_str_eq(sm_grpc_code_name(SM_GRPC_UNAUTHENTICATED), "UNAUTHENTICATED");
    cr_assert_str_eq(sm_grpc_code_name((sm_grpc_code)17), "UNKNOWN");
    for (unsigned i = 0; i <= 16; i++) {
        char digits[4];
        (void)snprintf(digits, sizeof digits, "%u", i);
        cr_assert_eq(sm_grpc_code_parse(text(digits)), i);
    }
    static const char *const bad[] = {"", "17", "99", "-1", "1x", "001", "x", " 1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(sm_grpc_code_parse(text(bad[i])), SM_GRPC_UNKNOWN, "%s", bad[i]);
}

Test(status, of_resets_and_http)
{
    static const struct {
        uint32_t h2;
        sm_grpc_code code;
    } resets[] = {{0, SM_GRPC_INTERNAL},           {1, SM_GRPC_INTERNAL},
                  {2, SM_GRPC_INTERNAL},           {3, SM_GRPC_INTERNAL},
                  {5, SM_GRPC_INTERNAL},           {7, SM_GRPC_UNAVAILABLE},
                  {8, SM_GRPC_CANCELLED},          {11, SM_GRPC_RESOURCE_EXHAUSTED},
                  {12, SM_GRPC_PERMISSION_DENIED}, {4242, SM_GRPC_INTERNAL}};
    for (size_t i = 0; i < sizeof resets / sizeof resets[0]; i++)
        cr_assert_eq(sm_grpc_code_of_reset(resets[i].h2), resets[i].code, "%u", resets[i].h2);
    static const struct {
        unsigned http;
        sm_grpc_code code;
    } https[] = {{400, SM_GRPC_INTERNAL},      {401, SM_GRPC_UNAUTHENTICATED}, {403, SM_GRPC_PERMISSION_DENIED},
                 {404, SM_GRPC_UNIMPLEMENTED}, {429, SM_GRPC_UNAVAILABLE},     {502, SM_GRPC_UNAVAILABLE},
                 {503, SM_GRPC_UNAVAILABLE},   {504, SM_GRPC_UNAVAILABLE},     {500, SM_GRPC_UNKNOWN},
                 {302, SM_GRPC_UNKNOWN}};
    for (size_t i = 0; i < sizeof https / sizeof https[0]; i++)
        cr_assert_eq(sm_grpc_code_of_http(https[i].http), https[i].code, "%u", https[i].http);
    cr_assert_eq(sm_grpc_code_err(SM_GRPC_OK), SM_OK);
    cr_assert_eq(sm_grpc_code_err(SM_GRPC_UNAVAILABLE), SM_E_NET);
    cr_assert_eq(sm_grpc_code_err(SM_GRPC_DEADLINE_EXCEEDED), SM_E_TIMEOUT);
    cr_assert_eq(sm_grpc_code_err(SM_GRPC_CANCELLED), SM_E_CANCELLED);
    cr_assert_eq(sm_grpc_code_err(SM_GRPC_NOT_FOUND), SM_E_REFUSED);
}

Test(status, texts)
{
    static const struct {
        const char *plain, *wire;
    } cases[] = {{"", ""},          {"plain ~", "plain ~"}, {"100%", "100%25"},
                 {"a\nb", "a%0Ab"}, {"\x7f", "%7F"},        {"\xc3\xa4", "%C3%A4"}};
    char out[64];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const size_t n = sm_grpc_message_encode(cases[i].plain, out, sizeof out);
        cr_assert_eq(n, strlen(cases[i].wire));
        cr_assert_arr_eq(out, cases[i].wire, n);
        sm_grpc_message_decode(text(cases[i].wire), out, sizeof out);
        cr_assert_str_eq(out, cases[i].plain);
    }
    cr_assert_eq(sm_grpc_message_encode("ab\xc3", out, 4), 2); /* never half an escape */
    cr_assert_eq(sm_grpc_message_encode("ab\xc3", out, 5), 5);
    cr_assert_eq(sm_grpc_message_encode("x", out, 0), 0);
}

Test(status, texts_of_a_careless_peer)
{
    static const struct {
        const char *wire, *plain;
    } cases[] = {{"%", "%"},   {"%4", "%4"},   {"%zz", "%zz"}, {"%c3%a4", "\xc3\xa4"},
                 {"%00", "?"}, {"a%2", "a%2"}, {"%%41", "%A"}};
    char out[8];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sm_grpc_message_decode(text(cases[i].wire), out, sizeof out);
        cr_assert_str_eq(out, cases[i].plain);
    }
    sm_grpc_message_decode(text("123456%C3%A4"), out, sizeof out); /* no half character at the cut */
    cr_assert_str_eq(out, "123456");
    sm_grpc_message_decode(text("12345%C3%A4x"), out, sizeof out);
    cr_assert_str_eq(out, "12345\xc3\xa4");
    sm_grpc_message_decode(text("%80%80%80%80%80%80%80%80%80"), out, sizeof out);
    cr_assert_eq(strlen(out), 7);
    sm_grpc_message_decode(text("abc"), out, 1);
    cr_assert_str_eq(out, "");
}

Test(status, random_texts_come_back)
{
    const unsigned seed = (unsigned)time(NULL);
    srand(seed);
    for (unsigned round = 0; round < 2000; round++) {
        char plain[80] = "", wire[240], back[80];
        const size_t n = (size_t)rand() % 79;
        for (size_t i = 0; i < n; i++) plain[i] = (char)(1 + rand() % 255);
        const size_t wire_n = sm_grpc_message_encode(plain, wire, sizeof wire);
        for (size_t i = 0; i < wire_n; i++) cr_assert(wire[i] >= 0x20 && wire[i] < 0x7f, "seed %u", seed);
        sm_grpc_message_decode((struct sm_slice){(uint8_t *)wire, wire_n}, back, sizeof back);
        cr_assert_str_eq(back, plain, "seed %u", seed);
    }
}

Test(status, timeouts)
{
    static const struct {
        uint64_t ns;
        const char *wire;
    } cases[] = {{0, "1n"},
                 {1, "1n"},
                 {99999999, "99999999n"},
                 {100000000, "100000u"},
                 {5000000000ull, "5000000u"},
                 {99999999000ull, "99999999u"},
                 {UINT64_MAX, "5124096H"}};
    char out[SM_GRPC_TIMEOUT_ROOM];
    uint64_t back;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sm_grpc_timeout_encode(cases[i].ns, out);
        cr_assert_str_eq(out, cases[i].wire);
        cr_assert(sm_grpc_timeout_parse(text(out), &back), "%s", out);
        cr_assert_geq(back, cases[i].ns); /* rounded up */
        cr_assert_leq(strlen(out), 9);
    }
    for (uint64_t ns = 1; ns < UINT64_MAX / 3; ns *= 3) {
        sm_grpc_timeout_encode(ns, out);
        cr_assert(sm_grpc_timeout_parse(text(out), &back));
        cr_assert(back >= ns && back - ns <= ns / 1000 + 1, "%s for %llu", out, (unsigned long long)ns);
    }
}

Test(status, timeouts_of_peers)
{
    static const struct {
        const char *wire;
        uint64_t ns;
    } good[] = {{"1H", 3600000000000ull},
                {"2M", 120000000000ull},
                {"3S", 3000000000ull},
                {"4m", 4000000},
                {"5u", 5000},
                {"6n", 6},
                {"0S", 0},
                {"99999999H", UINT64_MAX}};
    static const char *const bad[] = {"", "S", "1", "1s", "-1S", "1.5S", "123456789S", "1 S", "1SS", "x1S"};
    uint64_t ns;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert(sm_grpc_timeout_parse(text(good[i].wire), &ns), "%s", good[i].wire);
        cr_assert_eq(ns, good[i].ns, "%s", good[i].wire);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(sm_grpc_timeout_parse(text(bad[i]), &ns), "%s", bad[i]);
}
