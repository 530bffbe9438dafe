/* Memberships: roots and proofs of the vectors, and lists no proof can be made of. */
#include "poet/membership.h"

#include "crypto/blake3.h"
#include "kit.h"

static struct sm_hash32 hash32(struct sm_slice s)
{
    struct sm_hash32 h;
    cr_assert_eq(s.n, 32);
    memcpy(h.b, s.p, 32);
    return h;
}

static void assert_nodes(const struct sm_scale_list *got, const json_t *hex, struct sm_arena *arena)
{
    size_t n;
    const struct sm_slice *want = kit_list(hex, arena, &n);
    const struct sm_hash32 *nodes = got->p;
    cr_assert_eq(got->n, n);
    for (size_t i = 0; i < n; i++) cr_assert_arr_eq(nodes[i].b, want[i].p, 32);
}

static void check_single(const struct sm_slice *members, size_t n, uint64_t at, struct sm_slice root,
                         const json_t *nodes, struct sm_arena *arena)
{
    struct sm_merkle_membership_v1 m;
    sm_merkle_verdict v;
    uint64_t found;
    struct sm_hash32 challenge = hash32(members[at]);
    cr_assert(sm_membership_find(members, n, &challenge, &found));
    cr_assert_eq(found, at);
    cr_assert_eq(sm_membership_prove_v1(members, n, at, arena, &m, NULL), SM_OK);
    cr_assert_eq(m.leaf_index, at);
    assert_nodes(&m.nodes, nodes, arena);
    cr_assert_eq(sm_membership_check_v1(&m, &challenge, root, &v, NULL), SM_OK);
    cr_assert_eq(v, SM_MERKLE_VALID);
    challenge.b[31] ^= 1;
    cr_assert_eq(sm_membership_check_v1(&m, &challenge, root, &v, NULL), SM_OK);
    cr_assert_eq(v, SM_MERKLE_BAD_ROOT);
    cr_assert_not(sm_membership_find(members, n, &challenge, &found));
}

static void check_multi(const struct sm_slice *members, size_t n, const uint64_t *at, size_t at_n, struct sm_slice root,
                        const json_t *nodes, struct sm_arena *arena)
{
    struct sm_merkle_membership_v2 m;
    struct sm_hash32 challenges[8];
    sm_merkle_verdict v;
    for (size_t i = 0; i < at_n; i++) challenges[i] = hash32(members[at[i]]);
    cr_assert_eq(sm_membership_prove_v2(members, n, at, at_n, arena, &m, NULL), SM_OK);
    assert_nodes(&m.nodes, nodes, arena);
    cr_assert_eq(sm_membership_check_v2(&m, at, challenges, at_n, root, &v, NULL), SM_OK);
    cr_assert_eq(v, SM_MERKLE_VALID);
    challenges[at_n - 1].b[0] ^= 1;
    cr_assert_eq(sm_membership_check_v2(&m, at, challenges, at_n, root, &v, NULL), SM_OK);
    cr_assert_eq(v, SM_MERKLE_BAD_ROOT);
}

Test(membership, derived_vectors)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("poet-derived-membership.json");
    size_t all;
    const struct sm_slice *members = kit_list(kit_cases(v, "members_hex", 13), &arena, &all);
    const json_t *items = kit_cases(v, "items", 9), *multi = vec_get(v, "multi");
    uint8_t node[32];
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *c = json_array_get(items, i);
        const size_t n = vec_u64(c, "member_count");
        const struct sm_slice root = kit_member(c, "root_hex", &arena);
        const json_t *proofs = kit_cases(c, "proofs_hex", n);
        cr_assert(kit_same(sm_membership_root(members, n, node), root));
        for (size_t k = 0; k < n; k++) check_single(members, n, k, root, json_array_get(proofs, k), &arena);
    }
    size_t at_n;
    const uint64_t *at = kit_u64s(vec_get(multi, "leaf_indices"), &arena, &at_n);
    check_multi(members, 13, at, at_n, kit_member(multi, "root_hex", &arena), vec_get(multi, "nodes_hex"), &arena);
    cr_assert_eq(sm_membership_root(members, 0, node).n, 0);
    json_decref(v);
    sm_arena_free(&arena);
}

/* leaf i = blake3("member<i>") */
static struct sm_slice *wire_members(size_t n, struct sm_arena *arena)
{
    struct sm_slice *s = sm_arena_array(arena, n, sizeof *s);
    for (size_t i = 0; i < n; i++) {
        char text[32];
        uint8_t *p = sm_arena_alloc(arena, 32);
        sm_blake3_hash(text, (size_t)snprintf(text, sizeof text, "member%zu", i), p);
        s[i] = (struct sm_slice){p, 32};
    }
    return s;
}

Test(membership, wire_vectors)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("wire-poet.json");
    const json_t *single = kit_cases(v, "membership_single", 30), *multi = vec_get(v, "membership_multi");
    uint8_t node[32];
    for (size_t i = 0; i < json_array_size(single); i++) {
        const json_t *c = json_array_get(single, i);
        const size_t n = vec_u64(c, "members");
        const uint64_t at = vec_u64(c, "index");
        const struct sm_slice *members = wire_members(n, &arena), root = kit_member(c, "root", &arena);
        cr_assert(json_is_true(vec_get(c, "valid")));
        cr_assert(kit_same(members[at], kit_member(c, "leaf", &arena)));
        cr_assert(kit_same(sm_membership_root(members, n, node), root));
        check_single(members, n, at, root, vec_get(c, "nodes"), &arena);
    }
    size_t at_n;
    const size_t n = vec_u64(multi, "members");
    const uint64_t *at = kit_u64s(vec_get(multi, "indices"), &arena, &at_n);
    size_t leaves_n;
    const struct sm_slice *leaves = kit_list(vec_get(multi, "leaves"), &arena, &leaves_n);
    cr_assert_eq(leaves_n, at_n);
    for (size_t i = 0; i < at_n; i++) cr_assert(kit_same(leaves[i], wire_members(n, &arena)[at[i]]));
    check_multi(wire_members(n, &arena), n, at, at_n, kit_member(multi, "root", &arena), vec_get(multi, "nodes"),
                &arena);
    json_decref(v);
    sm_arena_free(&arena);
}

Test(membership, members_of_other_lengths)
{
    struct sm_arena arena = {0};
    struct sm_slice *members = wire_members(6, &arena);
    struct sm_merkle_membership_v1 m;
    struct sm_errinfo ei = {0};
    uint8_t node[32];
    sm_merkle_verdict v;
    members[3].n = 31;
    const struct sm_hash32 ours = hash32(members[0]);
    const struct sm_slice root = sm_membership_root(members, 6, node);
    cr_assert_eq(sm_membership_prove_v1(members, 6, 2, &arena, &m, &ei), SM_E_MISMATCH);
    cr_assert_eq(sm_membership_prove_v1(members, 6, 6, &arena, &m, &ei), SM_E_ARG);
    cr_assert_eq(sm_membership_prove_v1(members, 6, 0, &arena, &m, &ei), SM_OK);
    cr_assert_eq(sm_membership_check_v1(&m, &ours, root, &v, &ei), SM_OK);
    cr_assert_eq(v, SM_MERKLE_VALID, "a strange member further away does no harm");
    sm_arena_free(&arena);
}

Test(membership, the_first_of_equal_members_is_ours)
{
    struct sm_arena arena = {0};
    struct sm_slice *members = wire_members(5, &arena);
    uint64_t at;
    members[4] = members[1];
    const struct sm_hash32 ours = hash32(members[4]);
    cr_assert(sm_membership_find(members, 5, &ours, &at));
    cr_assert_eq(at, 1);
    sm_arena_free(&arena);
}
