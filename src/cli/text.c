#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "util/clock.h"

char *sm_text_bytes(double bytes, char out[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(out, 32, unit ? "%.2f %s" : "%.0f %s", bytes, units[unit]);
    return out;
}

char *sm_text_rate(double bytes_per_s, char out[32])
{
    char size[32];
    (void)snprintf(out, 32, "%.24s/s", sm_text_bytes(bytes_per_s, size));
    return out;
}

char *sm_text_count(uint64_t v, char out[32])
{
    char digits[24];
    const int n = snprintf(digits, sizeof digits, "%" PRIu64, v);
    char *at = out;
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0) *at++ = ' ';
        *at++ = digits[i];
    }
    *at = '\0';
    return out;
}

char *sm_text_duration(double seconds, char out[32])
{
    if (!(seconds >= 0) || !isfinite(seconds) || seconds > 1e10) {
        (void)snprintf(out, 32, "unknown");
        return out;
    }
    const uint64_t s = (uint64_t)(seconds + 0.5);
    if (seconds < 1)
        (void)snprintf(out, 32, "%.0f ms", seconds * 1000);
    else if (s < 60)
        (void)snprintf(out, 32, "%" PRIu64 " s", s);
    else if (s < 3600)
        (void)snprintf(out, 32, "%" PRIu64 " min %02" PRIu64 " s", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(out, 32, "%" PRIu64 " h %02" PRIu64 " min", s / 3600, s / 60 % 60);
    else
        (void)snprintf(out, 32, "%" PRIu64 " d %02" PRIu64 " h", s / 86400, s / 3600 % 24);
    return out;
}

char *sm_text_eta(double seconds, char out[64])
{
    char duration[32];
    sm_text_duration(seconds, duration);
    if (!(seconds >= 60) || !isfinite(seconds) || seconds > 1e10) {
        (void)snprintf(out, 64, "%s", duration);
        return out;
    }
    const time_t end = (time_t)(sm_clock_wall_s() + (int64_t)seconds);
    struct tm tm;
    char date[32] = "";
    if (localtime_r(&end, &tm)) (void)strftime(date, sizeof date, "%a %Y-%m-%d %H:%M", &tm);
    (void)snprintf(out, 64, "%s (%s)", duration, date);
    return out;
}

/* ---- tables ---- */

struct sm_table {
    char align[16];
    size_t columns, rows;
    char **cells; /* rows * columns */
};

static void *must(void *p)
{
    if (!p) abort(); /* a few kilobytes of text; there is nothing sensible left to print with */
    return p;
}

struct sm_table *sm_table_new(const char *align)
{
    struct sm_table *t = must(calloc(1, sizeof *t));
    (void)snprintf(t->align, sizeof t->align, "%s", align);
    t->columns = strlen(t->align);
    return t;
}

void sm_table_row(struct sm_table *t, const char *const *cells)
{
    t->cells = must(realloc(t->cells, (t->rows + 1) * t->columns * sizeof *t->cells));
    for (size_t c = 0; c < t->columns; c++) t->cells[t->rows * t->columns + c] = must(strdup(cells[c] ? cells[c] : ""));
    t->rows++;
}

void sm_table_say(struct sm_cli *cli, const struct sm_table *t)
{
    size_t width[sizeof t->align] = {0};
    for (size_t i = 0; i < t->rows * t->columns; i++) {
        const size_t n = strlen(t->cells[i]);
        if (n > width[i % t->columns]) width[i % t->columns] = n;
    }
    for (size_t r = 0; r < t->rows; r++) {
        char line[1024] = "";
        size_t n = 0;
        for (size_t c = 0; c < t->columns && n < sizeof line; c++) {
            const bool right = t->align[c] == 'r', last = c + 1 == t->columns;
            const int w = right ? (int)width[c] : last ? 0 : -(int)width[c];
            n += (size_t)snprintf(line + n, sizeof line - n, "%s%*s", c ? "  " : "", w, t->cells[r * t->columns + c]);
        }
        for (n = strlen(line); n && line[n - 1] == ' ';) line[--n] = '\0';
        sm_cli_say(cli, "%s", line);
    }
}

void sm_table_free(struct sm_table *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->rows * t->columns; i++) free(t->cells[i]);
    free(t->cells);
    free(t);
}
