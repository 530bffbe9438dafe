#include "post/prove_impl.h"

#include <string.h>

#include "crypto/blake3.h"
#include "util/bytes.h"
#include "util/log.h"

static uint32_t groups_of(const struct sm_prover *p)
{
    return p->pass.lists.nonces / SM_NONCES_PER_GROUP;
}

static struct sm_k2pow_job job_of(const struct sm_prover *p, uint32_t i)
{
    struct sm_k2pow_job job = {.node_id = p->data.node_id,
                               .challenge = p->cfg->challenge,
                               .group = (uint8_t)(p->pass.first_nonce / SM_NONCES_PER_GROUP + i)};
    memcpy(job.difficulty, p->k2pow_difficulty, sizeof job.difficulty);
    return job;
}

/* A strong dataset costs half a minute and is not worth it for checking a few values. */
static sm_err need_randomx(struct sm_prover *p, sm_randomx_mode mode, struct sm_errinfo *ei)
{
    if (p->randomx && (mode == SM_RANDOMX_LIGHT || p->randomx_cfg.mode == mode)) return SM_OK;
    sm_randomx_close(p->randomx);
    p->randomx = NULL;
    p->progress.phase = SM_PROVE_RANDOMX;
    sm_prove_report(p);
    p->randomx_cfg = p->cfg->randomx;
    p->randomx_cfg.mode = mode;
    sm_err err = sm_k2pow_open(p->randomx_cfg, p->cancel, &p->randomx, ei);
    p->progress.phase = SM_PROVE_K2POW;
    return err;
}

static sm_err check(struct sm_prover *p, const struct sm_k2pow_job *job, uint64_t pow, bool *out_valid,
                    struct sm_errinfo *ei)
{
    *out_valid = false;
    if (pow > SM_K2POW_NONCE_MAX) return SM_OK;
    sm_err err = need_randomx(p, SM_RANDOMX_LIGHT, ei);
    return err ? err : sm_k2pow_check(p->randomx, job, pow, out_valid, ei);
}

static sm_err from_cache(struct sm_prover *p, const struct sm_k2pow_job *job, uint64_t *out, bool *out_found,
                         struct sm_errinfo *ei)
{
    *out_found = false;
    struct sm_errinfo why = {0};
    if (!p->state_dir[0]) return SM_OK;
    sm_err err = sm_k2pow_cache_get(p->state_dir, job, out, &why);
    if (err == SM_E_NOTFOUND) return SM_OK;
    if (!err)
        err = check(p, job, *out, out_found, ei);
    else {
        sm_log(SM_LOG_WARN, "post", "cached k2pow ignored", "group=%u error=\"%s\"", job->group, why.text);
        return SM_OK;
    }
    if (!err && !*out_found)
        sm_log(SM_LOG_WARN, "post", "cached k2pow is wrong, searching again", "group=%u", job->group);
    return err;
}

static void on_hashes(void *ctx, uint64_t hashes)
{
    struct sm_prover *p = ctx; /* the calling thread waits in sm_k2pow_find meanwhile */
    p->progress.hashes = hashes;
    sm_prove_report(p);
}

static void keep(struct sm_prover *p, const struct sm_k2pow_job *job, uint64_t pow)
{
    struct sm_errinfo why = {0};
    if (!p->state_dir[0] || !sm_k2pow_cache_put(p->state_dir, job, pow, &why) || p->checkpoint_warned) return;
    p->checkpoint_warned = true;
    sm_log(SM_LOG_WARN, "post", "k2pow cannot be kept, a restart will search again", "error=\"%s\"", why.text);
}

static sm_err search(struct sm_prover *p, const struct sm_k2pow_job *job, uint64_t *out, struct sm_errinfo *ei)
{
    sm_err err = need_randomx(p, p->cfg->randomx.mode, ei);
    if (err) return err;
    const struct sm_k2pow_search how = {
        .threads = p->threads, .cores = p->cfg->cores, .progress = on_hashes, .progress_ctx = p};
    uint64_t hashes = 0;
    err = sm_k2pow_find(p->randomx, job, &how, p->cancel, out, &hashes, ei);
    if (!err) keep(p, job, *out);
    return err;
}

/* ---- somebody else's search ---- */

/* What neither checkpoint nor cache holds. */
struct wanted {
    struct sm_prover *p;
    size_t n;
    struct sm_k2pow_job jobs[256];
    uint32_t group[256]; /* of jobs[i], in the pass */
    bool done[256];
};

/* The source's threads, one at a time; the proving thread waits in solve meanwhile. */
static sm_err on_found(void *ctx, size_t i, uint64_t pow, bool *out_valid, struct sm_errinfo *ei)
{
    struct wanted *w = ctx;
    struct sm_prover *p = w->p;
    *out_valid = true;
    if (w->done[i]) return SM_OK;
    sm_err err = check(p, &w->jobs[i], pow, out_valid, ei);
    if (err || !*out_valid) return err;
    p->pass.pow[w->group[i]] = pow;
    w->done[i] = true;
    keep(p, &w->jobs[i], pow);
    p->progress.groups_done++;
    p->progress.groups_remote++;
    sm_prove_report(p);
    return SM_OK;
}

static sm_err ask_source(struct sm_prover *p, struct wanted *w, struct sm_errinfo *ei)
{
    const struct sm_k2pow_source *source = p->cfg->k2pow;
    if (!source || !w->n) return SM_OK;
    return source->solve(source->ctx, w->jobs, w->n, on_found, w, p->cancel, ei);
}

static sm_err verify_restored(struct sm_prover *p, struct sm_errinfo *ei)
{
    for (uint32_t i = 0; i < groups_of(p); i++) {
        const struct sm_k2pow_job job = job_of(p, i);
        bool valid = false;
        sm_err err = check(p, &job, p->pass.pow[i], &valid, ei);
        if (err) return err;
        if (!valid) return sm_fail(ei, SM_E_MISMATCH, "the k2pow of group %u in the checkpoint is wrong", job.group);
        if (sm_cancelled(p->cancel)) return sm_fail(ei, SM_E_CANCELLED, "proving was stopped");
        p->progress.groups_done = i + 1;
        sm_prove_report(p);
    }
    return SM_OK;
}

static sm_err take_cached(struct sm_prover *p, struct wanted *w, struct sm_errinfo *ei)
{
    for (uint32_t i = 0; i < groups_of(p); i++) {
        const struct sm_k2pow_job job = job_of(p, i);
        bool found = false;
        sm_err err = from_cache(p, &job, &p->pass.pow[i], &found, ei);
        if (err) return err;
        if (sm_cancelled(p->cancel)) return sm_fail(ei, SM_E_CANCELLED, "proving was stopped during k2pow");
        if (found) {
            p->progress.groups_done++;
        } else {
            w->group[w->n] = i;
            w->jobs[w->n++] = job;
        }
        sm_prove_report(p);
    }
    return SM_OK;
}

sm_err sm_prove_k2pow(struct sm_prover *p, struct sm_errinfo *ei)
{
    p->progress.phase = SM_PROVE_K2POW;
    p->progress.groups_done = p->progress.groups_remote = 0;
    p->progress.groups_total = groups_of(p);
    if (p->pass.has_pow) return verify_restored(p, ei);
    struct wanted w = {.p = p};
    sm_err err = take_cached(p, &w, ei);
    if (!err) err = ask_source(p, &w, ei);
    for (size_t i = 0; !err && i < w.n; i++) {
        if (w.done[i]) continue;
        p->progress.hashes = 0;
        sm_prove_report(p);
        err = search(p, &w.jobs[i], &p->pass.pow[w.group[i]], ei);
        if (!err) p->progress.groups_done++;
    }
    if (!err && sm_cancelled(p->cancel)) err = sm_fail(ei, SM_E_CANCELLED, "proving was stopped during k2pow");
    if (err) return err;
    p->pass.has_pow = true;
    sm_prove_report(p);
    return SM_OK;
}

/* post.md §5.2 */
void sm_prove_ciphers(const struct sm_prover *p, struct sm_scan_group *out)
{
    uint8_t in[32 + 4 + 8 + 4], key[32];
    memcpy(in, p->cfg->challenge.b, 32);
    for (uint32_t i = 0; i < groups_of(p); i++) {
        const uint32_t group = p->pass.first_nonce / SM_NONCES_PER_GROUP + i;
        out[i].nonce_base = group * SM_NONCES_PER_GROUP;
        sm_le32_store(in + 32, group);
        sm_le64_store(in + 36, p->pass.pow[i]);
        sm_blake3_hash(in, 44, key);
        sm_aes128_init(&out[i].key, key);
        for (uint32_t o = 0; o < SM_NONCES_PER_GROUP; o++) {
            sm_le32_store(in + 44, out[i].nonce_base + o);
            sm_blake3_hash(in, 48, key);
            sm_aes128_init(&out[i].lazy[o], key);
        }
    }
}
