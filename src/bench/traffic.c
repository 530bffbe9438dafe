#include "bench/traffic.h"

#include <stdint.h>
#include <stdlib.h>

#include "util/mem.h"

#define ROW_BYTES 128u
#define AHEAD     16u /* rows requested before they are used; enough to fill a core's line-fill buffers */

struct sm_bench_traffic {
    struct sm_mem mem;
    size_t rows; /* power of two */
    uint64_t state;
    uint64_t sum; /* keeps the compiler from dropping the reads */
};

sm_err sm_bench_traffic_new(size_t bytes, struct sm_bench_traffic **out, struct sm_errinfo *ei)
{
    struct sm_bench_traffic *t = calloc(1, sizeof *t);
    if (!t) return sm_fail(ei, SM_E_NOMEM, "out of memory for the memory benchmark");
    t->rows = 1;
    while (t->rows * 2 * ROW_BYTES <= bytes) t->rows *= 2;
    t->state = UINT64_C(0x9e3779b97f4a7c15);
    if (!sm_mem_map(&t->mem, t->rows * ROW_BYTES, SM_PAGES_THP)) {
        free(t);
        return sm_fail(ei, SM_E_NOMEM, "out of memory for the memory benchmark (%zu bytes)", bytes);
    }
    *out = t;
    return SM_OK;
}

void sm_bench_traffic_free(struct sm_bench_traffic *t)
{
    if (!t) return;
    sm_mem_unmap(&t->mem);
    free(t);
}

static inline void row_write(uint64_t *row, uint64_t v)
{
#if defined(__x86_64__)
    for (unsigned i = 0; i < ROW_BYTES / 8; i++) __builtin_ia32_movnti64((long long *)&row[i], (long long)v);
#else
    for (unsigned i = 0; i < ROW_BYTES / 8; i++) row[i] = v;
#endif
}

size_t sm_bench_traffic_round(struct sm_bench_traffic *t)
{
    uint64_t *base = t->mem.p;
    const size_t words = ROW_BYTES / 8, mask = t->rows - 1;
    for (size_t r = 0; r < t->rows; r++) row_write(base + r * words, t->state + r);
    size_t ring[AHEAD];
    uint64_t x = t->state, sum = 0;
    for (size_t r = 0; r < t->rows + AHEAD; r++) {
        if (r >= AHEAD) {
            const uint64_t *row = base + ring[r % AHEAD] * words;
            sum += row[0] + row[8]; /* both cache lines */
        }
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ring[r % AHEAD] = (size_t)(x >> 33) & mask;
        const uint64_t *next = base + ring[r % AHEAD] * words;
        __builtin_prefetch(next);
        __builtin_prefetch(next + 8);
    }
    t->state = x;
    t->sum += sum;
    return t->rows * ROW_BYTES;
}
