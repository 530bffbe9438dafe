#include "rpc/timers.h"

#include <stddef.h>

static bool is_before(const struct sm_loop_timer *a, const struct sm_loop_timer *b)
{
    return a->heap.at_ns != b->heap.at_ns ? a->heap.at_ns < b->heap.at_ns : a->heap.order < b->heap.order;
}

/* Two roots become one. Either may be NULL. */
static struct sm_loop_timer *meld(struct sm_loop_timer *a, struct sm_loop_timer *b)
{
    if (!a || !b) return a ? a : b;
    if (is_before(b, a)) {
        struct sm_loop_timer *t = a;
        a = b;
        b = t;
    }
    b->heap.prev = a;
    b->heap.next = a->heap.child;
    if (b->heap.next) b->heap.next->heap.prev = b;
    a->heap.child = b;
    return a;
}

/* The siblings from `first` on become one heap: in pairs from left to right, then the pairs from right to left. That order
 * is what makes the cost logarithmic; loops instead of recursion, because the siblings can be many. */
static struct sm_loop_timer *meld_siblings(struct sm_loop_timer *first)
{
    struct sm_loop_timer *pairs = NULL, *root = NULL;
    while (first) {
        struct sm_loop_timer *a = first, *b = a->heap.next;
        first = b ? b->heap.next : NULL;
        a->heap.next = a->heap.prev = NULL;
        if (b) b->heap.next = b->heap.prev = NULL;
        a = meld(a, b);
        a->heap.next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct sm_loop_timer *rest = pairs->heap.next;
        pairs->heap.next = NULL;
        root = meld(root, pairs);
        pairs = rest;
    }
    return root;
}

void sm_timers_clear(struct sm_timers *h, struct sm_loop_timer *t)
{
    if (!t->heap.set) return;
    struct sm_loop_timer *below = meld_siblings(t->heap.child);
    if (t == h->root) {
        h->root = below;
    } else {
        if (t->heap.prev->heap.child == t)
            t->heap.prev->heap.child = t->heap.next;
        else
            t->heap.prev->heap.next = t->heap.next;
        if (t->heap.next) t->heap.next->heap.prev = t->heap.prev;
        h->root = meld(h->root, below);
    }
    t->heap.set = false;
    t->heap.child = t->heap.next = t->heap.prev = NULL;
}

void sm_timers_set(struct sm_timers *h, struct sm_loop_timer *t, uint64_t at_ns)
{
    sm_timers_clear(h, t);
    t->heap.set = true;
    t->heap.at_ns = at_ns;
    t->heap.order = h->order++;
    h->root = meld(h->root, t);
}
