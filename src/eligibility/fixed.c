#include "eligibility/fixed.h"

__extension__ typedef __int128 i128;

#define FRAC      56
#define SIGN      ((sm_u128)1 << 127)
#define MAGNITUDE (SIGN - 1)
#define LN2       INT64_C(0x00b17217f7d1cf78)
#define LOG2E     INT64_C(0x0171547652b82fe0)

typedef struct sm_fixed F;

static const F one = {SM_FIXED_ONE};

static unsigned clz64(uint64_t v)
{
    return v ? (unsigned)__builtin_clzll(v) : 64;
}

static sm_u128 mag(F a)
{
    return a.raw & MAGNITUDE;
}

static F make(bool negative, sm_u128 magnitude, bool *of)
{
    if (magnitude > MAGNITUDE) *of = true;
    return (F){(magnitude & MAGNITUDE) | (negative ? SIGN : 0)};
}

static bool negative(F a)
{
    return (a.raw & SIGN) != 0;
}

static F negate(F a)
{
    return (F){a.raw ^ SIGN};
}

/* Of a 64-bit number scaled by 2^56, and of an integer. */
static F scaled(int64_t v)
{
    return v < 0 ? (F){(sm_u128)(0 - (uint64_t)v) | SIGN} : (F){(sm_u128)v};
}

static F integer(int64_t k)
{
    const sm_u128 m = (sm_u128)(k < 0 ? 0 - (uint64_t)k : (uint64_t)k) << FRAC;
    return (F){m | (k < 0 ? SIGN : 0)};
}

static F add(F a, F b, bool *of)
{
    if (negative(a) == negative(b)) return make(negative(a), mag(a) + mag(b), of);
    if (mag(a) == mag(b)) return (F){0};
    return mag(a) > mag(b) ? make(negative(a), mag(a) - mag(b), of) : make(negative(b), mag(b) - mag(a), of);
}

static F sub(F a, F b, bool *of)
{
    return add(a, negate(b), of);
}

/* floor(a * b / 2^56); the 256-bit product in four words. */
static F mul(F a, F b, bool *of)
{
    const uint64_t a0 = (uint64_t)mag(a), a1 = (uint64_t)(mag(a) >> 64);
    const uint64_t b0 = (uint64_t)mag(b), b1 = (uint64_t)(mag(b) >> 64);
    const sm_u128 ll = (sm_u128)a0 * b0, lh = (sm_u128)a0 * b1, hl = (sm_u128)a1 * b0, hh = (sm_u128)a1 * b1;
    const sm_u128 mid = (ll >> 64) + (uint64_t)lh + (uint64_t)hl;
    const sm_u128 low = (mid << 64) | (uint64_t)ll;
    const sm_u128 high = hh + (lh >> 64) + (hl >> 64) + (mid >> 64);
    if (high >> (FRAC - 1)) *of = true; /* a magnitude of 2^127 or more */
    return make(negative(a) != negative(b), (high << (128 - FRAC)) | (low >> FRAC), of);
}

/* The reference's 128-by-128 division, including its off-by-one when the remainder equals the divisor. */
static sm_u128 div128(sm_u128 u, sm_u128 v, sm_u128 *rem)
{
    if (v >> 64 == 0) {
        *rem = u % v;
        return u / v;
    }
    const unsigned z = clz64((uint64_t)(v >> 64));
    const uint64_t m = (uint64_t)((v << z) >> 64);
    sm_u128 t = (u / m) >> (64 - z);
    if (t) t--;
    sm_u128 r = u - v * t;
    if (r > v) {
        t++;
        r -= v;
    }
    *rem = r;
    return t;
}

static sm_u128 udiv(sm_u128 u, sm_u128 v, bool *of)
{
    sm_u128 r;
    if (v == 0) {
        *of = true;
        return 0;
    }
    if (u >> 71 == 0) return div128(u << FRAC, v, &r);
    const sm_u128 a = div128(u, v, &r);
    if (a >> (127 - FRAC)) *of = true;
    unsigned s = r >> 64 ? clz64((uint64_t)(r >> 64)) - 1 : 63;
    if (s > FRAC) s = FRAC;
    const sm_u128 low = v >> (FRAC - s);
    if (low == 0) {
        *of = true;
        return 0;
    }
    return (a << FRAC) + div128(r << s, low, &r);
}

static F divide(F a, F b, bool *of)
{
    return make(negative(a) != negative(b), udiv(mag(a), mag(b), of), of);
}

static F inverse(F a, bool *of)
{
    return divide(one, a, of);
}

struct sm_fixed sm_fixed_div_u64(uint64_t p, uint64_t q, bool *overflow)
{
    return make(false, udiv((sm_u128)p << FRAC, (sm_u128)q << FRAC, overflow), overflow);
}

/* ---- 64-bit helpers on numbers scaled by 2^56 ---- */

static int64_t rmul(int64_t x, int64_t y)
{
    return (int64_t)(((i128)x * y + ((i128)1 << (FRAC - 1))) >> FRAC);
}

static uint64_t tmul(uint64_t x, uint64_t y)
{
    return (uint64_t)(((sm_u128)x * y) >> FRAC);
}

static int64_t idiv(uint64_t x)
{
    const uint64_t unit = (uint64_t)1 << FRAC, q = unit / x, rem = unit % x;
    return (int64_t)(q + 2 * rem / x);
}

/* log2 of x scaled by 2^e (e = 56 for fractions, 0 for integers), x > 0. */
static int64_t log2_of(uint64_t x, unsigned e)
{
    if (x == (uint64_t)1 << e) return 0;
    const unsigned bits = 64 - clz64(x);
    int64_t b = ((int64_t)bits - (int64_t)e - 1) * ((int64_t)1 << FRAC);
    uint64_t a = (x << (64 - bits)) >> 1;
    for (unsigned i = 0; i < FRAC; i++) {
        a = (uint64_t)(((sm_u128)a * a) >> 62);
        const uint64_t c = a >> 63;
        a >>= c;
        b += (int64_t)(c << (55 - i));
    }
    return b;
}

static int64_t ln_fraction(uint64_t x)
{
    return rmul(log2_of(x, FRAC), LN2);
}

static int64_t ln_integer(uint64_t k)
{
    return rmul(log2_of(k, 0), LN2);
}

static F lgamma_of(int64_t k, bool *of)
{
    static const int64_t g[] = {INT64_C(0x6b3f8e4325f5a4), INT64_C(0x1555555555553b), -INT64_C(0xb60b60b58172),
                                INT64_C(0x34033f319e71),   -INT64_C(0x270197181fce),  INT64_C(0x36cf7499b5ab),
                                -INT64_C(0x6ae2742e790f)};
    static const uint64_t factorial[] = {2, 6, 24, 120, 720}; /* (k - 1)! for k = 3 … 7 */
    if (k <= 2) return (F){0};
    if (k <= 7) return scaled(ln_integer(factorial[k - 3]));
    const int64_t z = idiv((uint64_t)k), y = rmul(z, z);
    int64_t acc = g[6];
    for (int j = 5; j >= 2; j--) acc = g[j] + rmul(y, acc);
    acc = g[0] + rmul(z, g[1] + rmul(y, acc));
    const F half = {SM_FIXED_ONE / 2};
    const F x = sub(integer(k), half, of), l = sub(scaled(ln_integer((uint64_t)k)), one, of);
    return add(mul(x, l, of), scaled(acc), of);
}

static F exp_of(F v, bool *of)
{
    const sm_u128 whole = mag(v) >> FRAC;
    if (negative(v) && whole > 38) return (F){0};
    if (whole > 70) { /* e^70 does not fit */
        *of = true;
        return one;
    }
    const uint64_t unit = (uint64_t)1 << FRAC;
    const sm_u128 a = mag(v);
    const uint64_t k = (uint64_t)(((a * (uint64_t)LOG2E) >> FRAC) >> FRAC);
    const uint64_t y = (uint64_t)(a - (((sm_u128)k << FRAC) * (uint64_t)LN2 >> FRAC));
    uint64_t e = unit + y, t = y, d = 1;
    for (uint64_t i = 2; i <= 14; i++) {
        d *= i;
        t = tmul(t, y);
        e += tmul(t, unit / d);
    }
    if (negative(v)) return (F){inverse((F){e}, of).raw >> k};
    if (k > 127 - FRAC - 2) *of = true; /* e is below 2^58 */
    return make(false, (sm_u128)e << k, of);
}

/* ---- incomplete beta function ---- */

static F nonzero(F a)
{
    return a.raw ? a : (F){1};
}

static F continued_fraction(F x, int64_t a, int64_t b, bool *of)
{
    F c = one;
    F d = inverse(nonzero(sub(one, divide(mul(x, integer(a + b), of), integer(a + 1), of), of)), of);
    F h = d;
    for (int64_t m = 1; m < 300 && !*of; m++) {
        F t = divide(mul(x, integer(m * (b - m)), of), integer((a + 2 * m - 1) * (a + 2 * m)), of);
        d = inverse(nonzero(add(mul(t, d, of), one, of)), of);
        c = nonzero(add(divide(t, c, of), one, of));
        h = mul(mul(h, d, of), c, of);
        t = divide(mul(integer(-(a + m) * (a + b + m)), x, of), integer((a + 2 * m) * (a + 2 * m + 1)), of);
        d = inverse(nonzero(add(mul(t, d, of), one, of)), of);
        c = nonzero(add(divide(t, c, of), one, of));
        const F g = mul(d, c, of);
        h = mul(h, g, of);
        if (sub(g, one, of).raw < 720) break; /* a negative difference compares greater and goes on */
    }
    return h;
}

static F tail(F bt, F x, int64_t a, int64_t b, bool *of)
{
    if (bt.raw == 0) return bt;
    return divide(mul(bt, continued_fraction(x, a, b, of), of), integer(a), of);
}

static F incomplete_beta(int64_t a, int64_t b, F x, bool *of)
{
    const int64_t limit = INT64_C(1) << 30;
    if (a > limit || b > limit || x.raw > SM_FIXED_ONE) {
        *of = true;
        return (F){0};
    }
    F bt = {0};
    if (x.raw != 0 && x.raw != SM_FIXED_ONE) {
        F v = sub(sub(lgamma_of(a + b, of), lgamma_of(a, of), of), lgamma_of(b, of), of);
        v = add(v, mul(scaled(ln_fraction((uint64_t)x.raw)), integer(a), of), of);
        v = add(v, mul(scaled(ln_fraction((uint64_t)(SM_FIXED_ONE - x.raw))), integer(b), of), of);
        bt = exp_of(v, of);
    }
    if (sm_fixed_gt(x, divide(integer(a + 1), integer(a + b + 2), of)))
        return sub(one, tail(bt, (F){SM_FIXED_ONE - x.raw}, b, a, of), of);
    return tail(bt, x, a, b, of);
}

struct sm_fixed sm_fixed_bin_cdf(int64_t n, struct sm_fixed p, int64_t x, bool *overflow)
{
    if (x < 0) return (F){0};
    if (x >= n) return one;
    if (p.raw > SM_FIXED_ONE) {
        *overflow = true;
        return one;
    }
    return incomplete_beta(n - x, x + 1, (F){SM_FIXED_ONE - p.raw}, overflow);
}
