#include <inttypes.h>
#include <string.h>

#include "rig/rig_impl.h"

#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

static sm_err info(void *ctx, struct sm_post_info *out, struct sm_errinfo *ei)
{
    struct sm_rig_identity *id = ctx;
    (void)ei;
    (void)pthread_mutex_lock(&id->rig->mu);
    *out = id->info;
    (void)pthread_mutex_unlock(&id->rig->mu);
    return SM_OK;
}

static void log_request(const struct sm_rig_identity *id, const struct sm_challenge *c)
{
    char text[SM_HEX_ROOM(5)];
    sm_log(SM_LOG_INFO, "rig", "proof requested", "identity=%s challenge=%s", id->set.name,
           sm_hex_encode(c->b, 5, text));
}

/* What is asked for the first time begins its time now. */
static void began(struct sm_rig_identity *id, const struct sm_challenge *c)
{
    struct sm_asked *asked = &id->set.asked;
    log_request(id, c);
    if (asked->unix_s > 0 && memcmp(asked->challenge.b, c->b, sizeof c->b) == 0) return;
    *asked = (struct sm_asked){.challenge = *c, .unix_s = sm_clock_wall_s()};
    id->store_asked = true;
    (void)pthread_cond_signal(&id->rig->work);
}

static sm_post_answer proof(void *ctx, const struct sm_challenge *challenge, struct sm_proof *out,
                            struct sm_post_info *out_info)
{
    struct sm_rig_identity *id = ctx;
    struct sm_rig *r = id->rig;
    const struct sm_stored_proof *have = NULL;
    const char *why = NULL;
    struct sm_sched_view before, after;
    (void)pthread_mutex_lock(&r->mu);
    const uint64_t now = sm_clock_ns();
    sm_sched_look(id->sched, now, &before);
    const sm_sched_answer answer = sm_sched_request(id->sched, challenge, now, &have, &why);
    sm_sched_look(id->sched, now, &after);
    if (after.has_challenge &&
        (!before.has_challenge || memcmp(before.challenge.b, after.challenge.b, sizeof after.challenge.b) != 0))
        began(id, challenge);
    if (answer == SM_SCHED_HAVE) {
        *out = have->proof;
        *out_info = (struct sm_post_info){.node_id = have->meta.node_id,
                                          .commitment_atx_id = have->meta.commitment_atx_id,
                                          .has_nonce = have->has_vrf_nonce,
                                          .nonce = have->vrf_nonce,
                                          .num_units = have->meta.num_units,
                                          .labels_per_unit = have->meta.labels_per_unit};
    }
    if (answer == SM_SCHED_ERROR)
        sm_log(SM_LOG_WARN, "rig", "the node is told that the proof failed", "identity=%s reason=\"%s\"", id->set.name,
               why);
    r->hooks.wake(r->hooks.ctx); /* the schedule may have a new next moment */
    (void)pthread_mutex_unlock(&r->mu);
    if (answer == SM_SCHED_HAVE) return SM_POST_DONE;
    return answer == SM_SCHED_ERROR ? SM_POST_FAILED : SM_POST_IN_PROGRESS;
}

static void fetched(void *ctx, const struct sm_challenge *challenge)
{
    struct sm_rig_identity *id = ctx;
    struct sm_rig *r = id->rig;
    char text[SM_HEX_ROOM(5)];
    (void)pthread_mutex_lock(&r->mu);
    const struct sm_stored_proof *p = sm_sched_fetched(id->sched, challenge);
    if (p) {
        id->fetched = *p;
        id->store_fetched = true;
        (void)pthread_cond_signal(&r->work);
        sm_log(SM_LOG_INFO, "rig", "the node has fetched the proof", "identity=%s challenge=%s", id->set.name,
               sm_hex_encode(challenge->b, 5, text));
    }
    r->hooks.wake(r->hooks.ctx);
    (void)pthread_mutex_unlock(&r->mu);
}

/* Each new connection shows the metadata as it is: what a registration needs is read while the connection is made. */
static void state(void *ctx, const struct sm_post_link_state *st)
{
    struct sm_rig_identity *id = ctx;
    struct sm_rig *r = id->rig;
    (void)pthread_mutex_lock(&r->mu);
    if (st->phase == SM_POST_LINK_CONNECTING && id->link.phase != st->phase) {
        id->refresh_info = true;
        (void)pthread_cond_signal(&r->work);
    }
    id->link = *st;
    (void)pthread_mutex_unlock(&r->mu);
}

const struct sm_post_provider sm_rig_provider = {.info = info, .proof = proof, .fetched = fetched, .state = state};
