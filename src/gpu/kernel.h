/* gpu/kernel.h: the label kernels, their launch shape, and the one function that turns a shape into build options. */
#ifndef SM_GPU_KERNEL_H
#define SM_GPU_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "gpu/labeler.h"
#include "util/err.h"

/* Flattened at build time from kernels/<name>.cl; NUL-terminated. */
extern const char sm_kernel_romix_source[];
extern const char sm_kernel_label_ends_source[];
extern const char sm_kernel_romix_plain_source[];
extern const char sm_kernel_scan_source[];
extern const char sm_kernel_scan_bits_source[];

/* Identifies the sources of two programs that belong together, 16 hex digits: results with other ones say nothing about
 * these. Returns `out`. */
const char *sm_gpu_source_id(const char *first, const char *second, char out[SM_GPU_SOURCE_ID_ROOM]);

#define SM_GPU_LOOKUP_GAP_MAX 8u /* beyond it recomputing costs more than any memory saved is worth */
#define SM_GPU_INTERLEAVE_MAX 4u /* beyond it no device has the registers */

/* How the four items of SM_GPU_KERNEL_QUAD exchange words; kernels/device/quad.h. */
typedef enum sm_gpu_exchange {
    SM_GPU_EXCHANGE_LOCAL,
    SM_GPU_EXCHANGE_NVIDIA,
    SM_GPU_EXCHANGE_AMD,
    SM_GPU_EXCHANGE_INTEL,
} sm_gpu_exchange;

/* What a kernel is compiled and launched with: plain data. */
struct sm_gpu_shape {
    uint32_t scrypt_n;
    sm_gpu_kernel kernel;     /* not SM_GPU_KERNEL_DEFAULT */
    uint32_t lookup_gap;      /* 1 … SM_GPU_LOOKUP_GAP_MAX */
    uint32_t wg_items;        /* work items per group, a multiple of sm_gpu_kernel_items */
    sm_gpu_layout layout;     /* not SM_GPU_LAYOUT_DEFAULT */
    uint32_t interleave;      /* labels per work item; 1 unless SM_GPU_KERNEL_ITEM */
    uint32_t unroll;          /* double rounds in the code: 1 (a loop) or 4 */
    sm_gpu_exchange exchange; /* of SM_GPU_KERNEL_QUAD */
    sm_gpu_probe probe;
};

/* Items that work together: a group has a multiple of these. */
uint32_t sm_gpu_kernel_items(sm_gpu_kernel k);

#define SM_GPU_OPTIONS_ROOM 256u
/* The option strings of romix.cl and label_ends.cl; part of the program cache key. Return `out`. */
char *sm_gpu_shape_options(const struct sm_gpu_shape *s, char out[SM_GPU_OPTIONS_ROOM]);
char *sm_gpu_shape_ends_options(const struct sm_gpu_shape *s, char out[SM_GPU_OPTIONS_ROOM]);

uint32_t sm_gpu_shape_group_labels(const struct sm_gpu_shape *s);
/* Scratch bytes of one label: the stored rows. */
uint64_t sm_gpu_shape_label_bytes(const struct sm_gpu_shape *s);

#endif
