/* tests/unit/post/prove_cases.h: the cases of post_proofs.json as data directories. */
#ifndef SM_TESTS_PROVE_CASES_H
#define SM_TESTS_PROVE_CASES_H

#include <criterion/criterion.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/scrypt.h"
#include "post/difficulty.h"
#include "post/layout.h"
#include "post/metadata.h"
#include "post/prove.h"
#include "support/tmpdir.h"
#include "support/vectors.h"
#include "util/text.h"

struct prove_case {
    char name[32];
    struct sm_node_id node_id;
    struct sm_atx_id commitment_atx_id;
    struct sm_challenge challenge;
    uint64_t labels_per_unit, max_file_size, vrf_nonce;
    uint32_t num_units, k1, k2, scrypt_n, nonces, passes;
    uint8_t pow_difficulty[32];
    struct sm_proof proof;
    uint64_t indices[64];
    uint64_t group_pow[64]; /* by nonce group */
    uint32_t groups_n;
};

static struct prove_case case_of(const json_t *j)
{
    struct prove_case c = {.labels_per_unit = vec_u64(j, "labels_per_unit"),
                           .max_file_size = vec_u64(j, "max_file_size"),
                           .vrf_nonce = vec_u64(j, "vrf_nonce"),
                           .num_units = (uint32_t)vec_u64(j, "num_units"),
                           .k1 = (uint32_t)vec_u64(j, "k1"),
                           .k2 = (uint32_t)vec_u64(j, "k2"),
                           .scrypt_n = (uint32_t)vec_u64(vec_get(j, "scrypt"), "n"),
                           .nonces = (uint32_t)vec_u64(j, "nonces_per_pass"),
                           .passes = (uint32_t)vec_u64(j, "passes")};
    (void)snprintf(c.name, sizeof c.name, "%s", vec_str(j, "name"));
    vec_hex(j, "node_id_hex", c.node_id.b, 32);
    vec_hex(j, "commitment_atx_id_hex", c.commitment_atx_id.b, 32);
    vec_hex(j, "challenge_hex", c.challenge.b, 32);
    vec_hex(j, "pow_difficulty_hex", c.pow_difficulty, 32);
    const json_t *proof = vec_get(j, "proof");
    size_t n = 0;
    uint8_t *packed = vec_hex_var(proof, "indices_hex", &n);
    c.proof = (struct sm_proof){
        .nonce = (uint32_t)vec_u64(proof, "nonce"), .pow = vec_u64(proof, "pow"), .indices_n = (uint32_t)n};
    memcpy(c.proof.indices, packed, n);
    free(packed);
    const json_t *list = vec_get(j, "indices"), *pows = vec_get(j, "k2pow"), *v;
    size_t i;
    json_array_foreach(list, i, v) c.indices[i] = (uint64_t)json_integer_value(v);
    json_array_foreach(pows, i, v) c.group_pow[vec_u64(v, "nonce_group")] = vec_u64(v, "pow");
    c.groups_n = (uint32_t)json_array_size(pows);
    return c;
}

static size_t load_cases(struct prove_case *out, size_t room)
{
    json_t *all = vec_load("post_proofs.json"), *j;
    size_t i;
    json_array_foreach(all, i, j)
    {
        cr_assert_lt(i, room);
        out[i] = case_of(j);
    }
    json_decref(all);
    return i;
}

__attribute__((unused)) static struct prove_case load_case(const char *name)
{
    struct prove_case all[8];
    const size_t n = load_cases(all, 8);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0) return all[i];
    cr_assert_fail("no case %s", name);
    return all[0];
}

static void assert_sha256(const char *hex, crypto_hash_sha256_state *h, const char *what)
{
    uint8_t got[32], want[32];
    (void)crypto_hash_sha256_final(h, got);
    hex_to(hex, want, 32);
    cr_assert_arr_eq(got, want, 32, "SHA-256 of %s", what);
}

/* The labels as the vector file hashes them: file by file or all together. */
static void check_hashes(const struct prove_case *c, const uint8_t *labels, const struct sm_layout *l)
{
    json_t *all = vec_load("post_proofs.json"), *j = NULL;
    size_t i;
    json_array_foreach(all, i, j) if (strcmp(vec_str(j, "name"), c->name) == 0) break;
    const json_t *sums = vec_get(j, "postdata_sha256");
    const bool together = strstr(vec_str(j, "postdata_sha256_of"), "concatenated") != NULL;
    crypto_hash_sha256_state h;
    (void)crypto_hash_sha256_init(&h);
    for (uint64_t f = 0; f < l->files; f++) {
        (void)crypto_hash_sha256_update(&h, labels + 16 * sm_layout_file_first(l, f), 16 * sm_layout_file_labels(l, f));
        if (together && f + 1 < l->files) continue;
        const json_t *sum = json_is_array(sums) ? json_array_get(sums, together ? 0 : f) : sums;
        assert_sha256(json_string_value(sum), &h, c->name);
        (void)crypto_hash_sha256_init(&h);
    }
    json_decref(all);
}

static void put_metadata(const struct prove_case *c, const char *dir)
{
    const struct sm_metadata m = {.node_id = c->node_id,
                                  .commitment_atx_id = c->commitment_atx_id,
                                  .labels_per_unit = c->labels_per_unit,
                                  .num_units = c->num_units,
                                  .max_file_size = c->max_file_size,
                                  .has_nonce = true,
                                  .nonce = c->vrf_nonce};
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_metadata_save(dir, &m, &ei), SM_OK, "%s", ei.text);
}

/* Fills `dir` with the case's labels and metadata. */
static void put_data(const struct prove_case *c, const char *dir)
{
    struct sm_errinfo ei = {0};
    const struct sm_scrypt_variant *v = NULL;
    struct sm_scrypt_worker *w = NULL;
    struct sm_layout l;
    const uint64_t n = c->num_units * c->labels_per_unit;
    cr_assert_eq(sm_layout_make(n, c->max_file_size, SM_LAYOUT_ALL, SM_LAYOUT_ALL, &l, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_scrypt_pick(sm_cpu(), NULL, &v, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_scrypt_worker_new(v, NULL, c->scrypt_n, &w, &ei), SM_OK, "%s", ei.text);
    const struct sm_commitment commitment = sm_commitment_of(&c->node_id, &c->commitment_atx_id);
    uint8_t *wide = malloc(32 * n), *labels = malloc(16 * n);
    cr_assert(wide && labels);
    cr_assert_eq(sm_scrypt_range(w, commitment.b, 0, n, NULL, wide), SM_OK);
    for (uint64_t i = 0; i < n; i++) memcpy(labels + 16 * i, wide + 32 * i, 16);
    check_hashes(c, labels, &l);
    for (uint64_t f = 0; f < l.files; f++) {
        char name[64];
        file_put(tmpdir_path(dir, sm_layout_file_name(f, name)), labels + 16 * sm_layout_file_first(&l, f),
                 16 * sm_layout_file_labels(&l, f));
    }
    free(wide);
    free(labels);
    sm_scrypt_worker_free(w);
    put_metadata(c, dir);
}

/* The proof of the vectors was made by the reference with one thread: its tail rule, the smallest k2pow. */
__attribute__((unused)) static struct sm_prove_cfg cfg_of(const struct prove_case *c, const char *dir)
{
    struct sm_prove_cfg cfg = {.dir = dir,
                               .challenge = c->challenge,
                               .nonces = c->nonces,
                               .threads = 1,
                               .reference_tail = true,
                               .randomx = {.mode = SM_RANDOMX_LIGHT}};
    cfg.params = (struct sm_post_params){.name = "test",
                                         .min_num_units = 1,
                                         .max_num_units = 1000,
                                         .labels_per_unit = c->labels_per_unit,
                                         .k1 = c->k1,
                                         .k2 = c->k2,
                                         .k3 = 1,
                                         .scrypt_n = c->scrypt_n,
                                         .nonces = 16,
                                         .num_units = c->num_units,
                                         .max_file_size = c->max_file_size};
    memcpy(cfg.params.pow_difficulty, c->pow_difficulty, 32);
    return cfg;
}

__attribute__((unused)) static void assert_proof(const struct prove_case *c, const struct sm_prove_result *r,
                                                 const char *how)
{
    cr_assert_eq(r->proof.nonce, c->proof.nonce, "%s, %s: nonce %u", c->name, how, r->proof.nonce);
    cr_assert_eq(r->proof.pow, c->proof.pow, "%s, %s: pow %" PRIu64, c->name, how, r->proof.pow);
    cr_assert_eq(r->indices_n, c->k2);
    for (uint32_t i = 0; i < c->k2; i++)
        cr_assert_eq(r->indices[i], c->indices[i], "%s, %s: index %u is %" PRIu64, c->name, how, i, r->indices[i]);
    cr_assert_eq(r->proof.indices_n, c->proof.indices_n);
    cr_assert_arr_eq(r->proof.indices, c->proof.indices, c->proof.indices_n, "%s, %s", c->name, how);
    cr_assert_eq(r->passes, c->passes, "%s, %s: %u passes", c->name, how, r->passes);
    cr_assert_arr_eq(r->meta.node_id.b, c->node_id.b, 32);
    cr_assert_eq(r->meta.num_units, c->num_units);
}

/* RandomX held open: every proof of the test then borrows it instead of building its own. */
__attribute__((unused)) static struct sm_randomx *hold_randomx(void)
{
    struct sm_errinfo ei = {0};
    struct sm_randomx *rx = NULL;
    cr_assert_eq(sm_k2pow_open((struct sm_randomx_cfg){.mode = SM_RANDOMX_LIGHT}, NULL, &rx, &ei), SM_OK, "%s",
                 ei.text);
    return rx;
}

/* The case's k2pow results, as if they had been searched: with several threads another one might be found first. */
__attribute__((unused)) static void put_k2pow(const struct prove_case *c, const char *dir)
{
    struct sm_errinfo ei = {0};
    for (uint32_t g = 0; g < c->groups_n; g++) {
        struct sm_k2pow_job job = {.node_id = c->node_id, .challenge = c->challenge, .group = (uint8_t)g};
        cr_assert_eq(sm_k2pow_difficulty(c->pow_difficulty, c->num_units, job.difficulty, &ei), SM_OK);
        cr_assert_eq(sm_k2pow_cache_put(dir, &job, c->group_pow[g], &ei), SM_OK, "%s", ei.text);
    }
}

#endif
