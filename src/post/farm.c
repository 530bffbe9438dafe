#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "post/farm_check.h"
#include "post/label.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"
#include "util/text.h"

#define SPOT_CHECKS_DEFAULT 4u
#define WINDOW_DEFAULT      (UINT64_C(32) << 20)
#define POLL_NS             (50 * SM_NS_PER_MS) /* of the caller's cancel flag */
#define CHUNK_DEFAULT       1024u
/* Chunks of every engine that fit into the window at once: one computed, one waiting behind a slower engine's, one to
 * go on with. */
#define WINDOW_ROUNDS 3u
#define TAIL_PARTS    16u /* near the end a chunk is at least this part of a full one */

typedef enum chunk_state { CHUNK_COMPUTING, CHUNK_RETURNED, CHUNK_DONE } chunk_state;

/* A piece of work from its claim to its delivery; the list of them is in label order. */
struct chunk {
    struct chunk *next;
    struct sm_label_range range;
    chunk_state state;
    size_t engine; /* who computed it; valid when DONE */
    uint8_t *labels;
    struct sm_vrf_best best;
};

struct seat { /* an engine's place in the farm */
    struct sm_label_engine e;
    struct sm_label_farm *farm;
    uint64_t seed;
    uint64_t chunk; /* labels, scaled to the window */
    pthread_t thread;
    bool running;             /* caller's thread only */
    uint64_t labels, busy_ns; /* under mu, like what follows */
    bool quarantined;
    char why[160];
};

/* Engine threads live during a run. They claim the next labels of the ranges, or a chunk that another engine returned,
 * compute without the lock, and put the result into the list; the caller's thread delivers from its head.
 *
 * No deadlock: the window bounds what is claimed and not delivered, but a chunk is always granted when the list is
 * empty, and a returned chunk, which is already counted, always. So the head of the list is being computed, or done, or
 * free for anyone who waits. */
struct sm_label_farm {
    unsigned spot_checks;
    uint64_t window; /* labels */
    struct seat *seats;
    size_t seats_n; /* grows by the fallback; under mu */
    unsigned spare; /* seats kept for the fallback */
    struct sm_cancel stop;
    pthread_mutex_t mu;
    pthread_cond_t work;  /* for engines: something to claim, or stop */
    pthread_cond_t ready; /* for the caller: a chunk is done, or an engine is gone */
    struct {              /* under mu, during a run */
        const struct sm_label_job *job;
        const struct sm_label_range *ranges;
        size_t ranges_n;
        uint64_t range_at;  /* labels of ranges[0] claimed */
        uint64_t unclaimed; /* labels of all ranges */
        uint64_t in_window; /* labels claimed and not delivered */
        size_t returned;    /* chunks in that state */
        size_t working;     /* engine threads that have not given up */
        struct chunk *head, **tail;
        sm_err last_err; /* why the last engine was lost */
        struct sm_errinfo last_ei;
    } run;
};

/* ---- claiming ---- */

static uint64_t working_chunks(const struct sm_label_farm *f)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < f->seats_n; i++)
        if (!f->seats[i].quarantined) sum += f->seats[i].chunk;
    return sum;
}

/* Full chunks while there is plenty; towards the end each engine's share of the rest, so that all end together. */
static uint64_t claim_size(const struct sm_label_farm *f, const struct seat *s)
{
    const uint64_t all = working_chunks(f);
    if (f->run.unclaimed >= all || s->chunk >= all) return s->chunk;
    const double share = (double)s->chunk / (double)all;
    uint64_t n = (uint64_t)((double)f->run.unclaimed * share) + 1;
    if (n < s->chunk / TAIL_PARTS) n = s->chunk / TAIL_PARTS;
    const uint64_t width = s->e.width ? s->e.width : 1;
    n = (n + width - 1) / width * width;
    return n < s->chunk ? n : s->chunk;
}

/* Under mu. A returned chunk may come from a faster engine: the claimer takes what suits it and leaves the rest. */
static struct chunk *claim_returned(struct sm_label_farm *f, const struct seat *s)
{
    struct chunk *c = f->run.head;
    while (c && c->state != CHUNK_RETURNED) c = c->next;
    if (!c) return NULL;
    struct chunk *rest = c->range.count > s->chunk ? calloc(1, sizeof *rest) : NULL;
    if (rest) {
        *rest = (struct chunk){.next = c->next, .state = CHUNK_RETURNED};
        rest->range.first = c->range.first + s->chunk;
        rest->range.count = c->range.count - s->chunk;
        c->range.count = s->chunk;
        c->next = rest;
        if (f->run.tail == &c->next) f->run.tail = &rest->next;
        pthread_cond_signal(&f->work);
    } else {
        f->run.returned--;
    }
    c->state = CHUNK_COMPUTING;
    return c;
}

/* Under mu. NULL: nothing left, or no room in the window. */
static struct chunk *claim_fresh(struct sm_label_farm *f, const struct seat *s)
{
    if (!f->run.unclaimed) return NULL;
    const struct sm_label_range *r = f->run.ranges;
    uint64_t n = claim_size(f, s);
    if (n > r->count - f->run.range_at) n = r->count - f->run.range_at;
    if (f->run.head && f->run.in_window + n > f->window) return NULL;
    struct chunk *c = calloc(1, sizeof *c);
    if (!c) return NULL; /* tried again when the next chunk is delivered */
    c->range = (struct sm_label_range){.first = r->first + f->run.range_at, .count = n};
    f->run.range_at += n;
    f->run.unclaimed -= n;
    f->run.in_window += n;
    while (f->run.ranges_n && f->run.range_at == f->run.ranges->count) {
        f->run.ranges++;
        f->run.ranges_n--;
        f->run.range_at = 0;
    }
    *f->run.tail = c;
    f->run.tail = &c->next;
    return c;
}

static struct chunk *claim(struct sm_label_farm *f, const struct seat *s)
{
    while (!sm_cancelled(&f->stop)) {
        struct chunk *c = f->run.returned ? claim_returned(f, s) : claim_fresh(f, s);
        if (c) return c;
        pthread_cond_wait(&f->work, &f->mu);
    }
    return NULL;
}

/* ---- an engine's thread ---- */

static sm_err compute(struct sm_label_farm *f, struct seat *s, struct chunk *c, struct sm_farm_lie *lie,
                      struct sm_errinfo *ei)
{
    const struct sm_label_job *job = f->run.job; /* constant during the run */
    c->best = (struct sm_vrf_best){0};
    c->labels = malloc(c->range.count * SM_LABEL_BYTES);
    if (!c->labels) return sm_fail(ei, SM_E_NOMEM, "out of memory for a chunk of %" PRIu64 " labels", c->range.count);
    sm_err err = s->e.ops->compute(s->e.self, job, c->range, &f->stop, c->labels, &c->best, ei);
    if (err || s->e.trusted) return err;
    struct sm_vrf_best best = {0};
    err = sm_farm_check(job, c->range, c->labels, &c->best, f->spot_checks, &s->seed, &best, lie, ei);
    c->best = best;
    if (!err && lie->caught) err = sm_fail(ei, SM_E_DEVICE, "wrong label at index %" PRIu64, lie->index);
    return err;
}

/* Under mu. */
static void quarantine(struct seat *s, const struct chunk *c, const struct sm_farm_lie *lie, const char *why)
{
    s->quarantined = true;
    (void)snprintf(s->why, sizeof s->why, "%.*s", (int)sizeof s->why - 1, why);
    if (!lie->caught) {
        sm_log(SM_LOG_WARN, "label", "engine lost, its chunk goes to another",
               "device=%s variant=\"%s\" first=%" PRIu64 " count=%" PRIu64 " reason=\"%s\"", s->e.device, s->e.variant,
               c->range.first, c->range.count, why);
        return;
    }
    char expected[SM_HEX_ROOM(SM_LABEL_BYTES)], actual[SM_HEX_ROOM(SM_LABEL_BYTES)];
    sm_hex_encode(lie->expected, SM_LABEL_BYTES, expected);
    sm_hex_encode(lie->actual, SM_LABEL_BYTES, actual);
    sm_log(SM_LOG_WARN, "label", "engine computes wrong labels, its chunk goes to another",
           "device=%s variant=\"%s\" index=%" PRIu64 " expected=%s actual=%s", s->e.device, s->e.variant, lie->index,
           expected, actual);
}

static void give_back(struct sm_label_farm *f, struct chunk *c)
{
    free(c->labels);
    c->labels = NULL;
    c->state = CHUNK_RETURNED;
    f->run.returned++;
}

/* Under mu. False: the engine stops working. */
static bool settle(struct sm_label_farm *f, struct seat *s, struct chunk *c, sm_err err, const struct sm_farm_lie *lie,
                   const struct sm_errinfo *ei)
{
    if (!err) {
        c->state = CHUNK_DONE;
        c->engine = (size_t)(s - f->seats);
        pthread_cond_signal(&f->ready);
        return true;
    }
    if (!sm_cancelled(&f->stop)) {
        quarantine(s, c, lie, ei->text);
        f->run.last_err = err;
        f->run.last_ei = *ei;
    }
    give_back(f, c);
    pthread_cond_broadcast(&f->work);
    return false;
}

static void *engine_main(void *arg)
{
    struct seat *s = arg;
    struct sm_label_farm *f = s->farm;
    bool go_on = true;
    pthread_mutex_lock(&f->mu);
    for (struct chunk *c; go_on && (c = claim(f, s)) != NULL;) {
        pthread_mutex_unlock(&f->mu);
        struct sm_farm_lie lie = {0};
        struct sm_errinfo ei = {0};
        const uint64_t start = sm_clock_ns();
        const sm_err err = compute(f, s, c, &lie, &ei);
        const uint64_t took = sm_clock_ns() - start;
        pthread_mutex_lock(&f->mu);
        s->busy_ns += took;
        go_on = settle(f, s, c, err, &lie, &ei);
    }
    f->run.working--;
    pthread_cond_signal(&f->ready);
    pthread_mutex_unlock(&f->mu);
    return NULL;
}

/* Under mu. An engine without a thread is as lost as one that failed. */
static void seat_start(struct seat *s)
{
    struct sm_label_farm *f = s->farm;
    const int rc = pthread_create(&s->thread, NULL, engine_main, s);
    s->running = rc == 0;
    if (s->running) {
        f->run.working++;
        return;
    }
    s->quarantined = true;
    (void)snprintf(s->why, sizeof s->why, "no thread for it: %s", strerror(rc));
    f->run.last_err =
        sm_fail(&f->run.last_ei, SM_E_NOMEM, "cannot start a thread for engine %s: %s", s->e.device, strerror(rc));
}

/* ---- the farm ---- */

/* Chunks of all engines, WINDOW_ROUNDS times, must fit into the window. */
static void scale_chunks(struct sm_label_farm *f)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < f->seats_n; i++) {
        struct seat *s = &f->seats[i];
        s->chunk = s->e.chunk ? s->e.chunk : CHUNK_DEFAULT;
        if (s->chunk > f->window) s->chunk = f->window;
        sum += s->chunk;
    }
    const double fits = (double)f->window / WINDOW_ROUNDS / (double)sum;
    for (size_t i = 0; i < f->seats_n && fits < 1; i++) {
        struct seat *s = &f->seats[i];
        const uint64_t width = s->e.width ? s->e.width : 1;
        const uint64_t n = (uint64_t)((double)s->chunk * fits);
        s->chunk = n >= width ? n / width * width : n ? n : 1;
    }
}

static uint64_t random_seed(void)
{
    uint64_t v;
    if (getrandom(&v, sizeof v, GRND_NONBLOCK) == (ssize_t)sizeof v) return v;
    return sm_clock_ns();
}

static void seat_init(struct sm_label_farm *f, const struct sm_label_engine *e)
{
    f->seats[f->seats_n++] = (struct seat){.e = *e, .farm = f, .seed = random_seed()};
}

static void sync_init(struct sm_label_farm *f)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&f->mu, NULL);
    (void)pthread_cond_init(&f->work, NULL);
    (void)pthread_cond_init(&f->ready, &attr);
    (void)pthread_condattr_destroy(&attr);
}

sm_err sm_label_farm_new(const struct sm_label_farm_cfg *cfg, struct sm_label_farm **out, struct sm_errinfo *ei)
{
    struct sm_label_farm *f = cfg->engines_n ? calloc(1, sizeof *f) : NULL;
    const unsigned spare = sm_cpu_count();
    struct seat *seats = f ? calloc(cfg->engines_n + spare, sizeof *seats) : NULL;
    if (!seats) {
        free(f);
        for (size_t i = 0; i < cfg->engines_n; i++) sm_label_engine_free(&cfg->engines[i]);
        if (!cfg->engines_n) return sm_fail(ei, SM_E_ARG, "no engine was given that could compute labels");
        return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu label engines", cfg->engines_n);
    }
    f->seats = seats;
    f->spare = spare;
    f->spot_checks = cfg->spot_checks ? cfg->spot_checks : SPOT_CHECKS_DEFAULT;
    f->window = (cfg->memory_cap_bytes ? cfg->memory_cap_bytes : WINDOW_DEFAULT) / SM_LABEL_BYTES;
    if (!f->window) f->window = 1;
    sync_init(f);
    for (size_t i = 0; i < cfg->engines_n; i++) seat_init(f, &cfg->engines[i]);
    scale_chunks(f);
    *out = f;
    return SM_OK;
}

void sm_label_farm_free(struct sm_label_farm *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->seats_n; i++) sm_label_engine_free(&f->seats[i].e);
    pthread_cond_destroy(&f->ready);
    pthread_cond_destroy(&f->work);
    pthread_mutex_destroy(&f->mu);
    free(f->seats);
    free(f);
}

size_t sm_label_farm_stats(struct sm_label_farm *f, struct sm_label_engine_stats *out, size_t room)
{
    pthread_mutex_lock(&f->mu);
    const size_t n = f->seats_n < room ? f->seats_n : room;
    for (size_t i = 0; i < n; i++) {
        const struct seat *s = &f->seats[i];
        out[i] =
            (struct sm_label_engine_stats){.labels = s->labels, .busy_ns = s->busy_ns, .quarantined = s->quarantined};
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
    sm_err err = sm_label_engine_cpu(NULL, f->run.job->scrypt_n, &e, ei);
    if (err) return err;
    seat_init(f, &e);
    struct seat *s = &f->seats[f->seats_n - 1];
    s->chunk = s->e.chunk < f->window / WINDOW_ROUNDS ? s->e.chunk : f->window / WINDOW_ROUNDS;
    if (!s->chunk) s->chunk = 1;
    seat_start(s);
    return SM_OK;
}

/* Under mu. All processors replace what was lost; they are engaged once. */
static sm_err fall_back(struct sm_label_farm *f, struct sm_errinfo *ei)
{
    struct sm_errinfo cpu_ei = {0};
    bool have_cpu = false;
    for (size_t i = 0; i < f->seats_n; i++) have_cpu |= strcmp(f->seats[i].e.device, "cpu") == 0;
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
    while (!err && f->run.head && f->run.head->state == CHUNK_DONE) {
        struct chunk *c = f->run.head;
        f->run.head = c->next;
        if (!c->next) f->run.tail = &f->run.head;
        pthread_mutex_unlock(&f->mu);
        err = sink(ctx, c->range, c->labels, &c->best, ei);
        pthread_mutex_lock(&f->mu);
        f->run.in_window -= c->range.count;
        if (!err) f->seats[c->engine].labels += c->range.count;
        pthread_cond_broadcast(&f->work);
        free(c->labels);
        free(c);
    }
    return err;
}

static void wait_ready(struct sm_label_farm *f)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += (long)POLL_NS;
    if (at.tv_nsec >= (long)SM_NS_PER_S) {
        at.tv_nsec -= (long)SM_NS_PER_S;
        at.tv_sec++;
    }
    (void)pthread_cond_timedwait(&f->ready, &f->mu, &at);
}

/* Under mu. *out_asked: SM_E_CANCELLED is the caller's wish, not the sink's word. */
static sm_err drive(struct sm_label_farm *f, const struct sm_cancel *cancel, sm_label_sink sink, void *ctx,
                    bool *out_asked, struct sm_errinfo *ei)
{
    for (;;) {
        sm_err err = deliver(f, sink, ctx, ei);
        if (err) return err;
        if (!f->run.unclaimed && !f->run.head) return SM_OK;
        *out_asked = sm_cancelled(cancel);
        if (*out_asked) return sm_fail(ei, SM_E_CANCELLED, "cancelled");
        if (f->run.head && f->run.head->state == CHUNK_DONE) continue;
        if (!f->run.working) {
            err = fall_back(f, ei);
            if (err) return err;
        }
        wait_ready(f);
    }
}

static void run_begin(struct sm_label_farm *f, const struct sm_label_job *job, const struct sm_label_range *ranges,
                      size_t ranges_n)
{
    memset(&f->run, 0, sizeof f->run);
    atomic_store(&f->stop.requested, false);
    f->run.job = job;
    f->run.ranges = ranges;
    f->run.ranges_n = ranges_n;
    f->run.tail = &f->run.head;
    for (size_t i = 0; i < ranges_n; i++) f->run.unclaimed += ranges[i].count;
    while (f->run.ranges_n && f->run.ranges->count == 0) {
        f->run.ranges++;
        f->run.ranges_n--;
    }
    for (size_t i = 0; i < f->seats_n && f->run.unclaimed; i++)
        if (!f->seats[i].quarantined) seat_start(&f->seats[i]);
}

static void run_end(struct sm_label_farm *f)
{
    sm_cancel_request(&f->stop);
    pthread_cond_broadcast(&f->work);
    for (size_t i = 0; i < f->seats_n; i++) {
        struct seat *s = &f->seats[i];
        if (!s->running) continue;
        pthread_mutex_unlock(&f->mu);
        (void)pthread_join(s->thread, NULL);
        pthread_mutex_lock(&f->mu);
        s->running = false;
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
    for (struct chunk *c = f->run.head, *next; c; c = next) {
        next = c->next;
        free(c->labels);
        free(c);
    }
    f->run.head = NULL;
    pthread_mutex_unlock(&f->mu);
    return err;
}
