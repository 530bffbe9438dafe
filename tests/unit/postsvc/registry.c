/* The node's side of Register without sockets: registrations, duplicates, requests, verification.
 * Rules: post-service.md §2.4, 2.8, 2.9. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "postsvc/registry.h"
#include "util/clock.h"

#define S SM_NS_PER_S

/* ---- a network of streams that only takes notes ---- */

struct stream {
    struct sm_post_session *session;
    struct sm_peer peer;
    int connection;
    bool deaf; /* send fails */
    unsigned sent;
    struct sm_post_request last;
    bool finished, dropped;
    struct sm_grpc_status status;
};

static struct {
    struct sm_post_registry *r;
    uint64_t now;
    struct stream streams[64];
    size_t streams_n;
    bool connection_dead, no_memory;
    unsigned probes;
    struct sm_node_id probe_id;
    uint64_t probe_serial;
    struct sm_post_check *checks[8];
    size_t checks_n;
    /* what the owner heard */
    unsigned registered, gone, refused, proofs, failed;
    struct sm_post_identity last;
    struct sm_post_verified proof;
    sm_post_failure failure;
    char text[256];
    bool refused_by_id;
    bool ask_again;
} w;

static bool io_send(void *stream, struct sm_slice msg)
{
    struct stream *s = stream;
    if (s->deaf) return false;
    cr_assert_eq(sm_post_request_decode(msg, &s->last, NULL), SM_OK);
    s->sent++;
    return true;
}

static void io_finish(void *stream, const struct sm_grpc_status *st)
{
    struct stream *s = stream;
    cr_assert_not(s->finished, "finished twice");
    s->finished = true;
    s->status = *st;
}

static void io_drop(void *stream, const struct sm_grpc_status *st)
{
    ((struct stream *)stream)->dropped = true;
    io_finish(stream, st);
}

static bool io_same(const void *a, const void *b)
{
    return ((const struct stream *)a)->connection == ((const struct stream *)b)->connection;
}

static bool io_probe(void *ctx, void *stream, const struct sm_node_id *id, uint64_t serial)
{
    (void)ctx, (void)stream;
    w.probes++;
    w.probe_id = *id;
    w.probe_serial = serial;
    return !w.connection_dead;
}

static bool io_verify(void *ctx, struct sm_post_check *job)
{
    (void)ctx;
    if (w.no_memory) return false;
    w.checks[w.checks_n++] = job;
    return true;
}

static const struct sm_post_registry_io io = {io_send, io_finish, io_drop, io_same, io_probe, io_verify};

static void ev_registered(void *ctx, const struct sm_post_identity *id)
{
    (void)ctx;
    w.registered++;
    w.last = *id;
}
static void ev_gone(void *ctx, const struct sm_post_identity *id, const char *why)
{
    (void)ctx, (void)why;
    w.gone++;
    w.last = *id;
}
static void ev_refused(void *ctx, const struct sm_node_id *id, const char *address, const struct sm_grpc_status *why)
{
    (void)ctx, (void)address, (void)why;
    w.refused++;
    w.refused_by_id = id != NULL;
}
static void ev_proof(void *ctx, const struct sm_post_identity *id, const struct sm_post_verified *v)
{
    (void)ctx;
    w.proofs++;
    w.last = *id;
    w.proof = *v;
}
static struct sm_challenge challenge(uint8_t b);
static void ev_failed(void *ctx, const struct sm_post_identity *id, sm_post_failure reason, const char *text)
{
    (void)ctx;
    w.failed++;
    w.last = *id;
    w.failure = reason;
    (void)snprintf(w.text, sizeof w.text, "%s", text);
    const struct sm_challenge again = challenge(0xaa);
    if (w.ask_again) cr_assert_eq(sm_post_registry_request(w.r, &id->id, &again, NULL, UINT64_MAX, w.now, NULL), SM_OK);
}
static const struct sm_post_events events = {ev_registered, ev_gone, ev_refused, ev_proof, ev_failed};

/* ---- a node ---- */

static const struct sm_post_params params = {
    .name = "test", .min_num_units = 4, .max_num_units = 16, .labels_per_unit = 256, .k1 = 1, .k2 = 37, .scrypt_n = 2};

static struct sm_node_id node(uint8_t b)
{
    struct sm_node_id id;
    memset(id.b, b, sizeof id.b);
    return id;
}

static struct sm_challenge challenge(uint8_t b)
{
    struct sm_challenge c;
    memset(c.b, b, sizeof c.b);
    return c;
}

static void start_with(const struct sm_post_known *known, size_t n, bool only_known, uint32_t max)
{
    const struct sm_post_registry_cfg cfg = {.params = &params,
                                             .known = known,
                                             .known_n = n,
                                             .only_known = only_known,
                                             .identities_max = max,
                                             .io = &io,
                                             .events = &events};
    struct sm_errinfo ei = {0};
    w.now = 1000 * S;
    cr_assert_eq(sm_post_registry_new(&cfg, &w.r, &ei), SM_OK, "%s", ei.text);
}

static void start(void)
{
    start_with(NULL, 0, false, 0);
}

static struct stream *open_stream(int connection)
{
    struct stream *s = &w.streams[w.streams_n++];
    struct sm_grpc_status refuse = {0};
    s->connection = connection;
    s->peer = (struct sm_peer){
        .address = "10.0.0.1:5", .tls = true, .fingerprint_sha256 = "ab12", .sans = "DNS:post,IP:10.0.0.1"};
    s->session = sm_post_registry_open(w.r, s, &s->peer, w.now, &refuse);
    cr_assert_not_null(s->session);
    cr_assert_eq(s->sent, 1);
    cr_assert_eq(s->last.kind, SM_POST_KIND_METADATA);
    return s;
}

static struct sm_post_info info_of(uint8_t id)
{
    struct sm_post_info i = {
        .node_id = node(id), .has_nonce = true, .nonce = 3, .num_units = 4, .labels_per_unit = 256};
    memset(i.commitment_atx_id.b, 0xcc, 32);
    return i;
}

static void say(struct stream *s, const struct sm_post_response *m)
{
    uint8_t bytes[SM_POST_RESPONSE_ROOM];
    const size_t n = sm_post_response_encode(m, bytes);
    sm_post_registry_message(s->session, (struct sm_slice){bytes, n}, w.now);
}

static void say_info(struct stream *s, struct sm_post_info info)
{
    say(s, &(struct sm_post_response){.kind = SM_POST_KIND_METADATA, .has_info = true, .info = info});
}

static struct stream *registered(uint8_t id, int connection)
{
    struct stream *s = open_stream(connection);
    say_info(s, info_of(id));
    cr_assert_not(s->finished, "%s", s->status.message);
    return s;
}

static void end(struct stream *s)
{
    sm_post_registry_ended(s->session, "gone", w.now);
    s->session = NULL;
}

static void stop(void)
{
    for (size_t i = 0; i < w.streams_n; i++)
        if (w.streams[i].session) end(&w.streams[i]);
    sm_post_registry_free(w.r);
}

static void request(uint8_t id, uint8_t c, uint64_t deadline)
{
    struct sm_errinfo ei = {0};
    const struct sm_node_id n = node(id);
    const struct sm_challenge ch = challenge(c);
    cr_assert_eq(sm_post_registry_request(w.r, &n, &ch, NULL, deadline, w.now, &ei), SM_OK, "%s", ei.text);
}

static void pass(uint64_t ns)
{
    w.now += ns;
    sm_post_registry_tick(w.r, w.now);
}

static void say_status(struct stream *s, int status)
{
    say(s, &(struct sm_post_response){.kind = SM_POST_KIND_GEN_PROOF, .status = status});
}

static struct sm_post_response proof_for(uint8_t id, uint8_t c)
{
    return (struct sm_post_response){.kind = SM_POST_KIND_GEN_PROOF,
                                     .status = SM_POST_STATUS_OK,
                                     .has_proof = true,
                                     .has_challenge = true,
                                     .has_info = true,
                                     .proof = {.nonce = 1, .pow = 2, .indices_n = 3},
                                     .challenge = challenge(c),
                                     .info = info_of(id)};
}

static void verdict(size_t check, sm_verdict_code code)
{
    const struct sm_verdict v = {.code = code, .text = "index 7 is wrong"};
    sm_post_registry_verified(w.r, w.checks[check], SM_OK, &v, "");
}

static void refused_with(const struct stream *s, sm_grpc_code code, const char *text)
{
    cr_assert(s->finished);
    cr_assert_eq(s->status.code, code, "%s", s->status.message);
    cr_assert(strstr(s->status.message, text), "%s", s->status.message);
}

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
