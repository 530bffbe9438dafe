#include "codec/scale.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct sm_scale_type sm_scale_u8 = {.kind = SM_SCALE_U8, .size = 1};
const struct sm_scale_type sm_scale_u16 = {.kind = SM_SCALE_U16, .size = 2};
const struct sm_scale_type sm_scale_u32 = {.kind = SM_SCALE_U32, .size = 4};
const struct sm_scale_type sm_scale_u64 = {.kind = SM_SCALE_U64, .size = 8};
const struct sm_scale_type sm_scale_raw8 = {.kind = SM_SCALE_RAW8, .size = 1};
const struct sm_scale_type sm_scale_bool = {.kind = SM_SCALE_BOOL, .size = sizeof(bool)};
const struct sm_scale_type sm_scale_b4 = {.kind = SM_SCALE_FIXED, .size = 4};
const struct sm_scale_type sm_scale_b20 = {.kind = SM_SCALE_FIXED, .size = 20};
const struct sm_scale_type sm_scale_b24 = {.kind = SM_SCALE_FIXED, .size = 24};
const struct sm_scale_type sm_scale_b32 = {.kind = SM_SCALE_FIXED, .size = 32};
const struct sm_scale_type sm_scale_b64 = {.kind = SM_SCALE_FIXED, .size = 64};
const struct sm_scale_type sm_scale_b80 = {.kind = SM_SCALE_FIXED, .size = 80};

static bool is_integer(const struct sm_scale_type *t)
{
    return t->kind <= SM_SCALE_U64;
}

static uint64_t integer_load(const struct sm_scale_type *t, const void *p)
{
    uint64_t v = 0;
    memcpy(&v, p, t->size); /* little-endian: the low bytes are the value */
    return v;
}

static const uint8_t *field_of(const void *obj, const struct sm_scale_field *f)
{
    return (const uint8_t *)obj + f->offset;
}

static const void *option_load(const void *p)
{
    const void *v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Slices and options of structs cost a level; plain structs, byte strings and options of integers do not. */
static unsigned level_cost(const struct sm_scale_type *t)
{
    return (t->kind == SM_SCALE_LIST || t->kind == SM_SCALE_OPTION) && t->elem->kind == SM_SCALE_STRUCT;
}

/* The fewest bytes any value of the type takes. */
static size_t min_size(const struct sm_scale_type *t)
{
    if (t->kind == SM_SCALE_FIXED) return t->size;
    if (t->kind != SM_SCALE_STRUCT) return 1;
    size_t sum = 0;
    for (size_t i = 0; i < t->fields_n; i++) sum += min_size(t->fields[i].type);
    return sum;
}

/* ---- encode ---- */

void sm_scale_writer_fini(struct sm_scale_writer *w)
{
    free(w->p);
    *w = (struct sm_scale_writer){0};
}

static sm_err put(struct sm_scale_writer *w, const void *p, size_t n, struct sm_errinfo *ei)
{
    if (w->room - w->n < n) {
        size_t room = w->room ? w->room : 256;
        while (room - w->n < n) room *= 2;
        uint8_t *grown = realloc(w->p, room);
        if (!grown) return sm_fail(ei, SM_E_NOMEM, "out of memory encoding %zu bytes", room);
        w->p = grown;
        w->room = room;
    }
    if (n) memcpy(w->p + w->n, p, n);
    w->n += n;
    return SM_OK;
}

static sm_err put_count(struct sm_scale_writer *w, const struct sm_scale_type *t, size_t n, struct sm_errinfo *ei)
{
    uint8_t b[9];
    if (n > t->max) return sm_fail(ei, SM_E_ARG, "%zu elements, at most %" PRIu32 " may be encoded", n, t->max);
    return put(w, b, sm_scale_compact_put(n, b), ei);
}

static sm_err encode(const struct sm_scale_type *t, const void *obj, unsigned levels, struct sm_scale_writer *w,
                     struct sm_errinfo *ei);

static sm_err encode_list(const struct sm_scale_type *t, const void *obj, unsigned levels, struct sm_scale_writer *w,
                          struct sm_errinfo *ei)
{
    const struct sm_scale_list *l = obj;
    sm_err err = put_count(w, t, l->n, ei);
    for (size_t i = 0; i < l->n && !err; i++)
        err = encode(t->elem, (const uint8_t *)l->p + i * t->elem->size, levels, w, ei);
    return err;
}

static sm_err encode_option(const struct sm_scale_type *t, const void *obj, unsigned levels, struct sm_scale_writer *w,
                            struct sm_errinfo *ei)
{
    const void *v = option_load(obj);
    const uint8_t tag = v != NULL;
    sm_err err = put(w, &tag, 1, ei);
    return err || !v ? err : encode(t->elem, v, levels, w, ei);
}

static sm_err encode(const struct sm_scale_type *t, const void *obj, unsigned levels, struct sm_scale_writer *w,
                     struct sm_errinfo *ei)
{
    const unsigned cost = level_cost(t);
    if (cost > levels) return sm_fail(ei, SM_E_ARG, "nested too deep to be encoded");
    levels -= cost;
    uint8_t b[9];
    sm_err err = SM_OK;
    switch (t->kind) {
    case SM_SCALE_U8:
    case SM_SCALE_U16:
    case SM_SCALE_U32:
    case SM_SCALE_U64:
        return put(w, b, sm_scale_compact_put(integer_load(t, obj), b), ei);
    case SM_SCALE_RAW8:
    case SM_SCALE_FIXED:
        return put(w, obj, t->size, ei);
    case SM_SCALE_BOOL:
        b[0] = *(const bool *)obj;
        return put(w, b, 1, ei);
    case SM_SCALE_BYTES:
    case SM_SCALE_TEXT: {
        const struct sm_scale_bytes *s = obj;
        err = put_count(w, t, s->n, ei);
        return err ? err : put(w, s->p, s->n, ei);
    }
    case SM_SCALE_REST: {
        const struct sm_scale_bytes *s = obj;
        if (s->n == 0 || s->n > t->max)
            return sm_fail(ei, SM_E_ARG, "%zu bytes, 1 to %" PRIu32 " may be encoded", s->n, t->max);
        return put(w, s->p, s->n, ei);
    }
    case SM_SCALE_LIST:
        return encode_list(t, obj, levels, w, ei);
    case SM_SCALE_OPTION:
        return encode_option(t, obj, levels, w, ei);
    case SM_SCALE_STRUCT:
        for (size_t i = 0; i < t->fields_n && !err; i++)
            err = encode(t->fields[i].type, field_of(obj, &t->fields[i]), levels, w, ei);
        return err;
    }
    return sm_fail(ei, SM_E_STATE, "unknown kind %d in a description", (int)t->kind);
}

sm_err sm_scale_encode_levels(const struct sm_scale_type *t, const void *obj, unsigned levels,
                              struct sm_scale_writer *w, struct sm_errinfo *ei)
{
    return encode(t, obj, levels, w, ei);
}

sm_err sm_scale_encode(const struct sm_scale_type *t, const void *obj, struct sm_scale_writer *w, struct sm_errinfo *ei)
{
    return encode(t, obj, SM_SCALE_LEVELS_MESSAGE, w, ei);
}

size_t sm_scale_size(const struct sm_scale_type *t, const void *obj)
{
    uint8_t b[9];
    size_t sum = 0;
    switch (t->kind) {
    case SM_SCALE_U8:
    case SM_SCALE_U16:
    case SM_SCALE_U32:
    case SM_SCALE_U64:
        return sm_scale_compact_put(integer_load(t, obj), b);
    case SM_SCALE_RAW8:
    case SM_SCALE_FIXED:
    case SM_SCALE_BOOL:
        return t->kind == SM_SCALE_BOOL ? 1 : t->size;
    case SM_SCALE_BYTES:
    case SM_SCALE_TEXT: {
        const struct sm_scale_bytes *s = obj;
        return s->n > t->max ? 0 : sm_scale_compact_put(s->n, b) + s->n;
    }
    case SM_SCALE_REST: {
        const struct sm_scale_bytes *s = obj;
        return s->n > t->max ? 0 : s->n;
    }
    case SM_SCALE_LIST: {
        const struct sm_scale_list *l = obj;
        if (l->n > t->max) return 0;
        sum = sm_scale_compact_put(l->n, b);
        for (size_t i = 0; i < l->n; i++) {
            const size_t n = sm_scale_size(t->elem, (const uint8_t *)l->p + i * t->elem->size);
            if (!n) return 0;
            sum += n;
        }
        return sum;
    }
    case SM_SCALE_OPTION: {
        const void *v = option_load(obj);
        if (!v) return 1;
        const size_t n = sm_scale_size(t->elem, v);
        return n ? 1 + n : 0;
    }
    case SM_SCALE_STRUCT:
        for (size_t i = 0; i < t->fields_n; i++) {
            const size_t n = sm_scale_size(t->fields[i].type, field_of(obj, &t->fields[i]));
            if (!n) return 0;
            sum += n;
        }
        return sum;
    }
    return 0;
}

/* ---- decode ---- */

struct reader {
    struct sm_slice in;
    size_t at;
    struct sm_arena *arena;
    struct sm_errinfo *ei;
    const char *where; /* innermost named field, for the error text */
};

static sm_err bad(struct reader *r, const char *why)
{
    return sm_fail(r->ei, SM_E_FORMAT, "byte %zu, %s: %s", r->at, r->where ? r->where : "value", why);
}

static sm_err take(struct reader *r, void *out, size_t n)
{
    if (r->in.n - r->at < n) return bad(r, "the input ends too early");
    if (n) memcpy(out, r->in.p + r->at, n);
    r->at += n;
    return SM_OK;
}

static sm_err get_compact(struct reader *r, unsigned bits, uint64_t *out)
{
    const size_t n = sm_scale_compact_get(bits, (struct sm_slice){r->in.p + r->at, r->in.n - r->at}, out);
    if (!n) return bad(r, r->at == r->in.n ? "the input ends too early" : "not a valid compact integer");
    r->at += n;
    return SM_OK;
}

static sm_err get_count(struct reader *r, const struct sm_scale_type *t, size_t elem_min, size_t *out)
{
    uint64_t n;
    sm_err err = get_compact(r, 32, &n);
    if (err) return err;
    if (n > t->max) return bad(r, "more elements than the limit");
    if (elem_min && n > (r->in.n - r->at) / elem_min) return bad(r, "the input is too short for that many elements");
    *out = (size_t)n;
    return SM_OK;
}

static sm_err decode(struct reader *r, const struct sm_scale_type *t, unsigned levels, void *obj);

static sm_err decode_bytes(struct reader *r, const struct sm_scale_type *t, struct sm_scale_bytes *s)
{
    sm_err err = get_count(r, t, 1, &s->n);
    if (err || !s->n) return err;
    s->p = sm_arena_alloc(r->arena, s->n);
    if (!s->p) return sm_fail(r->ei, SM_E_NOMEM, "out of memory decoding %zu bytes", s->n);
    return take(r, s->p, s->n);
}

static sm_err decode_rest(struct reader *r, const struct sm_scale_type *t, struct sm_scale_bytes *s)
{
    const size_t n = r->in.n - r->at;
    if (n == 0) return bad(r, "the input ends too early");
    if (n > t->max) return bad(r, "more bytes than the limit");
    s->p = sm_arena_alloc(r->arena, n);
    if (!s->p) return sm_fail(r->ei, SM_E_NOMEM, "out of memory decoding %zu bytes", n);
    s->n = n;
    return take(r, s->p, n);
}

static sm_err decode_list(struct reader *r, const struct sm_scale_type *t, unsigned levels, struct sm_scale_list *l)
{
    sm_err err = get_count(r, t, min_size(t->elem), &l->n);
    if (err || !l->n) return err;
    l->p = sm_arena_array(r->arena, l->n, t->elem->size);
    if (!l->p) return sm_fail(r->ei, SM_E_NOMEM, "out of memory decoding %zu elements", l->n);
    for (size_t i = 0; i < l->n && !err; i++) err = decode(r, t->elem, levels, (uint8_t *)l->p + i * t->elem->size);
    return err;
}

static sm_err decode_option(struct reader *r, const struct sm_scale_type *t, unsigned levels, void *obj)
{
    uint8_t tag;
    sm_err err = take(r, &tag, 1);
    if (err || tag != 1) return err; /* any other tag reads as absent, as the reference does */
    void *v = sm_arena_alloc(r->arena, t->elem->size);
    if (!v) return sm_fail(r->ei, SM_E_NOMEM, "out of memory decoding an option");
    memcpy(obj, &v, sizeof v);
    return decode(r, t->elem, levels, v);
}

static sm_err decode_struct(struct reader *r, const struct sm_scale_type *t, unsigned levels, void *obj)
{
    for (size_t i = 0; i < t->fields_n; i++) {
        r->where = t->fields[i].name;
        sm_err err = decode(r, t->fields[i].type, levels, (uint8_t *)obj + t->fields[i].offset);
        if (err) return err;
    }
    return SM_OK;
}

static sm_err decode(struct reader *r, const struct sm_scale_type *t, unsigned levels, void *obj)
{
    const unsigned cost = level_cost(t);
    if (cost > levels) return bad(r, "nested too deep");
    levels -= cost;
    uint64_t v = 0;
    sm_err err;
    switch (t->kind) {
    case SM_SCALE_U8:
    case SM_SCALE_U16:
    case SM_SCALE_U32:
    case SM_SCALE_U64:
        err = get_compact(r, (unsigned)t->size * 8, &v);
        if (!err) memcpy(obj, &v, t->size);
        return err;
    case SM_SCALE_RAW8:
    case SM_SCALE_FIXED:
        return take(r, obj, t->size);
    case SM_SCALE_BOOL:
        err = take(r, &v, 1);
        *(bool *)obj = v == 1; /* any other byte is false, as the reference does */
        return err;
    case SM_SCALE_BYTES:
    case SM_SCALE_TEXT:
        return decode_bytes(r, t, obj);
    case SM_SCALE_REST:
        return decode_rest(r, t, obj);
    case SM_SCALE_LIST:
        return decode_list(r, t, levels, obj);
    case SM_SCALE_OPTION:
        return decode_option(r, t, levels, obj);
    case SM_SCALE_STRUCT:
        return decode_struct(r, t, levels, obj);
    }
    return sm_fail(r->ei, SM_E_STATE, "unknown kind %d in a description", (int)t->kind);
}

sm_err sm_scale_decode_prefix(const struct sm_scale_type *t, struct sm_slice in, unsigned levels,
                              struct sm_arena *arena, void *obj, size_t *out_used, struct sm_errinfo *ei)
{
    struct reader r = {.in = in, .arena = arena, .ei = ei, .where = t->name};
    memset(obj, 0, t->size);
    sm_err err = decode(&r, t, levels, obj);
    if (err)
        memset(obj, 0, t->size);
    else
        *out_used = r.at;
    return err;
}

sm_err sm_scale_decode(const struct sm_scale_type *t, struct sm_slice in, struct sm_arena *arena, void *obj,
                       struct sm_errinfo *ei)
{
    size_t used = 0;
    sm_err err = sm_scale_decode_prefix(t, in, SM_SCALE_LEVELS_MESSAGE, arena, obj, &used, ei);
    if (err || used == in.n) return err;
    memset(obj, 0, t->size);
    return sm_fail(ei, SM_E_FORMAT, "%zu bytes are left over after byte %zu", in.n - used, used);
}

/* ---- compare ---- */

static bool lists_equal(const struct sm_scale_type *t, const struct sm_scale_list *a, const struct sm_scale_list *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; i < a->n && same; i++)
        same = sm_scale_equal(t->elem, (const uint8_t *)a->p + i * t->elem->size,
                              (const uint8_t *)b->p + i * t->elem->size);
    return same;
}

bool sm_scale_equal(const struct sm_scale_type *t, const void *a, const void *b)
{
    switch (t->kind) {
    case SM_SCALE_BYTES:
    case SM_SCALE_TEXT:
    case SM_SCALE_REST: {
        const struct sm_scale_bytes *x = a, *y = b;
        return x->n == y->n && (x->n == 0 || memcmp(x->p, y->p, x->n) == 0);
    }
    case SM_SCALE_LIST:
        return lists_equal(t, a, b);
    case SM_SCALE_OPTION: {
        const void *x = option_load(a), *y = option_load(b);
        return x && y ? sm_scale_equal(t->elem, x, y) : x == y;
    }
    case SM_SCALE_STRUCT: {
        bool same = true;
        for (size_t i = 0; i < t->fields_n && same; i++)
            same = sm_scale_equal(t->fields[i].type, field_of(a, &t->fields[i]), field_of(b, &t->fields[i]));
        return same;
    }
    default:
        return memcmp(a, b, t->size) == 0;
    }
}

/* ---- JSON ---- */

#define EXACT_IN_DOUBLE (UINT64_C(1) << 53)

static json_t *json_integer_of(uint64_t v)
{
    char text[24];
    if (v <= EXACT_IN_DOUBLE) return json_integer((json_int_t)v);
    (void)snprintf(text, sizeof text, "%" PRIu64, v);
    return json_string(text);
}

static json_t *json_hex_of(const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * n + 1);
    if (!text) return NULL;
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[p[i] >> 4];
        text[2 * i + 1] = digits[p[i] & 15];
    }
    json_t *j = json_stringn(text, 2 * n);
    free(text);
    return j;
}

static json_t *json_list_of(const struct sm_scale_type *t, const struct sm_scale_list *l)
{
    json_t *a = json_array();
    for (size_t i = 0; a && i < l->n; i++) {
        if (json_array_append_new(a, sm_scale_json(t->elem, (const uint8_t *)l->p + i * t->elem->size)) != 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

static json_t *json_struct_of(const struct sm_scale_type *t, const void *obj)
{
    json_t *o = json_object();
    for (size_t i = 0; o && i < t->fields_n; i++) {
        json_t *v = sm_scale_json(t->fields[i].type, field_of(obj, &t->fields[i]));
        if (json_object_set_new(o, t->fields[i].name, v) != 0) {
            json_decref(o);
            return NULL;
        }
    }
    return o;
}

json_t *sm_scale_json(const struct sm_scale_type *t, const void *obj)
{
    if (is_integer(t)) return json_integer_of(integer_load(t, obj));
    switch (t->kind) {
    case SM_SCALE_RAW8:
        return json_integer(*(const uint8_t *)obj);
    case SM_SCALE_BOOL:
        return json_boolean(*(const bool *)obj);
    case SM_SCALE_FIXED:
        return json_hex_of(obj, t->size);
    case SM_SCALE_TEXT: {
        const struct sm_scale_bytes *s = obj;
        json_t *text = json_stringn(s->n ? (const char *)s->p : "", s->n); /* NULL when it is not UTF-8 */
        return text ? text : json_hex_of(s->p, s->n);
    }
    case SM_SCALE_BYTES:
    case SM_SCALE_REST: {
        const struct sm_scale_bytes *s = obj;
        return json_hex_of(s->p, s->n);
    }
    case SM_SCALE_LIST:
        return json_list_of(t, obj);
    case SM_SCALE_OPTION: {
        const void *v = option_load(obj);
        return v ? sm_scale_json(t->elem, v) : json_null();
    }
    default:
        return json_struct_of(t, obj);
    }
}
