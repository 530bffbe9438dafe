/* What the library says about itself: version, flags, log records, UTF-8. Source: post.md §9. */
#include <criterion/criterion.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "libpost/post.h"
#include "libpost/utf8.h"

Test(libpost_library, version_passes_the_gate)
{
    regex_t gate; /* what programs look for */
    cr_assert_eq(regcomp(&gate, "0\\.7\\.([0-9]+)", REG_EXTENDED), 0);
    cr_assert_eq(regexec(&gate, version(), 0, NULL, 0), 0);
    cr_assert_eq(version(), version(), "static");
    regfree(&gate);
}

Test(libpost_library, recommended_flags_are_those_of_light_mode)
{
    const RandomXFlag f = recommended_pow_flags();
    cr_assert_eq(f & ~(RandomXFlag_FLAG_HARD_AES | RandomXFlag_FLAG_JIT | RandomXFlag_FLAG_ARGON2), 0);
}

/* ---- log ---- */

static struct {
    unsigned n;
    Level level;
    char message[512], module[64];
    uintptr_t file_len;
    int64_t line;
} last;

static void record(const ExternCRecord *r)
{
    last.n++;
    last.level = r->level;
    (void)snprintf(last.message, sizeof last.message, "%.*s", (int)r->message.len, r->message.ptr);
    (void)snprintf(last.module, sizeof last.module, "%.*s", (int)r->module_path.len, r->module_path.ptr);
    last.file_len = r->file.len;
    last.line = r->line;
}

static void never(const ExternCRecord *r)
{
    (void)r;
    cr_assert_fail("the second callback is not taken");
}

static void fail_once(void)
{
    cr_assert_null(new_initializer(CPU_PROVIDER_ID, 3, (const uint8_t *)"01234567890123456789012345678901", NULL));
}

Test(libpost_library, failures_reach_the_callback)
{
    fail_once(); /* nobody listens yet */
    cr_assert_eq(set_logging_callback(Level_Info, NULL), 1);
    cr_assert_eq(set_logging_callback(Level_Info, record), 0);
    cr_assert_eq(set_logging_callback(Level_Error, never), 1);
    fail_once();
    cr_assert_eq(last.n, 1);
    cr_assert_eq(last.level, Level_Error);
    cr_assert_str_eq(last.module, "libpost");
    cr_assert_eq(strncmp(last.message, "new_initializer scrypt N = 3", 28), 0, "%s", last.message);
    cr_assert_eq(last.file_len, 0);
    cr_assert_eq(last.line, -1);
}

Test(libpost_library, odd_levels_are_taken_for_near_ones)
{
    cr_assert_eq(set_logging_callback(0, record), 0);
    fail_once();
    cr_assert_eq(last.n, 1, "errors pass every level");
}

/* ---- UTF-8: RFC 3629 and the ends of its ranges ---- */

Test(libpost_library, utf8)
{
    static const char *const good[] = {"",
                                       "/data/post",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "a\xc3\xa4z"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2\x41",
                                      "\xe0\x9f\xbf",
                                      "\xe0\xa0",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "ok\xe2\x82",
                                      "\xe2\x82\x41",
                                      "\xf0\x90\x80\xc0"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_assert(sm_utf8_valid(good[i], strlen(good[i])), "good %zu", i);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_not(sm_utf8_valid(bad[i], strlen(bad[i])), "bad %zu", i);
}
