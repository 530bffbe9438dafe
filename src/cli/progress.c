#include "cli/progress.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/log.h"

#define DRAW_INTERVAL_NS   (SM_NS_PER_S / 10)
#define SAMPLE_INTERVAL_NS (SM_NS_PER_S / 2)
#define SAMPLES            20u /* the recent rate looks back SAMPLES * SAMPLE_INTERVAL_NS = 10 s */
#define LINE_MAX_BYTES     512u

struct sample {
    uint64_t at_ns, done;
};

struct sm_progress {
    const char *subject; /* constant after creation */
    bool terminal;
    uint64_t line_interval_ns;
    struct { /* any thread, under mu */
        pthread_mutex_t mu;
        struct sm_progress_now now;
        bool has_now, bar_drawn;
        uint64_t phase_start_ns, phase_start_done, last_draw_ns, last_line_ns;
        struct sample samples[SAMPLES]; /* ring */
        unsigned samples_n, samples_next;
    } shared;
};

/* ---- one line of text ---- */

static void add(char *out, size_t room, const char *text)
{
    const size_t n = strlen(out);
    (void)snprintf(out + n, room - n, "%s%s", n ? "  " : "", text);
}

static double percent(uint64_t done, uint64_t total)
{
    return total ? 100.0 * (double)done / (double)total : 0;
}

static void rate_text(const struct sm_progress_now *now, struct sm_progress_rates rates, char *out, size_t room)
{
    char a[32], b[32];
    if (now->bytes_per_unit > 0 && rates.recent > 0)
        (void)snprintf(out, room, "%s (average %s)", sm_text_rate(rates.recent * now->bytes_per_unit, a),
                       sm_text_rate(rates.average * now->bytes_per_unit, b));
    else
        *out = '\0';
}

static void unit_rate_text(const struct sm_progress_now *now, struct sm_progress_rates rates, char *out, size_t room)
{
    *out = '\0';
    char count[32];
    if (now->unit && rates.recent > 0)
        (void)snprintf(out, room, "%s %s/s", sm_text_count((uint64_t)rates.recent, count), now->unit);
}

static double eta_seconds(const struct sm_progress_now *now, struct sm_progress_rates rates)
{
    if (!now->total || rates.average <= 0 || now->done > now->total) return NAN;
    return (double)(now->total - now->done) / rates.average;
}

/* The parts in order of appearance; when the window is narrow, the one with the largest number goes first. */
enum { PART_FILE, PART_BYTES, PART_UNITS, PART_NOTE, PART_ETA, PARTS };
static const unsigned drop_order[PARTS] = {3, 2, 5, 4, 1};

static void bar_text(const struct sm_progress_now *now, size_t width, char *out, size_t room)
{
    const size_t cells = width > 60 ? 60 : width;
    const size_t full =
        now->total && now->done <= now->total ? (size_t)((double)cells * (double)now->done / (double)now->total) : 0;
    size_t n = 0;
    if (room < cells + 4) return;
    out[n++] = ' ';
    out[n++] = '[';
    for (size_t i = 0; i < cells; i++) out[n++] = i < full ? '#' : '.';
    out[n++] = ']';
    out[n] = '\0';
}

void sm_progress_format(const char *subject, const struct sm_progress_now *now, struct sm_progress_rates rates,
                        unsigned width, bool bar, char *out, size_t room)
{
    char head[96], parts[PARTS][96] = {{0}}, eta[64];
    if (now->total)
        (void)snprintf(head, sizeof head, "%s: %s %.2f %%", subject, now->phase, percent(now->done, now->total));
    else
        (void)snprintf(head, sizeof head, "%s: %s", subject, now->phase);
    if (now->files)
        (void)snprintf(parts[PART_FILE], sizeof parts[0], "file %" PRIu64 "/%" PRIu64 " %.1f %%", now->file + 1,
                       now->files, percent(now->file_done, now->file_total));
    rate_text(now, rates, parts[PART_BYTES], sizeof parts[0]);
    unit_rate_text(now, rates, parts[PART_UNITS], sizeof parts[0]);
    (void)snprintf(parts[PART_NOTE], sizeof parts[0], "%.63s", now->note);
    if (now->total && now->done < now->total)
        (void)snprintf(parts[PART_ETA], sizeof parts[0], "ETA %s", sm_text_eta(eta_seconds(now, rates), eta));
    size_t length = strlen(head);
    for (size_t i = 0; i < PARTS; i++)
        if (parts[i][0]) length += 2 + strlen(parts[i]);
    for (unsigned drop = PARTS; drop > 0 && length > width; drop--)
        for (size_t i = 0; i < PARTS; i++)
            if (drop_order[i] == drop && parts[i][0]) {
                length -= 2 + strlen(parts[i]);
                parts[i][0] = '\0';
            }
    (void)snprintf(out, room, "%s", head);
    if (bar && now->total && length + 14 <= width)
        bar_text(now, width - length - 4, out + strlen(out), room - strlen(out));
    for (size_t i = 0; i < PARTS; i++)
        if (parts[i][0]) add(out, room, parts[i]);
    if (width < strlen(out)) out[width] = '\0';
}

/* ---- drawing ---- */

static struct sm_progress_rates rates_of(const struct sm_progress *p, uint64_t now_ns)
{
    struct sm_progress_rates r = {0};
    const uint64_t done = p->shared.now.done;
    const double since = (double)(now_ns - p->shared.phase_start_ns) / (double)SM_NS_PER_S;
    if (since > 0.2 && done > p->shared.phase_start_done)
        r.average = (double)(done - p->shared.phase_start_done) / since;
    r.recent = r.average;
    const unsigned n = p->shared.samples_n;
    const struct sample *oldest = &p->shared.samples[n < SAMPLES ? 0 : p->shared.samples_next];
    if (n && done >= oldest->done && now_ns > oldest->at_ns + SAMPLE_INTERVAL_NS)
        r.recent = (double)(done - oldest->done) * (double)SM_NS_PER_S / (double)(now_ns - oldest->at_ns);
    return r;
}

static unsigned window_width(void)
{
    struct winsize w;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col < 20) return 79;
    return (unsigned)w.ws_col - 1; /* a full last column makes some terminals wrap */
}

static void erase_bar(struct sm_progress *p)
{
    if (p->shared.bar_drawn) (void)fputs("\r\033[K", stderr);
    p->shared.bar_drawn = false;
}

static void draw_bar(struct sm_progress *p, uint64_t now_ns)
{
    char line[LINE_MAX_BYTES];
    sm_progress_format(p->subject, &p->shared.now, rates_of(p, now_ns), window_width(), true, line, sizeof line);
    (void)fprintf(stderr, "\r%s\033[K", line);
    (void)fflush(stderr);
    p->shared.bar_drawn = true;
}

static void on_log(void *ctx, sm_log_level level, const char *line)
{
    (void)level;
    struct sm_progress *p = ctx;
    pthread_mutex_lock(&p->shared.mu);
    erase_bar(p);
    (void)fprintf(stderr, "%s\n", line);
    if (p->shared.has_now) draw_bar(p, sm_clock_ns());
    pthread_mutex_unlock(&p->shared.mu);
}

struct sm_progress *sm_progress_new(const struct sm_cli *cli, const char *subject)
{
    struct sm_progress *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    const char *term = getenv("TERM");
    p->subject = subject;
    p->terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    p->line_interval_ns = (uint64_t)cli->global.progress_interval_s * SM_NS_PER_S;
    pthread_mutex_init(&p->shared.mu, NULL);
    p->shared.last_line_ns = sm_clock_ns();
    if (p->terminal) sm_log_set_sink(on_log, p);
    return p;
}

static void take_sample(struct sm_progress *p, uint64_t now_ns)
{
    const unsigned newest = (p->shared.samples_next + SAMPLES - 1) % SAMPLES;
    if (p->shared.samples_n && now_ns < p->shared.samples[newest].at_ns + SAMPLE_INTERVAL_NS) return;
    p->shared.samples[p->shared.samples_next] = (struct sample){.at_ns = now_ns, .done = p->shared.now.done};
    p->shared.samples_next = (p->shared.samples_next + 1) % SAMPLES;
    if (p->shared.samples_n < SAMPLES) p->shared.samples_n++;
}

void sm_progress_update(struct sm_progress *p, const struct sm_progress_now *now)
{
    if (!p) return;
    char line[LINE_MAX_BYTES] = "";
    const uint64_t now_ns = sm_clock_ns();
    pthread_mutex_lock(&p->shared.mu);
    const bool new_phase = !p->shared.has_now || p->shared.now.phase != now->phase || now->done < p->shared.now.done;
    p->shared.now = *now;
    if (new_phase) {
        p->shared.has_now = true;
        p->shared.phase_start_ns = now_ns;
        p->shared.phase_start_done = now->at_start > now->done ? now->done : now->at_start ? now->at_start : now->done;
        p->shared.samples_n = p->shared.samples_next = 0;
    }
    take_sample(p, now_ns);
    if (p->terminal && (new_phase || now_ns >= p->shared.last_draw_ns + DRAW_INTERVAL_NS)) {
        draw_bar(p, now_ns);
        p->shared.last_draw_ns = now_ns;
    } else if (!p->terminal && now_ns >= p->shared.last_line_ns + p->line_interval_ns) {
        sm_progress_format(p->subject, now, rates_of(p, now_ns), LINE_MAX_BYTES - 1, false, line, sizeof line);
        p->shared.last_line_ns = now_ns;
    }
    pthread_mutex_unlock(&p->shared.mu);
    const char *text = strstr(line, ": "); /* the log line brings its own subject */
    if (text) sm_log(SM_LOG_INFO, p->subject, "progress", "%s", text + 2);
}

void sm_progress_free(struct sm_progress *p)
{
    if (!p) return;
    if (p->terminal) sm_log_set_sink(NULL, NULL);
    erase_bar(p);
    (void)fflush(stderr);
    pthread_mutex_destroy(&p->shared.mu);
    free(p);
}
