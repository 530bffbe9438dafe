/* crypto/romix.h: ROMix over the ChaCha20/8 block mix, r = 1: what a variant of scrypt.h consists of. Private to
 * src/crypto and its tests and benchmark.
 *
 * Labels are computed `lanes` to a register group, `groups` register groups in lockstep, `sets` of those one after
 * the other. A set's rows of V are interleaved by row, so that filling writes one contiguous stream and each random
 * access reads two whole cache lines: row r of label l (group * lanes + lane) of set s at byte
 *
 *   128 * (((s * rows) + r) * groups * lanes + l)        rows = n / lookup gap, at least 1
 *
 * The order of the words inside a row is the variant's own affair. Source: post.md §1.5. */
#ifndef SM_CRYPTO_ROMIX_H
#define SM_CRYPTO_ROMIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/keccak.h"
#include "crypto/scrypt.h"

#define SM_ROMIX_WORDS     32u /* of a chunk X: B0 and B1 */
#define SM_ROMIX_ROW_BYTES 128u
#define SM_ROMIX_SETS_MAX  8u
#define SM_ROMIX_GAP_MAX   64u

struct sm_romix_job {
    uint32_t *x;        /* per set and group: word w of lane l at [w * lanes + l]; in place; 64-aligned */
    uint8_t *v;         /* scratch for `sets` sets; 128-aligned */
    uint32_t n;         /* power of two, >= 2 */
    uint32_t gap_shift; /* log2(lookup gap) */
    uint32_t row_mask;  /* rows - 1; 0 keeps every access in row 0, which measures the compute bound */
    uint32_t sets;      /* 1 … SM_ROMIX_SETS_MAX */
    bool prefetch;      /* ask for a set's next rows as soon as they are known */
    bool stream;        /* fill V past the caches */
};

/* One compiled instantiation. */
struct sm_romix_kernel {
    uint32_t groups;
    void (*run)(const struct sm_romix_job *job);
};

struct sm_romix_ops {
    const struct sm_romix_kernel *kernels;
    size_t kernels_n;
    const struct sm_keccak_lanes *keccak; /* its lanes divide every width of the variant */
    uint32_t sets_max;
    bool prefetches, streams; /* the options have an effect */
};

extern const struct sm_scrypt_variant sm_scrypt_ref;
#if defined(__x86_64__)
extern const struct sm_scrypt_variant sm_scrypt_ssse3, sm_scrypt_avx2, sm_scrypt_avx512;
#elif defined(__aarch64__)
extern const struct sm_scrypt_variant sm_scrypt_neon;
#endif

/* ref's building blocks, held to the intermediate values of §1.5 and §1.6. */
void sm_romix_ref_chacha8(uint32_t s[16]);
void sm_romix_ref_chunkmix(uint32_t x[SM_ROMIX_WORDS]);

#endif
