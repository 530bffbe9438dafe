#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "post/check_impl.h"
#include "util/bytes.h"
#include "util/io.h"
#include "util/thread.h"

#define BATCH_MAX 1024u /* labels a thread takes at once; fewer when that already is half a second's work */

/* One thread's tools. */
struct bench {
    struct sm_scrypt_worker *worker;
    uint64_t *position; /* batch of them, in the file */
    struct sm_scrypt_in *in;
    uint8_t *stored, *right; /* 16 and 32 bytes each */
};

struct sm_check_sample {
    struct sm_check *c; /* its results: under mu */
    uint64_t seed;
    struct bench *benches;
    unsigned threads;
    uint32_t batch;
    pthread_mutex_t mu;
    uint64_t size, next; /* of the file at hand */
    sm_err err;          /* the first failure stops all */
    struct sm_errinfo ei;
};

uint64_t sm_check_sample_size(uint64_t labels, double fraction)
{
    const double want = (double)labels * (fraction / 100);
    if (labels == 0) return 0;
    if (fraction >= 100 || want >= (double)labels) return labels;
    return want < 1 ? 1 : (uint64_t)want;
}

static void bench_fini(struct bench *b)
{
    sm_scrypt_worker_free(b->worker);
    free(b->position);
    free(b->in);
    free(b->stored);
    free(b->right);
}

static sm_err bench_init(struct bench *b, const struct sm_scrypt_variant *v, uint32_t scrypt_n, uint32_t batch,
                         struct sm_errinfo *ei)
{
    sm_err err = sm_scrypt_worker_new(v, NULL, scrypt_n, &b->worker, ei);
    if (err) return err;
    b->position = calloc(batch, sizeof *b->position);
    b->in = calloc(batch, sizeof *b->in);
    b->stored = calloc(batch, SM_LABEL_BYTES);
    b->right = calloc(batch, SM_SCRYPT_OUT_BYTES);
    if (b->position && b->in && b->stored && b->right) return SM_OK;
    return sm_fail(ei, SM_E_NOMEM, "out of memory for checking labels");
}

sm_err sm_check_sample_new(struct sm_check *c, struct sm_check_sample **out, struct sm_errinfo *ei)
{
    const struct sm_scrypt_variant *v = NULL;
    struct sm_check_sample *s = calloc(1, sizeof *s);
    if (!s) return sm_fail(ei, SM_E_NOMEM, "out of memory for checking labels");
    s->c = c;
    (void)pthread_mutex_init(&s->mu, NULL);
    s->seed = c->cfg->seed;
    sm_err err = sm_scrypt_pick(sm_cpu(), NULL, &v, ei);
    if (err) goto out;
    if (!s->seed && getrandom(&s->seed, sizeof s->seed, 0) != (ssize_t)sizeof s->seed) {
        err = sm_fail(ei, SM_E_IO, "the kernel gives no random numbers");
        goto out;
    }
    s->threads = sm_cpu_count();
    s->benches = calloc(s->threads, sizeof *s->benches);
    if (!s->benches) {
        err = sm_fail(ei, SM_E_NOMEM, "out of memory for checking labels");
        goto out;
    }
    s->batch = 256u * 8192u / c->set.scrypt_n; /* half a second of the portable variant */
    if (s->batch > BATCH_MAX) s->batch = BATCH_MAX;
    if (s->batch < 16) s->batch = 16;
    for (unsigned i = 0; i < s->threads && !err; i++)
        err = bench_init(&s->benches[i], v, c->set.scrypt_n, s->batch, ei);
    if (err) goto out;
    *out = s;
    s = NULL;
out:
    sm_check_sample_free(s);
    return err;
}

void sm_check_sample_free(struct sm_check_sample *s)
{
    if (!s) return;
    for (unsigned i = 0; s->benches && i < s->threads; i++) bench_fini(&s->benches[i]);
    free(s->benches);
    (void)pthread_mutex_destroy(&s->mu);
    free(s);
}

/* ---- the sample ---- */

/* Sebastiano Vigna's splitmix64 finalizer: position j does not depend on which thread asks. */
static uint64_t mix(uint64_t v)
{
    v += 0x9e3779b97f4a7c15u;
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
    v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
    return v ^ (v >> 31);
}

/* One label of slice j when `labels` are cut into `size` slices whose lengths differ by at most one: distinct, in order,
 * no memory, and any run of bad labels longer than two slices is met. */
static uint64_t sample_at(const struct sm_check_sample *s, uint64_t j)
{
    const sm_u128 labels = s->c->file.labels;
    const uint64_t begin = (uint64_t)(labels * j / s->size), end = (uint64_t)(labels * (j + 1) / s->size);
    const uint64_t random = mix(s->seed ^ mix(s->c->file.number) ^ mix(~j));
    return begin + (uint64_t)(((sm_u128)random * (end - begin)) >> 64);
}

/* ---- threads ---- */

static bool claim(struct sm_check_sample *s, uint64_t *first, uint64_t *n)
{
    (void)pthread_mutex_lock(&s->mu);
    *first = s->next;
    *n = s->size - s->next < s->batch ? s->size - s->next : s->batch;
    if (s->err || s->c->file.unreadable) *n = 0;
    s->next += *n;
    (void)pthread_mutex_unlock(&s->mu);
    return *n > 0;
}

static sm_err read_batch(struct sm_check_sample *s, struct bench *b, uint64_t first, size_t n, struct sm_errinfo *why)
{
    const struct sm_check *c = s->c;
    for (size_t i = 0; i < n; i++) {
        b->position[i] = sample_at(s, first + i);
        b->in[i] = (struct sm_scrypt_in){c->set.commitment.b, c->file.first + b->position[i]};
        sm_err err = sm_io_pread_exact(c->file.fd, c->file.path, b->stored + i * SM_LABEL_BYTES, SM_LABEL_BYTES,
                                       b->position[i] * SM_LABEL_BYTES, why);
        if (err) return err;
    }
    return SM_OK;
}

static const uint8_t *right_of(const struct bench *b, size_t i)
{
    return b->right + i * SM_SCRYPT_OUT_BYTES;
}

/* Moves the bad ones of the batch to its front; how many. */
static size_t keep_bad(struct bench *b, size_t n)
{
    size_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        if (memcmp(b->stored + i * SM_LABEL_BYTES, right_of(b, i), SM_LABEL_BYTES) == 0) continue;
        b->position[bad] = b->position[i];
        memmove(b->right + bad * SM_SCRYPT_OUT_BYTES, right_of(b, i), SM_SCRYPT_OUT_BYTES);
        bad++;
    }
    return bad;
}

/* Under mu. */
static sm_err handle_bad(struct sm_check *c, const struct bench *b, size_t bad, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (size_t i = 0; i < bad && !err; i++) err = sm_check_note_bad(c, b->position[i], 1, ei);
    if (err || bad == 0 || !c->cfg->repair) return err;
    for (size_t i = 0; i < bad && !err; i++) err = sm_check_rewrite(c, b->position[i], 1, right_of(b, i), ei);
    if (!err) err = sm_check_settle(c, ei);
    for (size_t i = 0; i < bad && !err; i++) err = sm_check_reread(c, b->position[i], 1, right_of(b, i), ei);
    return err;
}

static sm_err check_batch(struct sm_check_sample *s, struct bench *b, uint64_t first, size_t n, struct sm_errinfo *ei)
{
    struct sm_errinfo why = {0};
    sm_err err = read_batch(s, b, first, n, &why);
    if (err) {
        (void)pthread_mutex_lock(&s->mu);
        err = s->c->file.unreadable ? SM_OK : sm_check_note_unreadable(s->c, &why, ei);
        (void)pthread_mutex_unlock(&s->mu);
        return err;
    }
    err = sm_scrypt_run(b->worker, b->in, n, s->c->cancel, b->right);
    if (err) return sm_fail(ei, err, "the check was stopped");
    const size_t bad = keep_bad(b, n);
    (void)pthread_mutex_lock(&s->mu);
    err = handle_bad(s->c, b, bad, ei);
    if (!err) s->c->res.labels_checked += n;
    (void)pthread_mutex_unlock(&s->mu);
    return err;
}

static void work(void *ctx, unsigned index)
{
    struct sm_check_sample *s = ctx;
    uint64_t first, n;
    while (claim(s, &first, &n)) {
        struct sm_errinfo ei = {0};
        sm_err err = check_batch(s, &s->benches[index], first, (size_t)n, &ei);
        (void)pthread_mutex_lock(&s->mu);
        if (err && !s->err) {
            s->err = err;
            s->ei = ei;
        }
        if (index == 0) sm_check_progress(s->c); /* the caller's thread */
        (void)pthread_mutex_unlock(&s->mu);
    }
}

sm_err sm_check_sample_file(struct sm_check_sample *s, struct sm_errinfo *ei)
{
    s->size = sm_check_sample_size(s->c->file.labels, s->c->cfg->fraction);
    s->next = 0;
    const uint64_t batches = (s->size + s->batch - 1) / s->batch;
    sm_threads_run(batches < s->threads ? (unsigned)batches : s->threads, work, s);
    sm_check_progress(s->c);
    return s->err ? sm_fail(ei, s->err, "%s", s->ei.text) : SM_OK;
}
