/* rpc/health.h: the service grpc.health.v1.Health: load balancers, supervisors and grpcurl ask it whether a service
 * is ready. Source: grpc/grpc doc/health-checking.md. One thread: that of the server's connections. */
#ifndef SM_RPC_HEALTH_H
#define SM_RPC_HEALTH_H

#include "rpc/conn.h"

#define SM_HEALTH_METHODS 2u /* rows in a server's method table */

struct sm_health;

/* Knows the server as a whole, which is called "", as not serving. */
SM_MUST_CHECK sm_err sm_health_new(struct sm_health **out, struct sm_errinfo *ei);
/* After the connections that use it. Accepts NULL. */
void sm_health_free(struct sm_health *h);
/* Says whether `service` ("spacemesh.v1.PostService", or "" for the server as a whole) is ready, and tells its
 * watchers. A name that is new is added. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_health_set(struct sm_health *h, const char *service, bool serving, struct sm_errinfo *ei);
/* Check and Watch. */
void sm_health_methods(struct sm_health *h, struct sm_rpc_method out[SM_HEALTH_METHODS]);

#endif
