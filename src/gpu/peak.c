#include "gpu/peak.h"

#include <string.h>

#include "gpu/device.h"
#include "gpu/nvml.h"

/* cl_nv_device_attribute_query, cl_amd_device_attribute_query */
#define DEVICE_COMPUTE_CAPABILITY_MAJOR_NV 0x4000
#define DEVICE_COMPUTE_CAPABILITY_MINOR_NV 0x4001
#define DEVICE_SIMD_PER_COMPUTE_UNIT_AMD   0x4040
#define DEVICE_SIMD_WIDTH_AMD              0x4041
#define NVIDIA_LANES                       64.0
#define NVIDIA_CHUNKMIX                    553.0 /* 305 LOP3 and 248 SHF */
#define NVIDIA_FIRST                       70u   /* compute capabilities, times ten, for which the above holds */
#define NVIDIA_LAST                        90u
#define AMD_CHUNKMIX                       848.0 /* 288 additions, 304 XORs, 256 rotations */

static double nvidia_lanes(const struct sm_cl *cl, cl_device_id dev)
{
    const uint32_t capability = 10 * sm_gpu_info_u32(cl, dev, DEVICE_COMPUTE_CAPABILITY_MAJOR_NV) +
                                sm_gpu_info_u32(cl, dev, DEVICE_COMPUTE_CAPABILITY_MINOR_NV);
    return capability >= NVIDIA_FIRST && capability <= NVIDIA_LAST ? NVIDIA_LANES : 0;
}

static double nvidia_memory(const char *id)
{
    if (strncmp(id, SM_GPU_PCI_PREFIX, strlen(SM_GPU_PCI_PREFIX)) != 0) return 0;
    struct sm_nvml *n = sm_nvml_open(sm_nvml_library());
    double bytes_per_s = 0;
    if (n && !sm_nvml_memory_rate(n, id + strlen(SM_GPU_PCI_PREFIX), &bytes_per_s)) bytes_per_s = 0;
    sm_nvml_close(n);
    return bytes_per_s;
}

struct sm_gpu_peak sm_gpu_peak_of(const char *id)
{
    const struct sm_cl *cl = NULL;
    struct sm_gpu_found d;
    struct sm_gpu_peak peak = {0};
    if (sm_gpu_find(id, &cl, &d, NULL)) return peak;
    const double cycles = 1e6 * d.info.clock_mhz * d.info.compute_units;
    if (sm_gpu_has_extension(cl, d.handle, "cl_nv_device_attribute_query")) {
        peak.chunkmixes_per_s = cycles * nvidia_lanes(cl, d.handle) / NVIDIA_CHUNKMIX;
        peak.bytes_per_s = nvidia_memory(id);
    } else if (sm_gpu_has_extension(cl, d.handle, "cl_amd_device_attribute_query")) {
        peak.chunkmixes_per_s = cycles * sm_gpu_info_u32(cl, d.handle, DEVICE_SIMD_PER_COMPUTE_UNIT_AMD) *
                                sm_gpu_info_u32(cl, d.handle, DEVICE_SIMD_WIDTH_AMD) / AMD_CHUNKMIX;
    }
    return peak;
}
