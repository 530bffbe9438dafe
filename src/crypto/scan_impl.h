/* crypto/scan_impl.h: what the files of the label scan share with each other; nobody else includes it.
 *
 * A vector variant looks at a tile of labels under one group's key and only says which bytes matter ("marks"); the
 * driver in scan.c sorts them by nonce, has the variant run the second cipher over each nonce's labels together,
 * and puts the few hits that remain into the documented order.
 *
 * The comparison with the difficulty byte is made before the last AES round. That round is a byte-wise bijection and
 * a fixed move of bytes, so `byte o of the result == msb` says the same as `byte p of the state before it == t[p]`
 * with t = InvSubBytes(InvShiftRows(msb^16 ^ last round key)). Marks of `equal` are therefore counted in p;
 * sm_scan_offset_of turns p into o. */
#ifndef SM_CRYPTO_SCAN_IMPL_H
#define SM_CRYPTO_SCAN_IMPL_H

#include <string.h>

#include "crypto/aes.h"
#include "util/bytes.h"

#define SM_SCAN_TILE        8192u /* labels at most; ours: measured, bench/scan */
#define SM_SCAN_LINE_LABELS 4u    /* kernels look at lines of 64 bytes */
#define SM_SCAN_UNROLL      8u    /* lines in flight */
#define SM_SCAN_AHEAD       2u    /* lines of the next tile fetched per step: done after SM_SCAN_UNROLL / 2 groups */
#define SM_SCAN_TILE_LINES  (SM_SCAN_TILE / SM_SCAN_LINE_LABELS)
#define SM_SCAN_PAD         32u /* entries that may be read or written behind a list */

#if defined(__clang__)
#define SM_SCAN_UNROLLED _Pragma("clang loop unroll(full)")
#else
#define SM_SCAN_UNROLLED _Pragma("GCC unroll 16")
#endif

/* Lines with at least one marked byte, ascending: bit i of `bits` stands for byte i of the line. */
struct sm_scan_marks {
    uint64_t bits[SM_SCAN_TILE_LINES + SM_SCAN_PAD];
    uint32_t line[SM_SCAN_TILE_LINES + SM_SCAN_PAD];
};

/* Appends a line if it has a mark; without a branch, because one line in five has. Returns the new count. */
static inline size_t sm_scan_mark(struct sm_scan_marks *m, size_t n, uint64_t bits, size_t line)
{
    m->bits[n] = bits;
    m->line[n] = (uint32_t)line;
    return n + (bits != 0);
}

/* Sorts the marks of one group by byte while the kernel is at the next group: general registers have little else to do
 * meanwhile. bits[n … n + SM_SCAN_PAD) of the marks are 0. */
struct sm_scan_sorter {
    const struct sm_scan_marks *marks;
    size_t n, next;    /* lines of `marks`; those sorted */
    size_t per_step;   /* lines to sort per SM_SCAN_UNROLL lines scanned, so that all are by the end */
    uint16_t *end[16]; /* per byte: where the next label goes, with room for one that is not counted */
};

/* A marked line has one mark, sometimes two, rarely more: two are always looked for, without a branch that would often
 * be mispredicted. What is not there is written and not counted. */
static inline void sm_scan_sort(struct sm_scan_sorter *s, size_t lines)
{
    const uint64_t *marks = &s->marks->bits[s->next];
    const uint32_t *line = &s->marks->line[s->next];
    s->next += lines;
    for (size_t i = 0; i < lines; i++) {
        uint64_t bits = marks[i];
        const unsigned label = SM_SCAN_LINE_LABELS * line[i];
        do {
            SM_SCAN_UNROLLED for (unsigned k = 0; k < 2; k++)
            {
                const unsigned p = (unsigned)__builtin_ctzll(bits | UINT64_C(1) << 63);
                uint16_t **to = &s->end[p % 16];
                **to = (uint16_t)(label + p / 16);
                *to += (bits | (0 - bits)) >> 63;
                bits &= bits - 1;
            }
        } while (bits);
    }
}

/* As much as belongs to one step of the kernel. */
static inline void sm_scan_sort_step(struct sm_scan_sorter *s)
{
    if (s->next < s->n) sm_scan_sort(s, s->per_step); /* may touch padding */
}

struct sm_scan_ops {
    /* Only the reference: the whole scan, in the documented order; the other members are then NULL. */
    size_t (*run)(const struct sm_scan_job *job, const uint8_t *labels, size_t labels_n, sm_scan_emit emit, void *ctx);

    /* Marks bytes equal to msb (in the order before the last round), and bytes below msb. Return the lines marked.
     * On the way `equal` fetches `ahead` into the cache, SM_SCAN_AHEAD lines per SM_SCAN_UNROLL (any address will do),
     * and may advance `sorter`. */
    size_t (*equal)(const struct sm_aes128 *key, uint8_t msb, const uint8_t *labels, size_t lines, const uint8_t *ahead,
                    struct sm_scan_sorter *sorter, struct sm_scan_marks *out);
    size_t (*below)(const struct sm_aes128 *key, uint8_t msb, const uint8_t *labels, size_t lines,
                    struct sm_scan_marks *out);

    /* Of the labels at[0 … n), writes those whose second cipher is below lsb to `good`, in order; returns how many.
     * at[n … n + SM_SCAN_PAD) can be read, good has the same room. */
    size_t (*lazy)(const struct sm_aes128 *key, uint64_t lsb, const uint8_t *labels, const uint16_t *at, size_t n,
                   uint16_t *good);
};

/* Byte p before the last round ends up as byte o of the result (ShiftRows). */
static inline unsigned sm_scan_offset_of(unsigned p)
{
    return (p % 4) + 4 * ((p / 4 + 4 - p % 4) % 4);
}

extern const struct sm_scan_ops sm_scan_ops_ref;
extern const struct sm_scan_ops sm_scan_ops_aesni;
extern const struct sm_scan_ops sm_scan_ops_vaes256;
extern const struct sm_scan_ops sm_scan_ops_vaes512;
extern const struct sm_scan_ops sm_scan_ops_armaes;

#endif
