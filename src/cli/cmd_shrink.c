#include <inttypes.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/subject.h"
#include "post/layout.h"
#include "post/shrink.h"

struct args {
    const char *dir;
    uint32_t num_units;
    bool yes;
};

static const struct sm_option options[] = {
    SM_DIR_OPTION(struct args, dir),
    SM_OPT_U32(struct args, num_units, "num-units", NULL, 1, UINT32_MAX, "N", "new size in units", .required = true),
    SM_OPT_FLAG(struct args, yes, "yes", "really remove the labels; without it only the plan is shown"),
    SM_OPT_END,
};

static void say_plan(struct sm_cli *cli, const struct args *a, const struct sm_shrink_plan *p)
{
    char size[32], name[64];
    sm_cli_say(cli, "%s: from %" PRIu32 " to %" PRIu32 " units", a->dir, p->from_units, p->to_units);
    sm_cli_say(cli, "%" PRIu64 " files and %s of labels would be removed", p->files_removed,
               sm_text_bytes((double)p->bytes_removed, size));
    if (p->cut_bytes_after)
        sm_cli_say(cli, "%s would be cut to %" PRIu64 " bytes", sm_layout_file_name(p->cut_file, name),
                   p->cut_bytes_after);
}

static json_t *document(const struct args *a, const struct sm_shrink_plan *p, bool done)
{
    json_t *o = json_pack("{s:s, s:b}", "dir", a->dir, "done", done);
    json_object_set_new(o, "from_units", sm_cli_json_u64(p->from_units));
    json_object_set_new(o, "to_units", sm_cli_json_u64(p->to_units));
    json_object_set_new(o, "files_removed", sm_cli_json_u64(p->files_removed));
    json_object_set_new(o, "bytes_removed", sm_cli_json_u64(p->bytes_removed));
    json_object_set_new(o, "cut_file", p->cut_bytes_after ? sm_cli_json_u64(p->cut_file) : json_null());
    json_object_set_new(o, "cut_bytes_after", p->cut_bytes_after ? sm_cli_json_u64(p->cut_bytes_after) : json_null());
    return o;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_shrink_plan plan = {0};
    sm_err err = sm_shrink_plan(a->dir, a->num_units, &plan, &ei);
    if (err) return sm_cli_error(cli, err, &ei);
    say_plan(cli, a, &plan);
    const bool go = a->yes || sm_cli_confirm(cli, "The labels cannot be brought back but by computing them.", "remove");
    if (go) err = sm_shrink_run(a->dir, a->num_units, &ei);
    if (err) return sm_cli_error(cli, err, &ei);
    sm_cli_say(cli, go ? "done" : "nothing was removed; add --yes to do it");
    sm_cli_json(cli, document(a, &plan, go));
    return SM_EXIT_DONE;
}

const struct sm_command sm_cmd_shrink = {
    .name = "shrink",
    .summary = "make a data set smaller; shows the plan unless --yes is given",
    .details =
        "The only command that removes labels. On a terminal it asks; otherwise it removes nothing without --yes. "
        "The VRF nonce stays valid. After an interruption run it again with the same --num-units.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
