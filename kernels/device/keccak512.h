/* Keccak-512 with the original padding, and the two PBKDF2 calls of the label (post.md 1.3, 1.4).
 *
 * All message lengths are fixed, so blocks are written lane by lane and nothing is buffered. Less than 1 % of a label's
 * work: the round loop stays rolled to keep the code small. */
#ifndef SM_KERNELS_KECCAK512_H
#define SM_KERNELS_KECCAK512_H

struct keccak {
    ulong a[25];
};

__constant ulong keccak_rc[24] = {
    0x0000000000000001UL, 0x0000000000008082UL, 0x800000000000808aUL, 0x8000000080008000UL, 0x000000000000808bUL,
    0x0000000080000001UL, 0x8000000080008081UL, 0x8000000000008009UL, 0x000000000000008aUL, 0x0000000000000088UL,
    0x0000000080008009UL, 0x000000008000000aUL, 0x000000008000808bUL, 0x800000000000008bUL, 0x8000000000008089UL,
    0x8000000000008003UL, 0x8000000000008002UL, 0x8000000000000080UL, 0x000000000000800aUL, 0x800000008000000aUL,
    0x8000000080008081UL, 0x8000000000008080UL, 0x0000000080000001UL, 0x8000000080008008UL,
};

#define SM_ROTL(v, n) rotate((ulong)(v), (ulong)(n))

#define SM_THETA_ADD(x, d)                                                                                             \
    s->a[x] ^= d;                                                                                                      \
    s->a[x + 5] ^= d;                                                                                                  \
    s->a[x + 10] ^= d;                                                                                                 \
    s->a[x + 15] ^= d;                                                                                                 \
    s->a[x + 20] ^= d;

#define SM_COLUMN(x) (s->a[x] ^ s->a[x + 5] ^ s->a[x + 10] ^ s->a[x + 15] ^ s->a[x + 20])

/* One step of the rho-pi cycle: the carried lane goes to `at`, rotated; the lane that was there is carried on. */
#define SM_RHO_PI(at, n)                                                                                               \
    next = s->a[at];                                                                                                   \
    s->a[at] = SM_ROTL(carry, n);                                                                                      \
    carry = next;

#define SM_CHI_ROW(y)                                                                                                  \
    c0 = s->a[y];                                                                                                      \
    c1 = s->a[y + 1];                                                                                                  \
    s->a[y] = c0 ^ (~c1 & s->a[y + 2]);                                                                                \
    s->a[y + 1] = c1 ^ (~s->a[y + 2] & s->a[y + 3]);                                                                   \
    s->a[y + 2] ^= ~s->a[y + 3] & s->a[y + 4];                                                                         \
    s->a[y + 3] ^= ~s->a[y + 4] & c0;                                                                                  \
    s->a[y + 4] ^= ~c0 & c1;

static void keccak_f(struct keccak *s)
{
#pragma unroll 1
    for (int round = 0; round < 24; round++) {
        ulong c0 = SM_COLUMN(0), c1 = SM_COLUMN(1);
        const ulong c2 = SM_COLUMN(2), c3 = SM_COLUMN(3), c4 = SM_COLUMN(4);
        const ulong d0 = c4 ^ SM_ROTL(c1, 1), d1 = c0 ^ SM_ROTL(c2, 1), d2 = c1 ^ SM_ROTL(c3, 1);
        const ulong d3 = c2 ^ SM_ROTL(c4, 1), d4 = c3 ^ SM_ROTL(c0, 1);
        SM_THETA_ADD(0, d0)
        SM_THETA_ADD(1, d1)
        SM_THETA_ADD(2, d2)
        SM_THETA_ADD(3, d3)
        SM_THETA_ADD(4, d4)

        ulong carry = s->a[1], next;
        SM_RHO_PI(10, 1)
        SM_RHO_PI(7, 3)
        SM_RHO_PI(11, 6)
        SM_RHO_PI(17, 10)
        SM_RHO_PI(18, 15)
        SM_RHO_PI(3, 21)
        SM_RHO_PI(5, 28)
        SM_RHO_PI(16, 36)
        SM_RHO_PI(8, 45)
        SM_RHO_PI(21, 55)
        SM_RHO_PI(24, 2)
        SM_RHO_PI(4, 14)
        SM_RHO_PI(15, 27)
        SM_RHO_PI(23, 41)
        SM_RHO_PI(19, 56)
        SM_RHO_PI(13, 8)
        SM_RHO_PI(12, 25)
        SM_RHO_PI(2, 43)
        SM_RHO_PI(20, 62)
        SM_RHO_PI(14, 18)
        SM_RHO_PI(22, 39)
        SM_RHO_PI(9, 61)
        SM_RHO_PI(6, 20)
        SM_RHO_PI(1, 44)

        SM_CHI_ROW(0)
        SM_CHI_ROW(5)
        SM_CHI_ROW(10)
        SM_CHI_ROW(15)
        SM_CHI_ROW(20)
        s->a[0] ^= keccak_rc[round];
    }
}

/* The 72-byte password: commitment || label index || zeros. */
struct password {
    ulong lane[5]; /* lanes 5..8 are zero */
};

/* State after absorbing password ^ pad, the key block of HMAC: pad is 0x36 (inner) or 0x5c (outer), eight times. */
static void hmac_key(struct keccak *s, const struct password *p, const ulong pad)
{
#pragma unroll
    for (int i = 0; i < 25; i++) s->a[i] = i < 5 ? p->lane[i] ^ pad : i < 9 ? pad : 0UL;
    keccak_f(s);
}

#define SM_INNER_PAD 0x3636363636363636UL
#define SM_OUTER_PAD 0x5c5c5c5c5c5c5c5cUL
#define SM_LAST_BYTE 0x8000000000000000UL /* 0x80 at offset 71 of the block */

/* Finishes HMAC: `inner` holds the inner digest in lanes 0..7; afterwards they hold the MAC. */
static void hmac_outer(struct keccak *inner, const struct password *p)
{
    struct keccak s;
    hmac_key(&s, p, SM_OUTER_PAD);
#pragma unroll
    for (int i = 0; i < 8; i++) s.a[i] ^= inner->a[i];
    s.a[8] ^= 0x01UL | SM_LAST_BYTE;
    keccak_f(&s);
    *inner = s;
}

/* T_block of the first PBKDF2 (empty salt): lanes 0..7 of `out`. */
static void pbkdf2_first(struct keccak *out, const struct password *p, const uint block)
{
    hmac_key(out, p, SM_INNER_PAD);
    /* u32be(block), then the padding byte */
    out->a[0] ^= ((ulong)block << 24) | (0x01UL << 32);
    out->a[8] ^= SM_LAST_BYTE;
    keccak_f(out);
    hmac_outer(out, p);
}

/* T_1 of the last PBKDF2, salt = 128 bytes (16 lanes). */
static void pbkdf2_last(struct keccak *out, const struct password *p, const ulong salt[16])
{
    hmac_key(out, p, SM_INNER_PAD);
#pragma unroll
    for (int i = 0; i < 9; i++) out->a[i] ^= salt[i];
    keccak_f(out);
#pragma unroll
    for (int i = 0; i < 7; i++) out->a[i] ^= salt[9 + i];
    out->a[7] ^= (1UL << 24) | (0x01UL << 32); /* u32be(1), then the padding byte at offset 60 */
    out->a[8] ^= SM_LAST_BYTE;
    keccak_f(out);
    hmac_outer(out, p);
}

#endif
