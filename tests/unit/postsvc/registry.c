/* The node's side of Register without sockets: who may register, and duplicates. Rules: post-service.md §2.4, 2.8, 2.9. */
#include "registry_kit.h"

/* ---- registering ---- */

Test(post_registry, metadata_is_asked_first_and_registers_the_identity)
{
    start();
    struct stream *s = open_stream(1);
    cr_assert_eq(w.registered, 0);
    say_info(s, info_of(7));
    cr_assert_eq(w.registered, 1);
    cr_assert_eq(w.last.id.b[0], 7);
    cr_assert(w.last.registered && w.last.has_info && !w.last.known);
    cr_assert_eq(w.last.info.num_units, 4);
    cr_assert_str_eq(w.last.address, "10.0.0.1:5");
    cr_assert_eq(sm_post_registry_deadline(w.r), UINT64_MAX, "silence is no fault");
    end(s);
    cr_assert_eq(w.gone, 1);
    cr_assert_eq(sm_post_registry_count(w.r), 0, "an unknown identity leaves nothing behind");
    stop();
}

Test(post_registry, metadata_is_checked)
{
    struct sm_post_info i;
    start();
    struct stream *s = open_stream(1);
    (void)(i = info_of(7)), i.has_nonce = false;
    say_info(s, i);
    refused_with(s, SM_GRPC_INVALID_ARGUMENT, "nonce");
    s = open_stream(2);
    i = info_of(7), i.labels_per_unit = 512;
    say_info(s, i);
    refused_with(s, SM_GRPC_INVALID_ARGUMENT, "512 labels per unit");
    s = open_stream(3);
    i = info_of(7), i.num_units = 17;
    say_info(s, i);
    refused_with(s, SM_GRPC_INVALID_ARGUMENT, "17 units");
    s = open_stream(4);
    say(s, &(struct sm_post_response){.kind = SM_POST_KIND_METADATA});
    refused_with(s, SM_GRPC_INVALID_ARGUMENT, "empty");
    s = open_stream(5);
    say_status(s, SM_POST_STATUS_OK);
    refused_with(s, SM_GRPC_INVALID_ARGUMENT, "expected metadata");
    s = open_stream(6);
    static const uint8_t short_id[] = {0x0a, 5, 0x0a, 3, 0x0a, 1, 7};
    sm_post_registry_message(s->session, (struct sm_slice){short_id, sizeof short_id}, w.now);
    refused_with(s, SM_GRPC_INVALID_ARGUMENT, "node_id");
    sm_post_registry_message(s->session, (struct sm_slice){short_id, sizeof short_id}, w.now); /* late: ignored */
    cr_assert_eq(w.registered, 0);
    cr_assert_eq(w.refused, 6);
    cr_assert_eq(sm_post_registry_count(w.r), 0);
    stop();
    cr_assert_eq(w.gone, 0);
}

Test(post_registry, a_stream_that_does_not_say_who_it_is_ends_after_thirty_seconds)
{
    start();
    struct stream *s = open_stream(1);
    pass(30 * S - 1);
    cr_assert_not(s->finished);
    pass(1);
    refused_with(s, SM_GRPC_DEADLINE_EXCEEDED, "30 s");
    stop();
}

Test(post_registry, a_response_nobody_asked_for_ends_the_stream)
{
    start();
    struct stream *s = registered(7, 1);
    say_status(s, SM_POST_STATUS_OK);
    refused_with(s, SM_GRPC_INVALID_ARGUMENT, "without a request");
    cr_assert_eq(w.gone, 1);
    stop();
}

/* ---- who may register ---- */

Test(post_registry, only_known_identities_and_only_from_their_certificate)
{
    struct sm_post_known known[] = {{.id = node(1), .name = "one.key"},     {.id = node(2), .fingerprint = "AB12"},
                                    {.id = node(3), .fingerprint = "ab13"}, {.id = node(4), .san = "DNS:POST"},
                                    {.id = node(5), .san = "IP:10.0.0.2"},  {.id = node(6), .san = "IP:10.0.0"}};
    static const bool expected[] = {true, true, false, true, false, false, false};
    start_with(known, 6, true, 0);
    cr_assert_eq(sm_post_registry_count(w.r), 6);
    for (uint8_t i = 0; i < 7; i++) {
        struct stream *s = open_stream(i);
        say_info(s, info_of((uint8_t)(i + 1)));
        if (expected[i]) {
            cr_assert_not(s->finished, "%u: %s", i, s->status.message);
        } else {
            refused_with(s, SM_GRPC_PERMISSION_DENIED, "may not");
            cr_assert(w.refused_by_id);
        }
    }
    cr_assert_eq(w.registered, 3);
    stop();
}

Test(post_registry, unknown_identities_are_accepted_and_shown_as_such)
{
    struct sm_post_known known[] = {{.id = node(1), .name = "one.key"}};
    start_with(known, 1, false, 0);
    registered(1, 1);
    cr_assert(w.last.known);
    cr_assert_str_eq(w.last.name, "one.key");
    registered(9, 2);
    cr_assert_not(w.last.known);
    stop();
}

Test(post_registry, the_same_identity_twice_in_the_list_is_an_error)
{
    struct sm_post_known known[] = {{.id = node(1)}, {.id = node(1)}};
    const struct sm_post_registry_cfg cfg = {
        .params = &params, .known = known, .known_n = 2, .io = &io, .events = &events};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_post_registry_new(&cfg, &w.r, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "0101010101"), "%s", ei.text);
}

Test(post_registry, the_table_is_bounded)
{
    start_with(NULL, 0, false, 2);
    registered(1, 1);
    registered(2, 2);
    struct stream *s = open_stream(3);
    say_info(s, info_of(3));
    refused_with(s, SM_GRPC_RESOURCE_EXHAUSTED, "room");
    const struct sm_node_id n = node(3);
    const struct sm_challenge c = challenge(1);
    cr_assert_eq(sm_post_registry_request(w.r, &n, &c, NULL, UINT64_MAX, w.now, NULL), SM_E_NOMEM);
    stop();
}

/* ---- duplicates: OUR-8 ---- */

Test(post_registry, a_second_registration_is_refused_while_the_first_answers_pings)
{
    start();
    struct stream *a = registered(7, 1), *b = open_stream(2);
    say_info(b, info_of(7));
    cr_assert_eq(w.probes, 1);
    cr_assert_not(b->finished);
    sm_post_registry_probed(w.r, &w.probe_id, w.probe_serial, true, w.now);
    refused_with(b, SM_GRPC_ALREADY_EXISTS, "post service already registered");
    cr_assert_not(a->finished);
    cr_assert_eq(w.registered, 1);
    cr_assert_eq(w.gone, 0);
    stop();
}

Test(post_registry, a_second_registration_replaces_a_dead_first)
{
    start();
    struct stream *a = registered(7, 1), *b = open_stream(2);
    request(7, 0xca, UINT64_MAX);
    cr_assert_eq(a->sent, 2);
    say_info(b, info_of(7));
    sm_post_registry_probed(w.r, &w.probe_id, w.probe_serial, false, w.now);
    cr_assert(a->dropped);
    cr_assert_not(b->finished);
    cr_assert_eq(w.registered, 2);
    cr_assert_eq(b->sent, 2, "the request goes on with the new stream");
    cr_assert_eq(b->last.challenge.b[0], 0xca);
    end(a);
    cr_assert_eq(w.gone, 1);
    struct sm_post_response m = proof_for(7, 0xca);
    say(b, &m);
    cr_assert_eq(w.checks_n, 1);
    verdict(0, SM_VERDICT_VALID);
    cr_assert_eq(w.proofs, 1);
    stop();
}

Test(post_registry, a_connection_that_takes_no_ping_is_dead)
{
    start();
    struct stream *a = registered(7, 1), *b = open_stream(2);
    w.connection_dead = true;
    say_info(b, info_of(7));
    cr_assert(a->dropped);
    cr_assert_eq(w.registered, 2);
    stop();
}

Test(post_registry, a_third_registration_and_one_on_the_same_connection_are_refused_at_once)
{
    start();
    struct stream *a = registered(7, 1), *b = open_stream(1), *c = open_stream(2), *d = open_stream(3);
    say_info(b, info_of(7));
    refused_with(b, SM_GRPC_ALREADY_EXISTS, "already registered");
    cr_assert_eq(w.probes, 0);
    say_info(c, info_of(7));
    say_info(d, info_of(7));
    refused_with(d, SM_GRPC_ALREADY_EXISTS, "already registered");
    cr_assert_eq(w.probes, 1);
    end(c); /* the candidate gives up; its PING comes back late */
    sm_post_registry_probed(w.r, &w.probe_id, w.probe_serial, false, w.now);
    cr_assert_not(a->finished);
    stop();
}

Test(post_registry, a_first_that_ends_while_probed_makes_room)
{
    start();
    struct stream *a = registered(7, 1), *b = open_stream(2);
    say_info(b, info_of(7));
    end(a);
    cr_assert_eq(w.registered, 2);
    sm_post_registry_probed(w.r, &w.probe_id, w.probe_serial, false, w.now); /* of the connection that has gone */
    cr_assert_not(b->finished);
    cr_assert_eq(sm_post_registry_count(w.r), 1);
    stop();
}

Test(post_registry, a_candidate_that_talks_out_of_turn_is_dropped)
{
    start();
    struct stream *a = registered(7, 1), *b = open_stream(2);
    say_info(b, info_of(7));
    say_info(b, info_of(7));
    refused_with(b, SM_GRPC_INVALID_ARGUMENT, "without a request");
    end(b);
    sm_post_registry_probed(w.r, &w.probe_id, w.probe_serial, true, w.now);
    cr_assert_not(a->finished);
    stop();
}
