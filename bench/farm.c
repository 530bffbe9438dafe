/* bench/farm: how much of eight devices' time the farm uses, in real time.
 *
 *   bench_farm [SECONDS [SEED]]
 *
 * The devices are simulated: each sleeps as long as its labels would take, so that they hardly load this machine. Their
 * speeds spread over a factor of a hundred, the farm is told wrong ones by up to a factor of four, and one fails on the
 * way. "trusted" engines make up their labels, the others compute them (N = 2), are checked like graphics devices, and
 * are slower. Every label delivered is checked against its index, or the reference. One line per kind. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "post/label.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/log.h"

#define DEVICES 8u
#define N       2u

struct device {
    double rate; /* labels per second */
    bool real;   /* labels are computed */
    uint64_t fails_at_ns;
    struct sm_label_engine cpu;
};

static uint64_t rng;

static double uniform(double low, double high)
{
    rng = rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return low + (high - low) * (double)(rng >> 11) / 0x1p53;
}

static sm_err compute(void *self, const struct sm_label_job *job, struct sm_label_range range,
                      const struct sm_cancel *cancel, uint8_t *labels, struct sm_vrf_best *best, struct sm_errinfo *ei)
{
    struct device *d = self;
    const uint64_t end = sm_clock_ns() + (uint64_t)((double)range.count / d->rate * (double)SM_NS_PER_S);
    if (d->fails_at_ns && sm_clock_ns() >= d->fails_at_ns) return sm_fail(ei, SM_E_DEVICE, "this device fails on time");
    sm_err err = SM_OK;
    if (d->real) err = d->cpu.ops->compute(d->cpu.self, job, range, cancel, labels, best, ei);
    for (uint64_t i = 0; !d->real && i < range.count; i++) {
        sm_le64_store(labels + SM_LABEL_BYTES * i, range.first + i);
        sm_le64_store(labels + SM_LABEL_BYTES * i + 8, ~(range.first + i));
    }
    const uint64_t now = sm_clock_ns();
    if (!err && now < end) sm_clock_sleep_ns(end - now);
    return err;
}

static void device_free(void *self)
{
    struct device *d = self;
    sm_label_engine_free(&d->cpu);
    free(d);
}

static const struct sm_label_engine_ops ops = {.compute = compute, .free = device_free};

static sm_err device_new(unsigned number, bool real, double rate, struct sm_label_engine *out, struct sm_errinfo *ei)
{
    struct device *d = calloc(1, sizeof *d);
    if (!d) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    *d = (struct device){.rate = rate, .real = real};
    sm_err err = real ? sm_label_engine_cpu(NULL, N, 0, &d->cpu, ei) : SM_OK;
    const double guess = rate * exp(uniform(log(0.25), log(4))) * 0.5;
    *out =
        (struct sm_label_engine){.ops = &ops, .self = d, .chunk = 1 + (uint64_t)guess, .width = 16, .trusted = !real};
    (void)snprintf(out->device, sizeof out->device, "device-%u", number);
    return err;
}

struct receiver {
    const struct sm_label_job *job;
    bool real;
    uint64_t next, wrong;
};

static sm_err receive(void *ctx, struct sm_label_range range, const uint8_t *labels, const struct sm_vrf_best *best,
                      struct sm_errinfo *ei)
{
    (void)best;
    struct receiver *r = ctx;
    r->wrong += range.first != r->next;
    r->next = range.first + range.count;
    for (uint64_t i = 0; !r->real && i < range.count; i++)
        r->wrong += sm_le64_load(labels + SM_LABEL_BYTES * i) != range.first + i;
    uint8_t want[SM_SCRYPT_OUT_BYTES];
    if (!r->real) return SM_OK;
    sm_err err = sm_scrypt_one(N, r->job->commitment.b, range.first, want, ei);
    if (!err) r->wrong += memcmp(want, labels, SM_LABEL_BYTES) != 0;
    return err;
}

/* Labels the devices could have made in `took` seconds. */
static double possible(const double rates[DEVICES], unsigned failing, double failed_s, double took)
{
    double sum = 0;
    for (unsigned i = 0; i < DEVICES; i++) sum += rates[i] * (i == failing && failed_s < took ? failed_s : took);
    return sum;
}

static sm_err measure(bool real, double seconds, struct sm_errinfo *ei)
{
    struct sm_label_engine engines[DEVICES] = {0};
    double rates[DEVICES], all = 0;
    struct sm_label_farm *farm = NULL;
    sm_err err = SM_OK;
    for (unsigned i = 0; i < DEVICES && !err; i++) {
        rates[i] = exp(uniform(log(real ? 50 : 5e3), log(real ? 5e3 : 5e5)));
        all += rates[i];
        err = device_new(i, real, rates[i], &engines[i], ei);
    }
    if (!err) err = sm_label_farm_new(&(struct sm_label_farm_cfg){.engines = engines, .engines_n = DEVICES}, &farm, ei);
    if (err) return err;
    const struct sm_label_job job = {.scrypt_n = N};
    const struct sm_label_range range = {.count = (uint64_t)(all * seconds)};
    struct receiver r = {.job = &job, .real = real};
    const unsigned failing = (unsigned)uniform(0, DEVICES);
    const uint64_t start = sm_clock_ns();
    ((struct device *)engines[failing].self)->fails_at_ns = start + (uint64_t)(seconds / 2 * (double)SM_NS_PER_S);
    err = sm_label_farm_run(farm, &job, &range, 1, NULL, receive, &r, ei);
    const double took = sm_clock_seconds_since(start);
    sm_label_farm_free(farm);
    if (!err && (r.wrong || r.next != range.count)) err = sm_fail(ei, SM_E_DEVICE, "labels are missing, or wrong");
    if (err) return err;
    (void)printf(
        "%-9s %u devices, %.0f to be shared, device %u (%.0f/s) fails half way: %.2f s, %.2f %% of their speed\n",
        real ? "checked" : "trusted", DEVICES, all, failing, rates[failing], took,
        100 * (double)range.count / possible(rates, failing, seconds / 2, took));
    return SM_OK;
}

int main(int argc, char **argv)
{
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 30;
    rng = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct sm_errinfo ei = {0};
    if (!(seconds > 0) || seconds > 86400) return 2;
    sm_log_set_level(SM_LOG_ERROR);
    sm_err err = measure(false, seconds, &ei);
    if (!err) err = measure(true, seconds, &ei);
    if (err) (void)fprintf(stderr, "%s\n", ei.text);
    return err ? 1 : 0;
}
