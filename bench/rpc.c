/* bench/rpc: what one gRPC connection costs the processor, both sides of it, without sockets.
 *
 *   bench_rpc [repetitions]
 *
 * Rows: unary calls one after another, messages both ways on one stream, and large messages, each from client to server
 * and back in memory; then floods: what the server spends until it has cut the flooding peer off. Every answer is compared
 * with its question, and every flood must end with the connection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "rpc/conn.h"
#include "util/clock.h"

#define REPS_MAX 99u

static struct sm_rpc_conn *client, *server;
static size_t answers, answer_bytes, ends;

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_rpc: %s\n", what);
    exit(1);
}

/* ---- an echo ---- */

static void on_question(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    (void)ctx;
    if (sm_rpc_send(s, msg, NULL)) die("cannot answer");
}

static void on_last(void *ctx, struct sm_rpc_stream *s)
{
    (void)ctx;
    sm_rpc_finish(s, &(struct sm_grpc_status){.code = SM_GRPC_OK});
}

static void on_served(void *ctx, const struct sm_grpc_status *st)
{
    (void)ctx;
    (void)st;
}

static void on_answer(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    const struct sm_slice *question = ctx;
    (void)s;
    if (msg.n != question->n || memcmp(msg.p, question->p, msg.n) != 0) die("a wrong answer");
    answers++;
    answer_bytes += msg.n;
}

static void on_end(void *ctx, const struct sm_grpc_status *st)
{
    (void)ctx;
    if (st->code == SM_GRPC_OK) ends++;
}

static bool open_call(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                      struct sm_grpc_status *refuse)
{
    static const struct sm_rpc_stream_events events = {
        .on_message = on_question, .on_half_close = on_last, .on_end = on_served};
    (void)ctx, (void)s, (void)ev_ctx, (void)refuse;
    *ev = &events;
    return true;
}

static const struct sm_rpc_method method = {.path = "/bench.Echo/Echo", .open = open_call};

static void start(void)
{
    const struct sm_rpc_conn_cfg c = {.authority = "bench:1"}, s = {.server = true, .methods = &method, .methods_n = 1};
    if (sm_rpc_conn_new(&c, sm_clock_ns(), &client, NULL) || sm_rpc_conn_new(&s, sm_clock_ns(), &server, NULL))
        die("cannot set up");
}

static void stop(void)
{
    sm_rpc_conn_free(client);
    sm_rpc_conn_free(server);
}

static size_t carry(struct sm_rpc_conn *from, struct sm_rpc_conn *to)
{
    const uint8_t *p;
    const size_t n = sm_rpc_conn_output(from, &p);
    if (!n) return 0;
    if (sm_rpc_conn_feed(to, p, n, sm_clock_ns(), NULL)) die("a connection broke");
    sm_rpc_conn_sent(from, n);
    if (!sm_rpc_conn_deadline(to)) sm_rpc_conn_tick(to, sm_clock_ns());
    if (!sm_rpc_conn_deadline(from)) sm_rpc_conn_tick(from, sm_clock_ns());
    return n;
}

static void run(void)
{
    while (carry(client, server) + carry(server, client)) {}
}

/* ---- rows ---- */

struct row {
    const char *name;
    unsigned calls, messages; /* messages of each call */
    size_t bytes;             /* of a message */
};

static double measure(const struct row *r, const struct sm_slice *question)
{
    static const struct sm_rpc_stream_events events = {.on_message = on_answer, .on_end = on_end};
    const uint64_t begin = sm_clock_ns();
    answers = answer_bytes = ends = 0;
    start();
    for (unsigned i = 0; i < r->calls; i++) {
        struct sm_rpc_stream *s;
        if (sm_rpc_call(client, method.path, 0, sm_clock_ns(), &events, (void *)(size_t)question, &s, NULL))
            die("cannot call");
        for (unsigned m = 0; m < r->messages; m++) {
            if (sm_rpc_send(s, *question, NULL)) die("cannot send");
            if (m + 1 == r->messages) sm_rpc_half_close(s);
            run();
        }
    }
    stop();
    if (ends != r->calls || answers != (size_t)r->calls * r->messages) die("answers are missing");
    return (double)(sm_clock_ns() - begin) / 1e9;
}

/* Seconds until the server has cut the peer off. */
static double flood(const uint8_t *frame, size_t n, size_t *out_frames)
{
    static const uint8_t settings[9] = {0, 0, 0, NGHTTP2_SETTINGS};
    const uint8_t *p;
    size_t waiting;
    start();
    (void)!sm_rpc_conn_feed(server, (const uint8_t *)NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN, sm_clock_ns(),
                            NULL);
    (void)!sm_rpc_conn_feed(server, settings, sizeof settings, sm_clock_ns(), NULL);
    const uint64_t begin = sm_clock_ns();
    for (*out_frames = 1; !sm_rpc_conn_feed(server, frame, n, begin, NULL); ++*out_frames) {
        if (*out_frames > 100000) die("a flood was not cut off");
        while ((waiting = sm_rpc_conn_output(server, &p)) > 0) sm_rpc_conn_sent(server, waiting);
    }
    const double took = (double)(sm_clock_ns() - begin) / 1e9;
    stop();
    return took;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_row(const struct row *r, unsigned reps)
{
    double s[REPS_MAX];
    struct sm_slice question = {calloc(1, r->bytes), r->bytes};
    if (!question.p) die("out of memory");
    memset((void *)(size_t)question.p, 0x5a, r->bytes);
    (void)measure(r, &question);
    for (unsigned i = 0; i < reps; i++) s[i] = measure(r, &question);
    qsort(s, reps, sizeof s[0], by_value);
    const double each = (double)r->calls * r->messages;
    printf("%-12s %8zu bytes  median %9.0f/s  min %9.0f  max %9.0f  %7.1f MiB/s each way  %u repetitions\n", r->name,
           r->bytes, each / s[reps / 2], each / s[reps - 1], each / s[0],
           each * (double)r->bytes / s[reps / 2] / 1048576, reps);
    free((void *)(size_t)question.p);
}

static void print_flood(const char *name, const uint8_t *frame, size_t n, unsigned reps)
{
    double s[REPS_MAX];
    size_t frames = 0;
    for (unsigned i = 0; i < reps; i++) s[i] = flood(frame, n, &frames);
    qsort(s, reps, sizeof s[0], by_value);
    printf("flood %-14s cut off after %5zu frames  median %6.2f ms  min %6.2f  max %6.2f  %u repetitions\n", name,
           frames, s[reps / 2] * 1e3, s[0] * 1e3, s[reps - 1] * 1e3, reps);
}

int main(int argc, char **argv)
{
    static const struct row rows[] = {{"unary", 50000, 1, 100}, {"stream", 1, 50000, 100}, {"large", 1, 40, 4000000}};
    static const uint8_t ping[17] = {0, 0, 8, NGHTTP2_PING}, settings[9] = {0, 0, 0, NGHTTP2_SETTINGS};
    static const uint8_t unknown[9] = {0, 0, 0, 0xee}, priority[14] = {0, 0, 5, NGHTTP2_PRIORITY, 0, 0, 0, 0, 1};
    static const uint8_t window[13] = {0, 0, 4, NGHTTP2_WINDOW_UPDATE, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    const unsigned long given = argc > 1 ? strtoul(argv[1], NULL, 10) : 7;
    const unsigned reps = given >= 1 && given <= REPS_MAX ? (unsigned)given : 7;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) print_row(&rows[i], reps);
    print_flood("PING", ping, sizeof ping, reps);
    print_flood("SETTINGS", settings, sizeof settings, reps);
    print_flood("PRIORITY", priority, sizeof priority, reps);
    print_flood("WINDOW_UPDATE", window, sizeof window, reps);
    print_flood("unknown", unknown, sizeof unknown, reps);
    return 0;
}
