#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "config/value.h"

struct size_case {
    char text[32];
    bool ok;
    uint64_t bytes;
};

ParameterizedTestParameters(value, size)
{
    static struct size_case cases[] = {
        {"0", true, 0},
        {"1", true, 1},
        {"1024", true, 1024},
        {"17B", true, 17},
        {"4GiB", true, UINT64_C(4) << 30},
        {"4gib", true, UINT64_C(4) << 30},
        {"4G", true, UINT64_C(4) << 30},
        {"4GB", true, UINT64_C(4000000000)},
        {"1k", true, 1024},
        {"1kB", true, 1000},
        {"3TiB", true, UINT64_C(3) << 40},
        {"2P", true, UINT64_C(2) << 50},
        {"16383PiB", true, UINT64_C(16383) << 50},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"16384PiB", false, 0},
        {"", false, 0},
        {"G", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1 GiB", false, 0},
        {"1.5GiB", false, 0},
        {"1GiBB", false, 0},
        {"1i", false, 0},
        {"1E", false, 0},
        {"0x10", false, 0},
    };
    return cr_make_param_array(struct size_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct size_case *c, value, size)
{
    struct sm_errinfo ei = {0};
    uint64_t v = 0;
    const sm_err err = sm_value_size(c->text, "--x", 0, UINT64_MAX, &v, &ei);
    cr_assert_eq(err, c->ok ? SM_OK : SM_E_FORMAT, "'%s': %s", c->text, ei.text);
    if (c->ok)
        cr_assert_eq(v, c->bytes, "'%s'", c->text);
    else
        cr_assert(strstr(ei.text, "--x"), "the value is not named: %s", ei.text);
}

struct duration_case {
    char text[32];
    bool ok;
    uint64_t seconds;
};

ParameterizedTestParameters(value, duration)
{
    static struct duration_case cases[] = {
        {"0", true, 0},      {"5", true, 5},       {"30s", true, 30},
        {"5min", true, 300}, {"12h", true, 43200}, {"14d", true, 1209600},
        {"", false, 0},      {"h", false, 0},      {"1.5h", false, 0},
        {"-1s", false, 0},   {"12 h", false, 0},   {"12H", false, 0},
        {"5m", false, 0},    {"1hs", false, 0},    {"18446744073709551615d", false, 0},
    };
    return cr_make_param_array(struct duration_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct duration_case *c, value, duration)
{
    struct sm_errinfo ei = {0};
    uint64_t v = 0;
    const sm_err err = sm_value_duration(c->text, "--x", 0, UINT64_MAX, &v, &ei);
    cr_assert_eq(err, c->ok ? SM_OK : SM_E_FORMAT, "'%s': %s", c->text, ei.text);
    if (c->ok)
        cr_assert_eq(v, c->seconds, "'%s'", c->text);
    else
        cr_assert(strstr(ei.text, "--x"), "the value is not named: %s", ei.text);
}

Test(value, ranges_name_their_bounds)
{
    struct sm_errinfo ei = {0};
    uint64_t v = 7;
    cr_assert_eq(sm_value_u64("5", "--n", 6, 9, &v, &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "--n") && strstr(ei.text, "5") && strstr(ei.text, "6") && strstr(ei.text, "9"), "%s",
              ei.text);
    cr_assert_eq(v, 7, "written on failure");
    cr_assert_eq(sm_value_u64("6", "--n", 6, 9, &v, &ei), SM_OK);
    cr_assert_eq(v, 6);
    cr_assert_eq(sm_value_u64("9", "--n", 6, 9, &v, &ei), SM_OK);
    cr_assert_eq(sm_value_u64("10", "--n", 6, 9, &v, &ei), SM_E_FORMAT);
    cr_assert_eq(sm_value_size("1GiB", "--n", 0, 1024, &v, &ei), SM_E_FORMAT);
}

Test(value, fractions)
{
    struct sm_errinfo ei = {0};
    double v = -1;
    cr_assert_eq(sm_value_f64("0.2", "--f", 0, 100, &v, &ei), SM_OK);
    cr_assert_float_eq(v, 0.2, 1e-12);
    cr_assert_eq(sm_value_f64(".5", "--f", 0, 100, &v, &ei), SM_OK);
    cr_assert_eq(sm_value_f64("1e2", "--f", 0, 100, &v, &ei), SM_OK);
    static const char *const bad[] = {"", "x", "-1", "101", "nan", "inf", "1e999", "1 ", "1,5"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(sm_value_f64(bad[i], "--f", 0, 100, &v, &ei), SM_E_FORMAT, "'%s'", bad[i]);
}

struct near_case {
    char word[32], best[32]; /* best empty: none */
};

ParameterizedTestParameters(value, nearest)
{
    static struct near_case cases[] = {
        {"num-unit", "num-units"},
        {"numUnits", "num-units"},
        {"num_units", "num-units"},
        {"nmu-units", "num-units"},
        {"units", "num-units"},
        {"nonce", "nonces"},
        {"nonecs", "nonces"},
        {"atx-id", "commitment-atx-id"},
        {"zzz", ""},
        {"completely-different", ""},
        {"", ""},
        {"di", "dir"},
        {"challange", "challenge"},
        {"-numUnits", "num-units"},
    };
    return cr_make_param_array(struct near_case, cases, sizeof cases / sizeof cases[0]);
}

ParameterizedTest(struct near_case *c, value, nearest)
{
    static const char *const names[] = {"dir", "num-units", "nonces", "commitment-atx-id", "challenge", "json"};
    struct sm_nearest n = {.word = c->word};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) sm_nearest_offer(&n, names[i]);
    cr_assert_str_eq(n.best ? n.best : "", c->best, "for '%s'", c->word);
}

Test(value, nearest_survives_long_words)
{
    char word[300];
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    struct sm_nearest n = {.word = word};
    sm_nearest_offer(&n, "dir");
    sm_nearest_offer(&n, word);
    cr_assert_eq(n.best, word);
}
