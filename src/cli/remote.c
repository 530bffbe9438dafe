#include "cli/remote.h"

#include <string.h>

#include "config/value.h"
#include "http/server.h"
#include "util/clock.h"

sm_err sm_remote_open(const struct sm_remote_args *args, struct sm_pow_remote **out, struct sm_errinfo *ei)
{
    char *token = NULL;
    uint64_t fallback_s = 0;
    sm_err err = SM_OK;
    *out = NULL;
    if (!args->urls.n) return SM_OK;
    if (strcmp(args->fallback, "never") != 0)
        err = sm_value_duration(args->fallback, "--remote-k2pow-fallback", 1, 366 * 86400, &fallback_s, ei);
    if (err) return SM_E_ARG;
    if (args->token_file) err = sm_http_token_read(args->token_file, &token, ei);
    const struct sm_pow_remote_cfg cfg = {.urls = args->urls.v,
                                          .urls_n = args->urls.n,
                                          .bearer_token = token,
                                          .ca_file = args->ca_file,
                                          .parallelism = args->parallelism,
                                          .backoff_first_ms = 1000 * args->backoff_s,
                                          .fallback_ns = fallback_s * SM_NS_PER_S};
    if (!err) err = sm_pow_remote_new(&cfg, out, ei);
    sm_http_token_free(token);
    return err;
}
