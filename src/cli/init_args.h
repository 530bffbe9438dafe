/* cli/init_args.h: what the options of init come to, for those who run inits of their own (cmd_queue.c). */
#ifndef SM_CLI_INIT_ARGS_H
#define SM_CLI_INIT_ARGS_H

#include "cli/filling.h"

/* Ids, sizes, N and directories from the options in `args` (of sm_cmd_init; `cli->set` is theirs), the network, and what the
 * directory says; refused as init refuses. Nothing is written, and no key is made. `also` is to be released. */
SM_MUST_CHECK sm_err sm_init_decide(const struct sm_cli *cli, const void *args, struct sm_also *also,
                                    struct sm_init_cfg *cfg, struct sm_errinfo *ei);

/* The part of `args` that init shares with grow. */
struct sm_filling_args *sm_init_filling(void *args);

#endif
