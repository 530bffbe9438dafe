/* rpc/server.h, rpc/client.h, rpc/link.h: both sides of ours, over real sockets */
#include "io_kit.h"

struct peer { /* a client and one call of it */
    struct io *io;
    struct sm_rpc_client *client;
    const char *path;
    const uint8_t *send;
    size_t send_n, pieces, sent;
    struct sm_rpc_stream *s;
    unsigned ups, downs, messages, ends;
    uint64_t bytes;
    bool keep; /* does not half-close */
    void (*when_up)(struct peer *);
    void (*when_message)(struct peer *);
    void (*when_end)(struct peer *);
    void (*when_down)(struct peer *);
    sm_err why;
    char text[SM_ERRINFO_TEXT];
    struct sm_grpc_status end;
};

static void on_message(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    struct peer *p = ctx;
    (void)s;
    p->messages++;
    p->bytes += msg.n;
    if (p->send) cr_assert_arr_eq(msg.p, p->send, msg.n);
    if (p->when_message) p->when_message(p);
}
static void pump(struct peer *p)
{
    while (p->sent < p->pieces && sm_rpc_send(p->s, (struct sm_slice){p->send, p->send_n}, NULL) == SM_OK) p->sent++;
    if (p->sent == p->pieces && !p->keep) sm_rpc_half_close(p->s);
}
static void on_writable(void *ctx, struct sm_rpc_stream *s)
{
    (void)s;
    pump(ctx);
}
static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    struct peer *p = ctx;
    p->ends++;
    p->end = *st;
    p->s = NULL;
    if (p->when_end) p->when_end(p);
}
static const struct sm_rpc_stream_events call_events = {on_message, NULL, on_writable, on_end};

static void on_up(void *ctx, struct sm_rpc_conn *c)
{
    struct peer *p = ctx;
    struct sm_errinfo ei = {0};
    p->ups++;
    cr_assert_eq(sm_rpc_client_conn(p->client), c);
    if (p->path) {
        cr_assert_eq(sm_rpc_call(c, p->path, 0, sm_loop_now(p->io->loop), &call_events, p, &p->s, &ei), SM_OK, "%s",
                     ei.text);
        pump(p);
    }
    if (p->when_up) p->when_up(p);
}
static void on_down(void *ctx, sm_err why, const char *text)
{
    struct peer *p = ctx;
    p->downs++;
    p->why = why;
    (void)snprintf(p->text, sizeof p->text, "%s", text);
    if (p->when_down)
        p->when_down(p);
    else
        sm_loop_stop(p->io->loop);
}
static const struct sm_rpc_client_events client_events = {on_up, on_down};

static void stop(struct peer *p)
{
    sm_loop_stop(p->io->loop);
}

static struct sm_rpc_client_cfg client_cfg(struct io *io)
{
    struct sm_rpc_client_cfg cfg = {.address = {.host = "127.0.0.1", .tls = io->client_tls}, .tls = io->client_tls};
    if (io->server) cfg.address.port = sm_rpc_server_port(io->server);
    return cfg;
}

static void peer_new(struct peer *p, struct io *io, const struct sm_rpc_client_cfg *cfg)
{
    struct sm_errinfo ei = {0};
    const struct sm_rpc_client_cfg usual = client_cfg(io);
    p->io = io;
    cr_assert_eq(sm_rpc_client_new(io->loop, cfg ? cfg : &usual, &client_events, p, &p->client, &ei), SM_OK, "%s",
                 ei.text);
    sm_rpc_client_connect(p->client);
    sm_rpc_client_connect(p->client); /* one attempt at a time */
    cr_assert_eq(p->ups + p->downs, 0, "an event from inside connect");
}

/* ---- echo ---- */

static void echo(bool tls, size_t n, size_t pieces, uint32_t buffer)
{
    struct io io;
    io_prepare(&io, tls);
    io.cfg.tcp.buffer_bytes = buffer;
    io_start(&io);
    uint8_t *data = malloc(n + 1);
    const unsigned seed = (unsigned)sm_clock_ns();
    srandom(seed);
    for (size_t i = 0; i < n; i++) data[i] = (uint8_t)random();
    struct peer p = {.path = IO_ECHO, .send = data, .send_n = n, .pieces = pieces, .when_end = stop};
    struct sm_rpc_client_cfg cfg = client_cfg(&io);
    cfg.tcp.buffer_bytes = buffer;
    peer_new(&p, &io, &cfg);
    io_run(&io);
    cr_assert_eq(p.end.code, SM_GRPC_OK, "%s (seed %u)", p.end.message, seed);
    cr_assert_eq(p.messages, pieces);
    cr_assert_eq(p.bytes, n * pieces);
    cr_assert_eq(p.ups, 1);
    cr_assert_eq(p.downs, 0);
    cr_assert_eq(sm_rpc_client_peer(p.client)->tls, tls);
    sm_rpc_client_free(p.client);
    io_stop(&io);
    cr_assert_eq(p.downs, 0);
    free(data);
}

Test(transport, echo_plain)
{
    echo(false, 100, 10, 0);
}
Test(transport, echo_tls)
{
    echo(true, 100, 10, 0);
}
Test(transport, empty_messages)
{
    echo(false, 0, 3, 0);
}
Test(transport, large_messages_through_narrow_sockets)
{
    echo(false, 3000000, 3, 4096);
}
Test(transport, large_messages_through_narrow_sockets_with_tls)
{
    echo(true, 3000000, 3, 4096);
}
Test(transport, more_than_the_output_may_hold)
{
    echo(false, 1000000, 40, 0);
}

/* ---- going down ---- */

Test(transport, nobody_listens)
{
    struct io io;
    io_prepare(&io, false);
    io_start(&io);
    struct peer p = {0};
    const struct sm_rpc_client_cfg cfg = client_cfg(&io);
    sm_rpc_server_free(io.server);
    io.server = NULL;
    peer_new(&p, &io, &cfg);
    io_run(&io);
    cr_assert_eq(p.downs, 1);
    cr_assert_eq(p.why, SM_E_NET);
    cr_assert(strstr(p.text, "Connection refused"), "%s", p.text);
    cr_assert_null(sm_rpc_client_conn(p.client));
    cr_assert_null(sm_rpc_client_peer(p.client));
    sm_rpc_client_connect(p.client); /* the owner's decision */
    io_run(&io);
    cr_assert_eq(p.downs, 2);
    sm_rpc_client_free(p.client);
    io_stop(&io);
}

static void silent_server(bool tls, const char *phase)
{
    struct io io;
    uint16_t port;
    int fd = -1;
    const struct sm_rpc_address at = {.host = "127.0.0.1"};
    const struct sm_tcp_cfg tcp = {0};
    io_prepare(&io, tls);
    cr_assert_eq(sm_tcp_listen(&at, &tcp, &fd, &port, NULL), SM_OK); /* nobody accepts */
    struct peer p = {0};
    struct sm_rpc_client_cfg cfg = client_cfg(&io);
    cfg.address.port = port;
    cfg.connect_timeout_ns = 30 * SM_NS_PER_MS;
    peer_new(&p, &io, &cfg);
    io_run(&io);
    cr_assert_eq(p.ups, 0);
    cr_assert_eq(p.downs, 1);
    cr_assert_eq(p.why, SM_E_TIMEOUT);
    cr_assert(strstr(p.text, "no answer within 0.03 s") && strstr(p.text, phase), "%s", p.text);
    sm_rpc_client_free(p.client);
    io_stop(&io);
    (void)close(fd);
}

Test(transport, a_server_that_says_nothing)
{
    silent_server(false, "HTTP/2");
}
Test(transport, a_tls_server_that_says_nothing)
{
    silent_server(true, "TLS handshake");
}

static void refused(const char *client_cert, const char *server_name, const char *client_says, const char *server_says)
{
    struct io io;
    io_prepare(&io, true);
    io_start(&io);
    struct peer p = {0};
    struct sm_rpc_client_cfg cfg = client_cfg(&io);
    struct sm_tls_context *tls = io_context(&io, SM_TLS_CLIENT, client_cert);
    cfg.tls = tls;
    cfg.server_name = server_name;
    peer_new(&p, &io, &cfg);
    io_run(&io);
    cr_assert_eq(p.ups, 0, "up, although the server refuses");
    cr_assert_eq(p.why, SM_E_REFUSED, "%s: %s", sm_err_name(p.why), p.text);
    cr_assert(strstr(p.text, client_says), "%s", p.text);
    if (!io.troubles) { /* the server hears of it in its own turn */
        io.stop_after_troubles = 1;
        io_run(&io);
    }
    cr_assert(strstr(io.trouble_text, server_says), "%s", io.trouble_text);
    cr_assert_eq(sm_rpc_server_connections(io.server), 0);
    sm_rpc_client_free(p.client);
    sm_tls_context_free(tls);
    io_stop(&io);
}

Test(transport, certificates_of_clients_are_verified)
{
    refused("foreign", NULL, "does not accept our certificate", "the client's certificate is not signed by the CA");
}
Test(transport, names_of_servers_are_verified)
{
    refused("client", "elsewhere", "not for elsewhere but for DNS:node,IP:127.0.0.1",
            "does not accept our certificate");
}

Test(transport, a_name_of_its_own)
{
    struct io io;
    io_prepare(&io, true);
    io_start(&io);
    struct peer p = {.when_up = stop};
    struct sm_rpc_client_cfg cfg = client_cfg(&io);
    cfg.server_name = "node";
    peer_new(&p, &io, &cfg);
    io_run(&io);
    cr_assert_eq(p.ups, 1, "%s", p.text);
    cr_assert_str_eq(sm_rpc_client_peer(p.client)->subject, "/CN=server");
    sm_rpc_client_free(p.client);
    io_stop(&io);
}

Test(transport, tls_against_a_plain_server_and_the_reverse)
{
    struct io io, plain;
    io_prepare(&io, true);
    io_prepare(&plain, false);
    sm_loop_free(plain.loop);
    plain.loop = io.loop;
    io_start(&plain);
    io_start(&io);
    struct peer p = {0}, q = {0};
    struct sm_rpc_client_cfg cfg = client_cfg(&io);
    cfg.address.port = sm_rpc_server_port(plain.server);
    peer_new(&p, &io, &cfg);
    io_run(&io);
    cr_assert_eq(p.why, SM_E_REFUSED, "%s", p.text);
    cr_assert(strstr(p.text, "does not speak TLS there"), "%s", p.text);
    cfg = client_cfg(&io);
    cfg.tls = NULL;
    cfg.address.tls = false;
    peer_new(&q, &io, &cfg);
    io_run(&io);
    cr_assert_eq(q.ups, 0);
    cr_assert_eq(q.downs, 1);
    sm_rpc_client_free(p.client);
    sm_rpc_client_free(q.client);
    sm_rpc_server_free(plain.server);
    io_stop(&io);
}

Test(transport, bad_configurations)
{
    struct io io;
    struct sm_errinfo ei = {0};
    struct sm_rpc_client *c = NULL;
    io_prepare(&io, true);
    struct sm_rpc_client_cfg cfg = client_cfg(&io);
    cfg.address.tls = false;
    cr_assert_eq(sm_rpc_client_new(io.loop, &cfg, &client_events, NULL, &c, &ei), SM_E_ARG);
    cfg = client_cfg(&io);
    cfg.tls = NULL;
    cr_assert_eq(sm_rpc_client_new(io.loop, &cfg, &client_events, NULL, &c, &ei), SM_E_ARG);
    cfg = client_cfg(&io);
    cfg.ping_interval_ns = SM_RPC_PING_MIN_NS - 1;
    cr_assert_eq(sm_rpc_client_new(io.loop, &cfg, &client_events, NULL, &c, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "60 s"), "%s", ei.text);
    cfg = client_cfg(&io);
    cfg.server_name = "";
    cr_assert_eq(sm_rpc_client_new(io.loop, &cfg, &client_events, NULL, &c, &ei), SM_E_ARG);
    cr_assert_null(c);
    io.cfg.listen = "nonsense";
    cr_assert_eq(sm_rpc_server_start(io.loop, &io.cfg, &io.server, &ei), SM_E_ARG);
    sm_rpc_client_free(NULL);
    sm_rpc_server_free(NULL);
    io_stop(&io);
}

/* ---- owners who close in the middle of things ---- */

static void free_client(struct peer *p)
{
    sm_rpc_client_free(p->client);
    p->client = NULL;
    if (!p->s) sm_loop_stop(p->io->loop); /* else the call's end follows */
}
static void note_end(struct peer *p)
{
    if (!p->client) sm_loop_stop(p->io->loop);
}

static void closes_inside(void (*when_up)(struct peer *), void (*when_message)(struct peer *),
                          void (*when_end)(struct peer *), bool tls)
{
    struct io io;
    static const uint8_t data[1000];
    io_prepare(&io, tls);
    io_start(&io);
    struct peer p = {.path = IO_ECHO,
                     .send = data,
                     .send_n = sizeof data,
                     .pieces = 100,
                     .when_up = when_up,
                     .when_message = when_message,
                     .when_end = when_end ? when_end : note_end};
    peer_new(&p, &io, NULL);
    io_run(&io);
    cr_assert_null(p.client);
    cr_assert_eq(p.ends, 1);
    cr_assert_eq(p.downs, 0, "down, although the owner closed");
    io_stop(&io);
}

Test(transport, freed_when_it_comes_up)
{
    closes_inside(free_client, NULL, NULL, false);
    closes_inside(free_client, NULL, NULL, true);
}
Test(transport, freed_by_a_message)
{
    closes_inside(NULL, free_client, NULL, false);
    closes_inside(NULL, free_client, NULL, true);
}
Test(transport, freed_by_the_end_of_a_call)
{
    closes_inside(NULL, NULL, free_client, false);
}

static void free_when_down(struct peer *p)
{
    sm_rpc_client_free(p->client);
    p->client = NULL;
    sm_loop_stop(p->io->loop);
}
static void stop_server(struct peer *p)
{
    sm_rpc_server_stop(p->io->server, 0);
}

Test(transport, freed_by_its_going_down)
{
    struct io io;
    io_prepare(&io, false);
    io_start(&io);
    struct peer p = {.path = IO_HANG, .when_up = stop_server, .when_down = free_when_down};
    peer_new(&p, &io, NULL);
    io_run(&io);
    cr_assert_null(p.client);
    cr_assert_eq(p.ends, 1);
    cr_assert_eq(p.end.code, SM_GRPC_UNAVAILABLE);
    if (!io.stopped) io_run(&io);
    io_stop(&io);
}

static void reconnect(struct peer *p)
{
    if (p->downs == 3)
        sm_loop_stop(p->io->loop);
    else
        sm_rpc_client_connect(p->client);
}
static void close_socket_of_server(struct peer *p)
{
    sm_rpc_server_free(p->io->server); /* on_up is no event of the server's connection */
    p->io->server = NULL;
}

Test(transport, reconnects_when_the_owner_says_so)
{
    struct io io;
    io_prepare(&io, false);
    io_start(&io);
    struct peer p = {.when_up = close_socket_of_server, .when_down = reconnect};
    peer_new(&p, &io, NULL);
    io_run(&io);
    cr_assert_eq(p.ups, 1);
    cr_assert_eq(p.downs, 3); /* lost, refused, refused */
    cr_assert_eq(p.why, SM_E_NET);
    sm_rpc_client_free(p.client);
    io_stop(&io);
}

/* ---- stopping a server ---- */

static void stop_with_grace(struct peer *p)
{
    sm_rpc_server_stop(p->io->server, 3600 * SM_NS_PER_S);
}

Test(transport, a_stop_waits_for_calls)
{
    struct io io;
    static const uint8_t data[100000];
    io_prepare(&io, false);
    io_start(&io);
    /* The stop comes before the server has seen the call, which was on the wire already. */
    struct peer p = {.path = IO_ECHO,
                     .send = data,
                     .send_n = sizeof data,
                     .pieces = 20,
                     .when_up = stop_with_grace,
                     .when_down = reconnect};
    peer_new(&p, &io, NULL);
    p.downs = 2; /* the next one is the last */
    io_run(&io);
    while (!io.stopped || p.downs < 3) io_run(&io);
    cr_assert_eq(p.end.code, SM_GRPC_OK, "%s", p.end.message);
    cr_assert_eq(p.messages, 20);
    cr_assert_eq(io.stopped, 1);
    cr_assert_eq(sm_rpc_server_connections(io.server), 0);
    sm_rpc_client_free(p.client);
    io_stop(&io);
}

static void stop_soon(struct peer *p)
{
    sm_rpc_server_stop(p->io->server, 20 * SM_NS_PER_MS);
    sm_rpc_server_stop(p->io->server, 10 * SM_NS_PER_MS);
}
static void go_on(struct peer *p)
{
    (void)p;
}

Test(transport, a_stop_does_not_wait_for_ever)
{
    struct io io;
    io_prepare(&io, true);
    io_start(&io);
    struct peer p = {.path = IO_HANG, .keep = true, .when_up = stop_soon, .when_down = go_on};
    peer_new(&p, &io, NULL);
    io_run(&io);
    cr_assert_eq(io.stopped, 1);
    cr_assert_eq(p.end.code, SM_GRPC_UNAVAILABLE, "%s", p.end.message);
    sm_rpc_client_free(p.client);
    io_stop(&io);
}

Test(transport, a_server_without_connections_stops_at_once)
{
    struct io io;
    io_prepare(&io, false);
    io_start(&io);
    sm_rpc_server_stop(io.server, 3600 * SM_NS_PER_S);
    cr_assert_eq(io.stopped, 0, "from inside stop");
    io_run(&io);
    cr_assert_eq(io.stopped, 1);
    io_stop(&io);
}

/* ---- many ---- */

#define CLIENTS 60

static unsigned ended;

static void count_end(struct peer *p)
{
    cr_assert_eq(p->end.code, SM_GRPC_OK, "%s", p->end.message);
    if (++ended == CLIENTS) sm_loop_stop(p->io->loop);
}

Test(transport, many_clients)
{
    struct io io;
    static struct peer p[CLIENTS];
    static const uint8_t data[20000];
    io_prepare(&io, true);
    io_start(&io);
    for (size_t i = 0; i < CLIENTS; i++) {
        p[i] = (struct peer){.path = IO_ECHO, .send = data, .send_n = sizeof data, .pieces = 5, .when_end = count_end};
        peer_new(&p[i], &io, NULL);
    }
    io_run(&io);
    cr_assert_eq(sm_rpc_server_connections(io.server), CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) {
        cr_assert_eq(p[i].messages, 5);
        sm_rpc_client_free(p[i].client);
    }
    cr_assert_eq(io.troubles, 0, "%s", io.trouble_text);
    io_stop(&io);
}
