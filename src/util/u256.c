#include "util/u256.h"

#include <assert.h>

#include "util/bytes.h"

/* Long division by bytes: rem < d <= 2^64 - 1, so rem * 256 + byte fits 128 bits. */
static uint64_t div_bytes(const uint8_t *in, unsigned n, uint64_t rem, uint64_t d, uint8_t *out)
{
    for (unsigned i = 0; i < n; i++) {
        const sm_u128 v = ((sm_u128)rem << 8) | in[i];
        out[i] = (uint8_t)(v / d);
        rem = (uint64_t)(v % d);
    }
    return rem;
}

void sm_u256_div_u64(const uint8_t in[32], uint64_t d, uint8_t out[32])
{
    assert(d >= 1);
    (void)div_bytes(in, 32, 0, d, out);
}

void sm_u256_pow256_div_u64(uint64_t d, uint8_t out[32])
{
    assert(d >= 2);
    static const uint8_t zero[32];
    (void)div_bytes(zero, 32, 1, d, out); /* the leading 1 of 2^256 is the initial remainder */
}

bool sm_u256_shl(const uint8_t in[32], unsigned n, uint8_t out[32])
{
    assert(n < 8);
    unsigned carry = 0;
    for (unsigned i = 32; i-- > 0;) {
        const unsigned v = ((unsigned)in[i] << n) | carry;
        out[i] = (uint8_t)v;
        carry = v >> 8;
    }
    return carry != 0;
}

double sm_u256_to_double(const uint8_t in[32])
{
    double v = 0;
    for (unsigned i = 0; i < 32; i++) v = v * 256 + in[i];
    return v;
}
