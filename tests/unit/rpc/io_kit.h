/* A server and clients on one loop; the echo service; a log of what the server found wrong. */
#ifndef SM_TEST_IO_KIT_H
#define SM_TEST_IO_KIT_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/client.h"
#include "rpc/server.h"
#include "support/rpc/certs.h"
#include "support/tmpdir.h"
#include "util/clock.h"

#define IO_ECHO  "/test.v1.Echo/Stream" /* sends back what comes; ends when the client half-closes */
#define IO_HANG  "/test.v1.Echo/Hang"   /* never answers */
#define IO_FLOOD "/test.v1.Echo/Flood"  /* sends as much as it can */

struct io {
    struct sm_loop *loop;
    struct sm_rpc_server *server;
    struct sm_rpc_server_cfg cfg;
    struct sm_rpc_method methods[3];
    struct sm_tls_context *server_tls, *client_tls;
    char dir[256];       /* of certificates */
    unsigned open_calls; /* on the server */
    unsigned ended_calls;
    unsigned troubles, stopped;
    sm_err trouble;
    char trouble_text[SM_ERRINFO_TEXT];
    unsigned stop_after_troubles; /* 0: never */
    bool stop_when_call_ends;     /* on the server */
    struct sm_grpc_status call_end;
};

static const struct sm_grpc_status io_ok = {SM_GRPC_OK, ""};

struct io_call { /* on the server */
    struct io *io;
    struct sm_rpc_stream *s;
    bool flood;
};

static void io_on_message(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    (void)ctx;
    cr_assert_eq(sm_rpc_send(s, msg, NULL), SM_OK);
}
static void io_on_half_close(void *ctx, struct sm_rpc_stream *s)
{
    (void)ctx;
    sm_rpc_finish(s, &io_ok);
}
static void io_pour(struct sm_rpc_stream *s)
{
    static uint8_t block[100000];
    for (unsigned i = 0; i < 100 && sm_rpc_send(s, (struct sm_slice){block, sizeof block}, NULL) == SM_OK; i++) {}
}
static void io_on_writable(void *ctx, struct sm_rpc_stream *s)
{
    if (((struct io_call *)ctx)->flood) io_pour(s);
}
static void io_on_end(void *ctx, const struct sm_grpc_status *st)
{
    struct io_call *c = ctx;
    c->io->open_calls--;
    c->io->ended_calls++;
    c->io->call_end = *st;
    if (c->io->stop_when_call_ends) sm_loop_stop(c->io->loop);
    free(c);
}

static const struct sm_rpc_stream_events io_echo_events = {io_on_message, io_on_half_close, io_on_writable, io_on_end};
static void io_ignore(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    (void)ctx, (void)s, (void)msg;
}
static const struct sm_rpc_stream_events io_hang_events = {io_ignore, NULL, io_on_writable, io_on_end};

static struct io_call *io_open(struct io *io, struct sm_rpc_stream *s)
{
    struct io_call *c = calloc(1, sizeof *c);
    c->io = io;
    c->s = s;
    io->open_calls++;
    return c;
}
static bool io_open_echo(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                         struct sm_grpc_status *refuse)
{
    (void)refuse;
    *ev = &io_echo_events;
    *ev_ctx = io_open(ctx, s);
    return true;
}
static bool io_open_hang(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                         struct sm_grpc_status *refuse)
{
    (void)refuse;
    *ev = &io_hang_events;
    *ev_ctx = io_open(ctx, s);
    return true;
}
static bool io_open_flood(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                          struct sm_grpc_status *refuse)
{
    (void)refuse;
    struct io_call *c = io_open(ctx, s);
    c->flood = true;
    *ev = &io_hang_events;
    *ev_ctx = c;
    io_pour(s);
    return true;
}

static void io_on_trouble(void *ctx, sm_err why, const char *text)
{
    struct io *io = ctx;
    cr_assert_neq(why, SM_OK);
    io->troubles++;
    io->trouble = why;
    (void)snprintf(io->trouble_text, sizeof io->trouble_text, "%s", text);
    if (io->stop_after_troubles && io->troubles >= io->stop_after_troubles) sm_loop_stop(io->loop);
}
static void io_on_stopped(void *ctx)
{
    struct io *io = ctx;
    io->stopped++;
    sm_loop_stop(io->loop);
}
static const struct sm_rpc_server_events io_events = {io_on_trouble, io_on_stopped};

static const char *io_pem(const struct io *io, const char *name, const char *kind)
{
    char file[64];
    (void)snprintf(file, sizeof file, "%s.%s", name, kind);
    return tmpdir_path(io->dir, file);
}

static struct sm_tls_context *io_context(struct io *io, sm_tls_side side, const char *cert)
{
    struct sm_tls_context *c = NULL;
    struct sm_errinfo ei = {0};
    const struct sm_tls_cfg cfg = {io_pem(io, "ca", "pem"), io_pem(io, cert, "pem"), io_pem(io, cert, "key")};
    cr_assert_eq(sm_tls_context_new(&cfg, side, &c, &ei), SM_OK, "%s", ei.text);
    return c;
}

/* Fill io->cfg between prepare and start. */
__attribute__((unused)) static void io_prepare(struct io *io, bool tls)
{
    struct sm_errinfo ei = {0};
    *io = (struct io){0};
    cr_assert_eq(sm_loop_new(&io->loop, &ei), SM_OK, "%s", ei.text);
    io->methods[0] = (struct sm_rpc_method){.path = IO_ECHO, .ctx = io, .open = io_open_echo};
    io->methods[1] = (struct sm_rpc_method){.path = IO_HANG, .ctx = io, .open = io_open_hang};
    io->methods[2] = (struct sm_rpc_method){.path = IO_FLOOD, .ctx = io, .open = io_open_flood};
    io->cfg = (struct sm_rpc_server_cfg){
        .listen = "127.0.0.1:0", .methods = io->methods, .methods_n = 3, .events = &io_events, .ctx = io};
    if (!tls) return;
    cert_make_all(tmpdir_make(io->dir));
    io->cfg.tls = io->server_tls = io_context(io, SM_TLS_SERVER, "server");
    io->client_tls = io_context(io, SM_TLS_CLIENT, "client");
}

__attribute__((unused)) static void io_start(struct io *io)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_rpc_server_start(io->loop, &io->cfg, &io->server, &ei), SM_OK, "%s", ei.text);
}

__attribute__((unused)) static void io_run(struct io *io)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_loop_run(io->loop, NULL, &ei), SM_OK, "%s", ei.text);
}

/* Everything must be gone afterwards; clients first. */
__attribute__((unused)) static void io_stop(struct io *io)
{
    sm_rpc_server_free(io->server);
    cr_assert_eq(io->open_calls, 0);
    sm_tls_context_free(io->server_tls);
    sm_tls_context_free(io->client_tls);
    sm_loop_free(io->loop);
    if (*io->dir) tmpdir_remove(io->dir);
}

#endif
