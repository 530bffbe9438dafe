#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sm_proto_post.h>

#include "cli/commands.h"
#include "cli/groups.h"
#include "cli/hub.h"
#include "cli/hub_files.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/log.h"

struct args {
    struct sm_net_args net;
    struct sm_randomx_args randomx;
    const char *listen, *out_dir, *allow, *tls_ca, *tls_cert, *tls_key;
    struct sm_text_list request;
    uint32_t deadline_s, retry_s, threads, connections_max;
    bool commands, once;
};

static const struct sm_option options[] = {
    SM_OPT_TEXT(struct args, listen, "listen", "127.0.0.1:9094", "HOST:PORT", "where post services connect to"),
    SM_OPT_TEXT(struct args, out_dir, "out-dir", NULL, "DIR", "directory for the proofs, one file each",
                .required = true),
    SM_OPT_LIST(struct args, request, "request", NULL, "NODEID:CHALLENGE",
                "ask for this proof as soon as its identity is there; may be repeated"),
    SM_OPT_FLAG(struct args, once, "once", "end when every requested proof is in, or has failed for good"),
    SM_OPT_FLAG(struct args, commands, "commands",
                "read commands from standard input: list, request NODEID CHALLENGE, cancel NODEID, quit"),
    SM_OPT_U32(struct args, deadline_s, "deadline-s", "0", 0, UINT32_MAX, "N",
               "seconds after which a request is given up; 0 = never"),
    SM_OPT_U32(struct args, retry_s, "retry-s", "300", 0, UINT32_MAX, "N",
               "seconds until a request that failed is made again; 0 = never"),
    SM_OPT_TEXT(struct args, allow, "allow", NULL, "FILE",
                "only these identities may register: a node ID per line, and name=, fingerprint= or san= of the client "
                "certificate it is bound to",
                .default_note = "every identity may"),
    SM_OPT_TEXT(struct args, tls_ca, "tls-ca", NULL, "FILE", "certificates that the clients' must be signed by, PEM"),
    SM_OPT_TEXT(struct args, tls_cert, "tls-cert", NULL, "FILE", "our certificate, PEM"),
    SM_OPT_TEXT(struct args, tls_key, "tls-key", NULL, "FILE", "its key, PEM"),
    SM_OPT_U32(struct args, connections_max, "connections-max", "16384", 1, 1000000, "N",
               "connections at a time; each identity has one"),
    SM_OPT_U32(struct args, threads, "threads", "1", 1, 1024, "N", "proofs that are verified at a time"),
    SM_NET_OPTIONS(struct args, net),
    SM_RANDOMX_OPTIONS(struct args, randomx, "light", NULL),
    SM_OPT_END,
};

/* ---- connections ---- */

/* What strangers send is worth one line a second, not one each. */
static void on_trouble(void *ctx, sm_err why, const char *text)
{
    struct sm_hub *h = ctx;
    const uint64_t now = sm_loop_now(h->loop);
    (void)why;
    h->trouble_n++;
    if (now - h->trouble_ns < SM_NS_PER_S && h->trouble_ns) return;
    sm_log(SM_LOG_WARN, "hub", "connection ended", "count=%llu last=\"%s\"", (unsigned long long)h->trouble_n, text);
    h->trouble_n = 0;
    h->trouble_ns = now;
}

static void on_stopped(void *ctx)
{
    sm_loop_stop(((struct sm_hub *)ctx)->loop);
}

static const struct sm_rpc_server_events server_events = {.on_trouble = on_trouble, .on_stopped = on_stopped};

static sm_err check_tls_options(const struct args *a, bool *out_tls, struct sm_errinfo *ei)
{
    *out_tls = a->tls_ca || a->tls_cert || a->tls_key;
    if (*out_tls && !(a->tls_ca && a->tls_cert && a->tls_key))
        return sm_fail(ei, SM_E_ARG, "--tls-ca, --tls-cert and --tls-key go together");
    return SM_OK;
}

/* SIGHUP: the certificates are read again. */
static void on_hangup(void *ctx, uint32_t events)
{
    struct sm_hub *h = ctx;
    struct signalfd_siginfo info;
    struct sm_errinfo ei = {0};
    (void)events;
    if (read(h->hangup_fd.watch.fd, &info, sizeof info) != (ssize_t)sizeof info) return;
    if (sm_tls_context_reload(h->tls, &ei))
        sm_log(SM_LOG_ERROR, "hub", "certificates stay as they are", "why=\"%s\"", ei.text);
    else
        sm_log(SM_LOG_INFO, "hub", "certificates read again", "fingerprint=%.10s", sm_tls_context_fingerprint(h->tls));
}

/* Before threads start, so that the signal finds nobody but the descriptor. */
static sm_err watch_hangup(struct sm_hub *h, int *out_fd, struct sm_errinfo *ei)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    *out_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (*out_fd < 0) return sm_fail(ei, SM_E_IO, "cannot watch for SIGHUP");
    h->hangup_fd = (struct sm_loop_fd){.fn = on_hangup, .ctx = h};
    return sm_loop_fd_add(h->loop, &h->hangup_fd, *out_fd, EPOLLIN, ei);
}

static sm_err open_tls(struct sm_hub *h, const struct args *a, int *out_fd, struct sm_errinfo *ei)
{
    const struct sm_tls_cfg cfg = {.ca = a->tls_ca, .cert = a->tls_cert, .key = a->tls_key};
    const sm_err err = sm_tls_context_new(&cfg, SM_TLS_SERVER, &h->tls, ei);
    return err ? err : watch_hangup(h, out_fd, ei);
}

static sm_err make_services(struct sm_hub *h, struct sm_errinfo *ei)
{
    size_t n;
    const struct sm_rpc_method *methods = sm_post_server_methods(h->post, &n);
    const sm_err err = sm_rpc_services_new(methods, n, &sm_proto_post, 1, &h->services, ei);
    if (!err) sm_rpc_services_serving(h->services, true);
    return err;
}

static sm_err listen_at(struct sm_hub *h, const struct args *a, struct sm_errinfo *ei)
{
    struct sm_rpc_address address;
    char text[SM_RPC_ADDRESS_ROOM];
    struct sm_rpc_server_cfg cfg = {
        .listen = a->listen,
        .tls = h->tls,
        .limits = {.message_max = SM_POST_MESSAGE_MAX},
        .connections_max = a->connections_max,
        .ping_interval_ns = 600 * SM_NS_PER_S, /* these three: post-service.md §2.3 */
        .ping_timeout_ns = 10 * SM_NS_PER_S,
        .ping_min_ns = 60 * SM_NS_PER_S,
        .idle_timeout_ns = 60 * SM_NS_PER_S, /* ours: who opens no stream shall not take a place for ever */
        .events = &server_events,
        .ctx = h,
    };
    sm_err err = make_services(h, ei);
    if (err) return err;
    cfg.methods = sm_rpc_services_methods(h->services, &cfg.methods_n);
    err = sm_rpc_address_parse_listen(a->listen, &address, ei);
    if (!err) err = sm_rpc_server_start(h->loop, &cfg, &h->rpc, ei);
    if (err) return err;
    address.port = sm_rpc_server_port(h->rpc);
    if (!h->tls && !sm_rpc_address_is_loopback(&address))
        sm_log(SM_LOG_WARN, "hub", "plain text beyond this machine",
               "listen=%s advice=\"use --tls-ca, --tls-cert and --tls-key, or a private network\"", a->listen);
    sm_hub_tell_listening(h, sm_rpc_address_text(&address, text), h->tls != NULL);
    return SM_OK;
}

/* ---- the run ---- */

static sm_err want_all(struct sm_hub *h, const struct args *a, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    for (size_t i = 0; !err && i < a->request.n; i++) {
        struct sm_node_id id;
        struct sm_challenge challenge;
        err = sm_hub_parse_pair(a->request.v[i], "--request", &id, &challenge, ei);
        if (!err) err = sm_hub_want(h, &id, &challenge, ei);
    }
    return err;
}

static sm_err check_requests(const struct args *a, struct sm_errinfo *ei)
{
    struct stat st;
    sm_err err = SM_OK;
    for (size_t i = 0; !err && i < a->request.n; i++) {
        struct sm_node_id id;
        struct sm_challenge challenge;
        err = sm_hub_parse_pair(a->request.v[i], "--request", &id, &challenge, ei);
    }
    if (!err && (stat(a->out_dir, &st) != 0 || !S_ISDIR(st.st_mode)))
        err = sm_fail(ei, SM_E_NOTFOUND, "--out-dir %s is no directory; make it first", a->out_dir);
    return err;
}

/* Streams end with UNAVAILABLE, so that post services come back after their interval. */
static void drain(struct sm_hub *h)
{
    struct sm_errinfo ei = {0};
    if (!h->rpc) return;
    h->once = false;
    sm_rpc_server_stop(h->rpc, 0);
    if (sm_loop_run(h->loop, NULL, &ei)) sm_log(SM_LOG_WARN, "hub", "cannot drain", "why=\"%s\"", ei.text);
}

static sm_err serve(struct sm_hub *h, const struct args *a, const struct sm_post_params *params, int *hangup_fd,
                    struct sm_errinfo *ei)
{
    struct sm_post_known *known = NULL;
    size_t known_n = 0;
    bool tls = false;
    sm_err err = check_tls_options(a, &tls, ei);
    if (!err) err = check_requests(a, ei);
    if (!err && a->allow) err = sm_hub_read_allow(a->allow, &known, &known_n, ei);
    if (!err) err = sm_loop_new(&h->loop, ei);
    if (!err && tls) err = open_tls(h, a, hangup_fd, ei);
    const struct sm_post_server_cfg cfg = {
        .loop = h->loop,
        .params = params,
        .known = known,
        .known_n = known_n,
        .only_known = a->allow != NULL,
        .identities_max = a->connections_max,
        .randomx = sm_randomx_cfg_of(&a->randomx),
        .verify_threads = a->threads,
        .events = &sm_hub_events,
        .events_ctx = h,
    };
    if (!err) err = sm_post_server_new(&cfg, &h->post, ei);
    free(known);
    if (!err) err = listen_at(h, a, ei);
    if (!err) err = want_all(h, a, ei);
    if (!err && a->commands) err = sm_hub_lines_start(h, ei);
    if (!err) {
        sm_hub_check_done(h);
        err = sm_loop_run(h->loop, h->cli->cancel, ei);
    }
    drain(h);
    return err;
}

static void close_hub(struct sm_hub *h, int hangup_fd)
{
    sm_rpc_server_free(h->rpc);
    sm_rpc_services_free(h->services);
    sm_post_server_free(h->post);
    if (h->loop) {
        sm_hub_wanted_fini(h);
        sm_loop_fd_del(h->loop, &h->stdin_fd);
        sm_loop_fd_del(h->loop, &h->hangup_fd);
    }
    sm_io_close(hangup_fd);
    sm_tls_context_free(h->tls);
    sm_loop_free(h->loop);
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_post_params params;
    int hangup_fd = -1;
    struct sm_hub h = {
        .cli = cli,
        .out_dir = a->out_dir,
        .deadline_ns = a->deadline_s * SM_NS_PER_S,
        .retry_ns = a->retry_s * SM_NS_PER_S,
        .once = a->once,
    };
    h.wanted_last = &h.wanted;
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* whoever follows us sees each event as it comes */
    sm_err err = sm_net_params(&a->net, &params, &ei);
    if (!err) err = serve(&h, a, &params, &hangup_fd, &ei);
    const size_t open_n = h.open_n, failed_n = h.failed_n;
    close_hub(&h, hangup_fd);
    if (err) return sm_cli_error(cli, err, &ei);
    if (a->once && open_n)
        return sm_cli_refuse(cli, SM_EXIT_INTERRUPTED, "stopped while %zu proofs were wanted still", open_n);
    if (a->once && failed_n) return sm_cli_refuse(cli, SM_EXIT_NO, "%zu requested proofs did not come", failed_n);
    return SM_EXIT_DONE;
}

const struct sm_command sm_cmd_hub = {
    .name = "hub",
    .summary = "ask post services for proofs, as a node does",
    .details =
        "The node's side of the protocol between nodes and post services, without a node: post services of any make "
        "connect and register their identities; the hub asks for proofs, verifies all their indices, and stores them "
        "as "
        "prove writes them, in DIR/NODEID-CHALLENGE.json, never over another file. A proof that is there already is "
        "not "
        "asked for.\n\n"
        "With --json each event is one line: listening, registered, gone, refused, requested, proof, failed, "
        "cancelled, "
        "identities, error. With TLS, SIGHUP reads the certificates again. It ends in order on SIGTERM.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
