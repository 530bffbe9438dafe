/* status/api.h: the HTTP interface of a rig, as a handler for http/server.h.
 *
 *   GET  /status                       the reference's body (status/format.h); ?identity=WHICH for one of several
 *   GET  /v1/status                    everything, as JSON; ?identity=WHICH for one identity
 *   GET  /metrics                      Prometheus
 *   POST /v1/{pause,resume,cancel}?identity=WHICH
 *
 * WHICH: a node ID in hex, at least 10 digits of it, a name, or, for orders, "all". Failures of /v1 are
 * {"error":{"message"}} with 400, 403, 404, 405, 409 or 500. Requests for orders that carry an Origin header are refused:
 * a page in the operator's browser must not pause a rig. Source: post-service.md §3.3, OUR-13. */
#ifndef SM_STATUS_API_H
#define SM_STATUS_API_H

#include "http/server.h"
#include "status/snapshot.h"
#include "util/err.h"

typedef enum sm_status_order { SM_STATUS_PAUSE, SM_STATUS_RESUME, SM_STATUS_CANCEL } sm_status_order;

struct sm_status_api { /* constant while the server runs */
    /* Both are called on the server's thread and must be quick. `out` is zeroed; what is in it after a failure is
     * freed, too. */
    sm_err (*snapshot)(void *ctx, struct sm_status_snapshot *out, struct sm_errinfo *ei);
    /* SM_E_NOTFOUND: 404; SM_E_REFUSED, SM_E_STATE, SM_E_BUSY: 409; SM_E_ARG: 400; others 500, with the sentence. NULL:
     * orders are not taken (404). */
    sm_err (*order)(void *ctx, const char *which, sm_status_order order, struct sm_errinfo *ei);
    void *ctx;
};

/* The handler; `api` is a struct sm_status_api. */
void sm_status_api_handle(void *api, const struct sm_http_request *rq, struct sm_http_response *out);

#endif
