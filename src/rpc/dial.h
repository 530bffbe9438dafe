/* rpc/dial.h: one TCP connection to a service, at whichever of its addresses answers first.
 *
 * Addresses are tried in order, the next one when the one before has failed or has kept silent for SM_DIAL_STAGGER_NS
 * (RFC 8305), so that a dead IPv6 route costs a moment and not the whole time. There is no time limit here: the owner
 * cancels. Loop thread. */
#ifndef SM_RPC_DIAL_H
#define SM_RPC_DIAL_H

#include "rpc/loop.h"
#include "rpc/tcp.h"

#define SM_DIAL_STAGGER_NS (250ull * 1000000ull) /* RFC 8305, section 5 */

struct sm_dial;
/* Once, never from inside sm_dial_start; the dial is gone when it is called. SM_OK: `fd` (tuned, now the callee's) is
 * connected to `peer`. Else fd is -1, and `text` says of each address why not. */
typedef void (*sm_dial_done)(void *ctx, int fd, const union sm_sockaddr *peer, sm_err err, const char *text);

/* Copies what it is given. SM_E_NOMEM. */
SM_MUST_CHECK sm_err sm_dial_start(struct sm_loop *l, const struct sm_rpc_address *to, const struct sm_tcp_cfg *tcp,
                                   sm_dial_done done, void *ctx, struct sm_dial **out, struct sm_errinfo *ei);
/* `done` will not be called. Accepts NULL. */
void sm_dial_cancel(struct sm_dial *d);
/* "looking up the host" or "connecting": what a time limit interrupts. */
const char *sm_dial_phase(const struct sm_dial *d);

#endif
