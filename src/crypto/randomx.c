#include "crypto/randomx.h"

#include <assert.h>
#include <fenv.h>
#include <inttypes.h>
#include <pthread.h>
#include <randomx.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "crypto/randomx_dataset.h"
#include "crypto/randomx_memory.h"
#include "crypto/randomx_pages.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"

#define SPARE_MEMORY ((uint64_t)128 << 20) /* ours: left to the rest of the machine */
#define SPARE_LIGHT  ((uint64_t)32 << 20)
#define WAIT_MS      50u

_Static_assert(SM_RANDOMX_HASH_BYTES == RANDOMX_HASH_SIZE, "hash size");

/* Light: cache only. Fast: dataset only; the cache it was built from is a light instance, opened for the time. */
struct sm_randomx {
    struct sm_randomx *next; /* registry; under its lock, as are refs and ready */
    unsigned refs;
    bool ready; /* false while its creator fills it */

    uint8_t *key; /* constant from here on once ready */
    size_t key_n;
    sm_randomx_mode mode;
    bool plain_pages; /* cfg.no_huge_pages */
    bool large_pages; /* explicit huge pages were granted */
    const char *pages;
    randomx_flags flags; /* what this machine can do: JIT, SECURE, HARD_AES, ARGON2 */
    randomx_cache *cache;
    randomx_dataset *dataset;
};

struct sm_randomx_vm {
    struct sm_randomx *rx;
    randomx_vm *vm;
};

static struct {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct sm_randomx *first;
} registry = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* ---- what the machine allows ---- */

static bool may_protect(void *page, int prot)
{
    return mprotect(page, 4096, prot) == 0;
}

/* Hardened systems refuse pages that are writable and executable, or executable at all once written. The library
 * throws a C++ exception then, in places where it would end the process: ask first. */
static randomx_flags jit_flags(void)
{
    randomx_flags flags = RANDOMX_FLAG_DEFAULT;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return flags;
    if (may_protect(page, PROT_READ | PROT_WRITE | PROT_EXEC))
        flags = RANDOMX_FLAG_JIT;
    else if (may_protect(page, PROT_READ | PROT_EXEC))
        flags = RANDOMX_FLAG_JIT | RANDOMX_FLAG_SECURE;
    (void)munmap(page, 4096);
    return flags;
}

/* Only flags whose meaning we know: a newer library's other algorithms are not ours. */
static randomx_flags machine_flags(void)
{
    const randomx_flags has = randomx_get_flags();
    randomx_flags flags = has & (RANDOMX_FLAG_HARD_AES | RANDOMX_FLAG_ARGON2 | RANDOMX_FLAG_SECURE);
    if (has & RANDOMX_FLAG_JIT) flags |= jit_flags();
    if ((has & RANDOMX_FLAG_JIT) && !(flags & RANDOMX_FLAG_JIT))
        sm_log(SM_LOG_WARN, "randomx", "this process may not generate code, hashing is many times slower", "%s",
               "hint=\"allow writable memory to become executable\"");
    return flags;
}

uint32_t sm_randomx_recommended_flags(void)
{
    return (uint32_t)machine_flags() & ~(uint32_t)RANDOMX_FLAG_SECURE;
}

/* Asked before the library is: when its allocation fails it leaks (1.1.10, the JIT compiler of the cache). */
static bool large_pages_possible(uint64_t bytes)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (21 << MAP_HUGE_SHIFT); /* of 2 MiB */
    void *p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (p == MAP_FAILED) return false;
    (void)munmap(p, (size_t)bytes);
    return true;
}

static const char *pages_name(const struct sm_randomx *rx, const void *p, size_t n)
{
    if (rx->large_pages) return "huge";
    return n && sm_pages_huge_bytes(p, n) >= n / 2 ? "transparent" : "normal";
}

static sm_err check_memory(uint64_t need, uint64_t spare, const char *what, struct sm_errinfo *ei)
{
    const uint64_t room = sm_randomx_memory_available("");
    if (room >= need + spare) return SM_OK;
    return sm_fail(ei, SM_E_NOMEM,
                   "RandomX %s mode needs %" PRIu64 " MiB of memory and only %" PRIu64 " MiB are available", what,
                   (need + spare) >> 20, room >> 20);
}

/* ---- filling an instance ---- */

/* The new mapping that holds the cache is found by what /proc/self/maps gained; see crypto/randomx_pages.h. */
static randomx_cache *alloc_cache_pages(randomx_flags flags, bool plain_pages, struct sm_map_range *out_range)
{
    struct sm_map_list before = sm_map_list_take();
    randomx_cache *cache = randomx_alloc_cache(flags);
    struct sm_map_list after = sm_map_list_take();
    *out_range = sm_map_list_largest_new(&before, &after);
    if (cache && before.n && out_range->hi - out_range->lo >= SM_RANDOMX_CACHE_BYTES)
        sm_pages_advise((void *)out_range->lo, out_range->hi - out_range->lo, !plain_pages);
    else
        *out_range = (struct sm_map_range){0, 0};
    sm_map_list_fini(&before);
    sm_map_list_fini(&after);
    return cache;
}

static sm_err fill_light(struct sm_randomx *rx, const struct sm_randomx_cfg *cfg, struct sm_errinfo *ei)
{
    sm_err err = check_memory(SM_RANDOMX_CACHE_BYTES, SPARE_LIGHT, "light", ei);
    if (err) return err;
    struct sm_map_range range = {0, 0};
    const randomx_flags flags = rx->flags & (RANDOMX_FLAG_JIT | RANDOMX_FLAG_ARGON2);
    if (cfg->large_pages && large_pages_possible(SM_RANDOMX_CACHE_BYTES))
        rx->cache = randomx_alloc_cache(flags | RANDOMX_FLAG_LARGE_PAGES);
    rx->large_pages = rx->cache != NULL;
    if (!rx->cache) rx->cache = alloc_cache_pages(flags, rx->plain_pages, &range);
    if (!rx->cache) return sm_fail(ei, SM_E_NOMEM, "out of memory for the RandomX cache of 256 MiB");
    randomx_init_cache(rx->cache, rx->key, rx->key_n);
    rx->pages = pages_name(rx, (const void *)range.lo, range.hi - range.lo);
    return SM_OK;
}

static sm_err alloc_dataset(struct sm_randomx *rx, bool large_pages, struct sm_errinfo *ei)
{
    sm_err err = check_memory(SM_RANDOMX_DATASET_BYTES, SPARE_MEMORY, "fast", ei);
    if (err) return err;
    if (large_pages && large_pages_possible(SM_RANDOMX_DATASET_BYTES))
        rx->dataset = randomx_alloc_dataset(RANDOMX_FLAG_LARGE_PAGES);
    rx->large_pages = rx->dataset != NULL;
    if (!rx->dataset) rx->dataset = randomx_alloc_dataset(RANDOMX_FLAG_DEFAULT);
    if (!rx->dataset) return sm_fail(ei, SM_E_NOMEM, "out of memory for the RandomX dataset of 2080 MiB");
    return SM_OK;
}

/* From the file, or computed and then saved. A file that cannot be used or written costs time, not the job. */
static sm_err fill_dataset(const struct sm_dataset_fill *f, const char *file, struct sm_errinfo *ei)
{
    struct sm_errinfo why = {0};
    sm_err err = file ? sm_dataset_load(f, file, &why) : SM_E_NOTFOUND;
    if (err == SM_OK || err == SM_E_CANCELLED) {
        if (err && ei) *ei = why;
        return err;
    }
    if (err != SM_E_NOTFOUND)
        sm_log(SM_LOG_WARN, "randomx", "dataset file is unusable, computing the dataset anew", "reason=\"%s\"",
               why.text);
    err = sm_dataset_build(f, ei);
    if (err || !file) return err;
    err = sm_dataset_save(f, file, &why);
    if (err == SM_OK) return SM_OK;
    sm_log(SM_LOG_WARN, "randomx", "dataset file was not written, the next start computes the dataset again",
           "reason=\"%s\"", why.text);
    return err == SM_E_CANCELLED ? sm_fail(ei, err, "%s", why.text) : SM_OK;
}

static sm_err fill_fast(struct sm_randomx *rx, const struct sm_randomx *light, const struct sm_randomx_cfg *cfg,
                        const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    sm_err err = alloc_dataset(rx, cfg->large_pages, ei);
    if (err) return err;
    void *memory = randomx_get_dataset_memory(rx->dataset);
    const size_t bytes = (size_t)randomx_dataset_item_count() * RANDOMX_DATASET_ITEM_SIZE;
    if (!rx->large_pages) sm_pages_advise(memory, bytes, !rx->plain_pages);
    const uint64_t start = sm_clock_ns();
    const struct sm_dataset_fill fill = {.dataset = rx->dataset,
                                         .cache = light->cache,
                                         .key = rx->key,
                                         .key_n = rx->key_n,
                                         .threads = cfg->threads ? cfg->threads : sm_cpu_count(),
                                         .cancel = cancel};
    err = fill_dataset(&fill, cfg->dataset_file, ei);
    if (err) return err;
    rx->pages = pages_name(rx, memory, bytes);
    sm_log(SM_LOG_DEBUG, "randomx", "dataset ready", "seconds=%.1f pages=%s", sm_clock_seconds_since(start), rx->pages);
    return SM_OK;
}

/* ---- the registry ---- */

static struct sm_randomx *instance_new(const struct sm_randomx_cfg *cfg, sm_randomx_mode mode)
{
    struct sm_randomx *rx = calloc(1, sizeof *rx);
    uint8_t *key = malloc(cfg->key_n + 1);
    if (!rx || !key) {
        free(rx);
        free(key);
        return NULL;
    }
    memcpy(key, cfg->key, cfg->key_n);
    *rx = (struct sm_randomx){.refs = 1,
                              .key = key,
                              .key_n = cfg->key_n,
                              .mode = mode,
                              .plain_pages = cfg->no_huge_pages,
                              .pages = "normal",
                              .flags = machine_flags()};
    return rx;
}

static void instance_free(struct sm_randomx *rx)
{
    if (!rx) return;
    if (rx->cache) randomx_release_cache(rx->cache);
    if (rx->dataset) randomx_release_dataset(rx->dataset);
    free(rx->key);
    free(rx);
}

static void registry_remove(const struct sm_randomx *rx)
{
    struct sm_randomx **p = &registry.first;
    while (*p != rx) p = &(*p)->next;
    *p = rx->next;
}

/* One that serves: the same mode in any state, or a stronger one that is ready. Waiting a minute for somebody's dataset
 * when half a second gives a cache would be a bad trade. */
static struct sm_randomx *registry_find(const struct sm_randomx_cfg *cfg, sm_randomx_mode mode)
{
    struct sm_randomx *found = NULL;
    for (struct sm_randomx *rx = registry.first; rx; rx = rx->next) {
        if (rx->key_n != cfg->key_n || memcmp(rx->key, cfg->key, cfg->key_n) != 0) continue;
        if (rx->plain_pages != cfg->no_huge_pages) continue;
        if (rx->mode != mode && !(rx->mode > mode && rx->ready)) continue;
        if (!found || rx->ready) found = rx;
    }
    return found;
}

static void registry_wait(void)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(&registry.changed, &registry.mu, &until);
}

/* Either an instance that is ready, lent, or a new one for the caller to fill (*out_created). */
static sm_err registry_join(const struct sm_randomx_cfg *cfg, sm_randomx_mode mode, const struct sm_cancel *cancel,
                            struct sm_randomx **out, bool *out_created, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    struct sm_randomx *rx;
    (void)pthread_mutex_lock(&registry.mu);
    while ((rx = registry_find(cfg, mode)) && !rx->ready) {
        if (sm_cancelled(cancel)) {
            err = sm_fail(ei, SM_E_CANCELLED, "RandomX: cancelled");
            goto out;
        }
        registry_wait();
    }
    *out_created = rx == NULL;
    if (rx) {
        rx->refs++;
    } else if ((rx = instance_new(cfg, mode))) {
        rx->next = registry.first;
        registry.first = rx;
    } else {
        err = sm_fail(ei, SM_E_NOMEM, "out of memory opening RandomX");
    }
    *out = rx;
out:
    (void)pthread_mutex_unlock(&registry.mu);
    return err;
}

/* The creator is done: publish, or withdraw and free. */
static void registry_publish(struct sm_randomx *rx, bool good)
{
    (void)pthread_mutex_lock(&registry.mu);
    rx->ready = good;
    if (!good) registry_remove(rx);
    (void)pthread_cond_broadcast(&registry.changed);
    (void)pthread_mutex_unlock(&registry.mu);
    if (!good) instance_free(rx);
}

static sm_err open_light(const struct sm_randomx_cfg *cfg, const struct sm_cancel *cancel, struct sm_randomx **out,
                         struct sm_errinfo *ei)
{
    struct sm_randomx *rx;
    bool created;
    sm_err err = registry_join(cfg, SM_RANDOMX_LIGHT, cancel, &rx, &created, ei);
    if (err) return err;
    if (created) {
        err = fill_light(rx, cfg, ei);
        registry_publish(rx, err == SM_OK);
    }
    if (err == SM_OK) *out = rx;
    return err;
}

static sm_err open_fast(const struct sm_randomx_cfg *cfg, const struct sm_cancel *cancel, struct sm_randomx **out,
                        struct sm_errinfo *ei)
{
    struct sm_randomx *rx, *light = NULL;
    bool created;
    sm_err err = registry_join(cfg, SM_RANDOMX_FAST, cancel, &rx, &created, ei);
    if (err) return err;
    if (created) {
        err = open_light(cfg, cancel, &light, ei);
        if (err == SM_OK) err = fill_fast(rx, light, cfg, cancel, ei);
        registry_publish(rx, err == SM_OK);
        sm_randomx_close(light);
    }
    if (err == SM_OK) *out = rx;
    return err;
}

sm_err sm_randomx_open(const struct sm_randomx_cfg *cfg, const struct sm_cancel *cancel, struct sm_randomx **out,
                       struct sm_errinfo *ei)
{
    if (cfg->mode == SM_RANDOMX_LIGHT) return open_light(cfg, cancel, out, ei);
    struct sm_errinfo why = {0};
    sm_err err = open_fast(cfg, cancel, out, &why);
    if (err == SM_E_NOMEM) {
        sm_log(SM_LOG_WARN, "randomx", "using light mode, about ten times slower than fast mode", "reason=\"%s\"",
               why.text);
        return open_light(cfg, cancel, out, ei);
    }
    if (err && ei) *ei = why;
    return err;
}

void sm_randomx_close(struct sm_randomx *rx)
{
    if (!rx) return;
    (void)pthread_mutex_lock(&registry.mu);
    const bool last = --rx->refs == 0;
    if (last) registry_remove(rx);
    (void)pthread_mutex_unlock(&registry.mu);
    if (last) instance_free(rx);
}

sm_randomx_mode sm_randomx_mode_of(const struct sm_randomx *rx)
{
    return rx->mode;
}

const char *sm_randomx_pages(const struct sm_randomx *rx)
{
    return rx->pages;
}

/* ---- virtual machines ---- */

/* The 2 MiB scratchpads stay on ordinary pages unless explicit huge ones were granted: they live in the second-level
 * cache, and transparent huge pages under them changed nothing (465 against 480 hashes/s). */
static randomx_vm *create_vm(const struct sm_randomx *rx)
{
    randomx_flags flags = rx->flags & (RANDOMX_FLAG_HARD_AES | RANDOMX_FLAG_JIT | RANDOMX_FLAG_SECURE);
    if (rx->mode == SM_RANDOMX_FAST) flags |= RANDOMX_FLAG_FULL_MEM;
    randomx_vm *vm = NULL;
    if (rx->large_pages) vm = randomx_create_vm(flags | RANDOMX_FLAG_LARGE_PAGES, rx->cache, rx->dataset);
    if (!vm) vm = randomx_create_vm(flags, rx->cache, rx->dataset);
    return vm;
}

sm_err sm_randomx_vm_new(struct sm_randomx *rx, struct sm_randomx_vm **out, struct sm_errinfo *ei)
{
    struct sm_randomx_vm *vm = calloc(1, sizeof *vm);
    if (vm) vm->vm = create_vm(rx);
    if (!vm || !vm->vm) {
        free(vm);
        return sm_fail(ei, SM_E_NOMEM, "out of memory for a RandomX virtual machine");
    }
    (void)pthread_mutex_lock(&registry.mu);
    rx->refs++; /* the machine reads cache or dataset: they live as long as it does */
    (void)pthread_mutex_unlock(&registry.mu);
    vm->rx = rx;
    *out = vm;
    return SM_OK;
}

void sm_randomx_vm_free(struct sm_randomx_vm *vm)
{
    if (!vm) return;
    randomx_destroy_vm(vm->vm);
    sm_randomx_close(vm->rx);
    free(vm);
}

/* Programs set the rounding mode and leave it. */
void sm_randomx_hash(struct sm_randomx_vm *vm, const void *in, size_t n, uint8_t out[32])
{
    fenv_t saved;
    (void)fegetenv(&saved);
    randomx_calculate_hash(vm->vm, in, n, out);
    (void)fesetenv(&saved);
}

void sm_randomx_hash_first(struct sm_randomx_vm *vm, const void *in, size_t n)
{
    fenv_t saved;
    (void)fegetenv(&saved);
    randomx_calculate_hash_first(vm->vm, in, n);
    (void)fesetenv(&saved);
}

void sm_randomx_hash_next(struct sm_randomx_vm *vm, const void *in, size_t n, uint8_t out[32])
{
    fenv_t saved;
    (void)fegetenv(&saved);
    randomx_calculate_hash_next(vm->vm, in, n, out);
    (void)fesetenv(&saved);
}

void sm_randomx_hash_last(struct sm_randomx_vm *vm, uint8_t out[32])
{
    fenv_t saved;
    (void)fegetenv(&saved);
    randomx_calculate_hash_last(vm->vm, out);
    (void)fesetenv(&saved);
}
