/* postsvc/checker.h: threads that verify proofs, so that the loop never does.
 *
 * Jobs are taken in order. The RandomX cache (256 MiB) is made at the first job and kept. Source: our spec,
 * post-service.md OUR-9, OUR-21. */
#ifndef SM_POSTSVC_CHECKER_H
#define SM_POSTSVC_CHECKER_H

#include "post/verify.h"
#include "postsvc/registry.h"
#include "rpc/loop.h"

struct sm_post_checker_cfg {
    struct sm_loop *loop;                 /* `done` is called there */
    const struct sm_post_params *params;  /* borrowed for the checker's life */
    const struct sm_randomx_cfg *randomx; /* copied */
    unsigned threads;                     /* 0 = 1 */
    /* Gives the job back. err: it could not be told, text says why; else the verdict of SM_VERIFY_STRICT. */
    void (*done)(void *ctx, struct sm_post_check *job, sm_err err, const struct sm_verdict *verdict, const char *text);
    void *ctx;
};

struct sm_post_checker;

/* SM_E_NOMEM, SM_E_STATE (no threads). */
SM_MUST_CHECK sm_err sm_post_checker_new(const struct sm_post_checker_cfg *cfg, struct sm_post_checker **out,
                                         struct sm_errinfo *ei);
/* Loop thread. False: out of memory, the job stays the caller's. */
bool sm_post_checker_add(struct sm_post_checker *c, struct sm_post_check *job);
/* Waits for the verifications that run (a second or so each), gives the other jobs back as SM_E_CANCELLED, from inside.
 * The loop must not run. Accepts NULL. */
void sm_post_checker_free(struct sm_post_checker *c);

#endif
