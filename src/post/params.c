#include "post/params.h"

#include <inttypes.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "post/proof.h"
#include "util/bytes.h"

#define MIN_VRF_LABELS 9u /* 8 labels have no 32-byte VRF difficulty: post.md §2.1 */

static sm_err check_units(const struct sm_post_params *p, struct sm_errinfo *ei)
{
    if (p->min_num_units == 0) return sm_fail(ei, SM_E_FORMAT, "min_num_units is 0, must be at least 1");
    if (p->max_num_units < p->min_num_units)
        return sm_fail(ei, SM_E_FORMAT, "max_num_units is %" PRIu32 ", below min_num_units %" PRIu32, p->max_num_units,
                       p->min_num_units);
    if (p->num_units == 0 || p->num_units > p->max_num_units)
        return sm_fail(ei, SM_E_FORMAT, "num_units is %" PRIu32 ", must be 1 to max_num_units %" PRIu32, p->num_units,
                       p->max_num_units);
    uint64_t most;
    if (p->labels_per_unit == 0) return sm_fail(ei, SM_E_FORMAT, "labels_per_unit is 0, must be at least 1");
    if (sm_mul_overflows_u64(p->labels_per_unit, p->max_num_units, &most))
        return sm_fail(ei, SM_E_FORMAT, "labels_per_unit %" PRIu64 " times max_num_units %" PRIu32 " exceeds 2^64",
                       p->labels_per_unit, p->max_num_units);
    return SM_OK;
}

static sm_err check_proof(const struct sm_post_params *p, struct sm_errinfo *ei)
{
    const uint64_t least = p->labels_per_unit * p->min_num_units, most = p->labels_per_unit * p->max_num_units;
    if (p->k1 == 0) return sm_fail(ei, SM_E_FORMAT, "k1 is 0, must be at least 1");
    if (least <= p->k1 || least < MIN_VRF_LABELS)
        return sm_fail(ei, SM_E_FORMAT,
                       "labels_per_unit %" PRIu64 " times min_num_units %" PRIu32 " must be above k1 %" PRIu32
                       " and at least %u",
                       p->labels_per_unit, p->min_num_units, p->k1, MIN_VRF_LABELS);
    if (p->k2 == 0 || p->k2 > SM_K2_MAX)
        return sm_fail(ei, SM_E_FORMAT, "k2 is %" PRIu32 ", must be 1 to %u", p->k2, SM_K2_MAX);
    if (sm_indices_bytes(most, p->k2) > SM_PROOF_INDICES_MAX)
        return sm_fail(ei, SM_E_FORMAT, "k2 %" PRIu32 " indices of %u bits are more than the %u bytes a proof may hold",
                       p->k2, sm_index_bits(most), SM_PROOF_INDICES_MAX);
    static const uint8_t zero[32];
    if (memcmp(p->pow_difficulty, zero, sizeof zero) == 0)
        return sm_fail(ei, SM_E_FORMAT, "pow_difficulty is 0, no hash is below it");
    return SM_OK;
}

sm_err sm_post_params_check(const struct sm_post_params *p, struct sm_errinfo *ei)
{
    sm_err err = check_units(p, ei);
    if (!err) err = check_proof(p, ei);
    if (err) return err;
    if (!sm_is_pow2_u64(p->scrypt_n) || p->scrypt_n < SM_SCRYPT_N_MIN || p->scrypt_n > SM_SCRYPT_N_MAX)
        return sm_fail(ei, SM_E_FORMAT, "scrypt_n is %" PRIu32 ", must be a power of two from %u to %u", p->scrypt_n,
                       SM_SCRYPT_N_MIN, SM_SCRYPT_N_MAX);
    if (p->nonces == 0 || p->nonces > SM_NONCES_MAX || p->nonces % SM_NONCES_PER_GROUP)
        return sm_fail(ei, SM_E_FORMAT, "nonces is %" PRIu32 ", must be a multiple of %u up to %u", p->nonces,
                       SM_NONCES_PER_GROUP, SM_NONCES_MAX);
    if (p->max_file_size == 0 || p->max_file_size % 16)
        return sm_fail(ei, SM_E_FORMAT, "max_file_size is %" PRIu64 ", must be a multiple of 16", p->max_file_size);
    return SM_OK;
}
