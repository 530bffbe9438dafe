/* config/value.h: values as people write them in flags, environment variables and files, and the nearest known name
 * for a mistyped one.
 *
 * Parsers are strict: no white space, no sign, nothing after the value. `what` names the value in the error text
 * ("--num-units", "mainnet.yaml:7: k1"). All fail with SM_E_FORMAT. */
#ifndef SM_CONFIG_VALUE_H
#define SM_CONFIG_VALUE_H

#include <stdint.h>

#include "util/err.h"

/* Decimal digits, min <= value <= max. */
SM_MUST_CHECK sm_err sm_value_u64(const char *text, const char *what, uint64_t min, uint64_t max, uint64_t *out,
                                  struct sm_errinfo *ei);

/* Bytes: digits and an optional unit. K M G T P and KiB MiB GiB TiB PiB are powers of 1024, kB MB GB TB PB of 1000,
 * B or nothing is bytes; the case of the letters does not matter. */
SM_MUST_CHECK sm_err sm_value_size(const char *text, const char *what, uint64_t min, uint64_t max, uint64_t *out,
                                   struct sm_errinfo *ei);

/* Seconds: digits and a unit: s, min, h, d; nothing is seconds. */
SM_MUST_CHECK sm_err sm_value_duration(const char *text, const char *what, uint64_t min_s, uint64_t max_s,
                                       uint64_t *out_s, struct sm_errinfo *ei);

/* Decimal fraction, min <= value <= max; no infinities. */
SM_MUST_CHECK sm_err sm_value_f64(const char *text, const char *what, double min, double max, double *out,
                                  struct sm_errinfo *ei);

/* Finds the known name nearest to a mistyped word. Case, '-', '_' and '.' do not count, so that "-numUnits" finds
 * "num-units".
 *
 *   struct sm_nearest n = {.word = "num-unit"};
 *   for (…) sm_nearest_offer(&n, names[i]);
 *   n.best    NULL when nothing is near; lent from the caller's names */
struct sm_nearest {
    const char *word;
    const char *best;
    unsigned distance; /* of best; private */
};
void sm_nearest_offer(struct sm_nearest *n, const char *name);

#endif
