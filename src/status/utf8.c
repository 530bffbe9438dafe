#include "status/utf8.h"

#include <string.h>

size_t sm_utf8_char(const char *text, uint32_t *out)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *p = (const unsigned char *)text;
    const size_t n = p[0] < 0x80             ? 1
                     : (p[0] & 0xe0) == 0xc0 ? 2
                     : (p[0] & 0xf0) == 0xe0 ? 3
                     : (p[0] & 0xf8) == 0xf0 ? 4
                                             : 0;
    if (!n) return 0;
    uint32_t code = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0; /* NUL included: never reads beyond the end */
        code = code << 6 | (p[i] & 0x3fu);
    }
    if (code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0;
    if (out) *out = code;
    return n;
}

char *sm_utf8_clean(const char *text, char *out, size_t room)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t at = 0;
    while (*text) {
        const size_t good = sm_utf8_char(text, NULL), n = good ? good : sizeof replacement - 1;
        if (at + n >= room) break;
        memcpy(out + at, good ? text : replacement, n);
        at += n;
        text += good ? good : 1;
    }
    out[at] = '\0';
    return out;
}
