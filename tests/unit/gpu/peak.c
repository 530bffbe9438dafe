/* Computed bounds of made-up devices: what a driver says, by the shim, and a made-up management library. */
#include "gpu/peak.h"

#include <math.h>

#include "unit/gpu/device.h"

#define NVIDIA_AT_1 \
    "0x1030=s:cl_nv_device_attribute_query;0x4008=u32:1;0x4009=u32:0;0x400A=u32:0;0x100C=u32:1980;0x1002=u32:132"

static void expect(const char *info, const char *nvml, double chunkmixes_per_s, double bytes_per_s)
{
    char id[64] = "";
    setenv("SM_OPENCL_LIBRARY", SM_TEST_OPENCL_SHIM, 1);
    setenv("SM_SHIM_INFO", info, 1);
    setenv("SM_NVML", SM_TEST_NVML, 1);
    if (nvml)
        setenv("SM_TEST_NVML", nvml, 1);
    else
        unsetenv("SM_TEST_NVML");
    gpu_first_device(id);
    const struct sm_gpu_peak p = sm_gpu_peak_of(id);
    cr_assert_lt(fabs(p.chunkmixes_per_s - chunkmixes_per_s), 1e-6 * chunkmixes_per_s + 1e-9, "%s: %g", info,
                 p.chunkmixes_per_s);
    cr_assert_lt(fabs(p.bytes_per_s - bytes_per_s), 1e-6 * bytes_per_s + 1e-9, "%s: %g", info, p.bytes_per_s);
}

/* 132 multiprocessors of 64 lanes at 1.98 GHz, 553 instructions; 6 144 bits, twice 3 201 MHz. */
Test(peak, nvidia)
{
    const double alu = 132 * 64 * 1.98e9 / 553, memory = 2 * 3201e6 * 6144 / 8;
    expect(NVIDIA_AT_1 ";0x4000=u32:9;0x4001=u32:0", "61 180000 6144 3201", alu, memory);
    expect(NVIDIA_AT_1 ";0x4000=u32:7;0x4001=u32:0", "61 180000 6144 3201", alu, memory);
    expect(NVIDIA_AT_1 ";0x4000=u32:9;0x4001=u32:0", "61 180000", alu, 0);          /* an old library */
    expect(NVIDIA_AT_1 ";0x4000=u32:9;0x4001=u32:0", NULL, alu, 0);                 /* none */
    expect(NVIDIA_AT_1 ";0x4000=u32:6;0x4001=u32:1", "1 1 256 5005", 0, 320.32e9);  /* other pipes */
    expect(NVIDIA_AT_1 ";0x4000=u32:12;0x4001=u32:0", "1 1 256 5005", 0, 320.32e9); /* nothing known of them */
}

Test(peak, amd)
{
    expect("0x1030=s:cl_amd_device_attribute_query;0x4040=u32:2;0x4041=u32:32;0x100C=u32:2500;0x1002=u32:40", NULL,
           40 * 64 * 2.5e9 / 848, 0);
    expect("0x1030=s:cl_amd_device_attribute_query;0x100C=u32:2500;0x1002=u32:40", NULL, 0, 0);
}

Test(peak, others_are_not_known)
{
    expect("0x100C=u32:2500", "61 180000 6144 3201", 0, 0);
    const struct sm_gpu_peak p = sm_gpu_peak_of("no/such#0");
    cr_assert(p.chunkmixes_per_s <= 0 && p.bytes_per_s <= 0);
}
