/* rpc/server.h against peers that do not play by the rules: bare sockets on the test's thread, the server on another */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "io_kit.h"

#define GUARD_S 60 /* only against hanging */

static struct io io;
static pthread_t thread;

static void *run_loop(void *arg)
{
    (void)arg;
    return sm_loop_run(io.loop, NULL, NULL) ? &io : NULL;
}

static void serve(void)
{
    io_start(&io);
    cr_assert_eq(pthread_create(&thread, NULL, run_loop, NULL), 0);
}

/* From here on `io` is the test's. */
static void halt(void)
{
    void *failed;
    cr_assert_eq(pthread_join(thread, &failed), 0);
    cr_assert_null(failed);
}

static void stop_and_halt(void)
{
    sm_loop_stop(io.loop);
    halt();
}

static int connect_raw(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(sm_rpc_server_port(io.server))};
    const struct timeval guard = {.tv_sec = GUARD_S};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &guard, sizeof guard), 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &guard, sizeof guard), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0, "%s", strerror(errno));
    return fd;
}

/* As much as the peer takes. */
static void put(int fd, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n) {
        const ssize_t w = send(fd, at, n, MSG_NOSIGNAL);
        if (w <= 0) return;
        at += w;
        n -= (size_t)w;
    }
}

/* Reads until the other side closes. *reset: by a reset. Returns the number of bytes, the first `room` of them in `p`. */
static size_t drain(int fd, uint8_t *p, size_t room, bool *reset)
{
    uint8_t block[65536];
    size_t total = 0;
    ssize_t n;
    while ((n = recv(fd, block, sizeof block, 0)) > 0) {
        const size_t keep = total >= room ? 0 : room - total < (size_t)n ? room - total : (size_t)n;
        if (keep) memcpy(p + total, block, keep);
        total += (size_t)n;
    }
    cr_assert(n == 0 || errno == ECONNRESET, "%s", strerror(errno)); /* EAGAIN: the guard */
    if (reset) *reset = n < 0;
    return total;
}

static void expect_closed(int fd)
{
    (void)drain(fd, NULL, 0, NULL);
    (void)close(fd);
}

/* ---- bare HTTP/2 ---- */

static const uint8_t hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                               "\0\0\6\4\0\0\0\0\0"   /* SETTINGS: */
                               "\0\4\x7f\xff\xff\xff" /* INITIAL_WINDOW_SIZE 2^31-1 */
                               "\0\0\4\x8\0\0\0\0\0"  /* WINDOW_UPDATE of the connection: */
                               "\x7f\xff\0\0";        /* to 2^31-1 */
static const uint8_t ping[] = "\0\0\x8\6\0\0\0\0\0abcdefgh";
#define BYTES(text) (text), sizeof(text) - 1

static size_t add_header(uint8_t *out, size_t at, const char *name, const char *value)
{
    out[at++] = 0; /* literal, not indexed, new name */
    out[at++] = (uint8_t)strlen(name);
    memcpy(out + at, name, strlen(name));
    at += strlen(name);
    out[at++] = (uint8_t)strlen(value);
    memcpy(out + at, value, strlen(value));
    return at + strlen(value);
}

static void call_raw(int fd, const char *path)
{
    uint8_t frame[512] = {0, 0, 0, 1, 4, 0, 0, 0, 1}; /* HEADERS, END_HEADERS, stream 1 */
    size_t n = 9;
    n = add_header(frame, n, ":method", "POST");
    n = add_header(frame, n, ":scheme", "http");
    n = add_header(frame, n, ":path", path);
    n = add_header(frame, n, ":authority", "x");
    n = add_header(frame, n, "te", "trailers");
    n = add_header(frame, n, "content-type", "application/grpc");
    frame[1] = (uint8_t)((n - 9) >> 8);
    frame[2] = (uint8_t)(n - 9);
    put(fd, frame, n);
}

/* Reads frames until one of this type. */
static void expect_frame(int fd, uint8_t type)
{
    uint8_t head[9] = {0}, body[65536];
    do {
        cr_assert_eq(recv(fd, head, sizeof head, MSG_WAITALL), 9, "no frame of type %u: %s", type, strerror(errno));
        const size_t n = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        cr_assert_leq(n, sizeof body);
        if (n) cr_assert_eq(recv(fd, body, n, MSG_WAITALL), (ssize_t)n);
    } while (head[3] != type);
}

static void ping_raw(int fd)
{
    put(fd, BYTES(ping));
    expect_frame(fd, 6);
}

static int greet(void)
{
    const int fd = connect_raw();
    put(fd, BYTES(hello));
    ping_raw(fd); /* the other side has read all that */
    return fd;
}

/* ---- dawdling ---- */

Test(hostile, silence_instead_of_a_tls_handshake)
{
    io_prepare(&io, true);
    io.cfg.handshake_timeout_ns = 30 * SM_NS_PER_MS;
    io.stop_after_troubles = 5;
    serve();
    int fds[5];
    for (size_t i = 0; i < 5; i++) fds[i] = connect_raw();
    put(fds[1], "\x16", 1);
    put(fds[2], "\x16\3\1\2\0\1\0\1\xfc\3\3", 11); /* the beginning of a ClientHello */
    for (size_t i = 0; i < 5; i++) expect_closed(fds[i]);
    halt();
    cr_assert_eq(io.troubles, 5);
    cr_assert_eq(io.trouble, SM_E_TIMEOUT);
    cr_assert(strstr(io.trouble_text, "the TLS handshake takes too long"), "%s", io.trouble_text);
    io_stop(&io);
}

static void stop_server(void *ctx)
{
    (void)ctx;
    sm_rpc_server_stop(io.server, 3600 * SM_NS_PER_S);
}

Test(hostile, a_stop_does_not_wait_for_handshakes)
{
    io_prepare(&io, true);
    serve();
    const int fd = connect_raw();
    put(fd, "\x16", 1);
    cr_assert_eq(sm_loop_post(io.loop, stop_server, NULL, NULL), SM_OK);
    expect_closed(fd); /* or it was still in the queue of the listener */
    halt();
    cr_assert_eq(io.stopped, 1);
    if (io.troubles) cr_assert_eq(io.trouble, SM_E_CANCELLED, "%s", io.trouble_text);
    io_stop(&io);
}

Test(hostile, silence_instead_of_http2)
{
    io_prepare(&io, false);
    io.cfg.header_timeout_ns = 30 * SM_NS_PER_MS;
    io.stop_after_troubles = 3;
    serve();
    int fds[3] = {connect_raw(), connect_raw(), connect_raw()};
    put(fds[1], "PRI * HT", 8);
    put(fds[2], hello, 30);
    for (size_t i = 0; i < 3; i++) expect_closed(fds[i]);
    halt();
    cr_assert_eq(io.troubles, 3, "%s", io.trouble_text);
    cr_assert_eq(sm_rpc_server_connections(io.server), 0);
    io_stop(&io);
}

/* Gone without a word: no answer to PINGs. */
Test(hostile, a_peer_that_is_not_there_any_more)
{
    io_prepare(&io, false);
    io.cfg.ping_interval_ns = 20 * SM_NS_PER_MS;
    io.cfg.ping_timeout_ns = 20 * SM_NS_PER_MS;
    io.stop_after_troubles = 1;
    serve();
    const int fd = greet();
    call_raw(fd, IO_HANG);
    expect_closed(fd);
    halt();
    cr_assert_eq(io.ended_calls, 1);
    cr_assert_eq(io.call_end.code, SM_GRPC_UNAVAILABLE, "%s", io.call_end.message);
    cr_assert_eq(io.troubles, 1);
    cr_assert_eq(io.trouble, SM_E_TIMEOUT, "%s", io.trouble_text);
    io_stop(&io);
}

Test(hostile, a_peer_that_never_reads)
{
    io_prepare(&io, false);
    io.cfg.write_timeout_ns = 50 * SM_NS_PER_MS;
    io.cfg.tcp.buffer_bytes = 4096;
    io.stop_when_call_ends = true;
    serve();
    const int fd = connect_raw();
    put(fd, BYTES(hello));
    call_raw(fd, IO_FLOOD);
    halt(); /* the call ends although the peer has not taken anything */
    cr_assert_eq(io.call_end.code, SM_GRPC_UNAVAILABLE, "%s", io.call_end.message);
    (void)close(fd);
    io_stop(&io);
}

/* ---- leaving ---- */

Test(hostile, a_reset_ends_calls)
{
    io_prepare(&io, false);
    io.stop_when_call_ends = true;
    serve();
    const int fd = greet();
    call_raw(fd, IO_HANG);
    ping_raw(fd); /* the call is open on the other side */
    const struct linger now = {.l_onoff = 1};
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    (void)close(fd);
    halt();
    cr_assert_eq(io.call_end.code, SM_GRPC_UNAVAILABLE);
    cr_assert(strstr(io.call_end.message, "reset"), "%s", io.call_end.message);
    io_stop(&io);
}

/* As gRPC for Go says goodbye: in HTTP/2's terms it is wrong, for the log it is nothing. */
Test(hostile, a_goodbye_that_is_not_quite_right)
{
    static const uint8_t goaway[] = "\0\0\x8\7\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0";
    io_prepare(&io, false);
    serve();
    const int fd = greet();
    put(fd, BYTES(goaway));
    expect_closed((shutdown(fd, SHUT_WR), fd));
    ping_raw(greet());
    stop_and_halt();
    cr_assert_eq(io.troubles, 0, "%s", io.trouble_text);
    io_stop(&io);
}

/* A socket that is closed with unread input sends a reset, which would overtake the GOAWAY. */
Test(hostile, the_last_word_arrives_in_spite_of_unread_input)
{
    static uint8_t garbage[300000], answer[4096];
    bool reset, goaway = false;
    io_prepare(&io, false);
    io.stop_after_troubles = 1;
    serve();
    const int fd = connect_raw();
    put(fd, BYTES(hello));
    memset(garbage, 0xee, sizeof garbage); /* a frame larger than any */
    put(fd, garbage, sizeof garbage);
    cr_assert_eq(shutdown(fd, SHUT_WR), 0);
    const size_t n = drain(fd, answer, sizeof answer, &reset);
    for (size_t at = 0; at + 9 <= n; at += 9 + ((size_t)answer[at + 1] << 8 | answer[at + 2]))
        goaway |= answer[at + 3] == 7;
    cr_assert_not(reset);
    cr_assert(goaway, "%zu bytes without GOAWAY", n);
    (void)close(fd);
    halt();
    cr_assert_eq(io.troubles, 1);
    cr_assert_eq(io.trouble, SM_E_FORMAT, "%s: %s", sm_err_name(io.trouble), io.trouble_text);
    io_stop(&io);
}

static void garbage(bool tls)
{
    const unsigned seed = (unsigned)sm_clock_ns();
    cr_log_info("seed %u", seed);
    srandom(seed);
    io_prepare(&io, tls);
    serve();
    for (unsigned i = 0; i < 200; i++) {
        uint8_t bytes[600];
        const int fd = connect_raw();
        const size_t n = (size_t)random() % sizeof bytes;
        for (size_t k = 0; k < n; k++) bytes[k] = (uint8_t)random();
        if (i % 3 == 0) put(fd, BYTES(hello));
        if (tls && n > 5 && i % 3 == 1) memcpy(bytes, "\x16\3\1\0\x80", 5);
        put(fd, bytes, n);
        (void)shutdown(fd, SHUT_WR);
        expect_closed(fd);
    }
    stop_and_halt();
    cr_assert_eq(io.ended_calls, 0, "seed %u", seed);
    io_stop(&io);
}

Test(hostile, garbage_plain)
{
    garbage(false);
}
Test(hostile, garbage_tls)
{
    garbage(true);
}

/* ---- too many ---- */

static void flood(bool tls)
{
    enum { PLACES = 8, FLOOD = 200 };
    int fds[FLOOD], good = -1;
    io_prepare(&io, tls);
    io.cfg.connections_max = PLACES;
    serve();
    if (!tls) good = greet();
    for (size_t i = 0; i < FLOOD; i++) fds[i] = connect_raw();
    /* The oldest have made room for the newest. */
    for (size_t i = 0; i < FLOOD - PLACES; i++) expect_closed(fds[i]);
    if (!tls) {
        ping_raw(good); /* who had shown that it can talk was left in peace */
        (void)close(good);
    }
    for (size_t i = FLOOD - PLACES; i < FLOOD; i++) (void)close(fds[i]);
    stop_and_halt();
    cr_assert_geq(io.troubles, FLOOD - PLACES);
    cr_assert_leq(sm_rpc_server_connections(io.server), PLACES);
    io_stop(&io);
}

Test(hostile, a_flood_of_silent_connections)
{
    flood(false);
}
Test(hostile, a_flood_of_silent_connections_with_tls)
{
    flood(true);
}

Test(hostile, newcomers_are_turned_away_when_all_places_are_in_use)
{
    io_prepare(&io, false);
    io.cfg.connections_max = 2;
    serve();
    const int a = greet(), b = greet(), c = connect_raw();
    expect_closed(c);
    ping_raw(a);
    ping_raw(b);
    expect_closed((shutdown(a, SHUT_WR), a));
    const int d = greet();
    (void)close(d);
    (void)close(b);
    stop_and_halt();
    cr_assert_eq(io.troubles, 1, "%s", io.trouble_text);
    cr_assert_eq(io.trouble, SM_E_BUSY);
    cr_assert(strstr(io.trouble_text, "was turned away: all 2 connections are in use"), "%s", io.trouble_text);
    io_stop(&io);
}

Test(hostile, no_descriptors_left)
{
    enum { LIMIT = 200 };
    int held[LIMIT];
    size_t n = 0;
    const struct rlimit few = {LIMIT, LIMIT};
    io_prepare(&io, false);
    serve();
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (n < LIMIT && (held[n] = fcntl(fd, F_DUPFD_CLOEXEC, 0)) >= 0) n++;
    (void)close(held[--n]);
    const int waiting = connect_raw(); /* takes the last one */
    put(waiting, BYTES(hello));
    for (size_t i = 0; i < n; i++) (void)close(held[i]);
    expect_frame(waiting, 4); /* served when there is room again */
    (void)close(waiting);
    (void)close(fd);
    stop_and_halt();
    if (io.troubles) cr_assert(strstr(io.trouble_text, "limit on open files"), "%s", io.trouble_text);
    io_stop(&io);
}
