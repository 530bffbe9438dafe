/* gpu/sensors.h: temperature and power of what computes: OpenCL devices by their PCI address, and the processor.
 *
 *   processor   hwmon of its driver (k10temp, zenpower, coretemp, cpu_thermal), power from there or from RAPL's counters
 *   AMD, Intel  hwmon below the PCI device
 *   NVIDIA      the driver's management library (NVML), opened at run time; without it the device shows nothing
 *
 * Sources: Documentation/hwmon/sysfs-interface and power/powercap of Linux; NVML API reference (nvmlInit_v2,
 * nvmlDeviceGetHandleByPciBusId_v2, nvmlDeviceGetTemperature, nvmlDeviceGetPowerUsage). */
#ifndef SM_GPU_SENSORS_H
#define SM_GPU_SENSORS_H

#include <stdbool.h>

#include "util/err.h"

struct sm_reading {
    bool has_temperature, has_power;
    double temperature_c;
    double power_w;
};

/* Environment SM_SYSFS and SM_NVML replace the defaults below. */
struct sm_sensors_cfg {
    const char *sysfs; /* NULL: "/sys" */
    const char *nvml;  /* NULL: "libnvidia-ml.so.1" */
};

struct sm_sensors;
/* `cfg` may be NULL. NULL when out of memory, which the other calls accept: nothing is known then. */
struct sm_sensors *sm_sensors_new(const struct sm_sensors_cfg *cfg);
void sm_sensors_free(struct sm_sensors *s);

/* device   "cpu", or the id of an OpenCL device (gpu/labeler.h); of others nothing is known
 * Never fails: what the platform does not tell is absent. Milliseconds: a few times a minute, not in an inner loop. Power from
 * counters needs an earlier call, at least a tenth of a second before, and is the average since then. One call at a time. */
struct sm_reading sm_sensors_read(struct sm_sensors *s, const char *device);

#endif
