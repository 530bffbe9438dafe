/* status/format.h: a snapshot as text: the reference's /status, our /v1/status, and Prometheus metrics. Pure; any
 * thread. docs/status.md describes them for users.
 *
 * Sources: post-service.md §3.3 and OUR-13; Prometheus text exposition format 0.0.4. */
#ifndef SM_STATUS_FORMAT_H
#define SM_STATUS_FORMAT_H

#include <stddef.h>

#include "status/snapshot.h"
#include "util/err.h"

/* Raised when a member changes its meaning or goes; new members do not raise it. */
#define SM_STATUS_SCHEMA 1u

/* Results are malloc'd, NUL-terminated, *out_n bytes without the terminator. SM_E_NOMEM is the only failure. */

/* One identity exactly as the reference's post service: "Idle", {"Proving":…} or "DoneProving". It cannot tell a queue
 * from k2pow, nor a failure from a finished proof. */
#define SM_STATUS_REFERENCE_ROOM 192u
char *sm_status_reference(const struct sm_status_identity *id, char out[SM_STATUS_REFERENCE_ROOM]);

/* The body of /status: that of the one identity; with none or several, ours: an object from node ID in hex to the body
 * of each. */
SM_MUST_CHECK sm_err sm_status_format_reference(const struct sm_status_snapshot *s, char **out, size_t *out_n,
                                                struct sm_errinfo *ei);

/* The body of /v1/status. Numbers above 2^63 - 1 are given as that; bytes that are no UTF-8 as U+FFFD. */
SM_MUST_CHECK sm_err sm_status_format_json(const struct sm_status_snapshot *s, char **out, size_t *out_n,
                                           struct sm_errinfo *ei);

/* The body of /metrics. */
#define SM_STATUS_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
SM_MUST_CHECK sm_err sm_status_format_metrics(const struct sm_status_snapshot *s, char **out, size_t *out_n,
                                              struct sm_errinfo *ei);

#endif
