/* util/text.h: hex and base64 of fixed-length values, as files and flags spell them. Thin over libsodium.
 *
 * Decoders are strict: exact length, no white space, no prefix. `what` names the value in the error text,
 * for example "NodeId" or "--challenge". */
#ifndef SM_UTIL_TEXT_H
#define SM_UTIL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* Room for the text of n bytes, terminator included. */
#define SM_HEX_ROOM(n) (2u * (n) + 1u)
#define SM_BASE64_ROOM(n) ((((n) + 2u) / 3u) * 4u + 1u)

/* Lower-case hex; `out` has SM_HEX_ROOM(n) bytes. Returns `out`. */
char *sm_hex_encode(const uint8_t *p, size_t n, char *out);

/* Upper or lower case, exactly 2 n digits. SM_E_FORMAT otherwise. */
SM_MUST_CHECK sm_err sm_hex_decode(const char *text, const char *what, uint8_t *out, size_t n, struct sm_errinfo *ei);

/* Standard alphabet, padded; `out` has SM_BASE64_ROOM(n) bytes. Returns `out`. */
char *sm_base64_encode(const uint8_t *p, size_t n, char *out);

/* Standard alphabet, padded, must decode to exactly n bytes. SM_E_FORMAT otherwise. */
SM_MUST_CHECK sm_err sm_base64_decode(const char *text, const char *what, uint8_t *out, size_t n,
                                      struct sm_errinfo *ei);

/* As sm_base64_decode, for at most `room` bytes; *out_n receives the length. */
SM_MUST_CHECK sm_err sm_base64_decode_var(const char *text, const char *what, uint8_t *out, size_t room,
                                          size_t *out_n, struct sm_errinfo *ei);

#endif
