#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libpost/impl.h"

#define CPU_NAME "[CPU] scrypt-jane" /* what programs show, and some look for: post.md §9.2 */

/* The kind comes first in a name: "[GPU] platform/device". */
static void name_gpu(char out[64], const struct sm_gpu_device *d)
{
    char name[sizeof d->platform + sizeof d->name + 8];
    (void)snprintf(name, sizeof name, "[GPU] %s/%s", d->platform, d->name);
    name[63] = '\0';
    memcpy(out, name, strlen(name) + 1);
}

sm_err sm_libpost_gpus(struct sm_gpu_device **out, size_t *out_n, struct sm_errinfo *ei)
{
    struct sm_gpu_report report;
    struct sm_gpu_device *all = NULL;
    size_t n = 0, kept = 0;
    sm_err err = sm_gpu_list(&all, &n, &report, ei);
    if (err) return err;
    for (size_t i = 0; i < n; i++)
        if (all[i].type == SM_GPU_TYPE_GPU && !all[i].problem[0]) all[kept++] = all[i];
    *out = all;
    *out_n = kept;
    return SM_OK;
}

uintptr_t get_providers_count(void)
{
    struct sm_gpu_device *gpus = NULL;
    struct sm_errinfo ei = {0};
    size_t n = 0;
    if (sm_libpost_gpus(&gpus, &n, &ei)) sm_libpost_failed("get_providers_count", &ei);
    free(gpus);
    return n + 1;
}

InitializeResult get_providers(Provider *out, uintptr_t out_len)
{
    struct sm_gpu_device *gpus = NULL;
    struct sm_errinfo ei = {0};
    size_t n = 0, i = 0;
    if (!out) return InitializeResult_InvalidArgument;
    if (sm_libpost_gpus(&gpus, &n, &ei)) {
        sm_libpost_failed("get_providers", &ei);
        return InitializeResult_FailedToGetProviders;
    }
    for (; i < n && i < out_len; i++) {
        out[i] = (Provider){.id = (uint32_t)i, .class_ = DeviceClass_GPU};
        name_gpu(out[i].name, &gpus[i]);
    }
    if (i < out_len) out[i] = (Provider){.name = CPU_NAME, .id = CPU_PROVIDER_ID, .class_ = DeviceClass_CPU};
    free(gpus);
    return InitializeResult_Ok;
}
