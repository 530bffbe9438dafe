/* post/farm_check.h: judging what an untrusted engine computed, with the reference. */
#ifndef SM_POST_FARM_CHECK_H
#define SM_POST_FARM_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "post/label.h"

/* Where an engine was caught. */
struct sm_farm_lie {
    bool caught;
    uint64_t index;
    uint8_t expected[SM_LABEL_BYTES], actual[SM_LABEL_BYTES];
};

/* Recomputes the last label and `spot_checks` - 1 random ones, and every label that could be the VRF nonce: the answer
 * of the search is found again from the labels, so that it never rests on the engine's word. A wrong label, or a
 * search result (`claimed`) that differs, is a lie. *out_best is written when there is none.
 * seed is advanced. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_farm_check(const struct sm_label_job *job, struct sm_label_range range, const uint8_t *labels,
                                   const struct sm_vrf_best *claimed, unsigned spot_checks, uint64_t *seed,
                                   struct sm_vrf_best *out_best, struct sm_farm_lie *out_lie, struct sm_errinfo *ei);

#endif
