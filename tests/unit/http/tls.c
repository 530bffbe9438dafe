/* HTTPS, with a certificate made for the test by openssl(1). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/client.h"
#include "http/server.h"
#include "support/tmpdir.h"

static char dir[256], cert[300], key[300];

static void make_files(void)
{
    char command[1200];
    tmpdir_make(dir);
    (void)snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    (void)snprintf(key, sizeof key, "%s/key.pem", dir);
    (void)snprintf(command, sizeof command,
                   "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test "
                   "-addext subjectAltName=IP:127.0.0.1 -keyout %s -out %s 2>/dev/null",
                   key, cert);
    if (system(command) != 0) cr_skip_test("openssl(1) makes no certificate here");
}

static void hello(void *ctx, const struct sm_http_request *rq, struct sm_http_response *out)
{
    (void)ctx;
    (void)rq;
    sm_http_response_text(out, 200, "hello");
}

static sm_err ask(const char *url, const char *ca, struct sm_http_reply *r, struct sm_errinfo *ei)
{
    struct sm_http_client *c = NULL;
    const struct sm_http_client_cfg cfg = {.ca_file = ca};
    const struct sm_http_ask a = {.url = url};
    cr_assert_eq(sm_http_client_new(&cfg, &c, ei), SM_OK);
    const sm_err err = sm_http_perform(c, &a, r, ei);
    sm_http_client_free(c);
    return err;
}

Test(tls, speaks_and_is_checked)
{
    make_files();
    struct sm_errinfo ei = {0};
    struct sm_http_server *s = NULL;
    struct sm_http_reply r = {0};
    const struct sm_http_server_cfg cfg = {.listen = "127.0.0.1:0", .handler = hello, .tls_cert = cert, .tls_key = key};
    cr_assert_eq(sm_http_server_start(&cfg, &s, &ei), SM_OK, "%s", ei.text);
    cr_assert(strncmp(sm_http_server_url(s), "https://127.0.0.1:", 18) == 0);
    cr_assert_eq(ask(sm_http_server_url(s), cert, &r, &ei), SM_OK, "%s", ei.text);
    cr_assert_str_eq(r.body, "hello");
    sm_http_reply_fini(&r);
    cr_assert_eq(ask(sm_http_server_url(s), NULL, &r, &ei), SM_E_REFUSED, "%s", ei.text); /* nobody vouches for it */
    sm_http_server_stop(s);
    tmpdir_remove(dir);
}

Test(tls, half_or_broken_pairs_are_refused)
{
    make_files();
    struct sm_http_server *s = NULL;
    struct sm_errinfo ei = {0};
    struct sm_http_server_cfg cfg = {.listen = "127.0.0.1:0", .handler = hello, .tls_cert = cert};
    cr_assert_eq(sm_http_server_start(&cfg, &s, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "both"), "%s", ei.text);
    cfg.tls_key = cert; /* holds no key */
    cr_assert_eq(sm_http_server_start(&cfg, &s, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "certificate and key"), "%s", ei.text);
    tmpdir_remove(dir);
}
