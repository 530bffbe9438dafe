/* crypto/randomx_pages.h: private to randomx*.c: huge pages under memory that librandomx allocated.
 *
 * The library takes its cache from the C library's allocator and does not say where it is (1.1.10 has a getter for the
 * dataset only). What is mapped after the allocation and was not before it must be it, so two snapshots of
 * /proc/self/maps find it without knowing the library's structures. */
#ifndef SM_CRYPTO_RANDOMX_PAGES_H
#define SM_CRYPTO_RANDOMX_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sm_map_range {
    uintptr_t lo, hi;
};

/* Anonymous private writable mappings of this process, ascending. */
struct sm_map_list {
    struct sm_map_range *ranges;
    size_t n;
};

/* An empty list when /proc is not readable or memory is short. */
struct sm_map_list sm_map_list_take(void);
void sm_map_list_fini(struct sm_map_list *l);

/* The largest range mapped in `after` and not in `before`; {0, 0} when nothing is new. */
struct sm_map_range sm_map_list_largest_new(const struct sm_map_list *before, const struct sm_map_list *after);

/* Asks for (or against) transparent huge pages on the whole pages of [p, p + n), before the first touch. */
void sm_pages_advise(void *p, size_t n, bool huge);

/* Bytes of the mappings that overlap [p, p + n) which transparent huge pages back now; 0 when unknown. */
uint64_t sm_pages_huge_bytes(const void *p, size_t n);

#endif
