/* Lists of hex strings from the vectors, as slices. */
#ifndef SM_TESTS_POET_KIT_H
#define SM_TESTS_POET_KIT_H

#include <criterion/criterion.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "poet/merkle.h"
#include "support/vectors.h"

static inline struct sm_slice kit_hex(const json_t *text, struct sm_arena *arena)
{
    const char *hex = json_string_value(text);
    cr_assert_not_null(hex, "a hex string is expected");
    const size_t n = strlen(hex) / 2;
    uint8_t *p = sm_arena_alloc(arena, n);
    if (n) hex_to(hex, p, n);
    return (struct sm_slice){p, n};
}

static inline struct sm_slice kit_member(const json_t *obj, const char *key, struct sm_arena *arena)
{
    return kit_hex(vec_get(obj, key), arena);
}

static inline struct sm_slice *kit_list(const json_t *list, struct sm_arena *arena, size_t *out_n)
{
    cr_assert(json_is_array(list));
    *out_n = json_array_size(list);
    struct sm_slice *s = sm_arena_array(arena, *out_n, sizeof *s);
    for (size_t i = 0; i < *out_n; i++) s[i] = kit_hex(json_array_get(list, i), arena);
    return s;
}

static inline uint64_t *kit_u64s(const json_t *list, struct sm_arena *arena, size_t *out_n)
{
    cr_assert(json_is_array(list));
    *out_n = json_array_size(list);
    uint64_t *v = sm_arena_array(arena, *out_n, sizeof *v);
    for (size_t i = 0; i < *out_n; i++) v[i] = (uint64_t)json_integer_value(json_array_get(list, i));
    return v;
}

/* The array member `key`, which must have at least `least` cases. */
static inline const json_t *kit_cases(const json_t *obj, const char *key, size_t least)
{
    const json_t *list = vec_get(obj, key);
    cr_assert(json_is_array(list) && json_array_size(list) >= least, "%s has fewer than %zu cases", key, least);
    return list;
}

static inline bool kit_same(struct sm_slice a, struct sm_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline void kit_assert_nodes(const struct sm_merkle_proof *got, const struct sm_slice *want, size_t n)
{
    cr_assert_eq(got->nodes_n, n, "%zu nodes, not %zu", got->nodes_n, n);
    for (size_t i = 0; i < n; i++) cr_assert(kit_same(got->nodes[i], want[i]), "node %zu", i);
}

#endif
