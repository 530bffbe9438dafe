/* Peers that misbehave, over plain sockets. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/client.h"
#include "http/server.h"
#include "util/clock.h"

#define PATIENCE_MS 20000 /* for things that must happen; nothing passes by it */

static void hello(void *ctx, const struct sm_http_request *rq, struct sm_http_response *out)
{
    (void)ctx;
    (void)rq;
    sm_http_response_text(out, 200, "hello");
}

static struct sm_http_server *start(struct sm_http_server_cfg cfg)
{
    struct sm_http_server *s = NULL;
    struct sm_errinfo ei = {0};
    cfg.listen = "127.0.0.1:0";
    cfg.handler = hello;
    cr_assert_eq(sm_http_server_start(&cfg, &s, &ei), SM_OK, "%s", ei.text);
    return s;
}

static int dial(uint16_t port)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL); /* the server may have hung up */
}

/* Reads until the peer closes; the status of the answer, 0 without one. */
static int answer(int fd)
{
    char text[4096];
    size_t n = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        cr_assert_eq(poll(&p, 1, PATIENCE_MS), 1, "the server neither answered nor closed");
        const ssize_t got = recv(fd, text + n, sizeof text - 1 - n, 0);
        if (got <= 0) break;
        n += (size_t)got;
        if (n == sizeof text - 1) break;
    }
    text[n] = 0;
    close(fd);
    return strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
}

static int ask(struct sm_http_server *s, const char *text)
{
    const int fd = dial(sm_http_server_port(s));
    say(fd, text);
    (void)shutdown(fd, SHUT_WR);
    return answer(fd);
}

#define GOOD "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static int ask_open(struct sm_http_server *s, const char *text)
{
    const int fd = dial(sm_http_server_port(s));
    say(fd, text);
    return answer(fd);
}

Test(server, garbage_harms_nobody)
{
    struct sm_http_server *s = start((struct sm_http_server_cfg){.idle_timeout_s = 1, .request_timeout_s = 1});
    static const char *const garbage[] = {
        "",
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "\x16\x03\x01\x02garbage",

        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) cr_assert_neq(ask(s, garbage[i]), 200, "%zu", i);
    cr_assert_eq(ask_open(s, GOOD), 200);
    sm_http_server_stop(s);
}

Test(server, headers_are_bounded)
{
    struct sm_http_server *s = start((struct sm_http_server_cfg){.header_bytes_max = 4096});
    char *text = malloc(100000);
    (void)sprintf(text, "GET / HTTP/1.1\r\nHost: x\r\nX: ");
    memset(text + strlen(text), 'a', 50000);
    memcpy(text + 50000, "\r\n\r\n", 5);
    const int status = ask_open(s, text);
    cr_assert(status == 431 || status == 413 || status == 414 || status == 0, "%d",
              status); /* 0: reset while we wrote */
    cr_assert_eq(ask_open(s, GOOD), 200);
    free(text);
    sm_http_server_stop(s);
}

/* A byte every so often is not silence, but it does not hold a connection beyond request_timeout_s. */
Test(server, dripping_is_cut_off)
{
    struct sm_http_server *s = start((struct sm_http_server_cfg){.idle_timeout_s = 600, .request_timeout_s = 1});
    const int fd = dial(sm_http_server_port(s));
    const uint64_t start_ns = sm_clock_ns();
    say(fd, "GET / HTTP/1.1\r\nX: ");
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char c;
        say(fd, "a");
        if (poll(&p, 1, 50) == 1 && recv(fd, &c, 1, 0) <= 0) break;
        cr_assert_lt(sm_clock_seconds_since(start_ns), PATIENCE_MS / 1000, "a dripping client holds its connection");
    }
    close(fd);
    cr_assert_eq(ask_open(s, GOOD), 200);
    sm_http_server_stop(s);
}

/* All connections taken by silent clients: the next one is served when they are cut off. */
Test(server, full_house_empties)
{
    struct sm_http_server *s =
        start((struct sm_http_server_cfg){.idle_timeout_s = 600, .request_timeout_s = 1, .connections_max = 4});
    int fds[8];
    for (size_t i = 0; i < 8; i++) fds[i] = dial(sm_http_server_port(s));
    cr_assert_eq(ask_open(s, GOOD), 200);
    for (size_t i = 0; i < 8; i++) close(fds[i]);
    sm_http_server_stop(s);
}

Test(server, stops_with_open_connections)
{
    struct sm_http_server *s = start((struct sm_http_server_cfg){0});
    const int a = dial(sm_http_server_port(s)), b = dial(sm_http_server_port(s));
    say(a, "GET / HT");
    sm_http_server_stop(s);
    cr_assert_eq(answer(a), 0);
    close(b);
}

/* ---- the client against a server that does one thing ---- */

struct peer {
    int listen_fd;
    uint16_t port;
    const char *answer; /* NULL: says nothing and keeps the connection */
    pthread_t thread;
};

static void *peer_main(void *arg)
{
    struct peer *p = arg;
    char text[2048];
    const int fd = accept(p->listen_fd, NULL, NULL);
    if (fd < 0) return NULL;
    if (recv(fd, text, sizeof text, 0) > 0 && p->answer) {
        say(fd, p->answer);
        (void)shutdown(fd, SHUT_WR);
    }
    while (recv(fd, text, sizeof text, 0) > 0) {} /* until the client leaves */
    close(fd);
    return NULL;
}

static void peer_start(struct peer *p, const char *text)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    p->answer = text;
    p->listen_fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(p->listen_fd, (struct sockaddr *)&a, n), 0);
    cr_assert_eq(listen(p->listen_fd, 1), 0);
    cr_assert_eq(getsockname(p->listen_fd, (struct sockaddr *)&a, &n), 0);
    p->port = ntohs(a.sin_port);
    cr_assert_eq(pthread_create(&p->thread, NULL, peer_main, p), 0);
}

static sm_err get(struct peer *p, unsigned timeout_ms, const struct sm_cancel *cancel, struct sm_errinfo *ei)
{
    char url[64];
    struct sm_http_client *c = NULL;
    struct sm_http_reply r = {0};
    const struct sm_http_client_cfg cfg = {0};
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", p->port);
    const struct sm_http_ask a = {.url = url, .timeout_ms = timeout_ms, .cancel = cancel};
    cr_assert_eq(sm_http_client_new(&cfg, &c, ei), SM_OK);
    const sm_err err = sm_http_perform(c, &a, &r, ei);
    sm_http_reply_fini(&r);
    sm_http_client_free(c);
    return err;
}

static void peer_end(struct peer *p)
{
    (void)pthread_join(p->thread, NULL);
    close(p->listen_fd);
}

Test(client, judges_answers)
{
    static const struct {
        const char *text;
        sm_err err;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", SM_OK},
        {"HTTP/1.1 200 OK\r\n\r\nuntil the end", SM_OK},
        {"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort", SM_E_NET},
        {"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\nx", SM_E_NET},
        {"garbage that is no HTTP\r\n\r\n", SM_E_FORMAT},
        {"", SM_E_NET}, /* closed without a word */
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk\r\n", SM_E_NET},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct peer p;
        struct sm_errinfo ei = {0};
        peer_start(&p, rows[i].text);
        const sm_err err = get(&p, PATIENCE_MS, NULL, &ei);
        cr_assert_eq(err, rows[i].err, "row %zu: %s: %s", i, sm_err_name(err), ei.text);
        cr_assert_eq(err == SM_OK, ei.text[0] == 0);
        peer_end(&p);
    }
}

Test(client, times_out)
{
    struct peer p;
    struct sm_errinfo ei = {0};
    peer_start(&p, NULL);
    cr_assert_eq(get(&p, 200, NULL, &ei), SM_E_TIMEOUT, "%s", ei.text);
    peer_end(&p);
}

Test(client, nobody_listens)
{
    struct peer p;
    struct sm_errinfo ei = {0};
    peer_start(&p, "");
    (void)get(&p, PATIENCE_MS, NULL, NULL);
    peer_end(&p);
    cr_assert_eq(get(&p, PATIENCE_MS, NULL, &ei), SM_E_NET, "%s", ei.text);
}

static void *cancel_soon(void *arg)
{
    sm_clock_sleep_ns(100 * SM_NS_PER_MS); /* either side of the request's start is fine */
    sm_cancel_request(arg);
    return NULL;
}

/* Would take an hour otherwise. */
Test(client, is_cancelled)
{
    struct peer p;
    struct sm_cancel cancel = {0};
    pthread_t thread;
    peer_start(&p, NULL);
    cr_assert_eq(pthread_create(&thread, NULL, cancel_soon, &cancel), 0);
    cr_assert_eq(get(&p, 3600000, &cancel, NULL), SM_E_CANCELLED);
    (void)pthread_join(thread, NULL);
    (void)shutdown(p.listen_fd, SHUT_RDWR); /* in case it was cancelled before it connected */
    peer_end(&p);
}

Test(client, cancelled_before_it_starts)
{
    struct peer p;
    struct sm_cancel cancel = {true};
    peer_start(&p, NULL);
    cr_assert_eq(get(&p, 0, &cancel, NULL), SM_E_CANCELLED);
    (void)shutdown(p.listen_fd, SHUT_RDWR);
    peer_end(&p);
}
