#include "poet/posw.h"

#include <string.h>

#include "crypto/sha256.h"

const struct sm_posw_params sm_posw_network = {.proven_leaves = SM_POET_PROVEN_LEAVES, .depth = SM_POSW_LABEL_DEPTH};

static void parent(const void *ctx, struct sm_slice left, struct sm_slice right, uint8_t out[SM_MERKLE_NODE_BYTES])
{
    const struct sm_slice *statement = ctx;
    const struct sm_slice parts[] = {*statement, left, right};
    sm_sha256_hash(parts, 3, out);
}

struct sm_merkle_hash sm_posw_hash(const struct sm_slice *statement)
{
    return (struct sm_merkle_hash){.parent = parent, .ctx = statement};
}

void sm_posw_label(const struct sm_posw_params *params, struct sm_slice statement, uint64_t index,
                   const struct sm_slice *parked, size_t n, uint8_t out[32])
{
    struct sm_sha256 h;
    uint8_t be[8];
    sm_be64_store(be, index);
    sm_sha256_init(&h, NULL);
    sm_sha256_update(&h, statement.p, statement.n);
    sm_sha256_update(&h, be, sizeof be);
    for (size_t k = 0; k < n; k++) sm_sha256_update(&h, parked[k].p, parked[k].n);
    sm_sha256_final(&h, out);
    sm_sha256_iterate(NULL, out, params->depth - 1);
}

/* Puts v into the ascending list of *n values unless it is there. */
static void insert(uint64_t *list, size_t *n, uint64_t v)
{
    size_t lo = 0, hi = *n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (list[mid] < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < *n && list[lo] == v) return;
    memmove(list + lo + 1, list + lo, (*n - lo) * sizeof *list);
    list[lo] = v;
    ++*n;
}

size_t sm_posw_indices(struct sm_slice challenge, uint64_t space, uint32_t t, uint64_t *out)
{
    size_t n = 0;
    if (t > space) {
        for (; n < space; n++) out[n] = n;
        return n;
    }
    for (uint32_t counter = 0; n < t; counter++) {
        uint8_t be[4], digest[32];
        sm_be32_store(be, counter);
        const struct sm_slice parts[] = {challenge, {be, sizeof be}};
        sm_sha256_hash(parts, 2, digest);
        insert(out, &n, sm_be64_load(digest) % space);
    }
    return n;
}

static struct sm_slice *slices(const struct sm_scale_list *list, struct sm_arena *arena)
{
    const struct sm_scale_bytes *from = list->p;
    struct sm_slice *s = sm_arena_array(arena, list->n, sizeof *s);
    for (size_t i = 0; s && i < list->n; i++) s[i] = (struct sm_slice){from[i].p, from[i].n};
    return s;
}

static sm_err check_labels(const struct sm_posw_params *params, struct sm_slice statement,
                           const struct sm_merkle_claim *claim, const struct sm_merkle_snapshot *snapshots,
                           const struct sm_cancel *cancel, struct sm_posw_verdict *v, struct sm_errinfo *ei)
{
    for (size_t k = 0; k < claim->leaves_n; k++) {
        uint8_t label[32];
        if (sm_cancelled(cancel)) return sm_fail(ei, SM_E_CANCELLED, "PoET proof verification was cancelled");
        sm_posw_label(params, statement, claim->indices[k], snapshots[k].node, SM_MERKLE_LAYERS_MAX, label);
        if (claim->leaves[k].n == sizeof label && memcmp(claim->leaves[k].p, label, sizeof label) == 0) continue;
        v->failed = SM_POSW_BAD_LABEL;
        v->index = claim->indices[k];
        break;
    }
    return SM_OK;
}

static sm_err verify(const struct sm_posw_params *params, struct sm_slice statement, const struct sm_poet_proof *proof,
                     const struct sm_cancel *cancel, struct sm_arena *arena, struct sm_posw_verdict *v,
                     struct sm_errinfo *ei)
{
    if (proof->proven_leaves.n != params->proven_leaves) {
        v->failed = SM_POSW_BAD_LEAVES;
        return SM_OK;
    }
    uint64_t *indices = sm_arena_array(arena, params->proven_leaves, sizeof *indices);
    const struct sm_slice *leaves = slices(&proof->proven_leaves, arena), *nodes = slices(&proof->proof_nodes, arena);
    if (!indices || !leaves || !nodes) return sm_fail(ei, SM_E_NOMEM, "out of memory for a PoET proof");
    const struct sm_slice root = {proof->root.p, proof->root.n};
    if (sm_posw_indices(root, proof->leaf_count, params->proven_leaves, indices) != params->proven_leaves) {
        v->failed = SM_POSW_TOO_FEW;
        return SM_OK;
    }
    const struct sm_merkle_claim claim = {.indices = indices,
                                          .indices_n = params->proven_leaves,
                                          .leaves = leaves,
                                          .leaves_n = proof->proven_leaves.n,
                                          .nodes = nodes,
                                          .nodes_n = proof->proof_nodes.n,
                                          .root = root};
    const struct sm_merkle_hash hash = sm_posw_hash(&statement);
    struct sm_merkle_check tree = {0};
    const sm_err err = sm_merkle_validate(&hash, &claim, true, arena, &tree, ei);
    if (err) return err;
    v->merkle = tree.verdict;
    if (tree.verdict != SM_MERKLE_VALID)
        v->failed = SM_POSW_BAD_TREE;
    else if (tree.snapshots_n != params->proven_leaves)
        v->failed = SM_POSW_BAD_SNAPSHOTS;
    else
        return check_labels(params, statement, &claim, tree.snapshots, cancel, v, ei);
    return SM_OK;
}

sm_err sm_posw_verify(const struct sm_posw_params *params, struct sm_slice statement, const struct sm_poet_proof *proof,
                      const struct sm_cancel *cancel, struct sm_posw_verdict *out, struct sm_errinfo *ei)
{
    struct sm_arena arena = {0};
    struct sm_posw_verdict v = {0};
    if (params->proven_leaves == 0 || params->proven_leaves > SM_POSW_PROVEN_MAX || params->depth == 0)
        return sm_fail(ei, SM_E_ARG, "PoET parameters: %u leaves, label depth %u", params->proven_leaves,
                       params->depth);
    const sm_err err = verify(params, statement, proof, cancel, &arena, &v, ei);
    sm_arena_free(&arena);
    if (!err) *out = v;
    return err;
}

sm_err sm_posw_verify_message(const struct sm_poet_proof_message *m, const struct sm_cancel *cancel,
                              struct sm_posw_verdict *out, struct sm_errinfo *ei)
{
    const struct sm_slice statement = {m->statement.b, sizeof m->statement.b};
    return sm_posw_verify(&sm_posw_network, statement, &m->proof, cancel, out, ei);
}

const char *sm_posw_check_text(sm_posw_check c)
{
    static const char *const text[] = {
        [SM_POSW_VALID] = "valid",
        [SM_POSW_BAD_LEAVES] = "wrong number of proven leaves",
        [SM_POSW_TOO_FEW] = "the tree has fewer leaves than must be proven",
        [SM_POSW_BAD_TREE] = "Merkle proof not valid",
        [SM_POSW_BAD_SNAPSHOTS] = "the Merkle proof does not reach every proven leaf",
        [SM_POSW_BAD_LABEL] = "a proven leaf is not the label of its index",
    };
    return text[c];
}
