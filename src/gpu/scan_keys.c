#include <string.h>

#include "gpu/scanner_impl.h"
#include "util/bytes.h"

#define SUB_CONSTANT 0x63 /* of the S-box (FIPS-197, 5.1.1), which the bitsliced one leaves to the next key */

size_t sm_gpu_scan_key_bytes(sm_gpu_scan_kind kind)
{
    return kind == SM_GPU_SCAN_BITS ? (size_t)4 * SM_SCAN_KEY_ROWS * SM_SCAN_MASK_ROW : (size_t)16 * SM_SCAN_KEY_ROWS;
}

/* Each bit of a row as a word of all its blocks. */
static void spread(const uint8_t row[16], uint8_t constant, uint8_t *out)
{
    for (unsigned byte = 0; byte < 16; byte++)
        for (unsigned bit = 0; bit < 8; bit++)
            memset(out + 4 * (8 * byte + bit), (row[byte] ^ constant) >> bit & 1 ? 0xff : 0, 4);
}

void sm_gpu_scan_keys(sm_gpu_scan_kind kind, const struct sm_scan_job *job, uint8_t *out)
{
    for (uint32_t i = 0; i < job->groups_n; i++, out += sm_gpu_scan_key_bytes(kind)) {
        uint8_t rows[SM_SCAN_KEY_ROWS][16];
        memcpy(rows, job->groups[i].key.rk, sizeof job->groups[i].key.rk);
        sm_scan_target(&job->groups[i].key, job->difficulty_msb, rows[11]);
        if (kind != SM_GPU_SCAN_BITS) {
            memcpy(out, rows, sizeof rows);
            continue;
        }
        for (unsigned r = 0; r < SM_SCAN_KEY_ROWS; r++)
            spread(rows[r], r >= 1 && r <= 10 ? SUB_CONSTANT : 0, out + (size_t)4 * SM_SCAN_MASK_ROW * r);
    }
}

void sm_gpu_scan_lazy_keys(const struct sm_scan_job *job, uint8_t *out)
{
    for (uint32_t i = 0; i < job->groups_n; i++)
        for (uint32_t o = 0; o < 16; o++, out += sizeof job->groups[i].lazy[o].rk)
            memcpy(out, job->groups[i].lazy[o].rk, sizeof job->groups[i].lazy[o].rk);
}
