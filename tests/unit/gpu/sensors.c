/* Temperature and power from a made-up sysfs and a made-up management library. */
#include "gpu/sensors.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "support/tmpdir.h"

/* Creates the folders on the way. */
static void put(const char *sysfs, const char *name, const char *text)
{
    char path[512];
    const int base = snprintf(path, sizeof path, "%s/", sysfs);
    (void)snprintf(path + base, sizeof path - (size_t)base, "%s", name);
    for (char *slash = path + base; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    file_put(path, text, strlen(text));
}

static struct sm_sensors *open_at(const char *sysfs)
{
    struct sm_sensors *s = sm_sensors_new(&(struct sm_sensors_cfg){.sysfs = sysfs, .nvml = SM_TEST_NVML});
    cr_assert_not_null(s);
    return s;
}

static void is(struct sm_reading r, double c, double w)
{
    cr_assert(r.has_temperature == (c >= 0) && r.has_power == (w >= 0), "%d %d", r.has_temperature, r.has_power);
    if (c >= 0) cr_assert_float_eq(r.temperature_c, c, 1e-6, "%f", r.temperature_c);
    if (w >= 0) cr_assert_float_eq(r.power_w, w, 1e-6, "%f", r.power_w);
}

Test(sensors, nothing_is_known_of_what_is_not_there)
{
    char dir[256];
    struct sm_sensors *s = open_at(tmpdir_make(dir));
    is(sm_sensors_read(s, "cpu"), -1, -1);
    is(sm_sensors_read(s, "pci-0000:01:00.0"), -1, -1);
    is(sm_sensors_read(s, "pci-../../../etc"), -1, -1);
    is(sm_sensors_read(s, "Portable Computing Language/pthread#0"), -1, -1);
    is(sm_sensors_read(NULL, "cpu"), -1, -1);
    sm_sensors_free(s);
    sm_sensors_free(NULL);
}

Test(sensors, hwmon_of_a_pci_device)
{
    char dir[256];
    tmpdir_make(dir);
    put(dir, "bus/pci/devices/0000:03:00.0/vendor", "0x1002\n");
    put(dir, "bus/pci/devices/0000:03:00.0/hwmon/hwmon5/temp1_input", "54000\n");
    put(dir, "bus/pci/devices/0000:03:00.0/hwmon/hwmon5/power1_average", "142000000\n");
    put(dir, "bus/pci/devices/0000:04:00.0/hwmon/hwmon6/temp1_input", "39500\n");
    put(dir, "bus/pci/devices/0000:05:00.0/hwmon/hwmon7/power1_input", "25000000\n");
    put(dir, "bus/pci/devices/0000:06:00.0/hwmon/hwmon8/temp1_input", "not a number\n");
    struct sm_sensors *s = open_at(dir);
    is(sm_sensors_read(s, "pci-0000:03:00.0"), 54, 142);
    is(sm_sensors_read(s, "pci-0000:04:00.0"), 39.5, -1);
    is(sm_sensors_read(s, "pci-0000:05:00.0"), -1, 25);
    is(sm_sensors_read(s, "pci-0000:06:00.0"), -1, -1);
    sm_sensors_free(s);
}

Test(sensors, management_library)
{
    char dir[256];
    tmpdir_make(dir);
    put(dir, "bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
    put(dir, "bus/pci/devices/0000:02:00.0/vendor", "0x10de\n");
    put(dir, "bus/pci/devices/0000:03:00.0/vendor", "0x1002\n");
    cr_assert_eq(setenv("SM_TEST_NVML", "61 180500", 1), 0);
    struct sm_sensors *s = open_at(dir);
    is(sm_sensors_read(s, "pci-0000:01:00.0"), 61, 180.5);
    is(sm_sensors_read(s, "pci-0000:02:00.0"), -1, -1);
    is(sm_sensors_read(s, "pci-0000:03:00.0"), -1, -1);
    cr_assert_eq(setenv("SM_TEST_NVML", "62 1", 1), 0);
    is(sm_sensors_read(s, "pci-0000:01:00.0"), 62, 0.001);
    sm_sensors_free(s);

    cr_assert_eq(unsetenv("SM_TEST_NVML"), 0);
    s = open_at(dir); /* it does not start */
    is(sm_sensors_read(s, "pci-0000:01:00.0"), -1, -1);
    sm_sensors_free(s);
    s = sm_sensors_new(&(struct sm_sensors_cfg){.sysfs = dir, .nvml = "/no/such/library.so"});
    is(sm_sensors_read(s, "pci-0000:01:00.0"), -1, -1);
    sm_sensors_free(s);
}

Test(sensors, environment)
{
    char dir[256];
    tmpdir_make(dir);
    put(dir, "bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
    cr_assert_eq(setenv("SM_SYSFS", dir, 1), 0);
    cr_assert_eq(setenv("SM_NVML", SM_TEST_NVML, 1), 0);
    cr_assert_eq(setenv("SM_TEST_NVML", "70 1000", 1), 0);
    struct sm_sensors *s = sm_sensors_new(NULL);
    is(sm_sensors_read(s, "pci-0000:01:00.0"), 70, 1);
    sm_sensors_free(s);
}

Test(sensors, processor_with_two_packages)
{
    char dir[256];
    tmpdir_make(dir);
    put(dir, "class/hwmon/hwmon0/name", "nvme\n");
    put(dir, "class/hwmon/hwmon0/temp1_input", "90000\n");
    put(dir, "class/hwmon/hwmon1/name", "coretemp\n");
    put(dir, "class/hwmon/hwmon1/temp1_input", "48000\n");
    put(dir, "class/hwmon/hwmon2/name", "coretemp\n");
    put(dir, "class/hwmon/hwmon2/temp1_input", "51000\n");
    struct sm_sensors *s = open_at(dir);
    is(sm_sensors_read(s, "cpu"), 51, -1);
    put(dir, "class/hwmon/hwmon1/power1_input", "90000000\n");
    put(dir, "class/hwmon/hwmon2/power1_input", "60000000\n");
    is(sm_sensors_read(s, "cpu"), 51, 150);
    sm_sensors_free(s);
}

/* The clock runs between two looks, so the power of a counter is only known within bounds; here, that it went round. */
Test(sensors, counters_of_energy)
{
    char dir[256];
    tmpdir_make(dir);
    put(dir, "class/powercap/intel-rapl:0/energy_uj", "999000000\n");
    put(dir, "class/powercap/intel-rapl:0/max_energy_range_uj", "1000000000\n");
    put(dir, "class/powercap/intel-rapl:0:0/energy_uj", "5\n");
    struct sm_sensors *s = open_at(dir);
    struct timespec before, after;
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    is(sm_sensors_read(s, "cpu"), -1, -1); /* one look is no difference */
    put(dir, "class/powercap/intel-rapl:0/energy_uj", "1000000\n");
    put(dir, "class/powercap/intel-rapl:0:0/energy_uj", "900000000\n");
    struct sm_reading r;
    do r = sm_sensors_read(s, "cpu"); /* until a tenth of a second is over */
    while (!r.has_power);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    const double seconds = (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) * 1e-9;
    cr_assert(r.power_w >= 2 / seconds && r.power_w <= 2 / 0.1, "%f W in %f s", r.power_w, seconds);
    sm_sensors_free(s);
}
