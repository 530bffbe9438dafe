/* Every signature and VRF proof of the wire vectors comes out of typed requests. */
#include "kit.h"

#include "crypto/ed25519.h"

static struct kit kit;

static void expect(const struct sm_node_id *id, sm_sign_kind kind, const void *body, const json_t *o, const char *sig,
                   const char *signed_bytes, int domain)
{
    const struct sm_sign_request r = {.identity = *id, .kind = kind, .body.any = body};
    struct sm_sign_plan plan;
    struct sm_signature got, want;
    OK(sm_sign_plan_make(&kit.genesis, &r, &plan, &ei));
    cr_assert_arr_eq(plan.bytes.p, kit.genesis.b, 20);
    cr_assert_eq(plan.bytes.p[20], domain);
    if (signed_bytes) {
        size_t n;
        uint8_t *b = vec_hex_var(o, signed_bytes, &n);
        cr_assert_eq(plan.bytes.n, n + 21);
        cr_assert_arr_eq(plan.bytes.p + 21, b, n);
        free(b);
    }
    OK(sm_signer_sign(kit.signer, &r, &got, &ei));
    if (sig) {
        vec_hex(o, sig, want.b, 64);
        cr_assert_arr_eq(got.b, want.b, 64, "%s", sm_sign_kind_name(kind));
    }
    cr_assert(sm_signature_valid(&kit.genesis, (sm_domain)domain, id,
                                 (struct sm_slice){plan.bytes.p + 21, plan.bytes.n - 21}, &got));
    sm_sign_plan_fini(&plan);
}

static void *decode(const struct sm_scale_type *t, const json_t *o, const char *key, struct sm_arena *arena)
{
    size_t n;
    uint8_t *b = vec_hex_var(o, key, &n);
    void *obj = sm_arena_alloc(arena, t->size);
    OK(sm_scale_decode(t, (struct sm_slice){b, n}, arena, obj, &ei));
    free(b);
    return obj;
}

/* Each vector gets a journal of its own: several share a slot. */
static void fresh(void)
{
    if (kit.signer) kit_close(&kit);
    kit = (struct kit){0};
    kit_open(&kit);
}

Test(vectors, domains_and_keys)
{
    json_t *j = vec_load("wire-signing.json"), *k, *d;
    size_t i;
    fresh();
    struct sm_genesis_id prefix;
    vec_hex(j, "prefix", prefix.b, 20);
    cr_assert_arr_eq(prefix.b, kit.genesis.b, 20);
    cr_assert_geq(json_array_size(vec_get(j, "keys")), 2u);
    json_array_foreach(vec_get(j, "keys"), i, k)
    {
        const char *text = vec_str(k, "key_file_content");
        struct sm_secret *s = NULL;
        struct sm_node_id want;
        OK(sm_keyfile_decode((struct sm_slice){(const uint8_t *)text, strlen(text)}, "vector", &s, &ei));
        vec_hex(k, "node_id", want.b, 32);
        cr_assert_arr_eq(s->node_id.b, want.b, 32);
        sm_secret_free(s);
    }
    /* These sign free text, which no request can: the layout of prefix and domain is what is checked. */
    cr_assert_eq(json_array_size(vec_get(j, "domains")), 8u);
    json_array_foreach(vec_get(j, "domains"), i, d)
    {
        size_t n;
        uint8_t *m = vec_hex_var(d, "message", &n);
        struct sm_signature sig;
        vec_hex(d, "signature", sig.b, 64);
        cr_assert(sm_signature_valid(&prefix, (sm_domain)vec_u64(d, "domain_byte"), &kit.id[0], (struct sm_slice){m, n},
                                     &sig));
        free(m);
    }
    json_decref(j);
    kit_close(&kit);
}

Test(vectors, atx_v1_and_its_poet_registration)
{
    json_t *j = vec_load("wire-atx-v1.json"), *a;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "atxs")), 3u);
    json_array_foreach(vec_get(j, "atxs"), i, a)
    {
        struct sm_arena arena = {0};
        fresh();
        expect(&kit.id[0], SM_SIGN_ATX_V1, decode(&sm_atx_v1_inner_type, a, "inner_encoded", &arena), a, "signature",
               "signed_bytes", 0);
        expect(&kit.id[0], SM_SIGN_POET_V1, decode(&sm_nipost_challenge_v1_type, a, "nipost_challenge_encoded", &arena),
               a, NULL, "nipost_challenge_hash", 4);
        sm_arena_free(&arena);
    }
    json_decref(j);
    kit_close(&kit);
}

Test(vectors, atx_v2_and_marriages)
{
    json_t *j = vec_load("wire-atx-v2.json"), *a;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "atxs")), 4u);
    json_array_foreach(vec_get(j, "atxs"), i, a)
    {
        struct sm_arena arena = {0};
        fresh();
        expect(&kit.id[0], SM_SIGN_ATX_V2, decode(&sm_atx_v2_type, a, "blob", &arena), a, "signature_over_id", "id", 0);
        if (json_object_get(a, "nipost_challenge_encoded"))
            expect(&kit.id[0], SM_SIGN_POET_V2,
                   decode(&sm_nipost_challenge_v2_type, a, "nipost_challenge_encoded", &arena), a, NULL,
                   "nipost_challenge_hash", 4);
        sm_arena_free(&arena);
    }
    const json_t *m = vec_get(j, "marriage_signatures");
    expect(&kit.id[0], SM_SIGN_MARRIAGE, &kit.id[0], m, "signer_marrying_itself", NULL, 5);
    expect(&kit.id[1], SM_SIGN_MARRIAGE, &kit.id[0], m, "seed2_marrying_seed1", NULL, 5);
    json_decref(j);
    kit_close(&kit);
}

Test(vectors, ballots_and_proposals)
{
    json_t *j = vec_load("wire-ballot-proposal.json"), *p;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "proposals")), 2u);
    json_array_foreach(vec_get(j, "proposals"), i, p)
    {
        struct sm_arena arena = {0};
        fresh();
        expect(&kit.id[0], SM_SIGN_BALLOT, decode(&sm_inner_ballot_type, p, "inner_ballot_encoded", &arena), p,
               "ballot_signature", "ballot_signed_bytes", 2);
        expect(&kit.id[0], SM_SIGN_PROPOSAL, decode(&sm_inner_proposal_type, p, "inner_proposal_encoded", &arena), p,
               "proposal_signature", "proposal_signed_bytes", 1);
        sm_arena_free(&arena);
    }
    json_decref(j);
    kit_close(&kit);
}

Test(vectors, hare_and_certification)
{
    json_t *j = vec_load("wire-hare.json"), *m;
    size_t i;
    cr_assert_eq(json_array_size(vec_get(j, "hare3")), 5u);
    json_array_foreach(vec_get(j, "hare3"), i, m)
    {
        struct sm_arena arena = {0};
        fresh();
        expect(&kit.id[0], SM_SIGN_HARE3, decode(&sm_hare_body_type, m, "body_encoded", &arena), m, "signature",
               "signed_bytes", 3);
        sm_arena_free(&arena);
    }
    cr_assert_eq(json_array_size(vec_get(j, "hare4")), 5u);
    json_array_foreach(vec_get(j, "hare4"), i, m)
    {
        struct sm_arena arena = {0};
        fresh();
        expect(&kit.id[0], SM_SIGN_HARE4, decode(&sm_hare4_body_type, m, "signed_full_body_encoded", &arena), m,
               "signature", "signed_bytes", 3);
        sm_arena_free(&arena);
    }
    struct sm_arena arena = {0};
    const json_t *c = vec_get(j, "certify");
    expect(&kit.id[0], SM_SIGN_CERTIFY, decode(&sm_certify_content_type, c, "content_encoded_is_signed_bytes", &arena),
           c, "signature", "content_encoded_is_signed_bytes", 3);
    sm_arena_free(&arena);
    json_decref(j);
    kit_close(&kit);
}

Test(vectors, beacon)
{
    json_t *j = vec_load("wire-beacon.json");
    const json_t *m = vec_get(j, "messages");
    struct sm_arena arena = {0};
    fresh();
    const struct sm_beacon_first_voting_message *first =
        decode(&sm_beacon_first_voting_message_type, m, "first_voting", &arena);
    const struct sm_beacon_following_voting_message *next =
        decode(&sm_beacon_following_voting_message_type, m, "following_voting", &arena);
    const struct sm_sign_request a = {kit.id[0], SM_SIGN_BEACON_FIRST, {.beacon_first = &first->body}};
    const struct sm_sign_request b = {kit.id[0], SM_SIGN_BEACON_NEXT, {.beacon_next = &next->body}};
    struct sm_signature got;
    OK(sm_signer_sign(kit.signer, &a, &got, &ei));
    cr_assert_arr_eq(got.b, first->signature.b, 64);
    OK(sm_signer_sign(kit.signer, &b, &got, &ei));
    cr_assert_arr_eq(got.b, next->signature.b, 64);
    sm_arena_free(&arena);
    json_decref(j);
    kit_close(&kit);
}

static bool request_of(const json_t *m, struct sm_vrf_request *out)
{
    const json_t *f = json_object_get(m, "fields");
    const char *name = vec_str(m, "name");
    if (!f) return false;
    if (strstr(name, "type 3")) {
        out->kind = SM_ELIGIBILITY_VOTING;
        vec_hex(f, "beacon", out->body.voting.beacon.b, 4);
        out->body.voting.epoch = (uint32_t)vec_u64(f, "epoch");
        out->body.voting.vrf_nonce = vec_u64(f, "nonce");
        out->body.voting.j = (uint32_t)vec_u64(f, "counter");
    } else if (strstr(name, "type 2")) {
        out->kind = SM_ELIGIBILITY_HARE;
        vec_hex(f, "beacon", out->body.hare.beacon.b, 4);
        out->body.hare.round = (uint32_t)vec_u64(f, "round");
        out->body.hare.layer = (uint32_t)vec_u64(f, "layer");
    } else if (strstr(name, "type 1")) {
        out->kind = SM_ELIGIBILITY_BEACON;
        out->body.beacon.vrf_nonce = vec_u64(f, "nonce");
        out->body.beacon.epoch = (uint32_t)vec_u64(f, "epoch");
    } else if (strstr(name, "type 4")) {
        out->kind = SM_ELIGIBILITY_WEAK_COIN;
        out->body.weak_coin.vrf_nonce = vec_u64(f, "nonce");
        out->body.weak_coin.epoch = (uint32_t)vec_u64(f, "epoch");
        out->body.weak_coin.round = (uint32_t)vec_u64(f, "round");
        out->body.weak_coin.unit = (uint32_t)vec_u64(f, "unit");
    } else {
        return false;
    }
    return true;
}

Test(vectors, vrf_of_each_type)
{
    json_t *j = vec_load("wire-vrf.json"), *m;
    size_t i;
    unsigned seen[5] = {0};
    fresh();
    json_array_foreach(vec_get(j, "messages"), i, m)
    {
        struct sm_vrf_request r = {.identity = kit.id[0]};
        struct sm_scale_writer alpha = {0};
        struct sm_vrf_proof pi, want;
        size_t n;
        if (!request_of(m, &r)) continue;
        uint8_t *b = vec_hex_var(m, "alpha", &n);
        OK(sm_vrf_message(&r, &alpha, &ei));
        cr_assert_eq(alpha.n, n);
        cr_assert_arr_eq(alpha.p, b, n);
        OK(sm_signer_vrf(kit.signer, &r, &pi, &ei));
        vec_hex(m, "pi", want.b, 80);
        cr_assert_arr_eq(pi.b, want.b, 80);
        seen[r.kind]++;
        free(b);
        sm_scale_writer_fini(&alpha);
    }
    for (unsigned k = 1; k < 5; k++) cr_assert(seen[k] > 0, "no vector of VRF type %u", k);
    json_decref(j);
    kit_close(&kit);
}
