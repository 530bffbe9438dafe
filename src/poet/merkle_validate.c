#include <string.h>

#include "poet/merkle.h"
#include "poet/merkle_impl.h"

struct climber {
    const struct sm_merkle_hash *hash;
    const struct sm_merkle_claim *claim;
    size_t leaf, node; /* next to consume */
    uint8_t *values;   /* one per parent computed: snapshots refer to them */
    struct sm_merkle_snapshot *snapshots;
};

#define NO_STOP UINT32_MAX

static struct sm_slice parent(struct climber *c, struct sm_slice left, struct sm_slice right)
{
    uint8_t *out = c->values;
    c->values += SM_MERKLE_NODE_BYTES;
    c->hash->parent(c->hash->ctx, left, right, out);
    return sm_merkle_node(out);
}

/* Parks `v` at `height` for the leaves [from, to). */
static void park(struct climber *c, size_t from, size_t to, unsigned height, struct sm_slice v)
{
    if (!c->snapshots) return;
    for (size_t i = from; i < to; i++) c->snapshots[i].node[height] = v;
}

/* Does the subtree of the next unconsumed leaf stand at `position` of layer `height`? */
static bool next_leaf_is_under(const struct climber *c, unsigned height, uint64_t position)
{
    if (c->leaf == c->claim->leaves_n || height >= SM_MERKLE_LAYERS_MAX) return false;
    return c->claim->indices[c->leaf] >> height == position;
}

/* Consumes the next leaf and climbs to height `stop`, or until nodes run out: also inside a nested call, whose
 * unfinished value is then the sibling. At SM_MERKLE_LAYERS_MAX and above the position is 0, so nothing is parked and
 * no leaf matches: calls nest with ever smaller `stop`, at most SM_MERKLE_LAYERS_MAX deep. */
static struct sm_slice climb(struct climber *c, unsigned stop)
{
    const size_t first = c->leaf++;
    uint64_t position = c->claim->indices[first];
    struct sm_slice v = c->claim->leaves[first];
    for (unsigned height = 0; height != stop; height++, position >>= 1) {
        const size_t sub = c->leaf;
        struct sm_slice sibling;
        if (next_leaf_is_under(c, height, position ^ 1))
            sibling = climb(c, height);
        else if (c->node < c->claim->nodes_n)
            sibling = c->claim->nodes[c->node++];
        else
            break;
        if (position & 1) {
            park(c, first, c->leaf, height, sibling);
            v = parent(c, sibling, v);
        } else {
            park(c, sub, c->leaf, height, v);
            v = parent(c, v, sibling);
        }
    }
    return v;
}

sm_merkle_verdict sm_merkle_order(const uint64_t *indices, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (indices[i - 1] > indices[i]) return SM_MERKLE_UNSORTED;
    for (size_t i = 1; i < n; i++)
        if (indices[i - 1] == indices[i]) return SM_MERKLE_DUPLICATE;
    return SM_MERKLE_VALID;
}

static sm_merkle_verdict check_shape(const struct sm_merkle_claim *c)
{
    if (c->leaves_n != c->indices_n) return SM_MERKLE_BAD_COUNT;
    if (c->leaves_n == 0) return SM_MERKLE_NO_LEAF;
    return sm_merkle_order(c->indices, c->indices_n);
}

sm_err sm_merkle_validate(const struct sm_merkle_hash *hash, const struct sm_merkle_claim *claim, bool want_snapshots,
                          struct sm_arena *arena, struct sm_merkle_check *out, struct sm_errinfo *ei)
{
    struct sm_merkle_check check = {.verdict = check_shape(claim)};
    struct climber c = {.hash = hash, .claim = claim};
    if (check.verdict == SM_MERKLE_VALID) {
        /* every parent consumes a node or a leaf */
        c.values = sm_arena_array(arena, claim->nodes_n + claim->leaves_n, SM_MERKLE_NODE_BYTES);
        if (want_snapshots) c.snapshots = sm_arena_array(arena, claim->leaves_n, sizeof *c.snapshots);
        if (!c.values || (want_snapshots && !c.snapshots))
            return sm_fail(ei, SM_E_NOMEM, "out of memory for a Merkle proof of %zu nodes", claim->nodes_n);
        const struct sm_slice v = climb(&c, NO_STOP);
        if (v.n != claim->root.n || (v.n && memcmp(v.p, claim->root.p, v.n) != 0)) check.verdict = SM_MERKLE_BAD_ROOT;
        check.snapshots = c.snapshots;
        check.snapshots_n = c.leaf;
    }
    *out = check;
    return SM_OK;
}

const char *sm_merkle_verdict_text(sm_merkle_verdict v)
{
    static const char *const text[] = {
        [SM_MERKLE_VALID] = "valid",
        [SM_MERKLE_BAD_COUNT] = "as many leaves as indices are needed",
        [SM_MERKLE_NO_LEAF] = "no leaf is proven",
        [SM_MERKLE_UNSORTED] = "indices are not sorted",
        [SM_MERKLE_DUPLICATE] = "indices contain duplicates",
        [SM_MERKLE_BAD_ROOT] = "the path does not end in the root",
    };
    return text[v];
}
