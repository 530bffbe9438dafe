/* codec/scale.h: the SCALE encoding, driven by descriptions: one description per object gives encode, decode, size and
 * JSON, so that a field exists in one place.
 *
 * Source: our spec, wire.md §1; go-scale v1.2.1 as go-spacemesh @cc65f27 uses it.
 *
 * In memory: integers as uint8_t … uint64_t; fixed arrays as uint8_t[n]; byte strings as struct sm_scale_bytes; lists
 * as struct sm_scale_list; options as a pointer (NULL = absent). What a decoder allocates comes from the caller's arena
 * and is bounded by the input: a count is believed only if the remaining bytes could hold that many elements.
 *
 * Decoding follows the reference where it is strict (non-minimal compact integers, limits, left-over bytes) and where
 * it is lenient (a boolean or option tag other than 1 is false; 8-byte mode of compact64 may be non-minimal), so ids
 * must be computed from a re-encoding, never from received bytes. */
#ifndef SM_CODEC_SCALE_H
#define SM_CODEC_SCALE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "util/arena.h"
#include "util/bytes.h"
#include "util/err.h"

struct sm_scale_bytes { uint8_t *p; size_t n; };
struct sm_scale_list { void *p; size_t n; }; /* n elements of the element type's C type */

typedef enum sm_scale_kind {
    SM_SCALE_U8,     /* compact8 */
    SM_SCALE_U16,    /* compact16 */
    SM_SCALE_U32,    /* compact32 */
    SM_SCALE_U64,    /* compact64 */
    SM_SCALE_RAW8,   /* one raw byte: the type of a malfeasance proof */
    SM_SCALE_BOOL,   /* bool */
    SM_SCALE_FIXED,  /* uint8_t[size] */
    SM_SCALE_BYTES,  /* struct sm_scale_bytes, at most `max` */
    SM_SCALE_TEXT,   /* the same, shown as text in JSON */
    SM_SCALE_REST,   /* the same without a count: everything to the end of the message, 1 … `max` bytes */
    SM_SCALE_LIST,   /* struct sm_scale_list of `elem`, at most `max` */
    SM_SCALE_OPTION, /* pointer to `elem` */
    SM_SCALE_STRUCT, /* `fields` in order */
} sm_scale_kind;

#define SM_SCALE_MAX_DEFAULT (1u << 20) /* fields without a limit of their own; go-scale */
#define SM_SCALE_LEVELS_MESSAGE 6u      /* nesting of messages; go-spacemesh codec/codec.go */
#define SM_SCALE_LEVELS_SLICE 4u        /* lists coded on their own; go-scale default */

struct sm_scale_field;
struct sm_scale_type {
    const char *name; /* of structs and ids, for error texts and `decode`; NULL for anonymous types */
    sm_scale_kind kind;
    size_t size;      /* of the C representation */
    uint32_t max;     /* BYTES, TEXT, LIST */
    const struct sm_scale_type *elem; /* LIST, OPTION */
    const struct sm_scale_field *fields;
    size_t fields_n;
};
struct sm_scale_field {
    const char *name; /* member of the JSON object */
    size_t offset;
    const struct sm_scale_type *type;
};

extern const struct sm_scale_type sm_scale_u8, sm_scale_u16, sm_scale_u32, sm_scale_u64, sm_scale_raw8, sm_scale_bool;
extern const struct sm_scale_type sm_scale_b4, sm_scale_b20, sm_scale_b24, sm_scale_b32, sm_scale_b64, sm_scale_b80;

/* Building descriptions. */
#define SM_SCALE_FIELD(T, member, t) {#member, offsetof(T, member), (t)}
#define SM_SCALE_STRUCT_OF(T, text, list)                                                                              \
    {.name = (text), .kind = SM_SCALE_STRUCT, .size = sizeof(T), .fields = (list),                                    \
     .fields_n = sizeof(list) / sizeof((list)[0])}
#define SM_SCALE_LIST_OF(e, limit)                                                                                     \
    {.kind = SM_SCALE_LIST, .size = sizeof(struct sm_scale_list), .max = (limit), .elem = (e)}
#define SM_SCALE_BYTES_OF(limit) {.kind = SM_SCALE_BYTES, .size = sizeof(struct sm_scale_bytes), .max = (limit)}
#define SM_SCALE_TEXT_OF(limit) {.kind = SM_SCALE_TEXT, .size = sizeof(struct sm_scale_bytes), .max = (limit)}
#define SM_SCALE_REST_OF(limit) {.kind = SM_SCALE_REST, .size = sizeof(struct sm_scale_bytes), .max = (limit)}
#define SM_SCALE_OPTION_OF(e) {.kind = SM_SCALE_OPTION, .size = sizeof(void *), .elem = (e)}

/* Appends bytes; grows. */
struct sm_scale_writer {
    uint8_t *p; /* owned; free with sm_scale_writer_fini */
    size_t n, room;
};
void sm_scale_writer_fini(struct sm_scale_writer *w);

/* Encodes one message (at most SM_SCALE_LEVELS_MESSAGE levels), appending to `w`. SM_E_ARG when a list is longer than its
 * limit, SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_scale_encode(const struct sm_scale_type *t, const void *obj, struct sm_scale_writer *w,
                                     struct sm_errinfo *ei);
/* As a list on its own. `list` describes the list type. */
SM_MUST_CHECK sm_err sm_scale_encode_levels(const struct sm_scale_type *t, const void *obj, unsigned levels,
                                            struct sm_scale_writer *w, struct sm_errinfo *ei);

/* Decodes a whole message into `obj` (t->size bytes, overwritten). SM_E_FORMAT names the field path and the byte offset;
 * left-over bytes are an error. On failure `obj` is zeroed; the arena keeps what was allocated until it is freed. */
SM_MUST_CHECK sm_err sm_scale_decode(const struct sm_scale_type *t, struct sm_slice in, struct sm_arena *arena, void *obj,
                                     struct sm_errinfo *ei);
/* Decodes a prefix; *out_used receives its length. */
SM_MUST_CHECK sm_err sm_scale_decode_prefix(const struct sm_scale_type *t, struct sm_slice in, unsigned levels,
                                            struct sm_arena *arena, void *obj, size_t *out_used, struct sm_errinfo *ei);

/* Encoded size; 0 only when a limit is exceeded (every object has at least one byte but the empty struct). */
size_t sm_scale_size(const struct sm_scale_type *t, const void *obj);

/* JSON for people and scripts: ids and byte strings in lower-case hex, integers as numbers (strings above 2^53), absent
 * options as null. NULL when out of memory. New reference. */
json_t *sm_scale_json(const struct sm_scale_type *t, const void *obj);

/* Do both hold the same value (lists and options compared by content)? */
bool sm_scale_equal(const struct sm_scale_type *t, const void *a, const void *b);

/* Single compact integers, for hash inputs. Return the bytes used (decode: 0 = refused). `bits` is 8, 16, 32 or 64. */
size_t sm_scale_compact_put(uint64_t v, uint8_t out[9]);
size_t sm_scale_compact_get(unsigned bits, struct sm_slice in, uint64_t *out);

#endif
