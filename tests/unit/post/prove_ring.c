/* Batches on their way: a slow scanner or disk holds up nobody, and the merge sees every batch once. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "post/prove_impl.h"

#define BATCHES 300u /* many more than there are buffers */

struct fixture {
    struct sm_prove_cfg cfg;
    struct sm_prover p;
    struct sm_prove_ring r;
};

static struct fixture *setup(void)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct sm_errinfo ei = {0};
    const uint64_t labels = (uint64_t)BATCHES * 65536 - 5;
    f->p.cfg = &f->cfg;
    f->p.readers = 1;
    f->p.pass.lists.nonces = 16;
    f->p.data.disks.lanes_n = 1;
    f->p.data.layout = (struct sm_layout){.num_labels = labels, .labels_per_file = labels, .files = 1};
    cr_assert_eq(sm_prove_ring_init(&f->r, &f->p, 2, &ei), SM_OK, "%s", ei.text);
    cr_assert_lt(f->r.bufs_n, BATCHES / 2);
    return f;
}

static void teardown(struct fixture *f)
{
    sm_prove_ring_fini(&f->r);
    free(f);
}

static void read_one(struct fixture *f)
{
    struct sm_prove_slot *slot = sm_prove_ring_take_empty(&f->r, 0);
    cr_assert_not_null(slot);
    sm_prove_ring_filled(&f->r, slot, SM_OK);
}

static void scan_one(struct fixture *f)
{
    struct sm_prove_slot *slot = sm_prove_ring_take_ready(&f->r, SM_PROVE_NO_DEVICE);
    cr_assert_not_null(slot);
    sm_prove_ring_scanned(&f->r, slot);
}

Test(prove_ring, a_slow_scanner_holds_up_nobody, .timeout = 60)
{
    struct fixture *f = setup();
    read_one(f);
    struct sm_prove_slot *slow = sm_prove_ring_take_ready(&f->r, SM_PROVE_NO_DEVICE), *next = NULL;
    uint64_t label = slow->batch.next_label;
    for (unsigned i = 1; i < BATCHES; i++) {
        read_one(f); /* would wait for ever if the slow one's batch had to be merged first */
        scan_one(f);
        cr_assert_eq(sm_prove_ring_next(&f->r, &next), SM_NEXT_READY);
        cr_assert_eq(next->batch.first_label, label);
        label = next->batch.next_label;
        sm_prove_ring_merged(&f->r, next);
    }
    cr_assert_eq(label, f->p.data.layout.num_labels);
    cr_assert_null(sm_prove_ring_take_empty(&f->r, 0), "nothing more to read");
    cr_assert_eq(sm_prove_ring_next(&f->r, &next), SM_NEXT_WAIT, "the slow one is still at work");
    sm_prove_ring_scanned(&f->r, slow);
    cr_assert_eq(sm_prove_ring_next(&f->r, &next), SM_NEXT_READY);
    cr_assert_eq(next, slow);
    sm_prove_ring_merged(&f->r, next);
    cr_assert_eq(sm_prove_ring_next(&f->r, &next), SM_NEXT_END);
    teardown(f);
}

/* A disk that is behind holds up nobody either, and a failure on one lets the others read what is before it. */
Test(prove_ring, disks_are_read_side_by_side, .timeout = 60)
{
    static uint8_t lanes[4] = {0, 1, 0, 1};
    struct fixture *f = calloc(1, sizeof *f);
    struct sm_errinfo ei = {0};
    struct sm_prove_slot *next = NULL;
    f->p.cfg = &f->cfg;
    f->p.readers = 1;
    f->p.pass.lists.nonces = 16;
    f->p.data.disks = (struct sm_prove_disks){.lane_of = lanes, .lanes_n = 2};
    f->p.data.layout = (struct sm_layout){.num_labels = 400, .labels_per_file = 100, .files = 4};
    cr_assert_eq(sm_prove_ring_init(&f->r, &f->p, 2, &ei), SM_OK, "%s", ei.text);
    struct sm_prove_slot *behind = sm_prove_ring_take_empty(&f->r, 0), *bad;
    cr_assert_eq(behind->batch.first_label, 0);
    sm_prove_ring_filled(&f->r, sm_prove_ring_take_empty(&f->r, 1), SM_OK);
    scan_one(f);
    cr_assert_eq(sm_prove_ring_next(&f->r, &next), SM_NEXT_READY);
    cr_assert_eq(next->batch.first_label, 100, "it is there before the first");
    sm_prove_ring_merged(&f->r, next);
    bad = sm_prove_ring_take_empty(&f->r, 1);
    cr_assert_eq(bad->batch.first_label, 300);
    sm_prove_ring_filled(&f->r, bad, SM_E_IO);
    cr_assert_null(sm_prove_ring_take_empty(&f->r, 1));
    sm_prove_ring_filled(&f->r, behind, SM_OK);
    sm_prove_ring_filled(&f->r, sm_prove_ring_take_empty(&f->r, 0), SM_OK);
    cr_assert_null(sm_prove_ring_take_empty(&f->r, 0));
    scan_one(f);
    scan_one(f);
    static const uint64_t order[] = {0, 200, 300};
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(sm_prove_ring_next(&f->r, &next), SM_NEXT_READY);
        cr_assert_eq(next->batch.first_label, order[i]);
        cr_assert_eq(next->err, i == 2 ? SM_E_IO : SM_OK);
        sm_prove_ring_merged(&f->r, next);
    }
    cr_assert_eq(sm_prove_ring_next(&f->r, &next), SM_NEXT_END);
    teardown(f);
}

Test(prove_ring, the_oldest_batch_is_scanned_first, .timeout = 60)
{
    struct fixture *f = setup();
    struct sm_prove_slot *slot[4];
    for (unsigned i = 0; i < 4; i++) slot[i] = sm_prove_ring_take_empty(&f->r, 0);
    static const unsigned order[] = {2, 0, 3, 1}; /* readers end in any order */
    for (unsigned i = 0; i < 4; i++) sm_prove_ring_filled(&f->r, slot[order[i]], SM_OK);
    for (unsigned i = 0; i < 4; i++)
        cr_assert_eq(sm_prove_ring_take_ready(&f->r, SM_PROVE_NO_DEVICE), slot[i], "batch %u", i);
    teardown(f);
}

Test(prove_ring, after_a_failed_read_the_batches_before_it_count, .timeout = 60)
{
    struct fixture *f = setup();
    struct sm_prove_slot *next = NULL;
    read_one(f);
    sm_prove_ring_filled(&f->r, sm_prove_ring_take_empty(&f->r, 0), SM_E_IO);
    cr_assert_null(sm_prove_ring_take_empty(&f->r, 0));
    scan_one(f);
    cr_assert_eq(sm_prove_ring_next(&f->r, &next), SM_NEXT_READY);
    cr_assert_eq(next->err, SM_OK);
    sm_prove_ring_merged(&f->r, next);
    cr_assert_eq(sm_prove_ring_next(&f->r, &next), SM_NEXT_READY);
    cr_assert_eq(next->err, SM_E_IO);
    sm_prove_ring_stop(&f->r);
    cr_assert_null(sm_prove_ring_take_ready(&f->r, SM_PROVE_NO_DEVICE));
    teardown(f);
}
