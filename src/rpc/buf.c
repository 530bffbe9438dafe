#include "rpc/buf.h"

#include <assert.h>
#include <string.h>

#include "rpc/mem.h"

#define KEEP 4096u /* an idle buffer holds no more than this: there may be ten thousand */

void sm_rpc_buf_fini(struct sm_rpc_buf *b)
{
    sm_rpc_free(b->p);
    *b = (struct sm_rpc_buf){0};
}

bool sm_rpc_buf_reserve(struct sm_rpc_buf *b, size_t more)
{
    size_t need;
    if (__builtin_add_overflow(b->n, more, &need)) return false;
    if (b->at && b->at + need > b->room) {
        memmove(b->p, b->p + b->at, b->n);
        b->at = 0;
    }
    if (need <= b->room) return true;
    size_t room = b->room ? b->room : 256;
    while (room < need && room <= SIZE_MAX / 2) room *= 2;
    if (room < need) room = need;
    uint8_t *p = sm_rpc_realloc(b->p, room);
    if (!p) return false;
    b->p = p;
    b->room = room;
    return true;
}

bool sm_rpc_buf_append(struct sm_rpc_buf *b, const uint8_t *p, size_t n)
{
    if (!n) return true;
    if (!sm_rpc_buf_reserve(b, n)) return false;
    memcpy(b->p + b->at + b->n, p, n);
    b->n += n;
    return true;
}

void sm_rpc_buf_consume(struct sm_rpc_buf *b, size_t n)
{
    assert(n <= b->n);
    b->at += n;
    b->n -= n;
    if (b->n) return;
    b->at = 0;
    if (b->room > KEEP) sm_rpc_buf_fini(b);
}
