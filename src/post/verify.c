#include "post/verify.h"

#include <stdlib.h>
#include <string.h>

#include "post/difficulty.h"
#include "post/verify_impl.h"
#include "util/bytes.h"

/* ---- pools ---- */

static void *pool_take(struct sm_verify_pool *p)
{
    (void)pthread_mutex_lock(&p->mu);
    void *item = p->n ? p->items[--p->n] : NULL;
    (void)pthread_mutex_unlock(&p->mu);
    return item;
}

/* False when there is no room and no memory for more: the caller frees the item. */
static bool pool_put(struct sm_verify_pool *p, void *item)
{
    (void)pthread_mutex_lock(&p->mu);
    if (p->n == p->room) {
        const size_t more = p->room ? 2 * p->room : 8;
        void **items = realloc(p->items, more * sizeof *items);
        if (items) {
            p->items = items;
            p->room = more;
        }
    }
    const bool fits = p->n < p->room;
    if (fits) p->items[p->n++] = item;
    (void)pthread_mutex_unlock(&p->mu);
    return fits;
}

sm_err sm_verifier_take_vm(struct sm_verifier *v, struct sm_randomx_vm **out, struct sm_errinfo *ei)
{
    *out = pool_take(&v->vms);
    return *out ? SM_OK : sm_randomx_vm_new(v->randomx, out, ei);
}

void sm_verifier_put_vm(struct sm_verifier *v, struct sm_randomx_vm *vm)
{
    if (vm && !pool_put(&v->vms, vm)) sm_randomx_vm_free(vm);
}

sm_err sm_verifier_take_worker(struct sm_verifier *v, struct sm_scrypt_worker **out, struct sm_errinfo *ei)
{
    /* One set: a proof has few labels, and a third of the memory and of the padding is worth more than throughput. */
    static const struct sm_scrypt_tune tune = {.sets = 1};
    *out = pool_take(&v->workers);
    return *out ? SM_OK : sm_scrypt_worker_new(v->variant, &tune, v->params.scrypt_n, out, ei);
}

void sm_verifier_put_worker(struct sm_verifier *v, struct sm_scrypt_worker *worker)
{
    if (worker && !pool_put(&v->workers, worker)) sm_scrypt_worker_free(worker);
}

/* ---- the verifier ---- */

/* Only what verification rests on: verdicts about odd parameters are the network's (post.md §6.2). */
static sm_err check_params(const struct sm_post_params *p, struct sm_errinfo *ei)
{
    if (p->min_num_units == 0) return sm_fail(ei, SM_E_ARG, "min_num_units is 0, must be at least 1");
    if (p->k2 > SM_K2_MAX) return sm_fail(ei, SM_E_ARG, "k2 is %u, at most %u", p->k2, SM_K2_MAX);
    if (!sm_is_pow2_u64(p->scrypt_n) || p->scrypt_n < SM_SCRYPT_N_MIN || p->scrypt_n > SM_SCRYPT_N_MAX)
        return sm_fail(ei, SM_E_ARG, "scrypt_n is %u, must be a power of two from %u to %u", p->scrypt_n,
                       SM_SCRYPT_N_MIN, SM_SCRYPT_N_MAX);
    return SM_OK;
}

sm_err sm_verifier_new(const struct sm_post_params *params, const struct sm_randomx_cfg *randomx,
                       struct sm_verifier **out, struct sm_errinfo *ei)
{
    struct sm_verifier *v = NULL;
    sm_err err = check_params(params, ei);
    if (err) return err;
    v = calloc(1, sizeof *v);
    if (!v) return sm_fail(ei, SM_E_NOMEM, "out of memory for a verifier");
    v->params = *params;
    v->vms.mu = v->workers.mu = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    err = sm_scrypt_pick(sm_cpu(), NULL, &v->variant, ei);
    if (!err) err = sm_k2pow_open(*randomx, NULL, &v->randomx, ei);
    if (err) goto out;
    *out = v;
    v = NULL;
out:
    sm_verifier_free(v);
    return err;
}

void sm_verifier_free(struct sm_verifier *v)
{
    if (!v) return;
    for (size_t i = 0; i < v->vms.n; i++) sm_randomx_vm_free(v->vms.items[i]);
    for (size_t i = 0; i < v->workers.n; i++) sm_scrypt_worker_free(v->workers.items[i]);
    free(v->vms.items);
    free(v->workers.items);
    (void)pthread_mutex_destroy(&v->vms.mu);
    (void)pthread_mutex_destroy(&v->workers.mu);
    sm_randomx_close(v->randomx);
    free(v);
}

/* ---- VRF nonces ---- */

sm_err sm_verify_vrf_nonce(const struct sm_commitment *commitment, uint64_t nonce, uint64_t num_labels,
                           uint32_t scrypt_n, bool *out_valid, uint8_t out_label[32], struct sm_errinfo *ei)
{
    uint8_t difficulty[32], label[32];
    sm_err err = sm_vrf_difficulty(num_labels, difficulty, ei);
    if (!err) err = sm_scrypt_one(scrypt_n, commitment->b, nonce, label, ei);
    if (err) return err;
    *out_valid = memcmp(label, difficulty, sizeof label) < 0;
    if (out_label) memcpy(out_label, label, sizeof label);
    return SM_OK;
}
