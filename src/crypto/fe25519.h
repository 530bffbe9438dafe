/* crypto/fe25519.h: arithmetic modulo p = 2^255 - 19, five limbs of 51 bits. Straight-line code: time depends on no value.
 *
 * Every function takes limbs below 2^54 and returns limbs below 2^52, except add and sub, whose results may be up to
 * 2^53 and 2^54: at most one of them may precede a multiplication's operand. */
#ifndef SM_CRYPTO_FE25519_H
#define SM_CRYPTO_FE25519_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sm_fe { uint64_t v[5]; } sm_fe;

static const sm_fe sm_fe_zero = {{0}};
static const sm_fe sm_fe_one = {{1}};

sm_fe sm_fe_load(const uint8_t b[32]);          /* top bit ignored; need not be canonical */
void sm_fe_store(uint8_t out[32], sm_fe a);     /* canonical */
sm_fe sm_fe_add(sm_fe a, sm_fe b);
sm_fe sm_fe_sub(sm_fe a, sm_fe b);
sm_fe sm_fe_neg(sm_fe a);
sm_fe sm_fe_mul(sm_fe a, sm_fe b);
sm_fe sm_fe_sq(sm_fe a);
sm_fe sm_fe_small(sm_fe a, uint32_t k);         /* a * k, k < 2^20 */
sm_fe sm_fe_invert(sm_fe a);                    /* 0 for 0 */
sm_fe sm_fe_pow_p58(sm_fe a);                   /* a^((p - 5) / 8) */
bool sm_fe_is_zero(sm_fe a);
bool sm_fe_is_odd(sm_fe a);                     /* low bit of the canonical form */
bool sm_fe_equal(sm_fe a, sm_fe b);
/* The root of a with even low bit; false when a is no square. */
bool sm_fe_sqrt(sm_fe a, sm_fe *out);
extern const sm_fe sm_fe_sqrt_m1;               /* a square root of -1 */

#endif
