#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/groups.h"
#include "post/verify.h"
#include "util/io.h"
#include "util/text.h"

#define SEED_MAX_BYTES 256u

struct args {
    struct sm_net_args net;
    struct sm_randomx_args randomx;
    uint8_t node_id[32], atx_id[32], challenge[32];
    uint32_t num_units, mode, k3, index, threads;
    const char *seed;
};

static const char *const modes[] = {"all", "one", "subset", "strict", NULL}; /* positions are sm_verify_mode */

static const struct sm_option options[] = {
    SM_NET_OPTIONS(struct args, net),
    SM_OPT_CHOICE(
        struct args, mode, "mode", "all", modes,
        "all k2 indices as the network does, one, a subset of k3, or strict: all, and unique, ascending and in "
        "range"),
    SM_OPT_U32(struct args, k3, "k3", NULL, 0, UINT32_MAX, "N", "indices that a subset checks",
               .default_note = "the network's"),
    SM_OPT_TEXT(struct args, seed, "seed", "", "HEX", "bytes that choose the subset"),
    SM_OPT_U32(struct args, index, "index", "0", 0, UINT32_MAX, "N", "position checked by --mode one, from 0"),
    SM_OPT_HEX32(struct args, node_id, "node-id", "of a proof without metadata"),
    SM_OPT_HEX32(struct args, atx_id, "commitment-atx-id", "of a proof without metadata"),
    SM_OPT_HEX32(struct args, challenge, "challenge",
                 "of a proof without metadata; a proof with metadata must be for this challenge"),
    SM_OPT_U32(struct args, num_units, "num-units", NULL, 1, UINT32_MAX, "N", "of a proof without metadata"),
    SM_OPT_U32(struct args, threads, "threads", "0", 0, 1024, "N", "0 = one per processor"),
    SM_RANDOMX_OPTIONS(struct args, randomx, "light", NULL),
    SM_OPT_END,
};

struct item {
    struct sm_proof proof;
    struct sm_proof_meta meta;
};

static sm_err meta_from_options(const struct sm_cli *cli, const struct args *a, const char *file,
                                struct sm_proof_meta *out, struct sm_errinfo *ei)
{
    static const char *const needed[] = {"node-id", "commitment-atx-id", "challenge", "num-units"};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!sm_cli_given(cli, needed[i]))
            return sm_fail(ei, SM_E_ARG, "%s has no metadata member: --%s is required", file, needed[i]);
    memcpy(out->node_id.b, a->node_id, 32);
    memcpy(out->commitment_atx_id.b, a->atx_id, 32);
    memcpy(out->challenge.b, a->challenge, 32);
    out->num_units = a->num_units;
    return SM_OK;
}

static sm_err contradiction(const char *file, const char *what, struct sm_errinfo *ei)
{
    return sm_fail(ei, SM_E_MISMATCH, "%s is a proof for another %s than the option says", file, what);
}

static sm_err compare_with_options(const struct sm_cli *cli, const struct args *a, const char *file,
                                   const struct sm_proof_meta *m, struct sm_errinfo *ei)
{
    if (sm_cli_given(cli, "node-id") && memcmp(a->node_id, m->node_id.b, 32) != 0)
        return contradiction(file, "node id", ei);
    if (sm_cli_given(cli, "commitment-atx-id") && memcmp(a->atx_id, m->commitment_atx_id.b, 32) != 0)
        return contradiction(file, "commitment ATX", ei);
    if (sm_cli_given(cli, "challenge") && memcmp(a->challenge, m->challenge.b, 32) != 0)
        return contradiction(file, "challenge", ei);
    if (sm_cli_given(cli, "num-units") && a->num_units != m->num_units)
        return contradiction(file, "number of units", ei);
    return SM_OK;
}

static sm_err read_proof(const struct sm_cli *cli, const struct args *a, const struct sm_post_params *params,
                         const char *file, struct item *out, struct sm_errinfo *ei)
{
    char *text = NULL;
    size_t n = 0;
    bool has_meta = false;
    sm_err err = sm_io_read_file(file, SM_PROOF_JSON_MAX, &text, &n, ei);
    if (!err) err = sm_proof_decode_json(text, n, file, &out->proof, &out->meta, &has_meta, ei);
    free(text);
    if (err) return err;
    if (!has_meta) return meta_from_options(cli, a, file, &out->meta, ei);
    if (out->meta.labels_per_unit && out->meta.labels_per_unit != params->labels_per_unit)
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s is over %" PRIu64 " labels per unit, network %s has %" PRIu64
                       "; choose its network by --network",
                       file, out->meta.labels_per_unit, params->name, params->labels_per_unit);
    return compare_with_options(cli, a, file, &out->meta, ei);
}

static sm_err parse_seed(const char *text, uint8_t out[SEED_MAX_BYTES], size_t *out_n, struct sm_errinfo *ei)
{
    const size_t n = strlen(text) / 2;
    if (strlen(text) % 2 || n > SEED_MAX_BYTES)
        return sm_fail(ei, SM_E_ARG, "--seed: an even number of hex digits, at most %u, is expected",
                       2 * SEED_MAX_BYTES);
    *out_n = n;
    return sm_hex_decode(text, "--seed", out, n, ei) ? SM_E_ARG : SM_OK;
}

static sm_err judge(struct sm_cli *cli, const struct args *a, const struct sm_post_params *params,
                    const struct item *items, struct sm_verdict *verdicts, struct sm_errinfo *ei)
{
    uint8_t seed[SEED_MAX_BYTES];
    size_t seed_n = 0;
    struct sm_verifier *verifier = NULL;
    struct sm_verify_job *jobs = NULL;
    sm_err err = parse_seed(a->seed, seed, &seed_n, ei);
    if (err) return err;
    jobs = calloc(cli->operands_n, sizeof *jobs);
    if (!jobs) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu proofs", cli->operands_n);
    for (size_t i = 0; i < cli->operands_n; i++)
        jobs[i] = (struct sm_verify_job){
            .proof = &items[i].proof,
            .meta = &items[i].meta,
            .mode = (sm_verify_mode)a->mode,
            .position = a->index,
            .k3 = sm_cli_given(cli, "k3") ? a->k3 : params->k3,
            .seed = seed,
            .seed_n = seed_n,
        };
    const struct sm_randomx_cfg randomx = sm_randomx_cfg_of(&a->randomx);
    err = sm_verifier_new(params, &randomx, &verifier, ei);
    if (!err) err = sm_verify_many(verifier, jobs, cli->operands_n, a->threads, cli->cancel, verdicts, ei);
    sm_verifier_free(verifier);
    free(jobs);
    return err;
}

static const char *code_name(sm_verdict_code code)
{
    static const char *const names[] = {"valid", "units_too_small", "units_too_large", "nonce_group",
                                        "pow",   "indices_len",     "num_labels",      "msb",
                                        "lsb",   "strict"};
    return (size_t)code < sizeof names / sizeof names[0] ? names[code] : "unknown";
}

static bool report(struct sm_cli *cli, const struct sm_verdict *verdicts)
{
    json_t *list = json_array();
    bool all_valid = true;
    for (size_t i = 0; i < cli->operands_n; i++) {
        const struct sm_verdict *v = &verdicts[i];
        const bool valid = v->code == SM_VERDICT_VALID;
        const bool at_index = v->code == SM_VERDICT_MSB || v->code == SM_VERDICT_LSB || v->code == SM_VERDICT_STRICT;
        all_valid = all_valid && valid;
        sm_cli_say(cli, "%s: %s%s%s%s%s", cli->operands[i], sm_cli_paint(cli, valid ? SM_PAINT_GOOD : SM_PAINT_BAD),
                   valid ? "valid" : "invalid", sm_cli_paint(cli, SM_PAINT_OFF), valid ? "" : ": ",
                   valid ? "" : v->text);
        json_t *o = json_pack("{s:s, s:b, s:s, s:s}", "file", cli->operands[i], "valid", valid, "verdict",
                              code_name(v->code), "text", v->text);
        json_object_set_new(o, "position", at_index ? sm_cli_json_u64(v->position) : json_null());
        json_object_set_new(o, "index", at_index ? sm_cli_json_u64(v->index) : json_null());
        json_array_append_new(list, o);
    }
    sm_cli_json(cli, json_pack("{s:b, s:o}", "valid", all_valid, "proofs", list));
    return all_valid;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_post_params params;
    struct item *items = calloc(cli->operands_n, sizeof *items);
    struct sm_verdict *verdicts = calloc(cli->operands_n, sizeof *verdicts);
    sm_err err = items && verdicts ? sm_net_params(&a->net, &params, &ei) : sm_fail(&ei, SM_E_NOMEM, "out of memory");
    for (size_t i = 0; !err && i < cli->operands_n; i++)
        err = read_proof(cli, a, &params, cli->operands[i], &items[i], &ei);
    if (!err) err = judge(cli, a, &params, items, verdicts, &ei);
    sm_exit status = SM_EXIT_DONE;
    if (err)
        status = sm_cli_error(cli, err, &ei);
    else if (!report(cli, verdicts))
        status = SM_EXIT_NO;
    free(items);
    free(verdicts);
    return status;
}

const struct sm_command sm_cmd_verify_proof = {
    .name = "verify-proof",
    .summary = "judge proofs as the network does",
    .details =
        "Reads proofs as prove writes them, or bare proof objects with the metadata given by options. The network's "
        "parameters decide; exits with 4 when a proof is invalid.",
    .operands = "FILE...",
    .operands_min = 1,
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
