#include "crypto/scrypt.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/pbkdf2.h"
#include "crypto/romix.h"
#include "util/bytes.h"

struct sm_scrypt_worker {
    const struct sm_romix_ops *ops;
    const struct sm_romix_kernel *kernel;
    struct sm_romix_job job; /* for a full width */
    uint32_t lanes, width;
    struct sm_mem scratch;      /* V */
    struct sm_pbkdf2_key *keys; /* one per keccak lanes of the width */
    struct sm_scrypt_in *batch; /* a padded width of inputs */
};

static const struct sm_scrypt_variant *const variants[] = {
    &sm_scrypt_ref,
#if defined(__x86_64__)
    &sm_scrypt_ssse3,
    &sm_scrypt_avx2,
    &sm_scrypt_avx512,
#elif defined(__aarch64__)
    &sm_scrypt_neon,
#endif
    NULL,
};

const struct sm_scrypt_variant *const *sm_scrypt_all(void)
{
    return variants;
}

static sm_err no_variant(const struct sm_cpu *cpu, const char *name, struct sm_errinfo *ei)
{
    sm_err err = sm_fail(ei, SM_E_ARG, "no usable label hash variant \"%s\"; this machine runs:", name);
    for (size_t i = 0; variants[i]; i++)
        if (variants[i]->usable(cpu)) err = sm_fail_add(ei, err, " %s", variants[i]->name);
    return err;
}

sm_err sm_scrypt_pick(const struct sm_cpu *cpu, const char *force, const struct sm_scrypt_variant **out,
                      struct sm_errinfo *ei)
{
    if (!force) force = getenv("SM_CPU_ISA");
    if (force && !*force) force = NULL; /* SM_CPU_ISA= is the same as unset */
    const struct sm_scrypt_variant *best = NULL;
    for (size_t i = 0; variants[i]; i++) { /* slowest first */
        if (!variants[i]->usable(cpu)) continue;
        if (!force || strcmp(force, variants[i]->name) == 0) best = variants[i];
    }
    if (!best) return no_variant(cpu, force, ei);
    *out = best;
    return SM_OK;
}

/* Fills zero fields of the tune from the variant's first. */
static struct sm_scrypt_tune complete(const struct sm_scrypt_variant *v, const struct sm_scrypt_tune *tune)
{
    struct sm_scrypt_tune t = tune ? *tune : v->tunes[0];
    if (!t.groups) t.groups = v->tunes[0].groups;
    if (!t.sets) t.sets = v->tunes[0].sets;
    if (!t.lookup_gap) t.lookup_gap = v->tunes[0].lookup_gap;
    if (!t.prefetch) t.prefetch = v->tunes[0].prefetch;
    if (!t.stream) t.stream = v->tunes[0].stream;
    return t;
}

static const struct sm_romix_kernel *find_kernel(const struct sm_romix_ops *ops, const struct sm_scrypt_tune *t)
{
    if (t->sets > ops->sets_max || t->prefetch > 2 || t->stream > 2) return NULL;
    if (!sm_is_pow2_u64(t->lookup_gap) || t->lookup_gap > SM_ROMIX_GAP_MAX) return NULL;
    if ((t->prefetch == 2 && !ops->prefetches) || (t->stream == 2 && !ops->streams)) return NULL;
    for (size_t i = 0; i < ops->kernels_n; i++)
        if (ops->kernels[i].groups == t->groups) return &ops->kernels[i];
    return NULL;
}

static bool allocate(struct sm_scrypt_worker *w, uint32_t rows)
{
    const size_t x_bytes = (size_t)w->width * SM_ROMIX_ROW_BYTES;
    const size_t keys = (w->width + w->ops->keccak->lanes - 1) / w->ops->keccak->lanes;
    w->job.x = aligned_alloc(64, (x_bytes + 63) / 64 * 64);
    w->keys = aligned_alloc(64, keys * sizeof *w->keys);
    w->batch = calloc(w->width, sizeof *w->batch);
    if (!w->job.x || !w->keys || !w->batch) return false;
    if (!sm_mem_map(&w->scratch, (size_t)rows * SM_ROMIX_ROW_BYTES * w->width, SM_PAGES_THP)) return false;
    w->job.v = w->scratch.p;
    return true;
}

sm_err sm_scrypt_worker_new(const struct sm_scrypt_variant *v, const struct sm_scrypt_tune *tune, uint32_t n,
                            struct sm_scrypt_worker **out, struct sm_errinfo *ei)
{
    if (!sm_is_pow2_u64(n) || n < SM_SCRYPT_N_MIN || n > SM_SCRYPT_N_MAX)
        return sm_fail(ei, SM_E_ARG, "scrypt N = %u: must be a power of two from %u to %u", n, SM_SCRYPT_N_MIN,
                       SM_SCRYPT_N_MAX);
    const struct sm_scrypt_tune t = complete(v, tune);
    const struct sm_romix_kernel *kernel = find_kernel(v->impl, &t);
    if (!kernel)
        return sm_fail(ei, SM_E_ARG, "variant %s cannot run groups=%u sets=%u lookup_gap=%u prefetch=%u stream=%u",
                       v->name, t.groups, t.sets, t.lookup_gap, t.prefetch, t.stream);

    struct sm_scrypt_worker *w = calloc(1, sizeof *w);
    if (!w) return sm_fail(ei, SM_E_NOMEM, "out of memory for a label worker");
    const uint32_t rows = n > t.lookup_gap ? n / t.lookup_gap : 1;
    w->ops = v->impl;
    w->kernel = kernel;
    w->lanes = v->lanes;
    w->width = v->lanes * t.groups * t.sets;
    w->job = (struct sm_romix_job){
        .n = n,
        .gap_shift = (uint32_t)__builtin_ctz(t.lookup_gap),
        .row_mask = rows - 1,
        .sets = t.sets,
        .prefetch = t.prefetch == 2,
        .stream = t.stream == 2,
    };
    if (!allocate(w, rows)) {
        sm_scrypt_worker_free(w);
        return sm_fail(ei, SM_E_NOMEM, "out of memory: a label worker needs %zu bytes",
                       (size_t)rows * SM_ROMIX_ROW_BYTES * v->lanes * t.groups * t.sets);
    }
    *out = w;
    return SM_OK;
}

void sm_scrypt_worker_free(struct sm_scrypt_worker *w)
{
    if (!w) return;
    sm_mem_unmap(&w->scratch);
    free(w->job.x);
    free(w->keys);
    free(w->batch);
    free(w);
}

uint32_t sm_scrypt_worker_width(const struct sm_scrypt_worker *w)
{
    return w->width;
}

size_t sm_scrypt_worker_bytes(const struct sm_scrypt_worker *w)
{
    return w->scratch.bytes;
}

sm_pages sm_scrypt_worker_pages(const struct sm_scrypt_worker *w)
{
    return w->scratch.pages;
}

/* First word of label i of the width in x; the label's words are `lanes` apart. */
static uint32_t *label_words(const struct sm_scrypt_worker *w, uint32_t i)
{
    return w->job.x + (size_t)(i / w->lanes) * SM_ROMIX_WORDS * w->lanes + i % w->lanes;
}

/* First PBKDF2 of the keccak lanes that hold labels [first, first + lanes). */
static void expand(struct sm_scrypt_worker *w, uint32_t first)
{
    const struct sm_keccak_lanes *k = w->ops->keccak;
    struct sm_pbkdf2_key *key = &w->keys[first / k->lanes];
    _Alignas(64) uint64_t password[SM_PBKDF2_PASSWORD_WORDS * SM_KECCAK_LANES_MAX] = {0};
    _Alignas(64) uint64_t chunk[SM_PBKDF2_CHUNK_WORDS * SM_KECCAK_LANES_MAX];
    for (uint32_t l = 0; l < k->lanes; l++) {
        const struct sm_scrypt_in *in = &w->batch[first + l];
        for (unsigned i = 0; i < 4; i++) password[i * k->lanes + l] = sm_le64_load(in->commitment + 8 * i);
        password[4 * k->lanes + l] = in->index;
    }
    sm_pbkdf2_key(k, password, key);
    sm_pbkdf2_expand(k, key, chunk);
    for (uint32_t l = 0; l < k->lanes; l++) {
        uint32_t *x = label_words(w, first + l);
        for (unsigned i = 0; i < SM_PBKDF2_CHUNK_WORDS; i++) {
            x[(2 * i) * w->lanes] = (uint32_t)chunk[i * k->lanes + l];
            x[(2 * i + 1) * w->lanes] = (uint32_t)(chunk[i * k->lanes + l] >> 32);
        }
    }
}

/* Last PBKDF2 of the same lanes; the first `count` results go to `out`. */
static void finish(struct sm_scrypt_worker *w, uint32_t first, uint32_t count, uint8_t *out)
{
    const struct sm_keccak_lanes *k = w->ops->keccak;
    _Alignas(64) uint64_t chunk[SM_PBKDF2_CHUNK_WORDS * SM_KECCAK_LANES_MAX];
    uint64_t words[SM_PBKDF2_OUT_WORDS * SM_KECCAK_LANES_MAX];
    for (uint32_t l = 0; l < k->lanes; l++) {
        const uint32_t *x = label_words(w, first + l);
        for (unsigned i = 0; i < SM_PBKDF2_CHUNK_WORDS; i++)
            chunk[i * k->lanes + l] = (uint64_t)x[(2 * i + 1) * w->lanes] << 32 | x[(2 * i) * w->lanes];
    }
    sm_pbkdf2_finish(k, &w->keys[first / k->lanes], chunk, words);
    for (uint32_t l = 0; l < k->lanes && l < count; l++)
        for (unsigned i = 0; i < SM_PBKDF2_OUT_WORDS; i++)
            sm_le64_store(out + (size_t)SM_SCRYPT_OUT_BYTES * l + 8 * i, words[i * k->lanes + l]);
}

/* Computes the first `count` labels of w->batch, padded here to whole sets. */
static void run_batch(struct sm_scrypt_worker *w, const struct sm_romix_job *full, uint32_t count, uint8_t *out)
{
    const uint32_t per_set = w->width / full->sets, step = w->ops->keccak->lanes;
    struct sm_romix_job job = *full;
    job.sets = (count + per_set - 1) / per_set;
    const uint32_t padded = job.sets * per_set;
    for (uint32_t i = count; i < padded; i++) w->batch[i] = w->batch[0];
    for (uint32_t i = 0; i < padded; i += step) expand(w, i);
    w->kernel->run(&job);
    for (uint32_t i = 0; i < count; i += step) finish(w, i, count - i, out + (size_t)SM_SCRYPT_OUT_BYTES * i);
}

sm_err sm_scrypt_run(struct sm_scrypt_worker *w, const struct sm_scrypt_in *in, size_t count,
                     const struct sm_cancel *cancel, uint8_t *out)
{
    while (count) {
        if (sm_cancelled(cancel)) return SM_E_CANCELLED;
        const uint32_t k = count < w->width ? (uint32_t)count : w->width;
        memcpy(w->batch, in, k * sizeof *in);
        run_batch(w, &w->job, k, out);
        in += k;
        out += (size_t)SM_SCRYPT_OUT_BYTES * k;
        count -= k;
    }
    return SM_OK;
}

sm_err sm_scrypt_range(struct sm_scrypt_worker *w, const uint8_t commitment[32], uint64_t first, size_t count,
                       const struct sm_cancel *cancel, uint8_t *out)
{
    while (count) {
        if (sm_cancelled(cancel)) return SM_E_CANCELLED;
        const uint32_t k = count < w->width ? (uint32_t)count : w->width;
        for (uint32_t i = 0; i < k; i++)
            w->batch[i] = (struct sm_scrypt_in){.commitment = commitment, .index = first + i};
        run_batch(w, &w->job, k, out);
        first += k;
        out += (size_t)SM_SCRYPT_OUT_BYTES * k;
        count -= k;
    }
    return SM_OK;
}

/* Time this thread was really running: neighbours must not lower a bound. */
static double thread_seconds(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

double sm_scrypt_bound(struct sm_scrypt_worker *w, double seconds)
{
    static const uint8_t commitment[32];
    uint8_t *out = malloc((size_t)SM_SCRYPT_OUT_BYTES * w->width);
    if (!out) return 0;
    struct sm_romix_job job = w->job;
    job.row_mask = 0;
    job.stream = false; /* a store past the caches would leave L1 */
    for (uint32_t i = 0; i < w->width; i++) w->batch[i] = (struct sm_scrypt_in){.commitment = commitment, .index = i};
    uint64_t labels = 0;
    const double start = thread_seconds();
    double elapsed;
    do {
        run_batch(w, &job, w->width, out);
        labels += w->width;
        elapsed = thread_seconds() - start;
    } while (elapsed < seconds);
    free(out);
    return (double)labels / elapsed;
}

sm_err sm_scrypt_one(uint32_t n, const uint8_t commitment[32], uint64_t index, uint8_t out[32], struct sm_errinfo *ei)
{
    struct sm_scrypt_worker *w = NULL;
    sm_err err = sm_scrypt_worker_new(&sm_scrypt_ref, NULL, n, &w, ei);
    if (!err) err = sm_scrypt_range(w, commitment, index, 1, NULL, out);
    sm_scrypt_worker_free(w);
    return err;
}
