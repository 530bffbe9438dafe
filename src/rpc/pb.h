/* rpc/pb.h: messages made by protobuf-c, in and out of calls. */
#ifndef SM_RPC_PB_H
#define SM_RPC_PB_H

#include <protobuf-c/protobuf-c.h>

#include "rpc/conn.h"

/* Packs `m` and sends it. SM_E_NOMEM and what sm_rpc_send returns. */
SM_MUST_CHECK sm_err sm_rpc_send_pb(struct sm_rpc_stream *s, const ProtobufCMessage *m, struct sm_errinfo *ei);

/* Server: the answer of a unary call: the message and OK, or RESOURCE_EXHAUSTED when it cannot be sent. */
void sm_rpc_answer_pb(struct sm_rpc_stream *s, const ProtobufCMessage *m);
/* Server: ends the call with a status made in place. */
void sm_rpc_refuse(struct sm_rpc_stream *s, sm_grpc_code code, const char *fmt, ...) SM_PRINTF(3, 4);

#endif
