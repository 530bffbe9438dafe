#include "codec/scale.h"

size_t sm_scale_compact_put(uint64_t v, uint8_t out[9])
{
    if (v < 64) {
        out[0] = (uint8_t)(v << 2);
        return 1;
    }
    if (v < 1u << 14) {
        out[0] = (uint8_t)(v << 2 | 1);
        out[1] = (uint8_t)(v >> 6);
        return 2;
    }
    if (v < 1u << 30) {
        sm_le32_store(out, (uint32_t)(v << 2 | 2));
        return 4;
    }
    unsigned n = 4;
    while (n < 8 && v >> (8 * n)) n++;
    out[0] = (uint8_t)((n - 4) << 2 | 3);
    for (unsigned i = 0; i < n; i++) out[1 + i] = (uint8_t)(v >> (8 * i));
    return 1 + n;
}

/* The value of mode 3; 0 = refused. */
static size_t big_get(unsigned bits, struct sm_slice in, uint64_t *out)
{
    const unsigned n = (in.p[0] >> 2) + 4u;
    if (bits < 32 || (bits == 32 && n != 4) || n > 8 || in.n < 1 + (size_t)n) return 0;
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++) v |= (uint64_t)in.p[1 + i] << (8 * i);
    *out = v;
    return v >= 1u << 30 ? 1 + (size_t)n : 0;
}

size_t sm_scale_compact_get(unsigned bits, struct sm_slice in, uint64_t *out)
{
    if (in.n == 0) return 0;
    uint64_t v;
    switch (in.p[0] & 3) {
    case 0:
        *out = in.p[0] >> 2;
        return 1;
    case 1:
        if (in.n < 2) return 0;
        v = sm_le16_load(in.p) >> 2;
        *out = v;
        return v < 64 || (bits == 8 && v > 255) ? 0 : 2;
    case 2:
        if (in.n < 4 || bits == 8) return 0;
        v = sm_le32_load(in.p) >> 2;
        *out = v;
        return v < 1u << 14 || (bits == 16 && v > 65535) ? 0 : 4;
    default:
        return big_get(bits, in, out);
    }
}
