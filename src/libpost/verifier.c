#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "libpost/impl.h"
#include "post/k2pow.h"
#include "post/verify.h"

#define KEPT 4u /* a process verifies for one network, rarely for two; others are made for the call */

/* Our verifier knows its network when it is made, the published one is told by every call: there is one of ours for every
 * network seen lately. RandomX is shared by all of them. */
struct network {
    struct sm_post_params params;
    struct sm_verifier *v; /* NULL: a free place */
    unsigned users;
    uint64_t last_use;
};

struct Verifier {
    struct sm_randomx_cfg cfg;
    struct sm_randomx *randomx; /* keeps it between networks */
    pthread_mutex_t mu;         /* over what follows */
    struct network kept[KEPT];
    uint64_t uses;
};

NewVerifierResult new_verifier(RandomXFlag flags, Verifier **out)
{
    struct sm_errinfo ei = {0};
    if (!out) return NewVerifierResult_InvalidArgument;
    Verifier *v = calloc(1, sizeof *v);
    sm_err err = v ? SM_OK : sm_fail(&ei, SM_E_NOMEM, "out of memory");
    if (v) {
        v->cfg = sm_libpost_randomx(flags);
        (void)pthread_mutex_init(&v->mu, NULL);
        err = sm_k2pow_open(v->cfg, NULL, &v->randomx, &ei);
    }
    if (!err) {
        *out = v;
        return NewVerifierResult_Ok;
    }
    sm_libpost_failed("new_verifier", &ei);
    free_verifier(v);
    return NewVerifierResult_Failed;
}

void free_verifier(Verifier *verifier)
{
    if (!verifier) return;
    for (unsigned i = 0; i < KEPT; i++) sm_verifier_free(verifier->kept[i].v);
    sm_randomx_close(verifier->randomx);
    (void)pthread_mutex_destroy(&verifier->mu);
    free(verifier);
}

/* ---- the verifier for a network ---- */

/* Under mu. The one that has it, else the place to make it: free, or of the network not used for longest; else NULL. */
static struct network *place_for(Verifier *v, const struct sm_post_params *params)
{
    struct network *best = NULL;
    for (unsigned i = 0; i < KEPT; i++) {
        struct network *n = &v->kept[i];
        if (n->v && memcmp(&n->params, params, sizeof *params) == 0) return n;
        if (!n->users && (!best || n->last_use < best->last_use)) best = n;
    }
    return best;
}

/* *out_kept is NULL when the verifier is the caller's alone. */
static sm_err take(Verifier *v, const struct sm_post_params *params, struct sm_verifier **out,
                   struct network **out_kept, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    (void)pthread_mutex_lock(&v->mu);
    struct network *n = place_for(v, params);
    if (n && n->v && memcmp(&n->params, params, sizeof *params) != 0) {
        sm_verifier_free(n->v);
        *n = (struct network){0};
    }
    if (n && !n->v) {
        err = sm_verifier_new(params, &v->cfg, &n->v, ei);
        memcpy(&n->params, params, sizeof *params); /* with its padding, for the comparison */
    }
    if (!err && n) {
        n->users++;
        n->last_use = ++v->uses;
        *out = n->v;
    }
    (void)pthread_mutex_unlock(&v->mu);
    *out_kept = n;
    return n ? err : sm_verifier_new(params, &v->cfg, out, ei);
}

static void put_back(Verifier *v, struct sm_verifier *used, struct network *kept)
{
    if (!kept) {
        sm_verifier_free(used);
        return;
    }
    (void)pthread_mutex_lock(&v->mu);
    kept->users--;
    (void)pthread_mutex_unlock(&v->mu);
}

/* ---- arguments ---- */

/* `out` is all zero before, padding included. */
static sm_err params_of(ProofConfig c, InitConfig i, struct sm_post_params *out, struct sm_errinfo *ei)
{
    out->min_num_units = i.min_num_units ? i.min_num_units : 1; /* no unit has no labels: too few anyway */
    out->max_num_units = i.max_num_units;
    out->labels_per_unit = i.labels_per_unit;
    out->k1 = c.k1;
    out->k2 = c.k2;
    out->k3 = 1;
    memcpy(out->pow_difficulty, c.pow_difficulty, sizeof out->pow_difficulty);
    return sm_libpost_scrypt_n(i.scrypt, true, &out->scrypt_n, ei);
}

static sm_err proof_of(const Proof *p, struct sm_proof *out, struct sm_errinfo *ei)
{
    if (p->indices.len && !p->indices.ptr) return sm_fail(ei, SM_E_ARG, "the proof has no indices");
    *out = (struct sm_proof){.nonce = p->nonce, .pow = p->pow};
    const size_t n = p->indices.len <= SM_PROOF_INDICES_MAX ? p->indices.len : 0; /* more is never right, nor is none */
    if (n) memcpy(out->indices, p->indices.ptr, n);
    out->indices_n = (uint32_t)n;
    return SM_OK;
}

static struct sm_proof_meta meta_of(const ProofMetadata *m)
{
    struct sm_proof_meta out = {.num_units = m->num_units};
    memcpy(out.node_id.b, m->node_id, sizeof m->node_id);
    memcpy(out.commitment_atx_id.b, m->commitment_atx_id, sizeof m->commitment_atx_id);
    memcpy(out.challenge.b, m->challenge, sizeof m->challenge);
    return out;
}

static VerifyResult result_of(const struct sm_verdict *verdict)
{
    switch (verdict->code) {
    case SM_VERDICT_VALID:
        return (VerifyResult){.tag = VerifyResult_Ok};
    case SM_VERDICT_MSB:
    case SM_VERDICT_LSB:
        return (VerifyResult){.tag = VerifyResult_InvalidIndex, .invalid_index = {.index_id = verdict->position}};
    default:
        return (VerifyResult){.tag = VerifyResult_Invalid};
    }
}

/* ---- verification ---- */

/* job: mode and what belongs to it. SM_E_ARG: InvalidArgument; other failures cannot tell, and Invalid is the only
 * answer left that accuses nobody of a wrong index. */
static sm_err judge(Verifier *v, const Proof *proof, const ProofMetadata *metadata, ProofConfig c, InitConfig i,
                    struct sm_verify_job job, struct sm_verdict *out, struct sm_errinfo *ei)
{
    struct sm_post_params params;
    struct sm_proof p;
    struct sm_verifier *verifier = NULL;
    struct network *kept = NULL;
    memset(&params, 0, sizeof params);
    if (!v || !metadata) return sm_fail(ei, SM_E_ARG, "no verifier, or no metadata");
    sm_err err = params_of(c, i, &params, ei);
    if (!err) err = proof_of(proof, &p, ei);
    if (!err) err = take(v, &params, &verifier, &kept, ei);
    if (err) return err;
    const struct sm_proof_meta meta = meta_of(metadata);
    job.proof = &p;
    job.meta = &meta;
    err = sm_verify_one(verifier, &job, out, ei);
    put_back(v, verifier, kept);
    return err;
}

static VerifyResult answer(const char *function, const Verifier *v, const Proof *proof, const ProofMetadata *metadata,
                           ProofConfig c, InitConfig i, struct sm_verify_job job)
{
    struct sm_verdict verdict = {0};
    struct sm_errinfo ei = {0};
    sm_err err = judge((Verifier *)(uintptr_t)v, proof, metadata, c, i, job, &verdict, &ei);
    if (!err) return result_of(&verdict);
    sm_libpost_failed(function, &ei);
    return (VerifyResult){.tag = err == SM_E_ARG ? VerifyResult_InvalidArgument : VerifyResult_Invalid};
}

VerifyResult verify_proof(const Verifier *verifier, Proof proof, const ProofMetadata *metadata, ProofConfig cfg,
                          InitConfig init_cfg)
{
    return answer("verify_proof", verifier, &proof, metadata, cfg, init_cfg,
                  (struct sm_verify_job){.mode = SM_VERIFY_ALL});
}

static uint32_t clamp(uintptr_t v)
{
    return v < UINT32_MAX ? (uint32_t)v : UINT32_MAX;
}

VerifyResult verify_proof_index(const Verifier *verifier, Proof proof, const ProofMetadata *metadata, ProofConfig cfg,
                                InitConfig init_cfg, uintptr_t index)
{
    return answer("verify_proof_index", verifier, &proof, metadata, cfg, init_cfg,
                  (struct sm_verify_job){.mode = SM_VERIFY_ONE, .position = clamp(index)});
}

VerifyResult verify_proof_subset(const Verifier *verifier, Proof proof, const ProofMetadata *metadata, ProofConfig cfg,
                                 InitConfig init_cfg, uintptr_t k3, const uint8_t *seed, uintptr_t seed_len)
{
    if (seed_len && !seed) return (VerifyResult){.tag = VerifyResult_InvalidArgument};
    return answer("verify_proof_subset", verifier, &proof, metadata, cfg, init_cfg,
                  (struct sm_verify_job){.mode = SM_VERIFY_SUBSET, .k3 = clamp(k3), .seed = seed, .seed_n = seed_len});
}
