/* cli/remote.h: the options that send k2pow to workers on other machines.
 *
 *   struct args { struct sm_remote_args remote; };
 *   static const struct sm_option options[] = {SM_REMOTE_K2POW_OPTIONS(struct args, remote), SM_OPT_END};
 */
#ifndef SM_CLI_REMOTE_H
#define SM_CLI_REMOTE_H

#include "cli/option.h"
#include "powsvc/remote.h"

struct sm_remote_args {
    struct sm_text_list urls;
    uint32_t parallelism, backoff_s;
    const char *token_file, *ca_file, *fallback;
};
#define SM_REMOTE_K2POW_OPTIONS(T, m)                                                                                \
    SM_OPT_LIST(T, m.urls, "remote-k2pow", NULL, "URL",                                                              \
                "let this k2pow worker make the proofs of work; may be repeated, the groups are spread"),            \
        SM_OPT_U32(T, m.parallelism, "remote-k2pow-parallelism", "5", 1, 256, "N", "groups asked for at a time"),    \
        SM_OPT_U32(T, m.backoff_s, "remote-k2pow-backoff", "5", 1, 60, "SECONDS",                                    \
                   "first wait before a worker is asked again; it grows to 60 s"),                                   \
        SM_OPT_TEXT(T, m.token_file, "remote-k2pow-token-file", NULL, "FILE", "the token that the workers ask for"), \
        SM_OPT_TEXT(T, m.ca_file, "remote-k2pow-ca-file", NULL, "FILE", "PEM of who vouches for https workers",      \
                    .default_note = "the system's"),                                                                 \
        SM_OPT_TEXT(T, m.fallback, "remote-k2pow-fallback", "30min", "DURATION",                                     \
                    "search here when no worker is at work for so long, for example 90s or 2h; never = keep asking")

/* *out: NULL when no worker was named; else sm_pow_remote_free it. SM_E_ARG, what reading the token returns. */
SM_MUST_CHECK sm_err sm_remote_open(const struct sm_remote_args *args, struct sm_pow_remote **out,
                                    struct sm_errinfo *ei);

#endif
