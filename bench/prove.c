/* bench/prove: one proving pass over a file, against the bare reading of it.
 *
 *   bench_prove DIR [GiB] [threads] [nonces]
 *
 * Writes GiB (default 2) of random labels into DIR, which must not exist, and removes them at the end. Prints, for one
 * to four readers, from the page cache and past it: GiB per second of the pass, and of readers that only read. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/aes.h"
#include "post/metadata.h"
#include "post/prove.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/mem.h"

#define GIB   (1024.0 * 1024.0 * 1024.0)
#define BLOCK ((size_t)1 << 20)

static void check(sm_err err, const struct sm_errinfo *ei)
{
    if (!err) return;
    (void)fprintf(stderr, "bench_prove: %s\n", ei->text);
    exit(1);
}

static void make_data(const char *dir, uint64_t bytes)
{
    struct sm_errinfo ei = {0};
    char path[4096];
    int fd = -1;
    struct sm_mem m;
    if (mkdir(dir, 0700) != 0 || !sm_mem_map(&m, BLOCK, SM_PAGES_NORMAL)) check(SM_E_IO, &(struct sm_errinfo){"mkdir"});
    check(sm_io_path(path, sizeof path, dir, "postdata_0.bin", &ei), &ei);
    check(sm_io_open(path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, &ei), &ei);
    uint64_t x = 88172645463325252u;
    for (uint64_t at = 0; at < bytes; at += BLOCK) {
        for (size_t i = 0; i < BLOCK; i += 8) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            sm_le64_store((uint8_t *)m.p + i, x);
        }
        check(sm_io_pwrite(fd, path, m.p, BLOCK, at, &ei), &ei);
    }
    check(sm_io_sync(fd, path, &ei), &ei);
    sm_io_close(fd);
    sm_mem_unmap(&m);
    const struct sm_metadata meta = {
        .num_units = 1, .labels_per_unit = bytes / 16, .max_file_size = bytes, .has_nonce = true};
    check(sm_metadata_save(dir, &meta, &ei), &ei);
}

/* --- a pass --- */

struct watch {
    struct sm_cancel cancel;
    uint64_t start_ns, end_ns;
};

static void on_progress(void *ctx, const struct sm_prove_progress *p)
{
    struct watch *w = ctx;
    if (p->pass == 0 && p->phase == SM_PROVE_SCAN && !w->start_ns) w->start_ns = sm_clock_ns();
    if (p->pass == 1 && !w->end_ns) {
        w->end_ns = sm_clock_ns();
        sm_cancel_request(&w->cancel);
    }
}

/* One pass that finds nothing: k2 is out of reach. */
static double pass_rate(struct sm_prove_cfg cfg, uint64_t bytes)
{
    struct sm_errinfo ei = {0};
    struct sm_prove_result *r = calloc(1, sizeof *r);
    struct watch w = {0};
    cfg.progress = on_progress;
    cfg.progress_ctx = &w;
    const sm_err err = sm_prove_run(&cfg, &w.cancel, r, &ei);
    if (err == SM_E_NOTFOUND && !w.end_ns)
        w.end_ns = sm_clock_ns(); /* 4096 nonces: there is no second pass */
    else if (err != SM_E_CANCELLED)
        check(err ? err : SM_E_STATE, &ei);
    free(r);
    return (double)bytes / ((double)(w.end_ns - w.start_ns) / (double)SM_NS_PER_S);
}

/* --- only reading --- */

struct reading {
    const char *path;
    uint64_t bytes, next;
    bool direct;
    pthread_mutex_t mu;
};

static void *read_main(void *ctx)
{
    struct reading *r = ctx;
    struct sm_errinfo ei = {0};
    struct sm_mem m;
    int fd = -1;
    check(sm_io_open(r->path, O_RDONLY, 0, &fd, &ei), &ei);
    if (r->direct) (void)sm_io_set_direct(fd, true);
    if (!sm_mem_map(&m, BLOCK, SM_PAGES_NORMAL)) exit(1);
    for (;;) {
        (void)pthread_mutex_lock(&r->mu);
        const uint64_t at = r->next;
        r->next += BLOCK;
        (void)pthread_mutex_unlock(&r->mu);
        if (at >= r->bytes) break;
        check(sm_io_pread_exact(fd, r->path, m.p, BLOCK, at, &ei), &ei);
    }
    sm_mem_unmap(&m);
    sm_io_close(fd);
    return NULL;
}

static double read_rate(const char *path, uint64_t bytes, bool direct, unsigned readers)
{
    struct reading r = {.path = path, .bytes = bytes, .direct = direct, .mu = PTHREAD_MUTEX_INITIALIZER};
    pthread_t t[8];
    const uint64_t start = sm_clock_ns();
    for (unsigned i = 0; i < readers; i++)
        if (pthread_create(&t[i], NULL, read_main, &r) != 0) exit(1);
    for (unsigned i = 0; i < readers; i++) (void)pthread_join(t[i], NULL);
    return (double)bytes / sm_clock_seconds_since(start);
}

static void drop(const char *path)
{
    struct sm_errinfo ei = {0};
    int fd = -1;
    check(sm_io_open(path, O_RDONLY, 0, &fd, &ei), &ei);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    sm_io_close(fd);
}

static long resident_mib(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss / 1024;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_prove DIR [GiB] [threads] [nonces]\n");
        return 2;
    }
    const uint64_t bytes = (uint64_t)((argc > 2 ? strtod(argv[2], NULL) : 2) * 1024) * BLOCK;
    struct sm_prove_cfg cfg = {.dir = argv[1],
                               .threads = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1,
                               .nonces = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 128,
                               .state_dir = "",
                               .randomx = {.mode = SM_RANDOMX_LIGHT}};
    cfg.params = (struct sm_post_params){.name = "bench",
                                         .min_num_units = 1,
                                         .max_num_units = 1,
                                         .labels_per_unit = bytes / 16,
                                         .k1 = 1, /* few hits, as on a full-size data set */
                                         .k2 = 100,
                                         .scrypt_n = 8192};
    memset(cfg.params.pow_difficulty, 0xff, 32);
    make_data(argv[1], bytes);
    char path[4096], name[4096];
    (void)snprintf(path, sizeof path, "%s/postdata_0.bin", argv[1]);
    for (unsigned direct = 0; direct < 2; direct++)
        for (cfg.readers = 1; cfg.readers <= 4; cfg.readers *= 2) {
            cfg.direct_io = direct;
            if (direct)
                drop(path);
            else
                (void)read_rate(path, bytes, false, 1);
            const double bare = read_rate(path, bytes, direct, cfg.readers), pass = pass_rate(cfg, bytes);
            printf("prove io=%s readers=%u threads=%u nonces=%u unit=GiB/s pass=%.3f read_only=%.3f rss_mib=%ld\n",
                   direct ? "direct" : "cached", cfg.readers, cfg.threads, cfg.nonces, pass / GIB, bare / GIB,
                   resident_mib());
            (void)fflush(stdout);
        }
    (void)unlink(path);
    static const char *const files[] = {SM_METADATA_FILE, SM_METADATA_BACKUP_FILE, "smesher.lock"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(name, sizeof name, "%s/%s", argv[1], files[i]);
        (void)unlink(name);
    }
    return rmdir(argv[1]) == 0 ? 0 : 1;
}
