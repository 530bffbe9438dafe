#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/subject.h"
#include "post/check.h"

struct args {
    const char *dir;
    struct sm_net_args net;
    struct sm_engine_args engine;
    uint32_t scrypt_n;
    double fraction;
    bool all, repair;
    uint64_t seed, from_file, to_file;
};

static const struct sm_option options[] = {
    SM_DIR_OPTION(struct args, dir),
    SM_OPT_F64(struct args, fraction, "fraction", "0.2", 0, 100, "PERCENT",
               "share of the labels of each file that is computed again, at least one label each"),
    SM_OPT_FLAG(struct args, all, "all", "check every label; the same as --fraction 100"),
    SM_OPT_FLAG(struct args, repair, "repair",
                "rewrite the labels found bad, and nothing else; checks every label unless --fraction is given"),
    SM_OPT_U64(struct args, seed, "seed", "0", 0, UINT64_MAX, "N", "choose the same sample again; 0 = random"),
    SM_FILE_RANGE_OPTIONS(struct args, from_file, to_file),
    SM_NET_OPTIONS(struct args, net),
    SM_SCRYPT_N_OPTION(struct args, scrypt_n),
    SM_ENGINE_OPTIONS(struct args, engine),
    SM_OPT_END,
};

static void on_progress(void *ctx, uint64_t done, uint64_t total, uint64_t bad)
{
    struct sm_progress_now now = {
        .phase = "checking", .unit = "labels", .bytes_per_unit = SM_LABEL_BYTES, .done = done, .total = total};
    if (bad) (void)snprintf(now.note, sizeof now.note, "%" PRIu64 " bad", bad);
    sm_progress_update(ctx, &now);
}

static void say(struct sm_cli *cli, const struct args *a, const struct sm_check_result *r, double fraction)
{
    char count[32], name[64];
    for (size_t i = 0; i < r->file_problems_n; i++)
        sm_cli_say(cli, "%s%s%s", sm_cli_paint(cli, SM_PAINT_BAD), r->file_problems[i],
                   sm_cli_paint(cli, SM_PAINT_OFF));
    for (size_t i = 0; i < r->bad_n; i++)
        sm_cli_say(cli, "%s%s: %" PRIu64 " bad label%s from byte %" PRIu64 "%s", sm_cli_paint(cli, SM_PAINT_BAD),
                   sm_layout_file_name(r->bad[i].file, name), r->bad[i].labels, r->bad[i].labels == 1 ? "" : "s",
                   r->bad[i].offset, sm_cli_paint(cli, SM_PAINT_OFF));
    sm_cli_say(cli, "%s: %s labels checked (%g %%), %" PRIu64 " bad%s%s", a->dir,
               sm_text_count(r->labels_checked, count), fraction, r->labels_bad,
               r->labels_repaired ? ", repaired " : "",
               r->labels_repaired ? sm_text_count(r->labels_repaired, name) : "");
    if (r->labels_bad > r->labels_repaired) sm_cli_say(cli, "smesher verify --repair rewrites bad labels");
}

static json_t *document(const struct args *a, const struct sm_check_result *r, double fraction, bool valid)
{
    json_t *bad = json_array(), *problems = json_array();
    for (size_t i = 0; i < r->bad_n; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "file", sm_cli_json_u64(r->bad[i].file));
        json_object_set_new(o, "offset", sm_cli_json_u64(r->bad[i].offset));
        json_object_set_new(o, "labels", sm_cli_json_u64(r->bad[i].labels));
        json_array_append_new(bad, o);
    }
    for (size_t i = 0; i < r->file_problems_n; i++) json_array_append_new(problems, json_string(r->file_problems[i]));
    json_t *o = json_pack("{s:s, s:b, s:o, s:o, s:o}", "dir", a->dir, "valid", valid, "fraction",
                          sm_cli_json_real(fraction), "bad", bad, "problems", problems);
    json_object_set_new(o, "labels_checked", sm_cli_json_u64(r->labels_checked));
    json_object_set_new(o, "labels_bad", sm_cli_json_u64(r->labels_bad));
    json_object_set_new(o, "labels_repaired", sm_cli_json_u64(r->labels_repaired));
    return o;
}

static sm_err check(struct sm_cli *cli, const struct args *a, double fraction, struct sm_check_result *out,
                    struct sm_errinfo *ei)
{
    struct sm_subject subject = {0};
    struct sm_progress *progress = NULL;
    struct sm_check_cfg cfg = {
        .dir = a->dir,
        .from_file = sm_cli_file_bound(cli, "from-file", a->from_file),
        .to_file = sm_cli_file_bound(cli, "to-file", a->to_file),
        .fraction = fraction,
        .seed = a->seed,
        .repair = a->repair,
        .progress = on_progress,
    };
    sm_err err = sm_subject_load(cli, a->dir, &a->net, &subject, ei);
    if (!err) err = sm_subject_need_meta(&subject, ei);
    if (!err) err = sm_subject_scrypt_n(&subject, a->scrypt_n, &cfg.scrypt_n, ei);
    if (!err) err = sm_engines_make(&a->engine, cfg.scrypt_n, &cfg.engines, &cfg.engines_n, ei);
    sm_subject_fini(&subject);
    if (err) return err;
    cfg.progress_ctx = progress = sm_progress_new(cli, "verify");
    err = sm_check_run(&cfg, cli->cancel, out, ei);
    sm_progress_free(progress);
    free(cfg.engines);
    return err;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_check_result result = {0};
    if (a->all && sm_cli_given(cli, "fraction"))
        return sm_cli_refuse(cli, SM_EXIT_USAGE, "--all and --fraction exclude each other");
    const double fraction = a->all || (a->repair && !sm_cli_given(cli, "fraction")) ? 100 : a->fraction;
    sm_err err = check(cli, a, fraction, &result, &ei);
    if (err) return sm_cli_error(cli, err, &ei);
    const bool valid = result.labels_bad == result.labels_repaired && !result.file_problems_n;
    say(cli, a, &result, fraction);
    sm_cli_json(cli, document(a, &result, fraction, valid));
    sm_check_result_fini(&result);
    return valid ? SM_EXIT_DONE : SM_EXIT_NO;
}

const struct sm_command sm_cmd_verify = {
    .name = "verify",
    .summary = "compare the labels on disk with what they should be, and repair them",
    .details =
        "Reads the data, computes labels again and lists every range that differs, with file and byte offset. Exits "
        "with 4 when a label is bad or a file is missing or short, and with 0 when all that was bad is repaired.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
