/* ChaCha20/8 as a block mix, and scrypt's ChunkMix for r = 1 (post.md 1.5), for one work item that holds whole labels.
 *
 * The sixteen words are the rows of a 4x4 matrix. The diagonal round reads rotated components: free on devices that
 * keep vectors in scalar registers, one shuffle on CPUs.
 *
 * Build: ROUNDS_ROLLED 1: the double rounds are a loop, for small code. */
#ifndef SM_KERNELS_CHACHA8_H
#define SM_KERNELS_CHACHA8_H

/* State must stay in registers: a call would pass it through memory. */
#define SM_INLINE static inline __attribute__((always_inline))

/* rot(x, n): x rotated left by n bits. */
#define SM_QUARTER(a, b, c, d, rot)                                                                                    \
    a += b;                                                                                                            \
    d = rot(d ^ a, 16);                                                                                                \
    c += d;                                                                                                            \
    b = rot(b ^ c, 12);                                                                                                \
    a += b;                                                                                                            \
    d = rot(d ^ a, 8);                                                                                                 \
    c += d;                                                                                                            \
    b = rot(b ^ c, 7);

#define SM_ROT4(x, n) rotate(x, (uint4)(n))

#define SM_DOUBLE_ROUND(a, b, c, d)                                                                                    \
    SM_QUARTER(a, b, c, d, SM_ROT4)                                                                                    \
    b = b.yzwx;                                                                                                        \
    c = c.zwxy;                                                                                                        \
    d = d.wxyz;                                                                                                        \
    SM_QUARTER(a, b, c, d, SM_ROT4)                                                                                    \
    b = b.wxyz;                                                                                                        \
    c = c.zwxy;                                                                                                        \
    d = d.yzwx;

/* A chunk is 128 bytes: block 0 is rows 0..3, block 1 rows 4..7. */
struct chunk {
    uint4 r[8];
};

/* Block `at` (0 or 4) of x: x = x + rounds(x). */
SM_INLINE void chacha8(struct chunk *x, const int at)
{
    uint4 a = x->r[at], b = x->r[at + 1], c = x->r[at + 2], d = x->r[at + 3];
#if ROUNDS_ROLLED
#pragma unroll 1
    for (int i = 0; i < 4; i++) {
        SM_DOUBLE_ROUND(a, b, c, d)
    }
#else
    SM_DOUBLE_ROUND(a, b, c, d)
    SM_DOUBLE_ROUND(a, b, c, d)
    SM_DOUBLE_ROUND(a, b, c, d)
    SM_DOUBLE_ROUND(a, b, c, d)
#endif
    x->r[at] += a;
    x->r[at + 1] += b;
    x->r[at + 2] += c;
    x->r[at + 3] += d;
}

SM_INLINE void chunk_mix(struct chunk *x)
{
    x->r[0] ^= x->r[4];
    x->r[1] ^= x->r[5];
    x->r[2] ^= x->r[6];
    x->r[3] ^= x->r[7];
    chacha8(x, 0);
    x->r[4] ^= x->r[0];
    x->r[5] ^= x->r[1];
    x->r[6] ^= x->r[2];
    x->r[7] ^= x->r[3];
    chacha8(x, 4);
}

#endif
