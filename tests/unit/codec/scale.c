/* Compact integers, descriptions, limits, leniencies. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "codec/atx.h"
#include "codec/scale.h"
#include "support/vectors.h"

static unsigned bits_of(const char *type)
{
    return (unsigned)strtoul(type + strlen("compact"), NULL, 10);
}

Test(compact, encode_vectors)
{
    json_t *j = vec_load("wire-scale.json");
    const json_t *rows = vec_get(j, "encode");
    cr_assert_geq(json_array_size(rows), 21u);
    size_t i, seen = 0;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        static const char *const types[] = {"compact8", "compact16", "compact32", "compact64"};
        for (size_t k = 0; k < 4; k++) {
            const char *hex = json_string_value(json_object_get(row, types[k]));
            if (!hex) continue; /* the value does not fit the type */
            uint8_t want[9], got[9];
            const size_t n = strlen(hex) / 2;
            hex_to(hex, want, n);
            cr_assert_eq(sm_scale_compact_put(vec_u64(row, "value"), got), n);
            cr_assert_arr_eq(got, want, n);
            seen++;
        }
    }
    cr_assert_gt(seen, 40u);
    json_decref(j);
}

Test(compact, decode_vectors)
{
    json_t *j = vec_load("wire-scale.json");
    const json_t *rows = vec_get(j, "decode");
    cr_assert_geq(json_array_size(rows), 144u);
    size_t i, good = 0;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        size_t n;
        uint8_t *in = vec_hex_var(row, "hex", &n);
        uint64_t v = 0;
        const size_t used = sm_scale_compact_get(bits_of(vec_str(row, "type")), (struct sm_slice){in, n}, &v);
        const bool ok = json_is_true(vec_get(row, "ok"));
        cr_assert_eq(used != 0, ok, "row %zu: %s %s", i, vec_str(row, "type"), vec_str(row, "hex"));
        if (ok) {
            cr_assert_eq(v, vec_u64(row, "value"), "row %zu", i);
            cr_assert_eq(used, vec_u64(row, "consumed"), "row %zu", i);
            good++;
        }
        free(in);
    }
    cr_assert(good > 20 && good < json_array_size(rows));
    json_decref(j);
}

Test(compact, booleans_and_whole_messages)
{
    json_t *j = vec_load("wire-scale.json"), *row;
    struct sm_arena arena = {0};
    size_t i, n;
    cr_assert_eq(json_array_size(vec_get(j, "bool_decode")), 4u);
    json_array_foreach(vec_get(j, "bool_decode"), i, row)
    {
        bool v = true;
        uint8_t *in = vec_hex_var(row, "hex", &n);
        cr_assert_eq(sm_scale_decode(&sm_scale_bool, (struct sm_slice){in, n}, &arena, &v, NULL), SM_OK);
        cr_assert_eq(v, json_is_true(vec_get(row, "value")), "row %zu", i);
        free(in);
    }
    cr_assert_eq(json_array_size(vec_get(j, "struct_ATXMetadata_decode")), 3u);
    json_array_foreach(vec_get(j, "struct_ATXMetadata_decode"), i, row)
    {
        struct sm_atx_v1_metadata m;
        uint8_t *in = vec_hex_var(row, "hex", &n);
        const sm_err err = sm_scale_decode(&sm_atx_v1_metadata_type, (struct sm_slice){in, n}, &arena, &m, NULL);
        cr_assert_eq(err, json_is_true(vec_get(row, "ok")) ? SM_OK : SM_E_FORMAT, "%s", vec_str(row, "case"));
        free(in);
    }
    sm_arena_free(&arena);
    json_decref(j);
}

/* ---- a description with every kind ---- */

struct inner {
    uint32_t a;
    uint8_t id[32];
};
struct outer {
    uint8_t u8;
    uint16_t u16;
    uint64_t u64;
    uint8_t raw;
    bool flag;
    struct sm_scale_bytes bytes;
    struct sm_scale_list inners;
    struct inner *maybe;
    uint64_t *maybe_u64;
    struct inner in_place;
    struct sm_scale_list layers;
};
static const struct sm_scale_field inner_fields[] = {SM_SCALE_FIELD(struct inner, a, &sm_scale_u32),
                                                     SM_SCALE_FIELD(struct inner, id, &sm_scale_b32)};
static const struct sm_scale_type inner_type = SM_SCALE_STRUCT_OF(struct inner, "inner", inner_fields);
static const struct sm_scale_type bytes_type = SM_SCALE_BYTES_OF(8);
static const struct sm_scale_type inners_type = SM_SCALE_LIST_OF(&inner_type, 3);
static const struct sm_scale_type maybe_type = SM_SCALE_OPTION_OF(&inner_type);
static const struct sm_scale_type maybe_u64_type = SM_SCALE_OPTION_OF(&sm_scale_u64);
static const struct sm_scale_type layers_type = SM_SCALE_LIST_OF(&sm_scale_u32, 100);
static const struct sm_scale_field outer_fields[] = {
    SM_SCALE_FIELD(struct outer, u8, &sm_scale_u8),
    SM_SCALE_FIELD(struct outer, u16, &sm_scale_u16),
    SM_SCALE_FIELD(struct outer, u64, &sm_scale_u64),
    SM_SCALE_FIELD(struct outer, raw, &sm_scale_raw8),
    SM_SCALE_FIELD(struct outer, flag, &sm_scale_bool),
    SM_SCALE_FIELD(struct outer, bytes, &bytes_type),
    SM_SCALE_FIELD(struct outer, inners, &inners_type),
    SM_SCALE_FIELD(struct outer, maybe, &maybe_type),
    SM_SCALE_FIELD(struct outer, maybe_u64, &maybe_u64_type),
    SM_SCALE_FIELD(struct outer, in_place, &inner_type),
    SM_SCALE_FIELD(struct outer, layers, &layers_type),
};
static const struct sm_scale_type outer_type = SM_SCALE_STRUCT_OF(struct outer, "outer", outer_fields);

static uint64_t rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s >> (*s & 63); /* all magnitudes */
}

static void random_outer(uint64_t *s, struct outer *o, struct sm_arena *a)
{
    memset(o, 0, sizeof *o);
    o->u8 = (uint8_t)rnd(s);
    o->u16 = (uint16_t)rnd(s);
    o->u64 = rnd(s);
    o->raw = (uint8_t)rnd(s);
    o->flag = rnd(s) & 1;
    o->bytes.n = rnd(s) % 9;
    o->bytes.p = sm_arena_alloc(a, o->bytes.n);
    for (size_t i = 0; i < o->bytes.n; i++) o->bytes.p[i] = (uint8_t)rnd(s);
    o->inners.n = rnd(s) % 4;
    o->inners.p = sm_arena_array(a, o->inners.n, sizeof(struct inner));
    for (size_t i = 0; i < o->inners.n; i++) ((struct inner *)o->inners.p)[i].a = (uint32_t)rnd(s);
    if (rnd(s) & 1) (o->maybe = sm_arena_alloc(a, sizeof *o->maybe))->a = (uint32_t)rnd(s);
    if (rnd(s) & 1) *(o->maybe_u64 = sm_arena_alloc(a, 8)) = rnd(s);
    o->in_place.a = (uint32_t)rnd(s);
    o->layers.n = rnd(s) % 101;
    o->layers.p = sm_arena_array(a, o->layers.n, 4);
    for (size_t i = 0; i < o->layers.n; i++) ((uint32_t *)o->layers.p)[i] = (uint32_t)rnd(s);
}

Test(scale, round_trips_truncation_and_trailing_bytes)
{
    uint64_t seed = 0x5eed0001;
    cr_log_info("seed %llx", (unsigned long long)seed);
    for (int round = 0; round < 300; round++) {
        struct sm_arena arena = {0}, again = {0};
        struct sm_scale_writer w = {0}, w2 = {0};
        struct outer o, back;
        random_outer(&seed, &o, &arena);
        cr_assert_eq(sm_scale_encode(&outer_type, &o, &w, NULL), SM_OK);
        cr_assert_eq(sm_scale_size(&outer_type, &o), w.n);
        cr_assert_eq(sm_scale_decode(&outer_type, (struct sm_slice){w.p, w.n}, &again, &back, NULL), SM_OK);
        cr_assert(sm_scale_equal(&outer_type, &o, &back));
        cr_assert_eq(sm_scale_encode(&outer_type, &back, &w2, NULL), SM_OK);
        cr_assert_eq(w2.n, w.n);
        cr_assert_arr_eq(w2.p, w.p, w.n);
        for (size_t n = 0; n < w.n; n++) {
            uint8_t *exact = malloc(n + 1); /* its end is the end of the heap block: ASan sees any over-read */
            memcpy(exact, w.p, n);
            uint8_t *tight = realloc(exact, n ? n : 1);
            cr_assert_eq(sm_scale_decode(&outer_type, (struct sm_slice){tight, n}, &again, &back, NULL), SM_E_FORMAT);
            free(tight);
        }
        cr_assert_eq(sm_scale_encode(&sm_scale_raw8, &o.raw, &w, NULL), SM_OK);
        cr_assert_eq(sm_scale_decode(&outer_type, (struct sm_slice){w.p, w.n}, &again, &back, NULL), SM_E_FORMAT);
        sm_arena_free(&arena);
        sm_arena_free(&again);
        sm_scale_writer_fini(&w);
        sm_scale_writer_fini(&w2);
    }
}

Test(scale, mutated_input_is_refused_or_canonical_again)
{
    uint64_t seed = 0x5eed0002;
    cr_log_info("seed %llx", (unsigned long long)seed);
    unsigned accepted = 0;
    for (int round = 0; round < 3000; round++) {
        struct sm_arena arena = {0};
        struct sm_scale_writer w = {0}, w2 = {0}, w3 = {0};
        struct outer o, once, twice;
        random_outer(&seed, &o, &arena);
        cr_assert_eq(sm_scale_encode(&outer_type, &o, &w, NULL), SM_OK);
        w.p[rnd(&seed) % w.n] ^= (uint8_t)(1u << (rnd(&seed) & 7));
        if (!sm_scale_decode(&outer_type, (struct sm_slice){w.p, w.n}, &arena, &once, NULL)) {
            accepted++;
            cr_assert_eq(sm_scale_encode(&outer_type, &once, &w2, NULL), SM_OK);
            cr_assert_eq(sm_scale_decode(&outer_type, (struct sm_slice){w2.p, w2.n}, &arena, &twice, NULL), SM_OK);
            cr_assert_eq(sm_scale_encode(&outer_type, &twice, &w3, NULL), SM_OK);
            cr_assert_eq(w3.n, w2.n);
            cr_assert_arr_eq(w3.p, w2.p, w2.n);
        }
        sm_arena_free(&arena);
        sm_scale_writer_fini(&w);
        sm_scale_writer_fini(&w2);
        sm_scale_writer_fini(&w3);
    }
    cr_assert_gt(accepted, 100u);
}

Test(scale, lenient_where_the_reference_is)
{
    struct sm_arena arena = {0};
    bool flag = true;
    cr_assert_eq(sm_scale_decode(&sm_scale_bool, (struct sm_slice){(const uint8_t *)"\x02", 1}, &arena, &flag, NULL), SM_OK);
    cr_assert_not(flag);
    uint64_t *opt = NULL;
    cr_assert_eq(sm_scale_decode(&maybe_u64_type, (struct sm_slice){(const uint8_t *)"\x02", 1}, &arena, &opt, NULL), SM_OK);
    cr_assert_null(opt);
    uint64_t v = 0; /* mode 3 with superfluous bytes */
    cr_assert_eq(sm_scale_decode(&sm_scale_u64, (struct sm_slice){(const uint8_t *)"\x07\xff\xff\xff\xff\x00", 6}, &arena, &v, NULL),
                 SM_OK);
    cr_assert_eq(v, 4294967295u);
    sm_arena_free(&arena);
}

Test(scale, counts_never_allocate_more_than_the_input_justifies)
{
    struct sm_arena arena = {0};
    static const struct sm_scale_type big = SM_SCALE_LIST_OF(&sm_scale_b32, 8000000);
    struct sm_scale_list l;
    uint8_t in[9 + 31];
    memset(in, 0, sizeof in);
    (void)sm_scale_compact_put(8000000, in);
    cr_assert_eq(sm_scale_decode(&big, (struct sm_slice){in, sizeof in}, &arena, &l, NULL), SM_E_FORMAT);
    cr_assert_eq(arena.used, 0u);
    cr_assert_null(l.p);
}

Test(scale, limits_and_levels)
{
    struct sm_arena arena = {0};
    struct sm_scale_writer w = {0};
    struct sm_scale_bytes nine = {(uint8_t *)"123456789", 9};
    cr_assert_eq(sm_scale_encode(&bytes_type, &nine, &w, NULL), SM_E_ARG);
    cr_assert_eq(sm_scale_size(&bytes_type, &nine), 0u);
    uint8_t in[10] = {9 << 2, '1'};
    cr_assert_eq(sm_scale_decode(&bytes_type, (struct sm_slice){in, 10}, &arena, &nine, NULL), SM_E_FORMAT);
    struct sm_scale_list l = {(struct inner[1]){{0}}, 1};
    cr_assert_eq(sm_scale_encode_levels(&inners_type, &l, 0, &w, NULL), SM_E_ARG);
    cr_assert_eq(sm_scale_encode_levels(&inners_type, &l, 1, &w, NULL), SM_OK);
    sm_scale_writer_fini(&w);
    sm_arena_free(&arena);
}

Test(scale, json_shows_every_field)
{
    uint64_t seed = 7;
    struct sm_arena arena = {0};
    struct outer o;
    random_outer(&seed, &o, &arena);
    o.u64 = UINT64_MAX;
    json_t *j = sm_scale_json(&outer_type, &o);
    cr_assert_eq(json_object_size(j), sizeof outer_fields / sizeof outer_fields[0]);
    cr_assert_str_eq(json_string_value(json_object_get(j, "u64")), "18446744073709551615");
    cr_assert_eq(json_array_size(json_object_get(j, "layers")), o.layers.n);
    cr_assert_eq(json_string_length(json_object_get(json_object_get(j, "in_place"), "id")), 64u);
    json_decref(j);
    sm_arena_free(&arena);
}
