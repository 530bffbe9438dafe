#include "rpc/mem.h"

#include <stdlib.h>

static void *libc_malloc(size_t n, void *ctx)
{
    (void)ctx;
    return malloc(n);
}

static void libc_free(void *p, void *ctx)
{
    (void)ctx;
    free(p);
}

static void *libc_calloc(size_t n, size_t size, void *ctx)
{
    (void)ctx;
    return calloc(n, size);
}

static void *libc_realloc(void *p, size_t n, void *ctx)
{
    (void)ctx;
    return realloc(p, n);
}

static const nghttp2_mem libc_mem = {NULL, libc_malloc, libc_free, libc_calloc, libc_realloc};
static nghttp2_mem current = {NULL, libc_malloc, libc_free, libc_calloc, libc_realloc};

void sm_rpc_mem_set(const nghttp2_mem *mem)
{
    current = mem ? *mem : libc_mem;
}

nghttp2_mem *sm_rpc_mem(void)
{
    return &current;
}

void *sm_rpc_alloc(size_t n)
{
    return current.calloc(1, n, current.mem_user_data);
}

void *sm_rpc_realloc(void *p, size_t n)
{
    return current.realloc(p, n, current.mem_user_data);
}

void sm_rpc_free(void *p)
{
    current.free(p, current.mem_user_data);
}
