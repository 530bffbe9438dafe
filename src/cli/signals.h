/* cli/signals.h: SIGINT, SIGTERM and SIGHUP ask for an orderly end, the second one ends at once. SIGPIPE is ignored:
 * a closed pipe shows up as a write error; so is SIGXFSZ, for files beyond the size limit. */
#ifndef SM_CLI_SIGNALS_H
#define SM_CLI_SIGNALS_H

#include "util/cancel.h"

/* Installs the handlers; the flag lives as long as the process. */
const struct sm_cancel *sm_signals_install(void);

#endif
