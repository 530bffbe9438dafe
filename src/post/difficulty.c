#include "post/difficulty.h"

#include <inttypes.h>

#include "util/bytes.h"
#include "util/u256.h"

sm_err sm_vrf_difficulty(uint64_t num_labels, uint8_t out[32], struct sm_errinfo *ei)
{
    if (num_labels <= 8)
        return sm_fail(ei, SM_E_ARG, "%" PRIu64 " labels have no VRF difficulty; at least 9 are needed", num_labels);
    uint8_t q[32];
    sm_u256_pow256_div_u64(num_labels, q);
    (void)sm_u256_shl(q, 3, out); /* num_labels > 8: below 2^253 before the shift */
    return SM_OK;
}

sm_err sm_k2pow_difficulty(const uint8_t pow_difficulty[32], uint32_t num_units, uint8_t out[32], struct sm_errinfo *ei)
{
    if (num_units == 0) return sm_fail(ei, SM_E_ARG, "k2pow difficulty of 0 units");
    sm_u256_div_u64(pow_difficulty, num_units, out);
    return SM_OK;
}

sm_err sm_proving_difficulty(uint32_t k1, uint64_t num_labels, uint64_t *out, struct sm_errinfo *ei)
{
    if (num_labels <= k1)
        return sm_fail(ei, SM_E_ARG,
                       "%" PRIu64 " labels are too few for k1 = %" PRIu32 "; more labels than k1 are needed",
                       num_labels, k1);
    *out = (uint64_t)(((sm_u128)k1 << 64) / num_labels);
    return SM_OK;
}

sm_err sm_num_labels(uint32_t num_units, uint64_t labels_per_unit, uint64_t *out, struct sm_errinfo *ei)
{
    uint64_t n;
    if (sm_mul_overflows_u64(num_units, labels_per_unit, &n))
        return sm_fail(ei, SM_E_ARG, "%" PRIu32 " units of %" PRIu64 " labels are more than 2^64 labels", num_units,
                       labels_per_unit);
    *out = n;
    return SM_OK;
}
