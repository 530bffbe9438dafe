/* The node's side of Register without sockets: requests, verification, views. Rules: post-service.md §2.4, 2.8, 2.9. */
#include "registry_kit.h"

#include <time.h>

/* ---- requests ---- */

Test(post_registry, a_proof_is_polled_every_two_seconds_verified_and_handed_on)
{
    start();
    struct stream *s = registered(7, 1);
    request(7, 0xca, w.now + 3600 * S);
    cr_assert_eq(s->last.kind, SM_POST_KIND_GEN_PROOF);
    cr_assert_eq(s->last.challenge.b[31], 0xca);
    for (unsigned i = 0; i < 5; i++) {
        say_status(s, SM_POST_STATUS_OK);
        cr_assert_eq(sm_post_registry_deadline(w.r), w.now + 2 * S);
        pass(2 * S - 1);
        cr_assert_eq(s->sent, 2 + i);
        pass(1);
        cr_assert_eq(s->sent, 3 + i);
    }
    struct sm_post_response m = proof_for(7, 0xca);
    say(s, &m);
    cr_assert_eq(w.proofs, 0, "not before it is verified");
    cr_assert_eq(w.checks_n, 1);
    cr_assert_eq(w.checks[0]->what.meta.num_units, 4);
    cr_assert_eq(w.checks[0]->what.meta.labels_per_unit, 256);
    verdict(0, SM_VERDICT_VALID);
    cr_assert_eq(w.proofs, 1);
    cr_assert_eq(w.proof.proof.pow, 2);
    cr_assert_eq(w.proof.meta.challenge.b[0], 0xca);
    cr_assert_eq(w.proof.info.nonce, 3);
    cr_assert_eq(w.last.questions, 6);
    cr_assert_eq(sm_post_registry_deadline(w.r), UINT64_MAX);
    request(7, 0xcb, UINT64_MAX); /* the stream goes on */
    cr_assert_eq(s->last.challenge.b[0], 0xcb);
    stop();
}

Test(post_registry, an_invalid_proof_is_a_data_problem_and_never_handed_on)
{
    start();
    struct stream *s = registered(7, 1);
    request(7, 0xca, UINT64_MAX);
    struct sm_post_response m = proof_for(7, 0xca);
    say(s, &m);
    verdict(0, SM_VERDICT_LSB);
    cr_assert_eq(w.proofs, 0);
    cr_assert_eq(w.failure, SM_POST_FAILURE_DATA);
    cr_assert_str_eq(w.text, "index 7 is wrong");
    cr_assert_not(s->finished);
    stop();
}

Test(post_registry, a_proof_that_cannot_be_verified_is_not_handed_on)
{
    start();
    struct stream *s = registered(7, 1);
    struct sm_post_response m = proof_for(7, 0xca);
    request(7, 0xca, UINT64_MAX);
    say(s, &m);
    sm_post_registry_verified(w.r, w.checks[0], SM_E_NOMEM, NULL, "no memory for RandomX");
    cr_assert_eq(w.failure, SM_POST_FAILURE_CHECK);
    cr_assert_str_eq(w.text, "no memory for RandomX");
    w.no_memory = true;
    request(7, 0xca, UINT64_MAX);
    say(s, &m);
    cr_assert_eq(w.failed, 2);
    cr_assert_eq(w.proofs, 0);
    stop();
}

/* What does not fit the request is refused before it costs a verification. */
Test(post_registry, a_proof_about_something_else_is_a_data_problem)
{
    static const char *const wants[] = {
        "without its metadata", "without its metadata", "another challenge", "another identity",
        "commitment",           "512 labels",           "3 units",           "VRF nonce"};
    start();
    struct stream *s = registered(7, 1);
    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
        struct sm_post_response m = proof_for(7, 0xca);
        if (i == 0) m.has_challenge = false;
        if (i == 1) m.has_info = false;
        if (i == 2) m.challenge = challenge(0xcb);
        if (i == 3) m.info.node_id = node(8);
        if (i == 4) m.info.commitment_atx_id.b[31] ^= 1;
        if (i == 5) m.info.labels_per_unit = 512;
        if (i == 6) m.info.num_units = 3;
        if (i == 7) m.info.has_nonce = false;
        request(7, 0xca, UINT64_MAX);
        say(s, &m);
        cr_assert_eq(w.failed, i + 1);
        cr_assert_eq(w.failure, SM_POST_FAILURE_DATA);
        cr_assert(strstr(w.text, wants[i]), "%s", w.text);
    }
    cr_assert_eq(w.checks_n, 0);
    stop();
}

Test(post_registry, the_owner_may_know_the_commitment_better)
{
    start();
    struct stream *s = registered(7, 1);
    const struct sm_node_id n = node(7);
    const struct sm_challenge c = challenge(0xca);
    const struct sm_atx_id atx = {{5}};
    cr_assert_eq(sm_post_registry_request(w.r, &n, &c, &atx, UINT64_MAX, w.now, NULL), SM_OK);
    struct sm_post_response m = proof_for(7, 0xca);
    say(s, &m);
    cr_assert_eq(w.failure, SM_POST_FAILURE_DATA);
    cr_assert(strstr(w.text, "commitment"), "%s", w.text);
    cr_assert_eq(sm_post_registry_request(w.r, &n, &c, &atx, UINT64_MAX, w.now, NULL), SM_OK);
    m.info.commitment_atx_id = atx;
    say(s, &m);
    cr_assert_eq(w.checks_n, 1);
    verdict(0, SM_VERDICT_VALID);
    cr_assert_eq(w.proofs, 1);
    stop();
}

Test(post_registry, errors_and_odd_answers_end_the_request_and_not_the_stream)
{
    start();
    struct stream *s = registered(7, 1);
    static const int statuses[] = {SM_POST_STATUS_ERROR, SM_POST_STATUS_UNSPECIFIED, 77};
    for (unsigned i = 0; i < 3; i++) {
        request(7, 0xca, UINT64_MAX);
        say_status(s, statuses[i]);
        cr_assert_eq(w.failed, i + 1);
        cr_assert_eq(w.failure, SM_POST_FAILURE_RIG);
    }
    request(7, 0xca, UINT64_MAX);
    say_info(s, info_of(7));
    cr_assert_eq(w.failed, 4);
    cr_assert(strstr(w.text, "something else"), "%s", w.text);
    cr_assert_not(s->finished);
    stop();
}

Test(post_registry, no_answer_within_thirty_seconds_ends_the_stream_and_not_the_request)
{
    start();
    struct stream *s = registered(7, 1);
    request(7, 0xca, UINT64_MAX);
    pass(30 * S);
    refused_with(s, SM_GRPC_DEADLINE_EXCEEDED, "30 s");
    cr_assert_eq(w.failed, 0);
    cr_assert_eq(w.gone, 1);
    cr_assert_eq(w.last.request, SM_POST_REQUEST_WAITING);
    end(s);
    s = registered(7, 2);
    cr_assert_eq(s->last.challenge.b[0], 0xca);
    stop();
}

Test(post_registry, a_request_waits_for_its_identity)
{
    start();
    request(7, 0xca, w.now + 100 * S);
    cr_assert_eq(sm_post_registry_count(w.r), 1);
    struct stream *s = registered(7, 1);
    cr_assert_eq(s->last.kind, SM_POST_KIND_GEN_PROOF);
    end(s);
    cr_assert_eq(sm_post_registry_count(w.r), 1, "wanted still");
    pass(100 * S);
    cr_assert_eq(w.failed, 1);
    cr_assert_eq(w.failure, SM_POST_FAILURE_DEADLINE);
    cr_assert_eq(sm_post_registry_count(w.r), 0);
    stop();
}

Test(post_registry, one_request_per_identity_at_a_time)
{
    start();
    request(7, 0xca, UINT64_MAX);
    const struct sm_node_id n = node(7);
    const struct sm_challenge c = challenge(0xcb);
    cr_assert_eq(sm_post_registry_request(w.r, &n, &c, NULL, UINT64_MAX, w.now, NULL), SM_E_BUSY);
    cr_assert_eq(sm_post_registry_request(w.r, &n, &c, NULL, w.now, w.now, NULL), SM_E_TIMEOUT);
    cr_assert(sm_post_registry_cancel(w.r, &n));
    cr_assert_not(sm_post_registry_cancel(w.r, &n));
    cr_assert_eq(sm_post_registry_request(w.r, &n, &c, NULL, UINT64_MAX, w.now, NULL), SM_OK);
    stop();
}

Test(post_registry, an_answer_to_a_cancelled_request_is_thrown_away)
{
    start();
    struct stream *s = registered(7, 1);
    const struct sm_node_id n = node(7);
    request(7, 0xca, UINT64_MAX);
    cr_assert(sm_post_registry_cancel(w.r, &n));
    request(7, 0xcb, UINT64_MAX);
    cr_assert_eq(s->sent, 2, "one outstanding question per stream");
    struct sm_post_response m = proof_for(7, 0xca);
    say(s, &m);
    cr_assert_eq(w.checks_n, 0);
    cr_assert_eq(s->sent, 3);
    cr_assert_eq(s->last.challenge.b[0], 0xcb);
    m = proof_for(7, 0xcb);
    say(s, &m);
    cr_assert_eq(w.checks_n, 1);
    cr_assert(sm_post_registry_cancel(w.r, &n));
    request(7, 0xcb, UINT64_MAX);
    verdict(0, SM_VERDICT_VALID); /* of the request that was cancelled */
    cr_assert_eq(w.proofs, 0);
    cr_assert_eq(s->sent, 4);
    stop();
}

Test(post_registry, a_proof_counts_though_its_stream_broke_while_it_was_verified)
{
    start();
    struct stream *s = registered(7, 1);
    request(7, 0xca, UINT64_MAX);
    struct sm_post_response m = proof_for(7, 0xca);
    say(s, &m);
    end(s);
    verdict(0, SM_VERDICT_VALID);
    cr_assert_eq(w.proofs, 1);
    cr_assert_eq(sm_post_registry_count(w.r), 0);
    stop();
}

Test(post_registry, the_deadline_counts_while_asking_and_the_stream_stays_in_step)
{
    start();
    struct stream *s = registered(7, 1);
    request(7, 0xca, w.now + 10 * S);
    pass(10 * S);
    cr_assert_eq(w.failure, SM_POST_FAILURE_DEADLINE);
    cr_assert_eq(w.failed, 1);
    say_status(s, SM_POST_STATUS_ERROR); /* belongs to what is over */
    cr_assert_eq(w.failed, 1);
    cr_assert_not(s->finished);
    stop();
}

Test(post_registry, a_failure_may_be_followed_by_a_request_from_inside)
{
    start();
    struct stream *s = registered(7, 1);
    w.ask_again = true;
    request(7, 0xca, w.now + 10 * S);
    say_status(s, SM_POST_STATUS_ERROR);
    cr_assert_eq(s->last.challenge.b[0], 0xaa);
    pass(100 * S);
    end(s);
    cr_assert_eq(sm_post_registry_count(w.r), 1);
    stop();
}

Test(post_registry, a_stream_that_takes_no_question_leaves_the_request_to_the_next)
{
    start();
    struct stream *s = registered(7, 1);
    s->deaf = true;
    request(7, 0xca, UINT64_MAX);
    end(s);
    s = registered(7, 2);
    cr_assert_eq(s->last.challenge.b[0], 0xca);
    struct stream *deaf = &w.streams[w.streams_n];
    struct sm_grpc_status refuse = {0};
    deaf->deaf = true;
    cr_assert_null(sm_post_registry_open(w.r, deaf, &s->peer, w.now, &refuse));
    cr_assert_eq(refuse.code, SM_GRPC_RESOURCE_EXHAUSTED);
    stop();
}

/* ---- views ---- */

Test(post_registry, states_say_who_proves)
{
    struct sm_post_known known[] = {{.id = node(1), .name = "a.key"}};
    uint8_t *bytes = NULL;
    size_t n = 0;
    start_with(known, 1, false, 0);
    cr_assert_eq(sm_post_registry_states(w.r, &bytes, &n, NULL), SM_OK);
    cr_assert_eq(n, 2 + 34 + 2 + 7);
    cr_assert_eq(bytes[2 + 34 + 1], SM_POST_STATE_IDLE);
    free(bytes);
    request(1, 0xca, UINT64_MAX); /* also while nobody serves it, as the reference */
    cr_assert_eq(sm_post_registry_states(w.r, &bytes, &n, NULL), SM_OK);
    cr_assert_eq(bytes[2 + 34 + 1], SM_POST_STATE_PROVING);
    free(bytes);
    stop();
}

static void count_row(void *ctx, const struct sm_post_identity *id)
{
    (void)id;
    ++*(size_t *)ctx;
}

Test(post_registry, thousands_of_identities_are_found_again)
{
    start();
    const struct sm_challenge c = challenge(1);
    struct sm_node_id n = node(0);
    for (uint32_t i = 0; i < 5000; i++) {
        sm_le32_store(n.b, i);
        cr_assert_eq(sm_post_registry_request(w.r, &n, &c, NULL, w.now + S, w.now, NULL), SM_OK);
    }
    cr_assert_eq(sm_post_registry_count(w.r), 5000);
    for (uint32_t i = 0; i < 5000; i += 2) {
        sm_le32_store(n.b, i);
        cr_assert(sm_post_registry_cancel(w.r, &n));
        cr_assert_not(sm_post_registry_cancel(w.r, &n));
    }
    cr_assert_eq(sm_post_registry_count(w.r), 2500);
    pass(S); /* the deadlines of the others */
    cr_assert_eq(w.failed, 2500);
    cr_assert_eq(sm_post_registry_count(w.r), 0);
    stop();
}

/* Any order of events keeps table and streams consistent; sanitizers watch. */
Test(post_registry, any_order_of_events_keeps_it_consistent)
{
    unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    start_with(NULL, 0, false, 6);
    for (int i = 0; i < 200000; i++) {
        const uint8_t id = (uint8_t)(rand_r(&seed) % 8);
        struct stream *s = &w.streams[rand_r(&seed) % 16];
        const struct sm_node_id n = node(id);
        const struct sm_challenge c = challenge(id);
        struct sm_post_response m = proof_for(id, id);
        switch (rand_r(&seed) % 10) {
        case 0:
            if (s->session) break;
            *s = (struct stream){.connection = rand_r(&seed) % 3, .peer = {.address = "a"}};
            struct sm_grpc_status refuse;
            s->session = sm_post_registry_open(w.r, s, &s->peer, w.now, &refuse);
            break;
        case 1:
            if (s->session) say_info(s, info_of(id));
            break;
        case 2:
            if (s->session) say_status(s, rand_r(&seed) % 3);
            break;
        case 3:
            if (s->session) say(s, &m);
            break;
        case 4:
            if (s->session && (s->finished || rand_r(&seed) % 4 == 0)) end(s);
            break;
        case 5:
            (void)!sm_post_registry_request(w.r, &n, &c, NULL, w.now + (uint64_t)rand_r(&seed) % (60 * S) + 1, w.now,
                                            NULL);
            break;
        case 6:
            (void)sm_post_registry_cancel(w.r, &n);
            break;
        case 7:
            sm_post_registry_probed(w.r, &w.probe_id, w.probe_serial, rand_r(&seed) % 2, w.now);
            w.connection_dead = rand_r(&seed) % 4 == 0;
            break;
        case 8:
            if (!w.checks_n) break;
            verdict(--w.checks_n, rand_r(&seed) % 2 ? SM_VERDICT_VALID : SM_VERDICT_MSB);
            break;
        default:
            pass((uint64_t)rand_r(&seed) % (5 * S));
            break;
        }
        w.no_memory = w.checks_n == sizeof w.checks / sizeof w.checks[0];
        size_t rows = 0;
        sm_post_registry_list(w.r, count_row, &rows);
        cr_assert_eq(rows, sm_post_registry_count(w.r));
        cr_assert_leq(rows, 6);
        cr_assert_gt(sm_post_registry_deadline(w.r), w.now);
    }
    cr_assert_gt(w.proofs, 0);
    cr_assert_gt(w.gone, 0);
    while (w.checks_n) verdict(--w.checks_n, SM_VERDICT_MSB);
    w.streams_n = 16;
    stop();
}
