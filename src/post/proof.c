#include "post/proof.h"

#include <inttypes.h>
#include <string.h>

#include "util/bytes.h"

bool sm_proof_meta_equal(const struct sm_proof_meta *a, const struct sm_proof_meta *b)
{
    return memcmp(a->node_id.b, b->node_id.b, 32) == 0 &&
           memcmp(a->commitment_atx_id.b, b->commitment_atx_id.b, 32) == 0 &&
           memcmp(a->challenge.b, b->challenge.b, 32) == 0 && a->num_units == b->num_units &&
           a->labels_per_unit == b->labels_per_unit;
}

unsigned sm_index_bits(uint64_t num_labels)
{
    return num_labels ? 64u - (unsigned)__builtin_clzll(num_labels) : 0;
}

uint64_t sm_indices_bytes(uint64_t num_labels, uint32_t k2)
{
    return ((uint64_t)sm_index_bits(num_labels) * k2 + 7) / 8;
}

static uint64_t low_bits(uint64_t v, unsigned bits)
{
    return bits >= 64 ? v : v & ((UINT64_C(1) << bits) - 1);
}

void sm_indices_pack(const uint64_t *indices, size_t n, unsigned bits, uint8_t *out)
{
    sm_u128 held = 0; /* bits not yet written, at most 7 + 64 */
    unsigned held_n = 0;
    for (size_t i = 0; i < n; i++) {
        held |= (sm_u128)low_bits(indices[i], bits) << held_n;
        for (held_n += bits; held_n >= 8; held_n -= 8, held >>= 8) *out++ = (uint8_t)held;
    }
    if (held_n) *out = (uint8_t)held;
}

sm_err sm_indices_unpack(const uint8_t *in, size_t in_n, unsigned bits, size_t n, uint64_t *out, struct sm_errinfo *ei)
{
    if (bits > 64) return sm_fail(ei, SM_E_ARG, "indices of %u bits", bits);
    const sm_u128 need = ((sm_u128)bits * n + 7) / 8;
    if (in_n < need)
        return sm_fail(ei, SM_E_FORMAT, "indices are %zu bytes, %zu indices of %u bits need %" PRIu64, in_n, n, bits,
                       (uint64_t)need);
    sm_u128 held = 0;
    unsigned held_n = 0;
    for (size_t i = 0; i < n; i++) {
        for (; held_n < bits; held_n += 8) held |= (sm_u128)*in++ << held_n;
        out[i] = low_bits((uint64_t)held, bits);
        held >>= bits;
        held_n -= bits;
    }
    return SM_OK;
}
