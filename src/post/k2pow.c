#include "post/k2pow.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "util/bytes.h"
#include "util/clock.h"
#include "util/thread.h"

#define BLOCK_NONCES 64u /* ours: 10 ms in fast mode, 100 ms in light mode; the grain of sharing */
#define PROGRESS_NS  (SM_NS_PER_S / 2)
#define NONCE_END    (SM_K2POW_NONCE_MAX + 1)

void sm_k2pow_input(const struct sm_k2pow_job *job, uint64_t pow, uint8_t out[SM_K2POW_INPUT_BYTES])
{
    sm_le64_store(out, pow);
    out[7] = job->group;
    memcpy(out + 8, job->challenge.b, 8);
    memcpy(out + 16, job->node_id.b, 32);
}

sm_err sm_k2pow_open(struct sm_randomx_cfg cfg, const struct sm_cancel *cancel, struct sm_randomx **out,
                     struct sm_errinfo *ei)
{
    cfg.key = SM_K2POW_KEY;
    cfg.key_n = sizeof SM_K2POW_KEY - 1;
    return sm_randomx_open(&cfg, cancel, out, ei);
}

static bool is_valid(const struct sm_k2pow_job *job, const uint8_t hash[32])
{
    return memcmp(hash, job->difficulty, sizeof job->difficulty) < 0;
}

sm_err sm_k2pow_check(struct sm_randomx *rx, const struct sm_k2pow_job *job, uint64_t pow, bool *out_valid,
                      struct sm_errinfo *ei)
{
    uint8_t in[SM_K2POW_INPUT_BYTES], hash[SM_RANDOMX_HASH_BYTES];
    struct sm_randomx_vm *vm;
    sm_err err = sm_randomx_vm_new(rx, &vm, ei);
    if (err) return err;
    sm_k2pow_input(job, pow, in);
    sm_randomx_hash(vm, in, sizeof in, hash);
    sm_randomx_vm_free(vm);
    *out_valid = is_valid(job, hash);
    return SM_OK;
}

/* ---- search ---- */

/* Threads take blocks of nonces in ascending order and stop at the first success of any. */
struct search {
    struct sm_randomx *rx;
    const struct sm_k2pow_job *job;
    const struct sm_k2pow_search *how;
    const struct sm_cancel *cancel;
    atomic_uint_fast64_t next; /* first nonce nobody has taken */
    atomic_uint_fast64_t hashes;
    atomic_uint_fast64_t found; /* UINT64_MAX: not yet */
    atomic_uint_fast64_t shown_ns;
    atomic_uint working;  /* threads that got a virtual machine */
    atomic_int err;       /* of threads that got none; matters when all failed */
    struct sm_errinfo ei; /* belongs to who set err */
};

static bool search_over(struct search *s)
{
    return atomic_load(&s->found) != UINT64_MAX || sm_cancelled(s->cancel);
}

static void show_progress(struct search *s)
{
    if (!s->how->progress) return;
    const uint64_t now = sm_clock_ns();
    uint_fast64_t shown = atomic_load(&s->shown_ns);
    if (now - shown < PROGRESS_NS || !atomic_compare_exchange_strong(&s->shown_ns, &shown, now)) return;
    s->how->progress(s->how->progress_ctx, atomic_load(&s->hashes));
}

static void note_result(struct search *s, uint64_t pow, const uint8_t hash[32])
{
    atomic_fetch_add(&s->hashes, 1);
    uint_fast64_t none = UINT64_MAX;
    if (is_valid(s->job, hash)) atomic_compare_exchange_strong(&s->found, &none, pow);
}

/* One pipelined run over [first, end). */
static void search_block(struct search *s, struct sm_randomx_vm *vm, uint64_t first, uint64_t end)
{
    uint8_t in[SM_K2POW_INPUT_BYTES], hash[SM_RANDOMX_HASH_BYTES];
    sm_k2pow_input(s->job, first, in);
    sm_randomx_hash_first(vm, in, sizeof in);
    for (uint64_t pow = first; pow < end && !search_over(s); pow++) {
        if (pow + 1 < end) {
            sm_k2pow_input(s->job, pow + 1, in);
            sm_randomx_hash_next(vm, in, sizeof in, hash);
        } else {
            sm_randomx_hash_last(vm, hash);
        }
        note_result(s, pow, hash);
        show_progress(s);
    }
}

static void search_blocks(struct search *s)
{
    struct sm_randomx_vm *vm;
    struct sm_errinfo ei = {0};
    sm_err err = sm_randomx_vm_new(s->rx, &vm, &ei);
    if (err) {
        int none = SM_OK;
        if (atomic_compare_exchange_strong(&s->err, &none, (int)err)) s->ei = ei;
        return;
    }
    atomic_fetch_add(&s->working, 1);
    while (!search_over(s)) {
        const uint64_t first = atomic_fetch_add(&s->next, BLOCK_NONCES);
        if (first >= NONCE_END) break;
        search_block(s, vm, first, NONCE_END - first < BLOCK_NONCES ? NONCE_END : first + BLOCK_NONCES);
    }
    sm_randomx_vm_free(vm);
}

/* Index 0 runs on the caller's thread, which gets its processors back. */
static void search_main(void *ctx, unsigned index)
{
    struct search *s = ctx;
    cpu_set_t before;
    const bool pin = s->how->cores && pthread_getaffinity_np(pthread_self(), sizeof before, &before) == 0;
    if (pin) (void)sm_thread_pin(s->how->cores[index]);
    search_blocks(s);
    if (pin) (void)pthread_setaffinity_np(pthread_self(), sizeof before, &before);
}

sm_err sm_k2pow_find(struct sm_randomx *rx, const struct sm_k2pow_job *job, const struct sm_k2pow_search *how,
                     const struct sm_cancel *cancel, uint64_t *out_pow, uint64_t *out_hashes, struct sm_errinfo *ei)
{
    struct search s = {.rx = rx, .job = job, .how = how, .cancel = cancel};
    atomic_init(&s.next, how->first);
    atomic_init(&s.found, UINT64_MAX);
    atomic_init(&s.shown_ns, sm_clock_ns());
    sm_threads_run(how->threads ? how->threads : sm_cpu_count(), search_main, &s);
    if (out_hashes) *out_hashes = atomic_load(&s.hashes);
    if (atomic_load(&s.found) != UINT64_MAX) {
        *out_pow = atomic_load(&s.found);
        return SM_OK;
    }
    if (sm_cancelled(cancel)) return sm_fail(ei, SM_E_CANCELLED, "k2pow: cancelled");
    if (!atomic_load(&s.working) && atomic_load(&s.err)) {
        if (ei) *ei = s.ei;
        return (sm_err)atomic_load(&s.err);
    }
    return sm_fail(ei, SM_E_NOTFOUND, "k2pow: none of the 2^56 nonces is below the difficulty");
}
