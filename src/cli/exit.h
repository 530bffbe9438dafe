/* cli/exit.h: what the exit status of every command means. Scripts may rely on it; printed by `smesher --help` and
 * the manual page. */
#ifndef SM_CLI_EXIT_H
#define SM_CLI_EXIT_H

typedef enum sm_exit {
    SM_EXIT_DONE = 0,
    SM_EXIT_FAILED = 1,      /* an error on the way: disk, memory, device, network */
    SM_EXIT_USAGE = 2,       /* the command line is wrong; nothing was done */
    SM_EXIT_CONFIG = 3,      /* configuration, metadata or an input file is malformed, or contradicts what exists */
    SM_EXIT_NO = 4,          /* the check ran and the answer is no: bad labels, invalid proof, no nonce found */
    SM_EXIT_INTERRUPTED = 5, /* stopped by a signal; finished work is saved, run the command again to continue */
    SM_EXIT_DEGRADED = 6,    /* done and right, but a device failed or lied on the way and was left out */
} sm_exit;

#endif
