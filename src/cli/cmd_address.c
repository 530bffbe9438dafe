#include <string.h>

#include "cli/commands.h"
#include "codec/address.h"
#include "util/text.h"

struct args {
    uint8_t public_key[32];
    const char *hrp, *to_hrp;
};

static const struct sm_option options[] = {
    SM_OPT_HEX32(struct args, public_key, "public-key", "key of a single-signature wallet, to compute its address"),
    SM_OPT_TEXT(struct args, hrp, "hrp", NULL, "TEXT",
                "network prefix the address must have: sm on the main network, stest on test networks",
                .default_note = "any; sm with --public-key"),
    SM_OPT_TEXT(struct args, to_hrp, "to-hrp", NULL, "TEXT", "network prefix to write the address with",
                .default_note = "its own"),
    SM_OPT_END,
};

static sm_err find(struct sm_cli *cli, const struct args *a, struct sm_address *out, char hrp[SM_HRP_MAX + 1],
                   struct sm_errinfo *ei)
{
    if (sm_cli_given(cli, "public-key") == (cli->operands_n == 1) || cli->operands_n > 1)
        return sm_fail(ei, SM_E_ARG, "give either one ADDRESS or --public-key");
    if (a->hrp && !sm_hrp_valid(a->hrp))
        return sm_fail(ei, SM_E_ARG, "--hrp: '%.40s' is no network prefix: up to %u lower-case letters and digits",
                       a->hrp, SM_HRP_MAX);
    if (cli->operands_n) return sm_address_decode(cli->operands[0], a->hrp, out, hrp, ei);
    *out = sm_address_of_wallet(a->public_key);
    const char *own = a->hrp ? a->hrp : SM_HRP_MAIN;
    memcpy(hrp, own, strlen(own) + 1);
    return SM_OK;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_address address;
    char hrp[SM_HRP_MAX + 1], text[SM_ADDRESS_ROOM], hex[SM_HEX_ROOM(sizeof address.b)];
    sm_err err = find(cli, a, &address, hrp, &ei);
    const char *to = a->to_hrp ? a->to_hrp : hrp;
    if (!err) err = sm_address_encode(&address, to, text, &ei);
    if (err) return sm_cli_error(cli, err, &ei);
    sm_hex_encode(address.b, sizeof address.b, hex);
    sm_cli_say(cli, "%s", text);
    sm_cli_json(cli, json_pack("{s:s, s:s, s:s}", "address", text, "hrp", to, "bytes", hex));
    return SM_EXIT_DONE;
}

const struct sm_command sm_cmd_address = {
    .name = "address",
    .summary = "check an account address, or compute a wallet's from its public key",
    .details =
        "Prints the address in lower case. Exits with 3 for text that is no address, that is mistyped, or that belongs "
        "to another network than --hrp says.",
    .operands = "[ADDRESS]",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
