/* codec/malfeasance.h: proofs of misbehaviour. Source: wire.md §10.1; go-spacemesh malfeasance/wire @cc65f27.
 *
 * A version 1 proof is a tagged union: layer, one raw type byte, then one of the structs below. The version 2 proofs'
 * inner layout is UNKNOWN (wire.md §10.2): their envelope is coded here, their content stays bytes. */
#ifndef SM_CODEC_MALFEASANCE_H
#define SM_CODEC_MALFEASANCE_H

#include "codec/atx.h"
#include "codec/scale.h"

typedef enum sm_malfeasance_type {
    SM_MALFEASANCE_MULTIPLE_ATXS = 1,
    SM_MALFEASANCE_MULTIPLE_BALLOTS = 2,
    SM_MALFEASANCE_HARE_EQUIVOCATION = 3,
    SM_MALFEASANCE_INVALID_POST_INDEX = 4,
    SM_MALFEASANCE_INVALID_PREV_ATX = 5,
} sm_malfeasance_type;

struct sm_atx_proof_msg {
    struct sm_atx_v1_metadata inner;
    struct sm_node_id smesher_id;
    struct sm_signature signature;
};
struct sm_ballot_proof_msg {
    uint32_t layer;
    struct sm_hash32 msg_hash;
    struct sm_node_id smesher_id;
    struct sm_signature signature;
};
struct sm_hare_proof_msg {
    uint32_t layer, round; /* absolute round */
    struct sm_hash32 msg_hash;
    struct sm_node_id smesher_id;
    struct sm_signature signature;
};
struct sm_multiple_atxs { struct sm_atx_proof_msg messages[2]; };
struct sm_multiple_ballots { struct sm_ballot_proof_msg messages[2]; };
struct sm_hare_equivocation { struct sm_hare_proof_msg messages[2]; };
struct sm_invalid_post_index { struct sm_atx_v1 atx; uint32_t invalid_index; };
struct sm_invalid_prev_atx { struct sm_atx_v1 atx1, atx2; };

struct sm_malfeasance_proof {
    uint32_t layer;
    uint8_t type;
    union {
        struct sm_multiple_atxs multiple_atxs;
        struct sm_multiple_ballots multiple_ballots;
        struct sm_hare_equivocation hare_equivocation;
        struct sm_invalid_post_index invalid_post_index;
        struct sm_invalid_prev_atx invalid_prev_atx;
    } u;
};

/* The description of the data of a type, or NULL for an unknown one. */
const struct sm_scale_type *sm_malfeasance_data_type(uint8_t type);

/* `gossip`: followed by the option of a deprecated eligibility, which must be absent (one byte 0x00). */
SM_MUST_CHECK sm_err sm_malfeasance_decode(struct sm_slice in, bool gossip, struct sm_arena *arena,
                                           struct sm_malfeasance_proof *out, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_malfeasance_encode(const struct sm_malfeasance_proof *p, bool gossip, struct sm_scale_writer *w,
                                           struct sm_errinfo *ei);
json_t *sm_malfeasance_json(const struct sm_malfeasance_proof *p);

/* ATXProof of topic mp2. */
struct sm_atx_malfeasance_v2 {
    uint8_t version;
    uint8_t proof_type;
    struct sm_scale_bytes proof;
};
extern const struct sm_scale_type sm_atx_malfeasance_v2_type;

#endif
