/* powsvc/jobs.h: which k2pow jobs a worker runs, has waiting, and remembers. Pure: no threads, no clock, no RandomX.
 *
 * At most `accepted` jobs run or wait at a time, one of them runs. With accepted = 1 that is the published worker: a
 * second job is refused while one runs. Beyond it: nobody polls a job for abandoned_ns and another one comes, then the
 * abandoned one gives way; results are forgotten after keep_ns; a failure is told once, and the next request starts
 * the job again. `now` never goes back. Source: post-service.md §4.2, 4.3, OUR-16. */
#ifndef SM_POWSVC_JOBS_H
#define SM_POWSVC_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "post/k2pow.h"
#include "util/err.h"

struct sm_pow_jobs_cfg {
    unsigned accepted; /* 1 … 1024 */
    uint64_t abandoned_ns;
    uint64_t keep_ns;
    size_t results_max; /* the oldest is forgotten beyond it */
};
struct sm_pow_jobs;

typedef enum sm_pow_state {
    SM_POW_CREATED, /* accepted now: it runs or waits */
    SM_POW_IN_PROGRESS,
    SM_POW_DONE,
    SM_POW_FAILED, /* told and forgotten by this call */
    SM_POW_TOO_MANY,
} sm_pow_state;

struct sm_pow_answer {
    sm_pow_state state;
    uint64_t pow;  /* DONE */
    char why[256]; /* FAILED */
};

SM_MUST_CHECK sm_err sm_pow_jobs_new(const struct sm_pow_jobs_cfg *cfg, struct sm_pow_jobs **out,
                                     struct sm_errinfo *ei);
void sm_pow_jobs_free(struct sm_pow_jobs *t); /* accepts NULL */

/* A client asks for, and by that polls, a job. */
struct sm_pow_answer sm_pow_jobs_ask(struct sm_pow_jobs *t, const struct sm_k2pow_job *job, uint64_t now);
/* What is known without being polled or created: for looking elsewhere before. */
bool sm_pow_jobs_knows(const struct sm_pow_jobs *t, const struct sm_k2pow_job *job, uint64_t now);
/* A result from elsewhere (the disk). */
void sm_pow_jobs_learn(struct sm_pow_jobs *t, const struct sm_k2pow_job *job, uint64_t pow, uint64_t now);
/* False: no such job runs or waits. */
bool sm_pow_jobs_cancel(struct sm_pow_jobs *t, const struct sm_k2pow_job *job);

/* The job to run next, which runs from now on; false while one runs or none waits. */
bool sm_pow_jobs_next(struct sm_pow_jobs *t, struct sm_k2pow_job *out);
/* A job runs that was cancelled or has given way: stop it soon. Ends with the finish. */
bool sm_pow_jobs_running_unwanted(const struct sm_pow_jobs *t);
/* Of the running job. SM_OK: pow holds. SM_E_CANCELLED: forgotten. Other errors: told to the next who asks, unless it is
 * unwanted. */
void sm_pow_jobs_finish(struct sm_pow_jobs *t, sm_err err, uint64_t pow, const char *why, uint64_t now);

struct sm_pow_jobs_counts {
    unsigned running, waiting;
    size_t results;
};
struct sm_pow_jobs_counts sm_pow_jobs_count(const struct sm_pow_jobs *t);

#endif
