#include "codec/poet.h"

#define F SM_SCALE_FIELD

static const struct sm_scale_type bytes32 = SM_SCALE_BYTES_OF(32);
static const struct sm_scale_type text32 = SM_SCALE_TEXT_OF(32);
static const struct sm_scale_type opt_u64 = SM_SCALE_OPTION_OF(&sm_scale_u64);
static const struct sm_scale_type leaves = SM_SCALE_LIST_OF(&bytes32, SM_POET_PROVEN_LEAVES);
static const struct sm_scale_type nodes = SM_SCALE_LIST_OF(&bytes32, 5400);

static const struct sm_scale_field proof[] = {
    F(struct sm_poet_proof, root, &bytes32),
    F(struct sm_poet_proof, proven_leaves, &leaves),
    F(struct sm_poet_proof, proof_nodes, &nodes),
    F(struct sm_poet_proof, leaf_count, &sm_scale_u64),
};
const struct sm_scale_type sm_poet_proof_type = SM_SCALE_STRUCT_OF(struct sm_poet_proof, "PoetProof", proof);

static const struct sm_scale_field message[] = {
    F(struct sm_poet_proof_message, proof, &sm_poet_proof_type),
    F(struct sm_poet_proof_message, poet_service_id, &bytes32),
    F(struct sm_poet_proof_message, round_id, &text32),
    F(struct sm_poet_proof_message, statement, &sm_scale_b32),
    F(struct sm_poet_proof_message, signature, &sm_scale_b64),
};
const struct sm_scale_type sm_poet_proof_message_type =
    SM_SCALE_STRUCT_OF(struct sm_poet_proof_message, "PoetProofMessage", message);

static const struct sm_scale_field certificate[] = {
    F(struct sm_poet_certificate, pubkey, &bytes32),
    F(struct sm_poet_certificate, expiration, &opt_u64),
};
const struct sm_scale_type sm_poet_certificate_type =
    SM_SCALE_STRUCT_OF(struct sm_poet_certificate, "PoetCertificate", certificate);
