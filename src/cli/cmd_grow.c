#include <inttypes.h>

#include "cli/commands.h"
#include "cli/filling.h"

struct args {
    struct sm_filling_args fill;
};

static const struct sm_option options[] = {
    SM_FILLING_OPTIONS(struct args, fill),
    SM_OPT_U32(struct args, fill.num_units, "num-units", NULL, 1, UINT32_MAX, "N", "new size in units",
               .required = true),
    SM_OPT_END,
};

static sm_err decide(const struct args *a, struct sm_subject *s, struct sm_init_cfg *cfg, struct sm_errinfo *ei)
{
    const uint32_t units = a->fill.num_units;
    sm_err err = sm_subject_need_meta(s, ei);
    if (err) return err;
    if (units < s->meta.num_units)
        return sm_fail(ei, SM_E_MISMATCH, "%s has %" PRIu32 " units; to make it smaller use shrink", s->dir,
                       s->meta.num_units);
    if (s->network_chosen && units > s->params.max_num_units)
        return sm_fail(ei, SM_E_MISMATCH, "--num-units is %" PRIu32 ", network %s accepts at most %" PRIu32, units,
                       s->params.name, s->params.max_num_units);
    cfg->node_id = s->meta.node_id;
    cfg->commitment_atx_id = s->meta.commitment_atx_id;
    cfg->labels_per_unit = s->meta.labels_per_unit;
    cfg->max_file_size = s->meta.max_file_size;
    cfg->num_units = units;
    cfg->from_file = cfg->to_file = SM_LAYOUT_ALL;
    return sm_subject_scrypt_n(s, a->fill.scrypt_n, &cfg->scrypt_n, ei);
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_subject subject = {0};
    struct sm_init_cfg cfg = {.dir = a->fill.dir, .grow = true};
    struct sm_also also = {0};
    sm_err err = sm_subject_load(cli, a->fill.dir, &a->fill.net, &subject, &ei);
    if (!err) err = decide(a, &subject, &cfg, &ei);
    if (!err) err = sm_filling_take_also(&a->fill, &also, &cfg, &ei);
    sm_subject_fini(&subject);
    const sm_exit status = err ? sm_cli_error(cli, err, &ei) : sm_filling_run(cli, &a->fill, &cfg);
    sm_also_fini(&also);
    return status;
}

const struct sm_command sm_cmd_grow = {
    .name = "grow",
    .summary = "make a data set larger",
    .details =
        "Adds labels until there are --num-units units. The metadata names the new size only once all labels are "
        "there, so the old size can be proven until then; run it again after an interruption. The VRF nonce is "
        "checked against the new, harder difficulty and searched again when it no longer satisfies it.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
