/* codec/consensus.h: ballots, proposals, blocks, certificates, hare and beacon messages. Source: wire.md §6-9;
 * go-spacemesh common/types, hare3, hare4, beacon, blocks @cc65f27. Lists point into the arena or the caller's memory. */
#ifndef SM_CODEC_CONSENSUS_H
#define SM_CODEC_CONSENSUS_H

#include "codec/scale.h"
#include "util/ids.h"

/* ---- ballots and proposals (§6) ---- */

struct sm_epoch_data {
    struct sm_hash32 active_set_hash;
    struct sm_beacon beacon;
    uint32_t eligibility_count;
};
struct sm_inner_ballot {
    uint32_t layer;
    struct sm_atx_id atx_id;
    struct sm_hash32 opinion_hash;
    struct sm_ballot_id ref_ballot;    /* zero in the first ballot of an epoch */
    struct sm_epoch_data *epoch_data;  /* first ballot of an epoch only */
};
struct sm_vote {
    struct sm_block_id block_id;
    uint32_t layer_id;
    uint64_t height;
};
struct sm_votes {
    struct sm_ballot_id base;
    struct sm_scale_list support, against; /* struct sm_vote */
    struct sm_scale_list abstain;          /* uint32_t layers */
};
struct sm_voting_eligibility {
    uint32_t j;
    struct sm_vrf_proof sig;
};
struct sm_ballot {
    struct sm_inner_ballot inner;
    struct sm_signature signature;
    struct sm_node_id smesher_id;
    struct sm_votes votes;
    struct sm_scale_list eligibility_proofs; /* struct sm_voting_eligibility */
    struct sm_scale_list active_set;         /* struct sm_atx_id; always empty on the network */
};
struct sm_inner_proposal {
    struct sm_ballot ballot;
    struct sm_scale_list tx_ids; /* struct sm_tx_id */
    struct sm_hash32 mesh_hash;
};
struct sm_proposal {
    struct sm_inner_proposal inner;
    struct sm_signature signature;
};
/* Signed bytes of ballots and proposals. */
struct sm_ballot_metadata {
    uint32_t layer;
    struct sm_hash32 msg_hash;
};
struct sm_epoch_active_set {
    uint32_t epoch;
    struct sm_scale_list set; /* struct sm_atx_id */
};

/* ---- blocks and certificates (§6.7, 8) ---- */

struct sm_block_reward {
    struct sm_atx_id atx_id;
    uint64_t weight_num, weight_denom;
};
struct sm_inner_block {
    uint32_t layer_index;
    uint64_t tick_height;
    struct sm_scale_list rewards; /* struct sm_block_reward */
    struct sm_scale_list tx_ids;  /* struct sm_tx_id */
};
struct sm_certify_content {
    uint32_t layer_id;
    struct sm_block_id block_id; /* zero for an empty hare output */
    uint16_t eligibility_cnt;
    struct sm_vrf_proof proof;
};
struct sm_certify_message {
    struct sm_certify_content content;
    struct sm_signature signature;
    struct sm_node_id smesher_id;
};
struct sm_certificate {
    struct sm_block_id block_id;
    struct sm_scale_list signatures; /* struct sm_certify_message */
};

/* ---- hare (§7) ---- */

struct sm_hare_eligibility {
    struct sm_vrf_proof proof;
    uint16_t count;
};
struct sm_hare_value {
    struct sm_scale_list proposals; /* struct sm_proposal_id */
    struct sm_hash32 *reference;
};
struct sm_hare_body {
    uint32_t layer;
    uint8_t iter, round;
    struct sm_hare_value value;
    struct sm_hare_eligibility eligibility;
};
struct sm_hare_message {
    struct sm_hare_body body;
    struct sm_node_id sender;
    struct sm_signature signature;
};
struct sm_hare4_value {
    struct sm_scale_list proposals; /* struct sm_proposal_id */
    struct sm_hash32 *reference;
    struct sm_scale_list compact_proposals; /* struct sm_compact_proposal_id */
};
struct sm_hare4_body {
    uint32_t layer;
    uint8_t iter, round;
    struct sm_hare4_value value;
    struct sm_hare_eligibility eligibility;
};
struct sm_hare4_message {
    struct sm_hare4_body body;
    struct sm_node_id sender;
    struct sm_signature signature;
};
struct sm_hare_metadata { /* signed bytes */
    uint32_t layer;
    uint32_t round; /* absolute: 7 * iter + round */
    struct sm_hash32 msg_hash;
};
struct sm_hare4_full_exchange {
    struct sm_scale_list ids; /* struct sm_proposal_id */
};

/* ---- beacon (§9; off on the main network) ---- */

struct sm_beacon_proposal_message {
    uint32_t epoch_id;
    struct sm_node_id node_id;
    struct sm_vrf_proof vrf_signature;
};
struct sm_beacon_first_voting_body { /* signed bytes */
    uint32_t epoch_id;
    struct sm_scale_list valid_proposals, potentially_valid_proposals; /* uint8_t[4] */
};
struct sm_beacon_first_voting_message {
    struct sm_beacon_first_voting_body body;
    struct sm_node_id smesher_id;
    struct sm_signature signature;
};
struct sm_beacon_following_voting_body { /* signed bytes */
    uint32_t epoch_id, round_id;
    struct sm_scale_bytes votes_bit_vector;
};
struct sm_beacon_following_voting_message {
    struct sm_beacon_following_voting_body body;
    struct sm_node_id smesher_id;
    struct sm_signature signature;
};
struct sm_weak_coin_message {
    uint32_t epoch, round, unit;
    struct sm_node_id node_id;
    struct sm_vrf_proof vrf_signature;
};

/* ---- what VRFs are evaluated on (§3.4) ---- */

typedef enum sm_eligibility_type { /* first field of every VRF message */
    SM_ELIGIBILITY_BEACON = 1,
    SM_ELIGIBILITY_HARE = 2,
    SM_ELIGIBILITY_VOTING = 3,
    SM_ELIGIBILITY_WEAK_COIN = 4,
} sm_eligibility_type;
#define SM_CERTIFY_ROUND 2147483647u /* the round of a certification in a hare VRF message */

struct sm_vrf_voting { uint16_t type; struct sm_beacon beacon; uint32_t epoch; uint64_t vrf_nonce; uint32_t j; };
struct sm_vrf_hare { uint16_t type; struct sm_beacon beacon; uint32_t round, layer; };
struct sm_vrf_beacon { uint16_t type; uint64_t vrf_nonce; uint32_t epoch; };
struct sm_vrf_weak_coin { uint16_t type; uint64_t vrf_nonce; uint32_t epoch, round, unit; };

extern const struct sm_scale_type sm_epoch_data_type, sm_inner_ballot_type, sm_votes_type, sm_ballot_type,
    sm_inner_proposal_type, sm_proposal_type, sm_ballot_metadata_type, sm_epoch_active_set_type, sm_inner_block_type,
    sm_certify_content_type, sm_certify_message_type, sm_certificate_type, sm_hare_body_type, sm_hare_message_type,
    sm_hare4_body_type, sm_hare4_message_type, sm_hare_metadata_type, sm_hare4_full_exchange_type,
    sm_beacon_proposal_message_type, sm_beacon_first_voting_body_type, sm_beacon_first_voting_message_type,
    sm_beacon_following_voting_body_type, sm_beacon_following_voting_message_type, sm_weak_coin_message_type,
    sm_vrf_voting_type, sm_vrf_hare_type, sm_vrf_beacon_type, sm_vrf_weak_coin_type;

#endif
