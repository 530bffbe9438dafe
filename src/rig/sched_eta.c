/* When the proofs will be there: all of them at once, as the gates will let them pass. k2pow is done one after the other, in
 * order of urgency; each disk pass begins when the k2pow is done and the disks are free. Rates are what was measured on this
 * machine. How many passes a proof takes nobody knows: one, most of the time. */
#include <math.h>

#include "rig/sched_impl.h"

#define UNKNOWN (-1.0)

/* The run that goes on is for what is asked, not one that is being stopped. */
static bool is_under_way(const struct sm_sched_id *id)
{
    return id->running && !id->stopping;
}

/* ---- what is left of one ---- */

/* The processors and the workers are everybody's: who was not measured yet is as fast as the others. */
static double hash_rate(const struct sm_sched_id *id)
{
    double rate = sm_meter_rate(&id->hashes);
    for (size_t i = 0; rate <= 0 && i < id->s->n; i++) rate = sm_meter_rate(&id->s->ids[i]->hashes);
    return rate;
}

static double k2pow_left_s(const struct sm_sched_id *id)
{
    const struct sm_prove_progress *p = &id->progress;
    const bool done = is_under_way(id) && id->gated && id->hold != NEED_CPU && id->wish != NEED_CPU;
    double hashes = id->what.hashes;
    if (done) return 0;
    if (is_under_way(id) && p->groups_total && p->expected_hashes > 0)
        hashes = fmax(0, p->expected_hashes * (p->groups_total - p->groups_done) - (double)p->hashes);
    else if (hashes <= 0)
        return UNKNOWN;
    if (hashes <= 0) return 0;
    const double rate = hash_rate(id);
    return rate > 0 ? hashes / rate : UNKNOWN;
}

/* Its own, that of another on the same disk, or the slowest of all: better than nothing to warn by. */
static double read_rate(const struct sm_sched_id *id)
{
    const struct sm_sched *s = id->s;
    double rate = sm_meter_rate(&id->bytes);
    for (size_t i = 0; rate <= 0 && i < s->n; i++)
        if (sm_disks_shared(&s->ids[i]->what.disks, &id->what.disks)) rate = sm_meter_rate(&s->ids[i]->bytes);
    if (rate > 0) return rate;
    for (size_t i = 0; i < s->n; i++) {
        const double other = sm_meter_rate(&s->ids[i]->bytes);
        if (other > 0 && (rate <= 0 || other < rate)) rate = other;
    }
    return rate;
}

static double read_left_s(const struct sm_sched_id *id)
{
    if (is_under_way(id) && id->verifying) return 0;
    const double rate = read_rate(id);
    const uint64_t done = is_under_way(id) && id->hold == NEED_DISK ? id->progress.bytes_done : 0;
    if (rate <= 0) return UNKNOWN;
    return done < id->what.bytes ? (double)(id->what.bytes - done) / rate : 0;
}

/* ---- all of them ---- */

/* Both known: the later one. */
static double later(double a, double b)
{
    return a < 0 || b < 0 ? UNKNOWN : fmax(a, b);
}

static double plus(double a, double b)
{
    return a < 0 || b < 0 ? UNKNOWN : a + b;
}

static unsigned scans_at(const struct sm_sched *s, double t)
{
    unsigned n = 0;
    for (size_t i = 0; i < s->n; i++) n += s->ids[i]->plan.placed && s->ids[i]->plan.end_s > t;
    return n;
}

/* The next moment after `t` at which a pass ends. */
static double next_end(const struct sm_sched *s, double t)
{
    double next = INFINITY;
    for (size_t i = 0; i < s->n; i++) {
        const struct sm_sched_id *id = s->ids[i];
        if (id->plan.placed && id->plan.end_s > t) next = fmin(next, id->plan.end_s);
    }
    return next;
}

static double disks_free_at(const struct sm_sched *s, const struct sm_sched_id *id, double from)
{
    double t = from;
    for (size_t i = 0; i < s->n; i++) {
        const struct sm_sched_id *other = s->ids[i];
        if (other != id && other->plan.placed && sm_disks_shared(&other->what.disks, &id->what.disks))
            t = later(t, other->plan.end_s);
    }
    while (t >= 0 && s->cfg.scans_max && scans_at(s, t) >= s->cfg.scans_max) t = next_end(s, t);
    return t;
}

typedef enum turn {
    TURN_READING, /* or verifying */
    TURN_READ_NEXT,
    TURN_K2POW,
    TURN_K2POW_NEXT,
    TURN_NEVER,
} turn;

static turn turn_of(const struct sm_sched_id *id)
{
    if (!sm_sched_active(id) || id->paused) return TURN_NEVER;
    if (is_under_way(id) && (id->hold == NEED_DISK || id->verifying)) return TURN_READING;
    if (k2pow_left_s(id) == 0) return TURN_READ_NEXT;
    return id->hold == NEED_CPU && is_under_way(id) ? TURN_K2POW : TURN_K2POW_NEXT;
}

static void place(struct sm_sched *s, struct sm_sched_id *id, turn t, double *cpu_free_s)
{
    double ready = 0;
    if (t == TURN_K2POW || t == TURN_K2POW_NEXT) ready = *cpu_free_s = plus(*cpu_free_s, k2pow_left_s(id));
    const double start = t == TURN_READING ? 0 : disks_free_at(s, id, ready);
    id->plan.end_s = plus(start, read_left_s(id));
    id->plan.placed = true;
}

static void make_plan(struct sm_sched *s)
{
    double cpu_free_s = 0;
    sm_sched_sort(s);
    for (size_t i = 0; i < s->n; i++) {
        s->ids[i]->plan.turn = (int)turn_of(s->ids[i]);
        s->ids[i]->plan.placed = false;
    }
    for (turn t = TURN_READING; t < TURN_NEVER; t++)
        for (size_t i = 0; i < s->n; i++)
            if (s->ids[i]->plan.turn == (int)t) place(s, s->ids[i], t, &cpu_free_s);
    s->planned = true;
}

double sm_sched_eta(const struct sm_sched_id *id)
{
    if (!id->s->planned) make_plan(id->s);
    return id->plan.placed ? id->plan.end_s : UNKNOWN;
}
