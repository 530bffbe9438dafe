#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/stage.h"
#include "post/verify.h"
#include "util/clock.h"
#include "util/text.h"
#include "util/thread.h"

/* A proof over 2 units of 1024 labels with N, K1 and K2 of the main network: our spec, post.md §6.8, case
 * "testnet-like". Verification costs the same for any size. */
static const char known_indices[] =
    "5db00799700cdb300f181118cd011f2be2238492289cc22eed92305c233696c33bf603469c944ab7a44c"
    "f5745383655ad1e567ea367aa607";

struct known {
    struct sm_post_params params;
    struct sm_proof proof;
    struct sm_proof_meta meta;
};

static sm_err known_make(struct known *k, struct sm_errinfo *ei)
{
    *k = (struct known){
        .params = {.min_num_units = 1,
                   .max_num_units = 2,
                   .labels_per_unit = 1024,
                   .k1 = 26,
                   .k2 = 37,
                   .k3 = 1,
                   .scrypt_n = 8192},
        .proof = {.nonce = 28, .pow = 49, .indices_n = (sizeof known_indices - 1) / 2},
        .meta = {.num_units = 2, .labels_per_unit = 1024},
    };
    memset(k->params.pow_difficulty, 0xff, sizeof k->params.pow_difficulty);
    k->params.pow_difficulty[0] = 0x0f;
    for (uint8_t i = 0; i < 32; i++) {
        k->meta.node_id.b[i] = i;
        k->meta.commitment_atx_id.b[i] = (uint8_t)(0x20 + i);
        k->meta.challenge.b[i] = (uint8_t)(0x40 + i);
    }
    return sm_hex_decode(known_indices, "known proof", k->proof.indices, k->proof.indices_n, ei);
}

static sm_err check_both_ways(struct sm_verifier *v, const struct known *k, struct sm_errinfo *ei)
{
    struct sm_proof bad = k->proof;
    bad.indices[10] ^= 0xf0; /* position 7: another label */
    const struct sm_verify_job good_job = {.proof = &k->proof, .meta = &k->meta, .mode = SM_VERIFY_STRICT};
    const struct sm_verify_job bad_job = {.proof = &bad, .meta = &k->meta, .mode = SM_VERIFY_ALL};
    struct sm_verdict good, wrong;
    sm_err err = sm_verify_one(v, &good_job, &good, ei);
    if (!err) err = sm_verify_one(v, &bad_job, &wrong, ei);
    if (err) return err;
    if (good.code != SM_VERDICT_VALID || wrong.code == SM_VERDICT_VALID)
        return sm_fail(ei, SM_E_DEVICE, "verification is broken on this machine: a valid proof %s, a forged one %s",
                       good.code == SM_VERDICT_VALID ? "passes" : "fails",
                       wrong.code == SM_VERDICT_VALID ? "passes" : "fails");
    return SM_OK;
}

sm_err sm_bench_verify(unsigned threads, double seconds, const struct sm_cancel *cancel, struct sm_bench_row *out,
                       struct sm_errinfo *ei)
{
    if (threads == 0) threads = sm_cpu_count();
    const struct sm_randomx_cfg rx = {.mode = SM_RANDOMX_LIGHT};
    const size_t batch = (size_t)threads * 8;
    struct known k;
    struct sm_verifier *v = NULL;
    double rates[SM_BENCH_SLICES];
    struct sm_verify_job *jobs = calloc(batch, sizeof *jobs);
    struct sm_verdict *verdicts = calloc(batch, sizeof *verdicts);
    sm_err err = jobs && verdicts ? known_make(&k, ei) : sm_fail(ei, SM_E_NOMEM, "out of memory");
    if (err) goto out;
    err = sm_verifier_new(&k.params, &rx, &v, ei);
    if (err) goto out;
    err = check_both_ways(v, &k, ei);
    if (err) goto out;
    for (size_t i = 0; i < batch; i++)
        jobs[i] = (struct sm_verify_job){.proof = &k.proof, .meta = &k.meta, .mode = SM_VERIFY_ALL};
    for (unsigned s = 0; s < SM_BENCH_SLICES; s++) {
        const uint64_t start = sm_clock_ns();
        double done = 0, elapsed;
        do {
            err = sm_verify_many(v, jobs, batch, threads, cancel, verdicts, ei);
            if (err) goto out;
            done += (double)batch;
            elapsed = sm_clock_seconds_since(start);
        } while (elapsed < seconds / SM_BENCH_SLICES);
        rates[s] = done / elapsed;
    }
    *out = (struct sm_bench_row){
        .stage = "verify", .device = "cpu", .variant = "all indices", .unit = "proofs/s", .threads = threads};
    (void)snprintf(out->note, sizeof out->note, "K2 37, N 8192, one light RandomX hash and 37 labels per proof");
    out->rate = sm_bench_stat_of(rates, SM_BENCH_SLICES);
out:
    sm_verifier_free(v);
    free(jobs);
    free(verdicts);
    return err;
}
