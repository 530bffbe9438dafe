#include "rpc/descriptors.h"

#include <string.h>

/* Field numbers: google/protobuf/descriptor.proto. */
#define SET_FILE        1u
#define FILE_NAME       1u
#define FILE_PACKAGE    2u
#define FILE_DEPENDENCY 3u
#define FILE_MESSAGE    4u
#define FILE_ENUM       5u
#define FILE_SERVICE    6u
#define ANY_NAME        1u /* of messages, enums, services and methods */
#define MESSAGE_NESTED  3u
#define MESSAGE_ENUM    4u
#define SERVICE_METHOD  2u
#define WIRE_VARINT     0u
#define WIRE_64         1u
#define WIRE_BYTES      2u
#define WIRE_32         5u
#define NESTING_MAX     16u

/* ---- the wire ---- */

static bool read_varint(struct sm_slice in, size_t *at, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && *at < in.n; shift += 7) {
        const uint8_t b = in.p[(*at)++];
        *out |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) return true;
    }
    return false;
}

/* One field; `out` is empty unless it holds bytes. False at the end or a fault. */
static bool next_field(struct sm_slice in, size_t *at, uint64_t *number, struct sm_slice *out)
{
    uint64_t key, n = 0;
    *out = (struct sm_slice){0};
    if (!read_varint(in, at, &key)) return false;
    *number = key >> 3;
    switch (key & 7) {
    case WIRE_VARINT:
        return read_varint(in, at, &n);
    case WIRE_64:
        n = 8;
        break;
    case WIRE_32:
        n = 4;
        break;
    case WIRE_BYTES:
        if (!read_varint(in, at, &n)) return false;
        break;
    default:
        return false;
    }
    if (n > in.n - *at) return false;
    if ((key & 7) == WIRE_BYTES) *out = (struct sm_slice){in.p + *at, n};
    *at += n;
    return true;
}

static bool next_of(struct sm_slice in, size_t *at, uint64_t wanted, struct sm_slice *out)
{
    uint64_t number;
    while (next_field(in, at, &number, out))
        if (number == wanted) return true;
    return false;
}

static struct sm_slice first_of(struct sm_slice in, uint64_t wanted)
{
    struct sm_slice out = {0};
    size_t at = 0;
    return next_of(in, &at, wanted, &out) ? out : (struct sm_slice){0};
}

/* ---- files ---- */

bool sm_proto_next_file(struct sm_slice set, size_t *at, struct sm_proto_file *out)
{
    if (!next_of(set, at, SET_FILE, &out->bytes)) return false;
    out->name = first_of(out->bytes, FILE_NAME);
    out->package = first_of(out->bytes, FILE_PACKAGE);
    return true;
}

bool sm_proto_next_import(const struct sm_proto_file *f, size_t *at, struct sm_slice *out_name)
{
    return next_of(f->bytes, at, FILE_DEPENDENCY, out_name);
}

/* ---- symbols ---- */

/* Takes "name" or "name." off the front of *symbol. */
static bool take_name(struct sm_slice *symbol, struct sm_slice name)
{
    if (!name.n || symbol->n < name.n || memcmp(symbol->p, name.p, name.n) != 0) return false;
    if (symbol->n > name.n && symbol->p[name.n] != '.') return false;
    const size_t skip = symbol->n > name.n ? name.n + 1 : name.n;
    symbol->p += skip;
    symbol->n -= skip;
    return true;
}

/* Is the rest of the symbol the name of one of these, and nothing behind it? */
static bool names_one(struct sm_slice in, uint64_t field, struct sm_slice symbol)
{
    struct sm_slice one;
    for (size_t at = 0; next_of(in, &at, field, &one);) {
        struct sm_slice rest = symbol;
        if (take_name(&rest, first_of(one, ANY_NAME)) && !rest.n) return true;
    }
    return false;
}

static bool names_message(struct sm_slice in, uint64_t field, struct sm_slice symbol, unsigned depth)
{
    struct sm_slice one;
    for (size_t at = 0; depth < NESTING_MAX && next_of(in, &at, field, &one);) {
        struct sm_slice rest = symbol;
        if (!take_name(&rest, first_of(one, ANY_NAME))) continue;
        if (!rest.n || names_one(one, MESSAGE_ENUM, rest) || names_message(one, MESSAGE_NESTED, rest, depth + 1))
            return true;
    }
    return false;
}

static bool names_service(struct sm_slice in, struct sm_slice symbol)
{
    struct sm_slice one;
    for (size_t at = 0; next_of(in, &at, FILE_SERVICE, &one);) {
        struct sm_slice rest = symbol;
        if (take_name(&rest, first_of(one, ANY_NAME)) && (!rest.n || names_one(one, SERVICE_METHOD, rest))) return true;
    }
    return false;
}

bool sm_proto_defines(const struct sm_proto_file *f, struct sm_slice symbol)
{
    if (f->package.n && !take_name(&symbol, f->package)) return false;
    if (!symbol.n) return false;
    return names_message(f->bytes, FILE_MESSAGE, symbol, 0) || names_one(f->bytes, FILE_ENUM, symbol) ||
           names_service(f->bytes, symbol);
}
