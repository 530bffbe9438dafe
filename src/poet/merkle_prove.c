#include <inttypes.h>
#include <string.h>

#include "poet/merkle.h"
#include "poet/merkle_impl.h"

struct prover {
    const struct sm_merkle_hash *hash;
    const struct sm_merkle_source *source;
    uint8_t edge[SM_MERKLE_LAYERS_MAX + 1]
                [SM_MERKLE_NODE_BYTES]; /* incomplete last node of each layer, if it has one */
    struct sm_arena *arena;
    struct sm_merkle_proof *out;
    size_t room;
};

/* ceil(log2 n): the height of the root. */
static unsigned height_of(uint64_t leaves)
{
    return leaves > 1 ? 64 - (unsigned)__builtin_clzll(leaves - 1) : 0;
}

static uint64_t shift_right(uint64_t v, unsigned by)
{
    return by < 64 ? v >> by : 0;
}

/* Has layer k a last node with data under it that is not complete? */
static bool has_edge(uint64_t leaves, unsigned layer)
{
    return layer && (layer >= 64 ? leaves : leaves & ((UINT64_C(1) << layer) - 1)) != 0;
}

/* Joins what the tree would hold parked into the incomplete nodes of the right edge, bottom up. */
static sm_err compute_edge(struct prover *p, unsigned height, struct sm_errinfo *ei)
{
    const uint64_t n = p->source->leaves;
    const struct sm_slice padding = sm_merkle_node(sm_merkle_padding);
    for (unsigned k = 1; k <= height; k++) {
        const bool below = has_edge(n, k - 1);
        struct sm_slice left;
        if (!has_edge(n, k)) continue;
        if (!(n >> (k - 1) & 1)) {
            p->hash->parent(p->hash->ctx, sm_merkle_node(p->edge[k - 1]), padding, p->edge[k]);
            continue;
        }
        const sm_err err = p->source->node(p->source->ctx, k - 1, (n >> (k - 1)) - 1, &left, ei);
        if (err) return err;
        p->hash->parent(p->hash->ctx, left, below ? sm_merkle_node(p->edge[k - 1]) : padding, p->edge[k]);
    }
    return SM_OK;
}

static sm_err append(struct prover *p, struct sm_slice node, struct sm_errinfo *ei)
{
    struct sm_merkle_proof *o = p->out;
    uint8_t *copy = sm_arena_alloc(p->arena, node.n);
    if (!copy) return sm_fail(ei, SM_E_NOMEM, "out of memory for a Merkle proof");
    if (o->nodes_n == p->room) {
        const size_t room = p->room ? 2 * p->room : 64;
        struct sm_slice *nodes = sm_arena_array(p->arena, room, sizeof *nodes);
        if (!nodes) return sm_fail(ei, SM_E_NOMEM, "out of memory for a Merkle proof");
        if (o->nodes_n) memcpy(nodes, o->nodes, o->nodes_n * sizeof *nodes);
        o->nodes = nodes;
        p->room = room;
    }
    if (node.n) memcpy(copy, node.p, node.n);
    o->nodes[o->nodes_n++] = (struct sm_slice){copy, node.n};
    return SM_OK;
}

static sm_err append_at(struct prover *p, unsigned layer, uint64_t position, struct sm_errinfo *ei)
{
    const uint64_t complete = shift_right(p->source->leaves, layer);
    struct sm_slice node = sm_merkle_node(sm_merkle_padding);
    if (position < complete) {
        const sm_err err = p->source->node(p->source->ctx, layer, position, &node, ei);
        if (err) return err;
    } else if (position == complete && has_edge(p->source->leaves, layer)) {
        node = sm_merkle_node(p->edge[layer]);
    }
    return append(p, node, ei);
}

/* The node at (layer, position) has the n > 0 proven leaves `indices` below it. Recurses once per layer. */
static sm_err walk(struct prover *p, unsigned layer, uint64_t position, const uint64_t *indices, size_t n,
                   struct sm_errinfo *ei)
{
    if (layer == 0) return SM_OK;
    const unsigned below = layer - 1;
    size_t left_n = 0;
    sm_err err = SM_OK;
    while (left_n < n && !(indices[left_n] >> below & 1)) left_n++;
    if (left_n) err = walk(p, below, 2 * position, indices, left_n, ei);
    if (!err && left_n < n) err = walk(p, below, 2 * position + 1, indices + left_n, n - left_n, ei);
    if (err || (left_n && left_n < n)) return err;
    return append_at(p, below, left_n ? 2 * position + 1 : 2 * position, ei);
}

sm_err sm_merkle_prove(const struct sm_merkle_hash *hash, const struct sm_merkle_source *source,
                       const uint64_t *indices, size_t indices_n, struct sm_arena *arena, struct sm_merkle_proof *out,
                       struct sm_errinfo *ei)
{
    struct sm_merkle_proof proof = {0};
    struct prover p = {.hash = hash, .source = source, .arena = arena, .out = &proof};
    if (indices_n == 0 || sm_merkle_order(indices, indices_n) != SM_MERKLE_VALID)
        return sm_fail(ei, SM_E_ARG, "Merkle proof: indices must be ascending and distinct");
    if (indices[indices_n - 1] >= source->leaves)
        return sm_fail(ei, SM_E_ARG, "Merkle proof: index %" PRIu64 " of %" PRIu64 " leaves", indices[indices_n - 1],
                       source->leaves);
    const unsigned height = height_of(source->leaves);
    sm_err err = compute_edge(&p, height, ei);
    if (!err) err = walk(&p, height, 0, indices, indices_n, ei);
    if (!err) *out = proof;
    return err;
}

/* ---- leaves in memory: all layers are built once ---- */

struct layers {
    const struct sm_slice *leaves;
    uint8_t *nodes[SM_MERKLE_LAYERS_MAX];
};

static sm_err layer_node(void *ctx, unsigned layer, uint64_t position, struct sm_slice *out, struct sm_errinfo *ei)
{
    const struct layers *l = ctx;
    (void)ei;
    *out = layer ? sm_merkle_node(l->nodes[layer] + position * SM_MERKLE_NODE_BYTES) : l->leaves[position];
    return SM_OK;
}

sm_err sm_merkle_prove_leaves(const struct sm_merkle_hash *hash, const struct sm_slice *leaves, size_t leaves_n,
                              const uint64_t *indices, size_t indices_n, struct sm_arena *arena,
                              struct sm_merkle_proof *out, struct sm_errinfo *ei)
{
    struct layers l = {.leaves = leaves};
    const struct sm_merkle_source source = {.node = layer_node, .ctx = &l, .leaves = leaves_n};
    for (unsigned k = 1; k < SM_MERKLE_LAYERS_MAX && leaves_n >> k; k++) {
        l.nodes[k] = sm_arena_array(arena, leaves_n >> k, SM_MERKLE_NODE_BYTES);
        if (!l.nodes[k]) return sm_fail(ei, SM_E_NOMEM, "out of memory for the tree of %zu leaves", leaves_n);
        for (size_t i = 0; i < leaves_n >> k; i++) {
            struct sm_slice left, right;
            (void)layer_node(&l, k - 1, 2 * i, &left, ei);
            (void)layer_node(&l, k - 1, 2 * i + 1, &right, ei);
            hash->parent(hash->ctx, left, right, l.nodes[k] + i * SM_MERKLE_NODE_BYTES);
        }
    }
    return sm_merkle_prove(hash, &source, indices, indices_n, arena, out, ei);
}
