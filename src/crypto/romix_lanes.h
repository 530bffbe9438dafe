/* crypto/romix_lanes.h: body of the SIMD ROMix variants, included by one file per instruction set.
 *
 * One vector holds the same word of LANES labels and a block is 16 vectors, so ChaCha20/8 needs no shuffles. The price
 * is a transpose whenever a row of V, which belongs to one label, is written or read. Half of it is done in registers
 * (4 x 4 words in every 128 bits), the other half by moving 16-byte pieces through an L1 buffer, the stage, which costs
 * load and store ports that ChaCha leaves idle. In the random phase the stage is filled for the next set while this
 * set's rounds run, and rows that just became known are prefetched between them: one by one, because a burst stalls on
 * the few miss buffers of a core. Stores go in pairs side by side: some cores store two vectors a cycle only then.
 *
 * Before the include:
 *   LANES, vec, v_mask                    4, 8 or 16 32-bit words; what v_gt returns
 *   v_add v_xor v_xor3 v_rotl16 v_rotl12 v_rotl8 v_rotl7 v_set(u32) v_gt(a, b) v_select(mask, a, b)
 *   v_transpose4(vec x[4])                4 x 4 words in every 128 bits
 *   v_scatter(p, stride, v)               stores 128-bit lane b of v at p + stride * b
 *   v_stream(p, v) v_fence()              store past the caches; order such stores before what follows
 *   HAVE_DOUBLE_ROUND_PAIR                optional: v_double_round_pair(x, from), for two groups: the compiler's is slow
 * and afterwards ROMIX_KERNEL(name, groups), groups 1 … GROUPS_MAX, defines one kernel. */
#include <string.h>

#include "crypto/romix.h"
#include "util/bytes.h"

#define INLINE    static inline __attribute__((always_inline))
#define UNROLL    _Pragma("GCC unroll 32")
#define EACH_WORD UNROLL for (unsigned w = 0; w < 16; w++)
#define EACH_PAIR UNROLL for (unsigned w = 0; w < 16; w += 2)

#define GROUPS_MAX  2u  /* more are slower: even two need more registers than there are */
#define PIECE_BYTES 16u /* unit of the stage: words 4 q … 4 q + 3 of one label */

/* ---- ChaCha20/8 ---- */

#define QUARTER_STEP(x, a, b, c, d, rot_d, rot_b) \
    do {                                          \
        (x)[a] = v_add((x)[a], (x)[b]);           \
        (x)[d] = rot_d(v_xor((x)[d], (x)[a]));    \
        (x)[c] = v_add((x)[c], (x)[d]);           \
        (x)[b] = rot_b(v_xor((x)[b], (x)[c]));    \
    } while (0)

/* Four quarter rounds in lockstep; b0 … d0 are the words of the first beside word 0. */
#define QUARTER_ROUNDS(x, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3) \
    do {                                                                  \
        QUARTER_STEP(x, 0, b0, c0, d0, v_rotl16, v_rotl12);               \
        QUARTER_STEP(x, 1, b1, c1, d1, v_rotl16, v_rotl12);               \
        QUARTER_STEP(x, 2, b2, c2, d2, v_rotl16, v_rotl12);               \
        QUARTER_STEP(x, 3, b3, c3, d3, v_rotl16, v_rotl12);               \
        QUARTER_STEP(x, 0, b0, c0, d0, v_rotl8, v_rotl7);                 \
        QUARTER_STEP(x, 1, b1, c1, d1, v_rotl8, v_rotl7);                 \
        QUARTER_STEP(x, 2, b2, c2, d2, v_rotl8, v_rotl7);                 \
        QUARTER_STEP(x, 3, b3, c3, d3, v_rotl8, v_rotl7);                 \
    } while (0)

/* Memory work to be done between the rounds of one ChunkMix; NULL: none. */
struct between {
    const uint8_t *const *far;  /* rows to prefetch into L2: more of these can be under way than L1 has miss buffers */
    const uint8_t *const *near; /* rows to prefetch into L1 */
    const uint8_t *const *row;  /* rows to transpose into `words`, for the set that comes next */
    vec *words;
    const vec *save;           /* chunk to transpose to `to`, before ChunkMix replaces its blocks */
    uint8_t *to;               /* rows of 128 bytes side by side */
    const uint8_t *flush_from; /* rows to stream to `flush_to` */
    uint8_t *flush_to;
    uint8_t *stage; /* scratch of the row transpose */
};

/* Both cache lines of rows [first, end), into L2 and into L1: the hint must be a constant of the source. */
INLINE void prefetch_far(const uint8_t *const *row, unsigned first, unsigned end)
{
    UNROLL for (unsigned l = first; l < end; l++)
    {
        __builtin_prefetch(row[l], 0, 2);
        __builtin_prefetch(row[l] + 64, 0, 2);
    }
}

INLINE void prefetch_near(const uint8_t *const *row, unsigned first, unsigned end)
{
    UNROLL for (unsigned l = first; l < end; l++)
    {
        __builtin_prefetch(row[l], 0, 3);
        __builtin_prefetch(row[l] + 64, 0, 3);
    }
}

/* Half a row of labels [first, first + count) to the stage, where vector 4 q + l % 4 of the group's half collects
 * piece q of labels l % 4, l % 4 + 4, … */
INLINE void fetch_half(uint8_t *stage, const uint8_t *const *row, unsigned half, unsigned first, unsigned count)
{
    UNROLL for (unsigned l = first; l < first + count; l++)
    {
        uint8_t *to = stage + sizeof(vec) * (32 * (l / LANES) + 16 * half + l % 4) + PIECE_BYTES * (l % LANES / 4);
        const uint8_t *from = row[l] + 64 * half;
        UNROLL for (unsigned q = 0; q < 4; q++) memcpy(to + 4 * sizeof(vec) * q, from + PIECE_BYTES * q, PIECE_BYTES);
    }
}

/* Words 4 q … 4 q + 3 of one block of group g, from the stage or, when a vector is a piece, from the rows. */
INLINE void load_words(const struct between *b, unsigned g, unsigned half, unsigned q)
{
    vec t[4];
    UNROLL for (unsigned k = 0; k < 4; k++)
    {
        const uint8_t *from = LANES == 4 ? b->row[LANES * g + k] + 64 * half + PIECE_BYTES * q
                                         : b->stage + sizeof(vec) * (32 * g + 16 * half + 4 * q + k);
        t[k] = *(const vec *)(const void *)from;
    }
    v_transpose4(t);
    UNROLL for (unsigned k = 0; k < 4; k++) b->words[32 * g + 16 * half + 4 * q + k] = t[k];
}

/* Words 4 q … 4 q + 3 of one block of group g to their place in the rows. */
INLINE void save_words(const struct between *b, unsigned g, unsigned half, unsigned q, bool stream)
{
    const vec *from = b->save + 32 * g + 16 * half + 4 * q;
    vec t[4] = {from[0], from[1], from[2], from[3]};
    v_transpose4(t);
    UNROLL for (unsigned k = 0; k < 4; k++)
    {
        uint8_t *to = b->to + SM_ROMIX_ROW_BYTES * (LANES * g + k) + 64 * half + PIECE_BYTES * q;
        if (LANES == 4 && stream)
            v_stream(to, t[k]);
        else
            v_scatter(to, 4 * SM_ROMIX_ROW_BYTES, t[k]);
    }
}

INLINE void flush_part(const struct between *b, size_t first, size_t bytes)
{
    UNROLL for (size_t i = first; i < first + bytes; i += sizeof(vec))
        v_stream(b->flush_to + i, *(const vec *)(const void *)(b->flush_from + i));
}

/* What is done before double round d (0 … 3) of the first or second ChaCha of a ChunkMix. */
INLINE void do_between(const struct between *b, unsigned groups, unsigned second, unsigned d, bool stream)
{
    const unsigned labels = groups * LANES, turn = 4 * second + d;
    if (b->far) prefetch_far(b->far, labels * turn / 8, labels * (turn + 1) / 8);
    if (b->near) prefetch_near(b->near, labels * turn / 8, labels * (turn + 1) / 8);
    if (b->row && !second && LANES > 4) fetch_half(b->stage, b->row, d / 2, labels / 2 * (d % 2), labels / 2);
    if (b->row && second) {
        for (unsigned g = 0; g < groups; g++) {
            load_words(b, g, d / 2, d % 2 * 2);
            load_words(b, g, d / 2, d % 2 * 2 + 1);
        }
    }
    if (b->flush_to) flush_part(b, SM_ROMIX_ROW_BYTES / 8 * labels * turn, SM_ROMIX_ROW_BYTES / 8 * labels);
    if (b->save)
        for (unsigned g = 0; g < groups; g++) save_words(b, g, second, d, stream);
}

/* x = the rounds of s. */
INLINE void rounds(vec (*x)[16], const vec (*s)[16], unsigned groups, const struct between *b, unsigned second,
                   bool stream)
{
#ifdef HAVE_DOUBLE_ROUND_PAIR
    if (groups == 2) {
        UNROLL for (unsigned d = 0; d < 4; d++)
        {
            if (b) do_between(b, groups, second, d, stream);
            v_double_round_pair(x, d ? (const vec(*)[16])x : s);
        }
        return;
    }
#endif
    for (unsigned g = 0; g < groups; g++) EACH_WORD x[g][w] = s[g][w];
    UNROLL for (unsigned d = 0; d < 4; d++)
    {
        if (b) do_between(b, groups, second, d, stream);
        UNROLL for (unsigned g = 0; g < groups; g++) QUARTER_ROUNDS(x[g], 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        UNROLL for (unsigned g = 0; g < groups; g++) QUARTER_ROUNDS(x[g], 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14);
    }
}

/* ChunkMix from the point where B1 lies in the chunk's words 16 … 31 and s holds B0 ^ B1. */
INLINE void mix_blocks(vec (*s)[16], vec *chunk, unsigned groups, const struct between *b, bool stream)
{
    vec x[GROUPS_MAX][16];
    rounds(x, (const vec(*)[16])s, groups, b, 0, stream);
    for (unsigned g = 0; g < groups; g++) {
        EACH_PAIR
        {
            const vec y0 = v_add(x[g][w], s[g][w]), y1 = v_add(x[g][w + 1], s[g][w + 1]);
            chunk[32 * g + w] = y0;
            chunk[32 * g + w + 1] = y1;
            s[g][w] = v_xor(y0, chunk[32 * g + 16 + w]);
            s[g][w + 1] = v_xor(y1, chunk[32 * g + 16 + w + 1]);
        }
    }
    rounds(x, (const vec(*)[16])s, groups, b, 1, stream);
    for (unsigned g = 0; g < groups; g++) EACH_WORD chunk[32 * g + 16 + w] = v_add(x[g][w], s[g][w]);
}

INLINE void chunkmix(vec *chunk, unsigned groups, const struct between *b, bool stream)
{
    vec s[GROUPS_MAX][16];
    for (unsigned g = 0; g < groups; g++) EACH_WORD s[g][w] = v_xor(chunk[32 * g + w], chunk[32 * g + 16 + w]);
    mix_blocks(s, chunk, groups, b, stream);
}

/* ---- fill: V[i] = X; X = ChunkMix(X) ---- */

/* Streamed rows of vectors wider than a piece are put together in L1 and leave in whole cache lines during the next
 * step, when their pieces have settled there. */
INLINE void fill(const struct sm_romix_job *job, unsigned groups, bool stream)
{
    const size_t row_bytes = (size_t)SM_ROMIX_ROW_BYTES * groups * LANES;
    const size_t set_bytes = row_bytes * (job->row_mask + 1);
    const bool staged = stream && LANES > 4;
    _Alignas(64) uint8_t stage[2][SM_ROMIX_ROW_BYTES * GROUPS_MAX * LANES];
    struct between b = {0};
    unsigned turn = 0;
    for (uint32_t i = 0; i < job->n; i++) {
        const bool stored = !(i & ((1u << job->gap_shift) - 1));
        uint8_t *row = job->v + row_bytes * (i >> job->gap_shift & job->row_mask);
        for (uint32_t s = 0; s < job->sets; s++, row += set_bytes) {
            vec *chunk = (vec *)(void *)job->x + (size_t)32 * groups * s;
            b.save = stored ? chunk : NULL;
            b.to = staged ? stage[turn] : row;
            chunkmix(chunk, groups, &b, stream);
            if (!staged) continue;
            b.flush_from = stage[turn];
            b.flush_to = stored ? row : NULL;
            turn ^= 1;
        }
    }
    if (b.flush_to) flush_part(&b, 0, row_bytes);
    if (stream) v_fence();
}

/* ---- random phase: X = ChunkMix(X ^ V[j]) ---- */

/* `words` holds the stored rows at or before j; `left` says how many ChunkMix steps each lane is behind. */
INLINE void rebuild_rows(vec *words, const uint32_t *left, uint32_t gap, unsigned groups)
{
    for (uint32_t k = 0; k + 1 < gap; k++) {
        vec next[GROUPS_MAX * 32];
        memcpy(next, words, 32 * groups * sizeof(vec));
        chunkmix(next, groups, NULL, false);
        for (unsigned g = 0; g < groups; g++) {
            const v_mask behind = v_gt(*(const vec *)(const void *)(left + LANES * g), v_set(k));
            for (unsigned w = 32 * g; w < 32 * g + 32; w++) words[w] = v_select(behind, next[w], words[w]);
        }
    }
}

INLINE void mix_rows(vec *chunk, const vec *words, unsigned groups, const struct between *b)
{
    vec s[GROUPS_MAX][16];
    for (unsigned g = 0; g < groups; g++) {
        vec *b0 = chunk + 32 * g, *b1 = b0 + 16;
        const vec *v0 = words + 32 * g, *v1 = v0 + 16;
        EACH_PAIR
        {
            const vec y0 = v_xor(b1[w], v1[w]), y1 = v_xor(b1[w + 1], v1[w + 1]);
            b1[w] = y0;
            b1[w + 1] = y1;
            s[g][w] = v_xor3(b0[w], v0[w], y0);
            s[g][w + 1] = v_xor3(b0[w + 1], v0[w + 1], y1);
        }
    }
    mix_blocks(s, chunk, groups, b, false);
}

/* Where one set goes next. */
struct lookup {
    const uint8_t *row[GROUPS_MAX * LANES];
    _Alignas(64) uint32_t left[GROUPS_MAX * LANES];
};

/* j = word 16 of X, low bits. */
INLINE void find_rows(const struct sm_romix_job *job, const vec *chunk, const uint8_t *v, unsigned groups,
                      struct lookup *out)
{
    for (unsigned g = 0; g < groups; g++) {
        uint32_t word[LANES];
        memcpy(word, &chunk[32 * g + 16], sizeof word);
        for (unsigned l = 0; l < LANES; l++) {
            const uint32_t j = word[l] & (job->n - 1), label = LANES * g + l;
            const size_t row = j >> job->gap_shift & job->row_mask;
            out->row[label] = v + SM_ROMIX_ROW_BYTES * (row * groups * LANES + label);
            out->left[label] = j & ((1u << job->gap_shift) - 1);
        }
    }
}

/* All the rows of one set at once. */
INLINE void load_rows(const struct between *b, unsigned groups)
{
    for (unsigned half = 0; half < 2; half++) {
        if (LANES > 4) fetch_half(b->stage, b->row, half, 0, groups * LANES);
        for (unsigned g = 0; g < groups; g++)
            for (unsigned q = 0; q < 4; q++) load_words(b, g, half, q);
    }
}

/* The sets take turns. While set s is mixed, the rows of set s + 1 are transposed, those of s + 2 come into L1 and
 * those of s - 1, known since the last step, into L2. With fewer than four sets these are the same rows: L2 only. */
INLINE void random_phase(const struct sm_romix_job *job, unsigned groups, bool prefetch)
{
    const uint32_t gap = 1u << job->gap_shift, sets = job->sets;
    const size_t set_bytes = (size_t)SM_ROMIX_ROW_BYTES * groups * LANES * (job->row_mask + 1);
    vec *const x = (vec *)(void *)job->x;
    struct lookup at[SM_ROMIX_SETS_MAX];
    _Alignas(64) uint8_t stage[SM_ROMIX_ROW_BYTES * GROUPS_MAX * LANES];
    vec words[GROUPS_MAX * 32];
    struct between b = {.words = words, .stage = stage};
    for (uint32_t s = 0; s < sets; s++)
        find_rows(job, x + (size_t)32 * groups * s, job->v + set_bytes * s, groups, &at[s]);
    b.row = at[0].row;
    load_rows(&b, groups);
    for (uint32_t i = 0; i < job->n; i++) {
        for (uint32_t s = 0; s < sets; s++) {
            vec *chunk = x + (size_t)32 * groups * s;
            if (gap > 1) rebuild_rows(words, at[s].left, gap, groups);
            b.row = sets > 1 ? at[s + 1 < sets ? s + 1 : 0].row : NULL;
            b.far = prefetch ? at[s ? s - 1 : sets - 1].row : NULL;
            b.near = prefetch && sets > 3 ? at[(s + 2) % sets].row : NULL;
            mix_rows(chunk, words, groups, &b);
            find_rows(job, chunk, job->v + set_bytes * s, groups, &at[s]);
            if (sets > 1) continue;
            b.row = at[0].row;
            load_rows(&b, groups);
        }
    }
}

#define ROMIX_KERNEL(name, groups)                   \
    static void name(const struct sm_romix_job *job) \
    {                                                \
        if (job->stream)                             \
            fill(job, groups, true);                 \
        else                                         \
            fill(job, groups, false);                \
        if (job->prefetch)                           \
            random_phase(job, groups, true);         \
        else                                         \
            random_phase(job, groups, false);        \
    }
