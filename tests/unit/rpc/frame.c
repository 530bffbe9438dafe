/* Messages in the body of a call: whole, byte by byte, truncated; limits and the common budget. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/frame.h"

struct reader {
    struct sm_rpc_frame_reader r;
    struct sm_rpc_budget budget;
};

static void start(struct reader *t, size_t message_max, size_t budget)
{
    *t = (struct reader){.budget.max = budget};
    t->r.message_max = message_max;
    t->r.budget = &t->budget;
}

/* Feeds in pieces of `step`; returns the last result, and counts messages and their bytes. */
static sm_rpc_frame_result feed(struct reader *t, const uint8_t *p, size_t n, size_t step, size_t *messages,
                                size_t *bytes)
{
    sm_rpc_frame_result last = SM_RPC_FRAME_MORE;
    for (size_t at = 0; at < n && last == SM_RPC_FRAME_MORE; at += step) {
        const size_t part = n - at < step ? n - at : step;
        uint8_t *copy = malloc(part);
        memcpy(copy, p + at, part);
        struct sm_slice in = {copy, part}, msg;
        while ((last = sm_rpc_frame_read(&t->r, &in, &msg)) == SM_RPC_FRAME_MESSAGE) {
            for (size_t i = 0; i < msg.n; i++) cr_assert_eq(msg.p[i], (uint8_t)(i + *messages));
            ++*messages;
            *bytes += msg.n;
        }
        free(copy);
    }
    return last;
}

static const size_t sizes[] = {0, 1, 5, 300, 0, 70000, 2};
#define SIZES (sizeof sizes / sizeof sizes[0])

static void make(struct sm_rpc_buf *b)
{
    for (size_t m = 0; m < SIZES; m++) {
        uint8_t *msg = malloc(sizes[m] + 1);
        for (size_t i = 0; i < sizes[m]; i++) msg[i] = (uint8_t)(i + m);
        cr_assert(sm_rpc_frame_append(b, (struct sm_slice){msg, sizes[m]}));
        free(msg);
    }
}

Test(frame, any_pieces)
{
    static const size_t steps[] = {1, 2, 3, 5, 7, 64, 1000, 65536, 1000000};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct reader t;
        struct sm_rpc_buf b = {0};
        size_t messages = 0, bytes = 0;
        make(&b);
        start(&t, 70000, 70000);
        cr_assert_eq(feed(&t, b.p + b.at, b.n, steps[i], &messages, &bytes), SM_RPC_FRAME_MORE);
        cr_assert_eq(messages, SIZES);
        cr_assert_eq(bytes, b.n - SIZES * SM_RPC_FRAME_HEAD);
        cr_assert_not(sm_rpc_frame_partial(&t.r));
        cr_assert_eq(t.budget.used, 0);
        sm_rpc_frame_fini(&t.r);
        sm_rpc_buf_fini(&b);
    }
}

Test(frame, truncated_anywhere)
{
    struct sm_rpc_buf b = {0};
    make(&b);
    size_t ends[SIZES], at = 0;
    for (size_t m = 0; m < SIZES; m++) ends[m] = at += SM_RPC_FRAME_HEAD + sizes[m];
    for (size_t n = 0; n < b.n; n += n < 400 || n > b.n - 20 ? 1 : 997) {
        struct reader t;
        size_t messages = 0, bytes = 0, whole = 0;
        while (whole < SIZES && ends[whole] <= n) whole++;
        start(&t, 70000, 70000);
        (void)feed(&t, b.p + b.at, n, 100, &messages, &bytes);
        cr_assert_eq(messages, whole, "%zu", n);
        cr_assert_eq(sm_rpc_frame_partial(&t.r), n != (whole ? ends[whole - 1] : 0), "%zu", n);
        sm_rpc_frame_fini(&t.r);
        cr_assert_eq(t.budget.used, 0);
    }
    sm_rpc_buf_fini(&b);
}

Test(frame, limits)
{
    static const uint8_t fits[] = {0, 0, 0, 0, 10}, large[] = {0, 0, 0, 0, 11}, huge[] = {0, 255, 255, 255, 255};
    static const uint8_t compressed[] = {1}, odd[] = {0x80, 0, 0, 0, 0};
    struct reader t;
    size_t messages = 0, bytes = 0;
    start(&t, 10, 100);
    cr_assert_eq(feed(&t, fits, 5, 5, &messages, &bytes), SM_RPC_FRAME_MORE);
    cr_assert_eq(sm_rpc_frame_announced(&t.r), 10);
    start(&t, 10, 100);
    cr_assert_eq(feed(&t, large, 5, 1, &messages, &bytes), SM_RPC_FRAME_TOO_LARGE);
    cr_assert_eq(sm_rpc_frame_announced(&t.r), 11);
    start(&t, 10, 100);
    cr_assert_eq(feed(&t, huge, 5, 5, &messages, &bytes), SM_RPC_FRAME_TOO_LARGE);
    start(&t, 10, 100);
    cr_assert_eq(feed(&t, compressed, 1, 1, &messages, &bytes), SM_RPC_FRAME_COMPRESSED);
    start(&t, 10, 100);
    cr_assert_eq(feed(&t, odd, 5, 5, &messages, &bytes), SM_RPC_FRAME_COMPRESSED);
    cr_assert_eq(messages, 0);
}

Test(frame, one_budget_for_many)
{
    static const uint8_t half[] = {0, 0, 0, 0, 100, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct reader a, b;
    size_t messages = 0, bytes = 0;
    start(&a, 100, 15);
    start(&b, 100, 0);
    b.r.budget = &a.budget;
    cr_assert_eq(feed(&a, half, sizeof half, 100, &messages, &bytes), SM_RPC_FRAME_MORE);
    cr_assert_eq(a.budget.used, 10);
    cr_assert_eq(feed(&b, half, sizeof half, 100, &messages, &bytes), SM_RPC_FRAME_CROWDED);
    sm_rpc_frame_fini(&a.r);
    cr_assert_eq(a.budget.used, 0);
    sm_rpc_frame_fini(&b.r);
}

Test(frame, queue)
{
    struct sm_rpc_buf b = {0};
    uint8_t bytes[1000];
    size_t in = 0, out = 0;
    for (unsigned round = 0; round < 5000; round++) {
        const size_t n = round * 37u % sizeof bytes;
        for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(in + i);
        cr_assert(sm_rpc_buf_append(&b, bytes, n));
        in += n;
        const size_t take = b.n * 3 / 4;
        for (size_t i = 0; i < take; i++) cr_assert_eq(b.p[b.at + i], (uint8_t)(out + i));
        sm_rpc_buf_consume(&b, take);
        out += take;
        cr_assert_eq(b.n, in - out);
        cr_assert_leq(b.room, 8192); /* what waits, not what passed */
    }
    cr_assert_gt(b.n, 0);
    cr_assert_not(sm_rpc_buf_reserve(&b, SIZE_MAX)); /* together with what waits it wraps */
    sm_rpc_buf_fini(&b);
}
