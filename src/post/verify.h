/* post/verify.h: judging proofs and VRF nonces. Source: post.md §6, 2.6. */
#ifndef SM_POST_VERIFY_H
#define SM_POST_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/randomx.h"
#include "post/params.h"
#include "post/proof.h"
#include "util/cancel.h"
#include "util/err.h"

typedef enum sm_verify_mode {
    SM_VERIFY_ALL,    /* all k2 indices in order, as the network */
    SM_VERIFY_ONE,    /* one position; >= k2 checks none and passes */
    SM_VERIFY_SUBSET, /* k3 positions chosen by seed */
    SM_VERIFY_STRICT, /* ours: ALL, and indices ascending, unique, < num_labels, padding zero, top byte of pow zero */
} sm_verify_mode;

typedef enum sm_verdict_code {
    SM_VERDICT_VALID,
    SM_VERDICT_UNITS_TOO_SMALL,
    SM_VERDICT_UNITS_TOO_LARGE,
    SM_VERDICT_NONCE_GROUP,     /* group > 255 */
    SM_VERDICT_POW,
    SM_VERDICT_INDICES_LEN,
    SM_VERDICT_NUM_LABELS,
    SM_VERDICT_MSB,
    SM_VERDICT_LSB,
    SM_VERDICT_STRICT,          /* a rule of SM_VERIFY_STRICT */
} sm_verdict_code;

struct sm_verdict {
    sm_verdict_code code;
    uint32_t position;  /* MSB, LSB, STRICT: ordinal of the index in the proof */
    uint64_t index;
    char text[192];     /* one sentence */
};

struct sm_verify_job {
    const struct sm_proof *proof;
    const struct sm_proof_meta *meta; /* labels_per_unit is taken from params, not from here */
    sm_verify_mode mode;
    uint32_t position;           /* ONE */
    uint32_t k3;                 /* SUBSET */
    const uint8_t *seed;
    size_t seed_n;
};

/* Usable from many threads at once; holds per-thread RandomX VMs and label workers internally. */
struct sm_verifier;
SM_MUST_CHECK sm_err sm_verifier_new(const struct sm_post_params *params, const struct sm_randomx_cfg *randomx,
                                     struct sm_verifier **out, struct sm_errinfo *ei);
void sm_verifier_free(struct sm_verifier *v);

/* SM_OK whatever the verdict. */
SM_MUST_CHECK sm_err sm_verify_one(struct sm_verifier *v, const struct sm_verify_job *job, struct sm_verdict *out,
                                   struct sm_errinfo *ei);
/* As sm_verify_one of an ALL or STRICT job, and when the verdict is MSB or LSB every position whose label is no good, not
 * only the first: out_bad has room for k2, ascending; *out_bad_n is 0 for every other verdict. */
SM_MUST_CHECK sm_err sm_verify_find_bad(struct sm_verifier *v, const struct sm_verify_job *job, struct sm_verdict *out,
                                        uint32_t *out_bad, uint32_t *out_bad_n, struct sm_errinfo *ei);
/* Many at once on `threads` threads (0 = all): RandomX spread over threads, labels of different proofs side by side in
 * the SIMD lanes. */
SM_MUST_CHECK sm_err sm_verify_many(struct sm_verifier *v, const struct sm_verify_job *jobs, size_t n, unsigned threads,
                                    const struct sm_cancel *cancel, struct sm_verdict *out, struct sm_errinfo *ei);

/* The positions SUBSET would check, in order; out has min(k3, k2) entries. post.md §6.4. */
SM_MUST_CHECK sm_err sm_verify_subset(const uint8_t *seed, size_t seed_n, const struct sm_node_id *node_id,
                                      const struct sm_challenge *challenge, uint32_t k2, uint32_t k3, uint32_t *out,
                                      struct sm_errinfo *ei);

/* label32(commitment, nonce) < vrf_difficulty(num_labels). */
SM_MUST_CHECK sm_err sm_verify_vrf_nonce(const struct sm_commitment *commitment, uint64_t nonce, uint64_t num_labels,
                                         uint32_t scrypt_n, bool *out_valid, uint8_t out_label[32],
                                         struct sm_errinfo *ei);

#endif
