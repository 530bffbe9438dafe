#include <stdlib.h>
#include <string.h>

#include "post/verify_impl.h"
#include "util/thread.h"

#define FEW_LABELS   4u    /* ours: up to here one at a time is faster than a padded width */
#define CHUNK_WORK   8192u /* ours: N times widths of labels taken at once; keeps small N from fighting for the queue */
#define CHUNK_WIDTHS 64u
#define TWO_THREADS  (8 * 8192u) /* ours: labels times N worth a thread beside the hash */

/* Items of the queue: proofs_n hashes, then chunks of labels. */
struct batch {
    struct sm_verifier *v;
    const struct sm_cancel *cancel;
    struct sm_verify_proof *proofs;
    size_t proofs_n;
    struct sm_verify_check *checks;
    size_t checks_n, chunk;
    atomic_size_t next;
    atomic_int err; /* the first failure; its text is in `ei`, written by who set it */
    struct sm_errinfo ei;
};

/* What a thread has borrowed so far. */
struct hand {
    struct sm_randomx_vm *vm;
    struct sm_scrypt_worker *worker;
    struct sm_scrypt_in *in;
    struct sm_verify_check **checks;
    uint8_t *labels;
};

static sm_err hash_one(struct batch *b, struct hand *h, struct sm_verify_proof *p, struct sm_errinfo *ei)
{
    if (p->early.code != SM_VERDICT_VALID) return SM_OK;
    sm_err err = h->vm ? SM_OK : sm_verifier_take_vm(b->v, &h->vm, ei);
    if (err) return err;
    uint8_t in[SM_K2POW_INPUT_BYTES], hash[SM_RANDOMX_HASH_BYTES];
    sm_k2pow_input(&p->pow, p->job->proof->pow, in);
    sm_randomx_hash(h->vm, in, sizeof in, hash);
    const bool below = memcmp(hash, p->pow.difficulty, sizeof hash) < 0;
    atomic_store(&p->pow_verdict, below ? SM_VERDICT_VALID : SM_VERDICT_POW);
    return SM_OK;
}

static bool hand_room(struct batch *b, struct hand *h)
{
    if (!h->in) h->in = calloc(b->chunk, sizeof *h->in);
    if (!h->checks) h->checks = calloc(b->chunk, sizeof *h->checks);
    if (!h->labels) h->labels = calloc(b->chunk, SM_SCRYPT_OUT_BYTES);
    return h->in && h->checks && h->labels;
}

static sm_err compute(struct batch *b, struct hand *h, size_t n, struct sm_errinfo *ei)
{
    const uint32_t scrypt_n = b->v->params.scrypt_n;
    sm_err err = SM_OK;
    if (b->chunk <= FEW_LABELS) {
        for (size_t i = 0; i < n && !err; i++)
            err = sm_scrypt_one(scrypt_n, h->in[i].commitment, h->in[i].index, h->labels + SM_SCRYPT_OUT_BYTES * i, ei);
        return err;
    }
    if (!h->worker) err = sm_verifier_take_worker(b->v, &h->worker, ei);
    return err ? err : sm_scrypt_run(h->worker, h->in, n, b->cancel, h->labels);
}

/* Labels of different proofs share the lanes. Those of a proof that has failed already are left out. */
static sm_err label_chunk(struct batch *b, struct hand *h, size_t first, struct sm_errinfo *ei)
{
    if (!hand_room(b, h)) return sm_fail(ei, SM_E_NOMEM, "out of memory verifying proofs");
    size_t n = 0;
    for (size_t i = first; i < b->checks_n && i < first + b->chunk; i++) {
        struct sm_verify_check *c = &b->checks[i];
        struct sm_verify_proof *p = &b->proofs[c->proof];
        if (atomic_load(&p->pow_verdict) == SM_VERDICT_POW) continue;
        h->in[n] = (struct sm_scrypt_in){.commitment = p->commitment.b, .index = c->index};
        h->checks[n++] = c;
    }
    sm_err err = n ? compute(b, h, n, ei) : SM_OK;
    for (size_t i = 0; i < n && !err; i++)
        sm_verify_label(&b->proofs[h->checks[i]->proof], h->labels + SM_SCRYPT_OUT_BYTES * i, h->checks[i]);
    return err;
}

static sm_err run_item(struct batch *b, struct hand *h, size_t item, struct sm_errinfo *ei)
{
    if (sm_cancelled(b->cancel)) return sm_fail(ei, SM_E_CANCELLED, "verification cancelled");
    if (item < b->proofs_n) return hash_one(b, h, &b->proofs[item], ei);
    return label_chunk(b, h, (item - b->proofs_n) * b->chunk, ei);
}

static size_t items_of(const struct batch *b)
{
    return b->proofs_n + (b->checks_n + b->chunk - 1) / b->chunk;
}

static void batch_main(void *ctx, unsigned index)
{
    (void)index;
    struct batch *b = ctx;
    struct hand h = {0};
    while (atomic_load(&b->err) == SM_OK) {
        const size_t item = atomic_fetch_add(&b->next, 1);
        if (item >= items_of(b)) break;
        struct sm_errinfo ei = {0};
        const sm_err err = run_item(b, &h, item, &ei);
        int none = SM_OK;
        if (err && atomic_compare_exchange_strong(&b->err, &none, (int)err)) b->ei = ei;
    }
    sm_verifier_put_vm(b->v, h.vm);
    sm_verifier_put_worker(b->v, h.worker);
    free(h.in);
    free(h.checks);
    free(h.labels);
}

/* ---- setting up ---- */

static sm_err choose_chunk(struct batch *b, struct sm_errinfo *ei)
{
    b->chunk = 1;
    if (b->checks_n <= FEW_LABELS) return SM_OK;
    struct sm_scrypt_worker *worker;
    sm_err err = sm_verifier_take_worker(b->v, &worker, ei);
    if (err) return err;
    const uint32_t widths = CHUNK_WORK / b->v->params.scrypt_n;
    b->chunk = (size_t)sm_scrypt_worker_width(worker) * (widths < 1              ? 1
                                                         : widths > CHUNK_WIDTHS ? CHUNK_WIDTHS
                                                                                 : widths);
    if (b->chunk <= FEW_LABELS)
        b->chunk = FEW_LABELS + 1; /* a narrow variant: compute() tells the cases apart by this */
    sm_verifier_put_worker(b->v, worker);
    return SM_OK;
}

static sm_err plan_all(struct batch *b, const struct sm_verify_job *jobs, struct sm_errinfo *ei)
{
    for (size_t i = 0; i < b->proofs_n; i++) {
        struct sm_verify_proof *p = &b->proofs[i];
        p->checks_first = b->checks_n;
        sm_err err = sm_verify_plan(&b->v->params, &jobs[i], p, b->checks + b->checks_n, ei);
        if (err) return err;
        for (size_t k = 0; k < p->checks_n; k++) b->checks[b->checks_n + k].proof = (uint32_t)i;
        b->checks_n += p->checks_n;
    }
    return choose_chunk(b, ei);
}

static sm_err batch_init(struct batch *b, const struct sm_verify_job *jobs, size_t n, struct sm_errinfo *ei)
{
    size_t room = 1;
    if (n > UINT32_MAX) return sm_fail(ei, SM_E_ARG, "%zu proofs in one batch", n);
    for (size_t i = 0; i < n; i++) room += sm_verify_count(&b->v->params, &jobs[i]);
    b->proofs = calloc(n + 1, sizeof *b->proofs);
    b->checks = calloc(room, sizeof *b->checks);
    if (!b->proofs || !b->checks) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu proofs", n);
    b->proofs_n = n;
    return plan_all(b, jobs, ei);
}

static void batch_fini(struct batch *b)
{
    for (size_t i = 0; i < b->proofs_n; i++) free(b->proofs[i].indices);
    free(b->proofs);
    free(b->checks);
}

static unsigned at_most(unsigned threads, size_t items)
{
    return items < threads ? (unsigned)items : threads;
}

/* End with batch_fini, also after a failure. */
static sm_err batch_run(struct batch *b, const struct sm_verify_job *jobs, size_t n, unsigned threads,
                        struct sm_verdict *out, struct sm_errinfo *ei)
{
    sm_err err = batch_init(b, jobs, n, ei);
    if (err) return err;
    sm_threads_run(at_most(threads ? threads : sm_cpu_count(), items_of(b)), batch_main, b);
    err = (sm_err)atomic_load(&b->err);
    if (err && ei) *ei = b->ei;
    for (size_t i = 0; !err && i < n; i++)
        out[i] = sm_verify_conclude(&b->v->params, &b->proofs[i], b->checks + b->proofs[i].checks_first);
    return err;
}

sm_err sm_verify_many(struct sm_verifier *v, const struct sm_verify_job *jobs, size_t n, unsigned threads,
                      const struct sm_cancel *cancel, struct sm_verdict *out, struct sm_errinfo *ei)
{
    struct batch b = {.v = v, .cancel = cancel};
    const sm_err err = batch_run(&b, jobs, n, threads, out, ei);
    batch_fini(&b);
    return err;
}

/* The labels of one proof are computed while another thread hashes, where that is worth a thread. */
static unsigned threads_of(const struct sm_verifier *v, const struct sm_verify_job *job)
{
    return sm_verify_count(&v->params, job) * v->params.scrypt_n >= TWO_THREADS ? 2 : 1;
}

sm_err sm_verify_one(struct sm_verifier *v, const struct sm_verify_job *job, struct sm_verdict *out,
                     struct sm_errinfo *ei)
{
    return sm_verify_many(v, job, 1, threads_of(v, job), NULL, out, ei);
}

sm_err sm_verify_find_bad(struct sm_verifier *v, const struct sm_verify_job *job, struct sm_verdict *out,
                          uint32_t *out_bad, uint32_t *out_bad_n, struct sm_errinfo *ei)
{
    struct batch b = {.v = v};
    const sm_err err = batch_run(&b, job, 1, threads_of(v, job), out, ei);
    *out_bad_n = 0;
    const bool labels = !err && (out->code == SM_VERDICT_MSB || out->code == SM_VERDICT_LSB);
    for (size_t i = 0; labels && i < b.checks_n; i++)
        if (b.checks[i].code != SM_VERDICT_VALID) out_bad[(*out_bad_n)++] = b.checks[i].position;
    batch_fini(&b);
    return err;
}
