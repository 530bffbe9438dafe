/* A valid proof and the network it belongs to: the first case of vectors/post_proofs.json. */
#ifndef SM_TESTS_POSTSVC_KIT_H
#define SM_TESTS_POSTSVC_KIT_H

#include <stdlib.h>
#include <string.h>

#include "post/params.h"
#include "post/proof.h"
#include "support/vectors.h"

struct kit {
    struct sm_post_params params;
    struct sm_proof proof;
    struct sm_proof_meta meta;
};

static inline struct kit kit_load(void)
{
    json_t *file = vec_load("post_proofs.json");
    const json_t *p = json_array_get(file, 0), *q = vec_get(p, "proof");
    size_t n;
    uint8_t *indices = vec_hex_var(q, "indices_hex", &n);
    struct kit k = {
        .params = {.name = "test",
                   .min_num_units = 1,
                   .max_num_units = 100,
                   .labels_per_unit = vec_u64(p, "labels_per_unit"),
                   .k1 = (uint32_t)vec_u64(p, "k1"),
                   .k2 = (uint32_t)vec_u64(p, "k2"),
                   .k3 = 1,
                   .scrypt_n = (uint32_t)vec_u64(vec_get(p, "scrypt"), "n"),
                   .nonces = 16,
                   .num_units = 1,
                   .max_file_size = 1024},
        .proof = {.nonce = (uint32_t)vec_u64(q, "nonce"), .pow = vec_u64(q, "pow"), .indices_n = (uint32_t)n},
        .meta = {.num_units = (uint32_t)vec_u64(p, "num_units"), .labels_per_unit = vec_u64(p, "labels_per_unit")}};
    memcpy(k.proof.indices, indices, n);
    vec_hex(p, "pow_difficulty_hex", k.params.pow_difficulty, 32);
    vec_hex(p, "node_id_hex", k.meta.node_id.b, 32);
    vec_hex(p, "commitment_atx_id_hex", k.meta.commitment_atx_id.b, 32);
    vec_hex(p, "challenge_hex", k.meta.challenge.b, 32);
    free(indices);
    json_decref(file);
    return k;
}

#endif
