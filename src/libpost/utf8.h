/* libpost/utf8.h: the published interface takes paths as UTF-8 and refuses others. */
#ifndef SM_LIBPOST_UTF8_H
#define SM_LIBPOST_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Unicode's well-formed sequences: shortest forms, no surrogates, nothing above U+10FFFF. Source: RFC 3629. */
bool sm_utf8_valid(const char *text, size_t n);

#endif
