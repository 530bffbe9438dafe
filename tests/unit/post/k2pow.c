/* k2pow: input layout, search, check, disk cache. Values: vectors/k2pow.json, vectors/post_proofs.json. */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "post/k2pow.h"
#include "support/tmpdir.h"
#include "support/vectors.h"
#include "util/clock.h"

static struct sm_randomx *open_light(void)
{
    struct sm_errinfo ei = {0};
    struct sm_randomx *rx = NULL;
    const struct sm_randomx_cfg cfg = {.mode = SM_RANDOMX_LIGHT};
    cr_assert_eq(sm_k2pow_open(cfg, NULL, &rx, &ei), SM_OK, "%s", ei.text);
    return rx;
}

static struct sm_k2pow_job job_of(const json_t *e)
{
    struct sm_k2pow_job job = {.group = (uint8_t)vec_u64(e, "nonce_group")};
    vec_hex(e, "challenge8_hex", job.challenge.b, 8);
    vec_hex(e, "miner_id_hex", job.node_id.b, 32);
    return job;
}

/* Valid exactly when the hash is strictly below the difficulty. */
static void check_around(struct sm_randomx *rx, struct sm_k2pow_job job, uint64_t pow, const uint8_t hash[32])
{
    bool valid = true;
    memcpy(job.difficulty, hash, 32);
    cr_assert_eq(sm_k2pow_check(rx, &job, pow, &valid, NULL), SM_OK);
    cr_assert_not(valid, "equal is not below");
    for (int i = 31; ++job.difficulty[i] == 0; i--) {}
    cr_assert_eq(sm_k2pow_check(rx, &job, pow, &valid, NULL), SM_OK);
    cr_assert(valid, "pow %lu", pow);
}

Test(k2pow, vectors)
{
    json_t *file = vec_load("k2pow.json"), *e;
    size_t i;
    unsigned searches = 0, hashes = 0;
    struct sm_randomx *rx = open_light();
    json_array_foreach(vec_get(file, "entries"), i, e)
    {
        struct sm_k2pow_job job = job_of(e);
        uint8_t want_in[48], in[48], hash[32];
        const uint64_t pow = vec_u64(e, "pow");
        vec_hex(e, "input_hex", want_in, 48);
        vec_hex(e, "hash_hex", hash, 32);
        sm_k2pow_input(&job, pow, in);
        cr_assert_arr_eq(in, want_in, 48, "entry %zu", i);
        sm_k2pow_input(&job, pow | UINT64_C(0xab) << 56, in);
        cr_assert_arr_eq(in, want_in, 48, "the top byte of pow is not hashed");
        check_around(rx, job, pow, hash);
        hashes++;
        if (strcmp(vec_str(e, "kind"), "search") != 0) continue;
        uint64_t got = 0, tried = 0;
        vec_hex(e, "difficulty_hex", job.difficulty, 32);
        const struct sm_k2pow_search how = {.threads = 1};
        cr_assert_eq(sm_k2pow_find(rx, &job, &how, NULL, &got, &tried, NULL), SM_OK);
        cr_assert_eq(got, pow, "smallest with one thread");
        cr_assert_eq(tried, pow + 1);
        searches++;
    }
    cr_assert(searches >= 2 && hashes >= 7);
    sm_randomx_close(rx);
    json_decref(file);
}

Test(k2pow, proofs_file)
{
    json_t *file = vec_load("post_proofs.json"), *p, *g;
    size_t i, k;
    struct sm_randomx *rx = open_light();
    json_array_foreach(file, i, p)
    {
        struct sm_k2pow_job job = {0};
        vec_hex(p, "node_id_hex", job.node_id.b, 32);
        vec_hex(p, "challenge_hex", job.challenge.b, 32);
        json_array_foreach(vec_get(p, "k2pow"), k, g)
        {
            uint8_t hash[32];
            uint64_t got = 0;
            bool valid = false;
            job.group = (uint8_t)vec_u64(g, "nonce_group");
            vec_hex(g, "hash_hex", hash, 32);
            check_around(rx, job, vec_u64(g, "pow"), hash);
            vec_hex(p, "scaled_pow_difficulty_hex", job.difficulty, 32);
            cr_assert_eq(sm_k2pow_check(rx, &job, vec_u64(g, "pow"), &valid, NULL), SM_OK);
            cr_assert(valid);
            cr_assert_eq(sm_k2pow_find(rx, &job, &(struct sm_k2pow_search){.threads = 1}, NULL, &got, NULL, NULL),
                         SM_OK);
            cr_assert_eq(got, vec_u64(g, "pow"));
        }
    }
    sm_randomx_close(rx);
    json_decref(file);
}

Test(k2pow, any_valid_nonce_wins_with_threads)
{
    struct sm_randomx *rx = open_light();
    struct sm_k2pow_job job = {.group = 3};
    memset(job.difficulty, 0xff, 32);
    job.difficulty[0] = 0x1f;
    uint64_t pow = 0, tried = 0;
    const unsigned cores[3] = {0, 0, 0};
    const struct sm_k2pow_search how = {.threads = 3, .cores = cores, .first = 1000};
    cr_assert_eq(sm_k2pow_find(rx, &job, &how, NULL, &pow, &tried, NULL), SM_OK);
    bool valid = false;
    cr_assert_eq(sm_k2pow_check(rx, &job, pow, &valid, NULL), SM_OK);
    cr_assert(valid);
    cr_assert_geq(pow, 1000);
    cr_assert_geq(tried, 1);
    sm_randomx_close(rx);
}

Test(k2pow, the_end_of_the_range_is_an_answer)
{
    struct sm_randomx *rx = open_light();
    const struct sm_k2pow_job job = {0}; /* difficulty 0: nothing is below */
    struct sm_errinfo ei = {0};
    uint64_t pow = 77, tried = 0;
    const struct sm_k2pow_search how = {.threads = 2, .first = SM_K2POW_NONCE_MAX - 2};
    cr_assert_eq(sm_k2pow_find(rx, &job, &how, NULL, &pow, &tried, &ei), SM_E_NOTFOUND);
    cr_assert_eq(tried, 3);
    cr_assert_eq(pow, 77);
    sm_randomx_close(rx);
}

struct watcher {
    struct sm_cancel cancel;
    uint64_t calls, hashes, cancelled_ns;
};

static void cancel_at_second_call(void *ctx, uint64_t hashes)
{
    struct watcher *w = ctx;
    cr_assert_geq(hashes, w->hashes);
    w->hashes = hashes;
    if (++w->calls < 2) return;
    w->cancelled_ns = sm_clock_ns();
    sm_cancel_request(&w->cancel);
}

Test(k2pow, progress_and_cancel)
{
    struct sm_randomx *rx = open_light();
    const struct sm_k2pow_job job = {0};
    struct watcher w = {0};
    struct sm_errinfo ei = {0};
    uint64_t pow, tried = 0;
    const struct sm_k2pow_search how = {.threads = 1, .progress = cancel_at_second_call, .progress_ctx = &w};
    cr_assert_eq(sm_k2pow_find(rx, &job, &how, &w.cancel, &pow, &tried, &ei), SM_E_CANCELLED);
    const uint64_t took_ms = (sm_clock_ns() - w.cancelled_ns) / SM_NS_PER_MS;
    cr_log_info("stopped %" PRIu64 " ms after the request", took_ms);
    cr_assert_eq(w.calls, 2);
    cr_assert_eq(tried, w.hashes, "not one hash more");
    cr_assert_lt(took_ms, 1000, "the goal is 100 ms; a loaded test machine gets more");
    sm_randomx_close(rx);
}

/* ---- disk cache ---- */

static struct sm_k2pow_job some_job(void)
{
    struct sm_k2pow_job job = {.group = 9};
    for (unsigned i = 0; i < 32; i++) {
        job.node_id.b[i] = (uint8_t)i;
        job.challenge.b[i] = (uint8_t)(i * 3);
        job.difficulty[i] = (uint8_t)(i * 5);
    }
    return job;
}

static char *only_file(const char *dir)
{
    static char path[600];
    char cmd[400];
    (void)snprintf(cmd, sizeof cmd, "ls -d %s/k2pow/*", dir);
    FILE *f = popen(cmd, "r");
    cr_assert(f && fgets(path, sizeof path, f));
    path[strcspn(path, "\n")] = '\0';
    cr_assert_not(fgets(cmd, sizeof cmd, f), "more than one file, or a temporary one left");
    pclose(f);
    return path;
}

Test(cache, results_are_keyed_by_the_whole_job)
{
    char dir[256];
    tmpdir_make(dir);
    struct sm_k2pow_job job = some_job();
    uint64_t pow = 7;
    cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_E_NOTFOUND);
    cr_assert_eq(sm_k2pow_cache_put(dir, &job, SM_K2POW_NONCE_MAX, NULL), SM_OK);
    cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_OK);
    cr_assert_eq(pow, SM_K2POW_NONCE_MAX);
    cr_assert_eq(sm_k2pow_cache_put(dir, &job, 0, NULL), SM_OK);
    cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_OK);
    cr_assert_eq(pow, 0);
    job.challenge.b[8] ^= 1; /* beyond the eight bytes that count */
    cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_OK);
    job.challenge.b[7] ^= 1;
    cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_E_NOTFOUND);
    job = some_job(), job.group++;
    cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_E_NOTFOUND);
    job = some_job(), job.difficulty[31] ^= 1;
    cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_E_NOTFOUND);
    job = some_job(), job.node_id.b[0] ^= 1;
    cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_E_NOTFOUND);
    tmpdir_remove(dir);
}

Test(cache, broken_files_are_not_found)
{
    char dir[256];
    tmpdir_make(dir);
    const struct sm_k2pow_job job = some_job();
    uint64_t pow = 7;
    cr_assert_eq(sm_k2pow_cache_put(dir, &job, 1234, NULL), SM_OK);
    const char *path = only_file(dir);
    size_t n;
    char *good = (char *)file_get(path, &n);
    for (size_t cut = 0; cut < n; cut++) { /* every prefix */
        file_put(path, good, cut);
        cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_E_NOTFOUND, "%zu bytes", cut);
    }
    static const char *const tails[] = {"-1\n",
                                        "+1\n",
                                        " 1\n",
                                        "1 \n",
                                        "1\n\n",
                                        "0x1\n",
                                        "72057594037927936\n",
                                        "",
                                        "99999999999999999999999\n",
                                        "18446744073709551617\n",
                                        "x\n"};
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        char text[512];
        const int len = snprintf(text, sizeof text, "%.*s%s", (int)(n - 5), good, tails[i]);
        file_put(path, text, (size_t)len);
        cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_E_NOTFOUND, "tail %s", tails[i]);
    }
    char big[1000];
    memset(big, '1', sizeof big);
    file_put(path, big, sizeof big);
    cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_E_NOTFOUND);
    file_put(path, "a\0b", 3);
    cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_E_NOTFOUND);
    cr_assert_eq(pow, 7, "nothing is written on failure");
    file_put(path, good, n);
    cr_assert_eq(sm_k2pow_cache_get(dir, &job, &pow, NULL), SM_OK);
    cr_assert_eq(pow, 1234);
    free(good);
    cr_assert_eq(sm_k2pow_cache_put("/nonexistent/dir", &job, 1, NULL), SM_E_NOTFOUND);
    tmpdir_remove(dir);
}
