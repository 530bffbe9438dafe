/* tests/support/vectors.h: test vectors from tests/vectors. A missing or malformed file aborts the test. */
#ifndef SM_TESTS_VECTORS_H
#define SM_TESTS_VECTORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Loads tests/vectors/<file>; the caller json_decref()s. */
json_t *vec_load(const char *file);
/* Member access that aborts with the member's name when it is missing or of another type. */
const json_t *vec_get(const json_t *obj, const char *key);
uint64_t vec_u64(const json_t *obj, const char *key); /* integer, or decimal digits in a string */
const char *vec_str(const json_t *obj, const char *key);
/* Hex string member of exactly n bytes. */
void vec_hex(const json_t *obj, const char *key, uint8_t *out, size_t n);
/* Hex string member of any length; *out_n bytes, malloc'd. */
uint8_t *vec_hex_var(const json_t *obj, const char *key, size_t *out_n);
/* Literal hex in a test. */
void hex_to(const char *hex, uint8_t *out, size_t n);

#endif
