/* Layout arithmetic against the reference's own checks and by brute force. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "post/layout.h"

struct row {
    uint64_t labels, max_file_size, from, to;
    uint64_t want_files, want_per_file, want_to, want_last; /* labels of file want_to */
};

/* post.md §3.3: post initialization/layout_test.go and config_test.go, post-rs src/metadata.rs */
static const struct row rows[] = {
    {128 * 10, 2048, SM_LAYOUT_ALL, SM_LAYOUT_ALL, 10, 128, 9, 128},
    {128 * 10, 2000, SM_LAYOUT_ALL, SM_LAYOUT_ALL, 11, 125, 10, 30},
    {128 * 99, 4096, SM_LAYOUT_ALL, 49, 50, 256, 49, 128},
    {128 * 100, 2048, 0, SM_LAYOUT_ALL, 100, 128, 99, 128},
    {128, 10000000, SM_LAYOUT_ALL, SM_LAYOUT_ALL, 1, 625000, 0, 128},
    {100 * 77, 1024, SM_LAYOUT_ALL, SM_LAYOUT_ALL, 121, 64, 120, 20},
    {UINT64_C(4) << 32, UINT64_C(4) << 30, 3, 9, 64, UINT64_C(1) << 28, 9, UINT64_C(1) << 28},
    {UINT64_MAX, 16, 0, 5, UINT64_MAX, 1, 5, 1},
    {UINT64_MAX, UINT64_MAX, 0, 0, 17, UINT64_MAX / 16, 0, UINT64_MAX / 16},
};

Test(layout, matches_the_reference)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];
        struct sm_layout l;
        struct sm_errinfo ei = {0};
        cr_assert_eq(sm_layout_make(r->labels, r->max_file_size, r->from, r->to, &l, &ei), SM_OK, "%zu: %s", i,
                     ei.text);
        cr_assert_eq(l.files, r->want_files, "%zu: %" PRIu64, i, l.files);
        cr_assert_eq(l.labels_per_file, r->want_per_file, "%zu", i);
        cr_assert_eq(l.to, r->want_to, "%zu", i);
        cr_assert_eq(sm_layout_file_labels(&l, l.to), r->want_last, "%zu", i);
        cr_assert_eq(sm_layout_file_labels(&l, l.files), 0);
    }
}

Test(layout, no_labels_no_files)
{
    struct sm_layout l;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_layout_make(0, 2048, SM_LAYOUT_ALL, SM_LAYOUT_ALL, &l, &ei), SM_OK);
    cr_assert_eq(l.files, 0);
    cr_assert_gt(l.from, l.to);
    cr_assert_eq(sm_layout_subset_labels(&l), 0);
    cr_assert_eq(sm_layout_make(0, 2048, 0, 0, &l, &ei), SM_E_ARG);
}

Test(layout, refuses_by_naming_the_flag)
{
    struct sm_layout l;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_layout_make(1280, 2048, SM_LAYOUT_ALL, 10, &l, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "--to-file 10"), "%s", ei.text);
    cr_assert_eq(sm_layout_make(1280, 2048, 10, SM_LAYOUT_ALL, &l, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "--from-file 10"), "%s", ei.text);
    cr_assert_eq(sm_layout_make(1280, 2048, 5, 4, &l, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "--from-file 5"), "%s", ei.text);
    cr_assert_eq(sm_layout_make(1280, 15, SM_LAYOUT_ALL, SM_LAYOUT_ALL, &l, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "15 bytes"), "%s", ei.text);
}

Test(layout, files_tile_the_labels)
{
    const unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    srand(seed);
    for (int round = 0; round < 200; round++) {
        const uint64_t labels = 1 + (uint64_t)rand() % 5000, size = 16 + (uint64_t)rand() % 3000;
        struct sm_layout l, part;
        struct sm_errinfo ei = {0};
        cr_assert_eq(sm_layout_make(labels, size, SM_LAYOUT_ALL, SM_LAYOUT_ALL, &l, &ei), SM_OK);
        uint64_t next = 0;
        for (uint64_t i = 0; i < l.files; i++) {
            cr_assert_eq(sm_layout_file_first(&l, i), next, "seed %u", seed);
            cr_assert_gt(sm_layout_file_labels(&l, i), 0);
            next += sm_layout_file_labels(&l, i);
        }
        cr_assert_eq(next, labels, "seed %u", seed);
        cr_assert_eq(sm_layout_subset_labels(&l), labels);
        const uint64_t from = (uint64_t)rand() % l.files, to = from + (uint64_t)rand() % (l.files - from);
        cr_assert_eq(sm_layout_make(labels, size, from, to, &part, &ei), SM_OK);
        uint64_t sum = 0;
        for (uint64_t i = from; i <= to; i++) sum += sm_layout_file_labels(&l, i);
        cr_assert_eq(sm_layout_subset_labels(&part), sum, "seed %u", seed);
    }
}

Test(layout, names_have_no_leading_zeros)
{
    char name[64];
    cr_assert_str_eq(sm_layout_file_name(0, name), "postdata_0.bin");
    cr_assert_str_eq(sm_layout_file_name(UINT64_MAX, name), "postdata_18446744073709551615.bin");
}
