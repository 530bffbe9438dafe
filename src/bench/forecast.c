#include "bench/forecast.h"

#include <math.h>

#include "post/layout.h"
#include "post/proof.h"
#include "util/u256.h"

double sm_forecast_nonce_success(uint32_t k1, uint32_t k2)
{
    /* The upper tail summed from its largest terms; 1 - lower sum would lose digits. Terms shrink once i > k1. */
    const double lambda = k1;
    double term = exp(k2 * log(lambda) - lambda - lgamma((double)k2 + 1)), sum = 0;
    if (k2 <= k1) { /* the lower sum is the short one */
        double lower = 0, t = exp(-lambda);
        for (uint32_t i = 0; i < k2; i++) {
            lower += t;
            t *= lambda / (i + 1);
        }
        return 1 - lower;
    }
    for (uint32_t i = k2; term > sum * 1e-17; i++) {
        sum += term;
        term *= lambda / (i + 1);
    }
    return sum;
}

double sm_forecast_pass_success(double p, double n)
{
    return -expm1(n * log1p(-p));
}

double sm_forecast_group_hashes(const struct sm_post_params *net, uint32_t num_units)
{
    uint8_t scaled[32];
    sm_u256_div_u64(net->pow_difficulty, num_units ? num_units : 1, scaled);
    return ldexp(1, 256) / sm_u256_to_double(scaled);
}

double sm_forecast_read_rate(const struct sm_forecast_machine *m, uint32_t nonces, bool *out_disk_bound)
{
    const double scan = m->aes_bytes_per_s * SM_NONCES_PER_GROUP / nonces;
    *out_disk_bound = m->disk_bytes_per_s > 0 && m->disk_bytes_per_s < scan;
    return *out_disk_bound ? m->disk_bytes_per_s : scan;
}

struct sm_forecast sm_forecast_at(const struct sm_post_params *net, const struct sm_forecast_machine *m,
                                  uint32_t num_units, uint32_t nonces, double window_s, double target)
{
    const double p = sm_forecast_nonce_success(net->k1, net->k2);
    const double unit_bytes = (double)net->labels_per_unit * SM_LABEL_BYTES;
    struct sm_forecast f = {.nonces = nonces};
    f.pass_success = sm_forecast_pass_success(p, nonces);
    f.expected_passes = 1 / f.pass_success;
    f.k2pow_s = nonces / (double)SM_NONCES_PER_GROUP * sm_forecast_group_hashes(net, num_units) / m->hashes_per_s;
    f.read_s = num_units * unit_bytes / sm_forecast_read_rate(m, nonces, &f.disk_bound);
    f.expected_s = f.expected_passes * (f.k2pow_s + f.read_s);
    f.passes_needed = (uint32_t)fmax(1, ceil(log1p(-target) / (nonces * log1p(-p)) - 1e-9));
    /* both times grow with the number of units, so the largest size follows from the time of this one */
    const double per_unit = (f.k2pow_s + f.read_s) / num_units;
    const double fit = window_s / (f.passes_needed * per_unit);
    f.max_units = fit >= (double)net->max_num_units ? net->max_num_units : (uint64_t)fit;
    return f;
}

struct sm_forecast sm_forecast_best(const struct sm_post_params *net, const struct sm_forecast_machine *m,
                                    uint32_t num_units, double window_s, double target)
{
    struct sm_forecast best = {0};
    for (uint32_t n = SM_NONCES_PER_GROUP; n <= SM_NONCES_MAX; n += SM_NONCES_PER_GROUP) {
        const struct sm_forecast f = sm_forecast_at(net, m, num_units, n, window_s, target);
        if ((uint64_t)n * f.passes_needed > SM_NONCES_MAX) continue; /* group numbers end at 255 */
        if (!best.nonces || f.max_units > best.max_units ||
            (f.max_units == best.max_units && f.expected_s < best.expected_s))
            best = f;
    }
    return best;
}
