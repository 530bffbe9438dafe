/* The OpenCL label engine: 16-byte labels, the VRF search, chunks, refusals. */
#include <criterion/criterion.h>

#include "post/label.h"
#include "unit/gpu/device.h"

#define N 2u

static struct sm_label_engine open_engine(uint32_t n)
{
    char id[64] = "";
    gpu_first_device(id);
    struct sm_label_engine e = {0};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_label_engine_gpu(id, n, NULL, &e, &ei), SM_OK, "%s", ei.text);
    cr_assert_str_eq(e.device, id);
    return e;
}

static struct sm_label_job job_of(uint32_t n, const uint8_t *difficulty)
{
    struct sm_label_job job = {.scrypt_n = n, .vrf_difficulty = difficulty};
    for (int i = 0; i < 32; i++) job.commitment.b[i] = (uint8_t)(3 * i);
    return job;
}

Test(label_gpu, engine_describes_itself)
{
    struct sm_label_engine e = open_engine(N);
    cr_assert_not(e.trusted, "spot checks are for such devices");
    cr_assert_geq(e.chunk, 1);
    cr_assert_not_null(strstr(e.variant, "kernel=item"), "%s", e.variant);
    sm_label_engine_free(&e);
}

Test(label_gpu, labels_and_vrf_search_equal_the_cpu)
{
    /* about 1 in 256 labels is below */
    uint8_t difficulty[32] = {1};
    const struct sm_label_job job = job_of(N, difficulty);
    struct sm_label_engine gpu = open_engine(N), cpu = {0};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_label_engine_cpu("ref", N, 0, &cpu, &ei), SM_OK, "%s", ei.text);

    const struct sm_label_range ranges[] = {
        {0, 1}, {0, 3000}, {(UINT64_C(1) << 32) - 700, 1999}, {12345, gpu.chunk + 1}, {77, 2 * gpu.chunk - 1},
    };
    int found = 0;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        struct sm_label_range r = ranges[i];
        if (r.count > 20000) r.count = 20000;
        uint8_t *a = malloc(r.count * 16 + 1), *b = malloc(r.count * 16);
        struct sm_vrf_best x = {0}, y = {0};
        a[r.count * 16] = 0xa5;
        cr_assert_eq(gpu.ops->compute(gpu.self, &job, r, NULL, a, &x, &ei), SM_OK, "%s", ei.text);
        cr_assert_eq(cpu.ops->compute(cpu.self, &job, r, NULL, b, &y, &ei), SM_OK, "%s", ei.text);
        cr_assert_eq(a[r.count * 16], 0xa5, "wrote past the end");
        cr_assert_arr_eq(a, b, r.count * 16, "range %zu", i);
        cr_assert_eq(x.found, y.found);
        if (x.found) {
            cr_assert_eq(x.index, y.index);
            cr_assert_arr_eq(x.label, y.label, 32);
            found++;
        }
        free(a);
        free(b);
    }
    cr_assert_geq(found, 2, "the difficulty lets hardly anything through");
    sm_label_engine_free(&gpu);
    sm_label_engine_free(&cpu);
}

Test(label_gpu, reference_constant_of_the_vrf_search)
{
    /* post internal/postrs/api_test.go: N = 32, 165545 is the smallest below 00003fff…ff; here around it */
    uint8_t difficulty[32];
    memset(difficulty, 0xff, 32);
    difficulty[0] = difficulty[1] = 0;
    difficulty[2] = 0x3f;
    struct sm_label_job job = {.scrypt_n = 32, .vrf_difficulty = difficulty};
    static const uint8_t commitment[32] = {0xe2, 0x6b, 0x54, 0x37, 0x25, 0x49, 0x06, 0x82, 0x67, 0x5f, 0x6f,
                                           0x84, 0xea, 0x76, 0x89, 0x60, 0x1a, 0xde, 0xaf, 0x14, 0xca, 0xa7,
                                           0x02, 0x4e, 0xc1, 0x14, 0x0c, 0x82, 0x75, 0x4c, 0xa3, 0x39};
    memcpy(job.commitment.b, commitment, 32);
    struct sm_label_engine e = open_engine(32);
    struct sm_errinfo ei = {0};
    struct sm_vrf_best best = {0};
    static uint8_t labels[1000 * 16];
    cr_assert_eq(e.ops->compute(e.self, &job, (struct sm_label_range){165000, 1000}, NULL, labels, &best, &ei), SM_OK);
    cr_assert(best.found);
    cr_assert_eq(best.index, 165545);

    best = (struct sm_vrf_best){0};
    difficulty[2] = 0;
    cr_assert_eq(e.ops->compute(e.self, &job, (struct sm_label_range){165000, 1000}, NULL, labels, &best, &ei), SM_OK);
    cr_assert_not(best.found);

    best = (struct sm_vrf_best){0};
    job.vrf_difficulty = NULL;
    cr_assert_eq(e.ops->compute(e.self, &job, (struct sm_label_range){165545, 1}, NULL, labels, &best, &ei), SM_OK);
    cr_assert_not(best.found);
    sm_label_engine_free(&e);
}

Test(label_gpu, refusals)
{
    struct sm_label_engine e = open_engine(N), none = {0};
    struct sm_errinfo ei = {0};
    struct sm_vrf_best best = {0};
    uint8_t label[16];
    struct sm_label_job job = job_of(2 * N, NULL);
    cr_assert_eq(e.ops->compute(e.self, &job, (struct sm_label_range){0, 1}, NULL, label, &best, &ei), SM_E_ARG);
    job.scrypt_n = N;
    struct sm_cancel cancel = {0};
    sm_cancel_request(&cancel);
    cr_assert_eq(e.ops->compute(e.self, &job, (struct sm_label_range){0, 1}, &cancel, label, &best, &ei),
                 SM_E_CANCELLED);
    sm_label_engine_free(&e);
    cr_assert_eq(sm_label_engine_gpu("no/such#7", N, NULL, &none, &ei), SM_E_NOTFOUND);
    cr_assert_null(none.self);
}

/* ---- a device that passes its self-test and fails later: the farm goes on without it ---- */

struct collected {
    uint64_t next;
    uint8_t labels[500 * 16];
};

static sm_err collect(void *ctx, struct sm_label_range r, const uint8_t *labels, const struct sm_vrf_best *best,
                      struct sm_errinfo *ei)
{
    struct collected *c = ctx;
    (void)best;
    (void)ei;
    cr_assert_eq(r.first, c->next, "in order");
    cr_assert_leq(r.first + r.count, 500);
    memcpy(c->labels + r.first * 16, labels, r.count * 16);
    c->next += r.count;
    return SM_OK;
}

static void expect_quarantine(const char *rules, const char *why)
{
    setenv("SM_OPENCL_LIBRARY", SM_TEST_OPENCL_SHIM, 1);
    setenv("SM_SHIM_RULES", rules, 1);
    const struct sm_label_job job = job_of(64, NULL);
    struct sm_label_engine gpu = open_engine(64);
    struct sm_errinfo ei = {0};
    struct sm_label_farm *farm = NULL;
    static struct collected got;
    const struct sm_label_range all = {0, 500};
    cr_assert_eq(sm_label_farm_new(&(struct sm_label_farm_cfg){.engines = &gpu, .engines_n = 1}, &farm, &ei), SM_OK);
    cr_assert_eq(sm_label_farm_run(farm, &job, &all, 1, NULL, collect, &got, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(got.next, 500);

    struct sm_label_engine_stats stats[4];
    cr_assert_geq(sm_label_farm_stats(farm, stats, 4), 1);
    cr_assert(stats[0].quarantined);
    cr_assert_not_null(strstr(stats[0].why, why), "%s", stats[0].why);
    sm_label_farm_free(farm);

    for (uint64_t i = 0; i < 500; i++) {
        uint8_t want[32];
        cr_assert_eq(sm_scrypt_one(64, job.commitment.b, i, want, &ei), SM_OK);
        cr_assert_arr_eq(got.labels + 16 * i, want, 16, "label %llu", (unsigned long long)i);
    }
}

/* Its self-test reads five times: labels and hits of one label, then of a width, and the hits beyond the first few. */
Test(label_gpu, a_device_that_begins_to_lie_is_quarantined)
{
    expect_quarantine("clEnqueueReadBuffer:6+=corrupt", "wrong");
}

Test(label_gpu, a_device_that_disappears_is_quarantined)
{
    expect_quarantine("clEnqueueNDRangeKernel:60+=-2", "CL_DEVICE_NOT_AVAILABLE");
}
