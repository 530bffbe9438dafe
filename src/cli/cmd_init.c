#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/filling.h"
#include "cli/init_args.h"
#include "cli/key.h"
#include "post/datadir.h"
#include "util/log.h"
#include "util/text.h"

struct args {
    struct sm_filling_args fill;
    uint8_t node_id[32], atx_id[32];
    bool generate_key;
    uint64_t labels_per_unit, max_file_size, from_file, to_file;
};

static const struct sm_option options[] = {
    SM_FILLING_OPTIONS(struct args, fill),
    SM_OPT_HEX32(struct args, node_id, "node-id", "public key of the smesher",
                 .default_note = "the metadata's, else identity.key's"),
    SM_OPT_FLAG(struct args, generate_key, "generate-key",
                "make a new identity and write its key to DIR/identity.key; copy it to the node's identities"),
    SM_OPT_HEX32(struct args, atx_id, "commitment-atx-id", "id of the ATX that the data commits to",
                 .default_note = "the metadata's"),
    SM_OPT_U32(struct args, fill.num_units, "num-units", NULL, 1, UINT32_MAX, "N",
               "size of the whole data set in units, also when only a part of its files is made here",
               .default_note = "the metadata's, else the network's"),
    SM_OPT_U64(struct args, labels_per_unit, "labels-per-unit", NULL, 1, UINT64_MAX, "N",
               "labels of 16 bytes in a unit", .default_note = "the metadata's, else the network's"),
    SM_OPT_SIZE(struct args, max_file_size, "max-file-size", NULL, 1024, UINT64_MAX,
                "bytes in a data file, a multiple of 128", .default_note = "the metadata's, else the network's"),
    SM_FILE_RANGE_OPTIONS(struct args, from_file, to_file),
    SM_OPT_END,
};

/* Flag, chosen network, metadata, default network: the first that speaks. The engine refuses contradictions. */
static uint64_t decide(bool given, uint64_t flag, const struct sm_subject *s, uint64_t network, uint64_t meta)
{
    if (given) return flag;
    return s->has_meta && !s->network_chosen ? meta : network;
}

static sm_err decide_units(const struct sm_cli *cli, const struct args *a, const struct sm_subject *s,
                           struct sm_init_cfg *cfg, struct sm_errinfo *ei)
{
    const struct sm_post_params *p = &s->params;
    if (sm_cli_given(cli, "num-units"))
        cfg->num_units = a->fill.num_units;
    else if (s->has_meta)
        cfg->num_units = s->meta.num_units;
    else if (p->num_units >= p->min_num_units)
        cfg->num_units = p->num_units;
    else
        return sm_fail(ei, SM_E_ARG, "--num-units N is required: network %s wants at least %" PRIu32 " units", p->name,
                       p->min_num_units);
    if (s->has_meta && !s->network_chosen) return SM_OK; /* which network it is for is not known */
    if (cfg->num_units < p->min_num_units || cfg->num_units > p->max_num_units)
        return sm_fail(ei, SM_E_MISMATCH, "--num-units is %" PRIu32 ", network %s accepts %" PRIu32 " to %" PRIu32,
                       cfg->num_units, p->name, p->min_num_units, p->max_num_units);
    return SM_OK;
}

static sm_err decide_sizes(const struct sm_cli *cli, const struct args *a, struct sm_subject *s,
                           struct sm_init_cfg *cfg, struct sm_errinfo *ei)
{
    cfg->labels_per_unit = decide(sm_cli_given(cli, "labels-per-unit"), a->labels_per_unit, s,
                                  s->params.labels_per_unit, s->meta.labels_per_unit);
    cfg->max_file_size = sm_cli_given(cli, "max-file-size") ? a->max_file_size
                         : s->has_meta                      ? s->meta.max_file_size
                                                            : s->params.max_file_size;
    cfg->from_file = sm_cli_file_bound(cli, "from-file", a->from_file);
    cfg->to_file = sm_cli_file_bound(cli, "to-file", a->to_file);
    sm_err err = decide_units(cli, a, s, cfg, ei);
    return err ? err : sm_subject_scrypt_n(s, a->fill.scrypt_n, &cfg->scrypt_n, ei);
}

static sm_err contradicts_key(const char *dir, const char *file, const struct sm_node_id *key,
                              const struct sm_node_id *wanted, struct sm_errinfo *ei)
{
    char a[SM_HEX_ROOM(32)], b[SM_HEX_ROOM(32)];
    return sm_fail(ei, SM_E_MISMATCH, "the data is for node id %s, but %s/%s is the key of %s",
                   sm_hex_encode(wanted->b, 32, a), dir, file, sm_hex_encode(key->b, 32, b));
}

/* Sets cfg->node_id, or leaves it to --generate-key. */
static sm_err decide_node_id(const struct sm_cli *cli, const struct args *a, const struct sm_subject *s,
                             struct sm_init_cfg *cfg, struct sm_errinfo *ei)
{
    struct sm_node_id key;
    char key_name[32];
    const bool given = sm_cli_given(cli, "node-id");
    if (a->generate_key && (given || s->has_meta))
        return sm_fail(
            ei, SM_E_ARG,
            given ? "--generate-key and --node-id exclude each other"
                  : "--generate-key: the data directory already belongs to a node id; leave it out to continue");
    if (a->generate_key) return SM_OK;
    if (given)
        memcpy(cfg->node_id.b, a->node_id, 32);
    else if (s->has_meta)
        cfg->node_id = s->meta.node_id;
    struct sm_errinfo why = {0};
    sm_err err = sm_datadir_key(s->dir, &key, key_name, &why);
    if (err && err != SM_E_NOTFOUND) return sm_fail(ei, err, "%s", why.text);
    if (!given && !s->has_meta) {
        if (err) return sm_fail(ei, SM_E_ARG, "--node-id HEX is required (or --generate-key for a new identity)");
        cfg->node_id = key;
    }
    if (!err && memcmp(key.b, cfg->node_id.b, 32) != 0)
        return contradicts_key(s->dir, key_name, &key, &cfg->node_id, ei);
    return SM_OK;
}

static sm_err decide_ids(const struct sm_cli *cli, const struct args *a, const struct sm_subject *s,
                         struct sm_init_cfg *cfg, struct sm_errinfo *ei)
{
    if (sm_cli_given(cli, "commitment-atx-id"))
        memcpy(cfg->commitment_atx_id.b, a->atx_id, 32);
    else if (s->has_meta)
        cfg->commitment_atx_id = s->meta.commitment_atx_id;
    else
        return sm_fail(ei, SM_E_ARG, "--commitment-atx-id HEX is required for a new data directory");
    return decide_node_id(cli, a, s, cfg, ei);
}

/* The id is shown at once: the labels may take days. */
static sm_err generate_key(struct sm_cli *cli, struct sm_init_cfg *cfg, struct sm_errinfo *ei)
{
    char id[SM_HEX_ROOM(32)];
    sm_err err = sm_filling_check(cfg, ei);
    if (!err) err = sm_key_generate(cfg->dir, &cfg->node_id, ei);
    if (err) return err;
    sm_cli_say(cli, "new identity %s, its key is in %s/%s", sm_hex_encode(cfg->node_id.b, 32, id), cfg->dir,
               SM_KEY_FILE);
    (void)fflush(stdout);
    sm_log(SM_LOG_INFO, "init", "identity made", "id=%.10s key=%s/%s", id, cfg->dir, SM_KEY_FILE);
    return SM_OK;
}

sm_err sm_init_decide(const struct sm_cli *cli, const void *args, struct sm_also *also, struct sm_init_cfg *cfg,
                      struct sm_errinfo *ei)
{
    const struct args *a = args;
    struct sm_subject subject = {0};
    *cfg = (struct sm_init_cfg){.dir = a->fill.dir};
    sm_err err = sm_subject_load(cli, a->fill.dir, &a->fill.net, &subject, ei);
    if (!err) err = sm_filling_take_also(&a->fill, also, cfg, ei);
    if (!err) err = decide_sizes(cli, a, &subject, cfg, ei);
    if (!err) err = decide_ids(cli, a, &subject, cfg, ei);
    sm_subject_fini(&subject);
    return err;
}

struct sm_filling_args *sm_init_filling(void *args)
{
    return &((struct args *)args)->fill;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_init_cfg cfg;
    struct sm_also also = {0};
    sm_err err = sm_init_decide(cli, a, &also, &cfg, &ei);
    if (!err && a->generate_key && !a->fill.dry_run) err = generate_key(cli, &cfg, &ei);
    const sm_exit status = err ? sm_cli_error(cli, err, &ei) : sm_filling_run(cli, &a->fill, &cfg);
    sm_also_fini(&also);
    return status;
}

const struct sm_command sm_cmd_init = {
    .name = "init",
    .summary = "create PoST data, or continue where it stopped",
    .details =
        "Fills the data directory with labels. Run it again after an interruption, a crash or a full disk: what is on "
        "disk is checked at its end and continued. Options that the metadata answers can be left out then; one that "
        "contradicts it is refused.\n\n"
        "Several machines may each make a part: give all of them the same --num-units and ids, and each its own "
        "--from-file and --to-file and directory, then run merge.\n\n"
        "One data set on several disks: name a directory on each of the others by --also. The files take turns on the "
        "disks, so that proving reads all of them at once; DIR keeps the metadata and a link to every file. What is "
        "planned is kept: run it again with or without --also. When a new --also is given later, the files that do not "
        "exist yet are planned again over all directories. See disks.\n\n"
        "Nothing is ever deleted or shortened, except for a partial label at the end of a file. For another size see "
        "grow and shrink.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
