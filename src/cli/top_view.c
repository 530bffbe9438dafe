#include "cli/top_view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "status/utf8.h"
#include "util/text.h"

#define RIGS_SHOWN    4u /* in a terminal; all in a frame of any height */
#define DEVICES_SHOWN 4u
#define ERRORS_SHOWN  3u
#define DETAILS       4u

/* ---- lines of columns ---- */

struct pen {
    struct sm_top_line *line;
    size_t at;       /* bytes */
    unsigned column; /* written */
    unsigned width;
    bool utf8;
};

/* The character at *p, as something that takes one column, into `out`. Wide and combining characters would spoil the
 * columns, control characters the terminal. */
static size_t one_column(const char **p, bool utf8, char out[4])
{
    uint32_t code = 0;
    const size_t n = sm_utf8_char(*p, &code);
    const bool plain = code >= 0x20 && code < 0x7f;
    const bool letter = utf8 && ((code >= 0xa1 && code < 0x300 && code != 0xad) || (code >= 0x370 && code < 0x483));
    const char *from = *p;
    *p += n ? n : 1;
    if (!n || (!plain && !letter)) {
        out[0] = '?';
        return 1;
    }
    memcpy(out, from, n);
    return n;
}

static void put_char(struct pen *pen, const char *bytes, size_t n)
{
    if (pen->column >= pen->width || pen->at + n >= SM_TOP_LINE_ROOM) return;
    memcpy(pen->line->text + pen->at, bytes, n);
    pen->at += n;
    pen->line->text[pen->at] = '\0';
    pen->column++;
}

static unsigned columns_of(const char *text, bool utf8)
{
    char c[4];
    unsigned n = 0;
    for (const char *p = text; *p; n++) (void)one_column(&p, utf8, c);
    return n;
}

/* A cell of `width` columns, cut with '~' at its end; 0: as wide as the text. Negative: aligned to the right. */
static void put_cell(struct pen *pen, int width, const char *text)
{
    const unsigned want = (unsigned)abs(width), has = columns_of(text, pen->utf8);
    const unsigned pad = want > has ? want - has : 0, shown = want && has > want ? want - 1 : has;
    char c[4];
    for (unsigned i = 0; width < 0 && i < pad; i++) put_char(pen, " ", 1);
    for (unsigned i = 0; i < shown; i++) {
        const size_t n = one_column(&text, pen->utf8, c);
        put_char(pen, c, n);
    }
    if (shown < has) put_char(pen, "~", 1);
    for (unsigned i = 0; width > 0 && i < pad; i++) put_char(pen, " ", 1);
}

static void put(struct pen *pen, const char *fmt, ...) SM_PRINTF(2, 3);
static void put(struct pen *pen, const char *fmt, ...)
{
    char text[SM_TOP_LINE_ROOM];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    put_cell(pen, 0, text);
}

/* ---- the frame ---- */

struct draft {
    const struct sm_top_look *look;
    struct sm_top_frame *frame;
    unsigned width;
    int64_t now_unix_s;
    bool failed;
    struct sm_top_line spare; /* what is written when there is no memory, or no line left */
};

static struct pen new_line(struct draft *d, sm_top_style style)
{
    struct sm_top_frame *f = d->frame;
    struct pen pen = {.line = &d->spare, .width = d->width, .utf8 = d->look->utf8};
    const bool full = d->look->height && f->n >= d->look->height;
    if (!full && f->n == f->room) {
        struct sm_top_line *more = reallocarray(f->lines, f->room ? 2 * f->room : 32, sizeof *more);
        if (more) {
            f->lines = more;
            f->room = f->room ? 2 * f->room : 32;
        }
        d->failed |= !more;
    }
    if (!full && f->n < f->room) pen.line = &f->lines[f->n++];
    pen.line->style = style;
    pen.line->text[0] = '\0';
    return pen;
}

char *sm_top_duration(double seconds, char out[16])
{
    if (!(seconds >= 0 && seconds < 1e9)) {
        (void)snprintf(out, 16, "-");
        return out;
    }
    const uint64_t s = (uint64_t)(seconds + 0.5);
    if (s < 60)
        (void)snprintf(out, 16, "%us", (unsigned)s);
    else if (s < 3600)
        (void)snprintf(out, 16, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
    else if (s < 86400)
        (void)snprintf(out, 16, "%uh%02um", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
    else if (s < 100 * 86400)
        (void)snprintf(out, 16, "%ud%02uh", (unsigned)(s / 86400), (unsigned)(s / 3600 % 24));
    else
        (void)snprintf(out, 16, "%ud", (unsigned)(s / 86400));
    return out;
}

/* ---- rigs ---- */

static void draw_rig(struct draft *d, const struct sm_top_rig *rig)
{
    const struct sm_status_snapshot *s = &rig->snapshot;
    char age[16];
    struct pen pen = new_line(d, rig->trouble[0] ? SM_TOP_BAD : SM_TOP_TITLE);
    if (!rig->known) {
        put(&pen, "%s: %s", rig->url, rig->trouble[0] ? rig->trouble : "asking ...");
        return;
    }
    if (rig->trouble[0]) {
        put(&pen, "%s: %s; seen %s ago", s->host[0] ? s->host : rig->url, rig->trouble,
            sm_top_duration(rig->age_s, age));
        return;
    }
    size_t registered = 0;
    for (size_t i = 0; i < s->identities_n; i++) registered += s->identities[i].link == SM_STATUS_LINK_REGISTERED;
    put(&pen, "%s  smesher %s  %s  up %s  ", s->host[0] ? s->host : rig->url, s->version, s->network,
        sm_top_duration((double)(s->now_unix_s - s->started_unix_s), age));
    put(&pen, "%zu/%zu registered  proofs: %" PRIu64 " made, %" PRIu64 " taken, %" PRIu64 " failed", registered,
        s->identities_n, s->counts.proofs_made, s->counts.proofs_delivered, s->counts.proofs_failed);
    if (s->skipped_n) put(&pen, "  %zu skipped", s->skipped_n);
}

static void draw_rigs(struct draft *d, const struct sm_top_rig *rigs, size_t n)
{
    const size_t shown = d->look->height && n > RIGS_SHOWN ? RIGS_SHOWN - 1 : n;
    size_t bad = 0;
    for (size_t i = 0; i < shown; i++) draw_rig(d, &rigs[i]);
    if (shown == n) return;
    for (size_t i = shown; i < n; i++) bad += rigs[i].trouble[0] != '\0';
    struct pen pen = new_line(d, bad ? SM_TOP_BAD : SM_TOP_TITLE);
    put(&pen, "... and %zu rigs more, %zu of them do not answer", n - shown, bad);
}

/* ---- identities ---- */

struct widths {
    int name, bar;
};

/* 80 columns are filled exactly; what a terminal has more goes to names first, then to bars. */
static struct widths widths_of(unsigned width)
{
    struct widths w = {.name = 12, .bar = 10};
    int more = (int)width - 80;
    if (more <= 0) return w;
    const int names = more < 20 ? more : 20;
    more -= names;
    w.name += names;
    w.bar += more < 40 ? more : 40;
    return w;
}

static void draw_bar(struct pen *pen, int width, double percent)
{
    char bar[80], text[8] = "";
    const int inner = width - 2, full = percent >= 0 ? (int)(percent / 100 * inner) : 0;
    for (int i = 0; i < inner; i++) bar[i + 1] = i < full ? '#' : '.';
    bar[0] = '[';
    bar[width - 1] = ']';
    bar[width] = '\0';
    if (percent >= 0) (void)snprintf(text, sizeof text, "%d%%", (int)percent);
    put_cell(pen, width, percent >= 0 ? bar : "");
    put_cell(pen, -5, text);
}

static void speed_text(const struct sm_status_identity *id, char out[32])
{
    *out = '\0';
    if (id->phase == SM_STATUS_READING && id->read_bytes.s10 > 0)
        sm_text_rate(id->read_bytes.s10, out);
    else if (id->phase == SM_STATUS_K2POW && id->hashes.s10 > 0)
        (void)snprintf(out, 32, "%.0f H/s", id->hashes.s10);
}

static bool is_late(const struct sm_status_identity *id, int64_t now)
{
    if (!id->deadline_unix_s || id->phase == SM_STATUS_DONE || id->phase == SM_STATUS_IDLE) return false;
    return (double)now + (id->eta_s > 0 ? id->eta_s : 0) > (double)id->deadline_unix_s;
}

static sm_top_style style_of(const struct sm_status_identity *id, int64_t now)
{
    if (id->phase == SM_STATUS_FAILED || is_late(id, now) || id->link == SM_STATUS_LINK_REJECTED) return SM_TOP_BAD;
    if (id->paused || id->link != SM_STATUS_LINK_REGISTERED || id->tries) return SM_TOP_WARN;
    return id->phase == SM_STATUS_IDLE || id->phase == SM_STATUS_QUEUED ? SM_TOP_PLAIN : SM_TOP_GOOD;
}

static void draw_row(struct draft *d, const struct sm_status_identity *id, bool selected)
{
    const struct widths w = widths_of(d->width);
    char hex[SM_HEX_ROOM(sizeof id->node_id.b)], speed[32], eta[16], left[16];
    struct pen pen = new_line(d, selected ? SM_TOP_SELECTED : style_of(id, d->now_unix_s));
    put_cell(&pen, 1, selected ? ">" : "");
    sm_hex_encode(id->node_id.b, sizeof id->node_id.b, hex);
    hex[10] = '\0';
    put_cell(&pen, w.name, id->name[0] ? id->name : hex);
    put_cell(&pen, 1, "");
    put_cell(&pen, 11, sm_status_link_name(id->link));
    put_cell(&pen, 13, id->paused ? "paused" : sm_status_phase_name(id->phase));
    draw_bar(&pen, w.bar, sm_status_percent(id));
    speed_text(id, speed);
    put_cell(&pen, -13, speed);
    put_cell(&pen, -7, sm_top_duration(id->eta_s, eta));
    const double to_deadline = (double)(id->deadline_unix_s - d->now_unix_s);
    put_cell(&pen, -7, !id->deadline_unix_s ? "-" : to_deadline < 0 ? "over" : sm_top_duration(to_deadline, left));
}

static void draw_head(struct draft *d)
{
    const struct widths w = widths_of(d->width);
    struct pen pen = new_line(d, SM_TOP_HEAD);
    put_cell(&pen, 1, "");
    put_cell(&pen, w.name, "identity");
    put_cell(&pen, 1, "");
    put_cell(&pen, 11, "node");
    put_cell(&pen, 13, "phase");
    put_cell(&pen, w.bar + 5, "progress");
    put_cell(&pen, -13, "speed");
    put_cell(&pen, -7, "ends");
    put_cell(&pen, -7, "due");
}

static void draw_proof_line(struct draft *d, const struct sm_status_identity *id)
{
    char done[32], total[32], age[16];
    struct pen pen = new_line(d, SM_TOP_PLAIN);
    put(&pen, "  pass %" PRIu32 ", nonces %" PRIu32 "-%" PRIu32 ", k2pow %" PRIu32 "/%" PRIu32 ", read %s of %s",
        id->pass + 1, id->nonce_first, id->nonce_end, id->groups_done, id->groups_total,
        sm_text_bytes((double)id->bytes_done, done), sm_text_bytes((double)id->bytes_total, total));
    if (id->last_proof_unix_s)
        put(&pen, "; last proof %s ago, %s", sm_top_duration((double)(d->now_unix_s - id->last_proof_unix_s), age),
            id->last_fetched ? "taken" : "not taken yet");
}

static void draw_details(struct draft *d, const struct sm_status_identity *id)
{
    char hex[SM_HEX_ROOM(sizeof id->node_id.b)], size[32], retry[16];
    struct pen pen = new_line(d, SM_TOP_HEAD);
    put(&pen, "%s: %" PRIu32 " units, %s in %s", id->name, id->num_units,
        sm_text_bytes((double)id->num_units * (double)id->labels_per_unit * 16, size), id->dir);
    pen = new_line(d, SM_TOP_PLAIN);
    put(&pen, "  id %s", sm_hex_encode(id->node_id.b, sizeof id->node_id.b, hex));
    pen = new_line(d, SM_TOP_PLAIN);
    put(&pen, "  node %s: %s", id->link_address[0] ? id->link_address : "-", sm_status_link_name(id->link));
    if (id->link_reason[0]) put(&pen, " (%s: %s)", id->link_reason, id->link_text);
    if (id->link_retry_unix_s > d->now_unix_s)
        put(&pen, ", again in %s", sm_top_duration((double)(id->link_retry_unix_s - d->now_unix_s), retry));
    if (id->message[0]) {
        pen = new_line(d, id->phase == SM_STATUS_FAILED ? SM_TOP_BAD : SM_TOP_PLAIN);
        put(&pen, "  %s", id->message);
    } else {
        draw_proof_line(d, id);
    }
}

/* ---- devices, errors, help ---- */

static void draw_devices(struct draft *d, const struct sm_top_rig *rigs, size_t n)
{
    char rate[32];
    size_t left = d->look->height ? DEVICES_SHOWN : SIZE_MAX;
    for (size_t r = 0; r < n; r++) {
        for (size_t i = 0; i < rigs[r].snapshot.devices_n && left; i++, left--) {
            const struct sm_status_device *dev = &rigs[r].snapshot.devices[i];
            struct pen pen = new_line(d, dev->quarantined ? SM_TOP_BAD : SM_TOP_PLAIN);
            put_cell(&pen, 18, dev->id);
            put(&pen, " %s", dev->name);
            if (dev->variant[0]) put(&pen, " (%s)", dev->variant);
            if (dev->quarantined) put(&pen, ", quarantined: %s", dev->why);
            if (dev->bytes_per_s > 0) put(&pen, ", %s", sm_text_rate(dev->bytes_per_s, rate));
            if (dev->hashes_per_s > 0) put(&pen, ", %.0f H/s", dev->hashes_per_s);
            if (dev->temperature_c >= 0) put(&pen, ", %.0f C", dev->temperature_c);
            if (dev->power_w >= 0) put(&pen, ", %.0f W", dev->power_w);
        }
    }
}

static void draw_errors(struct draft *d, const struct sm_top_rig *rigs, size_t n)
{
    char age[16];
    size_t left = d->look->height ? ERRORS_SHOWN : SIZE_MAX;
    for (size_t r = 0; r < n; r++) {
        for (size_t i = 0; i < rigs[r].snapshot.errors_n && left; i++, left--) {
            const struct sm_status_error *e = &rigs[r].snapshot.errors[i];
            struct pen pen = new_line(d, SM_TOP_WARN);
            put(&pen, "%s ago: %s%s%s", sm_top_duration((double)(d->now_unix_s - e->unix_s), age), e->subject,
                e->subject[0] ? ": " : "", e->text);
        }
    }
}

static void draw_help(struct draft *d)
{
    static const char *const lines[] = {
        "keys",
        "  up, down, page up, page down, home, end   select an identity",
        "  s          sort: name, deadline, phase, speed",
        "  p          pause the selected identity, or resume it; asks first",
        "  r          ask the rigs now",
        "  q          leave",
        "  ?          this page, and back",
        "",
        "ends: expected time to the proof     due: time left until its deadline",
        "Colours: red needs you, yellow waits, green works.",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct pen pen = new_line(d, i ? SM_TOP_PLAIN : SM_TOP_HEAD);
        put(&pen, "%s", lines[i]);
    }
}

static void draw_footer(struct draft *d)
{
    while (d->frame->n + 1 < d->look->height && !d->failed) (void)new_line(d, SM_TOP_PLAIN);
    if (d->frame->n >= d->look->height && d->frame->n) d->frame->n--; /* the last line is always there */
    struct pen pen = new_line(d, d->look->notice ? SM_TOP_WARN : SM_TOP_HEAD);
    if (d->look->notice)
        put(&pen, "%s", d->look->notice);
    else
        put(&pen, "q quit  arrows select  s sort: %s  p pause/resume  r refresh  ? help",
            sm_top_sort_name(d->look->sort));
}

/* ---- all of it ---- */

/* Lines below the table: at most these; the table gets the rest, and 3 rows at least. */
static size_t rows_that_fit(const struct draft *d, const struct sm_top_rig *rigs, size_t rigs_n, size_t rows_n)
{
    if (!d->look->height) return rows_n;
    size_t devices = 0, errors = 0;
    for (size_t r = 0; r < rigs_n; r++) {
        devices += rigs[r].snapshot.devices_n;
        errors += rigs[r].snapshot.errors_n;
    }
    const size_t below = 1 + (d->look->mark ? DETAILS : 0) + (devices < DEVICES_SHOWN ? devices : DEVICES_SHOWN) +
                         (errors < ERRORS_SHOWN ? errors : ERRORS_SHOWN);
    const size_t used = d->frame->n + below;
    const size_t left = d->look->height > used + 3 ? d->look->height - used : 3;
    return left < rows_n ? left : rows_n;
}

static void draw_table(struct draft *d, const struct sm_top_rig *rigs, size_t rigs_n, const struct sm_top_row *rows,
                       size_t rows_n)
{
    draw_head(d);
    const size_t shown = rows_that_fit(d, rigs, rigs_n, rows_n), first = d->look->height ? d->look->first : 0;
    d->frame->rows_shown = shown;
    for (size_t i = first; i < rows_n && i < first + shown; i++)
        draw_row(d, &rigs[rows[i].rig].snapshot.identities[rows[i].index], d->look->mark && i == d->look->selected);
    if (d->look->mark && d->look->selected < rows_n) {
        const struct sm_top_row *row = &rows[d->look->selected];
        draw_details(d, &rigs[row->rig].snapshot.identities[row->index]);
    }
}

bool sm_top_draw(const struct sm_top_rig *rigs, size_t rigs_n, const struct sm_top_row *rows, size_t rows_n,
                 const struct sm_top_look *look, int64_t now_unix_s, struct sm_top_frame *out)
{
    struct draft d = {.look = look, .frame = out, .now_unix_s = now_unix_s};
    d.width = look->width < SM_TOP_WIDTH_MIN   ? SM_TOP_WIDTH_MIN
              : look->width > SM_TOP_WIDTH_MAX ? SM_TOP_WIDTH_MAX
                                               : look->width;
    out->n = out->rows_shown = 0;
    if (look->help) {
        draw_help(&d);
    } else {
        draw_rigs(&d, rigs, rigs_n);
        draw_table(&d, rigs, rigs_n, rows, rows_n);
        draw_devices(&d, rigs, rigs_n);
        draw_errors(&d, rigs, rigs_n);
    }
    if (look->height) draw_footer(&d);
    return !d.failed;
}

void sm_top_frame_fini(struct sm_top_frame *f)
{
    free(f->lines);
    *f = (struct sm_top_frame){0};
}
