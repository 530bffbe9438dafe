/* post/proof.h: the proof object, its index compression and its JSON. Source: post.md §5.9. */
#ifndef SM_POST_PROOF_H
#define SM_POST_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/ids.h"
#include "util/err.h"

#define SM_PROOF_INDICES_MAX 800u /* bytes; go-spacemesh activation/wire/wire_v1.go */
#define SM_NONCES_PER_GROUP 16u   /* one AES key: post-rs src/prove.rs NONCES_PER_AES @a2d155a */
#define SM_NONCES_MAX 4096u       /* the group number is one byte: post.md §4.5 */
#define SM_PROOF_JSON_MAX 65536u  /* bytes; ours: a document of proof and metadata is about 1500 */
#define SM_K2_MAX 6400u           /* ours: one bit per index at least, within SM_PROOF_INDICES_MAX */

struct sm_proof {
    uint32_t nonce;
    uint64_t pow;
    uint32_t indices_n; /* bytes used */
    uint8_t indices[SM_PROOF_INDICES_MAX];
};

/* What a proof is about; travels with it. */
struct sm_proof_meta {
    struct sm_node_id node_id;
    struct sm_atx_id commitment_atx_id;
    struct sm_challenge challenge;
    uint32_t num_units;
    uint64_t labels_per_unit; /* 0 when the document does not say (the Rust dialect) */
};

bool sm_proof_meta_equal(const struct sm_proof_meta *a, const struct sm_proof_meta *b);

/* Bit length of v: 0 for 0, floor(log2 v) + 1 otherwise. */
unsigned sm_index_bits(uint64_t num_labels);
/* ceil(bits * k2 / 8) */
uint64_t sm_indices_bytes(uint64_t num_labels, uint32_t k2);

/* Low `bits` bits of each index, LSB first. `out` has ceil(bits * n / 8) bytes. */
void sm_indices_pack(const uint64_t *indices, size_t n, unsigned bits, uint8_t *out);
/* `in` holds at least ceil(bits * n / 8) bytes: checked by the caller or by SM_E_FORMAT here. */
SM_MUST_CHECK sm_err sm_indices_unpack(const uint8_t *in, size_t in_n, unsigned bits, size_t n, uint64_t *out,
                                       struct sm_errinfo *ei);

/* JSON document {"proof":{"nonce","indices","pow"},"metadata":{"node_id","commitment_atx_id","challenge","num_units",
 * "labels_per_unit"}}; ids and indices in base64 as the Rust serde form. meta NULL writes the bare proof object, which
 * the decoder also takes (out_meta untouched, *out_has_meta false). malloc'd text. Unknown members are ignored, repeated
 * ones refused. SM_E_FORMAT names `where` and the member. */
SM_MUST_CHECK sm_err sm_proof_encode_json(const struct sm_proof *p, const struct sm_proof_meta *meta, char **out,
                                          struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_proof_decode_json(const char *text, size_t n, const char *where, struct sm_proof *out,
                                          struct sm_proof_meta *out_meta, bool *out_has_meta, struct sm_errinfo *ei);

#endif
