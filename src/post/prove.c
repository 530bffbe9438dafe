#include "post/prove_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/blake3.h"
#include "post/datadir.h"
#include "post/difficulty.h"
#include "post/verify.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"
#include "util/text.h"
#include "util/thread.h"
#include "util/u256.h"

/* Ours: some wait for the disk while the batches of others are scanned; measured, bench/RESULTS.md. */
#define READERS_DEFAULT 4u
#define READERS_MAX     64u
#define THREADS_MAX     1024u

void sm_prove_report(struct sm_prover *p)
{
    if (p->cfg->progress) p->cfg->progress(p->cfg->progress_ctx, &p->progress);
}

static sm_err pass_gate(struct sm_prover *p, sm_prove_phase phase, struct sm_errinfo *ei)
{
    return p->cfg->gate ? p->cfg->gate(p->cfg->gate_ctx, phase, ei) : SM_OK;
}

static sm_err check_cfg(const struct sm_prove_cfg *cfg, struct sm_errinfo *ei)
{
    if (cfg->nonces == 0 || cfg->nonces > SM_NONCES_MAX || cfg->nonces % SM_NONCES_PER_GROUP)
        return sm_fail(ei, SM_E_ARG, "%" PRIu32 " nonces per pass: must be a multiple of %u from %u to %u", cfg->nonces,
                       SM_NONCES_PER_GROUP, SM_NONCES_PER_GROUP, SM_NONCES_MAX);
    if (cfg->params.k1 == 0) return sm_fail(ei, SM_E_ARG, "k1 is 0: no label could ever be good");
    if (cfg->params.k2 == 0 || cfg->params.k2 > SM_K2_MAX)
        return sm_fail(ei, SM_E_ARG, "k2 is %" PRIu32 ": must be 1 to %u", cfg->params.k2, SM_K2_MAX);
    if (cfg->threads > THREADS_MAX || cfg->readers > READERS_MAX)
        return sm_fail(ei, SM_E_ARG, "%u threads, %u readers: must be at most %u and %u", cfg->threads, cfg->readers,
                       THREADS_MAX, READERS_MAX);
    if (cfg->cores && cfg->threads == 0) return sm_fail(ei, SM_E_ARG, "pinned cores need their number in `threads`");
    return SM_OK;
}

static sm_err set_difficulties(struct sm_prover *p, struct sm_errinfo *ei)
{
    const struct sm_post_params *params = &p->cfg->params;
    const uint64_t num_labels = p->data.layout.num_labels;
    if (sm_indices_bytes(num_labels, params->k2) > SM_PROOF_INDICES_MAX)
        return sm_fail(ei, SM_E_ARG, "k2 = %" PRIu32 " indices of %u bits are more than the %u bytes a proof may hold",
                       params->k2, sm_index_bits(num_labels), SM_PROOF_INDICES_MAX);
    sm_err err = sm_proving_difficulty(params->k1, num_labels, &p->difficulty, ei);
    if (!err) err = sm_k2pow_difficulty(params->pow_difficulty, p->data.num_units, p->k2pow_difficulty, ei);
    return err;
}

/* What must be the same for a checkpoint to continue. */
static void set_binding(struct sm_prover *p)
{
    const struct sm_post_params *params = &p->cfg->params;
    uint8_t in[32 + 32 + 32 + 4 * 4];
    memcpy(in, p->cfg->challenge.b, 32);
    memcpy(in + 32, p->data.identity, 32);
    memcpy(in + 64, params->pow_difficulty, 32);
    sm_le32_store(in + 96, params->k1);
    sm_le32_store(in + 100, params->k2);
    sm_le32_store(in + 104, params->scrypt_n);
    sm_le32_store(in + 108, p->cfg->nonces);
    sm_blake3_hash(in, sizeof in, p->binding);
}

static sm_err set_paths(struct sm_prover *p, struct sm_errinfo *ei)
{
    const char *dir = p->cfg->state_dir ? p->cfg->state_dir : p->cfg->dir;
    if (!dir[0]) return SM_OK;
    if ((size_t)snprintf(p->state_dir, sizeof p->state_dir, "%s", dir) >= sizeof p->state_dir)
        return sm_fail(ei, SM_E_ARG, "path too long: %s", dir);
    (void)mkdir(p->state_dir, 0700); /* when that fails, writing there does too, and says why */
    char id[SM_HEX_ROOM(5)], name[64];
    (void)snprintf(name, sizeof name, "smesher-proof-%s.checkpoint", sm_hex_encode(p->data.node_id.b, 5, id));
    return sm_io_path(p->checkpoint_path, sizeof p->checkpoint_path, p->state_dir, name, ei);
}

static unsigned readers_per_disk(const struct sm_prove_cfg *cfg, unsigned disks)
{
    const unsigned wanted = cfg->readers ? cfg->readers : READERS_DEFAULT, most = READERS_MAX / disks;
    return wanted < most ? wanted : most ? most : 1;
}

static sm_err prover_init(struct sm_prover *p, const struct sm_prove_cfg *cfg, const struct sm_cancel *cancel,
                          struct sm_errinfo *ei)
{
    p->cfg = cfg;
    p->cancel = cancel;
    p->threads = cfg->threads ? cfg->threads : sm_cpu_count();
    sm_err err = sm_scan_pick(sm_cpu(), cfg->isa, &p->variant, ei);
    if (!err) err = sm_prove_data_open(cfg, &p->data, ei);
    if (!err) p->readers = readers_per_disk(cfg, p->data.disks.lanes_n);
    if (!err) err = set_difficulties(p, ei);
    if (!err) err = set_paths(p, ei);
    if (!err) err = sm_prove_lists_init(&p->pass.lists, cfg->nonces, cfg->params.k2, ei);
    if (!err) err = sm_prove_devices_open(p, ei);
    if (err) return err;
    set_binding(p);
    p->progress.bytes_total = SM_LABEL_BYTES * p->data.layout.num_labels;
    p->progress.expected_hashes = 0x1p256 / sm_u256_to_double(p->k2pow_difficulty);
    return SM_OK;
}

static void prover_fini(struct sm_prover *p)
{
    sm_randomx_close(p->randomx);
    sm_prove_devices_close(p);
    sm_prove_lists_fini(&p->pass.lists);
    sm_prove_data_fini(&p->data);
}

/* Goes to the start of a pass. The lists keep the room of a full pass. */
static void start_pass(struct sm_prover *p, uint32_t number)
{
    struct sm_prove_pass *pass = &p->pass;
    const uint32_t most = p->cfg->nonces, first = number * most;
    pass->number = number;
    pass->first_nonce = first;
    pass->has_pow = p->pow_holds = false;
    pass->next_label = 0;
    pass->lists.nonces = SM_NONCES_MAX - first < most ? SM_NONCES_MAX - first : most;
    pass->lists.longest = 0;
    memset(pass->lists.counts, 0, most * sizeof *pass->lists.counts);
}

static sm_err make_k2pow(struct sm_prover *p, struct sm_errinfo *ei)
{
    const uint64_t start = sm_clock_ns();
    sm_err err = sm_prove_k2pow(p, ei);
    if (err == SM_E_MISMATCH && p->pass.has_pow) {
        sm_log(SM_LOG_WARN, "post", "checkpoint ignored", "reason=\"%s\"", ei ? ei->text : "k2pow");
        p->result.resumed = false;
        p->bad.n = p->progress.bad_labels = 0;
        start_pass(p, 0);
        err = sm_prove_k2pow(p, ei);
    }
    sm_randomx_close(p->randomx); /* the scan takes hours and does not need its memory */
    p->randomx = NULL;
    p->result.k2pow_s += sm_clock_seconds_since(start);
    p->pow_holds = !err;
    return err;
}

static sm_err run_pass(struct sm_prover *p, struct sm_errinfo *ei)
{
    p->progress.pass = p->pass.number;
    p->progress.nonce_first = p->pass.first_nonce;
    p->progress.nonce_end = p->pass.first_nonce + p->pass.lists.nonces;
    p->progress.bytes_done = SM_LABEL_BYTES * p->pass.next_label;
    p->progress.best_count = p->pass.lists.longest;
    sm_err err = SM_OK;
    if (!p->pow_holds) { /* it does when the pass goes on behind bad labels */
        err = pass_gate(p, SM_PROVE_K2POW, ei);
        if (!err) err = make_k2pow(p, ei);
        if (err) return err;
    }
    err = pass_gate(p, SM_PROVE_SCAN, ei);
    if (!err) {
        p->progress.phase = SM_PROVE_SCAN;
        sm_prove_report(p);
        err = sm_prove_scan(p, ei);
    }
    /* Cancelled or failed: what was finished is kept. Found: the proof still has to be verified and delivered. */
    if (err || p->pass.found) sm_prove_checkpoint_save(p);
    return err;
}

static sm_err all_tried(struct sm_prover *p, struct sm_errinfo *ei)
{
    sm_prove_checkpoint_remove(p);
    if (p->bad.n)
        return sm_fail(ei, SM_E_NOTFOUND,
                       "all %u nonces tried, none has %" PRIu32 " good labels without the %" PRIu32
                       " that are wrong on disk; repair the data: smesher verify --dir %s --all --repair",
                       SM_NONCES_MAX, p->cfg->params.k2, p->bad.n, p->cfg->dir);
    return sm_fail(ei, SM_E_NOTFOUND,
                   "all %u nonces tried, none has %" PRIu32
                   " good labels; the data is damaged or not what its metadata says: check it with verify",
                   SM_NONCES_MAX, p->cfg->params.k2);
}

static sm_err run_passes(struct sm_prover *p, struct sm_errinfo *ei)
{
    for (;;) {
        sm_err err = p->pass.found ? SM_OK : run_pass(p, ei); /* a checkpoint may hold the finished proof */
        p->result.passes = p->pass.number + 1;
        if (err || p->pass.found) return err;
        if (p->pass.first_nonce + p->cfg->nonces >= SM_NONCES_MAX) return all_tried(p, ei);
        start_pass(p, p->pass.number + 1);
        sm_prove_checkpoint_save(p);
    }
}

static void set_meta(struct sm_prover *p)
{
    p->result.meta = (struct sm_proof_meta){.node_id = p->data.node_id,
                                            .commitment_atx_id = p->data.commitment_atx_id,
                                            .challenge = p->cfg->challenge,
                                            .num_units = p->data.num_units,
                                            .labels_per_unit = p->data.labels_per_unit};
}

static void set_result(struct sm_prover *p)
{
    struct sm_prove_result *r = &p->result;
    const struct sm_prove_lists *l = &p->pass.lists;
    const uint64_t num_labels = p->data.layout.num_labels;
    r->indices_n = l->k2;
    memcpy(r->indices, &l->labels[(size_t)p->pass.winner * l->k2], l->k2 * sizeof *r->indices);
    r->proof.nonce = p->pass.first_nonce + p->pass.winner;
    r->proof.pow = p->pass.pow[p->pass.winner / SM_NONCES_PER_GROUP];
    r->proof.indices_n = (uint32_t)sm_indices_bytes(num_labels, l->k2);
    sm_indices_pack(r->indices, l->k2, sm_index_bits(num_labels), r->proof.indices);
}

/* Recomputes the chosen labels. `bad`: as sm_verify_find_bad. */
static sm_err judge(struct sm_prover *p, struct sm_verdict *out, uint32_t bad[SM_K2_MAX], uint32_t *bad_n,
                    struct sm_errinfo *ei)
{
    struct sm_randomx_cfg light = p->cfg->randomx;
    light.mode = SM_RANDOMX_LIGHT;
    struct sm_verifier *v = NULL;
    sm_err err = sm_verifier_new(&p->cfg->params, &light, &v, ei);
    if (err) return err;
    const struct sm_verify_job job = {.proof = &p->result.proof, .meta = &p->result.meta, .mode = SM_VERIFY_STRICT};
    err = sm_verify_find_bad(v, &job, out, bad, bad_n, ei);
    sm_verifier_free(v);
    return err;
}

/* This is where damaged data or a wrong N shows. Labels that are wrong on disk are left out then, and *out_valid is false. */
static sm_err verify_result(struct sm_prover *p, bool *out_valid, struct sm_errinfo *ei)
{
    struct sm_verdict verdict = {0};
    uint32_t bad[SM_K2_MAX], bad_n = 0;
    sm_err err = pass_gate(p, SM_PROVE_VERIFY, ei);
    if (err) return err;
    p->progress.phase = SM_PROVE_VERIFY;
    sm_prove_report(p);
    err = judge(p, &verdict, bad, &bad_n, ei);
    if (err) return err;
    *out_valid = verdict.code == SM_VERDICT_VALID;
    if (bad_n) err = sm_prove_leave_out(p, bad, bad_n, ei);
    if (!*out_valid && !bad_n)
        err = sm_fail(ei, SM_E_MISMATCH,
                      "the proof found does not verify: %s; check the metadata and the labels in %s with verify --all",
                      verdict.text, p->cfg->dir);
    if (!err && !*out_valid)
        sm_prove_checkpoint_save(p);
    else if (err == SM_E_MISMATCH)
        sm_prove_checkpoint_remove(p); /* worthless, unlike after other failures */
    return err;
}

/* Each round that does not end leaves labels out, so there are at most SM_PROVE_BAD_MAX. */
static sm_err find_proof(struct sm_prover *p, struct sm_errinfo *ei)
{
    for (;;) {
        sm_err err = run_passes(p, ei);
        if (err) return err;
        set_result(p);
        if (!p->cfg->verify) return SM_OK;
        bool valid = false;
        err = verify_result(p, &valid, ei);
        if (err || valid) return err;
    }
}

/* A crash between delivery and the removal of the checkpoint must not cost a second proof. */
static sm_err recall(struct sm_prover *p, bool *found, struct sm_errinfo *ei)
{
    struct sm_prove_result *r = &p->result;
    struct sm_verdict verdict = {0};
    uint32_t bad[SM_K2_MAX], bad_n = 0;
    sm_err err = p->cfg->recall(p->cfg->deliver_ctx, &r->meta, &r->proof, found, ei);
    if (err || !*found) return err;
    err = judge(p, &verdict, bad, &bad_n, ei);
    if (!err && verdict.code != SM_VERDICT_VALID)
        err = sm_fail(ei, SM_E_MISMATCH, "the proof for this challenge that is already there does not verify: %s",
                      verdict.text);
    const uint64_t num_labels = p->data.layout.num_labels;
    r->indices_n = p->cfg->params.k2;
    if (!err)
        err = sm_indices_unpack(r->proof.indices, r->proof.indices_n, sm_index_bits(num_labels), r->indices_n,
                                r->indices, ei);
    if (!err && sm_prove_checkpoint_load(p)) sm_prove_checkpoint_remove(p);
    return err;
}

static sm_err prove(struct sm_prover *p, struct sm_errinfo *ei)
{
    bool found = false;
    start_pass(p, 0);
    set_meta(p);
    if (p->cfg->recall) {
        const sm_err failed = recall(p, &found, ei);
        if (failed || found) return failed;
    }
    p->result.resumed = sm_prove_checkpoint_load(p);
    sm_err err = find_proof(p, ei);
    if (!err) sm_prove_bad_summary(p);
    if (!err && p->cfg->deliver) err = p->cfg->deliver(p->cfg->deliver_ctx, &p->result, ei);
    if (err) return err;
    sm_prove_checkpoint_remove(p);
    p->progress.phase = SM_PROVE_DONE;
    p->progress.best_count = p->cfg->params.k2;
    sm_prove_report(p);
    return SM_OK;
}

sm_err sm_prove_run(const struct sm_prove_cfg *cfg, const struct sm_cancel *cancel, struct sm_prove_result *out,
                    struct sm_errinfo *ei)
{
    sm_err err = check_cfg(cfg, ei);
    if (err) return err;
    struct sm_dirlock lock = {.fd = -1};
    struct sm_prover *p = calloc(1, sizeof *p);
    if (!p) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    err = sm_dirlock_take(cfg->dir, false, &lock, ei);
    if (err) goto out;
    err = prover_init(p, cfg, cancel, ei);
    if (!err) err = prove(p, ei);
    if (!err) *out = p->result;
    prover_fini(p);
    sm_dirlock_release(&lock);
out:
    free(p);
    return err;
}
