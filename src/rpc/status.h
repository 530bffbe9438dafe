/* rpc/status.h: how a gRPC call ends: the code, the text, and their forms on the wire.
 * Source: grpc/grpc doc/PROTOCOL-HTTP2.md, doc/http-grpc-status-mapping.md; our spec, post-service.md "2.3". Any
 * thread. */
#ifndef SM_RPC_STATUS_H
#define SM_RPC_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

typedef enum sm_grpc_code {
    SM_GRPC_OK = 0,
    SM_GRPC_CANCELLED = 1,
    SM_GRPC_UNKNOWN = 2,
    SM_GRPC_INVALID_ARGUMENT = 3,
    SM_GRPC_DEADLINE_EXCEEDED = 4,
    SM_GRPC_NOT_FOUND = 5,
    SM_GRPC_ALREADY_EXISTS = 6,
    SM_GRPC_PERMISSION_DENIED = 7,
    SM_GRPC_RESOURCE_EXHAUSTED = 8,
    SM_GRPC_FAILED_PRECONDITION = 9,
    SM_GRPC_ABORTED = 10,
    SM_GRPC_OUT_OF_RANGE = 11,
    SM_GRPC_UNIMPLEMENTED = 12,
    SM_GRPC_INTERNAL = 13,
    SM_GRPC_UNAVAILABLE = 14,
    SM_GRPC_DATA_LOSS = 15,
    SM_GRPC_UNAUTHENTICATED = 16,
} sm_grpc_code;

#define SM_GRPC_MESSAGE_ROOM 256u

struct sm_grpc_status {
    sm_grpc_code code;
    char message
        [SM_GRPC_MESSAGE_ROOM]; /* UTF-8 as the peer sent it, cut to fit; may hold control characters of the peer */
};

/* "UNAVAILABLE"; "code 99" is never returned: an unknown number gives "UNKNOWN". Static string. */
const char *sm_grpc_code_name(sm_grpc_code code);

/* Fills `out`; the text is cut to fit. */
void sm_grpc_status_set(struct sm_grpc_status *out, sm_grpc_code code, const char *fmt, ...) SM_PRINTF(3, 4);

/* grpc-status as sent: decimal, 0 to 16; anything else is UNKNOWN, as the protocol asks of unknown codes. */
sm_grpc_code sm_grpc_code_parse(struct sm_slice text);
/* What a call that was reset ended with; `h2_error` is the code of the RST_STREAM frame. */
sm_grpc_code sm_grpc_code_of_reset(uint32_t h2_error);
/* What an answer that is no gRPC answer ended with. */
sm_grpc_code sm_grpc_code_of_http(unsigned http_status);
/* What a caller of ours does next about a call that ended so: OK -> SM_OK, UNAVAILABLE -> SM_E_NET,
 * DEADLINE_EXCEEDED -> SM_E_TIMEOUT, CANCELLED -> SM_E_CANCELLED, the rest -> SM_E_REFUSED. */
sm_err sm_grpc_code_err(sm_grpc_code code);

/* grpc-message: bytes outside 0x20 to 0x7E and '%' become %XX. Writes at most `room` bytes, never half an escape, no
 * terminator; returns the length. 3 * strlen(text) always suffices. */
size_t sm_grpc_message_encode(const char *text, char *out, size_t room);
/* The reverse, lenient as the protocol asks: a bad escape stays as it is; a NUL becomes '?'. Cut to room - 1 bytes
 * (at a UTF-8 boundary) and terminated. */
void sm_grpc_message_decode(struct sm_slice wire, char *out, size_t room);

/* grpc-timeout: one to eight digits and a unit of H M S m u n. */
#define SM_GRPC_TIMEOUT_ROOM 16u
/* Rounded up to what the format can say, never 0; terminated. */
void sm_grpc_timeout_encode(uint64_t ns, char out[SM_GRPC_TIMEOUT_ROOM]);
/* False when malformed. Saturates. */
bool sm_grpc_timeout_parse(struct sm_slice text, uint64_t *out_ns);

#endif
