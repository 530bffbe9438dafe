/* The rig with threads, but with a prover of the test's: it stands still where the test wants it to. */
#include "crypto/cpu.h"
#include "rig/rig.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "post/metadata.h"
#include "support/dataset.h"
#include "support/tmpdir.h"
#include "util/clock.h"
#include "util/log.h"

#define IDS 3u

/* What the fake prover is doing, under mu; the test waits for it to change. */
static struct world {
    pthread_mutex_t mu;
    pthread_cond_t changed;
    unsigned calls;          /* of the prover */
    unsigned reading, k2pow; /* now */
    unsigned reading_most, overlaps;
    unsigned scans_done;
    bool hold_scan;      /* a pass does not end before this is false */
    bool deaf;           /* nor when it is told to stop */
    sm_err fail;         /* every run ends so */
    uint32_t bad_labels; /* what verification finds */
    unsigned wakes;
    const char *more_config; /* appended to it */
    char devices[64];        /* that the prover was given */
    bool device_only, may_miss;
} w = {.mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void set_bool(bool *at, bool v)
{
    (void)pthread_mutex_lock(&w.mu);
    *at = v;
    (void)pthread_cond_broadcast(&w.changed);
    (void)pthread_mutex_unlock(&w.mu);
}

/* Polls its conditions as the real one polls its cancel flag. */
static void wait_a_little(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += 5000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&w.changed, &w.mu, &ts);
}

static sm_err fake_scan(const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    (void)pthread_mutex_lock(&w.mu);
    w.reading++;
    if (w.reading > w.reading_most) w.reading_most = w.reading;
    (void)pthread_cond_broadcast(&w.changed);
    while (w.hold_scan && (w.deaf || !sm_cancelled(cancel))) wait_a_little();
    if (sm_cancelled(cancel)) err = sm_fail(ei, SM_E_CANCELLED, "stopped");
    w.reading--;
    w.scans_done++;
    (void)pthread_cond_broadcast(&w.changed);
    (void)pthread_mutex_unlock(&w.mu);
    return err;
}

static void fake_k2pow(const struct sm_prove_cfg *cfg)
{
    struct sm_prove_progress p = {.phase = SM_PROVE_K2POW, .groups_total = 1, .expected_hashes = 1};
    (void)pthread_mutex_lock(&w.mu);
    w.k2pow++;
    cr_assert_eq(w.k2pow, 1, "two k2pow at once");
    if (w.reading) w.overlaps++;
    (void)pthread_mutex_unlock(&w.mu);
    cfg->progress(cfg->progress_ctx, &p);
    (void)pthread_mutex_lock(&w.mu);
    w.k2pow--;
    (void)pthread_mutex_unlock(&w.mu);
}

/* The proof rests on bad labels: more of the scan, and another one. */
static sm_err fake_bad_labels(const struct sm_prove_cfg *cfg, const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    const struct sm_prove_progress p = {.phase = SM_PROVE_VERIFY, .bad_labels = w.bad_labels};
    cfg->progress(cfg->progress_ctx, &p);
    sm_err err = cfg->gate(cfg->gate_ctx, SM_PROVE_SCAN, ei);
    if (!err) err = fake_scan(cancel, ei);
    return err ? err : cfg->gate(cfg->gate_ctx, SM_PROVE_VERIFY, ei);
}

static sm_err fake_prove(const struct sm_prove_cfg *cfg, const struct sm_cancel *cancel, struct sm_prove_result *out,
                         struct sm_errinfo *ei)
{
    (void)pthread_mutex_lock(&w.mu);
    w.calls++;
    const sm_err fail = w.fail;
    w.devices[0] = '\0';
    for (size_t i = 0; i < cfg->devices_n; i++) {
        const size_t n = strlen(w.devices);
        (void)snprintf(w.devices + n, sizeof w.devices - n, "[%s]", cfg->devices[i]);
    }
    w.device_only = cfg->device_only;
    w.may_miss = cfg->devices_may_miss;
    (void)pthread_cond_broadcast(&w.changed);
    (void)pthread_mutex_unlock(&w.mu);
    if (fail) return sm_fail(ei, fail, "as ordered");
    sm_err err = cfg->gate(cfg->gate_ctx, SM_PROVE_K2POW, ei);
    if (err) return err;
    fake_k2pow(cfg);
    err = cfg->gate(cfg->gate_ctx, SM_PROVE_SCAN, ei);
    if (!err) err = fake_scan(cancel, ei);
    if (!err) err = cfg->gate(cfg->gate_ctx, SM_PROVE_VERIFY, ei);
    if (!err && w.bad_labels) err = fake_bad_labels(cfg, cancel, ei);
    if (err) return err;
    out->bad_labels = w.bad_labels;
    struct sm_metadata m = {0};
    bool backup;
    cr_assert_eq(sm_metadata_load(cfg->dir, &m, &backup, ei), SM_OK);
    out->meta = (struct sm_proof_meta){.node_id = m.node_id,
                                       .commitment_atx_id = m.commitment_atx_id,
                                       .challenge = cfg->challenge,
                                       .num_units = m.num_units,
                                       .labels_per_unit = m.labels_per_unit};
    sm_metadata_fini(&m);
    out->proof = (struct sm_proof){.nonce = cfg->challenge.b[0], .pow = 7, .indices_n = 1};
    out->passes = 1;
    return cfg->deliver(cfg->deliver_ctx, out, ei);
}

static void wake(void *ctx)
{
    (void)ctx;
    (void)pthread_mutex_lock(&w.mu);
    w.wakes++;
    (void)pthread_cond_broadcast(&w.changed);
    (void)pthread_mutex_unlock(&w.mu);
}

/* ---- setup ---- */

struct setup {
    char dir[256];
    struct sm_rig *rig;
};

static void put_set(const struct setup *s, const char *name, uint8_t node)
{
    char dir[512];
    struct dataset d = dataset_tiny;
    (void)snprintf(dir, sizeof dir, "%s/data/%s", s->dir, name);
    cr_assert_eq(mkdir(dir, 0755), 0);
    d.node_id = node;
    dataset_put(dir, &d);
}

static void configure(const struct setup *s, struct sm_rig_cfg *cfg, const char *extra)
{
    char yaml[2048];
    struct sm_errinfo ei = {0};
    (void)snprintf(yaml, sizeof yaml,
                   "network: tiny\nparams: {labels_per_unit: %llu, k1: 12, k2: 5}\nstate_dir: %s/state\n"
                   "node: {addresses: [\"127.0.0.1:1\"]}\n%s",
                   (unsigned long long)dataset_tiny.labels_per_unit, s->dir, extra);
    sm_rig_cfg_init(cfg);
    cr_assert_eq(sm_rig_cfg_defaults(cfg, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_rig_cfg_parse(cfg, yaml, strlen(yaml), "f.yaml", "", &ei), SM_OK, "%s", ei.text);
}

static void configure_root(const struct setup *s, struct sm_rig_cfg *cfg)
{
    char extra[512];
    (void)snprintf(extra, sizeof extra, "data: {roots: [%s/data]}\n%s", s->dir, w.more_config ? w.more_config : "");
    configure(s, cfg, extra);
}

/* Waits until the search that was ordered has ended, and applies it. */
static void apply(struct setup *s)
{
    struct sm_rig_found found;
    struct sm_errinfo ei = {0};
    (void)pthread_mutex_lock(&w.mu);
    while (!(pthread_mutex_unlock(&w.mu), sm_rig_take_found(s->rig, &found))) {
        (void)pthread_mutex_lock(&w.mu);
        wait_a_little();
    }
    cr_assert_eq(sm_rig_apply(s->rig, &found, &ei), SM_OK, "%s", ei.text);
}

static void start_rig(struct setup *s)
{
    struct sm_rig_cfg cfg;
    struct sm_errinfo ei = {0};
    const struct sm_rig_hooks hooks = {.prove = fake_prove, .wake = wake};
    configure_root(s, &cfg);
    cr_assert_eq(sm_rig_new(&cfg, &hooks, &s->rig, &ei), SM_OK, "%s", ei.text);
    sm_rig_cfg_fini(&cfg);
    sm_rig_rescan(s->rig, false);
    apply(s);
}

static void setup_make(struct setup *s)
{
    static const char *const names[IDS] = {"alpha", "beta", "gamma"};
    (void)tmpdir_make(s->dir);
    char *real = realpath(s->dir, NULL);
    (void)strcpy(s->dir, real);
    free(real);
    sm_log_set_level(SM_LOG_ERROR);
    cr_assert_eq(mkdir(tmpdir_path(s->dir, "data"), 0755), 0);
    for (unsigned i = 0; i < IDS; i++) put_set(s, names[i], (uint8_t)(i + 1));
    start_rig(s);
}

static void stop_rig(struct setup *s)
{
    cr_assert(sm_rig_stop(s->rig, 60 * SM_NS_PER_S));
    sm_rig_free(s->rig);
    s->rig = NULL;
}

static struct sm_rig_identity *at(struct setup *s, size_t i)
{
    struct sm_rig_identity *id = sm_rig_at(s->rig, i);
    cr_assert_not_null(id);
    return id;
}

static struct sm_challenge challenge(uint8_t b)
{
    struct sm_challenge c;
    memset(c.b, b, sizeof c.b);
    return c;
}

static sm_post_answer ask(struct setup *s, size_t i, uint8_t b, struct sm_proof *out)
{
    const struct sm_challenge c = challenge(b);
    struct sm_post_info info;
    struct sm_proof ignored;
    const sm_post_answer a = sm_rig_provider.proof(at(s, i), &c, out ? out : &ignored, &info);
    if (a == SM_POST_DONE) {
        cr_assert_eq(info.node_id.b[0], sm_rig_node_id(at(s, i))->b[0]);
        cr_assert(info.has_nonce);
        cr_assert_eq(info.num_units, dataset_tiny.num_units);
    }
    return a;
}

/* As a node: asks again and again. */
static sm_post_answer ask_until_answered(struct setup *s, size_t i, uint8_t b, struct sm_proof *out)
{
    sm_post_answer a;
    while ((a = ask(s, i, b, out)) == SM_POST_IN_PROGRESS) {
        (void)pthread_mutex_lock(&w.mu);
        wait_a_little();
        (void)pthread_mutex_unlock(&w.mu);
    }
    return a;
}

static void wait_reading(unsigned n)
{
    (void)pthread_mutex_lock(&w.mu);
    while (w.reading != n) wait_a_little();
    (void)pthread_mutex_unlock(&w.mu);
}

/* ---- tests ---- */

Test(rig, all_identities_prove_one_disk_one_reader)
{
    struct setup s;
    struct sm_proof p;
    setup_make(&s);
    set_bool(&w.hold_scan, true);
    for (size_t i = 0; i < IDS; i++) cr_assert_eq(ask(&s, i, 9, NULL), SM_POST_IN_PROGRESS);
    wait_reading(1);
    (void)pthread_mutex_lock(&w.mu);
    while (w.calls < IDS || w.overlaps < IDS - 1) wait_a_little(); /* the k2pow of the others, meanwhile */
    (void)pthread_mutex_unlock(&w.mu);
    set_bool(&w.hold_scan, false);
    for (size_t i = 0; i < IDS; i++) {
        cr_assert_eq(ask_until_answered(&s, i, 9, &p), SM_POST_DONE);
        cr_assert_eq(p.nonce, 9);
    }
    cr_assert_eq(w.reading_most, 1);
    cr_assert_eq(sm_rig_counts(s.rig).made, IDS);
    stop_rig(&s);
    tmpdir_remove(s.dir);
}

Test(rig, a_proof_survives_the_process_and_is_not_made_again)
{
    struct setup s;
    struct sm_proof p;
    const struct sm_challenge c = challenge(5);
    setup_make(&s);
    cr_assert_eq(ask_until_answered(&s, 0, 5, NULL), SM_POST_DONE);
    cr_assert_eq(w.calls, 1);
    stop_rig(&s); /* before anybody fetched it */
    start_rig(&s);
    cr_assert_eq(ask_until_answered(&s, 0, 5, &p), SM_POST_DONE);
    cr_assert_eq(p.nonce, 5);
    cr_assert_eq(w.calls, 1, "made again");
    cr_assert_eq(sm_rig_counts(s.rig).recalled, 1);
    cr_assert_not(sm_rig_all_delivered(s.rig));
    sm_rig_provider.fetched(at(&s, 0), &c);
    cr_assert(sm_rig_all_delivered(s.rig));
    stop_rig(&s); /* what was fetched is on disk now */
    start_rig(&s);
    cr_assert_eq(ask_until_answered(&s, 0, 5, &p), SM_POST_DONE, "fetched proofs are served too");
    cr_assert_eq(w.calls, 1);
    stop_rig(&s);
    tmpdir_remove(s.dir);
}

static int64_t deadline_s(struct setup *s, size_t i)
{
    struct sm_status_snapshot snap;
    cr_assert_eq(sm_rig_snapshot(s->rig, &snap, NULL), SM_OK);
    const int64_t at = snap.identities[i].deadline_unix_s;
    sm_status_snapshot_fini(&snap);
    return at;
}

/* A restart in the last hours of the window does not begin it anew. */
Test(rig, the_deadline_survives_the_process)
{
    struct setup s;
    struct sm_asked asked;
    char dir[600];
    setup_make(&s);
    set_bool(&w.hold_scan, true);
    cr_assert_eq(ask(&s, 0, 5, NULL), SM_POST_IN_PROGRESS);
    const int64_t first = deadline_s(&s, 0);
    const struct sm_node_id id = *sm_rig_node_id(at(&s, 0));
    stop_rig(&s);
    (void)snprintf(dir, sizeof dir, "%s/state/asked", s.dir);
    cr_assert_eq(sm_asked_get(dir, &id, &asked, NULL), SM_OK);
    cr_assert_eq(asked.challenge.b[0], 5);
    const int64_t window = first - asked.unix_s;
    cr_assert(window > 43100 && window <= 43202, "%lld", (long long)window);

    asked.unix_s -= 10000;
    cr_assert_eq(sm_asked_put(dir, &id, &asked, NULL), SM_OK);
    start_rig(&s);
    cr_assert_eq(ask(&s, 0, 5, NULL), SM_POST_IN_PROGRESS);
    const int64_t second = deadline_s(&s, 0);
    cr_assert(second > first - 10003 && second < first - 9997, "%lld", (long long)(second - first));
    cr_assert_eq(ask(&s, 0, 6, NULL), SM_POST_IN_PROGRESS);
    cr_assert_geq(deadline_s(&s, 0), first, "another challenge has its own time");
    stop_rig(&s);

    asked.unix_s = -1; /* a file that says nonsense is as good as none */
    cr_assert_eq(sm_asked_put(dir, &id, &asked, NULL), SM_OK);
    cr_assert_eq(sm_asked_get(dir, &id, &asked, NULL), SM_E_FORMAT);
    sm_log_set_level(SM_LOG_ERROR);
    start_rig(&s);
    cr_assert_eq(ask(&s, 0, 5, NULL), SM_POST_IN_PROGRESS);
    cr_assert_geq(deadline_s(&s, 0), first);
    stop_rig(&s);
    tmpdir_remove(s.dir);
}

Test(rig, a_new_challenge_stops_the_run_of_the_old_one)
{
    struct setup s;
    struct sm_proof p;
    setup_make(&s);
    set_bool(&w.hold_scan, true);
    cr_assert_eq(ask(&s, 0, 1, NULL), SM_POST_IN_PROGRESS);
    wait_reading(1);
    cr_assert_eq(ask(&s, 0, 2, NULL), SM_POST_IN_PROGRESS);
    (void)pthread_mutex_lock(&w.mu);
    while (w.calls < 2) wait_a_little();
    (void)pthread_mutex_unlock(&w.mu);
    set_bool(&w.hold_scan, false);
    cr_assert_eq(ask_until_answered(&s, 0, 2, &p), SM_POST_DONE);
    cr_assert_eq(p.nonce, 2);
    stop_rig(&s);
    tmpdir_remove(s.dir);
}

/* What is missing tonight must not cost a proof. */
Test(rig, devices_scan_if_they_are_there)
{
    static const char *const configs[] = {"", "prove: {devices: \"pci-1,pci-2\", device_only: yes}\n",
                                          "prove: {devices: all}\n"};
    static const char *const devices[] = {"", "[pci-1][pci-2]", ""};
    setenv("SM_OPENCL_LIBRARY", "/nonexistent/libOpenCL.so", 1);
    for (unsigned i = 0; i < 3; i++) {
        struct setup s;
        w.more_config = configs[i];
        setup_make(&s);
        cr_assert_eq(ask_until_answered(&s, 0, 1, NULL), SM_POST_DONE);
        cr_assert_str_eq(w.devices, devices[i]);
        cr_assert_eq(w.device_only, i == 1);
        cr_assert(w.may_miss);
        stop_rig(&s);
        tmpdir_remove(s.dir);
    }
}

Test(rig, failures_are_told_once)
{
    struct setup s;
    setup_make(&s);
    w.fail = SM_E_MISMATCH;
    cr_assert_eq(ask_until_answered(&s, 0, 1, NULL), SM_POST_FAILED);
    w.fail = SM_OK;
    cr_assert_eq(ask_until_answered(&s, 0, 1, NULL), SM_POST_DONE);
    stop_rig(&s);
    tmpdir_remove(s.dir);
}

Test(rig, bad_labels_are_told_until_a_proof_meets_none)
{
    struct setup s;
    struct sm_errinfo ei = {0};
    struct sm_status_snapshot snap = {0};
    setup_make(&s);
    w.bad_labels = 3;
    cr_assert_eq(ask_until_answered(&s, 0, 1, NULL), SM_POST_DONE);
    cr_assert_eq(w.scans_done, 2);
    cr_assert_eq(sm_rig_snapshot(s.rig, &snap, &ei), SM_OK, "%s", ei.text);
    uint32_t bad = 0;
    for (size_t i = 0; i < snap.identities_n; i++) bad += snap.identities[i].bad_labels;
    cr_assert_eq(bad, 3);
    cr_assert_eq(snap.errors_n, 1);
    cr_assert(strstr(snap.errors[0].text, "3 labels on disk are wrong"), "%s", snap.errors[0].text);
    cr_assert(strstr(snap.errors[0].text, "--repair"), "%s", snap.errors[0].text);
    sm_status_snapshot_fini(&snap);
    w.bad_labels = 0;
    cr_assert_eq(ask_until_answered(&s, 0, 2, NULL), SM_POST_DONE);
    cr_assert_eq(sm_rig_snapshot(s.rig, &snap, &ei), SM_OK, "%s", ei.text);
    for (size_t i = 0; i < snap.identities_n; i++) cr_assert_eq(snap.identities[i].bad_labels, 0);
    sm_status_snapshot_fini(&snap);
    stop_rig(&s);
    tmpdir_remove(s.dir);
}

Test(rig, orders_of_the_operator)
{
    struct setup s;
    struct sm_errinfo ei = {0};
    struct sm_status_snapshot snap = {0};
    setup_make(&s);
    set_bool(&w.hold_scan, true);
    cr_assert_eq(ask(&s, 0, 1, NULL), SM_POST_IN_PROGRESS);
    wait_reading(1);
    cr_assert_eq(sm_rig_order_give(s.rig, "nobody", SM_STATUS_PAUSE, &ei), SM_E_NOTFOUND);
    cr_assert_eq(sm_rig_order_give(s.rig, sm_rig_name(at(&s, 0)), SM_STATUS_PAUSE, &ei), SM_OK, "%s", ei.text);
    wait_reading(0);
    cr_assert_eq(ask(&s, 0, 1, NULL), SM_POST_IN_PROGRESS, "a node that asks is not refused");
    cr_assert_eq(sm_rig_snapshot(s.rig, &snap, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(snap.identities_n, IDS);
    cr_assert(snap.identities[0].paused && !snap.identities[1].paused);
    cr_assert(snap.identities[0].nonce_end >= 16, "nonces of the pass to come");
    cr_assert_str_eq(snap.devices[0].name, sm_cpu()->name);
    sm_status_snapshot_fini(&snap);
    cr_assert_eq(sm_rig_order_give(s.rig, "0101010101", SM_STATUS_RESUME, &ei), SM_OK, "%s", ei.text);
    wait_reading(1);
    cr_assert_eq(sm_rig_order_give(s.rig, "all", SM_STATUS_CANCEL, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(ask_until_answered(&s, 0, 1, NULL), SM_POST_FAILED);
    cr_assert_eq(sm_rig_order_give(s.rig, "all", SM_STATUS_CANCEL, &ei), SM_E_REFUSED);
    stop_rig(&s);
    tmpdir_remove(s.dir);
}

Test(rig, data_sets_come_and_go_while_others_prove)
{
    struct setup s;
    char from[512], to[512];
    setup_make(&s);
    set_bool(&w.hold_scan, true);
    cr_assert_eq(ask(&s, 0, 1, NULL), SM_POST_IN_PROGRESS);
    wait_reading(1);
    put_set(&s, "delta", 4);
    (void)snprintf(from, sizeof from, "%s/data/beta", s.dir);
    (void)snprintf(to, sizeof to, "%s/beta", s.dir);
    cr_assert_eq(rename(from, to), 0);
    sm_rig_rescan(s.rig, false);
    apply(&s);
    unsigned gone = 0, served = 0;
    struct sm_rig_identity *id;
    for (size_t i = 0; (id = sm_rig_at(s.rig, i));) {
        if (sm_rig_is_gone(id)) {
            gone++;
            cr_assert(strstr(sm_rig_name(id), "beta"));
            cr_assert(sm_rig_release(id), "nothing runs there");
        } else {
            served++;
            i++;
        }
    }
    cr_assert_eq(gone, 1);
    cr_assert_eq(served, 3);
    cr_assert_eq(w.calls, 1, "the run of alpha was touched");
    wait_reading(1);
    set_bool(&w.hold_scan, false);
    cr_assert_eq(ask_until_answered(&s, 0, 1, NULL), SM_POST_DONE);
    stop_rig(&s);
    tmpdir_remove(s.dir);
}

/* A search for more takes nothing away, unless somebody has asked for everything meanwhile. */
Test(rig, a_search_for_more_only_adds)
{
    struct setup s;
    char from[512], to[512];
    setup_make(&s);
    put_set(&s, "delta", 4);
    (void)snprintf(from, sizeof from, "%s/data/beta", s.dir);
    (void)snprintf(to, sizeof to, "%s/beta", s.dir);
    cr_assert_eq(rename(from, to), 0);
    sm_rig_rescan(s.rig, true);
    apply(&s);
    cr_assert_not_null(sm_rig_at(s.rig, IDS), "delta is served");
    for (size_t i = 0; i <= IDS; i++) cr_assert_not(sm_rig_is_gone(at(&s, i)), "%s", sm_rig_name(at(&s, i)));
    sm_rig_rescan(s.rig, false);
    sm_rig_rescan(s.rig, true);
    apply(&s);
    unsigned gone = 0;
    for (size_t i = 0; i <= IDS; i++) gone += sm_rig_is_gone(at(&s, i));
    cr_assert_eq(gone, 1);
    stop_rig(&s);
    tmpdir_remove(s.dir);
}

Test(rig, a_set_that_goes_while_it_proves_is_released_later)
{
    struct setup s;
    char from[512], to[512];
    setup_make(&s);
    set_bool(&w.hold_scan, true);
    cr_assert_eq(ask(&s, 0, 1, NULL), SM_POST_IN_PROGRESS);
    wait_reading(1);
    (void)snprintf(from, sizeof from, "%s/data/alpha", s.dir);
    (void)snprintf(to, sizeof to, "%s/alpha", s.dir);
    cr_assert_eq(rename(from, to), 0);
    sm_rig_rescan(s.rig, false);
    apply(&s);
    struct sm_rig_identity *id = at(&s, 0);
    cr_assert(sm_rig_is_gone(id));
    (void)pthread_mutex_lock(&w.mu);
    while (!(pthread_mutex_unlock(&w.mu), sm_rig_release(id))) {
        (void)pthread_mutex_lock(&w.mu);
        wait_a_little();
    }
    wait_reading(0);
    stop_rig(&s);
    tmpdir_remove(s.dir);
}

Test(rig, reconfigure_keeps_what_runs)
{
    struct setup s;
    struct sm_rig_cfg cfg;
    struct sm_errinfo ei = {0};
    setup_make(&s);
    set_bool(&w.hold_scan, true);
    cr_assert_eq(ask(&s, 0, 1, NULL), SM_POST_IN_PROGRESS);
    wait_reading(1);
    configure(&s, &cfg, "");
    cr_assert_eq(sm_rig_reconfigure(s.rig, &cfg, &ei), SM_E_FORMAT, "no data is named");
    sm_rig_cfg_fini(&cfg);
    configure_root(&s, &cfg);
    cr_assert_eq(sm_rig_cfg_set(&cfg, "state_dir", "/elsewhere", "test", &ei), SM_OK);
    cr_assert_eq(sm_rig_reconfigure(s.rig, &cfg, &ei), SM_E_ARG);
    sm_rig_cfg_fini(&cfg);
    configure_root(&s, &cfg);
    cr_assert_eq(sm_rig_cfg_set(&cfg, "prove.nonces", "32", "test", &ei), SM_OK);
    cr_assert_eq(sm_rig_reconfigure(s.rig, &cfg, &ei), SM_OK, "%s", ei.text);
    sm_rig_cfg_fini(&cfg);
    cr_assert_eq(sm_rig_config(s.rig)->prove.nonces, 32);
    set_bool(&w.hold_scan, false);
    cr_assert_eq(ask_until_answered(&s, 0, 1, NULL), SM_POST_DONE);
    cr_assert_eq(w.calls, 1);
    stop_rig(&s);
    tmpdir_remove(s.dir);
}

Test(rig, one_state_directory_one_rig)
{
    struct setup s;
    struct sm_rig_cfg cfg;
    struct sm_rig *second = NULL;
    struct sm_errinfo ei = {0};
    const struct sm_rig_hooks hooks = {.prove = fake_prove};
    setup_make(&s);
    configure_root(&s, &cfg);
    cr_assert_eq(sm_rig_new(&cfg, &hooks, &second, &ei), SM_E_BUSY);
    cr_assert(strstr(ei.text, "state_dir"), "%s", ei.text);
    cr_assert_not_null(cfg.state_dir, "the configuration is the caller's again");
    sm_rig_cfg_fini(&cfg);
    stop_rig(&s);
    tmpdir_remove(s.dir);
}

/* A disk that never answers: the rig says so instead of waiting for ever. */
Test(rig, stop_does_not_wait_for_ever)
{
    struct setup s;
    setup_make(&s);
    set_bool(&w.deaf, true);
    set_bool(&w.hold_scan, true);
    cr_assert_eq(ask(&s, 0, 1, NULL), SM_POST_IN_PROGRESS);
    wait_reading(1);
    cr_assert_not(sm_rig_stop(s.rig, 50 * SM_NS_PER_MS));
    set_bool(&w.hold_scan, false); /* it comes back after all */
    stop_rig(&s);
    tmpdir_remove(s.dir);
}
