/* bench/team.h: several threads that repeat the same step for a while, and the rate they reach together.
 *
 * A measurement is a number of short slices; slices of the thing measured and of its baseline alternate, so that
 * both see the same weather on a shared machine. The median of the slices is what is quoted. */
#ifndef SM_BENCH_TEAM_H
#define SM_BENCH_TEAM_H

#include <stdint.h>

#include "util/cancel.h"
#include "util/err.h"

#define SM_BENCH_SLICES 5u

struct sm_bench_stat {
    double median, min, max; /* units per second of all threads together */
    unsigned slices;
};

/* One thread's state; created on its own thread, so that its memory is touched there first. */
struct sm_bench_team_ops {
    sm_err (*setup)(void *ctx, unsigned index, void **out_state, struct sm_errinfo *ei);
    void (*teardown)(void *state); /* accepts NULL */
};
struct sm_bench_team;
SM_MUST_CHECK sm_err sm_bench_team_new(const struct sm_bench_team_ops *ops, void *ctx, unsigned threads,
                                       struct sm_bench_team **out, struct sm_errinfo *ei);
void sm_bench_team_free(struct sm_bench_team *t);

/* Does some work and returns how many units it was; called again until the slice is over. A negative value fails the
 * slice. */
typedef double (*sm_bench_step)(void *state);
/* Runs one slice on all threads. *out_rate: the sum over threads of units / own elapsed time. SM_E_CANCELLED,
 * SM_E_DEVICE when a step failed. */
SM_MUST_CHECK sm_err sm_bench_team_slice(struct sm_bench_team *t, sm_bench_step step, double seconds,
                                         const struct sm_cancel *cancel, double *out_rate, struct sm_errinfo *ei);

/* Measures its own rate for about `seconds` and returns it in units per second; called once per slice. */
typedef double (*sm_bench_self_timed)(void *state, double seconds);
/* Alternates SM_BENCH_SLICES slices of `step` and, when `bound` is not NULL, of `bound`, in `seconds` altogether, after
 * a short warm-up. */
SM_MUST_CHECK sm_err sm_bench_team_measure(struct sm_bench_team *t, sm_bench_step step, sm_bench_self_timed bound,
                                           double seconds, const struct sm_cancel *cancel, struct sm_bench_stat *out,
                                           struct sm_bench_stat *out_bound, struct sm_errinfo *ei);

/* Median, minimum and maximum of n >= 1 values; sorts them in place. */
struct sm_bench_stat sm_bench_stat_of(double *values, unsigned n);

/* Processor time that this process has spent so far. */
double sm_bench_processor_seconds(void);

#endif
