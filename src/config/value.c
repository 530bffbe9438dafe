#include "config/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/bytes.h"

/* Leading digits; NULL when there is none or they overflow. Returns the first character after them. */
static const char *digits(const char *text, uint64_t *out)
{
    uint64_t v = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (sm_mul_overflows_u64(v, 10, &v) || sm_add_overflows_u64(v, (uint64_t)(*p - '0'), &v)) return NULL;
    }
    *out = v;
    return p == text ? NULL : p;
}

static sm_err check_range(const char *text, const char *what, uint64_t v, uint64_t min, uint64_t max,
                          struct sm_errinfo *ei)
{
    if (v >= min && v <= max) return SM_OK;
    if (max == UINT64_MAX) return sm_fail(ei, SM_E_FORMAT, "%s: %s is below the minimum of %" PRIu64, what, text, min);
    return sm_fail(ei, SM_E_FORMAT, "%s: %s is outside %" PRIu64 " ... %" PRIu64, what, text, min, max);
}

sm_err sm_value_u64(const char *text, const char *what, uint64_t min, uint64_t max, uint64_t *out,
                    struct sm_errinfo *ei)
{
    uint64_t v = 0;
    const char *end = digits(text, &v);
    if (!end || *end) return sm_fail(ei, SM_E_FORMAT, "%s: '%s' is not a whole number", what, text);
    sm_err err = check_range(text, what, v, min, max, ei);
    if (!err) *out = v;
    return err;
}

static bool unit_of(const char *unit, uint64_t *out)
{
    static const char prefixes[] = "KMGTP";
    *out = 1;
    if (!*unit || strcasecmp(unit, "B") == 0) return true;
    const char *at = strchr(prefixes, toupper((unsigned char)*unit));
    if (!at) return false;
    const char *rest = unit + 1;
    const bool binary = !*rest || strcasecmp(rest, "iB") == 0;
    if (!binary && strcasecmp(rest, "B") != 0) return false;
    for (ptrdiff_t i = 0; i <= at - prefixes; i++) *out *= binary ? 1024 : 1000;
    return true;
}

sm_err sm_value_size(const char *text, const char *what, uint64_t min, uint64_t max, uint64_t *out,
                     struct sm_errinfo *ei)
{
    uint64_t v = 0, unit = 0;
    const char *end = digits(text, &v);
    if (!end || !unit_of(end, &unit))
        return sm_fail(ei, SM_E_FORMAT, "%s: '%s' is not a size; write for example 4GiB, 512M or 1048576", what, text);
    if (sm_mul_overflows_u64(v, unit, &v))
        return sm_fail(ei, SM_E_FORMAT, "%s: '%s' is more than 2^64 bytes", what, text);
    sm_err err = check_range(text, what, v, min, max, ei);
    if (!err) *out = v;
    return err;
}

static bool duration_unit(const char *unit, uint64_t *out)
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {{"", 1}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].name) != 0) continue;
        *out = units[i].seconds;
        return true;
    }
    return false;
}

sm_err sm_value_duration(const char *text, const char *what, uint64_t min_s, uint64_t max_s, uint64_t *out_s,
                         struct sm_errinfo *ei)
{
    uint64_t v = 0, unit = 0;
    const char *end = digits(text, &v);
    if (!end || !duration_unit(end, &unit))
        return sm_fail(ei, SM_E_FORMAT, "%s: '%s' is not a duration; write for example 30s, 5min, 12h or 14d", what,
                       text);
    if (sm_mul_overflows_u64(v, unit, &v))
        return sm_fail(ei, SM_E_FORMAT, "%s: '%s' is more than 2^64 seconds", what, text);
    sm_err err = check_range(text, what, v, min_s, max_s, ei);
    if (!err) *out_s = v;
    return err;
}

sm_err sm_value_f64(const char *text, const char *what, double min, double max, double *out, struct sm_errinfo *ei)
{
    char *end = NULL;
    const bool starts = (*text >= '0' && *text <= '9') || *text == '.';
    errno = 0;
    const double v = starts ? strtod(text, &end) : 0;
    if (!starts || *end || errno || !isfinite(v))
        return sm_fail(ei, SM_E_FORMAT, "%s: '%s' is not a number", what, text);
    if (v < min || v > max) return sm_fail(ei, SM_E_FORMAT, "%s: %s is outside %g ... %g", what, text, min, max);
    *out = v;
    return SM_OK;
}

#define WORD_MAX 63u

static size_t normalise(const char *in, char out[WORD_MAX + 1])
{
    size_t n = 0;
    for (; *in && n < WORD_MAX; in++)
        if (!strchr("-_.", *in)) out[n++] = (char)tolower((unsigned char)*in);
    out[n] = '\0';
    return n;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    const unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits (insert, delete, replace, swap neighbours) that turn a into b. */
static unsigned edits(const char *a, size_t an, const char *b, size_t bn)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= bn; j++) last[j] = (unsigned)j;
    for (size_t i = 1; i <= an; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= bn; j++) {
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        unsigned *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[bn];
}

void sm_nearest_offer(struct sm_nearest *n, const char *name)
{
    char word[WORD_MAX + 1], known[WORD_MAX + 1];
    const size_t word_n = normalise(n->word, word), known_n = normalise(name, known);
    if (!word_n || !known_n) return;
    unsigned distance = edits(word, word_n, known, known_n);
    const unsigned allowed = word_n < 4 ? 1 : (unsigned)(word_n / 3);
    /* Half a name ("units", "atx") is a better hint than none, and a worse one than a typing error. */
    if (distance > allowed && word_n >= 3 && strstr(known, word)) distance = 100 + (unsigned)known_n;
    if (distance > allowed && distance < 100) return;
    if (n->best && distance >= n->distance) return;
    n->best = name;
    n->distance = distance;
}
