/* gpu/nvml.h: temperature and power of NVIDIA devices, by the management library of their driver. Private to sensors.c. */
#ifndef SM_GPU_NVML_H
#define SM_GPU_NVML_H

#include <stdbool.h>

struct sm_nvml;
/* NULL when there is no such library, or it does not start. */
struct sm_nvml *sm_nvml_open(const char *library);
void sm_nvml_close(struct sm_nvml *n); /* accepts NULL */

/* pci: "0000:01:00.0". False when the device does not tell. */
bool sm_nvml_temperature(struct sm_nvml *n, const char *pci, double *out_c);
bool sm_nvml_power(struct sm_nvml *n, const char *pci, double *out_w);

#endif
