/* bench/forecast.h: what measured speeds mean for proving: the formulas of the field, as pure functions.
 *
 * One nonce succeeds when at least k2 labels are good, the number of good labels being Poisson(k1) (binomial with many
 * labels). A pass tries n nonces with one read of the data after n / 16 proofs of work. */
#ifndef SM_BENCH_FORECAST_H
#define SM_BENCH_FORECAST_H

#include <stdbool.h>
#include <stdint.h>

#include "post/params.h"

/* P(X >= k2), X ~ Poisson(k1). */
double sm_forecast_nonce_success(uint32_t k1, uint32_t k2);
/* 1 - (1 - p)^n */
double sm_forecast_pass_success(double p, double n);
/* Mean RandomX hashes for one nonce group: 2^256 / floor(pow_difficulty / num_units). */
double sm_forecast_group_hashes(const struct sm_post_params *net, uint32_t num_units);

/* Speeds of one machine. */
struct sm_forecast_machine {
    double hashes_per_s;     /* k2pow */
    double disk_bytes_per_s; /* sequential reads; 0 = not a limit */
    double aes_bytes_per_s;  /* label bytes per second of one nonce group (16 nonces): scanning n nonces runs at
                                 * aes * 16 / n */
};

/* One choice of nonces per pass, for one size. */
struct sm_forecast {
    uint32_t nonces;
    double pass_success; /* probability that one pass finds a proof */
    double expected_passes;
    double k2pow_s, read_s; /* of one pass */
    double expected_s;      /* expected_passes * (k2pow_s + read_s) */
    uint32_t passes_needed; /* for the target probability */
    bool disk_bound;        /* reading is limited by the disk rather than the scan */
    uint64_t max_units;     /* that fit the window with the target probability */
};

/* Label bytes per second a pass with n nonces reads. */
double sm_forecast_read_rate(const struct sm_forecast_machine *m, uint32_t nonces, bool *out_disk_bound);

struct sm_forecast sm_forecast_at(const struct sm_post_params *net, const struct sm_forecast_machine *m,
                                  uint32_t num_units, uint32_t nonces, double window_s, double target);

/* The number of nonces (16 … 4096) that fits most units into the window; ties: the shorter expected time. */
struct sm_forecast sm_forecast_best(const struct sm_post_params *net, const struct sm_forecast_machine *m,
                                    uint32_t num_units, double window_s, double target);

#endif
