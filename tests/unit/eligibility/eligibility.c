/* Eligibility, bit for bit. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eligibility/eligibility.h"
#include "eligibility/fixed.h"
#include "support/vectors.h"

static void raw_is(const json_t *row, const char *key, struct sm_fixed got, size_t i)
{
    uint8_t want[16], have[16];
    vec_hex(row, key, want, 16);
    memcpy(have, &got.raw, 16);
    cr_assert_arr_eq(have, want, 16, "row %zu, %s", i, key);
}

Test(fixed, division_and_cdf_to_the_bit)
{
    json_t *j = vec_load("wire-eligibility.json"), *row;
    size_t i;
    bool overflow = false;
    cr_assert_eq(json_array_size(vec_get(j, "div_uint64")), 11u);
    json_array_foreach(vec_get(j, "div_uint64"), i, row)
        raw_is(row, "raw", sm_fixed_div_u64(vec_u64(row, "p"), vec_u64(row, "q"), &overflow), i);
    cr_assert_eq(json_array_size(vec_get(j, "bincdf")), 69u);
    json_array_foreach(vec_get(j, "bincdf"), i, row)
    {
        const struct sm_fixed p = sm_fixed_div_u64(vec_u64(row, "p_num"), vec_u64(row, "p_den"), &overflow);
        raw_is(row, "p_raw", p, i);
        raw_is(row, "cdf_raw", sm_fixed_bin_cdf((int64_t)vec_u64(row, "n"), p, (int64_t)vec_u64(row, "x"), &overflow),
               i);
        cr_assert_not(overflow, "row %zu", i);
    }
    json_decref(j);
}

Test(hare, counts)
{
    json_t *j = vec_load("wire-eligibility.json"), *row;
    size_t i, eligible = 0;
    cr_assert_eq(json_array_size(vec_get(j, "calc_eligibility")), 90u);
    json_array_foreach(vec_get(j, "calc_eligibility"), i, row)
    {
        struct sm_vrf_proof vrf = {{0}};
        vec_hex(row, "vrf_first8", vrf.b, 8);
        const uint64_t n = vec_u64(row, "n"), total = vec_u64(row, "total");
        const uint32_t committee = (uint32_t)vec_u64(row, "committee");
        const uint16_t want = (uint16_t)vec_u64(row, "count");
        cr_assert_eq(sm_hare_count(n, total, committee, &vrf), want, "row %zu", i);
        cr_assert_eq(sm_hare_count_valid(n, total, committee, &vrf, want), want != 0, "row %zu", i);
        cr_assert_not(sm_hare_count_valid(n, total, committee, &vrf, (uint16_t)(want + 1)), "row %zu", i);
        if (want > 1) cr_assert_not(sm_hare_count_valid(n, total, committee, &vrf, (uint16_t)(want - 1)));
        eligible += want != 0;
    }
    cr_assert_gt(eligible, 20u);
    cr_assert_eq(json_array_size(vec_get(j, "reference_test_constants_TestCalcEligibility")), 5u);
    json_array_foreach(vec_get(j, "reference_test_constants_TestCalcEligibility"), i, row)
    {
        struct sm_vrf_proof vrf;
        memset(&vrf, 0, sizeof vrf);
        vec_hex(row, "vrf", vrf.b,
                64); /* the test's values are shorter than a real VRF; only the first 8 bytes count */
        cr_assert_eq(sm_hare_count(vec_u64(row, "miner_weight"), vec_u64(row, "total_weight"),
                                   (uint32_t)vec_u64(row, "committee"), &vrf),
                     vec_u64(row, "count"), "row %zu", i);
    }
    json_decref(j);
}

Test(hare, refuses_absurd_weights)
{
    const struct sm_vrf_proof vrf = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    cr_assert_eq(sm_hare_count(0, 0, 400, &vrf), 0);
    cr_assert_eq(sm_hare_count(1, 10, 0, &vrf), 0);
    cr_assert_eq(sm_hare_count(UINT64_MAX, UINT64_MAX, 400, &vrf), 0);
    cr_assert_eq(sm_hare_count((UINT64_C(1) << 30) + 1, UINT64_C(1) << 40, 400, &vrf), 0);
    cr_assert_eq(sm_hare_count(UINT64_C(1) << 30, 401, 400, &vrf), 0, "more than the total: would take hours");
    cr_assert_eq(sm_hare_count_valid(11, 10, 400, &vrf, 400), false);
}

Test(hare, grades_with_the_quirk)
{
    json_t *j = vec_load("wire-hare.json"), *row;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "delay_and_grade")), 20u);
    json_array_foreach(vec_get(j, "delay_and_grade"), i, row)
    {
        uint32_t delay;
        const uint8_t grade =
            sm_hare_grade((uint8_t)vec_u64(row, "received_iter"), (uint8_t)vec_u64(row, "received_round"),
                          (uint8_t)vec_u64(row, "of_iter"), (uint8_t)vec_u64(row, "of_round"), &delay);
        cr_assert_eq(delay, vec_u64(row, "delay"), "row %zu", i);
        cr_assert_eq(grade, vec_u64(row, "grade"), "row %zu", i);
    }
    json_decref(j);
}

Test(proposals, slots)
{
    json_t *j = vec_load("wire-ballot-proposal.json"), *row;
    size_t i;
    uint32_t slots;
    cr_assert_eq(json_array_size(vec_get(j, "num_eligible_slots")), 5u);
    json_array_foreach(vec_get(j, "num_eligible_slots"), i, row)
    {
        cr_assert_eq(sm_proposal_slots(vec_u64(row, "weight"), vec_u64(row, "min_weight"), vec_u64(row, "total_weight"),
                                       (uint32_t)vec_u64(row, "layer_size"), (uint32_t)vec_u64(row, "layers_per_epoch"),
                                       &slots, NULL),
                     SM_OK);
        cr_assert_eq(slots, vec_u64(row, "slots"), "row %zu", i);
    }
    cr_assert_eq(sm_proposal_slots(1, 0, 0, 50, 4032, &slots, NULL), SM_E_ARG);
    json_decref(j);
}

Test(vrf, order_is_little_endian)
{
    struct sm_vrf_proof a = {{0}}, b = {{0}};
    a.b[0] = 0xff;
    b.b[79] = 1;
    cr_assert(sm_vrf_compare(&a, &b) < 0 && sm_vrf_compare(&b, &a) > 0 && sm_vrf_compare(&a, &a) == 0);
    cr_assert(sm_vrf_coin(&a) && !sm_vrf_coin(&b));
}

Test(vrf, slots_and_coins)
{
    json_t *j = vec_load("wire-vrf.json"), *row;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "messages")), 7u);
    json_array_foreach(vec_get(j, "messages"), i, row)
    {
        struct sm_vrf_proof pi;
        vec_hex(row, "pi", pi.b, sizeof pi.b);
        cr_assert_eq(sm_proposal_layer(&pi, 45, 4032), 45 * 4032 + vec_u64(row, "first8_le_mod_4032"), "row %zu", i);
        cr_assert_eq(sm_vrf_coin(&pi), vec_u64(row, "lsb"), "row %zu", i);
    }
    json_decref(j);
}

Test(beacon, vote_bits)
{
    json_t *j = vec_load("wire-beacon.json"), *row;
    size_t i;
    cr_assert_geq(json_array_size(vec_get(j, "vote_bits")), 4u);
    json_array_foreach(vec_get(j, "vote_bits"), i, row)
    {
        bool support[64] = {false};
        const json_t *list = vec_get(row, "support_indices");
        for (size_t k = 0; k < json_array_size(list); k++) support[json_integer_value(json_array_get(list, k))] = true;
        size_t n;
        uint8_t *want = vec_hex_var(row, "hex", &n), got[8];
        cr_assert_eq(sm_beacon_vote_bits(support, 64, got), n, "row %zu", i);
        if (n) cr_assert_arr_eq(got, want, n);
        for (size_t k = 0; k < 64; k++) cr_assert_eq(sm_beacon_vote_bit(got, n, k), support[k]);
        free(want);
    }
    json_decref(j);
}

/* The vectors' thresholds are decimal; 640 bits by repeated multiplication. */
static void decimal_to_640(const char *text, uint8_t out[80])
{
    memset(out, 0, 80);
    for (; *text; text++) {
        unsigned carry = (unsigned)(*text - '0');
        for (int i = 79; i >= 0; i--) {
            carry += out[i] * 10u;
            out[i] = (uint8_t)carry;
            carry >>= 8;
        }
        cr_assert_eq(carry, 0u);
    }
}

Test(beacon, thresholds)
{
    json_t *j = vec_load("wire-beacon.json"), *row;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "thresholds")), 9u);
    json_array_foreach(vec_get(j, "thresholds"), i, row)
    {
        uint8_t want[80], got[80];
        unsigned q_num = 0, q_den = 0;
        cr_assert_eq(sscanf(vec_str(row, "q"), "%u/%u", &q_num, &q_den), 2);
        decimal_to_640(vec_str(row, "threshold"), want);
        cr_assert_eq(
            sm_beacon_threshold((uint32_t)vec_u64(row, "kappa"), q_num, q_den, vec_u64(row, "num_atxs"), got, NULL),
            SM_OK);
        cr_assert_arr_eq(got, want, 80, "row %zu", i);
        struct sm_vrf_proof vrf;
        memcpy(vrf.b, want, 80);
        cr_assert_not(sm_beacon_passes(&vrf, got));
        if (want[0]) {
            vrf.b[0]--;
            cr_assert(sm_beacon_passes(&vrf, got));
        }
    }
    uint8_t got[80];
    cr_assert_eq(sm_beacon_threshold(40, 1, 3, 0, got, NULL), SM_OK);
    cr_assert_eq(got[0], 0);
    cr_assert_eq(sm_beacon_threshold(40, 3, 3, 1, got, NULL), SM_E_ARG);
    cr_assert_eq(sm_beacon_threshold(400, 1, 3, 1, got, NULL), SM_E_ARG);
    json_decref(j);
}
