/* post/sidecar.h: smesher.json in the data directory: what the metadata has no room for. Other programs ignore it.
 * Losing it loses nothing that cannot be found again: N is then taken from the caller and proven on stored labels. */
#ifndef SM_POST_SIDECAR_H
#define SM_POST_SIDECAR_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

#define SM_SIDECAR_FILE "smesher.json"

struct sm_sidecar {
    uint32_t scrypt_n;        /* 0 unknown */
    bool has_subset;
    uint64_t from, to;        /* file range this directory is responsible for */
    uint32_t grow_to;         /* num_units a `grow` in progress is heading for; 0 none */
    uint64_t grow_scanned;    /* not used when grow_to is 0 */
    bool has_searched;
    uint64_t searched;        /* label index: every label below it in this directory's files is durable on disk and was
                               * compared with the metadata's nonce; kept by init, dropped by whoever else adds files */
};
/* SM_E_NOTFOUND when absent, SM_E_FORMAT when broken. */
SM_MUST_CHECK sm_err sm_sidecar_load(const char *dir, struct sm_sidecar *out, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_sidecar_save(const char *dir, const struct sm_sidecar *s, struct sm_errinfo *ei);

#endif
