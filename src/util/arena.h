/* util/arena.h: memory that is released all at once: what a decoder allocates lives as long as the decoded object.
 * One thread at a time. */
#ifndef SM_UTIL_ARENA_H
#define SM_UTIL_ARENA_H

#include <stddef.h>

struct sm_arena_block;
struct sm_arena { /* zero-initialise */
    struct sm_arena_block *blocks;
    size_t used;  /* bytes handed out */
    size_t limit; /* 0 = none; allocation beyond fails */
};

/* Zeroed, aligned for any type; NULL when the limit or the system's memory is exhausted. n = 0 gives a valid pointer. */
void *sm_arena_alloc(struct sm_arena *a, size_t n);
/* n elements of `size` bytes, overflow-checked. */
void *sm_arena_array(struct sm_arena *a, size_t n, size_t size);
/* Releases everything; the arena can be used again. */
void sm_arena_free(struct sm_arena *a);

#endif
