#include "poet/merkle.h"

#include <inttypes.h>
#include <string.h>

#include "poet/merkle_impl.h"

const uint8_t sm_merkle_padding[SM_MERKLE_NODE_BYTES];

void sm_merkle_init(struct sm_merkle_tree *t, struct sm_merkle_hash hash)
{
    *t = (struct sm_merkle_tree){.hash = hash};
}

struct sm_slice sm_merkle_parked(const struct sm_merkle_tree *t, unsigned layer)
{
    if (layer >= SM_MERKLE_LAYERS_MAX || !(t->leaves >> layer & 1)) return (struct sm_slice){NULL, 0};
    return layer ? sm_merkle_node(t->parked[layer]) : t->leaf;
}

sm_err sm_merkle_add(struct sm_merkle_tree *t, struct sm_slice leaf, sm_merkle_emit emit, void *ctx,
                     struct sm_errinfo *ei)
{
    uint8_t node[SM_MERKLE_NODE_BYTES];
    struct sm_slice v = leaf;
    unsigned k = 0;
    if (t->leaves == UINT64_MAX) return sm_fail(ei, SM_E_ARG, "the Merkle tree is full");
    for (; t->leaves >> k & 1; k++) {
        t->hash.parent(t->hash.ctx, sm_merkle_parked(t, k), v, node);
        v = sm_merkle_node(node);
        const sm_err err = emit ? emit(ctx, k + 1, node, ei) : SM_OK;
        if (err) return err;
    }
    if (k)
        memcpy(t->parked[k], node, sizeof node);
    else
        t->leaf = leaf;
    t->leaves++;
    return SM_OK;
}

struct sm_slice sm_merkle_root(const struct sm_merkle_tree *t, uint8_t node[SM_MERKLE_NODE_BYTES])
{
    const struct sm_slice padding = sm_merkle_node(sm_merkle_padding);
    struct sm_slice e = {NULL, 0}; /* what rises from the layers below */
    bool rising = false;
    for (unsigned k = 0; k < SM_MERKLE_LAYERS_MAX && t->leaves >> k; k++) {
        const bool parked = t->leaves >> k & 1, top = t->leaves >> k == 1;
        if (top && !rising) {
            const struct sm_slice root = sm_merkle_parked(t, k);
            if (k == 0) return root;
            memcpy(node, root.p, SM_MERKLE_NODE_BYTES);
            return sm_merkle_node(node);
        }
        if (!parked && !rising) continue;
        if (parked)
            t->hash.parent(t->hash.ctx, sm_merkle_parked(t, k), rising ? e : padding, node);
        else
            t->hash.parent(t->hash.ctx, e, padding, node);
        e = sm_merkle_node(node);
        rising = true;
    }
    return e;
}
