#include "crypto/ecvrf.h"

#include <sodium.h>
#include <string.h>

#include "crypto/edwards.h"

#define SUITE 0x04

/* ---- encode to curve ---- */

static const uint8_t dst[] = "ECVRF_edwards25519_XMD:SHA-512_ELL2_NU_\x04\x28"; /* with its length, 40, behind it */
#define DST_BYTES (sizeof dst - 1)

/* expand_message_xmd for one field element: 48 bytes, big-endian, mod p. */
static sm_fe hash_to_field(const uint8_t salt[32], struct sm_slice alpha)
{
    static const uint8_t zero[128], tail[3] = {0, 48, 0};
    uint8_t b0[64], b1[64], lo[32] = {0}, hi[32] = {0};
    const uint8_t one = 1;
    crypto_hash_sha512_state h;
    (void)crypto_hash_sha512_init(&h);
    (void)crypto_hash_sha512_update(&h, zero, sizeof zero);
    (void)crypto_hash_sha512_update(&h, salt, 32);
    if (alpha.n) (void)crypto_hash_sha512_update(&h, alpha.p, alpha.n);
    (void)crypto_hash_sha512_update(&h, tail, sizeof tail);
    (void)crypto_hash_sha512_update(&h, dst, DST_BYTES);
    (void)crypto_hash_sha512_final(&h, b0);
    (void)crypto_hash_sha512_init(&h);
    (void)crypto_hash_sha512_update(&h, b0, sizeof b0);
    (void)crypto_hash_sha512_update(&h, &one, 1);
    (void)crypto_hash_sha512_update(&h, dst, DST_BYTES);
    (void)crypto_hash_sha512_final(&h, b1);
    for (int i = 0; i < 24; i++) { /* u = hi * 2^192 + lo, each below 2^192 */
        lo[i] = b1[47 - i];
        hi[i] = b1[23 - i];
    }
    static const uint8_t two192[32] = {[24] = 1};
    return sm_fe_add(sm_fe_mul(sm_fe_load(hi), sm_fe_load(two192)), sm_fe_load(lo));
}

/* A = 486662 of the Montgomery curve. */
#define MONT_A 486662u

/* x^3 + A x^2 + x */
static sm_fe curve(sm_fe x)
{
    const sm_fe x2 = sm_fe_sq(x);
    return sm_fe_add(sm_fe_add(sm_fe_mul(x2, x), sm_fe_small(x2, MONT_A)), x);
}

static sm_fe normal(sm_fe a)
{
    return sm_fe_mul(a, sm_fe_one);
}

/* Elligator 2 to a point of curve25519, then to edwards25519. */
static void map_to_curve(sm_fe u, struct sm_point *out)
{
    const sm_fe a = sm_fe_small(sm_fe_one, MONT_A), u2 = sm_fe_sq(u);
    const sm_fe w = normal(sm_fe_add(sm_fe_add(u2, u2), sm_fe_one));
    sm_fe s = sm_fe_neg(sm_fe_is_zero(w) ? a : sm_fe_mul(a, sm_fe_invert(w))), t;
    if (sm_fe_sqrt(normal(curve(s)), &t)) {
        t = sm_fe_neg(t); /* odd parity; zero stays zero */
    } else {
        s = sm_fe_neg(sm_fe_add(s, a));
        (void)sm_fe_sqrt(normal(curve(s)), &t); /* a square, as g(x1) is none */
    }
    const sm_fe s1 = normal(sm_fe_add(s, sm_fe_one));
    if (sm_fe_is_zero(t) || sm_fe_is_zero(s1)) {
        sm_point_identity(out);
        return;
    }
    /* c = sqrt(-486664), even parity: wire.md §3.5 */
    static const uint8_t c_bytes[32] = {0x06, 0x7e, 0x45, 0xff, 0xaa, 0x04, 0x6e, 0xcc, 0x82, 0x1a, 0x7d,
                                        0x4b, 0xd1, 0xd3, 0xa1, 0xc5, 0x7e, 0x4f, 0xfc, 0x03, 0xdc, 0x08,
                                        0x7b, 0xd2, 0xbb, 0x06, 0xa0, 0x60, 0xf4, 0xed, 0x26, 0x0f};
    out->x = sm_fe_mul(sm_fe_mul(sm_fe_load(c_bytes), s), sm_fe_invert(t));
    out->y = sm_fe_mul(sm_fe_sub(s, sm_fe_one), sm_fe_invert(s1));
    out->z = sm_fe_one;
    out->t = sm_fe_mul(out->x, out->y);
}

static void encode_to_curve(const uint8_t salt[32], struct sm_slice alpha, struct sm_point *out)
{
    map_to_curve(normal(hash_to_field(salt, alpha)), out);
    sm_point_mul8(out, out);
}

/* ---- challenge ---- */

static void challenge(const uint8_t y[32], const uint8_t h[32], const uint8_t gamma[32], const uint8_t u[32],
                      const uint8_t v[32], uint8_t out[16])
{
    static const uint8_t head[2] = {SUITE, 0x02}, zero = 0;
    uint8_t full[64];
    crypto_hash_sha512_state st;
    (void)crypto_hash_sha512_init(&st);
    (void)crypto_hash_sha512_update(&st, head, sizeof head);
    (void)crypto_hash_sha512_update(&st, y, 32);
    (void)crypto_hash_sha512_update(&st, h, 32);
    (void)crypto_hash_sha512_update(&st, gamma, 32);
    (void)crypto_hash_sha512_update(&st, u, 32);
    (void)crypto_hash_sha512_update(&st, v, 32);
    (void)crypto_hash_sha512_update(&st, &zero, 1);
    (void)crypto_hash_sha512_final(&st, full);
    memcpy(out, full, 16);
}

/* ---- prove ---- */

/* Everything derived from the secret, wiped together. */
struct secrets {
    uint8_t h[64]; /* SHA-512 of the seed: scalar x, then the nonce key */
    uint8_t x[32]; /* x mod q */
    uint8_t wide[64], k[32], cx[32];
    crypto_hash_sha512_state st;
};

static void derive(struct secrets *s, const uint8_t seed[32], const uint8_t hs[32])
{
    (void)crypto_hash_sha512(s->h, seed, 32);
    s->h[0] &= 248;
    s->h[31] = (uint8_t)((s->h[31] & 127) | 64);
    memset(s->wide, 0, sizeof s->wide);
    memcpy(s->wide, s->h, 32);
    crypto_core_ed25519_scalar_reduce(s->x, s->wide);
    (void)crypto_hash_sha512_init(&s->st);
    (void)crypto_hash_sha512_update(&s->st, s->h + 32, 32);
    (void)crypto_hash_sha512_update(&s->st, hs, 32);
    (void)crypto_hash_sha512_final(&s->st, s->wide);
    crypto_core_ed25519_scalar_reduce(s->k, s->wide);
}

sm_err sm_ecvrf_prove(const uint8_t secret[64], struct sm_slice alpha, struct sm_vrf_proof *out, struct sm_errinfo *ei)
{
    const uint8_t *public_key = secret + 32;
    struct sm_point h;
    uint8_t hs[32], u[32], v[32], c[32] = {0};
    struct secrets s;
    encode_to_curve(public_key, alpha, &h);
    sm_point_store(hs, &h);
    derive(&s, secret, hs);
    /* libsodium's multiplications are constant-time; H has prime order, so x may be reduced first */
    sm_err err = SM_OK;
    if (crypto_scalarmult_ed25519_noclamp(out->b, s.x, hs) != 0 ||
        crypto_scalarmult_ed25519_base_noclamp(u, s.k) != 0 || crypto_scalarmult_ed25519_noclamp(v, s.k, hs) != 0)
        err = sm_fail(ei, SM_E_ARG, "this message has no VRF value");
    if (!err) {
        challenge(public_key, hs, out->b, u, v, c);
        memcpy(out->b + 32, c, 16);
        crypto_core_ed25519_scalar_mul(s.cx, c, s.x);
        crypto_core_ed25519_scalar_add(out->b + 48, s.k, s.cx);
    }
    sodium_memzero(&s, sizeof s);
    if (err) memset(out, 0, sizeof *out);
    return err;
}

/* ---- verify ---- */

bool sm_ecvrf_verify(const struct sm_node_id *public_key, struct sm_slice alpha, const struct sm_vrf_proof *pi)
{
    const uint8_t *gamma_bytes = pi->b, *s = pi->b + 48;
    struct sm_point y, gamma, h, u, v;
    if (!sm_point_canonical(public_key->b) || !sm_point_load(public_key->b, &y) || sm_point_small_order(&y))
        return false;
    if (!sm_point_canonical(gamma_bytes) || !sm_point_load(gamma_bytes, &gamma) || !sm_scalar_canonical(s))
        return false;
    uint8_t c[32] = {0}, hs[32], us[32], vs[32], want[16];
    memcpy(c, pi->b + 32, 16);
    encode_to_curve(public_key->b, alpha, &h);
    sm_point_store(hs, &h);
    sm_point_neg(&y, &y);
    sm_point_neg(&gamma, &gamma);
    sm_point_mul2_base(&u, c, &y, s);    /* s B - c Y */
    sm_point_mul2(&v, s, &h, c, &gamma); /* s H - c Gamma */
    sm_point_store(us, &u);
    sm_point_store(vs, &v);
    challenge(public_key->b, hs, gamma_bytes, us, vs, want);
    return memcmp(want, c, sizeof want) == 0;
}

bool sm_ecvrf_beta(const struct sm_vrf_proof *pi, uint8_t out[64])
{
    static const uint8_t head[2] = {SUITE, 0x03}, zero = 0;
    struct sm_point gamma;
    uint8_t b[32];
    if (!sm_point_load(pi->b, &gamma)) return false;
    sm_point_mul8(&gamma, &gamma);
    sm_point_store(b, &gamma);
    crypto_hash_sha512_state st;
    (void)crypto_hash_sha512_init(&st);
    (void)crypto_hash_sha512_update(&st, head, sizeof head);
    (void)crypto_hash_sha512_update(&st, b, 32);
    (void)crypto_hash_sha512_update(&st, &zero, 1);
    (void)crypto_hash_sha512_final(&st, out);
    return true;
}
