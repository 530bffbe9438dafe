/* Labels of an OpenCL device against the processor's, for every N, gap and layout, at the seams of groups, batches,
 * scratch parts, launches and 2^32. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <inttypes.h>
#include <pthread.h>

#include "support/vectors.h"
#include "unit/gpu/device.h"

#define N_LOG2_MAX 13

/* Compiling is what takes time: one variant per N for all tests, with gap 1 and 2 by turns. */
static struct sm_gpu_labeler_cfg plain(uint32_t n, uint32_t width)
{
    return (struct sm_gpu_labeler_cfg){
        .scrypt_n = n, .wg_items = 4, .width = width, .lookup_gap = __builtin_ctz(n) % 2 ? 2u : 1u};
}

ParameterizedTestParameters(labeler, every_n)
{
    static int log2n[N_LOG2_MAX];
    for (int i = 0; i < N_LOG2_MAX; i++) log2n[i] = i + 1;
    return cr_make_param_array(int, log2n, N_LOG2_MAX);
}

ParameterizedTest(int *log2n, labeler, every_n)
{
    const uint32_t n = 1u << *log2n;
    const struct sm_gpu_labeler_cfg cfg = plain(n, 16);
    struct sm_gpu_labeler *g = gpu_open(&cfg);
    gpu_check_range(g, n, 0, 16 + 4 + 1);
    sm_gpu_labeler_free(g);
}

ParameterizedTestParameters(labeler, every_gap)
{
    static int gap[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    return cr_make_param_array(int, gap, 8);
}

ParameterizedTest(int *gap, labeler, every_gap)
{
    /* of 16 rows every third are 6: the last of them is alone in its gap */
    struct sm_gpu_labeler_cfg cfg = plain(16, 8);
    cfg.lookup_gap = (uint32_t)*gap;
    cfg.layout = *gap % 4 < 2 ? SM_GPU_LAYOUT_ROWS : SM_GPU_LAYOUT_TABLES; /* both for odd and even */
    struct sm_gpu_labeler *g = gpu_open(&cfg);
    gpu_check_range(g, 16, 77, 8 + 3);
    sm_gpu_labeler_free(g);
}

Test(labeler, counts_around_group_and_width)
{
    const struct sm_gpu_labeler_cfg cfg = {.scrypt_n = 16, .wg_items = 8, .width = 32};
    struct sm_gpu_labeler *g = gpu_open(&cfg);
    cr_assert_eq(sm_gpu_labeler_width(g), 32);
    static const size_t counts[] = {1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 32 + 5, 5 * 32 + 17, 1};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) gpu_check_range(g, 16, 1000 * i, counts[i]);
    sm_gpu_labeler_free(g);
}

Test(labeler, odd_group_sizes)
{
    static const uint32_t groups[] = {1, 3, 24};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        const struct sm_gpu_labeler_cfg cfg = {.scrypt_n = 16, .wg_items = groups[i], .width = 10};
        struct sm_gpu_labeler *g = gpu_open(&cfg);
        cr_assert_eq(sm_gpu_labeler_width(g) % groups[i], 0);
        cr_assert_geq(sm_gpu_labeler_width(g), 10);
        gpu_check_range(g, 16, 5, 50);
        sm_gpu_labeler_free(g);
    }
}

Test(labeler, indices_beyond_32_bits)
{
    const struct sm_gpu_labeler_cfg cfg = {.scrypt_n = 2};
    struct sm_gpu_labeler *g = gpu_open(&cfg);
    gpu_check_range(g, 2, (UINT64_C(1) << 32) - 1001, 2000);
    gpu_check_range(g, 2, (UINT64_C(1) << 40) + 5, 3);
    gpu_check_range(g, 2, UINT64_MAX - 99, 100);
    sm_gpu_labeler_free(g);
}

Test(labeler, labels_json)
{
    json_t *all = vec_load("labels.json");
    size_t seen = 0;
    for (uint32_t n = 2; n <= 8192; n *= 2) {
        struct sm_gpu_labeler *g = NULL;
        size_t i;
        json_t *v;
        json_array_foreach(all, i, v)
        {
            if (vec_u64(v, "n") != n) continue;
            const struct sm_gpu_labeler_cfg cfg = plain(n, 8);
            if (!g) g = gpu_open(&cfg);
            uint8_t commitment[32], want[32], got[32];
            struct sm_errinfo ei = {0};
            vec_hex(v, "commitment_hex", commitment, 32);
            vec_hex(v, "label32_hex", want, 32);
            const uint64_t index = vec_u64(v, "index");
            cr_assert_eq(sm_gpu_labeler_run(g, commitment, index, 1, NULL, got, &ei), SM_OK, "%s", ei.text);
            cr_assert_arr_eq(got, want, 32, "N %u index %" PRIu64, n, index);
            seen++;
        }
        sm_gpu_labeler_free(g);
    }
    cr_assert_eq(seen, json_array_size(all), "some N of the file was not tested");
    json_decref(all);
}

/* The first 16 labels of the file's second commitment, in two batches of unequal size. */
Test(labeler, mainnet_range_from_vectors)
{
    json_t *all = vec_load("labels.json");
    uint8_t commitment[32], got[16 * 32], want[32];
    struct sm_errinfo ei = {0};
    for (int i = 0; i < 32; i++) commitment[i] = (uint8_t)i;
    char hex[65];
    for (int i = 0; i < 32; i++) (void)snprintf(hex + 2 * i, 3, "%02x", i);
    const struct sm_gpu_labeler_cfg cfg = plain(8192, 12);
    struct sm_gpu_labeler *g = gpu_open(&cfg);
    cr_assert_eq(sm_gpu_labeler_run(g, commitment, 0, 16, NULL, got, &ei), SM_OK, "%s", ei.text);
    size_t i, seen = 0;
    json_t *v;
    json_array_foreach(all, i, v)
    {
        if (strcmp(vec_str(v, "commitment_hex"), hex) != 0) continue;
        const uint64_t index = vec_u64(v, "index");
        cr_assert_lt(index, 16);
        vec_hex(v, "label32_hex", want, 32);
        cr_assert_arr_eq(got + 32 * index, want, 32, "index %" PRIu64, index);
        seen++;
    }
    cr_assert_eq(seen, 16);
    sm_gpu_labeler_free(g);
    json_decref(all);
}

Test(labeler, scratch_in_several_buffers)
{
    /* 64 rows: 8 KiB per label; three groups of 4 fit into one buffer of 100 KiB, so 40 labels need four */
    for (sm_gpu_layout layout = SM_GPU_LAYOUT_ROWS; layout <= SM_GPU_LAYOUT_TABLES; layout++) {
        const struct sm_gpu_labeler_cfg cfg = {.scrypt_n = 64,
                                               .lookup_gap = 1,
                                               .wg_items = 4,
                                               .width = 40,
                                               .max_alloc_bytes = 100 << 10,
                                               .layout = layout};
        struct sm_gpu_labeler *g = gpu_open(&cfg);
        cr_assert_not_null(strstr(sm_gpu_labeler_describe(g), "parts=4 width=40"), "%s", sm_gpu_labeler_describe(g));
        gpu_check_range(g, 64, 0, 40);
        gpu_check_range(g, 64, 9, 97);
        sm_gpu_labeler_free(g);
    }
}

Test(labeler, memory_cap_lowers_width_then_group)
{
    const uint64_t item = 1024 * 128 + 128 + 32;
    struct sm_gpu_labeler_cfg cfg = {.scrypt_n = 1024, .lookup_gap = 1, .wg_items = 4, .width = 64};
    cfg.memory_cap_bytes = 13 * item;
    struct sm_gpu_labeler *g = gpu_open(&cfg);
    cr_assert_eq(sm_gpu_labeler_width(g), 12);
    gpu_check_range(g, 1024, 3, 14);
    sm_gpu_labeler_free(g);

    cfg.wg_items = 0;
    cfg.memory_cap_bytes = 2 * item + 5;
    g = gpu_open(&cfg);
    cr_assert_leq(sm_gpu_labeler_width(g), 2);
    gpu_check_range(g, 1024, 3, 5);
    sm_gpu_labeler_free(g);
}

/* One millisecond per launch forces ROMix apart into many. */
Test(labeler, short_launches_continue_each_other)
{
    struct sm_gpu_labeler_cfg cfg = plain(8192, 8);
    cfg.launch_ms = 1;
    struct sm_gpu_labeler *g = gpu_open(&cfg);
    gpu_check_range(g, 8192, 0, 8 + 8 + 3);
    sm_gpu_labeler_free(g);
}

static sm_err open_error(const struct sm_gpu_labeler_cfg *cfg, struct sm_errinfo *ei)
{
    char id[64] = "";
    gpu_first_device(id);
    struct sm_gpu_labeler *g = NULL;
    const sm_err err = sm_gpu_labeler_new(id, cfg, &g, ei);
    cr_assert_null(g);
    return err;
}

Test(labeler, refuses_what_it_cannot_do)
{
    struct sm_errinfo ei = {0};
    static const uint32_t bad_n[] = {0, 1, 3, 8191, SM_SCRYPT_N_MAX * 2};
    for (size_t i = 0; i < sizeof bad_n / sizeof bad_n[0]; i++) {
        cr_assert_eq(open_error(&(struct sm_gpu_labeler_cfg){.scrypt_n = bad_n[i]}, &ei), SM_E_ARG, "%u", bad_n[i]);
        cr_assert_not_null(strstr(ei.text, "power of two"));
    }
    cr_assert_eq(open_error(&(struct sm_gpu_labeler_cfg){.scrypt_n = 2, .lookup_gap = 9}, &ei), SM_E_ARG);
    cr_assert_eq(open_error(&(struct sm_gpu_labeler_cfg){.scrypt_n = 2, .wg_items = 1u << 30}, &ei), SM_E_ARG);
    cr_assert_not_null(strstr(ei.text, "1073741824"));
    cr_assert_eq(open_error(&(struct sm_gpu_labeler_cfg){.scrypt_n = 8192, .memory_cap_bytes = 1 << 18}, &ei),
                 SM_E_ARG);
    cr_assert_not_null(strstr(ei.text, "memory cap"), "%s", ei.text);

    struct sm_gpu_labeler *g = NULL;
    cr_assert_eq(sm_gpu_labeler_new("no/such#0", &(struct sm_gpu_labeler_cfg){.scrypt_n = 2}, &g, &ei), SM_E_NOTFOUND);
    cr_assert_not_null(strstr(ei.text, "no/such#0"));
    sm_gpu_labeler_free(NULL);
}

Test(labeler, refuses_empty_and_wrapping_ranges)
{
    struct sm_gpu_labeler *g = gpu_open(&(struct sm_gpu_labeler_cfg){.scrypt_n = 2});
    uint8_t out[64], commitment[32] = {0};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_gpu_labeler_run(g, commitment, 0, 0, NULL, out, &ei), SM_E_ARG);
    cr_assert_eq(sm_gpu_labeler_run(g, commitment, UINT64_MAX, 2, NULL, out, &ei), SM_E_ARG);
    gpu_check_range(g, 2, UINT64_MAX, 1);
    sm_gpu_labeler_free(g);
}

static void *request(void *cancel)
{
    sm_cancel_request(cancel);
    return NULL;
}

Test(labeler, cancelled_and_usable_again, .timeout = 120)
{
    const struct sm_gpu_labeler_cfg cfg = plain(8192, 8);
    struct sm_gpu_labeler *g = gpu_open(&cfg);
    const size_t count = 1 << 18; /* minutes of work, if it were not cancelled */
    uint8_t commitment[32] = {0}, *out = malloc(count * 32);
    struct sm_cancel cancel = {0};
    struct sm_errinfo ei = {0};
    pthread_t t;
    cr_assert_eq(pthread_create(&t, NULL, request, &cancel), 0);
    cr_assert_eq(sm_gpu_labeler_run(g, commitment, 0, count, &cancel, out, &ei), SM_E_CANCELLED);
    cr_assert_eq(pthread_join(t, NULL), 0);
    cr_assert_eq(sm_gpu_labeler_run(g, commitment, 0, 1, &cancel, out, &ei), SM_E_CANCELLED);
    gpu_check_range(g, 8192, 0, 9);
    sm_gpu_labeler_free(g);
    free(out);
}

static void *check_some(void *g)
{
    for (uint64_t i = 0; i < 4; i++) gpu_check_range(g, 128, 1000 * i, 21);
    return NULL;
}

Test(labeler, two_labelers_in_parallel)
{
    const struct sm_gpu_labeler_cfg cfg = plain(128, 8);
    struct sm_gpu_labeler *a = gpu_open(&cfg), *b = gpu_open(&cfg);
    pthread_t t;
    cr_assert_eq(pthread_create(&t, NULL, check_some, a), 0);
    check_some(b);
    cr_assert_eq(pthread_join(t, NULL), 0);
    sm_gpu_labeler_free(a);
    sm_gpu_labeler_free(b);
}
