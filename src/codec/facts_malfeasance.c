/* Is a version 1 malfeasance proof what it claims? The condition of each type is that of wire.md §10.1; the label of an
 * invalid PoST index is not recomputed here. */
#include <string.h>

#include "codec/facts.h"
#include "codec/hash.h"
#include "codec/malfeasance.h"
#include "crypto/ed25519.h"

struct claim {
    bool conflict; /* the messages contradict each other */
    bool signatures;
};

static bool same(const void *a, const void *b, size_t n)
{
    return memcmp(a, b, n) == 0;
}

static sm_err signature_of(const struct sm_object_context *ctx, sm_domain domain, const struct sm_node_id *id,
                           const struct sm_signature *signature, const struct sm_scale_type *t, const void *message,
                           struct claim *c, struct sm_errinfo *ei)
{
    if (!ctx->genesis) return SM_OK;
    struct sm_scale_writer w = {0};
    sm_err err = sm_scale_encode(t, message, &w, ei);
    if (!err) c->signatures &= sm_signature_valid(ctx->genesis, domain, id, (struct sm_slice){w.p, w.n}, signature);
    sm_scale_writer_fini(&w);
    return err;
}

static sm_err atxs(const struct sm_multiple_atxs *p, const struct sm_object_context *ctx, struct claim *c,
                   struct sm_errinfo *ei)
{
    const struct sm_atx_proof_msg *a = &p->messages[0], *b = &p->messages[1];
    c->conflict = same(&a->smesher_id, &b->smesher_id, 32) && a->inner.publish_epoch == b->inner.publish_epoch &&
                  !same(&a->inner.atx_id, &b->inner.atx_id, 32);
    sm_err err = SM_OK;
    for (int i = 0; i < 2 && !err; i++) {
        const struct sm_atx_proof_msg *m = &p->messages[i];
        err =
            signature_of(ctx, SM_DOMAIN_ATX, &m->smesher_id, &m->signature, &sm_atx_v1_metadata_type, &m->inner, c, ei);
    }
    return err;
}

static sm_err ballots(const struct sm_multiple_ballots *p, const struct sm_object_context *ctx, struct claim *c,
                      struct sm_errinfo *ei)
{
    const struct sm_ballot_proof_msg *a = &p->messages[0], *b = &p->messages[1];
    c->conflict =
        same(&a->smesher_id, &b->smesher_id, 32) && a->layer == b->layer && !same(&a->msg_hash, &b->msg_hash, 32);
    sm_err err = SM_OK;
    for (int i = 0; i < 2 && !err; i++) {
        const struct sm_ballot_proof_msg *m = &p->messages[i];
        const struct sm_ballot_metadata inner = {m->layer, m->msg_hash};
        err =
            signature_of(ctx, SM_DOMAIN_BALLOT, &m->smesher_id, &m->signature, &sm_ballot_metadata_type, &inner, c, ei);
    }
    return err;
}

static sm_err hares(const struct sm_hare_equivocation *p, const struct sm_object_context *ctx, struct claim *c,
                    struct sm_errinfo *ei)
{
    const struct sm_hare_proof_msg *a = &p->messages[0], *b = &p->messages[1];
    c->conflict = same(&a->smesher_id, &b->smesher_id, 32) && a->layer == b->layer && a->round == b->round &&
                  !same(&a->msg_hash, &b->msg_hash, 32);
    sm_err err = SM_OK;
    for (int i = 0; i < 2 && !err; i++) {
        const struct sm_hare_proof_msg *m = &p->messages[i];
        const struct sm_hare_metadata inner = {m->layer, m->round, m->msg_hash};
        err = signature_of(ctx, SM_DOMAIN_HARE, &m->smesher_id, &m->signature, &sm_hare_metadata_type, &inner, c, ei);
    }
    return err;
}

static sm_err atx_signature(const struct sm_atx_v1 *atx, const struct sm_object_context *ctx, struct sm_atx_id *id,
                            struct claim *c, struct sm_errinfo *ei)
{
    struct sm_atx_v1_metadata m = {.publish_epoch = atx->inner.challenge.publish_epoch};
    sm_err err = sm_atx_v1_id(&atx->inner, &m.atx_id, ei);
    *id = m.atx_id;
    if (err) return err;
    return signature_of(ctx, SM_DOMAIN_ATX, &atx->smesher_id, &atx->signature, &sm_atx_v1_metadata_type, &m, c, ei);
}

static sm_err prev_atx(const struct sm_invalid_prev_atx *p, const struct sm_object_context *ctx, struct claim *c,
                       struct sm_errinfo *ei)
{
    struct sm_atx_id a = {{0}}, b = {{0}};
    sm_err err = atx_signature(&p->atx1, ctx, &a, c, ei);
    if (!err) err = atx_signature(&p->atx2, ctx, &b, c, ei);
    c->conflict = same(&p->atx1.smesher_id, &p->atx2.smesher_id, 32) && !same(&a, &b, 32) &&
                  same(&p->atx1.inner.challenge.prev_atx_id, &p->atx2.inner.challenge.prev_atx_id, 32);
    return err;
}

sm_err sm_facts_malfeasance(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                            struct sm_errinfo *ei)
{
    const struct sm_malfeasance_proof *p = obj;
    struct claim c = {.signatures = true};
    struct sm_atx_id id;
    sm_err err = SM_OK;
    switch ((sm_malfeasance_type)p->type) {
    case SM_MALFEASANCE_MULTIPLE_ATXS:
        err = atxs(&p->u.multiple_atxs, ctx, &c, ei);
        break;
    case SM_MALFEASANCE_MULTIPLE_BALLOTS:
        err = ballots(&p->u.multiple_ballots, ctx, &c, ei);
        break;
    case SM_MALFEASANCE_HARE_EQUIVOCATION:
        err = hares(&p->u.hare_equivocation, ctx, &c, ei);
        break;
    case SM_MALFEASANCE_INVALID_POST_INDEX:
        err = atx_signature(&p->u.invalid_post_index.atx, ctx, &id, &c, ei);
        break;
    case SM_MALFEASANCE_INVALID_PREV_ATX:
        err = prev_atx(&p->u.invalid_prev_atx, ctx, &c, ei);
        break;
    }
    if (err) return err;
    if (p->type == SM_MALFEASANCE_INVALID_POST_INDEX)
        sm_facts_unknown(out, "conflict", "the label at the index");
    else
        sm_facts_check(out, "conflict", c.conflict);
    if (ctx->genesis)
        sm_facts_check(out, "signatures", c.signatures);
    else
        sm_facts_unknown(out, "signatures", "the genesis ID");
    return SM_OK;
}
