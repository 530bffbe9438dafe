/* crypto/romix_avx2_pair.h: a double round of ChaCha on two groups of eight labels, in assembly.
 *
 * By hand, because compilers compute the four quarter rounds of one group and then those of the other: farther apart than
 * a scheduler looks ahead, so that each group waits for its own results. Where vector operations take two cycles (Zen 5)
 * that is 240 cycles per block and group, and 185 by this. In registers are the words b of both groups and what each of
 * the eight chains computed last; a, c and d, known long before they are needed, are operands in memory. Half a quarter
 * round has seven levels, and the second group is four of them behind the first: what needs the few ports for shifts and
 * shuffles meets what can use any. */
#ifndef SM_CRYPTO_ROMIX_AVX2_PAIR_H
#define SM_CRYPTO_ROMIX_AVX2_PAIR_H

#include <immintrin.h>
#include <stdint.h>

/* clang-format off */

/* LASTgi: last result of chain i of group g. Bgi: its word b of column i. */
#define LAST00 "%%ymm8"
#define LAST01 "%%ymm9"
#define LAST02 "%%ymm10"
#define LAST03 "%%ymm11"
#define LAST10 "%%ymm12"
#define LAST11 "%%ymm13"
#define LAST12 "%%ymm14"
#define LAST13 "%%ymm15"
#define B00    "%%ymm0"
#define B01    "%%ymm1"
#define B02    "%%ymm2"
#define B03    "%%ymm3"
#define B10    "%%ymm4"
#define B11    "%%ymm5"
#define B12    "%%ymm6"
#define B13    "%%ymm7"

#define WORD(g, w)       "512*" #g "+32*(" #w ")(%[x])"
#define FROM(g, w)       "512*" #g "+32*(" #w ")(%[from])"
#define MOVE(src, to)    "vmovdqa " src "," to "\n\t"
#define OP(op, b, a, to) #op " " b "," a "," to "\n\t"

/* The levels of half a quarter round: group, chain (its a is the word of that number), column of b, words c and d. The
 * rotations are by 16 and 12 in the first half and by 8 and 7 in the second. */
#define ADD_A(g, i, b, c, d)    OP(vpaddd, WORD(g, i), B##g##b, LAST##g##i)
#define XOR_D(g, i, b, c, d)    MOVE(LAST##g##i, WORD(g, i)) OP(vpxor, WORD(g, d), LAST##g##i, LAST##g##i)
#define ROL_D16(g, i, b, c, d)  OP(vpshufb, "%[rol16]", LAST##g##i, LAST##g##i) MOVE(LAST##g##i, WORD(g, d))
#define ROL_D8(g, i, b, c, d)   OP(vpshufb, "%[rol8]", LAST##g##i, LAST##g##i) MOVE(LAST##g##i, WORD(g, d))
#define ADD_C(g, i, b, c, d)    OP(vpaddd, WORD(g, c), LAST##g##i, LAST##g##i) MOVE(LAST##g##i, WORD(g, c))
#define XOR_B(g, i, b, c, d)    OP(vpxor, LAST##g##i, B##g##b, B##g##b)
#define PARTS_B12(g, i, b, c, d) OP(vpslld, "$12", B##g##b, LAST##g##i) OP(vpsrld, "$20", B##g##b, B##g##b)
#define PARTS_B7(g, i, b, c, d) OP(vpslld, "$7", B##g##b, LAST##g##i) OP(vpsrld, "$25", B##g##b, B##g##b)
#define JOIN_B(g, i, b, c, d)   OP(vpor, LAST##g##i, B##g##b, B##g##b)

/* What the first half reads for the first time. */
#define LOAD_B(g, i, b, c, d)   MOVE(FROM(g, 4 + b), B##g##b)
#define FIRST_A(g, i, b, c, d)  OP(vpaddd, FROM(g, i), B##g##b, LAST##g##i)
#define FIRST_D(g, i, b, c, d)  MOVE(LAST##g##i, WORD(g, i)) OP(vpxor, FROM(g, d), LAST##g##i, LAST##g##i)
#define FIRST_C(g, i, b, c, d)  OP(vpaddd, FROM(g, c), LAST##g##i, LAST##g##i) MOVE(LAST##g##i, WORD(g, c))

#define SAVE_B(g, i, b, c, d)   MOVE(B##g##b, WORD(g, 4 + b))

/* A level of a group's four chains. Stores are in pairs that share a cache line: such can leave in one cycle. */
#define COLUMNS(level, g)     level(g, 0, 0, 8, 12) level(g, 1, 1, 9, 13) level(g, 2, 2, 10, 14) level(g, 3, 3, 11, 15)
#define DIAGONALS(level, g)   level(g, 0, 1, 10, 15) level(g, 1, 2, 11, 12) level(g, 2, 3, 8, 13) level(g, 3, 0, 9, 14)
#define DIAGONALS_D(level, g) level(g, 1, 2, 11, 12) level(g, 2, 3, 8, 13) level(g, 3, 0, 9, 14) level(g, 0, 1, 10, 15)

#define FIRST_HALF                                  \
    COLUMNS(FIRST_A, 0)                             \
    COLUMNS(FIRST_D, 0)                             \
    COLUMNS(ROL_D16, 0)                             \
    COLUMNS(FIRST_C, 0)                             \
    COLUMNS(XOR_B, 0)     COLUMNS(FIRST_A, 1)       \
    COLUMNS(PARTS_B12, 0) COLUMNS(FIRST_D, 1)       \
    COLUMNS(JOIN_B, 0)    COLUMNS(ROL_D16, 1)

/* Half a round of the first group, while the second ends the half before and begins this one. */
#define HALF(before, add_c, parts_b_before, now, now_d, rol_d, parts_b) \
    now(ADD_A, 0)   before(add_c, 1)                \
    now(XOR_D, 0)   before(XOR_B, 1)                \
    now_d(rol_d, 0) before(parts_b_before, 1)       \
    now(ADD_C, 0)   before(JOIN_B, 1)               \
    now(XOR_B, 0)   now(ADD_A, 1)                   \
    now(parts_b, 0) now(XOR_D, 1)                   \
    now(JOIN_B, 0)  now_d(rol_d, 1)

/* All compilers we build with take strings longer than the 4 095 characters that C promises. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"

/* x = a double round of `from`, which may be x. A call: eight copies in a ChunkMix would not fit into the first cache for
 * instructions. */
static __attribute__((noinline)) void v_double_round_pair(__m256i (*x)[16], const __m256i (*from)[16])
{
    static const _Alignas(32) uint8_t rol16[32] = {2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
                                                   2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13};
    static const _Alignas(32) uint8_t rol8[32] = {3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14,
                                                  3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14};
    __asm__(COLUMNS(LOAD_B, 0)
            COLUMNS(LOAD_B, 1)
            FIRST_HALF
            HALF(COLUMNS, FIRST_C, PARTS_B12, COLUMNS, COLUMNS, ROL_D8, PARTS_B7)
            HALF(COLUMNS, ADD_C, PARTS_B7, DIAGONALS, DIAGONALS_D, ROL_D16, PARTS_B12)
            HALF(DIAGONALS, ADD_C, PARTS_B12, DIAGONALS, DIAGONALS_D, ROL_D8, PARTS_B7)
            COLUMNS(SAVE_B, 0)
            DIAGONALS(ADD_C, 1)
            DIAGONALS(XOR_B, 1)
            DIAGONALS(PARTS_B7, 1)
            DIAGONALS(JOIN_B, 1)
            COLUMNS(SAVE_B, 1)
            : "+m"(*(__m256i(*)[2][16])x)
            : [x] "r"(x), [from] "r"(from), "m"(*(const __m256i(*)[2][16])from), [rol16] "m"(rol16), [rol8] "m"(rol8)
            : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
              "xmm12", "xmm13", "xmm14", "xmm15");
}

#pragma GCC diagnostic pop

/* clang-format on */

#endif
