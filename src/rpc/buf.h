/* rpc/buf.h: bytes that wait to be sent, first in, first out. One thread. */
#ifndef SM_RPC_BUF_H
#define SM_RPC_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sm_rpc_buf { /* zero-initialise; the waiting bytes are p + at, n of them */
    uint8_t *p;
    size_t at, n, room;
};

void sm_rpc_buf_fini(struct sm_rpc_buf *b);
/* Room for `more` bytes behind the waiting ones; false when there is no memory (nothing is lost). */
bool sm_rpc_buf_reserve(struct sm_rpc_buf *b, size_t more);
bool sm_rpc_buf_append(struct sm_rpc_buf *b, const uint8_t *p, size_t n);
/* The first n waiting bytes are done with. A large empty buffer gives its memory back. */
void sm_rpc_buf_consume(struct sm_rpc_buf *b, size_t n);

#endif
