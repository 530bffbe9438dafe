/* The table of objects: the identifiers and signatures of the vectors, and every single changed byte noticed. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "codec/address.h"
#include "codec/hash.h"
#include "codec/registry.h"
#include "codec/tx.h"
#include "support/vectors.h"

static struct sm_arena arena;

static void facts_of(const char *type, const uint8_t *b, size_t n, const struct sm_object_context *ctx,
                     struct sm_object_facts *out)
{
    const struct sm_object *o = sm_object_find(type);
    struct sm_errinfo ei = {0};
    void *obj;
    cr_assert_not_null(o, "%s", type);
    cr_assert_eq(sm_object_decode(o, (struct sm_slice){b, n}, &arena, &obj, &ei), SM_OK, "%s: %s", type, ei.text);
    cr_assert_eq(sm_object_facts_of(o, obj, ctx, out, &ei), SM_OK, "%s: %s", type, ei.text);
    json_t *json = sm_object_json(o, obj);
    cr_assert_not_null(json);
    json_decref(json);
}

static void facts(const char *type, const json_t *row, const char *key, const struct sm_object_context *ctx,
                  struct sm_object_facts *out)
{
    size_t n;
    uint8_t *b = vec_hex_var(row, key, &n);
    facts_of(type, b, n, ctx, out);
    free(b);
}

static const struct sm_object_id *id_of(const struct sm_object_facts *f, const char *name)
{
    for (size_t i = 0; i < f->ids_n; i++)
        if (strcmp(f->ids[i].name, name) == 0) return &f->ids[i];
    cr_assert_fail("no id %s", name);
    return NULL;
}

static void id_is(const struct sm_object_facts *f, const char *name, const json_t *row, const char *key)
{
    uint8_t want[32];
    const struct sm_object_id *id = id_of(f, name);
    vec_hex(row, key, want, id->n);
    cr_assert_arr_eq(id->b, want, id->n, "%s", name);
}

static sm_known check_of(const struct sm_object_facts *f, const char *name)
{
    for (size_t i = 0; i < f->checks_n; i++)
        if (strcmp(f->checks[i].name, name) == 0) {
            cr_assert((f->checks[i].needs != NULL) == (f->checks[i].known == SM_KNOWN_NOT));
            return f->checks[i].known;
        }
    cr_assert_fail("no check %s", name);
    return SM_KNOWN_NOT;
}

static void genesis_of(const json_t *j, struct sm_genesis_id *out)
{
    vec_hex(j, "genesis_id", out->b, 20);
}

Test(registry, names_are_unique)
{
    for (size_t i = 0; i < sm_objects_n; i++) {
        cr_assert_eq(sm_object_find(sm_objects[i].name), &sm_objects[i]);
        cr_assert(sm_objects[i].summary && (sm_objects[i].form != SM_OBJECT_SCALE) == !sm_objects[i].type);
        if (sm_objects[i].type) cr_assert_eq(sm_object_find(sm_objects[i].type->name), &sm_objects[i], "%zu", i);
    }
    cr_assert_null(sm_object_find("ATX"));
}

Test(registry, activation)
{
    for (int version = 1; version <= 2; version++) {
        json_t *j = vec_load(version == 1 ? "wire-atx-v1.json" : "wire-atx-v2.json"), *row;
        const char *type = version == 1 ? "atx-v1" : "atx-v2";
        struct sm_genesis_id genesis;
        struct sm_object_facts f;
        genesis_of(j, &genesis);
        size_t i;
        json_array_foreach(vec_get(j, "atxs"), i, row)
        {
            facts(type, row, "blob", &(struct sm_object_context){.genesis = &genesis}, &f);
            id_is(&f, "atx_id", row, "id");
            cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_GOOD);
            facts(type, row, "blob", &(struct sm_object_context){0}, &f);
            cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_NOT);
            if (version == 1) id_is(&f, "nipost_challenge", row, "nipost_challenge_hash");
        }
        cr_assert_geq(i, 3u);
        json_decref(j);
    }
    sm_arena_free(&arena);
}

Test(registry, ballots_and_proposals)
{
    json_t *j = vec_load("wire-ballot-proposal.json"), *row;
    struct sm_genesis_id genesis;
    struct sm_object_facts f;
    genesis_of(j, &genesis);
    size_t i;
    json_array_foreach(vec_get(j, "proposals"), i, row)
    {
        const struct sm_object_context ctx = {.genesis = &genesis};
        facts("ballot", row, "ballot_encoded", &ctx, &f);
        id_is(&f, "ballot_id", row, "ballot_id");
        cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_GOOD);
        cr_assert_eq(check_of(&f, "vrf"), SM_KNOWN_NOT);
        facts("proposal", row, "proposal_encoded", &ctx, &f);
        id_is(&f, "ballot_id", row, "ballot_id");
        id_is(&f, "proposal_id", row, "proposal_id");
        cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_GOOD);
        cr_assert_eq(check_of(&f, "ballot_signature"), SM_KNOWN_GOOD);
        genesis.b[3] ^= 1;
        facts("proposal", row, "proposal_encoded", &ctx, &f);
        cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_BAD);
        cr_assert_eq(check_of(&f, "ballot_signature"), SM_KNOWN_BAD);
        genesis.b[3] ^= 1;
    }
    cr_assert_eq(i, 2u);
    json_decref(j);
    sm_arena_free(&arena);
}

Test(registry, hare_and_certificates)
{
    json_t *j = vec_load("wire-hare.json"), *row;
    struct sm_genesis_id genesis;
    struct sm_beacon beacon;
    struct sm_object_facts f;
    genesis_of(j, &genesis);
    vec_hex(j, "beacon", beacon.b, 4);
    const struct sm_object_context ctx = {.genesis = &genesis, .beacon = &beacon};
    size_t i;
    json_array_foreach(vec_get(j, "hare3"), i, row)
    {
        facts("hare3", row, "message", &ctx, &f);
        id_is(&f, "body_hash", row, "msg_hash");
        cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_GOOD, "%s", vec_str(row, "name"));
        cr_assert_eq(check_of(&f, "vrf"), SM_KNOWN_GOOD, "%s", vec_str(row, "name"));
    }
    cr_assert_eq(i, 5u);
    json_array_foreach(vec_get(j, "hare4"), i, row)
    {
        facts("hare4", row, "message_on_gossip", &ctx, &f);
        id_is(&f, "message_id", row, i == 0 ? "compact_message_id" : "signed_msg_hash");
        cr_assert_eq(check_of(&f, "signature"),
                     strcmp(vec_str(row, "name"), "preround") == 0 ? SM_KNOWN_NOT : SM_KNOWN_GOOD, "%s",
                     vec_str(row, "name"));
        cr_assert_eq(check_of(&f, "vrf"), SM_KNOWN_GOOD);
    }
    const json_t *c = vec_get(j, "certify");
    facts("certify-message", c, "message", &ctx, &f);
    cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_GOOD);
    cr_assert_eq(check_of(&f, "vrf"), SM_KNOWN_GOOD);
    facts("certificate", c, "certificate", &ctx, &f);
    cr_assert_eq(check_of(&f, "signatures"), SM_KNOWN_GOOD);
    cr_assert_eq(check_of(&f, "of_block"), SM_KNOWN_GOOD);
    beacon.b[0] ^= 1;
    facts("certify-message", c, "message", &ctx, &f);
    cr_assert_eq(check_of(&f, "vrf"), SM_KNOWN_BAD);
    json_decref(j);
    sm_arena_free(&arena);
}

Test(registry, malfeasance)
{
    json_t *j = vec_load("wire-malfeasance.json"), *row;
    struct sm_genesis_id genesis;
    struct sm_object_facts f;
    genesis_of(j, &genesis);
    const struct sm_object_context ctx = {.genesis = &genesis};
    size_t i;
    json_array_foreach(vec_get(j, "proofs"), i, row)
    {
        facts("malfeasance", row, "proof", &ctx, &f);
        cr_assert_eq(check_of(&f, "conflict"), SM_KNOWN_GOOD);
        cr_assert_eq(check_of(&f, "signatures"), SM_KNOWN_GOOD);
        facts("malfeasance-gossip", row, "gossip", &(struct sm_object_context){0}, &f);
        cr_assert_eq(check_of(&f, "conflict"), SM_KNOWN_GOOD);
        cr_assert_eq(check_of(&f, "signatures"), SM_KNOWN_NOT);
    }
    cr_assert_eq(i, 3u);
    json_decref(j);
    sm_arena_free(&arena);
}

Test(registry, beacon_and_poet)
{
    json_t *j = vec_load("wire-beacon.json");
    const json_t *m = vec_get(j, "messages");
    struct sm_genesis_id genesis;
    struct sm_object_facts f;
    json_t *g = vec_load("wire-signing.json");
    vec_hex(g, "prefix", genesis.b, 20);
    json_decref(g);
    const struct sm_object_context ctx = {.genesis = &genesis};
    facts("beacon-first-voting", m, "first_voting", &ctx, &f);
    cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_GOOD);
    facts("beacon-following-voting", m, "following_voting", &ctx, &f);
    cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_GOOD);
    const uint64_t wrong = 3;
    facts("beacon-proposal", m, "proposal", &(struct sm_object_context){.vrf_nonce = &wrong}, &f);
    cr_assert_eq(check_of(&f, "vrf"), SM_KNOWN_BAD);
    facts("weak-coin", m, "weak_coin", &ctx, &f);
    cr_assert_eq(check_of(&f, "vrf"), SM_KNOWN_NOT);
    json_decref(j);
    j = vec_load("wire-poet.json");
    const json_t *e = vec_get(j, "proof_encoding");
    facts("poet-proof", e, "poet_proof_encoded", &ctx, &f);
    id_is(&f, "poet_ref", e, "ref");
    facts("PoetProofMessage", e, "poet_proof_message_encoded", &ctx, &f);
    id_is(&f, "poet_ref", e, "ref");
    json_decref(j);
    sm_arena_free(&arena);
}

static struct sm_tx_spawn spawn_of(const uint8_t seed[32], const struct sm_genesis_id *genesis)
{
    struct sm_tx_spawn tx = {.inner = {.template_address = sm_template_wallet, .nonce = 0, .gas_price = 1}};
    uint8_t secret[64], message[256];
    struct sm_scale_writer w = {0};
    cr_assert_eq(crypto_sign_seed_keypair(tx.inner.public_key.b, secret, seed), 0);
    tx.inner.principal = sm_address_of_wallet(tx.inner.public_key.b);
    cr_assert_eq(sm_scale_encode(&sm_tx_spawn_inner_type, &tx.inner, &w, NULL), SM_OK);
    memcpy(message, genesis->b, 20);
    memcpy(message + 20, w.p, w.n);
    cr_assert_eq(crypto_sign_detached(tx.signature.b, NULL, message, 20 + w.n, secret), 0);
    sm_scale_writer_fini(&w);
    return tx;
}

Test(registry, transactions)
{
    const uint8_t seed[32] = {1};
    struct sm_genesis_id genesis = {{9, 8, 7}};
    const struct sm_object_context ctx = {.genesis = &genesis};
    struct sm_object_facts f;
    struct sm_scale_writer w = {0};
    struct sm_tx_spawn tx = spawn_of(seed, &genesis);
    cr_assert_eq(sm_scale_encode(&sm_tx_spawn_type, &tx, &w, NULL), SM_OK);
    cr_assert_eq(w.n, 148u, "the size of a self-spawn, node-service.md 4.22");
    facts_of("tx-spawn", w.p, w.n, &ctx, &f);
    const struct sm_tx_id id = sm_tx_id_of((struct sm_slice){w.p, w.n});
    cr_assert_arr_eq(id_of(&f, "tx_id")->b, id.b, 32);
    cr_assert_arr_eq(id_of(&f, "wallet")->b, tx.inner.principal.b, 24);
    cr_assert_eq(check_of(&f, "form"), SM_KNOWN_GOOD);
    cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_GOOD);
    w.p[147] ^= 1;
    facts_of("tx-spawn", w.p, w.n, &ctx, &f);
    cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_BAD);
    w.p[5] ^= 1; /* another principal */
    facts_of("tx-spawn", w.p, w.n, &ctx, &f);
    cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_NOT);
    sm_scale_writer_fini(&w);

    /* payloads of the reference's wallet tests: {nonce, gas price} after version, principal, method */
    struct sm_tx_spend spend = {.inner = {.method = SM_TX_METHOD_SPEND, .nonce = 1543, .gas_price = 256, .amount = 5}};
    static const uint8_t payload1[] = {0x1d, 0x18, 0x01, 0x04}, payload2[] = {0x1d, 0x18, 0xf6, 0x78, 0x84, 0x1a};
    cr_assert_eq(sm_scale_encode(&sm_tx_spend_type, &spend, &w, NULL), SM_OK);
    cr_assert_eq(w.p[25], SM_TX_METHOD_SPEND << 2);
    cr_assert_arr_eq(w.p + 26, payload1, sizeof payload1);
    facts_of("tx-spend", w.p, w.n, &ctx, &f);
    cr_assert_eq(check_of(&f, "form"), SM_KNOWN_GOOD);
    cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_NOT);
    sm_scale_writer_fini(&w);
    spend.inner.gas_price = 111222333;
    cr_assert_eq(sm_scale_encode(&sm_tx_spend_type, &spend, &w, NULL), SM_OK);
    cr_assert_arr_eq(w.p + 26, payload2, sizeof payload2);
    sm_scale_writer_fini(&w);
    sm_arena_free(&arena);
}

/* A nonce of 2^30 in the longest mode: accepted, and the network knows the transaction by just these bytes. */
Test(registry, transactions_are_known_by_the_bytes_received)
{
    const uint8_t seed[32] = {2};
    static const uint8_t longest[9] = {0x13, 0, 0, 0, 0x40};
    const size_t nonce_at = 1 + 24 + 1 + 24;
    struct sm_genesis_id genesis = {{9, 8, 7}};
    struct sm_object_context ctx = {.genesis = &genesis};
    struct sm_object_facts f;
    struct sm_tx_spawn tx = spawn_of(seed, &genesis);
    uint8_t pk[32], secret[64], raw[20 + 256];
    size_t n = 0;
    struct sm_scale_writer w = {0};
    cr_assert_eq(crypto_sign_seed_keypair(pk, secret, seed), 0);
    cr_assert_eq(sm_scale_encode(&sm_tx_spawn_inner_type, &tx.inner, &w, NULL), SM_OK);
    memcpy(raw, genesis.b, n = 20);
    memcpy(raw + n, w.p, nonce_at), n += nonce_at;
    memcpy(raw + n, longest, sizeof longest), n += sizeof longest;
    memcpy(raw + n, w.p + nonce_at + 1, w.n - nonce_at - 1), n += w.n - nonce_at - 1;
    cr_assert_eq(crypto_sign_detached(raw + n, NULL, raw, n, secret), 0);
    n += 64 - 20;
    ctx.received = (struct sm_slice){raw + 20, n};
    facts_of("tx-spawn", raw + 20, n, &ctx, &f);
    const struct sm_tx_id id = sm_tx_id_of(ctx.received);
    cr_assert_arr_eq(id_of(&f, "tx_id")->b, id.b, 32);
    cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_GOOD);
    ctx.received = (struct sm_slice){0};
    facts_of("tx-spawn", raw + 20, n, &ctx, &f);
    cr_assert_arr_neq(id_of(&f, "tx_id")->b, id.b, 32);
    cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_BAD, "of the canonical bytes");
    sm_scale_writer_fini(&w);
    sm_arena_free(&arena);
}

Test(registry, a_changed_byte_never_keeps_a_good_signature)
{
    json_t *j = vec_load("wire-atx-v1.json");
    struct sm_genesis_id genesis;
    genesis_of(j, &genesis);
    const struct sm_object_context ctx = {.genesis = &genesis};
    const struct sm_object *o = sm_object_find("atx-v1");
    size_t n, decoded = 0;
    uint8_t *b = vec_hex_var(json_array_get(vec_get(j, "atxs"), 0), "blob", &n);
    for (size_t i = 0; i < n; i++) {
        void *obj;
        struct sm_object_facts f;
        b[i] ^= 1;
        if (sm_object_decode(o, (struct sm_slice){b, n}, &arena, &obj, NULL) == SM_OK) {
            cr_assert_eq(sm_object_facts_of(o, obj, &ctx, &f, NULL), SM_OK);
            cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_BAD, "byte %zu", i);
            decoded++;
        }
        b[i] ^= 1;
    }
    cr_assert_gt(decoded, n / 2);
    free(b);
    json_decref(j);
    sm_arena_free(&arena);
}
