/* Labels of an OpenCL device against the processor's, for every N, gap and layout, at the seams of groups, batches,
 * scratch parts, launches and 2^32. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <inttypes.h>
#include <pthread.h>

#include "gpu/plain.h"
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

/* Every kernel, gap and layout, at counts around a group and a width. Of 16 rows every third are 6: the last of them is
 * alone in its gap. */
struct shape_case {
    int kernel, gap, layout;
};

ParameterizedTestParameters(labeler, every_kernel_gap_and_layout)
{
    static struct shape_case cases[3 * 8 * 2];
    size_t n = 0;
    for (int kernel = SM_GPU_KERNEL_ITEM; kernel < SM_GPU_KERNELS_END; kernel++)
        for (int gap = 1; gap <= 8; gap++)
            for (int layout = SM_GPU_LAYOUT_ROWS; layout <= SM_GPU_LAYOUT_TABLES; layout++)
                cases[n++] = (struct shape_case){kernel, gap, layout};
    return cr_make_param_array(struct shape_case, cases, n);
}

ParameterizedTest(struct shape_case *c, labeler, every_kernel_gap_and_layout)
{
    const uint32_t wg = c->kernel == SM_GPU_KERNEL_ITEM ? 4 : 16, group = c->kernel == SM_GPU_KERNEL_FETCH ? 16 : 4;
    const struct sm_gpu_labeler_cfg cfg = {.scrypt_n = 16,
                                           .kernel = (sm_gpu_kernel)c->kernel,
                                           .lookup_gap = (uint32_t)c->gap,
                                           .wg_items = wg,
                                           .width = 32,
                                           .layout = (sm_gpu_layout)c->layout};
    struct sm_gpu_labeler *g = gpu_open(&cfg);
    cr_assert_eq(sm_gpu_labeler_width(g), 32);
    const size_t counts[] = {1, group - 1, group, group + 1, 31, 32, 33, 3 * 32 + 5};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        gpu_check_range(g, 16, (UINT64_C(1) << 32) - 17 + 100 * i, counts[i]);
    sm_gpu_labeler_free(g);
}

/* Mainnet's N and the smallest, the other layout than above, launches of a few steps. */
Test(labeler, kernels_at_extreme_n)
{
    for (sm_gpu_kernel k = SM_GPU_KERNEL_QUAD; k < SM_GPU_KERNELS_END; k++) {
        for (uint32_t n = 2; n <= 8192; n = n == 2 ? 8192 : 2 * n) {
            const struct sm_gpu_labeler_cfg cfg = {.scrypt_n = n,
                                                   .kernel = k,
                                                   .lookup_gap = 1,
                                                   .wg_items = 8,
                                                   .width = 8,
                                                   .launch_ms = 1,
                                                   .layout = SM_GPU_LAYOUT_TABLES};
            struct sm_gpu_labeler *g = gpu_open(&cfg);
            gpu_check_range(g, n, 3, 8 + 3);
            sm_gpu_labeler_free(g);
        }
    }
}

Test(labeler, several_labels_per_item)
{
    for (uint32_t interleave = 2; interleave <= 4; interleave++) {
        const struct sm_gpu_labeler_cfg cfg = {.scrypt_n = 16,
                                               .kernel = SM_GPU_KERNEL_ITEM,
                                               .interleave = interleave,
                                               .lookup_gap = interleave,
                                               .unroll = 1,
                                               .wg_items = 4,
                                               .width = 48,
                                               .layout = SM_GPU_LAYOUT_ROWS};
        struct sm_gpu_labeler *g = gpu_open(&cfg);
        cr_assert_eq(sm_gpu_labeler_width(g), 48);
        gpu_check_range(g, 16, 1, 1);
        gpu_check_range(g, 16, 7, 4 * interleave + 1);
        gpu_check_range(g, 16, 7, 2 * 48 + 9);
        sm_gpu_labeler_free(g);
    }
}

/* Hits below a threshold that some labels are below: those of the processor, each once, however many. */
struct hits {
    const uint8_t *commitment, *threshold;
    uint32_t n;
    size_t count;
};

static void check_hit(void *ctx, uint64_t index, const uint8_t label[32])
{
    struct hits *h = ctx;
    uint8_t want[32];
    cr_assert_eq(sm_scrypt_one(h->n, h->commitment, index, want, NULL), SM_OK);
    cr_assert_arr_eq(label, want, 32, "index %" PRIu64, index);
    cr_assert_lt(memcmp(label, h->threshold, 32), 0);
    h->count++;
}

Test(labeler, hits_are_those_of_the_processor)
{
    const struct sm_gpu_labeler_cfg cfg = {.scrypt_n = 2, .wg_items = 8, .width = 64};
    struct sm_gpu_labeler *g = gpu_open(&cfg);
    uint8_t commitment[32] = {9}, threshold[32] = {0}, *stored = malloc(16 * 1000);
    cr_assert_not_null(stored);
    /* none; one in 128; half; a threshold that is a label: not below itself, and decided by its last bytes */
    for (int round = 0; round < 4; round++) {
        const uint8_t first[] = {0, 2, 0x80, 0};
        threshold[0] = first[round];
        if (round == 3) cr_assert_eq(sm_scrypt_one(2, commitment, 500, threshold, NULL), SM_OK);
        size_t want = 0;
        for (uint64_t i = 0; i < 1000; i++) {
            uint8_t label[32];
            cr_assert_eq(sm_scrypt_one(2, commitment, i, label, NULL), SM_OK);
            want += memcmp(label, threshold, 32) < 0;
        }
        struct hits h = {.commitment = commitment, .threshold = threshold, .n = 2};
        struct sm_errinfo ei = {0};
        const struct sm_gpu_label_job job = {
            .commitment = commitment, .count = 1000, .threshold = threshold, .hit = check_hit, .ctx = &h};
        cr_assert_eq(sm_gpu_labeler_run(g, &job, NULL, stored, &ei), SM_OK, "%s", ei.text);
        cr_assert_eq(h.count, want, "%zu hits instead of %zu", h.count, want);
    }
    /* without a threshold nobody is asked */
    const struct sm_gpu_label_job quiet = {.commitment = commitment, .count = 100};
    cr_assert_eq(sm_gpu_labeler_run(g, &quiet, NULL, stored, NULL), SM_OK);
    free(stored);
    sm_gpu_labeler_free(g);
}

Test(labeler, a_probe_runs)
{
    for (sm_gpu_probe p = SM_GPU_PROBE_ALU; p <= SM_GPU_PROBE_MEMORY; p++) {
        const struct sm_gpu_labeler_cfg cfg = {.scrypt_n = 16, .wg_items = 4, .width = 8, .probe = p};
        struct sm_gpu_labeler *g = gpu_open(&cfg);
        cr_assert_gt(sm_gpu_labeler_rate(g), 0);
        sm_gpu_labeler_free(g);
    }
}

Test(labeler, the_baseline_computes_labels)
{
    char id[64] = "";
    gpu_first_device(id);
    struct sm_gpu_plain *g = NULL;
    struct sm_errinfo ei = {0};
    uint8_t commitment[32] = {5}, want[32], *got;
    cr_assert_eq(sm_gpu_plain_new(id, 64, 1 << 20, &g, &ei), SM_OK, "%s", ei.text);
    const uint32_t width = sm_gpu_plain_width(g);
    cr_assert_leq(width, (1 << 20) / (64 / 2 * 128));
    cr_assert_not_null(got = malloc(32 * width));
    for (uint32_t count = 1; count <= width; count = count < width ? width : width + 1) {
        const uint64_t first = (UINT64_C(1) << 32) - 2;
        cr_assert_eq(sm_gpu_plain_run(g, commitment, first, count, got, &ei), SM_OK, "%s", ei.text);
        for (uint32_t i = 0; i < count; i++) {
            cr_assert_eq(sm_scrypt_one(64, commitment, first + i, want, &ei), SM_OK);
            cr_assert_arr_eq(got + 32 * i, want, 32, "item %" PRIu32, i);
        }
    }
    cr_assert_eq(sm_gpu_plain_run(g, commitment, 0, width + 1, got, &ei), SM_E_ARG);
    cr_assert_eq(sm_gpu_plain_run(g, commitment, 0, 0, got, &ei), SM_E_ARG);
    free(got);
    sm_gpu_plain_free(g);
    cr_assert_eq(sm_gpu_plain_new(id, 8192, 1 << 12, &g, &ei), SM_E_ARG);
    sm_gpu_plain_free(NULL);
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
            cr_assert_eq(gpu_run_full(g, commitment, index, 1, NULL, got, &ei), SM_OK, "%s", ei.text);
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
    cr_assert_eq(gpu_run_full(g, commitment, 0, 16, NULL, got, &ei), SM_OK, "%s", ei.text);
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
    const uint64_t item = 1024 * 128 + 128 + 2 * (16 + 48);
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
    cr_assert_eq(open_error(&(struct sm_gpu_labeler_cfg){.scrypt_n = 2, .interleave = 5}, &ei), SM_E_ARG);
    cr_assert_eq(
        open_error(&(struct sm_gpu_labeler_cfg){.scrypt_n = 2, .interleave = 2, .kernel = SM_GPU_KERNEL_FETCH}, &ei),
        SM_E_ARG);
    cr_assert_not_null(strstr(ei.text, "\"item\""), "%s", ei.text);
    cr_assert_eq(open_error(&(struct sm_gpu_labeler_cfg){.scrypt_n = 2, .unroll = 3}, &ei), SM_E_ARG);
    cr_assert_eq(
        open_error(&(struct sm_gpu_labeler_cfg){.scrypt_n = 2, .wg_items = 6, .kernel = SM_GPU_KERNEL_QUAD}, &ei),
        SM_E_ARG);
    cr_assert_not_null(strstr(ei.text, "multiple of 4"), "%s", ei.text);
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
    cr_assert_eq(gpu_run_full(g, commitment, 0, 0, NULL, out, &ei), SM_E_ARG);
    cr_assert_eq(gpu_run_full(g, commitment, UINT64_MAX, 2, NULL, out, &ei), SM_E_ARG);
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
    cr_assert_eq(gpu_run_full(g, commitment, 0, count, &cancel, out, &ei), SM_E_CANCELLED);
    cr_assert_eq(pthread_join(t, NULL), 0);
    cr_assert_eq(gpu_run_full(g, commitment, 0, 1, &cancel, out, &ei), SM_E_CANCELLED);
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
