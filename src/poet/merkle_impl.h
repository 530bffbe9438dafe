/* poet/merkle_impl.h: shared by the tree, its proofs and their validation. Private to poet/merkle*.c. */
#ifndef SM_POET_MERKLE_IMPL_H
#define SM_POET_MERKLE_IMPL_H

#include "poet/merkle.h"

extern const uint8_t sm_merkle_padding[SM_MERKLE_NODE_BYTES];

static inline struct sm_slice sm_merkle_node(const uint8_t *p)
{
    return (struct sm_slice){p, SM_MERKLE_NODE_BYTES};
}

/* Are the indices strictly ascending? Otherwise what is wrong. */
sm_merkle_verdict sm_merkle_order(const uint64_t *indices, size_t n);

#endif
