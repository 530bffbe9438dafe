#include "codec/facts.h"

#include <assert.h>
#include <string.h>

#include "codec/hash.h"
#include "codec/malfeasance.h"
#include "crypto/ecvrf.h"
#include "crypto/ed25519.h"

static const char no_genesis[] = "the genesis ID", no_beacon[] = "the beacon", no_nonce[] = "the sender's VRF nonce";

void sm_facts_id(struct sm_object_facts *f, const char *name, const uint8_t *b, size_t n)
{
    assert(f->ids_n < SM_OBJECT_IDS_MAX && n <= sizeof f->ids[0].b);
    struct sm_object_id *id = &f->ids[f->ids_n++];
    id->name = name;
    id->n = n;
    memcpy(id->b, b, n);
}

void sm_facts_unknown(struct sm_object_facts *f, const char *name, const char *needs)
{
    assert(f->checks_n < SM_OBJECT_CHECKS_MAX);
    f->checks[f->checks_n++] = (struct sm_object_check){name, SM_KNOWN_NOT, needs};
}

void sm_facts_check(struct sm_object_facts *f, const char *name, bool good)
{
    assert(f->checks_n < SM_OBJECT_CHECKS_MAX);
    f->checks[f->checks_n++] = (struct sm_object_check){name, good ? SM_KNOWN_GOOD : SM_KNOWN_BAD, NULL};
}

/* ---- shared ---- */

struct signed_by {
    sm_domain domain;
    const struct sm_node_id *id;
    const struct sm_signature *signature;
};

static void check_bytes(struct sm_object_facts *f, const char *name, const struct sm_object_context *ctx,
                        struct signed_by by, const uint8_t *message, size_t n)
{
    if (ctx->genesis)
        sm_facts_check(f, name,
                       sm_signature_valid(ctx->genesis, by.domain, by.id, (struct sm_slice){message, n}, by.signature));
    else
        sm_facts_unknown(f, name, no_genesis);
}

/* Is the encoding of an object signed? False without a known network. */
static sm_err signed_object(const struct sm_object_context *ctx, struct signed_by by, const struct sm_scale_type *t,
                            const void *obj, bool *good, struct sm_errinfo *ei)
{
    struct sm_scale_writer w = {0};
    *good = false;
    sm_err err = ctx->genesis ? sm_scale_encode(t, obj, &w, ei) : SM_OK;
    if (!err && ctx->genesis)
        *good = sm_signature_valid(ctx->genesis, by.domain, by.id, (struct sm_slice){w.p, w.n}, by.signature);
    sm_scale_writer_fini(&w);
    return err;
}

static sm_err check_object(struct sm_object_facts *f, const char *name, const struct sm_object_context *ctx,
                           struct signed_by by, const struct sm_scale_type *t, const void *obj, struct sm_errinfo *ei)
{
    bool good;
    sm_err err = signed_object(ctx, by, t, obj, &good, ei);
    if (err) return err;
    if (ctx->genesis)
        sm_facts_check(f, name, good);
    else
        sm_facts_unknown(f, name, no_genesis);
    return SM_OK;
}

static sm_err vrf_good(const struct sm_node_id *id, const struct sm_scale_type *t, const void *input,
                       const struct sm_vrf_proof *proof, bool *good, struct sm_errinfo *ei)
{
    struct sm_scale_writer w = {0};
    sm_err err = sm_scale_encode(t, input, &w, ei);
    if (!err) *good = sm_ecvrf_verify(id, (struct sm_slice){w.p, w.n}, proof);
    sm_scale_writer_fini(&w);
    return err;
}

static sm_err check_vrf(struct sm_object_facts *f, const struct sm_node_id *id, const struct sm_scale_type *t,
                        const void *input, const struct sm_vrf_proof *proof, struct sm_errinfo *ei)
{
    bool good = false;
    sm_err err = vrf_good(id, t, input, proof, &good, ei);
    if (!err) sm_facts_check(f, "vrf", good);
    return err;
}

/* ---- activation ---- */

sm_err sm_facts_atx_v1_inner(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                             struct sm_errinfo *ei)
{
    (void)ctx;
    const struct sm_atx_v1_inner *inner = obj;
    struct sm_atx_id id;
    struct sm_hash32 challenge;
    sm_err err = sm_atx_v1_id(inner, &id, ei);
    if (!err) err = sm_nipost_challenge_hash(&sm_nipost_challenge_v1_type, &inner->challenge, &challenge, ei);
    if (err) return err;
    sm_facts_id(out, "atx_id", id.b, sizeof id.b);
    sm_facts_id(out, "nipost_challenge", challenge.b, sizeof challenge.b);
    return SM_OK;
}

sm_err sm_facts_atx_v1(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                       struct sm_errinfo *ei)
{
    const struct sm_atx_v1 *atx = obj;
    struct sm_atx_v1_metadata m = {.publish_epoch = atx->inner.challenge.publish_epoch};
    sm_err err = sm_facts_atx_v1_inner(&atx->inner, ctx, out, ei);
    if (!err) err = sm_atx_v1_id(&atx->inner, &m.atx_id, ei);
    if (err) return err;
    const struct signed_by by = {SM_DOMAIN_ATX, &atx->smesher_id, &atx->signature};
    return check_object(out, "signature", ctx, by, &sm_atx_v1_metadata_type, &m, ei);
}

sm_err sm_facts_atx_v2(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                       struct sm_errinfo *ei)
{
    const struct sm_atx_v2 *atx = obj;
    struct sm_atx_id id;
    sm_err err = sm_atx_v2_id(atx, &id, NULL, ei);
    if (err) return err;
    sm_facts_id(out, "atx_id", id.b, sizeof id.b);
    const struct signed_by by = {SM_DOMAIN_ATX, &atx->smesher_id, &atx->signature};
    check_bytes(out, "signature", ctx, by, id.b, sizeof id.b);
    return SM_OK;
}

static sm_err challenge(const struct sm_scale_type *t, const void *obj, struct sm_object_facts *out,
                        struct sm_errinfo *ei)
{
    struct sm_hash32 h;
    sm_err err = sm_nipost_challenge_hash(t, obj, &h, ei);
    if (!err) sm_facts_id(out, "nipost_challenge", h.b, sizeof h.b);
    return err;
}

sm_err sm_facts_challenge_v1(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                             struct sm_errinfo *ei)
{
    (void)ctx;
    return challenge(&sm_nipost_challenge_v1_type, obj, out, ei);
}

sm_err sm_facts_challenge_v2(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                             struct sm_errinfo *ei)
{
    (void)ctx;
    return challenge(&sm_nipost_challenge_v2_type, obj, out, ei);
}

/* ---- PoET ---- */

sm_err sm_facts_poet_proof(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                           struct sm_errinfo *ei)
{
    (void)ctx;
    struct sm_poet_ref ref;
    sm_err err = sm_poet_ref_of(obj, &ref, ei);
    if (!err) sm_facts_id(out, "poet_ref", ref.b, sizeof ref.b);
    return err;
}

sm_err sm_facts_poet_message(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                             struct sm_errinfo *ei)
{
    const struct sm_poet_proof_message *m = obj;
    return sm_facts_poet_proof(&m->proof, ctx, out, ei);
}

/* ---- ballots, proposals, blocks ---- */

sm_err sm_facts_inner_ballot(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                             struct sm_errinfo *ei)
{
    (void)ctx;
    struct sm_ballot_id id;
    sm_err err = sm_ballot_id_of(obj, &id, ei);
    if (!err) sm_facts_id(out, "ballot_id", id.b, sizeof id.b);
    return err;
}

static sm_err ballot_signature(const struct sm_ballot *b, const char *name, const struct sm_object_context *ctx,
                               struct sm_object_facts *out, struct sm_errinfo *ei)
{
    struct sm_ballot_metadata m = {.layer = b->inner.layer};
    sm_err err = sm_scale_hash(&sm_inner_ballot_type, &b->inner, &m.msg_hash, ei);
    if (err) return err;
    const struct signed_by by = {SM_DOMAIN_BALLOT, &b->smesher_id, &b->signature};
    return check_object(out, name, ctx, by, &sm_ballot_metadata_type, &m, ei);
}

/* A ballot names its beacon only when it is the first of an epoch. */
static sm_err ballot_vrf(const struct sm_ballot *b, const struct sm_object_context *ctx, struct sm_object_facts *out,
                         struct sm_errinfo *ei)
{
    const struct sm_beacon *beacon = b->inner.epoch_data ? &b->inner.epoch_data->beacon : ctx->beacon;
    const char *needs = !ctx->vrf_nonce          ? no_nonce
                        : !beacon                ? no_beacon
                        : !ctx->layers_per_epoch ? "the layers per epoch"
                                                 : NULL;
    if (needs) {
        sm_facts_unknown(out, "vrf", needs);
        return SM_OK;
    }
    struct sm_vrf_voting input = {.type = SM_ELIGIBILITY_VOTING,
                                  .beacon = *beacon,
                                  .epoch = b->inner.layer / ctx->layers_per_epoch,
                                  .vrf_nonce = *ctx->vrf_nonce};
    const struct sm_voting_eligibility *list = b->eligibility_proofs.p;
    bool good = b->eligibility_proofs.n > 0;
    sm_err err = SM_OK;
    for (size_t i = 0; i < b->eligibility_proofs.n && good && !err; i++) {
        input.j = list[i].j;
        err = vrf_good(&b->smesher_id, &sm_vrf_voting_type, &input, &list[i].sig, &good, ei);
    }
    if (!err) sm_facts_check(out, "vrf", good);
    return err;
}

sm_err sm_facts_ballot(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                       struct sm_errinfo *ei)
{
    const struct sm_ballot *b = obj;
    sm_err err = sm_facts_inner_ballot(&b->inner, ctx, out, ei);
    if (!err) err = ballot_signature(b, "signature", ctx, out, ei);
    return err ? err : ballot_vrf(b, ctx, out, ei);
}

sm_err sm_facts_proposal(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                         struct sm_errinfo *ei)
{
    const struct sm_proposal *p = obj;
    const struct sm_ballot *b = &p->inner.ballot;
    struct sm_proposal_id id;
    struct sm_ballot_metadata m;
    sm_err err = sm_proposal_id_of(&p->inner, &id, &m, ei);
    if (err) return err;
    sm_facts_id(out, "proposal_id", id.b, sizeof id.b);
    err = sm_facts_inner_ballot(&b->inner, ctx, out, ei);
    const struct signed_by by = {SM_DOMAIN_PROPOSAL, &b->smesher_id, &p->signature};
    if (!err) err = check_object(out, "signature", ctx, by, &sm_ballot_metadata_type, &m, ei);
    if (!err) err = ballot_signature(b, "ballot_signature", ctx, out, ei);
    return err ? err : ballot_vrf(b, ctx, out, ei);
}

sm_err sm_facts_active_set(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                           struct sm_errinfo *ei)
{
    (void)ctx;
    (void)ei;
    const struct sm_epoch_active_set *s = obj;
    const struct sm_atx_id *ids = s->set.p;
    bool sorted = true;
    for (size_t i = 1; i < s->set.n && sorted; i++) sorted = memcmp(ids[i - 1].b, ids[i].b, sizeof ids[i].b) < 0;
    const struct sm_hash32 h = sm_active_set_hash(ids, s->set.n);
    sm_facts_id(out, "active_set_hash", h.b, sizeof h.b);
    sm_facts_check(out, "sorted", sorted);
    return SM_OK;
}

sm_err sm_facts_block(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                      struct sm_errinfo *ei)
{
    (void)ctx;
    struct sm_block_id id;
    sm_err err = sm_block_id_of(obj, &id, ei);
    if (!err) sm_facts_id(out, "block_id", id.b, sizeof id.b);
    return err;
}

static struct sm_vrf_hare hare_input(const struct sm_beacon *beacon, uint32_t round, uint32_t layer)
{
    return (struct sm_vrf_hare){.type = SM_ELIGIBILITY_HARE, .beacon = *beacon, .round = round, .layer = layer};
}

sm_err sm_facts_certify(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                        struct sm_errinfo *ei)
{
    const struct sm_certify_message *m = obj;
    const struct signed_by by = {SM_DOMAIN_HARE, &m->smesher_id, &m->signature};
    sm_err err = check_object(out, "signature", ctx, by, &sm_certify_content_type, &m->content, ei);
    if (err) return err;
    if (!ctx->beacon) {
        sm_facts_unknown(out, "vrf", no_beacon);
        return SM_OK;
    }
    const struct sm_vrf_hare input = hare_input(ctx->beacon, SM_CERTIFY_ROUND, m->content.layer_id);
    return check_vrf(out, &m->smesher_id, &sm_vrf_hare_type, &input, &m->content.proof, ei);
}

sm_err sm_facts_certificate(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                            struct sm_errinfo *ei)
{
    const struct sm_certificate *c = obj;
    const struct sm_certify_message *list = c->signatures.p;
    bool of_block = true, good = true;
    sm_err err = SM_OK;
    for (size_t i = 0; i < c->signatures.n; i++)
        of_block &= memcmp(&list[i].content.block_id, &c->block_id, sizeof c->block_id) == 0;
    for (size_t i = 0; i < c->signatures.n && good && ctx->genesis && !err; i++) {
        const struct signed_by by = {SM_DOMAIN_HARE, &list[i].smesher_id, &list[i].signature};
        err = signed_object(ctx, by, &sm_certify_content_type, &list[i].content, &good, ei);
    }
    if (err) return err;
    sm_facts_check(out, "of_block", of_block);
    if (ctx->genesis)
        sm_facts_check(out, "signatures", good);
    else
        sm_facts_unknown(out, "signatures", no_genesis);
    return SM_OK;
}

/* ---- hare ---- */

static sm_err hare_vrf(const struct sm_object_context *ctx, uint32_t layer, uint32_t round, const struct sm_node_id *id,
                       const struct sm_vrf_proof *proof, struct sm_object_facts *out, struct sm_errinfo *ei)
{
    if (!ctx->beacon) {
        sm_facts_unknown(out, "vrf", no_beacon);
        return SM_OK;
    }
    const struct sm_vrf_hare input = hare_input(ctx->beacon, round, layer);
    return check_vrf(out, id, &sm_vrf_hare_type, &input, proof, ei);
}

static uint32_t absolute_round(uint8_t iter, uint8_t round)
{
    return 7u * iter + round;
}

sm_err sm_facts_hare(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                     struct sm_errinfo *ei)
{
    const struct sm_hare_message *m = obj;
    struct sm_hare_metadata meta = {m->body.layer, absolute_round(m->body.iter, m->body.round), {{0}}};
    sm_err err = sm_scale_hash(&sm_hare_body_type, &m->body, &meta.msg_hash, ei);
    if (err) return err;
    sm_facts_id(out, "body_hash", meta.msg_hash.b, sizeof meta.msg_hash.b);
    const struct signed_by by = {SM_DOMAIN_HARE, &m->sender, &m->signature};
    err = check_object(out, "signature", ctx, by, &sm_hare_metadata_type, &meta, ei);
    if (err) return err;
    return hare_vrf(ctx, meta.layer, meta.round, &m->sender, &m->body.eligibility.proof, out, ei);
}

sm_err sm_facts_hare4(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                      struct sm_errinfo *ei)
{
    const struct sm_hare4_message *m = obj;
    struct sm_hare_metadata meta = {m->body.layer, absolute_round(m->body.iter, m->body.round), {{0}}};
    sm_err err = sm_scale_hash(&sm_hare4_body_type, &m->body, &meta.msg_hash, ei);
    if (err) return err;
    sm_facts_id(out, "message_id", meta.msg_hash.b, sizeof meta.msg_hash.b);
    const struct signed_by by = {SM_DOMAIN_HARE, &m->sender, &m->signature};
    if (m->body.value.compact_proposals.n) /* the signature is over the full list */
        sm_facts_unknown(out, "signature", "the full proposal IDs");
    else
        err = check_object(out, "signature", ctx, by, &sm_hare_metadata_type, &meta, ei);
    if (err) return err;
    return hare_vrf(ctx, meta.layer, meta.round, &m->sender, &m->body.eligibility.proof, out, ei);
}

/* ---- beacon ---- */

sm_err sm_facts_beacon_proposal(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                                struct sm_errinfo *ei)
{
    const struct sm_beacon_proposal_message *m = obj;
    sm_facts_id(out, "proposal", m->vrf_signature.b, 4);
    if (!ctx->vrf_nonce) {
        sm_facts_unknown(out, "vrf", no_nonce);
        return SM_OK;
    }
    const struct sm_vrf_beacon input = {SM_ELIGIBILITY_BEACON, *ctx->vrf_nonce, m->epoch_id};
    return check_vrf(out, &m->node_id, &sm_vrf_beacon_type, &input, &m->vrf_signature, ei);
}

sm_err sm_facts_beacon_first(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                             struct sm_errinfo *ei)
{
    const struct sm_beacon_first_voting_message *m = obj;
    const struct signed_by by = {SM_DOMAIN_BEACON_FIRST, &m->smesher_id, &m->signature};
    return check_object(out, "signature", ctx, by, &sm_beacon_first_voting_body_type, &m->body, ei);
}

sm_err sm_facts_beacon_following(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                                 struct sm_errinfo *ei)
{
    const struct sm_beacon_following_voting_message *m = obj;
    const struct signed_by by = {SM_DOMAIN_BEACON_FOLLOWUP, &m->smesher_id, &m->signature};
    return check_object(out, "signature", ctx, by, &sm_beacon_following_voting_body_type, &m->body, ei);
}

sm_err sm_facts_weak_coin(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                          struct sm_errinfo *ei)
{
    const struct sm_weak_coin_message *m = obj;
    if (!ctx->vrf_nonce) {
        sm_facts_unknown(out, "vrf", no_nonce);
        return SM_OK;
    }
    const struct sm_vrf_weak_coin input = {SM_ELIGIBILITY_WEAK_COIN, *ctx->vrf_nonce, m->epoch, m->round, m->unit};
    return check_vrf(out, &m->node_id, &sm_vrf_weak_coin_type, &input, &m->vrf_signature, ei);
}
