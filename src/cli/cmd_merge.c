#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "post/merge.h"

struct args {
    const char *target;
    bool move;
};

static const struct sm_option options[] = {
    SM_OPT_TEXT(struct args, target, "target", NULL, "DIR", "directory of the whole data set; new, or one of the parts",
                .required = true),
    SM_OPT_FLAG(struct args, move, "move", "move files instead of copying them where the file system allows it"),
    SM_OPT_END,
};

static void on_progress(void *ctx, const char *file, uint64_t done, uint64_t total)
{
    struct sm_progress_now now = {.phase = "copying", .bytes_per_unit = 1, .done = done, .total = total};
    const char *name = strrchr(file, '/');
    (void)snprintf(now.note, sizeof now.note, "%.63s", name ? name + 1 : file);
    sm_progress_update(ctx, &now);
}

static void report(struct sm_cli *cli, const struct args *a, const struct sm_merge_result *r)
{
    sm_cli_say(cli, "%s: %" PRIu64 " files moved, %" PRIu64 " copied, %" PRIu64 " there already", a->target,
               r->files_moved, r->files_copied, r->files_present);
    if (r->files_missing)
        sm_cli_say(cli, "%" PRIu64 " files of the data set are still missing: merge the other parts, or run init",
                   r->files_missing);
    if (r->has_nonce)
        sm_cli_say(cli, "VRF nonce %" PRIu64, r->nonce);
    else
        sm_cli_say(cli, "no VRF nonce yet: run init on %s, which searches it", a->target);
    json_t *o = json_pack("{s:s, s:b}", "target", a->target, "complete", r->files_missing == 0);
    json_object_set_new(o, "files_moved", sm_cli_json_u64(r->files_moved));
    json_object_set_new(o, "files_copied", sm_cli_json_u64(r->files_copied));
    json_object_set_new(o, "files_present", sm_cli_json_u64(r->files_present));
    json_object_set_new(o, "files_missing", sm_cli_json_u64(r->files_missing));
    json_object_set_new(o, "nonce", r->has_nonce ? sm_cli_json_u64(r->nonce) : json_null());
    sm_cli_json(cli, o);
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_merge_result result = {0};
    struct sm_progress *progress = sm_progress_new(cli, "merge");
    const struct sm_merge_cfg cfg = {
        .sources = cli->operands,
        .sources_n = cli->operands_n,
        .target = a->target,
        .move = a->move,
        .progress = on_progress,
        .progress_ctx = progress,
    };
    sm_err err = sm_merge_run(&cfg, cli->cancel, &result, &ei);
    sm_progress_free(progress);
    if (err) return sm_cli_error(cli, err, &ei);
    report(cli, a, &result);
    return SM_EXIT_DONE;
}

const struct sm_command sm_cmd_merge = {
    .name = "merge",
    .summary = "put the parts of a data set, made in several directories, together",
    .details =
        "All parts must belong to the same data set. Existing files are never overwritten. The smallest VRF nonce "
        "value of all parts becomes that of the whole.",
    .operands = "PART...",
    .operands_min = 1,
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
