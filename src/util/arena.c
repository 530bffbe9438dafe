#include "util/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#define BLOCK_BYTES ((size_t)4096)

struct sm_arena_block {
    struct sm_arena_block *next;
    size_t used, room;
    alignas(max_align_t) uint8_t data[];
};

static struct sm_arena_block *block_for(struct sm_arena *a, size_t n)
{
    if (a->blocks && a->blocks->room - a->blocks->used >= n) return a->blocks;
    const size_t room = n > BLOCK_BYTES ? n : BLOCK_BYTES;
    struct sm_arena_block *b = calloc(1, sizeof *b + room);
    if (!b) return NULL;
    b->room = room;
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

void *sm_arena_alloc(struct sm_arena *a, size_t n)
{
    const size_t align = alignof(max_align_t);
    if (n > SIZE_MAX / 2) return NULL;
    n = n ? (n + align - 1) / align * align : align;
    if (a->limit && (n > a->limit || a->used > a->limit - n)) return NULL;
    struct sm_arena_block *b = block_for(a, n);
    if (!b) return NULL;
    void *p = b->data + b->used;
    b->used += n;
    a->used += n;
    return p;
}

void *sm_arena_array(struct sm_arena *a, size_t n, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(n, size, &bytes) ? NULL : sm_arena_alloc(a, bytes);
}

void sm_arena_free(struct sm_arena *a)
{
    while (a->blocks) {
        struct sm_arena_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    a->used = 0;
}
