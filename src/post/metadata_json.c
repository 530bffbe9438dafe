#include "post/metadata_json.h"

#include <string.h>

/* Position in the text; every scan_ function moves it behind what it recognised, or to the offending byte. */
struct scan {
    const char *p, *end;
    int depth;
};

static bool scan_value(struct scan *s);

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) s->p++;
}

static bool scan_char(struct scan *s, char c)
{
    skip_space(s);
    if (s->p == s->end || *s->p != c) return false;
    s->p++;
    return true;
}

static bool is_digit(const struct scan *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* p is behind the backslash. */
static bool scan_escape(struct scan *s)
{
    if (s->p == s->end) return false;
    if (*s->p != 'u') {
        if (*s->p == '\0' || !strchr("\"\\/bfnrt", *s->p)) return false;
        s->p++;
        return true;
    }
    s->p++;
    for (int i = 0; i < 4; i++, s->p++)
        if (s->p == s->end || hex_digit(*s->p) < 0) return false;
    return true;
}

static bool scan_string(struct scan *s)
{
    if (!scan_char(s, '"')) return false;
    while (s->p < s->end) {
        const unsigned char c = (unsigned char)*s->p;
        if (c < 0x20) return false;
        s->p++;
        if (c == '"') return true;
        if (c == '\\' && !scan_escape(s)) return false;
    }
    return false;
}

static bool scan_digits(struct scan *s)
{
    if (!is_digit(s)) return false;
    while (is_digit(s)) s->p++;
    return true;
}

static bool scan_number(struct scan *s)
{
    if (s->p < s->end && *s->p == '-') s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!scan_digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!scan_digits(s)) return false;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-')) s->p++;
        if (!scan_digits(s)) return false;
    }
    return true;
}

static bool scan_literal(struct scan *s, const char *word)
{
    const size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0) return false;
    s->p += n;
    return true;
}

/* p is behind the opening bracket. */
static bool scan_members(struct scan *s, bool named, char close)
{
    if (scan_char(s, close)) return true;
    do {
        if (named && (!scan_string(s) || !scan_char(s, ':'))) return false;
        if (!scan_value(s)) return false;
    } while (scan_char(s, ','));
    return scan_char(s, close);
}

static bool scan_value(struct scan *s)
{
    skip_space(s);
    if (s->p == s->end) return false;
    const char c = *s->p;
    if (c == '"') return scan_string(s);
    if (c == 't') return scan_literal(s, "true");
    if (c == 'f') return scan_literal(s, "false");
    if (c == 'n') return scan_literal(s, "null");
    if (c != '{' && c != '[') return scan_number(s);
    if (s->depth == SM_JSON_MAX_DEPTH) return false;
    s->p++;
    s->depth++;
    const bool ok = scan_members(s, c == '{', c == '{' ? '}' : ']');
    s->depth--;
    return ok;
}

sm_err sm_json_check(const char *text, size_t n, const char *where, struct sm_errinfo *ei)
{
    struct scan s = {.p = text, .end = text + n};
    skip_space(&s);
    if (s.p == s.end) return sm_fail(ei, SM_E_FORMAT, "%s is empty", where);
    if (*s.p == '{' && scan_value(&s)) {
        skip_space(&s);
        if (s.p == s.end) return SM_OK;
    }
    return sm_fail(ei, SM_E_FORMAT, "%s is not a JSON object: unexpected %s at byte %zu", where,
                   s.p == s.end ? "end" : "character", (size_t)(s.p - text));
}

bool sm_json_next(struct sm_json_text object, size_t *at, struct sm_json_text *name, struct sm_json_text *value)
{
    struct scan s = {.p = object.p + *at, .end = object.p + object.n};
    (void)scan_char(&s, *at == 0 ? '{' : ',');
    skip_space(&s);
    name->p = s.p;
    if (!scan_string(&s)) return false;
    name->n = (size_t)(s.p - name->p);
    (void)scan_char(&s, ':');
    skip_space(&s);
    value->p = s.p;
    (void)scan_value(&s);
    value->n = (size_t)(s.p - value->p);
    *at = (size_t)(s.p - object.p);
    return true;
}

bool sm_json_u64(struct sm_json_text value, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9') return false;
        if (__builtin_mul_overflow(v, 10u, &v)) return false;
        if (__builtin_add_overflow(v, (unsigned)(value.p[i] - '0'), &v)) return false;
    }
    if (value.n == 0) return false;
    *out = v;
    return true;
}

/* UTF-8 of one UTF-16 unit; halves of pairs are encoded one by one: such names are never ours. */
static size_t put_utf8(unsigned u, char out[3])
{
    if (u < 0x80) {
        out[0] = (char)u;
        return 1;
    }
    if (u < 0x800) {
        out[0] = (char)(0xc0 | (u >> 6));
        out[1] = (char)(0x80 | (u & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | (u >> 12));
    out[1] = (char)(0x80 | ((u >> 6) & 0x3f));
    out[2] = (char)(0x80 | (u & 0x3f));
    return 3;
}

/* One character or escape at p (checked text); moves p behind it. */
static size_t unescape(const char **p, char out[3])
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *q = *p;
    if (*q != '\\') {
        out[0] = *q;
        *p = q + 1;
        return 1;
    }
    if (q[1] == 'u') {
        unsigned u = 0;
        for (int i = 2; i < 6; i++) u = u << 4 | (unsigned)hex_digit(q[i]);
        *p = q + 6;
        return put_utf8(u, out);
    }
    const char *hit = strchr(from, q[1]);
    out[0] = hit ? to[hit - from] : q[1];
    *p = q + 2;
    return 1;
}

bool sm_json_string(struct sm_json_text value, char *out, size_t room)
{
    if (value.n < 2 || value.p[0] != '"') return false;
    const char *p = value.p + 1, *end = value.p + value.n - 1;
    size_t n = 0;
    while (p < end) {
        char c[3];
        const size_t k = unescape(&p, c);
        if (c[0] == '\0' || n + k >= room) return false;
        memcpy(out + n, c, k);
        n += k;
    }
    if (n >= room) return false;
    out[n] = '\0';
    return true;
}

bool sm_json_is(struct sm_json_text value, const char *literal)
{
    const size_t n = strlen(literal);
    return value.p && value.n >= n && memcmp(value.p, literal, n) == 0;
}

char *sm_json_compact(struct sm_json_text value, char *out)
{
    bool inside = false;
    for (size_t i = 0; i < value.n; i++) {
        const char c = value.p[i];
        if (!inside && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) continue;
        *out++ = c;
        if (c == '"') inside = !inside;
        if (c == '\\') *out++ = value.p[++i]; /* only inside strings; always followed by something */
    }
    return out;
}
