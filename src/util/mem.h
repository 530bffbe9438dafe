/* util/mem.h: large, page-aligned, zeroed memory.
 *
 * The label and RandomX scratch areas are random-access and hundreds of MiB: with 4 KiB pages the TLB is the
 * bottleneck. SM_PAGES_THP aligns to 2 MiB and asks for transparent huge pages (madvise, before the first
 * touch; works without any system configuration where the kernel's setting is madvise or always).
 * SM_PAGES_HUGE asks for explicit huge pages (needs vm.nr_hugepages) and falls back to THP. */
#ifndef SM_UTIL_MEM_H
#define SM_UTIL_MEM_H

#include <stddef.h>

typedef enum sm_pages { SM_PAGES_NORMAL, SM_PAGES_THP, SM_PAGES_HUGE } sm_pages;

struct sm_mem {
    void *p;      /* 4096-aligned at least; 2 MiB-aligned for THP and HUGE; NULL when unset */
    size_t bytes; /* as requested */
    sm_pages pages; /* what was really granted (THP: the advice was accepted) */
    void *map;    /* private: mapping to release */
    size_t map_bytes;
};

/* False when the kernel refuses; `m` is then zeroed. */
_Bool sm_mem_map(struct sm_mem *m, size_t bytes, sm_pages pages);
/* Accepts a zeroed struct. */
void sm_mem_unmap(struct sm_mem *m);

/* Asks for transparent huge pages on memory somebody else allocated (whole pages inside the range).
 * Must precede the first touch to have effect. False when the kernel has no THP. */
_Bool sm_mem_advise_huge(void *p, size_t bytes);

#endif
