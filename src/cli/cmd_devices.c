#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "crypto/aes.h"
#include "crypto/scrypt.h"
#include "gpu/labeler.h"
#include "gpu/sensors.h"
#include "util/thread.h"

static const struct sm_option options[] = {SM_OPT_END};

static const char *const type_names[] = {"gpu", "cpu", "accelerator"}; /* positions are sm_gpu_type */

static json_t *label_variants(const struct sm_cpu *cpu, const char *best)
{
    json_t *list = json_array();
    for (const struct sm_scrypt_variant *const *v = sm_scrypt_all(); *v; v++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:b, s:b}", "name", (*v)->name, "lanes", (int)(*v)->lanes,
                                              "usable", (*v)->usable(cpu), "selected", !strcmp((*v)->name, best)));
    return list;
}

static json_t *scan_variants(const struct sm_cpu *cpu, const char *best)
{
    json_t *list = json_array();
    for (const struct sm_scan_variant *const *v = sm_scan_all(); *v; v++)
        json_array_append_new(list, json_pack("{s:s, s:b, s:b}", "name", (*v)->name, "usable", (*v)->usable(cpu),
                                              "selected", !strcmp((*v)->name, best)));
    return list;
}

static void reading_json(json_t *o, struct sm_reading r)
{
    json_object_set_new(o, "temperature_c", r.has_temperature ? json_real(r.temperature_c) : json_null());
    json_object_set_new(o, "power_w", r.has_power ? json_real(r.power_w) : json_null());
}

/* ", 54 C, 120 W", or less, or nothing. */
static const char *reading_text(struct sm_reading r, char out[48])
{
    size_t n = 0;
    out[0] = '\0';
    if (r.has_temperature) n = (size_t)snprintf(out, 48, ", %.0f C", r.temperature_c);
    if (r.has_power) (void)snprintf(out + n, 48 - n, ", %.0f W", r.power_w);
    return out;
}

static json_t *device_json(const struct sm_gpu_device *d, struct sm_sensors *sensors)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:b}", "id", d->id, "type", type_names[d->type], "name",
                          d->name, "platform", d->platform, "driver", d->driver, "compute_units", (int)d->compute_units,
                          "clock_mhz", (int)d->clock_mhz, "usable", !d->problem[0]);
    json_object_set_new(o, "memory_bytes", sm_cli_json_u64(d->memory_bytes));
    json_object_set_new(o, "max_alloc_bytes", sm_cli_json_u64(d->max_alloc_bytes));
    json_object_set_new(o, "problem", d->problem[0] ? json_string(d->problem) : json_null());
    reading_json(o, sm_sensors_read(sensors, d->id));
    return o;
}

static void say_variants(struct sm_cli *cli, const char *what, const json_t *list)
{
    char line[256] = "";
    size_t i = 0, n = 0;
    json_t *v = NULL;
    json_array_foreach(list, i, v)
    {
        const char *mark = json_is_true(json_object_get(v, "selected")) ? "*"
                           : json_is_true(json_object_get(v, "usable")) ? ""
                                                                        : " (not on this processor)";
        n += (size_t)snprintf(line + n, sizeof line - n, "%s%s%s", i ? ", " : "",
                              json_string_value(json_object_get(v, "name")), mark);
    }
    sm_cli_say(cli, "  %s %s", what, line);
}

static void say_devices(struct sm_cli *cli, const struct sm_gpu_device *devices, size_t n,
                        const struct sm_gpu_report *report, struct sm_sensors *sensors)
{
    if (!n) sm_cli_say(cli, "OpenCL devices: none");
    if (n) {
        struct sm_table *t = sm_table_new("llllrl");
        SM_TABLE_ROW(t, "OpenCL device id", "type", "name", "platform", "memory", "now");
        for (size_t i = 0; i < n; i++) {
            char memory[32], now[48];
            const char *text = reading_text(sm_sensors_read(sensors, devices[i].id), now);
            SM_TABLE_ROW(t, devices[i].id, type_names[devices[i].type], devices[i].name, devices[i].platform,
                         sm_text_bytes((double)devices[i].memory_bytes, memory), text[0] ? text + 2 : "");
        }
        sm_table_say(cli, t);
        sm_table_free(t);
    }
    for (size_t i = 0; i < n; i++)
        if (devices[i].problem[0]) sm_cli_say(cli, "%s cannot be used: %s", devices[i].id, devices[i].problem);
    if (report->problem[0]) sm_cli_say(cli, "%s", report->problem);
}

static sm_exit run(struct sm_cli *cli, void *args)
{
    (void)args;
    struct sm_errinfo ei = {0};
    const struct sm_cpu *cpu = sm_cpu();
    const struct sm_scrypt_variant *label = NULL;
    const struct sm_scan_variant *scan = NULL;
    struct sm_gpu_device *devices = NULL;
    struct sm_gpu_report report = {0};
    size_t n = 0;
    sm_err err = sm_scrypt_pick(cpu, NULL, &label, &ei);
    if (!err) err = sm_scan_pick(cpu, NULL, &scan, &ei);
    if (!err) err = sm_gpu_list(&devices, &n, &report, &ei);
    if (err) return sm_cli_error(cli, err, &ei);

    char features[256], reading[48];
    json_t *labels = label_variants(cpu, label->name), *scans = scan_variants(cpu, scan->name);
    struct sm_sensors *sensors = sm_sensors_new(NULL);
    const struct sm_reading now = sm_sensors_read(sensors, "cpu");
    sm_cli_say(cli, "cpu: %s, %u threads (%s)%s", cpu->name, sm_cpu_count(),
               sm_cpu_describe(cpu, features, sizeof features), reading_text(now, reading));
    say_variants(cli, "labels:", labels);
    say_variants(cli, "proof scan:", scans);
    say_devices(cli, devices, n, &report, sensors);

    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, device_json(&devices[i], sensors));
    json_t *document = json_pack("{s:{s:s, s:i, s:s, s:o, s:o}, s:{s:b, s:i, s:s, s:o}}", "cpu", "name", cpu->name,
                                 "threads", (int)sm_cpu_count(), "features", features, "label_variants", labels,
                                 "scan_variants", scans, "opencl", "loader_found", report.loader_found, "platforms",
                                 (int)report.platforms, "problem", report.problem, "devices", list);
    reading_json(json_object_get(document, "cpu"), now);
    sm_cli_json(cli, document);
    sm_sensors_free(sensors);
    free(devices);
    return SM_EXIT_DONE;
}

const struct sm_command sm_cmd_devices = {
    .name = "devices",
    .summary = "list what labels can be computed on: CPU variants and OpenCL devices",
    .details =
        "The ids are what --device takes. They name the device itself (its PCI address where the driver tells it), "
        "so they do not change when drivers or cards are added. A variant marked * is the one in use.",
    .options = options,
    .run = run,
};
