/* post/verify_impl.h: what the verifier's files share; nobody else includes it.
 *
 *   verify.c         the verifier: pools of machines and workers, one proof, VRF nonces
 *   verify_plan.c    one proof: the checks before any work, the ciphers, the positions, the verdict at the end
 *   verify_batch.c   many proofs: hashes and labels as one queue of work for all threads
 *   verify_subset.c  the choice of positions */
#ifndef SM_POST_VERIFY_IMPL_H
#define SM_POST_VERIFY_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "crypto/aes.h"
#include "crypto/scrypt.h"
#include "post/k2pow.h"
#include "post/verify.h"

/* Idle things of one kind, lent to one thread at a time. */
struct sm_verify_pool {
    pthread_mutex_t mu;
    void **items;
    size_t n, room;
};

struct sm_verifier {
    struct sm_post_params params; /* constant after creation, as are randomx and variant */
    struct sm_randomx *randomx;
    const struct sm_scrypt_variant *variant;
    struct sm_verify_pool vms, workers; /* any thread */
};

/* Takes an idle one or makes one; give back with put. */
SM_MUST_CHECK sm_err sm_verifier_take_vm(struct sm_verifier *v, struct sm_randomx_vm **out, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_verifier_take_worker(struct sm_verifier *v, struct sm_scrypt_worker **out,
                                             struct sm_errinfo *ei);
void sm_verifier_put_vm(struct sm_verifier *v, struct sm_randomx_vm *vm);            /* accepts NULL */
void sm_verifier_put_worker(struct sm_verifier *v, struct sm_scrypt_worker *worker); /* accepts NULL */

/* One label to recompute and judge. `code` and `value` are the result, written by the thread that had it. */
struct sm_verify_check {
    uint32_t proof; /* number in the batch */
    uint32_t position;
    uint64_t index;
    sm_verdict_code code; /* VALID, MSB or LSB */
    uint64_t value;       /* MSB: the byte; LSB: the 56 bits */
};

/* One proof of a batch. */
struct sm_verify_proof {
    const struct sm_verify_job *job;
    struct sm_verdict early; /* steps 1-3 of post.md §6.2: nothing else happens when not VALID */
    struct sm_k2pow_job pow; /* step 4 */
    struct sm_verdict late;  /* steps 5-6: counts when the proof of work holds */
    atomic_int pow_verdict;  /* -1 not known yet, else a sm_verdict_code */
    uint64_t num_labels, difficulty;
    struct sm_commitment commitment;
    struct sm_aes128 key_group, key_nonce;
    size_t checks_first, checks_n; /* steps 7-8, in the order that decides */
    uint64_t *indices;             /* STRICT: all k2, owned */
};

/* How many labels the job asks for: room to provide for sm_verify_plan. */
size_t sm_verify_count(const struct sm_post_params *params, const struct sm_verify_job *job);
/* Fills `p` and checks[0 … count). p is zeroed before. SM_E_ARG, SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_verify_plan(const struct sm_post_params *params, const struct sm_verify_job *job,
                                    struct sm_verify_proof *p, struct sm_verify_check *checks, struct sm_errinfo *ei);
/* Judges one label: c->code and c->value. */
void sm_verify_label(const struct sm_verify_proof *p, const uint8_t label[16], struct sm_verify_check *c);
/* When all work is done. `checks` are the proof's own. */
struct sm_verdict sm_verify_conclude(const struct sm_post_params *params, struct sm_verify_proof *p,
                                     const struct sm_verify_check *checks);

#endif
