/* Every allocation of a whole conversation fails once, alone and for good: nothing is lost, leaked or called twice. */
#include "kit.h"

#include "rpc/health.h"
#include "rpc/mem.h"

static struct {
    size_t live, asked, fail_at; /* 0: none */
    bool for_good;
} mem;

static bool refuse(void)
{
    mem.asked++;
    return mem.fail_at && (mem.asked == mem.fail_at || (mem.for_good && mem.asked > mem.fail_at));
}

static void *mem_malloc(size_t n, void *ctx)
{
    (void)ctx;
    void *p = refuse() ? NULL : malloc(n);
    mem.live += p != NULL;
    return p;
}

static void *mem_calloc(size_t n, size_t size, void *ctx)
{
    (void)ctx;
    void *p = refuse() ? NULL : calloc(n, size);
    mem.live += p != NULL;
    return p;
}

static void *mem_realloc(void *old, size_t n, void *ctx)
{
    (void)ctx;
    void *p = refuse() ? NULL : realloc(old, n);
    mem.live += p != NULL && !old;
    return p;
}

static void mem_free(void *p, void *ctx)
{
    (void)ctx;
    mem.live -= p != NULL;
    free(p);
}

static nghttp2_mem failing = {NULL, mem_malloc, mem_free, mem_calloc, mem_realloc};

/* A send may be refused for want of memory, in any place. */
static void on_message(void *ctx, struct sm_rpc_stream *s, struct sm_slice msg)
{
    struct kit_call *k = ctx;
    k->messages++;
    if (k->echo) (void)!sm_rpc_send(s, msg, NULL);
    if (k->finish_on_message) sm_rpc_finish(s, k->finish_on_message);
}

static const struct sm_rpc_stream_events events = {on_message, kit_on_half_close, kit_on_writable, kit_on_end};

static bool open_call(void *ctx, struct sm_rpc_stream *s, const struct sm_rpc_stream_events **ev, void **ev_ctx,
                      struct sm_grpc_status *st)
{
    const bool taken = kit_open(ctx, s, ev, ev_ctx, st);
    *ev = &events;
    return taken;
}

static void call_all(struct kit *k, struct kit_call calls[3])
{
    static const uint8_t big[40000];
    for (size_t i = 0; i < 3; i++) {
        struct sm_rpc_stream *s;
        if (sm_rpc_call(k->c,
                        i == 2 ? KIT_REFUSED
                        : i    ? KIT_UNARY
                               : KIT_PATH,
                        SM_NS_PER_S, k->now, &events, &calls[i], &s, NULL))
            continue;
        calls[i].s = s;
        (void)!sm_rpc_send(s, (struct sm_slice){big, i ? 10 : sizeof big}, NULL);
    }
    kit_run(k);
    if (calls[0].s) sm_rpc_half_close(calls[0].s);
    kit_run(k);
}

/* True when the failure was never reached. */
static bool converse(size_t fail_at, bool for_good)
{
    static struct sm_grpc_status done = {.code = SM_GRPC_ABORTED, .message = "enough"};
    struct kit_call calls[3] = {0};
    struct kit *k = kit_prepare();
    for (size_t i = 0; i < 3; i++) k->methods[i].open = open_call;
    k->server.calls[0] = (struct kit_call){.echo = true, .finish_on_half_close = &done};
    k->server.calls[1] = (struct kit_call){.echo = true, .finish_on_message = &done};
    mem.asked = 0;
    mem.fail_at = fail_at;
    mem.for_good = for_good;
    bool both = sm_rpc_conn_new(&k->client_cfg, k->now, &k->c, NULL) == SM_OK;
    both = sm_rpc_conn_new(&k->server_cfg, k->now, &k->s, NULL) == SM_OK && both;
    if (both) {
        kit_run(k);
        call_all(k, calls);
        sm_rpc_conn_shutdown(k->s, k->now, SM_NS_PER_S);
        kit_pass(k, 120 * SM_NS_PER_S);
    }
    const bool reached = mem.asked >= fail_at;
    const size_t opened = k->server.n;
    struct kit_call *served = k->server.calls;
    sm_rpc_conn_free(k->c);
    sm_rpc_conn_free(k->s);
    for (size_t i = 0; i < 3; i++) cr_assert_null(calls[i].s, "allocation %zu: call %zu has not ended", fail_at, i);
    for (size_t i = 0; i < opened; i++)
        cr_assert_null(served[i].s, "allocation %zu: served %zu has not ended", fail_at, i);
    cr_assert_eq(mem.live, 0, "allocation %zu: %zu blocks are left", fail_at, mem.live);
    if (!fail_at || !reached) {
        kit_assert_end(&calls[0], SM_GRPC_ABORTED, "enough");
        kit_assert_end(&calls[1], SM_GRPC_ABORTED, "enough");
        cr_assert_eq(calls[0].messages, 1);
    }
    free(k);
    return !reached;
}

Test(nomem, every_allocation)
{
    sm_rpc_mem_set(&failing);
    (void)converse(0, false);
    const size_t all = mem.asked;
    cr_assert_gt(all, 40);
    for (size_t i = 1; i <= all + 1; i++) {
        const bool last = converse(i, false);
        cr_assert(!last || i > all / 2);
        (void)converse(i, true);
    }
    sm_rpc_mem_set(NULL);
}

Test(nomem, health)
{
    struct sm_health *h;
    sm_rpc_mem_set(&failing);
    for (size_t i = 1; i < 4; i++) {
        mem.asked = 0;
        mem.fail_at = i;
        if (sm_health_new(&h, NULL)) continue;
        cr_assert_eq(sm_health_set(h, "a.B", true, NULL), i == 3 ? SM_E_NOMEM : SM_OK);
        sm_health_free(h);
    }
    cr_assert_eq(mem.live, 0);
    sm_rpc_mem_set(NULL);
}
