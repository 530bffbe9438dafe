#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "http/server.h"
#include "util/io.h"
#include "util/log.h"

#define TOKEN_MIN 16u
#define TOKEN_MAX 256u

static bool is_token(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~') return false;
    return n >= TOKEN_MIN && n <= TOKEN_MAX;
}

sm_err sm_http_token_read(const char *path, char **out, struct sm_errinfo *ei)
{
    char *text = NULL;
    size_t n = 0;
    struct stat st;
    sm_err err = sm_io_read_file(path, TOKEN_MAX + 2, &text, &n, ei);
    if (err) return err;
    size_t token_n = n;
    if (token_n && text[token_n - 1] == '\n') text[--token_n] = 0;
    if (token_n && text[token_n - 1] == '\r') text[--token_n] = 0;
    if (!is_token(text, token_n)) {
        sodium_memzero(text, n);
        free(text);
        return sm_fail(ei, SM_E_FORMAT, "%s: a token is one line of %u to %u printable characters without spaces", path,
                       TOKEN_MIN, TOKEN_MAX);
    }
    if (stat(path, &st) == 0 && (st.st_mode & 077))
        sm_log(SM_LOG_WARN, "http", "other users can read the token", "file=%s", path);
    *out = text;
    return SM_OK;
}

void sm_http_token_free(char *token)
{
    if (token) sodium_memzero(token, strlen(token));
    free(token);
}
