#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/progress.h"

Test(text, bytes_counts_durations)
{
    char out[64];
    cr_assert_str_eq(sm_text_bytes(0, out), "0 B");
    cr_assert_str_eq(sm_text_bytes(1023, out), "1023 B");
    cr_assert_str_eq(sm_text_bytes(4294967296.0, out), "4.00 GiB");
    cr_assert_str_eq(sm_text_bytes(1.8e19, out), "15.61 EiB");
    cr_assert_str_eq(sm_text_rate(2.31 * 1048576, out), "2.31 MiB/s");
    cr_assert_str_eq(sm_text_count(0, out), "0");
    cr_assert_str_eq(sm_text_count(999, out), "999");
    cr_assert_str_eq(sm_text_count(1000, out), "1 000");
    cr_assert_str_eq(sm_text_count(UINT64_MAX, out), "18 446 744 073 709 551 615");
    cr_assert_str_eq(sm_text_duration(0.85, out), "850 ms");
    cr_assert_str_eq(sm_text_duration(12, out), "12 s");
    cr_assert_str_eq(sm_text_duration(59.7, out), "1 min 00 s");
    cr_assert_str_eq(sm_text_duration(185, out), "3 min 05 s");
    cr_assert_str_eq(sm_text_duration(4 * 3600 + 12 * 60, out), "4 h 12 min");
    cr_assert_str_eq(sm_text_duration(3 * 86400 + 4 * 3600, out), "3 d 04 h");
    cr_assert_str_eq(sm_text_duration(-1, out), "unknown");
    cr_assert_str_eq(sm_text_duration(NAN, out), "unknown");
    cr_assert_str_eq(sm_text_duration(INFINITY, out), "unknown");
    cr_assert_str_eq(sm_text_duration(1e300, out), "unknown");
}

Test(text, eta_has_a_date_from_a_minute_on)
{
    char out[64];
    setenv("TZ", "UTC", 1);
    cr_assert_str_eq(sm_text_eta(5, out), "5 s");
    sm_text_eta(86400.0 * 30, out);
    cr_assert(strstr(out, "30 d 00 h (") && strstr(out, "-") && strstr(out, ":"), "%s", out);
    cr_assert_str_eq(sm_text_eta(NAN, out), "unknown");
}

Test(json, numbers_that_json_lacks)
{
    json_t *o = json_pack("[o, o, o, o]", sm_cli_json_real(NAN), sm_cli_json_u64(UINT64_MAX), sm_cli_json_u64(INT64_MAX),
                          sm_cli_json_u64((uint64_t)INT64_MAX + 1));
    char *text = json_dumps(o, JSON_COMPACT);
    cr_assert_str_eq(text, "[null,\"18446744073709551615\",9223372036854775807,\"9223372036854775808\"]");
    free(text);
    json_decref(o);
}

static const struct sm_progress_now now = {
    .phase = "writing",
    .unit = "labels",
    .bytes_per_unit = 16,
    .done = 4520,
    .total = 10000,
    .file = 2,
    .file_done = 120,
    .file_total = 1000,
    .files = 16,
    .note = "nonce 17",
};
static const struct sm_progress_rates rates = {.recent = 151234, .average = 150000};

Test(progress, a_wide_line_says_everything)
{
    char out[512];
    sm_progress_format("init", &now, rates, 200, true, out, sizeof out);
    static const char *const wants[] = {"init: writing 45.20 %",
                                        "file 3/16 12.0 %",
                                        "2.31 MiB/s (average 2.29 MiB/s)",
                                        "151 234 labels/s",
                                        "nonce 17",
                                        "ETA 37 ms",
                                        "[##"};
    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++)
        cr_assert(strstr(out, wants[i]), "'%s' is not in '%s'", wants[i], out);
    cr_assert_leq(strlen(out), 200);
}

Test(progress, every_width_fits)
{
    char out[512];
    for (unsigned width = 1; width < 300; width++) {
        sm_progress_format("init", &now, rates, width, true, out, sizeof out);
        cr_assert_leq(strlen(out), width, "'%s' for %u columns", out, width);
        if (width >= 40) cr_assert(strstr(out, "ETA"), "the ETA goes last: '%s' for %u columns", out, width);
    }
}

Test(progress, nothing_known_yet)
{
    char out[512];
    const struct sm_progress_now start = {.phase = "preparing", .unit = "labels"};
    sm_progress_format("prove", &start, (struct sm_progress_rates){0}, 100, true, out, sizeof out);
    cr_assert_str_eq(out, "prove: preparing");
    const struct sm_progress_now first = {.phase = "writing", .unit = "labels", .bytes_per_unit = 16, .total = 100};
    sm_progress_format("init", &first, (struct sm_progress_rates){0}, 100, false, out, sizeof out);
    cr_assert_str_eq(out, "init: writing 0.00 %  ETA unknown");
}
