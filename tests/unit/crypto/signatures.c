/* Ed25519 as the network judges it, and the VRF. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/ecvrf.h"
#include "crypto/ed25519.h"
#include "crypto/edwards.h"
#include "support/vectors.h"

static void key_of(const uint8_t seed[32], uint8_t secret[64])
{
    uint8_t pk[32];
    cr_assert_eq(crypto_sign_seed_keypair(pk, secret, seed), 0);
}

Test(fe25519, agrees_with_itself)
{
    cr_log_info("random elements from libsodium");
    for (int i = 0; i < 500; i++) {
        uint8_t a[32], b[32], x[32], y[32];
        randombytes_buf(a, 32);
        randombytes_buf(b, 32);
        const sm_fe fa = sm_fe_load(a), fb = sm_fe_load(b);
        sm_fe_store(x, sm_fe_mul(fa, fb));
        sm_fe_store(y, sm_fe_mul(fb, fa));
        cr_assert_arr_eq(x, y, 32);
        cr_assert(sm_fe_equal(sm_fe_sq(fa), sm_fe_mul(fa, fa)));
        cr_assert(sm_fe_equal(sm_fe_mul(sm_fe_add(fa, fb), sm_fe_sub(fa, fb)), sm_fe_sub(sm_fe_sq(fa), sm_fe_sq(fb))));
        cr_assert(sm_fe_equal(sm_fe_mul(fa, sm_fe_invert(fa)), sm_fe_one));
        cr_assert(sm_fe_equal(sm_fe_small(fa, 486662), sm_fe_mul(fa, (sm_fe){{486662}})));
        sm_fe root;
        cr_assert(sm_fe_sqrt(sm_fe_sq(fa), &root));
        cr_assert(!sm_fe_is_odd(root) && sm_fe_equal(sm_fe_sq(root), sm_fe_sq(fa)));
    }
    uint8_t p[32];
    memset(p, 0xff, 32);
    p[0] = 0xed;
    p[31] = 0x7f;
    cr_assert(sm_fe_is_zero(sm_fe_load(p)));
    uint8_t all[32], out[32];
    memset(all, 0xff, 32); /* 2^255 - 1 = p + 18 */
    sm_fe_store(out, sm_fe_load(all));
    cr_assert_eq(out[0], 18);
    cr_assert(sm_fe_equal(sm_fe_sq(sm_fe_sqrt_m1), sm_fe_neg(sm_fe_one)));
}

Test(edwards, multiplies_as_libsodium)
{
    for (int i = 0; i < 50; i++) {
        uint8_t wide[64], a[32], b[32], p[32], ap[32], bb[32], want[32], got[32];
        randombytes_buf(wide, 64);
        crypto_core_ed25519_scalar_reduce(a, wide);
        randombytes_buf(wide, 64);
        crypto_core_ed25519_scalar_reduce(b, wide);
        crypto_core_ed25519_random(p);
        cr_assert_eq(crypto_scalarmult_ed25519_noclamp(ap, a, p), 0);
        cr_assert_eq(crypto_scalarmult_ed25519_base_noclamp(bb, b), 0);
        cr_assert_eq(crypto_core_ed25519_add(want, ap, bb), 0);
        struct sm_point fp, r;
        cr_assert(sm_point_load(p, &fp));
        sm_point_mul2_base(&r, a, &fp, b);
        sm_point_store(got, &r);
        cr_assert_arr_eq(got, want, 32);
    }
}

/* a P by doubling and adding, bit by bit. */
static void slow_mul(struct sm_point *out, const uint8_t a[32], const struct sm_point *p)
{
    sm_point_identity(out);
    for (int i = 255; i >= 0; i--) {
        sm_point_double(out, out);
        if (a[i / 8] >> (i % 8) & 1) sm_point_add(out, out, p);
    }
}

static void same_point(const struct sm_point *a, const struct sm_point *b)
{
    uint8_t x[32], y[32];
    sm_point_store(x, a);
    sm_point_store(y, b);
    cr_assert_arr_eq(x, y, 32);
    cr_assert(sm_fe_equal(sm_fe_mul(a->x, a->y), sm_fe_mul(a->z, a->t)), "T does not fit X and Y");
}

Test(edwards, edge_scalars_and_torsion)
{
    static const char *const scalars[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0800000000000000000000000000000000000000000000000000000000000000",
        "ffffffffffffffffffffffffffffffff00000000000000000000000000000000",
        "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", /* order - 1 */
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff1f", /* 2^253 - 1 */
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0a",
    };
    static const char base_hex[] = "5866666666666666666666666666666666666666666666666666666666666666";
    static const char *const points[] = {base_hex, "0100000000000000000000000000000000000000000000000000000000000000",
                                         "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"};
    const size_t n = sizeof scalars / sizeof scalars[0];
    struct sm_point base, p, x, y, want, got;
    uint8_t b[32], sa[32], sb[32];
    hex_to(base_hex, b, 32);
    cr_assert(sm_point_load(b, &base));
    for (size_t i = 0; i < n * n * 3; i++) {
        hex_to(scalars[i % n], sa, 32);
        hex_to(scalars[i / n % n], sb, 32);
        hex_to(points[i / (n * n)], b, 32);
        cr_assert(sm_point_load(b, &p));
        slow_mul(&x, sa, &p);
        slow_mul(&y, sb, &base);
        sm_point_add(&want, &x, &y);
        sm_point_mul2_base(&got, sa, &p, sb);
        same_point(&got, &want);
        sm_point_mul2(&got, sa, &p, sb, &base);
        same_point(&got, &want);
        sm_point_mul2(&got, sb, &base, sa, &p);
        same_point(&got, &want);
    }
}

static const struct {
    const char *name;
    sm_domain domain;
} domains[] = {
    {"ATX", SM_DOMAIN_ATX},
    {"PROPOSAL", SM_DOMAIN_PROPOSAL},
    {"BALLOT", SM_DOMAIN_BALLOT},
    {"HARE", SM_DOMAIN_HARE},
    {"POET", SM_DOMAIN_POET},
    {"MARRIAGE", SM_DOMAIN_MARRIAGE},
    {"BEACON_FIRST_MSG", SM_DOMAIN_BEACON_FIRST},
    {"BEACON_FOLLOWUP_MSG", SM_DOMAIN_BEACON_FOLLOWUP},
};

Test(ed25519, signatures_of_the_reference)
{
    json_t *j = vec_load("wire-signing.json"), *row;
    struct sm_genesis_id genesis;
    vec_hex(j, "prefix", genesis.b, 20);
    cr_assert_eq(json_array_size(vec_get(j, "keys")), 3u);
    uint8_t seed[32], secret[64], private_key[64];
    struct sm_node_id id;
    size_t i;
    json_array_foreach(vec_get(j, "keys"), i, row)
    {
        vec_hex(row, "private_key_64", private_key, 64);
        vec_hex(row, "seed", seed, 32);
        vec_hex(row, "node_id", id.b, 32);
        key_of(seed, secret);
        cr_assert_arr_eq(secret + 32, id.b, 32);
        cr_assert_arr_eq(secret, private_key, 64);
    }
    cr_assert_eq(json_array_size(vec_get(j, "domains")), 8u);
    vec_hex(json_array_get(vec_get(j, "keys"), 0), "node_id", id.b, 32);
    json_array_foreach(vec_get(j, "domains"), i, row)
    {
        struct sm_signature sig;
        size_t n;
        uint8_t *msg = vec_hex_var(row, "message", &n);
        vec_hex(row, "signature", sig.b, 64);
        const sm_domain domain = (sm_domain)vec_u64(row, "domain_byte");
        cr_assert(sm_signature_valid(&genesis, domain, &id, (struct sm_slice){msg, n}, &sig), "%s",
                  vec_str(row, "domain"));
        cr_assert_eq(domain, domains[i].domain);
        cr_assert_str_eq(vec_str(row, "domain"), domains[i].name);
        size_t whole_n;
        uint8_t *whole = vec_hex_var(row, "signed_preimage", &whole_n);
        cr_assert(sm_ed25519_verify(id.b, &(struct sm_slice){whole, whole_n}, 1, sig.b));
        free(whole);
        cr_assert_not(sm_signature_valid(&genesis, (sm_domain)(domain + 20), &id, (struct sm_slice){msg, n}, &sig));
        for (size_t k = 0; k < 64; k += 7) {
            sig.b[k] ^= 1;
            cr_assert_not(sm_signature_valid(&genesis, domain, &id, (struct sm_slice){msg, n}, &sig));
            sig.b[k] ^= 1;
        }
        genesis.b[0] ^= 1;
        cr_assert_not(sm_signature_valid(&genesis, domain, &id, (struct sm_slice){msg, n}, &sig));
        genesis.b[0] ^= 1;
        free(msg);
    }
    json_decref(j);
}

/* A point of order 8: libsodium's blacklist, ge25519_has_small_order. */
static const char order8_hex[] = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";

/* Signs with secret scalar a (public key A + `torsion` if any), adding torsion to R too. */
static void hostile(const struct sm_point *torsion_a, const struct sm_point *torsion_r, const char *msg, uint8_t pk[32],
                    uint8_t sig[64])
{
    uint8_t a[32], r[32], k[32], wide[64];
    struct sm_point p;
    crypto_core_ed25519_scalar_random(a);
    crypto_core_ed25519_scalar_random(r);
    cr_assert_eq(crypto_scalarmult_ed25519_base_noclamp(pk, a), 0);
    cr_assert_eq(crypto_scalarmult_ed25519_base_noclamp(sig, r), 0);
    if (torsion_a) {
        cr_assert(sm_point_load(pk, &p));
        sm_point_add(&p, &p, torsion_a);
        sm_point_store(pk, &p);
    }
    if (torsion_r) {
        cr_assert(sm_point_load(sig, &p));
        sm_point_add(&p, &p, torsion_r);
        sm_point_store(sig, &p);
    }
    crypto_hash_sha512_state h;
    (void)crypto_hash_sha512_init(&h);
    (void)crypto_hash_sha512_update(&h, sig, 32);
    (void)crypto_hash_sha512_update(&h, pk, 32);
    (void)crypto_hash_sha512_update(&h, (const uint8_t *)msg, strlen(msg));
    (void)crypto_hash_sha512_final(&h, wide);
    crypto_core_ed25519_scalar_reduce(k, wide);
    crypto_core_ed25519_scalar_mul(k, k, a);
    crypto_core_ed25519_scalar_add(sig + 32, k, r);
}

Test(ed25519, cofactored_where_libsodium_is_not)
{
    uint8_t b[32], pk[32], sig[64];
    struct sm_point t;
    const char *msg = "hostile";
    const struct sm_slice part = {(const uint8_t *)msg, strlen(msg)};
    hex_to(order8_hex, b, 32);
    cr_assert(sm_point_load(b, &t) && sm_point_small_order(&t));
    for (int i = 0; i < 20; i++) {
        hostile(NULL, NULL, msg, pk, sig);
        cr_assert(sm_ed25519_verify(pk, &part, 1, sig));
        cr_assert_eq(crypto_sign_verify_detached(sig, part.p, part.n, pk), 0);
        hostile(NULL, &t, msg, pk, sig);
        cr_assert(sm_ed25519_verify(pk, &part, 1, sig), "R with a torsion component");
        cr_assert_neq(crypto_sign_verify_detached(sig, part.p, part.n, pk), 0);
        hostile(&t, NULL, msg, pk, sig);
        cr_assert(sm_ed25519_verify(pk, &part, 1, sig), "A with a torsion component");
    }
}

Test(ed25519, refuses_what_the_reference_refuses)
{
    uint8_t seed[32] = {1}, secret[64], sig[64], bad[64];
    key_of(seed, secret);
    const struct sm_slice msg = {(const uint8_t *)"m", 1};
    (void)crypto_sign_detached(sig, NULL, msg.p, msg.n, secret);
    cr_assert(sm_ed25519_verify(secret + 32, &msg, 1, sig));
    /* S + order */
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                      0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    memcpy(bad, sig, 64);
    unsigned carry = 0;
    for (int i = 0; i < 32; i++) {
        carry += bad[32 + i] + order[i];
        bad[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    cr_assert_not(sm_ed25519_verify(secret + 32, &msg, 1, bad), "S not below the order");
    /* public keys of small order verify anything under S = 0, R = identity: refused */
    static const char *const small[] = {
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        order8_hex,
        "0100000000000000000000000000000000000000000000000000000000000080", /* not canonical: -0 */
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* not canonical: y = p + 1 */
    };
    memset(bad, 0, 64);
    bad[0] = 1;
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        uint8_t pk[32];
        hex_to(small[i], pk, 32);
        cr_assert_not(sm_ed25519_verify(pk, &msg, 1, bad), "%s", small[i]);
    }
    /* R of small order is allowed: S B = R + k A with R = 0, so S = k a */
    uint8_t k[32], wide[64], a[32];
    crypto_hash_sha512_state h;
    crypto_hash_sha512(wide, secret, 32);
    wide[0] &= 248;
    wide[31] = (uint8_t)((wide[31] & 127) | 64);
    memset(wide + 32, 0, 32);
    crypto_core_ed25519_scalar_reduce(a, wide);
    (void)crypto_hash_sha512_init(&h);
    (void)crypto_hash_sha512_update(&h, bad, 32);
    (void)crypto_hash_sha512_update(&h, secret + 32, 32);
    (void)crypto_hash_sha512_update(&h, msg.p, msg.n);
    (void)crypto_hash_sha512_final(&h, wide);
    crypto_core_ed25519_scalar_reduce(k, wide);
    crypto_core_ed25519_scalar_mul(bad + 32, k, a);
    cr_assert(sm_ed25519_verify(secret + 32, &msg, 1, bad));
}

static void prove_and_verify(const uint8_t seed[32], const json_t *row)
{
    uint8_t secret[64], want[80], beta[64], want_beta[64];
    struct sm_vrf_proof pi;
    struct sm_node_id id;
    size_t n;
    key_of(seed, secret);
    memcpy(id.b, secret + 32, 32);
    uint8_t *alpha = vec_hex_var(row, "alpha", &n);
    vec_hex(row, "pi", want, 80);
    cr_assert_eq(sm_ecvrf_prove(secret, (struct sm_slice){alpha, n}, &pi, NULL), SM_OK);
    cr_assert_arr_eq(pi.b, want, 80);
    cr_assert(sm_ecvrf_verify(&id, (struct sm_slice){alpha, n}, &pi));
    vec_hex(row, "beta", want_beta, 64);
    cr_assert(sm_ecvrf_beta(&pi, beta));
    cr_assert_arr_eq(beta, want_beta, 64);
    for (size_t k = 0; k < 80; k += 3) {
        pi.b[k] ^= 0x10;
        cr_assert_not(sm_ecvrf_verify(&id, (struct sm_slice){alpha, n}, &pi), "byte %zu", k);
        pi.b[k] ^= 0x10;
    }
    id.b[5] ^= 1;
    cr_assert_not(sm_ecvrf_verify(&id, (struct sm_slice){alpha, n}, &pi));
    free(alpha);
}

Test(ecvrf, vectors)
{
    json_t *j = vec_load("wire-vrf.json"), *row;
    uint8_t seed[32], pk[32], secret[64];
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "ietf_vectors_constants_of_the_reference_library_test")), 3u);
    json_array_foreach(vec_get(j, "ietf_vectors_constants_of_the_reference_library_test"), i, row)
    {
        vec_hex(row, "sk_seed", seed, 32);
        vec_hex(row, "pk", pk, 32);
        key_of(seed, secret);
        cr_assert_arr_eq(secret + 32, pk, 32);
        prove_and_verify(seed, row);
    }
    vec_hex(j, "key_seed", seed, 32);
    cr_assert_eq(json_array_size(vec_get(j, "messages")), 7u);
    json_array_foreach(vec_get(j, "messages"), i, row) prove_and_verify(seed, row);
    struct sm_node_id id;
    vec_hex(j, "node_id", id.b, 32);
    cr_assert_eq(json_array_size(vec_get(j, "mutated_proofs")), 6u);
    json_array_foreach(vec_get(j, "mutated_proofs"), i, row)
    {
        struct sm_vrf_proof pi;
        size_t n;
        uint8_t *alpha = vec_hex_var(row, "alpha", &n);
        vec_hex(row, "pi", pi.b, 80);
        cr_assert_eq(sm_ecvrf_verify(&id, (struct sm_slice){alpha, n}, &pi), json_is_true(vec_get(row, "valid")), "%zu",
                     i);
        free(alpha);
    }
    json_decref(j);
}

Test(ed25519, registration_at_a_poet)
{
    json_t *j = vec_load("wire-poet.json");
    const json_t *r = vec_get(j, "registration");
    uint8_t prefix[21], challenge[32];
    struct sm_genesis_id genesis;
    struct sm_node_id id;
    struct sm_signature sig;
    vec_hex(r, "prefix", prefix, 21);
    vec_hex(r, "challenge", challenge, 32);
    vec_hex(r, "pubkey", id.b, 32);
    vec_hex(r, "signature", sig.b, 64);
    memcpy(genesis.b, prefix, 20);
    cr_assert_eq(prefix[20], SM_DOMAIN_POET);
    cr_assert(sm_signature_valid(&genesis, SM_DOMAIN_POET, &id, (struct sm_slice){challenge, 32}, &sig));
    challenge[31] ^= 1;
    cr_assert_not(sm_signature_valid(&genesis, SM_DOMAIN_POET, &id, (struct sm_slice){challenge, 32}, &sig));
    json_decref(j);
}
