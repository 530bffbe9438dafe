#include "support/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

static void die(const char *what, const char *key)
{
    (void)fprintf(stderr, "test vectors: %s: %s\n", what, key);
    abort();
}

json_t *vec_load(const char *file)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", SM_TEST_VECTORS, file);
    json_error_t e;
    json_t *j = json_load_file(path, 0, &e);
    if (!j) die(e.text, path);
    return j;
}

const json_t *vec_get(const json_t *obj, const char *key)
{
    const json_t *v = json_object_get(obj, key);
    if (!v) die("missing member", key);
    return v;
}

uint64_t vec_u64(const json_t *obj, const char *key)
{
    const json_t *v = vec_get(obj, key);
    if (json_is_integer(v)) return (uint64_t)json_integer_value(v);
    if (!json_is_string(v)) die("not a number", key);
    return strtoull(json_string_value(v), NULL, 10);
}

const char *vec_str(const json_t *obj, const char *key)
{
    const json_t *v = vec_get(obj, key);
    if (!json_is_string(v)) die("not a string", key);
    return json_string_value(v);
}

void hex_to(const char *hex, uint8_t *out, size_t n)
{
    struct sm_errinfo ei = {0};
    if (sm_hex_decode(hex, "hex", out, n, &ei)) die(ei.text, hex);
}

void vec_hex(const json_t *obj, const char *key, uint8_t *out, size_t n)
{
    hex_to(vec_str(obj, key), out, n);
}

uint8_t *vec_hex_var(const json_t *obj, const char *key, size_t *out_n)
{
    const char *hex = vec_str(obj, key);
    *out_n = strlen(hex) / 2;
    uint8_t *p = malloc(*out_n + 1);
    if (!p) die("out of memory", key);
    hex_to(hex, p, *out_n);
    return p;
}
