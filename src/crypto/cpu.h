/* crypto/cpu.h: what this processor and its operating system let us use.
 *
 * A feature is reported only when the OS saves the registers it needs (XGETBV), so that a variant whose
 * usable() says yes cannot fault. Probed once; any thread. */
#ifndef SM_CRYPTO_CPU_H
#define SM_CRYPTO_CPU_H

#include <stdbool.h>
#include <stddef.h>

struct sm_cpu {
    char name[64]; /* brand string, trimmed; "unknown" */
    bool ssse3, sse41, avx2, avx512; /* avx512: F, BW, VL and DQ together */
    bool aesni, vaes;                /* vaes: with ymm; with zmm when avx512 too */
    bool neon, armaes;
    bool shani, armsha; /* SHA-256 instructions */
    size_t l1d_bytes, l2_bytes, l3_bytes; /* per core as the OS reports; 0 unknown */
};

const struct sm_cpu *sm_cpu(void);

/* Space-separated feature names for `doctor`, into `out`. Returns `out`. */
char *sm_cpu_describe(const struct sm_cpu *cpu, char *out, size_t room);

#endif
