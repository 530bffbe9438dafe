#include "gpu/nvml.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "util/log.h"

#define NVML_SUCCESS         0
#define NVML_TEMPERATURE_GPU 0u
#define NVML_CLOCK_MEM       2u

typedef void *nvml_device;

struct sm_nvml {
    void *library;
    int (*init)(void);
    int (*shutdown)(void);
    int (*by_pci)(const char *pci, nvml_device *out);
    int (*temperature)(nvml_device d, unsigned sensor, unsigned *out_c);
    int (*power)(nvml_device d, unsigned *out_mw);
    int (*bus_width)(nvml_device d, unsigned *out_bits); /* NULL in old libraries, as is: */
    int (*max_clock)(nvml_device d, unsigned clock, unsigned *out_mhz);
};

const char *sm_nvml_library(void)
{
    const char *name = getenv("SM_NVML");
    return name && name[0] ? name : "libnvidia-ml.so.1";
}

static bool bind_all(struct sm_nvml *n)
{
    *(void **)&n->init = dlsym(n->library, "nvmlInit_v2");
    *(void **)&n->shutdown = dlsym(n->library, "nvmlShutdown");
    *(void **)&n->by_pci = dlsym(n->library, "nvmlDeviceGetHandleByPciBusId_v2");
    *(void **)&n->temperature = dlsym(n->library, "nvmlDeviceGetTemperature");
    *(void **)&n->power = dlsym(n->library, "nvmlDeviceGetPowerUsage");
    *(void **)&n->bus_width = dlsym(n->library, "nvmlDeviceGetMemoryBusWidth");
    *(void **)&n->max_clock = dlsym(n->library, "nvmlDeviceGetMaxClockInfo");
    return n->init && n->shutdown && n->by_pci && n->temperature && n->power;
}

struct sm_nvml *sm_nvml_open(const char *library)
{
    struct sm_nvml *n = calloc(1, sizeof *n);
    if (!n) return NULL;
    n->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (n->library && bind_all(n) && n->init() == NVML_SUCCESS) return n;
    sm_log(SM_LOG_DEBUG, "gpu", "no temperatures of NVIDIA devices", "library=%s", library);
    if (n->library) (void)dlclose(n->library);
    free(n);
    return NULL;
}

void sm_nvml_close(struct sm_nvml *n)
{
    if (!n) return;
    (void)n->shutdown();
    (void)dlclose(n->library);
    free(n);
}

bool sm_nvml_temperature(struct sm_nvml *n, const char *pci, double *out_c)
{
    nvml_device d;
    unsigned c;
    if (n->by_pci(pci, &d) != NVML_SUCCESS || n->temperature(d, NVML_TEMPERATURE_GPU, &c) != NVML_SUCCESS) return false;
    *out_c = c;
    return true;
}

bool sm_nvml_power(struct sm_nvml *n, const char *pci, double *out_w)
{
    nvml_device d;
    unsigned mw;
    if (n->by_pci(pci, &d) != NVML_SUCCESS || n->power(d, &mw) != NVML_SUCCESS) return false;
    *out_w = mw / 1e3;
    return true;
}

bool sm_nvml_memory_rate(struct sm_nvml *n, const char *pci, double *out)
{
    nvml_device d;
    unsigned bits = 0, mhz = 0;
    if (!n->bus_width || !n->max_clock || n->by_pci(pci, &d) != NVML_SUCCESS ||
        n->bus_width(d, &bits) != NVML_SUCCESS || n->max_clock(d, NVML_CLOCK_MEM, &mhz) != NVML_SUCCESS)
        return false;
    *out = 2 * 1e6 * mhz * bits / 8; /* two transfers a cycle, of every kind of memory that is soldered to such cards */
    return bits > 0 && mhz > 0;
}
