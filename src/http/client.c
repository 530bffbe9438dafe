#include "http/client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/clock.h"

#define CONNECT_MS 10000u /* defaults: ours */
#define TIMEOUT_MS 30000u
#define BODY_BYTES 65536u
#define POLL_MS    50

struct sm_http_client {
    CURLM *multi;
    CURL *easy;
    char *authorization; /* the header line; NULL: none */
    char *ca_file, *proxy;
    long connect_timeout_ms;
};

/* One exchange. */
struct exchange {
    const struct sm_http_ask *ask;
    char *body;
    size_t n, max;
    bool too_large, no_memory;
    struct curl_slist *headers;
    char why[CURL_ERROR_SIZE];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool usable;

static void init_curl(void)
{
    usable = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK && sodium_init() >= 0;
}

static char *copy(const char *text, bool *ok)
{
    char *out = text ? strdup(text) : NULL;
    if (text && !out) *ok = false;
    return out;
}

sm_err sm_http_client_new(const struct sm_http_client_cfg *cfg, struct sm_http_client **out, struct sm_errinfo *ei)
{
    (void)pthread_once(&once, init_curl);
    struct sm_http_client *c = usable ? calloc(1, sizeof *c) : NULL;
    bool ok = true;
    if (!c) goto nomem;
    c->connect_timeout_ms = (long)(cfg->connect_timeout_ms ? cfg->connect_timeout_ms : CONNECT_MS);
    c->ca_file = copy(cfg->ca_file, &ok);
    c->proxy = copy(cfg->proxy ? cfg->proxy : "", &ok); /* "" also switches the environment's off */
    if (cfg->bearer_token && asprintf(&c->authorization, "Authorization: Bearer %s", cfg->bearer_token) < 0) {
        c->authorization = NULL;
        ok = false;
    }
    c->multi = curl_multi_init();
    c->easy = curl_easy_init();
    if (ok && c->multi && c->easy) {
        *out = c;
        return SM_OK;
    }
nomem:
    sm_http_client_free(c);
    return sm_fail(ei, SM_E_NOMEM, "cannot prepare HTTP requests: out of memory");
}

void sm_http_client_free(struct sm_http_client *c)
{
    if (!c) return;
    if (c->easy) curl_easy_cleanup(c->easy);
    if (c->multi) (void)curl_multi_cleanup(c->multi);
    if (c->authorization) sodium_memzero(c->authorization, strlen(c->authorization));
    free(c->authorization);
    free(c->ca_file);
    free(c->proxy);
    free(c);
}

sm_err sm_http_check_url(const char *url, const char *what, struct sm_errinfo *ei)
{
    (void)pthread_once(&once, init_curl);
    CURLU *u = curl_url();
    char *scheme = NULL, *user = NULL, *password = NULL;
    sm_err err = SM_OK;
    if (!u) return sm_fail(ei, SM_E_NOMEM, "%s: out of memory", what);
    if (curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        err = sm_fail(ei, SM_E_ARG, "%s is not an http:// or https:// address", what);
    else if (curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK ||
             curl_url_get(u, CURLUPART_PASSWORD, &password, 0) == CURLUE_OK)
        err = sm_fail(ei, SM_E_ARG, "%s holds a user or a password; use a token file instead", what);
    curl_free(scheme);
    curl_free(user);
    curl_free(password);
    curl_url_cleanup(u);
    return err;
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0) return true;
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

bool sm_http_is_in_clear(const char *url)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL;
    bool clear = true;
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        clear = strcmp(scheme, "https") != 0 && !is_loopback(host);
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(u);
    return clear;
}

static size_t on_body(char *p, size_t one, size_t n, void *ctx)
{
    struct exchange *x = ctx;
    (void)one;
    if (n > x->max - x->n) {
        x->too_large = true;
        return 0;
    }
    char *grown = realloc(x->body, x->n + n + 1);
    if (!grown) {
        x->no_memory = true;
        return 0;
    }
    memcpy(grown + x->n, p, n);
    x->body = grown;
    x->n += n;
    x->body[x->n] = 0;
    return n;
}

static bool add_header(struct exchange *x, const char *line)
{
    struct curl_slist *grown = curl_slist_append(x->headers, line);
    if (grown) x->headers = grown;
    return grown;
}

static bool set_headers(const struct sm_http_client *c, struct exchange *x)
{
    char type[128];
    bool ok = add_header(x, "Expect:"); /* no waiting for a "100 Continue" */
    if (c->authorization) ok = ok && add_header(x, c->authorization);
    if (x->ask->body.n) {
        const char *t = x->ask->content_type ? x->ask->content_type : "application/octet-stream";
        (void)snprintf(type, sizeof type, "Content-Type: %s", t);
        ok = ok && add_header(x, type);
    }
    return ok && curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, x->headers) == CURLE_OK;
}

static bool set_method(CURL *e, const struct sm_http_ask *ask)
{
    const char *method = ask->method ? ask->method : "GET";
    bool ok = true;
    if (ask->body.n) {
        ok = curl_easy_setopt(e, CURLOPT_POST, 1L) == CURLE_OK &&
             curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.n) == CURLE_OK &&
             curl_easy_setopt(e, CURLOPT_POSTFIELDS, (const char *)ask->body.p) == CURLE_OK;
    } else if (strcmp(method, "HEAD") == 0) {
        ok = curl_easy_setopt(e, CURLOPT_NOBODY, 1L) == CURLE_OK;
    }
    return ok && curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method) == CURLE_OK;
}

static bool set_options(const struct sm_http_client *c, struct exchange *x)
{
    CURL *e = c->easy;
    const struct sm_http_ask *ask = x->ask;
    const long timeout_ms = (long)(ask->timeout_ms ? ask->timeout_ms : TIMEOUT_MS);
    curl_easy_reset(e); /* keeps connections */
    bool ok = curl_easy_setopt(e, CURLOPT_URL, ask->url) == CURLE_OK;
    ok = ok && curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok = ok && curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
    ok = ok && curl_easy_setopt(e, CURLOPT_PROXY, c->proxy) == CURLE_OK;
    ok = ok && curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK;
    ok = ok && curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK; /* or newer */
    ok = ok && curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK; /* no waiting for a resolver when cancelled */
    ok = ok && curl_easy_setopt(e, CURLOPT_USERAGENT, "smesher/" SM_VERSION) == CURLE_OK;
    ok = ok && curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, c->connect_timeout_ms) == CURLE_OK;
    ok = ok && curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK;
    ok = ok && curl_easy_setopt(e, CURLOPT_ERRORBUFFER, x->why) == CURLE_OK;
    ok = ok && curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    ok = ok && curl_easy_setopt(e, CURLOPT_WRITEDATA, x) == CURLE_OK;
    if (c->ca_file) ok = ok && curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file) == CURLE_OK;
    return ok && set_method(e, ask) && set_headers(c, x);
}

static sm_err err_of(CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return SM_E_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return SM_E_NOMEM;
    case CURLE_URL_MALFORMAT:
    case CURLE_SSL_CACERT_BADFILE:
        return SM_E_ARG;
    case CURLE_PEER_FAILED_VERIFICATION:
        return SM_E_REFUSED;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* the scheme was checked: no status line */
        return SM_E_FORMAT;
    default:
        return SM_E_NET;
    }
}

static sm_err fail(const struct exchange *x, CURLcode code, struct sm_errinfo *ei)
{
    const char *url = x->ask->url;
    if (x->too_large) return sm_fail(ei, SM_E_FORMAT, "%s answers with more than %zu bytes", url, x->max);
    if (x->no_memory) return sm_fail(ei, SM_E_NOMEM, "%s: out of memory for the answer", url);
    return sm_fail(ei, err_of(code), "%s: %s", url, x->why[0] ? x->why : curl_easy_strerror(code));
}

/* The multi interface waits in poll, so that a cancel is seen at once; the easy one looks around once a second. */
static sm_err drive(struct sm_http_client *c, const struct exchange *x, CURLcode *code, struct sm_errinfo *ei)
{
    for (;;) {
        int running = 0, left;
        if (sm_cancelled(x->ask->cancel) || sm_cancelled(x->ask->cancel_too))
            return sm_fail(ei, SM_E_CANCELLED, "%s: cancelled", x->ask->url);
        CURLMcode failed = curl_multi_perform(c->multi, &running);
        const CURLMsg *msg = failed ? NULL : curl_multi_info_read(c->multi, &left);
        if (msg && msg->msg == CURLMSG_DONE) {
            *code = msg->data.result;
            return SM_OK;
        }
        if (!failed) failed = curl_multi_poll(c->multi, NULL, 0, POLL_MS, NULL);
        if (failed) return sm_fail(ei, SM_E_NET, "%s: %s", x->ask->url, curl_multi_strerror(failed));
    }
}

static sm_err take(struct sm_http_client *c, struct exchange *x, struct sm_http_reply *out, struct sm_errinfo *ei)
{
    long status = 0;
    curl_off_t wait = 0;
    if (!x->body) x->body = calloc(1, 1);
    if (!x->body) return sm_fail(ei, SM_E_NOMEM, "%s: out of memory for the answer", x->ask->url);
    if (curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status < 100)
        return sm_fail(ei, SM_E_FORMAT, "%s does not answer in HTTP", x->ask->url);
    if (curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &wait) != CURLE_OK || wait < 0) wait = 0;
    *out = (struct sm_http_reply){.status = (unsigned)status,
                                  .body = x->body,
                                  .body_n = x->n,
                                  .retry_after_s = wait > UINT32_MAX ? UINT32_MAX : (uint32_t)wait};
    x->body = NULL;
    return SM_OK;
}

sm_err sm_http_perform(struct sm_http_client *c, const struct sm_http_ask *ask, struct sm_http_reply *out,
                       struct sm_errinfo *ei)
{
    struct exchange x = {.ask = ask, .max = ask->body_max ? ask->body_max : BODY_BYTES};
    CURLcode code = CURLE_OK;
    sm_err err = sm_http_check_url(ask->url, "the address of the request", ei);
    if (err) return err;
    if (!set_options(c, &x))
        err = sm_fail(ei, SM_E_NOMEM, "%s: cannot prepare the request: out of memory", ask->url);
    else if (curl_multi_add_handle(c->multi, c->easy) != CURLM_OK)
        err = sm_fail(ei, SM_E_NOMEM, "%s: cannot start the request: out of memory", ask->url);
    if (!err) {
        err = drive(c, &x, &code, ei);
        (void)curl_multi_remove_handle(c->multi, c->easy);
        if (!err) err = code == CURLE_OK ? take(c, &x, out, ei) : fail(&x, code, ei);
    }
    curl_slist_free_all(x.headers);
    free(x.body);
    return err;
}

void sm_http_reply_fini(struct sm_http_reply *r)
{
    free(r->body);
    *r = (struct sm_http_reply){0};
}
