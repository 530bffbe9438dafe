/* rig/meter.h: how fast a counter grows, averaged over 10 s, 60 s and 15 min. Pure; the clock is handed in. */
#ifndef SM_RIG_METER_H
#define SM_RIG_METER_H

#include <stdint.h>

#define SM_METER_SPANS 3u

struct sm_meter { /* zero-initialise */
    uint64_t value, at_ns;
    int started;
    double rate[SM_METER_SPANS]; /* per second: 10 s, 60 s, 15 min */
    double seconds;              /* measured so far: short runs must not drag the zero of their start along */
};

/* The counter is `value` now, and the time since the last call was spent on something else: it does not count. */
void sm_meter_begin(struct sm_meter *m, uint64_t value, uint64_t now_ns);
/* The counter is `value` now. A value below the one before restarts the meter. */
void sm_meter_update(struct sm_meter *m, uint64_t value, uint64_t now_ns);
/* The steadiest rate there is; 0 when nothing was measured. */
double sm_meter_rate(const struct sm_meter *m);

#endif
