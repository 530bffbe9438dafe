#include "codec/atx.h"

#define F SM_SCALE_FIELD

static const struct sm_scale_type opt_b32 = SM_SCALE_OPTION_OF(&sm_scale_b32);
static const struct sm_scale_type opt_u64 = SM_SCALE_OPTION_OF(&sm_scale_u64);
static const struct sm_scale_type membership_nodes = SM_SCALE_LIST_OF(&sm_scale_b32, 32);

static const struct sm_scale_type indices = SM_SCALE_BYTES_OF(800);
static const struct sm_scale_field post_v1[] = {
    F(struct sm_post_v1, nonce, &sm_scale_u32),
    F(struct sm_post_v1, indices, &indices),
    F(struct sm_post_v1, pow, &sm_scale_u64),
};
const struct sm_scale_type sm_post_v1_type = SM_SCALE_STRUCT_OF(struct sm_post_v1, "PostV1", post_v1);
static const struct sm_scale_type opt_post_v1 = SM_SCALE_OPTION_OF(&sm_post_v1_type);

/* ---- version 1 ---- */

static const struct sm_scale_field challenge_v1[] = {
    F(struct sm_nipost_challenge_v1, publish_epoch, &sm_scale_u32),
    F(struct sm_nipost_challenge_v1, sequence, &sm_scale_u64),
    F(struct sm_nipost_challenge_v1, prev_atx_id, &sm_scale_b32),
    F(struct sm_nipost_challenge_v1, positioning_atx_id, &sm_scale_b32),
    F(struct sm_nipost_challenge_v1, commitment_atx_id, &opt_b32),
    F(struct sm_nipost_challenge_v1, initial_post, &opt_post_v1),
};
const struct sm_scale_type sm_nipost_challenge_v1_type =
    SM_SCALE_STRUCT_OF(struct sm_nipost_challenge_v1, "NIPostChallengeV1", challenge_v1);

static const struct sm_scale_field membership_v1[] = {
    F(struct sm_merkle_membership_v1, nodes, &membership_nodes),
    F(struct sm_merkle_membership_v1, leaf_index, &sm_scale_u64),
};
const struct sm_scale_type sm_merkle_membership_v1_type =
    SM_SCALE_STRUCT_OF(struct sm_merkle_membership_v1, "MerkleProofV1", membership_v1);

static const struct sm_scale_type challenge_bytes = SM_SCALE_BYTES_OF(32);
static const struct sm_scale_field metadata_v1[] = {
    F(struct sm_post_metadata_v1, challenge, &challenge_bytes),
    F(struct sm_post_metadata_v1, labels_per_unit, &sm_scale_u64),
};
static const struct sm_scale_type metadata_v1_type =
    SM_SCALE_STRUCT_OF(struct sm_post_metadata_v1, "PostMetadataV1", metadata_v1);
static const struct sm_scale_type opt_metadata_v1 = SM_SCALE_OPTION_OF(&metadata_v1_type);

static const struct sm_scale_field nipost_v1[] = {
    F(struct sm_nipost_v1, membership, &sm_merkle_membership_v1_type),
    F(struct sm_nipost_v1, post, &opt_post_v1),
    F(struct sm_nipost_v1, metadata, &opt_metadata_v1),
};
static const struct sm_scale_type nipost_v1_type = SM_SCALE_STRUCT_OF(struct sm_nipost_v1, "NIPostV1", nipost_v1);
static const struct sm_scale_type opt_nipost_v1 = SM_SCALE_OPTION_OF(&nipost_v1_type);

static const struct sm_scale_field inner_v1[] = {
    F(struct sm_atx_v1_inner, challenge, &sm_nipost_challenge_v1_type),
    F(struct sm_atx_v1_inner, coinbase, &sm_scale_b24),
    F(struct sm_atx_v1_inner, num_units, &sm_scale_u32),
    F(struct sm_atx_v1_inner, nipost, &opt_nipost_v1),
    F(struct sm_atx_v1_inner, node_id, &opt_b32),
    F(struct sm_atx_v1_inner, vrf_nonce, &opt_u64),
};
const struct sm_scale_type sm_atx_v1_inner_type =
    SM_SCALE_STRUCT_OF(struct sm_atx_v1_inner, "InnerActivationTxV1", inner_v1);

static const struct sm_scale_field atx_v1[] = {
    F(struct sm_atx_v1, inner, &sm_atx_v1_inner_type),
    F(struct sm_atx_v1, smesher_id, &sm_scale_b32),
    F(struct sm_atx_v1, signature, &sm_scale_b64),
};
const struct sm_scale_type sm_atx_v1_type = SM_SCALE_STRUCT_OF(struct sm_atx_v1, "ActivationTxV1", atx_v1);

static const struct sm_scale_field atx_metadata_v1[] = {
    F(struct sm_atx_v1_metadata, publish_epoch, &sm_scale_u32),
    F(struct sm_atx_v1_metadata, atx_id, &sm_scale_b32),
};
const struct sm_scale_type sm_atx_v1_metadata_type =
    SM_SCALE_STRUCT_OF(struct sm_atx_v1_metadata, "ATXMetadata", atx_metadata_v1);

/* ---- version 2 ---- */

static const struct sm_scale_field challenge_v2[] = {
    F(struct sm_nipost_challenge_v2, publish_epoch, &sm_scale_u32),
    F(struct sm_nipost_challenge_v2, prev_atx_id, &sm_scale_b32),
    F(struct sm_nipost_challenge_v2, positioning_atx_id, &sm_scale_b32),
    F(struct sm_nipost_challenge_v2, initial_post, &opt_post_v1),
};
const struct sm_scale_type sm_nipost_challenge_v2_type =
    SM_SCALE_STRUCT_OF(struct sm_nipost_challenge_v2, "NIPostChallengeV2", challenge_v2);

static const struct sm_scale_field initial_v2[] = {
    F(struct sm_initial_atx_parts_v2, commitment_atx_id, &sm_scale_b32),
    F(struct sm_initial_atx_parts_v2, post, &sm_post_v1_type),
};
static const struct sm_scale_type initial_v2_type =
    SM_SCALE_STRUCT_OF(struct sm_initial_atx_parts_v2, "InitialAtxPartsV2", initial_v2);
static const struct sm_scale_type opt_initial_v2 = SM_SCALE_OPTION_OF(&initial_v2_type);

static const struct sm_scale_field membership_v2[] = {
    F(struct sm_merkle_membership_v2, nodes, &membership_nodes),
};
const struct sm_scale_type sm_merkle_membership_v2_type =
    SM_SCALE_STRUCT_OF(struct sm_merkle_membership_v2, "MerkleProofV2", membership_v2);

static const struct sm_scale_field sub_post_v2[] = {
    F(struct sm_sub_post_v2, marriage_index, &sm_scale_u32),
    F(struct sm_sub_post_v2, prev_atx_index, &sm_scale_u32),
    F(struct sm_sub_post_v2, membership_leaf_index, &sm_scale_u64),
    F(struct sm_sub_post_v2, post, &sm_post_v1_type),
    F(struct sm_sub_post_v2, num_units, &sm_scale_u32),
};
const struct sm_scale_type sm_sub_post_v2_type = SM_SCALE_STRUCT_OF(struct sm_sub_post_v2, "SubPostV2", sub_post_v2);
static const struct sm_scale_type posts_v2 = SM_SCALE_LIST_OF(&sm_sub_post_v2_type, SM_ATX_V2_POSTS_MAX);

static const struct sm_scale_field nipost_v2[] = {
    F(struct sm_nipost_v2, membership, &sm_merkle_membership_v2_type),
    F(struct sm_nipost_v2, challenge, &sm_scale_b32),
    F(struct sm_nipost_v2, posts, &posts_v2),
};
const struct sm_scale_type sm_nipost_v2_type = SM_SCALE_STRUCT_OF(struct sm_nipost_v2, "NIPostV2", nipost_v2);
static const struct sm_scale_type niposts_v2 = SM_SCALE_LIST_OF(&sm_nipost_v2_type, SM_ATX_V2_NIPOSTS_MAX);

static const struct sm_scale_field certificate[] = {
    F(struct sm_marriage_certificate, reference_atx, &sm_scale_b32),
    F(struct sm_marriage_certificate, signature, &sm_scale_b64),
};
const struct sm_scale_type sm_marriage_certificate_type =
    SM_SCALE_STRUCT_OF(struct sm_marriage_certificate, "MarriageCertificate", certificate);
static const struct sm_scale_type marriages = SM_SCALE_LIST_OF(&sm_marriage_certificate_type, SM_ATX_V2_MARRIAGES_MAX);
static const struct sm_scale_type previous_atxs = SM_SCALE_LIST_OF(&sm_scale_b32, SM_ATX_V2_PREVIOUS_MAX);

static const struct sm_scale_field atx_v2[] = {
    F(struct sm_atx_v2, publish_epoch, &sm_scale_u32),  F(struct sm_atx_v2, positioning_atx, &sm_scale_b32),
    F(struct sm_atx_v2, coinbase, &sm_scale_b24),       F(struct sm_atx_v2, initial, &opt_initial_v2),
    F(struct sm_atx_v2, previous_atxs, &previous_atxs), F(struct sm_atx_v2, niposts, &niposts_v2),
    F(struct sm_atx_v2, vrf_nonce, &sm_scale_u64),      F(struct sm_atx_v2, marriages, &marriages),
    F(struct sm_atx_v2, marriage_atx, &opt_b32),        F(struct sm_atx_v2, smesher_id, &sm_scale_b32),
    F(struct sm_atx_v2, signature, &sm_scale_b64),
};
const struct sm_scale_type sm_atx_v2_type = SM_SCALE_STRUCT_OF(struct sm_atx_v2, "ActivationTxV2", atx_v2);
