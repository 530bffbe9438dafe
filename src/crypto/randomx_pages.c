#include "crypto/randomx_pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/mem.h"

/* "lo-hi perms offset dev inode path": true when the line describes plain anonymous memory. */
static bool parse_anonymous(const char *line, struct sm_map_range *out)
{
    unsigned long lo, hi, inode;
    char perms[5];
    int path = 0;
    if (sscanf(line, "%lx-%lx %4s %*x %*s %lu %n", &lo, &hi, perms, &inode, &path) < 4) return false;
    if (strcmp(perms, "rw-p") != 0 || inode != 0) return false;
    if (path && line[path] && strncmp(line + path, "[anon", 5) != 0) return false;
    *out = (struct sm_map_range){lo, hi};
    return true;
}

static bool append(struct sm_map_list *l, size_t *room, struct sm_map_range r)
{
    if (l->n == *room) {
        const size_t more = *room ? *room * 2 : 64;
        struct sm_map_range *p = realloc(l->ranges, more * sizeof *p);
        if (!p) return false;
        l->ranges = p;
        *room = more;
    }
    l->ranges[l->n++] = r;
    return true;
}

struct sm_map_list sm_map_list_take(void)
{
    struct sm_map_list l = {0};
    size_t room = 0, line_room = 0;
    char *line = NULL;
    FILE *f = fopen("/proc/self/maps", "re");
    if (!f) return l;
    while (getline(&line, &line_room, f) > 0) {
        struct sm_map_range r;
        if (parse_anonymous(line, &r) && !append(&l, &room, r)) {
            sm_map_list_fini(&l);
            break;
        }
    }
    free(line);
    (void)fclose(f);
    return l;
}

void sm_map_list_fini(struct sm_map_list *l)
{
    free(l->ranges);
    *l = (struct sm_map_list){0};
}

/* The kernel merges neighbours, so a new area may be the end of an older mapping: subtract, don't compare. */
struct sm_map_range sm_map_list_largest_new(const struct sm_map_list *before, const struct sm_map_list *after)
{
    struct sm_map_range best = {0, 0};
    for (size_t a = 0; a < after->n; a++) {
        uintptr_t lo = after->ranges[a].lo;
        const uintptr_t end = after->ranges[a].hi;
        for (size_t b = 0; lo < end && b <= before->n; b++) {
            const bool last = b == before->n || before->ranges[b].lo >= end;
            if (!last && before->ranges[b].hi <= lo) continue;
            const uintptr_t hi = last ? end : before->ranges[b].lo;
            if (hi > lo && hi - lo > best.hi - best.lo) best = (struct sm_map_range){lo, hi};
            lo = last ? end : before->ranges[b].hi;
        }
    }
    return best;
}

void sm_pages_advise(void *p, size_t n, bool huge)
{
    if (huge) {
        (void)sm_mem_advise_huge(p, n); /* the result shows in sm_pages_huge_bytes */
        return;
    }
    const uintptr_t lo = ((uintptr_t)p + 4095) & ~(uintptr_t)4095, hi = ((uintptr_t)p + n) & ~(uintptr_t)4095;
    if (hi > lo) (void)madvise((void *)lo, hi - lo, MADV_NOHUGEPAGE);
}

uint64_t sm_pages_huge_bytes(const void *p, size_t n)
{
    const uintptr_t want_lo = (uintptr_t)p, want_hi = want_lo + n;
    uint64_t sum = 0;
    bool inside = false;
    char *line = NULL;
    size_t line_room = 0;
    FILE *f = fopen("/proc/self/smaps", "re");
    if (!f) return 0;
    while (getline(&line, &line_room, f) > 0) {
        unsigned long lo, hi, kib;
        char perms[5];
        if (sscanf(line, "%lx-%lx %4s", &lo, &hi, perms) == 3) inside = lo < want_hi && hi > want_lo;
        if (inside && sscanf(line, "AnonHugePages: %lu", &kib) == 1) sum += (uint64_t)kib << 10;
    }
    free(line);
    (void)fclose(f);
    return sum;
}
