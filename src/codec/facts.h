/* codec/facts.h: private to the registry: identifiers and checks of each kind of object. */
#ifndef SM_CODEC_FACTS_H
#define SM_CODEC_FACTS_H

#include "codec/registry.h"

typedef sm_err sm_facts_fn(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                           struct sm_errinfo *ei);

extern sm_facts_fn sm_facts_atx_v1, sm_facts_atx_v1_inner, sm_facts_atx_v2, sm_facts_challenge_v1,
    sm_facts_challenge_v2, sm_facts_poet_proof, sm_facts_poet_message, sm_facts_ballot, sm_facts_inner_ballot,
    sm_facts_proposal, sm_facts_active_set, sm_facts_block, sm_facts_certify, sm_facts_certificate, sm_facts_hare,
    sm_facts_hare4, sm_facts_beacon_proposal, sm_facts_beacon_first, sm_facts_beacon_following, sm_facts_weak_coin,
    sm_facts_malfeasance, sm_facts_tx_spawn, sm_facts_tx_spend, sm_facts_tx_multisig_spawn, sm_facts_tx_multisig_spend,
    sm_facts_tx_drain, sm_facts_tx_vault_spawn;

void sm_facts_id(struct sm_object_facts *f, const char *name, const uint8_t *b, size_t n);
void sm_facts_check(struct sm_object_facts *f, const char *name, bool good);
void sm_facts_unknown(struct sm_object_facts *f, const char *name, const char *needs);
/* The bytes of a transaction, whose hash becomes an identifier. */
struct sm_tx_bytes {
    struct sm_slice all;
    struct sm_scale_writer encoded; /* owned: sm_scale_writer_fini */
};
SM_MUST_CHECK sm_err sm_facts_tx_id(struct sm_object_facts *f, const struct sm_object_context *ctx,
                                    const struct sm_scale_type *t, const void *tx, struct sm_tx_bytes *out,
                                    struct sm_errinfo *ei);
/* Without the signature at its end. */
struct sm_slice sm_tx_message(const struct sm_tx_bytes *b, size_t signature_n);

#endif
