/* Interrupted proofs: cancelled, failed, killed, with a damaged checkpoint. The result must be that of an
 * undisturbed run. */
#include "unit/post/prove_cases.h"

#include <errno.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/blake3.h"
#include "support/faultio.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/io.h"

#define CHECKPOINT "smesher-proof-4d4d4d4d4d.checkpoint" /* node id of case e2e */

/* Case e2e: 127 files, 1.9 MiB. k2pow results are given. */
struct setup {
    struct prove_case c;
    char dir[256], state[256];
    struct sm_prove_cfg cfg;
    struct sm_randomx *rx;
};

static void setup_make(struct setup *s)
{
    s->c = load_case("e2e");
    put_data(&s->c, tmpdir_make(s->dir));
    put_k2pow(&s->c, tmpdir_make(s->state));
    s->cfg = cfg_of(&s->c, s->dir);
    s->cfg.state_dir = s->state;
    s->rx = hold_randomx();
}

static void setup_remove(struct setup *s)
{
    sm_randomx_close(s->rx);
    tmpdir_remove(s->dir);
    tmpdir_remove(s->state);
}

static const char *checkpoint_path(const struct setup *s)
{
    return tmpdir_path(s->state, CHECKPOINT);
}

/* Runs to the end and compares. Returns whether a checkpoint was used. */
static bool finish(const struct setup *s, const char *how)
{
    struct sm_errinfo ei = {0};
    struct sm_prove_result r = {0};
    cr_assert_eq(sm_prove_run(&s->cfg, NULL, &r, &ei), SM_OK, "%s: %s", how, ei.text);
    assert_proof(&s->c, &r, how);
    cr_assert_eq(file_size(checkpoint_path(s)), -1, "%s: the checkpoint is still there", how);
    return r.resumed;
}

/* --- cancel at the k-th read --- */

static struct sm_cancel cancel;
static atomic_uint reads;
static unsigned cancel_at;

static ssize_t counting_pread(int fd, void *buf, size_t n, off_t off)
{
    if (atomic_fetch_add(&reads, 1) + 1 == cancel_at) sm_cancel_request(&cancel);
    return sm_io_libc_ops.pread(fd, buf, n, off);
}

static sm_err run_cancelled_at(const struct setup *s, unsigned k, struct sm_prove_result *r)
{
    struct sm_io_ops ops = sm_io_libc_ops;
    struct sm_errinfo ei = {0};
    ops.pread = counting_pread;
    atomic_store(&reads, 0);
    atomic_store(&cancel.requested, false);
    cancel_at = k;
    sm_io_set_ops(&ops);
    const sm_err err = sm_prove_run(&s->cfg, &cancel, r, &ei);
    sm_io_set_ops(NULL);
    cr_assert(err == SM_OK || err == SM_E_CANCELLED, "read %u: %s", k, ei.text);
    return err;
}

Test(prove_resume, cancelled_anywhere_it_continues)
{
    struct setup s;
    setup_make(&s);
    unsigned resumed = 0;
    for (unsigned k = 1; k < 135; k += 9) {
        char how[32];
        struct sm_prove_result r = {0};
        (void)snprintf(how, sizeof how, "cancelled at read %u", k);
        s.cfg.threads = 1 + k % 3;
        s.cfg.direct_io = k % 2;
        if (run_cancelled_at(&s, k, &r) == SM_OK)
            assert_proof(&s.c, &r, how);
        else
            resumed += finish(&s, how);
    }
    cr_assert_geq(resumed, 5, "%u", resumed);
    setup_remove(&s);
}

/* 25 reads at a time: at most six batches are in flight, so each run gets on. */
Test(prove_resume, cancelled_again_and_again_it_arrives)
{
    struct setup s;
    setup_make(&s);
    struct sm_prove_result r = {0};
    unsigned runs = 1;
    s.cfg.readers = 2; /* with one thread: six slots */
    while (run_cancelled_at(&s, 25, &r) == SM_E_CANCELLED) cr_assert_lt(++runs, 30);
    cr_assert_gt(runs, 3, "%u", runs);
    cr_assert(r.resumed);
    assert_proof(&s.c, &r, "in many pieces");
    setup_remove(&s);
}

/* --- broken disks --- */

Test(prove_resume, a_bad_sector_is_named_and_the_rest_kept)
{
    static const struct {
        const char *file;
        bool direct;
        unsigned threads;
    } cases[] = {{"postdata_0.bin", false, 1}, {"postdata_61.bin", false, 3}, {"postdata_61.bin", true, 2}};
    struct setup s;
    setup_make(&s);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fault_plan plan = {.kinds = FAULT_READ, .fail_at = 1, .fail_forever = true, .fail_errno = EIO};
        (void)snprintf(plan.path_has, sizeof plan.path_has, "%s", cases[i].file);
        struct sm_errinfo ei = {0};
        struct sm_prove_result r = {0};
        s.cfg.direct_io = cases[i].direct;
        s.cfg.threads = cases[i].threads;
        fault_set(&plan);
        cr_assert_eq(sm_prove_run(&s.cfg, NULL, &r, &ei), SM_E_IO);
        fault_clear();
        cr_assert(strstr(ei.text, cases[i].file) && strstr(ei.text, "offset 0"), "%s", ei.text);
        cr_assert(finish(&s, cases[i].file));
    }
    setup_remove(&s);
}

Test(prove_resume, short_and_interrupted_transfers_do_not_matter)
{
    struct setup s;
    setup_make(&s);
    struct sm_errinfo ei = {0};
    struct sm_prove_result r = {0};
    for (unsigned direct = 0; direct < 2; direct++) {
        fault_set(&(struct fault_plan){.eintr = true, .short_max = 777});
        s.cfg.direct_io = direct;
        s.cfg.checkpoint_bytes = 300000;
        cr_assert_eq(sm_prove_run(&s.cfg, NULL, &r, &ei), SM_OK, "%s", ei.text);
        fault_clear();
        assert_proof(&s.c, &r, "short transfers");
    }
    setup_remove(&s);
}

/* No place for checkpoints: a warning, and the proof all the same. */
Test(prove_resume, a_full_disk_costs_the_checkpoint_only)
{
    struct setup s;
    setup_make(&s);
    struct sm_errinfo ei = {0};
    struct sm_prove_result r = {0};
    fault_set(&(struct fault_plan){.has_space = true, .space_bytes = 100});
    s.cfg.checkpoint_bytes = 200000;
    cr_assert_eq(sm_prove_run(&s.cfg, NULL, &r, &ei), SM_OK, "%s", ei.text);
    fault_clear();
    assert_proof(&s.c, &r, "full disk");
    setup_remove(&s);
}

/* A file that shrinks between the check and the reading. */
static int truncating_open(const char *path, int flags, mode_t mode)
{
    if (strstr(path, "postdata_3.bin")) cr_assert_eq(truncate(path, 16000 - 16), 0);
    return sm_io_libc_ops.open(path, flags, mode);
}

Test(prove_resume, a_file_cut_under_our_feet_is_named)
{
    struct setup s;
    setup_make(&s);
    struct sm_errinfo ei = {0};
    struct sm_prove_result r = {0};
    struct sm_io_ops ops = sm_io_libc_ops;
    ops.open = truncating_open;
    sm_io_set_ops(&ops);
    cr_assert_eq(sm_prove_run(&s.cfg, NULL, &r, &ei), SM_E_FORMAT);
    sm_io_set_ops(NULL);
    cr_assert(strstr(ei.text, "postdata_3.bin ends at byte 15984"), "%s", ei.text);
    setup_remove(&s);
}

/* --- kill -9 --- */

/* The child dies before its k-th write, sync or rename; checkpoints are frequent. */
static int run_killed(const struct setup *s, unsigned k)
{
#ifdef __SANITIZE_THREAD__ /* gcc's; clang's dies with a message of its own */
    cr_skip_test("the thread sanitizer cannot follow a forked child that starts threads");
#endif
    const pid_t pid = fork();
    cr_assert_neq(pid, -1);
    if (pid == 0) {
        struct sm_prove_cfg cfg = s->cfg;
        struct sm_prove_result r = {0};
        cfg.checkpoint_bytes = 100000;
        cfg.readers = cfg.threads = 1; /* in order, so that checkpoints are as many every time */
        fault_set(&(struct fault_plan){
            .kinds = FAULT_WRITE | FAULT_SYNC | FAULT_RENAME | FAULT_UNLINK, .crash_at = k, .crash_torn = true});
        _exit(sm_prove_run(&cfg, NULL, &r, NULL) == SM_OK ? 0 : 1);
    }
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

Test(prove_resume, killed_anywhere_it_continues)
{
    struct setup s;
    setup_make(&s);
    unsigned killed = 0, resumed = 0;
    for (unsigned k = 1; k < 200; k += 5) {
        char how[32];
        (void)snprintf(how, sizeof how, "killed at call %u", k);
        const int rc = run_killed(&s, k);
        cr_assert(rc == 0 || rc == FAULT_CRASH_STATUS, "%s: %d", how, rc);
        if (rc == 0) break;
        killed++;
        resumed += finish(&s, how);
    }
    cr_assert_gt(killed, 5, "%u", killed);
    cr_assert_geq(resumed + 2, killed, "%u of %u", resumed, killed); /* before the first checkpoint there is none */
    setup_remove(&s);
}

/* --- delivery --- */

static sm_err full_disk(void *ctx, const struct sm_prove_result *r, struct sm_errinfo *ei)
{
    cr_assert_eq(r->indices_n, ((struct setup *)ctx)->cfg.params.k2);
    return sm_fail(ei, SM_E_NOSPACE, "no room for the proof");
}

/* A proof that could not be stored is not searched for again. */
Test(prove_resume, an_undelivered_proof_is_kept)
{
    struct setup s;
    struct sm_errinfo ei = {0};
    setup_make(&s);
    s.cfg.deliver = full_disk;
    s.cfg.deliver_ctx = &s;
    for (int i = 0; i < 2; i++) {
        struct sm_prove_result r = {0};
        cr_assert_eq(sm_prove_run(&s.cfg, NULL, &r, &ei), SM_E_NOSPACE, "%s", ei.text);
        cr_assert_gt(file_size(checkpoint_path(&s)), 0, "the finished proof is forgotten");
    }
    s.cfg.deliver = NULL;
    struct sm_prove_result r = {0};
    cr_assert_eq(sm_prove_run(&s.cfg, NULL, &r, &ei), SM_OK, "%s", ei.text);
    assert_proof(&s.c, &r, "kept");
    cr_assert(r.resumed && r.bytes_read == 0, "%" PRIu64 " bytes were read again", r.bytes_read);
    cr_assert_eq(file_size(checkpoint_path(&s)), -1);
    setup_remove(&s);
}

/* --- checkpoints that are not what they seem --- */

/* A checkpoint of about half the data; freed by the caller. */
static uint8_t *make_checkpoint(struct setup *s, size_t *n)
{
    struct sm_prove_result r = {0};
    cr_assert_eq(run_cancelled_at(s, 70, &r), SM_E_CANCELLED);
    return file_get(checkpoint_path(s), n);
}

Test(prove_resume, a_damaged_checkpoint_is_ignored)
{
    struct setup s;
    setup_make(&s);
    size_t n = 0;
    uint8_t *good = make_checkpoint(&s, &n), *bad = malloc(n + 1);
    cr_assert(finish(&s, "undamaged"));
    for (size_t at = 0; at < n; at += n / 23) {
        memcpy(bad, good, n);
        bad[at] ^= 0x10;
        file_put(checkpoint_path(&s), bad, n);
        cr_assert_not(finish(&s, "one bit changed"), "byte %zu", at);
    }
    memcpy(bad, good, n);
    bad[n] = 0;
    const size_t sizes[] = {0, 1, 8, 71, 72, n / 2, n - 32, n - 1, n + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        file_put(checkpoint_path(&s), bad, sizes[i]);
        cr_assert_not(finish(&s, "another size"), "%zu bytes", sizes[i]);
    }
    free(good);
    free(bad);
    setup_remove(&s);
}

/* Values that a checksum vouches for but that cannot be: a bug or malice. Offsets as in prove_checkpoint.c. */
Test(prove_resume, an_impossible_checkpoint_is_ignored)
{
    static const struct {
        const char *what;
        size_t offset;
        unsigned bytes;
        uint64_t value;
    } cases[] = {
        {"pass", 40, 4, 1},
        {"pass far away", 40, 4, UINT32_MAX},
        {"first nonce", 44, 4, 32},
        {"nonces", 48, 4, 4096},
        {"nonces 0", 48, 4, 0},
        {"k2", 52, 4, 33},
        {"has pow", 56, 4, 2},
        {"no pow", 56, 4, 0},
        {"position", 64, 8, 126977},
        {"position 0", 64, 8, 0},
        {"pow of group 0", 72, 8, 1000},
        {"pow too large", 72, 8, UINT64_MAX},
        {"count", 88, 4, 32},
        {"count huge", 88, 4, UINT32_MAX},
        {"label", 92, 8, 126975},
    };
    struct setup s;
    setup_make(&s);
    size_t n = 0;
    uint8_t *good = make_checkpoint(&s, &n), *bad = malloc(n);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(bad, good, n);
        if (cases[i].bytes == 4)
            sm_le32_store(bad + cases[i].offset, (uint32_t)cases[i].value);
        else
            sm_le64_store(bad + cases[i].offset, cases[i].value);
        cr_assert_neq(memcmp(bad, good, n), 0, "%s", cases[i].what);
        sm_blake3_hash(bad, n - 32, bad + n - 32);
        file_put(checkpoint_path(&s), bad, n);
        cr_assert_not(finish(&s, cases[i].what), "%s", cases[i].what);
    }
    free(good);
    free(bad);
    setup_remove(&s);
}

Test(prove_resume, a_checkpoint_of_something_else_is_ignored)
{
    struct setup s;
    setup_make(&s);
    size_t n = 0;
    uint8_t *good = make_checkpoint(&s, &n);
    struct sm_errinfo ei = {0};
    struct sm_prove_result r = {0};
    struct sm_prove_cfg other = s.cfg;
    other.challenge.b[31] ^= 1;
    memset(other.params.pow_difficulty, 0xff, 32);
    cr_assert_eq(sm_prove_run(&other, NULL, &r, &ei), SM_OK, "%s", ei.text);
    cr_assert_not(r.resumed, "another challenge");

    file_put(checkpoint_path(&s), good, n);
    other = s.cfg;
    other.nonces = 16;
    cr_assert_eq(sm_prove_run(&other, NULL, &r, &ei), SM_OK, "%s", ei.text);
    cr_assert_not(r.resumed, "other nonces per pass");

    file_put(checkpoint_path(&s), good, n);
    const struct timespec then[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    cr_assert_eq(utimensat(AT_FDCWD, tmpdir_path(s.dir, "postdata_99.bin"), then, 0), 0);
    cr_assert_not(finish(&s, "a file was rewritten"));
    free(good);
    setup_remove(&s);
}

/* --- cancel soon --- */

struct watch {
    struct sm_cancel cancel;
    sm_prove_phase phase;
    uint64_t requested_ns;
};

static void cancel_in_phase(void *ctx, const struct sm_prove_progress *p)
{
    struct watch *w = ctx;
    if (p->phase != w->phase || w->requested_ns || (w->phase == SM_PROVE_K2POW && p->hashes == 0)) return;
    w->requested_ns = sm_clock_ns();
    sm_cancel_request(&w->cancel);
}

/* Promised are 100 ms; a loaded or instrumented machine gets more before the test says it hangs. */
static void assert_soon(const struct watch *w, const char *what)
{
    const double s = sm_clock_seconds_since(w->requested_ns);
    (void)fprintf(stderr, "cancelled during %s after %.0f ms\n", what, 1e3 * s);
    cr_assert(w->requested_ns != 0);
    cr_assert_lt(s, 3.0, "%s", what);
}

Test(prove_resume, cancel_takes_effect_at_once)
{
    struct setup s;
    setup_make(&s);
    struct sm_errinfo ei = {0};
    struct sm_prove_result r = {0};
    struct watch w = {.phase = SM_PROVE_K2POW};
    s.cfg.progress = cancel_in_phase;
    s.cfg.progress_ctx = &w;
    s.cfg.isa = "ref";
    memset(s.cfg.params.pow_difficulty, 0, 31); /* cannot be met */
    cr_assert_eq(sm_prove_run(&s.cfg, &w.cancel, &r, &ei), SM_E_CANCELLED, "%s", ei.text);
    assert_soon(&w, "k2pow");

    /* the slow variant with 256 nonces on full batches: seconds each */
    memset(s.cfg.params.pow_difficulty, 0xff, 32);
    s.c.max_file_size = 4 << 20;
    s.c.labels_per_unit = s.cfg.params.labels_per_unit = 126976;
    s.c.num_units = 1;
    put_metadata(&s.c, s.dir);
    uint8_t *zeros = calloc(1, 16 * 126976);
    file_put(tmpdir_path(s.dir, "postdata_0.bin"), zeros, 16 * 126976);
    free(zeros);
    s.cfg.nonces = 256;
    w = (struct watch){.phase = SM_PROVE_SCAN};
    cr_assert_eq(sm_prove_run(&s.cfg, &w.cancel, &r, &ei), SM_E_CANCELLED, "%s", ei.text);
    assert_soon(&w, "the scan");
    setup_remove(&s);
}
