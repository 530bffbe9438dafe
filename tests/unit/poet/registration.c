/* What a registration is made of: certificates, challenges, the signature under domain POET. */
#include <criterion/criterion.h>
#include <sodium.h>

#include "codec/hash.h"
#include "crypto/ed25519.h"
#include "kit.h"
#include "util/text.h"

static void check_certificate(struct sm_slice data, const char *base64, struct sm_slice pubkey, const uint64_t *expires)
{
    struct sm_arena arena = {0};
    struct sm_poet_certificate c;
    struct sm_scale_writer w = {0};
    uint8_t plain[256];
    size_t n;
    cr_assert_eq(sm_base64_decode_var(base64, "data", plain, sizeof plain, &n, NULL), SM_OK);
    cr_assert(kit_same((struct sm_slice){plain, n}, data));
    cr_assert_eq(sm_scale_decode(&sm_poet_certificate_type, data, &arena, &c, NULL), SM_OK);
    cr_assert(kit_same((struct sm_slice){c.pubkey.p, c.pubkey.n}, pubkey));
    cr_assert_eq(c.expiration != NULL, expires != NULL);
    if (expires) cr_assert_eq(*c.expiration, *expires);
    cr_assert_eq(sm_scale_encode(&sm_poet_certificate_type, &c, &w, NULL), SM_OK);
    cr_assert(kit_same((struct sm_slice){w.p, w.n}, data));
    sm_scale_writer_fini(&w);
    sm_arena_free(&arena);
}

Test(registration, certificates)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("poet-certificate.json");
    const json_t *r = vec_get(v, "reference"), *d = vec_get(v, "derived"), *items = kit_cases(d, "items", 2);
    const struct sm_slice node = kit_member(d, "node_id_hex", &arena);
    const struct sm_slice certifier = kit_member(d, "certifier_pubkey_hex", &arena);
    uint64_t expires = vec_u64(r, "expiration_unix");
    check_certificate(kit_member(r, "data_hex", &arena), vec_str(r, "data_base64"), kit_member(r, "pubkey_hex", &arena),
                      &expires);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *c = json_array_get(items, i);
        const bool limited = !json_is_null(json_object_get(c, "expiration_unix"));
        const struct sm_slice data = kit_member(c, "data_hex", &arena);
        uint8_t signature[64], hint[4];
        if (limited) expires = vec_u64(c, "expiration_unix");
        check_certificate(data, vec_str(c, "data_base64"), node, limited ? &expires : NULL);
        vec_hex(c, "signature_hex", signature, 64);
        cr_assert(sm_ed25519_verify(certifier.p, &data, 1, signature), "no domain, no prefix");
        signature[63] ^= 1;
        cr_assert_not(sm_ed25519_verify(certifier.p, &data, 1, signature));
        vec_hex(c, "hint_hex", hint, 4);
        cr_assert_arr_eq(hint, certifier.p, 4);
    }
    json_decref(v);
    sm_arena_free(&arena);
}

static size_t base64_of(const json_t *row, const char *key, uint8_t *out, size_t room)
{
    size_t n;
    cr_assert_eq(sm_base64_decode_var(vec_str(row, key), key, out, room, &n, NULL), SM_OK);
    return n;
}

/* A certifier signs the encoded certificate, without a domain; both directions. */
Test(registration, certificates_of_a_certifier)
{
    json_t *v = vec_load("postsvc-certificates.json");
    const json_t *items = kit_cases(v, "certificates", 3), *numbers = kit_cases(v, "compact_u64", 5);
    uint8_t seed[32], pub[32], made[32], secret[64];
    cr_assert_eq(base64_of(v, "secret_base64", seed, sizeof seed), 32u);
    cr_assert_eq(base64_of(v, "public_base64", pub, sizeof pub), 32u);
    cr_assert_eq(crypto_sign_seed_keypair(made, secret, seed), 0);
    cr_assert_arr_eq(made, pub, 32);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *c = json_array_get(items, i);
        uint8_t data[128], signature[64], ours[64], id[32];
        const struct sm_slice message = {data, base64_of(c, "data_base64", data, sizeof data)};
        const bool limited = !json_is_null(json_object_get(c, "expiration_unix"));
        const uint64_t expires = limited ? vec_u64(c, "expiration_unix") : 0;
        for (size_t k = 0; k < 32; k++) id[k] = (uint8_t)(k % 16 + 1);
        check_certificate(message, vec_str(c, "data_base64"), (struct sm_slice){id, 32}, limited ? &expires : NULL);
        cr_assert_eq(base64_of(c, "signature_base64", signature, sizeof signature), 64u);
        cr_assert(sm_ed25519_verify(pub, &message, 1, signature));
        cr_assert_eq(crypto_sign_detached(ours, NULL, message.p, message.n, secret), 0);
        cr_assert_arr_eq(ours, signature, 64);
    }
    for (size_t i = 0; i < json_array_size(numbers); i++) {
        const json_t *c = json_array_get(numbers, i);
        uint8_t want[9], got[9];
        uint64_t back;
        const size_t n = sm_scale_compact_put(vec_u64(c, "value"), got);
        cr_assert_eq(strlen(vec_str(c, "hex")), 2 * n);
        vec_hex(c, "hex", want, n);
        cr_assert_arr_eq(got, want, n);
        cr_assert_eq(sm_scale_compact_get(64, (struct sm_slice){want, n}, &back), n);
        cr_assert_eq(back, vec_u64(c, "value"));
    }
    json_decref(v);
}

static void check_challenge(const json_t *c, const struct sm_scale_type *t, const void *challenge)
{
    struct sm_arena arena = {0};
    struct sm_scale_writer w = {0};
    struct sm_hash32 hash;
    uint8_t want[32];
    cr_assert_eq(sm_scale_encode(t, challenge, &w, NULL), SM_OK);
    cr_assert(kit_same((struct sm_slice){w.p, w.n}, kit_member(c, "scale_hex", &arena)), "%s", vec_str(c, "name"));
    cr_assert_eq(sm_nipost_challenge_hash(t, challenge, &hash, NULL), SM_OK);
    vec_hex(c, "challenge_hash_hex", want, 32);
    cr_assert_arr_eq(hash.b, want, 32, "%s", vec_str(c, "name"));
    sm_scale_writer_fini(&w);
    sm_arena_free(&arena);
}

Test(registration, challenges)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("poet-derived-challenge-submit.json");
    const json_t *in = vec_get(v, "inputs"), *post = vec_get(in, "initial_post"), *list = kit_cases(v, "challenges", 4);
    const struct sm_slice indices = kit_member(post, "indices_hex", &arena);
    struct sm_post_v1 initial = {.nonce = (uint32_t)vec_u64(post, "nonce"),
                                 .indices = {(uint8_t *)indices.p, indices.n},
                                 .pow = vec_u64(post, "pow")};
    struct sm_atx_id golden, previous, positioning;
    vec_hex(in, "golden_atx_hex", golden.b, 32);
    vec_hex(in, "previous_atx_hex", previous.b, 32);
    vec_hex(in, "positioning_atx_hex", positioning.b, 32);
    const struct sm_nipost_challenge_v1 v1[] = {
        {.publish_epoch = 30, .positioning_atx_id = golden, .commitment_atx_id = &golden, .initial_post = &initial},
        {.publish_epoch = 31, .sequence = 7, .prev_atx_id = previous, .positioning_atx_id = positioning}};
    const struct sm_nipost_challenge_v2 v2[] = {
        {.publish_epoch = 30, .positioning_atx_id = golden, .initial_post = &initial},
        {.publish_epoch = 31, .prev_atx_id = previous, .positioning_atx_id = positioning}};
    for (size_t i = 0; i < 2; i++) {
        check_challenge(json_array_get(list, i), &sm_nipost_challenge_v1_type, &v1[i]);
        check_challenge(json_array_get(list, 2 + i), &sm_nipost_challenge_v2_type, &v2[i]);
    }
    json_decref(v);
    sm_arena_free(&arena);
}

static void check_signature(const char *node_hex, const struct sm_genesis_id *genesis, struct sm_slice challenge,
                            const char *signature_hex)
{
    struct sm_node_id node;
    struct sm_signature signature;
    hex_to(node_hex, node.b, 32);
    hex_to(signature_hex, signature.b, 64);
    cr_assert(sm_signature_valid(genesis, SM_DOMAIN_POET, &node, challenge, &signature));
    cr_assert_not(sm_signature_valid(genesis, SM_DOMAIN_ATX, &node, challenge, &signature));
}

Test(registration, submit_is_signed_under_its_domain)
{
    struct sm_arena arena = {0};
    json_t *derived = vec_load("poet-derived-challenge-submit.json"), *wire = vec_load("wire-poet.json");
    const json_t *s = vec_get(derived, "submit"), *body = vec_get(s, "request_body"),
                 *w = vec_get(wire, "registration");
    struct sm_genesis_id genesis;
    uint8_t prefix[21], challenge[32], signed_message[53], want[53];
    vec_hex(s, "genesis_id_hex", genesis.b, 20);
    cr_assert_eq(vec_u64(s, "domain"), SM_DOMAIN_POET);
    cr_assert_eq(sm_base64_decode(vec_str(body, "prefix"), "prefix", prefix, 21, NULL), SM_OK);
    cr_assert_eq(sm_base64_decode(vec_str(body, "challenge"), "challenge", challenge, 32, NULL), SM_OK);
    cr_assert_arr_eq(prefix, genesis.b, 20);
    cr_assert_eq(prefix[20], SM_DOMAIN_POET);
    memcpy(signed_message, prefix, 21);
    memcpy(signed_message + 21, challenge, 32);
    vec_hex(s, "signed_message_hex", want, 53);
    cr_assert_arr_eq(signed_message, want, 53);
    check_signature(vec_str(s, "node_id_hex"), &genesis, (struct sm_slice){challenge, 32}, vec_str(s, "signature_hex"));
    vec_hex(w, "prefix", prefix, 21);
    memcpy(genesis.b, prefix, 20);
    check_signature(vec_str(w, "pubkey"), &genesis, kit_member(w, "challenge", &arena), vec_str(w, "signature"));
    json_decref(derived);
    json_decref(wire);
    sm_arena_free(&arena);
}

/* The genesis of the network that the other vectors are of. */
Test(registration, genesis_of_the_main_network)
{
    json_t *v = vec_load("poet-mainnet-config.json");
    uint8_t golden[32], genesis[20];
    const struct sm_atx_id made = sm_golden_atx((int64_t)vec_u64(v, "genesis_unix"), vec_str(v, "genesis_extra_data"));
    const struct sm_genesis_id id = sm_genesis_id_of(&made);
    vec_hex(v, "golden_atx_hex", golden, 32);
    vec_hex(v, "genesis_id_hex", genesis, 20);
    cr_assert_arr_eq(made.b, golden, 32);
    cr_assert_arr_eq(id.b, genesis, 20);
    json_decref(v);
}
