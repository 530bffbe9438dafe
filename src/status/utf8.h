/* status/utf8.h: texts from disks and peers, made fit for JSON, Prometheus and terminals. Pure. */
#ifndef SM_STATUS_UTF8_H
#define SM_STATUS_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that text starts with; 0 when these bytes are no UTF-8 (surrogates and overlong forms are
 * none). *out, which may be NULL, receives the code point. `text` ends with NUL, which counts as a character of 1. */
size_t sm_utf8_char(const char *text, uint32_t *out);

/* Room for any text of n - 1 bytes after sm_utf8_clean. */
#define SM_UTF8_ROOM(n) (3u * (n))
/* Copies with U+FFFD for each byte that is no UTF-8. Returns `out`; cut between characters at `room`. */
char *sm_utf8_clean(const char *text, char *out, size_t room);

#endif
