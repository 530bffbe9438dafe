#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rig/rig_impl.h"

#include "post/k2pow.h"
#include "post/metadata.h"
#include "util/clock.h"
#include "util/log.h"

#define PRUNE_NS (6 * 3600 * SM_NS_PER_S) /* ours: proofs are kept for weeks */

/* ---- all of these let go of the lock while they touch a disk ---- */

static void refresh(struct sm_rig *r, struct sm_rig_identity *id)
{
    char dir[PATH_MAX], name[SM_RIG_NAME_ROOM];
    struct sm_metadata m = {0};
    struct sm_errinfo ei = {0};
    bool from_backup = false;
    id->refresh_info = false;
    (void)snprintf(dir, sizeof dir, "%s", id->set.dir);
    (void)snprintf(name, sizeof name, "%s", id->set.name);
    (void)pthread_mutex_unlock(&r->mu);
    const sm_err err = sm_metadata_load(dir, &m, &from_backup, &ei);
    (void)pthread_mutex_lock(&r->mu);
    if (err) {
        sm_log(SM_LOG_WARN, "rig", "metadata cannot be read, what was read before is shown", "identity=%s error=\"%s\"",
               name, ei.text);
        return;
    }
    if (memcmp(m.node_id.b, id->info.node_id.b, 32) == 0)
        id->info = (struct sm_post_info){.node_id = m.node_id,
                                         .commitment_atx_id = m.commitment_atx_id,
                                         .has_nonce = m.has_nonce,
                                         .nonce = m.nonce,
                                         .num_units = m.num_units,
                                         .labels_per_unit = m.labels_per_unit};
    sm_metadata_fini(&m);
}

static void store_fetched(struct sm_rig *r, struct sm_rig_identity *id)
{
    const struct sm_stored_proof p = id->fetched;
    struct sm_errinfo ei = {0};
    id->store_fetched = false;
    (void)pthread_mutex_unlock(&r->mu);
    if (sm_proof_store_put(r->store, &p, &ei))
        sm_log(SM_LOG_WARN, "rig", "that the proof was fetched is not stored", "error=\"%s\"", ei.text);
    (void)pthread_mutex_lock(&r->mu);
}

static void store_asked(struct sm_rig *r, struct sm_rig_identity *id)
{
    const struct sm_asked asked = id->set.asked;
    const struct sm_node_id node_id = id->set.node_id;
    struct sm_errinfo ei = {0};
    id->store_asked = false;
    (void)pthread_mutex_unlock(&r->mu);
    if (sm_asked_put(r->asked_dir, &node_id, &asked, &ei))
        sm_log(SM_LOG_WARN, "rig", "after a restart the deadline will count from then", "error=\"%s\"", ei.text);
    (void)pthread_mutex_lock(&r->mu);
}

static void recall_asked(const struct sm_rig *r, struct sm_rig_found *found)
{
    for (size_t i = 0; i < found->sets_n; i++) {
        struct sm_errinfo ei = {0};
        const sm_err err = sm_asked_get(r->asked_dir, &found->sets[i].node_id, &found->sets[i].asked, &ei);
        if (err && err != SM_E_NOTFOUND)
            sm_log(SM_LOG_WARN, "rig", "when a proof was asked for is not known any more", "error=\"%s\"", ei.text);
    }
}

static void search(struct sm_rig *r)
{
    struct rig_setup *setup = sm_rig_setup_get(r);
    struct sm_rig_found found = {0};
    struct sm_errinfo ei = {0};
    const bool adds = !r->rescan_all;
    r->rescan = r->rescan_all = false;
    (void)pthread_mutex_unlock(&r->mu);
    const sm_err err =
        sm_rig_discover(&setup->cfg, &setup->params, &sm_disk_tables_linux, &r->keeper_cancel, &found, &ei);
    if (err && err != SM_E_CANCELLED)
        sm_log(SM_LOG_ERROR, "rig", "search for data sets failed", "error=\"%s\"", ei.text);
    sm_rig_setup_put(setup);
    if (!err) recall_asked(r, &found);
    (void)pthread_mutex_lock(&r->mu);
    if (err) return;
    found.adds = adds && (!r->has_found || r->found.adds); /* one that nobody has taken was about everything */
    sm_rig_found_fini(&r->found);
    r->found = found;
    r->has_found = true;
    r->hooks.wake(r->hooks.ctx);
}

static void prune(struct sm_rig *r)
{
    const uint64_t keep_s = r->setup->cfg.keep_proofs_s;
    struct sm_errinfo ei = {0};
    size_t removed = 0, left = 0;
    (void)pthread_mutex_unlock(&r->mu);
    if (sm_proof_store_prune(r->store, sm_clock_wall_s(), keep_s, &removed, &ei))
        sm_log(SM_LOG_WARN, "rig", "old proofs not removed", "error=\"%s\"", ei.text);
    else if (removed)
        sm_log(SM_LOG_INFO, "rig", "old proofs removed", "proofs=%zu", removed);
    if (sm_k2pow_cache_sweep(r->work_dir, (int64_t)keep_s, &left, &ei))
        sm_log(SM_LOG_WARN, "rig", "old k2pow results not removed", "error=\"%s\"", ei.text);
    (void)pthread_mutex_lock(&r->mu);
}

/* ---- the thread ---- */

/* Work for one identity; false: there is none. The list may change while the lock is open, so one at a time. */
static bool serve_one(struct sm_rig *r)
{
    for (size_t i = 0; i < r->ids_n; i++) {
        struct sm_rig_identity *id = r->ids[i];
        if (!id->refresh_info && !id->store_fetched && !id->store_asked) continue;
        id->keeper_has_it = true;
        if (id->store_fetched)
            store_fetched(r, id);
        else if (id->store_asked)
            store_asked(r, id);
        else
            refresh(r, id);
        id->keeper_has_it = false;
        if (id->gone) r->hooks.wake(r->hooks.ctx);
        return true;
    }
    return false;
}

static void wait_until(struct sm_rig *r, uint64_t ns)
{
    const struct timespec ts = {.tv_sec = (time_t)(ns / SM_NS_PER_S), .tv_nsec = (long)(ns % SM_NS_PER_S)};
    (void)pthread_cond_timedwait(&r->work, &r->mu, &ts);
}

void *sm_rig_keeper_main(void *rig)
{
    struct sm_rig *r = rig;
    uint64_t prune_at = 0;
    (void)pthread_mutex_lock(&r->mu);
    for (;;) {
        const uint64_t now = sm_clock_ns();
        if (serve_one(r)) continue; /* what was fetched is stored even when we stop */
        if (r->stopping) break;
        if (r->rescan) {
            search(r);
        } else if (now >= prune_at) {
            prune_at = now + PRUNE_NS;
            prune(r);
        } else {
            wait_until(r, prune_at);
        }
    }
    r->keeper_left = true;
    (void)pthread_cond_broadcast(&r->ended);
    (void)pthread_mutex_unlock(&r->mu);
    return NULL;
}
