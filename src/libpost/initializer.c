#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "crypto/scrypt.h"
#include "libpost/impl.h"
#include "post/label.h"
#include "util/log.h"
#include "util/thread.h"

#define FEW_LABELS 8u /* one at a time; a node checks VRF nonces this way, by initializers that live for one label */

struct Initializer {
    struct sm_label_job job;
    uint8_t difficulty[32];     /* job.vrf_difficulty points here, or is NULL */
    pthread_mutex_t mu;         /* one call at a time */
    struct sm_label_farm *farm; /* NULL: no range was worth the processors yet */
};

/* A program may hand in a pointer to less than 32 bytes when it has no difficulty (post.md §9.2): the kernel is asked for
 * the bytes, which stops at the end of the memory instead of ending the program. Where it refuses, they are read. */
static bool read_difficulty(const uint8_t *from, uint8_t out[32])
{
    const struct iovec to = {out, 32}, at = {(void *)(uintptr_t)from, 32};
    const ssize_t n = process_vm_readv(getpid(), &to, 1, &at, 1, 0);
    if (n >= 0 || errno == EFAULT) return n == 32;
    for (int i = 0; i < 32; i++) out[i] = from[i];
    return true;
}

/* ---- the farm ---- */

static sm_err make_farm(struct sm_label_engine *engines, size_t n, struct sm_label_farm **out, struct sm_errinfo *ei)
{
    return sm_label_farm_new(&(struct sm_label_farm_cfg){.engines = engines, .engines_n = n}, out, ei);
}

static sm_err make_gpu_farm(Initializer *in, uint32_t provider_id, struct sm_errinfo *ei)
{
    struct sm_gpu_device *gpus = NULL;
    struct sm_label_engine engine = {0};
    size_t n = 0;
    sm_err err = sm_libpost_gpus(&gpus, &n, ei);
    if (!err && provider_id >= n)
        err = sm_fail(ei, SM_E_NOTFOUND, "there is no provider %" PRIu32 ": %zu graphics devices, and the processor",
                      provider_id, n);
    if (!err) err = sm_label_engine_gpu(gpus[provider_id].id, in->job.scrypt_n, NULL, &engine, ei);
    if (!err) err = make_farm(&engine, 1, &in->farm, ei);
    free(gpus);
    return err;
}

static sm_err make_cpu_farm(Initializer *in, struct sm_errinfo *ei)
{
    const unsigned threads = sm_cpu_count();
    struct sm_label_engine *engines = calloc(threads, sizeof *engines);
    sm_err err = engines ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory for %u label engines", threads);
    size_t n = 0;
    while (!err && n < threads) {
        err = sm_label_engine_cpu(NULL, in->job.scrypt_n, 0, &engines[n], ei);
        if (!err) n++;
    }
    if (!err)
        err = make_farm(engines, n, &in->farm, ei);
    else
        for (size_t i = 0; i < n; i++) sm_label_engine_free(&engines[i]);
    free(engines);
    return err;
}

/* ---- creation ---- */

static sm_err init(Initializer *in, uint32_t provider_id, uintptr_t n, struct sm_errinfo *ei)
{
    sm_err err = sm_libpost_scrypt_n((ScryptParams){.n = n, .r = 1, .p = 1}, false, &in->job.scrypt_n, ei);
    if (err || provider_id == CPU_PROVIDER_ID) return err;
    return make_gpu_farm(in, provider_id, ei);
}

Initializer *new_initializer(uint32_t provider_id, uintptr_t n, const uint8_t *commitment,
                             const uint8_t *vrf_difficulty)
{
    struct sm_errinfo ei = {"no commitment"};
    if (!commitment) {
        sm_libpost_failed("new_initializer", &ei);
        return NULL;
    }
    Initializer *in = calloc(1, sizeof *in);
    sm_err err = in ? SM_OK : sm_fail(&ei, SM_E_NOMEM, "out of memory");
    if (in) {
        (void)pthread_mutex_init(&in->mu, NULL);
        memcpy(in->job.commitment.b, commitment, sizeof in->job.commitment.b);
        if (vrf_difficulty && read_difficulty(vrf_difficulty, in->difficulty)) in->job.vrf_difficulty = in->difficulty;
        err = init(in, provider_id, n, &ei);
    }
    if (!err) return in;
    sm_libpost_failed("new_initializer", &ei);
    free_initializer(in);
    return NULL;
}

void free_initializer(Initializer *initializer)
{
    if (!initializer) return;
    sm_label_farm_free(initializer->farm);
    (void)pthread_mutex_destroy(&initializer->mu);
    free(initializer);
}

/* ---- labels ---- */

struct output {
    uint64_t first;
    uint8_t *labels;
    struct sm_vrf_best best;
};

static sm_err put(void *ctx, struct sm_label_range range, const uint8_t *labels, const struct sm_vrf_best *best,
                  struct sm_errinfo *ei)
{
    (void)ei;
    struct output *o = ctx;
    memcpy(o->labels + (range.first - o->first) * SM_LABEL_BYTES, labels, range.count * SM_LABEL_BYTES);
    sm_vrf_best_merge(&o->best, best);
    return SM_OK;
}

static sm_err compute_few(const struct sm_label_job *job, struct sm_label_range range, struct output *o,
                          struct sm_errinfo *ei)
{
    for (uint64_t i = 0; i < range.count; i++) {
        uint8_t label[SM_SCRYPT_OUT_BYTES];
        sm_err err = sm_scrypt_one(job->scrypt_n, job->commitment.b, range.first + i, label, ei);
        if (err) return err;
        memcpy(o->labels + i * SM_LABEL_BYTES, label, SM_LABEL_BYTES);
        if (job->vrf_difficulty) sm_vrf_best_offer(&o->best, job->vrf_difficulty, range.first + i, label);
    }
    return SM_OK;
}

static sm_err compute(Initializer *in, struct sm_label_range range, struct output *o, struct sm_errinfo *ei)
{
    if (range.count <= FEW_LABELS) return compute_few(&in->job, range, o, ei);
    (void)pthread_mutex_lock(&in->mu);
    sm_err err = in->farm ? SM_OK : make_cpu_farm(in, ei);
    if (!err) err = sm_label_farm_run(in->farm, &in->job, &range, 1, NULL, put, o, ei);
    (void)pthread_mutex_unlock(&in->mu);
    return err;
}

InitializeResult initialize(Initializer *initializer, uint64_t start, uint64_t end, uint8_t *out, uint64_t *out_nonce)
{
    if (!initializer || !out) return InitializeResult_InvalidArgument;
    if (end == UINT64_MAX || end < start) return InitializeResult_InvalidLabelsRange;
    const struct sm_label_range range = {.first = start, .count = end - start + 1};
    struct output o = {.first = start, .labels = out};
    struct sm_errinfo ei = {0};
    if (compute(initializer, range, &o, &ei)) {
        sm_libpost_failed("initialize", &ei);
        return InitializeResult_Error;
    }
    if (!out_nonce) return InitializeResult_Ok;
    if (!o.best.found) return InitializeResult_OkNonceNotFound;
    *out_nonce = o.best.index;
    return InitializeResult_Ok;
}
