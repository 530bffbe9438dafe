/* eligibility/fixed.h: the fixed-point numbers on which every node must agree to the bit. Source: wire.md §7.4, written
 * from spacemeshos/fixed v0.1.2; the vectors hold every quirk.
 *
 * Sign bit and 127-bit magnitude, value = magnitude / 2^56. Numbers are compared as unsigned 128-bit strings with the
 * sign on top, so a negative number counts as greater than every positive one. Where the reference aborts on overflow, a
 * flag is raised instead and the result is meaningless. */
#ifndef SM_ELIGIBILITY_FIXED_H
#define SM_ELIGIBILITY_FIXED_H

#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"

struct sm_fixed { sm_u128 raw; };
#define SM_FIXED_ONE ((sm_u128)1 << 56)

static inline bool sm_fixed_gt(struct sm_fixed a, struct sm_fixed b)
{
    return a.raw > b.raw;
}

/* p / q as the reference divides two integers. q != 0. */
struct sm_fixed sm_fixed_div_u64(uint64_t p, uint64_t q, bool *overflow);

/* Binomial CDF: P(X <= x) for n <= 2^30 trials of probability p in [0, 1]. */
struct sm_fixed sm_fixed_bin_cdf(int64_t n, struct sm_fixed p, int64_t x, bool *overflow);

#endif
