/* device/aes128.h: AES-128 encryption (FIPS-197) by table, in local memory.
 *
 * AES_TABLES 4: one table of 256 words per row of the state; 1: a single table and rotations, for a quarter of the
 * memory. AES_COPIES (a power of two): how often each entry is stored, side by side. With as many copies as there are
 * banks every work item has a bank to itself, and no two of them wait for each other; with one copy a lookup of 32 items
 * takes between three and four turns. Words are little-endian: byte r of word c is row r of column c. Keys are public
 * here: nothing has to take constant time. */
#ifndef SM_KERNELS_DEVICE_AES128_H
#define SM_KERNELS_DEVICE_AES128_H

/* On GPUs the words of a block must stay in registers, which neither a call nor an index unknown to the compiler allows;
 * a processor has no use for that, and compilers for it need minutes. */
#define KERNEL_INLINE static inline __attribute__((always_inline))
#ifdef KERNEL_ROLLED
#define KERNEL_UNROLL
#else
#define KERNEL_UNROLL _Pragma("unroll")
#endif

#define AES_WORDS (256u * AES_TABLES * AES_COPIES) /* of local memory */

__constant uchar aes_sbox[256] = {
    0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b, 0xfe, 0xd7, 0xab, 0x76,
    0xca, 0x82, 0xc9, 0x7d, 0xfa, 0x59, 0x47, 0xf0, 0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4, 0x72, 0xc0,
    0xb7, 0xfd, 0x93, 0x26, 0x36, 0x3f, 0xf7, 0xcc, 0x34, 0xa5, 0xe5, 0xf1, 0x71, 0xd8, 0x31, 0x15,
    0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96, 0x05, 0x9a, 0x07, 0x12, 0x80, 0xe2, 0xeb, 0x27, 0xb2, 0x75,
    0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0, 0x52, 0x3b, 0xd6, 0xb3, 0x29, 0xe3, 0x2f, 0x84,
    0x53, 0xd1, 0x00, 0xed, 0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb, 0xbe, 0x39, 0x4a, 0x4c, 0x58, 0xcf,
    0xd0, 0xef, 0xaa, 0xfb, 0x43, 0x4d, 0x33, 0x85, 0x45, 0xf9, 0x02, 0x7f, 0x50, 0x3c, 0x9f, 0xa8,
    0x51, 0xa3, 0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5, 0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff, 0xf3, 0xd2,
    0xcd, 0x0c, 0x13, 0xec, 0x5f, 0x97, 0x44, 0x17, 0xc4, 0xa7, 0x7e, 0x3d, 0x64, 0x5d, 0x19, 0x73,
    0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a, 0x90, 0x88, 0x46, 0xee, 0xb8, 0x14, 0xde, 0x5e, 0x0b, 0xdb,
    0xe0, 0x32, 0x3a, 0x0a, 0x49, 0x06, 0x24, 0x5c, 0xc2, 0xd3, 0xac, 0x62, 0x91, 0x95, 0xe4, 0x79,
    0xe7, 0xc8, 0x37, 0x6d, 0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a, 0xae, 0x08,
    0xba, 0x78, 0x25, 0x2e, 0x1c, 0xa6, 0xb4, 0xc6, 0xe8, 0xdd, 0x74, 0x1f, 0x4b, 0xbd, 0x8b, 0x8a,
    0x70, 0x3e, 0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e, 0x61, 0x35, 0x57, 0xb9, 0x86, 0xc1, 0x1d, 0x9e,
    0xe1, 0xf8, 0x98, 0x11, 0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e, 0x87, 0xe9, 0xce, 0x55, 0x28, 0xdf,
    0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42, 0x68, 0x41, 0x99, 0x2d, 0x0f, 0xb0, 0x54, 0xbb, 0x16,
};

/* All items of the group take part; they must meet at a barrier before the table is used. Word of s = S-box(x):
 * 2s, s, s, 3s from the lowest byte up. */
KERNEL_INLINE void aes_fill(__local uint *t, const uint item)
{
    for (uint i = item; i < 256u * AES_COPIES; i += WG_ITEMS) {
        const uint s = aes_sbox[i / AES_COPIES], s2 = ((s << 1) ^ ((s >> 7) * 0x1bu)) & 0xffu;
        const uint w = s2 | s << 8 | s << 16 | (s ^ s2) << 24;
        t[i] = w;
#if AES_TABLES == 4
        t[256u * AES_COPIES + i] = rotate(w, 8u);
        t[512u * AES_COPIES + i] = rotate(w, 16u);
        t[768u * AES_COPIES + i] = rotate(w, 24u);
#endif
    }
}

/* The copy that an item uses. */
KERNEL_INLINE const __local uint *aes_own_copy(const __local uint *t, const uint item)
{
    return t + item % AES_COPIES;
}

#define AES_BYTE(w, r) (((w) >> (8u * (r))) & 0xffu)
#if AES_TABLES == 4
#define AES_T(r, x) t[(256u * (r) + (x)) * AES_COPIES]
#else
#define AES_T(r, x) rotate(t[(x) * AES_COPIES], 8u * (r))
#endif

/* One column of a full round, from the columns that ShiftRows brings together. */
KERNEL_INLINE uint aes_column(const __local uint *t, const uint a, const uint b, const uint c, const uint d)
{
    return AES_T(0u, AES_BYTE(a, 0u)) ^ AES_T(1u, AES_BYTE(b, 1u)) ^ AES_T(2u, AES_BYTE(c, 2u)) ^
           AES_T(3u, AES_BYTE(d, 3u));
}

KERNEL_INLINE uint4 aes_round(const __local uint *t, const uint4 s, const uint4 key)
{
    uint4 n;
    n.s0 = aes_column(t, s.s0, s.s1, s.s2, s.s3);
    n.s1 = aes_column(t, s.s1, s.s2, s.s3, s.s0);
    n.s2 = aes_column(t, s.s2, s.s3, s.s0, s.s1);
    n.s3 = aes_column(t, s.s3, s.s0, s.s1, s.s2);
    return n ^ key;
}

#define AES_SUB(x) AES_BYTE(t[(x) * AES_COPIES], 1u) /* byte 1 of the first table's word is the S-box */

/* The last round has no MixColumns. */
KERNEL_INLINE uint aes_last_column(const __local uint *t, const uint a, const uint b, const uint c, const uint d)
{
    return AES_SUB(AES_BYTE(a, 0u)) | AES_SUB(AES_BYTE(b, 1u)) << 8 | AES_SUB(AES_BYTE(c, 2u)) << 16 |
           AES_SUB(AES_BYTE(d, 3u)) << 24;
}

/* The state before the last round, with round keys k[0 ... 9] in any address space. */
#define AES_NINE_ROUNDS(t, k, s)                                                           \
    do {                                                                                   \
        (s) ^= (k)[0];                                                                     \
        KERNEL_UNROLL for (uint r = 1; r < 10u; r++) (s) = aes_round(t, s, (k)[r]);        \
    } while (0)

/* Where byte p before the last round ends up (ShiftRows). */
KERNEL_INLINE uint aes_offset_of(const uint p)
{
    return p % 4u + 4u * ((p / 4u + 4u - p % 4u) % 4u);
}

#endif
