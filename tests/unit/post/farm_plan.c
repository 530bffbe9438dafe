/* The farm's plan in virtual time: engines of any speed, in wrong guesses, that slow down or die. No thread and no clock:
 * what is asserted is how much of the engines' time is spent computing. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "post/farm_plan.h"
#include "util/clock.h"

#define SEATS_MAX  8u
#define OVERHEAD_S 0.001 /* of every piece, on the engine */

struct machine {
    double rate; /* labels per second, of whole widths */
    uint32_t width;
    double guess; /* the farm is told rate * guess */
    double duty;  /* 0: works all the time */
    double rests_until;
    double slows_at, slow; /* from then on rate * slow; 0: never */
    double dies_at;        /* the piece it has then fails; 0: never */
    struct sm_piece *piece;
    double ends_at, busy_s, lost_s;
    bool dead;
};

struct world {
    struct sm_farm_plan plan;
    struct machine m[SEATS_MAX];
    size_t n;
    double now, sink_free_at; /* seconds */
    double sink_rate;         /* labels per second; 0: no time */
    struct sm_piece *in_sink;
    const struct sm_label_range *ranges; /* what must be delivered, in order */
    size_t ranges_n, range;
    uint64_t at, delivered;
    uint64_t window_max;
};

static uint64_t rng;

static double uniform(double low, double high)
{
    rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return low + (high - low) * (double)(rng >> 11) / 0x1p53;
}

/* So that its logarithm is uniform. */
static double spread(double low, double high)
{
    return exp(uniform(log(low), log(high)));
}

static uint64_t ns(double s)
{
    return (uint64_t)(s * (double)SM_NS_PER_S) + 1;
}

/* When a piece that starts now will be done. */
static double end_of(const struct world *w, const struct machine *m, uint64_t labels)
{
    const double paid = ceil((double)labels / m->width) * m->width, start = w->now + OVERHEAD_S;
    if (!m->slow || start + paid / m->rate <= m->slows_at) return start + paid / m->rate;
    if (start >= m->slows_at) return start + paid / (m->rate * m->slow);
    return m->slows_at + (paid - (m->slows_at - start) * m->rate) / (m->rate * m->slow);
}

static void ask(struct world *w, size_t i)
{
    struct machine *m = &w->m[i];
    if (m->piece || m->dead || m->rests_until > w->now) return;
    m->piece = sm_farm_plan_claim(&w->plan, i, ns(w->now));
    if (!m->piece) return;
    cr_assert_gt(m->piece->range.count, 0);
    m->ends_at = end_of(w, m, m->piece->range.count);
    if (w->plan.in_window > w->window_max) w->window_max = w->plan.in_window;
}

/* The order is checked here: every label once, none left out. */
static void receive(struct world *w)
{
    struct sm_piece *c = w->in_sink;
    while (w->at == w->ranges[w->range].count) {
        w->range++;
        w->at = 0;
    }
    const struct sm_label_range *r = &w->ranges[w->range];
    cr_assert_eq(c->range.first, r->first + w->at, "out of order");
    cr_assert_leq(c->range.count, r->count - w->at, "beyond its range");
    w->at += c->range.count;
    w->delivered += c->range.count;
    w->in_sink = NULL;
    sm_farm_plan_delivered(&w->plan, c);
}

static void feed_sink(struct world *w)
{
    for (;;) {
        if (w->in_sink && w->sink_free_at > w->now) return;
        if (w->in_sink) receive(w);
        w->in_sink = sm_farm_plan_next_done(&w->plan);
        if (!w->in_sink) return;
        w->sink_free_at = w->now + (w->sink_rate ? (double)w->in_sink->range.count / w->sink_rate : 0);
    }
}

static void settle(struct world *w, size_t i)
{
    struct machine *m = &w->m[i];
    struct sm_piece *c = m->piece;
    const double took = m->ends_at - (double)c->started_ns / (double)SM_NS_PER_S;
    m->piece = NULL;
    if (m->dies_at && w->now >= m->dies_at) {
        m->dead = true;
        m->lost_s = took;
        m->dies_at = w->now;
        sm_farm_plan_lose(&w->plan, i);
        sm_farm_plan_give_back(&w->plan, c);
        return;
    }
    m->busy_s += took;
    if (m->duty) m->rests_until = w->now + took * (1 / m->duty - 1);
    sm_farm_plan_computed(&w->plan, c, ns(w->now));
    sm_farm_plan_done(c);
}

/* Runs to the end; the seconds it took. */
static double run(struct world *w, const struct sm_label_range *ranges, size_t n)
{
    w->ranges = ranges;
    w->ranges_n = n;
    sm_farm_plan_begin(&w->plan, ranges, n);
    for (;;) {
        feed_sink(w);
        for (size_t i = 0; i < w->n; i++) ask(w, i);
        if (sm_farm_plan_finished(&w->plan)) return w->now;
        double next = w->in_sink ? w->sink_free_at : INFINITY;
        size_t who = SIZE_MAX;
        for (size_t i = 0; i < w->n; i++)
            if (w->m[i].piece && w->m[i].ends_at < next) next = w->m[who = i].ends_at;
        for (size_t i = 0; i < w->n; i++)
            if (!w->m[i].piece && !w->m[i].dead && w->m[i].rests_until > w->now && w->m[i].rests_until < next) {
                next = w->m[i].rests_until;
                who = SIZE_MAX;
            }
        cr_assert(isfinite(next), "everyone waits: %" PRIu64 " labels left", w->plan.unclaimed + w->plan.returned);
        w->now = next;
        if (who != SIZE_MAX) settle(w, who);
    }
}

static void world_init(struct world *w, const struct machine *m, size_t n, uint64_t window)
{
    *w = (struct world){.n = n};
    cr_assert_eq(sm_farm_plan_init(&w->plan, n, window, NULL), SM_OK);
    for (size_t i = 0; i < n; i++) {
        w->m[i] = m[i];
        const double chunk = m[i].rate * m[i].guess * 0.5;
        cr_assert_eq(
            sm_farm_plan_add(&w->plan, chunk < m[i].width ? m[i].width : (uint64_t)chunk, m[i].width, m[i].duty), i);
    }
}

/* Labels that the engines could have computed until `end`, without the piece that died with its engine. */
static double possible(const struct world *w, double end)
{
    double sum = 0;
    for (size_t i = 0; i < w->n; i++) {
        const struct machine *m = &w->m[i];
        const double until = m->dead ? m->dies_at - m->lost_s : end;
        const double rate = m->rate * (m->duty ? m->duty : 1);
        if (m->slow && m->slows_at < until)
            sum += rate * m->slows_at + rate * m->slow * (until - m->slows_at);
        else
            sum += rate * until;
    }
    return sum;
}

static uint64_t total_of(const struct sm_label_range *r, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += r[i].count;
    return sum;
}

/* Cuts `seconds` of the machines' work into files, with parts missing. */
static size_t make_ranges(const struct machine *m, size_t n, double seconds, struct sm_label_range *out, size_t room)
{
    double all = 0;
    for (size_t i = 0; i < n; i++) all += m[i].rate * (m[i].duty ? m[i].duty : 1);
    const size_t files = 1 + (size_t)uniform(0, (double)room - 1);
    uint64_t first = (uint64_t)uniform(0, 1e9);
    for (size_t i = 0; i < files; i++) {
        out[i] = (struct sm_label_range){first, (uint64_t)(all * seconds / (double)files)};
        first += out[i].count + (uint64_t)uniform(0, 1000);
    }
    if (files > 1 && uniform(0, 1) < 0.3) out[files / 2].count = (uint64_t)uniform(0, 3);
    return files;
}

static double efficiency(struct world *w, const struct sm_label_range *r, size_t n, uint64_t seed)
{
    const double end = run(w, r, n), could = possible(w, end), got = (double)total_of(r, n);
    cr_assert_eq(w->delivered, total_of(r, n), "seed %" PRIu64, seed);
    return got / could;
}

static void report(const struct world *w, uint64_t seed, double e)
{
    cr_log_error("seed %" PRIu64 ": %.2f %% of the engines' time", seed, 100 * e);
    for (size_t i = 0; i < w->n; i++)
        cr_log_error("  engine %zu: rate %.0f width %u guess %.2f busy %.1f s of %.1f%s", i, w->m[i].rate,
                     w->m[i].width, w->m[i].guess, w->m[i].busy_s, w->now, w->m[i].dead ? ", died" : "");
}

/* Eight devices, the fastest up to a thousand times the slowest; one of them fails, half of the time. A minute's work. */
static struct machine random_machine(void)
{
    static const uint32_t widths[] = {1, 16, 80, 1024, 4096, 65536};
    struct machine m = {.rate = spread(1e3, 1e6), .guess = spread(0.25, 4)};
    m.width = widths[(size_t)uniform(0, 6)];
    if (m.width / m.rate > 0.3) m.width = 1;
    return m;
}

Test(farm_plan, eight_engines_are_kept_busy, .timeout = 300)
{
    for (uint64_t seed = 1; seed <= 2000; seed++) {
        struct machine m[SEATS_MAX];
        struct sm_label_range r[12];
        struct world w;
        rng = seed * UINT64_C(0x9e3779b97f4a7c15);
        for (size_t i = 0; i < SEATS_MAX; i++) m[i] = random_machine();
        if (seed % 2) m[(size_t)uniform(0, SEATS_MAX)].dies_at = uniform(0.1, 50);
        if (seed % 3 == 0) {
            struct machine *s = &m[(size_t)uniform(0, SEATS_MAX)];
            s->slows_at = uniform(0.1, 50);
            s->slow = spread(0.2, 3);
        }
        const size_t n = make_ranges(m, SEATS_MAX, 60, r, 12);
        world_init(&w, m, SEATS_MAX, 0);
        const double e = efficiency(&w, r, n, seed);
        if (!(e >= 0.97)) report(&w, seed, e);
        cr_assert_geq(e, 0.97);
        sm_farm_plan_fini(&w.plan);
    }
}

/* Half of them may work only a part of the time; that part is used, and no more. */
Test(farm_plan, throttled_engines_get_their_share, .timeout = 300)
{
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct machine m[SEATS_MAX];
        struct sm_label_range r[12];
        struct world w;
        rng = seed * UINT64_C(0x9e3779b97f4a7c15);
        for (size_t i = 0; i < SEATS_MAX; i++) {
            m[i] = random_machine();
            if (i % 2) m[i].duty = uniform(0.1, 0.9);
        }
        const size_t n = make_ranges(m, SEATS_MAX, 60, r, 12);
        world_init(&w, m, SEATS_MAX, 0);
        const double e = efficiency(&w, r, n, seed);
        if (!(e >= 0.97)) report(&w, seed, e);
        cr_assert_geq(e, 0.97);
        for (size_t i = 1; i < SEATS_MAX; i += 2) /* the last piece needs no rest */
            cr_assert_leq(w.m[i].busy_s, w.m[i].duty * w.now + 1, "seed %" PRIu64, seed);
        sm_farm_plan_fini(&w.plan);
    }
}

/* A short run, when every engine's speed is known from the one before. */
Test(farm_plan, the_end_is_reached_together, .timeout = 300)
{
    for (uint64_t seed = 1; seed <= 500; seed++) {
        struct machine m[SEATS_MAX];
        struct sm_label_range warm[12], r[1];
        struct world w;
        rng = seed * UINT64_C(0x9e3779b97f4a7c15);
        double all = 0;
        for (size_t i = 0; i < SEATS_MAX; i++) {
            m[i] = random_machine();
            m[i].width = 1;
            all += m[i].rate;
        }
        world_init(&w, m, SEATS_MAX, 0);
        (void)efficiency(&w, warm, make_ranges(m, SEATS_MAX, 10, warm, 12), seed);
        const double before = w.now;
        w.at = w.range = 0;
        r[0] = (struct sm_label_range){7, (uint64_t)(3 * all)};
        w.delivered = 0;
        const double took = run(&w, r, 1) - before;
        cr_assert_eq(w.delivered, r[0].count);
        cr_assert_leq(took, 3 * 1.05, "seed %" PRIu64 ": %.3f s for 3 s of work", seed, took);
        sm_farm_plan_fini(&w.plan);
    }
}

/* The writer stops for a second and a half now and then, and is otherwise twice as fast as the engines. */
Test(farm_plan, a_small_window_holds_and_nothing_stands_still, .timeout = 300)
{
    static const uint64_t windows[] = {1, 2, 100, 5000, 100000, 4000000};
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct machine m[SEATS_MAX];
        struct sm_label_range r[12];
        struct world w;
        rng = seed * UINT64_C(0x9e3779b97f4a7c15);
        const size_t machines = 1 + (size_t)uniform(0, SEATS_MAX);
        double all = 0;
        for (size_t i = 0; i < machines; i++) {
            m[i] = random_machine();
            m[i].rate = spread(1e2, 1e4);
            if (m[i].width > 80) m[i].width = 80;
            all += m[i].rate;
        }
        if (seed % 2 && machines > 1) m[0].dies_at = 0.01;
        const uint64_t window = windows[seed % 6];
        const size_t n = make_ranges(m, machines, 0.5, r, 12);
        world_init(&w, m, machines, window);
        w.sink_rate = 2 * all;
        (void)efficiency(&w, r, n, seed);
        cr_assert_leq(w.window_max, window, "seed %" PRIu64, seed);
        sm_farm_plan_fini(&w.plan);
    }
}

Test(farm_plan, the_default_window_is_bounded)
{
    static const uint64_t chunks[] = {0, 1, 1000, 1 << 20, UINT64_MAX / 2};
    static const struct sm_label_range r[] = {{0, UINT64_MAX / 4}};
    for (size_t i = 0; i < 5; i++) {
        struct sm_farm_plan p;
        cr_assert_eq(sm_farm_plan_init(&p, 2, 0, NULL), SM_OK);
        for (int k = 0; k < 2; k++) (void)sm_farm_plan_add(&p, chunks[i], 0, 0);
        sm_farm_plan_begin(&p, r, 1);
        cr_assert(p.window * 16 >= 32 << 20 && p.window * 16 <= 256 << 20);
        const struct sm_piece *c = sm_farm_plan_claim(&p, 0, 5);
        cr_assert(c && c->range.count && c->range.count <= p.window);
        sm_farm_plan_fini(&p);
    }
}

/* Pieces are as small as the engine's owner wants them, though a whole width would take no longer. */
Test(farm_plan, a_chunk_below_the_width_is_kept)
{
    static const struct sm_label_range r[] = {{0, 1000}};
    struct sm_farm_plan p;
    cr_assert_eq(sm_farm_plan_init(&p, 1, 0, NULL), SM_OK);
    (void)sm_farm_plan_add(&p, 10, 64, 0);
    sm_farm_plan_begin(&p, r, 1);
    for (uint64_t at = 0; at < 1000; at += 10) {
        struct sm_piece *c = sm_farm_plan_claim(&p, 0, at);
        cr_assert(c && c->range.first == at && c->range.count == 10);
        sm_farm_plan_computed(&p, c, at + 1);
        sm_farm_plan_done(c);
        sm_farm_plan_delivered(&p, sm_farm_plan_next_done(&p));
    }
    cr_assert(sm_farm_plan_finished(&p));
    sm_farm_plan_fini(&p);
}

/* A slow engine leaves the last labels to a fast one that is busy, but never when nobody is. */
Test(farm_plan, who_is_too_slow_waits_for_the_others)
{
    static const struct sm_label_range r[] = {{0, 50000}};
    struct sm_farm_plan p;
    cr_assert_eq(sm_farm_plan_init(&p, 2, 0, NULL), SM_OK);
    const size_t fast = sm_farm_plan_add(&p, 100000, 1, 0), slow = sm_farm_plan_add(&p, 100, 100, 0);
    sm_farm_plan_begin(&p, r, 1);
    struct sm_piece *a = sm_farm_plan_claim(&p, fast, 0);
    cr_assert_not_null(a);
    cr_assert_null(sm_farm_plan_claim(&p, slow, 0),
                   "half a second, and the other would have done everything in a quarter");
    sm_farm_plan_computed(&p, a, 1000000);
    cr_assert_not_null(sm_farm_plan_claim(&p, slow, 1000000), "nobody computes");
    sm_farm_plan_fini(&p);

    cr_assert_eq(sm_farm_plan_init(&p, 2, 0, NULL), SM_OK);
    (void)sm_farm_plan_add(&p, 100000, 1, 0);
    (void)sm_farm_plan_add(&p, 100, 100, 0);
    sm_farm_plan_begin(&p, r, 1);
    a = sm_farm_plan_claim(&p, 0, 0);
    sm_farm_plan_lose(&p, 0);
    sm_farm_plan_give_back(&p, a);
    cr_assert_null(sm_farm_plan_claim(&p, 0, 1), "it is lost");
    struct sm_piece *b = sm_farm_plan_claim(&p, 1, 1);
    cr_assert(b && b->range.first == 0, "the returned labels come first");
    sm_farm_plan_fini(&p);
}
