/* What the devices say, and the rest of a hot one. */
#include "cli/heat.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/tmpdir.h"
#include "util/log.h"

static char sysfs[256];

static void put(const char *pci, const char *temp, const char *power)
{
    char path[512];
    int n = snprintf(path, sizeof path, "%s", sysfs);
    const char *const parts[] = {"bus", "pci", "devices", pci, "hwmon", "hwmon0"};
    for (size_t i = 0; i < 6; i++) {
        n += snprintf(path + n, sizeof path - (size_t)n, "/%s", parts[i]);
        (void)mkdir(path, 0700);
    }
    file_put(tmpdir_path(path, "temp1_input"), temp, strlen(temp));
    if (power) file_put(tmpdir_path(path, "power1_average"), power, strlen(power));
}

static const struct sm_label_engine engines[] = {
    {.device = "pci-0000:01:00.0"}, {.device = "pci-0000:02:00.0"}, {.device = "cpu"}, {.device = "cpu"}};

static struct sm_heat *start(double max_c)
{
    (void)tmpdir_make(sysfs);
    cr_assert_eq(setenv("SM_SYSFS", sysfs, 1), 0);
    put("0000:01:00.0", "54000", "150000000");
    put("0000:02:00.0", "81000", "170000000");
    sm_log_set_level(SM_LOG_ERROR);
    struct sm_heat *h = sm_heat_new(engines, 4, max_c);
    cr_assert_not_null(h);
    return h;
}

static void note_is(struct sm_heat *h, const char *want)
{
    char text[64];
    sm_heat_note(h, text, sizeof text);
    cr_assert_str_eq(text, want);
}

Test(heat, note)
{
    struct sm_heat *h = start(0);
    note_is(h, "54 81 - C, 320 W");
    cr_assert_not(sm_heat_rests(h, "pci-0000:02:00.0"), "there is no limit");
    char few[8];
    sm_heat_note(h, few, sizeof few);
    cr_assert_str_eq(few, "54 81 -");
    sm_heat_free(h);
    note_is(NULL, "");
    cr_assert_not(sm_heat_rests(NULL, "cpu"));
}

Test(heat, nothing_known)
{
    (void)tmpdir_make(sysfs);
    cr_assert_eq(setenv("SM_SYSFS", sysfs, 1), 0);
    struct sm_heat *h = sm_heat_new(engines, 4, 0);
    note_is(h, "");
    sm_heat_free(h);
}

Test(heat, a_hot_device_rests_until_it_is_well_below_the_limit)
{
    static const char one[] = "pci-0000:01:00.0", two[] = "pci-0000:02:00.0";
    struct sm_heat *h = start(80);
    cr_assert(sm_heat_rests(h, two) && !sm_heat_rests(h, one));
    cr_assert_not(sm_heat_rests(h, "cpu"), "its temperature is not known");
    note_is(h, "54 81 - C, 320 W, 1 rests");
    put("0000:01:00.0", "80000", NULL);
    put("0000:02:00.0", "75000", NULL); /* not cool enough */
    sm_heat_read(h);
    cr_assert(sm_heat_rests(h, two) && sm_heat_rests(h, one));
    note_is(h, "80 75 - C, 320 W, 2 rest");
    put("0000:02:00.0", "74900", NULL);
    sm_heat_read(h);
    cr_assert(!sm_heat_rests(h, two) && sm_heat_rests(h, one));
    put("0000:01:00.0", "no number", NULL);
    put("0000:02:00.0", "99000", NULL);
    sm_heat_read(h);
    cr_assert(sm_heat_rests(h, two) && sm_heat_rests(h, one), "a sensor that fails changes nothing");
    sm_heat_free(h);
}
