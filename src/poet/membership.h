/* poet/membership.h: which challenges a PoET round covers. The statement is the root of a tree whose leaves are the
 * members as the PoET lists them and whose parents are BLAKE3(0x01 || left || right).
 *
 * Source: our spec, poet-nipost.md §5; go-spacemesh activation/nipost.go, validation.go @cc65f27. */
#ifndef SM_POET_MEMBERSHIP_H
#define SM_POET_MEMBERSHIP_H

#include "codec/atx.h"
#include "poet/merkle.h"

#define SM_MEMBERSHIP_NODES_MAX 32u

extern const struct sm_merkle_hash sm_membership_hash;

/* The statement: in `node`, or the only member itself, or empty when there is none. Members are hashed as received, of
 * whatever length. */
struct sm_slice sm_membership_root(const struct sm_slice *members, size_t n, uint8_t node[SM_MERKLE_NODE_BYTES]);

/* Position of the first member equal to the challenge. False: this round does not include us. */
bool sm_membership_find(const struct sm_slice *members, size_t n, const struct sm_hash32 *challenge, uint64_t *out);

/* Membership of one position (ATX v1, with the index) or of several ascending ones (v2). Nodes are put into the arena.
 * SM_E_ARG for positions out of order or range; SM_E_MISMATCH when no encodable proof exists: a sibling is not 32 bytes
 * long or the proof exceeds SM_MEMBERSHIP_NODES_MAX nodes (use another PoET); SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_membership_prove_v1(const struct sm_slice *members, size_t n, uint64_t position,
                                            struct sm_arena *arena, struct sm_merkle_membership_v1 *out,
                                            struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_membership_prove_v2(const struct sm_slice *members, size_t n, const uint64_t *positions,
                                            size_t positions_n, struct sm_arena *arena,
                                            struct sm_merkle_membership_v2 *out, struct sm_errinfo *ei);

/* Does the membership prove the challenge(s) for the statement? The verdict says what is wrong. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_membership_check_v1(const struct sm_merkle_membership_v1 *m, const struct sm_hash32 *challenge,
                                            struct sm_slice statement, sm_merkle_verdict *out, struct sm_errinfo *ei);
/* Challenge k at positions[k]; ascending, distinct. */
SM_MUST_CHECK sm_err sm_membership_check_v2(const struct sm_merkle_membership_v2 *m, const uint64_t *positions,
                                            const struct sm_hash32 *challenges, size_t n, struct sm_slice statement,
                                            sm_merkle_verdict *out, struct sm_errinfo *ei);

#endif
