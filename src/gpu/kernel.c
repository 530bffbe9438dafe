#include "gpu/kernel.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/blake3.h"
#include "kernels/shared/romix_job.h"
#include "util/text.h"

/* One row per kernel of romix.cl; `code` is its KERNEL there. */
static const struct {
    const char *name;
    int code;
    uint32_t items;       /* that work together */
    uint32_t label_items; /* per label */
} kernels[] = {
    [SM_GPU_KERNEL_DEFAULT] = {"default", -1, 1, 1},
    [SM_GPU_KERNEL_ITEM] = {"item", 0, 1, 1},
    [SM_GPU_KERNEL_QUAD] = {"quad", 1, 4, 4},
    [SM_GPU_KERNEL_FETCH] = {"fetch", 2, 8, 1},
};

const char *sm_gpu_kernel_name(sm_gpu_kernel k)
{
    return kernels[k].name;
}

sm_gpu_kernel sm_gpu_kernel_of(const char *name)
{
    for (unsigned k = SM_GPU_KERNEL_ITEM; k < sizeof kernels / sizeof kernels[0]; k++)
        if (strcmp(kernels[k].name, name) == 0) return (sm_gpu_kernel)k;
    return SM_GPU_KERNEL_DEFAULT;
}

uint32_t sm_gpu_kernel_items(sm_gpu_kernel k)
{
    return kernels[k].items;
}

const char *sm_gpu_source_id(const char *first, const char *second, char out[SM_GPU_SOURCE_ID_ROOM])
{
    struct sm_blake3 h;
    uint8_t hash[SM_BLAKE3_BYTES];
    sm_blake3_init(&h);
    sm_blake3_update(&h, first, strlen(first) + 1);
    sm_blake3_update(&h, second, strlen(second) + 1);
    sm_blake3_final(&h, hash);
    return sm_hex_encode(hash, 8, out);
}

const char *sm_gpu_labeler_source_id(char out[SM_GPU_SOURCE_ID_ROOM])
{
    return sm_gpu_source_id(sm_kernel_romix_source, sm_kernel_label_ends_source, out);
}

char *sm_gpu_shape_options(const struct sm_gpu_shape *s, char out[SM_GPU_OPTIONS_ROOM])
{
    (void)snprintf(out, SM_GPU_OPTIONS_ROOM,
                   "-cl-std=CL1.2 -DSCRYPT_N=%" PRIu32 "u -DKERNEL=%d -DLOOKUP_GAP=%" PRIu32 "u -DWG_ITEMS=%" PRIu32
                   "u -DROW_LAYOUT=%d -DINTERLEAVE=%" PRIu32 "u -DROUNDS_ROLLED=%d -DQUAD_EXCHANGE=%d -DPROBE=%d",
                   s->scrypt_n, kernels[s->kernel].code, s->lookup_gap, s->wg_items, s->layout == SM_GPU_LAYOUT_TABLES,
                   s->interleave, s->unroll == 1, (int)s->exchange, (int)s->probe);
    return out;
}

char *sm_gpu_shape_ends_options(const struct sm_gpu_shape *s, char out[SM_GPU_OPTIONS_ROOM])
{
    (void)snprintf(out, SM_GPU_OPTIONS_ROOM, "-cl-std=CL1.2 -DWG_ITEMS=%" PRIu32 "u", s->wg_items);
    return out;
}

uint32_t sm_gpu_shape_group_labels(const struct sm_gpu_shape *s)
{
    return s->wg_items / kernels[s->kernel].label_items * s->interleave;
}

uint64_t sm_gpu_shape_label_bytes(const struct sm_gpu_shape *s)
{
    return ((uint64_t)s->scrypt_n + s->lookup_gap - 1) / s->lookup_gap * SM_ROMIX_ROW_BYTES;
}
