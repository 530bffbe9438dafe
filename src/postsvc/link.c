#include "postsvc/link.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "postsvc/provider.h"
#include "util/clock.h"
#include "util/log.h"

#define INTERVAL_NS (5 * SM_NS_PER_S)  /* post-service.md §2.7 */
#define SETTLED_NS  (60 * SM_NS_PER_S) /* ours: a registration that lasts this long was a good one */

/* How long a phase may last; 0: as long as it likes. */
static const uint64_t phase_timeout_ns[] = {
    [SM_POST_LINK_STOPPED] = 0,
    [SM_POST_LINK_WAITING] = 0,                   /* has a time of its own */
    [SM_POST_LINK_CONNECTING] = 10 * SM_NS_PER_S, /* OUR-1 */
    [SM_POST_LINK_OPENING] = 30 * SM_NS_PER_S,    /* ours: a node asks at once */
    [SM_POST_LINK_REGISTERED] = 5 * SM_NS_PER_S,  /* to refuse us; then it may be silent for weeks, see keepalive */
};

struct reaction {
    const char *name;
    uint64_t first_ns, last_ns; /* wait, doubled each time in a row; 0 = the interval */
    bool elsewhere;             /* another address comes first */
    sm_log_level level;
    const char *advice;
};
static const struct reaction reactions[SM_POST_LINK_REASONS_N] = {
    [SM_POST_LINK_NONE] = {"", 0, 0, false, SM_LOG_DEBUG, ""},
    [SM_POST_LINK_UNREACHABLE] = {"unreachable", 0, 60 * SM_NS_PER_S, true, SM_LOG_WARN, "is the node running?"},
    [SM_POST_LINK_LOST] = {"lost", 0, 60 * SM_NS_PER_S, false, SM_LOG_WARN, "connecting again"},
    [SM_POST_LINK_TLS] = {"tls", 60 * SM_NS_PER_S, 60 * SM_NS_PER_S, true, SM_LOG_ERROR, "check the certificates"},
    [SM_POST_LINK_NO_COINBASE] = {"no-coinbase", 30 * SM_NS_PER_S, 30 * SM_NS_PER_S, true, SM_LOG_WARN,
                                  "set a coinbase in the node's configuration"},
    [SM_POST_LINK_DUPLICATE] = {"duplicate", 0, 60 * SM_NS_PER_S, false, SM_LOG_WARN,
                                "another rig serves this identity"},
    [SM_POST_LINK_WRONG_PORT] = {"wrong-port", 60 * SM_NS_PER_S, 60 * SM_NS_PER_S, true, SM_LOG_ERROR,
                                 "wrong port: this is not the node's post listener"},
    [SM_POST_LINK_FORBIDDEN] = {"forbidden", 60 * SM_NS_PER_S, 60 * SM_NS_PER_S, true, SM_LOG_ERROR,
                                "the node does not take this identity from us"},
    [SM_POST_LINK_BAD_DATA] = {"bad-data", 60 * SM_NS_PER_S, 60 * SM_NS_PER_S, true, SM_LOG_ERROR,
                               "compare network and metadata"},
    [SM_POST_LINK_PINGS] = {"pings", 0, 60 * SM_NS_PER_S, false, SM_LOG_WARN, "PING interval is doubled"},
    [SM_POST_LINK_SILENT] = {"silent", 0, 60 * SM_NS_PER_S, true, SM_LOG_WARN, "the node does not ask"},
    [SM_POST_LINK_BROKEN] = {"broken", 60 * SM_NS_PER_S, 60 * SM_NS_PER_S, true, SM_LOG_ERROR,
                             "this is no request of a node"},
    [SM_POST_LINK_NO_DATA] = {"no-data", 60 * SM_NS_PER_S, 60 * SM_NS_PER_S, false, SM_LOG_ERROR,
                              "the data directory cannot be offered"},
    [SM_POST_LINK_OTHER] = {"other", 0, 60 * SM_NS_PER_S, true, SM_LOG_WARN, ""},
    [SM_POST_LINK_GIVEN_UP] = {"given-up", 0, 0, false, SM_LOG_ERROR, ""},
};

const char *sm_post_link_reason_name(sm_post_link_reason reason)
{
    return reactions[reason].name;
}

const char *sm_post_link_phase_name(sm_post_link_phase phase)
{
    static const char *const names[] = {"stopped", "waiting", "connecting", "opening", "registered"};
    return names[phase];
}

void sm_post_link_init(struct sm_post_link *l, const struct sm_post_link_cfg *cfg,
                       const struct sm_post_provider *provider, void *provider_ctx)
{
    assert(cfg->addresses_n > 0);
    memset(l, 0, sizeof *l);
    l->cfg = *cfg;
    if (!l->cfg.interval_ns) l->cfg.interval_ns = INTERVAL_NS;
    l->provider = provider;
    l->provider_ctx = provider_ctx;
    l->deadline_ns = UINT64_MAX;
    l->random = cfg->seed;
}

uint64_t sm_post_link_deadline(const struct sm_post_link *l)
{
    return l->deadline_ns;
}

/* ---- time ---- */

/* SplitMix64: spreads neighbouring seeds, which rigs number their identities with. */
static uint64_t next_random(struct sm_post_link *l)
{
    uint64_t z = l->random += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint64_t wait_ns(struct sm_post_link *l, sm_post_link_reason reason)
{
    const struct reaction *r = &reactions[reason];
    uint64_t ns = r->first_ns ? r->first_ns : l->cfg.interval_ns;
    const uint64_t last = r->last_ns > ns ? r->last_ns : ns;
    const bool grows = !(l->cfg.limited && reason == SM_POST_LINK_UNREACHABLE);
    for (uint32_t i = 0; grows && i < l->setbacks && ns < last; i++) ns *= 2;
    if (ns > last) ns = last;
    return ns - ns / 4 + next_random(l) % (ns / 2 + 1);
}

/* ---- phases ---- */

static void tell(struct sm_post_link *l)
{
    if (l->provider->state) l->provider->state(l->provider_ctx, &l->state);
}

static void enter(struct sm_post_link *l, sm_post_link_phase phase, uint64_t now_ns)
{
    const uint64_t timeout = phase_timeout_ns[phase];
    l->state.phase = phase;
    l->state.since_ns = now_ns;
    l->deadline_ns = timeout ? now_ns + timeout : UINT64_MAX;
}

/* Once per change of the reason: a node that is away for a day is one line. */
static void log_failure(struct sm_post_link *l, sm_post_link_reason reason)
{
    const struct reaction *r = &reactions[reason];
    if (l->logged == reason) return;
    l->logged = reason;
    sm_log(r->level, "post", "not registered", "identity=%s address=\"%u of %u\" reason=%s text=\"%s\" next=\"%s\"",
           l->cfg.name, l->state.address + 1, l->cfg.addresses_n, r->name, l->state.text, r->advice);
}

static void set_text(struct sm_post_link *l, const char *text)
{
    (void)snprintf(l->state.text, sizeof l->state.text, "%s", text ? text : "");
    for (char *c = l->state.text; *c; c++) /* a peer's words end up on terminals */
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
}

static void give_up(struct sm_post_link *l, uint64_t now_ns, struct sm_post_link_action *out)
{
    char text[64];
    (void)snprintf(text, sizeof text, "max retries (%" PRIu32 ") reached", l->cfg.max_retries);
    enter(l, SM_POST_LINK_STOPPED, now_ns);
    l->state.reason = SM_POST_LINK_GIVEN_UP;
    set_text(l, text);
    log_failure(l, SM_POST_LINK_GIVEN_UP);
    tell(l);
    out->kind = SM_POST_LINK_DO_GIVE_UP;
}

static bool has_settled(const struct sm_post_link *l, uint64_t now_ns)
{
    return l->state.phase == SM_POST_LINK_REGISTERED && now_ns - l->state.since_ns >= SETTLED_NS;
}

/* The attempt or the registration is over: choose address and time of the next. */
static void fail(struct sm_post_link *l, sm_post_link_reason reason, const char *text, uint64_t now_ns,
                 struct sm_post_link_action *out)
{
    if (has_settled(l, now_ns)) l->setbacks = l->tried = 0;
    l->offered = 0;
    set_text(l, text);
    log_failure(l, reason);
    const bool elsewhere = reactions[reason].elsewhere && l->cfg.addresses_n > 1;
    if (elsewhere) l->state.address = (l->state.address + 1) % l->cfg.addresses_n;
    enter(l, SM_POST_LINK_WAITING, now_ns);
    l->state.reason = reason;
    if (elsewhere && ++l->tried < l->cfg.addresses_n) {
        l->state.retry_ns = now_ns;
    } else {
        l->tried = 0;
        l->state.retry_ns = now_ns + wait_ns(l, reason);
        l->setbacks++;
    }
    l->deadline_ns = l->state.retry_ns;
    tell(l);
    out->kind = SM_POST_LINK_DO_CLOSE;
}

static void connect_failed(struct sm_post_link *l, sm_post_link_reason reason, const char *text, uint64_t now_ns,
                           struct sm_post_link_action *out)
{
    l->state.connects_failed++;
    if (l->cfg.limited && l->state.connects_failed > l->cfg.max_retries)
        give_up(l, now_ns, out);
    else
        fail(l, reason, text, now_ns, out);
}

/* ---- the stream ---- */

static void reply(const struct sm_post_response *r, struct sm_post_link_action *out)
{
    out->kind = SM_POST_LINK_DO_SEND;
    out->bytes_n = sm_post_response_encode(r, out->bytes);
}

static void become_registered(struct sm_post_link *l, uint64_t now_ns)
{
    if (l->state.phase == SM_POST_LINK_REGISTERED) return;
    enter(l, SM_POST_LINK_REGISTERED, now_ns);
    l->state.reason = SM_POST_LINK_NONE;
    l->state.text[0] = '\0';
    tell(l);
}

static void answer_metadata(struct sm_post_link *l, uint64_t now_ns, struct sm_post_link_action *out)
{
    struct sm_errinfo ei = {0};
    struct sm_post_response r = {.kind = SM_POST_KIND_METADATA, .has_info = true};
    sm_err err = l->provider->info(l->provider_ctx, &r.info, &ei);
    if (!err && !r.info.has_nonce) /* nodes read the nonce without looking whether it is there: finding 7 */
        err = sm_fail(&ei, SM_E_NOTFOUND, "the data has no VRF nonce yet; search one first (smesher nonce)");
    if (err) {
        fail(l, SM_POST_LINK_NO_DATA, ei.text, now_ns, out);
        return;
    }
    reply(&r, out);
    become_registered(l, now_ns);
}

static void announce(struct sm_post_link *l)
{
    l->deadline_ns = UINT64_MAX;
    if (l->logged == SM_POST_LINK_NONE) return;
    l->logged = SM_POST_LINK_NONE;
    sm_log(SM_LOG_INFO, "post", "registered", "identity=%s address=\"%u of %u\"", l->cfg.name, l->state.address + 1,
           l->cfg.addresses_n);
}

static void answer_proof(struct sm_post_link *l, const struct sm_post_request *q, struct sm_post_link_action *out)
{
    struct sm_post_response r = {.kind = SM_POST_KIND_GEN_PROOF, .status = SM_POST_STATUS_ERROR};
    const sm_post_answer answer = q->challenge_n == sizeof q->challenge.b
                                      ? l->provider->proof(l->provider_ctx, &q->challenge, &r.proof, &r.info)
                                      : SM_POST_FAILED;
    if (answer == SM_POST_IN_PROGRESS || (answer == SM_POST_DONE && r.info.has_nonce)) r.status = SM_POST_STATUS_OK;
    if (answer == SM_POST_DONE && r.info.has_nonce) {
        r.has_proof = r.has_challenge = r.has_info = true;
        r.challenge = q->challenge;
        l->offered_for = q->challenge;
        if (++l->confirms == 0) l->confirms = 1;
        out->confirm = l->offered = l->confirms;
    }
    reply(&r, out);
}

static void confirm(struct sm_post_link *l)
{
    if (!l->offered) return;
    l->offered = 0;
    if (l->provider->fetched) l->provider->fetched(l->provider_ctx, &l->offered_for);
}

static void on_message(struct sm_post_link *l, struct sm_slice msg, uint64_t now_ns, struct sm_post_link_action *out)
{
    static const struct sm_post_response no_kind = {.kind = SM_POST_KIND_GEN_PROOF, .status = SM_POST_STATUS_ERROR};
    struct sm_errinfo ei = {0};
    struct sm_post_request q;
    if (l->state.phase != SM_POST_LINK_OPENING && l->state.phase != SM_POST_LINK_REGISTERED) return;
    confirm(l); /* the node asks the next thing only when it has the last answer */
    if (sm_post_request_decode(msg, &q, &ei)) {
        fail(l, SM_POST_LINK_BROKEN, ei.text, now_ns, out);
    } else if (q.kind == SM_POST_KIND_METADATA) {
        answer_metadata(l, now_ns, out);
    } else if (q.kind == SM_POST_KIND_GEN_PROOF) {
        become_registered(l, now_ns);
        announce(l); /* a node that wants proofs has accepted us */
        l->setbacks = l->tried = 0;
        answer_proof(l, &q, out);
    } else {
        reply(&no_kind, out);
    }
}

/* Other programs word this status differently; the reference says it so (§2.4). */
static bool says_duplicate(const struct sm_grpc_status *st)
{
    return st->code == SM_GRPC_ALREADY_EXISTS ||
           (st->code == SM_GRPC_UNKNOWN && strstr(st->message, "post service already registered"));
}

static sm_post_link_reason reason_of(const struct sm_grpc_status *st)
{
    if (says_duplicate(st)) return SM_POST_LINK_DUPLICATE;
    switch (st->code) {
    case SM_GRPC_FAILED_PRECONDITION:
        return SM_POST_LINK_NO_COINBASE;
    case SM_GRPC_UNIMPLEMENTED:
        return SM_POST_LINK_WRONG_PORT;
    case SM_GRPC_PERMISSION_DENIED:
    case SM_GRPC_UNAUTHENTICATED:
        return SM_POST_LINK_FORBIDDEN;
    case SM_GRPC_INVALID_ARGUMENT:
        return SM_POST_LINK_BAD_DATA;
    case SM_GRPC_OK:
    case SM_GRPC_CANCELLED:
    case SM_GRPC_UNAVAILABLE:
        return SM_POST_LINK_LOST;
    default:
        return SM_POST_LINK_OTHER;
    }
}

/* ---- events ---- */

static void on_down(struct sm_post_link *l, const struct sm_post_link_event *ev, uint64_t now_ns,
                    struct sm_post_link_action *out)
{
    if (l->state.phase == SM_POST_LINK_CONNECTING)
        connect_failed(l, ev->tls ? SM_POST_LINK_TLS : SM_POST_LINK_UNREACHABLE, ev->text, now_ns, out);
    else if (l->state.phase == SM_POST_LINK_OPENING || l->state.phase == SM_POST_LINK_REGISTERED)
        fail(l, ev->pings ? SM_POST_LINK_PINGS : SM_POST_LINK_LOST, ev->text, now_ns, out);
}

static void on_ended(struct sm_post_link *l, const struct sm_post_link_event *ev, uint64_t now_ns,
                     struct sm_post_link_action *out)
{
    if (l->state.phase != SM_POST_LINK_OPENING && l->state.phase != SM_POST_LINK_REGISTERED) return;
    fail(l, ev->pings ? SM_POST_LINK_PINGS : reason_of(ev->status), ev->status->message, now_ns, out);
}

static void on_tick(struct sm_post_link *l, uint64_t now_ns, struct sm_post_link_action *out)
{
    if (now_ns < l->deadline_ns) return;
    switch (l->state.phase) {
    case SM_POST_LINK_WAITING:
        enter(l, SM_POST_LINK_CONNECTING, now_ns);
        out->kind = SM_POST_LINK_DO_CONNECT;
        out->address = l->state.address;
        tell(l);
        break;
    case SM_POST_LINK_CONNECTING:
        connect_failed(l, SM_POST_LINK_UNREACHABLE, "no connection within 10 s", now_ns, out);
        break;
    case SM_POST_LINK_OPENING:
        fail(l, SM_POST_LINK_SILENT, "no request within 30 s", now_ns, out);
        break;
    case SM_POST_LINK_REGISTERED:
        announce(l);
        break;
    case SM_POST_LINK_STOPPED:
        break;
    }
}

static void on_start(struct sm_post_link *l, uint64_t now_ns)
{
    if (l->state.phase != SM_POST_LINK_STOPPED) return;
    l->setbacks = l->tried = l->state.connects_failed = 0;
    enter(l, SM_POST_LINK_WAITING, now_ns);
    l->state.reason = SM_POST_LINK_NONE;
    l->state.retry_ns = l->deadline_ns = now_ns;
    l->logged = SM_POST_LINK_REASONS_N; /* nothing yet: the first registration is worth a line */
}

static void on_stop(struct sm_post_link *l, uint64_t now_ns, struct sm_post_link_action *out)
{
    if (l->state.phase == SM_POST_LINK_STOPPED) return;
    l->offered = 0;
    enter(l, SM_POST_LINK_STOPPED, now_ns);
    l->state.reason = SM_POST_LINK_NONE;
    out->kind = SM_POST_LINK_DO_CLOSE;
    tell(l);
}

static void on_up(struct sm_post_link *l, uint64_t now_ns, struct sm_post_link_action *out)
{
    if (l->state.phase != SM_POST_LINK_CONNECTING) return;
    l->state.connects_failed = 0;
    enter(l, SM_POST_LINK_OPENING, now_ns);
    out->kind = SM_POST_LINK_DO_OPEN;
    tell(l);
}

void sm_post_link_step(struct sm_post_link *l, const struct sm_post_link_event *ev, uint64_t now_ns,
                       struct sm_post_link_action *out)
{
    out->kind = SM_POST_LINK_DO_NOTHING;
    out->address = out->confirm = 0;
    out->bytes_n = 0;
    switch (ev->kind) {
    case SM_POST_LINK_START:
        on_start(l, now_ns);
        break;
    case SM_POST_LINK_STOP:
        on_stop(l, now_ns, out);
        break;
    case SM_POST_LINK_TICK:
        on_tick(l, now_ns, out);
        break;
    case SM_POST_LINK_UP:
        on_up(l, now_ns, out);
        break;
    case SM_POST_LINK_DOWN:
        on_down(l, ev, now_ns, out);
        break;
    case SM_POST_LINK_MESSAGE:
        on_message(l, ev->msg, now_ns, out);
        break;
    case SM_POST_LINK_ENDED:
        on_ended(l, ev, now_ns, out);
        break;
    case SM_POST_LINK_ACKED:
        if (ev->confirm && ev->confirm == l->offered) confirm(l);
        break;
    }
}
