#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/blake3.h"
#include "post/difficulty.h"
#include "post/verify_impl.h"
#include "util/bytes.h"

#define LAST_GROUP 255u /* the group number is one byte */
#define BITS56     ((UINT64_C(1) << 56) - 1)

static struct sm_verdict verdict(sm_verdict_code code, const char *fmt, ...) SM_PRINTF(2, 3);
static struct sm_verdict verdict(sm_verdict_code code, const char *fmt, ...)
{
    struct sm_verdict v = {.code = code};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(v.text, sizeof v.text, fmt, args);
    va_end(args);
    return v;
}

/* ---- before any work ---- */

static struct sm_verdict judge_early(const struct sm_post_params *params, const struct sm_verify_job *job)
{
    const uint32_t units = job->meta->num_units, group = job->proof->nonce / SM_NONCES_PER_GROUP;
    if (units < params->min_num_units)
        return verdict(SM_VERDICT_UNITS_TOO_SMALL, "%" PRIu32 " units are below the network's minimum of %" PRIu32,
                       units, params->min_num_units);
    if (units > params->max_num_units)
        return verdict(SM_VERDICT_UNITS_TOO_LARGE, "%" PRIu32 " units are above the network's maximum of %" PRIu32,
                       units, params->max_num_units);
    if (group > LAST_GROUP)
        return verdict(SM_VERDICT_NONCE_GROUP, "nonce %" PRIu32 " is in group %" PRIu32 ", the last one is %u",
                       job->proof->nonce, group, LAST_GROUP);
    return (struct sm_verdict){.code = SM_VERDICT_VALID};
}

static struct sm_verdict judge_late(const struct sm_post_params *params, const struct sm_verify_job *job,
                                    uint64_t num_labels)
{
    const uint64_t expected = sm_indices_bytes(num_labels, params->k2);
    if (job->proof->indices_n != expected)
        return verdict(SM_VERDICT_INDICES_LEN,
                       "the indices are %" PRIu32 " bytes, expected %" PRIu64 " (%" PRIu32 " of %u bits)",
                       job->proof->indices_n, expected, params->k2, sm_index_bits(num_labels));
    if (num_labels <= params->k1)
        return verdict(SM_VERDICT_NUM_LABELS, "%" PRIu64 " labels are not more than k1 = %" PRIu32, num_labels,
                       params->k1);
    return (struct sm_verdict){.code = SM_VERDICT_VALID};
}

/* ---- ciphers ---- */

static void plan_ciphers(const struct sm_verify_job *job, struct sm_verify_proof *p)
{
    /* All eight bytes of pow count here, though only seven are hashed for the proof of work. */
    uint8_t in[32 + 4 + 8 + 4], key[SM_BLAKE3_BYTES];
    memcpy(in, job->meta->challenge.b, 32);
    sm_le32_store(in + 32, job->proof->nonce / SM_NONCES_PER_GROUP);
    sm_le64_store(in + 36, job->proof->pow);
    sm_le32_store(in + 44, job->proof->nonce);
    sm_blake3_hash(in, 44, key);
    sm_aes128_init(&p->key_group, key);
    sm_blake3_hash(in, 48, key);
    sm_aes128_init(&p->key_nonce, key);
}

/* ---- positions ---- */

size_t sm_verify_count(const struct sm_post_params *params, const struct sm_verify_job *job)
{
    switch (job->mode) {
    case SM_VERIFY_ONE:
        return job->position < params->k2;
    case SM_VERIFY_SUBSET:
        return job->k3 < params->k2 ? job->k3 : params->k2;
    case SM_VERIFY_ALL:
    case SM_VERIFY_STRICT:
        break;
    }
    return params->k2;
}

static sm_err choose(const struct sm_post_params *params, const struct sm_verify_job *job, uint32_t *out,
                     struct sm_errinfo *ei)
{
    if (job->mode == SM_VERIFY_SUBSET)
        return sm_verify_subset(job->seed, job->seed_n, &job->meta->node_id, &job->meta->challenge, params->k2, job->k3,
                                out, ei);
    if (job->mode == SM_VERIFY_ONE) {
        out[0] = job->position;
        return SM_OK;
    }
    for (uint32_t i = 0; i < params->k2; i++) out[i] = i;
    return SM_OK;
}

static sm_err plan_checks(const struct sm_post_params *params, const struct sm_verify_job *job,
                          struct sm_verify_proof *p, struct sm_verify_check *checks, struct sm_errinfo *ei)
{
    uint32_t positions[SM_K2_MAX];
    uint64_t *indices = calloc(params->k2 + (size_t)1, sizeof *indices);
    if (!indices) return sm_fail(ei, SM_E_NOMEM, "out of memory verifying a proof");
    sm_err err = sm_indices_unpack(job->proof->indices, job->proof->indices_n, sm_index_bits(p->num_labels), params->k2,
                                   indices, ei);
    const size_t n = sm_verify_count(params, job);
    if (!err && n) err = choose(params, job, positions, ei);
    for (size_t i = 0; !err && i < n; i++)
        checks[i] = (struct sm_verify_check){.position = positions[i], .index = indices[positions[i]]};
    if (err) {
        free(indices);
        return err;
    }
    p->checks_n = n;
    p->indices = indices;
    return SM_OK;
}

sm_err sm_verify_plan(const struct sm_post_params *params, const struct sm_verify_job *job, struct sm_verify_proof *p,
                      struct sm_verify_check *checks, struct sm_errinfo *ei)
{
    if (job->proof->indices_n > SM_PROOF_INDICES_MAX)
        return sm_fail(ei, SM_E_ARG, "proof with %" PRIu32 " bytes of indices", job->proof->indices_n);
    p->job = job;
    atomic_init(&p->pow_verdict, -1);
    p->early = judge_early(params, job);
    if (p->early.code != SM_VERDICT_VALID) return SM_OK;

    p->pow = (struct sm_k2pow_job){.node_id = job->meta->node_id,
                                   .challenge = job->meta->challenge,
                                   .group = (uint8_t)(job->proof->nonce / SM_NONCES_PER_GROUP)};
    sm_err err = sm_k2pow_difficulty(params->pow_difficulty, job->meta->num_units, p->pow.difficulty, ei);
    if (err) return err;
    p->num_labels = job->meta->num_units * params->labels_per_unit; /* wraps, as on the network */
    p->late = judge_late(params, job, p->num_labels);
    if (p->late.code != SM_VERDICT_VALID) return SM_OK;

    err = sm_proving_difficulty(params->k1, p->num_labels, &p->difficulty, ei);
    if (err) return err;
    p->commitment = sm_commitment_of(&job->meta->node_id, &job->meta->commitment_atx_id);
    plan_ciphers(job, p);
    return plan_checks(params, job, p, checks, ei);
}

/* ---- labels ---- */

void sm_verify_label(const struct sm_verify_proof *p, const uint8_t label[16], struct sm_verify_check *c)
{
    uint8_t out[SM_AES_BLOCK];
    sm_aes128_encrypt(&p->key_group, label, out);
    const uint64_t msb = out[p->job->proof->nonce % SM_NONCES_PER_GROUP], limit = p->difficulty >> 56;
    c->code = msb <= limit ? SM_VERDICT_VALID : SM_VERDICT_MSB;
    c->value = msb;
    if (msb != limit) return;
    sm_aes128_encrypt(&p->key_nonce, label, out);
    c->value = sm_le64_load(out) & BITS56;
    if (c->value >= (p->difficulty & BITS56)) c->code = SM_VERDICT_LSB;
}

/* ---- the verdict ---- */

static struct sm_verdict judge_check(const struct sm_verify_proof *p, const struct sm_verify_check *c)
{
    struct sm_verdict v;
    if (c->code == SM_VERDICT_MSB)
        v = verdict(c->code,
                    "index %" PRIu64 " at position %" PRIu32 " is no good label: first byte %" PRIu64
                    " is above %" PRIu64,
                    c->index, c->position, c->value, p->difficulty >> 56);
    else
        v = verdict(c->code,
                    "index %" PRIu64 " at position %" PRIu32 " is no good label: %" PRIu64 " is not below %" PRIu64,
                    c->index, c->position, c->value, p->difficulty & BITS56);
    v.position = c->position;
    v.index = c->index;
    return v;
}

/* What our own prover guarantees and the network does not ask for. */
static struct sm_verdict judge_strict(const struct sm_post_params *params, const struct sm_verify_proof *p)
{
    const struct sm_proof *proof = p->job->proof;
    struct sm_verdict v = {.code = SM_VERDICT_VALID};
    for (uint32_t i = 0; i < params->k2; i++) {
        if (p->indices[i] >= p->num_labels)
            v = verdict(SM_VERDICT_STRICT, "index %" PRIu64 " at position %" PRIu32 " is beyond the %" PRIu64 " labels",
                        p->indices[i], i, p->num_labels);
        else if (i && p->indices[i] <= p->indices[i - 1])
            v = verdict(SM_VERDICT_STRICT,
                        "index %" PRIu64 " at position %" PRIu32 " is not above its predecessor %" PRIu64,
                        p->indices[i], i, p->indices[i - 1]);
        if (v.code == SM_VERDICT_VALID) continue;
        v.position = i;
        v.index = p->indices[i];
        return v;
    }
    const unsigned used = (unsigned)((uint64_t)sm_index_bits(p->num_labels) * params->k2 % 8);
    if (used && proof->indices[proof->indices_n - 1] >> used)
        return verdict(SM_VERDICT_STRICT, "the bits after the last index are not zero");
    if (proof->pow > SM_K2POW_NONCE_MAX)
        return verdict(SM_VERDICT_STRICT, "the top byte of pow %" PRIu64 " is not zero", proof->pow);
    return v;
}

struct sm_verdict sm_verify_conclude(const struct sm_post_params *params, struct sm_verify_proof *p,
                                     const struct sm_verify_check *checks)
{
    if (p->early.code != SM_VERDICT_VALID) return p->early;
    if (atomic_load(&p->pow_verdict) != SM_VERDICT_VALID)
        return verdict(SM_VERDICT_POW, "the proof of work %" PRIu64 " of nonce group %u is not below the difficulty",
                       p->job->proof->pow & SM_K2POW_NONCE_MAX, p->pow.group);
    if (p->late.code != SM_VERDICT_VALID) return p->late;
    for (size_t i = 0; i < p->checks_n; i++)
        if (checks[i].code != SM_VERDICT_VALID) return judge_check(p, &checks[i]);
    struct sm_verdict v = {.code = SM_VERDICT_VALID};
    if (p->job->mode == SM_VERIFY_STRICT) v = judge_strict(params, p);
    return v.code == SM_VERDICT_VALID ? verdict(SM_VERDICT_VALID, "valid") : v;
}
