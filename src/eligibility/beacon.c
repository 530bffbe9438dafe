/* The beacon proposal threshold, with the roundings of the reference's 64-bit floats done in integers, so that every
 * platform gets the same bits. */
#include <string.h>

#include "eligibility/eligibility.h"
#include "util/bytes.h"

#define MANTISSA 64u

/* High half of a 256-bit product of two fractions scaled by 2^128. */
static sm_u128 mul_fraction(sm_u128 a, sm_u128 b)
{
    const uint64_t a0 = (uint64_t)a, a1 = (uint64_t)(a >> 64), b0 = (uint64_t)b, b1 = (uint64_t)(b >> 64);
    const sm_u128 ll = (sm_u128)a0 * b0, lh = (sm_u128)a0 * b1, hl = (sm_u128)a1 * b0, hh = (sm_u128)a1 * b1;
    const sm_u128 mid = (ll >> 64) + (uint64_t)lh + (uint64_t)hl;
    return hh + (lh >> 64) + (hl >> 64) + (mid >> 64);
}

/* A non-negative number: whole part and a fraction scaled by 2^128. */
struct number {
    uint64_t whole;
    sm_u128 fraction;
};

/* a / d rounded to MANTISSA significant bits, ties to even; a and d < 2^126, d > 0, and the quotient at least 2^-63, so
 * that its last significant bit is within the fraction. */
static struct number quotient(sm_u128 a, sm_u128 d)
{
    struct number q = {.whole = (uint64_t)(a / d)};
    sm_u128 rem = a % d;
    unsigned bits = q.whole ? 64 - (unsigned)__builtin_clzll(q.whole) : 0, at = 128;
    while (bits < MANTISSA) {
        rem <<= 1;
        at--;
        const unsigned bit = rem >= d;
        if (bit) rem -= d;
        q.fraction |= (sm_u128)bit << at;
        bits += bits || bit;
        if (at == 0) break;
    }
    const bool last = (at == 128 ? q.whole & 1u : (uint64_t)(q.fraction >> at) & 1u) != 0;
    if (2 * rem > d || (2 * rem == d && last)) {
        const sm_u128 ulp = at < 128 ? (sm_u128)1 << at : 0;
        q.fraction += ulp;
        if (!ulp || q.fraction < ulp) q.whole++;
    }
    return q;
}

/* 2^-f scaled by 2^128, f in (0, 1) scaled by 2^128; off by at most some 2^-122. */
static sm_u128 exp2_minus(sm_u128 f)
{
    static const sm_u128 ln2 = ((sm_u128)UINT64_C(0xb17217f7d1cf79ab) << 64) | UINT64_C(0xc9e3b39803f2f6af);
    const sm_u128 y = mul_fraction(f, ln2);
    sm_u128 term = y, even = 0, odd = y; /* e^-y = 1 + even - odd */
    for (unsigned k = 2; term; k++) {
        term = mul_fraction(term, y) / k;
        if (k % 2)
            odd += term;
        else
            even += term;
    }
    return even - odd; /* the leading 1 wraps to 2^128 */
}

/* R = 2^-x rounded to MANTISSA bits, as 1 - R in units of 2^-64 rounded the same way; true when that is 1. */
static bool one_minus_exp2(struct number x, uint64_t *out)
{
    *out = 0;
    if (x.whole >= 66) return true; /* R < 2^-65: rounds to 1 */
    /* r = R * 2^whole in (1/2, 1], scaled by 2^127 */
    sm_u128 r = x.fraction ? exp2_minus(x.fraction) >> 1 : (sm_u128)1 << 127;
    const unsigned cut = r >> 127 ? 64 : 63;
    const sm_u128 half = (sm_u128)1 << (cut - 1), low = r & ((half << 1) - 1);
    r = r >> cut << cut;
    if (low > half || (low == half && (r >> cut & 1))) r += half << 1;
    /* 1 - R: R is a multiple of 2^-(64 + whole); round to a multiple of 2^-64 */
    const sm_u128 unit = (sm_u128)1 << 127;
    if (x.whole == 0) {
        *out = (uint64_t)((unit - r) >> 63);
        return false;
    }
    const unsigned drop = (unsigned)x.whole; /* bits of r (scaled 2^127) below 2^-64 after shifting: 63 + drop */
    if (63 + drop >= 128) return true;       /* R below half a unit */
    const sm_u128 tail = (sm_u128)1 << (63 + drop);
    const sm_u128 units = r / tail, rest = r % tail; /* R = units * 2^-64 + rest */
    uint64_t f = 0 - (uint64_t)units;                /* 2^64 - units */
    if (rest) {
        f--; /* 1 - R lies between f and f + 1 units, (tail - rest) / tail above f */
        if (tail - rest > rest || (tail - rest == rest && (f & 1))) f++;
    }
    *out = f;
    return units == 0 && f == 0;
}

sm_err sm_beacon_threshold(uint32_t kappa, uint32_t q_num, uint32_t q_den, uint64_t n, uint8_t out[80],
                           struct sm_errinfo *ei)
{
    if (q_den == 0 || q_num >= q_den || kappa == 0)
        return sm_fail(ei, SM_E_ARG, "the beacon threshold needs kappa > 0 and q in [0, 1)");
    memset(out, 0, 80);
    if (n == 0) return SM_OK;
    const struct number x = quotient((sm_u128)kappa * q_den, (sm_u128)(q_den - q_num) * n);
    uint64_t f;
    if (one_minus_exp2(x, &f)) return sm_fail(ei, SM_E_ARG, "kappa is too large for %llu ATXs", (unsigned long long)n);
    f = __builtin_bswap64(f);
    memcpy(out, &f, sizeof f); /* F * 2^640 */
    return SM_OK;
}
