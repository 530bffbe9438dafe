#include "codec/registry.h"

#include <string.h>
#include <strings.h>

#include "codec/facts.h"
#include "codec/hash.h"
#include "codec/malfeasance.h"
#include "codec/tx.h"

// clang-format off
#define ROW(n, t, f, s) {.name = (n), .type = &(t), .facts = (f), .summary = (s)}
const struct sm_object sm_objects[] = {
    ROW("atx-v1", sm_atx_v1_type, sm_facts_atx_v1, "activation transaction, version 1"),
    ROW("atx-v2", sm_atx_v2_type, sm_facts_atx_v2, "activation transaction, version 2"),
    ROW("atx-v1-inner", sm_atx_v1_inner_type, sm_facts_atx_v1_inner, "what the ID of a version 1 ATX is made of"),
    ROW("atx-v1-metadata", sm_atx_v1_metadata_type, NULL, "what is signed in a version 1 ATX"),
    ROW("nipost-challenge-v1", sm_nipost_challenge_v1_type, sm_facts_challenge_v1, "NIPoST challenge, version 1"),
    ROW("nipost-challenge-v2", sm_nipost_challenge_v2_type, sm_facts_challenge_v2, "NIPoST challenge, version 2"),
    ROW("post", sm_post_v1_type, NULL, "PoST proof as ATXs carry it"),
    ROW("marriage-certificate", sm_marriage_certificate_type, NULL, "consent to a marriage of identities"),
    ROW("poet-proof", sm_poet_proof_type, sm_facts_poet_proof, "PoET proof"),
    ROW("poet-message", sm_poet_proof_message_type, sm_facts_poet_message, "PoET proof as gossiped"),
    ROW("poet-certificate", sm_poet_certificate_type, NULL, "permission to register at a PoET"),
    ROW("ballot", sm_ballot_type, sm_facts_ballot, "ballot"),
    ROW("ballot-inner", sm_inner_ballot_type, sm_facts_inner_ballot, "what the ID of a ballot is made of"),
    ROW("ballot-metadata", sm_ballot_metadata_type, NULL, "what is signed in ballots and proposals"),
    ROW("proposal", sm_proposal_type, sm_facts_proposal, "proposal: a ballot with transactions"),
    ROW("active-set", sm_epoch_active_set_type, sm_facts_active_set, "ATXs of an epoch"),
    ROW("block", sm_inner_block_type, sm_facts_block, "block"),
    ROW("certify-message", sm_certify_message_type, sm_facts_certify, "one certification of a block"),
    ROW("certify-content", sm_certify_content_type, NULL, "what is signed in a certification"),
    ROW("certificate", sm_certificate_type, sm_facts_certificate, "certificate of a block"),
    ROW("hare3", sm_hare_message_type, sm_facts_hare, "hare message, version 3"),
    ROW("hare3-body", sm_hare_body_type, NULL, "body of a hare message, version 3"),
    ROW("hare4", sm_hare4_message_type, sm_facts_hare4, "hare message, version 4"),
    ROW("hare4-body", sm_hare4_body_type, NULL, "body of a hare message, version 4"),
    ROW("hare4-full-exchange", sm_hare4_full_exchange_type, NULL, "full proposal IDs of a compacted preround"),
    ROW("hare-metadata", sm_hare_metadata_type, NULL, "what is signed in a hare message"),
    ROW("beacon-proposal", sm_beacon_proposal_message_type, sm_facts_beacon_proposal, "beacon proposal"),
    ROW("beacon-first-voting", sm_beacon_first_voting_message_type, sm_facts_beacon_first, "first votes on beacons"),
    ROW("beacon-following-voting", sm_beacon_following_voting_message_type, sm_facts_beacon_following,
        "later votes on beacons"),
    ROW("weak-coin", sm_weak_coin_message_type, sm_facts_weak_coin, "weak coin of a beacon round"),
    ROW("vrf-voting", sm_vrf_voting_type, NULL, "VRF input of a proposal slot"),
    ROW("vrf-hare", sm_vrf_hare_type, NULL, "VRF input of a hare round or a certification"),
    ROW("vrf-beacon", sm_vrf_beacon_type, NULL, "VRF input of a beacon proposal"),
    ROW("vrf-weak-coin", sm_vrf_weak_coin_type, NULL, "VRF input of a weak coin"),
    {.name = "malfeasance", .form = SM_OBJECT_MALFEASANCE, .facts = sm_facts_malfeasance,
     .summary = "malfeasance proof, version 1"},
    {.name = "malfeasance-gossip", .form = SM_OBJECT_MALFEASANCE_GOSSIP, .facts = sm_facts_malfeasance,
     .summary = "malfeasance proof, version 1, as gossiped"},
    ROW("malfeasance-v2", sm_atx_malfeasance_v2_type, NULL, "envelope of a version 2 malfeasance proof"),
    ROW("tx-spawn", sm_tx_spawn_type, sm_facts_tx_spawn, "transaction: spawn a single-signature wallet"),
    ROW("tx-spend", sm_tx_spend_type, sm_facts_tx_spend, "transaction: spend from a single-signature wallet"),
    ROW("tx-multisig-spawn", sm_tx_multisig_spawn_type, sm_facts_tx_multisig_spawn,
        "transaction: spawn a multisig or vesting account"),
    ROW("tx-multisig-spend", sm_tx_multisig_spend_type, sm_facts_tx_multisig_spend,
        "transaction: spend from a multisig or vesting account"),
    ROW("tx-drain-vault", sm_tx_drain_type, sm_facts_tx_drain, "transaction: take what a vault has released"),
    ROW("tx-vault-spawn", sm_tx_vault_spawn_type, sm_facts_tx_vault_spawn, "transaction: spawn a vault"),
    ROW("membership-v1", sm_merkle_membership_v1_type, NULL, "place of a challenge in a PoET round, version 1"),
    ROW("membership-v2", sm_merkle_membership_v2_type, NULL, "places of challenges in a PoET round, version 2"),
};
// clang-format on
const size_t sm_objects_n = sizeof sm_objects / sizeof sm_objects[0];

const struct sm_object *sm_object_find(const char *name)
{
    for (size_t i = 0; i < sm_objects_n; i++) {
        const struct sm_object *o = &sm_objects[i];
        if (strcmp(o->name, name) == 0) return o;
        if (o->type && o->type->name && strcasecmp(o->type->name, name) == 0) return o;
    }
    return NULL;
}

sm_err sm_object_decode(const struct sm_object *o, struct sm_slice in, struct sm_arena *arena, void **out,
                        struct sm_errinfo *ei)
{
    const size_t size = o->form == SM_OBJECT_SCALE ? o->type->size : sizeof(struct sm_malfeasance_proof);
    void *obj = sm_arena_alloc(arena, size);
    if (!obj) return sm_fail(ei, SM_E_NOMEM, "out of memory decoding %s", o->name);
    *out = obj;
    if (o->form == SM_OBJECT_SCALE) return sm_scale_decode(o->type, in, arena, obj, ei);
    return sm_malfeasance_decode(in, o->form == SM_OBJECT_MALFEASANCE_GOSSIP, arena, obj, ei);
}

sm_err sm_object_encode(const struct sm_object *o, const void *obj, struct sm_scale_writer *w, struct sm_errinfo *ei)
{
    if (o->form == SM_OBJECT_SCALE) return sm_scale_encode(o->type, obj, w, ei);
    return sm_malfeasance_encode(obj, o->form == SM_OBJECT_MALFEASANCE_GOSSIP, w, ei);
}

json_t *sm_object_json(const struct sm_object *o, const void *obj)
{
    return o->form == SM_OBJECT_SCALE ? sm_scale_json(o->type, obj) : sm_malfeasance_json(obj);
}

sm_err sm_object_facts_of(const struct sm_object *o, const void *obj, const struct sm_object_context *ctx,
                          struct sm_object_facts *out, struct sm_errinfo *ei)
{
    *out = (struct sm_object_facts){0};
    return o->facts ? o->facts(obj, ctx, out, ei) : SM_OK;
}
