/* The post service's side of Register without sockets: waits, reactions, addresses, answers.
 * Rules: post-service.md §2.5 to 2.9, 11.1. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "postsvc/link.h"
#include "postsvc/provider.h"
#include "util/clock.h"

#define S SM_NS_PER_S

/* ---- a provider that answers as it is told ---- */

struct fake {
    sm_err info_err;
    struct sm_post_info info;
    sm_post_answer answer;
    struct sm_challenge asked;
    unsigned asked_n, fetched_n, states_n;
    struct sm_challenge fetched;
    struct sm_post_link_state last;
};

static sm_err fake_info(void *ctx, struct sm_post_info *out, struct sm_errinfo *ei)
{
    struct fake *f = ctx;
    if (f->info_err) return sm_fail(ei, f->info_err, "no disk");
    *out = f->info;
    return SM_OK;
}

static sm_post_answer fake_proof(void *ctx, const struct sm_challenge *challenge, struct sm_proof *out,
                                 struct sm_post_info *out_info)
{
    struct fake *f = ctx;
    f->asked = *challenge;
    f->asked_n++;
    if (f->answer == SM_POST_DONE) {
        *out = (struct sm_proof){.nonce = 9, .pow = 77, .indices_n = 3, .indices = {1, 2, 3}};
        *out_info = f->info;
    }
    return f->answer;
}

static void fake_fetched(void *ctx, const struct sm_challenge *challenge)
{
    struct fake *f = ctx;
    f->fetched = *challenge;
    f->fetched_n++;
}

static void fake_state(void *ctx, const struct sm_post_link_state *st)
{
    struct fake *f = ctx;
    f->last = *st;
    f->states_n++;
}

static const struct sm_post_provider provider = {fake_info, fake_proof, fake_fetched, fake_state};

/* ---- a machine and its time ---- */

struct rig {
    struct fake fake;
    struct sm_post_link link;
    uint64_t now;
    struct sm_post_link_action did;
};

static struct rig *rig_of(struct sm_post_link_cfg cfg)
{
    static struct rig r; /* each case is a process */
    r.fake.info = (struct sm_post_info){.node_id = {{1}},
                                        .commitment_atx_id = {{2}},
                                        .has_nonce = true,
                                        .nonce = 5,
                                        .num_units = 4,
                                        .labels_per_unit = 256};
    r.now = 1000 * S;
    (void)snprintf(cfg.name, sizeof cfg.name, "0100000000");
    if (!cfg.addresses_n) cfg.addresses_n = 1;
    sm_post_link_init(&r.link, &cfg, &provider, &r.fake);
    return &r;
}

static sm_post_link_action_kind step(struct rig *r, struct sm_post_link_event ev)
{
    sm_post_link_step(&r->link, &ev, r->now, &r->did);
    return r->did.kind;
}

#define EV(...) ((struct sm_post_link_event){__VA_ARGS__})

/* Advances to the deadline. */
static sm_post_link_action_kind due(struct rig *r)
{
    cr_assert_neq(sm_post_link_deadline(&r->link), UINT64_MAX, "nothing is due");
    if (sm_post_link_deadline(&r->link) > r->now) r->now = sm_post_link_deadline(&r->link);
    return step(r, EV(.kind = SM_POST_LINK_TICK));
}

static sm_post_link_action_kind message(struct rig *r, struct sm_post_request q)
{
    uint8_t bytes[SM_POST_REQUEST_ROOM];
    const size_t n = sm_post_request_encode(&q, bytes);
    return step(r, EV(.kind = SM_POST_LINK_MESSAGE, .msg = {bytes, n}));
}

static struct sm_post_response answer(struct rig *r, struct sm_post_request q)
{
    struct sm_post_response got;
    struct sm_errinfo ei = {0};
    cr_assert_eq(message(r, q), SM_POST_LINK_DO_SEND);
    cr_assert_eq(sm_post_response_decode((struct sm_slice){r->did.bytes, r->did.bytes_n}, &got, &ei), SM_OK, "%s",
                 ei.text);
    return got;
}

static const struct sm_post_request metadata = {.kind = SM_POST_KIND_METADATA};

static struct sm_post_request gen_proof(uint8_t b)
{
    struct sm_post_request q = {.kind = SM_POST_KIND_GEN_PROOF, .challenge_n = 32};
    memset(q.challenge.b, b, 32);
    return q;
}

static void connected(struct rig *r)
{
    cr_assert_eq(due(r), SM_POST_LINK_DO_CONNECT);
    cr_assert_eq(step(r, EV(.kind = SM_POST_LINK_UP)), SM_POST_LINK_DO_OPEN);
}

static void registered(struct rig *r)
{
    connected(r);
    cr_assert_eq(answer(r, metadata).kind, SM_POST_KIND_METADATA);
    cr_assert_eq(r->link.state.phase, SM_POST_LINK_REGISTERED);
}

static sm_post_link_action_kind down(struct rig *r)
{
    return step(r, EV(.kind = SM_POST_LINK_DOWN, .text = "connection refused"));
}

static sm_post_link_action_kind ended(struct rig *r, sm_grpc_code code, const char *text)
{
    struct sm_grpc_status st;
    sm_grpc_status_set(&st, code, "%s", text);
    return step(r, EV(.kind = SM_POST_LINK_ENDED, .status = &st));
}

/* The wait that begins now, checked to be within a quarter of `s` seconds. */
static void waits(struct rig *r, uint64_t s, sm_post_link_reason reason)
{
    const uint64_t ns = sm_post_link_deadline(&r->link) - r->now;
    cr_assert_eq(r->link.state.phase, SM_POST_LINK_WAITING);
    cr_assert_eq(r->link.state.reason, reason, "%s", sm_post_link_reason_name(r->link.state.reason));
    cr_assert(ns >= s * S * 3 / 4 && ns <= s * S * 5 / 4, "waits %.3f s, not about %llu", (double)ns / 1e9,
              (unsigned long long)s);
}

/* ---- answers ---- */

Test(post_link, starts_at_once_and_answers_metadata)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    cr_assert_eq(sm_post_link_deadline(&r->link), UINT64_MAX);
    cr_assert_eq(step(r, EV(.kind = SM_POST_LINK_START)), SM_POST_LINK_DO_NOTHING);
    cr_assert_eq(sm_post_link_deadline(&r->link), r->now);
    connected(r);
    cr_assert_eq(r->fake.last.phase, SM_POST_LINK_OPENING);
    const struct sm_post_response m = answer(r, metadata);
    cr_assert(m.has_info && m.info.has_nonce);
    cr_assert_eq(m.info.nonce, 5);
    cr_assert_eq(m.info.num_units, 4);
    cr_assert_eq(r->fake.last.phase, SM_POST_LINK_REGISTERED);
    cr_assert_eq(due(r), SM_POST_LINK_DO_NOTHING);
    cr_assert_eq(sm_post_link_deadline(&r->link), UINT64_MAX, "a node may be silent for weeks");
}

Test(post_link, metadata_is_read_anew_at_each_registration)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
    r->fake.info.num_units = 8;
    cr_assert_eq(answer(r, metadata).info.num_units, 8);
    cr_assert_eq(r->link.state.phase, SM_POST_LINK_REGISTERED);
}

Test(post_link, proofs_in_progress_failed_and_finished)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
    struct sm_post_response a = answer(r, gen_proof(0xca));
    cr_assert_eq(r->fake.asked.b[31], 0xca);
    cr_assert(a.status == SM_POST_STATUS_OK && !a.has_proof && !a.has_challenge);
    r->fake.answer = SM_POST_FAILED;
    a = answer(r, gen_proof(0xca));
    cr_assert(a.status == SM_POST_STATUS_ERROR && !a.has_proof);
    r->fake.answer = SM_POST_DONE;
    a = answer(r, gen_proof(0xcb));
    cr_assert(a.status == SM_POST_STATUS_OK && a.has_proof && a.has_challenge && a.has_info);
    cr_assert_eq(a.challenge.b[0], 0xcb);
    cr_assert_eq(a.proof.pow, 77);
    cr_assert_eq(a.info.num_units, 4);
}

Test(post_link, a_challenge_of_another_length_and_no_kind_are_answered_with_error)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
    struct sm_post_request five = gen_proof(1);
    five.challenge_n = 5;
    cr_assert_eq(answer(r, five).status, SM_POST_STATUS_ERROR);
    cr_assert_eq(r->fake.asked_n, 0, "the provider does not see it");
    const struct sm_post_response a = answer(r, (struct sm_post_request){.kind = SM_POST_KIND_NONE});
    cr_assert_eq(a.kind, SM_POST_KIND_GEN_PROOF);
    cr_assert_eq(a.status, SM_POST_STATUS_ERROR);
}

Test(post_link, bytes_that_are_no_request_end_the_registration)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
    cr_assert_eq(step(r, EV(.kind = SM_POST_LINK_MESSAGE, .msg = {(const uint8_t *)"\xff", 1})), SM_POST_LINK_DO_CLOSE);
    waits(r, 60, SM_POST_LINK_BROKEN);
}

Test(post_link, data_without_nonce_is_not_shown)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    r->fake.info.has_nonce = false;
    step(r, EV(.kind = SM_POST_LINK_START));
    connected(r);
    cr_assert_eq(message(r, metadata), SM_POST_LINK_DO_CLOSE);
    waits(r, 60, SM_POST_LINK_NO_DATA);
    cr_assert(strstr(r->link.state.text, "nonce"), "%s", r->link.state.text);
    r->fake.info.has_nonce = true;
    r->fake.info_err = SM_E_IO;
    connected(r);
    cr_assert_eq(message(r, metadata), SM_POST_LINK_DO_CLOSE);
    cr_assert_str_eq(r->link.state.text, "no disk");
}

Test(post_link, a_finished_proof_without_nonce_is_an_error)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
    r->fake.info.has_nonce = false;
    r->fake.answer = SM_POST_DONE;
    const struct sm_post_response a = answer(r, gen_proof(1));
    cr_assert(a.status == SM_POST_STATUS_ERROR && !a.has_proof && !a.has_challenge);
    cr_assert_eq(r->did.confirm, 0);
}

/* ---- was the proof fetched? ---- */

static void finished(struct rig *r, uint8_t challenge)
{
    r->fake.answer = SM_POST_DONE;
    cr_assert(answer(r, gen_proof(challenge)).has_proof);
    cr_assert_neq(r->did.confirm, 0);
}

Test(post_link, the_next_request_confirms_a_proof)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
    finished(r, 0xca);
    cr_assert_eq(r->fake.fetched_n, 0);
    r->fake.answer = SM_POST_IN_PROGRESS;
    (void)answer(r, gen_proof(0xcb));
    cr_assert_eq(r->fake.fetched_n, 1);
    cr_assert_eq(r->fake.fetched.b[0], 0xca);
    (void)answer(r, metadata);
    cr_assert_eq(r->fake.fetched_n, 1, "once");
}

Test(post_link, an_acknowledgement_confirms_the_proof_it_belongs_to)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
    finished(r, 0xca);
    const uint32_t first = r->did.confirm;
    finished(r, 0xcb); /* which confirms the first */
    cr_assert_eq(r->fake.fetched_n, 1);
    step(r, EV(.kind = SM_POST_LINK_ACKED, .confirm = first));
    cr_assert_eq(r->fake.fetched_n, 1, "an old acknowledgement says nothing about the second");
    step(r, EV(.kind = SM_POST_LINK_ACKED, .confirm = r->did.confirm)); /* 0: of no proof */
    cr_assert_eq(r->fake.fetched_n, 1);
    step(r, EV(.kind = SM_POST_LINK_ACKED, .confirm = first + 1));
    cr_assert_eq(r->fake.fetched_n, 2);
    cr_assert_eq(r->fake.fetched.b[0], 0xcb);
}

Test(post_link, a_stream_that_breaks_behind_the_proof_confirms_nothing)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
    finished(r, 0xca);
    const uint32_t confirm = r->did.confirm;
    cr_assert_eq(down(r), SM_POST_LINK_DO_CLOSE);
    step(r, EV(.kind = SM_POST_LINK_ACKED, .confirm = confirm));
    registered(r);
    (void)answer(r, metadata);
    cr_assert_eq(r->fake.fetched_n, 0);
    finished(r, 0xca); /* and it is served again */
}

/* ---- waits ---- */

Test(post_link, connects_that_fail_wait_five_seconds_and_longer_each_time)
{
    static const uint64_t expected[] = {5, 10, 20, 40, 60, 60, 60};
    struct rig *r = rig_of((struct sm_post_link_cfg){.seed = 42});
    step(r, EV(.kind = SM_POST_LINK_START));
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        cr_assert_eq(due(r), SM_POST_LINK_DO_CONNECT);
        cr_assert_eq(down(r), SM_POST_LINK_DO_CLOSE);
        waits(r, expected[i], SM_POST_LINK_UNREACHABLE);
        cr_assert_eq(r->fake.last.connects_failed, i + 1);
        cr_assert_str_eq(r->fake.last.text, "connection refused");
    }
}

Test(post_link, a_node_that_restarts_is_back_after_the_interval)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    for (int i = 0; i < 5; i++) {
        registered(r);
        (void)answer(r, gen_proof(1)); /* settles */
        cr_assert_eq(down(r), SM_POST_LINK_DO_CLOSE);
        waits(r, 5, SM_POST_LINK_LOST);
    }
    registered(r);
    r->now += 61 * S; /* lasted */
    cr_assert_eq(ended(r, SM_GRPC_UNAVAILABLE, "server is stopping"), SM_POST_LINK_DO_CLOSE);
    waits(r, 5, SM_POST_LINK_LOST);
    registered(r);
    cr_assert_eq(ended(r, SM_GRPC_CANCELLED, ""), SM_POST_LINK_DO_CLOSE);
    waits(r, 10, SM_POST_LINK_LOST);
}

Test(post_link, waits_differ_between_rigs_and_not_between_runs)
{
    uint64_t first[2], least = UINT64_MAX, most = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct rig *r = rig_of((struct sm_post_link_cfg){.seed = seed});
        step(r, EV(.kind = SM_POST_LINK_START));
        due(r);
        down(r);
        const uint64_t ns = sm_post_link_deadline(&r->link) - r->now;
        least = ns < least ? ns : least;
        most = ns > most ? ns : most;
        if (seed < 2) first[seed] = ns;
    }
    cr_assert_neq(first[0], first[1]);
    cr_assert_lt(least, 4 * S);
    cr_assert_gt(most, 6 * S);
    struct rig *again = rig_of((struct sm_post_link_cfg){.seed = 0});
    step(again, EV(.kind = SM_POST_LINK_START));
    due(again);
    down(again);
    cr_assert_eq(sm_post_link_deadline(&again->link) - again->now, first[0]);
}

Test(post_link, the_connect_may_take_ten_seconds_and_the_first_request_thirty)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    cr_assert_eq(due(r), SM_POST_LINK_DO_CONNECT);
    cr_assert_eq(sm_post_link_deadline(&r->link), r->now + 10 * S);
    r->now += 10 * S - 1;
    cr_assert_eq(step(r, EV(.kind = SM_POST_LINK_TICK)), SM_POST_LINK_DO_NOTHING);
    cr_assert_eq(due(r), SM_POST_LINK_DO_CLOSE);
    waits(r, 5, SM_POST_LINK_UNREACHABLE);
    connected(r);
    cr_assert_eq(sm_post_link_deadline(&r->link), r->now + 30 * S);
    cr_assert_eq(due(r), SM_POST_LINK_DO_CLOSE);
    waits(r, 10, SM_POST_LINK_SILENT);
}

Test(post_link, each_refusal_has_its_wait)
{
    static const struct {
        sm_grpc_code code;
        const char *text;
        sm_post_link_reason reason;
        uint64_t first, second, last;
    } rows[] = {
        {SM_GRPC_FAILED_PRECONDITION, "connection not allowed: node has no coinbase set in config",
         SM_POST_LINK_NO_COINBASE, 30, 30, 30},
        {SM_GRPC_UNKNOWN, "post service already registered", SM_POST_LINK_DUPLICATE, 5, 10, 60},
        {SM_GRPC_ALREADY_EXISTS, "post service already registered", SM_POST_LINK_DUPLICATE, 5, 10, 60},
        {SM_GRPC_UNKNOWN, "failed to receive response: EOF", SM_POST_LINK_OTHER, 5, 10, 60},
        {SM_GRPC_UNIMPLEMENTED, "unknown service", SM_POST_LINK_WRONG_PORT, 60, 60, 60},
        {SM_GRPC_PERMISSION_DENIED, "not yours", SM_POST_LINK_FORBIDDEN, 60, 60, 60},
        {SM_GRPC_UNAUTHENTICATED, "", SM_POST_LINK_FORBIDDEN, 60, 60, 60},
        {SM_GRPC_INVALID_ARGUMENT, "no nonce", SM_POST_LINK_BAD_DATA, 60, 60, 60},
        {SM_GRPC_UNAVAILABLE, "", SM_POST_LINK_LOST, 5, 10, 60},
        {SM_GRPC_OK, "", SM_POST_LINK_LOST, 5, 10, 60},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig *r = rig_of((struct sm_post_link_cfg){.seed = i});
        step(r, EV(.kind = SM_POST_LINK_START));
        for (int k = 0; k < 6; k++) {
            registered(r);
            cr_assert_eq(ended(r, rows[i].code, rows[i].text), SM_POST_LINK_DO_CLOSE);
            if (k == 0) waits(r, rows[i].first, rows[i].reason);
            if (k == 1) waits(r, rows[i].second, rows[i].reason);
            if (k == 5) waits(r, rows[i].last, rows[i].reason);
            cr_assert_str_eq(r->link.state.text, rows[i].text);
        }
    }
}

Test(post_link, certificates_that_fail_wait_a_minute)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    due(r);
    cr_assert_eq(step(r, EV(.kind = SM_POST_LINK_DOWN, .text = "certificate has expired", .tls = true)),
                 SM_POST_LINK_DO_CLOSE);
    waits(r, 60, SM_POST_LINK_TLS);
}

Test(post_link, too_many_pings_is_known_as_such)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
    cr_assert_eq(step(r, EV(.kind = SM_POST_LINK_DOWN, .text = "too_many_pings", .pings = true)),
                 SM_POST_LINK_DO_CLOSE);
    waits(r, 5, SM_POST_LINK_PINGS);
}

Test(post_link, what_a_peer_says_cannot_move_the_cursor)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
    ended(r, SM_GRPC_UNKNOWN, "a\x1b[2Jb\nc");
    cr_assert_str_eq(r->link.state.text, "a?[2Jb?c");
}

/* ---- max_retries ---- */

Test(post_link, max_retries_n_allows_one_connect_more)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){.limited = true, .max_retries = 2});
    step(r, EV(.kind = SM_POST_LINK_START));
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(due(r), SM_POST_LINK_DO_CONNECT);
        cr_assert_eq(down(r), SM_POST_LINK_DO_CLOSE);
        waits(r, 5, SM_POST_LINK_UNREACHABLE); /* constant, as a supervisor expects */
    }
    cr_assert_eq(due(r), SM_POST_LINK_DO_CONNECT);
    cr_assert_eq(down(r), SM_POST_LINK_DO_GIVE_UP);
    cr_assert_str_eq(r->link.state.text, "max retries (2) reached");
    cr_assert_eq(r->fake.last.reason, SM_POST_LINK_GIVEN_UP);
    cr_assert_eq(r->link.state.phase, SM_POST_LINK_STOPPED);
    cr_assert_eq(sm_post_link_deadline(&r->link), UINT64_MAX);
    r = rig_of((struct sm_post_link_cfg){.limited = true}); /* N = 0 */
    step(r, EV(.kind = SM_POST_LINK_START));
    due(r);
    cr_assert_eq(down(r), SM_POST_LINK_DO_GIVE_UP);
}

Test(post_link, a_connect_that_succeeds_starts_the_count_anew)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){.limited = true, .max_retries = 1});
    step(r, EV(.kind = SM_POST_LINK_START));
    for (int i = 0; i < 10; i++) { /* refused for ever, as the reference: the server is there */
        due(r);
        cr_assert_eq(down(r), SM_POST_LINK_DO_CLOSE);
        registered(r);
        cr_assert_eq(ended(r, SM_GRPC_UNKNOWN, "post service already registered"), SM_POST_LINK_DO_CLOSE);
    }
}

/* ---- several addresses ---- */

Test(post_link, every_address_is_tried_before_the_first_wait)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){.addresses_n = 3});
    step(r, EV(.kind = SM_POST_LINK_START));
    for (uint64_t round = 0; round < 2; round++) {
        for (uint32_t a = 0; a < 3; a++) {
            if (a || !round) cr_assert_eq(sm_post_link_deadline(&r->link), r->now, "no wait between addresses");
            cr_assert_eq(due(r), SM_POST_LINK_DO_CONNECT);
            cr_assert_eq(r->did.address, a);
            down(r);
        }
        waits(r, 5 << round, SM_POST_LINK_UNREACHABLE);
    }
}

Test(post_link, a_lost_connection_comes_back_to_its_address_first)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){.addresses_n = 2});
    step(r, EV(.kind = SM_POST_LINK_START));
    due(r);
    down(r);
    registered(r);
    cr_assert_eq(r->link.state.address, 1);
    down(r);
    waits(r, 5, SM_POST_LINK_LOST);
    due(r);
    cr_assert_eq(r->did.address, 1);
    down(r);
    cr_assert_eq(due(r), SM_POST_LINK_DO_CONNECT);
    cr_assert_eq(r->did.address, 0);
}

Test(post_link, an_identity_that_is_served_elsewhere_stays_at_its_node)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){.addresses_n = 2});
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
    ended(r, SM_GRPC_ALREADY_EXISTS, "post service already registered");
    waits(r, 5, SM_POST_LINK_DUPLICATE);
    cr_assert_eq(r->link.state.address, 0);
}

Test(post_link, a_node_without_coinbase_gives_way_to_the_next)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){.addresses_n = 2});
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
    ended(r, SM_GRPC_FAILED_PRECONDITION, "connection not allowed");
    cr_assert_eq(sm_post_link_deadline(&r->link), r->now);
    due(r);
    cr_assert_eq(r->did.address, 1);
}

/* ---- events out of place ---- */

Test(post_link, late_events_are_ignored)
{
    struct rig *r = rig_of((struct sm_post_link_cfg){0});
    step(r, EV(.kind = SM_POST_LINK_START));
    cr_assert_eq(down(r), SM_POST_LINK_DO_NOTHING);
    cr_assert_eq(step(r, EV(.kind = SM_POST_LINK_UP)), SM_POST_LINK_DO_NOTHING);
    cr_assert_eq(message(r, metadata), SM_POST_LINK_DO_NOTHING);
    cr_assert_eq(ended(r, SM_GRPC_OK, ""), SM_POST_LINK_DO_NOTHING);
    cr_assert_eq(step(r, EV(.kind = SM_POST_LINK_START)), SM_POST_LINK_DO_NOTHING);
    registered(r);
    cr_assert_eq(step(r, EV(.kind = SM_POST_LINK_STOP)), SM_POST_LINK_DO_CLOSE);
    cr_assert_eq(r->fake.last.phase, SM_POST_LINK_STOPPED);
    cr_assert_eq(step(r, EV(.kind = SM_POST_LINK_STOP)), SM_POST_LINK_DO_NOTHING);
    cr_assert_eq(down(r), SM_POST_LINK_DO_NOTHING);
    cr_assert_eq(sm_post_link_deadline(&r->link), UINT64_MAX);
    step(r, EV(.kind = SM_POST_LINK_START));
    registered(r);
}

/* Any order of events leaves a machine that answers and has a next step. */
Test(post_link, any_order_of_events_keeps_it_alive)
{
    unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    struct rig *r = rig_of((struct sm_post_link_cfg){.addresses_n = 3, .seed = seed});
    step(r, EV(.kind = SM_POST_LINK_START));
    for (int i = 0; i < 100000; i++) {
        r->fake.answer = (sm_post_answer)(rand_r(&seed) % 3);
        r->now += (uint64_t)rand_r(&seed) % (8 * S);
        switch (rand_r(&seed) % 8) {
        case 0:
            step(r, EV(.kind = SM_POST_LINK_UP));
            break;
        case 1:
            down(r);
            break;
        case 2:
            message(r, metadata);
            break;
        case 3:
            message(r, gen_proof((uint8_t)i));
            break;
        case 4:
            ended(r, (sm_grpc_code)(rand_r(&seed) % 17), "x");
            break;
        case 5:
            step(r, EV(.kind = SM_POST_LINK_ACKED, .confirm = (uint32_t)rand_r(&seed) % 4));
            break;
        default:
            step(r, EV(.kind = SM_POST_LINK_TICK));
            break;
        }
        const sm_post_link_phase p = r->link.state.phase;
        cr_assert_neq(p, SM_POST_LINK_STOPPED);
        cr_assert(p == SM_POST_LINK_REGISTERED || sm_post_link_deadline(&r->link) <= r->now + 75 * S);
        cr_assert_lt(r->link.state.address, 3);
    }
}
