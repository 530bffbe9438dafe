/* The prover: the same proof from memory, from files, after any crash and after any failing call. */
#include "poet/prover.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"
#include "poet/layers.h"
#include "support/faultio.h"
#include "support/tmpdir.h"

#define LEAVES 700u /* layers 0 and 8 have nodes */

static const uint8_t statement[32] = {1, 2, 3};
static const struct sm_posw_params quick = {.proven_leaves = 20, .depth = 3};

static struct sm_poet_prover_cfg cfg_of(const char *dir, uint64_t checkpoint)
{
    return (struct sm_poet_prover_cfg){
        .params = quick, .statement = {statement, 32}, .dir = dir, .checkpoint_leaves = checkpoint};
}

static struct sm_poet_prover *open_ok(const char *dir, uint64_t checkpoint)
{
    const struct sm_poet_prover_cfg cfg = cfg_of(dir, checkpoint);
    struct sm_poet_prover *p = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_poet_prover_open(&cfg, &p, &ei), SM_OK, "%s", ei.text);
    return p;
}

/* Appends the encoded proof to *w; it must be valid. */
static void proof_of(struct sm_poet_prover *p, struct sm_scale_writer *w)
{
    struct sm_arena arena = {0};
    struct sm_poet_proof proof;
    struct sm_posw_verdict v;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_poet_prover_prove(p, &arena, &proof, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_posw_verify(&quick, (struct sm_slice){statement, 32}, &proof, NULL, &v, &ei), SM_OK);
    cr_assert_eq(v.failed, SM_POSW_VALID, "%s", sm_posw_check_text(v.failed));
    cr_assert_eq(sm_scale_encode(&sm_poet_proof_type, &proof, w, &ei), SM_OK);
    sm_arena_free(&arena);
}

static void add_to(struct sm_poet_prover *p, uint64_t leaves)
{
    struct sm_errinfo ei = {0};
    cr_assert_leq(sm_poet_prover_leaves(p), leaves);
    cr_assert_eq(sm_poet_prover_add(p, leaves - sm_poet_prover_leaves(p), NULL, &ei), SM_OK, "%s", ei.text);
}

static struct sm_scale_writer expected(void)
{
    struct sm_scale_writer w = {0};
    struct sm_poet_prover *p = open_ok(NULL, 0);
    add_to(p, LEAVES);
    proof_of(p, &w);
    sm_poet_prover_close(p);
    return w;
}

static void assert_same(const struct sm_scale_writer *a, const struct sm_scale_writer *b)
{
    cr_assert(a->n == b->n && memcmp(a->p, b->p, a->n) == 0, "another proof");
}

/* Opens the directory, finishes the run and compares. Returns the leaves it began with. */
static uint64_t finish(const char *dir, const struct sm_scale_writer *want)
{
    struct sm_scale_writer got = {0};
    struct sm_poet_prover *p = open_ok(dir, 100);
    const uint64_t first = sm_poet_prover_leaves(p);
    add_to(p, LEAVES);
    proof_of(p, &got);
    assert_same(&got, want);
    sm_poet_prover_close(p);
    sm_scale_writer_fini(&got);
    return first;
}

/* Many counts: the padded edge takes every shape, and every layer is recomputed from the kept ones. */
Test(prover, proofs_of_any_number_of_leaves)
{
    struct sm_poet_prover *p = open_ok(NULL, 0);
    struct sm_arena arena = {0};
    struct sm_poet_proof none;
    add_to(p, 19);
    cr_assert_eq(sm_poet_prover_prove(p, &arena, &none, NULL), SM_E_STATE, "fewer than T leaves");
    for (uint64_t n = 20; n <= 1100; n += n < 70 ? 1 : 37) {
        struct sm_scale_writer w = {0};
        add_to(p, n);
        proof_of(p, &w);
        sm_scale_writer_fini(&w);
    }
    sm_arena_free(&arena);
    sm_poet_prover_close(p);
}

Test(prover, files_give_the_proof_of_memory)
{
    char dir[256];
    tmpdir_make(dir);
    struct sm_scale_writer want = expected();
    cr_assert_eq(finish(dir, &want), 0);
    cr_assert_eq(finish(dir, &want), 700, "every 100 leaves a checkpoint");
    sm_scale_writer_fini(&want);
    tmpdir_remove(dir);
}

/* More leaves than a write buffer holds, so that files are written and read before any checkpoint. */
Test(prover, long_runs_use_the_files)
{
    char dir[256];
    tmpdir_make(dir);
    struct sm_scale_writer a = {0}, b = {0}, c = {0};
    struct sm_poet_prover *m = open_ok(NULL, 0), *f = open_ok(dir, 0);
    add_to(m, 5000);
    add_to(f, 5000);
    cr_assert_gt(file_size(tmpdir_path(dir, "poet-layer-00.bin")), 0);
    proof_of(m, &a);
    proof_of(f, &b);
    assert_same(&a, &b);
    sm_poet_prover_close(f);
    f = open_ok(dir, 0);
    cr_assert_eq(sm_poet_prover_leaves(f), 0, "nothing was checkpointed: the files are longer, which is fine");
    add_to(f, 2500);
    cr_assert_eq(sm_poet_prover_checkpoint(f, NULL), SM_OK);
    sm_poet_prover_close(f);
    f = open_ok(dir, 0);
    cr_assert_eq(sm_poet_prover_leaves(f), 2500);
    add_to(f, 5000);
    proof_of(f, &c);
    assert_same(&a, &c);
    sm_poet_prover_close(f);
    sm_poet_prover_close(m);
    sm_scale_writer_fini(&a);
    sm_scale_writer_fini(&b);
    sm_scale_writer_fini(&c);
    tmpdir_remove(dir);
}

/* Runs to LEAVES with the fault, in another process. 0: it got through; 1: a call returned an error. */
static int run_with_fault(const char *dir, const struct fault_plan *plan)
{
    const pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        const struct sm_poet_prover_cfg cfg = cfg_of(dir, 100);
        struct sm_poet_prover *p = NULL;
        fault_set(plan);
        sm_err err = sm_poet_prover_open(&cfg, &p, NULL);
        if (!err) err = sm_poet_prover_add(p, LEAVES, NULL, NULL);
        if (!err) err = sm_poet_prover_checkpoint(p, NULL);
        _exit(err ? 1 : 0);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* The k-th call fails or kills, for every k until the run gets through; each time it is finished afterwards. */
static void fault_everywhere(struct fault_plan plan, int want_status)
{
    struct sm_scale_writer want = expected();
    uint64_t calls = 0, resumed = 0;
    for (;; calls++) {
        char dir[256];
        tmpdir_make(dir);
        if (want_status == FAULT_CRASH_STATUS)
            plan.crash_at = calls + 1;
        else
            plan.fail_at = calls + 1;
        const int status = run_with_fault(dir, &plan);
        if (status != 0) cr_assert_eq(status, want_status, "call %d", (int)calls + 1);
        resumed += finish(dir, &want) > 0;
        tmpdir_remove(dir);
        if (status == 0 && calls >= 30) break;
        cr_assert_lt(calls, 1000);
    }
    cr_assert_gt(resumed, 10);
    sm_scale_writer_fini(&want);
}

Test(prover, killed_before_every_call)
{
    fault_everywhere((struct fault_plan){.kinds = 0}, FAULT_CRASH_STATUS);
}

Test(prover, killed_inside_every_write)
{
    fault_everywhere((struct fault_plan){.kinds = FAULT_WRITE | FAULT_SYNC | FAULT_RENAME, .crash_torn = true},
                     FAULT_CRASH_STATUS);
}

Test(prover, every_call_fails_once)
{
    fault_everywhere((struct fault_plan){.fail_errno = EIO}, 1);
}

Test(prover, short_transfers_and_interrupts)
{
    char dir[256];
    tmpdir_make(dir);
    struct sm_scale_writer want = expected();
    cr_assert_eq(run_with_fault(dir, &(struct fault_plan){.eintr = true, .short_max = 7}), 0);
    cr_assert_eq(finish(dir, &want), 700);
    sm_scale_writer_fini(&want);
    tmpdir_remove(dir);
}

Test(prover, a_full_disk_breaks_the_prover_not_the_run)
{
    char dir[256];
    tmpdir_make(dir);
    struct sm_scale_writer want = expected();
    struct sm_poet_prover *p = open_ok(dir, 100);
    struct sm_errinfo ei = {0};
    fault_set(&(struct fault_plan){.has_space = true, .space_bytes = 9000});
    cr_assert_eq(sm_poet_prover_add(p, LEAVES, NULL, &ei), SM_E_NOSPACE, "%s", ei.text);
    cr_assert_eq(sm_poet_prover_add(p, 1, NULL, &ei), SM_E_STATE);
    cr_assert_eq(sm_poet_prover_checkpoint(p, &ei), SM_E_STATE);
    fault_clear();
    sm_poet_prover_close(p);
    cr_assert_eq(finish(dir, &want), 200);
    sm_scale_writer_fini(&want);
    tmpdir_remove(dir);
}

static void expect_refusal(const struct sm_poet_prover_cfg *cfg, sm_err want)
{
    struct sm_poet_prover *p = NULL;
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_poet_prover_open(cfg, &p, &ei), want, "%s", ei.text);
    cr_assert_null(p);
    cr_assert_neq(ei.text[0], '\0');
}

Test(prover, refuses_what_is_not_its_run)
{
    char dir[256];
    tmpdir_make(dir);
    struct sm_poet_prover_cfg cfg = cfg_of(dir, 100);
    struct sm_poet_prover *p = open_ok(dir, 100);
    expect_refusal(&cfg, SM_E_BUSY);
    add_to(p, 600);
    sm_poet_prover_close(p);

    static const uint8_t other[32] = {9};
    cfg.statement.p = other;
    expect_refusal(&cfg, SM_E_MISMATCH);
    cfg = cfg_of(dir, 100);
    cfg.params.depth = 4;
    expect_refusal(&cfg, SM_E_MISMATCH);
    cfg = cfg_of(dir, 100);

    const char *layer = tmpdir_path(dir, "poet-layer-00.bin");
    size_t n;
    uint8_t *bytes = file_get(layer, &n);
    cr_assert_eq(n, 600 * 32);
    file_put(layer, bytes, 599 * 32);
    expect_refusal(&cfg, SM_E_MISMATCH); /* shorter than the checkpoint */
    bytes[598 * 32] ^= 1;
    file_put(layer, bytes, n);
    expect_refusal(&cfg, SM_E_MISMATCH); /* the last leaf depends on a node that changed */
    bytes[598 * 32] ^= 1;
    cr_assert_eq(unlink(layer), 0);
    expect_refusal(&cfg, SM_E_MISMATCH);
    file_put(layer, bytes, n);

    const char *state = tmpdir_path(dir, "poet-state.json");
    size_t state_n;
    uint8_t *text = file_get(state, &state_n);
    file_put(state, "{}", 2);
    expect_refusal(&cfg, SM_E_FORMAT);
    cr_assert_eq(unlink(state), 0);
    expect_refusal(&cfg, SM_E_MISMATCH); /* layer files of nobody */
    file_put(state, text, state_n);
    struct sm_scale_writer want = expected();
    cr_assert_eq(finish(dir, &want), 600, "nothing was harmed by all that");
    sm_scale_writer_fini(&want);
    free(text);
    free(bytes);
    tmpdir_remove(dir);
}

Test(prover, cancelled_leaves_count)
{
    struct sm_poet_prover *p = open_ok(NULL, 0);
    struct sm_cancel cancel = {.requested = true};
    cr_assert_eq(sm_poet_prover_add(p, 5, &cancel, NULL), SM_E_CANCELLED);
    cr_assert_eq(sm_poet_prover_leaves(p), 0);
    cr_assert_eq(sm_poet_prover_add(p, 5, NULL, NULL), SM_OK);
    cr_assert_eq(sm_poet_prover_leaves(p), 5);
    sm_poet_prover_close(p);
}
