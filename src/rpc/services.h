/* rpc/services.h: the method table of a server with what every server of ours answers: health and reflection.
 * One thread: that of the server's connections. */
#ifndef SM_RPC_SERVICES_H
#define SM_RPC_SERVICES_H

#include "rpc/conn.h"

struct sm_rpc_services;

/* methods  the server's own; copied, but not what their rows point to
 * sets     encoded FileDescriptorSets of their messages with all imports, as sm_proto() makes them; at most
 *          SM_REFLECTION_SETS - 1; borrowed
 * Every service is not serving until it is said to. SM_E_ARG, SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_rpc_services_new(const struct sm_rpc_method *methods, size_t methods_n,
                                         const struct sm_slice *sets, size_t sets_n, struct sm_rpc_services **out,
                                         struct sm_errinfo *ei);
/* After the connections. Accepts NULL. */
void sm_rpc_services_free(struct sm_rpc_services *v);
/* For struct sm_rpc_server_cfg; lent for the life of `v`. */
const struct sm_rpc_method *sm_rpc_services_methods(const struct sm_rpc_services *v, size_t *out_n);
/* The health of all services of the table and of the server as a whole. */
void sm_rpc_services_serving(struct sm_rpc_services *v, bool serving);

#endif
