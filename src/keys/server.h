/* keys/server.h: the signer process: answers requests over a Unix socket, and can do little else. */
#ifndef SM_KEYS_SERVER_H
#define SM_KEYS_SERVER_H

#include <sys/types.h>

#include "keys/signer.h"
#include "util/cancel.h"

/* At most. A further one takes the place of the one that has been idle longest, whose owner connects again with its next
 * request, or waits until a request is answered. */
#define SM_SERVER_CONNECTIONS 64u

struct sm_server;

/* Listens at `path`. Its directory must be ours (or root's) and writable by nobody else; the socket has mode 0600. A
 * socket that a dead process left is replaced; SM_E_BUSY when somebody answers there. `signer` is borrowed. */
SM_MUST_CHECK sm_err sm_server_open(const char *path, struct sm_signer *signer, struct sm_server **out,
                                    struct sm_errinfo *ei);
/* Serves until `cancel` is set; looks at it at least every 100 ms. Only processes of our own user, and root, are
 * answered. */
SM_MUST_CHECK sm_err sm_server_run(struct sm_server *s, const struct sm_cancel *cancel, struct sm_errinfo *ei);
void sm_server_close(struct sm_server *s);

/* Gives up, for this process and for ever, what a signer does not need: core files and being traced, new privileges,
 * programs, further sockets (seccomp), and every file outside `dir` (Landlock, where the kernel has it). Call it before
 * threads start. *out_landlock says whether files are fenced in; what the kernel lacks, packaging/systemd supplies. */
SM_MUST_CHECK sm_err sm_sandbox_enter(const char *dir, bool *out_landlock, struct sm_errinfo *ei);

#endif
