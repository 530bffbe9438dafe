/* post/metadata_json.h: a small strict reader of one JSON object (RFC 8259), for the metadata and the side file.
 *
 * Why not a general library: Nonce and LastPosition reach 2^64 - 1 (jansson stops at 2^63 - 1 or goes through double),
 * and members we do not know must be handed on exactly as they were written. */
#ifndef SM_POST_METADATA_JSON_H
#define SM_POST_METADATA_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define SM_JSON_MAX_DEPTH 32 /* ours: the files have 2 levels */

/* A piece of somebody else's text. */
struct sm_json_text {
    const char *p; /* NULL: absent */
    size_t n;
};

/* Checks that the text is one object and nothing else; the functions below rely on it. Bytes above 127 inside strings
 * are not examined. SM_E_FORMAT with byte offset; `where` prefixes the error text. */
SM_MUST_CHECK sm_err sm_json_check(const char *text, size_t n, const char *where, struct sm_errinfo *ei);

/* Walks the members of a checked object: *at starts at 0. False at the end. `name` and `value` are raw: strings with
 * quotes and escapes. */
bool sm_json_next(struct sm_json_text object, size_t *at, struct sm_json_text *name, struct sm_json_text *value);

/* Values as written -> C. False when the value is not of that kind or does not fit. */
bool sm_json_u64(struct sm_json_text value, uint64_t *out);             /* digits only: no sign, fraction, exponent */
bool sm_json_string(struct sm_json_text value, char *out, size_t room); /* unescaped, NUL-terminated; no NUL inside */
bool sm_json_is(struct sm_json_text value, const char *literal); /* exactly "null", "{", …: prefix of the value */

/* Appends the value without white space outside strings to out; returns the new end. Room: value.n bytes. */
char *sm_json_compact(struct sm_json_text value, char *out);

#endif
