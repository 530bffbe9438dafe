/* Every encoded object of the wire vectors decodes and encodes back to the same bytes; every shorter prefix is refused. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "codec/atx.h"
#include "codec/consensus.h"
#include "codec/malfeasance.h"
#include "codec/poet.h"
#include "support/vectors.h"

static void whole_and_truncated(const struct sm_scale_type *t, const uint8_t *in, size_t n)
{
    struct sm_arena arena = {0};
    struct sm_scale_writer w = {0};
    struct sm_errinfo ei = {0};
    void *obj = malloc(t->size);
    cr_assert_eq(sm_scale_decode(t, (struct sm_slice){in, n}, &arena, obj, &ei), SM_OK, "%s: %s", t->name, ei.text);
    cr_assert_eq(sm_scale_encode(t, obj, &w, &ei), SM_OK, "%s: %s", t->name, ei.text);
    cr_assert_eq(w.n, n, "%s", t->name);
    cr_assert_arr_eq(w.p, in, n, "%s", t->name);
    cr_assert_eq(sm_scale_size(t, obj), n);
    json_t *json = sm_scale_json(t, obj);
    cr_assert_not_null(json);
    json_decref(json);
    const size_t step = n > 4096 ? 37 : 1;
    for (size_t k = 0; k < n; k += step) {
        uint8_t *tight = malloc(k ? k : 1);
        memcpy(tight, in, k);
        cr_assert_eq(sm_scale_decode(t, (struct sm_slice){tight, k}, &arena, obj, NULL), SM_E_FORMAT,
                     "%s cut to %zu of %zu", t->name, k, n);
        free(tight);
        if (k % 64 == 0) sm_arena_free(&arena);
    }
    sm_arena_free(&arena);
    sm_scale_writer_fini(&w);
    free(obj);
}

static void member(const json_t *obj, const char *key, const struct sm_scale_type *t)
{
    size_t n;
    uint8_t *b = vec_hex_var(obj, key, &n);
    whole_and_truncated(t, b, n);
    free(b);
}

Test(objects, atx_v1)
{
    json_t *j = vec_load("wire-atx-v1.json"), *a;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "atxs")), 3u);
    json_array_foreach(vec_get(j, "atxs"), i, a)
    {
        member(a, "blob", &sm_atx_v1_type);
        member(a, "inner_encoded", &sm_atx_v1_inner_type);
        member(a, "nipost_challenge_encoded", &sm_nipost_challenge_v1_type);
        member(a, "signed_bytes", &sm_atx_v1_metadata_type);
    }
    json_decref(j);
}

Test(objects, atx_v2)
{
    json_t *j = vec_load("wire-atx-v2.json"), *a;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "atxs")), 4u);
    json_array_foreach(vec_get(j, "atxs"), i, a)
    {
        member(a, "blob", &sm_atx_v2_type);
        if (json_object_get(a, "nipost_challenge_encoded"))
            member(a, "nipost_challenge_encoded", &sm_nipost_challenge_v2_type);
    }
    json_decref(j);
}

Test(objects, ballots_and_proposals)
{
    json_t *j = vec_load("wire-ballot-proposal.json"), *p;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "proposals")), 2u);
    json_array_foreach(vec_get(j, "proposals"), i, p)
    {
        member(p, "inner_ballot_encoded", &sm_inner_ballot_type);
        member(p, "ballot_encoded", &sm_ballot_type);
        member(p, "ballot_signed_bytes", &sm_ballot_metadata_type);
        member(p, "inner_proposal_encoded", &sm_inner_proposal_type);
        member(p, "proposal_encoded", &sm_proposal_type);
        member(p, "proposal_signed_bytes", &sm_ballot_metadata_type);
    }
    json_decref(j);
}

Test(objects, hare_and_certificates)
{
    json_t *j = vec_load("wire-hare.json"), *m;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "hare3")), 5u);
    json_array_foreach(vec_get(j, "hare3"), i, m)
    {
        member(m, "body_encoded", &sm_hare_body_type);
        member(m, "message", &sm_hare_message_type);
        member(m, "signed_bytes", &sm_hare_metadata_type);
    }
    cr_assert_eq(json_array_size(vec_get(j, "hare4")), 5u);
    json_array_foreach(vec_get(j, "hare4"), i, m)
    {
        member(m, "signed_full_body_encoded", &sm_hare4_body_type);
        member(m, "message_on_gossip", &sm_hare4_message_type);
        member(m, "signed_bytes", &sm_hare_metadata_type);
    }
    const json_t *c = vec_get(j, "certify");
    member(c, "certificate", &sm_certificate_type);
    member(c, "content_encoded_is_signed_bytes", &sm_certify_content_type);
    member(c, "message", &sm_certify_message_type);
    json_decref(j);
}

Test(objects, beacon)
{
    json_t *j = vec_load("wire-beacon.json"), *b;
    const json_t *m = vec_get(j, "messages");
    member(m, "first_voting", &sm_beacon_first_voting_message_type);
    member(m, "following_voting", &sm_beacon_following_voting_message_type);
    member(m, "proposal", &sm_beacon_proposal_message_type);
    member(m, "weak_coin", &sm_weak_coin_message_type);
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "build_proposal")), 2u);
    json_array_foreach(vec_get(j, "build_proposal"), i, b)
    {
        const struct sm_vrf_beacon input = {
            .type = SM_ELIGIBILITY_BEACON, .vrf_nonce = vec_u64(b, "nonce"), .epoch = (uint32_t)vec_u64(b, "epoch")};
        struct sm_scale_writer w = {0};
        size_t n;
        uint8_t *want = vec_hex_var(b, "hex", &n);
        cr_assert_eq(sm_scale_encode(&sm_vrf_beacon_type, &input, &w, NULL), SM_OK);
        cr_assert(w.n == n && memcmp(w.p, want, n) == 0, "row %zu", i);
        free(want);
        sm_scale_writer_fini(&w);
        member(b, "hex", &sm_vrf_beacon_type);
    }
    json_decref(j);
}

Test(objects, poet)
{
    json_t *j = vec_load("wire-poet.json");
    const json_t *e = vec_get(j, "proof_encoding");
    member(e, "poet_proof_encoded", &sm_poet_proof_type);
    member(e, "poet_proof_message_encoded", &sm_poet_proof_message_type);
    member(e, "message_with_empty_lists_encoded", &sm_poet_proof_message_type);
    json_decref(j);
    j = vec_load("wire-poet-proof.json");
    member(j, "poet_proof_encoded", &sm_poet_proof_type);
    json_decref(j);
}

Test(objects, blocks_and_active_sets)
{
    json_t *j = vec_load("wire-hash.json"), *a;
    member(vec_get(j, "block"), "encoded", &sm_inner_block_type);
    size_t i, seen = 0;
    json_array_foreach(vec_get(j, "atx_list_hash"), i, a)
    {
        if (!json_object_get(a, "EpochActiveSet_epoch45_encoded")) continue;
        member(a, "EpochActiveSet_epoch45_encoded", &sm_epoch_active_set_type);
        seen++;
    }
    cr_assert_geq(seen, 1u);
    json_decref(j);
}

Test(objects, malfeasance)
{
    json_t *j = vec_load("wire-malfeasance.json"), *p;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "proofs")), 3u);
    json_array_foreach(vec_get(j, "proofs"), i, p)
    {
        for (int gossip = 0; gossip < 2; gossip++) {
            size_t n;
            uint8_t *b = vec_hex_var(p, gossip ? "gossip" : "proof", &n);
            struct sm_arena arena = {0};
            struct sm_scale_writer w = {0};
            struct sm_malfeasance_proof m;
            struct sm_errinfo ei = {0};
            cr_assert_eq(sm_malfeasance_decode((struct sm_slice){b, n}, gossip, &arena, &m, &ei), SM_OK, "%s", ei.text);
            cr_assert_eq(m.type, vec_u64(p, "type"));
            cr_assert_eq(sm_malfeasance_encode(&m, gossip, &w, &ei), SM_OK);
            cr_assert_eq(w.n, n);
            cr_assert_arr_eq(w.p, b, n);
            json_t *json = sm_malfeasance_json(&m);
            cr_assert_not_null(json);
            json_decref(json);
            for (size_t k = 0; k < n; k++)
                cr_assert_eq(sm_malfeasance_decode((struct sm_slice){b, k}, gossip, &arena, &m, NULL), SM_E_FORMAT);
            sm_arena_free(&arena);
            sm_scale_writer_fini(&w);
            free(b);
        }
    }
    json_decref(j);
}
