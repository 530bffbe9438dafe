/* The success tables and k2pow figures that operators know. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "bench/forecast.h"
#include "bench/team.h"
#include "support/vectors.h"

static struct sm_post_params mainnet(void)
{
    struct sm_post_params p = {.name = "m", .min_num_units = 4, .max_num_units = UINT32_MAX, .k1 = 26, .k2 = 37,
                               .labels_per_unit = UINT64_C(1) << 32};
    hex_to("000dfb23b0979b4b000000000000000000000000000000000000000000000000", p.pow_difficulty, 32);
    return p;
}

Test(forecast, pass_success_table)
{
    static const struct {
        unsigned n;
        double p1, passes;
    } rows[] = {
        {16, 0.326265, 3.0650},  {32, 0.546080, 1.8312},  {48, 0.694178, 1.4406},  {64, 0.793957, 1.2595},
        {96, 0.906473, 1.1032},  {128, 0.957546, 1.0443}, {144, 0.971397, 1.0294}, {192, 0.991253, 1.0088},
        {256, 0.998198, 1.0018}, {288, 0.999182, 1.0008}, {384, 0.999923, 1.0001},
    };
    const double p = sm_forecast_nonce_success(26, 37);
    cr_assert_float_eq(p, 0.02438024, 5e-9);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_float_eq(sm_forecast_pass_success(p, rows[i].n), rows[i].p1, 6e-7, "%u nonces", rows[i].n);
        cr_assert_float_eq(1 / sm_forecast_pass_success(p, rows[i].n), rows[i].passes, 6e-5);
    }
}

Test(forecast, success_in_the_other_regime)
{
    cr_assert_float_eq(sm_forecast_nonce_success(12, 4), 0.9977082088, 1e-9); /* 1 - e^-12 (1 + 12 + 72 + 288) */
    cr_assert_float_eq(sm_forecast_nonce_success(1, 1), 0.6321205588, 1e-9);
}

Test(forecast, k2pow_time_of_the_documentation)
{
    const struct sm_post_params net = mainnet();
    cr_assert_float_eq(sm_forecast_group_hashes(&net, 1), 4687.5, 1.0);
    const struct sm_forecast_machine m = {.hashes_per_s = 500, .disk_bytes_per_s = 200e6, .aes_bytes_per_s = 32e9};
    /* 4 units, 64 nonces, 500 H/s: 150 s */
    const struct sm_forecast f = sm_forecast_at(&net, &m, 4, 64, 12 * 3600, 0.99);
    cr_assert_float_eq(f.k2pow_s, 150, 0.1);
    cr_assert(f.disk_bound);
    cr_assert_float_eq(f.read_s, 4 * 68719476736.0 / 200e6, 1e-6);
    cr_assert_eq(f.passes_needed, 3u); /* 1 - 0.206^3 = 0.9913 */
    cr_assert_eq(f.max_units, (uint64_t)(12 * 3600 / (3 * (150 / 4.0 + 68719476736.0 / 200e6))));
}

Test(forecast, best_is_no_worse_than_any)
{
    const struct sm_post_params net = mainnet();
    const struct sm_forecast_machine m = {.hashes_per_s = 1200, .disk_bytes_per_s = 500e6, .aes_bytes_per_s = 16e9};
    const struct sm_forecast best = sm_forecast_best(&net, &m, 4, 12 * 3600, 0.999);
    for (uint32_t n = 16; n <= 1024; n += 16)
        cr_assert_geq(best.max_units, sm_forecast_at(&net, &m, 4, n, 12 * 3600, 0.999).max_units);
    cr_assert_geq(sm_forecast_pass_success(sm_forecast_nonce_success(26, 37), best.nonces * best.passes_needed), 0.999);
}

Test(team, statistics)
{
    double v[] = {5, 1, 3, 2, 4};
    const struct sm_bench_stat s = sm_bench_stat_of(v, 5);
    cr_assert(s.median == 3 && s.min == 1 && s.max == 5 && s.slices == 5);
    double w[] = {4, 2};
    cr_assert(sm_bench_stat_of(w, 2).median == 3);
}

static sm_err setup(void *ctx, unsigned index, void **out, struct sm_errinfo *ei)
{
    if (ctx && index == 2) return sm_fail(ei, SM_E_NOMEM, "thread %u", index);
    *out = calloc(1, sizeof(int));
    return SM_OK;
}

static double step(void *state)
{
    return ++*(int *)state > 3 ? -1 : 1; /* fails on the fourth call of a thread */
}

static double endless(void *state)
{
    return state ? 1 : -1;
}

Test(team, failures_are_reported)
{
    static const struct sm_bench_team_ops ops = {setup, free};
    struct sm_bench_team *t = NULL;
    struct sm_errinfo ei = {0};
    int refuse = 1;
    cr_assert_eq(sm_bench_team_new(&ops, &refuse, 4, &t, &ei), SM_E_NOMEM);
    cr_assert_str_eq(ei.text, "thread 2");
    cr_assert_eq(sm_bench_team_new(&ops, NULL, 4, &t, &ei), SM_OK);
    double rate = 0;
    cr_assert_eq(sm_bench_team_slice(t, step, 1e9, NULL, &rate, &ei), SM_E_DEVICE);
    cr_assert_eq(sm_bench_team_slice(t, endless, 0, NULL, &rate, &ei), SM_OK);
    cr_assert_gt(rate, 0);
    struct sm_cancel c = {true};
    cr_assert_eq(sm_bench_team_slice(t, endless, 1e9, &c, &rate, &ei), SM_E_CANCELLED);
    sm_bench_team_free(t);
}
