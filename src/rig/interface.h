/* rig/interface.h: the HTTP status interface of a rig: post-service.md §3.3 and OUR-13. It is
 * status/api.h over a rig. Requests are answered on the server's own thread. */
#ifndef SM_RIG_INTERFACE_H
#define SM_RIG_INTERFACE_H

#include "rig/rig.h"
#include "util/err.h"

struct sm_rig_interface;

/* Listens as the rig's configuration says; *out NULL when it says nothing. */
SM_MUST_CHECK sm_err sm_rig_interface_start(struct sm_rig *r, struct sm_rig_interface **out, struct sm_errinfo *ei);
/* Accepts NULL. */
void sm_rig_interface_stop(struct sm_rig_interface *i);

#endif
