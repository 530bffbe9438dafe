/* The device the OpenCL tests run on: any, usually PoCL's processor. Without one they are skipped, visibly. */
#ifndef SM_TESTS_UNIT_GPU_DEVICE_H
#define SM_TESTS_UNIT_GPU_DEVICE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "gpu/labeler.h"

/* Compiled kernels are kept in the build tree from one test process to the next. */
static inline void gpu_use_test_cache(void)
{
    setenv("SM_CACHE_DIR", SM_TEST_SCRATCH "/cache", 1);
    setenv("POCL_CACHE_DIR", SM_TEST_SCRATCH "/cache/pocl", 1);
}

/* The first usable device; skips the test when there is none. */
static inline void gpu_first_device(char id[64])
{
    gpu_use_test_cache();
    struct sm_gpu_device *v = NULL;
    size_t n = 0;
    struct sm_gpu_report report;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_gpu_list(&v, &n, &report, &ei), SM_OK, "%s", ei.text);
    const struct sm_gpu_device *use = NULL;
    for (size_t i = 0; i < n && !use; i++)
        if (!*v[i].problem) use = &v[i];
    if (use) (void)snprintf(id, 64, "%s", use->id);
    free(v);
    if (!use) cr_skip_test("no usable OpenCL device: %s", report.problem);
}

static inline struct sm_gpu_labeler *gpu_open(const struct sm_gpu_labeler_cfg *cfg)
{
    char id[64] = "";
    gpu_first_device(id);
    struct sm_gpu_labeler *g = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_gpu_labeler_new(id, cfg, &g, &ei), SM_OK, "%s", ei.text);
    return g;
}

/* Labels [first, first + count) of the device against the processor's. */
static inline void gpu_check_range(struct sm_gpu_labeler *g, uint32_t n, uint64_t first, size_t count)
{
    struct sm_errinfo ei = {0};
    uint8_t commitment[32], want[32];
    for (int i = 0; i < 32; i++) commitment[i] = (uint8_t)(7 * i + 1);
    uint8_t *got = malloc(count * 32 + 1);
    cr_assert_not_null(got);
    got[count * 32] = 0xa5;
    cr_assert_eq(sm_gpu_labeler_run(g, commitment, first, count, NULL, got, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(got[count * 32], 0xa5, "wrote past the end");
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(sm_scrypt_one(n, commitment, first + i, want, &ei), SM_OK);
        cr_assert_arr_eq(got + 32 * i, want, 32, "%s, N %u, index %llu (item %zu of %zu)", sm_gpu_labeler_describe(g),
                         n, (unsigned long long)(first + i), i, count);
    }
    free(got);
}

#endif
