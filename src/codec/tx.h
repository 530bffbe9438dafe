/* codec/tx.h: transactions of single-signature wallets: what it takes to spawn a wallet and to spend from it. Other
 * templates (multisig, vesting, vault) are not described here. Source: our spec, node-service.md §4.22; go-spacemesh
 * genvm/core, genvm/templates/wallet @cc65f27.
 *
 * Signed message: genesis ID || transaction without its signature, without a domain byte. The ID of a transaction is
 * the hash of its bytes as received: what is computed from fields holds for canonical bytes only. */
#ifndef SM_CODEC_TX_H
#define SM_CODEC_TX_H

#include "codec/scale.h"
#include "util/ids.h"

#define SM_TX_BYTES_MAX    1024u
#define SM_TX_VERSION      0u
#define SM_TX_METHOD_SPAWN 0u
#define SM_TX_METHOD_SPEND 16u

struct sm_tx_spawn_inner {
    uint8_t version;
    struct sm_address principal;
    uint8_t method;
    struct sm_address template_address;
    uint64_t nonce, gas_price;
    struct sm_node_id public_key; /* of the new wallet */
};
struct sm_tx_spawn {
    struct sm_tx_spawn_inner inner;
    struct sm_signature signature;
};
struct sm_tx_spend_inner {
    uint8_t version;
    struct sm_address principal;
    uint8_t method;
    uint64_t nonce, gas_price;
    struct sm_address destination;
    uint64_t amount;
};
struct sm_tx_spend {
    struct sm_tx_spend_inner inner;
    struct sm_signature signature;
};

extern const struct sm_scale_type sm_tx_spawn_inner_type, sm_tx_spawn_type, sm_tx_spend_inner_type, sm_tx_spend_type;

/* Is `inner`, of type `t`, signed by the key? SM_E_NOMEM only. */
SM_MUST_CHECK sm_err sm_tx_signature_valid(const struct sm_genesis_id *genesis, const struct sm_scale_type *t,
                                           const void *inner, const struct sm_node_id *public_key,
                                           const struct sm_signature *signature, bool *out, struct sm_errinfo *ei);

#endif
