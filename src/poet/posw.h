/* poet/posw.h: the proof of sequential work: labels, opened indices, verification.
 *
 *   label(i) = SHA-256 applied `depth` times, first over statement || be64(i) || parked nodes before leaf i, then over
 *              the previous digest
 *   parent   = SHA-256(statement || left || right)
 *
 * Source: our spec, poet-nipost.md §4; poet shared/shared.go, hash/hash.go, verifier/verifier.go @3bff648. */
#ifndef SM_POET_POSW_H
#define SM_POET_POSW_H

#include <stdbool.h>
#include <stdint.h>

#include "codec/poet.h"
#include "poet/merkle.h"
#include "util/cancel.h"

#define SM_POSW_LABEL_DEPTH 400u  /* poet hash/hash.go LabelHashNestingDepth */
#define SM_POSW_PROVEN_MAX  4096u /* ours; the network opens SM_POET_PROVEN_LEAVES */

struct sm_posw_params {
    uint32_t proven_leaves; /* T, 1 … SM_POSW_PROVEN_MAX */
    uint32_t depth;         /* hashes per label, at least 1 */
};
extern const struct sm_posw_params sm_posw_network;

/* The tree's hash. `statement` is borrowed as long as the result is used. */
struct sm_merkle_hash sm_posw_hash(const struct sm_slice *statement);

/* Parked nodes of layers 0 … n - 1, empty where there is none. */
void sm_posw_label(const struct sm_posw_params *params, struct sm_slice statement, uint64_t index,
                   const struct sm_slice *parked, size_t n, uint8_t out[32]);

/* Opened indices, ascending: t distinct ones drawn from the challenge (Fiat-Shamir), or all of them when t > space.
 * `out` has room for t; returns how many there are. t <= SM_POSW_PROVEN_MAX. */
size_t sm_posw_indices(struct sm_slice challenge, uint64_t space, uint32_t t, uint64_t *out);

typedef enum sm_posw_check {
    SM_POSW_VALID,
    SM_POSW_BAD_LEAVES,    /* not exactly T proven leaves */
    SM_POSW_TOO_FEW,       /* the tree has fewer than T leaves */
    SM_POSW_BAD_TREE,      /* Merkle proof; `merkle` says more */
    SM_POSW_BAD_SNAPSHOTS, /* the Merkle proof left leaves over */
    SM_POSW_BAD_LABEL,     /* of leaf `index` */
} sm_posw_check;
struct sm_posw_verdict {
    sm_posw_check failed; /* SM_POSW_VALID: nothing did */
    sm_merkle_verdict merkle;
    uint64_t index;
};
const char *sm_posw_check_text(sm_posw_check c);

/* Checks the proof against the statement. The identity of the PoET, the round and the time it took are not covered.
 * About T * depth hashes on the caller's thread; `cancel` (may be NULL) is polled per label. SM_E_ARG for parameters
 * beyond their limits, SM_E_NOMEM, SM_E_CANCELLED. */
SM_MUST_CHECK sm_err sm_posw_verify(const struct sm_posw_params *params, struct sm_slice statement,
                                    const struct sm_poet_proof *proof, const struct sm_cancel *cancel,
                                    struct sm_posw_verdict *out, struct sm_errinfo *ei);
/* A message as it came from a peer, with the network's parameters. */
SM_MUST_CHECK sm_err sm_posw_verify_message(const struct sm_poet_proof_message *m, const struct sm_cancel *cancel,
                                            struct sm_posw_verdict *out, struct sm_errinfo *ei);

#endif
