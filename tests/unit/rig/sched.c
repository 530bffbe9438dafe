/* The scheduler, driven event by event with a clock of its own: no thread, no disk. */
#include "rig/sched.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

#define RIGS  6u
#define TB    UINT64_C(1000000000000)
#define DAY_S 86400.0

/* An identity as the rig sees it, and what the scheduler told it. */
struct fake {
    struct sm_sched_id *id;
    unsigned starts, stops, grants;
    struct sm_challenge started;
    double late_eta, late_left;
    unsigned lates;
    unsigned refuse; /* starts to be refused */
};

struct world {
    struct sm_sched *s;
    struct fake f[RIGS];
    uint64_t now;
};

static sm_err on_start(void *ctx, void *owner, const struct sm_challenge *c, struct sm_errinfo *ei)
{
    (void)ctx;
    struct fake *f = owner;
    if (f->refuse) {
        f->refuse--;
        return sm_fail(ei, SM_E_NOMEM, "no thread");
    }
    f->starts++;
    f->started = *c;
    return SM_OK;
}

static void on_stop(void *ctx, void *owner)
{
    (void)ctx;
    ((struct fake *)owner)->stops++;
}

static void on_grant(void *ctx, void *owner)
{
    (void)ctx;
    ((struct fake *)owner)->grants++;
}

static void on_late(void *ctx, void *owner, double eta_s, double left_s)
{
    (void)ctx;
    struct fake *f = owner;
    f->lates++;
    f->late_eta = eta_s;
    f->late_left = left_s;
}

static const struct sm_sched_ops ops = {.start = on_start, .stop = on_stop, .grant = on_grant, .late = on_late};

static void world_make(struct world *w, unsigned scans_max)
{
    struct sm_errinfo ei = {0};
    struct sm_sched_cfg cfg = {.scans_max = scans_max};
    memcpy(cfg.retry_ns, sm_sched_retry_ns, sizeof cfg.retry_ns);
    *w = (struct world){.now = 1000 * SM_NS_PER_S};
    cr_assert_eq(sm_sched_new(&cfg, &ops, w, &w->s, &ei), SM_OK, "%s", ei.text);
}

static void add(struct world *w, unsigned i, const char *disk, const char *disk2, double window_s)
{
    struct sm_errinfo ei = {0};
    struct sm_sched_identity what = {.bytes = TB, .window_ns = (uint64_t)(window_s * 1e9)};
    (void)strcpy(what.disks.name[what.disks.n++], disk);
    if (disk2) (void)strcpy(what.disks.name[what.disks.n++], disk2);
    cr_assert_eq(sm_sched_add(w->s, &what, &w->f[i], &w->f[i].id, &ei), SM_OK, "%s", ei.text);
}

static struct sm_challenge challenge(uint8_t b)
{
    struct sm_challenge c;
    memset(c.b, b, sizeof c.b);
    return c;
}

static sm_sched_answer ask(struct world *w, unsigned i, uint8_t b, const struct sm_stored_proof **out, const char **why)
{
    const struct sm_stored_proof *p = NULL;
    const char *text = NULL;
    const struct sm_challenge c = challenge(b);
    const sm_sched_answer a = sm_sched_request(w->f[i].id, &c, w->now, out ? out : &p, why ? why : &text);
    return a;
}

static void asked(struct world *w, unsigned i, uint8_t b)
{
    cr_assert_eq(ask(w, i, b, NULL, NULL), SM_SCHED_IN_PROGRESS, "identity %u, challenge %u", i, b);
}

static void gate(struct world *w, unsigned i, sm_prove_phase phase)
{
    sm_sched_gate(w->f[i].id, phase, w->now);
}

static void finished(struct world *w, unsigned i, bool recalled)
{
    struct sm_stored_proof *p = calloc(1, sizeof *p);
    p->meta.challenge = w->f[i].started;
    p->proof.nonce = w->f[i].started.b[0];
    sm_sched_ended(w->f[i].id, &(struct sm_sched_end){.proof = p, .recalled = recalled}, w->now);
    free(p);
}

static void ended(struct world *w, unsigned i, sm_err err, const char *text)
{
    sm_sched_ended(w->f[i].id, &(struct sm_sched_end){.err = err, .text = text}, w->now);
}

static sm_sched_phase phase_of(const struct world *w, unsigned i)
{
    struct sm_sched_view v;
    sm_sched_look(w->f[i].id, w->now, &v);
    return v.phase;
}

#define assert_phase(w, i, p)                                                         \
    cr_assert_eq(phase_of((w), (i)), (p), "identity %u is %s, not %s", (unsigned)(i), \
                 sm_sched_phase_name(phase_of((w), (i))), sm_sched_phase_name(p))

static void through_k2pow(struct world *w, unsigned i)
{
    gate(w, i, SM_PROVE_K2POW);
    assert_phase(w, i, SM_SCHED_K2POW);
    gate(w, i, SM_PROVE_SCAN);
}

Test(sched, one_proof_from_request_to_delivery)
{
    struct world w;
    const struct sm_stored_proof *p = NULL;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, 0);
    assert_phase(&w, 0, SM_SCHED_IDLE);
    asked(&w, 0, 1);
    assert_phase(&w, 0, SM_SCHED_QUEUED);
    cr_assert_eq(w.f[0].starts, 1);
    asked(&w, 0, 1); /* polls start nothing */
    cr_assert_eq(w.f[0].starts, 1);
    cr_assert(sm_sched_wants_randomx(w.s));
    gate(&w, 0, SM_PROVE_K2POW);
    sm_sched_progress(w.f[0].id, &(struct sm_prove_progress){.phase = SM_PROVE_RANDOMX}, w.now);
    assert_phase(&w, 0, SM_SCHED_RANDOMX);
    sm_sched_progress(w.f[0].id, &(struct sm_prove_progress){.phase = SM_PROVE_K2POW}, w.now);
    assert_phase(&w, 0, SM_SCHED_K2POW);
    gate(&w, 0, SM_PROVE_SCAN);
    assert_phase(&w, 0, SM_SCHED_READING);
    cr_assert_not(sm_sched_wants_randomx(w.s));
    gate(&w, 0, SM_PROVE_VERIFY);
    assert_phase(&w, 0, SM_SCHED_VERIFYING);
    finished(&w, 0, false);
    assert_phase(&w, 0, SM_SCHED_DONE);
    for (int i = 0; i < 3; i++) { /* OUR-4: for ever */
        cr_assert_eq(ask(&w, 0, 1, &p, NULL), SM_SCHED_HAVE);
        cr_assert_eq(p->proof.nonce, 1);
    }
    cr_assert_not(sm_sched_all_delivered(w.s));
    const struct sm_challenge c = challenge(1), other = challenge(2);
    cr_assert_null(sm_sched_fetched(w.f[0].id, &other));
    cr_assert_not_null(sm_sched_fetched(w.f[0].id, &c));
    cr_assert_null(sm_sched_fetched(w.f[0].id, &c), "told twice");
    cr_assert(sm_sched_all_delivered(w.s));
    cr_assert_eq(sm_sched_counts(w.s).made, 1);
    cr_assert_eq(sm_sched_counts(w.s).delivered, 1);
    sm_sched_free(w.s);
}

Test(sched, two_on_one_disk_never_read_at_once)
{
    struct world w;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, 0);
    add(&w, 1, "sda", NULL, 0);
    add(&w, 2, "sdb", NULL, 0);
    for (unsigned i = 0; i < 3; i++) {
        asked(&w, i, 1);
        through_k2pow(&w, i);
    }
    assert_phase(&w, 0, SM_SCHED_READING);
    assert_phase(&w, 1, SM_SCHED_QUEUED);
    assert_phase(&w, 2, SM_SCHED_READING); /* another disk */
    struct sm_sched_view v;
    sm_sched_look(w.f[1].id, w.now, &v);
    cr_assert(strstr(v.message, "disk sda"), "%s", v.message);
    cr_assert(sm_sched_waiting(w.f[1].id));
    gate(&w, 0, SM_PROVE_VERIFY); /* the disk is free while the labels are recomputed */
    assert_phase(&w, 0, SM_SCHED_VERIFYING);
    assert_phase(&w, 1, SM_SCHED_READING);
    cr_assert_not(sm_sched_waiting(w.f[1].id));
    sm_sched_free(w.s);
}

Test(sched, k2pow_overlaps_with_the_pass_of_another_and_is_single)
{
    struct world w;
    world_make(&w, 0);
    for (unsigned i = 0; i < 3; i++) {
        add(&w, i, "sda", NULL, 0);
        asked(&w, i, 1);
    }
    through_k2pow(&w, 0);
    gate(&w, 1, SM_PROVE_K2POW);
    gate(&w, 2, SM_PROVE_K2POW);
    assert_phase(&w, 0, SM_SCHED_READING);
    assert_phase(&w, 1, SM_SCHED_K2POW);
    assert_phase(&w, 2, SM_SCHED_QUEUED);
    gate(&w, 1, SM_PROVE_SCAN);
    assert_phase(&w, 1, SM_SCHED_QUEUED);
    assert_phase(&w, 2, SM_SCHED_K2POW);
    gate(&w, 0, SM_PROVE_K2POW); /* a second pass: waits like everybody, and leaves the disk */
    assert_phase(&w, 1, SM_SCHED_READING);
    assert_phase(&w, 0, SM_SCHED_QUEUED);
    sm_sched_free(w.s);
}

Test(sched, a_set_on_two_disks_is_not_starved)
{
    struct world w;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, 0);
    add(&w, 1, "sda", "sdb", 0);
    add(&w, 2, "sdb", NULL, 0);
    for (unsigned i = 0; i < 3; i++) {
        asked(&w, i, 1);
        through_k2pow(&w, i);
    }
    assert_phase(&w, 0, SM_SCHED_READING);
    assert_phase(&w, 1, SM_SCHED_QUEUED);
    assert_phase(&w, 2, SM_SCHED_QUEUED); /* sdb is idle, but 1 comes first */
    gate(&w, 0, SM_PROVE_VERIFY);
    assert_phase(&w, 1, SM_SCHED_READING);
    assert_phase(&w, 2, SM_SCHED_QUEUED);
    gate(&w, 1, SM_PROVE_VERIFY);
    assert_phase(&w, 2, SM_SCHED_READING);
    sm_sched_free(w.s);
}

Test(sched, the_limit_of_passes_holds_over_disks)
{
    static const char *const disks[] = {"sda", "sdb", "sdc"};
    struct world w;
    world_make(&w, 2);
    for (unsigned i = 0; i < 3; i++) {
        add(&w, i, disks[i], NULL, 0);
        asked(&w, i, 1);
        through_k2pow(&w, i);
    }
    assert_phase(&w, 1, SM_SCHED_READING);
    assert_phase(&w, 2, SM_SCHED_QUEUED);
    finished(&w, 0, false);
    assert_phase(&w, 2, SM_SCHED_READING);
    sm_sched_free(w.s);
}

Test(sched, deadline_first_then_arrival)
{
    struct world w;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, 0);    /* runs first */
    add(&w, 1, "sda", NULL, 0);    /* no deadline: last */
    add(&w, 2, "sda", NULL, 7200); /* arrives before 3, later deadline */
    add(&w, 3, "sda", NULL, 3600);
    add(&w, 4, "sda", NULL, 7200); /* as 2, arrives later */
    for (unsigned i = 0; i < 5; i++) {
        asked(&w, i, 1);
        through_k2pow(&w, i);
    }
    static const unsigned order[] = {0, 3, 2, 4, 1};
    for (unsigned k = 0; k < 5; k++) {
        assert_phase(&w, order[k], SM_SCHED_READING);
        for (unsigned l = k + 1; l < 5; l++) assert_phase(&w, order[l], SM_SCHED_QUEUED);
        finished(&w, order[k], false);
    }
    sm_sched_free(w.s);
}

Test(sched, a_new_challenge_replaces_the_old_one)
{
    struct world w;
    const struct sm_stored_proof *p = NULL;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, 0);
    asked(&w, 0, 1);
    through_k2pow(&w, 0);
    asked(&w, 0, 2); /* OK without proof, at once */
    cr_assert_eq(w.f[0].stops, 1);
    cr_assert_eq(w.f[0].starts, 1, "two runs of one identity");
    asked(&w, 0, 2);
    cr_assert_eq(w.f[0].stops, 1, "stopped twice");
    ended(&w, 0, SM_E_CANCELLED, "stopped");
    cr_assert_eq(w.f[0].starts, 2);
    cr_assert_eq(w.f[0].started.b[0], 2);
    cr_assert_eq(sm_sched_counts(w.s).failed, 0);
    through_k2pow(&w, 0);
    finished(&w, 0, false);
    cr_assert_eq(ask(&w, 0, 2, &p, NULL), SM_SCHED_HAVE);
    cr_assert_eq(p->proof.nonce, 2);
    sm_sched_free(w.s);
}

/* The run was faster than the order to stop: its proof is in the store, and the new challenge starts all the same. */
Test(sched, a_proof_that_is_finished_while_it_is_replaced)
{
    struct world w;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, 0);
    asked(&w, 0, 1);
    through_k2pow(&w, 0);
    asked(&w, 0, 2);
    finished(&w, 0, false); /* of challenge 1 */
    cr_assert_eq(w.f[0].starts, 2);
    cr_assert_eq(w.f[0].started.b[0], 2);
    asked(&w, 0, 2);
    finished(&w, 0, false);
    asked(&w, 0, 1); /* back: a run finds it in the store */
    cr_assert_eq(w.f[0].starts, 3);
    finished(&w, 0, true);
    cr_assert_eq(ask(&w, 0, 1, NULL, NULL), SM_SCHED_HAVE);
    cr_assert_eq(sm_sched_counts(w.s).recalled, 1);
    sm_sched_free(w.s);
}

Test(sched, back_and_forth_while_the_run_stops)
{
    struct world w;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, 0);
    asked(&w, 0, 1);
    asked(&w, 0, 2);
    asked(&w, 0, 1); /* the run of 1 is on its way out already */
    ended(&w, 0, SM_E_CANCELLED, "stopped");
    cr_assert_eq(w.f[0].starts, 2);
    cr_assert_eq(w.f[0].started.b[0], 1);
    cr_assert_eq(sm_sched_counts(w.s).failed, 0);
    sm_sched_free(w.s);
}

Test(sched, the_zero_challenge_replaces_nothing_that_runs)
{
    struct world w;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, 0);
    asked(&w, 0, 7);
    through_k2pow(&w, 0);
    asked(&w, 0, 0);
    cr_assert_eq(w.f[0].stops, 0);
    assert_phase(&w, 0, SM_SCHED_READING);
    finished(&w, 0, false);
    asked(&w, 0, 0); /* now it may */
    cr_assert_eq(w.f[0].starts, 2);
    cr_assert_eq(ask(&w, 0, 7, NULL, NULL), SM_SCHED_HAVE, "the last proof was forgotten");
    cr_assert_eq(w.f[0].stops, 1, "nobody wants that run any more");
    ended(&w, 0, SM_E_CANCELLED, "stopped");
    cr_assert_eq(w.f[0].starts, 2);
    asked(&w, 0, 0);
    cr_assert_eq(w.f[0].starts, 3);
    asked(&w, 0, 8); /* the other way round */
    cr_assert_eq(w.f[0].stops, 2);
    sm_sched_free(w.s);
}

Test(sched, transient_failures_are_tried_again_then_told_once)
{
    struct world w;
    const char *why = NULL;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, 0);
    asked(&w, 0, 1);
    for (unsigned k = 0; k < SM_SCHED_RETRIES; k++) {
        through_k2pow(&w, 0);
        ended(&w, 0, SM_E_IO, "postdata_3.bin: Input/output error");
        asked(&w, 0, 1);
        assert_phase(&w, 0, SM_SCHED_QUEUED);
        cr_assert_eq(w.f[0].starts, k + 1);
        cr_assert_eq(sm_sched_next_ns(w.s), w.now + sm_sched_retry_ns[k]);
        w.now += sm_sched_retry_ns[k] - 1;
        sm_sched_tick(w.s, w.now);
        cr_assert_eq(w.f[0].starts, k + 1, "retried too early");
        w.now += 1;
        sm_sched_tick(w.s, w.now);
        cr_assert_eq(w.f[0].starts, k + 2);
    }
    ended(&w, 0, SM_E_IO, "postdata_3.bin: Input/output error");
    assert_phase(&w, 0, SM_SCHED_FAILED);
    cr_assert_eq(sm_sched_next_ns(w.s), SM_SCHED_NEVER);
    cr_assert_eq(ask(&w, 0, 1, NULL, &why), SM_SCHED_ERROR);
    cr_assert(strstr(why, "postdata_3.bin"), "%s", why);
    assert_phase(&w, 0, SM_SCHED_IDLE);
    asked(&w, 0, 1); /* OUR-7: not for ever */
    cr_assert_eq(w.f[0].starts, SM_SCHED_RETRIES + 2);
    cr_assert_eq(sm_sched_counts(w.s).failed, 1);
    cr_assert_eq(sm_sched_counts(w.s).retried, SM_SCHED_RETRIES);
    sm_sched_free(w.s);
}

Test(sched, what_cannot_pass_is_told_at_once)
{
    static const sm_err errs[] = {SM_E_MISMATCH, SM_E_FORMAT, SM_E_NOTFOUND, SM_E_ARG};
    for (unsigned k = 0; k < sizeof errs / sizeof errs[0]; k++) {
        struct world w;
        world_make(&w, 0);
        add(&w, 0, "sda", NULL, 0);
        asked(&w, 0, 1);
        ended(&w, 0, errs[k], "broken");
        cr_assert_eq(ask(&w, 0, 1, NULL, NULL), SM_SCHED_ERROR, "%s", sm_err_name(errs[k]));
        sm_sched_free(w.s);
    }
}

Test(sched, a_thread_that_cannot_start_is_a_transient_failure)
{
    struct world w;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, 0);
    w.f[0].refuse = 1;
    asked(&w, 0, 1);
    cr_assert_eq(w.f[0].starts, 0);
    w.now = sm_sched_next_ns(w.s);
    cr_assert_neq(w.now, SM_SCHED_NEVER);
    sm_sched_tick(w.s, w.now);
    cr_assert_eq(w.f[0].starts, 1);
    sm_sched_free(w.s);
}

Test(sched, a_failure_frees_what_the_run_held)
{
    struct world w;
    world_make(&w, 0);
    for (unsigned i = 0; i < 2; i++) {
        add(&w, i, "sda", NULL, 0);
        asked(&w, i, 1);
        through_k2pow(&w, i);
    }
    ended(&w, 0, SM_E_IO, "gone");
    assert_phase(&w, 1, SM_SCHED_READING);
    sm_sched_free(w.s);
}

Test(sched, pause_and_resume)
{
    struct world w;
    world_make(&w, 0);
    for (unsigned i = 0; i < 2; i++) {
        add(&w, i, "sda", NULL, 0);
        asked(&w, i, 1);
        through_k2pow(&w, i);
    }
    sm_sched_pause(w.f[0].id);
    cr_assert_eq(w.f[0].stops, 1);
    assert_phase(&w, 1, SM_SCHED_QUEUED); /* until the run of 0 has really left the disk */
    ended(&w, 0, SM_E_CANCELLED, "stopped");
    assert_phase(&w, 1, SM_SCHED_READING);
    asked(&w, 0, 1);
    asked(&w, 0, 2); /* remembered, not started */
    cr_assert_eq(w.f[0].starts, 1);
    sm_sched_resume(w.f[0].id, w.now);
    cr_assert_eq(w.f[0].starts, 2);
    cr_assert_eq(w.f[0].started.b[0], 2);
    sm_sched_pause(w.f[0].id);
    sm_sched_resume(w.f[0].id, w.now); /* before the run noticed */
    ended(&w, 0, SM_E_CANCELLED, "stopped");
    cr_assert_eq(w.f[0].starts, 3);
    cr_assert_eq(sm_sched_counts(w.s).failed, 0);
    sm_sched_free(w.s);
}

Test(sched, cancel_tells_the_node_once)
{
    struct world w;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, 0);
    cr_assert_not(sm_sched_cancel(w.f[0].id), "there was nothing to cancel");
    asked(&w, 0, 1);
    through_k2pow(&w, 0);
    cr_assert(sm_sched_cancel(w.f[0].id));
    asked(&w, 0, 1);
    ended(&w, 0, SM_E_CANCELLED, "stopped");
    cr_assert_eq(ask(&w, 0, 1, NULL, NULL), SM_SCHED_ERROR);
    asked(&w, 0, 1);
    cr_assert_eq(w.f[0].starts, 2);
    finished(&w, 0, false);
    cr_assert_not(sm_sched_cancel(w.f[0].id), "a finished proof is kept");
    sm_sched_free(w.s);
}

Test(sched, a_cancelled_challenge_that_is_replaced_is_no_failure)
{
    struct world w;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, 0);
    asked(&w, 0, 1);
    cr_assert(sm_sched_cancel(w.f[0].id));
    asked(&w, 0, 2);
    ended(&w, 0, SM_E_CANCELLED, "stopped");
    cr_assert_eq(w.f[0].started.b[0], 2);
    asked(&w, 0, 2);
    sm_sched_free(w.s);
}

Test(sched, shutdown_stops_everything_and_starts_nothing)
{
    struct world w;
    world_make(&w, 0);
    for (unsigned i = 0; i < 3; i++) {
        add(&w, i, "sda", NULL, 0);
        asked(&w, i, 1);
    }
    through_k2pow(&w, 0);
    gate(&w, 1, SM_PROVE_K2POW);
    sm_sched_shutdown(w.s);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(w.f[i].stops, 1);
        ended(&w, i, SM_E_CANCELLED, "stopped");
        cr_assert_eq(w.f[i].starts, 1);
        cr_assert_not(sm_sched_running(w.f[i].id));
        asked(&w, i, 1); /* a last poll gets no error */
    }
    cr_assert_eq(sm_sched_counts(w.s).failed, 0);
    sm_sched_free(w.s);
}

static void reads(struct world *w, unsigned i, uint64_t bytes)
{
    sm_sched_progress(w->f[i].id,
                      &(struct sm_prove_progress){.phase = SM_PROVE_SCAN, .bytes_done = bytes, .bytes_total = TB},
                      w->now);
}

Test(sched, estimates_and_warns_before_the_deadline)
{
    struct world w;
    struct sm_sched_view v;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, DAY_S);
    add(&w, 1, "sda", NULL, 2 * DAY_S);
    for (unsigned i = 0; i < 2; i++) {
        asked(&w, i, 1);
        through_k2pow(&w, i);
    }
    sm_sched_look(w.f[0].id, w.now, &v);
    cr_assert_lt(v.eta_s, 0, "nothing was measured");
    cr_assert_eq(v.deadline_ns, w.now + (uint64_t)(DAY_S * 1e9));
    reads(&w, 0, 0);
    w.now += 100 * SM_NS_PER_S;
    reads(&w, 0, TB / 100); /* 100 MB/s: 10 000 s for the whole */
    sm_sched_look(w.f[0].id, w.now, &v);
    cr_assert_float_eq(v.eta_s, 9900, 1);
    sm_sched_look(w.f[1].id, w.now, &v);
    cr_assert_float_eq(v.eta_s, 19900, 1, "%f: what is ahead on the disk counts", v.eta_s);
    sm_sched_tick(w.s, w.now);
    cr_assert_eq(w.f[0].lates, 0);
    /* the disk gets slow: 1 MB/s */
    w.now += 4000 * SM_NS_PER_S;
    reads(&w, 0, TB / 100 + 4000000000);
    w.now += 4000 * SM_NS_PER_S;
    reads(&w, 0, TB / 100 + 8000000000);
    sm_sched_tick(w.s, w.now);
    cr_assert_eq(w.f[0].lates, 1);
    cr_assert_gt(w.f[0].late_eta, w.f[0].late_left);
    cr_assert_gt(w.f[0].late_left, 0, "told after the deadline");
    cr_assert_eq(w.f[1].lates, 1, "and who waits behind is told too");
    sm_sched_tick(w.s, w.now);
    cr_assert_eq(w.f[0].lates, 1, "told twice");
    sm_sched_free(w.s);
}

static void hashes(struct world *w, unsigned i, uint32_t groups_done, uint64_t n)
{
    const struct sm_prove_progress p = {
        .phase = SM_PROVE_K2POW, .groups_done = groups_done, .groups_total = 4, .hashes = n, .expected_hashes = 1000};
    sm_sched_progress(w->f[i].id, &p, w->now);
}

static double eta(const struct world *w, unsigned i)
{
    struct sm_sched_view v;
    sm_sched_look(w->f[i].id, w->now, &v);
    return v.eta_s;
}

static void change(struct world *w, unsigned i, const char *disk, double k2pow)
{
    struct sm_sched_identity what = {.bytes = TB, .hashes = k2pow, .window_ns = (uint64_t)(DAY_S * 1e9)};
    (void)strcpy(what.disks.name[what.disks.n++], disk);
    sm_sched_change(w->f[i].id, &what);
}

static uint64_t deadline(const struct world *w, unsigned i)
{
    struct sm_sched_view v;
    sm_sched_look(w->f[i].id, w->now, &v);
    return v.deadline_ns;
}

/* The time a proof may take is counted from the first question for its challenge. */
Test(sched, the_deadline_survives_failures_and_restarts)
{
    struct world w;
    struct sm_errinfo ei = {0};
    const char *why = NULL;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, DAY_S);
    const uint64_t until = w.now + (uint64_t)(DAY_S * 1e9);
    asked(&w, 0, 7);
    cr_assert_eq(deadline(&w, 0), until);
    w.now += 3600 * SM_NS_PER_S;
    ended(&w, 0, SM_E_FORMAT, "x");
    cr_assert_eq(ask(&w, 0, 7, NULL, &why), SM_SCHED_ERROR);
    w.now += 300 * SM_NS_PER_S;
    asked(&w, 0, 7); /* the node's next try */
    cr_assert_eq(deadline(&w, 0), until);
    asked(&w, 0, 8);
    cr_assert_eq(deadline(&w, 0), w.now + (uint64_t)(DAY_S * 1e9));

    struct sm_sched_identity what = {.bytes = TB,
                                     .window_ns = (uint64_t)(DAY_S * 1e9),
                                     .was_asked = true,
                                     .asked_for = challenge(7),
                                     .asked_ns = -INT64_C(1000000000)}; /* the machine was started since */
    cr_assert_eq(sm_sched_add(w.s, &what, &w.f[1], &w.f[1].id, &ei), SM_OK);
    asked(&w, 1, 7);
    cr_assert_eq(deadline(&w, 1), (uint64_t)(DAY_S * 1e9) - SM_NS_PER_S);
    what.was_asked = false; /* a change of the configuration does not know */
    sm_sched_change(w.f[1].id, &what);
    asked(&w, 1, 8);
    asked(&w, 1, 7);
    cr_assert_geq(deadline(&w, 1), w.now);
    sm_sched_free(w.s);
}

/* Four wait in a row: for the processors, then for two disks. The last one is told long before its turn. */
Test(sched, estimates_of_a_queue)
{
    struct world w;
    static const char *const disks[] = {"sda", "sda", "sdb", "sdb"};
    world_make(&w, 0);
    for (unsigned i = 0; i < 4; i++) {
        add(&w, i, disks[i], NULL, DAY_S);
        change(&w, i, disks[i], 4000);
        w.now += SM_NS_PER_S;
        asked(&w, i, 1);
        gate(&w, i, SM_PROVE_K2POW);
        cr_assert_lt(eta(&w, i), 0, "nothing was measured");
    }
    hashes(&w, 0, 1, 0); /* one group was kept from another time, and says nothing about speed */
    w.now += 100 * SM_NS_PER_S;
    hashes(&w, 0, 1, 500); /* 5 a second: 500 s for its rest, 800 s for everybody else's */
    cr_assert_lt(eta(&w, 0), 0, "no disk was measured");
    w.now += 500 * SM_NS_PER_S;
    hashes(&w, 0, 2, 0);
    hashes(&w, 0, 4, 0);
    gate(&w, 0, SM_PROVE_SCAN);
    reads(&w, 0, 0);
    w.now += 100 * SM_NS_PER_S;
    reads(&w, 0, TB / 100); /* 100 MB/s: 10 000 s for each */
    cr_assert_float_eq(eta(&w, 0), 9900, 1);
    cr_assert_float_eq(eta(&w, 1), 19900, 1, "%f: behind the first on its disk", eta(&w, 1));
    const double second = eta(&w, 2), third = eta(&w, 3);
    cr_assert_gt(second, 10000);
    cr_assert_float_eq(third - second, 10000, 1, "%f: one after the other on the second disk", third - second);
    /* A slower disk: only those behind it are late, though neither of them has begun. */
    for (unsigned k = 0; k < 20; k++) {
        w.now += 500 * SM_NS_PER_S;
        reads(&w, 0, TB / 100 + (k + 1) * 5 * UINT64_C(1000000000)); /* 10 MB/s */
    }
    sm_sched_tick(w.s, w.now);
    for (unsigned i = 0; i < 4; i++) cr_assert_eq(w.f[i].lates, i != 0 || eta(&w, 0) > w.f[0].late_left, "%u", i);
    cr_assert_eq(w.f[1].lates, 1);
    cr_assert_gt(w.f[1].late_left, DAY_S / 2, "in time");
    sm_sched_free(w.s);
}

/* Workers on other machines tell no hashes; what they have finished says how fast they are. */
Test(sched, estimates_with_workers_elsewhere)
{
    struct world w;
    world_make(&w, 0);
    add(&w, 0, "sda", NULL, DAY_S);
    asked(&w, 0, 1);
    gate(&w, 0, SM_PROVE_K2POW);
    struct sm_prove_progress p = {
        .phase = SM_PROVE_K2POW, .groups_total = 18, .groups_done = 6, .expected_hashes = 1000};
    sm_sched_progress(w.f[0].id, &p, w.now); /* six were kept from another time */
    for (unsigned k = 0; k < 6; k++) {
        struct sm_sched_view v;
        w.now += 100 * SM_NS_PER_S;
        p.groups_done++;
        p.groups_remote++;
        sm_sched_progress(w.f[0].id, &p, w.now);
        sm_sched_look(w.f[0].id, w.now, &v);
        cr_assert_float_eq(v.hashes.rate[2], 10, 0.01, "%f", v.hashes.rate[2]);
    }
    gate(&w, 0, SM_PROVE_SCAN);
    reads(&w, 0, 0);
    w.now += 100 * SM_NS_PER_S;
    reads(&w, 0, TB / 100);
    gate(&w, 0, SM_PROVE_K2POW); /* the next pass */
    p.groups_done = p.groups_remote = 0;
    sm_sched_progress(w.f[0].id, &p, w.now);
    cr_assert_float_eq(eta(&w, 0), 1800 + 10000, 10, "%f", eta(&w, 0));
    sm_sched_free(w.s);
}

/* Random events over five identities and three disks; after each one the rules hold. */
Test(sched, invariants_under_random_events)
{
    static const char *const disks[] = {"sda", "sdb", "sdc"};
    const unsigned seed = 20240611;
    (void)fprintf(stderr, "seed %u\n", seed);
    srand(seed);
    struct world w;
    world_make(&w, 0);
    for (unsigned i = 0; i < 5; i++) add(&w, i, disks[i % 3], i == 4 ? disks[2] : NULL, i * 100.0);
    for (unsigned step = 0; step < 20000; step++) {
        const unsigned i = (unsigned)rand() % 5;
        struct sm_sched_id *id = w.f[i].id;
        const bool running = sm_sched_running(id), waiting = sm_sched_waiting(id);
        w.now += (uint64_t)rand() % SM_NS_PER_S;
        switch (rand() % 9) {
        case 0:
        case 1:
            (void)ask(&w, i, (uint8_t)(rand() % 3), NULL, NULL);
            break;
        case 2:
            if (running && !waiting) gate(&w, i, SM_PROVE_K2POW);
            break;
        case 3:
            if (running && !waiting) gate(&w, i, SM_PROVE_SCAN);
            break;
        case 4:
            if (running && !waiting) gate(&w, i, SM_PROVE_VERIFY);
            break;
        case 5:
            if (running && !waiting) finished(&w, i, false);
            break;
        case 6:
            if (running) ended(&w, i, rand() % 2 ? SM_E_IO : SM_E_CANCELLED, "x");
            break;
        case 7:
            if (rand() % 2) sm_sched_pause(id);
            sm_sched_resume(id, w.now);
            break;
        default:
            sm_sched_tick(w.s, w.now);
        }
        unsigned k2pow = 0, readers[3] = {0};
        for (unsigned k = 0; k < 5; k++) {
            const sm_sched_phase p = phase_of(&w, k);
            k2pow += p == SM_SCHED_K2POW || p == SM_SCHED_RANDOMX;
            if (p != SM_SCHED_READING) continue;
            readers[k % 3]++;
            readers[2] += k == 4;
        }
        cr_assert_leq(k2pow, 1, "step %u", step);
        for (unsigned d = 0; d < 3; d++) cr_assert_leq(readers[d], 1, "step %u: disk %s", step, disks[d]);
    }
    sm_sched_free(w.s);
}
