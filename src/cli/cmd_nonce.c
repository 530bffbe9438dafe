#include <inttypes.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/subject.h"
#include "post/nonce.h"
#include "util/text.h"

struct args {
    const char *dir;
    struct sm_net_args net;
    uint32_t scrypt_n;
    uint64_t from_file, to_file;
    bool dry_run;
};

static const struct sm_option options[] = {
    SM_DIR_OPTION(struct args, dir),
    SM_FILE_RANGE_OPTIONS(struct args, from_file, to_file),
    SM_OPT_FLAG(struct args, dry_run, "dry-run", "search, and leave the metadata as it is"),
    SM_NET_OPTIONS(struct args, net),
    SM_SCRYPT_N_OPTION(struct args, scrypt_n),
    SM_OPT_END,
};

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
    const struct sm_progress_now now = {
        .phase = "searching", .unit = "labels", .bytes_per_unit = SM_LABEL_BYTES, .done = done, .total = total};
    sm_progress_update(ctx, &now);
}

static sm_err search(struct sm_cli *cli, const struct args *a, struct sm_nonce_result *out, struct sm_errinfo *ei)
{
    struct sm_subject subject = {0};
    struct sm_nonce_cfg cfg = {
        .dir = a->dir,
        .from_file = sm_cli_file_bound(cli, "from-file", a->from_file),
        .to_file = sm_cli_file_bound(cli, "to-file", a->to_file),
        .dry_run = a->dry_run,
        .progress = on_progress,
    };
    sm_err err = sm_subject_load(cli, a->dir, &a->net, &subject, ei);
    if (!err) err = sm_subject_need_meta(&subject, ei);
    if (!err) err = sm_subject_scrypt_n(&subject, a->scrypt_n, &cfg.scrypt_n, ei);
    sm_subject_fini(&subject);
    if (err) return err;
    struct sm_progress *progress = sm_progress_new(cli, "nonce");
    cfg.progress_ctx = progress;
    err = sm_nonce_search(&cfg, cli->cancel, out, ei);
    sm_progress_free(progress);
    return err;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_nonce_result r = {0};
    char count[32], label[SM_HEX_ROOM(32)];
    sm_err err = search(cli, a, &r, &ei);
    if (err) return sm_cli_error(cli, err, &ei);
    sm_cli_say(cli, "%s: %s labels searched", a->dir, sm_text_count(r.labels_scanned, count));
    if (r.found)
        sm_cli_say(cli, "VRF nonce %" PRIu64 " (label %s), %s", r.nonce, sm_hex_encode(r.label, 32, label),
                   !r.changed   ? "as the metadata had it"
                   : a->dry_run ? "not written (dry run)"
                                : "now in the metadata");
    else
        sm_cli_say(cli, "no label is below the difficulty; init searches beyond the data");
    json_t *o =
        json_pack("{s:s, s:b, s:b, s:b}", "dir", a->dir, "found", r.found, "changed", r.changed, "dry_run", a->dry_run);
    json_object_set_new(o, "nonce", r.found ? sm_cli_json_u64(r.nonce) : json_null());
    json_object_set_new(o, "label", r.found ? sm_cli_json_hex(r.label, 32) : json_null());
    json_object_set_new(o, "labels_searched", sm_cli_json_u64(r.labels_scanned));
    sm_cli_json(cli, o);
    return r.found ? SM_EXIT_DONE : SM_EXIT_NO;
}

const struct sm_command sm_cmd_nonce = {
    .name = "nonce",
    .summary = "search the existing files for the VRF nonce",
    .details =
        "Finds the smallest label of the files and writes it to the metadata unless the metadata has a smaller one. "
        "Exits with 4 when no label qualifies.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
