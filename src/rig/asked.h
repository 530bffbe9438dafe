/* rig/asked.h: when an identity was first asked for the challenge it was asked for last. A node does not say until when it
 * wants a proof; the deadline counts from the first question, also over a restart of the rig.
 *
 * One small file per identity, DIR/NODEID.json, replaced whole. Any thread; blocks for the disk. */
#ifndef SM_RIG_ASKED_H
#define SM_RIG_ASKED_H

#include <stdint.h>

#include "util/err.h"
#include "util/ids.h"

struct sm_asked {
    struct sm_challenge challenge;
    int64_t unix_s; /* 0: never asked */
};

/* SM_E_NOTFOUND: none is kept; SM_E_FORMAT: the file is damaged, and as good as none; SM_E_IO. */
SM_MUST_CHECK sm_err sm_asked_get(const char *dir, const struct sm_node_id *id, struct sm_asked *out,
                                  struct sm_errinfo *ei);
/* SM_E_IO, SM_E_NOSPACE, SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_asked_put(const char *dir, const struct sm_node_id *id, const struct sm_asked *asked,
                                  struct sm_errinfo *ei);

#endif
