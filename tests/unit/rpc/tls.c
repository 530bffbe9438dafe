/* rpc/tls.h: handshakes over a socket pair, certificates made on the spot */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc/tls.h"
#include "support/rpc/certs.h"
#include "support/tmpdir.h"
#include "util/clock.h"

static char dir[256];

static void set_up(void)
{
    cert_make_all(tmpdir_make(dir));
}

static void tear_down(void)
{
    tmpdir_remove(dir);
}

TestSuite(tls, .init = set_up, .fini = tear_down);

static const char *pem(const char *name, const char *kind)
{
    static char paths[32][512];
    static unsigned next;
    char *out = paths[next++ % 32];
    (void)snprintf(out, 512, "%s/%s.%s", dir, name, kind);
    return out;
}

static struct sm_tls_context *context(sm_tls_side side, const char *ca, const char *cert, const char *key)
{
    struct sm_tls_context *c = NULL;
    struct sm_errinfo ei = {0};
    const struct sm_tls_cfg cfg = {pem(ca, "pem"), pem(cert, "pem"), pem(key, "key")};
    cr_assert_eq(sm_tls_context_new(&cfg, side, &c, &ei), SM_OK, "%s", ei.text);
    return c;
}

/* Two sides that shake hands on one thread. */
struct side {
    struct sm_tls *tls;
    struct sm_peer peer;
    struct sm_errinfo ei;
    sm_tls_want state;
};

struct pair {
    int fds[2];
    struct side client, server;
};

static void pair_open(struct pair *p, struct sm_tls_context *client, struct sm_tls_context *server, const char *name)
{
    *p = (struct pair){.client.state = SM_TLS_READ, .server.state = SM_TLS_READ};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->fds), 0);
    cr_assert_eq(sm_tls_new(client, p->fds[0], name, "node:9094", &p->client.tls, &p->client.ei), SM_OK, "%s",
                 p->client.ei.text);
    cr_assert_eq(sm_tls_new(server, p->fds[1], NULL, "10.0.0.9:5000", &p->server.tls, &p->server.ei), SM_OK);
}

static void pair_close(struct pair *p)
{
    sm_tls_free(p->client.tls);
    sm_tls_free(p->server.tls);
    (void)close(p->fds[0]);
    (void)close(p->fds[1]);
}

static void step(struct side *s)
{
    uint8_t byte;
    size_t n;
    if (s->state == SM_TLS_READ || s->state == SM_TLS_WRITE)
        s->state = sm_tls_handshake(s->tls, &s->peer, &s->ei);
    else if (s->state == SM_TLS_DONE && sm_tls_read(s->tls, &byte, 1, &n, &s->ei) == SM_TLS_FAILED)
        s->state = SM_TLS_FAILED; /* TLS 1.3: the server's refusal comes after the client's handshake */
}

/* Enough turns for both to say all that they have to say. */
static void shake(struct pair *p)
{
    for (unsigned i = 0; i < 10; i++) {
        step(&p->client);
        step(&p->server);
    }
}

static void expect_good(struct sm_tls_context *client, struct sm_tls_context *server, const char *name)
{
    struct pair p;
    pair_open(&p, client, server, name);
    shake(&p);
    cr_assert_eq(p.client.state, SM_TLS_DONE, "client: %s", p.client.ei.text);
    cr_assert_eq(p.server.state, SM_TLS_DONE, "server: %s", p.server.ei.text);
    pair_close(&p);
}

Test(tls, both_sides_learn_who_the_other_is)
{
    struct sm_tls_context *client = context(SM_TLS_CLIENT, "ca", "client", "client");
    struct sm_tls_context *server = context(SM_TLS_SERVER, "ca", "server", "server");
    struct pair p;
    pair_open(&p, client, server, "node");
    shake(&p);
    cr_assert_eq(p.client.state, SM_TLS_DONE, "%s", p.client.ei.text);
    cr_assert_eq(p.server.state, SM_TLS_DONE, "%s", p.server.ei.text);
    cr_assert(p.client.peer.tls && p.server.peer.tls);
    cr_assert_str_eq(p.server.peer.sans, "DNS:post");
    cr_assert_str_eq(p.client.peer.sans, "DNS:node,IP:127.0.0.1,IP:::1");
    cr_assert_str_eq(p.server.peer.subject, "/CN=client");
    cr_assert_eq(strlen(p.server.peer.fingerprint_sha256), 64);
    cr_assert_str_eq(p.server.peer.fingerprint_sha256, sm_tls_context_fingerprint(client));
    cr_assert_str_eq(p.client.peer.fingerprint_sha256, sm_tls_context_fingerprint(server));
    cr_assert(sm_peer_has_san(&p.client.peer, "DNS:NODE"));
    cr_assert(sm_peer_has_san(&p.client.peer, "IP:::1"));
    cr_assert_not(sm_peer_has_san(&p.client.peer, "IP:127.0.0"));
    cr_assert_not(sm_peer_has_san(&p.client.peer, ""));
    cr_assert_not(sm_peer_has_san(&p.client.peer, "DNS:node,IP:127.0.0.1"));
    pair_close(&p);
    sm_tls_context_free(client);
    sm_tls_context_free(server);
}

struct handshake {
    char title[40];
    char client_ca[16], client[16], server_ca[16], server[16], name[32]; /* certificate files */
    char client_says[80], server_says[80]; /* empty: this side is content, or the other's word is as good */
};

static struct handshake handshakes[] = {
    {"by name", "ca", "client", "ca", "server", "node", "", ""},
    {"by IPv4 address", "ca", "client", "ca", "server", "127.0.0.1", "", ""},
    {"by IPv6 address", "ca", "client", "ca", "server", "::1", "", ""},
    {"through an intermediate", "ca", "client", "ca", "deep_chain", "node", "", ""},
    {"the intermediate is the CA file", "below", "client", "ca", "deep", "node", "", ""},
    {"trusted for itself", "alone", "client", "ca", "alone", "node", "", ""},
    {"server of another CA", "foreign_ca", "client", "ca", "server", "node",
     "node:9094: the server's certificate is not signed by the CA in", "does not accept our certificate"},
    {"client of another CA", "ca", "foreign", "ca", "server", "node", "does not accept our certificate",
     "10.0.0.9:5000: the client's certificate is not signed by the CA in"},
    {"client signed itself", "ca", "alone", "ca", "server", "node", "does not accept our certificate",
     "the client's certificate is not signed by the CA in"},
    {"intermediate missing", "ca", "client", "ca", "deep", "node", "is not signed by the CA in", ""},
    {"expired server", "ca", "client", "ca", "expired", "node", "certificate of the server expired at 2", "expired"},
    {"expired client", "ca", "expired", "ca", "server", "node", "our certificate has expired",
     "certificate of the client expired at 2"},
    {"server not yet valid", "ca", "client", "ca", "future", "node", "of the server is not valid before 2", ""},
    {"client not yet valid", "ca", "future", "ca", "server", "node", "", "of the client is not valid before 2"},
    {"wrong name", "ca", "client", "ca", "wrongname", "node", "not for node but for DNS:elsewhere", ""},
    {"wrong address", "ca", "client", "ca", "wrongname", "127.0.0.1", "not for 127.0.0.1 but for DNS:elsewhere", ""},
    {"the common name does not count", "ca", "client", "ca", "nosan", "nosan", "no name at all (no subjectAltName)",
     ""},
    {"wrong purpose", "ca", "client", "ca", "purpose", "node", "extended key usage must hold serverAuth", ""},
    {"client with a server's purpose", "ca", "server", "ca", "server", "node", "", "must hold clientAuth"},
};

ParameterizedTestParameters(tls, handshakes)
{
    return cr_make_param_array(struct handshake, handshakes, sizeof handshakes / sizeof handshakes[0]);
}

static void check_side(const struct handshake *h, const char *who, const struct side *s, const char *says)
{
    if (!*says) return;
    cr_assert_eq(s->state, SM_TLS_FAILED, "%s: %s is content", h->title, who);
    cr_assert(strstr(s->ei.text, says), "%s: %s says: %s", h->title, who, s->ei.text);
    cr_assert_eq(sm_tls_why(s->tls), SM_E_REFUSED, "%s: %s", h->title, who);
}

ParameterizedTest(struct handshake *h, tls, handshakes, .init = set_up, .fini = tear_down)
{
    char key[16];
    (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(h->server, "_"), h->server); /* deep_chain.pem: deep.key */
    struct sm_tls_context *client = context(SM_TLS_CLIENT, h->client_ca, h->client, h->client);
    struct sm_tls_context *server = context(SM_TLS_SERVER, h->server_ca, h->server, key);
    struct pair p;
    pair_open(&p, client, server, h->name);
    shake(&p);
    if (!*h->client_says && !*h->server_says) {
        cr_assert_eq(p.client.state, SM_TLS_DONE, "%s: %s", h->title, p.client.ei.text);
        cr_assert_eq(p.server.state, SM_TLS_DONE, "%s: %s", h->title, p.server.ei.text);
    } else {
        cr_assert(p.client.state == SM_TLS_FAILED || p.server.state == SM_TLS_FAILED, "%s: accepted", h->title);
    }
    check_side(h, "client", &p.client, h->client_says);
    check_side(h, "server", &p.server, h->server_says);
    pair_close(&p);
    sm_tls_context_free(client);
    sm_tls_context_free(server);
}

/* ---- peers that are not ours ---- */

struct foreign {
    SSL_CTX *ctx;
    SSL *ssl;
};

static void foreign_client(struct foreign *f, int fd, const char *cert, const char *alpn, int max_version)
{
    f->ctx = SSL_CTX_new(TLS_client_method());
    cr_assert(f->ctx);
    (void)SSL_CTX_set_max_proto_version(f->ctx, max_version);
    (void)SSL_CTX_set_min_proto_version(f->ctx, 0);
    SSL_CTX_set_security_level(f->ctx, 0);
    if (cert) {
        cr_assert_eq(SSL_CTX_use_certificate_file(f->ctx, pem(cert, "pem"), SSL_FILETYPE_PEM), 1);
        cr_assert_eq(SSL_CTX_use_PrivateKey_file(f->ctx, pem(cert, "key"), SSL_FILETYPE_PEM), 1);
    }
    if (alpn) {
        uint8_t wire[32] = {(uint8_t)strlen(alpn)};
        memcpy(wire + 1, alpn, strlen(alpn));
        cr_assert_eq(SSL_CTX_set_alpn_protos(f->ctx, wire, 1 + wire[0]), 0);
    }
    f->ssl = SSL_new(f->ctx);
    cr_assert(f->ssl && SSL_set_fd(f->ssl, fd) == 1);
    SSL_set_connect_state(f->ssl);
}

/* What our server says to such a client; "" when it is content. */
static const char *server_answers(const char *cert, const char *alpn, int max_version)
{
    static struct sm_errinfo ei;
    int fds[2];
    struct foreign f;
    struct sm_tls *tls = NULL;
    struct sm_peer peer = {0};
    struct sm_tls_context *server = context(SM_TLS_SERVER, "ca", "server", "server");
    ei.text[0] = '\0';
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    foreign_client(&f, fds[0], cert, alpn, max_version);
    cr_assert_eq(sm_tls_new(server, fds[1], NULL, "peer", &tls, &ei), SM_OK);
    sm_tls_want want = SM_TLS_READ;
    for (unsigned i = 0; i < 10 && (want == SM_TLS_READ || want == SM_TLS_WRITE); i++) {
        (void)SSL_do_handshake(f.ssl);
        want = sm_tls_handshake(tls, &peer, &ei);
    }
    cr_assert(want == SM_TLS_DONE || want == SM_TLS_FAILED);
    cr_assert_eq(want == SM_TLS_FAILED, *ei.text != '\0');
    sm_tls_free(tls);
    SSL_free(f.ssl);
    SSL_CTX_free(f.ctx);
    (void)close(fds[0]);
    (void)close(fds[1]);
    sm_tls_context_free(server);
    return ei.text;
}

Test(tls, what_a_server_demands)
{
    cr_assert_str_eq(server_answers("client", "h2", 0), "");
    cr_assert_str_eq(server_answers("client", "h2", TLS1_2_VERSION), "");
    cr_assert(strstr(server_answers(NULL, "h2", 0), "shows no certificate"), "%s", server_answers(NULL, "h2", 0));
    cr_assert(strstr(server_answers(NULL, "h2", TLS1_2_VERSION), "shows no certificate"));
    cr_assert(strstr(server_answers("client", NULL, 0), "ALPN h2"), "%s", server_answers("client", NULL, 0));
    cr_assert(strstr(server_answers("client", "http/1.1", 0), "ALPN h2"));
    cr_assert(strstr(server_answers("client", "h2c", 0), "ALPN h2"));
    cr_assert(strstr(server_answers("client", "h2", TLS1_1_VERSION), "TLS 1.2"), "%s",
              server_answers("client", "h2", TLS1_1_VERSION));
}

static const char *to_garbage(sm_tls_side side, const char *garbage, size_t n)
{
    static struct sm_errinfo ei;
    int fds[2];
    struct sm_tls *tls = NULL;
    struct sm_peer peer;
    struct sm_tls_context *c =
        side == SM_TLS_SERVER ? context(side, "ca", "server", "server") : context(side, "ca", "client", "client");
    ei.text[0] = '\0';
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    cr_assert_eq(sm_tls_new(c, fds[1], side == SM_TLS_SERVER ? NULL : "node", "peer", &tls, &ei), SM_OK);
    cr_assert_eq(write(fds[0], garbage, n), (ssize_t)n);
    (void)shutdown(fds[0], SHUT_WR);
    sm_tls_want want = sm_tls_handshake(tls, &peer, &ei);
    if (want == SM_TLS_READ) want = sm_tls_handshake(tls, &peer, &ei);
    cr_assert_eq(want, SM_TLS_FAILED);
    sm_tls_free(tls);
    (void)close(fds[0]);
    (void)close(fds[1]);
    sm_tls_context_free(c);
    return ei.text;
}

Test(tls, peers_that_do_not_speak_it)
{
    cr_assert(strstr(to_garbage(SM_TLS_SERVER, "GET / HTTP/1.1\r\n\r\n", 18), "plain HTTP"), "%s",
              to_garbage(SM_TLS_SERVER, "GET / HTTP/1.1\r\n\r\n", 18));
    cr_assert(strstr(to_garbage(SM_TLS_CLIENT, "HTTP/1.1 400 Bad Request\r\n\r\n", 28), "does not speak TLS"));
    cr_assert(strstr(to_garbage(SM_TLS_CLIENT, "", 0), "closed the connection"), "%s",
              to_garbage(SM_TLS_CLIENT, "", 0));
    cr_assert(strstr(to_garbage(SM_TLS_SERVER, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), ": "));
}

/* ---- traffic ---- */

Test(tls, bytes_pass_through_narrow_sockets)
{
    static uint8_t in[300000], out[sizeof in];
    const unsigned seed = (unsigned)sm_clock_ns();
    struct sm_tls_context *client = context(SM_TLS_CLIENT, "ca", "client", "client");
    struct sm_tls_context *server = context(SM_TLS_SERVER, "ca", "server", "server");
    struct pair p;
    cr_log_info("seed %u", seed);
    srandom(seed);
    for (size_t i = 0; i < sizeof in; i++) in[i] = (uint8_t)random();
    pair_open(&p, client, server, "node");
    const int small = 4096;
    cr_assert_eq(setsockopt(p.fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    shake(&p);
    size_t put = 0, got = 0;
    bool blocked = false;
    while (got < sizeof in) {
        size_t n = 0;
        /* What waits may have moved, and grown, until the next try. */
        uint8_t *moved = malloc(sizeof in - put + 1);
        memcpy(moved, in + put, sizeof in - put);
        const sm_tls_want w =
            put < sizeof in ? sm_tls_write(p.client.tls, moved, sizeof in - put, &n, NULL) : SM_TLS_READ;
        free(moved);
        if (w == SM_TLS_DONE) put += n;
        blocked |= w == SM_TLS_WRITE;
        if (sm_tls_read(p.server.tls, out + got, 1 + (size_t)random() % 20000, &n, NULL) == SM_TLS_DONE) got += n;
        if (got + 20000 > sizeof out && got < sizeof in) /* the last piece byte by byte, to stay inside */
            while (got < put && sm_tls_read(p.server.tls, out + got, 1, &n, NULL) == SM_TLS_DONE) got += n;
    }
    cr_assert(blocked);
    cr_assert_arr_eq(in, out, sizeof in, "seed %u", seed);
    uint8_t byte;
    size_t n;
    sm_tls_free(p.client.tls);
    p.client.tls = NULL;
    cr_assert_eq(sm_tls_read(p.server.tls, &byte, 1, &n, NULL), SM_TLS_CLOSED); /* it said goodbye */
    pair_close(&p);
    sm_tls_context_free(client);
    sm_tls_context_free(server);
}

Test(tls, a_peer_that_vanishes_raises_no_signal)
{
    struct sm_tls_context *client = context(SM_TLS_CLIENT, "ca", "client", "client");
    struct sm_tls_context *server = context(SM_TLS_SERVER, "ca", "server", "server");
    struct pair p;
    size_t n;
    pair_open(&p, client, server, "node");
    shake(&p);
    (void)close(p.fds[0]);
    struct sm_errinfo ei = {0};
    uint8_t byte = 0;
    cr_assert_eq(sm_tls_write(p.server.tls, &byte, 1, &n, &ei), SM_TLS_FAILED);
    cr_assert_eq(sm_tls_why(p.server.tls), SM_E_NET);
    cr_assert(strstr(ei.text, "Broken pipe"), "%s", ei.text);
    p.fds[0] = dup(p.fds[1]);
    pair_close(&p);
    sm_tls_context_free(client);
    sm_tls_context_free(server);
}

/* ---- files ---- */

static sm_err open_files(const char *ca, const char *cert, const char *key, struct sm_errinfo *ei)
{
    struct sm_tls_context *c = NULL;
    const struct sm_tls_cfg cfg = {ca, cert, key};
    sm_err err = sm_tls_context_new(&cfg, SM_TLS_SERVER, &c, ei);
    cr_assert_eq(err == SM_OK, c != NULL);
    sm_tls_context_free(c);
    return err;
}

static void expect_files(sm_err want, const char *says, const char *ca, const char *cert, const char *key)
{
    struct sm_errinfo ei = {0};
    const sm_err err = open_files(ca, cert, key, &ei);
    cr_assert_eq(err, want, "%s: %s", sm_err_name(err), ei.text);
    cr_assert(strstr(ei.text, says), "%s", ei.text);
}

Test(tls, files_that_are_wrong)
{
    const char *ca = pem("ca", "pem"), *cert = pem("server", "pem"), *key = pem("server", "key");
    const char *bad = tmpdir_path(dir, "bad.pem");
    file_put(bad, "nothing\n", 8);
    expect_files(SM_E_NOTFOUND, "nowhere.pem", pem("nowhere", "pem"), cert, key);
    expect_files(SM_E_NOTFOUND, "nowhere.pem", ca, pem("nowhere", "pem"), key);
    expect_files(SM_E_NOTFOUND, "nowhere.key", ca, cert, pem("nowhere", "key"));
    expect_files(SM_E_FORMAT, "holds no PEM certificate", bad, cert, key);
    expect_files(SM_E_FORMAT, "holds no PEM certificate", ca, key, key);
    expect_files(SM_E_FORMAT, "holds no PEM private key", ca, cert, cert);
    expect_files(SM_E_FORMAT, "passphrase", ca, pem("client", "pem"), pem("locked", "key"));
    expect_files(SM_E_MISMATCH, "does not belong to the certificate", ca, cert, pem("client", "key"));
    expect_files(SM_E_ARG, "the CA is missing", NULL, cert, key);
    expect_files(SM_E_ARG, "our certificate is missing", ca, NULL, key);
    expect_files(SM_E_ARG, "the key is missing", ca, cert, NULL);
    expect_files(SM_E_FORMAT, dir, dir, cert, key);
}

Test(tls, a_damaged_certificate_in_a_good_file)
{
    size_t n;
    char *text = (char *)file_get(pem("ca", "pem"), &n);
    char *twice = malloc(2 * n);
    memcpy(twice, text, n);
    memcpy(twice + n, text, n);
    const char *bad = tmpdir_path(dir, "bad.pem");
    file_put(bad, twice, 2 * n - n / 2); /* the second one ends in the middle */
    expect_files(SM_E_FORMAT, "certificate 2 is damaged", bad, pem("server", "pem"), pem("server", "key"));
    twice[n / 2] = '!';
    file_put(bad, twice, n);
    expect_files(SM_E_FORMAT, "PEM certificate", bad, pem("server", "pem"), pem("server", "key"));
    free(text);
    free(twice);
}

Test(tls, an_unreadable_key)
{
    if (geteuid() == 0) cr_skip_test("root reads every file");
    cr_assert_eq(chmod(pem("server", "key"), 0), 0);
    expect_files(SM_E_IO, "Permission denied", pem("ca", "pem"), pem("server", "pem"), pem("server", "key"));
}

static void copy(const char *from, const char *to, const char *kind)
{
    size_t n;
    uint8_t *bytes = file_get(pem(from, kind), &n);
    file_put(pem(to, kind), bytes, n);
    free(bytes);
}

Test(tls, reload_takes_good_files_and_keeps_the_old_ones_otherwise)
{
    struct sm_errinfo ei = {0};
    char before[65];
    int64_t from, to;
    copy("server", "live", "pem");
    copy("server", "live", "key");
    struct sm_tls_context *client = context(SM_TLS_CLIENT, "ca", "client", "client");
    struct sm_tls_context *server = context(SM_TLS_SERVER, "ca", "live", "live");
    struct pair old;
    pair_open(&old, client, server, "node");
    shake(&old);
    (void)snprintf(before, sizeof before, "%s", sm_tls_context_fingerprint(server));
    sm_tls_context_validity(server, &from, &to);
    cr_assert_eq(to - from, 86400 + 3600);
    cr_assert(from <= sm_clock_wall_s() && sm_clock_wall_s() <= to);

    copy("wrongname", "live", "pem"); /* half of a renewal: the key is still the old one */
    cr_assert_eq(sm_tls_context_reload(server, &ei), SM_E_MISMATCH);
    cr_assert_str_eq(sm_tls_context_fingerprint(server), before);
    expect_good(client, server, "node");

    copy("wrongname", "live", "key");
    cr_assert_eq(sm_tls_context_reload(server, &ei), SM_OK, "%s", ei.text);
    cr_assert_str_neq(sm_tls_context_fingerprint(server), before);
    expect_good(client, server, "elsewhere");

    size_t n; /* the connection of before goes on */
    uint8_t byte = 7;
    cr_assert_eq(sm_tls_write(old.client.tls, &byte, 1, &n, &ei), SM_TLS_DONE);
    cr_assert_eq(sm_tls_read(old.server.tls, &byte, 1, &n, &ei), SM_TLS_DONE);
    sm_tls_context_free(server);
    cr_assert_eq(sm_tls_write(old.server.tls, &byte, 1, &n, &ei), SM_TLS_DONE);
    pair_close(&old);
    sm_tls_context_free(client);
}

Test(tls, names_that_would_fool_a_list)
{
    const struct cert odd = {
        .name = "odd", .issuer = "ca", .san = "DNS:post\\,DNS:node,URI:spiffe://a/b,email:x@y,DNS:good", .eku = NULL};
    cert_make(dir, &odd);
    struct sm_tls_context *client = context(SM_TLS_CLIENT, "ca", "odd", "odd");
    struct sm_tls_context *server = context(SM_TLS_SERVER, "ca", "server", "server");
    struct pair p;
    pair_open(&p, client, server, "node");
    shake(&p);
    cr_assert_eq(p.server.state, SM_TLS_DONE, "%s", p.server.ei.text);
    cr_assert(sm_peer_has_san(&p.server.peer, "DNS:good"), "%s", p.server.peer.sans);
    cr_assert(sm_peer_has_san(&p.server.peer, "URI:spiffe://a/b"), "%s", p.server.peer.sans);
    cr_assert_not(strstr(p.server.peer.sans, "x@y"));
    pair_close(&p);
    sm_tls_context_free(client);
    sm_tls_context_free(server);
}
