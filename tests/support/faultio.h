/* tests/support/faultio.h: an I/O table (util/io.h) that misbehaves on order.
 *
 *   fault_set(&(struct fault_plan){.eintr = true, .short_max = 7});   every call is interrupted once, transfers are cut
 *   fault_set(&(struct fault_plan){.fail_at = k, .fail_errno = EIO}); the k-th call fails
 *   fault_set(&(struct fault_plan){.has_space = true, .space_bytes = 100});  ENOSPC after 100 written bytes
 *   fault_set(&(struct fault_plan){.crash_at = k});                   the process dies before the k-th call (fork first)
 *   fault_clear();
 *
 * Calls are counted over all kinds in `kinds` (0: every kind), from 1. Any thread; set and clear while none runs. */
#ifndef SM_TESTS_FAULTIO_H
#define SM_TESTS_FAULTIO_H

#include <stdbool.h>
#include <stdint.h>

#define FAULT_OPEN     (1u << 0)
#define FAULT_READ     (1u << 1)
#define FAULT_WRITE    (1u << 2)
#define FAULT_SYNC     (1u << 3) /* fdatasync and fsync */
#define FAULT_TRUNCATE (1u << 4)
#define FAULT_RENAME   (1u << 5)
#define FAULT_UNLINK   (1u << 6)
#define FAULT_SYMLINK  (1u << 7)

#define FAULT_CRASH_STATUS 57

struct fault_plan {
    unsigned kinds;     /* which calls are counted and fail; 0 = all */
    char path_has[64];  /* only calls on paths containing this; empty = all */
    bool eintr;         /* open, pread, pwrite, sync, truncate: EINTR every other call */
    uint64_t short_max; /* transfers move at most this many bytes; 0 = no limit. Direct I/O: rounded up to 4096 */
    uint64_t fail_at;   /* the call that fails; 0 = none */
    bool fail_forever;  /* and all counted ones after it */
    int fail_errno;
    uint64_t crash_at; /* _exit(FAULT_CRASH_STATUS) before this call; 0 = never */
    bool crash_torn;   /* a pwrite that is to crash first writes half */
    bool has_space;
    uint64_t space_bytes; /* pwrite moves this many bytes in all, then ENOSPC */
};

void fault_set(const struct fault_plan *p); /* copied; counters restart */
void fault_clear(void);
uint64_t fault_calls(void);   /* counted since fault_set */
uint64_t fault_written(void); /* bytes, to paths that match */

#endif
