/* cli/keys_args.h: options shared by the commands that touch identity keys and the signing journal. */
#ifndef SM_CLI_KEYS_ARGS_H
#define SM_CLI_KEYS_ARGS_H

#include <limits.h>

#include "cli/cli.h"
#include "keys/keyfile.h"
#include "keys/journal.h"

#define SM_JOURNAL_FILE "signing-journal.db"

struct sm_keys_args {
    const char *data_dir, *genesis, *pass_file;
    uint32_t pass_fd;
};

#define SM_KEYS_DIR_OPTION(T, f)                                                                            \
    SM_OPT_TEXT(T, f.data_dir, "data-dir", NULL, "DIR",                                                     \
                "directory of the identities: keys in DIR/identities, the journal in DIR/" SM_JOURNAL_FILE, \
                .required = true)
#define SM_KEYS_GENESIS_OPTION(T, f) \
    SM_OPT_TEXT(T, f.genesis, "genesis-id", NULL, "HEX", "genesis ID of the network, 40 hex digits", .required = true)
#define SM_KEYS_PASS_OPTIONS(T, f)                                                                                 \
    SM_OPT_TEXT(T, f.pass_file, "passphrase-file", NULL, "FILE", "file that holds the passphrase of sealed keys"), \
        SM_OPT_U32(T, f.pass_fd, "passphrase-fd", NULL, 0, 1023, "N", "descriptor to read the passphrase from")

struct sm_keys_paths {
    char keys[PATH_MAX], journal[PATH_MAX];
};
SM_MUST_CHECK sm_err sm_keys_paths_of(const struct sm_keys_args *a, struct sm_keys_paths *out, struct sm_errinfo *ei);
SM_MUST_CHECK sm_err sm_keys_genesis(const struct sm_keys_args *a, struct sm_genesis_id *out, struct sm_errinfo *ei);
/* From file, descriptor, or the terminal, asked twice when `confirm`. Never from the command line. */
SM_MUST_CHECK sm_err sm_keys_passphrase(const struct sm_cli *cli, const struct sm_keys_args *a, bool confirm,
                                        struct sm_passphrase *out, struct sm_errinfo *ei);

#endif
