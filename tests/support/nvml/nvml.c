/* tests/support/nvml/nvml.c: a management library for tests: two devices, and what they say is in the environment.
 *
 *   SM_TEST_NVML="61 180000"   °C and mW of 0000:01:00.0; 0000:02:00.0 has neither; others do not exist */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int nvmlInit_v2(void);
EXPORT int nvmlShutdown(void);
EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **out);
EXPORT int nvmlDeviceGetTemperature(void *d, unsigned sensor, unsigned *out);
EXPORT int nvmlDeviceGetPowerUsage(void *d, unsigned *out);

static int started;
static char first, second;

int nvmlInit_v2(void)
{
    started = 1;
    return getenv("SM_TEST_NVML") ? 0 : 9; /* the driver is not loaded */
}

int nvmlShutdown(void)
{
    started = 0;
    return 0;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **out)
{
    if (!started) return 1;
    if (strcmp(pci, "0000:01:00.0") == 0) return *out = &first, 0;
    if (strcmp(pci, "0000:02:00.0") == 0) return *out = &second, 0;
    return 6;
}

static int value(void *d, int which, unsigned *out)
{
    unsigned v[2];
    const char *text = getenv("SM_TEST_NVML");
    if (d != &first || !text || sscanf(text, "%u %u", &v[0], &v[1]) != 2) return 3; /* not supported */
    *out = v[which];
    return 0;
}

int nvmlDeviceGetTemperature(void *d, unsigned sensor, unsigned *out)
{
    return sensor ? 2 : value(d, 0, out);
}

int nvmlDeviceGetPowerUsage(void *d, unsigned *out)
{
    return value(d, 1, out);
}
