#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/stage.h"
#include "bench/stage_scan.h"
#include "crypto/aes.h"
#include "post/layout.h"
#include "post/metadata.h"
#include "post/prove.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/mem.h"
#include "util/thread.h"

/* ---- the scan alone, from memory ---- */

#define SCAN_BYTES   ((size_t)16 << 20) /* per thread: beyond any L2, so that the rate includes memory */
#define STEP_BYTES   ((size_t)1 << 18)  /* between looks at the clock: the reference variant needs a quarter second */
#define CHECK_LABELS 1024u

struct scan_ctx {
    const struct sm_scan_variant *variant;
    struct sm_scan_job job;
};
struct scan_state {
    const struct scan_ctx *ctx;
    struct sm_mem labels;
    struct sm_scan_scratch *scratch;
    size_t at;
};

static void scan_teardown(void *p)
{
    struct scan_state *s = p;
    if (!s) return;
    sm_mem_unmap(&s->labels);
    sm_scan_scratch_free(s->scratch);
    free(s);
}

static bool scan_ignore(void *ctx, const struct sm_scan_hit *hits, size_t n)
{
    (void)ctx, (void)hits, (void)n;
    return true;
}

struct digest {
    crypto_generichash_state hash;
    uint64_t hits;
};

static bool scan_digest(void *ctx, const struct sm_scan_hit *hits, size_t n)
{
    struct digest *d = ctx;
    (void)crypto_generichash_update(&d->hash, (const uint8_t *)hits, n * sizeof *hits);
    d->hits += n;
    return true;
}

/* The variant must report exactly the reference's hits, in its order. */
static sm_err scan_check(const struct scan_state *s, struct sm_errinfo *ei)
{
    struct sm_scan_job job = s->ctx->job;
    job.difficulty_msb = 2; /* enough hits to compare */
    job.difficulty_lsb = UINT64_C(1) << 55;
    const struct sm_scan_variant *const variants[2] = {sm_scan_all()[0], s->ctx->variant};
    uint8_t sum[2][32];
    uint64_t hits = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct digest d = {.hits = 0};
        (void)crypto_generichash_init(&d.hash, NULL, 0, sizeof sum[i]);
        (void)sm_scan_run(variants[i], &job, s->scratch, s->labels.p, CHECK_LABELS, scan_digest, &d);
        (void)crypto_generichash_final(&d.hash, sum[i], sizeof sum[i]);
        hits = d.hits;
    }
    if (hits == 0 || memcmp(sum[0], sum[1], sizeof sum[0]) != 0)
        return sm_fail(ei, SM_E_DEVICE, "AES variant %s finds other labels than the reference: do not use it",
                       s->ctx->variant->name);
    return SM_OK;
}

static sm_err scan_setup(void *ctx, unsigned index, void **out, struct sm_errinfo *ei)
{
    (void)index;
    struct scan_state *s = calloc(1, sizeof *s);
    if (!s) return sm_fail(ei, SM_E_NOMEM, "out of memory for a benchmark thread");
    s->ctx = ctx;
    sm_err err = SM_OK;
    s->scratch = sm_scan_scratch_new();
    if (!s->scratch || !sm_mem_map(&s->labels, SCAN_BYTES, SM_PAGES_THP))
        err = sm_fail(ei, SM_E_NOMEM, "out of memory for %zu bytes of labels", SCAN_BYTES);
    if (!err) {
        randombytes_buf(s->labels.p, SCAN_BYTES);
        err = scan_check(s, ei);
    }
    if (err) {
        scan_teardown(s);
        return err;
    }
    *out = s;
    return SM_OK;
}

static double scan_step(void *p)
{
    struct scan_state *s = p;
    const uint8_t *labels = (const uint8_t *)s->labels.p + s->at;
    s->at = (s->at + STEP_BYTES) % SCAN_BYTES;
    return 16.0 *
           (double)sm_scan_run(s->ctx->variant, &s->ctx->job, s->scratch, labels, STEP_BYTES / 16, scan_ignore, NULL);
}

static double scan_bound(void *p, double slice)
{
    struct scan_state *s = p;
    return sm_scan_bound(s->ctx->variant, &s->ctx->job, slice);
}

sm_err sm_bench_scan(const char *variant, uint32_t nonces, unsigned threads, double seconds,
                     const struct sm_cancel *cancel, struct sm_bench_row *out, struct sm_errinfo *ei)
{
    static const struct sm_bench_team_ops ops = {scan_setup, scan_teardown};
    if (nonces == 0 || nonces % SM_NONCES_PER_GROUP || nonces > SM_NONCES_MAX)
        return sm_fail(ei, SM_E_ARG, "nonces is %" PRIu32 ": must be a multiple of 16, 16 to %u", nonces,
                       SM_NONCES_MAX);
    if (threads == 0) threads = sm_cpu_count();
    struct scan_ctx ctx = {.job = {.groups_n = nonces / SM_NONCES_PER_GROUP}}; /* msb 0 as on mainnet, lsb 0: no hits */
    struct sm_scan_group *groups = NULL;
    struct sm_bench_team *team = NULL;
    struct sm_bench_stat alu;
    sm_err err = sm_scan_pick(sm_cpu(), variant, &ctx.variant, ei);
    if (err) goto out;
    groups = sm_bench_random_groups(ctx.job.groups_n);
    err = groups ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory for the keys of %" PRIu32 " nonces", nonces);
    if (err) goto out;
    ctx.job.groups = groups;
    err = sm_bench_team_new(&ops, &ctx, threads, &team, ei);
    if (err) goto out;
    *out = (struct sm_bench_row){
        .stage = "prove", .device = "memory", .unit = "bytes/s", .threads = threads, .nonces = nonces, .bounds_n = 1};
    (void)snprintf(out->variant, sizeof out->variant, "%s", ctx.variant->name);
    err = sm_bench_team_measure(team, scan_step, scan_bound, seconds, cancel, &out->rate, &alu, ei);
    out->bytes_per_s = out->rate.median;
    out->bounds[0] = (struct sm_bench_bound){"alu", alu.median};
out:
    sm_bench_team_free(team);
    free(groups);
    return err;
}

/* ---- the real prover over a file ---- */

struct pass_watch {
    struct sm_cancel *stop;
    const struct sm_cancel *outer;
    uint64_t start_ns, end_ns, bytes;
};

static void pass_progress(void *ctx, const struct sm_prove_progress *p)
{
    struct pass_watch *w = ctx;
    if (sm_cancelled(w->outer)) sm_cancel_request(w->stop);
    if (p->phase == SM_PROVE_SCAN && p->pass == 0) {
        if (!w->start_ns) w->start_ns = sm_clock_ns();
        if (p->bytes_done == p->bytes_total && !w->end_ns) {
            w->end_ns = sm_clock_ns();
            w->bytes = p->bytes_total;
        }
    }
    if (w->end_ns) sm_cancel_request(w->stop); /* one pass is what we came for */
}

static sm_err write_random_file(const char *path, uint64_t bytes, const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    enum { CHUNK = 4 << 20 };
    struct sm_mem mem;
    int fd = -1;
    if (!sm_mem_map(&mem, CHUNK, SM_PAGES_THP)) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    sm_err err = sm_io_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, ei);
    for (uint64_t off = 0; !err && off < bytes; off += CHUNK) {
        const size_t n = bytes - off < CHUNK ? (size_t)(bytes - off) : CHUNK;
        randombytes_buf(mem.p, n);
        err = sm_cancelled(cancel) ? sm_fail(ei, SM_E_CANCELLED, "interrupted")
                                   : sm_io_pwrite(fd, path, mem.p, n, off, ei);
    }
    if (!err) err = sm_io_sync(fd, path, ei);
    sm_io_close(fd);
    sm_mem_unmap(&mem);
    return err;
}

struct temp_set {
    char dir[PATH_MAX], data[PATH_MAX];
};

static void temp_set_remove(const struct temp_set *t)
{
    static const char *const ours[] = {SM_METADATA_FILE, SM_METADATA_BACKUP_FILE, "postdata_0.bin", "smesher.lock"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        char path[PATH_MAX];
        if (!sm_io_path(path, sizeof path, t->dir, ours[i], NULL)) (void)unlink(path);
    }
    (void)rmdir(t->dir);
}

static sm_err temp_set_make(const char *dir, uint64_t bytes, const struct sm_cancel *cancel, struct temp_set *out,
                            struct sm_errinfo *ei)
{
    char name[64];
    (void)snprintf(name, sizeof name, ".smesher-bench-%ld", (long)getpid());
    sm_err err = sm_io_path(out->dir, sizeof out->dir, dir, name, ei);
    if (err) return err;
    if (mkdir(out->dir, 0700) != 0) return sm_fail_errno(ei, errno, "cannot create %s", out->dir);
    const struct sm_metadata meta = {.labels_per_unit = bytes / SM_LABEL_BYTES,
                                     .num_units = 1,
                                     .max_file_size = bytes,
                                     .has_nonce =
                                         true}; /* random data has none; the prover only insists on its presence */
    err = sm_io_path(out->data, sizeof out->data, out->dir, "postdata_0.bin", ei);
    if (!err) err = write_random_file(out->data, bytes, cancel, ei);
    if (!err) err = sm_metadata_save(out->dir, &meta, ei);
    if (err) temp_set_remove(out);
    return err;
}

sm_err sm_bench_prove_file(const char *dir, uint64_t bytes, uint32_t nonces, unsigned threads, bool direct,
                           double disk_bytes_per_s, const struct sm_cancel *cancel, struct sm_bench_row *out,
                           struct sm_errinfo *ei)
{
    if (threads == 0) threads = sm_cpu_count();
    bytes = bytes / 4096 * 4096;
    struct sm_prove_result *result = malloc(sizeof *result);
    if (!result) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    struct temp_set set;
    struct sm_cancel stop = {false};
    struct pass_watch watch = {.stop = &stop, .outer = cancel};
    struct sm_prove_cfg cfg = {
        .dir = set.dir,
        .params = {.min_num_units = 1,
                   .max_num_units = 1,
                   .labels_per_unit = bytes / SM_LABEL_BYTES,
                   .k1 = 1,
                   .k2 = 100, /* one good label per nonce is expected: a hundred are out of reach */
                   .k3 = 1,
                   .scrypt_n = 8192},
        .nonces = nonces,
        .threads = threads,
        .direct_io = direct,
        .state_dir = "",
        .progress = pass_progress,
        .progress_ctx = &watch,
    };
    memset(cfg.params.pow_difficulty, 0xff, sizeof cfg.params.pow_difficulty);
    sm_err err = temp_set_make(dir, bytes, cancel, &set, ei);
    if (err) goto out;
    err = sm_prove_run(&cfg, &stop, result, ei);
    temp_set_remove(&set);
    if (err == SM_E_CANCELLED && watch.end_ns && !sm_cancelled(cancel)) err = SM_OK;
    if (err) goto out;
    double rate = (double)watch.bytes / ((double)(watch.end_ns - watch.start_ns) / 1e9);
    *out = (struct sm_bench_row){.stage = "prove", .unit = "bytes/s", .threads = threads, .nonces = nonces};
    (void)snprintf(out->device, sizeof out->device, "%.63s", dir);
    (void)snprintf(out->variant, sizeof out->variant, "%s", direct ? "pass, direct" : "pass, page cache");
    out->rate = sm_bench_stat_of(&rate, 1);
    out->bytes_per_s = rate;
    if (direct && disk_bytes_per_s > 0) {
        out->bounds[0] = (struct sm_bench_bound){"disk", disk_bytes_per_s};
        out->bounds_n = 1;
    }
out:
    free(result);
    return err;
}
