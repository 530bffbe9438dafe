/* A network of streams that only takes notes, a node on it, and what its post services say. Each case is a process. */
#ifndef SM_TESTS_POSTSVC_REGISTRY_KIT_H
#define SM_TESTS_POSTSVC_REGISTRY_KIT_H

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

static inline bool io_send(void *stream, struct sm_slice msg)
{
    struct stream *s = stream;
    if (s->deaf) return false;
    cr_assert_eq(sm_post_request_decode(msg, &s->last, NULL), SM_OK);
    s->sent++;
    return true;
}

static inline void io_finish(void *stream, const struct sm_grpc_status *st)
{
    struct stream *s = stream;
    cr_assert_not(s->finished, "finished twice");
    s->finished = true;
    s->status = *st;
}

static inline void io_drop(void *stream, const struct sm_grpc_status *st)
{
    ((struct stream *)stream)->dropped = true;
    io_finish(stream, st);
}

static inline bool io_same(const void *a, const void *b)
{
    return ((const struct stream *)a)->connection == ((const struct stream *)b)->connection;
}

static inline bool io_probe(void *ctx, void *stream, const struct sm_node_id *id, uint64_t serial)
{
    (void)ctx, (void)stream;
    w.probes++;
    w.probe_id = *id;
    w.probe_serial = serial;
    return !w.connection_dead;
}

static inline bool io_verify(void *ctx, struct sm_post_check *job)
{
    (void)ctx;
    if (w.no_memory) return false;
    w.checks[w.checks_n++] = job;
    return true;
}

static const struct sm_post_registry_io io = {io_send, io_finish, io_drop, io_same, io_probe, io_verify};

static inline void ev_registered(void *ctx, const struct sm_post_identity *id)
{
    (void)ctx;
    w.registered++;
    w.last = *id;
}
static inline void ev_gone(void *ctx, const struct sm_post_identity *id, const char *why)
{
    (void)ctx, (void)why;
    w.gone++;
    w.last = *id;
}
static inline void ev_refused(void *ctx, const struct sm_node_id *id, const char *address,
                              const struct sm_grpc_status *why)
{
    (void)ctx, (void)address, (void)why;
    w.refused++;
    w.refused_by_id = id != NULL;
}
static inline void ev_proof(void *ctx, const struct sm_post_identity *id, const struct sm_post_verified *v)
{
    (void)ctx;
    w.proofs++;
    w.last = *id;
    w.proof = *v;
}
static inline struct sm_challenge challenge(uint8_t b);
static inline void ev_failed(void *ctx, const struct sm_post_identity *id, sm_post_failure reason, const char *text)
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

static inline struct sm_node_id node(uint8_t b)
{
    struct sm_node_id id;
    memset(id.b, b, sizeof id.b);
    return id;
}

static inline struct sm_challenge challenge(uint8_t b)
{
    struct sm_challenge c;
    memset(c.b, b, sizeof c.b);
    return c;
}

static inline void start_with(const struct sm_post_known *known, size_t n, bool only_known, uint32_t max)
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

static inline void start(void)
{
    start_with(NULL, 0, false, 0);
}

static inline struct stream *open_stream(int connection)
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

static inline struct sm_post_info info_of(uint8_t id)
{
    struct sm_post_info i = {
        .node_id = node(id), .has_nonce = true, .nonce = 3, .num_units = 4, .labels_per_unit = 256};
    memset(i.commitment_atx_id.b, 0xcc, 32);
    return i;
}

static inline void say(struct stream *s, const struct sm_post_response *m)
{
    uint8_t bytes[SM_POST_RESPONSE_ROOM];
    const size_t n = sm_post_response_encode(m, bytes);
    sm_post_registry_message(s->session, (struct sm_slice){bytes, n}, w.now);
}

static inline void say_info(struct stream *s, struct sm_post_info info)
{
    say(s, &(struct sm_post_response){.kind = SM_POST_KIND_METADATA, .has_info = true, .info = info});
}

static inline struct stream *registered(uint8_t id, int connection)
{
    struct stream *s = open_stream(connection);
    say_info(s, info_of(id));
    cr_assert_not(s->finished, "%s", s->status.message);
    return s;
}

static inline void end(struct stream *s)
{
    sm_post_registry_ended(s->session, "gone", w.now);
    s->session = NULL;
}

static inline void stop(void)
{
    for (size_t i = 0; i < w.streams_n; i++)
        if (w.streams[i].session) end(&w.streams[i]);
    sm_post_registry_free(w.r);
}

static inline void request(uint8_t id, uint8_t c, uint64_t deadline)
{
    struct sm_errinfo ei = {0};
    const struct sm_node_id n = node(id);
    const struct sm_challenge ch = challenge(c);
    cr_assert_eq(sm_post_registry_request(w.r, &n, &ch, NULL, deadline, w.now, &ei), SM_OK, "%s", ei.text);
}

static inline void pass(uint64_t ns)
{
    w.now += ns;
    sm_post_registry_tick(w.r, w.now);
}

static inline void say_status(struct stream *s, int status)
{
    say(s, &(struct sm_post_response){.kind = SM_POST_KIND_GEN_PROOF, .status = status});
}

static inline struct sm_post_response proof_for(uint8_t id, uint8_t c)
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

static inline void verdict(size_t check, sm_verdict_code code)
{
    const struct sm_verdict v = {.code = code, .text = "index 7 is wrong"};
    sm_post_registry_verified(w.r, w.checks[check], SM_OK, &v, "");
}

static inline void refused_with(const struct stream *s, sm_grpc_code code, const char *text)
{
    cr_assert(s->finished);
    cr_assert_eq(s->status.code, code, "%s", s->status.message);
    cr_assert(strstr(s->status.message, text), "%s", s->status.message);
}

#endif
