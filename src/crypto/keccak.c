#include "crypto/keccak.h"

#include <string.h>

#include "util/bytes.h"

typedef uint64_t lanes_t;

static inline uint64_t k_set(uint64_t v)
{
    return v;
}

static inline uint64_t k_xor(uint64_t a, uint64_t b)
{
    return a ^ b;
}

static inline uint64_t k_xor3(uint64_t a, uint64_t b, uint64_t c)
{
    return a ^ b ^ c;
}

static inline uint64_t k_rotl(uint64_t v, unsigned n)
{
    return sm_rotl64(v, n);
}

static inline uint64_t k_chi(uint64_t a, uint64_t b, uint64_t c)
{
    return a ^ (~b & c);
}

#include "crypto/keccak_lanes.h"

const struct sm_keccak_lanes sm_keccak_x1 = {.lanes = 1, .permute = keccak_f};

static void absorb(uint64_t a[SM_KECCAK_WORDS], const uint8_t *block)
{
    for (unsigned i = 0; i < SM_KECCAK512_RATE; i++) a[i] ^= sm_le64_load(block + 8 * i);
    keccak_f(a);
}

void sm_keccak512(const void *p, size_t n, uint8_t out[SM_KECCAK512_BYTES])
{
    enum { RATE_BYTES = 8 * SM_KECCAK512_RATE };
    uint64_t a[SM_KECCAK_WORDS] = {0};
    const uint8_t *in = p;
    for (; n >= RATE_BYTES; in += RATE_BYTES, n -= RATE_BYTES) absorb(a, in);
    uint8_t last[RATE_BYTES] = {0};
    if (n) memcpy(last, in, n);
    last[n] = 0x01;
    last[RATE_BYTES - 1] |= 0x80;
    absorb(a, last);
    memcpy(out, a, SM_KECCAK512_BYTES);
}
