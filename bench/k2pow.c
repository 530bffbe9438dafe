/* bench/k2pow: RandomX hashes per second, ordinary pages against transparent huge pages, light and fast mode.
 *
 *   bench_k2pow [seconds per repetition] [threads]
 *
 * Both kinds of pages are held at once and measured in turns, so that they see the same clock and neighbours; fast mode
 * therefore needs 5 GiB. busy is the share of the time in which the threads really ran: below 100 % somebody else used
 * the processors, and the rate per thread and second of processor time is the one to compare. A known hash is checked
 * before anything is timed. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/cpu.h"
#include "post/k2pow.h"
#include "util/clock.h"
#include "util/text.h"
#include "util/thread.h"

#define REPS 7u

static const struct sm_k2pow_job job; /* all zero: group 0, difficulty 0, which no hash is below */

struct subject {
    struct sm_randomx *rx;
    double rates[REPS];     /* hashes per second */
    double cpu_rates[REPS]; /* hashes per thread and second of processor time */
    double busy[REPS];
};

static void die(const char *what, const struct sm_errinfo *ei)
{
    (void)fprintf(stderr, "bench_k2pow: %s: %s\n", what, ei->text);
    exit(1);
}

/* pow 0, group 0, zeros: vectors/k2pow.json. */
static void check_known_hash(struct sm_randomx *rx)
{
    struct sm_errinfo ei = {0};
    struct sm_randomx_vm *vm;
    uint8_t in[SM_K2POW_INPUT_BYTES], out[32];
    char hex[SM_HEX_ROOM(32)];
    if (sm_randomx_vm_new(rx, &vm, &ei)) die("virtual machine", &ei);
    sm_k2pow_input(&job, 0, in);
    sm_randomx_hash(vm, in, sizeof in, out);
    sm_randomx_vm_free(vm);
    if (strcmp(sm_hex_encode(out, 32, hex), "42f1af4705a986a364efcdf9d0c98cde07d5d650fc717b5fc6d38dfbdf2c20ef") == 0)
        return;
    (void)fprintf(stderr, "bench_k2pow: wrong hash %s\n", hex);
    exit(1);
}

struct timer {
    struct sm_randomx *rx;
    uint64_t end_ns;
    atomic_uint_fast64_t hashes, cpu_ns;
};

static uint64_t thread_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * SM_NS_PER_S + (uint64_t)t.tv_nsec;
}

static void hash_until_end(void *ctx, unsigned index)
{
    struct timer *t = ctx;
    struct sm_errinfo ei = {0};
    struct sm_randomx_vm *vm;
    uint8_t in[SM_K2POW_INPUT_BYTES], out[32];
    uint64_t pow = (uint64_t)index << 32, n = 0;
    if (sm_randomx_vm_new(t->rx, &vm, &ei)) die("virtual machine", &ei);
    const uint64_t start = thread_ns();
    sm_k2pow_input(&job, pow++, in);
    sm_randomx_hash_first(vm, in, sizeof in);
    for (; sm_clock_ns() < t->end_ns; n++) {
        sm_k2pow_input(&job, pow++, in);
        sm_randomx_hash_next(vm, in, sizeof in, out);
    }
    atomic_fetch_add(&t->hashes, n);
    atomic_fetch_add(&t->cpu_ns, thread_ns() - start);
    sm_randomx_vm_free(vm);
}

static void measure(struct subject *s, unsigned rep, unsigned threads, double seconds)
{
    const uint64_t start = sm_clock_ns();
    struct timer t = {.rx = s->rx, .end_ns = start + (uint64_t)(seconds * 1e9)};
    sm_threads_run(threads, hash_until_end, &t);
    const double wall = sm_clock_seconds_since(start), cpu = (double)atomic_load(&t.cpu_ns) / 1e9;
    s->rates[rep] = (double)atomic_load(&t.hashes) / wall;
    s->cpu_rates[rep] = (double)atomic_load(&t.hashes) / cpu;
    s->busy[rep] = cpu / wall / threads;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts. */
static double median(double *v)
{
    qsort(v, REPS, sizeof *v, by_value);
    return v[REPS / 2];
}

static void report(struct subject *s, unsigned threads)
{
    const double middle = median(s->rates);
    (void)printf("k2pow mode=%s pages=%s threads=%u unit=hashes/s median=%.1f min=%.1f max=%.1f reps=%u "
                 "per_thread_cpu_s=%.1f busy=%.0f%% host=\"%s\"\n",
                 sm_randomx_mode_of(s->rx) == SM_RANDOMX_FAST ? "fast" : "light", sm_randomx_pages(s->rx), threads,
                 middle, s->rates[0], s->rates[REPS - 1], REPS, median(s->cpu_rates), 100 * median(s->busy),
                 sm_cpu()->name);
}

static void compare_open(struct subject *plain, struct subject *huge, unsigned threads, double seconds)
{
    check_known_hash(plain->rx);
    check_known_hash(huge->rx);
    measure(plain, 0, threads, seconds / 4); /* warms up */
    for (unsigned r = 0; r < REPS; r++) {
        measure(plain, r, threads, seconds);
        measure(huge, r, threads, seconds);
    }
    report(plain, threads);
    report(huge, threads);
    (void)printf("k2pow mode=%s gain=%.2f gain_per_cpu_s=%.2f\n",
                 sm_randomx_mode_of(plain->rx) == SM_RANDOMX_FAST ? "fast" : "light",
                 huge->rates[REPS / 2] / plain->rates[REPS / 2],
                 huge->cpu_rates[REPS / 2] / plain->cpu_rates[REPS / 2]);
}

static void compare(sm_randomx_mode mode, unsigned threads, double seconds)
{
    struct subject plain = {0}, huge = {0};
    struct sm_randomx_cfg cfg = {.mode = mode, .no_huge_pages = true};
    struct sm_errinfo ei = {0};
    if (sm_k2pow_open(cfg, NULL, &plain.rx, &ei)) die("ordinary pages", &ei);
    cfg.no_huge_pages = false;
    if (sm_k2pow_open(cfg, NULL, &huge.rx, &ei)) die("huge pages", &ei);
    if (sm_randomx_mode_of(plain.rx) == mode && sm_randomx_mode_of(huge.rx) == mode)
        compare_open(&plain, &huge, threads, seconds);
    else
        (void)printf("k2pow mode=fast skipped: not enough memory for two datasets\n");
    sm_randomx_close(plain.rx);
    sm_randomx_close(huge.rx);
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 3;
    const unsigned threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : sm_cpu_count();
    if (!(seconds > 0) || threads == 0) {
        (void)fprintf(stderr, "usage: bench_k2pow [seconds per repetition] [threads]\n");
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    compare(SM_RANDOMX_LIGHT, threads, seconds);
    compare(SM_RANDOMX_FAST, threads, seconds);
    return 0;
}
