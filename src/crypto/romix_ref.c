/* The portable variant, written to be read: the text of post.md §1.5 in C. All others are held to it. */
#include <string.h>

#include "crypto/romix.h"
#include "util/bytes.h"

static inline void quarter_round(uint32_t x[16], unsigned a, unsigned b, unsigned c, unsigned d)
{
    x[a] += x[b];
    x[d] = sm_rotl32(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = sm_rotl32(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = sm_rotl32(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = sm_rotl32(x[b] ^ x[c], 7);
}

void sm_romix_ref_chacha8(uint32_t s[16])
{
    uint32_t x[16];
    memcpy(x, s, sizeof x);
    for (unsigned i = 0; i < 4; i++) {
        quarter_round(x, 0, 4, 8, 12);
        quarter_round(x, 1, 5, 9, 13);
        quarter_round(x, 2, 6, 10, 14);
        quarter_round(x, 3, 7, 11, 15);
        quarter_round(x, 0, 5, 10, 15);
        quarter_round(x, 1, 6, 11, 12);
        quarter_round(x, 2, 7, 8, 13);
        quarter_round(x, 3, 4, 9, 14);
    }
    for (unsigned i = 0; i < 16; i++) s[i] += x[i];
}

void sm_romix_ref_chunkmix(uint32_t x[SM_ROMIX_WORDS])
{
    uint32_t *b0 = x, *b1 = x + 16;
    for (unsigned i = 0; i < 16; i++) b0[i] ^= b1[i];
    sm_romix_ref_chacha8(b0);
    for (unsigned i = 0; i < 16; i++) b1[i] ^= b0[i];
    sm_romix_ref_chacha8(b1);
}

/* V[j], from the stored row at or before it. */
static void lookup(const struct sm_romix_job *job, uint32_t j, uint32_t row[SM_ROMIX_WORDS])
{
    const uint32_t gap = 1u << job->gap_shift;
    memcpy(row, job->v + (size_t)SM_ROMIX_ROW_BYTES * ((j / gap) & job->row_mask), SM_ROMIX_ROW_BYTES);
    for (uint32_t k = j % gap; k; k--) sm_romix_ref_chunkmix(row);
}

static void run(const struct sm_romix_job *job)
{
    const uint32_t gap = 1u << job->gap_shift;
    uint32_t *x = job->x;
    for (uint32_t i = 0; i < job->n; i++) {
        if (i % gap == 0)
            memcpy(job->v + (size_t)SM_ROMIX_ROW_BYTES * ((i / gap) & job->row_mask), x, SM_ROMIX_ROW_BYTES);
        sm_romix_ref_chunkmix(x);
    }
    for (uint32_t i = 0; i < job->n; i++) {
        uint32_t row[SM_ROMIX_WORDS];
        lookup(job, x[16] & (job->n - 1), row);
        for (unsigned w = 0; w < SM_ROMIX_WORDS; w++) x[w] ^= row[w];
        sm_romix_ref_chunkmix(x);
    }
}

static bool usable(const struct sm_cpu *cpu)
{
    (void)cpu;
    return true;
}

static const struct sm_romix_kernel kernels[] = {{.groups = 1, .run = run}};
static const struct sm_romix_ops ops = {.kernels = kernels, .kernels_n = 1, .keccak = &sm_keccak_x1, .sets_max = 1};
static const struct sm_scrypt_tune tunes[] = {
    {.groups = 1, .sets = 1, .lookup_gap = 1, .prefetch = 1, .stream = 1},
    {.groups = 1, .sets = 1, .lookup_gap = 2, .prefetch = 1, .stream = 1},
};

const struct sm_scrypt_variant sm_scrypt_ref = {
    .name = "ref",
    .lanes = 1,
    .usable = usable,
    .tunes = tunes,
    .tunes_n = sizeof tunes / sizeof tunes[0],
    .impl = &ops,
};
