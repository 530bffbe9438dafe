/* util/bytes.h: byte order, views, rotations. Header only; no state. */
#ifndef SM_UTIL_BYTES_H
#define SM_UTIL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

__extension__ typedef unsigned __int128 sm_u128;

/* A view of somebody else's bytes; never owns. */
struct sm_slice {
    const uint8_t *p;
    size_t n;
};

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "smesher is written for little-endian machines (x86-64, AArch64)"
#endif

static inline uint16_t sm_le16_load(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t sm_le32_load(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t sm_le64_load(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void sm_le32_store(void *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline void sm_le64_store(void *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline void sm_be32_store(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

static inline uint32_t sm_be32_load(const void *p)
{
    return __builtin_bswap32(sm_le32_load(p));
}

static inline uint64_t sm_be64_load(const void *p)
{
    return __builtin_bswap64(sm_le64_load(p));
}

static inline void sm_be64_store(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof v);
}

static inline uint32_t sm_rotl32(uint32_t v, unsigned n)
{
    return (v << (n & 31)) | (v >> ((32 - n) & 31));
}

static inline uint32_t sm_rotr32(uint32_t v, unsigned n)
{
    return (v >> (n & 31)) | (v << ((32 - n) & 31));
}

static inline uint64_t sm_rotl64(uint64_t v, unsigned n)
{
    return (v << (n & 63)) | (v >> ((64 - n) & 63));
}

static inline bool sm_is_pow2_u64(uint64_t v)
{
    return v && !(v & (v - 1));
}

/* Checked arithmetic: true on overflow, as the builtins; `out` is then unspecified. */
static inline bool sm_mul_overflows_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return __builtin_mul_overflow(a, b, out);
}

static inline bool sm_add_overflows_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return __builtin_add_overflow(a, b, out);
}

#endif
