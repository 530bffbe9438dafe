/* powsvc/path.h: how a k2pow job is spelt in an address: /job/{miner}/{nonce_group}/{challenge}/{difficulty}.
 * Source: post-service.md §4.2. */
#ifndef SM_POWSVC_PATH_H
#define SM_POWSVC_PATH_H

#include <stdbool.h>

#include "post/k2pow.h"
#include "util/err.h"

#define SM_POW_PATH_ROOM 160u /* "/job/" 64 "/" 3 "/" 16 "/" 64 and a terminator */

/* Has `path` the five parts of a job? What they hold is for sm_pow_path_parse. */
bool sm_pow_path_is_job(const char *path);

/* miner: 64 hex digits of either case; nonce_group: decimal, 0 … 255; challenge: 16 hex digits, the first 8 bytes (the
 * others of out->challenge are zero); difficulty: 64 hex digits, scaled. SM_E_FORMAT names the part that is wrong. */
SM_MUST_CHECK sm_err sm_pow_path_parse(const char *path, struct sm_k2pow_job *out, struct sm_errinfo *ei);

/* Lower case. Returns `out`. */
char *sm_pow_path_make(const struct sm_k2pow_job *job, char out[SM_POW_PATH_ROOM]);

#endif
