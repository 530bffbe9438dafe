/* What an idle connection costs in memory, on either side.
 *
 *   idle plain|tls CONNECTIONS [MESSAGE_BYTES [MOST_KIB [CALLS]]]
 *
 * Two processes. Each connection carries CALLS open calls (1), over which three messages each have gone both ways; then the growth of
 * each process's resident memory is divided by the number of connections. Exits with 1 when a side exceeds MOST_KIB. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rpc/client.h"
#include "rpc/server.h"
#include "support/rpc/certs.h"
#include "support/tmpdir.h"

#define PATH     "/test.v1.Echo/Stream"
#define WARM_UP  20u
#define MESSAGES 3u
#define AT_ONCE  64u /* handshakes */

static struct sm_loop *loop;
static struct sm_tls_context *tls;
static uint8_t *message;
static unsigned calls = 1; /* on each connection */
static size_t message_n;

static void need(sm_err err, const struct sm_errinfo *ei)
{
    if (!err) return;
    (void)fprintf(stderr, "idle: %s: %s\n", sm_err_name(err), ei->text);
    exit(1);
}

static void load_tls(const char *dir, sm_tls_side side, const char *cert, const char *key)
{
    struct sm_errinfo ei = {0};
    const struct sm_tls_cfg cfg = {tmpdir_path(dir, "ca.pem"), tmpdir_path(dir, cert), tmpdir_path(dir, key)};
    need(sm_tls_context_new(&cfg, side, &tls, &ei), &ei);
}

/* ---- server ---- */

static void echo(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    struct sm_errinfo ei = {0};
    (void)ctx;
    need(sm_rpc_send(s, msg, &ei), &ei);
}
static void ignore_end(void *ctx, const struct sm_grpc_status *st)
{
    (void)ctx, (void)st;
}
static const struct sm_rpc_stream_events echo_events = {.on_message = echo, .on_end = ignore_end};

static bool open_echo(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                      struct sm_grpc_status *refuse)
{
    (void)ctx, (void)s, (void)ev_ctx, (void)refuse;
    *ev = &echo_events;
    return true;
}

/* Never returns. */
static void serve(int port_fd)
{
    static const struct sm_rpc_method method = {.path = PATH, .open = open_echo};
    struct sm_rpc_server *server = NULL;
    struct sm_errinfo ei = {0};
    const struct sm_rpc_server_cfg cfg = {
        .listen = "127.0.0.1:0", .tls = tls, .methods = &method, .methods_n = 1, .connections_max = 100000};
    need(sm_loop_new(&loop, &ei), &ei);
    need(sm_rpc_server_start(loop, &cfg, &server, &ei), &ei);
    const uint16_t port = sm_rpc_server_port(server);
    if (write(port_fd, &port, sizeof port) != sizeof port) exit(1);
    need(sm_loop_run(loop, NULL, &ei), &ei);
    exit(0);
}

/* ---- clients ---- */

struct one {
    struct sm_rpc_client *client;
    unsigned sent, messages;
};

static struct one *ones;
static unsigned started, finished, wanted;

static void start_next(void)
{
    if (started < wanted) sm_rpc_client_connect(ones[started++].client);
}
static void on_message(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    struct one *o = ctx;
    struct sm_errinfo ei = {0};
    o->messages++;
    if (o->sent < MESSAGES * calls) {
        o->sent++;
        need(sm_rpc_send(s, msg, &ei), &ei);
    }
    if (o->messages < MESSAGES * calls) return;
    start_next();
    if (++finished == wanted) sm_loop_stop(loop);
}
static const struct sm_rpc_stream_events call_events = {.on_message = on_message, .on_end = ignore_end};

static void on_up(void *ctx, struct sm_rpc_conn *conn)
{
    struct one *o = ctx;
    struct sm_errinfo ei = {0};
    for (; o->sent < calls; o->sent++) {
        struct sm_rpc_stream *s = NULL;
        need(sm_rpc_call(conn, PATH, 0, sm_loop_now(loop), &call_events, o, &s, &ei), &ei);
        need(sm_rpc_send(s, (struct sm_slice){message, message_n}, &ei), &ei);
    }
}
static void on_down(void *ctx, sm_err why, const char *text)
{
    struct sm_errinfo ei = {0};
    (void)ctx;
    need(sm_fail(&ei, why ? why : SM_E_NET, "%s", text), &ei);
}
static const struct sm_rpc_client_events client_events = {on_up, on_down};

static void open_up_to(unsigned n)
{
    struct sm_errinfo ei = {0};
    wanted = n;
    for (unsigned i = 0; i < AT_ONCE; i++) start_next();
    need(sm_loop_run(loop, NULL, &ei), &ei);
}

static double resident_kib(pid_t pid)
{
    char path[64];
    unsigned long size, resident = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2) exit(1);
    (void)fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static int measure(pid_t server, uint16_t port, unsigned n, double most_kib, const char *kind)
{
    struct sm_errinfo ei = {0};
    const struct sm_rpc_client_cfg cfg = {.address = {"127.0.0.1", port, tls != NULL}, .tls = tls};
    need(sm_loop_new(&loop, &ei), &ei);
    ones = calloc(n + WARM_UP, sizeof *ones);
    for (unsigned i = 0; i < n + WARM_UP; i++)
        need(sm_rpc_client_new(loop, &cfg, &client_events, &ones[i], &ones[i].client, &ei), &ei);
    open_up_to(WARM_UP);
    const double server_before = resident_kib(server), client_before = resident_kib(getpid());
    open_up_to(n + WARM_UP);
    const double per_server = (resident_kib(server) - server_before) / n;
    const double per_client = (resident_kib(getpid()) - client_before) / n;
    printf("idle kind=%s connections=%u calls=%u message_bytes=%zu unit=KiB server=%.1f client=%.1f\n", kind, n, calls,
           message_n, per_server, per_client);
    return most_kib > 0 && (per_server > most_kib || per_client > most_kib);
}

static void raise_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv)
{
    int port_pipe[2];
    uint16_t port;
    char dir[256];
    const bool with_tls = argc > 1 && strcmp(argv[1], "tls") == 0;
    if (argc < 3 || pipe(port_pipe) != 0)
        return fprintf(stderr, "usage: %s plain|tls CONNECTIONS [MESSAGE_BYTES [MOST_KIB [CALLS]]]\n", argv[0]), 2;
    raise_limit();
    message_n = argc > 3 ? strtoul(argv[3], NULL, 10) : 600;
    message = calloc(1, message_n + 1);
    if (argc > 5) calls = (unsigned)strtoul(argv[5], NULL, 10);
    if (with_tls) cert_make_all(tmpdir_make(dir));
    const pid_t server = fork();
    if (server == 0) {
        if (with_tls) load_tls(dir, SM_TLS_SERVER, "server.pem", "server.key");
        serve(port_pipe[1]);
    }
    if (with_tls) load_tls(dir, SM_TLS_CLIENT, "client.pem", "client.key");
    if (read(port_pipe[0], &port, sizeof port) != sizeof port) return 1;
    const int status =
        measure(server, port, (unsigned)strtoul(argv[2], NULL, 10), argc > 4 ? strtod(argv[4], NULL) : 0, argv[1]);
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    return status; /* the connections go with the process: nothing here is about closing them */
}
