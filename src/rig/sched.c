#include "rig/sched_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/log.h"

/* Ours: a network mount or an endpoint that is away for a moment; then for the time a restart takes. */
const uint64_t sm_sched_retry_ns[SM_SCHED_RETRIES] = {5 * SM_NS_PER_S, 30 * SM_NS_PER_S, 120 * SM_NS_PER_S};

/* ---- the set of identities ---- */

sm_err sm_sched_new(const struct sm_sched_cfg *cfg, const struct sm_sched_ops *ops, void *ctx, struct sm_sched **out,
                    struct sm_errinfo *ei)
{
    struct sm_sched *s = calloc(1, sizeof *s);
    if (!s) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    s->cfg = *cfg;
    s->ops = *ops;
    s->ctx = ctx;
    *out = s;
    return SM_OK;
}

void sm_sched_free(struct sm_sched *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) free(s->ids[i]);
    free(s->ids);
    free(s);
}

sm_err sm_sched_add(struct sm_sched *s, const struct sm_sched_identity *what, void *owner, struct sm_sched_id **out,
                    struct sm_errinfo *ei)
{
    struct sm_sched_id *id = calloc(1, sizeof *id);
    if (id && s->n == s->room) {
        const size_t room = s->room ? 2 * s->room : 8;
        struct sm_sched_id **ids = realloc(s->ids, room * sizeof(struct sm_sched_id *));
        if (ids) {
            s->ids = ids;
            s->room = room;
        }
    }
    if (!id || s->n == s->room) {
        free(id);
        return sm_fail(ei, SM_E_NOMEM, "out of memory");
    }
    id->s = s;
    id->owner = owner;
    id->what = *what;
    id->paused = what->paused;
    id->deadline_ns = id->retry_at_ns = SM_SCHED_NEVER;
    s->ids[s->n++] = id;
    s->planned = false;
    *out = id;
    return SM_OK;
}

void sm_sched_remove(struct sm_sched_id *id)
{
    struct sm_sched *s = id->s;
    for (size_t i = 0; i < s->n; i++) {
        if (s->ids[i] != id) continue;
        s->ids[i] = s->ids[--s->n];
        break;
    }
    s->planned = false;
    free(id);
}

void sm_sched_change(struct sm_sched_id *id, const struct sm_sched_identity *what)
{
    const struct sm_sched_identity old = id->what;
    id->what = *what;
    if (old.was_asked) { /* this process knows best */
        id->what.was_asked = true;
        id->what.asked_for = old.asked_for;
        id->what.asked_ns = old.asked_ns;
    }
    id->s->planned = false;
}

bool sm_sched_running(const struct sm_sched_id *id)
{
    return id->running;
}

bool sm_disks_shared(const struct sm_disks *a, const struct sm_disks *b)
{
    for (size_t i = 0; i < a->n; i++)
        for (size_t k = 0; k < b->n; k++)
            if (strcmp(a->name[i], b->name[k]) == 0) return true;
    return false;
}

/* ---- who is next ---- */

static bool is_before(const struct sm_sched_id *a, const struct sm_sched_id *b)
{
    return a->deadline_ns != b->deadline_ns ? a->deadline_ns < b->deadline_ns : a->seq < b->seq;
}

static int by_urgency(const void *a, const void *b)
{
    const struct sm_sched_id *x = *(struct sm_sched_id *const *)a, *y = *(struct sm_sched_id *const *)b;
    return is_before(x, y) ? -1 : is_before(y, x);
}

void sm_sched_sort(struct sm_sched *s)
{
    if (s->n) qsort(s->ids, s->n, sizeof(struct sm_sched_id *), by_urgency);
}

static void grant(struct sm_sched_id *id)
{
    id->hold = id->wish;
    id->wish = NEED_NONE;
    id->s->ops.grant(id->s->ctx, id->owner);
}

static bool cpu_free(const struct sm_sched *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->ids[i]->hold == NEED_CPU) return false;
    return true;
}

/* Its disks are idle, and nobody more urgent (ids[0 … at - 1]) waits for one of them. */
static bool disks_free(const struct sm_sched *s, size_t at)
{
    unsigned scans = 0;
    for (size_t i = 0; i < s->n; i++) {
        const struct sm_sched_id *other = s->ids[i];
        const bool reads = other->hold == NEED_DISK, ahead = i < at && other->wish == NEED_DISK;
        scans += reads || ahead;
        if (i != at && (reads || ahead) && sm_disks_shared(&other->what.disks, &s->ids[at]->what.disks)) return false;
    }
    return s->cfg.scans_max == 0 || scans < s->cfg.scans_max;
}

/* Ends every event that may change who waits for what. */
static void dispatch(struct sm_sched *s)
{
    s->planned = false;
    if (s->shutdown) return;
    sm_sched_sort(s);
    for (size_t i = 0; i < s->n; i++) {
        struct sm_sched_id *id = s->ids[i];
        if (id->stopping) continue;
        if (id->wish == NEED_CPU && cpu_free(s))
            grant(id);
        else if (id->wish == NEED_DISK && disks_free(s, i))
            grant(id);
    }
}

/* ---- runs ---- */

static void fail(struct sm_sched_id *id, const char *why)
{
    (void)snprintf(id->why, sizeof id->why, "%s", why);
    id->failed = true;
    id->give_up = false;
    id->retry_at_ns = SM_SCHED_NEVER;
    id->s->counts.failed++;
}

/* What goes away by itself, or when somebody plugs the cable in again. */
static bool may_pass(sm_err err)
{
    switch (err) {
    case SM_E_IO:
    case SM_E_NOSPACE:
    case SM_E_NOMEM:
    case SM_E_DEVICE:
    case SM_E_BUSY:
    case SM_E_NET:
    case SM_E_TIMEOUT:
        return true;
    default:
        return false;
    }
}

static void on_failure(struct sm_sched_id *id, sm_err err, const char *why, uint64_t now_ns)
{
    if (!may_pass(err) || id->tries >= SM_SCHED_RETRIES) {
        fail(id, why);
        return;
    }
    (void)snprintf(id->why, sizeof id->why, "%s", why);
    id->retry_at_ns = now_ns + id->s->cfg.retry_ns[id->tries++];
    id->s->counts.retried++;
}

/* Starts what is asked for, unless something stands against it. */
static void launch(struct sm_sched_id *id, uint64_t now_ns)
{
    struct sm_sched *s = id->s;
    if (!sm_sched_active(id) || id->paused || id->running || s->shutdown || id->retry_at_ns != SM_SCHED_NEVER) return;
    struct sm_errinfo ei = {0};
    id->running = true;
    id->stopping = id->gated = id->verifying = false;
    id->hold = id->wish = NEED_NONE;
    id->run_challenge = id->challenge;
    id->progress = (struct sm_prove_progress){0};
    id->hashes_done = 0;
    id->metered = NULL;
    sm_err err = s->ops.start(s->ctx, id->owner, &id->challenge, &ei);
    if (!err) return;
    id->running = false;
    on_failure(id, err, ei.text, now_ns);
}

static void stop(struct sm_sched_id *id)
{
    if (!id->running || id->stopping) return;
    id->stopping = true;
    id->s->ops.stop(id->s->ctx, id->owner);
}

static bool same(const struct sm_challenge *a, const struct sm_challenge *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

static void on_proof(struct sm_sched_id *id, const struct sm_sched_end *end)
{
    if (end->recalled)
        id->s->counts.recalled++;
    else
        id->s->counts.made++;
    if (!id->has_challenge || !same(&id->challenge, &id->run_challenge)) return; /* it is in the store */
    id->last = *end->proof;
    id->has_last = true;
    id->delivered = false;
    id->done = true;
    id->failed = id->give_up = false;
}

void sm_sched_ended(struct sm_sched_id *id, const struct sm_sched_end *end, uint64_t now_ns)
{
    const bool stopped = id->stopping && end->err == SM_E_CANCELLED;
    const bool wanted = sm_sched_active(id) && same(&id->challenge, &id->run_challenge);
    id->running = id->stopping = id->verifying = false;
    id->hold = id->wish = NEED_NONE;
    if (!end->err)
        on_proof(id, end);
    else if (id->give_up)
        fail(id, "given up by the operator");
    else if (wanted && !stopped && !id->s->shutdown)
        on_failure(id, end->err, end->text ? end->text : "", now_ns);
    launch(id, now_ns);
    dispatch(id->s);
}

static sched_need need_of(sm_prove_phase phase)
{
    if (phase == SM_PROVE_K2POW) return NEED_CPU;
    return phase == SM_PROVE_SCAN ? NEED_DISK : NEED_NONE;
}

void sm_sched_gate(struct sm_sched_id *id, sm_prove_phase phase, uint64_t now_ns)
{
    (void)now_ns;
    id->hold = NEED_NONE;
    id->wish = need_of(phase);
    id->gated = true;
    id->metered = NULL;
    id->verifying = phase == SM_PROVE_VERIFY;
    id->progress.phase = phase;
    dispatch(id->s);
}

bool sm_sched_waiting(const struct sm_sched_id *id)
{
    return id->wish != NEED_NONE;
}

/* ---- requests ---- */

/* Counts from the first question for it, whatever has happened since: failures, a restart. */
static uint64_t deadline_of(struct sm_sched_id *id, const struct sm_challenge *challenge, uint64_t now_ns)
{
    struct sm_sched_identity *what = &id->what;
    if (!what->was_asked || !same(&what->asked_for, challenge)) {
        what->was_asked = true;
        what->asked_for = *challenge;
        what->asked_ns = (int64_t)now_ns;
    }
    const int64_t at = what->asked_ns + (int64_t)what->window_ns;
    if (!what->window_ns) return SM_SCHED_NEVER;
    return at > 0 ? (uint64_t)at : 0;
}

static void begin(struct sm_sched_id *id, const struct sm_challenge *challenge, uint64_t now_ns)
{
    id->has_challenge = true;
    id->challenge = *challenge;
    id->seq = ++id->s->seq;
    id->deadline_ns = deadline_of(id, challenge, now_ns);
    id->tries = 0;
    id->failed = id->give_up = id->warned = false;
    id->why[0] = '\0';
    id->retry_at_ns = SM_SCHED_NEVER;
    id->bytes = id->hashes = (struct sm_meter){0};
    id->done = id->has_last && same(&id->last.meta.challenge, challenge); /* asked for again after another one */
    if (id->running)
        stop(id); /* and the end of that run starts this one */
    else
        launch(id, now_ns);
    dispatch(id->s);
}

static bool is_zero(const struct sm_challenge *c)
{
    static const struct sm_challenge zero;
    return same(c, &zero);
}

/* OUR-6. A challenge that has its proof, or failed, stands in nobody's way. */
static bool must_wait(const struct sm_sched_id *id, const struct sm_challenge *challenge)
{
    return sm_sched_active(id) && is_zero(challenge) && !is_zero(&id->challenge);
}

sm_sched_answer sm_sched_request(struct sm_sched_id *id, const struct sm_challenge *challenge, uint64_t now_ns,
                                 const struct sm_stored_proof **out, const char **why)
{
    if (!id->has_challenge || !same(&id->challenge, challenge)) {
        if (must_wait(id, challenge)) return SM_SCHED_IN_PROGRESS;
        begin(id, challenge, now_ns);
    }
    if (id->done) {
        *out = &id->last;
        return SM_SCHED_HAVE;
    }
    if (!id->failed) return SM_SCHED_IN_PROGRESS;
    *why = id->why;
    id->has_challenge = id->failed = false;
    return SM_SCHED_ERROR;
}

const struct sm_stored_proof *sm_sched_fetched(struct sm_sched_id *id, const struct sm_challenge *challenge)
{
    if (!id->has_last || !same(&id->last.meta.challenge, challenge)) return NULL;
    id->s->counts.delivered += !id->delivered;
    id->delivered = true;
    if (id->last.fetched) return NULL;
    id->last.fetched = true;
    return &id->last;
}

/* ---- the operator ---- */

void sm_sched_pause(struct sm_sched_id *id)
{
    id->paused = true;
    stop(id);
    dispatch(id->s);
}

void sm_sched_resume(struct sm_sched_id *id, uint64_t now_ns)
{
    id->paused = false;
    launch(id, now_ns); /* or at the end of the run that is stopping */
    dispatch(id->s);
}

bool sm_sched_cancel(struct sm_sched_id *id)
{
    if (!sm_sched_active(id)) return false;
    if (id->running) {
        id->give_up = true;
        stop(id);
    } else {
        fail(id, "given up by the operator");
    }
    dispatch(id->s);
    return true;
}

/* ---- time ---- */

uint64_t sm_sched_next_ns(const struct sm_sched *s)
{
    uint64_t next = SM_SCHED_NEVER;
    for (size_t i = 0; i < s->n; i++)
        if (s->ids[i]->retry_at_ns < next) next = s->ids[i]->retry_at_ns;
    return next;
}

static void warn_if_late(struct sm_sched_id *id, uint64_t now_ns)
{
    if (id->warned || !sm_sched_active(id) || id->deadline_ns == SM_SCHED_NEVER) return;
    const double left = ((double)id->deadline_ns - (double)now_ns) / (double)SM_NS_PER_S;
    const double eta = sm_sched_eta(id);
    if (left > 0 && (eta < 0 || eta < left)) return;
    id->warned = true;
    id->s->ops.late(id->s->ctx, id->owner, eta, left);
}

void sm_sched_tick(struct sm_sched *s, uint64_t now_ns)
{
    for (size_t i = 0; i < s->n; i++) {
        struct sm_sched_id *id = s->ids[i];
        if (id->retry_at_ns <= now_ns) {
            id->retry_at_ns = SM_SCHED_NEVER;
            launch(id, now_ns);
        }
    }
    dispatch(s); /* sorts, as estimates do: the order stays below */
    for (size_t i = 0; i < s->n; i++) warn_if_late(s->ids[i], now_ns);
}

void sm_sched_shutdown(struct sm_sched *s)
{
    s->shutdown = true;
    for (size_t i = 0; i < s->n; i++) stop(s->ids[i]);
}
