/* poet/prover_state.h: poet-state.json, which says what a prover's directory is for and how far it is safe. */
#ifndef SM_POET_PROVER_STATE_H
#define SM_POET_PROVER_STATE_H

#include <stdbool.h>

#include "poet/prover.h"

struct sm_poet_state {
    uint8_t statement[SM_POET_STATEMENT_MAX];
    size_t statement_n;
    struct sm_posw_params params;
    uint64_t leaves; /* durable in the layer files */
};
/* *out_found is false when there is no state yet. SM_E_FORMAT for a damaged one. */
SM_MUST_CHECK sm_err sm_poet_state_load(const char *dir, struct sm_poet_state *out, bool *out_found,
                                        struct sm_errinfo *ei);
/* Durable on return. */
SM_MUST_CHECK sm_err sm_poet_state_save(const char *dir, const struct sm_poet_state *state, struct sm_errinfo *ei);

#endif
