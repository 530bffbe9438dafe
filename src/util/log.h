/* util/log.h: log lines on stderr: time, level, subject, event, key=value pairs.
 *
 *   sm_log(SM_LOG_INFO, "post", "proof found", "identity=%s nonce=%u", id10, nonce);
 *   2026-01-02T03:04:05Z info  post: proof found identity=0a1b2c3d4e nonce=17
 *
 * IDs are cut to 10 hex digits by the caller; keys and tokens never appear. Control characters become '?', so that
 * words of a peer make no line of their own. Any thread. */
#ifndef SM_UTIL_LOG_H
#define SM_UTIL_LOG_H

#include <stdbool.h>

#include "util/err.h"

typedef enum sm_log_level { SM_LOG_ERROR, SM_LOG_WARN, SM_LOG_INFO, SM_LOG_DEBUG } sm_log_level;

void sm_log(sm_log_level level, const char *subject, const char *event, const char *fmt, ...) SM_PRINTF(4, 5);

/* Lines above `level` are dropped. Default SM_LOG_INFO. Set before threads start. */
void sm_log_set_level(sm_log_level level);
/* Parses "error", "warn", "info", "debug"; false if unknown. */
bool sm_log_parse_level(const char *text, sm_log_level *out);

#define SM_LOG_SUBJECT_AT 27u /* where the subject begins in a line: after time and level */

/* Receives each finished line, without newline, instead of stderr; NULL restores stderr. Called under the
 * log's lock: must not log. The progress display uses it to keep its bar below the lines. */
typedef void (*sm_log_sink)(void *ctx, sm_log_level level, const char *line);
void sm_log_set_sink(sm_log_sink sink, void *ctx);

#endif
