#include "rpc/pb.h"

#include <stdarg.h>
#include <stdio.h>

#include "rpc/mem.h"

sm_err sm_rpc_send_pb(struct sm_rpc_stream *s, const ProtobufCMessage *m, struct sm_errinfo *ei)
{
    const size_t n = protobuf_c_message_get_packed_size(m);
    uint8_t *p = sm_rpc_alloc(n ? n : 1);
    if (!p) return sm_fail(ei, SM_E_NOMEM, "out of memory for a message of %zu bytes", n);
    (void)protobuf_c_message_pack(m, p);
    const sm_err err = sm_rpc_send(s, (struct sm_slice){p, n}, ei);
    sm_rpc_free(p);
    return err;
}

void sm_rpc_answer_pb(struct sm_rpc_stream *s, const ProtobufCMessage *m)
{
    struct sm_errinfo ei = {0};
    if (sm_rpc_send_pb(s, m, &ei))
        sm_rpc_refuse(s, SM_GRPC_RESOURCE_EXHAUSTED, "%.200s", ei.text);
    else
        sm_rpc_finish(s, &(struct sm_grpc_status){.code = SM_GRPC_OK});
}

void sm_rpc_refuse(struct sm_rpc_stream *s, sm_grpc_code code, const char *fmt, ...)
{
    struct sm_grpc_status st = {.code = code};
    va_list ap;
    va_start(ap, fmt);
    if (vsnprintf(st.message, sizeof st.message, fmt, ap) < 0) st.message[0] = '\0';
    va_end(ap);
    sm_rpc_finish(s, &st);
}
