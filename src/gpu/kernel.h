/* gpu/kernel.h: the label kernels, their launch shape, and the one function that turns a shape into build options. */
#ifndef SM_GPU_KERNEL_H
#define SM_GPU_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "gpu/labeler.h"
#include "util/err.h"

/* Flattened at build time from kernels/<name>.cl; NUL-terminated. */
extern const char sm_kernel_romix_source[];
extern const char sm_kernel_scan_source[];
extern const char sm_kernel_scan_bits_source[];

#define SM_GPU_LOOKUP_GAP_MAX 8u /* beyond it recomputing costs more than any memory saved is worth */

/* What a kernel is compiled and launched with: plain data, as a tuning row has it. */
struct sm_gpu_shape {
    uint32_t scrypt_n;
    uint32_t lookup_gap;  /* 1 … SM_GPU_LOOKUP_GAP_MAX */
    uint32_t wg_items;    /* work items per group */
    sm_gpu_layout layout; /* not SM_GPU_LAYOUT_DEFAULT */
};

#define SM_GPU_OPTIONS_ROOM 256u
/* The option string; part of the program cache key. Returns `out`. */
char *sm_gpu_shape_options(const struct sm_gpu_shape *s, char out[SM_GPU_OPTIONS_ROOM]);

/* Scratch bytes of one item: the stored rows. */
uint64_t sm_gpu_shape_item_bytes(const struct sm_gpu_shape *s);

#endif
