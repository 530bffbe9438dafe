#include "crypto/edwards.h"

#include <pthread.h>
#include <string.h>

#include "crypto/fe25519_inline.h"

/* d = -121665 / 121666 and 2 d: RFC 8032 section 5.1 */
static const sm_fe fe_d = {{UINT64_C(0x34dca135978a3), UINT64_C(0x1a8283b156ebd), UINT64_C(0x5e7a26001c029),
                            UINT64_C(0x739c663a03cbb), UINT64_C(0x52036cee2b6ff)}};
static const sm_fe fe_2d = {{UINT64_C(0x69b9426b2f159), UINT64_C(0x35050762add7a), UINT64_C(0x3cf44c0038052),
                             UINT64_C(0x6738cc7407977), UINT64_C(0x2406d9dc56dff)}};

bool sm_point_canonical(const uint8_t b[32])
{
    uint8_t y[32], again[32];
    memcpy(y, b, 32);
    y[31] &= 0x7f;
    sm_fe_store(again, sm_fe_load(y));
    if (memcmp(again, y, 32) != 0) return false;
    const sm_fe fy = sm_fe_load(y);
    const bool x_is_zero = sm_fe_is_zero(sm_fe_sub(sm_fe_sq(fy), sm_fe_one)); /* y = 1 or -1 */
    return !(x_is_zero && b[31] >> 7);
}

bool sm_point_load(const uint8_t b[32], struct sm_point *out)
{
    out->y = sm_fe_load(b);
    out->z = sm_fe_one;
    const sm_fe y2 = sm_fe_sq(out->y);
    const sm_fe u = sm_fe_sub(y2, sm_fe_one), v = sm_fe_add(sm_fe_mul(y2, fe_d), sm_fe_one); /* x^2 = u / v */
    const sm_fe v3 = sm_fe_mul(sm_fe_sq(v), v), v7 = sm_fe_mul(sm_fe_sq(v3), v);
    sm_fe x = sm_fe_mul(sm_fe_mul(u, v3), sm_fe_pow_p58(sm_fe_mul(u, v7)));
    if (!sm_fe_equal(sm_fe_mul(v, sm_fe_sq(x)), u)) x = sm_fe_mul(x, sm_fe_sqrt_m1);
    if (!sm_fe_equal(sm_fe_mul(v, sm_fe_sq(x)), u)) return false;
    if (sm_fe_is_odd(x) != b[31] >> 7) x = sm_fe_neg(x);
    out->x = x;
    out->t = sm_fe_mul(x, out->y);
    return true;
}

void sm_point_store(uint8_t out[32], const struct sm_point *p)
{
    const sm_fe zi = sm_fe_invert(p->z);
    sm_fe_store(out, sm_fe_mul(p->y, zi));
    if (sm_fe_is_odd(sm_fe_mul(p->x, zi))) out[31] |= 0x80;
}

void sm_point_identity(struct sm_point *out)
{
    *out = (struct sm_point){sm_fe_zero, sm_fe_one, sm_fe_one, sm_fe_zero};
}

void sm_point_neg(struct sm_point *out, const struct sm_point *p)
{
    *out = (struct sm_point){sm_fe_neg(p->x), p->y, p->z, sm_fe_neg(p->t)};
}

/* Complete for a = -1 and non-square d: Hisil, Wong, Carter, Dawson 2008. */
void sm_point_add(struct sm_point *out, const struct sm_point *p, const struct sm_point *q)
{
    const sm_fe a = sm_fe_mul(sm_fe_sub(p->y, p->x), sm_fe_sub(q->y, q->x));
    const sm_fe b = sm_fe_mul(sm_fe_add(p->y, p->x), sm_fe_add(q->y, q->x));
    const sm_fe c = sm_fe_mul(sm_fe_mul(p->t, fe_2d), q->t);
    const sm_fe d = sm_fe_mul(sm_fe_add(p->z, p->z), q->z);
    const sm_fe e = sm_fe_sub(b, a), f = sm_fe_sub(d, c), g = sm_fe_add(d, c), h = sm_fe_add(b, a);
    *out = (struct sm_point){sm_fe_mul(e, f), sm_fe_mul(g, h), sm_fe_mul(f, g), sm_fe_mul(e, h)};
}

void sm_point_double(struct sm_point *out, const struct sm_point *p)
{
    const sm_fe a = sm_fe_sq(p->x), b = sm_fe_sq(p->y), zz = sm_fe_sq(p->z), c = sm_fe_add(zz, zz);
    const sm_fe h = sm_fe_add(a, b);
    const sm_fe e = sm_fe_sub(h, sm_fe_sq(sm_fe_add(p->x, p->y)));
    const sm_fe g = sm_fe_sub(a, b), f = sm_fe_add(c, g);
    *out = (struct sm_point){sm_fe_mul(e, f), sm_fe_mul(g, h), sm_fe_mul(f, g), sm_fe_mul(e, h)};
}

void sm_point_mul8(struct sm_point *out, const struct sm_point *p)
{
    sm_point_double(out, p);
    sm_point_double(out, out);
    sm_point_double(out, out);
}

bool sm_point_is_identity(const struct sm_point *p)
{
    return sm_fe_is_zero(p->x) && sm_fe_equal(p->y, p->z);
}

bool sm_point_small_order(const struct sm_point *p)
{
    struct sm_point q;
    sm_point_mul8(&q, p);
    return sm_point_is_identity(&q);
}

/* ---- scalar multiplication ---- */

/* Signed sliding windows: odd digits up to 2^(width-1) in absolute value, at most one in `width` positions. */
static void sliding(int8_t digits[256], const uint8_t s[32], int width)
{
    const int limit = 1 << (width - 1);
    int bits[256 + 8] = {0};
    for (int i = 0; i < 256; i++) bits[i] = s[i / 8] >> (i % 8) & 1;
    memset(digits, 0, 256);
    int carry = 0;
    for (int i = 0; i < 256;) {
        if (((bits[i] + carry) & 1) == 0) {
            carry = (bits[i] + carry) >> 1;
            i++;
            continue;
        }
        int v = carry;
        for (int k = 0; k < width; k++) v += bits[i + k] << k;
        carry = v >= limit;
        digits[i] = (int8_t)(carry ? v - 2 * limit : v);
        i += width;
    }
}

/* The sum's second operand, prepared: (Y + X, Y - X, 2 Z, 2 d T). */
struct cached {
    sm_fe plus, minus, z2, t2d;
};
/* A result before its last multiplications: X = E F, Y = G H, Z = F G, T = E H. A doubling needs no T. */
struct unfinished {
    sm_fe e, f, g, h;
};

static void cache(struct cached *out, const struct sm_point *p)
{
    out->plus = sm_fe_add(p->y, p->x);
    out->minus = sm_fe_sub(p->y, p->x);
    out->z2 = sm_fe_add(p->z, p->z);
    out->t2d = sm_fe_mul(p->t, fe_2d);
}

static void finish(struct sm_point *out, const struct unfinished *u)
{
    out->x = sm_fe_mul_inline(u->e, u->f);
    out->y = sm_fe_mul_inline(u->g, u->h);
    out->z = sm_fe_mul_inline(u->f, u->g);
}

static void finish_with_t(struct sm_point *out, const struct unfinished *u)
{
    finish(out, u);
    out->t = sm_fe_mul_inline(u->e, u->h);
}

static void twice(struct unfinished *out, const struct sm_point *p)
{
    const sm_fe a = sm_fe_sq_inline(p->x), b = sm_fe_sq_inline(p->y), zz = sm_fe_sq_inline(p->z);
    out->h = sm_fe_add_inline(a, b);
    out->e = sm_fe_sub_inline(out->h, sm_fe_sq_inline(sm_fe_add_inline(p->x, p->y)));
    out->g = sm_fe_sub_inline(a, b);
    out->f = sm_fe_add_inline(sm_fe_add_inline(zz, zz), out->g);
}

/* p + q, or p - q with the roles of Y + X and Y - X exchanged and T negated. */
static void sum(struct unfinished *out, const struct sm_point *p, const struct cached *q, bool minus)
{
    const sm_fe a = sm_fe_mul_inline(sm_fe_sub_inline(p->y, p->x), minus ? q->plus : q->minus);
    const sm_fe b = sm_fe_mul_inline(sm_fe_add_inline(p->y, p->x), minus ? q->minus : q->plus);
    const sm_fe c = sm_fe_mul_inline(p->t, q->t2d), d = sm_fe_mul_inline(p->z, q->z2);
    out->e = sm_fe_sub_inline(b, a);
    out->h = sm_fe_add_inline(b, a);
    out->f = minus ? sm_fe_add_inline(d, c) : sm_fe_sub_inline(d, c);
    out->g = minus ? sm_fe_sub_inline(d, c) : sm_fe_add_inline(d, c);
}

#define WIDTH      5
#define TABLE      (1 << (WIDTH - 2)) /* P, 3 P, ... 15 P */
#define BASE_WIDTH 8
#define BASE_TABLE (1 << (BASE_WIDTH - 2)) /* B, 3 B, ... 127 B */

static void odd_multiples(struct cached table[], int n, const struct sm_point *p)
{
    struct sm_point at = *p, double_p;
    sm_point_double(&double_p, p);
    for (int i = 0; i < n; i++) {
        cache(&table[i], &at);
        sm_point_add(&at, &at, &double_p);
    }
}

/* r += digit * P; `r` comes from a doubling that is not finished. */
static void add_digit(struct unfinished *r, int digit, const struct cached table[])
{
    struct sm_point p;
    if (digit == 0) return;
    finish_with_t(&p, r);
    sum(r, &p, &table[(digit > 0 ? digit : -digit) / 2], digit < 0);
}

static void mul2(struct sm_point *out, const int8_t da[256], const struct cached ta[], const int8_t db[256],
                 const struct cached tb[])
{
    struct unfinished u;
    struct sm_point r;
    int i = 255;
    while (i >= 0 && !da[i] && !db[i]) i--;
    sm_point_identity(&r);
    for (; i >= 0; i--) {
        twice(&u, &r);
        add_digit(&u, da[i], ta);
        add_digit(&u, db[i], tb);
        if (i > 0)
            finish(&r, &u);
        else
            finish_with_t(&r, &u);
    }
    *out = r;
}

void sm_point_mul2(struct sm_point *out, const uint8_t a[32], const struct sm_point *p, const uint8_t b[32],
                   const struct sm_point *q)
{
    int8_t da[256], db[256];
    struct cached tp[TABLE], tq[TABLE];
    sliding(da, a, WIDTH);
    sliding(db, b, WIDTH);
    odd_multiples(tp, TABLE, p);
    odd_multiples(tq, TABLE, q);
    mul2(out, da, tp, db, tq);
}

static struct cached base_table[BASE_TABLE];
static pthread_once_t base_once = PTHREAD_ONCE_INIT;

static void make_base_table(void)
{
    static const uint8_t base[32] = {0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                     0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                                     0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66};
    struct sm_point g;
    (void)sm_point_load(base, &g);
    odd_multiples(base_table, BASE_TABLE, &g);
}

void sm_point_mul2_base(struct sm_point *out, const uint8_t a[32], const struct sm_point *p, const uint8_t b[32])
{
    int8_t da[256], db[256];
    struct cached tp[TABLE];
    (void)pthread_once(&base_once, make_base_table);
    sliding(da, a, WIDTH);
    sliding(db, b, BASE_WIDTH);
    odd_multiples(tp, TABLE, p);
    mul2(out, da, tp, db, base_table);
}

bool sm_scalar_canonical(const uint8_t s[32])
{
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                      0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
    for (int i = 31; i >= 0; i--)
        if (s[i] != order[i]) return s[i] < order[i];
    return false;
}
