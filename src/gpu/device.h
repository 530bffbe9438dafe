/* gpu/device.h: enumeration with the driver's handles, for the rest of this folder. */
#ifndef SM_GPU_DEVICE_H
#define SM_GPU_DEVICE_H

#include "gpu/cl.h"
#include "gpu/labeler.h"

struct sm_gpu_found {
    cl_device_id handle;
    struct sm_gpu_device info;
};

/* Handle and description of the device called `id`, a blacklisted one excepted. SM_E_NOTFOUND: no such device, with
 * the reason why there are none if that is so; SM_E_DEVICE: it has a `problem`. Serialised internally; any thread. */
SM_MUST_CHECK sm_err sm_gpu_find(const char *id, const struct sm_cl **out_cl, struct sm_gpu_found *out,
                                 struct sm_errinfo *ei);

#define SM_GPU_PCI_PREFIX "pci-" /* of an id, before the address */

bool sm_gpu_has_extension(const struct sm_cl *cl, cl_device_id dev, const char *name);

/* 0: the driver does not tell. */
uint32_t sm_gpu_info_u32(const struct sm_cl *cl, cl_device_id dev, cl_device_info what);

/* Bytes free right now where the driver tells, else what the device has in all. */
uint64_t sm_gpu_free_bytes(const struct sm_cl *cl, const struct sm_gpu_found *dev);

#endif
