/* Large mappings. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

Test(mem, aligned_zeroed_and_ours)
{
    static const size_t sizes[] = {1, 4096, 5000, ((size_t)2 << 20) - 1, (size_t)2 << 20, ((size_t)5 << 20) + 1};
    for (int pages = SM_PAGES_NORMAL; pages <= SM_PAGES_HUGE; pages++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct sm_mem m;
            cr_assert(sm_mem_map(&m, sizes[i], (sm_pages)pages), "%d %zu", pages, sizes[i]);
            cr_assert_eq(m.bytes, sizes[i]);
            cr_assert_eq((uintptr_t)m.p % 4096, 0);
            if (pages != SM_PAGES_NORMAL && sizes[i] >= (size_t)2 << 20)
                cr_assert_eq((uintptr_t)m.p % ((size_t)2 << 20), 0);
            cr_assert_leq(m.pages, (sm_pages)pages, "never more than asked for");
            uint8_t *p = m.p;
            cr_assert(p >= (uint8_t *)m.map && p + sizes[i] <= (uint8_t *)m.map + m.map_bytes);
            for (size_t k = 0; k < sizes[i]; k += 997) cr_assert_eq(p[k], 0);
            memset(p, 0xa5, sizes[i]);
            cr_assert_eq(p[sizes[i] - 1], 0xa5);
            sm_mem_unmap(&m);
            cr_assert_null(m.p);
            sm_mem_unmap(&m);
        }
    }
}

Test(mem, refusals)
{
    struct sm_mem m;
    cr_assert_not(sm_mem_map(&m, 0, SM_PAGES_NORMAL));
    cr_assert_null(m.p);
    cr_assert_not(sm_mem_map(&m, SIZE_MAX, SM_PAGES_THP));
    cr_assert_not(sm_mem_map(&m, SIZE_MAX / 2, SM_PAGES_HUGE), "more than any machine has");
    cr_assert(m.p == NULL && m.map == NULL && m.bytes == 0);
}

Test(mem, advice_stays_inside_the_range)
{
    uint8_t *p = malloc(3 << 20);
    cr_assert_not(sm_mem_advise_huge(p + 1, 100), "no whole page");
    (void)sm_mem_advise_huge(p + 5, (3 << 20) - 9); /* depends on the kernel; must not touch the rest */
    memset(p, 1, 3 << 20);
    free(p);
}
