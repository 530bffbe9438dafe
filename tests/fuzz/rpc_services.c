/* Health and reflection asked anything: what a service makes of a message never ends the connection, and every call gets an
 * answer or waits for one.
 *
 * Input: one byte that chooses the method, then messages, each behind a byte with its length. */
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "rpc/conn.h"
#include "rpc/services.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static struct {
    unsigned ends;
    struct sm_grpc_status end;
    unsigned messages;
} call;

static void on_message(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    (void)ctx, (void)s, (void)msg;
    call.messages++;
}

static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    (void)ctx;
    call.ends++;
    call.end = *st;
}

static void carry(struct sm_rpc_conn *from, struct sm_rpc_conn *to)
{
    const uint8_t *p;
    size_t n;
    while ((n = sm_rpc_conn_output(from, &p)) > 0) {
        uint8_t *copy = malloc(n);
        check(copy);
        memcpy(copy, p, n);
        sm_rpc_conn_sent(from, n);
        check(sm_rpc_conn_feed(to, copy, n, 1, NULL) == SM_OK);
        free(copy);
    }
}

static void exchange(struct sm_rpc_conn *client, struct sm_rpc_conn *server)
{
    for (unsigned i = 0; i < 8; i++) {
        carry(client, server);
        carry(server, client);
        if (sm_rpc_conn_deadline(client) == 0) sm_rpc_conn_tick(client, 1); /* events of a cancel come here */
    }
}

static void ask(struct sm_rpc_conn *client, struct sm_rpc_conn *server, const char *path, const uint8_t *p, size_t size)
{
    static const struct sm_rpc_stream_events events = {.on_message = on_message, .on_end = on_end};
    struct sm_rpc_stream *s = NULL;
    check(sm_rpc_call(client, path, 0, 1, &events, NULL, &s, NULL) == SM_OK);
    for (size_t at = 0; at < size;) {
        const size_t left = size - at - 1, n = p[at] < left ? p[at] : left;
        if (call.ends || sm_rpc_send(s, (struct sm_slice){p + at + 1, n}, NULL) != SM_OK) break;
        at += 1 + n;
        exchange(client, server);
    }
    if (!call.ends) sm_rpc_half_close(s);
    exchange(client, server);
    check(sm_rpc_conn_usable(client));
    if (!call.ends) sm_rpc_cancel(s); /* a Watch goes on */
    exchange(client, server);
    check(call.ends == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch",
                                        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                                        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"};
    struct sm_rpc_services *services = NULL;
    struct sm_rpc_conn *client = NULL, *server = NULL;
    if (!size) return 0;
    memset(&call, 0, sizeof call);
    check(sm_rpc_services_new(NULL, 0, NULL, 0, &services, NULL) == SM_OK);
    struct sm_rpc_conn_cfg cfg = {.server = true};
    cfg.methods = sm_rpc_services_methods(services, &cfg.methods_n);
    check(sm_rpc_conn_new(&cfg, 1, &server, NULL) == SM_OK);
    check(sm_rpc_conn_new(&(struct sm_rpc_conn_cfg){.authority = "x:1"}, 1, &client, NULL) == SM_OK);
    exchange(client, server);
    ask(client, server, paths[data[0] % (sizeof paths / sizeof paths[0])], data + 1, size - 1);
    sm_rpc_conn_free(client);
    sm_rpc_conn_free(server);
    sm_rpc_services_free(services);
    return 0;
}
