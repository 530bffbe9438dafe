/* codec/hash.h: identifiers and the hashes behind signatures. Source: wire.md §2, 4.2, 4.4.
 * All are computed from decoded fields, re-encoded canonically. Functions that can fail do so only for objects beyond
 * their encoding limits or out of memory. */
#ifndef SM_CODEC_HASH_H
#define SM_CODEC_HASH_H

#include "codec/atx.h"
#include "codec/consensus.h"
#include "codec/poet.h"

/* blake3(scale(obj)) */
SM_MUST_CHECK sm_err sm_scale_hash(const struct sm_scale_type *t, const void *obj, struct sm_hash32 *out,
                                   struct sm_errinfo *ei);

/* Golden ATX of a network: blake3(decimal genesis time || extra data); its first 20 bytes are the genesis ID. */
struct sm_atx_id sm_golden_atx(int64_t genesis_time_s, const char *extra_data);
struct sm_genesis_id sm_genesis_id_of(const struct sm_atx_id *golden);

/* ---- activation ---- */

SM_MUST_CHECK sm_err sm_atx_v1_id(const struct sm_atx_v1_inner *inner, struct sm_atx_id *out, struct sm_errinfo *ei);
/* blake3(0x00 || scale(challenge)); `t` is the description of the version's challenge. */
SM_MUST_CHECK sm_err sm_nipost_challenge_hash(const struct sm_scale_type *t, const void *challenge,
                                              struct sm_hash32 *out, struct sm_errinfo *ei);

/* Version 2 IDs are Merkle roots; the inner roots are exposed because proofs refer to them. The rules are those of
 * v1.8 and later: INFERRED to be in force on the main network (wire.md §4.4, 15). */
struct sm_atx_v2_roots {
    struct sm_hash32 initial, previous_atxs, niposts, marriages;
};
SM_MUST_CHECK sm_err sm_atx_v2_id(const struct sm_atx_v2 *atx, struct sm_atx_id *out, struct sm_atx_v2_roots *out_roots,
                                  struct sm_errinfo *ei); /* out_roots may be NULL */
SM_MUST_CHECK sm_err sm_nipost_v2_root(const struct sm_nipost_v2 *n, const struct sm_atx_v2 *atx, struct sm_hash32 *out,
                                       struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_sub_post_v2_root(const struct sm_sub_post_v2 *p, const struct sm_atx_v2 *atx,
                                         struct sm_hash32 *out, struct sm_errinfo *ei);
/* Root of a tree whose parents are blake3(0x01 || left || right), odd levels completed with one zero node. n >= 1.
 * Works in place: `nodes` is overwritten and needs room for n + 1. */
struct sm_hash32 sm_merkle_root_01(struct sm_hash32 *nodes, size_t n);

/* ---- consensus ---- */

SM_MUST_CHECK sm_err sm_ballot_id_of(const struct sm_inner_ballot *b, struct sm_ballot_id *out, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_block_id_of(const struct sm_inner_block *b, struct sm_block_id *out, struct sm_errinfo *ei);
/* ID and, when `out_signed` is not NULL, the signed metadata. */
SM_MUST_CHECK sm_err sm_proposal_id_of(const struct sm_inner_proposal *p, struct sm_proposal_id *out,
                                       struct sm_ballot_metadata *out_signed, struct sm_errinfo *ei);
struct sm_tx_id sm_tx_id_of(struct sm_slice raw);
SM_MUST_CHECK sm_err sm_poet_ref_of(const struct sm_poet_proof *p, struct sm_poet_ref *out, struct sm_errinfo *ei);

/* blake3 over the IDs in the given order; the caller sorts ascending. */
struct sm_hash32 sm_active_set_hash(const struct sm_atx_id *ids, size_t n);
/* Each 20-byte ID is fed as 32 bytes: the hare reference (protocol order) and the block seed (sorted). */
struct sm_hash32 sm_proposal_set_hash(const struct sm_proposal_id *ids, size_t n);
struct sm_hash32 sm_beacon_proposals_hash(const uint8_t (*proposals)[4], size_t n);

/* Opinion about one layer. */
typedef enum sm_opinion_kind { SM_OPINION_AGAINST, SM_OPINION_ABSTAIN, SM_OPINION_SUPPORT } sm_opinion_kind;
struct sm_opinion_block { struct sm_block_id id; uint64_t height; };
/* H_l from H_{l-1} (`previous` NULL for the very first layer). `blocks` in any order: hashed by height, then ID; sorted in
 * place. */
struct sm_hash32 sm_opinion_hash(const struct sm_hash32 *previous, sm_opinion_kind kind, struct sm_opinion_block *blocks,
                                 size_t n);

#endif
