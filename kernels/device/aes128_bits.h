/* device/aes128_bits.h: AES-128 (FIPS-197) without tables: 32 blocks side by side, a word for each of the 128 bits of a
 * block. Word 8 * byte + bit, bit 0 the lowest; bit i of every word belongs to block i.
 *
 * The S-box is a circuit of AND and XOR: inversion in GF(2^8) as GF((2^4)^2) between two linear layers, with the sharing
 * of Boyar and Peralta ("A depth-16 circuit for the AES S-box", 2011). It leaves out the constant 0x63, which passes
 * MixColumns unchanged and is part of the key that is added next. Devices with logic of three inputs merge about a third of the
 * gates. */
#ifndef SM_KERNELS_DEVICE_AES128_BITS_H
#define SM_KERNELS_DEVICE_AES128_BITS_H

#include "kernels/device/aes128.h"

KERNEL_INLINE void aes_bits_sub(uint *b)
{
    /* from the highest bit down */
    const uint x0 = b[7], x1 = b[6], x2 = b[5], x3 = b[4], x4 = b[3], x5 = b[2], x6 = b[1], x7 = b[0];

    /* the linear forms that are multiplied: one operand in p, the other in q */
    const uint x12 = x1 ^ x2, x03 = x0 ^ x3, x05 = x0 ^ x5, x06 = x0 ^ x6, x35 = x3 ^ x5;
    const uint q1 = x12 ^ x7, p4 = q1 ^ x3, p2 = q1 ^ x0, p5 = q1 ^ x6, p3 = p5 ^ x05;
    const uint p12 = x06 ^ x35, s4 = x4 ^ p12, q15 = s4 ^ x5, f20 = s4 ^ x1;
    const uint q6 = q15 ^ x7, q10 = q15 ^ x12, q11 = f20 ^ x03, q7 = x7 ^ q11;
    const uint q17 = q10 ^ q11, f19 = q10 ^ x05, q16 = x12 ^ q11, f21 = x06 ^ q16, f18 = x0 ^ q16;

    /* norm in GF(2^4), bits a to d */
    const uint m15 = p12 & q15, m16 = x06 & q16, m11 = x03 & q11;
    const uint u = m11 ^ (x35 & q17), v = m11 ^ (x05 & q10);
    const uint a = m15 ^ (p3 & q6) ^ u ^ f20, b1 = m15 ^ (p4 & x7) ^ v ^ f19;
    const uint c = m16 ^ (p5 & q1) ^ u ^ f21, d = m16 ^ (p2 & q7) ^ v ^ f18;

    /* its inverse, bits e to h, and their sums */
    const uint ab = a ^ b1, ac = a & c, dac = d ^ ac;
    const uint e = b1 ^ (ab & dac), f = d ^ ((b1 ^ ac) & (c ^ d));
    const uint k = d & (dac ^ f), g = k ^ c ^ f, h = ab ^ (e & (dac ^ k));
    const uint ef = e ^ f, eh = e ^ h, fg = f ^ g, gh = g ^ h, all = ef ^ gh;

    /* the products */
    const uint z0 = fg & q15, z1 = g & q6, z2 = f & x7, z3 = eh & q16, z4 = h & q1, z5 = e & q7, z6 = ef & q11;
    const uint z7 = all & q17, z8 = gh & q10, z9 = fg & p12, z10 = g & p3, z11 = f & p4, z12 = eh & x06;
    const uint z13 = h & p5, z14 = e & p2, z15 = ef & x03, z16 = all & x35, z17 = gh & x05;

    /* back to the basis of AES */
    const uint i46 = z15 ^ z16, i48 = z5 ^ z13, i53 = z0 ^ z3, i54 = z6 ^ z7, i57 = z2 ^ z12 ^ i53;
    const uint i58 = z4 ^ i46, i59 = z3 ^ i54, i62 = z7 ^ z8 ^ i58, i63 = z9 ^ z10 ^ i58;
    const uint i64 = z4 ^ i59, i65 = z14 ^ i57 ^ i62, i66 = z1 ^ i63, r4 = i53 ^ i66;
    b[7] = i59 ^ i63;
    b[6] = i64 ^ r4;
    b[5] = z16 ^ z17 ^ i64 ^ i65;
    b[4] = r4;
    b[3] = z2 ^ z5 ^ i66;
    b[2] = z10 ^ z11 ^ i65;
    b[1] = z12 ^ i48 ^ i62;
    b[0] = i48 ^ i46 ^ i57;
}

KERNEL_INLINE void aes_bits_sub_all(uint *s)
{
    KERNEL_UNROLL for (uint p = 0; p < 16u; p++) aes_bits_sub(s + 8u * p);
}

/* s[0 ... 128) ^= key. */
KERNEL_INLINE void aes_bits_add(uint *s, const __global uint4 *key)
{
    KERNEL_UNROLL for (uint i = 0; i < 32u; i++) {
        const uint4 k = key[i];
        s[4u * i] ^= k.s0;
        s[4u * i + 1u] ^= k.s1;
        s[4u * i + 2u] ^= k.s2;
        s[4u * i + 3u] ^= k.s3;
    }
}

/* ShiftRows and MixColumns: with sums of neighbours, a byte of the result is 2 * (a + b) + b + (c + d). */
KERNEL_INLINE void aes_bits_mix(uint *s)
{
    uint n[128];
    KERNEL_UNROLL for (uint c = 0; c < 4u; c++) {
        uint sum[32]; /* of a row and the next one */
        KERNEL_UNROLL for (uint r = 0; r < 4u; r++) {
            KERNEL_UNROLL for (uint i = 0; i < 8u; i++)
                sum[8u * r + i] = s[32u * ((c + r) % 4u) + 8u * r + i] ^
                                  s[32u * ((c + r + 1u) % 4u) + 8u * ((r + 1u) % 4u) + i];
        }
        KERNEL_UNROLL for (uint r = 0; r < 4u; r++) {
            const uint *b = s + 32u * ((c + r + 1u) % 4u) + 8u * ((r + 1u) % 4u);
            const uint *ab = sum + 8u * r, *cd = sum + 8u * ((r + 2u) % 4u);
            uint *out = n + 32u * c + 8u * r;
            out[0] = ab[7] ^ b[0] ^ cd[0];
            out[1] = ab[0] ^ ab[7] ^ b[1] ^ cd[1];
            out[2] = ab[1] ^ b[2] ^ cd[2];
            out[3] = ab[2] ^ ab[7] ^ b[3] ^ cd[3];
            out[4] = ab[3] ^ ab[7] ^ b[4] ^ cd[4];
            out[5] = ab[4] ^ b[5] ^ cd[5];
            out[6] = ab[5] ^ b[6] ^ cd[6];
            out[7] = ab[6] ^ b[7] ^ cd[7];
        }
    }
    KERNEL_UNROLL for (uint i = 0; i < 128u; i++) s[i] = n[i];
}

/* x[row] bit column becomes x[column] bit row. */
KERNEL_INLINE void aes_bits_transpose(uint *x)
{
#define AES_BITS_SWAP(d, mask)                               \
    KERNEL_UNROLL for (uint i = 0; i < 32u; i++)         \
    {                                                        \
        if (i & (d)) continue;                               \
        const uint both = (x[i] >> (d) ^ x[i + (d)]) & mask; \
        x[i] ^= both << (d);                                 \
        x[i + (d)] ^= both;                                  \
    }
    AES_BITS_SWAP(16u, 0x0000ffffu)
    AES_BITS_SWAP(8u, 0x00ff00ffu)
    AES_BITS_SWAP(4u, 0x0f0f0f0fu)
    AES_BITS_SWAP(2u, 0x33333333u)
    AES_BITS_SWAP(1u, 0x55555555u)
#undef AES_BITS_SWAP
}

#endif
