#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rig/rig_impl.h"

#include "post/k2pow.h"
#include "post/metadata.h"
#include "post/scan_devices.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

/* One proof of one identity; lives on its thread's stack. */
struct run {
    struct sm_rig_identity *id;
    struct sm_rig *rig;
    struct rig_setup *setup;
    char dir[PATH_MAX], name[SM_RIG_NAME_ROOM];
    char challenge10[SM_HEX_ROOM(5)];
    struct sm_proof_meta meta;
    uint64_t vrf_nonce;
    uint32_t nonces;
    struct sm_prove_progress progress; /* the last one */
    bool holds_randomx;
    uint64_t phase_ns;             /* when the phase began */
    struct sm_stored_proof stored; /* the result */
    bool recalled;
};

/* ---- RandomX: kept as long as somebody waits for it ---- */

/* The prover has opened what it needs for searching; asking for the light form lends exactly that. */
static void hold_randomx(struct run *run)
{
    struct sm_rig *r = run->rig;
    struct sm_randomx *rx = NULL;
    if (run->holds_randomx) return;
    run->holds_randomx = true;
    if (sm_k2pow_open((struct sm_randomx_cfg){.mode = SM_RANDOMX_LIGHT}, &run->id->cancel, &rx, NULL)) return;
    (void)pthread_mutex_lock(&r->mu);
    struct sm_randomx *old = r->randomx;
    r->randomx = rx;
    (void)pthread_mutex_unlock(&r->mu);
    sm_randomx_close(old);
}

static void drop_randomx(struct sm_rig *r)
{
    struct sm_randomx *old = NULL;
    (void)pthread_mutex_lock(&r->mu);
    if (!sm_sched_wants_randomx(r->sched)) {
        old = r->randomx;
        r->randomx = NULL;
    }
    (void)pthread_mutex_unlock(&r->mu);
    sm_randomx_close(old);
}

/* ---- callbacks of the prover ---- */

static void log_phase(struct run *run, sm_prove_phase phase)
{
    const double s = sm_clock_seconds_since(run->phase_ns);
    const struct sm_prove_progress *p = &run->progress;
    run->phase_ns = sm_clock_ns();
    if (p->phase == SM_PROVE_K2POW && phase == SM_PROVE_SCAN)
        sm_log(SM_LOG_INFO, "rig", "finished k2pow", "identity=%s pass=%" PRIu32 " groups=%" PRIu32 " seconds=%.1f",
               run->name, p->pass, p->groups_done, s);
    if (p->phase == SM_PROVE_SCAN && phase == SM_PROVE_VERIFY)
        sm_log(SM_LOG_INFO, "rig", "finished reading POST data", "identity=%s pass=%" PRIu32 " seconds=%.1f", run->name,
               p->pass, s);
    if (p->phase == SM_PROVE_VERIFY && phase == SM_PROVE_SCAN)
        sm_log(SM_LOG_WARN, "rig", "the proof rested on bad labels, the search goes on without them",
               "identity=%s bad_labels=%" PRIu32, run->name, p->bad_labels);
    if (p->phase == SM_PROVE_SCAN && phase == SM_PROVE_K2POW)
        sm_log(SM_LOG_INFO, "rig", "no proof in this pass, the next one begins",
               "identity=%s pass=%" PRIu32 " best=%" PRIu32 " seconds=%.1f", run->name, p->pass, p->best_count, s);
}

static void log_begin(const struct run *run, sm_prove_phase phase, double waited_s)
{
    static const char *const events[] = {[SM_PROVE_K2POW] = "calculating proof of work",
                                         [SM_PROVE_SCAN] = "started reading POST data",
                                         [SM_PROVE_VERIFY] = "found a proof, verifying it"};
    sm_log(SM_LOG_INFO, "rig", events[phase], "identity=%s challenge=%s waited_s=%.1f", run->name, run->challenge10,
           waited_s);
}

static sm_err at_gate(void *ctx, sm_prove_phase phase, struct sm_errinfo *ei)
{
    struct run *run = ctx;
    struct sm_rig_identity *id = run->id;
    struct sm_rig *r = run->rig;
    log_phase(run, phase);
    (void)pthread_mutex_lock(&r->mu);
    sm_sched_gate(id->sched, phase, sm_clock_ns());
    while (sm_sched_waiting(id->sched) && !sm_cancelled(&id->cancel)) (void)pthread_cond_wait(&id->go, &r->mu);
    (void)pthread_mutex_unlock(&r->mu);
    if (phase != SM_PROVE_K2POW) drop_randomx(r);
    if (sm_cancelled(&id->cancel)) return sm_fail(ei, SM_E_CANCELLED, "proving was stopped before its next phase");
    log_begin(run, phase, sm_clock_seconds_since(run->phase_ns));
    run->phase_ns = sm_clock_ns();
    return SM_OK;
}

/* The prover has logged where they are. Under mu. */
static void note_bad_labels(struct run *run, uint32_t bad_labels)
{
    char text[SM_STATUS_TEXT_ROOM];
    (void)snprintf(text, sizeof text,
                   "%" PRIu32
                   " labels on disk are wrong and left out of the proof, there may be more; the log has their "
                   "places; when the proof is made, repair them: smesher verify --all --repair",
                   bad_labels);
    run->id->bad_labels = bad_labels;
    sm_status_error_put(run->rig->errors, &run->rig->errors_n, sm_clock_wall_s(), run->id->set.name, text);
}

static void on_progress(void *ctx, const struct sm_prove_progress *p)
{
    struct run *run = ctx;
    const bool more_bad = p->bad_labels > run->progress.bad_labels;
    run->progress = *p;
    if (p->phase == SM_PROVE_K2POW && (p->hashes || p->groups_done)) hold_randomx(run);
    (void)pthread_mutex_lock(&run->rig->mu);
    sm_sched_progress(run->id->sched, p, sm_clock_ns());
    if (more_bad) note_bad_labels(run, p->bad_labels);
    (void)pthread_mutex_unlock(&run->rig->mu);
}

/* The proof is on disk before anybody hears of it (OUR-4). */
static sm_err deliver(void *ctx, const struct sm_prove_result *result, struct sm_errinfo *ei)
{
    struct run *run = ctx;
    run->stored = (struct sm_stored_proof){.proof = result->proof,
                                           .meta = result->meta,
                                           .has_vrf_nonce = true,
                                           .vrf_nonce = run->vrf_nonce,
                                           .made_unix_s = sm_clock_wall_s()};
    return sm_proof_store_put(run->rig->store, &run->stored, ei);
}

/* ---- one proof ---- */

/* The metadata as it is now: data may have been grown, or replaced, since it was found. */
static sm_err read_metadata(struct run *run, struct sm_errinfo *ei)
{
    struct sm_metadata m = {0};
    bool from_backup = false;
    sm_err err = sm_metadata_load(run->dir, &m, &from_backup, ei);
    if (err) return err;
    if (memcmp(m.node_id.b, run->id->info.node_id.b, 32) != 0)
        err = sm_fail(ei, SM_E_MISMATCH, "%s now belongs to another identity; reload the rig", run->dir);
    else if (!m.has_nonce)
        err = sm_fail(ei, SM_E_FORMAT, "%s: the metadata has lost its VRF nonce; search it with nonce", run->dir);
    run->meta = (struct sm_proof_meta){.node_id = m.node_id,
                                       .commitment_atx_id = m.commitment_atx_id,
                                       .challenge = run->meta.challenge,
                                       .num_units = m.num_units,
                                       .labels_per_unit = m.labels_per_unit};
    run->vrf_nonce = m.nonce;
    sm_metadata_fini(&m);
    return err;
}

static void keep_info(struct run *run)
{
    (void)pthread_mutex_lock(&run->rig->mu);
    run->id->info = (struct sm_post_info){.node_id = run->meta.node_id,
                                          .commitment_atx_id = run->meta.commitment_atx_id,
                                          .has_nonce = true,
                                          .nonce = run->vrf_nonce,
                                          .num_units = run->meta.num_units,
                                          .labels_per_unit = run->meta.labels_per_unit};
    (void)pthread_mutex_unlock(&run->rig->mu);
}

static void keep_bad_labels(struct run *run, uint32_t bad_labels)
{
    (void)pthread_mutex_lock(&run->rig->mu);
    run->id->bad_labels = bad_labels;
    (void)pthread_mutex_unlock(&run->rig->mu);
}

static sm_randomx_mode mode_of(const struct rig_setup *s)
{
    if (!s->cfg.prove.randomx) return s->params.randomx_fast ? SM_RANDOMX_FAST : SM_RANDOMX_LIGHT;
    return s->cfg.prove.randomx[0] == 'f' ? SM_RANDOMX_FAST : SM_RANDOMX_LIGHT;
}

/* A driver that is gone tonight is no reason to miss a proof. */
static void find_devices(const struct run *run, struct sm_scan_devices *out)
{
    struct sm_errinfo why = {0};
    const char *const text = run->setup->cfg.prove.devices;
    if (text && sm_scan_devices_find(&text, 1, out, &why))
        sm_log(SM_LOG_WARN, "rig", "no device scans, the processors do", "identity=%s devices=%s why=\"%s\"", run->name,
               text, why.text);
}

static sm_err prove(struct run *run, struct sm_errinfo *ei)
{
    const struct rig_setup *s = run->setup;
    struct sm_scan_devices devices = {0};
    struct sm_prove_result *result = calloc(1, sizeof *result);
    if (!result) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    find_devices(run, &devices);
    const struct sm_prove_cfg cfg = {
        .dir = run->dir,
        .challenge = run->meta.challenge,
        .params = s->params,
        .nonces = run->nonces,
        .threads = s->cfg.prove.cores ? (unsigned)s->cfg.prove.cores_n : (unsigned)s->cfg.prove.threads,
        .cores = s->cfg.prove.cores,
        .readers = (unsigned)s->cfg.prove.readers,
        .direct_io = s->cfg.prove.direct_io,
        .isa = s->cfg.prove.aes,
        .devices = (const char *const *)devices.ids,
        .devices_n = devices.n,
        .device_only = s->cfg.prove.device_only,
        .devices_may_miss = true,
        .state_dir = run->rig->work_dir,
        .checkpoint_bytes = s->cfg.prove.checkpoint_bytes,
        .randomx = {.mode = mode_of(s),
                    .large_pages = s->cfg.prove.large_pages,
                    .dataset_file = s->cfg.prove.dataset_file},
        .k2pow = s->k2pow ? sm_pow_remote_source(s->k2pow) : NULL,
        .verify = true,
        .deliver = deliver,
        .deliver_ctx = run,
        .gate = at_gate,
        .gate_ctx = run,
        .progress = on_progress,
        .progress_ctx = run,
    };
    sm_log(SM_LOG_INFO, "rig", "starting proof generation", "identity=%s challenge=%s units=%" PRIu32 " dir=%s",
           run->name, run->challenge10, run->meta.num_units, run->dir);
    sm_err err = run->rig->hooks.prove(&cfg, &run->id->cancel, result, ei);
    if (!err)
        sm_log(SM_LOG_INFO, "rig", "proof is valid and stored",
               "identity=%s challenge=%s nonce=%" PRIu32 " passes=%" PRIu32
               " resumed=%s k2pow_s=%.1f scan_s=%.1f bad_labels=%" PRIu32,
               run->name, run->challenge10, result->proof.nonce, result->passes, result->resumed ? "yes" : "no",
               result->k2pow_s, result->scan_s, result->bad_labels);
    if (!err) keep_bad_labels(run, result->bad_labels);
    sm_scan_devices_free(&devices);
    free(result);
    return err;
}

static sm_err one_proof(struct run *run, struct sm_errinfo *ei)
{
    sm_err err = read_metadata(run, ei);
    if (err) return err;
    keep_info(run);
    err = sm_proof_store_get(run->rig->store, &run->meta, &run->stored, ei);
    run->recalled = err == SM_OK;
    if (run->recalled)
        sm_log(SM_LOG_INFO, "rig", "the stored proof answers", "identity=%s challenge=%s nonce=%" PRIu32, run->name,
               run->challenge10, run->stored.proof.nonce);
    return err == SM_E_NOTFOUND ? prove(run, ei) : err;
}

/* ---- the thread ---- */

static void run_init(struct run *run, struct sm_rig_identity *id)
{
    *run = (struct run){.id = id, .rig = id->rig, .setup = sm_rig_setup_get(id->rig), .phase_ns = sm_clock_ns()};
    (void)snprintf(run->dir, sizeof run->dir, "%s", id->set.dir);
    (void)snprintf(run->name, sizeof run->name, "%s", id->set.name);
    run->nonces = (uint32_t)id->set.nonces;
    run->meta.challenge = id->challenge;
    (void)sm_hex_encode(id->challenge.b, 5, run->challenge10);
    id->again = false;
}

static void log_end(const struct run *run, sm_err err, const char *text)
{
    if (err == SM_E_CANCELLED)
        sm_log(SM_LOG_INFO, "rig", "proving stopped, what was done is kept", "identity=%s challenge=%s", run->name,
               run->challenge10);
    else if (err)
        sm_log(SM_LOG_ERROR, "rig", "proof failed", "identity=%s challenge=%s error=\"%s\"", run->name,
               run->challenge10, text);
}

/* Under mu. */
static void note_error(struct sm_rig_identity *id, sm_err err, const char *text)
{
    id->disk_errors += err == SM_E_IO || err == SM_E_NOSPACE;
    sm_status_error_put(id->rig->errors, &id->rig->errors_n, sm_clock_wall_s(), id->set.name, text);
}

static void *run_main(void *identity)
{
    struct sm_rig_identity *id = identity;
    struct sm_rig *r = id->rig;
    struct run run;
    (void)pthread_mutex_lock(&r->mu);
    do {
        struct sm_errinfo ei = {0};
        run_init(&run, id);
        (void)pthread_mutex_unlock(&r->mu);
        const sm_err err = one_proof(&run, &ei);
        log_end(&run, err, ei.text);
        sm_rig_setup_put(run.setup);
        (void)pthread_mutex_lock(&r->mu);
        if (err && err != SM_E_CANCELLED) note_error(id, err, ei.text);
        sm_sched_ended(
            id->sched,
            &(struct sm_sched_end){.err = err, .text = ei.text, .proof = &run.stored, .recalled = run.recalled},
            sm_clock_ns());
        (void)pthread_mutex_unlock(&r->mu);
        drop_randomx(r);
        (void)pthread_mutex_lock(&r->mu);
    } while (id->again);
    /* From here on the rig may be freed as soon as the thread is joined. */
    id->alive = false;
    (void)pthread_cond_broadcast(&r->ended);
    r->hooks.wake(r->hooks.ctx);
    (void)pthread_mutex_unlock(&r->mu);
    return NULL;
}

/* ---- what the scheduler orders; under mu ---- */

/* A thread that is still at work does the next proof too: it is the one that reports the end of the last. */
static sm_err start(void *ctx, void *owner, const struct sm_challenge *challenge, struct sm_errinfo *ei)
{
    struct sm_rig_identity *id = owner;
    (void)ctx;
    id->challenge = *challenge;
    id->again = true;
    atomic_store(&id->cancel.requested, false);
    if (id->alive) return SM_OK;
    if (id->has_thread) (void)pthread_join(id->thread, NULL); /* it has let go of the lock for the last time */
    id->has_thread = pthread_create(&id->thread, NULL, run_main, id) == 0;
    id->alive = id->has_thread;
    return id->has_thread ? SM_OK : sm_fail(ei, SM_E_NOMEM, "the system refuses to start a thread");
}

static void stop(void *ctx, void *owner)
{
    struct sm_rig_identity *id = owner;
    (void)ctx;
    sm_cancel_request(&id->cancel);
    (void)pthread_cond_signal(&id->go);
}

static void grant(void *ctx, void *owner)
{
    struct sm_rig_identity *id = owner;
    (void)ctx;
    (void)pthread_cond_signal(&id->go);
}

/* For the log, and for the displays, where somebody may look before it is too late. */
static void late(void *ctx, void *owner, double eta_s, double left_s)
{
    const struct sm_rig_identity *id = owner;
    const char *event = left_s > 0 ? "the proof will be late" : "the deadline of the proof has passed";
    char text[SM_STATUS_TEXT_ROOM];
    (void)ctx;
    (void)snprintf(text, sizeof text, "%s: %.1f h more are needed, %.1f h are left", event, eta_s / 3600,
                   left_s / 3600);
    if (eta_s < 0 || left_s <= 0) (void)snprintf(text, sizeof text, "%s, and it is not there", event);
    sm_status_error_put(id->rig->errors, &id->rig->errors_n, sm_clock_wall_s(), id->set.name, text);
    sm_log(SM_LOG_WARN, "rig", event, "identity=%s eta_s=%.0f left_s=%.0f", id->set.name, eta_s, left_s);
}

const struct sm_sched_ops sm_rig_sched_ops = {.start = start, .stop = stop, .grant = grant, .late = late};
