#include "crypto/fe25519.h"

#include <string.h>

#include "crypto/fe25519_inline.h"
#include "util/bytes.h"

/* 2b8324804fc1df0b2b4d00993dfbd7a72f431806ad2fe478c4ee1b274a0ea0b0 */
const sm_fe sm_fe_sqrt_m1 = {{UINT64_C(0x61b274a0ea0b0), UINT64_C(0x0d5a5fc8f189d), UINT64_C(0x7ef5e9cbd0c60),
                              UINT64_C(0x78595a6804c9e), UINT64_C(0x2b8324804fc1d)}};

sm_fe sm_fe_load(const uint8_t b[32])
{
    const uint64_t a0 = sm_le64_load(b), a1 = sm_le64_load(b + 8), a2 = sm_le64_load(b + 16), a3 = sm_le64_load(b + 24);
    return (sm_fe){{
        a0 & SM_FE_MASK51,
        (a0 >> 51 | a1 << 13) & SM_FE_MASK51,
        (a1 >> 38 | a2 << 26) & SM_FE_MASK51,
        (a2 >> 25 | a3 << 39) & SM_FE_MASK51,
        (a3 >> 12) & SM_FE_MASK51,
    }};
}

static sm_fe carry(sm_fe a)
{
    uint64_t c = 0;
    for (int i = 0; i < 5; i++) {
        a.v[i] += c;
        c = a.v[i] >> 51;
        a.v[i] &= SM_FE_MASK51;
    }
    a.v[0] += 19 * c;
    return a;
}

void sm_fe_store(uint8_t out[32], sm_fe a)
{
    a = carry(carry(a));
    /* a is below 2^255 + a little: subtract p when a + 19 reaches 2^255 */
    uint64_t q = (a.v[0] + 19) >> 51;
    for (int i = 1; i < 5; i++) q = (a.v[i] + q) >> 51;
    a.v[0] += 19 * q;
    uint64_t c = 0;
    for (int i = 0; i < 5; i++) {
        a.v[i] += c;
        c = a.v[i] >> 51;
        a.v[i] &= SM_FE_MASK51;
    }
    sm_le64_store(out, a.v[0] | a.v[1] << 51);
    sm_le64_store(out + 8, a.v[1] >> 13 | a.v[2] << 38);
    sm_le64_store(out + 16, a.v[2] >> 26 | a.v[3] << 25);
    sm_le64_store(out + 24, a.v[3] >> 39 | a.v[4] << 12);
}

sm_fe sm_fe_add(sm_fe a, sm_fe b)
{
    for (int i = 0; i < 5; i++) a.v[i] += b.v[i];
    return a;
}

sm_fe sm_fe_sub(sm_fe a, sm_fe b)
{
    /* + 4 p keeps every limb positive for b below 2^53 */
    static const uint64_t p4[5] = {0x1fffffffffffb4, 0x1ffffffffffffc, 0x1ffffffffffffc, 0x1ffffffffffffc,
                                   0x1ffffffffffffc};
    for (int i = 0; i < 5; i++) a.v[i] += p4[i] - b.v[i];
    return carry(a);
}

sm_fe sm_fe_neg(sm_fe a)
{
    return sm_fe_sub(sm_fe_zero, a);
}

sm_fe sm_fe_mul(sm_fe f, sm_fe g)
{
    return sm_fe_mul_inline(f, g);
}

sm_fe sm_fe_sq(sm_fe f)
{
    return sm_fe_sq_inline(f);
}

sm_fe sm_fe_small(sm_fe a, uint32_t k)
{
    return sm_fe_reduce_inline(SM_FE_M(a.v[0], k), SM_FE_M(a.v[1], k), SM_FE_M(a.v[2], k), SM_FE_M(a.v[3], k),
                               SM_FE_M(a.v[4], k));
}

static sm_fe sq_times(sm_fe a, int n)
{
    while (n--) a = sm_fe_sq_inline(a);
    return a;
}

/* a^(2^250 - 1), and a^11 on the way: the common head of both exponents. */
static sm_fe pow_250(sm_fe a, sm_fe *a11)
{
    const sm_fe a2 = sm_fe_sq(a), a9 = sm_fe_mul(sq_times(a2, 2), a);
    *a11 = sm_fe_mul(a9, a2);
    const sm_fe e5 = sm_fe_mul(sm_fe_sq(*a11), a9);
    const sm_fe e10 = sm_fe_mul(sq_times(e5, 5), e5);
    const sm_fe e20 = sm_fe_mul(sq_times(e10, 10), e10);
    const sm_fe e40 = sm_fe_mul(sq_times(e20, 20), e20);
    const sm_fe e50 = sm_fe_mul(sq_times(e40, 10), e10);
    const sm_fe e100 = sm_fe_mul(sq_times(e50, 50), e50);
    const sm_fe e200 = sm_fe_mul(sq_times(e100, 100), e100);
    return sm_fe_mul(sq_times(e200, 50), e50);
}

sm_fe sm_fe_invert(sm_fe a)
{
    sm_fe a11;
    const sm_fe e = pow_250(a, &a11);
    return sm_fe_mul(sq_times(e, 5), a11); /* 2^255 - 21 */
}

sm_fe sm_fe_pow_p58(sm_fe a)
{
    sm_fe a11;
    const sm_fe e = pow_250(a, &a11);
    return sm_fe_mul(sq_times(e, 2), a); /* 2^252 - 3 */
}

bool sm_fe_is_zero(sm_fe a)
{
    uint8_t b[32], any = 0;
    sm_fe_store(b, a);
    for (int i = 0; i < 32; i++) any |= b[i];
    return any == 0;
}

bool sm_fe_is_odd(sm_fe a)
{
    uint8_t b[32];
    sm_fe_store(b, a);
    return b[0] & 1;
}

bool sm_fe_equal(sm_fe a, sm_fe b)
{
    return sm_fe_is_zero(sm_fe_sub(a, b));
}

bool sm_fe_sqrt(sm_fe a, sm_fe *out)
{
    sm_fe r = sm_fe_mul(sm_fe_pow_p58(a), a); /* a^((p + 3) / 8) */
    if (!sm_fe_equal(sm_fe_sq(r), a)) r = sm_fe_mul(r, sm_fe_sqrt_m1);
    if (!sm_fe_equal(sm_fe_sq(r), a)) return false;
    *out = sm_fe_is_odd(r) ? sm_fe_neg(r) : r;
    return true;
}
