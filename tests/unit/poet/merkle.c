/* Merkle trees of PoET: the reference's constants, and properties of random trees. */
#include "poet/merkle.h"

#include "crypto/sha256.h"
#include "kit.h"

static void parent(const void *ctx, struct sm_slice left, struct sm_slice right, uint8_t out[32])
{
    const struct sm_slice parts[] = {left, right};
    (void)ctx;
    sm_sha256_hash(parts, 2, out);
}
static const struct sm_merkle_hash plain = {.parent = parent};

/* leaf i: i as little-endian uint64, then zeros */
static struct sm_slice *numbered(size_t n, struct sm_arena *arena)
{
    struct sm_slice *s = sm_arena_array(arena, n, sizeof *s);
    for (size_t i = 0; i < n; i++) {
        uint8_t *p = sm_arena_alloc(arena, 32);
        sm_le64_store(p, i);
        s[i] = (struct sm_slice){p, 32};
    }
    return s;
}

static sm_err count_nodes(void *ctx, unsigned layer, const uint8_t *node, struct sm_errinfo *ei)
{
    (void)node;
    (void)ei;
    ((uint64_t *)ctx)[layer]++;
    return SM_OK;
}

static struct sm_slice root_of(const struct sm_slice *leaves, size_t n, uint8_t node[32], uint64_t widths[64])
{
    struct sm_merkle_tree t;
    sm_merkle_init(&t, plain);
    for (size_t i = 0; i < n; i++) cr_assert_eq(sm_merkle_add(&t, leaves[i], count_nodes, widths, NULL), SM_OK);
    widths[0] = n;
    return sm_merkle_root(&t, node);
}

Test(merkle, roots_and_widths_of_the_reference)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("poet-merkle-tree.json");
    const json_t *roots = kit_cases(v, "roots", 4), *widths = kit_cases(v, "unpadded_layer_widths", 4);
    for (size_t i = 0; i < json_array_size(roots); i++) {
        const json_t *c = json_array_get(roots, i);
        uint8_t node[32];
        const size_t n = vec_u64(c, "leaf_count");
        uint64_t seen[64] = {0};
        cr_assert(kit_same(root_of(numbered(n, &arena), n, node, seen), kit_member(c, "root_hex", &arena)));
    }
    for (size_t i = 0; i < json_array_size(widths); i++) {
        const json_t *c = json_array_get(widths, i);
        const size_t n = vec_u64(c, "leaf_count");
        uint8_t node[32];
        uint64_t seen[64] = {0};
        size_t layers;
        const uint64_t *want = kit_u64s(vec_get(c, "widths"), &arena, &layers);
        (void)root_of(numbered(n, &arena), n, node, seen);
        for (size_t k = 0; k < layers; k++) cr_assert_eq(seen[k], want[k]);
        cr_assert_eq(seen[layers], 0);
    }
    json_decref(v);
    sm_arena_free(&arena);
}

static void check_proof_case(const json_t *c, struct sm_arena *arena)
{
    size_t indices_n, nodes_n;
    const size_t n = vec_u64(c, "leaf_count");
    const uint64_t *indices = kit_u64s(vec_get(c, "proven_indices"), arena, &indices_n);
    const struct sm_slice *want = kit_list(vec_get(c, "proof_nodes_hex"), arena, &nodes_n);
    const struct sm_slice *leaves = numbered(n, arena);
    struct sm_slice *proven = sm_arena_array(arena, indices_n, sizeof *proven);
    struct sm_merkle_proof proof;
    struct sm_merkle_check check;
    cr_assert_eq(sm_merkle_prove_leaves(&plain, leaves, n, indices, indices_n, arena, &proof, NULL), SM_OK);
    kit_assert_nodes(&proof, want, nodes_n);
    for (size_t i = 0; i < indices_n; i++) proven[i] = leaves[indices[i]];
    const struct sm_merkle_claim claim = {
        indices, indices_n, proven, indices_n, want, nodes_n, kit_member(c, "root_hex", arena)};
    cr_assert_eq(sm_merkle_validate(&plain, &claim, false, arena, &check, NULL), SM_OK);
    cr_assert_eq(check.verdict, SM_MERKLE_VALID);
}

Test(merkle, proofs_of_the_reference)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("poet-merkle-tree.json");
    const json_t *full = kit_cases(v, "proofs_full_constants", 4);
    const json_t *prefix = kit_cases(vec_get(v, "proofs_prefix_checked"), "items", 4);
    for (size_t i = 0; i < json_array_size(full); i++) check_proof_case(json_array_get(full, i), &arena);
    for (size_t i = 0; i < json_array_size(prefix); i++) check_proof_case(json_array_get(prefix, i), &arena);
    json_decref(v);
    sm_arena_free(&arena);
}

Test(merkle, parking_snapshots_of_the_reference)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("poet-merkle-tree.json");
    const json_t *c = json_array_get(kit_cases(v, "parking_snapshots", 1), 0);
    size_t indices_n;
    const size_t n = vec_u64(c, "leaf_count");
    const uint64_t *indices = kit_u64s(vec_get(c, "proven_indices"), &arena, &indices_n);
    const struct sm_slice *leaves = numbered(n, &arena);
    const json_t *snapshots = kit_cases(c, "snapshots_hex", indices_n);
    struct sm_slice proven[8];
    struct sm_merkle_proof proof;
    struct sm_merkle_check check;
    uint8_t node[32];
    uint64_t seen[64] = {0};
    cr_assert_eq(sm_merkle_prove_leaves(&plain, leaves, n, indices, indices_n, &arena, &proof, NULL), SM_OK);
    for (size_t i = 0; i < indices_n; i++) proven[i] = leaves[indices[i]];
    const struct sm_merkle_claim claim = {
        indices, indices_n, proven, indices_n, proof.nodes, proof.nodes_n, root_of(leaves, n, node, seen)};
    cr_assert_eq(sm_merkle_validate(&plain, &claim, true, &arena, &check, NULL), SM_OK);
    cr_assert_eq(check.verdict, SM_MERKLE_VALID);
    cr_assert_eq(check.snapshots_n, indices_n);
    for (size_t i = 0; i < indices_n; i++) {
        size_t layers;
        const struct sm_slice *want = kit_list(json_array_get(snapshots, i), &arena, &layers);
        for (size_t k = 0; k < 64; k++)
            cr_assert(kit_same(check.snapshots[i].node[k], k < layers ? want[k] : (struct sm_slice){NULL, 0}));
    }
    json_decref(v);
    sm_arena_free(&arena);
}

Test(merkle, parked_nodes_of_short_leaves)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("poet-merkle-tree.json");
    const json_t *cases = kit_cases(v, "parked_nodes_one_byte_leaves", 4);
    struct sm_merkle_tree t;
    sm_merkle_init(&t, plain);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        size_t layers;
        const struct sm_slice *want = kit_list(vec_get(c, "parked_after_hex"), &arena, &layers);
        cr_assert_eq(sm_merkle_add(&t, kit_member(c, "leaf_hex", &arena), NULL, NULL, NULL), SM_OK);
        for (unsigned k = 0; k < 64; k++)
            cr_assert(kit_same(sm_merkle_parked(&t, k), k < layers ? want[k] : (struct sm_slice){NULL, 0}));
    }
    json_decref(v);
    sm_arena_free(&arena);
}

Test(merkle, validation_cases_of_the_reference)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("poet-merkle-tree.json");
    const json_t *only = kit_cases(v, "validate_only", 1), *errors = kit_cases(v, "validate_errors", 4);
    struct sm_merkle_check check;
    for (size_t i = 0; i < json_array_size(only); i++) {
        const json_t *c = json_array_get(only, i);
        struct sm_merkle_claim claim = {.root = kit_member(c, "root_hex", &arena)};
        claim.indices = kit_u64s(vec_get(c, "leaf_indices"), &arena, &claim.indices_n);
        claim.leaves = kit_list(vec_get(c, "leaves_hex"), &arena, &claim.leaves_n);
        claim.nodes = kit_list(vec_get(c, "proof_nodes_hex"), &arena, &claim.nodes_n);
        cr_assert_eq(sm_merkle_validate(&plain, &claim, false, &arena, &check, NULL), SM_OK);
        cr_assert_eq(check.verdict == SM_MERKLE_VALID, json_is_true(vec_get(c, "valid")));
    }
    static const struct {
        const char *begins;
        sm_merkle_verdict verdict;
    } texts[] = {{"number of leaves", SM_MERKLE_BAD_COUNT},
                 {"at least one leaf", SM_MERKLE_NO_LEAF},
                 {"leafIndices are not sorted", SM_MERKLE_UNSORTED},
                 {"leafIndices contain duplicates", SM_MERKLE_DUPLICATE}};
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *c = json_array_get(errors, i);
        struct sm_merkle_claim claim = {.root = {NULL, 0}};
        claim.indices = kit_u64s(vec_get(c, "leaf_indices"), &arena, &claim.indices_n);
        claim.leaves_n = json_array_size(vec_get(c, "leaf_values"));
        claim.leaves = numbered(8, &arena);
        cr_assert_eq(sm_merkle_validate(&plain, &claim, false, &arena, &check, NULL), SM_OK);
        size_t known = 0;
        while (known < 4 && strncmp(vec_str(c, "error"), texts[known].begins, strlen(texts[known].begins))) known++;
        cr_assert_lt(known, 4, "%s", vec_str(c, "error"));
        cr_assert_eq(check.verdict, texts[known].verdict);
    }
    json_decref(v);
    sm_arena_free(&arena);
}

/* Layer by layer, as §3.1 defines the root. */
static struct sm_slice naive_root(const struct sm_slice *leaves, size_t n, struct sm_arena *arena)
{
    static const uint8_t zero[32];
    struct sm_slice *layer = sm_arena_array(arena, n + 1, sizeof *layer);
    memcpy(layer, leaves, n * sizeof *layer);
    while (n > 1) {
        if (n & 1) layer[n++] = (struct sm_slice){zero, 32};
        for (size_t i = 0; i < n / 2; i++) {
            uint8_t *out = sm_arena_alloc(arena, 32);
            parent(NULL, layer[2 * i], layer[2 * i + 1], out);
            layer[i] = (struct sm_slice){out, 32};
        }
        n /= 2;
    }
    return n ? layer[0] : (struct sm_slice){NULL, 0};
}

Test(merkle, random_proofs_hold_and_break_with_any_byte)
{
    uint8_t seed[32];
    randombytes_buf(seed, sizeof seed);
    char hex[65];
    cr_log_info("seed %s", sodium_bin2hex(hex, sizeof hex, seed, sizeof seed));
    uint32_t random[4096];
    randombytes_buf_deterministic(random, sizeof random, seed);
    size_t r = 0;
    for (size_t n = 1; n <= 70; n++) {
        struct sm_arena arena = {0};
        struct sm_slice *leaves = numbered(n, &arena), proven[70];
        uint64_t indices[70], seen[64] = {0};
        size_t indices_n = 0;
        uint8_t node[32];
        const uint32_t share = 1 + random[r++ % 4096] % 8;
        for (size_t i = 0; i < n; i++)
            if (random[r++ % 4096] % share == 0) indices[indices_n++] = i;
        if (indices_n == 0) indices[indices_n++] = random[r++ % 4096] % n;
        for (size_t i = 0; i < indices_n; i++) proven[i] = leaves[indices[i]];
        const struct sm_slice root = root_of(leaves, n, node, seen);
        cr_assert(kit_same(root, naive_root(leaves, n, &arena)), "%zu leaves, seed %s", n, hex);
        struct sm_merkle_proof proof;
        struct sm_merkle_check check;
        cr_assert_eq(sm_merkle_prove_leaves(&plain, leaves, n, indices, indices_n, &arena, &proof, NULL), SM_OK);
        struct sm_merkle_claim claim = {indices, indices_n, proven, indices_n, proof.nodes, proof.nodes_n, root};
        cr_assert_eq(sm_merkle_validate(&plain, &claim, true, &arena, &check, NULL), SM_OK);
        cr_assert_eq(check.verdict, SM_MERKLE_VALID, "%zu of %zu leaves, seed %s", indices_n, n, hex);
        cr_assert_eq(check.snapshots_n, indices_n);
        for (size_t i = 0; i < proof.nodes_n + indices_n; i++) {
            uint8_t *at = (uint8_t *)(i < proof.nodes_n ? proof.nodes[i] : proven[i - proof.nodes_n]).p;
            const size_t byte = random[r++ % 4096] % 32;
            uint8_t before[32];
            memcpy(before, root.p, 32); /* the only leaf of a tree is its root */
            if (n == 1) claim.root.p = before;
            at[byte] ^= 1;
            cr_assert_eq(sm_merkle_validate(&plain, &claim, false, &arena, &check, NULL), SM_OK);
            cr_assert_eq(check.verdict, SM_MERKLE_BAD_ROOT, "part %zu, %zu leaves, seed %s", i, n, hex);
            at[byte] ^= 1;
        }
        sm_arena_free(&arena);
    }
}

/* Far more nodes than a tree has layers, indices with bit 63 set, nodes of odd lengths: an answer, no deep stack. */
Test(merkle, hostile_proofs_are_answered)
{
    struct sm_arena arena = {0};
    static uint8_t bytes[32];
    struct sm_slice nodes[5400], leaves[150];
    uint64_t indices[150];
    struct sm_merkle_check check;
    for (size_t i = 0; i < 5400; i++) nodes[i] = (struct sm_slice){bytes, i % 33};
    for (size_t i = 0; i < 150; i++) {
        leaves[i] = (struct sm_slice){bytes, 32};
        indices[i] = UINT64_MAX - 149 + i;
    }
    const struct sm_merkle_claim claim = {indices, 150, leaves, 150, nodes, 5400, {bytes, 32}};
    cr_assert_eq(sm_merkle_validate(&plain, &claim, true, &arena, &check, NULL), SM_OK);
    cr_assert_eq(check.verdict, SM_MERKLE_BAD_ROOT);
    cr_assert_eq(check.snapshots_n, 150);
    sm_arena_free(&arena);
}

/* Nodes run out inside a nested call: its unfinished value is the sibling (§3.6). */
Test(merkle, nodes_that_run_out_end_the_climb)
{
    struct sm_arena arena = {0};
    const struct sm_slice *leaves = numbered(8, &arena);
    static const uint64_t indices[] = {1, 6};
    const struct sm_slice proven[] = {leaves[1], leaves[6]}, nodes[] = {leaves[0], leaves[3]};
    uint8_t left[32], root[32];
    struct sm_merkle_check check;
    parent(NULL, leaves[0], leaves[1], left);
    parent(NULL, (struct sm_slice){left, 32}, leaves[3], left);
    parent(NULL, (struct sm_slice){left, 32}, leaves[6], root);
    const struct sm_merkle_claim claim = {indices, 2, proven, 2, nodes, 2, {root, 32}};
    cr_assert_eq(sm_merkle_validate(&plain, &claim, true, &arena, &check, NULL), SM_OK);
    cr_assert_eq(check.verdict, SM_MERKLE_VALID);
    cr_assert_eq(check.snapshots_n, 2);
    /* And on the way up, before the second leaf is reached: it stays unused. */
    const struct sm_merkle_claim early = {indices, 2, proven, 2, nodes, 1, {left, 32}};
    parent(NULL, leaves[0], leaves[1], left);
    cr_assert_eq(sm_merkle_validate(&plain, &early, true, &arena, &check, NULL), SM_OK);
    cr_assert_eq(check.verdict, SM_MERKLE_VALID);
    cr_assert_eq(check.snapshots_n, 1);
    sm_arena_free(&arena);
}

Test(merkle, no_leaves_have_an_empty_root)
{
    struct sm_merkle_tree t;
    uint8_t node[32];
    sm_merkle_init(&t, plain);
    cr_assert_eq(sm_merkle_root(&t, node).n, 0);
}

Test(merkle, refuses_indices_it_cannot_prove)
{
    struct sm_arena arena = {0};
    static const uint64_t beyond[] = {5}, twice[] = {1, 1}, back[] = {2, 1};
    struct sm_merkle_proof proof;
    struct sm_errinfo ei = {0};
    const struct sm_slice *leaves = numbered(5, &arena);
    cr_assert_eq(sm_merkle_prove_leaves(&plain, leaves, 5, beyond, 1, &arena, &proof, &ei), SM_E_ARG);
    cr_assert_eq(sm_merkle_prove_leaves(&plain, leaves, 5, twice, 2, &arena, &proof, &ei), SM_E_ARG);
    cr_assert_eq(sm_merkle_prove_leaves(&plain, leaves, 5, back, 2, &arena, &proof, &ei), SM_E_ARG);
    cr_assert_eq(sm_merkle_prove_leaves(&plain, leaves, 5, back, 0, &arena, &proof, &ei), SM_E_ARG);
    sm_arena_free(&arena);
}
