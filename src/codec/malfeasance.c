#include "codec/malfeasance.h"

#include <string.h>

#define F SM_SCALE_FIELD

static const struct sm_scale_field atx_msg[] = {
    F(struct sm_atx_proof_msg, inner, &sm_atx_v1_metadata_type),
    F(struct sm_atx_proof_msg, smesher_id, &sm_scale_b32),
    F(struct sm_atx_proof_msg, signature, &sm_scale_b64),
};
static const struct sm_scale_type atx_msg_type = SM_SCALE_STRUCT_OF(struct sm_atx_proof_msg, "AtxProofMsg", atx_msg);
static const struct sm_scale_field ballot_msg[] = {
    F(struct sm_ballot_proof_msg, layer, &sm_scale_u32),
    F(struct sm_ballot_proof_msg, msg_hash, &sm_scale_b32),
    F(struct sm_ballot_proof_msg, smesher_id, &sm_scale_b32),
    F(struct sm_ballot_proof_msg, signature, &sm_scale_b64),
};
static const struct sm_scale_type ballot_msg_type =
    SM_SCALE_STRUCT_OF(struct sm_ballot_proof_msg, "BallotProofMsg", ballot_msg);
static const struct sm_scale_field hare_msg[] = {
    F(struct sm_hare_proof_msg, layer, &sm_scale_u32),     F(struct sm_hare_proof_msg, round, &sm_scale_u32),
    F(struct sm_hare_proof_msg, msg_hash, &sm_scale_b32),  F(struct sm_hare_proof_msg, smesher_id, &sm_scale_b32),
    F(struct sm_hare_proof_msg, signature, &sm_scale_b64),
};
static const struct sm_scale_type hare_msg_type =
    SM_SCALE_STRUCT_OF(struct sm_hare_proof_msg, "HareProofMsg", hare_msg);

/* Arrays of two structs would cost a nesting level each; none of these proofs comes near the limit, so the pair is two
 * fields in place. */
static const struct sm_scale_field atxs[] = {
    {"message_0", offsetof(struct sm_multiple_atxs, messages[0]), &atx_msg_type},
    {"message_1", offsetof(struct sm_multiple_atxs, messages[1]), &atx_msg_type},
};
static const struct sm_scale_field ballots[] = {
    {"message_0", offsetof(struct sm_multiple_ballots, messages[0]), &ballot_msg_type},
    {"message_1", offsetof(struct sm_multiple_ballots, messages[1]), &ballot_msg_type},
};
static const struct sm_scale_field hares[] = {
    {"message_0", offsetof(struct sm_hare_equivocation, messages[0]), &hare_msg_type},
    {"message_1", offsetof(struct sm_hare_equivocation, messages[1]), &hare_msg_type},
};
static const struct sm_scale_field post_index[] = {
    F(struct sm_invalid_post_index, atx, &sm_atx_v1_type),
    F(struct sm_invalid_post_index, invalid_index, &sm_scale_u32),
};
static const struct sm_scale_field prev_atx[] = {
    F(struct sm_invalid_prev_atx, atx1, &sm_atx_v1_type),
    F(struct sm_invalid_prev_atx, atx2, &sm_atx_v1_type),
};

const struct sm_scale_type *sm_malfeasance_data_type(uint8_t type)
{
    static const struct sm_scale_type types[] = {
        [SM_MALFEASANCE_MULTIPLE_ATXS] = SM_SCALE_STRUCT_OF(struct sm_multiple_atxs, "AtxProof", atxs),
        [SM_MALFEASANCE_MULTIPLE_BALLOTS] = SM_SCALE_STRUCT_OF(struct sm_multiple_ballots, "BallotProof", ballots),
        [SM_MALFEASANCE_HARE_EQUIVOCATION] = SM_SCALE_STRUCT_OF(struct sm_hare_equivocation, "HareProof", hares),
        [SM_MALFEASANCE_INVALID_POST_INDEX] =
            SM_SCALE_STRUCT_OF(struct sm_invalid_post_index, "InvalidPostIndexProof", post_index),
        [SM_MALFEASANCE_INVALID_PREV_ATX] =
            SM_SCALE_STRUCT_OF(struct sm_invalid_prev_atx, "InvalidPrevATXProof", prev_atx),
    };
    return type >= 1 && type < sizeof types / sizeof types[0] ? &types[type] : NULL;
}

/* Layer and type byte. */
struct head {
    uint32_t layer;
    uint8_t type;
};
static const struct sm_scale_field head_fields[] = {F(struct head, layer, &sm_scale_u32),
                                                    F(struct head, type, &sm_scale_raw8)};
static const struct sm_scale_type head_type = SM_SCALE_STRUCT_OF(struct head, "MalfeasanceProof", head_fields);

sm_err sm_malfeasance_decode(struct sm_slice in, bool gossip, struct sm_arena *arena, struct sm_malfeasance_proof *out,
                             struct sm_errinfo *ei)
{
    struct head head;
    size_t at = 0, used = 0;
    memset(out, 0, sizeof *out);
    sm_err err = sm_scale_decode_prefix(&head_type, in, SM_SCALE_LEVELS_MESSAGE, arena, &head, &at, ei);
    if (err) return err;
    const struct sm_scale_type *data = sm_malfeasance_data_type(head.type);
    if (!data) return sm_fail(ei, SM_E_FORMAT, "unknown malfeasance proof type %u", head.type);
    const struct sm_slice rest = {in.p + at, in.n - at};
    err = sm_scale_decode_prefix(data, rest, SM_SCALE_LEVELS_MESSAGE, arena, &out->u, &used, ei);
    if (err) return err;
    at += used;
    if (gossip && at == in.n)
        return sm_fail(ei, SM_E_FORMAT, "byte %zu: the input ends before the eligibility option", at);
    if (gossip && in.p[at++] == 1) /* any other tag reads as absent, as the reference does */
        return sm_fail(ei, SM_E_FORMAT, "a deprecated eligibility is present");
    if (at != in.n) return sm_fail(ei, SM_E_FORMAT, "%zu bytes are left over after byte %zu", in.n - at, at);
    out->layer = head.layer;
    out->type = head.type;
    return SM_OK;
}

sm_err sm_malfeasance_encode(const struct sm_malfeasance_proof *p, bool gossip, struct sm_scale_writer *w,
                             struct sm_errinfo *ei)
{
    static const bool absent = false;
    const struct head head = {p->layer, p->type};
    const struct sm_scale_type *data = sm_malfeasance_data_type(p->type);
    if (!data) return sm_fail(ei, SM_E_ARG, "unknown malfeasance proof type %u", p->type);
    sm_err err = sm_scale_encode(&head_type, &head, w, ei);
    if (!err) err = sm_scale_encode(data, &p->u, w, ei);
    if (!err && gossip) err = sm_scale_encode(&sm_scale_bool, &absent, w, ei);
    return err;
}

json_t *sm_malfeasance_json(const struct sm_malfeasance_proof *p)
{
    const struct sm_scale_type *data = sm_malfeasance_data_type(p->type);
    json_t *proof = data ? sm_scale_json(data, &p->u) : NULL;
    if (!proof) return NULL;
    return json_pack("{s:I, s:i, s:s, s:o}", "layer", (json_int_t)p->layer, "type", p->type, "kind", data->name,
                     "proof", proof);
}

static const struct sm_scale_type v2_bytes = SM_SCALE_BYTES_OF(1 << 20);
static const struct sm_scale_field v2[] = {
    F(struct sm_atx_malfeasance_v2, version, &sm_scale_u8),
    F(struct sm_atx_malfeasance_v2, proof_type, &sm_scale_u8),
    F(struct sm_atx_malfeasance_v2, proof, &v2_bytes),
};
const struct sm_scale_type sm_atx_malfeasance_v2_type =
    SM_SCALE_STRUCT_OF(struct sm_atx_malfeasance_v2, "ATXProof", v2);
