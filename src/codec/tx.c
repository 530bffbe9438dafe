#include "codec/tx.h"

#include <string.h>

#include "codec/address.h"
#include "codec/facts.h"
#include "codec/hash.h"
#include "crypto/ed25519.h"

#define F SM_SCALE_FIELD

static const struct sm_scale_field spawn_inner[] = {
    F(struct sm_tx_spawn_inner, version, &sm_scale_u8),
    F(struct sm_tx_spawn_inner, principal, &sm_scale_b24),
    F(struct sm_tx_spawn_inner, method, &sm_scale_u8),
    F(struct sm_tx_spawn_inner, template_address, &sm_scale_b24),
    F(struct sm_tx_spawn_inner, nonce, &sm_scale_u64),
    F(struct sm_tx_spawn_inner, gas_price, &sm_scale_u64),
    F(struct sm_tx_spawn_inner, public_key, &sm_scale_b32),
};
const struct sm_scale_type sm_tx_spawn_inner_type =
    SM_SCALE_STRUCT_OF(struct sm_tx_spawn_inner, "WalletSpawnInner", spawn_inner);

static const struct sm_scale_field spawn[] = {
    F(struct sm_tx_spawn, inner, &sm_tx_spawn_inner_type),
    F(struct sm_tx_spawn, signature, &sm_scale_b64),
};
const struct sm_scale_type sm_tx_spawn_type = SM_SCALE_STRUCT_OF(struct sm_tx_spawn, "WalletSpawn", spawn);

static const struct sm_scale_field spend_inner[] = {
    F(struct sm_tx_spend_inner, version, &sm_scale_u8),    F(struct sm_tx_spend_inner, principal, &sm_scale_b24),
    F(struct sm_tx_spend_inner, method, &sm_scale_u8),     F(struct sm_tx_spend_inner, nonce, &sm_scale_u64),
    F(struct sm_tx_spend_inner, gas_price, &sm_scale_u64), F(struct sm_tx_spend_inner, destination, &sm_scale_b24),
    F(struct sm_tx_spend_inner, amount, &sm_scale_u64),
};
const struct sm_scale_type sm_tx_spend_inner_type =
    SM_SCALE_STRUCT_OF(struct sm_tx_spend_inner, "WalletSpendInner", spend_inner);

static const struct sm_scale_field spend[] = {
    F(struct sm_tx_spend, inner, &sm_tx_spend_inner_type),
    F(struct sm_tx_spend, signature, &sm_scale_b64),
};
const struct sm_scale_type sm_tx_spend_type = SM_SCALE_STRUCT_OF(struct sm_tx_spend, "WalletSpend", spend);

bool sm_tx_signature_valid(const struct sm_genesis_id *genesis, struct sm_slice message,
                           const struct sm_node_id *public_key, const struct sm_signature *signature)
{
    const struct sm_slice parts[] = {{genesis->b, sizeof genesis->b}, message};
    return sm_ed25519_verify(public_key->b, parts, 2, signature->b);
}

sm_err sm_facts_tx_id(struct sm_object_facts *f, const struct sm_object_context *ctx, const struct sm_scale_type *t,
                      const void *tx, struct sm_tx_bytes *out, struct sm_errinfo *ei)
{
    struct sm_tx_bytes b = {.all = ctx->received};
    sm_err err = b.all.n ? SM_OK : sm_scale_encode(t, tx, &b.encoded, ei);
    if (err) {
        sm_scale_writer_fini(&b.encoded);
        return err;
    }
    if (!b.all.n) b.all = (struct sm_slice){b.encoded.p, b.encoded.n};
    const struct sm_tx_id id = sm_tx_id_of(b.all);
    sm_facts_id(f, "tx_id", id.b, sizeof id.b);
    *out = b;
    return SM_OK;
}

struct sm_slice sm_tx_message(const struct sm_tx_bytes *b, size_t signature_n)
{
    return (struct sm_slice){b->all.p, b->all.n > signature_n ? b->all.n - signature_n : 0};
}

/* A wallet may be spawned by itself or by another account, whose key is not inside. */
sm_err sm_facts_tx_spawn(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                         struct sm_errinfo *ei)
{
    const struct sm_tx_spawn *tx = obj;
    const struct sm_address wallet = sm_address_of_wallet(tx->inner.public_key.b);
    const bool own = memcmp(&wallet, &tx->inner.principal, sizeof wallet) == 0;
    struct sm_tx_bytes bytes;
    sm_err err = sm_facts_tx_id(out, ctx, &sm_tx_spawn_type, tx, &bytes, ei);
    if (err) return err;
    const bool good = own && ctx->genesis &&
                      sm_tx_signature_valid(ctx->genesis, sm_tx_message(&bytes, sizeof tx->signature),
                                            &tx->inner.public_key, &tx->signature);
    sm_scale_writer_fini(&bytes.encoded);
    sm_facts_id(out, "wallet", wallet.b, sizeof wallet.b);
    sm_facts_check(out, "form",
                   tx->inner.version == SM_TX_VERSION && tx->inner.method == SM_TX_METHOD_SPAWN &&
                       memcmp(&tx->inner.template_address, &sm_template_wallet, sizeof wallet) == 0);
    if (own && ctx->genesis)
        sm_facts_check(out, "signature", good);
    else
        sm_facts_unknown(out, "signature", own ? "the genesis ID" : "the public key of the principal");
    return SM_OK;
}

sm_err sm_facts_tx_spend(const void *obj, const struct sm_object_context *ctx, struct sm_object_facts *out,
                         struct sm_errinfo *ei)
{
    const struct sm_tx_spend *tx = obj;
    struct sm_tx_bytes bytes;
    sm_err err = sm_facts_tx_id(out, ctx, &sm_tx_spend_type, tx, &bytes, ei);
    if (err) return err;
    sm_scale_writer_fini(&bytes.encoded);
    sm_facts_check(out, "form", tx->inner.version == SM_TX_VERSION && tx->inner.method == SM_TX_METHOD_SPEND);
    sm_facts_unknown(out, "signature", "the public key of the principal");
    return SM_OK;
}
