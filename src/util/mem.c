#include "util/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>

#define HUGE_BYTES ((size_t)2 << 20) /* x86-64 and AArch64 (4 KiB granule) PMD size */

static size_t round_up(size_t v, size_t to)
{
    return (v + to - 1) / to * to;
}

bool sm_mem_map(struct sm_mem *m, size_t bytes, sm_pages pages)
{
    *m = (struct sm_mem){0};
    if (bytes == 0 || bytes > SIZE_MAX / 2) return false;
    const int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    if (pages == SM_PAGES_HUGE) {
        const size_t n = round_up(bytes, HUGE_BYTES);
        void *p = mmap(NULL, n, prot, flags | MAP_HUGETLB, -1, 0);
        if (p != MAP_FAILED) {
            *m = (struct sm_mem){.p = p, .bytes = bytes, .pages = SM_PAGES_HUGE, .map = p, .map_bytes = n};
            return true;
        }
        pages = SM_PAGES_THP;
    }
    const size_t align = pages == SM_PAGES_THP && bytes >= HUGE_BYTES ? HUGE_BYTES : 4096;
    const size_t n = round_up(bytes, align) + (align > 4096 ? align : 0);
    void *p = mmap(NULL, n, prot, flags, -1, 0);
    if (p == MAP_FAILED) return false;
    *m = (struct sm_mem){.bytes = bytes, .map = p, .map_bytes = n};
    m->p = (void *)round_up((uintptr_t)p, align);
    if (align == HUGE_BYTES && sm_mem_advise_huge(m->p, round_up(bytes, HUGE_BYTES))) m->pages = SM_PAGES_THP;
    return true;
}

void sm_mem_unmap(struct sm_mem *m)
{
    if (m->map) (void)munmap(m->map, m->map_bytes);
    *m = (struct sm_mem){0};
}

bool sm_mem_advise_huge(void *p, size_t bytes)
{
    const uintptr_t first = round_up((uintptr_t)p, 4096);
    const uintptr_t end = ((uintptr_t)p + bytes) & ~(uintptr_t)4095;
    if (end <= first) return false;
    return madvise((void *)first, end - first, MADV_HUGEPAGE) == 0;
}
