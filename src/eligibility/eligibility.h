/* eligibility/eligibility.h: who may speak when: proposal slots, hare and certificate counts, beacon thresholds, coins.
 * Pure functions of VRF proofs and weights. Source: wire.md §6.3, 7.3-7.5, 8, 9. */
#ifndef SM_ELIGIBILITY_ELIGIBILITY_H
#define SM_ELIGIBILITY_ELIGIBILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/ids.h"

/* ---- proposals ---- */

/* weight * layer_size * layers_per_epoch / max(min_weight, total_weight), wrapping in the product as the reference does;
 * 0 becomes 1; cast to 32 bits. SM_E_ARG when both weights of the divisor are 0. */
SM_MUST_CHECK sm_err sm_proposal_slots(uint64_t weight, uint64_t min_weight, uint64_t total_weight, uint32_t layer_size,
                                       uint32_t layers_per_epoch, uint32_t *out, struct sm_errinfo *ei);
/* The layer a slot's VRF falls into. */
uint32_t sm_proposal_layer(const struct sm_vrf_proof *vrf, uint32_t epoch, uint32_t layers_per_epoch);

/* ---- hare and certificates ---- */

/* How many votes the VRF gives an identity of weight `weight` out of `total` for a committee; 0 = not eligible, also
 * where the reference refuses (weights beyond its range) and for a weight above the total, of which it cannot be a part.
 * Takes about committee * weight / total evaluations of the distribution, so at most little more than `committee`. */
uint16_t sm_hare_count(uint64_t weight, uint64_t total, uint32_t committee, const struct sm_vrf_proof *vrf);
/* Is a claimed count right? The claimed 0 never is. */
bool sm_hare_count_valid(uint64_t weight, uint64_t total, uint32_t committee, const struct sm_vrf_proof *vrf,
                         uint16_t count);

#define SM_HARE_ROUNDS_PER_ITER 7u
/* Absolute number of a round. */
static inline uint32_t sm_hare_absolute(uint8_t iter, uint8_t round)
{
    return SM_HARE_ROUNDS_PER_ITER * iter + round;
}
/* Receive grade with the reference's quirk: very late messages wrap to high grades and pass every filter. */
uint8_t sm_hare_grade(uint8_t received_iter, uint8_t received_round, uint8_t of_iter, uint8_t of_round,
                      uint32_t *out_delay);

/* ---- comparing VRF values and coins ---- */

/* -1, 0, 1 as 640-bit little-endian integers: the hare's leader order and the smallest coin. */
int sm_vrf_compare(const struct sm_vrf_proof *a, const struct sm_vrf_proof *b);
bool sm_vrf_coin(const struct sm_vrf_proof *vrf);

/* ---- beacon ---- */

/* The 80-byte big-endian threshold for n ATXs: floor((1 - 2^(-kappa / ((1 - q) n))) * 2^640), with q = q_num / q_den and
 * roundings to 64-bit mantissas as the reference's. n = 0 gives zero. */
SM_MUST_CHECK sm_err sm_beacon_threshold(uint32_t kappa, uint32_t q_num, uint32_t q_den, uint64_t n, uint8_t out[80],
                                         struct sm_errinfo *ei);
/* VRF < threshold, both big-endian. */
bool sm_beacon_passes(const struct sm_vrf_proof *vrf, const uint8_t threshold[80]);

/* Votes for the entries of the voter's own first-vote list: the minimal big-endian form of the number with bit i set for
 * supported entry i. `out` has (n + 7) / 8 bytes; returns the bytes used. */
size_t sm_beacon_vote_bits(const bool *support, size_t n, uint8_t *out);
bool sm_beacon_vote_bit(const uint8_t *bits, size_t bits_n, size_t i);

#endif
