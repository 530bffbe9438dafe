#include "rpc/frame.h"

#include <string.h>

static void release(struct sm_rpc_frame_reader *r)
{
    if (r->charged) r->budget->used -= r->charged;
    r->charged = 0;
}

void sm_rpc_frame_fini(struct sm_rpc_frame_reader *r)
{
    release(r);
    sm_rpc_buf_fini(&r->body);
    r->head_n = 0;
}

bool sm_rpc_frame_partial(const struct sm_rpc_frame_reader *r)
{
    return r->head_n > 0;
}

size_t sm_rpc_frame_announced(const struct sm_rpc_frame_reader *r)
{
    return r->head_n == SM_RPC_FRAME_HEAD ? sm_be32_load(r->head + 1) : 0;
}

static size_t take(struct sm_slice *in, size_t want)
{
    const size_t n = in->n < want ? in->n : want;
    in->p += n;
    in->n -= n;
    return n;
}

static sm_rpc_frame_result collect(struct sm_rpc_frame_reader *r, size_t want, struct sm_slice *in)
{
    const uint8_t *p = in->p;
    const size_t n = take(in, want - r->body.n);
    if (!n) return SM_RPC_FRAME_MORE;
    if (r->budget->max - r->budget->used < n) return SM_RPC_FRAME_CROWDED;
    if (!sm_rpc_buf_append(&r->body, p, n)) return SM_RPC_FRAME_NOMEM;
    r->budget->used += n;
    r->charged += n;
    return SM_RPC_FRAME_MORE;
}

/* The last message, if one was lent, is done with. */
static void begin(struct sm_rpc_frame_reader *r)
{
    if (r->head_n || !r->body.n) return;
    sm_rpc_buf_consume(&r->body, r->body.n);
    release(r);
}

sm_rpc_frame_result sm_rpc_frame_read(struct sm_rpc_frame_reader *r, struct sm_slice *in, struct sm_slice *out_msg)
{
    begin(r);
    if (r->head_n < SM_RPC_FRAME_HEAD) {
        const uint8_t *p = in->p;
        const size_t n = take(in, SM_RPC_FRAME_HEAD - r->head_n);
        if (n) memcpy(r->head + r->head_n, p, n);
        r->head_n += n;
        if (r->head_n && r->head[0]) return SM_RPC_FRAME_COMPRESSED;
        if (r->head_n < SM_RPC_FRAME_HEAD) return SM_RPC_FRAME_MORE;
    }
    const size_t want = sm_be32_load(r->head + 1);
    if (want > r->message_max) return SM_RPC_FRAME_TOO_LARGE;
    if (!r->body.n && in->n >= want) { /* whole in the input: no copy */
        *out_msg = (struct sm_slice){in->p, want};
        (void)take(in, want);
        r->head_n = 0;
        return SM_RPC_FRAME_MESSAGE;
    }
    const sm_rpc_frame_result result = collect(r, want, in);
    if (result != SM_RPC_FRAME_MORE || r->body.n < want) return result;
    *out_msg = (struct sm_slice){r->body.p + r->body.at, want};
    r->head_n = 0;
    return SM_RPC_FRAME_MESSAGE;
}

bool sm_rpc_frame_append(struct sm_rpc_buf *b, struct sm_slice msg)
{
    uint8_t head[SM_RPC_FRAME_HEAD] = {0};
    sm_be32_store(head + 1, (uint32_t)msg.n);
    if (!sm_rpc_buf_reserve(b, sizeof head + msg.n)) return false;
    (void)sm_rpc_buf_append(b, head, sizeof head);
    return sm_rpc_buf_append(b, msg.p, msg.n);
}
