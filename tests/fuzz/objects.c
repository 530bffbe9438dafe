/* Every decoder: the first byte chooses the type. No input crashes it; what is accepted re-encodes to canonical bytes that
 * decode to the same object, have the size that was promised, and the same identifiers and verdicts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds) abort();
}

static void facts(const struct sm_object *o, const void *obj, struct sm_slice received, struct sm_object_facts *out)
{
    static const struct sm_genesis_id genesis = {{1, 2, 3}};
    static const struct sm_beacon beacon = {{4, 5, 6, 7}};
    static const uint64_t nonce = 1;
    const struct sm_object_context known = {&genesis, &beacon, &nonce, 4032, received};
    struct sm_errinfo ei = {0};
    memset(out, 0, sizeof *out);
    check(sm_object_facts_of(o, obj, &known, out, &ei) == SM_OK);
}

static void same_facts(const struct sm_object_facts *a, const struct sm_object_facts *b)
{
    check(a->ids_n == b->ids_n && a->checks_n == b->checks_n);
    for (size_t i = 0; i < a->ids_n; i++) check(memcmp(a->ids[i].b, b->ids[i].b, a->ids[i].n) == 0);
    for (size_t i = 0; i < a->checks_n; i++) check(a->checks[i].known == b->checks[i].known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    const struct sm_object *o = &sm_objects[data[0] % sm_objects_n];
    struct sm_errinfo ei = {0};
    struct sm_arena arena = {0};
    struct sm_scale_writer w = {0}, again = {0};
    struct sm_object_facts first, second;
    void *obj = NULL, *copy = NULL;
    sm_err err = sm_object_decode(o, (struct sm_slice){data + 1, size - 1}, &arena, &obj, &ei);
    check(arena.used <= 4096 + 64 * size);
    if (err) {
        check(err == SM_E_FORMAT && ei.text[0] != '\0');
        goto out;
    }
    check(sm_object_encode(o, obj, &w, &ei) == SM_OK && w.n <= size - 1);
    if (o->form == SM_OBJECT_SCALE) check(sm_scale_size(o->type, obj) == w.n);
    check(sm_object_decode(o, (struct sm_slice){w.p, w.n}, &arena, &copy, &ei) == SM_OK);
    if (o->form == SM_OBJECT_SCALE) check(sm_scale_equal(o->type, obj, copy));
    check(sm_object_encode(o, copy, &again, &ei) == SM_OK && again.n == w.n);
    check(w.n == 0 || memcmp(w.p, again.p, w.n) == 0);
    facts(o, obj, (struct sm_slice){0}, &first);
    facts(o, copy, (struct sm_slice){0}, &second);
    same_facts(&first, &second);
    facts(o, obj, (struct sm_slice){data + 1, size - 1}, &second); /* of a transaction they may be others */
    check(second.ids_n == first.ids_n && second.checks_n == first.checks_n);
    json_t *json = sm_object_json(o, obj);
    check(json != NULL);
    json_decref(json);
out:
    sm_scale_writer_fini(&w);
    sm_scale_writer_fini(&again);
    sm_arena_free(&arena);
    return 0;
}
