/* crypto/edwards.h: points of edwards25519 for public data. libsodium refuses points outside the prime-order subgroup;
 * a validating node must handle them exactly as the reference does. Nothing here is constant-time: no secret may pass
 * through. */
#ifndef SM_CRYPTO_EDWARDS_H
#define SM_CRYPTO_EDWARDS_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/fe25519.h"

struct sm_point { sm_fe x, y, z, t; }; /* extended: x = X/Z, y = Y/Z, xy = T/Z */

/* Is it an encoding that store() could have written: y < p, and no sign bit for x = 0? (Says nothing about the curve.) */
bool sm_point_canonical(const uint8_t b[32]);
/* False when y has no x on the curve. Accepts non-canonical encodings; the sign of x = 0 is ignored. */
bool sm_point_load(const uint8_t b[32], struct sm_point *out);
void sm_point_store(uint8_t out[32], const struct sm_point *p);

void sm_point_identity(struct sm_point *out);
void sm_point_neg(struct sm_point *out, const struct sm_point *p);
void sm_point_add(struct sm_point *out, const struct sm_point *p, const struct sm_point *q);
void sm_point_double(struct sm_point *out, const struct sm_point *p);
void sm_point_mul8(struct sm_point *out, const struct sm_point *p);
bool sm_point_is_identity(const struct sm_point *p);
bool sm_point_small_order(const struct sm_point *p); /* 8 P = 0 */

/* out = a P + b Q; scalars little-endian, below 2^253. */
void sm_point_mul2(struct sm_point *out, const uint8_t a[32], const struct sm_point *p, const uint8_t b[32],
                   const struct sm_point *q);
/* out = a P + b B, B the base point. */
void sm_point_mul2_base(struct sm_point *out, const uint8_t a[32], const struct sm_point *p, const uint8_t b[32]);

/* s < group order? */
bool sm_scalar_canonical(const uint8_t s[32]);

#endif
