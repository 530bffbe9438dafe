/* Rounds: the reference's open rounds and the instants of the main network. */
#include "poet/round.h"

#include <time.h>

#include "kit.h"

Test(round, open_rounds_of_the_reference)
{
    json_t *v = vec_load("poet-round-timing.json");
    const json_t *items = kit_cases(vec_get(v, "reference"), "items", 4);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *c = json_array_get(items, i);
        const struct sm_round_times t = {.genesis_s = 1000000,
                                         .epoch_s = (uint32_t)vec_u64(c, "epoch_duration_s"),
                                         .phase_shift_s = (uint32_t)vec_u64(c, "phase_shift_s")};
        const int64_t since = json_integer_value(vec_get(c, "since_genesis_s"));
        cr_assert_eq(sm_round_open(&t, t.genesis_s + since), vec_u64(c, "open_round"), "case %zu", i);
    }
    json_decref(v);
}

static int64_t instant(const json_t *obj, const char *key)
{
    struct tm tm = {0};
    const char *end = strptime(vec_str(obj, key), "%Y-%m-%dT%H:%M:%SZ", &tm);
    cr_assert(end, "%s", key);
    return timegm(&tm);
}

Test(round, instants_of_the_main_network)
{
    json_t *v = vec_load("poet-round-timing.json");
    const json_t *m = vec_get(v, "mainnet_derived"), *items = kit_cases(m, "items", 4);
    const struct sm_round_times t = {
        .genesis_s = instant(m, "genesis"),
        .epoch_s = (uint32_t)vec_u64(m, "epoch_s"),
        .phase_shift_s = (uint32_t)vec_u64(m, "phase_shift_s"),
        .cycle_gap_s = (uint32_t)vec_u64(m, "cycle_gap_s"),
        .grace_period_s = (uint32_t)vec_u64(m, "grace_period_s"),
        .positioning_timeout_s = (uint32_t)vec_u64(m, "positioning_atx_selection_timeout_s"),
    };
    uint32_t least, most;
    sm_round_query_jitter_ms(&t, &least, &most);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *c = json_array_get(items, i);
        struct sm_round_schedule s;
        cr_assert_eq(sm_round_schedule(&t, (uint32_t)vec_u64(c, "publish_epoch"), &s, NULL), SM_OK);
        cr_assert_eq(s.round, vec_u64(c, "round_id"));
        cr_assert_eq(s.build_start_s, instant(c, "challenge_build_start"));
        cr_assert_eq(s.positioning_deadline_s, instant(c, "positioning_atx_deadline"));
        cr_assert_eq(s.start_s, instant(c, "round_start_registration_deadline"));
        cr_assert_eq(s.end_s, instant(c, "round_end"));
        cr_assert_eq(s.next_start_s, instant(c, "next_round_start"));
        cr_assert_eq(s.proof_deadline_s, instant(c, "proof_query_deadline_and_submit_deadline"));
        cr_assert_eq(s.publish_start_s, instant(c, "publish_epoch_start"));
        cr_assert_eq(s.publish_end_s, instant(c, "publish_epoch_end"));
        /* "T1 (+0.64 s) .. T2 (+0.28 s)" */
        struct tm tm = {0};
        const char *rest = strptime(vec_str(c, "proof_query_earliest"), "%Y-%m-%dT%H:%M:%SZ (+0.64 s) .. ", &tm);
        cr_assert(rest);
        cr_assert_eq(timegm(&tm) * 1000 + 640, s.end_s * 1000 + least);
        cr_assert(strptime(rest, "%Y-%m-%dT%H:%M:%SZ (+0.28 s)", &tm));
        cr_assert_eq(timegm(&tm) * 1000 + 280, s.end_s * 1000 + most);
        cr_assert_eq(sm_round_open(&t, s.start_s - 1), s.round);
        cr_assert_eq(sm_round_open(&t, s.start_s), s.round + 1);
    }
    struct sm_round_schedule none;
    cr_assert_eq(sm_round_schedule(&t, 0, &none, NULL), SM_E_ARG);
    json_decref(v);
}
