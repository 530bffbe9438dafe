/* A Register stream on the node's side, from its first question to its end. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "postsvc/registry_impl.h"
#include "util/clock.h"

#define ANSWER_NS (30 * SM_NS_PER_S) /* OUR-10 */
#define POLL_NS   (2 * SM_NS_PER_S)  /* §2.7 */

/* ---- leaving ---- */

static void promote(struct sm_post_row *row, uint64_t now_ns);

/* The stream serves nobody any more. `row` may be gone afterwards. */
static void detach(struct sm_post_session *s, const char *why, uint64_t now_ns)
{
    const struct sm_post_registry_cfg *cfg = &s->r->cfg;
    struct sm_post_row *row = s->row;
    sm_timers_clear(&s->r->timers, &s->timer);
    s->row = NULL;
    if (!row) return;
    if (row->candidate == s) {
        row->candidate = NULL;
        return; /* `session` is there still */
    }
    row->session = NULL;
    row->since_ns = now_ns;
    if (row->request.phase == SM_POST_REQUEST_ASKING) row->request.phase = SM_POST_REQUEST_WAITING;
    const struct sm_post_identity view = sm_post_row_view(row);
    if (cfg->events->gone) cfg->events->gone(cfg->events_ctx, &view, why);
    if (row->candidate)
        promote(row, now_ns);
    else
        sm_post_row_reap(row);
}

/* Ends the stream from our side; the session lives until its end is reported. */
static void close_with(struct sm_post_session *s, const struct sm_grpc_status *st, bool dead, uint64_t now_ns)
{
    const struct sm_post_registry_io *io = s->r->cfg.io;
    const bool served = s->row && s->row->session == s;
    const struct sm_post_events *events = s->r->cfg.events;
    if (!served && events->refused)
        events->refused(s->r->cfg.events_ctx, s->phase == SM_POST_SESSION_METADATA ? NULL : &s->info.node_id,
                        s->peer->address, st);
    s->phase = SM_POST_SESSION_CLOSED;
    (dead ? io->drop : io->finish)(s->stream, st);
    detach(s, st->message, now_ns);
}

#define CLOSE(s, now_ns, code, ...)                  \
    do {                                             \
        struct sm_grpc_status st_;                   \
        sm_grpc_status_set(&st_, code, __VA_ARGS__); \
        close_with(s, &st_, false, now_ns);          \
    } while (0)

/* ---- registering ---- */

static void promote(struct sm_post_row *row, uint64_t now_ns)
{
    const struct sm_post_registry_cfg *cfg = &row->r->cfg;
    struct sm_post_session *s = row->candidate;
    assert(!row->session);
    row->candidate = NULL;
    row->session = s;
    row->has_info = true;
    row->info = s->info;
    row->since_ns = now_ns;
    s->row = row;
    s->phase = SM_POST_SESSION_IDLE;
    sm_timers_clear(&s->r->timers, &s->timer);
    sm_post_row_ask(row, now_ns);
    const struct sm_post_identity view = sm_post_row_view(row);
    if (cfg->events->registered) cfg->events->registered(cfg->events_ctx, &view);
}

static bool is_allowed(const struct sm_post_session *s, const struct sm_post_row *row)
{
    const struct sm_post_known *k = row ? row->known : NULL;
    if (!k) return !s->r->cfg.only_known;
    if (k->fingerprint[0] && strcasecmp(k->fingerprint, s->peer->fingerprint_sha256) != 0) return false;
    return !k->san[0] || sm_peer_has_san(s->peer, k->san);
}

/* OUR-10, and limits without which no proof of this identity could ever hold. */
static bool is_sound(const struct sm_post_params *p, const struct sm_post_info *info, struct sm_grpc_status *st)
{
    st->code = SM_GRPC_OK;
    if (!info->has_nonce)
        sm_grpc_status_set(st, SM_GRPC_INVALID_ARGUMENT, "metadata without VRF nonce");
    else if (info->labels_per_unit != p->labels_per_unit)
        sm_grpc_status_set(st, SM_GRPC_INVALID_ARGUMENT,
                           "metadata says %" PRIu64 " labels per unit, network %s has %" PRIu64, info->labels_per_unit,
                           p->name, p->labels_per_unit);
    else if (info->num_units < p->min_num_units || info->num_units > p->max_num_units)
        sm_grpc_status_set(st, SM_GRPC_INVALID_ARGUMENT,
                           "metadata says %" PRIu32 " units, network %s has %" PRIu32 " to %" PRIu32, info->num_units,
                           p->name, p->min_num_units, p->max_num_units);
    return st->code == SM_GRPC_OK;
}

static void probe_older(struct sm_post_session *s, struct sm_post_row *row, uint64_t now_ns)
{
    const struct sm_post_registry_io *io = s->r->cfg.io;
    struct sm_post_session *older = row->session;
    if (row->candidate || io->same_connection(older->stream, s->stream)) {
        CLOSE(s, now_ns, SM_GRPC_ALREADY_EXISTS, "post service already registered");
        return;
    }
    s->row = row;
    row->candidate = s;
    row->probe_serial = ++s->r->serials;
    s->phase = SM_POST_SESSION_PROBING;
    if (!io->probe(s->r->cfg.io_ctx, older->stream, &row->id, row->probe_serial))
        sm_post_registry_probed(s->r, &row->id, row->probe_serial, false, now_ns);
}

void sm_post_registry_probed(struct sm_post_registry *r, const struct sm_node_id *id, uint64_t serial, bool acked,
                             uint64_t now_ns)
{
    struct sm_post_row *row = sm_post_row_find(r, id);
    struct sm_grpc_status st;
    if (!row || !row->candidate || row->probe_serial != serial) return; /* one of the two has gone meanwhile */
    if (acked) {
        sm_grpc_status_set(&st, SM_GRPC_ALREADY_EXISTS, "post service already registered");
        close_with(row->candidate, &st, false, now_ns);
    } else {
        sm_grpc_status_set(&st, SM_GRPC_UNAVAILABLE, "no answer to a PING; another connection of this identity came");
        close_with(row->session, &st, true, now_ns); /* makes room for the candidate */
    }
}

static void on_metadata(struct sm_post_session *s, const struct sm_post_response *m, uint64_t now_ns)
{
    struct sm_grpc_status st;
    sm_timers_clear(&s->r->timers, &s->timer);
    if (m->kind != SM_POST_KIND_METADATA) {
        CLOSE(s, now_ns, SM_GRPC_INVALID_ARGUMENT, "expected metadata response");
        return;
    }
    if (!m->has_info) {
        CLOSE(s, now_ns, SM_GRPC_INVALID_ARGUMENT, "expected metadata, got empty response");
        return;
    }
    s->info = m->info;
    s->phase = SM_POST_SESSION_PROBING; /* it has said who it is */
    if (!is_allowed(s, sm_post_row_find(s->r, &s->info.node_id))) {
        CLOSE(s, now_ns, SM_GRPC_PERMISSION_DENIED, "this identity may not be registered from here");
        return;
    }
    if (!is_sound(s->r->cfg.params, &s->info, &st)) {
        close_with(s, &st, false, now_ns);
        return;
    }
    struct sm_post_row *row = sm_post_row_get(s->r, &s->info.node_id);
    if (!row) {
        CLOSE(s, now_ns, SM_GRPC_RESOURCE_EXHAUSTED, "no room for another identity");
    } else if (row->session) {
        probe_older(s, row, now_ns);
    } else {
        row->candidate = s;
        promote(row, now_ns);
    }
}

/* ---- proofs ---- */

static void on_proof_answer(struct sm_post_session *s, const struct sm_post_response *m, uint64_t now_ns)
{
    struct sm_post_row *row = s->row;
    const bool current = row->request.phase == SM_POST_REQUEST_ASKING && row->request.serial == s->asked_serial;
    sm_timers_clear(&s->r->timers, &s->timer);
    s->phase = SM_POST_SESSION_IDLE;
    if (!current) { /* the request was cancelled; the answer had to come all the same */
        sm_post_row_ask(row, now_ns);
    } else if (m->kind != SM_POST_KIND_GEN_PROOF) {
        sm_post_row_fail(row, SM_POST_FAILURE_RIG, "the post service answered something else than it was asked");
    } else if (m->status != SM_POST_STATUS_OK) {
        sm_post_row_fail(row, SM_POST_FAILURE_RIG, "the post service reports an error");
    } else if (m->has_proof) {
        sm_post_row_proof(row, m);
    } else {
        row->request.phase = SM_POST_REQUEST_WAITING;
        s->phase = SM_POST_SESSION_PAUSED;
        sm_timers_set(&s->r->timers, &s->timer, now_ns + POLL_NS);
    }
}

/* ---- events ---- */

static void timer_due(void *session)
{
    struct sm_post_session *s = session;
    const uint64_t now_ns = s->r->now_ns;
    if (s->phase == SM_POST_SESSION_PAUSED) {
        s->phase = SM_POST_SESSION_IDLE;
        sm_post_row_ask(s->row, now_ns);
    } else {
        CLOSE(s, now_ns, SM_GRPC_DEADLINE_EXCEEDED, "no answer within 30 s");
    }
}

struct sm_post_session *sm_post_registry_open(struct sm_post_registry *r, void *stream, const struct sm_peer *peer,
                                              uint64_t now_ns, struct sm_grpc_status *refuse)
{
    static const struct sm_post_request metadata = {.kind = SM_POST_KIND_METADATA};
    uint8_t bytes[SM_POST_REQUEST_ROOM];
    struct sm_post_session *s = calloc(1, sizeof *s);
    if (!s || !r->cfg.io->send(stream, (struct sm_slice){bytes, sm_post_request_encode(&metadata, bytes)})) {
        sm_grpc_status_set(refuse, SM_GRPC_RESOURCE_EXHAUSTED, "no memory for another post service");
        free(s);
        return NULL;
    }
    *s = (struct sm_post_session){.r = r, .stream = stream, .peer = peer, .timer = {.fn = timer_due, .ctx = s}};
    r->sessions_n++;
    sm_timers_set(&r->timers, &s->timer, now_ns + ANSWER_NS);
    return s;
}

void sm_post_registry_message(struct sm_post_session *s, struct sm_slice msg, uint64_t now_ns)
{
    struct sm_errinfo ei = {0};
    struct sm_post_response m;
    if (s->phase == SM_POST_SESSION_CLOSED) return;
    if (sm_post_response_decode(msg, &m, &ei))
        CLOSE(s, now_ns, SM_GRPC_INVALID_ARGUMENT, "%s", ei.text);
    else if (s->phase == SM_POST_SESSION_METADATA)
        on_metadata(s, &m, now_ns);
    else if (s->phase == SM_POST_SESSION_ASKED)
        on_proof_answer(s, &m, now_ns);
    else
        CLOSE(s, now_ns, SM_GRPC_INVALID_ARGUMENT, "a response without a request");
}

void sm_post_registry_ended(struct sm_post_session *s, const char *why, uint64_t now_ns)
{
    struct sm_post_registry *r = s->r;
    if (s->phase != SM_POST_SESSION_CLOSED) {
        s->phase = SM_POST_SESSION_CLOSED;
        detach(s, why, now_ns);
    }
    r->sessions_n--;
    free(s);
}
