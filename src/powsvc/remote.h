/* powsvc/remote.h: proofs of work from k2pow workers on other machines, as a source for the prover.
 *
 * Several groups are asked for side by side. Each tries the workers in an order of its own, a hash of miner, group and
 * address, so that groups spread without a load balancer and a restart finds its jobs again; who answers 429 is skipped.
 * A job that runs is asked about every 5 s, as the published client does: a worker should not lie idle because its
 * client sleeps. Where all are busy, the soonest Retry-After is waited for. Whatever fails is tried again, first after 5 s,
 * then later and later up to 60 s. All waits have jitter; only 400 is final for a worker. Source: post-service.md §4.5,
 * OUR-15. */
#ifndef SM_POWSVC_REMOTE_H
#define SM_POWSVC_REMOTE_H

#include <stddef.h>
#include <stdint.h>

#include "post/prove.h"
#include "util/err.h"

#define SM_POW_WORKERS_MAX 256u

struct sm_pow_remote_cfg {
    const char *const *urls;            /* http[s]://host[:port][/prefix]; a "/" at the end does not count */
    size_t urls_n;                      /* 1 … SM_POW_WORKERS_MAX */
    const char *bearer_token, *ca_file; /* as sm_http_client_cfg */
    unsigned parallelism;               /* groups asked for at a time; 0 = 5, the published default */
    unsigned backoff_first_ms;          /* 0 = 5000 */
    unsigned backoff_max_ms;            /* 0 = 60000 */
    unsigned request_timeout_ms;        /* 0 = 30000 */
    uint64_t fallback_ns; /* no worker accepted a job, was at work on one (for as long as a slow one may take), or
                           * returned a result for so long: the rest is left to the prover. 0 = never */
};

struct sm_pow_remote;

/* Copies cfg. SM_E_ARG: addresses, none or too many. No connection is made. */
SM_MUST_CHECK sm_err sm_pow_remote_new(const struct sm_pow_remote_cfg *cfg, struct sm_pow_remote **out,
                                       struct sm_errinfo *ei);
void sm_pow_remote_free(struct sm_pow_remote *r); /* accepts NULL; not while solving */

/* Lives as long as `r`; one solve at a time. SM_E_REFUSED: every worker answers 400, and there is no fallback. */
const struct sm_k2pow_source *sm_pow_remote_source(const struct sm_pow_remote *r);

/* The order in which the workers are tried for a job: `out` gets the positions 0 … urls_n - 1. */
void sm_pow_remote_order(const struct sm_pow_remote *r, const struct sm_k2pow_job *job, unsigned *out);
/* The wait before a job is asked about again, at most max. failures: rounds in which nobody had it; 0 while it runs, where
 * the wait is as after 1: between half of it and all of first * 2^(failures - 1). retry_after_s: when the first worker
 * expects to be free, 0 = nobody said; then this counts, and up to half of first. `random` is any number. */
uint64_t sm_pow_backoff_ms(unsigned first_ms, unsigned max_ms, unsigned failures, uint32_t retry_after_s,
                           uint32_t random);
/* How long a worker may be at work on a job before that says nothing any more, beside fallback_ns: the time of a worker with
 * 50 hashes a second, which is less than one slow core in light mode. */
uint64_t sm_pow_patience_ns(const struct sm_k2pow_job *job);

#endif
