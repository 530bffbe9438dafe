/* rpc/resolve.h, rpc/dial.h, rpc/tcp.h */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/dial.h"
#include "rpc/resolve.h"

static struct sm_loop *loop;
static const struct sm_tcp_cfg defaults;

static void set_up(void)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_loop_new(&loop, &ei), SM_OK, "%s", ei.text);
}

static void tear_down(void)
{
    sm_loop_free(loop);
}

TestSuite(dial, .init = set_up, .fini = tear_down);
TestSuite(resolve, .init = set_up, .fini = tear_down);
TestSuite(tcp, .init = set_up, .fini = tear_down);

static void run(void)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(sm_loop_run(loop, NULL, &ei), SM_OK, "%s", ei.text);
}

static union sm_sockaddr ipv4(const char *ip, uint16_t port)
{
    union sm_sockaddr a = {.in4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
    cr_assert_eq(inet_pton(AF_INET, ip, &a.in4.sin_addr), 1);
    return a;
}

static struct sm_rpc_address address(const char *host, uint16_t port)
{
    struct sm_rpc_address a = {.port = port};
    (void)snprintf(a.host, sizeof a.host, "%s", host);
    return a;
}

static int listen_at(const char *host, uint16_t *port)
{
    int fd = -1;
    struct sm_errinfo ei = {0};
    const struct sm_rpc_address a = address(host, 0);
    cr_assert_eq(sm_tcp_listen(&a, &defaults, &fd, port, &ei), SM_OK, "%s", ei.text);
    cr_assert_neq(*port, 0);
    return fd;
}

/* A port at which nobody listens, and which nobody gets while we hold it. */
static int closed_port(uint16_t *port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    union sm_sockaddr a = ipv4("127.0.0.1", 0);
    socklen_t n = sizeof a.in4;
    cr_assert_eq(bind(fd, &a.sa, n), 0);
    cr_assert_eq(getsockname(fd, &a.sa, &n), 0);
    *port = ntohs(a.in4.sin_port);
    return fd;
}

/* ---- tcp ---- */

static int option(int fd, int level, int name)
{
    int v = -1;
    socklen_t n = sizeof v;
    cr_assert_eq(getsockopt(fd, level, name, &v, &n), 0);
    return v;
}

Test(tcp, dead_peers_are_found_in_half_a_minute)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sm_tcp_tune(fd, &defaults);
    cr_assert_neq(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    cr_assert_neq(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    const int idle = option(fd, IPPROTO_TCP, TCP_KEEPIDLE), apart = option(fd, IPPROTO_TCP, TCP_KEEPINTVL),
              probes = option(fd, IPPROTO_TCP, TCP_KEEPCNT);
    cr_assert(idle > 0 && apart > 0 && probes >= 3, "%d %d %d", idle, apart, probes);
    cr_assert_leq(idle + apart * probes, 35);
    cr_assert_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1000 * (idle + apart * probes));
    const struct sm_tcp_cfg other = {.idle_s = 7, .interval_s = 3, .probes = 2, .user_timeout_ms = 1234};
    sm_tcp_tune(fd, &other);
    cr_assert_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 7);
    cr_assert_eq(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 3);
    cr_assert_eq(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 2);
    cr_assert_eq(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1234);
    (void)close(fd);
}

Test(tcp, a_port_that_is_taken)
{
    uint16_t port;
    int fd = listen_at("127.0.0.1", &port), second = -1;
    struct sm_errinfo ei = {0};
    const struct sm_rpc_address a = address("127.0.0.1", port), elsewhere = address("192.0.2.1", 0),
                                nobody = address("no-such-host.invalid", 0);
    cr_assert_eq(sm_tcp_listen(&a, &defaults, &second, &port, &ei), SM_E_BUSY);
    cr_assert(strstr(ei.text, "another program uses this port"), "%s", ei.text);
    cr_assert_eq(sm_tcp_listen(&elsewhere, &defaults, &second, &port, &ei), SM_E_NET);
    cr_assert(strstr(ei.text, "does not have that address"), "%s", ei.text);
    cr_assert_eq(sm_tcp_listen(&nobody, &defaults, &second, &port, &ei), SM_E_NET);
    cr_assert(strstr(ei.text, "no-such-host.invalid"), "%s", ei.text);
    cr_assert_eq(second, -1);
    (void)close(fd);
}

Test(tcp, every_address_means_both_families)
{
    uint16_t port;
    const struct sm_rpc_address all = address("::", 0);
    int fd = -1;
    struct sm_errinfo ei = {0};
    if (sm_tcp_listen(&all, &defaults, &fd, &port, &ei)) cr_skip_test("no IPv6 here");
    const union sm_sockaddr to = ipv4("127.0.0.1", port);
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(client, &to.sa, sm_sockaddr_len(&to)), 0);
    (void)close(client);
    (void)close(fd);
}

/* ---- dialling ---- */

static struct {
    unsigned calls;
    int fd;
    sm_err err;
    char text[SM_ERRINFO_TEXT], peer[SM_SOCKADDR_ROOM];
} heard;

static void on_dialled(void *ctx, int fd, const union sm_sockaddr *peer, sm_err err, const char *text)
{
    (void)ctx;
    heard.calls++;
    heard.fd = fd;
    heard.err = err;
    (void)snprintf(heard.text, sizeof heard.text, "%s", text);
    cr_assert_eq(err == SM_OK, fd >= 0 && peer);
    if (peer) (void)sm_sockaddr_text(peer, heard.peer);
    sm_loop_stop(loop);
}

static struct sm_dial *dial(const char *host, uint16_t port)
{
    struct sm_dial *d = NULL;
    struct sm_errinfo ei = {0};
    const struct sm_rpc_address a = address(host, port);
    cr_assert_eq(sm_dial_start(loop, &a, &defaults, on_dialled, NULL, &d, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(heard.calls, 0, "called from inside start");
    return d;
}

Test(dial, an_address)
{
    uint16_t port;
    char want[64];
    const int fd = listen_at("127.0.0.1", &port);
    (void)dial("127.0.0.1", port);
    run();
    cr_assert_eq(heard.err, SM_OK, "%s", heard.text);
    (void)snprintf(want, sizeof want, "127.0.0.1:%u", port);
    cr_assert_str_eq(heard.peer, want);
    cr_assert_eq(option(heard.fd, IPPROTO_TCP, TCP_KEEPIDLE), 20);
    (void)close(heard.fd);
    (void)close(fd);
}

Test(dial, localhost_is_looked_up)
{
    uint16_t port;
    struct addrinfo *known = NULL;
    if (getaddrinfo("localhost", NULL, NULL, &known) != 0) cr_skip_test("this machine does not know localhost");
    freeaddrinfo(known);
    const int fd = listen_at("localhost", &port);
    (void)dial("localhost", port);
    run();
    cr_assert_eq(heard.err, SM_OK, "%s", heard.text);
    (void)close(heard.fd);
    (void)close(fd);
}

Test(dial, nobody_listens)
{
    uint16_t port;
    const int held = closed_port(&port);
    (void)dial("127.0.0.1", port);
    run();
    cr_assert_eq(heard.err, SM_E_NET);
    cr_assert_eq(heard.calls, 1);
    cr_assert(strstr(heard.text, "cannot connect to 127.0.0.1:"), "%s", heard.text);
    cr_assert(strstr(heard.text, "Connection refused"), "%s", heard.text);
    (void)close(held);
}

static struct sm_resolved given; /* what the stand-in for the resolver says */
static int given_code;

static int lookup_given(const char *host, uint16_t port, struct sm_resolved *out)
{
    (void)host, (void)port;
    *out = given;
    return given_code;
}

Test(dial, the_next_address_when_one_is_dead)
{
    uint16_t port;
    const int fd = listen_at("127.0.0.1", &port);
    given.n = 4; /* nobody listens at the first three */
    for (size_t i = 0; i < 3; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof ip, "127.0.0.%zu", i + 2);
        given.a[i] = ipv4(ip, port);
    }
    given.a[3] = ipv4("127.0.0.1", port);
    sm_resolve_set_lookup(lookup_given);
    (void)dial("node.test", port);
    run();
    cr_assert_eq(heard.err, SM_OK, "%s", heard.text);
    cr_assert(strncmp(heard.peer, "127.0.0.1:", 10) == 0, "%s", heard.peer);
    (void)close(heard.fd);
    (void)close(fd);
}

/* An address that swallows what is sent to it: a listener whose queue is full. */
static int full_listener(int fillers[8], uint16_t port_wanted, uint16_t *port)
{
    union sm_sockaddr a = ipv4("127.0.0.5", port_wanted);
    socklen_t n = sizeof a.in4;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, &a.sa, n) != 0) return -1;
    cr_assert_eq(listen(fd, 0), 0);
    cr_assert_eq(getsockname(fd, &a.sa, &n), 0);
    *port = ntohs(a.in4.sin_port);
    for (size_t i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fillers[i], &a.sa, n);
    }
    return fd;
}

Test(dial, the_next_address_when_one_keeps_silent)
{
    uint16_t port, port_too;
    int fillers[8];
    const int fd = listen_at("127.0.0.1", &port);
    const int silent = full_listener(fillers, port, &port_too);
    cr_assert_geq(silent, 0);
    given = (struct sm_resolved){.n = 2, .a = {ipv4("127.0.0.5", port), ipv4("127.0.0.1", port)}};
    sm_resolve_set_lookup(lookup_given);
    (void)dial("node.test", port);
    run();
    cr_assert_eq(heard.err, SM_OK, "%s", heard.text);
    cr_assert(strncmp(heard.peer, "127.0.0.1:", 10) == 0, "%s", heard.peer);
    (void)close(heard.fd);
    (void)close(silent);
    (void)close(fd);
    for (size_t i = 0; i < 8; i++) (void)close(fillers[i]);
}

Test(dial, every_failure_is_told)
{
    uint16_t port;
    const int held = closed_port(&port);
    given = (struct sm_resolved){.n = 2, .a = {ipv4("127.0.0.2", port), ipv4("127.0.0.1", port)}};
    sm_resolve_set_lookup(lookup_given);
    (void)dial("node.test", port);
    run();
    cr_assert_eq(heard.err, SM_E_NET);
    cr_assert_eq(heard.calls, 1);
    cr_assert(strstr(heard.text, "cannot connect to node.test:"), "%s", heard.text);
    cr_assert(strstr(heard.text, "127.0.0.2:") && strstr(heard.text, "; 127.0.0.1:"), "%s", heard.text);
    (void)close(held);
}

Test(dial, a_host_that_nobody_knows)
{
    given_code = EAI_NONAME;
    sm_resolve_set_lookup(lookup_given);
    (void)dial("nowhere.test", 1);
    run();
    cr_assert_eq(heard.err, SM_E_NET);
    cr_assert(strstr(heard.text, "cannot look up host nowhere.test: Name or service not known"), "%s", heard.text);
}

Test(dial, cancelled_in_every_phase)
{
    uint16_t port;
    const int fd = listen_at("127.0.0.1", &port);
    struct sm_dial *d = dial("127.0.0.1", port); /* before the first turn */
    sm_dial_cancel(d);
    d = dial("localhost", port);
    cr_assert_str_eq(sm_dial_phase(d), "looking up the host");
    sm_dial_cancel(d);
    sm_dial_cancel(NULL);
    sm_loop_stop(loop);
    run();
    cr_assert_eq(heard.calls, 0);
    (void)close(fd);
}

/* ---- lookups ---- */

#define LOOKUPS 40

static atomic_uint inside, most, finished;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER, entered = PTHREAD_COND_INITIALIZER;
static bool open_gate;

static int lookup_slowly(const char *host, uint16_t port, struct sm_resolved *out)
{
    (void)host;
    (void)pthread_mutex_lock(&gate);
    const unsigned now = atomic_fetch_add(&inside, 1) + 1;
    if (now > atomic_load(&most)) atomic_store(&most, now);
    (void)pthread_cond_broadcast(&entered);
    while (!open_gate) (void)pthread_cond_wait(&opened, &gate);
    atomic_fetch_sub(&inside, 1);
    atomic_fetch_add(&finished, 1);
    (void)pthread_cond_broadcast(&entered);
    (void)pthread_mutex_unlock(&gate);
    out->a[0] = ipv4("127.0.0.1", port);
    out->n = 1;
    return 0;
}

static void wait_inside(unsigned n)
{
    (void)pthread_mutex_lock(&gate);
    while (atomic_load(&inside) < n) (void)pthread_cond_wait(&entered, &gate);
    (void)pthread_mutex_unlock(&gate);
}

static void open_the_gate(void)
{
    (void)pthread_mutex_lock(&gate);
    open_gate = true;
    (void)pthread_cond_broadcast(&opened);
    (void)pthread_mutex_unlock(&gate);
}

static unsigned done_n, done_wanted;

static void on_resolved(void *ctx, const struct sm_resolved *list, const char *text)
{
    cr_assert(list, "%s", text);
    cr_assert_eq(list->n, 1);
    cr_assert_eq(ntohs(list->a[0].in4.sin_port), (uint16_t)(uintptr_t)ctx); /* its own answer */
    if (++done_n == done_wanted) sm_loop_stop(loop);
}

Test(resolve, many_at_a_time_on_few_threads)
{
    struct sm_resolve *r[LOOKUPS];
    sm_resolve_set_lookup(lookup_slowly);
    for (uintptr_t i = 0; i < LOOKUPS; i++) {
        const struct sm_rpc_address a = address("node.test", (uint16_t)(i + 1));
        cr_assert_eq(sm_resolve_start(loop, &a, on_resolved, (void *)(i + 1), &r[i], NULL), SM_OK);
    }
    wait_inside(SM_RESOLVE_THREADS);
    for (size_t i = 0; i < LOOKUPS; i += 3) { /* some that run, some that wait */
        sm_resolve_cancel(r[i]);
        done_wanted--;
    }
    done_wanted += LOOKUPS;
    open_the_gate();
    run();
    cr_assert_eq(done_n, done_wanted);
    cr_assert_eq(atomic_load(&most), SM_RESOLVE_THREADS);
}

Test(resolve, cancelled_when_the_answer_is_on_its_way)
{
    struct sm_resolve *r = NULL, *other = NULL;
    const struct sm_rpc_address a = address("node.test", 7);
    sm_resolve_set_lookup(lookup_slowly);
    cr_assert_eq(sm_resolve_start(loop, &a, on_resolved, (void *)7, &r, NULL), SM_OK);
    wait_inside(1);
    open_the_gate();
    (void)pthread_mutex_lock(&gate);
    while (atomic_load(&finished) < 1) (void)pthread_cond_wait(&entered, &gate);
    (void)pthread_mutex_unlock(&gate);
    sm_resolve_cancel(r); /* posted, or just about to be */
    done_wanted = 1;
    cr_assert_eq(sm_resolve_start(loop, &a, on_resolved, (void *)7, &other, NULL), SM_OK);
    run();
    cr_assert_eq(done_n, 1);
}

Test(resolve, families_take_turns)
{
    struct sm_resolved list = {.n = 6};
    static const int before[] = {AF_INET6, AF_INET6, AF_INET6, AF_INET, AF_INET, AF_INET6};
    static const int after[] = {AF_INET6, AF_INET, AF_INET6, AF_INET, AF_INET6, AF_INET6};
    static const unsigned order[] = {0, 3, 1, 4, 2, 5};
    for (size_t i = 0; i < 6; i++) {
        list.a[i].sa.sa_family = (sa_family_t)before[i];
        list.a[i].in4.sin_port = (uint16_t)i;
    }
    sm_resolved_interleave(&list);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(list.a[i].sa.sa_family, after[i], "%zu", i);
        cr_assert_eq(list.a[i].in4.sin_port, order[i], "%zu", i);
    }
    sm_resolved_interleave(&(struct sm_resolved){.n = 0});
    sm_resolved_interleave(&(struct sm_resolved){.n = 1});
}
