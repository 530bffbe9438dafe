#include "rig/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "postsvc/client.h"
#include "rig/interface.h"
#include "rig/rig.h"
#include "util/bytes.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/notify.h"

#define STOP_NS       (4500 * SM_NS_PER_MS) /* OUR-14: checkpoint and exit within 5 s */
#define TICK_NS       (5 * SM_NS_PER_S)     /* estimates are looked at this often */
#define RESCAN_MAX_NS (3600 * SM_NS_PER_S)  /* disks that sleep are woken by it */

/* How nodes are reached; made anew when the configuration changes. */
struct links {
    struct sm_rpc_address addresses[SM_POST_ADDRESSES_MAX];
    size_t n;
    struct sm_tls_context *tls;
};

struct daemon {
    const struct sm_rig_daemon_cfg *cfg;
    struct sm_loop *loop;
    struct sm_rig *rig;
    struct links links;
    struct sm_post_carriers carriers; /* of identities that share connections */
    struct sm_rig_interface *interface;
    struct sm_loop_timer tick, rescan;
    uint64_t rescan_ns; /* the next wait; 0: the first */
    struct sm_loop_fd hup, pid;
    int hup_fd, pid_fd;
    struct sm_loop_job wake;
    atomic_bool woken; /* `wake` waits in the loop's queue */
    bool ready;        /* the first search has ended */
    sm_err end;        /* why the loop was stopped, when it is a failure */
    struct sm_errinfo *ei;
};

static void end_with(struct daemon *d, sm_err err)
{
    if (!d->end) d->end = err;
    sm_loop_stop(d->loop);
}

/* ---- connections ---- */

static void links_fini(struct links *l)
{
    sm_tls_context_free(l->tls);
    *l = (struct links){0};
}

static sm_err links_init(struct links *l, const struct sm_rig_cfg *cfg, struct sm_errinfo *ei)
{
    const bool tls = cfg->node.ca_cert != NULL;
    *l = (struct links){0};
    for (; l->n < cfg->node.addresses.n; l->n++) {
        sm_err err = sm_rpc_address_parse(cfg->node.addresses.v[l->n], &l->addresses[l->n], ei);
        if (err) return err;
    }
    if (!tls) return SM_OK;
    const struct sm_tls_cfg files = {.ca = cfg->node.ca_cert, .cert = cfg->node.cert, .key = cfg->node.key};
    return sm_tls_context_new(&files, SM_TLS_CLIENT, &l->tls, ei);
}

/* Identities are the context of their connection's callbacks; the daemon finds itself through a static: one per process,
 * as are signals. */
static struct daemon *the_daemon;

static void given_up(void *ctx, const char *text)
{
    (void)ctx;
    end_with(the_daemon, sm_fail(the_daemon->ei, SM_E_NET, "%s", text));
}

static sm_err connect_identity(struct daemon *d, struct sm_rig_identity *id, struct sm_errinfo *ei)
{
    const struct sm_rig_cfg *cfg = sm_rig_config(d->rig);
    struct sm_post_client *client = NULL;
    const struct sm_post_client_cfg link = {
        .name = sm_rig_name(id),
        .addresses = d->links.addresses,
        .addresses_n = d->links.n,
        .tls = d->links.tls,
        .tls_name = cfg->node.server_name,
        .reconnect_interval_ns = cfg->node.reconnect_interval_s * SM_NS_PER_S,
        .ping_interval_ns = cfg->node.ping_interval_s * SM_NS_PER_S,
        .limited = cfg->node.max_retries != SM_RIG_NO_LIMIT,
        .max_retries = (uint32_t)cfg->node.max_retries,
        .seed = sm_le64_load(sm_rig_node_id(id)->b) ^ sm_clock_ns(),
        .share = cfg->node.share_connection ? &d->carriers : NULL,
        .given_up = given_up,
    };
    sm_err err = sm_post_client_new(d->loop, &link, &sm_rig_provider, id, &client, ei);
    if (err) return err;
    *sm_rig_user(id) = client;
    sm_post_client_start(client);
    return SM_OK;
}

static void disconnect_identity(struct sm_rig_identity *id)
{
    sm_post_client_free(*sm_rig_user(id));
    *sm_rig_user(id) = NULL;
}

static void disconnect_all(struct daemon *d)
{
    struct sm_rig_identity *id;
    for (size_t i = 0; (id = sm_rig_at(d->rig, i)); i++) disconnect_identity(id);
}

/* Everybody who is served has a connection, and nobody else. */
static sm_err match_connections(struct daemon *d, size_t *out_served, struct sm_errinfo *ei)
{
    struct sm_rig_identity *id;
    *out_served = 0;
    for (size_t i = 0; (id = sm_rig_at(d->rig, i));) {
        if (sm_rig_is_gone(id)) {
            disconnect_identity(id);
            if (!sm_rig_release(id)) i++; /* its run still stops */
            continue;
        }
        sm_err err = *sm_rig_user(id) ? SM_OK : connect_identity(d, id, ei);
        if (err) return err;
        (*out_served)++;
        i++;
    }
    return SM_OK;
}

/* ---- events ---- */

static void tell_ready(struct daemon *d, size_t served)
{
    char text[96];
    (void)snprintf(text, sizeof text, "READY=1\nSTATUS=%zu data sets are served", served);
    (void)sm_notify(text);
    if (!d->ready) sm_log(SM_LOG_INFO, "rig", "ready", "identities=%zu", served);
    d->ready = true;
}

static void on_rescan(void *ctx)
{
    struct daemon *d = ctx;
    sm_rig_rescan(d->rig, true);
}

/* A disk may be mounted late, or a copy be under way: what cannot be served now may be later. */
static void plan_rescan(struct daemon *d, size_t skipped)
{
    const uint64_t first_ns = sm_rig_config(d->rig)->data.rescan_s * SM_NS_PER_S;
    if (!skipped || !first_ns) {
        sm_loop_timer_clear(d->loop, &d->rescan);
        return;
    }
    if (!d->rescan_ns) d->rescan_ns = first_ns;
    sm_loop_timer_set(d->loop, &d->rescan, sm_loop_now(d->loop) + d->rescan_ns);
    d->rescan_ns = 2 * d->rescan_ns < RESCAN_MAX_NS ? 2 * d->rescan_ns : RESCAN_MAX_NS;
}

static void after_search(struct daemon *d)
{
    struct sm_rig_found found;
    size_t served = 0;
    if (!sm_rig_take_found(d->rig, &found)) return;
    plan_rescan(d, found.skipped_n);
    sm_err err = sm_rig_apply(d->rig, &found, d->ei);
    if (!err) err = match_connections(d, &served, d->ei);
    if (!err && served == 0 && !d->ready)
        err = sm_fail(d->ei, SM_E_NOTFOUND, "no data set can be served; the reasons are in the log lines above");
    if (err)
        end_with(d, err);
    else
        tell_ready(d, served);
}

static uint64_t soonest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void on_tick(void *ctx)
{
    struct daemon *d = ctx;
    const uint64_t watchdog = sm_notify_watchdog_ns();
    if (watchdog) (void)sm_notify("WATCHDOG=1");
    sm_rig_tick(d->rig);
    uint64_t next = soonest(sm_rig_next_ns(d->rig), sm_loop_now(d->loop) + TICK_NS);
    if (watchdog) next = soonest(next, sm_loop_now(d->loop) + watchdog / 3);
    sm_loop_timer_set(d->loop, &d->tick, next);
}

static void on_wake(void *ctx)
{
    struct daemon *d = ctx;
    size_t served = 0;
    atomic_store(&d->woken, false);
    after_search(d);
    if (d->ready && !d->end) {
        const sm_err err = match_connections(d, &served, d->ei);
        if (err) end_with(d, err);
    }
    if (sm_rig_config(d->rig)->one_shot && sm_rig_all_delivered(d->rig)) {
        sm_log(SM_LOG_INFO, "rig", "everything is delivered, ending as told by one_shot", "%s", "");
        sm_loop_stop(d->loop);
    }
    sm_loop_timer_set(d->loop, &d->tick, soonest(sm_rig_next_ns(d->rig), sm_loop_now(d->loop) + TICK_NS));
}

/* Any thread, under the rig's lock. */
static void wake(void *ctx)
{
    struct daemon *d = ctx;
    if (!atomic_exchange(&d->woken, true)) sm_loop_post_job(d->loop, &d->wake);
}

static void on_watched_end(void *ctx, uint32_t events)
{
    struct daemon *d = ctx;
    (void)events;
    sm_log(SM_LOG_INFO, "rig", "the watched process has ended", "pid=%llu",
           (unsigned long long)sm_rig_config(d->rig)->watch_pid);
    sm_loop_stop(d->loop);
}

/* ---- SIGHUP ---- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_node(const struct sm_rig_cfg *a, const struct sm_rig_cfg *b)
{
    bool same = a->node.addresses.n == b->node.addresses.n && same_text(a->node.ca_cert, b->node.ca_cert) &&
                same_text(a->node.cert, b->node.cert) && same_text(a->node.key, b->node.key) &&
                same_text(a->node.server_name, b->node.server_name) &&
                a->node.reconnect_interval_s == b->node.reconnect_interval_s &&
                a->node.max_retries == b->node.max_retries && a->node.ping_interval_s == b->node.ping_interval_s &&
                a->node.share_connection == b->node.share_connection;
    for (size_t i = 0; same && i < a->node.addresses.n; i++)
        same = same_text(a->node.addresses.v[i], b->node.addresses.v[i]);
    return same;
}

static void warn_restart(const struct sm_rig_cfg *a, const struct sm_rig_cfg *b)
{
    if (!same_text(a->status.listen, b->status.listen) || !same_text(a->status.token_file, b->status.token_file) ||
        a->watch_pid != b->watch_pid || a->prove.scans_max != b->prove.scans_max)
        sm_log(SM_LOG_WARN, "rig", "some changes need a restart", "keys=\"status, watch_pid, prove.scans\"");
}

/* Who waits for the next try may have waited for just this. */
static void retry_now(struct daemon *d)
{
    struct sm_rig_identity *id;
    for (size_t i = 0; (id = sm_rig_at(d->rig, i)); i++) {
        struct sm_post_client *client = *sm_rig_user(id);
        if (!client || sm_post_client_state(client)->phase != SM_POST_LINK_WAITING) continue;
        sm_post_client_stop(client);
        sm_post_client_start(client);
    }
}

/* Certificates that are bad now leave the old ones in use. */
static void reload_tls(struct daemon *d)
{
    struct sm_errinfo ei = {0};
    if (d->links.tls && sm_tls_context_reload(d->links.tls, &ei))
        sm_log(SM_LOG_ERROR, "rig", "certificates not reloaded, the old ones stay", "error=\"%s\"", ei.text);
    retry_now(d);
}

/* All or nothing: what can fail comes before what changes. */
static sm_err reload(struct daemon *d, struct sm_errinfo *ei)
{
    struct sm_rig_cfg cfg;
    struct links links = {0};
    sm_rig_cfg_init(&cfg);
    sm_err err = d->cfg->load(d->cfg->ctx, &cfg, ei);
    const bool relink = !err && !same_node(&cfg, sm_rig_config(d->rig));
    if (relink) err = links_init(&links, &cfg, ei);
    if (!err) warn_restart(&cfg, sm_rig_config(d->rig));
    if (!err) err = sm_rig_reconfigure(d->rig, &cfg, ei);
    if (!err && relink) {
        disconnect_all(d);
        links_fini(&d->links);
        d->links = links;
        links = (struct links){0};
    } else if (!err) {
        reload_tls(d);
    }
    links_fini(&links);
    sm_rig_cfg_fini(&cfg);
    return err;
}

static void on_hup(void *ctx, uint32_t events)
{
    struct daemon *d = ctx;
    struct signalfd_siginfo info;
    struct sm_errinfo ei = {0};
    (void)events;
    if (read(d->hup_fd, &info, sizeof info) != (ssize_t)sizeof info) return;
    (void)sm_notify("RELOADING=1");
    if (reload(d, &ei))
        sm_log(SM_LOG_ERROR, "rig", "configuration not reloaded, nothing has changed", "error=\"%s\"", ei.text);
    else
        sm_log(SM_LOG_INFO, "rig", "configuration reloaded, searching for data sets", "%s", "");
    d->rescan_ns = 0;
    sm_rig_rescan(d->rig, false); /* tells READY=1 when it is done */
}

/* Blocked everywhere, read from a descriptor; a nohup that ignores it would throw it away. */
static sm_err watch_hup(struct daemon *d, struct sm_errinfo *ei)
{
    sigset_t set;
    const struct sigaction action = {.sa_handler = SIG_DFL};
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    d->hup_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (d->hup_fd < 0) return sm_fail_errno(ei, errno, "cannot wait for SIGHUP");
    d->hup = (struct sm_loop_fd){.fn = on_hup, .ctx = d};
    return sm_loop_fd_add(d->loop, &d->hup, d->hup_fd, EPOLLIN, ei);
}

/* A descriptor of the process is not fooled by a number that is used again. */
static sm_err watch_process(struct daemon *d, struct sm_errinfo *ei)
{
    const pid_t pid = (pid_t)sm_rig_config(d->rig)->watch_pid;
    if (!pid) return SM_OK;
    d->pid_fd = pidfd_open(pid, 0);
    if (d->pid_fd < 0 && errno == ESRCH) {
        on_watched_end(d, 0);
        return SM_OK;
    }
    if (d->pid_fd < 0) return sm_fail_errno(ei, errno, "cannot watch process %d", (int)pid);
    d->pid = (struct sm_loop_fd){.fn = on_watched_end, .ctx = d};
    return sm_loop_fd_add(d->loop, &d->pid, d->pid_fd, EPOLLIN, ei);
}

/* ---- life ---- */

static sm_err start_rig(struct daemon *d, struct sm_errinfo *ei)
{
    struct sm_rig_cfg cfg;
    const struct sm_rig_hooks hooks = {.wake = wake, .ctx = d};
    sm_rig_cfg_init(&cfg);
    sm_err err = d->cfg->load(d->cfg->ctx, &cfg, ei);
    if (!err) err = links_init(&d->links, &cfg, ei);
    if (!err) err = sm_rig_new(&cfg, &hooks, &d->rig, ei);
    sm_rig_cfg_fini(&cfg);
    return err;
}

static sm_err open_daemon(struct daemon *d, struct sm_errinfo *ei)
{
    d->wake = (struct sm_loop_job){.fn = on_wake, .ctx = d};
    d->tick = (struct sm_loop_timer){.fn = on_tick, .ctx = d};
    d->rescan = (struct sm_loop_timer){.fn = on_rescan, .ctx = d};
    sm_err err = sm_loop_new(&d->loop, ei);
    if (!err) err = watch_hup(d, ei);
    if (!err) err = start_rig(d, ei);
    if (!err) err = watch_process(d, ei);
    if (!err) err = sm_rig_interface_start(d->rig, &d->interface, ei);
    return err;
}

/* False: a thread hangs, and with it everything it might still touch. */
static bool close_daemon(struct daemon *d)
{
    bool clean = true;
    (void)sm_notify("STOPPING=1");
    sm_rig_interface_stop(d->interface);
    if (d->rig) disconnect_all(d);
    if (d->rig) clean = sm_rig_stop(d->rig, STOP_NS);
    if (clean) sm_rig_free(d->rig);
    if (!clean) return false;
    links_fini(&d->links);
    if (d->hup_fd >= 0) sm_loop_fd_del(d->loop, &d->hup);
    if (d->pid_fd >= 0) sm_loop_fd_del(d->loop, &d->pid);
    sm_loop_free(d->loop);
    if (d->hup_fd >= 0) (void)close(d->hup_fd);
    if (d->pid_fd >= 0) (void)close(d->pid_fd);
    free(d);
    return true;
}

sm_err sm_rig_daemon_run(const struct sm_rig_daemon_cfg *cfg, struct sm_errinfo *ei)
{
    struct daemon *d = calloc(1, sizeof *d);
    if (!d) return sm_fail(ei, SM_E_NOMEM, "out of memory");
    the_daemon = d;
    d->cfg = cfg;
    d->hup_fd = d->pid_fd = -1;
    d->ei = ei;
    sm_err err = open_daemon(d, ei);
    if (!err) {
        sm_rig_rescan(d->rig, false);
        on_tick(d);
        err = sm_loop_run(d->loop, cfg->cancel, ei);
        if (!err) err = d->end;
    }
    if (!close_daemon(d) && !err)
        err = sm_fail(ei, SM_E_TIMEOUT, "a proof does not stop, probably because its disk does not answer; ending");
    the_daemon = NULL;
    return err;
}
