/* A gRPC server on our stack, for foreign clients.
 *
 *   echo_server LISTEN [CERTIFICATES NAME]     with the second pair: TLS with CERTIFICATES/ca.pem, NAME.pem, NAME.key
 *
 * Prints "port N", then "trouble CODE TEXT" for what the server reports. SIGHUP reloads the certificates and prints
 * "reloaded" or "kept TEXT"; SIGTERM stops with a second of grace and prints "stopped". Messages are bytes:
 *   /test.v1.Echo/Unary    the message            /test.v1.Echo/Stream  each message
 *   /test.v1.Echo/Fail     "CODE TEXT": ends so   /test.v1.Echo/Hang    nothing, ever
 *   /test.v1.Echo/Size     "N": N zero bytes      /test.v1.Echo/Peer    who is calling
 * Beside them grpc.health.v1 ("" serves, "test.v1.Echo" is added by SIGUSR1 and serves) and reflection of both. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <sm_proto_rpc.h>

#include "rpc/health.h"
#include "rpc/reflection.h"
#include "rpc/server.h"
#include "util/clock.h"

struct server {
    struct sm_loop *loop;
    struct sm_loop_fd signals;
    int signal_fd;
    struct sm_rpc_server *rpc;
    struct sm_tls_context *tls;
    struct sm_health *health;
    struct sm_reflection reflection;
};

static const struct sm_grpc_status ok = {SM_GRPC_OK, ""};

static void answer(struct sm_rpc_stream *s, const void *p, size_t n)
{
    struct sm_errinfo ei = {0};
    struct sm_grpc_status bad;
    sm_grpc_status_set(&bad, SM_GRPC_INTERNAL, "cannot send");
    const sm_err err = sm_rpc_send(s, (struct sm_slice){p, n}, &ei);
    if (err) printf("trouble %s %s\n", sm_err_name(err), ei.text);
    sm_rpc_finish(s, err ? &bad : &ok);
}

/* ---- methods ---- */

static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    printf("end %s %d %s\n", (const char *)ctx, (int)st->code, st->message);
}
static void on_unary(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    (void)ctx;
    answer(s, msg.p, msg.n);
}
static void on_stream(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    (void)ctx;
    if (sm_rpc_send(s, msg, NULL)) sm_rpc_cancel(s);
}
static void on_stream_closed(void *ctx, struct sm_rpc_stream *s)
{
    (void)ctx;
    sm_rpc_finish(s, &ok);
}
static void on_fail(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    char text[1024], *rest;
    struct sm_grpc_status st;
    (void)ctx;
    (void)snprintf(text, sizeof text, "%.*s", (int)msg.n, (const char *)msg.p);
    const unsigned long code = strtoul(text, &rest, 10);
    sm_grpc_status_set(&st, (sm_grpc_code)code, "%s", rest + (*rest == ' '));
    sm_rpc_finish(s, &st);
}
static void on_size(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    char text[32];
    (void)ctx;
    (void)snprintf(text, sizeof text, "%.*s", (int)msg.n, (const char *)msg.p);
    const size_t n = strtoul(text, NULL, 10);
    void *p = calloc(1, n + 1);
    answer(s, p, n);
    free(p);
}
static void on_hang(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    (void)ctx, (void)s, (void)msg;
}
static void on_peer(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    char text[1024];
    const struct sm_peer *p = sm_rpc_stream_peer(s);
    (void)ctx, (void)msg;
    const int n = snprintf(text, sizeof text, "%s|%s|%s|%s", p->address, p->tls ? p->fingerprint_sha256 : "plain",
                           p->subject, p->sans);
    answer(s, text, (size_t)n);
}

struct row {
    const char *name;
    struct sm_rpc_stream_events events;
};
static const struct row rows[] = {
    {"Unary", {.on_message = on_unary, .on_end = on_end}},
    {"Stream", {.on_message = on_stream, .on_half_close = on_stream_closed, .on_end = on_end}},
    {"Fail", {.on_message = on_fail, .on_end = on_end}},
    {"Size", {.on_message = on_size, .on_end = on_end}},
    {"Hang", {.on_message = on_hang, .on_end = on_end}},
    {"Peer", {.on_message = on_peer, .on_end = on_end}},
};
#define ROWS    (sizeof rows / sizeof rows[0])
#define METHODS (ROWS + SM_HEALTH_METHODS + SM_REFLECTION_METHODS)

static bool on_open(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                    struct sm_grpc_status *refuse)
{
    const struct row *row = ctx;
    (void)s;
    (void)refuse;
    *ev = &row->events;
    *ev_ctx = (void *)(uintptr_t)row->name;
    return true;
}

/* ---- the program ---- */

static void on_trouble(void *ctx, sm_err why, const char *text)
{
    (void)ctx;
    printf("trouble %s %s\n", sm_err_name(why), text);
}
static void on_stopped(void *ctx)
{
    puts("stopped");
    sm_loop_stop(((struct server *)ctx)->loop);
}
static const struct sm_rpc_server_events events = {on_trouble, on_stopped};

static void on_signal(void *ctx, uint32_t ready)
{
    struct server *s = ctx;
    struct signalfd_siginfo info;
    struct sm_errinfo ei = {0};
    (void)ready;
    if (read(s->signal_fd, &info, sizeof info) != sizeof info) return;
    if (info.ssi_signo == SIGTERM) {
        sm_rpc_server_stop(s->rpc, SM_NS_PER_S);
        return;
    }
    if (info.ssi_signo == SIGUSR1) {
        if (sm_health_set(s->health, "test.v1.Echo", true, &ei)) puts(ei.text);
        return;
    }
    if (sm_tls_context_reload(s->tls, &ei))
        printf("kept %s\n", ei.text);
    else
        puts("reloaded");
}

static sm_err watch_signals(struct server *s, struct sm_errinfo *ei)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    s->signals = (struct sm_loop_fd){.fn = on_signal, .ctx = s};
    return sm_loop_fd_add(s->loop, &s->signals, s->signal_fd, EPOLLIN, ei);
}

static sm_err load_tls(struct server *s, const char *dir, const char *name, struct sm_errinfo *ei)
{
    char ca[512], cert[512], key[512];
    (void)snprintf(ca, sizeof ca, "%s/ca.pem", dir);
    (void)snprintf(cert, sizeof cert, "%s/%s.pem", dir, name);
    (void)snprintf(key, sizeof key, "%s/%s.key", dir, name);
    return sm_tls_context_new(&(struct sm_tls_cfg){ca, cert, key}, SM_TLS_SERVER, &s->tls, ei);
}

static sm_err serve(struct server *s, const char *listen, struct sm_errinfo *ei)
{
    static char paths[ROWS][64];
    struct sm_rpc_method methods[METHODS];
    for (size_t i = 0; i < ROWS; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "/test.v1.Echo/%s", rows[i].name);
        methods[i] = (struct sm_rpc_method){.path = paths[i], .ctx = (void *)(uintptr_t)&rows[i], .open = on_open};
    }
    sm_health_methods(s->health, methods + ROWS);
    s->reflection =
        (struct sm_reflection){.methods = methods, .methods_n = METHODS, .sets = {sm_proto_rpc}, .sets_n = 1};
    sm_reflection_methods(&s->reflection, methods + ROWS + SM_HEALTH_METHODS);
    const struct sm_rpc_server_cfg cfg = {.listen = listen,
                                          .tls = s->tls,
                                          .methods = methods,
                                          .methods_n = METHODS,
                                          .connections_max = 4096,
                                          .ping_interval_ns = 600 * SM_NS_PER_S,
                                          .ping_timeout_ns = 10 * SM_NS_PER_S,
                                          .ping_min_ns = 60 * SM_NS_PER_S,
                                          .events = &events,
                                          .ctx = s};
    sm_err err = sm_rpc_server_start(s->loop, &cfg, &s->rpc, ei);
    if (err) return err;
    printf("port %u\n", sm_rpc_server_port(s->rpc));
    return sm_loop_run(s->loop, NULL, ei);
}

int main(int argc, char **argv)
{
    struct server s = {0};
    struct sm_errinfo ei = {0};
    if (argc != 2 && argc != 4) return fprintf(stderr, "usage: %s LISTEN [CERTIFICATES NAME]\n", argv[0]), 2;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    sm_err err = sm_loop_new(&s.loop, &ei);
    if (!err) err = sm_health_new(&s.health, &ei);
    if (!err) err = sm_health_set(s.health, "", true, &ei);
    if (!err) err = watch_signals(&s, &ei);
    if (!err && argc == 4) err = load_tls(&s, argv[2], argv[3], &ei);
    if (!err) err = serve(&s, argv[1], &ei);
    if (err) (void)fprintf(stderr, "%s: %s\n", sm_err_name(err), ei.text);
    sm_rpc_server_free(s.rpc);
    sm_health_free(s.health);
    sm_tls_context_free(s.tls);
    sm_loop_free(s.loop);
    return err ? 1 : 0;
}
