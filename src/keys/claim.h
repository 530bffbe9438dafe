/* keys/claim.h: one signer per identity on this machine, whatever files it reads. The locks on key file and journal do not
 * stop a second process that was given copies of both, such as a backup; an old journal beside a running signer is how
 * an identity signs twice. So a signer also locks a file named after each identity in a directory that all processes
 * of the machine share. Containers with a directory of their own, and other machines, are not seen. Source: wire.md
 * §10.3. */
#ifndef SM_KEYS_CLAIM_H
#define SM_KEYS_CLAIM_H

#include <stddef.h>

#include "util/err.h"
#include "util/ids.h"

#define SM_CLAIMS_DIR "/run/lock" /* for all users to write, emptied at boot */

struct sm_claims {
    int *fds; /* owned, n of them */
    size_t n;
};

/* Holds `ids` until sm_claims_fini, or until the process ends, however it does. SM_E_BUSY names the identity that another
 * holder has. Nothing is held after a failure. Where `dir` is missing or not ours to write in, there is a warning in the
 * log and no protection. The files stay behind, empty: removing one would race with its next holder. */
SM_MUST_CHECK sm_err sm_claims_take(const char *dir, const struct sm_node_id *ids, size_t n, struct sm_claims *out,
                                    struct sm_errinfo *ei);
void sm_claims_fini(struct sm_claims *c);

#endif
