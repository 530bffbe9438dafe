#include "crypto/ed25519.h"

#include <sodium.h>

#include "crypto/edwards.h"

bool sm_ed25519_verify(const uint8_t public_key[32], const struct sm_slice *parts, size_t parts_n,
                       const uint8_t signature[64])
{
    const uint8_t *r_bytes = signature, *s = signature + 32;
    struct sm_point a, r, sum;
    if (!sm_scalar_canonical(s) || !sm_point_canonical(public_key) || !sm_point_canonical(r_bytes)) return false;
    if (!sm_point_load(public_key, &a) || sm_point_small_order(&a) || !sm_point_load(r_bytes, &r)) return false;

    uint8_t wide[64], k[32];
    crypto_hash_sha512_state h;
    (void)crypto_hash_sha512_init(&h);
    (void)crypto_hash_sha512_update(&h, r_bytes, 32);
    (void)crypto_hash_sha512_update(&h, public_key, 32);
    for (size_t i = 0; i < parts_n; i++)
        if (parts[i].n) (void)crypto_hash_sha512_update(&h, parts[i].p, parts[i].n);
    (void)crypto_hash_sha512_final(&h, wide);
    crypto_core_ed25519_scalar_reduce(k, wide);

    sm_point_neg(&a, &a);
    sm_point_neg(&r, &r);
    sm_point_mul2_base(&sum, k, &a, s); /* S B - k A */
    sm_point_add(&sum, &sum, &r);
    return sm_point_small_order(&sum); /* 8 (S B - k A - R) = 0 */
}

bool sm_signature_valid(const struct sm_genesis_id *genesis, sm_domain domain, const struct sm_node_id *node_id,
                        struct sm_slice message, const struct sm_signature *signature)
{
    const uint8_t byte = (uint8_t)domain;
    const struct sm_slice parts[] = {{genesis->b, sizeof genesis->b}, {&byte, 1}, message};
    return sm_ed25519_verify(node_id->b, parts, 3, signature->b);
}
