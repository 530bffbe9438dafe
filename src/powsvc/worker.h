/* powsvc/worker.h: the k2pow worker: RandomX held ready, jobs asked for over HTTP.
 *
 *   GET /                                    200, "{ 'message': 'ok' }"
 *   GET /job/MINER/GROUP/CHALLENGE/DIFFICULTY  201 accepted or running; 200 the proof of work, decimal; 429 another job
 *                                            runs, with Retry-After; 500 why it failed; 400 what is wrong in the path
 *   DELETE /job/...                          204 cancelled; 404 no such job runs or waits
 *   GET /status                              JSON
 *   GET /metrics                             counters in the Prometheus text format
 *
 * The first two are the published worker's to the byte. Source: post-service.md §4.2, OUR-16; the others are ours. */
#ifndef SM_POWSVC_WORKER_H
#define SM_POWSVC_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/randomx.h"
#include "util/cancel.h"
#include "util/err.h"

struct sm_pow_worker_cfg {
    const char *listen, *bearer_token, *tls_cert, *tls_key; /* as sm_http_server_cfg */
    bool insecure;
    unsigned threads;              /* 0 = all */
    const unsigned *cores;         /* pinning, `threads` entries; NULL = none */
    struct sm_randomx_cfg randomx; /* key is ignored */
    unsigned queue;                /* jobs that run or wait; 0 = 1: the published worker */
    const char *state_dir;         /* results on disk; NULL: forgotten with the process */
    uint64_t abandoned_ns;         /* 0 = 10 min */
    uint64_t keep_ns;              /* of results; 0 = 24 h */
};

struct sm_pow_worker;

/* Prepares RandomX (up to a minute in fast mode), then serves. The lists and texts of cfg must outlive the worker.
 * SM_E_CANCELLED, what opening RandomX, the server or the state directory returns. */
SM_MUST_CHECK sm_err sm_pow_worker_start(const struct sm_pow_worker_cfg *cfg, const struct sm_cancel *cancel,
                                         struct sm_pow_worker **out, struct sm_errinfo *ei);
const char *sm_pow_worker_url(const struct sm_pow_worker *w);
/* A running job is given up; its client starts it again elsewhere. Accepts NULL. */
void sm_pow_worker_stop(struct sm_pow_worker *w);

struct sm_pow_worker_status {
    sm_randomx_mode mode;
    unsigned threads, queue, running, waiting;
    size_t results;
    uint64_t created, done, failed, given_up, too_many, recalled; /* jobs since the start; recalled: from the disk */
    uint64_t hashes;
    double hashes_per_s; /* of the current or last job; 0 before the first */
    double uptime_s;
};
struct sm_pow_worker_status sm_pow_worker_status(struct sm_pow_worker *w); /* any thread */

#endif
