/* The device the OpenCL tests run on: any, usually PoCL's processor. Without one they are skipped, visibly. */
#ifndef SM_TESTS_UNIT_GPU_DEVICE_H
#define SM_TESTS_UNIT_GPU_DEVICE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "gpu/labeler.h"

/* Compiled kernels are kept in the build tree from one test process to the next, by PoCL: for a cache of ours it would
 * compile everything twice. */
static inline void gpu_use_test_cache(void)
{
    unsetenv("SM_CACHE_DIR");
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
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

/* Labels in full, as hits below a threshold that every label is below. */
struct gpu_full {
    uint64_t first;
    size_t count, seen;
    uint8_t *labels; /* 32 bytes each */
};

static inline void gpu_keep_full(void *ctx, uint64_t index, const uint8_t label[32])
{
    struct gpu_full *f = ctx;
    cr_assert_lt(index - f->first, f->count, "index %llu", (unsigned long long)index);
    memcpy(f->labels + 32 * (index - f->first), label, 32);
    f->seen++;
}

/* 32 bytes per label; what is stored of each must be its first half. */
static inline sm_err gpu_run_full(struct sm_gpu_labeler *g, const uint8_t commitment[32], uint64_t first, size_t count,
                                  const struct sm_cancel *cancel, uint8_t *out, struct sm_errinfo *ei)
{
    uint8_t everything[32], *stored = malloc(16 * count + 1);
    cr_assert_not_null(stored);
    memset(everything, 0xff, sizeof everything);
    stored[16 * count] = 0xa5;
    struct gpu_full full = {.first = first, .count = count, .labels = out};
    const struct sm_gpu_label_job job = {.commitment = commitment,
                                         .first = first,
                                         .count = count,
                                         .threshold = everything,
                                         .hit = gpu_keep_full,
                                         .ctx = &full};
    const sm_err err = sm_gpu_labeler_run(g, &job, cancel, stored, ei);
    cr_assert_eq(stored[16 * count], 0xa5, "wrote past the end");
    if (!err) cr_assert_eq(full.seen, count);
    for (size_t i = 0; !err && i < count; i++)
        cr_assert_arr_eq(stored + 16 * i, out + 32 * i, 16, "%s, item %zu of %zu", sm_gpu_labeler_describe(g), i,
                         count);
    free(stored);
    return err;
}

/* Labels [first, first + count) of the device against the processor's. */
static inline void gpu_check_range(struct sm_gpu_labeler *g, uint32_t n, uint64_t first, size_t count)
{
    struct sm_errinfo ei = {0};
    uint8_t commitment[32], want[32];
    for (int i = 0; i < 32; i++) commitment[i] = (uint8_t)(7 * i + 1);
    uint8_t *got = malloc(count * 32);
    cr_assert_not_null(got);
    cr_assert_eq(gpu_run_full(g, commitment, first, count, NULL, got, &ei), SM_OK, "%s", ei.text);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(sm_scrypt_one(n, commitment, first + i, want, &ei), SM_OK);
        cr_assert_arr_eq(got + 32 * i, want, 32, "%s, N %u, index %llu (item %zu of %zu)", sm_gpu_labeler_describe(g),
                         n, (unsigned long long)(first + i), i, count);
    }
    free(got);
}

#endif
