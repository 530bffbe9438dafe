#include "cli/commands.h"
#include "cli/keys_args.h"
#include "keys/server.h"
#include "util/log.h"

struct args {
    struct sm_keys_args keys;
    const char *socket;
    bool allow_missing, no_sandbox;
};

static const struct sm_option options[] = {
    SM_KEYS_DIR_OPTION(struct args, keys),
    SM_KEYS_GENESIS_OPTION(struct args, keys),
    SM_OPT_TEXT(struct args, socket, "socket", NULL, "PATH", "Unix socket, in a directory that only we can write",
                .required = true),
    SM_OPT_FLAG(struct args, allow_missing, "allow-missing-keys",
                "start although keys that the journal knows are absent"),
    SM_OPT_FLAG(struct args, no_sandbox, "no-sandbox", "do not restrict files and system calls"),
    SM_KEYS_PASS_OPTIONS(struct args, keys),
    SM_OPT_END,
};

static sm_err open_signer(struct sm_cli *cli, const struct args *a, struct sm_signer **out, struct sm_errinfo *ei)
{
    struct sm_keys_paths p;
    struct sm_genesis_id genesis;
    struct sm_passphrase pass = {0};
    sm_err err = sm_keys_paths_of(&a->keys, &p, ei);
    if (!err) err = sm_keys_genesis(&a->keys, &genesis, ei);
    if (!err && (a->keys.pass_file || sm_cli_given(cli, "passphrase-fd")))
        err = sm_keys_passphrase(cli, &a->keys, false, &pass, ei);
    if (err) return err;
    const struct sm_signer_cfg cfg = {
        .keys_dir = p.keys,
        .journal_path = p.journal,
        .genesis = genesis,
        .pass = pass.bytes ? &pass : NULL,
        .allow_missing_keys = a->allow_missing,
        .claims_dir = SM_CLAIMS_DIR,
    };
    err = sm_signer_open(&cfg, out, ei);
    sm_passphrase_fini(&pass);
    return err;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_signer *signer = NULL;
    struct sm_server *server = NULL;
    bool fenced = false;
    size_t n = 0;
    sm_err err = open_signer(cli, a, &signer, &ei);
    if (!err) err = sm_server_open(a->socket, signer, &server, &ei);
    if (!err && !a->no_sandbox) err = sm_sandbox_enter(a->keys.data_dir, &fenced, &ei);
    if (!err) {
        (void)sm_signer_identities(signer, &n);
        sm_log(SM_LOG_INFO, "signer", "ready", "identities=%zu socket=%s landlock=%s", n, a->socket,
               fenced ? "yes" : "no");
        err = sm_server_run(server, cli->cancel, &ei);
    }
    sm_server_close(server);
    sm_signer_close(signer);
    if (err) return sm_cli_error(cli, err, &ei);
    sm_cli_json(cli, json_pack("{s:I}", "identities", (json_int_t)n));
    return SM_EXIT_DONE;
}

const struct sm_command sm_cmd_signer = {
    .name = "signer",
    .summary = "hold the keys and sign for other programs, over a Unix socket",
    .details =
        "The only process that sees private keys. It signs protocol objects, not bytes, and never a second one for "
        "a slot: the signing journal is on disk before a signature leaves. An identity that another process of this "
        "machine signs as is refused, also when it has a copy of the files. Only our own user and root are answered. "
        "It ends in order on SIGTERM.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
