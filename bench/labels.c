/* bench/labels: labels per second of every CPU variant.
 *
 *   bench_labels [--n N] [--seconds S] [--reps R] [--threads T] [--thread-time]
 *                [--variant NAME [--tune GROUPS,SETS,GAP,PREFETCH,STREAM]] [--all-tunes]
 *
 * Each line is one variant (with --all-tunes: one candidate of its tuning; with --tune: this one, where prefetch and
 * stream are 1 off, 2 on), first with one thread, then with one per processor. Before it is timed a full width of its
 * labels is compared with ref. In every repetition ref, the variant and the variant's compute bound (the same code, rows
 * always in the L1 cache) are measured in turns, so that all see the same clock and neighbours; medians are printed.
 * --thread-time counts the time the threads were running instead of the time that passed: for machines that others use,
 * too. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/cpu.h"
#include "crypto/scrypt.h"
#include "util/clock.h"
#include "util/thread.h"

#define REPS_MAX 99u

static struct options {
    uint32_t n;
    double seconds; /* per measurement */
    unsigned reps;
    const char *variant;
    bool all_tunes, thread_time;
    bool by_hand; /* `tune` was given */
    struct sm_scrypt_tune tune;
    unsigned threads; /* 0: one, and one per processor */
} opt = {.n = 8192, .seconds = 0.25, .reps = 9};

static const uint8_t commitment[32] = "smesher label benchmark";

static uint64_t now_ns(void)
{
    if (!opt.thread_time) return sm_clock_ns();
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * SM_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* One worker per thread, with room for a width of labels. */
struct team {
    unsigned threads;
    struct sm_scrypt_worker **worker;
    uint8_t **out;
    double *rate;
};

static void team_fini(struct team *t)
{
    for (unsigned i = 0; i < t->threads; i++) {
        if (t->worker) sm_scrypt_worker_free(t->worker[i]);
        if (t->out) free(t->out[i]);
    }
    free(t->worker);
    free(t->out);
    free(t->rate);
    *t = (struct team){0};
}

static bool team_init(struct team *t, const struct sm_scrypt_variant *v, const struct sm_scrypt_tune *tune,
                      unsigned threads)
{
    *t = (struct team){.threads = threads};
    t->worker = calloc(threads, sizeof *t->worker);
    t->out = calloc(threads, sizeof *t->out);
    t->rate = calloc(threads, sizeof *t->rate);
    bool ok = t->worker && t->out && t->rate;
    for (unsigned i = 0; ok && i < threads; i++) {
        struct sm_errinfo ei = {0};
        if (sm_scrypt_worker_new(v, tune, opt.n, &t->worker[i], &ei)) {
            (void)fprintf(stderr, "bench_labels: %s\n", ei.text);
            ok = false;
            break;
        }
        t->out[i] = malloc((size_t)SM_SCRYPT_OUT_BYTES * sm_scrypt_worker_width(t->worker[i]));
        ok = t->out[i] != NULL;
    }
    if (!ok) team_fini(t);
    return ok;
}

static void measure_thread(void *ctx, unsigned i)
{
    struct team *t = ctx;
    const uint32_t width = sm_scrypt_worker_width(t->worker[i]);
    uint64_t labels = 0;
    const uint64_t start = now_ns();
    double elapsed;
    do {
        if (sm_scrypt_range(t->worker[i], commitment, labels, width, NULL, t->out[i])) abort(); /* nobody cancels */
        labels += width;
        elapsed = (double)(now_ns() - start) / (double)SM_NS_PER_S;
    } while (elapsed < opt.seconds);
    t->rate[i] = (double)labels / elapsed;
}

static void bound_thread(void *ctx, unsigned i)
{
    struct team *t = ctx;
    t->rate[i] = sm_scrypt_bound(t->worker[i], opt.seconds);
}

static double team_rate(struct team *t, void (*fn)(void *ctx, unsigned i))
{
    double sum = 0;
    sm_threads_run(t->threads, fn, t);
    for (unsigned i = 0; i < t->threads; i++) sum += t->rate[i];
    return sum;
}

/* The last thread's full width against ref. */
static bool is_correct(const struct team *t)
{
    const uint32_t width = sm_scrypt_worker_width(t->worker[0]);
    for (unsigned i = 0; i < t->threads; i++) {
        if (sm_scrypt_range(t->worker[i], commitment, 1000, width, NULL, t->out[i])) return false;
        for (uint32_t l = 0; l < width; l++) {
            uint8_t want[SM_SCRYPT_OUT_BYTES];
            if (i == 0 && sm_scrypt_one(opt.n, commitment, 1000 + l, want, NULL)) return false;
            const uint8_t *got = t->out[i] + (size_t)SM_SCRYPT_OUT_BYTES * l;
            if (memcmp(got, i == 0 ? want : t->out[0] + (size_t)SM_SCRYPT_OUT_BYTES * l, SM_SCRYPT_OUT_BYTES) != 0)
                return false;
        }
    }
    return true;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort(double *v)
{
    qsort(v, opt.reps, sizeof *v, compare);
}

static int bench(const struct sm_scrypt_variant *v, const struct sm_scrypt_tune *tune, unsigned threads)
{
    int rc = 1;
    double rate[REPS_MAX], ref_rate[REPS_MAX], bound[REPS_MAX], times_ref[REPS_MAX], of_bound[REPS_MAX];
    struct team ref = {0}, team = {0};
    if (!team_init(&ref, sm_scrypt_all()[0], NULL, threads) || !team_init(&team, v, tune, threads)) goto out;
    if (!is_correct(&team)) {
        (void)fprintf(stderr, "bench_labels: %s computes wrong labels\n", v->name);
        goto out;
    }
    (void)team_rate(&team, measure_thread); /* warm up */
    for (unsigned r = 0; r < opt.reps; r++) {
        ref_rate[r] = team_rate(&ref, measure_thread);
        rate[r] = team_rate(&team, measure_thread);
        bound[r] = team_rate(&team, bound_thread);
        times_ref[r] = rate[r] / ref_rate[r];
        of_bound[r] = 100 * rate[r] / bound[r];
    }
    sort(rate), sort(ref_rate), sort(bound), sort(times_ref), sort(of_bound);
    const unsigned mid = opt.reps / 2;
    printf("labels variant=%s groups=%u sets=%u lookup_gap=%u prefetch=%s stream=%s threads=%u n=%u unit=labels/s "
           "median=%.0f min=%.0f max=%.0f reps=%u bound=%.0f of_bound=%.1f%% ref=%.0f times_ref=%.2f mib=%zu "
           "host=\"%s\"\n",
           v->name, tune->groups, tune->sets, tune->lookup_gap, tune->prefetch == 2 ? "on" : "off",
           tune->stream == 2 ? "on" : "off", threads, opt.n, rate[mid], rate[0], rate[opt.reps - 1], opt.reps,
           bound[mid], of_bound[mid], ref_rate[mid], times_ref[mid],
           (sm_scrypt_worker_bytes(team.worker[0]) * threads) >> 20, sm_cpu()->name);
    (void)fflush(stdout);
    rc = 0;
out:
    team_fini(&ref);
    team_fini(&team);
    return rc;
}

static bool parse_tune(const char *value)
{
    struct sm_scrypt_tune *t = &opt.tune;
    opt.by_hand = true;
    return sscanf(value, "%u,%u,%u,%u,%u", &t->groups, &t->sets, &t->lookup_gap, &t->prefetch, &t->stream) == 5;
}

static bool parse_value(const char *key, const char *value)
{
    if (strcmp(key, "--n") == 0)
        opt.n = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(key, "--seconds") == 0)
        opt.seconds = strtod(value, NULL);
    else if (strcmp(key, "--reps") == 0)
        opt.reps = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(key, "--threads") == 0)
        opt.threads = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(key, "--variant") == 0)
        opt.variant = value;
    else if (strcmp(key, "--tune") == 0)
        return parse_tune(value);
    else
        return false;
    return true;
}

static bool parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all-tunes") == 0)
            opt.all_tunes = true;
        else if (strcmp(argv[i], "--thread-time") == 0)
            opt.thread_time = true;
        else if (i + 1 == argc || !parse_value(argv[i], argv[i + 1]))
            return false;
        else
            i++;
    }
    return opt.reps >= 1 && opt.reps <= REPS_MAX && opt.seconds > 0 && (!opt.by_hand || opt.variant);
}

static int bench_tune(const struct sm_scrypt_variant *v, const struct sm_scrypt_tune *tune)
{
    const unsigned cpus = sm_cpu_count();
    if (opt.threads) return bench(v, tune, opt.threads);
    int rc = bench(v, tune, 1);
    if (cpus > 1) rc |= bench(v, tune, cpus);
    return rc;
}

int main(int argc, char **argv)
{
    if (!parse(argc, argv)) {
        (void)fprintf(stderr,
                      "usage: bench_labels [--n N] [--seconds S] [--reps 1…%u] [--threads T] [--thread-time]\n"
                      "       [--variant NAME [--tune GROUPS,SETS,GAP,PREFETCH,STREAM]] [--all-tunes]\n",
                      REPS_MAX);
        return 2;
    }
    int rc = 0;
    for (size_t i = 0; sm_scrypt_all()[i]; i++) {
        const struct sm_scrypt_variant *v = sm_scrypt_all()[i];
        if (opt.variant && strcmp(opt.variant, v->name) != 0) continue;
        if (!v->usable(sm_cpu())) {
            (void)fprintf(stderr, "bench_labels: %s: not on this processor\n", v->name);
            continue;
        }
        if (opt.by_hand) rc |= bench_tune(v, &opt.tune);
        for (size_t t = 0; !opt.by_hand && t < (opt.all_tunes ? v->tunes_n : 1); t++) rc |= bench_tune(v, &v->tunes[t]);
    }
    return rc;
}
