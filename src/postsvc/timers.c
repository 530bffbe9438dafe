#include "postsvc/timers.h"

#include <assert.h>
#include <stdlib.h>

sm_err sm_post_timers_reserve(struct sm_post_timers *h, size_t n, struct sm_errinfo *ei)
{
    if (n <= h->room) return SM_OK;
    const size_t room = n > 2 * h->room ? n : 2 * h->room;
    struct sm_post_timer **heap = realloc(h->heap, room * sizeof(struct sm_post_timer *));
    if (!heap) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu timers", room);
    h->heap = heap;
    h->room = room;
    return SM_OK;
}

void sm_post_timers_fini(struct sm_post_timers *h)
{
    free(h->heap);
    *h = (struct sm_post_timers){0};
}

static void put(struct sm_post_timers *h, size_t place, struct sm_post_timer *t)
{
    h->heap[place - 1] = t;
    t->place = place;
}

static size_t rise(struct sm_post_timers *h, size_t place, const struct sm_post_timer *t)
{
    for (; place > 1 && h->heap[place / 2 - 1]->at_ns > t->at_ns; place /= 2) put(h, place, h->heap[place / 2 - 1]);
    return place;
}

static size_t sink(struct sm_post_timers *h, size_t place, const struct sm_post_timer *t)
{
    for (size_t child; (child = 2 * place) <= h->n; place = child) {
        if (child < h->n && h->heap[child]->at_ns < h->heap[child - 1]->at_ns) child++;
        if (h->heap[child - 1]->at_ns >= t->at_ns) break;
        put(h, place, h->heap[child - 1]);
    }
    return place;
}

void sm_post_timer_set(struct sm_post_timers *h, struct sm_post_timer *t, uint64_t at_ns)
{
    t->at_ns = at_ns;
    if (!t->place) {
        assert(h->n < h->room);
        put(h, ++h->n, t);
    }
    const size_t up = rise(h, t->place, t);
    put(h, sink(h, up, t), t);
}

void sm_post_timer_clear(struct sm_post_timers *h, struct sm_post_timer *t)
{
    const size_t place = t->place;
    if (!place) return;
    struct sm_post_timer *last = h->heap[--h->n];
    t->place = 0;
    if (last == t) return;
    const size_t up = rise(h, place, last);
    put(h, sink(h, up, last), last);
}

uint64_t sm_post_timers_next(const struct sm_post_timers *h)
{
    return h->n ? h->heap[0]->at_ns : UINT64_MAX;
}

void sm_post_timers_run(struct sm_post_timers *h, uint64_t now_ns)
{
    while (h->n && h->heap[0]->at_ns <= now_ns) {
        struct sm_post_timer *t = h->heap[0];
        sm_post_timer_clear(h, t);
        t->due(t->owner, now_ns);
    }
}
