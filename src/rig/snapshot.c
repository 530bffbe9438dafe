#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rig/rig_impl.h"

#include "crypto/aes.h"
#include "crypto/cpu.h"
#include "util/clock.h"

/* Both clocks at one moment, to turn monotonic times into dates. */
struct moment {
    uint64_t ns;
    int64_t unix_s;
};

static int64_t unix_of(const struct moment *now, uint64_t ns)
{
    if (ns == 0 || ns == SM_SCHED_NEVER) return 0;
    return ns >= now->ns ? now->unix_s + (int64_t)((ns - now->ns) / SM_NS_PER_S)
                         : now->unix_s - (int64_t)((now->ns - ns) / SM_NS_PER_S);
}

static sm_status_phase phase_of(sm_sched_phase p)
{
    switch (p) {
    case SM_SCHED_IDLE:
        return SM_STATUS_IDLE;
    case SM_SCHED_QUEUED:
        return SM_STATUS_QUEUED;
    case SM_SCHED_RANDOMX:
        return SM_STATUS_RANDOMX_INIT;
    case SM_SCHED_K2POW:
        return SM_STATUS_K2POW;
    case SM_SCHED_READING:
        return SM_STATUS_READING;
    case SM_SCHED_VERIFYING:
        return SM_STATUS_VERIFYING;
    case SM_SCHED_DONE:
        return SM_STATUS_DONE;
    case SM_SCHED_FAILED:
        return SM_STATUS_FAILED;
    }
    return SM_STATUS_IDLE;
}

/* The node was there, and said no. */
static bool is_rejection(sm_post_link_reason r)
{
    return r == SM_POST_LINK_NO_COINBASE || r == SM_POST_LINK_DUPLICATE || r == SM_POST_LINK_WRONG_PORT ||
           r == SM_POST_LINK_FORBIDDEN || r == SM_POST_LINK_BAD_DATA || r == SM_POST_LINK_PINGS;
}

static sm_status_link link_of(const struct sm_post_link_state *l)
{
    switch (l->phase) {
    case SM_POST_LINK_STOPPED:
        return SM_STATUS_LINK_STOPPED;
    case SM_POST_LINK_WAITING:
        return is_rejection(l->reason) ? SM_STATUS_LINK_REJECTED : SM_STATUS_LINK_WAITING;
    case SM_POST_LINK_CONNECTING:
    case SM_POST_LINK_OPENING:
        return SM_STATUS_LINK_CONNECTING;
    case SM_POST_LINK_REGISTERED:
        return SM_STATUS_LINK_REGISTERED;
    }
    return SM_STATUS_LINK_STOPPED;
}

static struct sm_status_rate rate_of(const struct sm_meter *m)
{
    return (struct sm_status_rate){.s10 = m->rate[0], .s60 = m->rate[1], .s900 = m->rate[2]};
}

/* Rates are of what goes on; a phase that is over has none. */
static void put_work(struct sm_status_identity *out, const struct sm_sched_view *v, uint32_t nonces,
                     const struct moment *now)
{
    const struct sm_prove_progress *p = &v->progress;
    out->phase = phase_of(v->phase);
    out->paused = v->paused;
    sm_status_text(out->message, sizeof out->message, v->message);
    out->has_challenge = v->has_challenge;
    out->challenge = v->challenge;
    out->pass = p->pass;
    out->nonce_first = p->nonce_first;
    out->nonce_end = p->nonce_end ? p->nonce_end : nonces; /* before its first progress: the pass it will begin with */
    out->groups_done = p->groups_done;
    out->groups_total = p->groups_total;
    out->bytes_done = p->bytes_done;
    out->bytes_total = p->bytes_total;
    if (v->phase == SM_SCHED_READING) out->read_bytes = rate_of(&v->bytes);
    if (v->phase == SM_SCHED_K2POW) out->hashes = rate_of(&v->hashes);
    out->eta_s = v->eta_s;
    out->deadline_unix_s = unix_of(now, v->deadline_ns);
    out->tries = v->tries;
    if (!v->last) return;
    out->last_proof_unix_s = v->last->made_unix_s;
    out->last_fetched = v->last->fetched;
}

static void put_link(struct sm_status_identity *out, const struct sm_post_link_state *l, const struct sm_rig_cfg *cfg,
                     const struct moment *now)
{
    out->link = link_of(l);
    sm_status_text(out->link_reason, sizeof out->link_reason, sm_post_link_reason_name(l->reason));
    sm_status_text(out->link_text, sizeof out->link_text, l->text);
    if (l->address < cfg->node.addresses.n)
        sm_status_text(out->link_address, sizeof out->link_address, cfg->node.addresses.v[l->address]);
    out->link_since_unix_s = unix_of(now, l->since_ns);
    if (l->phase == SM_POST_LINK_WAITING) out->link_retry_unix_s = unix_of(now, l->retry_ns);
}

static struct sm_status_disk *disk_of(struct sm_status_snapshot *s, const char *name)
{
    for (size_t i = 0; i < s->disks_n; i++)
        if (strcmp(s->disks[i].name, name) == 0) return &s->disks[i];
    struct sm_status_disk *d = sm_status_add_disk(s);
    if (d) sm_status_text(d->name, sizeof d->name, name);
    return d;
}

static bool put_disks(struct sm_status_snapshot *s, struct sm_status_identity *out, const struct sm_rig_identity *id,
                      bool waits)
{
    const struct sm_disks *disks = &id->set.disks;
    for (size_t i = 0; i < disks->n && i < SM_STATUS_DISKS_MAX; i++) {
        struct sm_status_disk *d = disk_of(s, disks->name[i]);
        if (!d) return false;
        sm_status_text(out->disks[out->disks_n++], SM_STATUS_NAME_ROOM, disks->name[i]);
        d->rotational = d->rotational || id->set.rotational;
        d->reading += out->phase == SM_STATUS_READING;
        d->waiting += waits;
    }
    return true;
}

static bool put_identity(struct sm_status_snapshot *s, const struct sm_rig_identity *id, const struct sm_rig_cfg *cfg,
                         const struct moment *now)
{
    struct sm_sched_view v;
    struct sm_status_identity *out = sm_status_add_identity(s);
    if (!out) return false;
    sm_sched_look(id->sched, now->ns, &v);
    out->node_id = id->set.node_id;
    sm_status_text(out->name, sizeof out->name, id->set.name);
    sm_status_text(out->dir, sizeof out->dir, id->set.dir);
    out->num_units = id->info.num_units;
    out->labels_per_unit = id->info.labels_per_unit;
    out->disk_errors = id->disk_errors;
    out->bad_labels = id->bad_labels;
    put_work(out, &v, (uint32_t)id->set.nonces, now);
    put_link(out, &id->link, cfg, now);
    return put_disks(s, out, id, v.waits_for_disk);
}

static bool put_skipped(struct sm_status_snapshot *s, const struct sm_rig *r)
{
    for (size_t i = 0; i < r->skipped_n; i++) {
        struct sm_status_skipped *out = sm_status_add_skipped(s);
        if (!out) return false;
        sm_status_text(out->dir, sizeof out->dir, r->skipped[i].dir);
        sm_status_text(out->why, sizeof out->why, r->skipped[i].why);
    }
    return true;
}

/* k2pow runs on the processors. What OpenCL devices scan counts here too: the prover does not tell it apart. */
static bool put_cpu(struct sm_status_snapshot *s, struct sm_sensors *sensors, const char *isa)
{
    const struct sm_scan_variant *v = NULL;
    struct sm_status_device *cpu = sm_status_add_device(s);
    if (!cpu) return false;
    sm_status_text(cpu->id, sizeof cpu->id, "cpu");
    sm_status_text(cpu->name, sizeof cpu->name, sm_cpu()->name);
    if (sm_scan_pick(sm_cpu(), isa, &v, NULL) == SM_OK) sm_status_text(cpu->variant, sizeof cpu->variant, v->name);
    const struct sm_reading now = sm_sensors_read(sensors, "cpu");
    if (now.has_temperature) cpu->temperature_c = now.temperature_c;
    if (now.has_power) cpu->power_w = now.power_w;
    for (size_t i = 0; i < s->identities_n; i++) {
        cpu->bytes_per_s += s->identities[i].read_bytes.s10;
        cpu->hashes_per_s += s->identities[i].hashes.s10;
    }
    return true;
}

static bool put_all(struct sm_rig *r, struct sm_status_snapshot *s, const struct moment *now)
{
    const struct sm_sched_counts c = sm_sched_counts(r->sched);
    const struct sm_rig_cfg *cfg = &r->setup->cfg;
    s->now_unix_s = now->unix_s;
    s->started_unix_s = r->started_unix_s;
    s->counts = (struct sm_status_counts){.proofs_made = c.made,
                                          .proofs_recalled = c.recalled,
                                          .proofs_failed = c.failed,
                                          .proofs_retried = c.retried,
                                          .proofs_delivered = c.delivered};
    sm_status_text(s->network, sizeof s->network, r->setup->params.name);
    memcpy(s->errors, r->errors, sizeof s->errors);
    s->errors_n = r->errors_n;
    for (size_t i = 0; i < r->ids_n; i++)
        if (!r->ids[i]->gone && !put_identity(s, r->ids[i], cfg, now)) return false;
    return put_skipped(s, r) && put_cpu(s, r->sensors, cfg->prove.aes);
}

sm_err sm_rig_snapshot(struct sm_rig *r, struct sm_status_snapshot *out, struct sm_errinfo *ei)
{
    struct sm_status_snapshot s = {0};
    char host[SM_STATUS_TEXT_ROOM] = "";
    (void)gethostname(host, sizeof host - 1);
    sm_status_text(s.host, sizeof s.host, host);
    sm_status_text(s.version, sizeof s.version, SM_VERSION);
    (void)pthread_mutex_lock(&r->mu);
    const struct moment now = {.ns = sm_clock_ns(), .unix_s = sm_clock_wall_s()};
    const bool all = put_all(r, &s, &now);
    (void)pthread_mutex_unlock(&r->mu);
    if (!all) {
        sm_status_snapshot_fini(&s);
        return sm_fail(ei, SM_E_NOMEM, "out of memory");
    }
    *out = s;
    return SM_OK;
}
