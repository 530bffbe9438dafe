/* The scan on a device against the processor's: the same hits in the same order; a device that fails or lies is found
 * out and not used again. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <inttypes.h>

#include "gpu/scanner.h"
#include "support/opencl/shim.h"
#include "unit/gpu/device.h"
#include "util/bytes.h"
#include "util/clock.h"

#define HITS_ROOM 600000u

static uint64_t seed;

static void seed_print(void)
{
    const char *s = getenv("SM_TEST_SEED");
    seed = s ? strtoull(s, NULL, 0) : sm_clock_ns() | 1;
    (void)fprintf(stderr, "SM_TEST_SEED=%" PRIu64 "\n", seed);
}

static uint64_t random_u64(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += 8) sm_le64_store(p + i, random_u64());
}

static struct sm_scan_group *random_groups(uint32_t n)
{
    struct sm_scan_group *g = aligned_alloc(_Alignof(struct sm_scan_group), n * sizeof *g);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t key[16];
        for (unsigned o = 0; o <= 16; o++) {
            fill(key, sizeof key);
            sm_aes128_init(o < 16 ? &g[i].lazy[o] : &g[i].key, key);
        }
        g[i].nonce_base = 16 * i;
    }
    return g;
}

struct hits {
    struct sm_scan_hit *at;
    size_t n, stop_after;
};

static bool collect(void *ctx, const struct sm_scan_hit *hits, size_t n)
{
    struct hits *h = ctx;
    cr_assert_leq(h->n + n, HITS_ROOM);
    memcpy(h->at + h->n, hits, n * sizeof *hits);
    h->n += n;
    return !h->stop_after || h->n < h->stop_after;
}

/* Every kind, with group sizes at which the counts below are around whole groups. */
static const struct sm_gpu_scanner_cfg variants[] = {
    {.kind = SM_GPU_SCAN_TABLES, .tables = 4, .copies = 1, .wg_items = 16, .labels_max = 4096},
    {.kind = SM_GPU_SCAN_TABLES, .tables = 1, .copies = 32, .wg_items = 64, .labels_max = 4096},
    {.kind = SM_GPU_SCAN_BITS, .tables = 4, .copies = 1, .wg_items = 16, .labels_max = 4096},
    {.kind = SM_GPU_SCAN_BITS, .tables = 1, .copies = 8, .wg_items = 1, .labels_max = 4096},
};
#define VARIANTS (sizeof variants / sizeof variants[0])

static struct sm_gpu_scanner *open_scanner(const struct sm_gpu_scanner_cfg *cfg)
{
    char id[64] = "";
    gpu_first_device(id);
    struct sm_gpu_scanner *g = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_gpu_scanner_new(id, cfg, &g, &ei), SM_OK, "%s", ei.text);
    return g;
}

static void assert_same(struct sm_gpu_scanner *g, unsigned lane, const struct sm_scan_job *job, const uint8_t *labels,
                        size_t n)
{
    struct sm_errinfo ei = {0};
    struct hits want = {.at = malloc(HITS_ROOM * sizeof *want.at)}, got = {.at = malloc(HITS_ROOM * sizeof *got.at)};
    struct sm_scan_scratch *s = sm_scan_scratch_new();
    size_t done = 99;
    cr_assert_eq(sm_scan_run(sm_scan_all()[0], job, s, labels, n, collect, &want), n);
    cr_assert_eq(sm_gpu_scanner_set_job(g, job, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_gpu_scanner_run(g, lane, labels, n, collect, &got, &done, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(done, n);
    cr_assert_eq(got.n, want.n, "%s, %zu labels, %u groups, msb %u: %zu hits, expected %zu", sm_gpu_scanner_describe(g),
                 n, job->groups_n, job->difficulty_msb, got.n, want.n);
    for (size_t i = 0; i < want.n; i++)
        cr_assert(got.at[i].label == want.at[i].label && got.at[i].nonce == want.at[i].nonce,
                  "%s, %zu labels: hit %zu is label %u nonce %u, expected label %u nonce %u",
                  sm_gpu_scanner_describe(g), n, i, got.at[i].label, got.at[i].nonce, want.at[i].label,
                  want.at[i].nonce);
    sm_scan_scratch_free(s);
    free(want.at);
    free(got.at);
}

/* Around the labels of a bitsliced item, and of a group of items of either kind. */
ParameterizedTestParameters(scanner, finds_what_the_processor_finds)
{
    static size_t which[VARIANTS];
    for (size_t i = 0; i < VARIANTS; i++) which[i] = i;
    return cr_make_param_array(size_t, which, VARIANTS);
}

ParameterizedTest(size_t *which, scanner, finds_what_the_processor_finds)
{
    static const size_t counts[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 65, 255, 256, 257, 1023, 1025, 1031};
    static const uint32_t groups_n[] = {1, 2, 8, 18};
    seed_print();
    uint8_t *labels = aligned_alloc(64, 16 * 1040);
    struct sm_scan_group *groups = random_groups(18);
    struct sm_gpu_scanner *g = open_scanner(&variants[*which]);
    fill(labels, 16 * 1040);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const struct sm_scan_job job = {.groups = groups,
                                        .groups_n = groups_n[i % 4],
                                        .difficulty_msb = (uint8_t)(i % 3 ? 0 : random_u64()),
                                        .difficulty_lsb = random_u64() >> 8};
        assert_same(g, i % SM_GPU_SCAN_LANES, &job, labels, counts[i]);
    }
    sm_gpu_scanner_free(g);
    free(groups);
    free(labels);
}

ParameterizedTestParameters(scanner, up_to_4096_nonces_and_extreme_difficulties)
{
    static size_t which[VARIANTS];
    for (size_t i = 0; i < VARIANTS; i++) which[i] = i;
    return cr_make_param_array(size_t, which, VARIANTS);
}

ParameterizedTest(size_t *which, scanner, up_to_4096_nonces_and_extreme_difficulties)
{
    static const uint32_t groups_n[] = {1, 8, 18, 256};
    static const struct {
        uint8_t msb;
        uint64_t lsb;
    } difficulties[] = {{0, 0}, {0, (UINT64_C(1) << 56) - 1}, {255, 0}, {255, (UINT64_C(1) << 56) - 1}};
    seed_print();
    uint8_t *labels = aligned_alloc(64, 16 * 104);
    struct sm_scan_group *groups = random_groups(256);
    struct sm_gpu_scanner *g = open_scanner(&variants[*which]);
    fill(labels, 16 * 104);
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 4; k++) { /* 101 labels that are all good for 4096 nonces overflow a launch */
            const struct sm_scan_job job = {.groups = groups,
                                            .groups_n = groups_n[i],
                                            .difficulty_msb = difficulties[k].msb,
                                            .difficulty_lsb = difficulties[k].lsb};
            assert_same(g, k % SM_GPU_SCAN_LANES, &job, labels, 101);
        }
    sm_gpu_scanner_free(g);
    free(groups);
    free(labels);
}

/* A disk's unwritten stretch: all labels are candidates for the same nonces at once, many times what the queue holds. */
Test(scanner, equal_labels_overflow_the_queue_and_nothing_else)
{
    seed_print();
    uint8_t *labels = aligned_alloc(64, 16 * 2048), out[16];
    struct sm_scan_group *groups = random_groups(2);
    memset(labels, 0, 16 * 2048);
    sm_aes128_encrypt(&groups[1].key, labels, out);
    const struct sm_scan_job job = {
        .groups = groups, .groups_n = 2, .difficulty_msb = out[5], .difficulty_lsb = (UINT64_C(1) << 56) - 1};
    for (size_t i = 0; i < VARIANTS; i++) {
        struct sm_gpu_scanner *g = open_scanner(&variants[i]);
        assert_same(g, 0, &job, labels, 2048);
        sm_gpu_scanner_free(g);
    }
    free(groups);
    free(labels);
}

Test(scanner, lends_memory_that_the_device_reads)
{
    seed_print();
    struct sm_scan_group *groups = random_groups(1);
    struct sm_gpu_scanner *g = open_scanner(&variants[0]);
    struct sm_errinfo ei = {0};
    uint8_t *labels = NULL, *again = NULL;
    cr_assert_eq(sm_gpu_scanner_pin(g, 16 * 4096, &labels, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq((uintptr_t)labels % 4096, 0);
    cr_assert_eq(sm_gpu_scanner_pin(g, 4096, &again, &ei), SM_E_STATE);
    fill(labels, 16 * 4096);
    const struct sm_scan_job job = {.groups = groups, .groups_n = 1, .difficulty_lsb = UINT64_C(1) << 55};
    assert_same(g, 1, &job, labels, 4096);
    cr_assert_eq(sm_gpu_scanner_upload(g, 2, labels, 4096, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_gpu_scanner_upload(g, 2, labels, 4097, &ei), SM_E_ARG);
    sm_gpu_scanner_free(g);
    free(groups);
}

Test(scanner, refuses_what_cannot_be)
{
    static const struct sm_gpu_scanner_cfg bad[] = {
        {.tables = 2}, {.copies = 3}, {.copies = 64}, {.labels_max = 1u << 21}, {.wg_items = 1u << 30}};
    char id[64] = "";
    gpu_first_device(id);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sm_gpu_scanner *g = NULL;
        struct sm_errinfo ei = {0};
        cr_assert_eq(sm_gpu_scanner_new(id, &bad[i], &g, &ei), SM_E_ARG, "%zu: %s", i, ei.text);
        cr_assert_gt(strlen(ei.text), 10);
    }
}

Test(scanner, stops_when_told)
{
    seed_print();
    uint8_t *labels = aligned_alloc(64, 16 * 64);
    struct sm_scan_group *groups = random_groups(1);
    struct sm_gpu_scanner *g = open_scanner(&(struct sm_gpu_scanner_cfg){.labels_max = 64});
    struct sm_errinfo ei = {0};
    struct hits got = {.at = malloc(HITS_ROOM * sizeof *got.at), .stop_after = 1};
    size_t done = 99;
    fill(labels, 16 * 64);
    const struct sm_scan_job job = {.groups = groups, .groups_n = 1, .difficulty_msb = 255};
    cr_assert_eq(sm_gpu_scanner_set_job(g, &job, &ei), SM_OK);
    cr_assert_eq(sm_gpu_scanner_run(g, 0, labels, 64, collect, &got, &done, &ei), SM_OK);
    cr_assert_eq(done, 0);
    cr_assert_eq(sm_gpu_scanner_run(g, 0, labels, 65, collect, &got, &done, &ei), SM_E_ARG);
    sm_gpu_scanner_free(g);
    free(groups);
    free(labels);
    free(got.at);
}

static sm_shim_live_fn *shim_live;
static sm_shim_calls_fn *shim_calls;

#include <dlfcn.h>

static void shim(char id[64])
{
    setenv("SM_OPENCL_LIBRARY", SM_TEST_OPENCL_SHIM, 1);
    gpu_first_device(id);
    void *lib = dlopen(SM_TEST_OPENCL_SHIM, RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(lib, "%s", dlerror());
    void *p = dlsym(lib, "sm_shim_live");
    memcpy(&shim_live, &p, sizeof p);
    p = dlsym(lib, "sm_shim_calls");
    memcpy(&shim_calls, &p, sizeof p);
}

/* Opens, sets a job and scans once; the first error. */
static sm_err life(const char *id, sm_gpu_scan_kind kind, const struct sm_scan_job *job, const uint8_t *labels,
                   struct sm_errinfo *ei)
{
    struct sm_gpu_scanner *g = NULL;
    struct hits got = {.at = malloc(HITS_ROOM * sizeof *got.at)};
    size_t done = 0;
    const struct sm_gpu_scanner_cfg cfg = {.kind = kind, .wg_items = 16, .labels_max = 64};
    sm_err err = sm_gpu_scanner_new(id, &cfg, &g, ei);
    if (!err) err = sm_gpu_scanner_set_job(g, job, ei);
    if (!err) err = sm_gpu_scanner_run(g, 1, labels, 64, collect, &got, &done, ei);
    if (err && g) {
        struct sm_errinfo again = {0};
        cr_assert_eq(sm_gpu_scanner_run(g, 0, labels, 64, collect, &got, &done, &again), SM_E_DEVICE, "used again");
    }
    sm_gpu_scanner_free(g);
    free(got.at);
    return err;
}

/* Every call of a life fails or lies once. How often an event is asked before it is over is a matter of time: from some
 * call on, all fail. */
static void check_faults(sm_gpu_scan_kind kind)
{
    static const char *const rules[][2] = {
        {"clCreateContext", "-6"},          {"clCreateCommandQueue", "-6"},
        {"clCreateKernel", "null"},         {"clCreateBuffer", "-4"},
        {"clCreateBuffer", "null"},         {"clSetKernelArg", "-51"},
        {"clEnqueueWriteBuffer", "-2"},     {"clEnqueueNDRangeKernel", "-5"},
        {"clEnqueueReadBuffer", "-2"},      {"clEnqueueReadBuffer", "null"},
        {"clEnqueueNDRangeKernel", "null"}, {"clGetEventInfo", "status-5"},
        {"clWaitForEvents", "-14"},         {"clFlush", "-36"},
        {"clEnqueueReadBuffer", "corrupt"},
    };
    char id[64] = "";
    shim(id);
    seed_print();
    uint8_t *labels = aligned_alloc(64, 16 * 64);
    struct sm_scan_group *groups = random_groups(2);
    fill(labels, 16 * 64);
    const struct sm_scan_job job = {.groups = groups, .groups_n = 2, .difficulty_msb = 3, .difficulty_lsb = 1000};
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct sm_errinfo ei = {0};
        setenv("SM_SHIM_RULES", "unknown:1=0", 1);
        cr_assert_eq(life(id, kind, &job, labels, &ei), SM_OK, "%s", ei.text);
        const bool polled = strcmp(rules[i][0], "clGetEventInfo") == 0;
        const long calls = polled ? 8 : shim_calls(rules[i][0]);
        cr_assert_gt(shim_calls(rules[i][0]), 0, "%s is never called", rules[i][0]);
        for (long k = 1; k <= calls; k++) {
            char text[128];
            (void)snprintf(text, sizeof text, polled ? "%s:%ld+=%s" : "%s:%ld=%s", rules[i][0], k, rules[i][1]);
            setenv("SM_SHIM_RULES", text, 1);
            ei = (struct sm_errinfo){0};
            cr_assert_eq(life(id, kind, &job, labels, &ei), SM_E_DEVICE, "%s of %ld: %s", text, calls, ei.text);
            cr_assert_gt(strlen(ei.text), 10);
            cr_assert_eq(shim_live(), 0, "%s: %ld objects leaked", text, shim_live());
        }
    }
    free(groups);
    free(labels);
}

Test(scanner, a_driver_that_fails_or_lies_is_found_out_by_tables)
{
    check_faults(SM_GPU_SCAN_TABLES);
}

Test(scanner, a_driver_that_fails_or_lies_is_found_out_by_bits)
{
    check_faults(SM_GPU_SCAN_BITS);
}

Test(scanner, a_driver_without_pinned_memory_is_no_failure)
{
    static const char *const rules[] = {"clEnqueueMapBuffer:1=-12", "clEnqueueMapBuffer:1=null", "unknown:1=0"};
    char id[64] = "";
    shim(id);
    for (size_t i = 0; i < 3; i++) {
        struct sm_gpu_scanner *g = NULL;
        struct sm_errinfo ei = {0};
        uint8_t *p = NULL;
        setenv("SM_SHIM_RULES", rules[i], 1);
        const struct sm_gpu_scanner_cfg cfg = {.wg_items = 16, .labels_max = 64};
        cr_assert_eq(sm_gpu_scanner_new(id, &cfg, &g, &ei), SM_OK, "%s", ei.text);
        cr_assert_eq(sm_gpu_scanner_pin(g, 4096, &p, &ei), i == 2 ? SM_OK : SM_E_DEVICE);
        sm_gpu_scanner_free(g);
        cr_assert_eq(shim_live(), 0, "%s: %ld objects leaked", rules[i], shim_live());
    }
}

Test(scanner, a_device_that_hangs_is_given_up)
{
#ifdef __SANITIZE_THREAD__
    cr_skip_test("PoCL's threads race its own destructors at the end of a process that keeps a context");
#endif
    char id[64] = "";
    shim(id);
    seed_print();
    uint8_t *labels = aligned_alloc(64, 16 * 64);
    struct sm_scan_group *groups = random_groups(2);
    struct hits got = {.at = malloc(HITS_ROOM * sizeof *got.at)};
    const struct sm_scan_job job = {.groups = groups, .groups_n = 2};
    struct sm_gpu_scanner_cfg cfg = {.wg_items = 16, .labels_max = 64, .answer_ms = 50};
    struct sm_gpu_scanner *g = NULL;
    struct sm_errinfo ei = {0};
    size_t done = 99;
    fill(labels, 16 * 64);
    setenv("SM_SHIM_RULES", "clGetEventInfo:1+=running", 1);
    cr_assert_eq(sm_gpu_scanner_new(id, &cfg, &g, &ei), SM_E_DEVICE);
    cr_assert_not_null(strstr(ei.text, "hangs"), "%s", ei.text);

    setenv("SM_SHIM_RULES", "unknown:1=0", 1);
    cfg.answer_ms = 3000; /* the first launches of PoCL compile */
    cr_assert_eq(sm_gpu_scanner_new(id, &cfg, &g, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_gpu_scanner_set_job(g, &job, &ei), SM_OK, "%s", ei.text);
    setenv("SM_SHIM_RULES", "clGetEventInfo:1+=running", 1);
    cr_assert_eq(sm_gpu_scanner_run(g, 1, labels, 64, collect, &got, &done, &ei), SM_E_DEVICE);
    cr_assert_not_null(strstr(ei.text, "hangs"), "%s", ei.text);
    cr_assert_eq(done, 0);
    cr_assert(sm_gpu_scanner_hangs(g));
    setenv("SM_SHIM_RULES", "unknown:2=0", 1);
    cr_assert_eq(sm_gpu_scanner_run(g, 0, labels, 64, collect, &got, &done, &ei), SM_E_DEVICE, "used again");
    sm_gpu_scanner_free(g);
    free(groups);
    free(got.at); /* and not the labels: such a driver may still read them */
    static void *volatile kept;
    kept = labels;
    (void)kept;
}
