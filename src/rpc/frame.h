/* rpc/frame.h: messages inside the body of a call: one byte "compressed", four bytes length big-endian, the message.
 * The length is judged before anything is allocated, and memory grows with the bytes that came, not with the
 * announcement. Source: grpc/grpc doc/PROTOCOL-HTTP2.md "Length-Prefixed-Message". One thread. */
#ifndef SM_RPC_FRAME_H
#define SM_RPC_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/buf.h"
#include "util/bytes.h"

#define SM_RPC_FRAME_HEAD 5u

/* What all readers of a connection may hold together. */
struct sm_rpc_budget {
    size_t used, max; /* bytes */
};

struct sm_rpc_frame_reader {      /* zero-initialise, then set the two below */
    size_t message_max;           /* bytes */
    struct sm_rpc_budget *budget; /* borrowed */
    uint8_t head[SM_RPC_FRAME_HEAD];
    size_t head_n;
    struct sm_rpc_buf body;
    size_t charged; /* of the budget */
};

typedef enum sm_rpc_frame_result {
    SM_RPC_FRAME_MORE,       /* the input is used up */
    SM_RPC_FRAME_MESSAGE,    /* *out_msg is valid until the next call */
    SM_RPC_FRAME_COMPRESSED, /* the flag is not 0: nothing was agreed */
    SM_RPC_FRAME_TOO_LARGE,  /* longer than message_max */
    SM_RPC_FRAME_CROWDED,    /* the budget is used up */
    SM_RPC_FRAME_NOMEM,
} sm_rpc_frame_result;

void sm_rpc_frame_fini(struct sm_rpc_frame_reader *r);
/* Takes bytes from the front of *in until one message is whole. After an error the reader must not be used again. */
sm_rpc_frame_result sm_rpc_frame_read(struct sm_rpc_frame_reader *r, struct sm_slice *in, struct sm_slice *out_msg);
/* Is a message begun and not whole? */
bool sm_rpc_frame_partial(const struct sm_rpc_frame_reader *r);
/* Length that a begun message has announced; 0 before the head is whole. */
size_t sm_rpc_frame_announced(const struct sm_rpc_frame_reader *r);
/* Appends head and message; false when there is no memory. msg.n < 2^32. */
bool sm_rpc_frame_append(struct sm_rpc_buf *b, struct sm_slice msg);

#endif
