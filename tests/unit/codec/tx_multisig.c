/* Accounts with several keys, and vaults. The reference publishes no encoded example: sizes, addresses and signatures are
 * put together here by hand from the table of node-service.md 4.22. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "codec/address.h"
#include "codec/registry.h"
#include "codec/tx.h"
#include "crypto/blake3.h"

#define KEYS 3u

static const struct sm_genesis_id genesis = {{9, 8, 7}};
static struct sm_arena arena;

struct account {
    struct sm_node_id keys[KEYS];
    uint8_t secret[KEYS][64];
    struct sm_tx_multisig_spawn tx;
};

static void make_account(struct account *a, uint8_t required)
{
    *a = (struct account){.tx.inner = {.template_address = sm_template_multisig, .gas_price = 1, .required = required}};
    for (size_t i = 0; i < KEYS; i++) {
        const uint8_t seed[32] = {(uint8_t)(i + 1)};
        cr_assert_eq(crypto_sign_seed_keypair(a->keys[i].b, a->secret[i], seed), 0);
    }
    a->tx.inner.keys = (struct sm_scale_list){a->keys, KEYS};
    cr_assert_eq(sm_tx_multisig_address(&a->tx.inner, &a->tx.inner.principal, NULL), SM_OK);
}

/* Appends a pair of index and signature of the key `signer`. */
static void sign(const struct account *a, uint8_t index, size_t signer, uint8_t *to, size_t *n)
{
    struct sm_scale_writer w = {0};
    uint8_t message[1024];
    cr_assert_eq(sm_scale_encode(&sm_tx_multisig_spawn_inner_type, &a->tx.inner, &w, NULL), SM_OK);
    memcpy(message, genesis.b, 20);
    memcpy(message + 20, w.p, w.n);
    to[(*n)++] = (uint8_t)(index << 2);
    cr_assert_eq(crypto_sign_detached(to + *n, NULL, message, 20 + w.n, a->secret[signer]), 0);
    *n += 64;
    sm_scale_writer_fini(&w);
}

static const struct sm_object *decoded(const char *type, struct sm_slice in, void **out)
{
    const struct sm_object *o = sm_object_find(type);
    struct sm_errinfo ei = {0};
    cr_assert_not_null(o);
    cr_assert_eq(sm_object_decode(o, in, &arena, out, &ei), SM_OK, "%s: %s", type, ei.text);
    return o;
}

/* Encodes, decodes, encodes again; the facts of what came back. */
static struct sm_object_facts facts_of(const char *type, const struct sm_scale_type *t, const void *tx, size_t *out_n)
{
    const struct sm_object_context ctx = {.genesis = &genesis};
    struct sm_object_facts f;
    struct sm_scale_writer w = {0}, again = {0};
    void *back;
    cr_assert_eq(sm_scale_encode(t, tx, &w, NULL), SM_OK);
    const struct sm_object *o = decoded(type, (struct sm_slice){w.p, w.n}, &back);
    cr_assert(sm_scale_equal(t, tx, back));
    cr_assert_eq(sm_scale_size(t, back), w.n);
    cr_assert_eq(sm_object_encode(o, back, &again, NULL), SM_OK);
    cr_assert(again.n == w.n && memcmp(again.p, w.p, w.n) == 0);
    json_t *json = sm_object_json(o, back);
    cr_assert_not_null(json);
    json_decref(json);
    cr_assert_eq(sm_object_facts_of(o, back, &ctx, &f, NULL), SM_OK);
    *out_n = w.n;
    sm_scale_writer_fini(&w);
    sm_scale_writer_fini(&again);
    return f;
}

static sm_known check_of(const struct sm_object_facts *f, const char *name)
{
    for (size_t i = 0; i < f->checks_n; i++)
        if (strcmp(f->checks[i].name, name) == 0) return f->checks[i].known;
    cr_assert_fail("no check %s", name);
    return SM_KNOWN_NOT;
}

static sm_known signature_of(struct account *a, uint8_t *bytes, size_t n)
{
    size_t size;
    a->tx.signatures = (struct sm_scale_bytes){bytes, n};
    const struct sm_object_facts f = facts_of("tx-multisig-spawn", &sm_tx_multisig_spawn_type, &a->tx, &size);
    cr_assert_eq(size, 1 + 24 + 1 + 24 + 1 + 1 + 1 + 1 + 32 * KEYS + n);
    return check_of(&f, "signature");
}

Test(tx_multisig, a_self_spawn_needs_as_many_keys_as_it_says)
{
    struct account a;
    uint8_t s[4 * 65];
    size_t n = 0;
    make_account(&a, 2);
    sign(&a, 0, 0, s, &n);
    cr_assert_eq(signature_of(&a, s, n), SM_KNOWN_BAD, "one of two");
    sign(&a, 2, 2, s, &n);
    cr_assert_eq(signature_of(&a, s, n), SM_KNOWN_GOOD);
    for (size_t i = 0; i < n; i += 13) {
        s[i] ^= 4;
        cr_assert_eq(signature_of(&a, s, n), SM_KNOWN_BAD, "byte %zu", i);
        s[i] ^= 4;
    }
    sign(&a, 3, 1, s, &n);
    cr_assert_eq(signature_of(&a, s, n), SM_KNOWN_BAD, "three of two");
    n = 0;
    sign(&a, 2, 2, s, &n);
    sign(&a, 0, 0, s, &n);
    cr_assert_eq(signature_of(&a, s, n), SM_KNOWN_BAD, "descending");
    n = 0;
    sign(&a, 1, 1, s, &n);
    sign(&a, 1, 1, s, &n);
    cr_assert_eq(signature_of(&a, s, n), SM_KNOWN_BAD, "the same twice");
    n = 0;
    sign(&a, 0, 0, s, &n);
    sign(&a, 3, 2, s, &n);
    cr_assert_eq(signature_of(&a, s, n), SM_KNOWN_BAD, "no such key");
    a.tx.inner.principal.b[23] ^= 1;
    cr_assert_eq(signature_of(&a, s, n), SM_KNOWN_NOT, "spawned by somebody else");
    sm_arena_free(&arena);
}

Test(tx_multisig, the_address_is_the_hash_of_template_and_arguments)
{
    struct account a;
    uint8_t hash[32], zero[4] = {0};
    make_account(&a, 2);
    struct sm_blake3 h;
    sm_blake3_init(&h);
    sm_blake3_update(&h, sm_template_multisig.b, 24);
    sm_blake3_update(&h, (const uint8_t[]){2 << 2, KEYS << 2}, 2);
    sm_blake3_update(&h, a.keys, sizeof a.keys);
    sm_blake3_final(&h, hash);
    cr_assert_arr_eq(a.tx.inner.principal.b, zero, 4);
    cr_assert_arr_eq(a.tx.inner.principal.b + 4, hash + 12, 20);
}

Test(tx_multisig, forms)
{
    struct account a;
    size_t size;
    uint8_t s[65] = {0};
    make_account(&a, 2);
    a.tx.signatures = (struct sm_scale_bytes){s, sizeof s};
    static const struct {
        uint8_t required, method, template_id;
        sm_known want;
    } rows[] = {{2, 0, 2, SM_KNOWN_GOOD}, {3, 0, 3, SM_KNOWN_GOOD}, {0, 0, 2, SM_KNOWN_BAD},
                {4, 0, 2, SM_KNOWN_BAD},  {2, 16, 2, SM_KNOWN_BAD}, {2, 0, 1, SM_KNOWN_BAD}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        a.tx.inner.required = rows[i].required;
        a.tx.inner.method = rows[i].method;
        a.tx.inner.template_address.b[23] = rows[i].template_id;
        const struct sm_object_facts f = facts_of("tx-multisig-spawn", &sm_tx_multisig_spawn_type, &a.tx, &size);
        cr_assert_eq(check_of(&f, "form"), rows[i].want, "row %zu", i);
    }
    struct sm_tx_multisig_spend spend = {.inner = {.method = SM_TX_METHOD_SPEND, .amount = 5},
                                         .signatures = {s, sizeof s}};
    struct sm_object_facts f = facts_of("tx-multisig-spend", &sm_tx_multisig_spend_type, &spend, &size);
    cr_assert_eq(check_of(&f, "form"), SM_KNOWN_GOOD);
    cr_assert_eq(check_of(&f, "signature"), SM_KNOWN_NOT);
    spend.signatures.n = 64;
    f = facts_of("tx-multisig-spend", &sm_tx_multisig_spend_type, &spend, &size);
    cr_assert_eq(check_of(&f, "form"), SM_KNOWN_BAD, "half a pair");
    struct sm_tx_drain drain = {.inner = {.method = SM_TX_METHOD_DRAIN, .amount = 5}, .signatures = {s, sizeof s}};
    f = facts_of("tx-drain-vault", &sm_tx_drain_type, &drain, &size);
    cr_assert_eq(size, 1 + 24 + 1 + 1 + 1 + 24 + 24 + 1 + 65);
    cr_assert_eq(check_of(&f, "form"), SM_KNOWN_GOOD);
    sm_arena_free(&arena);
}

Test(tx_multisig, vaults)
{
    uint8_t s[64] = {0};
    size_t size;
    struct sm_tx_vault_spawn tx = {
        .inner = {.template_address = sm_template_vault, .total = 100, .initial_unlock = 25, .start = 10, .end = 20},
        .signature = {s, sizeof s},
    };
    struct sm_object_facts f = facts_of("tx-vault-spawn", &sm_tx_vault_spawn_type, &tx, &size);
    cr_assert_eq(check_of(&f, "form"), SM_KNOWN_GOOD);
    struct sm_address address;
    cr_assert_eq(sm_tx_vault_address(&tx.inner, &address, NULL), SM_OK);
    cr_assert_arr_eq(f.ids[1].b, address.b, 24);
    tx.inner.initial_unlock = 101;
    f = facts_of("tx-vault-spawn", &sm_tx_vault_spawn_type, &tx, &size);
    cr_assert_eq(check_of(&f, "form"), SM_KNOWN_BAD);
    sm_arena_free(&arena);
}

Test(tx_multisig, limits)
{
    struct account a;
    uint8_t s[65] = {0}, long_rest[SM_TX_BYTES_MAX + 1] = {0};
    struct sm_node_id keys[SM_TX_KEYS_MAX + 1] = {0};
    struct sm_scale_writer w = {0};
    void *back;
    make_account(&a, 2);
    a.tx.signatures = (struct sm_scale_bytes){s, 0};
    cr_assert_eq(sm_scale_encode(&sm_tx_multisig_spawn_type, &a.tx, &w, NULL), SM_E_ARG, "no signature at all");
    a.tx.signatures = (struct sm_scale_bytes){long_rest, sizeof long_rest};
    cr_assert_eq(sm_scale_encode(&sm_tx_multisig_spawn_type, &a.tx, &w, NULL), SM_E_ARG);
    cr_assert_eq(sm_scale_size(&sm_tx_multisig_spawn_type, &a.tx), 0u);
    a.tx.signatures.n = sizeof s;
    a.tx.inner.keys = (struct sm_scale_list){keys, SM_TX_KEYS_MAX + 1};
    cr_assert_eq(sm_scale_encode(&sm_tx_multisig_spawn_type, &a.tx, &w, NULL), SM_E_ARG, "too many keys");
    a.tx.inner.keys.n = SM_TX_KEYS_MAX;
    w.n = 0;
    cr_assert_eq(sm_scale_encode(&sm_tx_multisig_spawn_type, &a.tx, &w, NULL), SM_OK);
    const struct sm_object *o = sm_object_find("tx-multisig-spawn");
    for (size_t n = 0; n <= w.n - sizeof s; n++)
        cr_assert_eq(sm_object_decode(o, (struct sm_slice){w.p, n}, &arena, &back, NULL), SM_E_FORMAT, "%zu bytes", n);
    sm_scale_writer_fini(&w);
    sm_arena_free(&arena);
}
