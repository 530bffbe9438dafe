/* cli/top_screen.h: the terminal of `smesher top`, with ncurses. */
#ifndef SM_CLI_TOP_SCREEN_H
#define SM_CLI_TOP_SCREEN_H

#include <stdbool.h>

#include "cli/top_fetch.h"
#include "util/cancel.h"
#include "util/err.h"

/* Runs until the user leaves or `cancel` is set. SM_E_STATE: this is no terminal, or one that ncurses does not know. */
SM_MUST_CHECK sm_err sm_top_screen_run(struct sm_top_fetch *fetch, struct sm_top_rig *rigs, size_t rigs_n, bool color,
                                       const struct sm_cancel *cancel, struct sm_errinfo *ei);

/* The locale of the environment is in force afterwards; does it write UTF-8? */
bool sm_top_utf8(void);

#endif
