/* powsvc/worker_impl.h: what the worker's files share: worker.c (life, the job thread), worker_http.c (requests),
 * worker_store.c (results on disk). */
#ifndef SM_POWSVC_WORKER_IMPL_H
#define SM_POWSVC_WORKER_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "http/server.h"
#include "post/k2pow.h"
#include "powsvc/jobs.h"
#include "powsvc/worker.h"

#define SM_POW_RESULTS_MAX 16384u /* ours: a day of 900 identities; a few MiB */

struct sm_pow_worker {
    struct sm_pow_worker_cfg cfg;
    unsigned threads;
    uint64_t start_ns, keep_ns;
    struct sm_randomx *randomx;
    struct sm_http_server *server;
    pthread_t thread;
    bool has_thread;
    struct sm_cancel job_cancel; /* of the running job; reset under mu when one starts */
    atomic_uint_fast64_t hashes_of_job;
    struct { /* under mu */
        pthread_mutex_t mu;
        pthread_cond_t changed; /* monotonic clock */
        struct sm_pow_jobs *jobs;
        bool stop;
        uint64_t job_start_ns;
        struct sm_k2pow_job job; /* the running or last one */
        double rate;             /* hashes per second of the last job that took long enough to tell */
        uint64_t created, done, failed, given_up, too_many, recalled, hashes;
        size_t stored; /* results on disk, about */
        bool store_warned;
    } shared;
};

/* The server's thread. ctx is the worker. */
void sm_pow_worker_handle(void *ctx, const struct sm_http_request *rq, struct sm_http_response *out);

/* All do nothing without a state directory. */
SM_MUST_CHECK sm_err sm_pow_store_open(struct sm_pow_worker *w, struct sm_errinfo *ei);
void sm_pow_store_sweep(struct sm_pow_worker *w);
void sm_pow_store_put(struct sm_pow_worker *w, const struct sm_k2pow_job *job, uint64_t pow);
/* A result that holds, from the disk into the table. */
void sm_pow_store_recall(struct sm_pow_worker *w, const struct sm_k2pow_job *job);

#endif
