/* cli/heat.h: temperature and power of the devices that fill a data set, and rest for those that are too hot. */
#ifndef SM_CLI_HEAT_H
#define SM_CLI_HEAT_H

#include <stdbool.h>
#include <stddef.h>

#include "post/label.h"

#define SM_HEAT_HYSTERESIS_C 5.0 /* ours: a device goes on when it is so much below the limit */

struct sm_heat;
/* The devices of these engines. max_c: 0 = no limit; a device that does not tell its temperature is named in the log then,
 * and never rests. NULL when out of memory, which the other calls accept. One thread. */
struct sm_heat *sm_heat_new(const struct sm_label_engine *engines, size_t n, double max_c);
void sm_heat_free(struct sm_heat *h);

/* For struct sm_label_farm_cfg: the device has reached the limit, and has not cooled down yet. */
bool sm_heat_rests(void *heat, const char *device);

/* Reads the sensors now; the others do it every two seconds at most. */
void sm_heat_read(struct sm_heat *h);

/* "54 61 C, 320 W": a temperature per device in the order of the engines, power of all; "54 61 C, 320 W, 1 rests". Empty
 * when nothing is known. */
void sm_heat_note(struct sm_heat *h, char *out, size_t room);

#endif
