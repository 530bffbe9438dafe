#include "libpost/utf8.h"

#include <stdint.h>

/* Length of the sequence that starts with `lead`, and the range of its second byte; 0: no sequence starts so. */
static size_t sequence(uint8_t lead, uint8_t *low, uint8_t *high)
{
    *low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    *high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead < 0x80) return 1;
    if (lead < 0xc2) return 0;
    if (lead < 0xe0) return 2;
    if (lead < 0xf0) return 3;
    return lead < 0xf5 ? 4 : 0;
}

bool sm_utf8_valid(const char *text, size_t n)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + n;
    while (p < end) {
        uint8_t low, high;
        const size_t k = sequence(*p, &low, &high);
        if (k == 0 || k > (size_t)(end - p)) return false;
        if (k > 1 && (p[1] < low || p[1] > high)) return false;
        for (size_t i = 2; i < k; i++)
            if (p[i] < 0x80 || p[i] > 0xbf) return false;
        p += k;
    }
    return true;
}
