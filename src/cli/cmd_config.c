#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/groups.h"
#include "config/network.h"

struct args {
    struct sm_net_args net;
};

static const struct sm_option options[] = {
    SM_NET_OPTIONS(struct args, net),
    SM_OPT_END,
};

static json_t *document(const struct sm_post_params *p)
{
    json_t *post = json_object();
    struct sm_network_field row;
    for (size_t i = 0; sm_network_field(p, i, &row); i++)
        json_object_set_new(post, row.key,
                            row.is_text ? json_string(row.value) : sm_cli_json_u64(strtoull(row.value, NULL, 10)));
    return json_pack("{s:s, s:o}", "name", p->name, "post", post);
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *args = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_post_params params;
    char *yaml = NULL;
    sm_err err = sm_net_params(&args->net, &params, &ei);
    if (!err) err = sm_network_dump(&params, &yaml, &ei);
    if (err) return sm_cli_error(cli, err, &ei);
    yaml[strlen(yaml) - 1] = '\0'; /* say adds the newline */
    sm_cli_say(cli, "%s", yaml);
    sm_cli_json(cli, document(&params));
    free(yaml);
    return SM_EXIT_DONE;
}

const struct sm_command sm_cmd_config_dump = {
    .name = "config dump",
    .summary = "print the network parameters in effect",
    .details =
        "Takes the preset or file of --network, then the SM_POST_... variables, then --param, checks the result and "
        "prints it as YAML that --network reads back.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
