/* codec/atx.h: activation transactions and PoET memberships. Source: wire.md §4; go-spacemesh activation/wire @cc65f27.
 * Lists and options point into the arena they were decoded with, or to the caller's memory. */
#ifndef SM_CODEC_ATX_H
#define SM_CODEC_ATX_H

#include "codec/scale.h"
#include "util/ids.h"

struct sm_post_v1 { /* PoST proof as ATXs carry it */
    uint32_t nonce;
    struct sm_scale_bytes indices;
    uint64_t pow;
};
struct sm_nipost_challenge_v1 {
    uint32_t publish_epoch;
    uint64_t sequence;
    struct sm_atx_id prev_atx_id, positioning_atx_id;
    struct sm_atx_id *commitment_atx_id; /* first ATX only */
    struct sm_post_v1 *initial_post;     /* first ATX only */
};
struct sm_merkle_membership_v1 {
    struct sm_scale_list nodes; /* struct sm_hash32 */
    uint64_t leaf_index;
};
struct sm_post_metadata_v1 {
    struct sm_scale_bytes challenge; /* PoET proof reference */
    uint64_t labels_per_unit;
};
struct sm_nipost_v1 {
    struct sm_merkle_membership_v1 membership;
    struct sm_post_v1 *post;
    struct sm_post_metadata_v1 *metadata;
};
struct sm_atx_v1_inner {
    struct sm_nipost_challenge_v1 challenge;
    struct sm_address coinbase;
    uint32_t num_units;
    struct sm_nipost_v1 *nipost;
    struct sm_node_id *node_id; /* first ATX only */
    uint64_t *vrf_nonce;        /* first ATX, and when it changed */
};
struct sm_atx_v1 {
    struct sm_atx_v1_inner inner;
    struct sm_node_id smesher_id;
    struct sm_signature signature;
};
/* What is signed (domain ATX) and used by malfeasance proofs. */
struct sm_atx_v1_metadata {
    uint32_t publish_epoch;
    struct sm_atx_id atx_id;
};

struct sm_nipost_challenge_v2 {
    uint32_t publish_epoch;
    struct sm_atx_id prev_atx_id, positioning_atx_id;
    struct sm_post_v1 *initial_post;
};
struct sm_initial_atx_parts_v2 {
    struct sm_atx_id commitment_atx_id;
    struct sm_post_v1 post;
};
struct sm_merkle_membership_v2 {
    struct sm_scale_list nodes; /* struct sm_hash32 */
};
struct sm_sub_post_v2 {
    uint32_t marriage_index, prev_atx_index;
    uint64_t membership_leaf_index;
    struct sm_post_v1 post;
    uint32_t num_units;
};
struct sm_nipost_v2 {
    struct sm_merkle_membership_v2 membership;
    struct sm_poet_ref challenge;
    struct sm_scale_list posts; /* struct sm_sub_post_v2 */
};
struct sm_marriage_certificate {
    struct sm_atx_id reference_atx;
    struct sm_signature signature;
};
struct sm_atx_v2 {
    uint32_t publish_epoch;
    struct sm_atx_id positioning_atx;
    struct sm_address coinbase;
    struct sm_initial_atx_parts_v2 *initial;
    struct sm_scale_list previous_atxs; /* struct sm_atx_id */
    struct sm_scale_list niposts;       /* struct sm_nipost_v2 */
    uint64_t vrf_nonce;
    struct sm_scale_list marriages; /* struct sm_marriage_certificate */
    struct sm_atx_id *marriage_atx;
    struct sm_node_id smesher_id;
    struct sm_signature signature;
};

#define SM_ATX_V2_PREVIOUS_MAX  256u
#define SM_ATX_V2_NIPOSTS_MAX   4u
#define SM_ATX_V2_POSTS_MAX     256u
#define SM_ATX_V2_MARRIAGES_MAX 256u

extern const struct sm_scale_type sm_post_v1_type, sm_nipost_challenge_v1_type, sm_atx_v1_inner_type, sm_atx_v1_type,
    sm_atx_v1_metadata_type, sm_nipost_challenge_v2_type, sm_merkle_membership_v1_type, sm_merkle_membership_v2_type,
    sm_sub_post_v2_type, sm_nipost_v2_type, sm_marriage_certificate_type, sm_atx_v2_type;

#endif
