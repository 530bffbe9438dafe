/* rpc/reflection.h: the services grpc.reflection.v1 and v1alpha ServerReflection: grpcurl and monitoring tools ask
 * them what else there is. Source: grpc/grpc doc/server-reflection.md. One thread: that of the server's connections. */
#ifndef SM_RPC_REFLECTION_H
#define SM_RPC_REFLECTION_H

#include "rpc/conn.h"

#define SM_REFLECTION_METHODS 2u /* rows in a server's method table */
#define SM_REFLECTION_SETS    8u

struct sm_reflection {
    const struct sm_rpc_method *methods; /* the server's whole table; its services are listed */
    size_t methods_n;
    /* Encoded FileDescriptorSets with all imports, such as sm_proto_rpc of <sm_proto_rpc.h>. */
    struct sm_slice sets[SM_REFLECTION_SETS];
    size_t sets_n;
};

/* The rows that answer out of `r`, which is filled in before the first call comes and outlives the connections. */
void sm_reflection_methods(struct sm_reflection *r, struct sm_rpc_method out[SM_REFLECTION_METHODS]);

#endif
