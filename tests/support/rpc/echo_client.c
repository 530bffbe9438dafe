/* A gRPC client on our stack, for foreign servers.
 *
 *   echo_client ADDRESS PATH [--tls CERTIFICATES NAME] [--domain NAME] [--deadline-ms N] [--count N] [--limit BYTES]
 *                            [--cancel] [--connect-ms N]
 *
 * Sends standard input as one message, --count times, and closes its side. Prints, one a line: "up", "message LENGTH FNV64",
 * "end CODE TEXT", "down CODE TEXT". --cancel: cancels after the first message. Exits when the call has ended, or the
 * connection is down. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/client.h"
#include "util/clock.h"

#define INPUT_MAX (64u * 1024u * 1024u)

struct client {
    struct sm_loop *loop;
    struct sm_rpc_client *rpc;
    struct sm_rpc_stream *s;
    const char *path, *certs, *name, *domain;
    uint64_t deadline_ns, connect_ns;
    unsigned count, sent;
    bool cancel, ended;
    size_t limit;
    uint8_t *message;
    size_t n;
};

static uint64_t fnv64(struct sm_slice m)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < m.n; i++) h = (h ^ m.p[i]) * 0x100000001b3u;
    return h;
}

/* ---- the call ---- */

static void on_message(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    const struct client *c = ctx;
    printf("message %zu %016" PRIx64 "\n", msg.n, fnv64(msg));
    if (c->cancel) sm_rpc_cancel(s);
}

static void pump(struct client *c)
{
    while (c->sent < c->count && sm_rpc_send(c->s, (struct sm_slice){c->message, c->n}, NULL) == SM_OK) c->sent++;
    if (c->sent == c->count) sm_rpc_half_close(c->s);
}

static void on_writable(void *ctx, struct sm_rpc_stream *s)
{
    (void)s;
    pump(ctx);
}

static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    struct client *c = ctx;
    printf("end %d %s\n", (int)st->code, st->message);
    c->ended = true;
    sm_loop_stop(c->loop);
}

static const struct sm_rpc_stream_events call_events = {on_message, NULL, on_writable, on_end};

/* ---- the connection ---- */

static void on_up(void *ctx, struct sm_rpc_conn *conn)
{
    struct client *c = ctx;
    struct sm_errinfo ei = {0};
    puts("up");
    const sm_err err = sm_rpc_call(conn, c->path, c->deadline_ns, sm_loop_now(c->loop), &call_events, c, &c->s, &ei);
    if (err) {
        printf("down %s %s\n", sm_err_name(err), ei.text);
        sm_loop_stop(c->loop);
        return;
    }
    pump(c);
}

static void on_down(void *ctx, sm_err why, const char *text)
{
    const struct client *c = ctx;
    printf("down %s %s\n", sm_err_name(why), text);
    sm_loop_stop(c->loop);
}

static const struct sm_rpc_client_events events = {on_up, on_down};

/* ---- the program ---- */

static bool parse(struct client *c, int argc, char **argv)
{
    c->count = 1;
    for (int i = 3; i < argc; i++) {
        const char *a = argv[i];
        if (strcmp(a, "--cancel") == 0)
            c->cancel = true;
        else if (strcmp(a, "--tls") == 0 && i + 2 < argc)
            c->certs = argv[++i], c->name = argv[++i];
        else if (i + 1 >= argc)
            return false;
        else if (strcmp(a, "--domain") == 0)
            c->domain = argv[++i];
        else if (strcmp(a, "--deadline-ms") == 0)
            c->deadline_ns = strtoull(argv[++i], NULL, 10) * SM_NS_PER_MS;
        else if (strcmp(a, "--connect-ms") == 0)
            c->connect_ns = strtoull(argv[++i], NULL, 10) * SM_NS_PER_MS;
        else if (strcmp(a, "--count") == 0)
            c->count = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(a, "--limit") == 0)
            c->limit = strtoull(argv[++i], NULL, 10);
        else
            return false;
    }
    return true;
}

static sm_err open_client(struct client *c, const char *address, struct sm_tls_context **tls, struct sm_errinfo *ei)
{
    struct sm_rpc_client_cfg cfg = {.server_name = c->domain, .connect_timeout_ns = c->connect_ns};
    sm_err err = sm_rpc_address_parse(address, &cfg.address, ei);
    if (!err && c->certs) {
        char ca[512], cert[512], key[512];
        (void)snprintf(ca, sizeof ca, "%s/ca.pem", c->certs);
        (void)snprintf(cert, sizeof cert, "%s/%s.pem", c->certs, c->name);
        (void)snprintf(key, sizeof key, "%s/%s.key", c->certs, c->name);
        err = sm_tls_context_new(&(struct sm_tls_cfg){ca, cert, key}, SM_TLS_CLIENT, tls, ei);
    }
    cfg.tls = *tls;
    cfg.limits.message_max = c->limit;
    if (!err) err = sm_rpc_client_new(c->loop, &cfg, &events, c, &c->rpc, ei);
    return err;
}

int main(int argc, char **argv)
{
    struct client c = {0};
    struct sm_tls_context *tls = NULL;
    struct sm_errinfo ei = {0};
    if (argc < 3 || !parse(&c, argc, argv)) return fprintf(stderr, "usage: %s ADDRESS PATH [OPTIONS]\n", argv[0]), 2;
    c.path = argv[2];
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    c.message = malloc(INPUT_MAX);
    if (!c.message) return 1;
    c.n = fread(c.message, 1, INPUT_MAX, stdin);
    sm_err err = sm_loop_new(&c.loop, &ei);
    if (!err) err = open_client(&c, argv[1], &tls, &ei);
    if (!err) {
        sm_rpc_client_connect(c.rpc);
        err = sm_loop_run(c.loop, NULL, &ei);
    }
    if (err) (void)fprintf(stderr, "%s: %s\n", sm_err_name(err), ei.text);
    sm_rpc_client_free(c.rpc);
    sm_tls_context_free(tls);
    sm_loop_free(c.loop);
    free(c.message);
    return err ? 1 : 0;
}
