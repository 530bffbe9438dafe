#include "util/text.h"

#include <sodium.h>
#include <string.h>

char *sm_hex_encode(const uint8_t *p, size_t n, char *out)
{
    return sodium_bin2hex(out, SM_HEX_ROOM(n), p, n);
}

sm_err sm_hex_decode(const char *text, const char *what, uint8_t *out, size_t n, struct sm_errinfo *ei)
{
    const size_t len = strlen(text);
    if (len != 2 * n)
        return sm_fail(ei, SM_E_FORMAT, "%s: %zu characters, expected %zu hex digits (%zu bytes)", what, len, 2 * n, n);
    size_t got = 0;
    const char *end = NULL;
    if (sodium_hex2bin(out, n, text, len, NULL, &got, &end) != 0 || got != n || end != text + len)
        return sm_fail(ei, SM_E_FORMAT, "%s: not hex (digits 0-9, a-f)", what);
    return SM_OK;
}

char *sm_base64_encode(const uint8_t *p, size_t n, char *out)
{
    return sodium_bin2base64(out, SM_BASE64_ROOM(n), p, n, sodium_base64_VARIANT_ORIGINAL);
}

sm_err sm_base64_decode_var(const char *text, const char *what, uint8_t *out, size_t room, size_t *out_n,
                            struct sm_errinfo *ei)
{
    size_t got = 0;
    const char *end = NULL;
    const size_t len = strlen(text);
    if (sodium_base642bin(out, room, text, len, NULL, &got, &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
        end != text + len)
        return sm_fail(ei, SM_E_FORMAT, "%s: not base64 of at most %zu bytes (standard alphabet, padded)", what, room);
    *out_n = got;
    return SM_OK;
}

sm_err sm_base64_decode(const char *text, const char *what, uint8_t *out, size_t n, struct sm_errinfo *ei)
{
    size_t got = 0;
    sm_err err = sm_base64_decode_var(text, what, out, n, &got, ei);
    if (err) return sm_fail(ei, err, "%s: not base64 of %zu bytes (standard alphabet, padded)", what, n);
    if (got != n) return sm_fail(ei, SM_E_FORMAT, "%s: %zu bytes, expected %zu", what, got, n);
    return SM_OK;
}
