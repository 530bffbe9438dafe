#include "gpu/sensors.h"

#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/device.h"
#include "gpu/nvml.h"
#include "util/clock.h"
#include "util/io.h"

#define NVIDIA_VENDOR 0x10de
#define RAPL_MAX      16u                  /* packages */
#define RAPL_MIN_NS   (100 * SM_NS_PER_MS) /* between two looks at the counters */
#define RAPL_MAX_NS   (30 * SM_NS_PER_S)   /* a counter may go round: a minute at a kilowatt */

struct sm_sensors {
    char sysfs[PATH_MAX / 2], nvml_name[PATH_MAX / 2];
    struct sm_nvml *nvml;
    bool nvml_tried;
    struct {
        uint64_t at_ns, uj[RAPL_MAX];
        bool has[RAPL_MAX];
        bool has_power;
        double power_w; /* of the last two looks that were far enough apart */
    } rapl;
};

struct sm_sensors *sm_sensors_new(const struct sm_sensors_cfg *cfg)
{
    struct sm_sensors *s = calloc(1, sizeof *s);
    const char *sysfs = cfg ? cfg->sysfs : NULL, *nvml = cfg ? cfg->nvml : NULL;
    if (!s) return NULL;
    if (!sysfs) sysfs = getenv("SM_SYSFS");
    (void)snprintf(s->sysfs, sizeof s->sysfs, "%s", sysfs && sysfs[0] ? sysfs : "/sys");
    (void)snprintf(s->nvml_name, sizeof s->nvml_name, "%s", nvml ? nvml : sm_nvml_library());
    return s;
}

void sm_sensors_free(struct sm_sensors *s)
{
    if (!s) return;
    sm_nvml_close(s->nvml);
    free(s);
}

/* ---- files ---- */

static bool read_text(const char *dir, const char *name, char *out, size_t room)
{
    char path[PATH_MAX], *text = NULL;
    size_t n = 0;
    if (sm_io_path(path, sizeof path, dir, name, NULL) || sm_io_read_file(path, 1u << 16, &text, &n, NULL))
        return false;
    text[strcspn(text, "\n")] = '\0';
    (void)snprintf(out, room, "%s", text);
    free(text);
    return true;
}

/* Whole numbers in millionths or thousandths, as hwmon and powercap write them. */
static bool read_number(const char *dir, const char *name, double unit, double *out)
{
    char text[64], *end;
    if (!read_text(dir, name, text, sizeof text)) return false;
    const double v = strtod(text, &end);
    if (end == text) return false;
    *out = v * unit;
    return true;
}

/* Calls `visit` with every entry of dir whose name begins with `prefix`, until it returns true. */
static bool each(const char *dir, const char *prefix, bool (*visit)(void *ctx, const char *path), void *ctx)
{
    bool stop = false;
    DIR *d = opendir(dir);
    if (!d) return false;
    for (const struct dirent *e; !stop && (e = readdir(d));) {
        char path[PATH_MAX];
        if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 || sm_io_path(path, sizeof path, dir, e->d_name, NULL))
            continue;
        stop = visit(ctx, path);
    }
    (void)closedir(d);
    return stop;
}

static void take_power(const char *hwmon, struct sm_reading *r)
{
    double w;
    if (!read_number(hwmon, "power1_average", 1e-6, &w) && !read_number(hwmon, "power1_input", 1e-6, &w)) return;
    r->power_w = r->has_power ? r->power_w + w : w;
    r->has_power = true;
}

static void take_temperature(const char *hwmon, struct sm_reading *r)
{
    double c;
    if (!read_number(hwmon, "temp1_input", 1e-3, &c)) return;
    if (!r->has_temperature || c > r->temperature_c) r->temperature_c = c;
    r->has_temperature = true;
}

/* ---- PCI devices ---- */

static bool visit_pci_hwmon(void *ctx, const char *hwmon)
{
    struct sm_reading *r = ctx;
    take_temperature(hwmon, r);
    take_power(hwmon, r);
    return r->has_temperature || r->has_power;
}

static void read_nvml(struct sm_sensors *s, const char *pci, struct sm_reading *r)
{
    if (!s->nvml_tried) s->nvml = sm_nvml_open(s->nvml_name);
    s->nvml_tried = true;
    if (!s->nvml) return;
    r->has_temperature = sm_nvml_temperature(s->nvml, pci, &r->temperature_c);
    r->has_power = sm_nvml_power(s->nvml, pci, &r->power_w);
}

static struct sm_reading read_pci(struct sm_sensors *s, const char *pci)
{
    struct sm_reading r = {0};
    char dir[PATH_MAX], hwmon[PATH_MAX], vendor[32] = "";
    if ((size_t)snprintf(dir, sizeof dir, "%s/bus/pci/devices/%s", s->sysfs, pci) >= sizeof dir) return r;
    if (read_text(dir, "vendor", vendor, sizeof vendor) && strtoul(vendor, NULL, 16) == NVIDIA_VENDOR)
        read_nvml(s, pci, &r);
    if (!r.has_temperature && !r.has_power && sm_io_path(hwmon, sizeof hwmon, dir, "hwmon", NULL) == SM_OK)
        (void)each(hwmon, "hwmon", visit_pci_hwmon, &r);
    return r;
}

/* ---- the processor ---- */

/* One per package; the hottest counts, power is their sum. temp1 is the package's own in all of them. */
static bool visit_cpu_hwmon(void *ctx, const char *hwmon)
{
    static const char *const drivers[] = {"k10temp", "zenpower", "coretemp", "cpu_thermal", "via_cputemp"};
    char name[64];
    if (!read_text(hwmon, "name", name, sizeof name)) return false;
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++) {
        if (strcmp(name, drivers[i]) != 0) continue;
        take_temperature(hwmon, ctx);
        take_power(hwmon, ctx);
    }
    return false;
}

struct rapl_look {
    uint64_t uj[RAPL_MAX], range[RAPL_MAX];
    bool has[RAPL_MAX];
};

/* "intel-rapl:0" is a package, "intel-rapl:0:1" a part of it. AMD's are called the same. */
static bool visit_rapl(void *ctx, const char *zone)
{
    struct rapl_look *l = ctx;
    const char *number = strrchr(zone, '/') + 1 + strlen("intel-rapl:");
    char *end, text[64];
    const unsigned long i = strtoul(number, &end, 10);
    if (end == number || *end || i >= RAPL_MAX) return false;
    if (!read_text(zone, "energy_uj", text, sizeof text)) return false; /* often root's alone */
    l->uj[i] = strtoull(text, NULL, 10);
    l->range[i] = read_text(zone, "max_energy_range_uj", text, sizeof text) ? strtoull(text, NULL, 10) : 0;
    l->has[i] = true;
    return false;
}

static void read_rapl(struct sm_sensors *s, struct sm_reading *r)
{
    char dir[PATH_MAX];
    const uint64_t now = sm_clock_ns(), since = now - s->rapl.at_ns;
    if (!s->rapl.at_ns || since >= RAPL_MIN_NS) {
        struct rapl_look look = {0};
        double joules = 0;
        bool any = false;
        if (sm_io_path(dir, sizeof dir, s->sysfs, "class/powercap", NULL)) return;
        (void)each(dir, "intel-rapl:", visit_rapl, &look);
        for (size_t i = 0; i < RAPL_MAX; i++) {
            if (!look.has[i] || !s->rapl.has[i]) continue;
            const uint64_t wrap = look.uj[i] < s->rapl.uj[i] ? look.range[i] : 0;
            joules += (double)(look.uj[i] + wrap - s->rapl.uj[i]) * 1e-6;
            any = true;
        }
        s->rapl.has_power = any && since < RAPL_MAX_NS;
        s->rapl.power_w = joules / ((double)since / (double)SM_NS_PER_S);
        s->rapl.at_ns = now;
        memcpy(s->rapl.uj, look.uj, sizeof look.uj);
        memcpy(s->rapl.has, look.has, sizeof look.has);
    }
    r->has_power = s->rapl.has_power;
    r->power_w = s->rapl.power_w;
}

static struct sm_reading read_cpu(struct sm_sensors *s)
{
    struct sm_reading r = {0};
    char dir[PATH_MAX];
    if (sm_io_path(dir, sizeof dir, s->sysfs, "class/hwmon", NULL)) return r;
    (void)each(dir, "hwmon", visit_cpu_hwmon, &r);
    if (!r.has_power) read_rapl(s, &r);
    return r;
}

struct sm_reading sm_sensors_read(struct sm_sensors *s, const char *device)
{
    struct sm_reading none = {0};
    if (!s) return none;
    if (strcmp(device, "cpu") == 0) return read_cpu(s);
    if (strncmp(device, SM_GPU_PCI_PREFIX, sizeof SM_GPU_PCI_PREFIX - 1) != 0 || strchr(device, '/')) return none;
    return read_pci(s, device + sizeof SM_GPU_PCI_PREFIX - 1);
}
