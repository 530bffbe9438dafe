/* status/parse.h: reads the body of /v1/status back. */
#ifndef SM_STATUS_PARSE_H
#define SM_STATUS_PARSE_H

#include <stddef.h>

#include "status/snapshot.h"
#include "util/err.h"

#define SM_STATUS_DOCUMENT_MAX (32u << 20) /* bytes; ours: 4096 identities with the longest texts are less */
#define SM_STATUS_ROWS_MAX     4096u       /* identities, devices, disks, skipped directories: each */

/* Strict: every member that schema 1 has must be there with the right type and range; members that it does not have are
 * ignored. Texts that are too long for the snapshot are cut. SM_E_FORMAT names the member; SM_E_MISMATCH: another
 * schema; SM_E_NOMEM. *out is written on success only, and owned by the caller. */
SM_MUST_CHECK sm_err sm_status_parse(const char *text, size_t n, struct sm_status_snapshot *out, struct sm_errinfo *ei);

#endif
