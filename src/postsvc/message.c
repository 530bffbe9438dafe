#include "postsvc/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <spacemesh/v1/post_types.pb-c.h>

/* ---- requests ---- */

sm_err sm_post_request_decode(struct sm_slice in, struct sm_post_request *out, struct sm_errinfo *ei)
{
    struct sm_post_request r = {0};
    Spacemesh__V1__NodeRequest *m =
        in.n <= SM_POST_MESSAGE_MAX ? spacemesh__v1__node_request__unpack(NULL, in.n, in.p) : NULL;
    if (!m) return sm_fail(ei, SM_E_FORMAT, "%zu bytes from the node are no request", in.n);
    if (m->kind_case == SPACEMESH__V1__NODE_REQUEST__KIND_METADATA) {
        r.kind = SM_POST_KIND_METADATA;
    } else if (m->kind_case == SPACEMESH__V1__NODE_REQUEST__KIND_GEN_PROOF) {
        const ProtobufCBinaryData *c = &m->gen_proof->challenge;
        r.kind = SM_POST_KIND_GEN_PROOF;
        r.challenge_n = (uint32_t)c->len;
        if (c->len == sizeof r.challenge.b) memcpy(r.challenge.b, c->data, c->len);
    }
    spacemesh__v1__node_request__free_unpacked(m, NULL);
    *out = r;
    return SM_OK;
}

size_t sm_post_request_encode(const struct sm_post_request *r, uint8_t out[SM_POST_REQUEST_ROOM])
{
    struct sm_challenge challenge = r->challenge; /* the generated structs know no const */
    Spacemesh__V1__MetadataRequest metadata = SPACEMESH__V1__METADATA_REQUEST__INIT;
    Spacemesh__V1__GenProofRequest gen_proof = SPACEMESH__V1__GEN_PROOF_REQUEST__INIT;
    Spacemesh__V1__NodeRequest m = SPACEMESH__V1__NODE_REQUEST__INIT;
    if (r->kind == SM_POST_KIND_METADATA) {
        m.kind_case = SPACEMESH__V1__NODE_REQUEST__KIND_METADATA;
        m.metadata = &metadata;
    } else if (r->kind == SM_POST_KIND_GEN_PROOF) {
        assert(r->challenge_n <= sizeof challenge.b);
        gen_proof.challenge = (ProtobufCBinaryData){.len = r->challenge_n, .data = challenge.b};
        m.kind_case = SPACEMESH__V1__NODE_REQUEST__KIND_GEN_PROOF;
        m.gen_proof = &gen_proof;
    }
    assert(spacemesh__v1__node_request__get_packed_size(&m) <= SM_POST_REQUEST_ROOM);
    return spacemesh__v1__node_request__pack(&m, out);
}

/* ---- responses ---- */

static sm_err take32(const ProtobufCBinaryData *from, const char *what, uint8_t out[32], struct sm_errinfo *ei)
{
    if (from->len != 32)
        return sm_fail(ei, SM_E_FORMAT, "%s of the post service has %zu bytes, not 32", what, from->len);
    memcpy(out, from->data, 32);
    return SM_OK;
}

static sm_err take_info(const Spacemesh__V1__Metadata *m, struct sm_post_info *out, struct sm_errinfo *ei)
{
    sm_err err = take32(&m->node_id, "node_id", out->node_id.b, ei);
    if (!err) err = take32(&m->commitment_atx_id, "commitment_atx_id", out->commitment_atx_id.b, ei);
    out->has_nonce = m->_nonce_case == SPACEMESH__V1__METADATA___NONCE_NONCE;
    out->nonce = out->has_nonce ? m->nonce : 0;
    out->num_units = m->num_units;
    out->labels_per_unit = m->labels_per_unit;
    return err;
}

static sm_err take_proof(const Spacemesh__V1__Proof *m, struct sm_proof *out, struct sm_errinfo *ei)
{
    if (m->indices.len > SM_PROOF_INDICES_MAX)
        return sm_fail(ei, SM_E_FORMAT, "a proof with %zu bytes of indices; no proof has more than %u", m->indices.len,
                       SM_PROOF_INDICES_MAX);
    out->nonce = m->nonce;
    out->pow = m->pow;
    out->indices_n = (uint32_t)m->indices.len;
    if (m->indices.len) memcpy(out->indices, m->indices.data, m->indices.len);
    return SM_OK;
}

static sm_err take_gen_proof(const Spacemesh__V1__GenProofResponse *m, struct sm_post_response *r,
                             struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    r->kind = SM_POST_KIND_GEN_PROOF;
    r->status = (int)m->status;
    r->has_proof = m->proof != NULL;
    if (m->proof) err = take_proof(m->proof, &r->proof, ei);
    if (err || !m->metadata) return err;
    r->has_challenge = true;
    err = take32(&m->metadata->challenge, "challenge", r->challenge.b, ei);
    r->has_info = m->metadata->meta != NULL;
    if (!err && r->has_info) err = take_info(m->metadata->meta, &r->info, ei);
    return err;
}

sm_err sm_post_response_decode(struct sm_slice in, struct sm_post_response *out, struct sm_errinfo *ei)
{
    struct sm_post_response r = {0};
    sm_err err = SM_OK;
    Spacemesh__V1__ServiceResponse *m =
        in.n <= SM_POST_MESSAGE_MAX ? spacemesh__v1__service_response__unpack(NULL, in.n, in.p) : NULL;
    if (!m) return sm_fail(ei, SM_E_FORMAT, "%zu bytes from the post service are no response", in.n);
    if (m->kind_case == SPACEMESH__V1__SERVICE_RESPONSE__KIND_METADATA) {
        r.kind = SM_POST_KIND_METADATA;
        r.has_info = m->metadata->meta != NULL;
        if (r.has_info) err = take_info(m->metadata->meta, &r.info, ei);
    } else if (m->kind_case == SPACEMESH__V1__SERVICE_RESPONSE__KIND_GEN_PROOF) {
        err = take_gen_proof(m->gen_proof, &r, ei);
    }
    spacemesh__v1__service_response__free_unpacked(m, NULL);
    if (!err) *out = r;
    return err;
}

static void put_info(struct sm_post_info *info, Spacemesh__V1__Metadata *m)
{
    spacemesh__v1__metadata__init(m);
    m->node_id = (ProtobufCBinaryData){.len = 32, .data = info->node_id.b};
    m->commitment_atx_id = (ProtobufCBinaryData){.len = 32, .data = info->commitment_atx_id.b};
    m->num_units = info->num_units;
    m->labels_per_unit = info->labels_per_unit;
    if (!info->has_nonce) return;
    m->_nonce_case = SPACEMESH__V1__METADATA___NONCE_NONCE;
    m->nonce = info->nonce;
}

size_t sm_post_response_encode(const struct sm_post_response *response, uint8_t out[SM_POST_RESPONSE_ROOM])
{
    struct sm_post_response r = *response; /* the generated structs know no const */
    Spacemesh__V1__Metadata meta;
    Spacemesh__V1__Proof proof = SPACEMESH__V1__PROOF__INIT;
    Spacemesh__V1__ProofMetadata about = SPACEMESH__V1__PROOF_METADATA__INIT;
    Spacemesh__V1__MetadataResponse metadata = SPACEMESH__V1__METADATA_RESPONSE__INIT;
    Spacemesh__V1__GenProofResponse gen_proof = SPACEMESH__V1__GEN_PROOF_RESPONSE__INIT;
    Spacemesh__V1__ServiceResponse m = SPACEMESH__V1__SERVICE_RESPONSE__INIT;
    put_info(&r.info, &meta);
    if (r.kind == SM_POST_KIND_METADATA) {
        metadata.meta = r.has_info ? &meta : NULL;
        m.kind_case = SPACEMESH__V1__SERVICE_RESPONSE__KIND_METADATA;
        m.metadata = &metadata;
    } else if (r.kind == SM_POST_KIND_GEN_PROOF) {
        assert(r.proof.indices_n <= SM_PROOF_INDICES_MAX);
        proof.nonce = r.proof.nonce;
        proof.pow = r.proof.pow;
        proof.indices = (ProtobufCBinaryData){.len = r.proof.indices_n, .data = r.proof.indices};
        about.challenge = (ProtobufCBinaryData){.len = 32, .data = r.challenge.b};
        about.meta = r.has_info ? &meta : NULL;
        gen_proof.status = (Spacemesh__V1__GenProofStatus)r.status;
        gen_proof.proof = r.has_proof ? &proof : NULL;
        gen_proof.metadata = r.has_challenge ? &about : NULL;
        m.kind_case = SPACEMESH__V1__SERVICE_RESPONSE__KIND_GEN_PROOF;
        m.gen_proof = &gen_proof;
    }
    assert(spacemesh__v1__service_response__get_packed_size(&m) <= SM_POST_RESPONSE_ROOM);
    return spacemesh__v1__service_response__pack(&m, out);
}

/* ---- states ---- */

static void put_state(struct sm_node_id *id, const struct sm_post_state_row *row, Spacemesh__V1__PostState *m)
{
    *id = row->id;
    spacemesh__v1__post_state__init(m);
    m->id = (ProtobufCBinaryData){.len = 32, .data = id->b};
    m->state = (Spacemesh__V1__PostState__State)row->state;
    m->name = (char *)(size_t)row->name; /* read only; the generated structs know no const */
}

sm_err sm_post_states_encode(const struct sm_post_state_row *rows, size_t n, uint8_t **out, size_t *out_n,
                             struct sm_errinfo *ei)
{
    Spacemesh__V1__PostStatesResponse m = SPACEMESH__V1__POST_STATES_RESPONSE__INIT;
    struct sm_node_id *ids = calloc(n + 1, sizeof *ids);
    Spacemesh__V1__PostState *states = calloc(n + 1, sizeof *states);
    m.states = calloc(n + 1, sizeof(Spacemesh__V1__PostState *));
    m.n_states = n;
    uint8_t *bytes = NULL;
    if (ids && states && m.states) {
        for (size_t i = 0; i < n; i++) {
            put_state(&ids[i], &rows[i], &states[i]);
            m.states[i] = &states[i];
        }
        bytes = malloc(spacemesh__v1__post_states_response__get_packed_size(&m) + 1);
        if (bytes) *out_n = spacemesh__v1__post_states_response__pack(&m, bytes);
    }
    free(ids);
    free(states);
    free(m.states);
    if (!bytes) return sm_fail(ei, SM_E_NOMEM, "out of memory for the states of %zu identities", n);
    *out = bytes;
    return SM_OK;
}
