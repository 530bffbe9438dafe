/* Several disks: every label is read once, and what was found in any order comes out in the order of the labels. */
#include "post/prove_lanes.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

Test(prove_lanes, disks_in_the_order_of_their_first_file)
{
    struct sm_prove_disks d;
    static const uint64_t devices[] = {7, 7, 3, 9, 7, 3};
    static const uint8_t lanes[] = {0, 0, 1, 2, 0, 1};
    cr_assert_eq(sm_prove_disks_init(&d, devices, 6, NULL), SM_OK);
    cr_assert_eq(d.lanes_n, 3);
    cr_assert_arr_eq(d.lane_of, lanes, 6);
    sm_prove_disks_fini(&d);

    uint64_t many[200];
    for (uint64_t i = 0; i < 200; i++) many[i] = i % 50;
    cr_assert_eq(sm_prove_disks_init(&d, many, 200, NULL), SM_OK);
    cr_assert_eq(d.lanes_n, SM_PROVE_LANES_MAX);
    for (size_t i = 0; i < 200; i++) cr_assert_lt(d.lane_of[i], SM_PROVE_LANES_MAX);
    sm_prove_disks_fini(&d);
    cr_assert_eq(sm_prove_disks_init(&d, NULL, 0, NULL), SM_OK);
    cr_assert_eq(d.lanes_n, 1);
    sm_prove_disks_fini(&d);
}

/* ---- random data sets, disks and speeds ---- */

static unsigned below(unsigned n)
{
    return (unsigned)rand() % n;
}

struct world {
    struct sm_layout layout;
    struct sm_prove_disks disks;
    struct sm_prove_lanes lanes;
    struct sm_prove_parked parked;
    bool whole_chunks;
    uint64_t start, next;          /* where the merge is */
    uint64_t expected;             /* label that comes next, of those that take part */
    struct sm_prove_batch busy[8]; /* being scanned */
    unsigned busy_n;
};

static void world_make(struct world *w)
{
    uint64_t devices[64];
    *w = (struct world){.whole_chunks = below(2)};
    const uint64_t per_file = 8 + below(40), labels = 1 + below(400);
    cr_assert_eq(sm_layout_make(labels, per_file * 16, SM_LAYOUT_ALL, SM_LAYOUT_ALL, &w->layout, NULL), SM_OK);
    for (uint64_t i = 0; i < w->layout.files; i++) devices[i] = below(5);
    cr_assert_eq(sm_prove_disks_init(&w->disks, devices, w->layout.files, NULL), SM_OK);
}

static uint64_t taking_part(const struct world *w, uint64_t label)
{
    for (; label < w->layout.num_labels; label++) {
        const uint64_t file = label / w->layout.labels_per_file, n = sm_layout_file_labels(&w->layout, file);
        if (label % w->layout.labels_per_file < (w->whole_chunks ? n - n % 8 : n)) break;
    }
    return label;
}

static void take(struct world *w, uint64_t label)
{
    cr_assert_eq(label, w->expected, "%" PRIu64 " instead of %" PRIu64, label, w->expected);
    w->expected = taking_part(w, label + 1);
}

/* Every label of a batch is a hit here. */
static void merge_or_park(struct world *w, const struct sm_prove_batch *b)
{
    struct sm_scan_hit hits[64];
    cr_assert_leq(b->labels, 64);
    cr_assert_eq(b->first_label, sm_layout_file_first(&w->layout, b->file) + b->offset / 16);
    for (size_t i = 0; i < b->labels; i++) hits[i] = (struct sm_scan_hit){.label = (uint32_t)i, .nonce = 3};
    if (b->first_label == w->next) {
        for (size_t i = 0; i < b->labels; i++) take(w, b->first_label + i);
        w->next = b->next_label;
    } else {
        cr_assert_eq(sm_prove_park(&w->parked, b, hits, b->labels, NULL), SM_OK);
    }
    for (struct sm_prove_run *r; (r = sm_prove_unpark(&w->parked, w->next));) {
        for (size_t i = 0; i < r->hits_n; i++) {
            cr_assert_eq(r->hits[i].nonce, 3);
            take(w, r->hits[i].label);
        }
        w->next = r->next;
        sm_prove_run_free(r);
    }
}

static void run_to_the_end(struct world *w)
{
    for (;;) {
        const unsigned lane = below(w->disks.lanes_n);
        const bool room = w->busy_n < 8;
        if (room && sm_prove_lanes_cut(&w->lanes, lane, 1 + below(20), &w->busy[w->busy_n])) {
            cr_assert_eq(w->disks.lane_of[w->busy[w->busy_n].file], lane);
            w->busy_n++;
        } else if (w->busy_n) {
            const unsigned i = below(w->busy_n);
            const struct sm_prove_batch b = w->busy[i];
            w->busy[i] = w->busy[--w->busy_n];
            merge_or_park(w, &b);
        } else if (sm_prove_lanes_end(&w->lanes)) {
            return;
        }
    }
}

Test(prove_lanes, any_order_comes_out_in_order)
{
    const unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    srand(seed);
    for (int round = 0; round < 3000; round++) {
        struct world w;
        world_make(&w);
        w.start = taking_part(&w, below((unsigned)w.layout.num_labels + 1));
        w.next = w.expected = w.start;
        sm_prove_lanes_seek(&w.lanes, &w.disks, &w.layout, w.whole_chunks, w.start);
        run_to_the_end(&w);
        cr_assert_eq(w.next, w.layout.num_labels, "seed %u", seed);
        cr_assert_eq(w.expected, w.layout.num_labels, "seed %u", seed);
        cr_assert(w.parked.head == NULL && w.parked.tail == NULL && w.parked.labels == 0);
        sm_prove_disks_fini(&w.disks);
    }
}

/* Whatever the others have read, everything before the label at which one failed is merged. */
Test(prove_lanes, a_limit_is_reached_in_order)
{
    const unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    srand(seed);
    for (int round = 0; round < 1000; round++) {
        struct world w;
        world_make(&w);
        w.next = w.expected = w.start = taking_part(&w, 0);
        sm_prove_lanes_seek(&w.lanes, &w.disks, &w.layout, w.whole_chunks, w.start);
        struct sm_prove_batch failed;
        if (sm_prove_lanes_cut(&w.lanes, below(w.disks.lanes_n), 5, &failed)) {
            sm_prove_lanes_stop_at(&w.lanes, failed.first_label);
            sm_prove_lanes_stop_at(&w.lanes, failed.first_label + 1);
            run_to_the_end(&w);
            cr_assert_eq(w.next, failed.first_label, "seed %u", seed);
        }
        sm_prove_parked_fini(&w.parked);
        sm_prove_disks_fini(&w.disks);
    }
}
