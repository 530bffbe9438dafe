/* Verdicts about proofs and VRF nonces. Values: vectors/post_proofs.json, vectors/vrf_nonces.json, post.md §6. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/blake3.h"
#include "post/difficulty.h"
#include "post/verify.h"
#include "post/verify_impl.h"
#include "post/verify_subset.h"
#include "support/vectors.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"
#include "util/thread.h"

/* One case of post_proofs.json. */
struct fixture {
    struct sm_post_params params;
    struct sm_proof proof;
    struct sm_proof_meta meta;
    uint64_t indices[SM_K2_MAX];
    unsigned bits;
};

static void indices_from_hex(const json_t *obj, struct sm_proof *proof)
{
    size_t n;
    uint8_t *bytes = vec_hex_var(obj, "indices_hex", &n);
    cr_assert_leq(n, SM_PROOF_INDICES_MAX);
    memcpy(proof->indices, bytes, n);
    proof->indices_n = (uint32_t)n;
    free(bytes);
}

static struct fixture fixture_of(const json_t *p)
{
    struct fixture f = {.params = {.min_num_units = 1,
                                   .max_num_units = 100,
                                   .labels_per_unit = vec_u64(p, "labels_per_unit"),
                                   .k1 = (uint32_t)vec_u64(p, "k1"),
                                   .k2 = (uint32_t)vec_u64(p, "k2"),
                                   .k3 = 1,
                                   .scrypt_n = (uint32_t)vec_u64(vec_get(p, "scrypt"), "n"),
                                   .nonces = 16,
                                   .num_units = 1,
                                   .max_file_size = 1024},
                        .meta = {.num_units = (uint32_t)vec_u64(p, "num_units")}};
    const json_t *proof = vec_get(p, "proof"), *list = vec_get(p, "indices"), *v;
    size_t i;
    vec_hex(p, "pow_difficulty_hex", f.params.pow_difficulty, 32);
    vec_hex(p, "node_id_hex", f.meta.node_id.b, 32);
    vec_hex(p, "commitment_atx_id_hex", f.meta.commitment_atx_id.b, 32);
    vec_hex(p, "challenge_hex", f.meta.challenge.b, 32);
    f.proof.nonce = (uint32_t)vec_u64(proof, "nonce");
    f.proof.pow = vec_u64(proof, "pow");
    indices_from_hex(proof, &f.proof);
    json_array_foreach(list, i, v) f.indices[i] = (uint64_t)json_integer_value(v);
    f.bits = (unsigned)vec_u64(p, "bits_per_index");
    return f;
}

static const json_t *case_named(const json_t *file, const char *name)
{
    size_t i;
    const json_t *p;
    json_array_foreach(file, i, p) if (strcmp(vec_str(p, "name"), name) == 0) return p;
    cr_assert_fail("no case %s", name);
    return NULL;
}

static struct fixture fixture_named(const char *name)
{
    json_t *file = vec_load("post_proofs.json");
    const struct fixture f = fixture_of(case_named(file, name));
    json_decref(file);
    return f;
}

static struct sm_verifier *verifier_of(const struct sm_post_params *params)
{
    struct sm_errinfo ei = {0};
    struct sm_verifier *v = NULL;
    const struct sm_randomx_cfg light = {.mode = SM_RANDOMX_LIGHT};
    cr_assert_eq(sm_verifier_new(params, &light, &v, &ei), SM_OK, "%s", ei.text);
    return v;
}

static struct sm_verdict judge_with(struct sm_verifier *v, const struct fixture *f, struct sm_verify_job job)
{
    struct sm_errinfo ei = {0};
    struct sm_verdict got;
    job.proof = &f->proof;
    job.meta = &f->meta;
    cr_assert_eq(sm_verify_one(v, &job, &got, &ei), SM_OK, "%s", ei.text);
    cr_assert_neq(got.text[0], '\0');
    return got;
}

static struct sm_verdict judge(const struct fixture *f, struct sm_verify_job job)
{
    struct sm_verifier *v = verifier_of(&f->params);
    const struct sm_verdict got = judge_with(v, f, job);
    sm_verifier_free(v);
    return got;
}

static void repack(struct fixture *f)
{
    memset(f->proof.indices, 0, sizeof f->proof.indices);
    sm_indices_pack(f->indices, f->params.k2, f->bits, f->proof.indices);
}

#define ALL    ((struct sm_verify_job){.mode = SM_VERIFY_ALL})
#define STRICT ((struct sm_verify_job){.mode = SM_VERIFY_STRICT})
#define ONE(i) ((struct sm_verify_job){.mode = SM_VERIFY_ONE, .position = (i)})

static void expect(struct sm_verdict got, sm_verdict_code want, const char *what)
{
    cr_assert_eq(got.code, want, "%s: verdict %d (%s), expected %d", what, got.code, got.text, want);
}

/* ---- vectors ---- */

static void check_good_in_all_modes(struct sm_verifier *v, const json_t *p, const struct fixture *f)
{
    const char *name = vec_str(p, "name");
    expect(judge_with(v, f, ALL), SM_VERDICT_VALID, name);
    expect(judge_with(v, f, STRICT), SM_VERDICT_VALID, name);
    for (uint32_t i = 0; i < f->params.k2; i += 5) expect(judge_with(v, f, ONE(i)), SM_VERDICT_VALID, name);
    size_t i;
    const json_t *s;
    json_array_foreach(vec_get(p, "subset"), i, s)
    {
        size_t seed_n;
        uint8_t *seed = vec_hex_var(s, "seed_hex", &seed_n);
        const struct sm_verify_job job = {
            .mode = SM_VERIFY_SUBSET, .k3 = (uint32_t)vec_u64(s, "k3"), .seed = seed, .seed_n = seed_n};
        expect(judge_with(v, f, job), SM_VERDICT_VALID, name);
        free(seed);
    }
}

static void check_subsets(const json_t *p, const struct fixture *f)
{
    size_t i, k;
    const json_t *s, *x;
    cr_assert(json_array_size(vec_get(p, "subset")) > 0);
    json_array_foreach(vec_get(p, "subset"), i, s)
    {
        uint32_t got[SM_K2_MAX];
        size_t seed_n;
        uint8_t *seed = vec_hex_var(s, "seed_hex", &seed_n);
        cr_assert_eq(sm_verify_subset(seed, seed_n, &f->meta.node_id, &f->meta.challenge, f->params.k2,
                                      (uint32_t)vec_u64(s, "k3"), got, NULL),
                     SM_OK);
        json_array_foreach(vec_get(s, "positions"), k, x)
            cr_assert_eq(got[k], (uint32_t)json_integer_value(x), "%s subset %zu", vec_str(p, "name"), i);
        free(seed);
    }
}

/* A proof with one bad index fails at its position, and passes where that position is not looked at. */
static void check_tampered(struct sm_verifier *v, const json_t *t, struct fixture f, sm_verdict_code want)
{
    indices_from_hex(t, &f.proof);
    const uint32_t bad = (uint32_t)vec_u64(t, "position");
    const struct sm_verify_job modes[] = {ALL, STRICT, ONE(bad)};
    for (size_t i = 0; i < 3; i++) {
        const struct sm_verdict got = judge_with(v, &f, modes[i]);
        expect(got, want, "tampered");
        cr_assert_eq(got.position, bad);
        cr_assert_eq(got.index, vec_u64(t, "index"));
    }
    for (uint32_t i = 0; i < f.params.k2; i += 3)
        if (i != bad) expect(judge_with(v, &f, ONE(i)), SM_VERDICT_VALID, "another position");
    for (uint32_t k3 = 1; k3 <= f.params.k2 + 1; k3 += 3) {
        uint32_t positions[SM_K2_MAX];
        bool seen = false;
        const uint8_t seed[1] = {(uint8_t)k3};
        cr_assert_eq(sm_verify_subset(seed, 1, &f.meta.node_id, &f.meta.challenge, f.params.k2, k3, positions, NULL),
                     SM_OK);
        for (uint32_t i = 0; i < k3 && i < f.params.k2; i++) seen = seen || positions[i] == bad;
        const struct sm_verify_job job = {.mode = SM_VERIFY_SUBSET, .k3 = k3, .seed = seed, .seed_n = 1};
        expect(judge_with(v, &f, job), seen ? want : SM_VERDICT_VALID, "subset");
    }
}

Test(verify, vectors)
{
    json_t *file = vec_load("post_proofs.json"), *p;
    size_t i;
    unsigned lsb = 0;
    cr_assert_eq(json_array_size(file), 5);
    json_array_foreach(file, i, p)
    {
        const struct fixture f = fixture_of(p);
        struct sm_verifier *v = verifier_of(&f.params);
        check_good_in_all_modes(v, p, &f);
        check_subsets(p, &f);
        check_tampered(v, vec_get(p, "tampered"), f, SM_VERDICT_MSB);
        const json_t *t = json_object_get(p, "tampered_lsb");
        if (t) check_tampered(v, t, f, SM_VERDICT_LSB);
        lsb += t != NULL;
        sm_verifier_free(v);
    }
    cr_assert_eq(lsb, 4);
    json_decref(file);
}

Test(verify, vrf_nonces)
{
    json_t *file = vec_load("vrf_nonces.json"), *e;
    size_t i;
    cr_assert_eq(json_array_size(file), 42);
    json_array_foreach(file, i, e)
    {
        struct sm_node_id node;
        struct sm_atx_id atx;
        uint8_t want[32], label[32];
        bool valid = false;
        const uint64_t labels = vec_u64(e, "labels_per_unit") * vec_u64(e, "num_units");
        const uint32_t n = (uint32_t)vec_u64(e, "scrypt_n");
        cr_assert_eq(sm_base64_decode(vec_str(e, "node_id_b64"), "node", node.b, 32, NULL), SM_OK);
        cr_assert_eq(sm_base64_decode(vec_str(e, "commitment_atx_id_b64"), "atx", atx.b, 32, NULL), SM_OK);
        const struct sm_commitment c = sm_commitment_of(&node, &atx);
        vec_hex(e, "commitment_hex", want, 32);
        cr_assert_arr_eq(c.b, want, 32);
        cr_assert_eq(sm_verify_vrf_nonce(&c, vec_u64(e, "vrf_nonce"), labels, n, &valid, label, NULL), SM_OK);
        cr_assert(valid, "nonce %zu", i);
        vec_hex(e, "label32_hex", want, 32);
        cr_assert_arr_eq(label, want, 32);
        cr_assert_eq(sm_verify_vrf_nonce(&c, vec_u64(e, "vrf_nonce") + 1, labels, n, &valid, NULL, NULL), SM_OK);
        cr_assert_not(valid, "its neighbour is not valid");
    }
    struct sm_commitment zero = {{0}};
    bool valid;
    cr_assert_eq(sm_verify_vrf_nonce(&zero, 0, 8, 2, &valid, NULL, NULL), SM_E_ARG, "no such difficulty");
    cr_assert_eq(sm_verify_vrf_nonce(&zero, 0, 9, 3, &valid, NULL, NULL), SM_E_ARG, "no such N");
    json_decref(file);
}

/* ---- subset selection ---- */

Test(subset, reference_constant)
{
    static const uint8_t want[100] = {39, 13, 95, 77, 36, 41, 74, 17, 59, 87, 91, 63, 40, 20, 94, 78, 48, 60, 18, 32,
                                      67, 43, 23, 69, 71, 1,  51, 79, 19, 53, 86, 80, 14, 84, 97, 92, 83, 26, 2,  81,
                                      42, 55, 50, 88, 75, 82, 44, 34, 58, 72, 35, 25, 10, 68, 12, 11, 70, 27, 98, 57,
                                      96, 16, 45, 73, 0,  15, 62, 46, 30, 89, 33, 54, 9,  29, 7,  90, 38, 5,  49, 61,
                                      93, 99, 22, 6,  64, 24, 76, 85, 37, 65, 31, 4,  52, 3,  56, 21, 8,  28, 66, 47};
    struct sm_blake3 h;
    struct sm_blake3_xof stream;
    uint32_t got[100];
    sm_blake3_init(&h);
    sm_blake3_xof_start(&h, &stream);
    sm_verify_shuffle(&stream, 100, 100, got);
    for (int i = 0; i < 100; i++) cr_assert_eq(got[i], want[i], "position %d", i);
}

Test(subset, constants_of_other_reference_tests)
{
    struct sm_node_id node;
    struct sm_challenge challenge;
    uint32_t got[64];
    memset(node.b, 0x4d, 32);
    memcpy(challenge.b, "hello world, challenge me!!!!!!!", 32);
    cr_assert_eq(sm_verify_subset(NULL, 0, &node, &challenge, 32, 1, got, NULL), SM_OK);
    cr_assert_eq(got[0], 22);
    cr_assert_eq(sm_verify_subset(NULL, 0, &node, &challenge, 32, 31, got, NULL), SM_OK);
    uint64_t seen = 0;
    for (int i = 0; i < 31; i++) seen |= UINT64_C(1) << got[i];
    cr_assert_eq(seen, 0xffffffff & ~(UINT64_C(1) << 14));
    /* zeros, k2 = 3: shuffled to 2, 1, 0; k3 = k2 is not shuffled, k3 > k2 is */
    uint8_t zero[96] = {0};
    struct sm_blake3 h;
    struct sm_blake3_xof stream;
    sm_blake3_init(&h);
    sm_blake3_update(&h, zero, sizeof zero);
    sm_blake3_xof_start(&h, &stream);
    sm_verify_shuffle(&stream, 3, 3, got);
    cr_assert_arr_eq(got, ((uint32_t[]){2, 1, 0}), 12);
    memset(node.b, 0, 32);
    memset(challenge.b, 0, 32);
    cr_assert_eq(sm_verify_subset(zero, 32, &node, &challenge, 3, 3, got, NULL), SM_OK);
    cr_assert_arr_eq(got, ((uint32_t[]){0, 1, 2}), 12);
    cr_assert_eq(sm_verify_subset(zero, 32, &node, &challenge, 3, 4, got, NULL), SM_OK);
    cr_assert_arr_eq(got, ((uint32_t[]){2, 1, 0}), 12);
    cr_assert_eq(sm_verify_subset(zero, 32, &node, &challenge, 3, 0, got, NULL), SM_OK);
    cr_assert_eq(sm_verify_subset(zero, 32, &node, &challenge, SM_K2_MAX + 1, 0, got, NULL), SM_E_ARG);
}

/* ---- every check, in order ---- */

Test(verify, units_are_bounded)
{
    struct fixture f = fixture_named("msb-nonzero");
    f.params.min_num_units = f.params.max_num_units = 2;
    expect(judge(&f, ALL), SM_VERDICT_VALID, "bounds are inclusive");
    f.meta.num_units = 1;
    expect(judge(&f, ALL), SM_VERDICT_UNITS_TOO_SMALL, "1");
    f.meta.num_units = 0;
    expect(judge(&f, ALL), SM_VERDICT_UNITS_TOO_SMALL, "0");
    f.meta.num_units = 3;
    expect(judge(&f, ALL), SM_VERDICT_UNITS_TOO_LARGE, "3");
    f.meta.num_units = UINT32_MAX;
    expect(judge(&f, STRICT), SM_VERDICT_UNITS_TOO_LARGE, "2^32 - 1");
    f.proof.nonce = UINT32_MAX;
    f.proof.indices_n = 0;
    expect(judge(&f, ONE(99)), SM_VERDICT_UNITS_TOO_LARGE, "units come before all else");
}

Test(verify, nonce_group_fits_a_byte)
{
    struct fixture f = fixture_named("msb-nonzero");
    struct sm_verifier *v = verifier_of(&f.params);
    f.proof.nonce = 4096;
    expect(judge_with(v, &f, ALL), SM_VERDICT_NONCE_GROUP, "4096");
    f.proof.nonce = UINT32_MAX;
    expect(judge_with(v, &f, ALL), SM_VERDICT_NONCE_GROUP, "2^32 - 1");
    f.proof.indices_n = 1;
    expect(judge_with(v, &f, ALL), SM_VERDICT_NONCE_GROUP, "before the length");
    f = fixture_named("msb-nonzero");
    f.proof.nonce = 4095; /* the last group; its labels are other ones */
    const sm_verdict_code code = judge_with(v, &f, ALL).code;
    cr_assert(code == SM_VERDICT_MSB || code == SM_VERDICT_POW, "%d", code);
    sm_verifier_free(v);
}

Test(verify, pow_is_checked_before_the_indices)
{
    struct fixture f = fixture_named("e2e");
    memset(f.params.pow_difficulty, 0, 32);
    f.params.pow_difficulty[31] = 1; /* divided by 31 units: 0 */
    expect(judge(&f, ALL), SM_VERDICT_POW, "difficulty 0");
    f.proof.indices_n = 0;
    expect(judge(&f, ALL), SM_VERDICT_POW, "before the length");
    expect(judge(&f, ONE(1000)), SM_VERDICT_POW, "also when no index is looked at");
    f = fixture_named("testnet-like"); /* 0fff…: most nonces fail */
    f.proof.pow++;
    expect(judge(&f, ALL), SM_VERDICT_POW, "pow 50");
    f = fixture_named("testnet-like");
    f.meta.node_id.b[0] ^= 1;
    expect(judge(&f, ALL), SM_VERDICT_POW, "another identity");
}

Test(verify, lengths_are_exact)
{
    const struct fixture good = fixture_named("e2e");
    struct sm_verifier *v = verifier_of(&good.params);
    const uint32_t n = good.proof.indices_n;
    const uint32_t bad[] = {0, 1, n - 1, n + 1, SM_PROOF_INDICES_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fixture f = good;
        f.proof.indices_n = bad[i];
        expect(judge_with(v, &f, ALL), SM_VERDICT_INDICES_LEN, "length");
        expect(judge_with(v, &f, ONE(500)), SM_VERDICT_INDICES_LEN, "length");
        const struct sm_verify_job none = {.mode = SM_VERIFY_SUBSET, .k3 = 0};
        expect(judge_with(v, &f, none), SM_VERDICT_INDICES_LEN, "length");
    }
    struct fixture f = good;
    f.proof.indices_n = SM_PROOF_INDICES_MAX + 1;
    struct sm_verdict got;
    const struct sm_verify_job job = {.proof = &f.proof, .meta = &f.meta};
    cr_assert_eq(sm_verify_one(v, &job, &got, NULL), SM_E_ARG, "not a proof object at all");
    sm_verifier_free(v);
}

Test(verify, labels_must_be_more_than_k1)
{
    struct fixture f = fixture_named("msb-nonzero");
    f.params.k1 = 400; /* as many as there are labels */
    expect(judge(&f, ALL), SM_VERDICT_NUM_LABELS, "k1 = labels");
    f.params.k1 = UINT32_MAX;
    expect(judge(&f, ALL), SM_VERDICT_NUM_LABELS, "k1 above");
    f.params.k1 = 399;
    expect(judge(&f, ALL), SM_VERDICT_VALID, "one more than k1: nearly every label is good");
    f.proof.indices_n--;
    f.params.k1 = 400;
    expect(judge(&f, ALL), SM_VERDICT_INDICES_LEN, "the length comes first");
    f.params.labels_per_unit = 0;
    f.proof.indices_n = 0;
    expect(judge(&f, ALL), SM_VERDICT_NUM_LABELS, "no labels, no bits, no bytes");
}

Test(verify, label_count_wraps_as_on_the_network)
{
    struct fixture f = fixture_named("msb-nonzero");
    f.params.labels_per_unit = (UINT64_C(1) << 63) + 200; /* times 2 units: 400 */
    expect(judge(&f, ALL), SM_VERDICT_VALID, "wrapped");
}

Test(verify, modes_that_check_nothing_pass)
{
    struct fixture f = fixture_named("msb-nonzero");
    struct sm_verifier *v = verifier_of(&f.params);
    memset(f.proof.indices, 0xff, f.proof.indices_n); /* garbage */
    expect(judge_with(v, &f, ALL), SM_VERDICT_MSB, "garbage");
    const uint32_t beyond[] = {30, 31, UINT32_MAX};
    for (size_t i = 0; i < 3; i++) expect(judge_with(v, &f, ONE(beyond[i])), SM_VERDICT_VALID, "position >= k2");
    expect(judge_with(v, &f, (struct sm_verify_job){.mode = SM_VERIFY_SUBSET, .k3 = 0}), SM_VERDICT_VALID, "k3 = 0");
    expect(judge_with(v, &f, (struct sm_verify_job){.mode = SM_VERIFY_SUBSET, .k3 = UINT32_MAX}), SM_VERDICT_MSB,
           "k3 > k2 checks all");
    sm_verifier_free(v);
}

Test(verify, first_bad_index_in_order_decides)
{
    struct fixture f = fixture_named("msb-nonzero");
    struct sm_verifier *v = verifier_of(&f.params);
    f.indices[20] = f.indices[5] = 466; /* known to be bad */
    repack(&f);
    struct sm_verdict got = judge_with(v, &f, ALL);
    expect(got, SM_VERDICT_MSB, "all");
    cr_assert_eq(got.position, 5);
    /* in the shuffled order the other one may come first */
    for (uint8_t seed = 0; seed < 8; seed++) {
        uint32_t order[30], want = UINT32_MAX;
        cr_assert_eq(sm_verify_subset(&seed, 1, &f.meta.node_id, &f.meta.challenge, 30, 29, order, NULL), SM_OK);
        for (int i = 28; i >= 0; i--)
            if (order[i] == 5 || order[i] == 20) want = order[i];
        const struct sm_verify_job job = {.mode = SM_VERIFY_SUBSET, .k3 = 29, .seed = &seed, .seed_n = 1};
        got = judge_with(v, &f, job);
        expect(got, SM_VERDICT_MSB, "subset");
        cr_assert_eq(got.position, want);
    }
    sm_verifier_free(v);
}

/* ---- what the network accepts and we would not produce ---- */

/* Is the label good for the proof's nonce? By the verifier's own parts, without the proof of work. */
static bool is_good(struct fixture f, uint64_t index)
{
    f.indices[0] = index;
    repack(&f);
    struct sm_verify_job job = ONE(0);
    struct sm_verify_proof plan = {0};
    struct sm_verify_check check;
    uint8_t label[32];
    job.proof = &f.proof;
    job.meta = &f.meta;
    cr_assert_eq(sm_verify_plan(&f.params, &job, &plan, &check, NULL), SM_OK);
    cr_assert_eq(plan.checks_n, 1);
    cr_assert_eq(sm_scrypt_one(f.params.scrypt_n, plan.commitment.b, check.index, label, NULL), SM_OK);
    sm_verify_label(&plan, label, &check);
    free(plan.indices);
    return check.code == SM_VERDICT_VALID;
}

static uint64_t good_index_beyond(const struct fixture *f, uint64_t num_labels)
{
    for (uint64_t i = num_labels; i < UINT64_C(1) << f->bits; i++)
        if (is_good(*f, i)) return i;
    cr_assert_fail("no good index beyond the data");
    return 0;
}

/* Fills the indices with the first good ones and returns how many of the k2 there are. */
static uint32_t prove_again(struct fixture *f, uint64_t num_labels)
{
    uint32_t n = 0;
    for (uint64_t i = 0; i < num_labels && n < f->params.k2; i++)
        if (is_good(*f, i)) f->indices[n++] = i;
    return n;
}

static void strict_refuses_at(struct sm_verifier *v, const struct fixture *f, uint32_t position, const char *what)
{
    expect(judge_with(v, f, ALL), SM_VERDICT_VALID, what);
    const struct sm_verdict got = judge_with(v, f, STRICT);
    expect(got, SM_VERDICT_STRICT, what);
    cr_assert_eq(got.position, position, "%s: position %u", what, got.position);
}

Test(verify, strict_refuses_what_the_network_accepts)
{
    const struct fixture good = fixture_named("msb-nonzero");
    struct sm_verifier *v = verifier_of(&good.params);
    expect(judge_with(v, &good, STRICT), SM_VERDICT_VALID, "good");

    struct fixture f = good;
    f.indices[8] = f.indices[7];
    repack(&f);
    strict_refuses_at(v, &f, 8, "a duplicate");

    f = good;
    f.indices[3] = good.indices[4];
    f.indices[4] = good.indices[3];
    repack(&f);
    strict_refuses_at(v, &f, 4, "unsorted");

    f = good;
    f.indices[29] = good_index_beyond(&good, 400);
    repack(&f);
    strict_refuses_at(v, &f, 29, "beyond the data");

    f = good;
    for (int i = 0; i < 30; i++) f.indices[i] = good.indices[2];
    repack(&f);
    strict_refuses_at(v, &f, 1, "one label thirty times");

    f = good; /* 30 * 9 = 270 bits: two bits of padding */
    f.proof.indices[33] |= 0x80;
    strict_refuses_at(v, &f, 0, "padding");
    f = good;
    f.proof.indices[33] |= 0x40;
    strict_refuses_at(v, &f, 0, "padding");
    sm_verifier_free(v);
}

/* The top byte of pow changes the ciphers but not the proof of work: a proof made with it is valid on the network. */
Test(verify, top_byte_of_pow)
{
    struct fixture f = fixture_named("msb-nonzero");
    struct sm_verifier *v = verifier_of(&f.params);
    f.proof.pow |= UINT64_C(0x5a) << 56;
    const struct sm_verdict got = judge_with(v, &f, ALL);
    expect(got, SM_VERDICT_MSB, "other ciphers, other good labels; the proof of work still holds");
    uint32_t n = prove_again(&f, 400);
    cr_assert_gt(n, 8, "about 20 of 400");
    while (n < f.params.k2) f.indices[n] = f.indices[n - 1], n++;
    repack(&f);
    expect(judge_with(v, &f, ALL), SM_VERDICT_VALID, "network");
    expect(judge_with(v, &f, STRICT), SM_VERDICT_STRICT, "duplicates come first");
    sm_verifier_free(v);
}

Test(verify, strict_refuses_the_top_byte_of_pow)
{
    struct fixture f = fixture_named("msb-nonzero");
    f.params.k2 = 4; /* few enough to be found again */
    f.proof.indices_n = 5;
    f.proof.pow |= UINT64_C(1) << 63;
    struct sm_verifier *v = verifier_of(&f.params);
    cr_assert_eq(prove_again(&f, 400), 4);
    repack(&f);
    expect(judge_with(v, &f, ALL), SM_VERDICT_VALID, "network");
    const struct sm_verdict got = judge_with(v, &f, STRICT);
    expect(got, SM_VERDICT_STRICT, "top byte");
    cr_assert(strstr(got.text, "pow"), "%s", got.text);
    sm_verifier_free(v);
}

/* ---- many at once ---- */

#define MANY 60

static void mutate(struct fixture *f, unsigned kind)
{
    switch (kind % 6) {
    case 1:
        f->indices[kind % f->params.k2] = 466;
        repack(f);
        break;
    case 2:
        f->proof.indices_n--;
        break;
    case 3:
        f->meta.num_units = 1000;
        break;
    case 4:
        f->proof.nonce = 5000;
        break;
    case 5:
        f->meta.commitment_atx_id.b[kind % 32] ^= 1; /* other labels, same proof of work */
        break;
    default:
        break;
    }
}

Test(verify, many_agree_with_one)
{
    static struct fixture f[MANY];
    static struct sm_verdict got[MANY], one[MANY];
    struct sm_verify_job jobs[MANY];
    const struct fixture good = fixture_named("msb-nonzero");
    struct sm_verifier *v = verifier_of(&good.params);
    unsigned valid = 0;
    for (unsigned i = 0; i < MANY; i++) {
        f[i] = good;
        mutate(&f[i], i);
        jobs[i] = i % 4 == 0   ? ALL
                  : i % 4 == 1 ? STRICT
                  : i % 4 == 2 ? ONE(i)
                               : (struct sm_verify_job){.mode = SM_VERIFY_SUBSET, .k3 = i % 35};
        jobs[i].proof = &f[i].proof;
        jobs[i].meta = &f[i].meta;
        one[i] = judge_with(v, &f[i], jobs[i]);
        valid += one[i].code == SM_VERDICT_VALID;
    }
    for (unsigned threads = 0; threads <= 5; threads += 1 + threads / 2) {
        struct sm_errinfo ei = {0};
        memset(got, 0xff, sizeof got);
        cr_assert_eq(sm_verify_many(v, jobs, MANY, threads, NULL, got, &ei), SM_OK, "%s", ei.text);
        for (unsigned i = 0; i < MANY; i++) {
            cr_assert_eq(got[i].code, one[i].code, "proof %u on %u threads: %s / %s", i, threads, got[i].text,
                         one[i].text);
            cr_assert_eq(got[i].position, one[i].position);
            cr_assert_eq(got[i].index, one[i].index);
            cr_assert_str_eq(got[i].text, one[i].text);
        }
    }
    cr_assert_gt(valid, 5);
    cr_assert_lt(valid, MANY / 2);
    cr_assert_eq(sm_verify_many(v, NULL, 0, 0, NULL, NULL, NULL), SM_OK);
    sm_verifier_free(v);
}

struct callers {
    struct sm_verifier *v;
    const struct fixture *f;
};

static void verify_repeatedly(void *ctx, unsigned index)
{
    const struct callers *c = ctx;
    for (unsigned i = 0; i < 3; i++)
        expect(judge_with(c->v, c->f, index % 2 ? ALL : STRICT), SM_VERDICT_VALID, "concurrent");
}

Test(verify, one_verifier_serves_many_threads)
{
    const struct fixture f = fixture_named("tail-dropped");
    struct callers c = {verifier_of(&f.params), &f};
    sm_threads_run(6, verify_repeatedly, &c);
    sm_verifier_free(c.v);
}

Test(verify, cancel)
{
    const struct fixture f = fixture_named("tail-dropped");
    struct sm_verifier *v = verifier_of(&f.params);
    struct sm_cancel cancel = {0};
    struct sm_verdict got = {.code = SM_VERDICT_LSB};
    const struct sm_verify_job job = {.proof = &f.proof, .meta = &f.meta};
    sm_cancel_request(&cancel);
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_verify_many(v, &job, 1, 1, &cancel, &got, &ei), SM_E_CANCELLED);
    cr_assert_eq(got.code, SM_VERDICT_LSB, "nothing is written");
    sm_verifier_free(v);
}

Test(verify, unusable_parameters_are_refused)
{
    const struct fixture good = fixture_named("tail-dropped");
    const struct sm_randomx_cfg light = {.mode = SM_RANDOMX_LIGHT};
    struct sm_verifier *v = NULL;
    struct sm_post_params p = good.params;
    p.scrypt_n = 3;
    cr_assert_eq(sm_verifier_new(&p, &light, &v, NULL), SM_E_ARG);
    p = good.params;
    p.k2 = SM_K2_MAX + 1;
    cr_assert_eq(sm_verifier_new(&p, &light, &v, NULL), SM_E_ARG);
    p = good.params;
    p.min_num_units = 0;
    cr_assert_eq(sm_verifier_new(&p, &light, &v, NULL), SM_E_ARG);
    cr_assert_null(v);
    sm_verifier_free(NULL);
}
