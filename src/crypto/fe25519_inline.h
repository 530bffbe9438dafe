/* crypto/fe25519_inline.h: the multiplications of fe25519.h for code in which they are most of the time. Bounds as
 * there: limbs below 2^54 in, below 2^52 out. */
#ifndef SM_CRYPTO_FE25519_INLINE_H
#define SM_CRYPTO_FE25519_INLINE_H

#include "crypto/fe25519.h"
#include "util/bytes.h"

#define SM_FE_MASK51 ((UINT64_C(1) << 51) - 1)
#define SM_FE_INLINE static inline __attribute__((always_inline))

SM_FE_INLINE sm_fe sm_fe_reduce_inline(sm_u128 r0, sm_u128 r1, sm_u128 r2, sm_u128 r3, sm_u128 r4)
{
    sm_fe out;
    r1 += (uint64_t)(r0 >> 51);
    out.v[0] = (uint64_t)r0 & SM_FE_MASK51;
    r2 += (uint64_t)(r1 >> 51);
    out.v[1] = (uint64_t)r1 & SM_FE_MASK51;
    r3 += (uint64_t)(r2 >> 51);
    out.v[2] = (uint64_t)r2 & SM_FE_MASK51;
    r4 += (uint64_t)(r3 >> 51);
    out.v[3] = (uint64_t)r3 & SM_FE_MASK51;
    const sm_u128 top = (r4 >> 51) * 19 + out.v[0];
    out.v[4] = (uint64_t)r4 & SM_FE_MASK51;
    out.v[0] = (uint64_t)top & SM_FE_MASK51;
    out.v[1] += (uint64_t)(top >> 51);
    return out;
}

#define SM_FE_M(x, y) ((sm_u128)(x) * (y))

SM_FE_INLINE sm_fe sm_fe_mul_inline(sm_fe f, sm_fe g)
{
    const uint64_t *a = f.v, *b = g.v;
    const uint64_t b1 = 19 * b[1], b2 = 19 * b[2], b3 = 19 * b[3], b4 = 19 * b[4];
    return sm_fe_reduce_inline(
        SM_FE_M(a[0], b[0]) + SM_FE_M(a[1], b4) + SM_FE_M(a[2], b3) + SM_FE_M(a[3], b2) + SM_FE_M(a[4], b1),
        SM_FE_M(a[0], b[1]) + SM_FE_M(a[1], b[0]) + SM_FE_M(a[2], b4) + SM_FE_M(a[3], b3) + SM_FE_M(a[4], b2),
        SM_FE_M(a[0], b[2]) + SM_FE_M(a[1], b[1]) + SM_FE_M(a[2], b[0]) + SM_FE_M(a[3], b4) + SM_FE_M(a[4], b3),
        SM_FE_M(a[0], b[3]) + SM_FE_M(a[1], b[2]) + SM_FE_M(a[2], b[1]) + SM_FE_M(a[3], b[0]) + SM_FE_M(a[4], b4),
        SM_FE_M(a[0], b[4]) + SM_FE_M(a[1], b[3]) + SM_FE_M(a[2], b[2]) + SM_FE_M(a[3], b[1]) + SM_FE_M(a[4], b[0]));
}

SM_FE_INLINE sm_fe sm_fe_sq_inline(sm_fe f)
{
    const uint64_t *a = f.v;
    const uint64_t d0 = 2 * a[0], d1 = 2 * a[1], d2 = 2 * a[2], a3 = 19 * a[3], a4 = 19 * a[4];
    return sm_fe_reduce_inline(SM_FE_M(a[0], a[0]) + SM_FE_M(d1, a4) + SM_FE_M(d2, a3),
                               SM_FE_M(d0, a[1]) + SM_FE_M(d2, a4) + SM_FE_M(a[3], a3),
                               SM_FE_M(d0, a[2]) + SM_FE_M(a[1], a[1]) + SM_FE_M(2 * a[3], a4),
                               SM_FE_M(d0, a[3]) + SM_FE_M(d1, a[2]) + SM_FE_M(a[4], a4),
                               SM_FE_M(d0, a[4]) + SM_FE_M(d1, a[3]) + SM_FE_M(a[2], a[2]));
}

/* a - b without carrying: limbs below 2^54 for a below 2^52 + 2^51 and b below 2^53. Only as an operand of a multiplication. */
SM_FE_INLINE sm_fe sm_fe_sub_inline(sm_fe a, sm_fe b)
{
    const uint64_t p0 = UINT64_C(0x1fffffffffffb4), p1 = UINT64_C(0x1ffffffffffffc); /* limbs of 4 p */
    return (sm_fe){{a.v[0] + p0 - b.v[0], a.v[1] + p1 - b.v[1], a.v[2] + p1 - b.v[2], a.v[3] + p1 - b.v[3],
                    a.v[4] + p1 - b.v[4]}}; /* written out: a loop stays a loop under -O2 */
}

SM_FE_INLINE sm_fe sm_fe_add_inline(sm_fe a, sm_fe b)
{
    return (sm_fe){{a.v[0] + b.v[0], a.v[1] + b.v[1], a.v[2] + b.v[2], a.v[3] + b.v[3], a.v[4] + b.v[4]}};
}

#endif
