#include <stdlib.h>

#include "cli/commands.h"
#include "cli/groups.h"
#include "http/server.h"
#include "powsvc/worker.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/notify.h"

#define TICK_NS (100 * SM_NS_PER_MS)

struct args {
    const char *listen, *cores, *state_dir, *token_file, *tls_cert, *tls_key;
    struct sm_randomx_args randomx;
    uint32_t threads, queue;
    bool insecure;
};

static const struct sm_option options[] = {
    SM_OPT_TEXT(struct args, listen, "listen", "127.0.0.1:3000", "ADDRESS:PORT",
                "where to serve; port 0 = any free one. Beyond loopback only with a token"),
    SM_OPT_U32(struct args, threads, "threads", "0", 0, 1024, "N", "threads of the search; 0 = one per processor"),
    SM_OPT_TEXT(struct args, cores, "cores", NULL, "LIST",
                "pin one thread to each of these processors, for example 0,2,4"),
    SM_RANDOMX_OPTIONS(struct args, randomx, "fast", NULL),
    SM_OPT_U32(struct args, queue, "queue", "1", 1, 1024, "N",
               "jobs that run or wait; with 1 a second job is refused while one runs"),
    SM_OPT_TEXT(struct args, state_dir, "state-dir", NULL, "DIR",
                "keep results of the last 24 hours here over restarts",
                .default_note = "they are forgotten with the process"),
    SM_OPT_TEXT(struct args, token_file, "token-file", NULL, "FILE",
                "serve only who knows the token in this file: one line of 16 to 256 characters"),
    SM_OPT_TEXT(struct args, tls_cert, "tls-cert", NULL, "FILE", "HTTPS: certificate chain in PEM"),
    SM_OPT_TEXT(struct args, tls_key, "tls-key", NULL, "FILE", "HTTPS: its private key in PEM"),
    SM_OPT_FLAG(struct args, insecure, "insecure",
                "listen beyond loopback without a token: anybody may use the worker"),
    SM_OPT_END,
};

static void tell_end(struct sm_cli *cli, struct sm_pow_worker *w)
{
    const struct sm_pow_worker_status s = sm_pow_worker_status(w);
    sm_log(SM_LOG_INFO, "k2pow", "ended", "done=%llu failed=%llu given_up=%llu", (unsigned long long)s.done,
           (unsigned long long)s.failed, (unsigned long long)s.given_up);
    sm_cli_json(cli, json_pack("{s:o, s:o, s:o, s:o}", "jobs_done", sm_cli_json_u64(s.done), "jobs_failed",
                               sm_cli_json_u64(s.failed), "jobs_given_up", sm_cli_json_u64(s.given_up), "hashes",
                               sm_cli_json_u64(s.hashes)));
}

/* Until we are asked to end. Asking the worker for its status also shows the watchdog that its locks move. */
static void serve(struct sm_cli *cli, struct sm_pow_worker *w)
{
    const uint64_t watchdog_ns = sm_notify_watchdog_ns();
    uint64_t told_ns = 0;
    (void)sm_notify("READY=1");
    while (!sm_cancelled(cli->cancel)) {
        const uint64_t now = sm_clock_ns();
        if (watchdog_ns && now - told_ns >= watchdog_ns / 3) {
            (void)sm_pow_worker_status(w);
            (void)sm_notify("WATCHDOG=1");
            told_ns = now;
        }
        sm_clock_sleep_ns(TICK_NS);
    }
    (void)sm_notify("STOPPING=1");
}

static sm_err configure(const struct args *a, struct sm_pow_worker_cfg *cfg, unsigned **cores, char **token,
                        struct sm_errinfo *ei)
{
    unsigned cores_n = 0;
    sm_err err = SM_OK;
    if (a->cores && a->threads) return sm_fail(ei, SM_E_ARG, "--cores and --threads exclude each other");
    if (a->cores) err = sm_cores_parse(a->cores, cores, &cores_n, ei);
    if (!err && a->token_file) err = sm_http_token_read(a->token_file, token, ei);
    *cfg = (struct sm_pow_worker_cfg){.listen = a->listen,
                                      .bearer_token = *token,
                                      .tls_cert = a->tls_cert,
                                      .tls_key = a->tls_key,
                                      .insecure = a->insecure,
                                      .threads = *cores ? cores_n : a->threads,
                                      .cores = *cores,
                                      .randomx = sm_randomx_cfg_of(&a->randomx),
                                      .queue = a->queue,
                                      .state_dir = a->state_dir};
    return err;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_pow_worker_cfg cfg;
    struct sm_pow_worker *w = NULL;
    unsigned *cores = NULL;
    char *token = NULL;
    sm_err err = configure(a, &cfg, &cores, &token, &ei);
    if (!err) err = sm_pow_worker_start(&cfg, cli->cancel, &w, &ei);
    if (!err) {
        const struct sm_pow_worker_status s = sm_pow_worker_status(w);
        sm_log(SM_LOG_INFO, "k2pow", "ready", "url=%s randomx=%s threads=%u queue=%u token=%s", sm_pow_worker_url(w),
               s.mode == SM_RANDOMX_FAST ? "fast" : "light", s.threads, s.queue, token ? "yes" : "no");
        serve(cli, w);
        tell_end(cli, w);
    }
    sm_pow_worker_stop(w);
    sm_http_token_free(token);
    free(cores);
    return err ? sm_cli_error(cli, err, &ei) : SM_EXIT_DONE;
}

const struct sm_command sm_cmd_k2pow = {
    .name = "k2pow",
    .summary = "make proofs of work for provers on other machines, over HTTP",
    .details =
        "A worker for prove --remote-k2pow, and for every program that speaks the published k2pow interface: "
        "GET /job/MINER/GROUP/CHALLENGE/DIFFICULTY answers 201 while it works, 200 with the result, 429 when it is "
        "busy. DELETE of the same path gives a job up, and a running job that nobody asks for during 10 minutes gives "
        "way to the next one. /status and /metrics tell what it does."
        "\n\n"
        "The RandomX dataset stays in memory between jobs. Results are kept for 24 hours. It ends in order on SIGTERM, "
        "and "
        "tells the service manager READY and WATCHDOG.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
