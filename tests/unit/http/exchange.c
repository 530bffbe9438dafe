/* Our client against our server, on loopback. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/client.h"
#include "http/server.h"
#include "util/clock.h"

static void echo(void *ctx, const struct sm_http_request *rq, struct sm_http_response *out)
{
    atomic_int *calls = ctx;
    if (calls) atomic_fetch_add(calls, 1);
    if (strcmp(rq->path, "/big") == 0) {
        out->status = 200;
        out->body_n = 100000;
        out->body = malloc(out->body_n);
        memset(out->body, 'x', out->body_n);
    } else if (strcmp(rq->path, "/moved") == 0) {
        sm_http_response_text(out, 302, "elsewhere");
        sm_http_response_header(out, "Location", "/");
    } else if (strcmp(rq->path, "/busy") == 0) {
        out->status = 429;
        sm_http_response_header(out, "Retry-After", "%d", 17);
    } else if (strcmp(rq->path, "/forgot") == 0) {
        return;
    } else if (strcmp(rq->path, "/post-only") == 0) {
        sm_http_not_allowed(out, "POST");
    } else if (strncmp(rq->path, "/echo", 5) == 0) {
        const char *q = sm_http_request_query(rq, "q"), *type = sm_http_request_header(rq, "content-type");
        sm_http_response_text(out, 200, "%s|%s|%s|%s|%.*s", rq->method, rq->path, q ? q : "-", type ? type : "-",
                              (int)rq->body.n, rq->body.n ? (const char *)rq->body.p : "");
    } else {
        sm_http_not_found(out);
    }
}

static struct sm_http_server *start(struct sm_http_server_cfg cfg)
{
    struct sm_errinfo ei = {0};
    struct sm_http_server *s = NULL;
    if (!cfg.listen) cfg.listen = "127.0.0.1:0";
    cfg.handler = echo;
    cr_assert_eq(sm_http_server_start(&cfg, &s, &ei), SM_OK, "%s", ei.text);
    cr_assert_neq(sm_http_server_port(s), 0);
    return s;
}

static struct sm_http_client *client(const char *token)
{
    struct sm_errinfo ei = {0};
    struct sm_http_client *c = NULL;
    const struct sm_http_client_cfg cfg = {.bearer_token = token};
    cr_assert_eq(sm_http_client_new(&cfg, &c, &ei), SM_OK, "%s", ei.text);
    return c;
}

static sm_err ask(struct sm_http_server *s, const char *method, const char *path, const char *body, const char *token,
                  struct sm_http_reply *out, struct sm_errinfo *ei)
{
    char url[256];
    struct sm_http_client *c = client(token);
    (void)snprintf(url, sizeof url, "%s%s", sm_http_server_url(s), path);
    const struct sm_http_ask a = {.method = method,
                                  .url = url,
                                  .body = {(const uint8_t *)body, body ? strlen(body) : 0},
                                  .content_type = "text/x"};
    const sm_err err = sm_http_perform(c, &a, out, ei);
    sm_http_client_free(c);
    return err;
}

static void expect(struct sm_http_server *s, const char *method, const char *path, const char *body, unsigned status,
                   const char *text)
{
    struct sm_errinfo ei = {0};
    struct sm_http_reply r = {0};
    cr_assert_eq(ask(s, method, path, body, NULL, &r, &ei), SM_OK, "%s %s: %s", method, path, ei.text);
    cr_assert_eq(r.status, status, "%s %s: status %u", method, path, r.status);
    cr_assert_str_eq(r.body, text, "%s %s: \"%s\"", method, path, r.body);
    sm_http_reply_fini(&r);
}

Test(exchange, methods_paths_bodies)
{
    struct sm_http_server *s = start((struct sm_http_server_cfg){0});
    expect(s, "GET", "/echo", NULL, 200, "GET|/echo|-|-|");
    expect(s, "GET", "/echo/%41?q=a%20b&r=1", NULL, 200, "GET|/echo/A|a b|-|");
    expect(s, "GET", "/echo%00/x", NULL, 200, "GET|/echo%00/x|-|-|");
    expect(s, "POST", "/echo", "body", 200, "POST|/echo|-|text/x|body");
    expect(s, "PUT", "/echo", "body", 200, "PUT|/echo|-|text/x|body");
    expect(s, "DELETE", "/echo", NULL, 200, "DELETE|/echo|-|-|");
    expect(s, "HEAD", "/echo", NULL, 200, "");
    expect(s, "GET", "/nowhere", NULL, 404, "there is nothing under this path\n");
    expect(s, "GET", "/post-only", NULL, 405, "this path takes POST\n");
    expect(s, "GET", "/moved", NULL, 302, "elsewhere"); /* not followed */
    expect(s, "GET", "/forgot", NULL, 500, "");
    sm_http_server_stop(s);
}

Test(exchange, retry_after_is_read)
{
    struct sm_http_server *s = start((struct sm_http_server_cfg){0});
    struct sm_http_reply r = {0};
    cr_assert_eq(ask(s, "GET", "/busy", NULL, NULL, &r, NULL), SM_OK);
    cr_assert_eq(r.status, 429);
    cr_assert_eq(r.retry_after_s, 17);
    cr_assert_eq(r.body_n, 0);
    sm_http_reply_fini(&r);
    sm_http_server_stop(s);
}

Test(exchange, one_client_keeps_working)
{
    struct sm_http_server *s = start((struct sm_http_server_cfg){0});
    struct sm_http_client *c = client(NULL);
    char url[128];
    (void)snprintf(url, sizeof url, "%s/echo", sm_http_server_url(s));
    for (int i = 0; i < 50; i++) {
        struct sm_http_reply r = {0};
        struct sm_errinfo ei = {0};
        const struct sm_http_ask a = {
            .url = url, .body = {(const uint8_t *)"abc", i % 2 ? 3 : 0}, .method = i % 2 ? "POST" : NULL};
        cr_assert_eq(sm_http_perform(c, &a, &r, &ei), SM_OK, "%s", ei.text);
        cr_assert_eq(r.status, 200);
        cr_assert_str_eq(r.body, i % 2 ? "POST|/echo|-|application/octet-stream|abc" : "GET|/echo|-|-|");
        sm_http_reply_fini(&r);
    }
    sm_http_client_free(c);
    sm_http_server_stop(s);
}

Test(exchange, token)
{
    atomic_int calls = 0;
    struct sm_http_server *s =
        start((struct sm_http_server_cfg){.bearer_token = "correct-horse-battery", .ctx = &calls});
    static const char *const wrong[] = {NULL, "", "correct-horse-batterx", "correct-horse-batter",
                                        "correct-horse-battery2"};
    struct sm_http_reply r = {0};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert_eq(ask(s, "POST", "/echo", "body", wrong[i], &r, NULL), SM_OK);
        cr_assert_eq(r.status, 401);
        sm_http_reply_fini(&r);
    }
    cr_assert_eq(atomic_load(&calls), 0);
    cr_assert_eq(ask(s, "GET", "/echo", NULL, "correct-horse-battery", &r, NULL), SM_OK);
    cr_assert_eq(r.status, 200);
    sm_http_reply_fini(&r);
    sm_http_server_stop(s);
}

Test(exchange, answers_are_bounded)
{
    struct sm_http_server *s = start((struct sm_http_server_cfg){0});
    struct sm_http_reply r = {0};
    struct sm_errinfo ei = {0};
    cr_assert_eq(ask(s, "GET", "/big", NULL, NULL, &r, &ei), SM_E_FORMAT);
    cr_assert(strstr(ei.text, "more than 65536 bytes"), "%s", ei.text);
    sm_http_server_stop(s);
}

Test(exchange, large_bodies_are_refused)
{
    struct sm_http_server *s = start((struct sm_http_server_cfg){.body_bytes_max = 1000});
    char body[1002];
    struct sm_http_reply r = {0};
    memset(body, 'b', sizeof body);
    body[1001] = 0;
    cr_assert_eq(ask(s, "POST", "/echo", body, NULL, &r, NULL), SM_OK);
    cr_assert_eq(r.status, 413);
    sm_http_reply_fini(&r);
    body[1000] = 0;
    cr_assert_eq(ask(s, "POST", "/echo", body, NULL, &r, NULL), SM_OK);
    cr_assert_eq(r.status, 200);
    sm_http_reply_fini(&r);
    sm_http_server_stop(s);
}

Test(exchange, ipv6)
{
    struct sm_http_server *s = NULL;
    const struct sm_http_server_cfg cfg = {.listen = "[::1]:0", .handler = echo};
    if (sm_http_server_start(&cfg, &s, NULL)) cr_skip_test("this machine has no IPv6 loopback");
    expect(s, "GET", "/echo", NULL, 200, "GET|/echo|-|-|");
    sm_http_server_stop(s);
}

/* ---- refusals ---- */

static sm_err try_listen(const char *listen, bool insecure, const char *token, struct sm_errinfo *ei)
{
    struct sm_http_server *s = NULL;
    const struct sm_http_server_cfg cfg = {
        .listen = listen, .handler = echo, .insecure = insecure, .bearer_token = token};
    const sm_err err = sm_http_server_start(&cfg, &s, ei);
    sm_http_server_stop(s);
    return err;
}

Test(refusals, addresses)
{
    static const char *const bad[] = {
        "",      "127.0.0.1", "127.0.0.1:",   ":3000",        "127.0.0.1:65536", "::1:3000",
        "[::1]", "[::1:3000", "example:3000", "127.0.0.1:+1", "127.1.1.1.1:1",   "127.0.0.1:3000x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sm_errinfo ei = {0};
        cr_assert_eq(try_listen(bad[i], false, NULL, &ei), SM_E_ARG, "%s", bad[i]);
        cr_assert(ei.text[0]);
    }
    cr_assert_eq(try_listen("localhost:0", false, NULL, NULL), SM_OK);
    cr_assert_eq(try_listen("127.8.0.1:0", false, NULL, NULL), SM_OK);
}

Test(refusals, beyond_loopback_without_token)
{
    struct sm_errinfo ei = {0};
    cr_assert_eq(try_listen("0.0.0.0:0", false, NULL, &ei), SM_E_ARG);
    cr_assert(strstr(ei.text, "token"), "%s", ei.text);
    cr_assert_eq(try_listen("0.0.0.0:0", false, "", NULL), SM_E_ARG);
    cr_assert_eq(try_listen("0.0.0.0:0", true, NULL, NULL), SM_OK);
    cr_assert_eq(try_listen("0.0.0.0:0", false, "0123456789abcdef", NULL), SM_OK);
}

Test(refusals, port_in_use)
{
    struct sm_http_server *s = start((struct sm_http_server_cfg){0});
    char listen[64];
    struct sm_errinfo ei = {0};
    (void)snprintf(listen, sizeof listen, "127.0.0.1:%u", sm_http_server_port(s));
    cr_assert_eq(try_listen(listen, false, NULL, &ei), SM_E_NET);
    cr_assert(strstr(ei.text, "cannot listen on 127.0.0.1:"), "%s", ei.text);
    sm_http_server_stop(s);
}

Test(refusals, urls)
{
    static const char *const bad[] = {"",        "host",    "ftp://host/",   "file:///etc/passwd",
                                      "http://", "gopher:", "http://u:p@h/", "http://u@h/x",
                                      "https//h"};
    struct sm_http_client *c = client(NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sm_http_reply r = {0};
        struct sm_errinfo ei = {0};
        const struct sm_http_ask a = {.url = bad[i]};
        cr_assert_eq(sm_http_perform(c, &a, &r, &ei), SM_E_ARG, "%s", bad[i]);
        cr_assert(!strstr(ei.text, "u:p"), "%s", ei.text);
    }
    cr_assert_eq(sm_http_check_url("https://h:1/x", "--url", NULL), SM_OK);
    sm_http_client_free(c);
}

Test(urls, in_clear)
{
    static const struct {
        const char *url;
        bool clear;
    } rows[] = {{"http://127.0.0.1:1/x", false},
                {"http://127.9.9.9", false},
                {"http://LocalHost:3000", false},
                {"http://[::1]:3000", false},
                {"https://worker", false},
                {"HTTPS://worker", false},
                {"http://worker", true},
                {"http://10.0.0.1:3000", true},
                {"http://127.evil.example", true},
                {"http://[::2]/", true},
                {"", true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_eq(sm_http_is_in_clear(rows[i].url), rows[i].clear, "%s", rows[i].url);
}
