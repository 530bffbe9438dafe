#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/stage.h"
#include "post/k2pow.h"
#include "util/text.h"
#include "util/thread.h"

struct k2pow_state {
    struct sm_randomx_vm *vm;
    struct sm_k2pow_job job;
    uint64_t next;
};

static void k2pow_teardown(void *p)
{
    struct k2pow_state *s = p;
    if (!s) return;
    sm_randomx_vm_free(s->vm);
    free(s);
}

static sm_err k2pow_setup(void *ctx, unsigned index, void **out, struct sm_errinfo *ei)
{
    struct k2pow_state *s = calloc(1, sizeof *s);
    if (!s) return sm_fail(ei, SM_E_NOMEM, "out of memory for a benchmark thread");
    sm_err err = sm_randomx_vm_new(ctx, &s->vm, ei);
    if (err) {
        free(s);
        return err;
    }
    memset(s->job.node_id.b, 7, sizeof s->job.node_id.b); /* difficulty zero: nothing is ever found */
    s->next = (uint64_t)index << 40;
    *out = s;
    return SM_OK;
}

static double k2pow_step(void *p)
{
    enum { HASHES = 16 };
    struct k2pow_state *s = p;
    uint8_t in[SM_K2POW_INPUT_BYTES], hash[SM_RANDOMX_HASH_BYTES];
    sm_k2pow_input(&s->job, s->next++, in);
    sm_randomx_hash_first(s->vm, in, sizeof in);
    for (unsigned i = 1; i < HASHES; i++) {
        sm_k2pow_input(&s->job, s->next++, in);
        sm_randomx_hash_next(s->vm, in, sizeof in, hash);
    }
    sm_randomx_hash_last(s->vm, hash);
    return HASHES;
}

/* pow 0, group 0, zero challenge and node: our spec, post.md §4.6. */
static sm_err k2pow_known_answer(struct sm_randomx *rx, struct sm_errinfo *ei)
{
    static const char want_hex[] = "42f1af4705a986a364efcdf9d0c98cde07d5d650fc717b5fc6d38dfbdf2c20ef";
    static const struct sm_k2pow_job job;
    uint8_t in[SM_K2POW_INPUT_BYTES], hash[32], want[32];
    struct sm_randomx_vm *vm = NULL;
    sm_err err = sm_hex_decode(want_hex, "known hash", want, sizeof want, ei);
    if (!err) err = sm_randomx_vm_new(rx, &vm, ei);
    if (err) return err;
    sm_k2pow_input(&job, 0, in);
    sm_randomx_hash(vm, in, sizeof in, hash);
    sm_randomx_vm_free(vm);
    if (memcmp(hash, want, sizeof want) != 0)
        return sm_fail(ei, SM_E_DEVICE,
                       "RandomX computes a wrong hash on this machine: check librandomx and the memory");
    return SM_OK;
}

sm_err sm_bench_k2pow(const struct sm_randomx_cfg *cfg, unsigned threads, double seconds,
                      const struct sm_cancel *cancel, struct sm_bench_row *out, struct sm_errinfo *ei)
{
    static const struct sm_bench_team_ops ops = {k2pow_setup, k2pow_teardown};
    if (threads == 0) threads = sm_cpu_count();
    struct sm_randomx *rx = NULL;
    struct sm_bench_team *team = NULL;
    sm_err err = sm_k2pow_open(*cfg, cancel, &rx, ei);
    if (err) goto out;
    err = k2pow_known_answer(rx, ei);
    if (err) goto out;
    err = sm_bench_team_new(&ops, rx, threads, &team, ei);
    if (err) goto out;
    *out = (struct sm_bench_row){.stage = "k2pow", .device = "cpu", .unit = "hashes/s", .threads = threads};
    (void)snprintf(out->variant, sizeof out->variant, "%s",
                   sm_randomx_mode_of(rx) == SM_RANDOMX_FAST ? "fast" : "light");
    (void)snprintf(out->note, sizeof out->note, "%s pages", sm_randomx_pages(rx));
    err = sm_bench_team_measure(team, k2pow_step, NULL, seconds, cancel, &out->rate, NULL, ei);
out:
    sm_bench_team_free(team);
    sm_randomx_close(rx);
    return err;
}
