#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "http/server.h"
#include "support/tmpdir.h"
#include "util/io.h"

static sm_err read_token(const char *content, size_t n, char **out)
{
    char dir[256], path[300];
    struct sm_errinfo ei = {0};
    tmpdir_make(dir);
    (void)snprintf(path, sizeof path, "%s/token", dir);
    cr_assert_eq(sm_io_write_atomic(path, content, n, 0600, &ei), SM_OK, "%s", ei.text);
    const sm_err err = sm_http_token_read(path, out, &ei);
    cr_assert(!n || !strstr(ei.text, "secret"), "%s", ei.text);
    tmpdir_remove(dir);
    return err;
}

Test(token, one_line)
{
    static const char *const good[] = {"secret-0123456789", "secret-0123456789\n", "secret-0123456789\r\n"};
    for (size_t i = 0; i < 3; i++) {
        char *t = NULL;
        cr_assert_eq(read_token(good[i], strlen(good[i]), &t), SM_OK);
        cr_assert_str_eq(t, "secret-0123456789");
        sm_http_token_free(t);
    }
    static const char *const bad[] = {"", "secret", "secret 0123456789", "secret-0123456789\n\n",
                                      "secret-\t0123456789"};
    for (size_t i = 0; i < 5; i++) {
        char *t = NULL;
        cr_assert_eq(read_token(bad[i], strlen(bad[i]), &t), SM_E_FORMAT, "%s", bad[i]);
    }
    char *t = NULL;
    cr_assert_eq(read_token("secret-012345678\0009", 18, &t), SM_E_FORMAT);
    sm_http_token_free(NULL);
    cr_assert_eq(sm_http_token_read("/nonexistent/token", &t, NULL), SM_E_NOTFOUND);
}
