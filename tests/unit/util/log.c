/* Log lines: form, levels, cutting, several threads. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

#include "util/log.h"
#include "util/thread.h"

struct seen {
    int lines;
    sm_log_level level;
    char last[2048];
    int torn;
};

static void sink(void *ctx, sm_log_level level, const char *line)
{
    struct seen *s = ctx;
    s->lines++;
    s->level = level;
    (void)strncpy(s->last, line, sizeof s->last - 1);
    const char *a = strstr(line, "a="), *b = strstr(line, "b=");
    if (a && b && strncmp(a + 2, b + 2, 8) != 0) s->torn++;
}

Test(log, form)
{
    struct seen s = {0};
    sm_log_set_sink(sink, &s);
    sm_log(SM_LOG_INFO, "post", "proof found", "identity=%s nonce=%u", "0a1b2c3d4e", 17u);
    cr_assert_eq(s.lines, 1);
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ info  post: proof found identity=0a1b2c3d4e nonce=17";
    cr_assert_eq(strlen(s.last), sizeof form - 1, "%s", s.last);
    for (size_t i = 0; i < 20; i++)
        cr_assert(form[i] == 'd' ? isdigit((unsigned char)s.last[i]) : form[i] == s.last[i]);
    cr_assert_str_eq(s.last + 20, form + 20);
    sm_log(SM_LOG_ERROR, "x", "no details", "%s", "");
    cr_assert(strstr(s.last, "error x: no details"), "%s", s.last);
    cr_assert_eq(s.last[strlen(s.last) - 1], 's', "no trailing blank");
    sm_log_set_sink(NULL, NULL);
}

Test(log, control_characters)
{
    struct seen s = {0};
    sm_log_set_sink(sink, &s);
    sm_log(SM_LOG_WARN, "hub", "gone", "text=\"%s\"", "a\nb\r\x1b[31m\x7f\t caf\xc3\xa9");
    cr_assert(strstr(s.last, "text=\"a?b??[31m?? caf\xc3\xa9\""), "%s", s.last);
    sm_log_set_sink(NULL, NULL);
}

Test(log, levels)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    struct seen s = {0};
    sm_log_set_sink(sink, &s);
    for (int level = 0; level < 4; level++) {
        sm_log_level parsed;
        cr_assert(sm_log_parse_level(names[level], &parsed));
        cr_assert_eq((int)parsed, level);
        sm_log_set_level(parsed);
        s.lines = 0;
        for (int i = 0; i < 4; i++) sm_log((sm_log_level)i, "x", "y", "i=%d", i);
        cr_assert_eq(s.lines, level + 1);
        cr_assert_eq((int)s.level, level);
    }
    sm_log_level ignored;
    cr_assert_not(sm_log_parse_level("Info", &ignored));
    cr_assert_not(sm_log_parse_level("", &ignored));
    sm_log_set_sink(NULL, NULL);
}

Test(log, long_lines_are_cut)
{
    char text[4000];
    struct seen s = {0};
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sm_log_set_sink(sink, &s);
    sm_log(SM_LOG_INFO, "x", "y", "%s", text);
    cr_assert_eq(s.lines, 1);
    cr_assert_eq(strlen(s.last), 1023);
    sm_log(SM_LOG_INFO, "x", text, "z=%d", 1);
    cr_assert_eq(strlen(s.last), 1023);
    sm_log_set_sink(NULL, NULL);
}

static void chat(void *ctx, unsigned index)
{
    (void)ctx;
    for (int i = 0; i < 200; i++) sm_log(SM_LOG_INFO, "x", "y", "a=%08u b=%08u", index, index);
}

Test(log, threads_do_not_mix_lines)
{
    struct seen s = {0};
    sm_log_set_sink(sink, &s);
    sm_threads_run(4, chat, NULL);
    sm_log_set_sink(NULL, NULL);
    cr_assert_eq(s.lines, 800);
    cr_assert_eq(s.torn, 0);
}
