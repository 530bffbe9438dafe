/* gpu/nvml.h: what the management library of NVIDIA's driver knows of its devices. */
#ifndef SM_GPU_NVML_H
#define SM_GPU_NVML_H

#include <stdbool.h>

/* The library's name: environment SM_NVML, or the driver's. */
const char *sm_nvml_library(void);

struct sm_nvml;
/* NULL when there is no such library, or it does not start. */
struct sm_nvml *sm_nvml_open(const char *library);
void sm_nvml_close(struct sm_nvml *n); /* accepts NULL */

/* pci: "0000:01:00.0". False when the device does not tell. */
bool sm_nvml_temperature(struct sm_nvml *n, const char *pci, double *out_c);
bool sm_nvml_power(struct sm_nvml *n, const char *pci, double *out_w);
/* Bytes per second between the device and its memory, at the highest clock. */
bool sm_nvml_memory_rate(struct sm_nvml *n, const char *pci, double *out);

#endif
