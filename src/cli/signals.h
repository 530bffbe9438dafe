/* cli/signals.h: SIGINT, SIGTERM and SIGHUP ask for an orderly end, the second one ends at once. SIGPIPE is ignored:
 * a closed pipe shows up as a write error; so is SIGXFSZ, for files beyond the size limit. */
#ifndef SM_CLI_SIGNALS_H
#define SM_CLI_SIGNALS_H

#include <stdbool.h>

#include "util/cancel.h"

/* Installs the handlers; the flag lives as long as the process. */
const struct sm_cancel *sm_signals_install(void);

/* SIGUSR1 pauses, SIGUSR2 goes on: for commands that can do so. Ask as often as needed; any thread. */
void sm_signals_allow_pause(void);
bool sm_signals_paused(void *unused);

#endif
