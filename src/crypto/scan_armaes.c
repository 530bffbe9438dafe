/* One label per register, eight in flight. AESE adds the round key first, so the state before the last round lacks
 * round key 9; the comparison takes it into account. */
#include "crypto/scan_impl.h"

#include <arm_neon.h>

/* The state that becomes msb in every byte (scan_impl.h), without round key 9. AESD with a zero key is
 * InvSubBytes(InvShiftRows(x)). */
static inline uint8x16_t equal_target(const uint8x16_t rk[11], uint8_t msb)
{
    const uint8x16_t want = veorq_u8(rk[10], vdupq_n_u8(msb));
    return veorq_u8(vaesdq_u8(want, vdupq_n_u8(0)), rk[9]);
}

/* One bit per byte of a compare result. */
static inline uint64_t bits_of(uint8x16_t m)
{
    static const uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t w = vandq_u8(m, vld1q_u8(weights));
    return (uint64_t)vaddv_u8(vget_low_u8(w)) | (uint64_t)vaddv_u8(vget_high_u8(w)) << 8;
}

#define LINES 2u /* per step; a line is four registers */

__attribute__((always_inline)) static inline size_t find(const struct sm_aes128 *key, uint8_t msb,
                                                         const uint8_t *labels, size_t lines, const uint8_t *ahead,
                                                         struct sm_scan_marks *out, const bool equal)
{
    uint8x16_t rk[11];
    SM_SCAN_UNROLLED for (unsigned r = 0; r < 11; r++) rk[r] = vld1q_u8(key->rk[r]);
    const uint8x16_t want = equal ? equal_target(rk, msb) : vdupq_n_u8(msb);

    size_t n = 0;
    for (size_t line = 0; line < lines; line += LINES, ahead += 32) {
        __builtin_prefetch(ahead, 0, 2); /* each line twice */
        uint8x16_t x[4 * LINES];
        SM_SCAN_UNROLLED for (unsigned i = 0; i < 4 * LINES; i++) x[i] = vld1q_u8(labels + 64 * line + 16 * i);
        SM_SCAN_UNROLLED for (unsigned r = 0; r < 9; r++) SM_SCAN_UNROLLED for (unsigned i = 0; i < 4 * LINES; i++)
            x[i] = vaesmcq_u8(vaeseq_u8(x[i], rk[r]));
        SM_SCAN_UNROLLED for (unsigned i = 0; i < 4 * LINES; i++) x[i] =
            equal ? vceqq_u8(x[i], want) : vcltq_u8(veorq_u8(vaeseq_u8(x[i], rk[9]), rk[10]), want);
        SM_SCAN_UNROLLED for (unsigned l = 0; l < LINES; l++)
        {
            const uint8x16_t any = vorrq_u8(vorrq_u8(x[4 * l], x[4 * l + 1]), vorrq_u8(x[4 * l + 2], x[4 * l + 3]));
            uint64_t bits = 0;
            if (vmaxvq_u8(any))
                SM_SCAN_UNROLLED for (unsigned i = 0; i < 4; i++) bits |= bits_of(x[4 * l + i]) << (16 * i);
            n = sm_scan_mark(out, n, bits, line + l);
        }
    }
    return n;
}

static size_t find_equal(const struct sm_aes128 *key, uint8_t msb, const uint8_t *labels, size_t lines,
                         const uint8_t *ahead, struct sm_scan_sorter *sorter, struct sm_scan_marks *out)
{
    (void)sorter; /* the driver does it all */
    return find(key, msb, labels, lines, ahead, out, true);
}

static size_t find_below(const struct sm_aes128 *key, uint8_t msb, const uint8_t *labels, size_t lines,
                         struct sm_scan_marks *out)
{
    return find(key, msb, labels, lines, labels, out, false);
}

static size_t lazy(const struct sm_aes128 *key, uint64_t lsb, const uint8_t *labels, const uint16_t *at, size_t n,
                   uint16_t *good)
{
    uint8x16_t rk[11];
    SM_SCAN_UNROLLED for (unsigned r = 0; r < 11; r++) rk[r] = vld1q_u8(key->rk[r]);

    size_t found = 0;
    for (size_t i = 0; i < n; i += 8) {
        uint8x16_t x[8];
        SM_SCAN_UNROLLED for (unsigned j = 0; j < 8; j++) x[j] = vld1q_u8(labels + 16u * at[i + j]);
        SM_SCAN_UNROLLED for (unsigned r = 0; r < 9; r++) SM_SCAN_UNROLLED for (unsigned j = 0; j < 8; j++) x[j] =
            vaesmcq_u8(vaeseq_u8(x[j], rk[r]));
        SM_SCAN_UNROLLED for (unsigned j = 0; j < 8; j++)
        {
            const uint8x16_t last = veorq_u8(vaeseq_u8(x[j], rk[9]), rk[10]);
            const uint64_t v = vgetq_lane_u64(vreinterpretq_u64_u8(last), 0);
            good[found] = at[i + j];
            found += v << 8 < lsb << 8 && i + j < n; /* the low 56 bits */
        }
    }
    return found;
}

const struct sm_scan_ops sm_scan_ops_armaes = {.equal = find_equal, .below = find_below, .lazy = lazy};
