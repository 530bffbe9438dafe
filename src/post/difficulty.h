/* post/difficulty.h: the three thresholds of the protocol. Source: post.md §2.1, 4.3, 5.1. */
#ifndef SM_POST_DIFFICULTY_H
#define SM_POST_DIFFICULTY_H

#include <stdint.h>

#include "util/err.h"

/* floor(2^256 / num_labels) * 8. num_labels <= 8 has no 32-byte value: SM_E_ARG. */
SM_MUST_CHECK sm_err sm_vrf_difficulty(uint64_t num_labels, uint8_t out[32], struct sm_errinfo *ei);

/* floor(pow_difficulty / num_units); num_units = 0: SM_E_ARG. */
SM_MUST_CHECK sm_err sm_k2pow_difficulty(const uint8_t pow_difficulty[32], uint32_t num_units, uint8_t out[32],
                                         struct sm_errinfo *ei);

/* floor(2^64 * k1 / num_labels). SM_E_ARG when num_labels = 0 or num_labels <= k1. */
SM_MUST_CHECK sm_err sm_proving_difficulty(uint32_t k1, uint64_t num_labels, uint64_t *out, struct sm_errinfo *ei);

/* num_units * labels_per_unit; SM_E_ARG on overflow. */
SM_MUST_CHECK sm_err sm_num_labels(uint32_t num_units, uint64_t labels_per_unit, uint64_t *out,
                                   struct sm_errinfo *ei);

#endif
