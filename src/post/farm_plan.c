#include "post/farm_plan.h"

#include <stdlib.h>

#include "util/clock.h"

#define CHUNK_DEFAULT 1024u /* of an engine that does not say what suits it */
/* Pieces of every engine that fit into the window at once: one computed, one waiting behind a slower engine's, one to
 * go on with. */
#define WINDOW_ROUNDS 3u
#define WINDOW_MIN    ((UINT64_C(32) << 20) / SM_LABEL_BYTES)
#define WINDOW_MAX    ((UINT64_C(256) << 20) / SM_LABEL_BYTES)
#define WINDOW_CHUNKS 8u   /* a default window holds so many of every engine: seconds of work, when the disk is slow */
#define PIECE_S       0.5  /* what an engine's chunk is worth: post/label.h */
#define TAIL_SHARE    0.5  /* of what would keep an engine busy to the end: estimates are corrected by what follows */
#define TAIL_MIN_S    0.01 /* a piece costs a wake-up and a check */
#define MEMORY_S      0.5  /* of a rate: a measurement over so long counts half */

sm_err sm_farm_plan_init(struct sm_farm_plan *p, size_t seats_room, uint64_t window, struct sm_errinfo *ei)
{
    *p = (struct sm_farm_plan){.seats_room = seats_room, .window = window};
    p->tail = &p->head;
    p->seats = calloc(seats_room, sizeof *p->seats);
    return p->seats ? SM_OK : sm_fail(ei, SM_E_NOMEM, "out of memory for %zu label engines", seats_room);
}

void sm_farm_plan_fini(struct sm_farm_plan *p)
{
    sm_farm_plan_clear(p);
    free(p->seats);
    p->seats = NULL;
}

size_t sm_farm_plan_add(struct sm_farm_plan *p, uint64_t chunk, uint32_t width, double duty)
{
    struct sm_plan_seat *s = &p->seats[p->seats_n];
    *s = (struct sm_plan_seat){.most = chunk ? chunk : CHUNK_DEFAULT, .width = width ? width : 1};
    if (s->most < s->width) s->width = (uint32_t)s->most; /* smaller pieces are wanted, whatever they cost */
    s->most -= s->most % s->width;
    s->duty = duty > 0 && duty < 1 ? duty : 1;
    s->rate = (double)s->most / PIECE_S * s->duty;
    return p->seats_n++;
}

void sm_farm_plan_lose(struct sm_farm_plan *p, size_t seat)
{
    p->seats[seat].gone = true;
}

void sm_farm_plan_begin(struct sm_farm_plan *p, const struct sm_label_range *ranges, size_t n)
{
    sm_farm_plan_clear(p);
    p->ranges = ranges;
    p->ranges_n = n;
    for (size_t i = 0; i < n; i++) p->unclaimed += ranges[i].count;
    if (p->window) return;
    uint64_t sum = 0;
    for (size_t i = 0; i < p->seats_n; i++) sum += p->seats[i].most < WINDOW_MAX ? p->seats[i].most : WINDOW_MAX;
    p->window = sum < WINDOW_MIN / WINDOW_CHUNKS   ? WINDOW_MIN
                : sum > WINDOW_MAX / WINDOW_CHUNKS ? WINDOW_MAX
                                                   : WINDOW_CHUNKS * sum;
}

static void piece_free(struct sm_piece *piece)
{
    free(piece->labels);
    free(piece);
}

void sm_farm_plan_clear(struct sm_farm_plan *p)
{
    for (struct sm_piece *c = p->head, *next; c; c = next) {
        next = c->next;
        piece_free(c);
    }
    p->head = NULL;
    p->tail = &p->head;
    p->ranges = NULL;
    p->ranges_n = 0;
    p->range_at = p->unclaimed = p->returned = p->in_window = 0;
}

/* ---- how much ---- */

/* The least an engine can do lasts so long. */
static double grain_s(const struct sm_plan_seat *s)
{
    return s->width / s->rate;
}

/* What stands against an engine's wish for work: labels that engines have still to compute of what they have, as far as
 * their speed is known, and how fast they are. */
struct load {
    double labels, rate;
    bool any; /* one of them is computing */
};

/* Of all engines, or of the others whose grain is finer than that of `than`. */
static struct load load_of(const struct sm_farm_plan *p, const struct sm_plan_seat *than, uint64_t now_ns)
{
    struct load l = {0};
    for (size_t i = 0; i < p->seats_n; i++) {
        const struct sm_plan_seat *s = &p->seats[i];
        if (!s->gone && (!than || grain_s(s) < grain_s(than))) l.rate += s->rate;
    }
    for (const struct sm_piece *c = p->head; c; c = c->next) {
        if (c->state != SM_PIECE_COMPUTING) continue;
        const struct sm_plan_seat *s = &p->seats[c->seat];
        if (s->gone || (than && !(grain_s(s) < grain_s(than)))) continue;
        const double spent = (double)(now_ns - c->started_ns) / (double)SM_NS_PER_S * s->rate;
        if ((double)c->range.count > spent) l.labels += (double)c->range.count - spent;
        l.any = true;
    }
    return l;
}

/* Whole widths, at least one. */
static uint64_t whole(const struct sm_plan_seat *s, double labels)
{
    const double widths = labels / s->width;
    return widths < 1 ? s->width : (uint64_t)widths * s->width;
}

/* While there is plenty: as long as the window lets all engines' pieces be. */
static uint64_t full_piece(const struct sm_farm_plan *p, const struct sm_plan_seat *s, double all)
{
    const double fits = (double)p->window / WINDOW_ROUNDS / all, want = s->rate * (fits < PIECE_S ? fits : PIECE_S);
    uint64_t n = want >= (double)s->most ? s->most : whole(s, want);
    if (n > p->window / WINDOW_ROUNDS) n = p->window / WINDOW_ROUNDS; /* a part of a width, when memory is short */
    return n ? n : 1;
}

/* The others with a finer grain are done with everything before this engine would be with the least. */
static bool better_left(const struct sm_farm_plan *p, const struct sm_plan_seat *s, uint64_t now_ns)
{
    const struct load finer = load_of(p, s, now_ns);
    return finer.any && grain_s(s) * finer.rate > finer.labels + (double)(p->unclaimed + p->returned);
}

/* 0: nothing. */
static uint64_t piece_size(const struct sm_farm_plan *p, const struct sm_plan_seat *s, uint64_t now_ns)
{
    const struct load all = load_of(p, NULL, now_ns);
    const uint64_t full = full_piece(p, s, all.rate);
    const double share = s->rate / all.rate * (all.labels + (double)(p->unclaimed + p->returned)) * TAIL_SHARE;
    if (share >= (double)full) return full;
    if (better_left(p, s, now_ns)) return 0;
    const double least = s->rate * TAIL_MIN_S;
    const uint64_t n = whole(s, share > least ? share : least);
    return n < full ? n : full;
}

/* ---- claiming ---- */

static struct sm_piece *start(struct sm_piece *c, size_t seat, uint64_t now_ns)
{
    c->state = SM_PIECE_COMPUTING;
    c->seat = seat;
    c->started_ns = now_ns;
    return c;
}

/* A returned piece may come from a faster engine: the claimer takes what suits it and leaves the rest. */
static struct sm_piece *claim_returned(struct sm_farm_plan *p, uint64_t n)
{
    struct sm_piece *c = p->head;
    while (c->state != SM_PIECE_RETURNED) c = c->next;
    struct sm_piece *rest = c->range.count > n ? calloc(1, sizeof *rest) : NULL;
    if (rest) {
        *rest = (struct sm_piece){.next = c->next, .state = SM_PIECE_RETURNED};
        rest->range = (struct sm_label_range){.first = c->range.first + n, .count = c->range.count - n};
        c->range.count = n;
        c->next = rest;
        if (p->tail == &c->next) p->tail = &rest->next;
    }
    p->returned -= c->range.count;
    return c;
}

static void skip_empty_ranges(struct sm_farm_plan *p)
{
    while (p->ranges_n && p->range_at == p->ranges->count) {
        p->ranges++;
        p->ranges_n--;
        p->range_at = 0;
    }
}

static struct sm_piece *claim_fresh(struct sm_farm_plan *p, uint64_t n)
{
    skip_empty_ranges(p);
    const struct sm_label_range *r = p->ranges;
    if (n > r->count - p->range_at) n = r->count - p->range_at;
    if (p->in_window && p->in_window + n > p->window) return NULL;
    struct sm_piece *c = calloc(1, sizeof *c);
    if (!c) return NULL; /* tried again when the next piece is delivered */
    c->range = (struct sm_label_range){.first = r->first + p->range_at, .count = n};
    p->range_at += n;
    p->unclaimed -= n;
    p->in_window += n;
    *p->tail = c;
    p->tail = &c->next;
    return c;
}

struct sm_piece *sm_farm_plan_claim(struct sm_farm_plan *p, size_t seat, uint64_t now_ns)
{
    if (p->seats[seat].gone || (!p->returned && !p->unclaimed)) return NULL;
    const uint64_t n = piece_size(p, &p->seats[seat], now_ns);
    if (!n) return NULL;
    struct sm_piece *c = p->returned ? claim_returned(p, n) : claim_fresh(p, n);
    return c ? start(c, seat, now_ns) : NULL;
}

/* ---- afterwards ---- */

void sm_farm_plan_computed(struct sm_farm_plan *p, struct sm_piece *piece, uint64_t now_ns)
{
    struct sm_plan_seat *s = &p->seats[piece->seat];
    piece->state = SM_PIECE_CHECKING;
    if (now_ns <= piece->started_ns) return;
    const double seconds = (double)(now_ns - piece->started_ns) / (double)SM_NS_PER_S;
    const uint64_t paid = (piece->range.count + s->width - 1) / s->width * s->width;
    const double weight = s->measured ? seconds / (seconds + MEMORY_S) : 1;
    s->rate += weight * ((double)paid / seconds * s->duty - s->rate);
    s->measured = true;
}

void sm_farm_plan_done(struct sm_piece *piece)
{
    piece->state = SM_PIECE_DONE;
}

void sm_farm_plan_give_back(struct sm_farm_plan *p, struct sm_piece *piece)
{
    free(piece->labels);
    piece->labels = NULL;
    piece->state = SM_PIECE_RETURNED;
    p->returned += piece->range.count;
}

struct sm_piece *sm_farm_plan_next_done(struct sm_farm_plan *p)
{
    struct sm_piece *c = p->head;
    if (!c || c->state != SM_PIECE_DONE) return NULL;
    p->head = c->next;
    if (!c->next) p->tail = &p->head;
    return c;
}

void sm_farm_plan_delivered(struct sm_farm_plan *p, struct sm_piece *piece)
{
    p->in_window -= piece->range.count;
    piece_free(piece);
}

bool sm_farm_plan_finished(const struct sm_farm_plan *p)
{
    return !p->unclaimed && !p->in_window;
}
