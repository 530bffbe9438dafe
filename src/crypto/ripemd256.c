#include "crypto/ripemd256.h"

#include <string.h>

#include "util/bytes.h"

// clang-format off
/* Message words of the left and right line. */
static const uint8_t word_left[64] = {
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,    7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8,
    3, 10, 14, 4, 9, 15, 8, 1, 2, 7, 0, 6, 13, 11, 5, 12,    1, 9, 11, 10, 0, 8, 12, 4, 13, 3, 7, 15, 14, 5, 6, 2,
};
static const uint8_t word_right[64] = {
    5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15, 8, 1, 10, 3, 12,    6, 11, 3, 7, 0, 13, 5, 10, 14, 15, 8, 12, 4, 9, 1, 2,
    15, 5, 1, 3, 7, 14, 6, 9, 11, 8, 12, 2, 10, 0, 4, 13,    8, 6, 4, 1, 3, 11, 15, 0, 5, 12, 2, 13, 9, 7, 10, 14,
};
/* Rotations. */
static const uint8_t turn_left[64] = {
    11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8,  7, 6, 8, 13, 11, 9, 7, 15, 7, 12, 15, 9, 11, 7, 13, 12,
    11, 13, 6, 7, 14, 9, 13, 15, 14, 8, 13, 6, 5, 12, 7, 5,  11, 12, 14, 15, 14, 15, 9, 8, 9, 14, 5, 6, 8, 6, 5, 12,
};
static const uint8_t turn_right[64] = {
    8, 9, 9, 11, 13, 15, 15, 5, 7, 7, 8, 11, 14, 14, 12, 6,  9, 13, 15, 7, 12, 8, 9, 11, 7, 7, 12, 7, 6, 15, 13, 11,
    9, 7, 15, 11, 8, 6, 6, 14, 12, 13, 5, 14, 13, 13, 7, 5,  15, 5, 8, 11, 14, 14, 6, 14, 6, 9, 12, 9, 12, 5, 15, 8,
};
// clang-format on
static const uint32_t add_left[4] = {0, 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc};
static const uint32_t add_right[4] = {0x50a28be6, 0x5c4dd124, 0x6d703ef3, 0};

static uint32_t mix(unsigned which, uint32_t x, uint32_t y, uint32_t z)
{
    switch (which) {
    case 0:
        return x ^ y ^ z;
    case 1:
        return (x & y) | (~x & z);
    case 2:
        return (x | ~y) ^ z;
    default:
        return (x & z) | (y & ~z);
    }
}

/* Step j of a line s = (a, b, c, d). */
static void step(uint32_t s[4], unsigned function, uint32_t message, uint32_t constant, unsigned turn)
{
    const uint32_t t = sm_rotl32(s[0] + mix(function, s[1], s[2], s[3]) + message + constant, turn);
    s[0] = s[3];
    s[3] = s[2];
    s[2] = s[1];
    s[1] = t;
}

static void compress(uint32_t state[8], const uint8_t *block)
{
    uint32_t s[8];
    memcpy(s, state, sizeof s);
    for (unsigned j = 0; j < 64; j++) {
        const unsigned round = j / 16;
        step(s, round, sm_le32_load(block + 4 * word_left[j]), add_left[round], turn_left[j]);
        step(s + 4, 3 - round, sm_le32_load(block + 4 * word_right[j]), add_right[round], turn_right[j]);
        if (j % 16 == 15) { /* after round r the lines exchange their r-th word */
            const uint32_t t = s[round];
            s[round] = s[4 + round];
            s[4 + round] = t;
        }
    }
    for (unsigned i = 0; i < 8; i++) state[i] += s[i];
}

void sm_ripemd256_init(struct sm_ripemd256 *h)
{
    static const uint32_t iv[8] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
                                   0x76543210, 0xfedcba98, 0x89abcdef, 0x01234567};
    memcpy(h->state, iv, sizeof iv);
    h->bytes = 0;
}

void sm_ripemd256_update(struct sm_ripemd256 *h, const void *p, size_t n)
{
    const uint8_t *in = p;
    while (n) {
        const size_t used = h->bytes % 64, room = 64 - used, take = n < room ? n : room;
        memcpy(h->block + used, in, take);
        h->bytes += take;
        in += take;
        n -= take;
        if (take == room) compress(h->state, h->block);
    }
}

void sm_ripemd256_final(struct sm_ripemd256 *h, uint8_t out[SM_RIPEMD256_BYTES])
{
    static const uint8_t padding[64] = {0x80};
    uint8_t bits[8];
    sm_le64_store(bits, h->bytes * 8);
    sm_ripemd256_update(h, padding, 64 - (h->bytes + 8) % 64);
    sm_ripemd256_update(h, bits, sizeof bits);
    for (unsigned i = 0; i < 8; i++) sm_le32_store(out + 4 * i, h->state[i]);
}
