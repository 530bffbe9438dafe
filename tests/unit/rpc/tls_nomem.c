/* rpc/tls.h: OpenSSL's k-th allocation fails: contexts and connections are made whole or not at all. */
#include <criterion/criterion.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/tls.h"
#include "support/rpc/certs.h"
#include "support/tmpdir.h"

static size_t asked, fail_at; /* 0: none */

static bool refuse(void)
{
    return ++asked == fail_at;
}
static void *failing_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return refuse() ? NULL : malloc(n);
}
static void *failing_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return refuse() ? NULL : realloc(p, n);
}
static void plain_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

/* Before main: Criterion has an OpenSSL of its own at work, and after its first allocation it is too late. */
static int installed;
__attribute__((constructor)) static void install(void)
{
    installed = CRYPTO_set_mem_functions(failing_malloc, failing_realloc, plain_free);
}

static char dir[256];
static struct sm_tls_cfg cfg;

static void set_up(void)
{
    static char paths[3][512];
    static const char *const files[] = {"ca.pem", "server.pem", "server.key"};
    cr_assert_eq(installed, 1);
    cert_make_all(tmpdir_make(dir));
    for (size_t i = 0; i < 3; i++) (void)snprintf(paths[i], sizeof paths[i], "%s/%s", dir, files[i]);
    cfg = (struct sm_tls_cfg){paths[0], paths[1], paths[2]};
}

static void tear_down(void)
{
    fail_at = 0;
    tmpdir_remove(dir);
}

TestSuite(tls_nomem, .init = set_up, .fini = tear_down);

/* The k-th allocation from now on. */
static void arm(size_t k)
{
    asked = 0;
    fail_at = k;
}

Test(tls_nomem, contexts)
{
    size_t failures = 0;
    for (size_t k = 1;; k += 1 + k / 100) { /* each at first, then samples */
        struct sm_tls_context *c = NULL;
        struct sm_errinfo ei = {0};
        arm(k);
        const sm_err err = sm_tls_context_new(&cfg, SM_TLS_SERVER, &c, &ei);
        const bool reached = asked >= k;
        arm(0);
        cr_assert_eq(err == SM_OK, c != NULL, "allocation %zu", k);
        cr_assert(!err || *ei.text, "allocation %zu: no word", k);
        failures += err != SM_OK;
        sm_tls_context_free(c);
        if (!reached) break;
    }
    cr_assert_gt(failures, 50); /* some of OpenSSL's allocations are dispensable */
}

Test(tls_nomem, a_failed_reload_changes_nothing)
{
    struct sm_tls_context *c = NULL;
    char before[65];
    cr_assert_eq(sm_tls_context_new(&cfg, SM_TLS_SERVER, &c, NULL), SM_OK);
    (void)snprintf(before, sizeof before, "%s", sm_tls_context_fingerprint(c));
    for (size_t k = 1; k < 4000; k += 1 + k / 30) {
        arm(k);
        const sm_err err = sm_tls_context_reload(c, NULL);
        (void)err; /* the last ones succeed */
        arm(0);
        cr_assert_str_eq(sm_tls_context_fingerprint(c), before, "allocation %zu", k);
    }
    sm_tls_context_free(c);
}

Test(tls_nomem, connections)
{
    int fds[2];
    struct sm_tls_context *c = NULL;
    size_t failures = 0;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    cr_assert_eq(sm_tls_context_new(&cfg, SM_TLS_CLIENT, &c, NULL), SM_OK);
    for (size_t k = 1;; k++) {
        struct sm_tls *t = NULL;
        struct sm_errinfo ei = {0};
        arm(k);
        const sm_err err = sm_tls_new(c, fds[0], "node", "node:9094", &t, &ei);
        const bool reached = asked >= k;
        arm(0);
        cr_assert_eq(err == SM_OK, t != NULL);
        failures += err != SM_OK;
        sm_tls_free(t);
        if (!reached) break;
    }
    cr_assert_gt(failures, 10);
    sm_tls_context_free(c);
    (void)close(fds[0]);
    (void)close(fds[1]);
}
