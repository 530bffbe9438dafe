/* tests/support/nvml/nvml.c: a management library for tests: two devices, and what they say is in the environment.
 *
 *   SM_TEST_NVML="61 180000 6144 3201"   °C, mW, bits of the memory bus and MHz of 0000:01:00.0, the last two at will;
 *                                        0000:02:00.0 has none of them; others do not exist */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int nvmlInit_v2(void);
EXPORT int nvmlShutdown(void);
EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char *pci, void **out);
EXPORT int nvmlDeviceGetTemperature(void *d, unsigned sensor, unsigned *out);
EXPORT int nvmlDeviceGetPowerUsage(void *d, unsigned *out);
EXPORT int nvmlDeviceGetMemoryBusWidth(void *d, unsigned *out);
EXPORT int nvmlDeviceGetMaxClockInfo(void *d, unsigned clock, unsigned *out);

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
    unsigned v[4];
    const char *text = getenv("SM_TEST_NVML");
    if (d != &first || !text || sscanf(text, "%u %u %u %u", &v[0], &v[1], &v[2], &v[3]) <= which)
        return 3; /* not supported */
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

int nvmlDeviceGetMemoryBusWidth(void *d, unsigned *out)
{
    return value(d, 2, out);
}

int nvmlDeviceGetMaxClockInfo(void *d, unsigned clock, unsigned *out)
{
    return clock == 2 ? value(d, 3, out) : 2;
}
