/* Four labels side by side on AArch64. 32 registers: two groups in lockstep hide the two-cycle latency of cores with
 * four vector pipes. */
#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES 4u
typedef uint32x4_t vec;
typedef uint32x4_t v_mask;

#define v_add(a, b)       vaddq_u32(a, b)
#define v_xor(a, b)       veorq_u32(a, b)
#define v_xor3(a, b, c)   v_xor(v_xor(a, b), c)
#define v_shifts(v, n)    vsriq_n_u32(vshlq_n_u32(v, n), v, 32 - (n))
#define v_rotl16(v)       vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(v)))
#define v_rotl12(v)       v_shifts(v, 12)
#define v_rotl8(v)        v_shifts(v, 8)
#define v_rotl7(v)        v_shifts(v, 7)
#define v_set(u)          vdupq_n_u32(u)
#define v_gt(a, b)        vcgtq_u32(a, b)
#define v_select(m, a, b) vbslq_u32(m, a, b)
#define v_stream(p, v)    vst1q_u32((uint32_t *)(void *)(p), v) /* C has no paired non-temporal store: never chosen */
#define v_fence()         ((void)0)

static inline __attribute__((always_inline)) void v_scatter(uint8_t *p, size_t stride, vec v)
{
    (void)stride;
    vst1q_u32((uint32_t *)(void *)p, v);
}

static inline __attribute__((always_inline)) void v_transpose4(vec x[4])
{
    const uint64x2_t a = vreinterpretq_u64_u32(vtrn1q_u32(x[0], x[1])),
                     b = vreinterpretq_u64_u32(vtrn2q_u32(x[0], x[1]));
    const uint64x2_t c = vreinterpretq_u64_u32(vtrn1q_u32(x[2], x[3])),
                     d = vreinterpretq_u64_u32(vtrn2q_u32(x[2], x[3]));
    x[0] = vreinterpretq_u32_u64(vtrn1q_u64(a, c));
    x[1] = vreinterpretq_u32_u64(vtrn1q_u64(b, d));
    x[2] = vreinterpretq_u32_u64(vtrn2q_u64(a, c));
    x[3] = vreinterpretq_u32_u64(vtrn2q_u64(b, d));
}

#include "crypto/romix_lanes.h"

ROMIX_KERNEL(run_1, 1)
ROMIX_KERNEL(run_2, 2)

static bool usable(const struct sm_cpu *cpu)
{
    return cpu->neon;
}

static const struct sm_romix_kernel kernels[] = {{.groups = 1, .run = run_1}, {.groups = 2, .run = run_2}};
static const struct sm_romix_ops ops = {
    .kernels = kernels,
    .kernels_n = sizeof kernels / sizeof kernels[0],
    .keccak = &sm_keccak_x1,
    .sets_max = SM_ROMIX_SETS_MAX,
    .prefetches = true,
    .streams = false,
};
static const struct sm_scrypt_tune tunes[] = {
    {.groups = 1, .sets = 4, .lookup_gap = 1, .prefetch = 2, .stream = 1},
    {.groups = 2, .sets = 4, .lookup_gap = 1, .prefetch = 2, .stream = 1},
    {.groups = 1, .sets = 2, .lookup_gap = 1, .prefetch = 2, .stream = 1},
    {.groups = 1, .sets = 1, .lookup_gap = 1, .prefetch = 1, .stream = 1},
    {.groups = 2, .sets = 2, .lookup_gap = 2, .prefetch = 2, .stream = 1},
};

const struct sm_scrypt_variant sm_scrypt_neon = {
    .name = "neon",
    .lanes = LANES,
    .usable = usable,
    .tunes = tunes,
    .tunes_n = sizeof tunes / sizeof tunes[0],
    .impl = &ops,
};
