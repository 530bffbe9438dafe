/* bench/traffic.h: the memory traffic of label computation without its arithmetic: streaming stores of 128-byte rows,
 * then reads of rows at unpredictable places, as many in flight as the processor allows. What remains is the bound
 * that memory sets. */
#ifndef SM_BENCH_TRAFFIC_H
#define SM_BENCH_TRAFFIC_H

#include <stddef.h>

#include "util/err.h"

struct sm_bench_traffic; /* one thread's */
SM_MUST_CHECK sm_err sm_bench_traffic_new(size_t bytes, struct sm_bench_traffic **out, struct sm_errinfo *ei);
void sm_bench_traffic_free(struct sm_bench_traffic *t);
/* Writes the whole area once and reads as many random rows as it has. Returns the bytes of the area. */
size_t sm_bench_traffic_round(struct sm_bench_traffic *t);

#endif
