/* rig/daemon.h: the rig connected to the world: nodes, signals, service manager, status interface. */
#ifndef SM_RIG_DAEMON_H
#define SM_RIG_DAEMON_H

#include "rig/config.h"
#include "util/cancel.h"
#include "util/err.h"

struct sm_rig_daemon_cfg {
    /* Makes the configuration: at the start, and again for SIGHUP. *out is initialised, and finished by the caller also on
     * failure. */
    sm_err (*load)(void *ctx, struct sm_rig_cfg *out, struct sm_errinfo *ei);
    void *ctx;
    const struct sm_cancel *cancel; /* SIGTERM and SIGINT: end in order */
};

/* Serves until cancelled (SM_OK), until the watched process has ended (SM_OK), with one_shot until everything that was
 * asked for is delivered (SM_OK), or until a connection gives up (SM_E_NET, max_retries). SIGHUP reads configuration,
 * certificates and data sets again; proofs that run go on, and a configuration that is wrong changes nothing.
 *
 * Other failures: SM_E_FORMAT (configuration), SM_E_BUSY (state_dir in use), SM_E_NOTFOUND (no data set can be served),
 * what reading the TLS files returns, SM_E_TIMEOUT (a disk does not answer, and its thread could not be stopped: the process
 * should end at once; all files survive that).
 *
 * Call it on the main thread before others exist: SIGHUP is blocked for all of them. */
SM_MUST_CHECK sm_err sm_rig_daemon_run(const struct sm_rig_daemon_cfg *cfg, struct sm_errinfo *ei);

#endif
