/* Identifiers and roots of the wire vectors. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "codec/hash.h"
#include "support/vectors.h"

static struct sm_arena arena;

static void get(const json_t *obj, const char *key, const struct sm_scale_type *t, void *out)
{
    size_t n;
    uint8_t *b = vec_hex_var(obj, key, &n);
    cr_assert_eq(sm_scale_decode(t, (struct sm_slice){b, n}, &arena, out, NULL), SM_OK, "%s", key);
    free(b);
}

static void same(const json_t *obj, const char *key, const void *got, size_t n)
{
    uint8_t want[32];
    vec_hex(obj, key, want, n);
    cr_assert_arr_eq(got, want, n, "%s", key);
}

Test(hash, atx_v1)
{
    json_t *j = vec_load("wire-atx-v1.json"), *a;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "atxs")), 3u);
    json_array_foreach(vec_get(j, "atxs"), i, a)
    {
        struct sm_atx_v1 atx;
        struct sm_atx_id id;
        struct sm_hash32 h;
        get(a, "blob", &sm_atx_v1_type, &atx);
        cr_assert_eq(sm_atx_v1_id(&atx.inner, &id, NULL), SM_OK);
        same(a, "id", id.b, 32);
        cr_assert_eq(sm_nipost_challenge_hash(&sm_nipost_challenge_v1_type, &atx.inner.challenge, &h, NULL), SM_OK);
        same(a, "nipost_challenge_hash", h.b, 32);
    }
    json_decref(j);
    sm_arena_free(&arena);
}

Test(hash, atx_v2)
{
    json_t *j = vec_load("wire-atx-v2.json"), *a;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "atxs")), 4u);
    json_array_foreach(vec_get(j, "atxs"), i, a)
    {
        struct sm_atx_v2 atx;
        struct sm_atx_id id;
        struct sm_atx_v2_roots roots;
        struct sm_hash32 h;
        get(a, "blob", &sm_atx_v2_type, &atx);
        cr_assert_eq(sm_atx_v2_id(&atx, &id, &roots, NULL), SM_OK);
        same(a, "leaf3_initial", roots.initial.b, 32);
        same(a, "leaf4_previous_atxs_root", roots.previous_atxs.b, 32);
        same(a, "leaf5_niposts_root", roots.niposts.b, 32);
        same(a, "leaf7_marriages_root", roots.marriages.b, 32);
        same(a, "id", id.b, 32);
        const struct sm_nipost_v2 *n = atx.niposts.p;
        const struct sm_sub_post_v2 *p = n->posts.p;
        cr_assert_eq(sm_nipost_v2_root(n, &atx, &h, NULL), SM_OK);
        same(a, "nipost0_root", h.b, 32);
        cr_assert_eq(sm_sub_post_v2_root(p, &atx, &h, NULL), SM_OK);
        same(a, "subpost00_root", h.b, 32);
        cr_assert_eq(sm_scale_hash(&sm_post_v1_type, &p->post, &h, NULL), SM_OK);
        same(a, "post00_root", h.b, 32);
        if (json_object_get(a, "nipost_challenge_encoded")) {
            struct sm_nipost_challenge_v2 c;
            get(a, "nipost_challenge_encoded", &sm_nipost_challenge_v2_type, &c);
            cr_assert_eq(sm_nipost_challenge_hash(&sm_nipost_challenge_v2_type, &c, &h, NULL), SM_OK);
            same(a, "nipost_challenge_hash", h.b, 32);
        }
    }
    json_decref(j);
    sm_arena_free(&arena);
}

/* The lists of a version 2 ATX, as if every zero leaf were hashed. */
Test(hash, atx_v2_lists_of_every_length)
{
    static struct sm_hash32 ids[256], nodes[257];
    static struct sm_sub_post_v2 posts[256];
    struct sm_nipost_v2 niposts[4] = {0};
    struct sm_atx_v2_roots roots;
    struct sm_atx_id id;
    for (size_t i = 0; i < 256; i++) {
        memset(ids[i].b, (int)i + 1, 32);
        posts[i].num_units = (uint32_t)i;
    }
    for (size_t n = 0; n <= 256; n++) {
        const struct sm_atx_v2 atx = {.previous_atxs = {ids, n}};
        memset(nodes, 0, sizeof nodes);
        memcpy(nodes, ids, n * sizeof ids[0]);
        const struct sm_hash32 want = sm_merkle_root_01(nodes, 256);
        cr_assert_eq(sm_atx_v2_id(&atx, &id, &roots, NULL), SM_OK);
        cr_assert_arr_eq(roots.previous_atxs.b, want.b, 32, "%zu previous ATXs", n);
    }
    for (size_t n = 0; n <= 4; n++) {
        const struct sm_atx_v2 atx = {.niposts = {niposts, n}};
        memset(nodes, 0, sizeof nodes);
        for (size_t i = 0; i < n; i++) {
            niposts[i].posts = (struct sm_scale_list){posts, 1 + 85 * i};
            cr_assert_eq(sm_nipost_v2_root(&niposts[i], &atx, &nodes[i], NULL), SM_OK);
        }
        const struct sm_hash32 want = sm_merkle_root_01(nodes, 4);
        cr_assert_eq(sm_atx_v2_id(&atx, &id, &roots, NULL), SM_OK);
        cr_assert_arr_eq(roots.niposts.b, want.b, 32, "%zu NIPoSTs", n);
    }
    for (size_t n = 0; n <= 256; n++) {
        const struct sm_nipost_v2 nipost = {.posts = {posts, n}};
        const struct sm_atx_v2 atx = {0};
        struct sm_hash32 three[4] = {0}, got;
        memset(nodes, 0, sizeof nodes);
        for (size_t i = 0; i < n; i++) cr_assert_eq(sm_sub_post_v2_root(&posts[i], &atx, &nodes[i], NULL), SM_OK);
        cr_assert_eq(sm_scale_hash(&sm_merkle_membership_v2_type, &nipost.membership, &three[0], NULL), SM_OK);
        three[2] = sm_merkle_root_01(nodes, 256);
        const struct sm_hash32 want = sm_merkle_root_01(three, 3);
        cr_assert_eq(sm_nipost_v2_root(&nipost, &atx, &got, NULL), SM_OK);
        cr_assert_arr_eq(got.b, want.b, 32, "%zu posts", n);
    }
    for (size_t n = 0; n <= 256; n += 17) {
        static struct sm_marriage_certificate certs[256];
        const struct sm_atx_v2 atx = {.marriages = {certs, n}};
        memset(nodes, 0, sizeof nodes);
        for (size_t i = 0; i < n; i++) {
            certs[i].signature.b[0] = (uint8_t)i;
            cr_assert_eq(sm_scale_hash(&sm_marriage_certificate_type, &certs[i], &nodes[i], NULL), SM_OK);
        }
        const struct sm_hash32 want = sm_merkle_root_01(nodes, 256);
        cr_assert_eq(sm_atx_v2_id(&atx, &id, &roots, NULL), SM_OK);
        cr_assert_arr_eq(roots.marriages.b, want.b, 32, "%zu marriages", n);
    }
}

Test(hash, ballots_proposals_blocks)
{
    json_t *j = vec_load("wire-ballot-proposal.json"), *p;
    size_t i;
    json_array_foreach(vec_get(j, "proposals"), i, p)
    {
        struct sm_proposal prop;
        struct sm_ballot_id ballot;
        struct sm_proposal_id id;
        struct sm_ballot_metadata signed_part;
        struct sm_scale_writer w = {0};
        get(p, "proposal_encoded", &sm_proposal_type, &prop);
        cr_assert_eq(sm_ballot_id_of(&prop.inner.ballot.inner, &ballot, NULL), SM_OK);
        same(p, "ballot_id", ballot.b, 20);
        cr_assert_eq(sm_proposal_id_of(&prop.inner, &id, &signed_part, NULL), SM_OK);
        same(p, "proposal_id", id.b, 20);
        cr_assert_eq(sm_scale_encode(&sm_ballot_metadata_type, &signed_part, &w, NULL), SM_OK);
        size_t n;
        uint8_t *want = vec_hex_var(p, "proposal_signed_bytes", &n);
        cr_assert_eq(w.n, n);
        cr_assert_arr_eq(w.p, want, n);
        free(want);
        sm_scale_writer_fini(&w);
    }
    json_decref(j);
    j = vec_load("wire-hash.json");
    struct sm_inner_block block;
    struct sm_block_id block_id;
    get(vec_get(j, "block"), "encoded", &sm_inner_block_type, &block);
    const json_t *b = vec_get(j, "block"), *reward = vec_get(b, "reward");
    cr_assert_eq(block.layer_index, vec_u64(b, "layer"));
    cr_assert_eq(block.tick_height, vec_u64(b, "tick_height"));
    cr_assert_eq(block.rewards.n, 1u);
    const struct sm_block_reward *got = block.rewards.p;
    same(reward, "atx", got->atx_id.b, 32);
    cr_assert_eq(got->weight_num, vec_u64(reward, "num"));
    cr_assert_eq(got->weight_denom, vec_u64(reward, "denom"));
    cr_assert_eq(block.tx_ids.n, 1u);
    same(b, "tx", block.tx_ids.p, 32);
    cr_assert_eq(sm_block_id_of(&block, &block_id, NULL), SM_OK);
    same(vec_get(j, "block"), "block_id", block_id.b, 20);
    json_decref(j);
    sm_arena_free(&arena);
}

static size_t list_of(const json_t *obj, const char *key, uint8_t *out, size_t each)
{
    const json_t *list = vec_get(obj, key);
    for (size_t i = 0; i < json_array_size(list); i++)
        hex_to(json_string_value(json_array_get(list, i)), out + i * each, each);
    return json_array_size(list);
}

Test(hash, sets_genesis_transactions)
{
    json_t *j = vec_load("wire-hash.json"), *row;
    size_t i;
    json_array_foreach(vec_get(j, "atx_list_hash"), i, row)
    {
        struct sm_atx_id ids[8];
        const size_t n = list_of(row, "ids", ids[0].b, 32);
        same(row, "hash", sm_active_set_hash(ids, n).b, 32);
        if (!json_object_get(row, "EpochActiveSet_epoch45_encoded")) continue;
        struct sm_epoch_active_set set;
        get(row, "EpochActiveSet_epoch45_encoded", &sm_epoch_active_set_type, &set);
        cr_assert_eq(set.epoch, 45u);
        cr_assert_eq(set.set.n, n);
        cr_assert_arr_eq(set.set.p, ids[0].b, 32 * n);
    }
    json_array_foreach(vec_get(j, "genesis"), i, row)
    {
        const struct sm_atx_id golden =
            sm_golden_atx((int64_t)vec_u64(row, "genesis_time_unix"), vec_str(row, "extra_data"));
        same(row, "golden_atx", golden.b, 32);
        same(row, "genesis_id", sm_genesis_id_of(&golden).b, 20);
    }
    cr_assert_geq(i, 2u);
    struct sm_proposal_id props[8];
    const json_t *set = vec_get(j, "proposal_list_hash");
    same(set, "hash", sm_proposal_set_hash(props, list_of(set, "ids_20_bytes", props[0].b, 20)).b, 32);
    same(j, "empty_proposal_list_hash", sm_proposal_set_hash(NULL, 0).b, 32);
    size_t n;
    uint8_t *raw = vec_hex_var(vec_get(j, "transaction"), "raw", &n);
    same(vec_get(j, "transaction"), "id", sm_tx_id_of((struct sm_slice){raw, n}).b, 32);
    free(raw);
    json_decref(j);
    j = vec_load("wire-beacon.json");
    cr_assert_eq(json_array_size(vec_get(j, "proposal_list_hash")), 2u);
    json_array_foreach(vec_get(j, "proposal_list_hash"), i, row)
    {
        uint8_t list[8][4];
        n = list_of(row, "list", list[0], 4);
        const struct sm_hash32 hash = sm_beacon_proposals_hash((const uint8_t(*)[4])list, n);
        same(row, "hash", hash.b, 32);
        if (json_object_get(row, "beacon")) same(row, "beacon", hash.b, 4);
    }
    json_decref(j);
}

Test(hash, plain_and_hare_reference)
{
    json_t *j = vec_load("wire-hash.json"), *row;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "blake3")), 3u);
    json_array_foreach(vec_get(j, "blake3"), i, row)
    {
        const char *in = vec_str(row, "in_ascii");
        const struct sm_tx_id h = sm_tx_id_of((struct sm_slice){(const uint8_t *)in, strlen(in)});
        same(row, "blake3_32", h.b, 32);
        same(row, "blake3_20", h.b, 20);
    }
    json_decref(j);
    j = vec_load("wire-hare.json");
    struct sm_proposal_id ids[8];
    const json_t *set = vec_get(j, "proposal_set_reference");
    const size_t n = list_of(set, "ids", ids[0].b, 20);
    cr_assert_eq(n, 3u);
    same(set, "reference", sm_proposal_set_hash(ids, n).b, 32);
    json_decref(j);
}

Test(hash, opinions)
{
    json_t *j = vec_load("wire-hash.json");
    const json_t *o = vec_get(j, "opinion");
    cr_assert_eq(json_object_size(o), 9u);
    struct sm_opinion_block one = {{{1}}, 100}, two = {{{2}}, 100}, low = {{{1}}, 10};
    struct sm_hash32 h;
    h = sm_opinion_hash(NULL, SM_OPINION_ABSTAIN, NULL, 0);
    same(o, "abstain", h.b, 32);
    h = sm_opinion_hash(&h, SM_OPINION_ABSTAIN, NULL, 0);
    same(o, "abstain,abstain", h.b, 32);
    h = sm_opinion_hash(NULL, SM_OPINION_AGAINST, NULL, 0);
    same(o, "against", h.b, 32);
    h = sm_opinion_hash(&h, SM_OPINION_AGAINST, NULL, 0);
    same(o, "against,against", h.b, 32);
    h = sm_opinion_hash(NULL, SM_OPINION_SUPPORT, &low, 1);
    same(o, "support(id=01 00*19, height=10)", h.b, 32);
    h = sm_opinion_hash(NULL, SM_OPINION_SUPPORT, &one, 1);
    same(o, "support(id=01.., height=100)", h.b, 32);
    struct sm_hash32 next = sm_opinion_hash(&h, SM_OPINION_AGAINST, NULL, 0);
    same(o, "support 01..@100, against", next.b, 32);
    next = sm_opinion_hash(&h, SM_OPINION_SUPPORT, &two, 1);
    same(o, "support 01..@100, support 02..@100", next.b, 32);
    struct sm_opinion_block both[2] = {two, one}; /* given in the wrong order */
    next = sm_opinion_hash(NULL, SM_OPINION_SUPPORT, both, 2);
    same(o, "two blocks 01..@100 then 02..@100", next.b, 32);
    json_decref(j);
}

Test(hash, poet_reference)
{
    json_t *j = vec_load("wire-poet-proof.json");
    struct sm_poet_proof p;
    struct sm_poet_ref ref;
    get(j, "poet_proof_encoded", &sm_poet_proof_type, &p);
    cr_assert_eq(p.leaf_count, vec_u64(j, "leaf_count"));
    cr_assert_eq(sm_poet_ref_of(&p, &ref, NULL), SM_OK);
    same(j, "ref", ref.b, 32);
    json_decref(j);
    j = vec_load("wire-poet.json");
    get(vec_get(j, "proof_encoding"), "poet_proof_encoded", &sm_poet_proof_type, &p);
    cr_assert_eq(sm_poet_ref_of(&p, &ref, NULL), SM_OK);
    same(vec_get(j, "proof_encoding"), "ref", ref.b, 32);
    json_decref(j);
    sm_arena_free(&arena);
}
