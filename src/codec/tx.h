/* codec/tx.h: transactions of the account templates: what it takes to spawn an account, to spend from it, and to drain a
 * vault. Source: our spec, node-service.md §4.22; go-spacemesh genvm/core, genvm/templates @cc65f27.
 *
 * Signed message: genesis ID || transaction without its signature, without a domain byte. This and the ID of a transaction
 * are made of its bytes as received, unlike those of all other objects.
 *
 * Single-signature wallets (tx.c) end with one signature. Multisig and vesting accounts (tx_multisig.c) end with as many
 * pairs of key index and signature as their state requires, without a count: a transaction alone does not say how many
 * those are, nor whose keys. A vault never signs; whoever spawns it does. */
#ifndef SM_CODEC_TX_H
#define SM_CODEC_TX_H

#include "codec/scale.h"
#include "util/ids.h"

#define SM_TX_BYTES_MAX    1024u
#define SM_TX_VERSION      0u
#define SM_TX_METHOD_SPAWN 0u
#define SM_TX_METHOD_SPEND 16u
#define SM_TX_METHOD_DRAIN 17u
#define SM_TX_KEYS_MAX     10u

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

struct sm_tx_multisig_spawn_inner {
    uint8_t version;
    struct sm_address principal;
    uint8_t method;
    struct sm_address template_address; /* multisig or vesting */
    uint64_t nonce, gas_price;
    uint8_t required;
    struct sm_scale_list keys; /* struct sm_node_id, at most SM_TX_KEYS_MAX */
};
struct sm_tx_multisig_spawn {
    struct sm_tx_multisig_spawn_inner inner;
    struct sm_scale_bytes signatures; /* (compact8 index, 64 bytes)… */
};
struct sm_tx_multisig_spend {
    struct sm_tx_spend_inner inner;
    struct sm_scale_bytes signatures;
};
struct sm_tx_drain_inner {
    uint8_t version;
    struct sm_address principal; /* a vesting account, the owner of the vault */
    uint8_t method;
    uint64_t nonce, gas_price;
    struct sm_address vault, destination;
    uint64_t amount;
};
struct sm_tx_drain {
    struct sm_tx_drain_inner inner;
    struct sm_scale_bytes signatures;
};
struct sm_tx_vault_spawn_inner {
    uint8_t version;
    struct sm_address principal;
    uint8_t method;
    struct sm_address template_address;
    uint64_t nonce, gas_price;
    struct sm_address owner;
    uint64_t total, initial_unlock;
    uint32_t start, end; /* layers */
};
struct sm_tx_vault_spawn {
    struct sm_tx_vault_spawn_inner inner;
    struct sm_scale_bytes signature; /* as the principal's template has it */
};

extern const struct sm_scale_type sm_tx_spawn_inner_type, sm_tx_spawn_type, sm_tx_spend_inner_type, sm_tx_spend_type;
extern const struct sm_scale_type sm_tx_multisig_spawn_inner_type, sm_tx_multisig_spawn_type, sm_tx_multisig_spend_type;
extern const struct sm_scale_type sm_tx_drain_inner_type, sm_tx_drain_type, sm_tx_vault_spawn_inner_type,
    sm_tx_vault_spawn_type;

/* `message`: the transaction as it travels, without its signature. */
bool sm_tx_signature_valid(const struct sm_genesis_id *genesis, struct sm_slice message,
                           const struct sm_node_id *public_key, const struct sm_signature *signature);

/* Are `signatures` exactly `required` pairs of a key index, ascending, and that key's signature of `message`? */
bool sm_tx_signatures_valid(const struct sm_genesis_id *genesis, struct sm_slice message, const struct sm_node_id *keys,
                            size_t keys_n, unsigned required, struct sm_slice signatures);
/* The account that a spawn creates: multisig or vesting, and vault. SM_E_ARG (more keys than the limit), SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_tx_multisig_address(const struct sm_tx_multisig_spawn_inner *spawn, struct sm_address *out,
                                            struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_tx_vault_address(const struct sm_tx_vault_spawn_inner *spawn, struct sm_address *out,
                                         struct sm_errinfo *ei);

#endif
