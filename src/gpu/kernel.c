#include "gpu/kernel.h"

#include <inttypes.h>
#include <stdio.h>

#include "kernels/shared/romix_job.h"

char *sm_gpu_shape_options(const struct sm_gpu_shape *s, char out[SM_GPU_OPTIONS_ROOM])
{
    (void)snprintf(out, SM_GPU_OPTIONS_ROOM,
                   "-cl-std=CL1.2 -DSCRYPT_N=%" PRIu32 "u -DLOOKUP_GAP=%" PRIu32 "u -DWG_ITEMS=%" PRIu32
                   " -DROW_LAYOUT=%d",
                   s->scrypt_n, s->lookup_gap, s->wg_items, s->layout == SM_GPU_LAYOUT_TABLES);
    return out;
}

uint64_t sm_gpu_shape_item_bytes(const struct sm_gpu_shape *s)
{
    return ((uint64_t)s->scrypt_n + s->lookup_gap - 1) / s->lookup_gap * SM_ROMIX_ROW_BYTES;
}
