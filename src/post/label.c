#include "post/label.h"

#include <string.h>

/* Smaller label first; the lower index among equals. */
static bool better(const uint8_t label[32], uint64_t index, const struct sm_vrf_best *than)
{
    if (!than->found) return true;
    const int c = memcmp(label, than->label, sizeof than->label);
    return c < 0 || (c == 0 && index < than->index);
}

void sm_vrf_best_offer(struct sm_vrf_best *best, const uint8_t difficulty[32], uint64_t index, const uint8_t label[32])
{
    if (memcmp(label, difficulty, 32) >= 0 || !better(label, index, best)) return;
    best->found = true;
    best->index = index;
    memcpy(best->label, label, sizeof best->label);
}

void sm_vrf_best_merge(struct sm_vrf_best *best, const struct sm_vrf_best *other)
{
    if (other->found && better(other->label, other->index, best)) *best = *other;
}

void sm_label_engine_free(struct sm_label_engine *e)
{
    if (e->ops) e->ops->free(e->self);
    *e = (struct sm_label_engine){0};
}
