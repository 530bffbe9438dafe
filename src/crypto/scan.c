#include "crypto/scan_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "util/mem.h"

#define HITS_MAX 65536u /* of one tile; at least 8 labels * SM_NONCES_MAX, so that the smallest tile always fits */

struct sm_scan_scratch {
    struct sm_mem mem; /* where this struct lives */
    size_t tile;       /* labels to try next: shrinks while hits overflow */
    size_t hits_n;
    struct sm_scan_marks marks[2]; /* of the group being scanned and of the one being sorted */
    struct sm_scan_sorter sorter;
    uint16_t at[16][SM_SCAN_TILE + SM_SCAN_PAD]; /* labels, by marked byte */
    uint16_t good[SM_SCAN_TILE + SM_SCAN_PAD];
    uint32_t hits[2][HITS_MAX]; /* sort keys; the second half is for sorting */
    _Alignas(64) uint8_t tail[8 * 16];
};

/* Sort key of a hit inside a tile: chunk of 8 labels, group, label in the chunk, nonce of the group: the documented
 * order (post.md §5.6). 15 bits and those of SM_SCAN_TILE / 8. */
static uint32_t hit_key(uint32_t label, uint32_t group, uint32_t offset)
{
    return (label >> 3) << 15 | group << 7 | (label & 7) << 4 | offset;
}

static struct sm_scan_hit hit_of_key(const struct sm_scan_job *job, uint32_t key, size_t tile_first)
{
    const uint32_t label = (key >> 15) << 3 | ((key >> 4) & 7);
    const uint32_t group = (key >> 7) & 0xff;
    return (struct sm_scan_hit){.label = (uint32_t)tile_first + label,
                                .nonce = job->groups[group].nonce_base + (key & 15)};
}

static void sort_few(uint32_t *k, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const uint32_t v = k[i];
        size_t j = i;
        for (; j && k[j - 1] > v; j--) k[j] = k[j - 1];
        k[j] = v;
    }
}

/* Radix sort by bytes; the sorted keys end up in k. */
static void sort_many(uint32_t *k, uint32_t *tmp, size_t n)
{
    for (unsigned shift = 0; shift < 32; shift += 8) {
        size_t at[257] = {0};
        for (size_t i = 0; i < n; i++) at[((k[i] >> shift) & 0xff) + 1]++;
        for (unsigned b = 0; b < 256; b++) at[b + 1] += at[b];
        for (size_t i = 0; i < n; i++) tmp[at[(k[i] >> shift) & 0xff]++] = k[i];
        memcpy(k, tmp, n * sizeof *k);
    }
}

/* False when the tile has more hits than fit. */
static bool add_hits(struct sm_scan_scratch *s, const uint16_t *labels, size_t n, uint32_t group, uint32_t offset)
{
    if (n > HITS_MAX - s->hits_n) return false;
    for (size_t i = 0; i < n; i++) s->hits[0][s->hits_n++] = hit_key(labels[i], group, offset);
    return true;
}

/* Begins to sort the marks of a group; they may take part of the next group's scan to finish. */
static void sort_start(struct sm_scan_scratch *s, struct sm_scan_marks *marks, size_t marks_n, size_t lines)
{
    const size_t steps = lines / SM_SCAN_UNROLL;
    s->sorter.marks = marks;
    s->sorter.n = marks_n;
    s->sorter.next = 0;
    s->sorter.per_step = steps ? (marks_n + steps - 1) / steps : 0;
    for (unsigned p = 0; p < 16; p++) s->sorter.end[p] = s->at[p];
    memset(&marks->bits[marks_n], 0, SM_SCAN_PAD * sizeof *marks->bits);
}

/* Finishes the sorting, and looks at what was marked in `group` with the second ciphers. */
static bool add_equal(const struct sm_scan_ops *ops, const struct sm_scan_job *job, struct sm_scan_scratch *s,
                      uint32_t group, const uint8_t *labels)
{
    if (s->sorter.next < s->sorter.n) sm_scan_sort(&s->sorter, s->sorter.n - s->sorter.next);
    for (unsigned p = 0; p < 16; p++) {
        const unsigned offset = sm_scan_offset_of(p);
        uint16_t *at = s->at[p];
        const size_t marked = (size_t)(s->sorter.end[p] - at);
        memset(&at[marked], 0, SM_SCAN_PAD * sizeof *at);
        const struct sm_aes128 *key = &job->groups[group].lazy[offset];
        const size_t n = ops->lazy(key, job->difficulty_lsb, labels, at, marked, s->good);
        if (n && !add_hits(s, s->good, n, group, offset)) return false;
    }
    return true;
}

static bool add_below(struct sm_scan_scratch *s, uint32_t group, const struct sm_scan_marks *marks, size_t marks_n)
{
    for (size_t i = 0; i < marks_n; i++)
        for (uint64_t bits = marks->bits[i]; bits; bits &= bits - 1) {
            const unsigned b = (unsigned)__builtin_ctzll(bits);
            const uint16_t label = (uint16_t)(SM_SCAN_LINE_LABELS * marks->line[i] + b / 16);
            if (!add_hits(s, &label, 1, group, b % 16)) return false;
        }
    return true;
}

/* The part of the next tile that is fetched while group g is at work: all of it within the first groups. Without
 * this the first group of every tile waits for memory and the others do not use it. */
static const uint8_t *ahead_of(const uint8_t *labels, size_t n, bool has_next, uint32_t g)
{
    const uint32_t parts = SM_SCAN_UNROLL / SM_SCAN_AHEAD;
    if (!has_next || g >= parts) return labels;
    return labels + 16 * n + 16 * n / parts * g;
}

/* Collects the hits of `n` labels, a multiple of 8, sorted. False when there are more than HITS_MAX. */
static bool scan_tile(const struct sm_scan_ops *ops, const struct sm_scan_job *job, struct sm_scan_scratch *s,
                      const uint8_t *labels, size_t n, bool has_next)
{
    const size_t lines = n / SM_SCAN_LINE_LABELS;
    const uint8_t msb = job->difficulty_msb;
    s->hits_n = 0;
    sort_start(s, &s->marks[1], 0, lines);
    for (uint32_t g = 0; g < job->groups_n; g++) {
        const struct sm_aes128 *key = &job->groups[g].key;
        struct sm_scan_marks *marks = &s->marks[g % 2];
        if (msb && !add_below(s, g, marks, ops->below(key, msb, labels, lines, marks))) return false;
        const size_t n_marks = ops->equal(key, msb, labels, lines, ahead_of(labels, n, has_next, g), &s->sorter, marks);
        if (g && !add_equal(ops, job, s, g - 1, labels)) return false;
        sort_start(s, marks, n_marks, lines);
    }
    if (!add_equal(ops, job, s, job->groups_n - 1, labels)) return false;
    if (s->hits_n < 64)
        sort_few(s->hits[0], s->hits_n);
    else
        sort_many(s->hits[0], s->hits[1], s->hits_n);
    return true;
}

/* Passes on the tile's hits on labels below `labels_n`. */
static bool emit_tile(const struct sm_scan_job *job, const struct sm_scan_scratch *s, size_t first, size_t labels_n,
                      sm_scan_emit emit, void *ctx)
{
    struct sm_scan_hit out[256];
    size_t n = 0;
    for (size_t i = 0; i < s->hits_n; i++) {
        out[n] = hit_of_key(job, s->hits[0][i], first);
        n += out[n].label < labels_n;
        if (n == sizeof out / sizeof out[0]) {
            if (!emit(ctx, out, n)) return false;
            n = 0;
        }
    }
    return n == 0 || emit(ctx, out, n);
}

static void adapt_tile(struct sm_scan_scratch *s)
{
    if (s->tile < SM_SCAN_TILE && s->hits_n < HITS_MAX / 4) s->tile *= 2;
}

size_t sm_scan_run(const struct sm_scan_variant *v, const struct sm_scan_job *job, struct sm_scan_scratch *s,
                   const uint8_t *labels, size_t labels_n, sm_scan_emit emit, void *ctx)
{
    const struct sm_scan_ops *ops = v->impl;
    if (ops->run) return ops->run(job, labels, labels_n, emit, ctx);

    const size_t whole = labels_n - labels_n % 8;
    size_t first = 0;
    while (first < whole) {
        const size_t n = whole - first < s->tile ? whole - first : s->tile;
        if (!scan_tile(ops, job, s, labels + 16 * first, n, first + 2 * n <= whole)) {
            s->tile = n / 2 < 8 ? 8 : (n / 2) & ~(size_t)7; /* 8 labels always fit */
            continue;
        }
        if (!emit_tile(job, s, first, labels_n, emit, ctx)) return first;
        adapt_tile(s);
        first += n;
    }
    if (first < labels_n) {
        memset(s->tail, 0, sizeof s->tail);
        memcpy(s->tail, labels + 16 * first, 16 * (labels_n - first));
        (void)scan_tile(ops, job, s, s->tail, 8, false);
        if (!emit_tile(job, s, first, labels_n, emit, ctx)) return first;
    }
    return labels_n;
}

struct sm_scan_scratch *sm_scan_scratch_new(void)
{
    struct sm_mem mem = {0};
    if (!sm_mem_map(&mem, sizeof(struct sm_scan_scratch), SM_PAGES_NORMAL)) return NULL;
    struct sm_scan_scratch *s = mem.p;
    s->mem = mem;
    s->tile = SM_SCAN_TILE;
    return s;
}

void sm_scan_scratch_free(struct sm_scan_scratch *s)
{
    if (!s) return;
    struct sm_mem mem = s->mem;
    sm_mem_unmap(&mem);
}

static bool count_nothing(void *ctx, const struct sm_scan_hit *hits, size_t n)
{
    (void)ctx, (void)hits, (void)n;
    return true;
}

#define BOUND_BYTES          ((size_t)SM_SCAN_TILE * 16)
#define BOUND_PHYSICAL_BYTES 16384u

/* A tile whose pages are the same few physical ones over and over: to the L1 cache, which goes by physical address,
 * it is a small buffer. NULL when the system refuses. */
static uint8_t *map_repeated(void)
{
    const int fd = memfd_create("scan-bound", MFD_CLOEXEC);
    if (fd < 0) return NULL;
    uint8_t *p = MAP_FAILED;
    if (ftruncate(fd, BOUND_PHYSICAL_BYTES) == 0)
        p = mmap(NULL, BOUND_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t off = 0; p != MAP_FAILED && off < BOUND_BYTES; off += BOUND_PHYSICAL_BYTES)
        if (mmap(p + off, BOUND_PHYSICAL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
            (void)munmap(p, BOUND_BYTES);
            p = MAP_FAILED;
        }
    (void)close(fd);
    return p == MAP_FAILED ? NULL : p;
}

/* Processor time: the bound of the code, not of what else runs here. */
static double thread_seconds(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

double sm_scan_bound(const struct sm_scan_variant *v, const struct sm_scan_job *job, double seconds)
{
    double rate = 0;
    struct sm_scan_scratch *s = sm_scan_scratch_new();
    uint8_t *labels = map_repeated();
    if (!s || !labels) goto out;
    uint64_t x = 88172645463325252u; /* xorshift: the marks must be as frequent as in labels */
    for (size_t i = 0; i < BOUND_PHYSICAL_BYTES; i += 8) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        sm_le64_store(labels + i, x);
    }
    uint64_t bytes = 0;
    const double start = thread_seconds();
    double took;
    do {
        bytes += 16 * sm_scan_run(v, job, s, labels, SM_SCAN_TILE, count_nothing, NULL);
        took = thread_seconds() - start;
    } while (took < seconds || took <= 0);
    rate = (double)bytes / took;
out:
    if (labels) (void)munmap(labels, BOUND_BYTES);
    sm_scan_scratch_free(s);
    return rate;
}
