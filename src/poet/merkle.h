/* poet/merkle.h: the Merkle trees of PoET: streaming roots, proofs for sets of leaves, and their validation.
 *
 * Leaves are byte strings used as they are. Every other node is 32 bytes: the tree's own parent(left, right), or the
 * padding node, 32 zero bytes at every height, where a layer of odd width lacks a right sibling.
 * Source: our spec, poet-nipost.md §3; merkle-tree @43eac1e. */
#ifndef SM_POET_MERKLE_H
#define SM_POET_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/arena.h"
#include "util/bytes.h"
#include "util/err.h"

#define SM_MERKLE_NODE_BYTES 32u
#define SM_MERKLE_LAYERS_MAX 64u /* below the root of 2^64 leaves */

/* How a tree joins two nodes. `out` may overlap the inputs. */
struct sm_merkle_hash {
    void (*parent)(const void *ctx, struct sm_slice left, struct sm_slice right, uint8_t out[SM_MERKLE_NODE_BYTES]);
    const void *ctx;
};

/* ---- streaming construction ---- */

/* After n leaves, layer k holds a parked left sibling if and only if bit k of n is set. */
struct sm_merkle_tree {
    struct sm_merkle_hash hash;
    uint64_t leaves;
    struct sm_slice leaf;                                       /* the one parked in layer 0 */
    uint8_t parked[SM_MERKLE_LAYERS_MAX][SM_MERKLE_NODE_BYTES]; /* layer 0 unused */
};
void sm_merkle_init(struct sm_merkle_tree *t, struct sm_merkle_hash hash);
/* A leaf at an even position is borrowed until the next one was added, and while the root is asked for before that.
 * `emit`, may be NULL, sees every inner node as it is completed, lower layers first. */
typedef sm_err (*sm_merkle_emit)(void *ctx, unsigned layer, const uint8_t node[SM_MERKLE_NODE_BYTES],
                                 struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_merkle_add(struct sm_merkle_tree *t, struct sm_slice leaf, sm_merkle_emit emit, void *ctx,
                                   struct sm_errinfo *ei);
/* The parked node of a layer; empty when there is none. Valid until the next leaf. */
struct sm_slice sm_merkle_parked(const struct sm_merkle_tree *t, unsigned layer);
/* Root with padding: in `node`, the leaf itself when there is one only, empty when there is none. */
struct sm_slice sm_merkle_root(const struct sm_merkle_tree *t, uint8_t node[SM_MERKLE_NODE_BYTES]);

/* ---- proofs ---- */

/* Where complete nodes come from: layer k of n leaves has n >> k of them. `out` is valid until the next call. */
struct sm_merkle_source {
    sm_err (*node)(void *ctx, unsigned layer, uint64_t position, struct sm_slice *out, struct sm_errinfo *ei);
    void *ctx;
    uint64_t leaves;
};
struct sm_merkle_proof {
    struct sm_slice *nodes; /* in the arena */
    size_t nodes_n;
};
/* Nodes in the order of §3.5: depth first, left before right, bottom before top. `indices` ascending, distinct and
 * below the leaf count: SM_E_ARG otherwise; SM_E_NOMEM; errors of the source. */
SM_MUST_CHECK sm_err sm_merkle_prove(const struct sm_merkle_hash *hash, const struct sm_merkle_source *source,
                                     const uint64_t *indices, size_t indices_n, struct sm_arena *arena,
                                     struct sm_merkle_proof *out, struct sm_errinfo *ei);
/* Leaves in memory. Builds the tree in the arena. */
SM_MUST_CHECK sm_err sm_merkle_prove_leaves(const struct sm_merkle_hash *hash, const struct sm_slice *leaves,
                                            size_t leaves_n, const uint64_t *indices, size_t indices_n,
                                            struct sm_arena *arena, struct sm_merkle_proof *out, struct sm_errinfo *ei);

/* ---- validation ---- */

struct sm_merkle_claim {
    const uint64_t *indices;
    size_t indices_n;
    const struct sm_slice *leaves; /* values at `indices` */
    size_t leaves_n;
    const struct sm_slice *nodes;
    size_t nodes_n;
    struct sm_slice root;
};
typedef enum sm_merkle_verdict {
    SM_MERKLE_VALID,
    SM_MERKLE_BAD_COUNT, /* leaves_n differs from indices_n */
    SM_MERKLE_NO_LEAF,
    SM_MERKLE_UNSORTED,
    SM_MERKLE_DUPLICATE,
    SM_MERKLE_BAD_ROOT,
} sm_merkle_verdict;
const char *sm_merkle_verdict_text(sm_merkle_verdict v);

/* What was parked when one proven leaf was added: entry k of layer k, empty where the path is a left child. */
struct sm_merkle_snapshot {
    struct sm_slice node[SM_MERKLE_LAYERS_MAX];
};
struct sm_merkle_check {
    sm_merkle_verdict verdict;
    struct sm_merkle_snapshot *snapshots; /* in the arena; NULL unless asked for */
    size_t snapshots_n;                   /* leaves consumed: fewer than claimed when the proof nodes end early */
};
/* Validates exactly as the reference does, with its leniency: nodes that run out end a climb where it is, nodes left
 * over are hashed on top. Snapshots refer to the claim and the arena. Takes memory for 32 bytes per node and leaf, 1
 * KiB per snapshot; recursion is at most SM_MERKLE_LAYERS_MAX deep. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_merkle_validate(const struct sm_merkle_hash *hash, const struct sm_merkle_claim *claim,
                                        bool want_snapshots, struct sm_arena *arena, struct sm_merkle_check *out,
                                        struct sm_errinfo *ei);

#endif
