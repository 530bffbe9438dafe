/* poet/prover.h: computing a proof of sequential work: leaves one after the other, checkpoints, the proof.
 *
 * With a directory a run survives kill -9: after open, it goes on from the last checkpoint and ends in the same
 * proof. The directory holds poet-state.json (statement, parameters, leaves safe on disk), the layer files
 * (poet/layers.h) and poet.lock. Nothing in it is ever deleted here. Disk: 32 bytes per leaf and 0.4 % more. One
 * thread at a time. Source: our spec, poet-nipost.md §4.3, 7. */
#ifndef SM_POET_PROVER_H
#define SM_POET_PROVER_H

#include "poet/posw.h"

#define SM_POET_STATEMENT_MAX 32u

struct sm_poet_prover;
struct sm_poet_prover_cfg {
    struct sm_posw_params params;
    struct sm_slice statement;  /* at most SM_POET_STATEMENT_MAX bytes; copied */
    const char *dir;            /* exists; NULL: in memory */
    uint64_t checkpoint_leaves; /* a checkpoint is made every that many leaves; 0: only when asked */
};
/* Starts a run, or continues the one in `dir`. SM_E_MISMATCH when the directory belongs to another statement or other
 * parameters, lacks nodes it should have, holds layer files without a state, or its last leaf is not what it should
 * be; SM_E_BUSY when another process works in it; SM_E_FORMAT for a damaged state. */
SM_MUST_CHECK sm_err sm_poet_prover_open(const struct sm_poet_prover_cfg *cfg, struct sm_poet_prover **out,
                                         struct sm_errinfo *ei);
/* Without a checkpoint: leaves since the last one are computed again. Accepts NULL. */
void sm_poet_prover_close(struct sm_poet_prover *p);

uint64_t sm_poet_prover_leaves(const struct sm_poet_prover *p);
/* Computes n more leaves; `cancel`, polled per leaf, may be NULL. SM_E_CANCELLED: the leaves finished so far count.
 * After SM_E_IO, SM_E_NOSPACE and SM_E_NOMEM the prover only can be closed; every other call is SM_E_STATE. */
SM_MUST_CHECK sm_err sm_poet_prover_add(struct sm_poet_prover *p, uint64_t n, const struct sm_cancel *cancel,
                                        struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_poet_prover_checkpoint(struct sm_poet_prover *p, struct sm_errinfo *ei);
/* The proof of the leaves so far, in the arena; the run can go on. SM_E_STATE with fewer than T leaves. */
SM_MUST_CHECK sm_err sm_poet_prover_prove(struct sm_poet_prover *p, struct sm_arena *arena, struct sm_poet_proof *out,
                                          struct sm_errinfo *ei);

#endif
