/* A request for a proof: asking, judging the answer, verifying. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "postsvc/registry_impl.h"
#include "util/clock.h"

#define ANSWER_NS (30 * SM_NS_PER_S) /* OUR-10 */

const char *sm_post_failure_name(sm_post_failure f)
{
    static const char *const names[] = {"deadline", "rig", "data", "check"};
    return names[f];
}

void sm_post_row_ask(struct sm_post_row *row, uint64_t now_ns)
{
    struct sm_post_session *s = row->session;
    uint8_t bytes[SM_POST_REQUEST_ROOM];
    if (!s || s->phase != SM_POST_SESSION_IDLE || row->request.phase != SM_POST_REQUEST_WAITING) return;
    const struct sm_post_request q = {
        .kind = SM_POST_KIND_GEN_PROOF, .challenge_n = 32, .challenge = row->request.challenge};
    if (!row->r->cfg.io->send(s->stream, (struct sm_slice){bytes, sm_post_request_encode(&q, bytes)}))
        return; /* the stream ends; the next one is asked */
    s->phase = SM_POST_SESSION_ASKED;
    s->asked_serial = row->request.serial;
    row->request.phase = SM_POST_REQUEST_ASKING;
    row->request.questions++;
    sm_timers_set(&row->r->timers, &s->timer, now_ns + ANSWER_NS);
}

/* Forgets the request before its owner hears of the end, so that it may make another one. */
static struct sm_post_identity finish_request(struct sm_post_row *row)
{
    const struct sm_post_identity view = sm_post_row_view(row);
    sm_timers_clear(&row->r->timers, &row->request.deadline);
    row->request.phase = SM_POST_REQUEST_NONE;
    return view;
}

void sm_post_row_fail(struct sm_post_row *row, sm_post_failure reason, const char *text)
{
    const struct sm_post_registry_cfg *cfg = &row->r->cfg;
    const struct sm_post_identity view = finish_request(row);
    if (cfg->events->failed) cfg->events->failed(cfg->events_ctx, &view, reason, text);
    sm_post_row_reap(row);
}

/* What a finished answer must say before it is worth verifying; "" when it says it. */
static void judge(const struct sm_post_row *row, const struct sm_post_response *m, char text[160])
{
    const struct sm_post_params *p = row->r->cfg.params;
    const struct sm_atx_id *commitment =
        row->request.has_commitment ? &row->request.commitment : &row->info.commitment_atx_id;
    text[0] = '\0';
    if (!m->has_challenge || !m->has_info)
        (void)snprintf(text, 160, "the proof came without its metadata");
    else if (memcmp(&m->challenge, &row->request.challenge, sizeof m->challenge) != 0)
        (void)snprintf(text, 160, "the proof is for another challenge");
    else if (memcmp(&m->info.node_id, &row->id, sizeof row->id) != 0)
        (void)snprintf(text, 160, "the proof is of another identity");
    else if (memcmp(&m->info.commitment_atx_id, commitment, sizeof *commitment) != 0)
        (void)snprintf(text, 160, "the proof is over another commitment ATX than the identity's");
    else if (m->info.labels_per_unit != p->labels_per_unit)
        (void)snprintf(text, 160, "the proof is over %" PRIu64 " labels per unit, network %s has %" PRIu64,
                       m->info.labels_per_unit, p->name, p->labels_per_unit);
    else if (m->info.num_units < p->min_num_units || m->info.num_units > p->max_num_units)
        (void)snprintf(text, 160, "the proof is over %" PRIu32 " units, network %s has %" PRIu32 " to %" PRIu32,
                       m->info.num_units, p->name, p->min_num_units, p->max_num_units);
    else if (!m->info.has_nonce)
        (void)snprintf(text, 160, "the proof came without the VRF nonce");
}

void sm_post_row_proof(struct sm_post_row *row, const struct sm_post_response *m)
{
    struct sm_post_registry *r = row->r;
    char text[160];
    judge(row, m, text);
    if (text[0]) {
        sm_post_row_fail(row, SM_POST_FAILURE_DATA, text);
        return;
    }
    struct sm_post_check *job = calloc(1, sizeof *job);
    if (job) {
        job->serial = row->request.serial;
        job->what.proof = m->proof;
        job->what.info = m->info;
        job->what.meta = (struct sm_proof_meta){
            .node_id = row->id,
            .commitment_atx_id = m->info.commitment_atx_id,
            .challenge = m->challenge,
            .num_units = m->info.num_units,
            .labels_per_unit = m->info.labels_per_unit,
        };
    }
    row->request.phase = SM_POST_REQUEST_VERIFYING;
    if (job && r->cfg.io->verify(r->cfg.io_ctx, job)) return;
    free(job);
    sm_post_row_fail(row, SM_POST_FAILURE_CHECK, "out of memory for a proof to verify");
}

static void deliver(struct sm_post_row *row, const struct sm_post_verified *what)
{
    const struct sm_post_registry_cfg *cfg = &row->r->cfg;
    const struct sm_post_identity view = finish_request(row);
    if (cfg->events->proof) cfg->events->proof(cfg->events_ctx, &view, what);
    sm_post_row_reap(row);
}

void sm_post_registry_verified(struct sm_post_registry *r, struct sm_post_check *job, sm_err err,
                               const struct sm_verdict *verdict, const char *text)
{
    struct sm_post_row *row = sm_post_row_find(r, &job->what.meta.node_id);
    if (!row || row->request.phase != SM_POST_REQUEST_VERIFYING || row->request.serial != job->serial) {
        /* cancelled or past its deadline meanwhile */
    } else if (err) {
        sm_post_row_fail(row, SM_POST_FAILURE_CHECK, text);
    } else if (verdict->code != SM_VERDICT_VALID) {
        sm_post_row_fail(row, SM_POST_FAILURE_DATA, verdict->text);
    } else {
        deliver(row, &job->what);
    }
    free(job);
}
