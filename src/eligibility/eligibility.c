#include "eligibility/eligibility.h"

#include <string.h>

#include "eligibility/fixed.h"

sm_err sm_proposal_slots(uint64_t weight, uint64_t min_weight, uint64_t total_weight, uint32_t layer_size,
                         uint32_t layers_per_epoch, uint32_t *out, struct sm_errinfo *ei)
{
    const uint64_t total = total_weight > min_weight ? total_weight : min_weight;
    if (total_weight == 0 || total == 0) return sm_fail(ei, SM_E_ARG, "the active set has no weight");
    const uint64_t slots = weight * layer_size * layers_per_epoch / total;
    *out = slots ? (uint32_t)slots : 1;
    return SM_OK;
}

uint32_t sm_proposal_layer(const struct sm_vrf_proof *vrf, uint32_t epoch, uint32_t layers_per_epoch)
{
    return epoch * layers_per_epoch + (uint32_t)(sm_le64_load(vrf->b) % layers_per_epoch);
}

/* ---- hare ---- */

struct trial {
    int64_t n;
    struct sm_fixed p, fraction;
};

static bool trial_of(uint64_t weight, uint64_t total, uint32_t committee, const struct sm_vrf_proof *vrf,
                     struct trial *out)
{
    bool overflow = false;
    uint64_t n = weight;
    if (total == 0 || committee == 0 || weight > total) return false;
    if (committee > total) { /* a small network: scale so that the committee can be filled */
        if (sm_mul_overflows_u64(total, committee, &total) || sm_mul_overflows_u64(weight, committee, &n)) return false;
    }
    if (n > UINT64_C(1) << 30) return false;
    out->n = (int64_t)n;
    out->p = sm_fixed_div_u64(committee, total, &overflow);
    out->fraction.raw = sm_le64_load(vrf->b) & (uint64_t)(SM_FIXED_ONE - 1);
    return !overflow;
}

uint16_t sm_hare_count(uint64_t weight, uint64_t total, uint32_t committee, const struct sm_vrf_proof *vrf)
{
    struct trial t;
    bool overflow = false;
    if (!trial_of(weight, total, committee, vrf, &t)) return 0;
    for (int64_t x = 0; x < t.n; x++) {
        const struct sm_fixed cdf = sm_fixed_bin_cdf(t.n, t.p, x, &overflow);
        if (overflow) return 0;
        if (sm_fixed_gt(cdf, t.fraction)) return (uint16_t)x;
    }
    return (uint16_t)t.n;
}

bool sm_hare_count_valid(uint64_t weight, uint64_t total, uint32_t committee, const struct sm_vrf_proof *vrf,
                         uint16_t count)
{
    struct trial t;
    bool overflow = false;
    if (count == 0 || !trial_of(weight, total, committee, vrf, &t)) return false;
    const struct sm_fixed below = sm_fixed_bin_cdf(t.n, t.p, (int64_t)count - 1, &overflow);
    const struct sm_fixed at = sm_fixed_bin_cdf(t.n, t.p, count, &overflow);
    return !overflow && !sm_fixed_gt(below, t.fraction) && sm_fixed_gt(at, t.fraction);
}

uint8_t sm_hare_grade(uint8_t received_iter, uint8_t received_round, uint8_t of_iter, uint8_t of_round,
                      uint32_t *out_delay)
{
    const uint32_t received = sm_hare_absolute(received_iter, received_round), of = sm_hare_absolute(of_iter, of_round);
    uint32_t delay = received > of ? received - of : 0;
    if (delay && of_iter == 0 && of_round == 0) delay--; /* hardlock of iteration 0 is skipped */
    if (out_delay) *out_delay = delay;
    return (uint8_t)(6u - delay);
}

/* ---- VRF values ---- */

int sm_vrf_compare(const struct sm_vrf_proof *a, const struct sm_vrf_proof *b)
{
    for (size_t i = sizeof a->b; i-- > 0;)
        if (a->b[i] != b->b[i]) return a->b[i] < b->b[i] ? -1 : 1;
    return 0;
}

bool sm_vrf_coin(const struct sm_vrf_proof *vrf)
{
    return vrf->b[0] & 1;
}

/* ---- beacon votes ---- */

bool sm_beacon_passes(const struct sm_vrf_proof *vrf, const uint8_t threshold[80])
{
    return memcmp(vrf->b, threshold, 80) < 0;
}

size_t sm_beacon_vote_bits(const bool *support, size_t n, uint8_t *out)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        if (support[i]) bytes = i / 8 + 1;
    memset(out, 0, bytes);
    for (size_t i = 0; i < n; i++)
        if (support[i]) out[bytes - 1 - i / 8] |= (uint8_t)(1u << (i % 8));
    return bytes;
}

bool sm_beacon_vote_bit(const uint8_t *bits, size_t bits_n, size_t i)
{
    return i / 8 < bits_n && (bits[bits_n - 1 - i / 8] >> (i % 8) & 1);
}
