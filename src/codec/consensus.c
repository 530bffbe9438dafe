#include "codec/consensus.h"

#define F SM_SCALE_FIELD

static const struct sm_scale_type opt_b32 = SM_SCALE_OPTION_OF(&sm_scale_b32);

/* ---- ballots and proposals ---- */

static const struct sm_scale_field epoch_data[] = {
    F(struct sm_epoch_data, active_set_hash, &sm_scale_b32),
    F(struct sm_epoch_data, beacon, &sm_scale_b4),
    F(struct sm_epoch_data, eligibility_count, &sm_scale_u32),
};
const struct sm_scale_type sm_epoch_data_type = SM_SCALE_STRUCT_OF(struct sm_epoch_data, "EpochData", epoch_data);

static const struct sm_scale_type opt_epoch_data = SM_SCALE_OPTION_OF(&sm_epoch_data_type);
static const struct sm_scale_field inner_ballot[] = {
    F(struct sm_inner_ballot, layer, &sm_scale_u32),        F(struct sm_inner_ballot, atx_id, &sm_scale_b32),
    F(struct sm_inner_ballot, opinion_hash, &sm_scale_b32), F(struct sm_inner_ballot, ref_ballot, &sm_scale_b20),
    F(struct sm_inner_ballot, epoch_data, &opt_epoch_data),
};
const struct sm_scale_type sm_inner_ballot_type =
    SM_SCALE_STRUCT_OF(struct sm_inner_ballot, "InnerBallot", inner_ballot);

static const struct sm_scale_field vote[] = {
    F(struct sm_vote, block_id, &sm_scale_b20),
    F(struct sm_vote, layer_id, &sm_scale_u32),
    F(struct sm_vote, height, &sm_scale_u64),
};
static const struct sm_scale_type vote_type = SM_SCALE_STRUCT_OF(struct sm_vote, "Vote", vote);

static const struct sm_scale_type votes_list = SM_SCALE_LIST_OF(&vote_type, 10000);
static const struct sm_scale_type layers_list = SM_SCALE_LIST_OF(&sm_scale_u32, 10000);
static const struct sm_scale_field votes[] = {
    F(struct sm_votes, base, &sm_scale_b20),
    F(struct sm_votes, support, &votes_list),
    F(struct sm_votes, against, &votes_list),
    F(struct sm_votes, abstain, &layers_list),
};
const struct sm_scale_type sm_votes_type = SM_SCALE_STRUCT_OF(struct sm_votes, "Votes", votes);

static const struct sm_scale_field voting_eligibility[] = {
    F(struct sm_voting_eligibility, j, &sm_scale_u32),
    F(struct sm_voting_eligibility, sig, &sm_scale_b80),
};
static const struct sm_scale_type voting_eligibility_type =
    SM_SCALE_STRUCT_OF(struct sm_voting_eligibility, "VotingEligibility", voting_eligibility);

static const struct sm_scale_type eligibilities = SM_SCALE_LIST_OF(&voting_eligibility_type, 25000);
static const struct sm_scale_type ballot_active_set = SM_SCALE_LIST_OF(&sm_scale_b32, 1);
static const struct sm_scale_field ballot[] = {
    F(struct sm_ballot, inner, &sm_inner_ballot_type),       F(struct sm_ballot, signature, &sm_scale_b64),
    F(struct sm_ballot, smesher_id, &sm_scale_b32),          F(struct sm_ballot, votes, &sm_votes_type),
    F(struct sm_ballot, eligibility_proofs, &eligibilities), F(struct sm_ballot, active_set, &ballot_active_set),
};
const struct sm_scale_type sm_ballot_type = SM_SCALE_STRUCT_OF(struct sm_ballot, "Ballot", ballot);

static const struct sm_scale_type tx_ids = SM_SCALE_LIST_OF(&sm_scale_b32, 100000);
static const struct sm_scale_field inner_proposal[] = {
    F(struct sm_inner_proposal, ballot, &sm_ballot_type),
    F(struct sm_inner_proposal, tx_ids, &tx_ids),
    F(struct sm_inner_proposal, mesh_hash, &sm_scale_b32),
};
const struct sm_scale_type sm_inner_proposal_type =
    SM_SCALE_STRUCT_OF(struct sm_inner_proposal, "InnerProposal", inner_proposal);

static const struct sm_scale_field proposal[] = {
    F(struct sm_proposal, inner, &sm_inner_proposal_type),
    F(struct sm_proposal, signature, &sm_scale_b64),
};
const struct sm_scale_type sm_proposal_type = SM_SCALE_STRUCT_OF(struct sm_proposal, "Proposal", proposal);

static const struct sm_scale_field ballot_metadata[] = {
    F(struct sm_ballot_metadata, layer, &sm_scale_u32),
    F(struct sm_ballot_metadata, msg_hash, &sm_scale_b32),
};
const struct sm_scale_type sm_ballot_metadata_type =
    SM_SCALE_STRUCT_OF(struct sm_ballot_metadata, "BallotMetadata", ballot_metadata);

static const struct sm_scale_type active_set = SM_SCALE_LIST_OF(&sm_scale_b32, 8000000);
static const struct sm_scale_field epoch_active_set[] = {
    F(struct sm_epoch_active_set, epoch, &sm_scale_u32),
    F(struct sm_epoch_active_set, set, &active_set),
};
const struct sm_scale_type sm_epoch_active_set_type =
    SM_SCALE_STRUCT_OF(struct sm_epoch_active_set, "EpochActiveSet", epoch_active_set);

/* ---- blocks and certificates ---- */

static const struct sm_scale_field block_reward[] = {
    F(struct sm_block_reward, atx_id, &sm_scale_b32),
    F(struct sm_block_reward, weight_num, &sm_scale_u64),
    F(struct sm_block_reward, weight_denom, &sm_scale_u64),
};
static const struct sm_scale_type block_reward_type =
    SM_SCALE_STRUCT_OF(struct sm_block_reward, "AnyReward", block_reward);

static const struct sm_scale_type rewards = SM_SCALE_LIST_OF(&block_reward_type, 2350);
static const struct sm_scale_field inner_block[] = {
    F(struct sm_inner_block, layer_index, &sm_scale_u32),
    F(struct sm_inner_block, tick_height, &sm_scale_u64),
    F(struct sm_inner_block, rewards, &rewards),
    F(struct sm_inner_block, tx_ids, &tx_ids),
};
const struct sm_scale_type sm_inner_block_type = SM_SCALE_STRUCT_OF(struct sm_inner_block, "InnerBlock", inner_block);

static const struct sm_scale_field certify_content[] = {
    F(struct sm_certify_content, layer_id, &sm_scale_u32),
    F(struct sm_certify_content, block_id, &sm_scale_b20),
    F(struct sm_certify_content, eligibility_cnt, &sm_scale_u16),
    F(struct sm_certify_content, proof, &sm_scale_b80),
};
const struct sm_scale_type sm_certify_content_type =
    SM_SCALE_STRUCT_OF(struct sm_certify_content, "CertifyContent", certify_content);

static const struct sm_scale_field certify_message[] = {
    F(struct sm_certify_message, content, &sm_certify_content_type),
    F(struct sm_certify_message, signature, &sm_scale_b64),
    F(struct sm_certify_message, smesher_id, &sm_scale_b32),
};
const struct sm_scale_type sm_certify_message_type =
    SM_SCALE_STRUCT_OF(struct sm_certify_message, "CertifyMessage", certify_message);

static const struct sm_scale_type certify_messages = SM_SCALE_LIST_OF(&sm_certify_message_type, 1000);
static const struct sm_scale_field certificate[] = {
    F(struct sm_certificate, block_id, &sm_scale_b20),
    F(struct sm_certificate, signatures, &certify_messages),
};
const struct sm_scale_type sm_certificate_type = SM_SCALE_STRUCT_OF(struct sm_certificate, "Certificate", certificate);

/* ---- hare ---- */

static const struct sm_scale_field hare_eligibility[] = {
    F(struct sm_hare_eligibility, proof, &sm_scale_b80),
    F(struct sm_hare_eligibility, count, &sm_scale_u16),
};
static const struct sm_scale_type hare_eligibility_type =
    SM_SCALE_STRUCT_OF(struct sm_hare_eligibility, "HareEligibility", hare_eligibility);

static const struct sm_scale_type hare_proposals = SM_SCALE_LIST_OF(&sm_scale_b20, 2350);
static const struct sm_scale_field hare_value[] = {
    F(struct sm_hare_value, proposals, &hare_proposals),
    F(struct sm_hare_value, reference, &opt_b32),
};
static const struct sm_scale_type hare_value_type = SM_SCALE_STRUCT_OF(struct sm_hare_value, "HareValue", hare_value);

static const struct sm_scale_field hare_body[] = {
    F(struct sm_hare_body, layer, &sm_scale_u32),
    F(struct sm_hare_body, iter, &sm_scale_u8),
    F(struct sm_hare_body, round, &sm_scale_u8),
    F(struct sm_hare_body, value, &hare_value_type),
    F(struct sm_hare_body, eligibility, &hare_eligibility_type),
};
const struct sm_scale_type sm_hare_body_type = SM_SCALE_STRUCT_OF(struct sm_hare_body, "HareBody", hare_body);

static const struct sm_scale_field hare_message[] = {
    F(struct sm_hare_message, body, &sm_hare_body_type),
    F(struct sm_hare_message, sender, &sm_scale_b32),
    F(struct sm_hare_message, signature, &sm_scale_b64),
};
const struct sm_scale_type sm_hare_message_type =
    SM_SCALE_STRUCT_OF(struct sm_hare_message, "HareMessage", hare_message);

static const struct sm_scale_type compact_proposals = SM_SCALE_LIST_OF(&sm_scale_b4, 2350);
static const struct sm_scale_field hare4_value[] = {
    F(struct sm_hare4_value, proposals, &hare_proposals),
    F(struct sm_hare4_value, reference, &opt_b32),
    F(struct sm_hare4_value, compact_proposals, &compact_proposals),
};
static const struct sm_scale_type hare4_value_type =
    SM_SCALE_STRUCT_OF(struct sm_hare4_value, "Hare4Value", hare4_value);

static const struct sm_scale_field hare4_body[] = {
    F(struct sm_hare4_body, layer, &sm_scale_u32),
    F(struct sm_hare4_body, iter, &sm_scale_u8),
    F(struct sm_hare4_body, round, &sm_scale_u8),
    F(struct sm_hare4_body, value, &hare4_value_type),
    F(struct sm_hare4_body, eligibility, &hare_eligibility_type),
};
const struct sm_scale_type sm_hare4_body_type = SM_SCALE_STRUCT_OF(struct sm_hare4_body, "Hare4Body", hare4_body);

static const struct sm_scale_field hare4_message[] = {
    F(struct sm_hare4_message, body, &sm_hare4_body_type),
    F(struct sm_hare4_message, sender, &sm_scale_b32),
    F(struct sm_hare4_message, signature, &sm_scale_b64),
};
const struct sm_scale_type sm_hare4_message_type =
    SM_SCALE_STRUCT_OF(struct sm_hare4_message, "Hare4Message", hare4_message);

static const struct sm_scale_field hare_metadata[] = {
    F(struct sm_hare_metadata, layer, &sm_scale_u32),
    F(struct sm_hare_metadata, round, &sm_scale_u32),
    F(struct sm_hare_metadata, msg_hash, &sm_scale_b32),
};
const struct sm_scale_type sm_hare_metadata_type =
    SM_SCALE_STRUCT_OF(struct sm_hare_metadata, "HareMetadata", hare_metadata);

static const struct sm_scale_type exchange_ids = SM_SCALE_LIST_OF(&sm_scale_b20, 2050);
static const struct sm_scale_field hare4_full_exchange[] = {
    F(struct sm_hare4_full_exchange, ids, &exchange_ids),
};
const struct sm_scale_type sm_hare4_full_exchange_type =
    SM_SCALE_STRUCT_OF(struct sm_hare4_full_exchange, "CompactIdResponse", hare4_full_exchange);

/* ---- beacon ---- */

static const struct sm_scale_field beacon_proposal_message[] = {
    F(struct sm_beacon_proposal_message, epoch_id, &sm_scale_u32),
    F(struct sm_beacon_proposal_message, node_id, &sm_scale_b32),
    F(struct sm_beacon_proposal_message, vrf_signature, &sm_scale_b80),
};
const struct sm_scale_type sm_beacon_proposal_message_type =
    SM_SCALE_STRUCT_OF(struct sm_beacon_proposal_message, "BeaconProposalMessage", beacon_proposal_message);

static const struct sm_scale_type beacon_proposals = SM_SCALE_LIST_OF(&sm_scale_b4, 1000);
static const struct sm_scale_field beacon_first_voting_body[] = {
    F(struct sm_beacon_first_voting_body, epoch_id, &sm_scale_u32),
    F(struct sm_beacon_first_voting_body, valid_proposals, &beacon_proposals),
    F(struct sm_beacon_first_voting_body, potentially_valid_proposals, &beacon_proposals),
};
const struct sm_scale_type sm_beacon_first_voting_body_type =
    SM_SCALE_STRUCT_OF(struct sm_beacon_first_voting_body, "FirstVotingMessageBody", beacon_first_voting_body);

static const struct sm_scale_field beacon_first_voting_message[] = {
    F(struct sm_beacon_first_voting_message, body, &sm_beacon_first_voting_body_type),
    F(struct sm_beacon_first_voting_message, smesher_id, &sm_scale_b32),
    F(struct sm_beacon_first_voting_message, signature, &sm_scale_b64),
};
const struct sm_scale_type sm_beacon_first_voting_message_type =
    SM_SCALE_STRUCT_OF(struct sm_beacon_first_voting_message, "FirstVotingMessage", beacon_first_voting_message);

static const struct sm_scale_type vote_bits = SM_SCALE_BYTES_OF(128);
static const struct sm_scale_field beacon_following_voting_body[] = {
    F(struct sm_beacon_following_voting_body, epoch_id, &sm_scale_u32),
    F(struct sm_beacon_following_voting_body, round_id, &sm_scale_u32),
    F(struct sm_beacon_following_voting_body, votes_bit_vector, &vote_bits),
};
const struct sm_scale_type sm_beacon_following_voting_body_type = SM_SCALE_STRUCT_OF(
    struct sm_beacon_following_voting_body, "FollowingVotingMessageBody", beacon_following_voting_body);

static const struct sm_scale_field beacon_following_voting_message[] = {
    F(struct sm_beacon_following_voting_message, body, &sm_beacon_following_voting_body_type),
    F(struct sm_beacon_following_voting_message, smesher_id, &sm_scale_b32),
    F(struct sm_beacon_following_voting_message, signature, &sm_scale_b64),
};
const struct sm_scale_type sm_beacon_following_voting_message_type = SM_SCALE_STRUCT_OF(
    struct sm_beacon_following_voting_message, "FollowingVotingMessage", beacon_following_voting_message);

static const struct sm_scale_field weak_coin_message[] = {
    F(struct sm_weak_coin_message, epoch, &sm_scale_u32),
    F(struct sm_weak_coin_message, round, &sm_scale_u32),
    F(struct sm_weak_coin_message, unit, &sm_scale_u32),
    F(struct sm_weak_coin_message, node_id, &sm_scale_b32),
    F(struct sm_weak_coin_message, vrf_signature, &sm_scale_b80),
};
const struct sm_scale_type sm_weak_coin_message_type =
    SM_SCALE_STRUCT_OF(struct sm_weak_coin_message, "WeakCoinMessage", weak_coin_message);

/* ---- VRF messages ---- */

static const struct sm_scale_field vrf_voting[] = {
    F(struct sm_vrf_voting, type, &sm_scale_u16),  F(struct sm_vrf_voting, beacon, &sm_scale_b4),
    F(struct sm_vrf_voting, epoch, &sm_scale_u32), F(struct sm_vrf_voting, vrf_nonce, &sm_scale_u64),
    F(struct sm_vrf_voting, j, &sm_scale_u32),
};
const struct sm_scale_type sm_vrf_voting_type = SM_SCALE_STRUCT_OF(struct sm_vrf_voting, "VrfMessage", vrf_voting);

static const struct sm_scale_field vrf_hare[] = {
    F(struct sm_vrf_hare, type, &sm_scale_u16),
    F(struct sm_vrf_hare, beacon, &sm_scale_b4),
    F(struct sm_vrf_hare, round, &sm_scale_u32),
    F(struct sm_vrf_hare, layer, &sm_scale_u32),
};
const struct sm_scale_type sm_vrf_hare_type = SM_SCALE_STRUCT_OF(struct sm_vrf_hare, "HareVrfMessage", vrf_hare);

static const struct sm_scale_field vrf_beacon[] = {
    F(struct sm_vrf_beacon, type, &sm_scale_u16),
    F(struct sm_vrf_beacon, vrf_nonce, &sm_scale_u64),
    F(struct sm_vrf_beacon, epoch, &sm_scale_u32),
};
const struct sm_scale_type sm_vrf_beacon_type =
    SM_SCALE_STRUCT_OF(struct sm_vrf_beacon, "BeaconVrfMessage", vrf_beacon);

static const struct sm_scale_field vrf_weak_coin[] = {
    F(struct sm_vrf_weak_coin, type, &sm_scale_u16),  F(struct sm_vrf_weak_coin, vrf_nonce, &sm_scale_u64),
    F(struct sm_vrf_weak_coin, epoch, &sm_scale_u32), F(struct sm_vrf_weak_coin, round, &sm_scale_u32),
    F(struct sm_vrf_weak_coin, unit, &sm_scale_u32),
};
const struct sm_scale_type sm_vrf_weak_coin_type =
    SM_SCALE_STRUCT_OF(struct sm_vrf_weak_coin, "WeakCoinVrfMessage", vrf_weak_coin);
