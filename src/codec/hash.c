#include "codec/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/blake3.h"

static sm_err hash_with_prefix(const uint8_t *prefix, size_t prefix_n, const struct sm_scale_type *t, const void *obj,
                               uint8_t out[32], struct sm_errinfo *ei)
{
    struct sm_scale_writer w = {0};
    sm_err err = sm_scale_encode(t, obj, &w, ei);
    if (!err) {
        struct sm_blake3 h;
        sm_blake3_init(&h);
        sm_blake3_update(&h, prefix, prefix_n);
        sm_blake3_update(&h, w.p, w.n);
        sm_blake3_final(&h, out);
    }
    sm_scale_writer_fini(&w);
    return err;
}

static sm_err hash_obj(const struct sm_scale_type *t, const void *obj, uint8_t *out, size_t out_n,
                       struct sm_errinfo *ei)
{
    uint8_t full[32];
    sm_err err = hash_with_prefix(NULL, 0, t, obj, full, ei);
    if (!err) memcpy(out, full, out_n);
    return err;
}

sm_err sm_scale_hash(const struct sm_scale_type *t, const void *obj, struct sm_hash32 *out, struct sm_errinfo *ei)
{
    return hash_obj(t, obj, out->b, sizeof out->b, ei);
}

struct sm_atx_id sm_golden_atx(int64_t genesis_time_s, const char *extra_data)
{
    struct sm_atx_id id;
    struct sm_blake3 h;
    char time[24];
    (void)snprintf(time, sizeof time, "%" PRId64, genesis_time_s);
    sm_blake3_init(&h);
    sm_blake3_update(&h, time, strlen(time));
    sm_blake3_update(&h, extra_data, strlen(extra_data));
    sm_blake3_final(&h, id.b);
    return id;
}

struct sm_genesis_id sm_genesis_id_of(const struct sm_atx_id *golden)
{
    struct sm_genesis_id id;
    memcpy(id.b, golden->b, sizeof id.b);
    return id;
}

/* ---- activation ---- */

sm_err sm_atx_v1_id(const struct sm_atx_v1_inner *inner, struct sm_atx_id *out, struct sm_errinfo *ei)
{
    return hash_obj(&sm_atx_v1_inner_type, inner, out->b, sizeof out->b, ei);
}

sm_err sm_nipost_challenge_hash(const struct sm_scale_type *t, const void *challenge, struct sm_hash32 *out,
                                struct sm_errinfo *ei)
{
    static const uint8_t leaf = 0x00;
    return hash_with_prefix(&leaf, 1, t, challenge, out->b, ei);
}

/* ---- consensus ---- */

sm_err sm_ballot_id_of(const struct sm_inner_ballot *b, struct sm_ballot_id *out, struct sm_errinfo *ei)
{
    return hash_obj(&sm_inner_ballot_type, b, out->b, sizeof out->b, ei);
}

sm_err sm_block_id_of(const struct sm_inner_block *b, struct sm_block_id *out, struct sm_errinfo *ei)
{
    return hash_obj(&sm_inner_block_type, b, out->b, sizeof out->b, ei);
}

sm_err sm_proposal_id_of(const struct sm_inner_proposal *p, struct sm_proposal_id *out,
                         struct sm_ballot_metadata *out_signed, struct sm_errinfo *ei)
{
    struct sm_ballot_metadata signed_part = {.layer = p->ballot.inner.layer};
    sm_err err = sm_scale_hash(&sm_inner_proposal_type, p, &signed_part.msg_hash, ei);
    if (!err) err = hash_obj(&sm_ballot_metadata_type, &signed_part, out->b, sizeof out->b, ei);
    if (!err && out_signed) *out_signed = signed_part;
    return err;
}

struct sm_tx_id sm_tx_id_of(struct sm_slice raw)
{
    struct sm_tx_id id;
    sm_blake3_hash(raw.p, raw.n, id.b);
    return id;
}

sm_err sm_poet_ref_of(const struct sm_poet_proof *p, struct sm_poet_ref *out, struct sm_errinfo *ei)
{
    return hash_obj(&sm_poet_proof_type, p, out->b, sizeof out->b, ei);
}

struct sm_hash32 sm_active_set_hash(const struct sm_atx_id *ids, size_t n)
{
    struct sm_hash32 out;
    sm_blake3_hash(ids, n * sizeof *ids, out.b);
    return out;
}

struct sm_hash32 sm_proposal_set_hash(const struct sm_proposal_id *ids, size_t n)
{
    static const uint8_t pad[12];
    struct sm_hash32 out;
    struct sm_blake3 h;
    sm_blake3_init(&h);
    for (size_t i = 0; i < n; i++) {
        sm_blake3_update(&h, ids[i].b, sizeof ids[i].b);
        sm_blake3_update(&h, pad, sizeof pad);
    }
    sm_blake3_final(&h, out.b);
    return out;
}

struct sm_hash32 sm_beacon_proposals_hash(const uint8_t (*proposals)[4], size_t n)
{
    struct sm_hash32 out;
    sm_blake3_hash(proposals, n * sizeof proposals[0], out.b);
    return out;
}

static int by_height_then_id(const void *a, const void *b)
{
    const struct sm_opinion_block *x = a, *y = b;
    if (x->height != y->height) return x->height < y->height ? -1 : 1;
    return memcmp(x->id.b, y->id.b, sizeof x->id.b);
}

struct sm_hash32 sm_opinion_hash(const struct sm_hash32 *previous, sm_opinion_kind kind,
                                 struct sm_opinion_block *blocks, size_t n)
{
    static const uint8_t abstain = 0x00;
    struct sm_hash32 out;
    struct sm_blake3 h;
    sm_blake3_init(&h);
    if (previous) sm_blake3_update(&h, previous->b, sizeof previous->b);
    if (kind == SM_OPINION_ABSTAIN) sm_blake3_update(&h, &abstain, 1);
    if (kind == SM_OPINION_SUPPORT && n) qsort(blocks, n, sizeof *blocks, by_height_then_id);
    for (size_t i = 0; kind == SM_OPINION_SUPPORT && i < n; i++) {
        uint8_t height[8];
        sm_le64_store(height, blocks[i].height);
        sm_blake3_update(&h, blocks[i].id.b, sizeof blocks[i].id.b);
        sm_blake3_update(&h, height, sizeof height);
    }
    sm_blake3_final(&h, out.b);
    return out;
}
