/* The handler behind a real server. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/client.h"
#include "kit.h"
#include "status/api.h"
#include "status/parse.h"

struct rig {
    char which[80];
    sm_status_order order;
    int orders;
    sm_err answer;
    sm_err snapshot_fails;
};

static sm_err snapshot(void *ctx, struct sm_status_snapshot *out, struct sm_errinfo *ei)
{
    const struct rig *r = ctx;
    kit_usual(out);
    return r->snapshot_fails ? sm_fail(ei, r->snapshot_fails, "no \"memory\"") : SM_OK;
}

static sm_err order(void *ctx, const char *which, sm_status_order o, struct sm_errinfo *ei)
{
    struct rig *r = ctx;
    (void)snprintf(r->which, sizeof r->which, "%s", which);
    r->order = o;
    r->orders++;
    return r->answer ? sm_fail(ei, r->answer, "not now") : SM_OK;
}

struct world {
    struct rig rig;
    struct sm_status_api api;
    struct sm_http_server *server;
    struct sm_http_client *client;
};

static void start(struct world *w)
{
    struct sm_errinfo ei = {0};
    *w = (struct world){.api = {snapshot, order, &w->rig}};
    const struct sm_http_server_cfg cfg = {.listen = "127.0.0.1:0", .handler = sm_status_api_handle, .ctx = &w->api};
    cr_assert_eq(sm_http_server_start(&cfg, &w->server, &ei), SM_OK, "%s", ei.text);
    cr_assert_eq(sm_http_client_new(&(struct sm_http_client_cfg){0}, &w->client, &ei), SM_OK, "%s", ei.text);
}

static void stop(struct world *w)
{
    sm_http_client_free(w->client);
    sm_http_server_stop(w->server);
}

static struct sm_http_reply ask(struct world *w, const char *method, const char *path)
{
    struct sm_errinfo ei = {0};
    struct sm_http_reply reply = {0};
    char url[256];
    (void)snprintf(url, sizeof url, "%s%s", sm_http_server_url(w->server), path);
    const struct sm_http_ask a = {.method = method, .url = url};
    cr_assert_eq(sm_http_perform(w->client, &a, &reply, &ei), SM_OK, "%s", ei.text);
    return reply;
}

static void expect(struct world *w, const char *method, const char *path, unsigned status, const char *body)
{
    struct sm_http_reply r = ask(w, method, path);
    cr_assert_eq(r.status, status, "%s %s: %u %s", method, path, r.status, r.body);
    if (body) cr_assert_str_eq(r.body, body, "%s %s: %s", method, path, r.body);
    sm_http_reply_fini(&r);
}

Test(api, views)
{
    struct world w;
    start(&w);
    expect(&w, "GET", "/status?identity=beta", 200, "\"DoneProving\"");
    expect(&w, "GET", "/status?identity=cdcdcdcdcdcd", 200, "\"DoneProving\"");
    expect(&w, "GET", "/status?identity=gamma", 404,
           "{\"error\":{\"message\":\"no identity, or several, by this name\"}}");
    expect(&w, "HEAD", "/status", 200, "");
    expect(&w, "POST", "/status", 405, NULL);
    expect(&w, "GET", "/", 404, NULL);
    expect(&w, "GET", "/v1/status/", 404, NULL);

    struct sm_http_reply r = ask(&w, "GET", "/v1/status");
    struct sm_status_snapshot s;
    cr_assert_eq(sm_status_parse(r.body, r.body_n, &s, NULL), SM_OK);
    cr_assert_eq(s.identities_n, 2);
    sm_status_snapshot_fini(&s);
    sm_http_reply_fini(&r);

    r = ask(&w, "GET", "/v1/status?identity=beta");
    cr_assert_eq(sm_status_parse(r.body, r.body_n, &s, NULL), SM_OK);
    cr_assert_eq(s.identities_n, 1);
    cr_assert_str_eq(s.identities[0].name, "beta");
    sm_status_snapshot_fini(&s);
    sm_http_reply_fini(&r);

    r = ask(&w, "GET", "/metrics");
    cr_assert_not_null(strstr(r.body, "\nsmesher_identities 2\n"));
    sm_http_reply_fini(&r);

    w.rig.snapshot_fails = SM_E_NOMEM;
    expect(&w, "GET", "/metrics", 500, "{\"error\":{\"message\":\"no \\\"memory\\\"\"}}");
    stop(&w);
}

Test(api, orders)
{
    static const struct {
        const char *path, *body;
        sm_status_order order;
    } good[] = {{"/v1/pause?identity=alpha", "{\"done\":\"paused\"}", SM_STATUS_PAUSE},
                {"/v1/resume?identity=alpha", "{\"done\":\"resumed\"}", SM_STATUS_RESUME},
                {"/v1/cancel?identity=alpha", "{\"done\":\"cancelled\"}", SM_STATUS_CANCEL}};
    struct world w;
    start(&w);
    for (size_t i = 0; i < 3; i++) {
        expect(&w, "POST", good[i].path, 200, good[i].body);
        cr_assert_eq(w.rig.order, good[i].order);
        cr_assert_str_eq(w.rig.which, "alpha");
    }
    expect(&w, "POST", "/v1/pause", 400, NULL);
    expect(&w, "POST", "/v1/pause?identity=", 400, NULL);
    expect(&w, "GET", "/v1/pause?identity=alpha", 405, NULL);
    cr_assert_eq(w.rig.orders, 3);
    w.rig.answer = SM_E_NOTFOUND;
    expect(&w, "POST", "/v1/pause?identity=x", 404, "{\"error\":{\"message\":\"not now\"}}");
    w.rig.answer = SM_E_REFUSED;
    expect(&w, "POST", "/v1/cancel?identity=x", 409, "{\"error\":{\"message\":\"not now\"}}");
    w.rig.answer = SM_E_IO;
    expect(&w, "POST", "/v1/cancel?identity=x", 500, NULL);
    stop(&w);
}

Test(api, orders_may_be_left_out)
{
    struct world w;
    start(&w);
    w.api.order = NULL;
    expect(&w, "POST", "/v1/pause?identity=alpha", 404, NULL);
    stop(&w);
}

Test(api, orders_from_web_pages_are_refused)
{
    static const char request[] = "POST /v1/pause?identity=alpha HTTP/1.1\r\nHost: x\r\nOrigin: http://elsewhere\r\n"
                                  "Content-Length: 0\r\nConnection: close\r\n\r\n";
    struct world w;
    char answer[1024] = "";
    size_t n = 0;
    start(&w);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(sm_http_server_port(w.server)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    cr_assert_eq(write(fd, request, sizeof request - 1), (ssize_t)sizeof request - 1);
    for (ssize_t got; (got = read(fd, answer + n, sizeof answer - 1 - n)) > 0;) n += (size_t)got;
    close(fd);
    cr_assert_eq(strncmp(answer, "HTTP/1.1 403 ", 13), 0, "%s", answer);
    cr_assert_eq(w.rig.orders, 0);
    stop(&w);
}
