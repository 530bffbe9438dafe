/* ChaCha20/8 as a block mix, and scrypt's ChunkMix for r = 1 (post.md 1.5).
 *
 * The sixteen words are the rows of a 4x4 matrix. The diagonal round reads rotated components: free on devices that
 * keep vectors in scalar registers, one shuffle on CPUs. */
#ifndef SM_KERNELS_CHACHA8_H
#define SM_KERNELS_CHACHA8_H

#define SM_QUARTER(a, b, c, d)                                                                                         \
    a += b;                                                                                                            \
    d = rotate(d ^ a, (uint4)(16));                                                                                    \
    c += d;                                                                                                            \
    b = rotate(b ^ c, (uint4)(12));                                                                                    \
    a += b;                                                                                                            \
    d = rotate(d ^ a, (uint4)(8));                                                                                     \
    c += d;                                                                                                            \
    b = rotate(b ^ c, (uint4)(7));

#define SM_DOUBLE_ROUND(a, b, c, d)                                                                                    \
    SM_QUARTER(a, b, c, d)                                                                                             \
    b = b.yzwx;                                                                                                        \
    c = c.zwxy;                                                                                                        \
    d = d.wxyz;                                                                                                        \
    SM_QUARTER(a, b, c, d)                                                                                             \
    b = b.wxyz;                                                                                                        \
    c = c.zwxy;                                                                                                        \
    d = d.yzwx;

/* A chunk is 128 bytes: block 0 is rows 0..3, block 1 rows 4..7. */
struct chunk {
    uint4 r[8];
};

/* Block `at` (0 or 4) of x: x = x + rounds(x). */
static void chacha8(struct chunk *x, const int at)
{
    uint4 a = x->r[at], b = x->r[at + 1], c = x->r[at + 2], d = x->r[at + 3];
    SM_DOUBLE_ROUND(a, b, c, d)
    SM_DOUBLE_ROUND(a, b, c, d)
    SM_DOUBLE_ROUND(a, b, c, d)
    SM_DOUBLE_ROUND(a, b, c, d)
    x->r[at] += a;
    x->r[at + 1] += b;
    x->r[at + 2] += c;
    x->r[at + 3] += d;
}

static void chunk_mix(struct chunk *x)
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
