#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/server.h"

void sm_http_response_header(struct sm_http_response *out, const char *name, const char *fmt, ...)
{
    assert(out->headers_n < SM_HTTP_HEADERS_MAX);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(out->headers[out->headers_n].value, sizeof out->headers[0].value, fmt, ap);
    va_end(ap);
    out->headers[out->headers_n++].name = name;
}

void sm_http_response_text(struct sm_http_response *out, unsigned status, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;
    va_start(ap, fmt);
    const int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    free(out->body);
    out->status = n < 0 ? 500 : status;
    out->body = n < 0 ? NULL : text;
    out->body_n = n < 0 ? 0 : (size_t)n;
}

void sm_http_not_found(struct sm_http_response *out)
{
    sm_http_response_text(out, 404, "there is nothing under this path\n");
}

void sm_http_not_allowed(struct sm_http_response *out, const char *methods)
{
    sm_http_response_text(out, 405, "this path takes %s\n", methods);
    sm_http_response_header(out, "Allow", "%s", methods);
}
