/* Registration proof of work, RIPEMD-256, and what proofs are worth. */
#include "poet/pow.h"

#include "crypto/ripemd256.h"
#include "kit.h"
#include "poet/ticks.h"

Test(pow, ripemd256_published_vectors)
{
    json_t *v = vec_load("poet-pow.json");
    const json_t *cases = kit_cases(v, "ripemd256_public_test_vectors", 4);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        const char *text = vec_str(c, "ascii");
        uint8_t got[32], want[32];
        struct sm_ripemd256 h;
        sm_ripemd256_init(&h);
        sm_ripemd256_update(&h, text, strlen(text));
        sm_ripemd256_final(&h, got);
        vec_hex(c, "digest_hex", want, 32);
        cr_assert_arr_eq(got, want, 32, "'%s'", text);
    }
    json_decref(v);
    /* The authors' page: a million a, here in pieces that cross blocks. */
    struct sm_ripemd256 h;
    uint8_t got[32], want[32];
    char a[125];
    memset(a, 'a', sizeof a);
    sm_ripemd256_init(&h);
    for (unsigned i = 0; i < 8000; i++) sm_ripemd256_update(&h, a, sizeof a);
    sm_ripemd256_final(&h, got);
    hex_to("ac953744e10e31514c150d4d8d7b677342e33399788296e43ae4850ce4f97978", want, 32);
    cr_assert_arr_eq(got, want, 32);
}

Test(pow, finds_the_nonce_of_the_reference)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("poet-pow.json");
    const json_t *cases = kit_cases(v, "find_nonce", 1);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        struct sm_poet_pow pow = {.pow_challenge = kit_member(c, "pow_challenge_hex", &arena),
                                  .poet_challenge = kit_member(c, "poet_challenge_hex", &arena),
                                  .difficulty = (uint32_t)vec_u64(c, "difficulty")};
        uint64_t nonce;
        vec_hex(c, "node_id_hex", pow.node_id.b, 32);
        cr_assert_eq(sm_poet_pow_search(&pow, 0, NULL, &nonce, NULL), SM_OK);
        cr_assert_eq(nonce, vec_u64(c, "first_nonce"));
        cr_assert(sm_poet_pow_check(&pow, nonce));
        cr_assert_not(sm_poet_pow_check(&pow, nonce - 1));
        pow.difficulty = 0;
        cr_assert(sm_poet_pow_check(&pow, 0));
        pow.difficulty = 257;
        cr_assert_not(sm_poet_pow_check(&pow, nonce));
        cr_assert_eq(sm_poet_pow_search(&pow, 0, NULL, &nonce, NULL), SM_E_NOTFOUND);
        struct sm_cancel cancel = {.requested = true};
        pow.difficulty = 256;
        cr_assert_eq(sm_poet_pow_search(&pow, 0, &cancel, &nonce, NULL), SM_E_CANCELLED);
    }
    json_decref(v);
    sm_arena_free(&arena);
}

Test(pow, leading_zero_bits_of_the_reference)
{
    struct sm_arena arena = {0};
    json_t *v = vec_load("poet-pow.json");
    const json_t *cases = kit_cases(v, "leading_zero_bits", 8);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        cr_assert_eq(sm_leading_zero_bits(kit_member(c, "data_hex", &arena), (uint32_t)vec_u64(c, "bits")),
                     json_is_true(vec_get(c, "ok")), "case %zu", i);
    }
    json_decref(v);
    sm_arena_free(&arena);
}

Test(ticks, worth_of_an_atx)
{
    static const uint32_t one[] = {4}, two[] = {10, 6};
    const struct sm_poet_share shares[] = {{9331, one, 1}, {9000, two, 2}};
    struct sm_atx_worth w;
    cr_assert_eq(sm_poet_ticks(9331200, 9331200), 1);
    cr_assert_eq(sm_poet_ticks(9331199, 9331200), 0);
    cr_assert_eq(sm_atx_worth(100, shares, 1, &w, NULL), SM_OK);
    cr_assert(w.ticks == 9331 && w.tick_height == 9431 && w.units == 4 && w.weight == 4 * 9331);
    cr_assert_eq(sm_atx_worth(0, shares, 2, &w, NULL), SM_OK);
    cr_assert(w.ticks == 9000 && w.tick_height == 9000 && w.units == 20 && w.weight == 4 * 9331 + 16 * 9000);
}

Test(ticks, what_does_not_fit_is_refused)
{
    static const uint32_t most[] = {UINT32_MAX}, one[] = {1}, two[] = {2};
    const struct sm_poet_share heavy = {UINT64_MAX, two, 1}, light = {UINT64_MAX, one, 1};
    const struct sm_poet_share units[] = {{1, most, 1}, {1, one, 1}}, sum[] = {light, {1, one, 1}};
    struct sm_atx_worth w = {.weight = 77};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_atx_worth(0, &heavy, 1, &w, &ei), SM_E_FORMAT);
    cr_assert_eq(sm_atx_worth(1, &light, 1, &w, &ei), SM_E_FORMAT);
    cr_assert_eq(sm_atx_worth(0, units, 2, &w, &ei), SM_E_FORMAT);
    cr_assert_eq(sm_atx_worth(0, sum, 2, &w, &ei), SM_E_FORMAT);
    cr_assert_eq(sm_atx_worth(0, sum, 0, &w, &ei), SM_E_ARG);
    cr_assert_eq(w.weight, 77);
    cr_assert_eq(sm_atx_worth(0, &light, 1, &w, &ei), SM_OK);
    cr_assert_eq(w.weight, UINT64_MAX);
}
