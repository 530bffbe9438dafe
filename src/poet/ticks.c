#include "poet/ticks.h"

#include <inttypes.h>

#include "util/bytes.h"

uint64_t sm_poet_ticks(uint64_t leaf_count, uint64_t tick_size)
{
    return leaf_count / tick_size;
}

static sm_err add_share(struct sm_atx_worth *w, const struct sm_poet_share *s, struct sm_errinfo *ei)
{
    uint64_t units = 0, weight;
    for (size_t i = 0; i < s->units_n; i++)
        if (sm_add_overflows_u64(units, s->units[i], &units)) units = UINT64_MAX;
    if (units > UINT32_MAX - w->units) return sm_fail(ei, SM_E_FORMAT, "ATX: its units do not fit 32 bits");
    if (sm_mul_overflows_u64(units, s->ticks, &weight) || sm_add_overflows_u64(w->weight, weight, &w->weight))
        return sm_fail(ei, SM_E_FORMAT,
                       "ATX: the weight of %" PRIu64 " units and %" PRIu64 " ticks does not fit 64 bits", units,
                       s->ticks);
    w->units += (uint32_t)units;
    if (s->ticks < w->ticks) w->ticks = s->ticks;
    return SM_OK;
}

sm_err sm_atx_worth(uint64_t base_height, const struct sm_poet_share *shares, size_t shares_n, struct sm_atx_worth *out,
                    struct sm_errinfo *ei)
{
    struct sm_atx_worth w = {.ticks = UINT64_MAX};
    if (shares_n == 0) return sm_fail(ei, SM_E_ARG, "ATX: no PoET proof to weigh");
    for (size_t i = 0; i < shares_n; i++) {
        const sm_err err = add_share(&w, &shares[i], ei);
        if (err) return err;
    }
    if (sm_add_overflows_u64(base_height, w.ticks, &w.tick_height))
        return sm_fail(ei, SM_E_FORMAT, "ATX: tick height %" PRIu64 " + %" PRIu64 " does not fit 64 bits", base_height,
                       w.ticks);
    *out = w;
    return SM_OK;
}
