#include "poet/membership.h"

#include <string.h>

#include "crypto/blake3.h"

static void parent(const void *ctx, struct sm_slice left, struct sm_slice right, uint8_t out[SM_MERKLE_NODE_BYTES])
{
    static const uint8_t domain = 0x01;
    struct sm_blake3 h;
    (void)ctx;
    sm_blake3_init(&h);
    sm_blake3_update(&h, &domain, 1);
    if (left.n) sm_blake3_update(&h, left.p, left.n);
    if (right.n) sm_blake3_update(&h, right.p, right.n);
    sm_blake3_final(&h, out);
}

const struct sm_merkle_hash sm_membership_hash = {.parent = parent, .ctx = NULL};

struct sm_slice sm_membership_root(const struct sm_slice *members, size_t n, uint8_t node[SM_MERKLE_NODE_BYTES])
{
    struct sm_merkle_tree t;
    sm_merkle_init(&t, sm_membership_hash);
    for (size_t i = 0; i < n; i++)
        if (sm_merkle_add(&t, members[i], NULL, NULL, NULL)) break; /* without emit only 2^64 leaves fail */
    return sm_merkle_root(&t, node);
}

bool sm_membership_find(const struct sm_slice *members, size_t n, const struct sm_hash32 *challenge, uint64_t *out)
{
    for (size_t i = 0; i < n; i++) {
        if (members[i].n != sizeof challenge->b || memcmp(members[i].p, challenge->b, sizeof challenge->b) != 0)
            continue;
        *out = i;
        return true;
    }
    return false;
}

static sm_err prove(const struct sm_slice *members, size_t n, const uint64_t *positions, size_t positions_n,
                    struct sm_arena *arena, struct sm_scale_list *out, struct sm_errinfo *ei)
{
    struct sm_arena work = {0};
    struct sm_merkle_proof proof = {0};
    struct sm_hash32 *nodes = NULL;
    sm_err err = sm_merkle_prove_leaves(&sm_membership_hash, members, n, positions, positions_n, &work, &proof, ei);
    if (err) goto out;
    if (proof.nodes_n > SM_MEMBERSHIP_NODES_MAX) {
        err = sm_fail(ei, SM_E_MISMATCH, "PoET membership: %zu nodes are needed and %u can be encoded", proof.nodes_n,
                      SM_MEMBERSHIP_NODES_MAX);
        goto out;
    }
    nodes = sm_arena_array(arena, proof.nodes_n, sizeof *nodes);
    if (!nodes) {
        err = sm_fail(ei, SM_E_NOMEM, "out of memory for a PoET membership");
        goto out;
    }
    for (size_t i = 0; i < proof.nodes_n; i++) {
        if (proof.nodes[i].n != sizeof nodes->b) {
            err = sm_fail(ei, SM_E_MISMATCH, "PoET membership: the neighbour in the tree is %zu bytes long, not %zu",
                          proof.nodes[i].n, sizeof nodes->b);
            goto out;
        }
        memcpy(nodes[i].b, proof.nodes[i].p, sizeof nodes->b);
    }
    *out = (struct sm_scale_list){.p = nodes, .n = proof.nodes_n};
out:
    sm_arena_free(&work);
    return err;
}

sm_err sm_membership_prove_v1(const struct sm_slice *members, size_t n, uint64_t position, struct sm_arena *arena,
                              struct sm_merkle_membership_v1 *out, struct sm_errinfo *ei)
{
    struct sm_merkle_membership_v1 m = {.leaf_index = position};
    const sm_err err = prove(members, n, &position, 1, arena, &m.nodes, ei);
    if (!err) *out = m;
    return err;
}

sm_err sm_membership_prove_v2(const struct sm_slice *members, size_t n, const uint64_t *positions, size_t positions_n,
                              struct sm_arena *arena, struct sm_merkle_membership_v2 *out, struct sm_errinfo *ei)
{
    struct sm_merkle_membership_v2 m = {{0}};
    const sm_err err = prove(members, n, positions, positions_n, arena, &m.nodes, ei);
    if (!err) *out = m;
    return err;
}

static sm_err check(const struct sm_scale_list *nodes, const uint64_t *positions, const struct sm_hash32 *challenges,
                    size_t n, struct sm_slice statement, sm_merkle_verdict *out, struct sm_errinfo *ei)
{
    struct sm_arena arena = {0};
    struct sm_merkle_check result = {0};
    const struct sm_hash32 *from = nodes->p;
    struct sm_slice *leaf = sm_arena_array(&arena, n, sizeof *leaf);
    struct sm_slice *node = sm_arena_array(&arena, nodes->n, sizeof *node);
    sm_err err = SM_E_NOMEM;
    if (!leaf || !node) {
        (void)sm_fail(ei, SM_E_NOMEM, "out of memory for a PoET membership");
        goto out;
    }
    for (size_t i = 0; i < n; i++) leaf[i] = (struct sm_slice){challenges[i].b, sizeof challenges[i].b};
    for (size_t i = 0; i < nodes->n; i++) node[i] = (struct sm_slice){from[i].b, sizeof from[i].b};
    const struct sm_merkle_claim claim = {.indices = positions,
                                          .indices_n = n,
                                          .leaves = leaf,
                                          .leaves_n = n,
                                          .nodes = node,
                                          .nodes_n = nodes->n,
                                          .root = statement};
    err = sm_merkle_validate(&sm_membership_hash, &claim, false, &arena, &result, ei);
    if (!err) *out = result.verdict;
out:
    sm_arena_free(&arena);
    return err;
}

sm_err sm_membership_check_v1(const struct sm_merkle_membership_v1 *m, const struct sm_hash32 *challenge,
                              struct sm_slice statement, sm_merkle_verdict *out, struct sm_errinfo *ei)
{
    return check(&m->nodes, &m->leaf_index, challenge, 1, statement, out, ei);
}

sm_err sm_membership_check_v2(const struct sm_merkle_membership_v2 *m, const uint64_t *positions,
                              const struct sm_hash32 *challenges, size_t n, struct sm_slice statement,
                              sm_merkle_verdict *out, struct sm_errinfo *ei)
{
    return check(&m->nodes, positions, challenges, n, statement, out, ei);
}
