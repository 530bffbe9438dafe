/* rpc/resolve.h: addresses of host names, looked up on threads of their own, because the C library's resolver blocks for as
 * long as a name server keeps silent.
 *
 * At most SM_RESOLVE_THREADS lookups run at a time in the process, the others wait; a thread ends when there is nothing left
 * to look up. A lookup that nobody waits for any more still runs to its end, in the background. */
#ifndef SM_RPC_RESOLVE_H
#define SM_RPC_RESOLVE_H

#include "rpc/loop.h"
#include "rpc/tcp.h"

#define SM_RESOLVE_THREADS 8u
#define SM_RESOLVED_MAX    16u

struct sm_resolved {
    union sm_sockaddr
        a[SM_RESOLVED_MAX]; /* in the order in which to try them: the resolver's, the families taking turns */
    size_t n;
};

struct sm_resolve;
/* On the loop thread, once; the lookup is gone when it is called. `list` is NULL on failure, and `text` says why. */
typedef void (*sm_resolve_done)(void *ctx, const struct sm_resolved *list, const char *text);

/* Begins to look up `a`. SM_E_NOMEM (also when no thread can be started). Loop thread. */
SM_MUST_CHECK sm_err sm_resolve_start(struct sm_loop *l, const struct sm_rpc_address *a, sm_resolve_done done,
                                      void *ctx, struct sm_resolve **out, struct sm_errinfo *ei);
/* `done` will not be called. Needed before the loop is freed. Accepts NULL. Loop thread. */
void sm_resolve_cancel(struct sm_resolve *r);

/* Sorts so that the families take turns, beginning with that of the first (RFC 8305, section 4). */
void sm_resolved_interleave(struct sm_resolved *list);

/* Looks up host and port: 0, or an EAI_ code. Runs on the lookup threads. */
typedef int (*sm_resolve_lookup)(const char *host, uint16_t port, struct sm_resolved *out);
/* Tests only, before anything is looked up. NULL restores the C library's. */
void sm_resolve_set_lookup(sm_resolve_lookup lookup);

#endif
