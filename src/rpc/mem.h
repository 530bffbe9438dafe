/* rpc/mem.h: where connections take their memory, the HTTP/2 library's included: one table, so that tests make the k-th
 * allocation fail and see how much a peer can make us hold. The product never replaces it. */
#ifndef SM_RPC_MEM_H
#define SM_RPC_MEM_H

#include <stddef.h>

#include <nghttp2/nghttp2.h>

/* Tests only, before the first connection and with none left. NULL restores the C library's. */
void sm_rpc_mem_set(const nghttp2_mem *mem);
/* What connections are made with; nghttp2 takes it as it is. */
nghttp2_mem *sm_rpc_mem(void);

/* Zeroed; NULL when there is none. */
void *sm_rpc_alloc(size_t n);
void *sm_rpc_realloc(void *p, size_t n);
void sm_rpc_free(void *p);

#endif
