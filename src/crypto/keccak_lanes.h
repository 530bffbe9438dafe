/* crypto/keccak_lanes.h: body of Keccak-f[1600], included by one file per instruction set.
 *
 * Before the include: `lanes_t`, one 64-bit word of every state side by side, and on it
 *   k_load(p) k_store(p, v) k_set(u64) k_xor(a, b) k_xor3(a, b, c) k_rotl(v, constant)
 *   k_chi(a, b, c) = a ^ (~b & c)
 * It defines static void keccak_f(lanes_t state[25]). */

static const uint64_t round_constants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000, 0x000000000000808b,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000a, 0x000000008000808b, 0x800000000000008b, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

#define K_COLUMN(x) k_xor3(k_xor3(a[x], a[(x) + 5], a[(x) + 10]), a[(x) + 15], a[(x) + 20])

/* rho and pi: the word at (x, y), with theta's column parity, goes rotated to (y, 2x + 3y). */
#define K_MOVE(to, from, n) b[to] = k_rotl(k_xor(a[from], d[(from) % 5]), n)

#define K_CHI_ROW(y)                                            \
    do {                                                        \
        a[(y) + 0] = k_chi(b[(y) + 0], b[(y) + 1], b[(y) + 2]); \
        a[(y) + 1] = k_chi(b[(y) + 1], b[(y) + 2], b[(y) + 3]); \
        a[(y) + 2] = k_chi(b[(y) + 2], b[(y) + 3], b[(y) + 4]); \
        a[(y) + 3] = k_chi(b[(y) + 3], b[(y) + 4], b[(y) + 0]); \
        a[(y) + 4] = k_chi(b[(y) + 4], b[(y) + 0], b[(y) + 1]); \
    } while (0)

static void keccak_f(lanes_t a[25])
{
    for (unsigned r = 0; r < 24; r++) {
        const lanes_t c[5] = {K_COLUMN(0), K_COLUMN(1), K_COLUMN(2), K_COLUMN(3), K_COLUMN(4)};
        const lanes_t d[5] = {
            k_xor(c[4], k_rotl(c[1], 1)), k_xor(c[0], k_rotl(c[2], 1)), k_xor(c[1], k_rotl(c[3], 1)),
            k_xor(c[2], k_rotl(c[4], 1)), k_xor(c[3], k_rotl(c[0], 1)),
        };
        lanes_t b[25];
        b[0] = k_xor(a[0], d[0]);
        K_MOVE(16, 5, 36), K_MOVE(7, 10, 3), K_MOVE(23, 15, 41), K_MOVE(14, 20, 18);
        K_MOVE(10, 1, 1), K_MOVE(1, 6, 44), K_MOVE(17, 11, 10), K_MOVE(8, 16, 45), K_MOVE(24, 21, 2);
        K_MOVE(20, 2, 62), K_MOVE(11, 7, 6), K_MOVE(2, 12, 43), K_MOVE(18, 17, 15), K_MOVE(9, 22, 61);
        K_MOVE(5, 3, 28), K_MOVE(21, 8, 55), K_MOVE(12, 13, 25), K_MOVE(3, 18, 21), K_MOVE(19, 23, 56);
        K_MOVE(15, 4, 27), K_MOVE(6, 9, 20), K_MOVE(22, 14, 39), K_MOVE(13, 19, 8), K_MOVE(4, 24, 14);
        K_CHI_ROW(0);
        K_CHI_ROW(5);
        K_CHI_ROW(10);
        K_CHI_ROW(15);
        K_CHI_ROW(20);
        a[0] = k_xor(a[0], k_set(round_constants[r]));
    }
}
