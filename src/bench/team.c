#include "bench/team.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "util/clock.h"
#include "util/thread.h"

struct member {
    void *state;
    double rate;
    sm_err err;
    struct sm_errinfo ei;
};

struct sm_bench_team {
    const struct sm_bench_team_ops *ops;
    void *ctx;
    unsigned threads;
    struct {
        sm_bench_step step;
        sm_bench_self_timed bound; /* instead of step */
        double seconds;
        const struct sm_cancel *cancel;
    } slice; /* constant while a slice runs */
    struct member members[];
};

static void member_setup(void *arg, unsigned index)
{
    struct sm_bench_team *t = arg;
    struct member *m = &t->members[index];
    m->err = t->ops->setup(t->ctx, index, &m->state, &m->ei);
}

static sm_err first_failure(const struct sm_bench_team *t, struct sm_errinfo *ei)
{
    for (unsigned i = 0; i < t->threads; i++)
        if (t->members[i].err) return sm_fail(ei, t->members[i].err, "%s", t->members[i].ei.text);
    return SM_OK;
}

sm_err sm_bench_team_new(const struct sm_bench_team_ops *ops, void *ctx, unsigned threads, struct sm_bench_team **out,
                         struct sm_errinfo *ei)
{
    if (threads == 0) threads = sm_cpu_count();
    struct sm_bench_team *t = calloc(1, sizeof *t + threads * sizeof t->members[0]);
    if (!t) return sm_fail(ei, SM_E_NOMEM, "out of memory for %u benchmark threads", threads);
    t->ops = ops;
    t->ctx = ctx;
    t->threads = threads;
    sm_threads_run(threads, member_setup, t);
    sm_err err = first_failure(t, ei);
    if (err) {
        sm_bench_team_free(t);
        return err;
    }
    *out = t;
    return SM_OK;
}

void sm_bench_team_free(struct sm_bench_team *t)
{
    if (!t) return;
    for (unsigned i = 0; i < t->threads; i++) t->ops->teardown(t->members[i].state);
    free(t);
}

static void member_slice(void *arg, unsigned index)
{
    struct sm_bench_team *t = arg;
    struct member *m = &t->members[index];
    const uint64_t start = sm_clock_ns();
    double units = 0, elapsed = 0;
    m->err = SM_OK;
    if (t->slice.bound) {
        m->rate = t->slice.bound(m->state, t->slice.seconds);
        return;
    }
    do {
        if (sm_cancelled(t->slice.cancel)) {
            m->err = sm_fail(&m->ei, SM_E_CANCELLED, "interrupted");
            return;
        }
        const double done = t->slice.step(m->state);
        if (done < 0) {
            m->err = sm_fail(&m->ei, SM_E_DEVICE, "a benchmark step failed on thread %u", index);
            return;
        }
        units += done;
        elapsed = sm_clock_seconds_since(start);
    } while (elapsed < t->slice.seconds);
    m->rate = units / elapsed;
}

static sm_err slice(struct sm_bench_team *t, sm_bench_step step, sm_bench_self_timed bound, double seconds,
                    const struct sm_cancel *cancel, double *out_rate, struct sm_errinfo *ei)
{
    t->slice.step = step;
    t->slice.bound = bound;
    t->slice.seconds = seconds;
    t->slice.cancel = cancel;
    sm_threads_run(t->threads, member_slice, t);
    sm_err err = first_failure(t, ei);
    if (err) return err;
    double sum = 0;
    for (unsigned i = 0; i < t->threads; i++) sum += t->members[i].rate;
    *out_rate = sum;
    return SM_OK;
}

sm_err sm_bench_team_slice(struct sm_bench_team *t, sm_bench_step step, double seconds, const struct sm_cancel *cancel,
                           double *out_rate, struct sm_errinfo *ei)
{
    return slice(t, step, NULL, seconds, cancel, out_rate, ei);
}

sm_err sm_bench_team_measure(struct sm_bench_team *t, sm_bench_step step, sm_bench_self_timed bound, double seconds,
                             const struct sm_cancel *cancel, struct sm_bench_stat *out, struct sm_bench_stat *out_bound,
                             struct sm_errinfo *ei)
{
    double rates[SM_BENCH_SLICES], bounds[SM_BENCH_SLICES], warm;
    const double each = seconds / (SM_BENCH_SLICES * (bound ? 2 : 1) + 1);
    sm_err err = slice(t, step, NULL, each, cancel, &warm, ei);
    for (unsigned i = 0; !err && i < SM_BENCH_SLICES; i++) {
        err = slice(t, step, NULL, each, cancel, &rates[i], ei);
        if (!err && bound) err = slice(t, NULL, bound, each, cancel, &bounds[i], ei);
    }
    if (err) return err;
    *out = sm_bench_stat_of(rates, SM_BENCH_SLICES);
    if (bound) *out_bound = sm_bench_stat_of(bounds, SM_BENCH_SLICES);
    return SM_OK;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct sm_bench_stat sm_bench_stat_of(double *values, unsigned n)
{
    qsort(values, n, sizeof *values, by_value);
    return (struct sm_bench_stat){
        .median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2,
        .min = values[0],
        .max = values[n - 1],
        .slices = n,
    };
}

double sm_bench_processor_seconds(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}
