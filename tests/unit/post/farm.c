/* The farm: order, window, quarantine, fallback, cancel; with engines made for the test. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "post/label.h"
#include "util/clock.h"
#include "util/log.h"

#define N 2u /* scrypt N of all tests here */

/* ---- engines ---- */

struct gate { /* opens when enough calls have finished elsewhere */
    pthread_mutex_t mu;
    pthread_cond_t cv;
    unsigned finished, wanted;
};

struct fake {
    unsigned wrong_from; /* calls from this one on give a wrong label; 0: never */
    unsigned fail_from;  /* calls from this one on fail with `fail_err` */
    sm_err fail_err;
    bool wrong_last; /* the wrong label is the last of the chunk; else it is the smallest offered for the nonce */
    bool hide_best, invent_best;
    bool until_cancel;                   /* computes nothing, waits for the cancel flag */
    struct gate *enters, *waits, *opens; /* counts at the start; waits; counts at the end */
    atomic_uint *called;                 /* set from inside compute */
    uint64_t works_ns;                   /* at least */
    unsigned calls;
};

static void gate_pass(struct gate *g)
{
    pthread_mutex_lock(&g->mu);
    while (g->finished < g->wanted) pthread_cond_wait(&g->cv, &g->mu);
    pthread_mutex_unlock(&g->mu);
}

static void gate_count(struct gate *g)
{
    pthread_mutex_lock(&g->mu);
    g->finished++;
    pthread_cond_broadcast(&g->cv);
    pthread_mutex_unlock(&g->mu);
}

static sm_err fake_compute(void *self, const struct sm_label_job *job, struct sm_label_range range,
                           const struct sm_cancel *cancel, uint8_t *labels, struct sm_vrf_best *best,
                           struct sm_errinfo *ei)
{
    struct fake *f = self;
    f->calls++;
    if (f->called) atomic_fetch_add(f->called, 1);
    while (f->until_cancel && !sm_cancelled(cancel)) sm_clock_sleep_ns(100000);
    if (f->until_cancel) return sm_fail(ei, SM_E_CANCELLED, "cancelled");
    if (f->works_ns) sm_clock_sleep_ns(f->works_ns);
    if (f->enters) gate_count(f->enters);
    if (f->waits) gate_pass(f->waits);
    if (f->fail_from && f->calls >= f->fail_from) return sm_fail(ei, f->fail_err, "made to fail at call %u", f->calls);
    for (uint64_t i = 0; i < range.count; i++) {
        uint8_t label[32];
        sm_err err = sm_scrypt_one(job->scrypt_n, job->commitment.b, range.first + i, label, ei);
        if (err) return err;
        memcpy(labels + 16 * i, label, 16);
        if (job->vrf_difficulty) sm_vrf_best_offer(best, job->vrf_difficulty, range.first + i, label);
    }
    if (f->wrong_from && f->calls >= f->wrong_from) {
        const uint64_t at = f->wrong_last ? range.count - 1 : range.count / 2;
        memset(labels + 16 * at, f->wrong_last ? 0xee : 0x00, 16);
    }
    if (f->hide_best) best->found = false;
    if (f->invent_best) *best = (struct sm_vrf_best){.found = true, .index = range.first};
    if (f->opens) gate_count(f->opens);
    return SM_OK;
}

static void fake_free(void *self)
{
    free(self);
}

static const struct sm_label_engine_ops fake_ops = {fake_compute, fake_free};

static struct sm_label_engine fake(struct fake f, const char *name, uint64_t chunk, bool trusted)
{
    struct fake *self = malloc(sizeof *self);
    *self = f;
    struct sm_label_engine e = {.ops = &fake_ops, .self = self, .chunk = chunk, .trusted = trusted};
    (void)strncpy(e.device, name, sizeof e.device - 1);
    (void)strncpy(e.variant, "fake", sizeof e.variant - 1);
    return e;
}

/* ---- sink: checks order and content ---- */

struct check {
    const struct sm_label_job *job;
    const struct sm_label_range *ranges;
    size_t range;
    uint64_t at; /* within ranges[range] */
    uint64_t labels;
    struct sm_vrf_best best;
    uint64_t fail_after; /* labels; 0: never */
    sm_err fail_with;
    uint64_t cancel_after; /* labels; 0: never */
    struct sm_cancel *cancel;
    bool failed;
};

static sm_err check_sink(void *ctx, struct sm_label_range r, const uint8_t *labels, const struct sm_vrf_best *best,
                         struct sm_errinfo *ei)
{
    struct check *c = ctx;
    cr_assert(!c->failed, "called again after a failure");
    while (c->at == c->ranges[c->range].count) {
        c->range++;
        c->at = 0;
    }
    cr_assert_eq(r.first, c->ranges[c->range].first + c->at, "gap or duplicate at %llu", (unsigned long long)r.first);
    cr_assert(r.count > 0 && r.count <= c->ranges[c->range].count - c->at, "chunk crosses its range");
    for (uint64_t i = 0; i < r.count; i++) {
        uint8_t want[32];
        cr_assert_eq(sm_scrypt_one(N, c->job->commitment.b, r.first + i, want, ei), SM_OK);
        cr_assert_arr_eq(labels + 16 * i, want, 16, "label %llu", (unsigned long long)(r.first + i));
    }
    c->at += r.count;
    c->labels += r.count;
    sm_vrf_best_merge(&c->best, best);
    if (c->cancel_after && c->labels >= c->cancel_after) sm_cancel_request(c->cancel);
    if (c->fail_after && c->labels >= c->fail_after) {
        c->failed = true;
        return sm_fail(ei, c->fail_with, "the sink is full");
    }
    return SM_OK;
}

static const struct sm_label_range plain[] = {{5, 100}, {200, 0}, {300, 333}, {(UINT64_C(1) << 33) - 7, 20}};
#define PLAIN_N      (sizeof plain / sizeof plain[0])
#define PLAIN_LABELS 453u

static struct sm_label_farm *farm(struct sm_label_engine *e, size_t n, uint64_t cap)
{
    struct sm_label_farm *f = NULL;
    struct sm_errinfo ei = {0};
    const struct sm_label_farm_cfg cfg = {.engines = e, .engines_n = n, .memory_cap_bytes = cap};
    cr_assert_eq(sm_label_farm_new(&cfg, &f, &ei), SM_OK, "%s", ei.text);
    return f;
}

/* The smallest label of `plain`, by brute force. */
static struct sm_vrf_best plain_best(const uint8_t difficulty[32])
{
    struct sm_vrf_best best = {0};
    const struct sm_label_job job = {0};
    for (size_t r = 0; r < PLAIN_N; r++)
        for (uint64_t i = 0; i < plain[r].count; i++) {
            uint8_t label[32];
            cr_assert_eq(sm_scrypt_one(N, job.commitment.b, plain[r].first + i, label, NULL), SM_OK);
            sm_vrf_best_offer(&best, difficulty, plain[r].first + i, label);
        }
    return best;
}

static const uint8_t easy[32] = {0x10};

/* Runs `plain` and checks everything delivered. */
static sm_err run_plain(struct sm_label_farm *f, const char **out_text)
{
    static struct sm_errinfo ei;
    const struct sm_label_job job = {.scrypt_n = N, .vrf_difficulty = easy};
    struct check c = {.job = &job, .ranges = plain};
    const sm_err err = sm_label_farm_run(f, &job, plain, PLAIN_N, NULL, check_sink, &c, &ei);
    if (out_text) *out_text = ei.text;
    if (err) return err;
    cr_assert_eq(c.labels, PLAIN_LABELS);
    const struct sm_vrf_best want = plain_best(easy);
    cr_assert(c.best.found == want.found && c.best.index == want.index);
    cr_assert_arr_eq(c.best.label, want.label, 32);
    return SM_OK;
}

static struct sm_label_engine_stats stats_of(struct sm_label_farm *f, const char *device)
{
    struct sm_label_engine_stats s[16];
    const size_t n = sm_label_farm_stats(f, s, 16);
    for (size_t i = 0; i < n; i++)
        if (strcmp(s[i].device, device) == 0) return s[i];
    cr_assert(false, "no engine %s", device);
    return s[0];
}

/* Of all engines of a device: the CPU has one per processor. */
static uint64_t labels_of(struct sm_label_farm *f, const char *device)
{
    struct sm_label_engine_stats s[256];
    const size_t n = sm_label_farm_stats(f, s, 256);
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        if (strcmp(s[i].device, device) == 0) sum += s[i].labels;
    return sum;
}

static char seen[16][512]; /* log lines */
static size_t seen_n;

static void see(void *ctx, sm_log_level level, const char *line)
{
    (void)ctx, (void)level;
    if (seen_n < 16) (void)strncpy(seen[seen_n++], line, sizeof seen[0] - 1);
}

static bool logged(const char *part)
{
    for (size_t i = 0; i < seen_n; i++)
        if (strstr(seen[i], part)) return true;
    return false;
}

/* ---- order and window ---- */

Test(farm, needs_an_engine)
{
    struct sm_label_farm *f = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_label_farm_new(&(struct sm_label_farm_cfg){0}, &f, &ei), SM_E_ARG);
    cr_assert_null(f);
}

Test(farm, delivers_in_order_for_any_chunks_and_windows)
{
    static const uint64_t chunks[] = {1, 7, 64, 1000};
    static const uint64_t caps[] = {1, 16, 16 * 10, 16 * 100, 0};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 5; j++) {
            struct sm_label_engine e[3] = {fake((struct fake){0}, "a", chunks[i], true),
                                           fake((struct fake){0}, "b", chunks[i] * 3, true),
                                           fake((struct fake){0}, "c", 0, false)};
            struct sm_label_farm *f = farm(e, 3, caps[j]);
            const char *text;
            cr_assert_eq(run_plain(f, &text), SM_OK, "chunk %zu cap %zu: %s", i, j, text);
            cr_assert_eq(run_plain(f, &text), SM_OK, "a farm runs again: %s", text);
            uint64_t labels = 0;
            struct sm_label_engine_stats s[3];
            cr_assert_eq(sm_label_farm_stats(f, s, 3), 3);
            for (int k = 0; k < 3; k++) labels += s[k].labels;
            cr_assert_eq(labels, 2 * PLAIN_LABELS);
            sm_label_farm_free(f);
        }
}

Test(farm, nothing_to_do_touches_no_engine)
{
    struct sm_label_engine e[1] = {fake((struct fake){.fail_from = 1, .fail_err = SM_E_DEVICE}, "x", 8, true)};
    struct sm_label_farm *f = farm(e, 1, 0);
    const struct sm_label_job job = {.scrypt_n = N};
    const struct sm_label_range none[] = {{7, 0}, {9, 0}};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_label_farm_run(f, &job, none, 2, NULL, check_sink, NULL, &ei), SM_OK);
    cr_assert_eq(sm_label_farm_run(f, &job, NULL, 0, NULL, check_sink, NULL, &ei), SM_OK);
    cr_assert(!stats_of(f, "x").quarantined);
    sm_label_farm_free(f);
}

Test(farm, names_that_fill_their_room_are_kept_whole)
{
    struct sm_label_engine e[1] = {fake((struct fake){0}, "x", 8, true)};
    struct sm_label_engine_stats s[1];
    memset(e[0].variant, 'v', sizeof e[0].variant - 1);
    e[0].variant[sizeof e[0].variant - 1] = '\0';
    e[0].width = 77;
    struct sm_label_farm *f = farm(e, 1, 0);
    cr_assert_eq(sm_label_farm_stats(f, s, 1), 1);
    cr_assert_eq(strnlen(s[0].variant, sizeof s[0].variant), sizeof e[0].variant - 1);
    cr_assert_eq(s[0].width, 77);
    sm_label_farm_free(f);
}

Test(farm, cpu_engines_together)
{
    struct sm_label_engine e[3];
    struct sm_errinfo ei = {0};
    for (int i = 0; i < 3; i++) cr_assert_eq(sm_label_engine_cpu(NULL, N, 0, &e[i], &ei), SM_OK, "%s", ei.text);
    struct sm_label_farm *f = farm(e, 3, 0);
    const char *text;
    cr_assert_eq(run_plain(f, &text), SM_OK, "%s", text);
    sm_label_farm_free(f);
}

/* The slow engine holds its first chunk, at the head of the window, until the fast one has finished many: the fast one
 * is not held up before the window is full. */
Test(farm, a_slow_engine_does_not_hold_up_a_fast_one, .timeout = 60)
{
    struct gate slow_is_in = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 1};
    struct gate fast_did_20 = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 20};
    struct sm_label_engine e[2] = {fake((struct fake){.enters = &slow_is_in, .waits = &fast_did_20}, "slow", 2, true),
                                   fake((struct fake){.waits = &slow_is_in, .opens = &fast_did_20}, "fast", 8, true)};
    struct sm_label_farm *f = farm(e, 2, 0);
    const char *text;
    cr_assert_eq(run_plain(f, &text), SM_OK, "%s", text);
    cr_assert_gt(stats_of(f, "slow").labels, 0);
    cr_assert_gt(stats_of(f, "fast").labels, 0);
    sm_label_farm_free(f);
}

/* ---- engines that fail or lie ---- */

Test(farm, a_liar_is_quarantined_and_its_chunk_recomputed)
{
    for (unsigned from = 1; from <= 5; from += 2)
        for (int last = 0; last < 2; last++) {
            seen_n = 0;
            sm_log_set_sink(see, NULL);
            struct sm_label_engine e[2] = {
                fake((struct fake){.wrong_from = from, .wrong_last = last}, "liar", 10, false),
                fake((struct fake){0}, "honest", 10, false)};
            struct sm_label_farm *f = farm(e, 2, 0);
            const char *text;
            cr_assert_eq(run_plain(f, &text), SM_OK, "%s", text);
            sm_log_set_sink(NULL, NULL);
            const struct sm_label_engine_stats s = stats_of(f, "liar");
            if (s.quarantined) { /* the honest one may have done everything alone */
                cr_assert(strstr(s.why, "wrong label at index"), "%s", s.why);
                cr_assert(logged("device=liar") && logged("expected=") && logged("actual="), "%s", seen[0]);
                cr_assert_lt(s.labels, 10u * from);
            }
            cr_assert(!stats_of(f, "honest").quarantined);
            sm_label_farm_free(f);
        }
}

Test(farm, a_lone_liar_is_replaced_by_the_cpu)
{
    seen_n = 0;
    sm_log_set_sink(see, NULL);
    struct sm_label_engine e[1] = {fake((struct fake){.wrong_from = 3, .wrong_last = true}, "liar", 10, false)};
    struct sm_label_farm *f = farm(e, 1, 0);
    const char *text;
    cr_assert_eq(run_plain(f, &text), SM_OK, "%s", text);
    cr_assert(stats_of(f, "liar").quarantined);
    const uint64_t believed = stats_of(f, "liar").labels; /* what was checked before it was caught */
    cr_assert_leq(believed, 20);
    cr_assert_eq(labels_of(f, "cpu"), PLAIN_LABELS - believed);
    cr_assert(logged("no device is left"));
    cr_assert_eq(run_plain(f, &text), SM_OK, "the next run uses it at once: %s", text);
    sm_log_set_sink(NULL, NULL);
    sm_label_farm_free(f);
}

Test(farm, a_wrong_search_result_is_a_lie)
{
    static const struct fake lies[] = {{.hide_best = true}, {.invent_best = true}};
    for (size_t i = 0; i < 2; i++) {
        struct sm_label_engine e[1] = {fake(lies[i], "liar", 50, false)};
        struct sm_label_farm *f = farm(e, 1, 0);
        const char *text;
        cr_assert_eq(run_plain(f, &text), SM_OK, "%s", text);
        cr_assert(stats_of(f, "liar").quarantined);
        sm_label_farm_free(f);
    }
}

Test(farm, lost_engines_one_after_the_other)
{
    static const sm_err errs[] = {SM_E_DEVICE, SM_E_NOMEM, SM_E_CANCELLED, SM_E_DEVICE};
    for (unsigned from = 1; from < 4; from++) {
        struct sm_label_engine e[4];
        static const char *const names[] = {"d0", "d1", "d2", "d3"};
        for (unsigned i = 0; i < 4; i++)
            e[i] = fake((struct fake){.fail_from = from + i, .fail_err = errs[i]}, names[i], 5 + 20 * i, i % 2);
        struct sm_label_farm *f = farm(e, 4, 16 * 100);
        const char *text;
        cr_assert_eq(run_plain(f, &text), SM_OK, "%s", text);
        sm_label_farm_free(f);
    }
}

Test(farm, no_engine_and_no_fallback_is_an_error)
{
    setenv("SM_CPU_ISA", "none-such", 1); /* the CPU cannot help */
    struct sm_label_engine e[2] = {fake((struct fake){.fail_from = 2, .fail_err = SM_E_DEVICE}, "d0", 5, true),
                                   fake((struct fake){.fail_from = 2, .fail_err = SM_E_DEVICE}, "d1", 5, true)};
    struct sm_label_farm *f = farm(e, 2, 0);
    const char *text;
    cr_assert_neq(run_plain(f, &text), SM_OK);
    cr_assert(strstr(text, "no label engine is left") && strstr(text, "made to fail"), "%s", text);
    cr_assert_neq(run_plain(f, &text), SM_OK);
    sm_label_farm_free(f);
}

/* ---- stopping ---- */

Test(farm, a_failing_sink_stops_everything)
{
    for (uint64_t k = 1; k < PLAIN_LABELS; k += 50)
        for (int cancelled = 0; cancelled < 2; cancelled++) {
            struct sm_label_engine e[2] = {fake((struct fake){0}, "a", 7, true), fake((struct fake){0}, "b", 9, true)};
            struct sm_label_farm *f = farm(e, 2, 0);
            const struct sm_label_job job = {.scrypt_n = N};
            struct sm_errinfo ei = {0};
            struct check c = {
                .job = &job, .ranges = plain, .fail_after = k, .fail_with = cancelled ? SM_E_CANCELLED : SM_E_NOSPACE};
            cr_assert_eq(sm_label_farm_run(f, &job, plain, PLAIN_N, NULL, check_sink, &c, &ei), c.fail_with);
            cr_assert_str_eq(ei.text, "the sink is full");
            const char *text;
            cr_assert_eq(run_plain(f, &text), SM_OK, "usable afterwards: %s", text);
            sm_label_farm_free(f);
        }
}

Test(farm, cancel_at_any_position_leaves_a_prefix)
{
    for (uint64_t k = 1; k < PLAIN_LABELS; k += 31) {
        struct sm_label_engine e[2] = {fake((struct fake){0}, "a", 7, true), fake((struct fake){0}, "b", 9, false)};
        struct sm_label_farm *f = farm(e, 2, 16 * 40);
        const struct sm_label_job job = {.scrypt_n = N};
        struct sm_errinfo ei = {0};
        struct sm_cancel cancel = {0};
        struct check c = {.job = &job, .ranges = plain, .cancel_after = k, .cancel = &cancel};
        const sm_err err = sm_label_farm_run(f, &job, plain, PLAIN_N, &cancel, check_sink, &c, &ei);
        cr_assert(err == SM_E_CANCELLED || (err == SM_OK && c.labels == PLAIN_LABELS), "%s", ei.text);
        cr_assert_geq(c.labels, k);
        sm_label_farm_free(f);
    }
}

static void *cancel_when_called(void *arg)
{
    struct {
        atomic_uint called;
        struct sm_cancel cancel;
    } *both = arg;
    while (atomic_load(&both->called) < 2) sm_clock_sleep_ns(100000);
    sm_cancel_request(&both->cancel);
    return NULL;
}

Test(farm, cancel_reaches_engines_that_are_computing, .timeout = 60)
{
    struct {
        atomic_uint called;
        struct sm_cancel cancel;
    } both = {0};
    struct sm_label_engine e[2] = {fake((struct fake){.until_cancel = true, .called = &both.called}, "a", 7, true),
                                   fake((struct fake){.until_cancel = true, .called = &both.called}, "b", 9, true)};
    struct sm_label_farm *f = farm(e, 2, 0);
    const struct sm_label_job job = {.scrypt_n = N};
    struct sm_errinfo ei = {0};
    struct check c = {.job = &job, .ranges = plain};
    pthread_t t;
    cr_assert_eq(pthread_create(&t, NULL, cancel_when_called, &both), 0);
    cr_assert_eq(sm_label_farm_run(f, &job, plain, PLAIN_N, &both.cancel, check_sink, &c, &ei), SM_E_CANCELLED);
    pthread_join(t, NULL);
    cr_assert_eq(c.labels, 0);
    cr_assert(!stats_of(f, "a").quarantined, "stopping is no failure of the engine");
    sm_label_farm_free(f);
}

/* ---- pausing and resting ---- */

struct pauses {
    atomic_uint *called; /* by engines */
    unsigned asked, until;
};

static bool paused(void *ctx)
{
    struct pauses *p = ctx;
    if (++p->asked < p->until) return true;
    if (p->asked == p->until) cr_assert_eq(atomic_load(p->called), 0, "an engine worked during the pause");
    return false;
}

Test(farm, a_pause_holds_all_engines, .timeout = 60)
{
    atomic_uint called = 0;
    struct pauses p = {.called = &called, .until = 8};
    struct sm_label_engine e[3] = {fake((struct fake){.called = &called}, "a", 7, true),
                                   fake((struct fake){.called = &called}, "b", 9, false),
                                   fake((struct fake){.called = &called}, "c", 100, true)};
    struct sm_label_farm *f = NULL;
    const struct sm_label_farm_cfg cfg = {.engines = e, .engines_n = 3, .paused = paused, .paused_ctx = &p};
    cr_assert_eq(sm_label_farm_new(&cfg, &f, NULL), SM_OK);
    const char *text;
    cr_assert_eq(run_plain(f, &text), SM_OK, "%s", text);
    cr_assert_geq(p.asked, p.until);
    cr_assert_gt(atomic_load(&called), 0);
    sm_label_farm_free(f);
}

Test(farm, a_paused_farm_can_be_cancelled, .timeout = 60)
{
    atomic_uint called = 0;
    struct pauses p = {.called = &called, .until = UINT32_MAX};
    struct sm_cancel cancel = {0};
    struct sm_label_engine e[1] = {fake((struct fake){.called = &called}, "a", 7, false)};
    struct sm_label_farm *f = NULL;
    const struct sm_label_farm_cfg cfg = {.engines = e, .engines_n = 1, .paused = paused, .paused_ctx = &p};
    const struct sm_label_job job = {.scrypt_n = N};
    struct check c = {.job = &job, .ranges = plain};
    sm_cancel_request(&cancel);
    cr_assert_eq(sm_label_farm_new(&cfg, &f, NULL), SM_OK);
    cr_assert_eq(sm_label_farm_run(f, &job, plain, PLAIN_N, &cancel, check_sink, &c, NULL), SM_E_CANCELLED);
    cr_assert_eq(atomic_load(&called), 0);
    sm_label_farm_free(f);
}

struct rests {
    atomic_uint *called; /* by the engine that rests */
    unsigned asked, until;
};

static bool rests(void *ctx, const char *device)
{
    struct rests *r = ctx;
    if (strcmp(device, "hot") != 0) return false;
    if (++r->asked < r->until) return true;
    if (r->asked == r->until) cr_assert_eq(atomic_load(r->called), 0, "it worked while it was to rest");
    return false;
}

static struct sm_label_farm *farm_with_rests(struct sm_label_engine *e, size_t n, struct rests *r)
{
    struct sm_label_farm *f = NULL;
    const struct sm_label_farm_cfg cfg = {.engines = e, .engines_n = n, .rests = rests, .rests_ctx = r};
    cr_assert_eq(sm_label_farm_new(&cfg, &f, NULL), SM_OK);
    return f;
}

Test(farm, the_others_go_on_while_one_device_rests, .timeout = 60)
{
    atomic_uint called = 0;
    struct rests r = {.called = &called, .until = UINT32_MAX};
    struct sm_label_engine e[3] = {fake((struct fake){.called = &called}, "hot", 7, false),
                                   fake((struct fake){0}, "b", 9, false),
                                   fake((struct fake){.called = &called}, "hot", 100, true)};
    struct sm_label_farm *f = farm_with_rests(e, 3, &r);
    const char *text;
    cr_assert_eq(run_plain(f, &text), SM_OK, "%s", text);
    cr_assert_eq(atomic_load(&called), 0);
    sm_label_farm_free(f);
}

Test(farm, when_all_rest_the_run_waits, .timeout = 60)
{
    atomic_uint called = 0;
    struct rests r = {.called = &called, .until = 2}; /* asked once a second */
    struct sm_label_engine e[1] = {fake((struct fake){.called = &called}, "hot", 7, true)};
    struct sm_label_farm *f = farm_with_rests(e, 1, &r);
    const char *text;
    cr_assert_eq(run_plain(f, &text), SM_OK, "%s", text);
    cr_assert_geq(r.asked, 2);
    sm_label_farm_free(f);
}

/* At least the rest is taken; how much longer it lasts is the scheduler's business. The last piece needs none. */
Test(farm, a_throttled_engine_rests, .timeout = 60)
{
    for (int trusted = 0; trusted < 2; trusted++) {
        struct sm_label_engine e[1] = {fake((struct fake){.works_ns = 5000000}, "a", 50, trusted)};
        e[0].duty = 0.25;
        struct sm_label_farm *f = farm(e, 1, 0);
        const char *text;
        const uint64_t start = sm_clock_ns();
        cr_assert_eq(run_plain(f, &text), SM_OK, "%s", text);
        const uint64_t took = sm_clock_ns() - start, busy = stats_of(f, "a").busy_ns;
        cr_assert_geq(busy, 10 * 5000000u, "ten pieces or more");
        cr_assert_geq(took, busy * 2, "busy %llu of %llu ns", (unsigned long long)busy, (unsigned long long)took);
        sm_label_farm_free(f);
    }
}
