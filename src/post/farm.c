#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "post/farm_check.h"
#include "post/farm_plan.h"
#include "post/label.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/text.h"

#define SPOT_CHECKS_DEFAULT 4u
#define POLL_NS             (50 * SM_NS_PER_MS) /* of the caller's cancel flag */
#define REST_NS             SM_NS_PER_S         /* of the devices that are to rest */
/* An untrusted engine has two threads: it computes for one while the other has its labels checked. */
#define SHIFTS 2u

struct seat { /* an engine's place in the farm */
    struct sm_label_engine e;
    struct sm_label_farm *farm;
    pthread_t threads[SHIFTS];
    unsigned running;        /* threads; caller's thread only */
    bool computing;          /* under mu, like what follows: one call at a time */
    bool rests;              /* its device is to do nothing */
    uint64_t rests_until_ns; /* its duty */
    uint64_t labels, busy_ns;
    bool quarantined;
    char why[160];
};

/* Engine threads live during a run. They claim the next labels of the ranges, or a piece that another engine returned,
 * compute without the lock, and put the result into the plan's list; the caller's thread delivers from its head.
 *
 * No deadlock: the window bounds what is claimed and not delivered, but a piece is always granted when nothing is in the
 * window, and a returned piece, which is already counted, always. So the head of the list is being computed, or done, or
 * free for anyone who waits; and an engine refuses what it is too slow for only while another one computes. */
struct sm_label_farm {
    unsigned spot_checks;
    struct seat *seats; /* numbered like those of the plan; their number grows by the fallback, under mu */
    unsigned spare;     /* seats kept for the fallback */
    bool (*paused)(void *ctx);
    void *paused_ctx;
    bool (*rests)(void *ctx, const char *device);
    void *rests_ctx;
    struct sm_cancel stop;
    pthread_mutex_t mu;
    pthread_cond_t work;      /* for engines: something to claim, an engine is free, or stop */
    pthread_cond_t ready;     /* for the caller: a piece is done, or an engine is gone */
    struct sm_farm_plan plan; /* under mu */
    struct {                  /* under mu, during a run */
        const struct sm_label_job *job;
        bool paused;
        uint64_t rests_asked_ns;
        size_t working;  /* engine threads that have not given up */
        sm_err last_err; /* why the last engine was lost */
        struct sm_errinfo last_ei;
    } run;
};

/* ---- an engine's thread ---- */

/* One thread's stay with its engine. */
struct stint {
    struct seat *seat;
    uint64_t seed; /* of the spot checks */
    struct sm_farm_lie lie;
    struct sm_errinfo ei;
};

static void wait_until(pthread_cond_t *cond, pthread_mutex_t *mu, uint64_t ns)
{
    const struct timespec at = {.tv_sec = (time_t)(ns / SM_NS_PER_S), .tv_nsec = (long)(ns % SM_NS_PER_S)};
    (void)pthread_cond_timedwait(cond, mu, &at);
}

/* Under mu. */
static struct sm_piece *try_claim(struct sm_label_farm *f, struct seat *s, uint64_t now)
{
    if (s->computing || f->run.paused || s->rests || now < s->rests_until_ns) return NULL;
    return sm_farm_plan_claim(&f->plan, (size_t)(s - f->seats), now);
}

static struct sm_piece *claim(struct sm_label_farm *f, struct seat *s)
{
    while (!sm_cancelled(&f->stop) && !s->quarantined) {
        const uint64_t now = sm_clock_ns();
        struct sm_piece *c = try_claim(f, s, now);
        if (c) {
            s->computing = true;
            return c;
        }
        if (now < s->rests_until_ns)
            wait_until(&f->work, &f->mu, s->rests_until_ns);
        else
            (void)pthread_cond_wait(&f->work, &f->mu);
    }
    return NULL;
}

static sm_err compute(struct sm_label_farm *f, struct stint *t, struct sm_piece *c)
{
    struct seat *s = t->seat;
    c->best = (struct sm_vrf_best){0};
    c->labels = malloc(c->range.count * SM_LABEL_BYTES);
    if (!c->labels)
        return sm_fail(&t->ei, SM_E_NOMEM, "out of memory for a chunk of %" PRIu64 " labels", c->range.count);
    return s->e.ops->compute(s->e.self, f->run.job, c->range, &f->stop, c->labels, &c->best, &t->ei);
}

static sm_err check(struct sm_label_farm *f, struct stint *t, struct sm_piece *c)
{
    if (t->seat->e.trusted) return SM_OK;
    struct sm_vrf_best best = {0};
    sm_err err =
        sm_farm_check(f->run.job, c->range, c->labels, &c->best, f->spot_checks, &t->seed, &best, &t->lie, &t->ei);
    c->best = best;
    if (!err && t->lie.caught) err = sm_fail(&t->ei, SM_E_DEVICE, "wrong label at index %" PRIu64, t->lie.index);
    return err;
}

/* Under mu. */
static void quarantine(struct stint *t, const struct sm_piece *c)
{
    struct seat *s = t->seat;
    s->quarantined = true;
    sm_farm_plan_lose(&s->farm->plan, (size_t)(s - s->farm->seats));
    (void)snprintf(s->why, sizeof s->why, "%.*s", (int)sizeof s->why - 1, t->ei.text);
    if (!t->lie.caught) {
        sm_log(SM_LOG_WARN, "label", "engine lost, its chunk goes to another",
               "device=%s variant=\"%s\" first=%" PRIu64 " count=%" PRIu64 " reason=\"%s\"", s->e.device, s->e.variant,
               c->range.first, c->range.count, t->ei.text);
        return;
    }
    char expected[SM_HEX_ROOM(SM_LABEL_BYTES)], actual[SM_HEX_ROOM(SM_LABEL_BYTES)];
    sm_hex_encode(t->lie.expected, SM_LABEL_BYTES, expected);
    sm_hex_encode(t->lie.actual, SM_LABEL_BYTES, actual);
    sm_log(SM_LOG_WARN, "label", "engine computes wrong labels, its chunk goes to another",
           "device=%s variant=\"%s\" index=%" PRIu64 " expected=%s actual=%s", s->e.device, s->e.variant, t->lie.index,
           expected, actual);
}

/* Under mu. What an engine computed that was caught meanwhile is not believed either. */
static void settle(struct sm_label_farm *f, struct stint *t, struct sm_piece *c, sm_err err)
{
    if (!err && !t->seat->quarantined) {
        sm_farm_plan_done(c);
        pthread_cond_signal(&f->ready);
        return;
    }
    if (!t->seat->quarantined && !sm_cancelled(&f->stop)) {
        quarantine(t, c);
        f->run.last_err = err;
        f->run.last_ei = t->ei;
    }
    sm_farm_plan_give_back(&f->plan, c);
    pthread_cond_broadcast(&f->work);
}

/* Under mu, released while it computes and checks. True: the engine goes on. */
static bool work_on(struct sm_label_farm *f, struct stint *t, struct sm_piece *c)
{
    struct seat *s = t->seat;
    pthread_mutex_unlock(&f->mu);
    const uint64_t start = sm_clock_ns();
    sm_err err = compute(f, t, c);
    const uint64_t end = sm_clock_ns();
    pthread_mutex_lock(&f->mu);
    s->busy_ns += end - start;
    if (s->e.duty > 0 && s->e.duty < 1)
        s->rests_until_ns = end + (uint64_t)((double)(end - start) * (1 / s->e.duty - 1));
    if (!err) {
        sm_farm_plan_computed(&f->plan, c, end);
        s->computing = false;
        if (!s->e.trusted) { /* the other thread goes on with the engine */
            pthread_cond_broadcast(&f->work);
            pthread_mutex_unlock(&f->mu);
            err = check(f, t, c);
            pthread_mutex_lock(&f->mu);
        }
    }
    settle(f, t, c, err);
    return !err;
}

static uint64_t random_seed(void)
{
    uint64_t v;
    if (getrandom(&v, sizeof v, GRND_NONBLOCK) == (ssize_t)sizeof v) return v;
    return sm_clock_ns();
}

static void *engine_main(void *arg)
{
    struct stint t = {.seat = arg, .seed = random_seed()};
    struct sm_label_farm *f = t.seat->farm;
    pthread_mutex_lock(&f->mu);
    for (struct sm_piece *c; (c = claim(f, t.seat)) != NULL && work_on(f, &t, c);) continue;
    f->run.working--;
    pthread_cond_signal(&f->ready);
    pthread_mutex_unlock(&f->mu);
    return NULL;
}

/* Under mu. An engine without a thread is as lost as one that failed. */
static void seat_start(struct seat *s)
{
    struct sm_label_farm *f = s->farm;
    const unsigned want = s->e.trusted ? 1 : SHIFTS;
    int rc = 0;
    s->computing = false;
    s->rests_until_ns = 0;
    while (rc == 0 && s->running < want) {
        rc = pthread_create(&s->threads[s->running], NULL, engine_main, s);
        s->running += rc == 0;
    }
    f->run.working += s->running;
    if (s->running) return;
    s->quarantined = true;
    sm_farm_plan_lose(&f->plan, (size_t)(s - f->seats));
    (void)snprintf(s->why, sizeof s->why, "no thread for it: %s", strerror(rc));
    f->run.last_err =
        sm_fail(&f->run.last_ei, SM_E_NOMEM, "cannot start a thread for engine %s: %s", s->e.device, strerror(rc));
}

/* ---- the farm ---- */

static void seat_add(struct sm_label_farm *f, const struct sm_label_engine *e)
{
    f->seats[sm_farm_plan_add(&f->plan, e->chunk, e->width, e->duty)] = (struct seat){.e = *e, .farm = f};
}

static void sync_init(struct sm_label_farm *f)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&f->mu, NULL);
    (void)pthread_cond_init(&f->work, &attr);
    (void)pthread_cond_init(&f->ready, &attr);
    (void)pthread_condattr_destroy(&attr);
}

static sm_err farm_init(struct sm_label_farm *f, const struct sm_label_farm_cfg *cfg, struct sm_errinfo *ei)
{
    f->spare = sm_cpu_count();
    f->spot_checks = cfg->spot_checks ? cfg->spot_checks : SPOT_CHECKS_DEFAULT;
    f->paused = cfg->paused;
    f->paused_ctx = cfg->paused_ctx;
    f->rests = cfg->rests;
    f->rests_ctx = cfg->rests_ctx;
    const uint64_t cap = cfg->memory_cap_bytes, window = cap && cap < SM_LABEL_BYTES ? 1 : cap / SM_LABEL_BYTES;
    const size_t room = cfg->engines_n + f->spare;
    sm_err err = sm_farm_plan_init(&f->plan, room, window, ei);
    if (err) return err;
    f->seats = calloc(room, sizeof *f->seats);
    if (!f->seats) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu label engines", cfg->engines_n);
    for (size_t i = 0; i < cfg->engines_n; i++) seat_add(f, &cfg->engines[i]);
    return SM_OK;
}

sm_err sm_label_farm_new(const struct sm_label_farm_cfg *cfg, struct sm_label_farm **out, struct sm_errinfo *ei)
{
    if (!cfg->engines_n) return sm_fail(ei, SM_E_ARG, "no engine was given that could compute labels");
    struct sm_label_farm *f = calloc(1, sizeof *f);
    sm_err err = f ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory for %zu label engines", cfg->engines_n);
    if (f) {
        sync_init(f);
        err = farm_init(f, cfg, ei);
    }
    if (!err) {
        *out = f;
        return SM_OK;
    }
    for (size_t i = 0; i < cfg->engines_n; i++) sm_label_engine_free(&cfg->engines[i]);
    sm_label_farm_free(f);
    return err;
}

void sm_label_farm_free(struct sm_label_farm *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->plan.seats_n && f->seats; i++) sm_label_engine_free(&f->seats[i].e);
    sm_farm_plan_fini(&f->plan);
    pthread_cond_destroy(&f->ready);
    pthread_cond_destroy(&f->work);
    pthread_mutex_destroy(&f->mu);
    free(f->seats);
    free(f);
}

size_t sm_label_farm_stats(struct sm_label_farm *f, struct sm_label_engine_stats *out, size_t room)
{
    pthread_mutex_lock(&f->mu);
    const size_t n = f->plan.seats_n < room ? f->plan.seats_n : room;
    for (size_t i = 0; i < n; i++) {
        const struct seat *s = &f->seats[i];
        out[i] = (struct sm_label_engine_stats){
            .width = s->e.width, .labels = s->labels, .busy_ns = s->busy_ns, .quarantined = s->quarantined};
        memcpy(out[i].device, s->e.device, sizeof out[i].device);
        memcpy(out[i].variant, s->e.variant, sizeof out[i].variant);
        memcpy(out[i].why, s->why, sizeof out[i].why);
    }
    pthread_mutex_unlock(&f->mu);
    return n;
}

/* ---- a run, on the caller's thread ---- */

/* Under mu. One CPU thread more. */
static sm_err add_cpu_seat(struct sm_label_farm *f, struct sm_errinfo *ei)
{
    struct sm_label_engine e = {0};
    sm_err err = sm_label_engine_cpu(NULL, f->run.job->scrypt_n, 0, &e, ei);
    if (err) return err;
    seat_add(f, &e);
    seat_start(&f->seats[f->plan.seats_n - 1]);
    return SM_OK;
}

/* Under mu. All processors replace what was lost; they are engaged once. */
static sm_err fall_back(struct sm_label_farm *f, struct sm_errinfo *ei)
{
    struct sm_errinfo cpu_ei = {0};
    bool have_cpu = false;
    for (size_t i = 0; i < f->plan.seats_n; i++) have_cpu |= strcmp(f->seats[i].e.device, "cpu") == 0;
    sm_err err = f->run.last_err ? f->run.last_err : SM_E_DEVICE;
    if (have_cpu || f->run.last_err == SM_E_ARG)
        return sm_fail(ei, err, "no label engine is left; the last one: %s", f->run.last_ei.text);
    unsigned got = 0;
    while (got < f->spare && !add_cpu_seat(f, &cpu_ei)) got++;
    if (!got)
        return sm_fail(ei, err, "no label engine is left (the last one: %s) and the CPU cannot replace it: %s",
                       f->run.last_ei.text, cpu_ei.text);
    sm_log(SM_LOG_WARN, "label", "no device is left, going on with the CPU", "threads=%u", got);
    return SM_OK;
}

/* Under mu, released during the sink. Delivers what is done at the head of the list. */
static sm_err deliver(struct sm_label_farm *f, sm_label_sink sink, void *ctx, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (struct sm_piece *c; !err && (c = sm_farm_plan_next_done(&f->plan)) != NULL;) {
        pthread_mutex_unlock(&f->mu);
        err = sink(ctx, c->range, c->labels, &c->best, ei);
        pthread_mutex_lock(&f->mu);
        if (!err) f->seats[c->seat].labels += c->range.count;
        sm_farm_plan_delivered(&f->plan, c);
        pthread_cond_broadcast(&f->work);
    }
    return err;
}

/* Under mu. */
static void look_at_pause(struct sm_label_farm *f)
{
    const bool paused = f->paused && f->paused(f->paused_ctx);
    if (f->run.paused && !paused) pthread_cond_broadcast(&f->work);
    f->run.paused = paused;
}

/* Under mu, released while it asks, which may take milliseconds. Seats are added by this thread alone. */
static void look_at_rests(struct sm_label_farm *f)
{
    const uint64_t now = sm_clock_ns();
    if (!f->rests || (f->run.rests_asked_ns && now - f->run.rests_asked_ns < REST_NS)) return;
    f->run.rests_asked_ns = now;
    for (size_t i = 0; i < f->plan.seats_n; i++) {
        struct seat *s = &f->seats[i];
        pthread_mutex_unlock(&f->mu);
        const bool rests = f->rests(f->rests_ctx, s->e.device);
        pthread_mutex_lock(&f->mu);
        if (s->rests && !rests) pthread_cond_broadcast(&f->work);
        s->rests = rests;
    }
}

/* Under mu. *out_asked: SM_E_CANCELLED is the caller's wish, not the sink's word. */
static sm_err drive(struct sm_label_farm *f, const struct sm_cancel *cancel, sm_label_sink sink, void *ctx,
                    bool *out_asked, struct sm_errinfo *ei)
{
    for (;;) {
        sm_err err = deliver(f, sink, ctx, ei);
        if (err) return err;
        if (sm_farm_plan_finished(&f->plan)) return SM_OK;
        *out_asked = sm_cancelled(cancel);
        if (*out_asked) return sm_fail(ei, SM_E_CANCELLED, "cancelled");
        look_at_pause(f);
        look_at_rests(f);
        if (f->plan.head && f->plan.head->state == SM_PIECE_DONE) continue;
        if (!f->run.working) {
            err = fall_back(f, ei);
            if (err) return err;
        }
        if (!f->plan.head) pthread_cond_broadcast(&f->work); /* memory for a piece was missing */
        wait_until(&f->ready, &f->mu, sm_clock_ns() + POLL_NS);
    }
}

static void run_begin(struct sm_label_farm *f, const struct sm_label_job *job, const struct sm_label_range *ranges,
                      size_t ranges_n)
{
    memset(&f->run, 0, sizeof f->run);
    atomic_store(&f->stop.requested, false);
    f->run.job = job;
    look_at_pause(f);
    look_at_rests(f);
    sm_farm_plan_begin(&f->plan, ranges, ranges_n);
    for (size_t i = 0; i < f->plan.seats_n && !sm_farm_plan_finished(&f->plan); i++)
        if (!f->seats[i].quarantined) seat_start(&f->seats[i]);
}

static void run_end(struct sm_label_farm *f)
{
    sm_cancel_request(&f->stop);
    pthread_cond_broadcast(&f->work);
    for (size_t i = 0; i < f->plan.seats_n; i++) {
        struct seat *s = &f->seats[i];
        for (; s->running; s->running--) {
            pthread_mutex_unlock(&f->mu);
            (void)pthread_join(s->threads[s->running - 1], NULL);
            pthread_mutex_lock(&f->mu);
        }
    }
}

sm_err sm_label_farm_run(struct sm_label_farm *f, const struct sm_label_job *job, const struct sm_label_range *ranges,
                         size_t ranges_n, const struct sm_cancel *cancel, sm_label_sink sink, void *ctx,
                         struct sm_errinfo *ei)
{
    pthread_mutex_lock(&f->mu);
    run_begin(f, job, ranges, ranges_n);
    bool asked = false;
    sm_err err = drive(f, cancel, sink, ctx, &asked, ei);
    run_end(f);
    if (asked) { /* what was finished while the engines stopped */
        const sm_err late = deliver(f, sink, ctx, ei);
        if (late) err = late;
    }
    sm_farm_plan_clear(&f->plan);
    pthread_mutex_unlock(&f->mu);
    return err;
}
