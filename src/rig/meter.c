#include "rig/meter.h"

#include <math.h>

#include "util/clock.h"

static const double span_s[SM_METER_SPANS] = {10, 60, 900};

void sm_meter_begin(struct sm_meter *m, uint64_t value, uint64_t now_ns)
{
    m->value = value;
    m->at_ns = now_ns;
    m->started = 1;
}

void sm_meter_update(struct sm_meter *m, uint64_t value, uint64_t now_ns)
{
    if (!m->started || value < m->value) {
        *m = (struct sm_meter){.value = value, .at_ns = now_ns, .started = 1};
        return;
    }
    const double dt = (double)(now_ns - m->at_ns) / (double)SM_NS_PER_S;
    if (now_ns <= m->at_ns) return;
    const double now = (double)(value - m->value) / dt;
    m->seconds += dt;
    for (unsigned i = 0; i < SM_METER_SPANS; i++) {
        /* While less than the span was measured, a plain mean of all of it. */
        const double span = m->seconds < span_s[i] ? m->seconds : span_s[i];
        const double weight = m->seconds < span_s[i] ? dt / span : 1 - exp(-dt / span);
        m->rate[i] += weight * (now - m->rate[i]);
    }
    m->value = value;
    m->at_ns = now_ns;
}

double sm_meter_rate(const struct sm_meter *m)
{
    return m->rate[SM_METER_SPANS - 1];
}
