/* Accounts with several keys, and the vaults that some of them own. */
#include <string.h>

#include "codec/address.h"
#include "codec/facts.h"
#include "codec/tx.h"
#include "crypto/ed25519.h"

#define F SM_SCALE_FIELD

/* What a spawn ends with is what the address is made of: one list of fields for both. */
#define SPAWN_HEAD(T)                                                                        \
    F(T, version, &sm_scale_u8), F(T, principal, &sm_scale_b24), F(T, method, &sm_scale_u8), \
        F(T, template_address, &sm_scale_b24), F(T, nonce, &sm_scale_u64), F(T, gas_price, &sm_scale_u64)
#define MULTISIG_ARGUMENTS(T) F(T, required, &sm_scale_u8), F(T, keys, &key_list)
#define VAULT_ARGUMENTS(T)                                                                       \
    F(T, owner, &sm_scale_b24), F(T, total, &sm_scale_u64), F(T, initial_unlock, &sm_scale_u64), \
        F(T, start, &sm_scale_u32), F(T, end, &sm_scale_u32)

static const struct sm_scale_type key_list = SM_SCALE_LIST_OF(&sm_scale_b32, SM_TX_KEYS_MAX);
static const struct sm_scale_type rest = SM_SCALE_REST_OF(SM_TX_BYTES_MAX);

static const struct sm_scale_field multisig_spawn_inner[] = {SPAWN_HEAD(struct sm_tx_multisig_spawn_inner),
                                                             MULTISIG_ARGUMENTS(struct sm_tx_multisig_spawn_inner)};
static const struct sm_scale_field multisig_arguments[] = {MULTISIG_ARGUMENTS(struct sm_tx_multisig_spawn_inner)};
static const struct sm_scale_field multisig_spawn[] = {
    F(struct sm_tx_multisig_spawn, inner, &sm_tx_multisig_spawn_inner_type),
    F(struct sm_tx_multisig_spawn, signatures, &rest),
};
static const struct sm_scale_field multisig_spend[] = {
    F(struct sm_tx_multisig_spend, inner, &sm_tx_spend_inner_type),
    F(struct sm_tx_multisig_spend, signatures, &rest),
};
static const struct sm_scale_field drain_inner[] = {
    F(struct sm_tx_drain_inner, version, &sm_scale_u8),      F(struct sm_tx_drain_inner, principal, &sm_scale_b24),
    F(struct sm_tx_drain_inner, method, &sm_scale_u8),       F(struct sm_tx_drain_inner, nonce, &sm_scale_u64),
    F(struct sm_tx_drain_inner, gas_price, &sm_scale_u64),   F(struct sm_tx_drain_inner, vault, &sm_scale_b24),
    F(struct sm_tx_drain_inner, destination, &sm_scale_b24), F(struct sm_tx_drain_inner, amount, &sm_scale_u64),
};
static const struct sm_scale_field drain[] = {
    F(struct sm_tx_drain, inner, &sm_tx_drain_inner_type),
    F(struct sm_tx_drain, signatures, &rest),
};
static const struct sm_scale_field vault_spawn_inner[] = {SPAWN_HEAD(struct sm_tx_vault_spawn_inner),
                                                          VAULT_ARGUMENTS(struct sm_tx_vault_spawn_inner)};
static const struct sm_scale_field vault_arguments[] = {VAULT_ARGUMENTS(struct sm_tx_vault_spawn_inner)};
static const struct sm_scale_field vault_spawn[] = {
    F(struct sm_tx_vault_spawn, inner, &sm_tx_vault_spawn_inner_type),
    F(struct sm_tx_vault_spawn, signature, &rest),
};

const struct sm_scale_type sm_tx_multisig_spawn_inner_type =
    SM_SCALE_STRUCT_OF(struct sm_tx_multisig_spawn_inner, "MultisigSpawnInner", multisig_spawn_inner);
const struct sm_scale_type sm_tx_multisig_spawn_type =
    SM_SCALE_STRUCT_OF(struct sm_tx_multisig_spawn, "MultisigSpawn", multisig_spawn);
const struct sm_scale_type sm_tx_multisig_spend_type =
    SM_SCALE_STRUCT_OF(struct sm_tx_multisig_spend, "MultisigSpend", multisig_spend);
const struct sm_scale_type sm_tx_drain_inner_type =
    SM_SCALE_STRUCT_OF(struct sm_tx_drain_inner, "DrainVaultInner", drain_inner);
const struct sm_scale_type sm_tx_drain_type = SM_SCALE_STRUCT_OF(struct sm_tx_drain, "DrainVault", drain);
const struct sm_scale_type sm_tx_vault_spawn_inner_type =
    SM_SCALE_STRUCT_OF(struct sm_tx_vault_spawn_inner, "VaultSpawnInner", vault_spawn_inner);
const struct sm_scale_type sm_tx_vault_spawn_type =
    SM_SCALE_STRUCT_OF(struct sm_tx_vault_spawn, "VaultSpawn", vault_spawn);

/* ---- addresses ---- */

static sm_err address_of(const struct sm_scale_type *arguments, const void *spawn,
                         const struct sm_address *template_address, struct sm_address *out, struct sm_errinfo *ei)
{
    struct sm_scale_writer w = {0};
    sm_err err = sm_scale_encode(arguments, spawn, &w, ei);
    if (!err) *out = sm_address_of(template_address, (struct sm_slice){w.p, w.n});
    sm_scale_writer_fini(&w);
    return err;
}

sm_err sm_tx_multisig_address(const struct sm_tx_multisig_spawn_inner *spawn, struct sm_address *out,
                              struct sm_errinfo *ei)
{
    static const struct sm_scale_type t =
        SM_SCALE_STRUCT_OF(struct sm_tx_multisig_spawn_inner, NULL, multisig_arguments);
    return address_of(&t, spawn, &spawn->template_address, out, ei);
}

sm_err sm_tx_vault_address(const struct sm_tx_vault_spawn_inner *spawn, struct sm_address *out, struct sm_errinfo *ei)
{
    static const struct sm_scale_type t = SM_SCALE_STRUCT_OF(struct sm_tx_vault_spawn_inner, NULL, vault_arguments);
    return address_of(&t, spawn, &spawn->template_address, out, ei);
}

/* ---- signatures ---- */

/* One pair of a key index and a signature. */
struct part {
    uint64_t index;
    const uint8_t *signature;
};

/* Takes one pair off the front. */
static bool next_part(struct sm_slice *in, struct part *out)
{
    const size_t n = sm_scale_compact_get(8, *in, &out->index);
    if (n == 0 || in->n - n < sizeof(struct sm_signature)) return false;
    out->signature = in->p + n;
    *in = (struct sm_slice){out->signature + sizeof(struct sm_signature), in->n - n - sizeof(struct sm_signature)};
    return true;
}

/* 0: not pairs with ascending indices. */
static size_t count_parts(struct sm_slice in)
{
    struct part p;
    size_t n = 0;
    for (uint64_t lowest = 0; in.n; lowest = p.index + 1, n++)
        if (!next_part(&in, &p) || p.index < lowest || p.index >= SM_TX_KEYS_MAX) return 0;
    return n;
}

bool sm_tx_signatures_valid(const struct sm_genesis_id *genesis, struct sm_slice message, const struct sm_node_id *keys,
                            size_t keys_n, unsigned required, struct sm_slice signatures)
{
    struct part p;
    bool good = required > 0 && count_parts(signatures) == required;
    const struct sm_slice parts[] = {{genesis->b, sizeof genesis->b}, message};
    while (good && signatures.n)
        good =
            next_part(&signatures, &p) && p.index < keys_n && sm_ed25519_verify(keys[p.index].b, parts, 2, p.signature);
    return good;
}

/* ---- facts ---- */

static bool same_address(const struct sm_address *a, const struct sm_address *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static struct sm_slice slice_of(const struct sm_scale_bytes *b)
{
    return (struct sm_slice){b->p, b->n};
}

/* Keys of the principal are known only when it is the account that is being spawned. */
sm_err sm_facts_tx_multisig_spawn(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                                  struct sm_errinfo *ei)
{
    const struct sm_tx_multisig_spawn *tx = obj;
    const struct sm_tx_multisig_spawn_inner *in = &tx->inner;
    struct sm_address account;
    struct sm_tx_bytes bytes;
    sm_err err = sm_tx_multisig_address(in, &account, ei);
    if (!err) err = sm_facts_tx_id(out, ctx, &sm_tx_multisig_spawn_type, tx, &bytes, ei);
    if (err) return err;
    const bool own = same_address(&account, &in->principal);
    const bool good = own && ctx->genesis &&
                      sm_tx_signatures_valid(ctx->genesis, sm_tx_message(&bytes, tx->signatures.n), in->keys.p,
                                             in->keys.n, in->required, slice_of(&tx->signatures));
    sm_scale_writer_fini(&bytes.encoded);
    sm_facts_id(out, "account", account.b, sizeof account.b);
    sm_facts_check(out, "form",
                   in->version == SM_TX_VERSION && in->method == SM_TX_METHOD_SPAWN && in->required > 0 &&
                       in->required <= in->keys.n &&
                       (same_address(&in->template_address, &sm_template_multisig) ||
                        same_address(&in->template_address, &sm_template_vesting)));
    if (own && ctx->genesis)
        sm_facts_check(out, "signature", good);
    else
        sm_facts_unknown(out, "signature", own ? "the genesis ID" : "the public keys of the principal");
    return SM_OK;
}

/* Of one that spends: whose keys they are is in the state of the network. */
static sm_err spending(const struct sm_scale_type *t, const void *tx, bool form,
                       const struct sm_scale_bytes *signatures, const struct sm_object_context *ctx,
                       struct sm_object_facts *out, struct sm_errinfo *ei)
{
    struct sm_tx_bytes bytes;
    sm_err err = sm_facts_tx_id(out, ctx, t, tx, &bytes, ei);
    if (err) return err;
    sm_scale_writer_fini(&bytes.encoded);
    sm_facts_check(out, "form", form && count_parts(slice_of(signatures)) > 0);
    sm_facts_unknown(out, "signature", "the public keys of the principal");
    return SM_OK;
}

sm_err sm_facts_tx_multisig_spend(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                                  struct sm_errinfo *ei)
{
    const struct sm_tx_multisig_spend *tx = obj;
    const bool form = tx->inner.version == SM_TX_VERSION && tx->inner.method == SM_TX_METHOD_SPEND;
    return spending(&sm_tx_multisig_spend_type, tx, form, &tx->signatures, ctx, out, ei);
}

sm_err sm_facts_tx_drain(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                         struct sm_errinfo *ei)
{
    const struct sm_tx_drain *tx = obj;
    const bool form = tx->inner.version == SM_TX_VERSION && tx->inner.method == SM_TX_METHOD_DRAIN;
    return spending(&sm_tx_drain_type, tx, form, &tx->signatures, ctx, out, ei);
}

sm_err sm_facts_tx_vault_spawn(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                               struct sm_errinfo *ei)
{
    const struct sm_tx_vault_spawn *tx = obj;
    const struct sm_tx_vault_spawn_inner *in = &tx->inner;
    struct sm_address vault;
    struct sm_tx_bytes bytes;
    sm_err err = sm_tx_vault_address(in, &vault, ei);
    if (!err) err = sm_facts_tx_id(out, ctx, &sm_tx_vault_spawn_type, tx, &bytes, ei);
    if (err) return err;
    sm_scale_writer_fini(&bytes.encoded);
    sm_facts_id(out, "account", vault.b, sizeof vault.b);
    sm_facts_check(out, "form",
                   in->version == SM_TX_VERSION && in->method == SM_TX_METHOD_SPAWN &&
                       in->initial_unlock <= in->total && in->start <= in->end &&
                       same_address(&in->template_address, &sm_template_vault));
    sm_facts_unknown(out, "signature", "the public keys of the principal");
    return SM_OK;
}
