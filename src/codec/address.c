#include "codec/address.h"

#include <stdio.h>
#include <string.h>

#include "crypto/blake3.h"

#define CHECKSUM 6u  /* characters */
#define SYMBOLS  39u /* characters of 24 bytes: 192 bits and 3 of padding */
#define TEXT_MAX 90u /* BIP-173 */

const struct sm_address sm_template_wallet = {{[23] = 1}}, sm_template_multisig = {{[23] = 2}},
                        sm_template_vesting = {{[23] = 3}}, sm_template_vault = {{[23] = 4}};

struct sm_address sm_address_of(const struct sm_address *template_address, struct sm_slice spawn_arguments)
{
    struct sm_address out = {{0}};
    struct sm_blake3 h;
    uint8_t full[32];
    sm_blake3_init(&h);
    sm_blake3_update(&h, template_address->b, sizeof template_address->b);
    sm_blake3_update(&h, spawn_arguments.p, spawn_arguments.n);
    sm_blake3_final(&h, full);
    memcpy(out.b + 4, full + 12, 20);
    return out;
}

struct sm_address sm_address_of_wallet(const uint8_t public_key[32])
{
    return sm_address_of(&sm_template_wallet, (struct sm_slice){public_key, 32});
}

/* ---- Bech32 ---- */

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static uint32_t step(uint32_t c, uint8_t symbol)
{
    static const uint32_t generator[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
    const uint32_t top = c >> 25;
    c = (c & 0x1ffffff) << 5 ^ symbol;
    for (int i = 0; i < 5; i++)
        if (top >> i & 1) c ^= generator[i];
    return c;
}

static uint32_t checksum(const char *hrp, size_t hrp_n, const uint8_t *symbols, size_t n)
{
    uint32_t c = 1;
    for (size_t i = 0; i < hrp_n; i++) c = step(c, (uint8_t)hrp[i] >> 5);
    c = step(c, 0);
    for (size_t i = 0; i < hrp_n; i++) c = step(c, (uint8_t)hrp[i] & 31);
    for (size_t i = 0; i < n; i++) c = step(c, symbols[i]);
    return c;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

bool sm_hrp_valid(const char *hrp)
{
    const size_t n = strlen(hrp);
    if (n == 0 || n > SM_HRP_MAX || !is_lower(hrp[0])) return false;
    for (size_t i = 0; i < n; i++)
        if (!is_lower(hrp[i]) && !(hrp[i] >= '0' && hrp[i] <= '9')) return false;
    return true;
}

sm_err sm_address_encode(const struct sm_address *address, const char *hrp, char out[SM_ADDRESS_ROOM],
                         struct sm_errinfo *ei)
{
    if (!sm_hrp_valid(hrp))
        return sm_fail(ei, SM_E_ARG, "'%.40s' is no network prefix: up to %u lower-case letters and digits", hrp,
                       SM_HRP_MAX);
    uint8_t symbols[SYMBOLS + CHECKSUM] = {0};
    for (size_t bit = 0; bit < 8 * sizeof address->b; bit++)
        symbols[bit / 5] |= (uint8_t)((address->b[bit / 8] >> (7 - bit % 8) & 1) << (4 - bit % 5));
    const size_t hrp_n = strlen(hrp);
    const uint32_t sum = checksum(hrp, hrp_n, symbols, sizeof symbols) ^ 1;
    for (size_t i = 0; i < CHECKSUM; i++) symbols[SYMBOLS + i] = sum >> (5 * (CHECKSUM - 1 - i)) & 31;
    memcpy(out, hrp, hrp_n);
    out[hrp_n] = '1';
    for (size_t i = 0; i < sizeof symbols; i++) out[hrp_n + 1 + i] = alphabet[symbols[i]];
    out[hrp_n + 1 + sizeof symbols] = '\0';
    return SM_OK;
}

/* Printable ASCII of one case, copied in lower case. */
static sm_err lower(const char *text, char out[TEXT_MAX + 1], struct sm_errinfo *ei)
{
    bool any_lower = false, any_upper = false;
    const size_t n = strnlen(text, TEXT_MAX + 1);
    if (n > TEXT_MAX) return sm_fail(ei, SM_E_FORMAT, "the address is longer than %u characters", TEXT_MAX);
    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return sm_fail(ei, SM_E_FORMAT, "character %zu of the address is not printable ASCII", i + 1);
        any_lower |= is_lower(text[i]);
        any_upper |= is_upper(text[i]);
        out[i] = is_upper(text[i]) ? (char)(text[i] - 'A' + 'a') : text[i];
    }
    if (any_lower && any_upper) return sm_fail(ei, SM_E_FORMAT, "the address mixes upper and lower case");
    out[n] = '\0';
    return SM_OK;
}

/* Checks the form and the checksum; `symbols` receives what lies between prefix and checksum. */
static sm_err bech32_decode(const char *text, size_t *out_hrp_n, uint8_t symbols[TEXT_MAX], size_t *out_n,
                            struct sm_errinfo *ei)
{
    const char *separator = strrchr(text, '1');
    if (!separator || separator == text)
        return sm_fail(ei, SM_E_FORMAT, "the address has no network prefix (\"sm1...\")");
    const size_t n = strlen(separator + 1);
    if (n < CHECKSUM) return sm_fail(ei, SM_E_FORMAT, "the address is too short: it has no checksum");
    for (size_t i = 0; i < n; i++) {
        const char c = separator[1 + i];
        const char *at = strchr(alphabet, c);
        if (!at) return sm_fail(ei, SM_E_FORMAT, "the character '%c' does not occur in addresses", c);
        symbols[i] = (uint8_t)(at - alphabet);
    }
    *out_hrp_n = (size_t)(separator - text);
    *out_n = n - CHECKSUM;
    if (checksum(text, *out_hrp_n, symbols, n) != 1)
        return sm_fail(ei, SM_E_FORMAT, "the checksum of the address is wrong: a character is mistyped or missing");
    return SM_OK;
}

static sm_err regroup(const uint8_t symbols[SYMBOLS], struct sm_address *out, struct sm_errinfo *ei)
{
    if (symbols[SYMBOLS - 1] & 7) return sm_fail(ei, SM_E_FORMAT, "the padding bits of the address are not zero");
    memset(out, 0, sizeof *out);
    for (size_t bit = 0; bit < 8 * sizeof out->b; bit++)
        out->b[bit / 8] |= (uint8_t)((symbols[bit / 5] >> (4 - bit % 5) & 1) << (7 - bit % 8));
    for (size_t i = 0; i < 4; i++)
        if (out->b[i])
            return sm_fail(ei, SM_E_FORMAT, "the first four bytes of the address are reserved and must be zero");
    return SM_OK;
}

sm_err sm_address_decode(const char *text, const char *hrp, struct sm_address *out, char out_hrp[SM_HRP_MAX + 1],
                         struct sm_errinfo *ei)
{
    char copy[TEXT_MAX + 1];
    uint8_t symbols[TEXT_MAX];
    size_t hrp_n = 0, n = 0;
    sm_err err = lower(text, copy, ei);
    if (!err) err = bech32_decode(copy, &hrp_n, symbols, &n, ei);
    if (err) return err;
    copy[hrp_n] = '\0';
    if (n != SYMBOLS)
        return sm_fail(ei, SM_E_FORMAT, "the address has %zu characters between prefix and checksum, not %u", n,
                       SYMBOLS);
    if (hrp && strcmp(copy, hrp) != 0)
        return sm_fail(ei, SM_E_MISMATCH, "the address is of network '%s', not of '%s'", copy, hrp);
    if (!sm_hrp_valid(copy)) return sm_fail(ei, SM_E_FORMAT, "'%s' is no network prefix", copy);
    struct sm_address found;
    err = regroup(symbols, &found, ei);
    if (err) return err;
    *out = found;
    if (out_hrp) memcpy(out_hrp, copy, hrp_n + 1);
    return SM_OK;
}
