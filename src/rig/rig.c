#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "rig/rig_impl.h"

#include "http/server.h"
#include "post/difficulty.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"
#include "util/text.h"
#include "util/u256.h"

#define ASKED_S_MAX   ((int64_t)365 * 86400) /* a question of long ago is another one */
#define ID_DIGITS_MIN 10u                    /* of a node ID, where an operator names an identity */

/* ---- configurations ---- */

struct rig_setup *sm_rig_setup_get(struct sm_rig *r)
{
    (void)atomic_fetch_add(&r->setup->refs, 1);
    return r->setup;
}

void sm_rig_setup_put(struct rig_setup *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
    sm_pow_remote_free(s->k2pow);
    sm_rig_cfg_fini(&s->cfg);
    free(s);
}

static sm_err open_k2pow(const struct sm_rig_cfg *cfg, struct sm_pow_remote **out, struct sm_errinfo *ei)
{
    char *token = NULL;
    if (cfg->k2pow.urls.n == 0) return SM_OK;
    sm_err err = cfg->k2pow.token_file ? sm_http_token_read(cfg->k2pow.token_file, &token, ei) : SM_OK;
    const struct sm_pow_remote_cfg remote = {.urls = (const char *const *)cfg->k2pow.urls.v,
                                             .urls_n = cfg->k2pow.urls.n,
                                             .bearer_token = token,
                                             .ca_file = cfg->k2pow.ca_file,
                                             .parallelism = (unsigned)cfg->k2pow.parallelism,
                                             .backoff_first_ms = (unsigned)cfg->k2pow.backoff_s * 1000,
                                             .fallback_ns = cfg->k2pow.fallback_s * SM_NS_PER_S};
    if (!err) err = sm_pow_remote_new(&remote, out, ei);
    sm_http_token_free(token);
    return err;
}

/* Takes `cfg` over on success. */
static sm_err setup_new(struct sm_rig_cfg *cfg, struct rig_setup **out, struct sm_errinfo *ei)
{
    struct rig_setup *s = calloc(1, sizeof *s);
    if (!s) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    sm_err err = sm_rig_cfg_check(cfg, ei);
    if (!err) err = sm_rig_cfg_params(cfg, &s->params, ei);
    if (!err) err = open_k2pow(cfg, &s->k2pow, ei);
    if (err) {
        free(s);
        return err;
    }
    atomic_init(&s->refs, 1);
    s->cfg = *cfg;
    sm_rig_cfg_init(cfg);
    *out = s;
    return SM_OK;
}

sm_err sm_rig_reconfigure(struct sm_rig *r, struct sm_rig_cfg *cfg, struct sm_errinfo *ei)
{
    struct rig_setup *s = NULL;
    (void)pthread_mutex_lock(&r->mu);
    const bool moved = cfg->state_dir && strcmp(cfg->state_dir, r->setup->cfg.state_dir) != 0;
    (void)pthread_mutex_unlock(&r->mu);
    if (moved) return sm_fail(ei, SM_E_ARG, "state_dir cannot change while the rig runs: restart it");
    sm_err err = setup_new(cfg, &s, ei);
    if (err) return err;
    (void)pthread_mutex_lock(&r->mu);
    struct rig_setup *old = r->setup;
    r->setup = s;
    (void)pthread_mutex_unlock(&r->mu);
    sm_rig_setup_put(old);
    return SM_OK;
}

const struct sm_rig_cfg *sm_rig_config(const struct sm_rig *r)
{
    return &r->setup->cfg; /* changed by this thread alone */
}

/* ---- life ---- */

static void init_cond(pthread_cond_t *c)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(c, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

static void no_wake(void *ctx)
{
    (void)ctx;
}

static sm_err make_dir(const char *dir, struct sm_errinfo *ei)
{
    struct stat st;
    if (mkdir(dir, 0700) == 0 || (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))) return SM_OK;
    return sm_fail_errno(ei, errno, "cannot make %s", dir);
}

static sm_err open_state(struct sm_rig *r, struct sm_errinfo *ei)
{
    const char *dir = r->setup->cfg.state_dir;
    char proofs[PATH_MAX];
    sm_err err = make_dir(dir, ei);
    if (!err) err = sm_dirlock_take(dir, true, &r->lock, ei);
    if (err == SM_E_BUSY) return sm_fail_add(ei, err, "; every rig needs a state_dir of its own");
    if (!err) err = sm_io_path(r->work_dir, sizeof r->work_dir, dir, "work", ei);
    if (!err) err = make_dir(r->work_dir, ei);
    if (!err) err = sm_io_path(r->asked_dir, sizeof r->asked_dir, dir, "asked", ei);
    if (!err) err = make_dir(r->asked_dir, ei);
    if (!err) err = sm_io_path(proofs, sizeof proofs, dir, "proofs", ei);
    if (!err) err = sm_proof_store_open(proofs, &r->store, ei);
    return err;
}

static sm_err start_keeper(struct sm_rig *r, struct sm_errinfo *ei)
{
    r->has_keeper = pthread_create(&r->keeper, NULL, sm_rig_keeper_main, r) == 0;
    return r->has_keeper ? SM_OK : sm_fail(ei, SM_E_NOMEM, "the system refuses to start a thread");
}

sm_err sm_rig_new(struct sm_rig_cfg *cfg, const struct sm_rig_hooks *hooks, struct sm_rig **out, struct sm_errinfo *ei)
{
    struct sm_rig *r = calloc(1, sizeof *r);
    if (!r) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    r->lock = SM_DIRLOCK_NONE;
    r->hooks = *hooks;
    r->started_unix_s = sm_clock_wall_s();
    r->sensors = sm_sensors_new(NULL); /* without memory for it, nothing is shown */
    if (!r->hooks.prove) r->hooks.prove = sm_prove_run;
    if (!r->hooks.wake) r->hooks.wake = no_wake;
    (void)pthread_mutex_init(&r->mu, NULL);
    init_cond(&r->ended);
    init_cond(&r->work);
    struct sm_sched_cfg sched = {.scans_max = (unsigned)cfg->prove.scans_max};
    memcpy(sched.retry_ns, sm_sched_retry_ns, sizeof sched.retry_ns);
    sm_err err = setup_new(cfg, &r->setup, ei);
    if (!err) err = open_state(r, ei);
    if (!err) err = sm_sched_new(&sched, &sm_rig_sched_ops, r, &r->sched, ei);
    if (!err) err = start_keeper(r, ei);
    if (err) {
        if (r->setup) { /* back to the caller */
            *cfg = r->setup->cfg;
            sm_rig_cfg_init(&r->setup->cfg);
        }
        sm_rig_free(r);
        return err;
    }
    *out = r;
    return SM_OK;
}

static bool anybody_left(const struct sm_rig *r)
{
    for (size_t i = 0; i < r->ids_n; i++)
        if (r->ids[i]->alive) return true;
    return r->has_keeper && !r->keeper_left;
}

bool sm_rig_stop(struct sm_rig *r, uint64_t patience_ns)
{
    const uint64_t until = sm_clock_ns() + patience_ns;
    const struct timespec ts = {.tv_sec = (time_t)(until / SM_NS_PER_S), .tv_nsec = (long)(until % SM_NS_PER_S)};
    sm_cancel_request(&r->keeper_cancel);
    (void)pthread_mutex_lock(&r->mu);
    r->stopping = true;
    if (r->sched) sm_sched_shutdown(r->sched);
    (void)pthread_cond_signal(&r->work);
    while (anybody_left(r) && pthread_cond_timedwait(&r->ended, &r->mu, &ts) == 0) {}
    const bool all = !anybody_left(r);
    (void)pthread_mutex_unlock(&r->mu);
    if (!all) return false;
    for (size_t i = 0; i < r->ids_n; i++) {
        if (r->ids[i]->has_thread) (void)pthread_join(r->ids[i]->thread, NULL);
        r->ids[i]->has_thread = false;
    }
    if (r->has_keeper) (void)pthread_join(r->keeper, NULL);
    r->has_keeper = false;
    return true;
}

static void identity_free(struct sm_rig_identity *id)
{
    if (!id) return;
    if (id->has_thread) (void)pthread_join(id->thread, NULL);
    (void)pthread_cond_destroy(&id->go);
    free(id->set.dir);
    free(id);
}

static void forget_skipped(struct sm_rig *r);

void sm_rig_free(struct sm_rig *r)
{
    if (!r) return;
    for (size_t i = 0; i < r->ids_n; i++) identity_free(r->ids[i]);
    free(r->ids);
    sm_sched_free(r->sched);
    sm_sensors_free(r->sensors);
    sm_randomx_close(r->randomx);
    sm_rig_found_fini(&r->found);
    forget_skipped(r);
    sm_proof_store_close(r->store);
    sm_dirlock_release(&r->lock);
    sm_rig_setup_put(r->setup);
    (void)pthread_cond_destroy(&r->work);
    (void)pthread_cond_destroy(&r->ended);
    (void)pthread_mutex_destroy(&r->mu);
    free(r);
}

/* ---- identities ---- */

void sm_rig_rescan(struct sm_rig *r, bool adds)
{
    (void)pthread_mutex_lock(&r->mu);
    r->rescan = true;
    r->rescan_all |= !adds;
    (void)pthread_cond_signal(&r->work);
    (void)pthread_mutex_unlock(&r->mu);
}

bool sm_rig_take_found(struct sm_rig *r, struct sm_rig_found *out)
{
    (void)pthread_mutex_lock(&r->mu);
    const bool has = r->has_found;
    if (has) {
        *out = r->found;
        r->found = (struct sm_rig_found){0};
        r->has_found = false;
    }
    (void)pthread_mutex_unlock(&r->mu);
    return has;
}

/* Of one pass, on average; 0: unknown. */
static double k2pow_hashes(const struct sm_post_params *p, const struct sm_rig_dataset *d)
{
    uint8_t difficulty[32];
    if (sm_k2pow_difficulty(p->pow_difficulty, d->num_units, difficulty, NULL)) return 0;
    const double threshold = sm_u256_to_double(difficulty);
    return threshold > 0 ? 0x1p256 / threshold * ((double)d->nonces / SM_NONCES_PER_GROUP) : 0;
}

static struct sm_sched_identity sched_identity(const struct sm_rig *r, const struct sm_rig_dataset *d)
{
    const int64_t age_s = sm_clock_wall_s() - d->asked.unix_s;
    return (struct sm_sched_identity){.disks = d->disks,
                                      .bytes = SM_LABEL_BYTES * d->num_units * d->labels_per_unit,
                                      .hashes = k2pow_hashes(&r->setup->params, d),
                                      .window_ns = d->window_s * SM_NS_PER_S,
                                      .paused = d->paused,
                                      .was_asked = d->asked.unix_s > 0 && age_s >= 0 && age_s < ASKED_S_MAX,
                                      .asked_for = d->asked.challenge,
                                      .asked_ns = (int64_t)sm_clock_ns() - age_s * (int64_t)SM_NS_PER_S};
}

static void log_served(const char *event, const struct sm_rig_dataset *d)
{
    char id[SM_HEX_ROOM(5)];
    sm_log(SM_LOG_INFO, "rig", event, "identity=%s node_id=%s units=%" PRIu32 " disk=%s%s%s dir=%s", d->name,
           sm_hex_encode(d->node_id.b, 5, id), d->num_units, d->disks.n ? d->disks.name[0] : "?",
           d->disks.n > 1 ? "+" : "", d->rotational ? " rotational=yes" : "", d->dir);
}

static struct sm_post_info info_of(const struct sm_rig_dataset *d)
{
    return (struct sm_post_info){.node_id = d->node_id,
                                 .commitment_atx_id = d->commitment_atx_id,
                                 .has_nonce = true,
                                 .nonce = d->vrf_nonce,
                                 .num_units = d->num_units,
                                 .labels_per_unit = d->labels_per_unit};
}

/* Takes d->dir over on success. */
static sm_err add(struct sm_rig *r, struct sm_rig_dataset *d, struct sm_errinfo *ei)
{
    struct sm_rig_identity **ids = realloc(r->ids, (r->ids_n + 1) * sizeof(struct sm_rig_identity *));
    if (ids) r->ids = ids;
    struct sm_rig_identity *id = ids ? calloc(1, sizeof *id) : NULL;
    if (!id) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    const struct sm_sched_identity what = sched_identity(r, d);
    sm_err err = sm_sched_add(r->sched, &what, id, &id->sched, ei);
    if (err) {
        free(id);
        return err;
    }
    id->rig = r;
    id->set = *d;
    d->dir = NULL;
    id->info = info_of(&id->set);
    (void)memcpy(id->name, id->set.name, sizeof id->name);
    init_cond(&id->go);
    r->ids[r->ids_n++] = id;
    log_served("data set is served", &id->set);
    return SM_OK;
}

static struct sm_rig_identity *find(struct sm_rig *r, const struct sm_node_id *node_id)
{
    for (size_t i = 0; i < r->ids_n; i++)
        if (!r->ids[i]->gone && memcmp(r->ids[i]->set.node_id.b, node_id->b, sizeof node_id->b) == 0) return r->ids[i];
    return NULL;
}

/* The run that is under way keeps its copies of the old settings. */
static void update(struct sm_rig_identity *id, struct sm_rig_dataset *d)
{
    const bool moved = strcmp(id->set.dir, d->dir) != 0;
    if (id->set.asked.unix_s) d->asked = id->set.asked; /* the file may be a moment behind */
    const struct sm_sched_identity what = sched_identity(id->rig, d);
    sm_sched_change(id->sched, &what);
    free(id->set.dir);
    id->set = *d;
    d->dir = NULL;
    id->info = info_of(&id->set);
    (void)memcpy(id->name, id->set.name, sizeof id->name);
    if (moved) log_served("data set has moved", &id->set);
}

static bool is_among(const struct sm_rig_found *f, const struct sm_node_id *node_id)
{
    for (size_t i = 0; i < f->sets_n; i++)
        if (memcmp(f->sets[i].node_id.b, node_id->b, sizeof node_id->b) == 0) return true;
    return false;
}

static void forget_skipped(struct sm_rig *r)
{
    for (size_t i = 0; i < r->skipped_n; i++) {
        free(r->skipped[i].dir);
        free(r->skipped[i].why);
    }
    free(r->skipped);
    r->skipped = NULL;
    r->skipped_n = 0;
}

/* For the displays. */
static void keep_skipped(struct sm_rig *r, struct sm_rig_found *found)
{
    forget_skipped(r);
    r->skipped = found->skipped;
    r->skipped_n = found->skipped_n;
    found->skipped = NULL;
    found->skipped_n = 0;
}

static bool was_skipped(const struct sm_rig *r, const struct sm_rig_skipped *one)
{
    for (size_t i = 0; i < r->skipped_n; i++)
        if (strcmp(r->skipped[i].dir, one->dir) == 0 && strcmp(r->skipped[i].why, one->why) == 0) return true;
    return false;
}

static void retire_others(struct sm_rig *r, const struct sm_rig_found *found)
{
    for (size_t i = 0; i < r->ids_n; i++) {
        struct sm_rig_identity *id = r->ids[i];
        if (id->gone || is_among(found, &id->set.node_id)) continue;
        id->gone = true;
        sm_sched_pause(id->sched);
        log_served("data set is no longer served", &id->set);
    }
}

sm_err sm_rig_apply(struct sm_rig *r, struct sm_rig_found *found, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (size_t i = 0; i < found->skipped_n; i++)
        if (!found->adds || !was_skipped(r, &found->skipped[i]))
            sm_log(SM_LOG_WARN, "rig", "left out", "dir=%s reason=\"%s\"", found->skipped[i].dir,
                   found->skipped[i].why);
    (void)pthread_mutex_lock(&r->mu);
    keep_skipped(r, found);
    if (!found->adds) retire_others(r, found);
    for (size_t i = 0; !err && i < found->sets_n; i++) {
        struct sm_rig_identity *known = find(r, &found->sets[i].node_id);
        if (known)
            update(known, &found->sets[i]);
        else
            err = add(r, &found->sets[i], ei);
    }
    (void)pthread_mutex_unlock(&r->mu);
    sm_rig_found_fini(found);
    return err;
}

struct sm_rig_identity *sm_rig_at(struct sm_rig *r, size_t index)
{
    return index < r->ids_n ? r->ids[index] : NULL;
}

bool sm_rig_is_gone(const struct sm_rig_identity *id)
{
    return id->gone;
}

bool sm_rig_release(struct sm_rig_identity *id)
{
    struct sm_rig *r = id->rig;
    (void)pthread_mutex_lock(&r->mu);
    const bool free_to_go = !id->alive && !id->keeper_has_it && !id->store_fetched && !id->store_asked;
    if (free_to_go) {
        size_t i = 0;
        while (r->ids[i] != id) i++;
        memmove(&r->ids[i], &r->ids[i + 1], (--r->ids_n - i) * sizeof(struct sm_rig_identity *));
        sm_sched_remove(id->sched);
    }
    (void)pthread_mutex_unlock(&r->mu);
    if (free_to_go) identity_free(id);
    return free_to_go;
}

const char *sm_rig_name(const struct sm_rig_identity *id)
{
    return id->name;
}

const struct sm_node_id *sm_rig_node_id(const struct sm_rig_identity *id)
{
    return &id->set.node_id;
}

void **sm_rig_user(struct sm_rig_identity *id)
{
    return &id->user;
}

/* ---- orders ---- */

static bool is_meant(const struct sm_rig_identity *id, const char *which)
{
    char hex[SM_HEX_ROOM(32)];
    const size_t n = strlen(which);
    if (id->gone) return false;
    if (strcmp(which, "all") == 0 || strcmp(which, id->set.name) == 0) return true;
    return n >= ID_DIGITS_MIN && n < sizeof hex &&
           strncmp(which, sm_hex_encode(id->set.node_id.b, sizeof id->set.node_id.b, hex), n) == 0;
}

static bool give(struct sm_rig_identity *id, sm_status_order order)
{
    switch (order) {
    case SM_STATUS_PAUSE:
        sm_sched_pause(id->sched);
        return true;
    case SM_STATUS_RESUME:
        sm_sched_resume(id->sched, sm_clock_ns());
        return true;
    case SM_STATUS_CANCEL:
        return sm_sched_cancel(id->sched);
    }
    return false;
}

sm_err sm_rig_order_give(struct sm_rig *r, const char *which, sm_status_order order, struct sm_errinfo *ei)
{
    static const char *const names[] = {"paused", "resumed", "cancelled"};
    size_t meant = 0, done = 0;
    (void)pthread_mutex_lock(&r->mu);
    for (size_t i = 0; i < r->ids_n; i++) {
        if (!is_meant(r->ids[i], which)) continue;
        meant++;
        if (!give(r->ids[i], order)) continue;
        done++;
        sm_log(SM_LOG_INFO, "rig", "order of the operator", "identity=%s order=%s", r->ids[i]->set.name, names[order]);
    }
    r->hooks.wake(r->hooks.ctx);
    (void)pthread_mutex_unlock(&r->mu);
    if (!meant)
        return sm_fail(ei, SM_E_NOTFOUND,
                       "no identity here is called %.64s: give a name, a node ID of at least %u digits, or all", which,
                       ID_DIGITS_MIN);
    return done ? SM_OK : sm_fail(ei, SM_E_REFUSED, "nothing is asked of %.64s that could be cancelled", which);
}

/* ---- time, views ---- */

uint64_t sm_rig_next_ns(struct sm_rig *r)
{
    (void)pthread_mutex_lock(&r->mu);
    const uint64_t next = sm_sched_next_ns(r->sched);
    (void)pthread_mutex_unlock(&r->mu);
    return next;
}

void sm_rig_tick(struct sm_rig *r)
{
    (void)pthread_mutex_lock(&r->mu);
    sm_sched_tick(r->sched, sm_clock_ns());
    (void)pthread_mutex_unlock(&r->mu);
}

bool sm_rig_all_delivered(struct sm_rig *r)
{
    (void)pthread_mutex_lock(&r->mu);
    const bool all = sm_sched_all_delivered(r->sched);
    (void)pthread_mutex_unlock(&r->mu);
    return all;
}

struct sm_sched_counts sm_rig_counts(struct sm_rig *r)
{
    (void)pthread_mutex_lock(&r->mu);
    const struct sm_sched_counts c = sm_sched_counts(r->sched);
    (void)pthread_mutex_unlock(&r->mu);
    return c;
}
