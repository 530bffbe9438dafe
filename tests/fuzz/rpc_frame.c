/* Reader of messages in the body of a call: cut anywhere it finds the same messages, and holds no more than it may. */
#include <stdlib.h>
#include <string.h>

#include "rpc/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE_MAX 300u
#define BUDGET      200u

static void check(bool holds)
{
    if (!holds) abort();
}

struct result {
    sm_rpc_frame_result end;
    size_t messages, bytes;
    uint32_t sum; /* of lengths and bytes, in order */
};

static struct result read_all(const uint8_t *data, size_t size, size_t step, size_t budget_max)
{
    struct sm_rpc_budget budget = {.max = budget_max};
    struct sm_rpc_frame_reader r = {.message_max = MESSAGE_MAX, .budget = &budget};
    struct result got = {.end = SM_RPC_FRAME_MORE};
    for (size_t at = 0; at < size && got.end == SM_RPC_FRAME_MORE; at += step) {
        struct sm_slice in = {data + at, size - at < step ? size - at : step}, msg;
        while ((got.end = sm_rpc_frame_read(&r, &in, &msg)) == SM_RPC_FRAME_MESSAGE) {
            check(msg.n <= MESSAGE_MAX);
            got.messages++;
            got.bytes += msg.n;
            got.sum = got.sum * 31 + (uint32_t)msg.n;
            for (size_t i = 0; i < msg.n; i++) got.sum = got.sum * 31 + msg.p[i];
        }
        check(budget.used <= budget.max);
        check(got.end != SM_RPC_FRAME_MORE || in.n == 0);
    }
    sm_rpc_frame_fini(&r);
    check(budget.used == 0);
    return got;
}

static void check_round_trip(const uint8_t *data, size_t size)
{
    struct sm_rpc_buf b = {0};
    if (size > MESSAGE_MAX) size = MESSAGE_MAX;
    check(sm_rpc_frame_append(&b, (struct sm_slice){data, size}));
    const struct result got = read_all(b.p + b.at, b.n, 3, MESSAGE_MAX);
    check(got.messages == 1 && got.bytes == size && got.end == SM_RPC_FRAME_MORE);
    sm_rpc_buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct result whole = read_all(data, size, size + 1, MESSAGE_MAX);
    for (size_t step = 1; step < 8; step++) {
        const struct result cut = read_all(data, size, step, MESSAGE_MAX);
        check(cut.end == whole.end && cut.messages == whole.messages && cut.sum == whole.sum);
    }
    (void)read_all(data, size, 7, BUDGET);
    check_round_trip(data, size);
    return 0;
}
