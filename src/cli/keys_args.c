#include "cli/keys_args.h"

#include <fcntl.h>

#include "util/io.h"
#include "util/text.h"

sm_err sm_keys_paths_of(const struct sm_keys_args *a, struct sm_keys_paths *out, struct sm_errinfo *ei)
{
    sm_err err = sm_io_path(out->keys, sizeof out->keys, a->data_dir, "identities", ei);
    return err ? err : sm_io_path(out->journal, sizeof out->journal, a->data_dir, SM_JOURNAL_FILE, ei);
}

sm_err sm_keys_genesis(const struct sm_keys_args *a, struct sm_genesis_id *out, struct sm_errinfo *ei)
{
    return sm_hex_decode(a->genesis, "--genesis-id", out->b, sizeof out->b, ei) ? SM_E_ARG : SM_OK;
}

sm_err sm_keys_passphrase(const struct sm_cli *cli, const struct sm_keys_args *a, bool confirm,
                          struct sm_passphrase *out, struct sm_errinfo *ei)
{
    if (sm_cli_given(cli, "passphrase-fd")) return sm_passphrase_read((int)a->pass_fd, "--passphrase-fd", out, ei);
    if (!a->pass_file) return sm_passphrase_ask("Passphrase of the key: ", confirm, out, ei);
    int fd = -1;
    sm_err err = sm_io_open(a->pass_file, O_RDONLY, 0, &fd, ei);
    if (!err) err = sm_passphrase_read(fd, a->pass_file, out, ei);
    sm_io_close(fd);
    return err;
}
