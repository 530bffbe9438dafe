#include "keys/request.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "codec/hash.h"
#include "crypto/blake3.h"
#include "crypto/ed25519.h"

struct kind {
    const char *name;
    const struct sm_scale_type *body;
    sm_domain domain;
    sm_slot_kind slot;
    /* Appends the message to `w` and says the slot. */
    sm_err (*plan)(const struct sm_genesis_id *genesis, const struct sm_sign_request *r, struct sm_scale_writer *w,
                   uint64_t *out_slot, struct sm_errinfo *ei);
};

static sm_err append(struct sm_scale_writer *w, const void *p, size_t n, struct sm_errinfo *ei)
{
    const struct sm_scale_type raw = {.name = "bytes", .kind = SM_SCALE_FIXED, .size = n};
    return sm_scale_encode(&raw, p, w, ei);
}

static bool same_id(const struct sm_node_id *a, const struct sm_node_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* A slot of two numbers. The first leaves room for the sign bit of the database's integers. */
static sm_err pair_slot(uint32_t major, uint32_t minor, const char *what, uint64_t *out, struct sm_errinfo *ei)
{
    if (major > INT32_MAX)
        return sm_fail(ei, SM_E_ARG, "%s %" PRIu32 " is beyond anything the network reaches", what, major);
    *out = (uint64_t)major << 32 | minor;
    return SM_OK;
}

/* ---- one function per kind ---- */

static sm_err plan_atx_v1(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                          struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    const struct sm_atx_v1_inner *a = r->body.atx_v1;
    struct sm_atx_v1_metadata meta = {.publish_epoch = a->challenge.publish_epoch};
    (void)genesis;
    if (a->node_id && !same_id(a->node_id, &r->identity))
        return sm_fail(ei, SM_E_ARG, "the ATX names another identity than the one that is to sign it");
    sm_err err = sm_atx_v1_id(a, &meta.atx_id, ei);
    if (err) return err;
    *out_slot = meta.publish_epoch;
    return sm_scale_encode(&sm_atx_v1_metadata_type, &meta, w, ei);
}

static sm_err plan_atx_v2(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                          struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    const struct sm_atx_v2 *a = r->body.atx_v2;
    struct sm_atx_id id;
    (void)genesis;
    if (!same_id(&a->smesher_id, &r->identity))
        return sm_fail(ei, SM_E_ARG, "the ATX names another identity than the one that is to sign it");
    sm_err err = sm_atx_v2_id(a, &id, NULL, ei);
    if (err) return err;
    *out_slot = a->publish_epoch;
    return append(w, &id, sizeof id, ei);
}

static sm_err plan_challenge(const struct sm_scale_type *t, const void *challenge, struct sm_scale_writer *w,
                             struct sm_errinfo *ei)
{
    struct sm_hash32 hash;
    sm_err err = sm_nipost_challenge_hash(t, challenge, &hash, ei);
    return err ? err : append(w, &hash, sizeof hash, ei);
}

static sm_err plan_poet_v1(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                           struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    (void)genesis;
    *out_slot = r->body.poet_v1->publish_epoch;
    return plan_challenge(&sm_nipost_challenge_v1_type, r->body.poet_v1, w, ei);
}

static sm_err plan_poet_v2(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                           struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    (void)genesis;
    *out_slot = r->body.poet_v2->publish_epoch;
    return plan_challenge(&sm_nipost_challenge_v2_type, r->body.poet_v2, w, ei);
}

static sm_err plan_ballot(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                          struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    const struct sm_inner_ballot *b = r->body.ballot;
    struct sm_ballot_metadata meta = {.layer = b->layer};
    (void)genesis;
    sm_err err = sm_scale_hash(&sm_inner_ballot_type, b, &meta.msg_hash, ei);
    if (err) return err;
    *out_slot = b->layer;
    return sm_scale_encode(&sm_ballot_metadata_type, &meta, w, ei);
}

/* The proposal's signature covers the ballot as it will travel: one that is not ours or not signed makes it worthless. */
static sm_err check_ballot(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                           const struct sm_ballot *b, struct sm_errinfo *ei)
{
    if (!same_id(&b->smesher_id, &r->identity))
        return sm_fail(ei, SM_E_ARG, "the ballot in the proposal names another identity than the one that is to sign");
    const struct sm_sign_request ballot = {.identity = r->identity, .kind = SM_SIGN_BALLOT, .body.ballot = &b->inner};
    struct sm_scale_writer w = {0};
    uint64_t slot;
    sm_err err = plan_ballot(genesis, &ballot, &w, &slot, ei);
    if (!err &&
        !sm_signature_valid(genesis, SM_DOMAIN_BALLOT, &r->identity, (struct sm_slice){w.p, w.n}, &b->signature))
        err =
            sm_fail(ei, SM_E_ARG, "the ballot in the proposal does not carry the identity's signature: sign it first");
    sm_scale_writer_fini(&w);
    return err;
}

static sm_err plan_proposal(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                            struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    const struct sm_inner_proposal *p = r->body.proposal;
    struct sm_proposal_id id;
    struct sm_ballot_metadata meta;
    sm_err err = check_ballot(genesis, r, &p->ballot, ei);
    if (!err) err = sm_proposal_id_of(p, &id, &meta, ei);
    if (err) return err;
    *out_slot = meta.layer;
    return sm_scale_encode(&sm_ballot_metadata_type, &meta, w, ei);
}

/* Messages exist only in preround (of iteration 0), propose, commit and notify: other rounds could share an absolute
 * number with them. wire.md §7.1 */
static sm_err plan_hare(const struct sm_scale_type *t, const void *body, uint32_t layer, uint8_t iter, uint8_t round,
                        struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    struct sm_hare_metadata meta = {.layer = layer, .round = 7u * iter + round};
    if (!(round == 0 && iter == 0) && round != 3 && round != 6 && round != 7)
        return sm_fail(ei, SM_E_ARG, "hare has no message in round %u of iteration %u", round, iter);
    sm_err err = sm_scale_hash(t, body, &meta.msg_hash, ei);
    if (!err) err = pair_slot(layer, meta.round, "layer", out_slot, ei);
    return err ? err : sm_scale_encode(&sm_hare_metadata_type, &meta, w, ei);
}

static sm_err plan_hare3(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                         struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    const struct sm_hare_body *b = r->body.hare3;
    (void)genesis;
    return plan_hare(&sm_hare_body_type, b, b->layer, b->iter, b->round, w, out_slot, ei);
}

static sm_err plan_hare4(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                         struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    const struct sm_hare4_body *b = r->body.hare4;
    (void)genesis;
    if (b->value.compact_proposals.n)
        return sm_fail(ei, SM_E_ARG, "the signed form of a hare message has no compact proposals");
    return plan_hare(&sm_hare4_body_type, b, b->layer, b->iter, b->round, w, out_slot, ei);
}

static sm_err plan_certify(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                           struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    (void)genesis;
    *out_slot = r->body.certify->layer_id;
    return sm_scale_encode(&sm_certify_content_type, r->body.certify, w, ei);
}

static sm_err plan_marriage(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                            struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    (void)genesis;
    *out_slot = 0;
    return append(w, r->body.partner, sizeof *r->body.partner, ei);
}

static sm_err plan_beacon_first(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                                struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    (void)genesis;
    *out_slot = r->body.beacon_first->epoch_id;
    return sm_scale_encode(&sm_beacon_first_voting_body_type, r->body.beacon_first, w, ei);
}

static sm_err plan_beacon_next(const struct sm_genesis_id *genesis, const struct sm_sign_request *r,
                               struct sm_scale_writer *w, uint64_t *out_slot, struct sm_errinfo *ei)
{
    const struct sm_beacon_following_voting_body *b = r->body.beacon_next;
    (void)genesis;
    sm_err err = pair_slot(b->epoch_id, b->round_id, "epoch", out_slot, ei);
    return err ? err : sm_scale_encode(&sm_beacon_following_voting_body_type, b, w, ei);
}

// clang-format off
static const struct kind kinds[SM_SIGN_KINDS] = {
    [SM_SIGN_ATX_V1] = {"ATX v1", &sm_atx_v1_inner_type, SM_DOMAIN_ATX, SM_SLOT_ATX, plan_atx_v1},
    [SM_SIGN_ATX_V2] = {"ATX v2", &sm_atx_v2_type, SM_DOMAIN_ATX, SM_SLOT_ATX, plan_atx_v2},
    [SM_SIGN_POET_V1] = {"PoET registration v1", &sm_nipost_challenge_v1_type, SM_DOMAIN_POET, SM_SLOT_POET, plan_poet_v1},
    [SM_SIGN_POET_V2] = {"PoET registration v2", &sm_nipost_challenge_v2_type, SM_DOMAIN_POET, SM_SLOT_POET, plan_poet_v2},
    [SM_SIGN_BALLOT] = {"ballot", &sm_inner_ballot_type, SM_DOMAIN_BALLOT, SM_SLOT_BALLOT, plan_ballot},
    [SM_SIGN_PROPOSAL] = {"proposal", &sm_inner_proposal_type, SM_DOMAIN_PROPOSAL, SM_SLOT_PROPOSAL, plan_proposal},
    [SM_SIGN_HARE3] = {"hare message", &sm_hare_body_type, SM_DOMAIN_HARE, SM_SLOT_HARE, plan_hare3},
    [SM_SIGN_HARE4] = {"hare4 message", &sm_hare4_body_type, SM_DOMAIN_HARE, SM_SLOT_HARE, plan_hare4},
    [SM_SIGN_CERTIFY] = {"certification", &sm_certify_content_type, SM_DOMAIN_HARE, SM_SLOT_CERTIFY, plan_certify},
    [SM_SIGN_MARRIAGE] = {"marriage certificate", &sm_scale_b32, SM_DOMAIN_MARRIAGE, SM_SLOT_MARRIAGE, plan_marriage},
    [SM_SIGN_BEACON_FIRST] = {"first beacon vote", &sm_beacon_first_voting_body_type, SM_DOMAIN_BEACON_FIRST,
                              SM_SLOT_BEACON_FIRST, plan_beacon_first},
    [SM_SIGN_BEACON_NEXT] = {"following beacon vote", &sm_beacon_following_voting_body_type, SM_DOMAIN_BEACON_FOLLOWUP,
                             SM_SLOT_BEACON_NEXT, plan_beacon_next},
};
// clang-format on

static const struct kind *kind_of(sm_sign_kind kind)
{
    return kind >= SM_SIGN_ATX_V1 && kind < SM_SIGN_KINDS ? &kinds[kind] : NULL;
}

const struct sm_scale_type *sm_sign_body_type(sm_sign_kind kind)
{
    const struct kind *k = kind_of(kind);
    return k ? k->body : NULL;
}

const char *sm_sign_kind_name(sm_sign_kind kind)
{
    const struct kind *k = kind_of(kind);
    return k ? k->name : "unknown";
}

/* Married identities share one slot per epoch, so that two of them cannot both publish a merged ATX. */
static void add_merged(const struct sm_atx_v2 *a, struct sm_sign_plan *p)
{
    struct sm_journal_entry *e = &p->entries[p->entries_n++];
    *e = (struct sm_journal_entry){
        .slot = {.kind = SM_SLOT_MERGED_ATX, .n = a->publish_epoch},
        .hash = p->entries[0].hash,
    };
    memcpy(e->slot.subject.b, a->marriage_atx->b, sizeof e->slot.subject.b);
}

sm_err sm_sign_plan_make(const struct sm_genesis_id *genesis, const struct sm_sign_request *r, struct sm_sign_plan *out,
                         struct sm_errinfo *ei)
{
    const struct kind *k = kind_of(r->kind);
    struct sm_sign_plan p = {.entries_n = 1};
    if (!k) return sm_fail(ei, SM_E_ARG, "unknown kind of signing request: %d", (int)r->kind);
    const uint8_t domain = (uint8_t)k->domain;
    struct sm_journal_entry *e = &p.entries[0];
    e->slot.kind = k->slot;
    memcpy(e->slot.subject.b, r->identity.b, sizeof e->slot.subject.b);
    sm_err err = append(&p.bytes, genesis, sizeof *genesis, ei);
    if (!err) err = append(&p.bytes, &domain, 1, ei);
    if (!err) err = k->plan(genesis, r, &p.bytes, &e->slot.n, ei);
    if (err) {
        sm_sign_plan_fini(&p);
        return err;
    }
    sm_blake3_hash(p.bytes.p, p.bytes.n, e->hash.b);
    if (r->kind == SM_SIGN_ATX_V2 && r->body.atx_v2->marriage_atx) add_merged(r->body.atx_v2, &p);
    *out = p;
    return SM_OK;
}

void sm_sign_plan_fini(struct sm_sign_plan *p)
{
    sm_scale_writer_fini(&p->bytes);
    *p = (struct sm_sign_plan){0};
}

/* ---- VRF ---- */

const struct sm_scale_type *sm_vrf_body_type(sm_eligibility_type kind)
{
    switch (kind) {
    case SM_ELIGIBILITY_BEACON:
        return &sm_vrf_beacon_type;
    case SM_ELIGIBILITY_HARE:
        return &sm_vrf_hare_type;
    case SM_ELIGIBILITY_VOTING:
        return &sm_vrf_voting_type;
    case SM_ELIGIBILITY_WEAK_COIN:
        return &sm_vrf_weak_coin_type;
    }
    return NULL;
}

sm_err sm_vrf_message(const struct sm_vrf_request *r, struct sm_scale_writer *out, struct sm_errinfo *ei)
{
    const struct sm_scale_type *t = sm_vrf_body_type(r->kind);
    if (!t) return sm_fail(ei, SM_E_ARG, "unknown kind of VRF request: %d", (int)r->kind);
    union sm_vrf_body body = r->body;
    const uint16_t type = (uint16_t)r->kind;
    memcpy(&body, &type, sizeof type); /* every member begins with it */
    return sm_scale_encode(t, &body, out, ei);
}
