/* Sequential work: the reference's hashes, indices and whole proofs, and proofs with something wrong. */
#include "poet/posw.h"

#include "codec/hash.h"
#include "crypto/sha256.h"
#include "kit.h"
#include "poet/prover.h"

struct sample {
    json_t *v;
    struct sm_arena arena;
    struct sm_slice statement;
    struct sm_poet_proof proof;
};

/* The small valid proof of the vectors. */
static struct sample load_sample(void)
{
    struct sample s = {.v = vec_load("wire-poet-proof.json")};
    struct sm_errinfo ei = {0};
    s.statement = kit_member(s.v, "statement", &s.arena);
    cr_assert_eq(
        sm_scale_decode(&sm_poet_proof_type, kit_member(s.v, "poet_proof_encoded", &s.arena), &s.arena, &s.proof, &ei),
        SM_OK, "%s", ei.text);
    return s;
}

static void free_sample(struct sample *s)
{
    json_decref(s->v);
    sm_arena_free(&s->arena);
}

static struct sm_posw_verdict verdict_of(const struct sm_posw_params *params, struct sm_slice statement,
                                         const struct sm_poet_proof *proof)
{
    struct sm_posw_verdict v;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_posw_verify(params, statement, proof, NULL, &v, &ei), SM_OK, "%s", ei.text);
    return v;
}

Test(posw, hashes_of_the_reference)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("poet-hash.json");
    const json_t *c = json_array_get(kit_cases(v, "label_hash", 1), 0);
    const struct sm_slice parts[] = {kit_member(c, "statement_hex", &arena), kit_member(c, "data_hex", &arena)};
    uint8_t got[32], want[32];
    sm_sha256_hash(parts, 2, got);
    sm_sha256_iterate(NULL, got, vec_u64(c, "nesting_depth") - 1);
    vec_hex(c, "digest_hex", want, 32);
    cr_assert_arr_eq(got, want, 32);
    c = json_array_get(kit_cases(v, "merkle_hash", 1), 0);
    const struct sm_slice statement = kit_member(c, "statement_hex", &arena);
    const struct sm_merkle_hash hash = sm_posw_hash(&statement);
    hash.parent(hash.ctx, kit_member(c, "left_hex", &arena), kit_member(c, "right_hex", &arena), got);
    vec_hex(c, "digest_hex", want, 32);
    cr_assert_arr_eq(got, want, 32);
    const json_t *layouts = kit_cases(v, "label_preimage", 3);
    for (size_t i = 0; i < json_array_size(layouts); i++) {
        c = json_array_get(layouts, i);
        size_t n;
        const struct sm_slice *parked = kit_list(vec_get(c, "parked_nodes_hex"), &arena, &n);
        const struct sm_slice pre[] = {statement, kit_member(c, "preimage_after_statement_hex", &arena)};
        sm_posw_label(&sm_posw_network, statement, vec_u64(c, "leaf_index"), parked, n, got);
        sm_sha256_hash(pre, 2, want);
        sm_sha256_iterate(NULL, want, 399);
        cr_assert_arr_eq(got, want, 32, "layout %zu", i);
    }
    json_decref(v);
    sm_arena_free(&arena);
}

static void check_indices(struct sm_slice challenge, uint64_t space, const json_t *sorted, struct sm_arena *arena)
{
    size_t n;
    uint64_t got[SM_POET_PROVEN_LEAVES];
    const uint64_t *want = kit_u64s(sorted, arena, &n);
    cr_assert_eq(n, 150);
    cr_assert_eq(sm_posw_indices(challenge, space, 150, got), n);
    for (size_t i = 0; i < n; i++) cr_assert_eq(got[i], want[i], "index %zu", i);
}

Test(posw, indices_of_the_vectors)
{
    struct sm_arena arena = {0};
    json_t *derived = vec_load("poet-derived-fiat-shamir.json"), *wire = vec_load("wire-poet.json");
    json_t *counts = vec_load("poet-hash.json");
    const json_t *items = kit_cases(derived, "items", 4), *fs = vec_get(wire, "fiat_shamir");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *c = json_array_get(items, i);
        check_indices(kit_member(c, "root_hex", &arena), vec_u64(c, "leaf_count"), vec_get(c, "sorted_indices"),
                      &arena);
    }
    check_indices(kit_member(fs, "challenge", &arena), vec_u64(fs, "space"), vec_get(fs, "sorted_indices"), &arena);
    items = kit_cases(counts, "fiat_shamir_counts", 4);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *c = json_array_get(items, i);
        uint64_t out[150];
        static const uint8_t challenge[] = "challenge";
        const size_t n = sm_posw_indices((struct sm_slice){challenge, 9}, vec_u64(c, "space"),
                                         (uint32_t)vec_u64(c, "security_param"), out);
        cr_assert_eq(n, vec_u64(c, "count"));
        for (size_t k = 1; k < n; k++) cr_assert_lt(out[k - 1], out[k]);
        cr_assert_lt(out[n - 1], vec_u64(c, "space"));
    }
    json_decref(derived);
    json_decref(wire);
    json_decref(counts);
    sm_arena_free(&arena);
}

Test(posw, wire_proof_is_valid)
{
    struct sample s = load_sample();
    struct sm_poet_ref ref;
    uint8_t want[32];
    cr_assert_eq(s.proof.leaf_count, vec_u64(s.v, "leaf_count"));
    vec_hex(s.v, "ref", want, 32);
    cr_assert_eq(sm_poet_ref_of(&s.proof, &ref, NULL), SM_OK);
    cr_assert_arr_eq(ref.b, want, 32);
    check_indices((struct sm_slice){s.proof.root.p, s.proof.root.n}, s.proof.leaf_count, vec_get(s.v, "proven_indices"),
                  &s.arena);
    size_t labels_n;
    const struct sm_slice *labels = kit_list(vec_get(s.v, "first_four_labels"), &s.arena, &labels_n);
    const struct sm_scale_bytes *leaves = s.proof.proven_leaves.p; /* of the indices 0, 1, 2, 3 … */
    cr_assert_eq(labels_n, 4u);
    for (size_t i = 0; i < labels_n; i++) cr_assert(kit_same(labels[i], (struct sm_slice){leaves[i].p, leaves[i].n}));
    cr_assert_eq(verdict_of(&sm_posw_network, s.statement, &s.proof).failed, SM_POSW_VALID);
    struct sm_poet_proof_message m = {.proof = s.proof};
    struct sm_posw_verdict v;
    memcpy(m.statement.b, s.statement.p, 32);
    cr_assert_eq(sm_posw_verify_message(&m, NULL, &v, NULL), SM_OK);
    cr_assert_eq(v.failed, SM_POSW_VALID);
    /* "error_when_leaf_3_flipped": "merkle proof not valid" */
    ((struct sm_scale_bytes *)s.proof.proven_leaves.p)[3].p[0] ^= 1;
    cr_assert_eq(verdict_of(&sm_posw_network, s.statement, &s.proof).failed, SM_POSW_BAD_TREE);
    free_sample(&s);
}

static struct sm_scale_list scale_list(const struct sm_slice *from, size_t n, struct sm_arena *arena)
{
    struct sm_scale_bytes *to = sm_arena_array(arena, n, sizeof *to);
    for (size_t i = 0; i < n; i++) to[i] = (struct sm_scale_bytes){(uint8_t *)from[i].p, from[i].n};
    return (struct sm_scale_list){to, n};
}

Test(posw, reference_proof_of_depth_100)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("poet-proof-t150-depth100.json");
    size_t leaves_n, nodes_n;
    const struct sm_slice *leaves = kit_list(kit_cases(v, "proven_leaves_hex", 150), &arena, &leaves_n);
    const struct sm_slice *nodes = kit_list(kit_cases(v, "proof_nodes_hex", 1196), &arena, &nodes_n);
    const struct sm_slice root = kit_member(v, "root_hex", &arena), statement = kit_member(v, "statement_hex", &arena);
    const struct sm_poet_proof proof = {.root = {(uint8_t *)root.p, root.n},
                                        .proven_leaves = scale_list(leaves, leaves_n, &arena),
                                        .proof_nodes = scale_list(nodes, nodes_n, &arena),
                                        .leaf_count = vec_u64(v, "leaf_count")};
    const struct sm_posw_params old = {.proven_leaves = (uint32_t)vec_u64(v, "security_param"),
                                       .depth = (uint32_t)vec_u64(v, "label_nesting_depth")};
    struct sm_poet_ref ref;
    uint8_t want[32];
    cr_assert_eq(verdict_of(&old, statement, &proof).failed, SM_POSW_VALID);
    const struct sm_posw_verdict now = verdict_of(&sm_posw_network, statement, &proof);
    cr_assert_eq(now.failed, SM_POSW_BAD_LABEL);
    cr_assert_eq(now.index, 23, "the first opened leaf");
    check_indices(root, proof.leaf_count, vec_get(v, "proven_indices"), &arena);
    cr_assert_eq(sm_poet_ref_of(&proof, &ref, NULL), SM_OK);
    vec_hex(vec_get(v, "derived"), "poet_proof_ref_hex", want, 32);
    cr_assert_arr_eq(ref.b, want, 32);
    json_decref(v);
    sm_arena_free(&arena);
}

/* The prover makes these very bytes, and the verifier takes them. */
Test(posw, derived_proofs_of_depth_400)
{
    json_t *v = vec_load("poet-derived-posw-depth400.json");
    const json_t *items = kit_cases(v, "items", 6);
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *c = json_array_get(items, i);
        struct sm_arena arena = {0};
        struct sm_poet_prover *p = NULL;
        struct sm_poet_proof proof;
        struct sm_scale_writer w = {0};
        struct sm_poet_ref ref;
        uint8_t want[32], got[32];
        const struct sm_poet_prover_cfg cfg = {.params = sm_posw_network,
                                               .statement = kit_member(c, "statement_hex", &arena)};
        cr_assert_eq(sm_poet_prover_open(&cfg, &p, NULL), SM_OK);
        cr_assert_eq(sm_poet_prover_add(p, vec_u64(c, "leaf_count"), NULL, NULL), SM_OK);
        cr_assert_eq(sm_poet_prover_prove(p, &arena, &proof, NULL), SM_OK);
        cr_assert(kit_same((struct sm_slice){proof.root.p, proof.root.n}, kit_member(c, "root_hex", &arena)));
        cr_assert_eq(proof.proof_nodes.n, vec_u64(c, "proof_node_count"));
        cr_assert_eq(sm_scale_encode(&sm_poet_proof_type, &proof, &w, NULL), SM_OK);
        cr_assert_eq(w.n, vec_u64(c, "scale_len"));
        vec_hex(c, "scale_sha256_hex", want, 32);
        sm_sha256_hash(&(struct sm_slice){w.p, w.n}, 1, got);
        cr_assert_arr_eq(got, want, 32, "%s", vec_str(c, "name"));
        vec_hex(c, "poet_proof_ref_hex", want, 32);
        cr_assert_eq(sm_poet_ref_of(&proof, &ref, NULL), SM_OK);
        cr_assert_arr_eq(ref.b, want, 32);
        cr_assert_eq(verdict_of(&sm_posw_network, cfg.statement, &proof).failed, SM_POSW_VALID);
        sm_scale_writer_fini(&w);
        sm_poet_prover_close(p);
        sm_arena_free(&arena);
    }
    json_decref(v);
}

Test(posw, says_which_check_failed)
{
    struct sample s = load_sample();
    struct sm_poet_proof p = s.proof;
    p.proven_leaves.n--;
    cr_assert_eq(verdict_of(&sm_posw_network, s.statement, &p).failed, SM_POSW_BAD_LEAVES);
    p = s.proof;
    p.leaf_count = 149;
    cr_assert_eq(verdict_of(&sm_posw_network, s.statement, &p).failed, SM_POSW_TOO_FEW);
    p.leaf_count = 0;
    cr_assert_eq(verdict_of(&sm_posw_network, s.statement, &p).failed, SM_POSW_TOO_FEW);
    p = s.proof;
    p.proof_nodes.n--;
    cr_assert_eq(verdict_of(&sm_posw_network, s.statement, &p).failed, SM_POSW_BAD_TREE);
    uint8_t other[32] = {0x42};
    cr_assert_eq(verdict_of(&sm_posw_network, (struct sm_slice){other, 32}, &s.proof).failed, SM_POSW_BAD_TREE);
    const struct sm_posw_params deeper = {.proven_leaves = 150, .depth = 401};
    cr_assert_eq(verdict_of(&deeper, s.statement, &s.proof).failed, SM_POSW_BAD_LABEL);
    struct sm_cancel cancel = {.requested = true};
    struct sm_posw_verdict v;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_posw_verify(&sm_posw_network, s.statement, &s.proof, &cancel, &v, &ei), SM_E_CANCELLED);
    const struct sm_posw_params none = {.proven_leaves = 0, .depth = 1};
    cr_assert_eq(sm_posw_verify(&none, s.statement, &s.proof, NULL, &v, &ei), SM_E_ARG);
    free_sample(&s);
}

/* Every cut of a message is refused; every changed byte of the proof is refused or found out. */
Test(posw, cut_and_changed_messages)
{
    struct sample s = load_sample();
    struct sm_poet_proof_message m = {.proof = s.proof};
    struct sm_scale_writer w = {0};
    memcpy(m.statement.b, s.statement.p, 32);
    cr_assert_eq(sm_scale_encode(&sm_poet_proof_message_type, &m, &w, NULL), SM_OK);
    const size_t proof_n = sm_scale_size(&sm_poet_proof_type, &s.proof);
    for (size_t n = 0; n < w.n; n++) {
        struct sm_arena arena = {0};
        struct sm_poet_proof_message got;
        cr_assert_eq(sm_scale_decode(&sm_poet_proof_message_type, (struct sm_slice){w.p, n}, &arena, &got, NULL),
                     SM_E_FORMAT, "%zu of %zu bytes", n, w.n);
        sm_arena_free(&arena);
    }
    const uint32_t first = randombytes_uniform(61);
    for (size_t at = first; at < proof_n; at += 61) {
        struct sm_arena arena = {0};
        struct sm_poet_proof_message got;
        struct sm_posw_verdict v;
        w.p[at] ^= 0x10;
        if (sm_scale_decode(&sm_poet_proof_message_type, (struct sm_slice){w.p, w.n}, &arena, &got, NULL) == SM_OK) {
            cr_assert_eq(sm_posw_verify_message(&got, NULL, &v, NULL), SM_OK);
            cr_assert_neq(v.failed, SM_POSW_VALID, "byte %zu changed", at);
        }
        w.p[at] ^= 0x10;
        sm_arena_free(&arena);
    }
    sm_scale_writer_fini(&w);
    free_sample(&s);
}
