/* gpu/peak.h: what the silicon of a device could do, computed from what its driver says of it.
 *
 * Instructions of a ChunkMix are counted in the machine code of our kernels (bench/RESULTS.md).
 *   NVIDIA  logic and shifts share one pipe of 64 lanes a multiprocessor from compute capability 7.0 on, additions go
 *           through another; memory by the management library: bus width and highest clock, two transfers a cycle
 *   AMD     every lane of a compute unit does any of them once a cycle; nothing is known of the memory
 * Sources: CUDA C++ programming guide, arithmetic instructions; cl_nv_device_attribute_query;
 * cl_amd_device_attribute_query; NVML API reference. */
#ifndef SM_GPU_PEAK_H
#define SM_GPU_PEAK_H

struct sm_gpu_peak {
    double chunkmixes_per_s; /* 0: not known */
    double bytes_per_s;      /* of its memory; 0: not known */
};

/* For the device with this id (gpu/labeler.h). Environment SM_NVML names another management library. */
struct sm_gpu_peak sm_gpu_peak_of(const char *id);

#endif
