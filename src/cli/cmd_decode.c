#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "codec/registry.h"
#include "poet/posw.h"
#include "util/io.h"
#include "util/log.h"
#include "util/text.h"

#define INPUT_MAX (512u << 20) /* the largest active set has 244 MiB */

struct args {
    const char *hex, *base64, *file, *genesis_id, *beacon;
    uint64_t vrf_nonce;
    uint32_t layers_per_epoch;
    bool list;
};

static const struct sm_option options[] = {
    SM_OPT_FLAG(struct args, list, "list", "list the types and stop"),
    SM_OPT_TEXT(struct args, hex, "hex", NULL, "HEX", "the object as hex digits"),
    SM_OPT_TEXT(struct args, base64, "base64", NULL, "TEXT", "the object in Base64"),
    SM_OPT_TEXT(struct args, file, "file", NULL, "FILE", "file with the bytes of the object"),
    SM_OPT_TEXT(struct args, genesis_id, "genesis-id", NULL, "HEX",
                "genesis ID of the network (40 hex digits), to check signatures"),
    SM_OPT_TEXT(struct args, beacon, "beacon", NULL, "HEX", "beacon of the epoch (8 hex digits), to check VRF proofs"),
    SM_OPT_U64(struct args, vrf_nonce, "vrf-nonce", NULL, 0, UINT64_MAX, "N",
               "VRF nonce of the sender, to check VRF proofs"),
    SM_OPT_U32(struct args, layers_per_epoch, "layers-per-epoch", "4032", 1, UINT32_MAX, "N",
               "layers of an epoch, to check the VRF proofs of ballots"),
    SM_OPT_END,
};

struct input {
    uint8_t *p; /* owned */
    size_t n;
};

/* The member values may be unset. */
struct known {
    struct sm_genesis_id genesis;
    struct sm_beacon beacon;
    struct sm_object_context ctx;
};

static sm_exit list(struct sm_cli *cli)
{
    struct sm_table *t = sm_table_new("lll");
    json_t *all = json_array();
    for (size_t i = 0; i < sm_objects_n; i++) {
        const struct sm_object *o = &sm_objects[i];
        const char *alias = o->type ? o->type->name : "";
        SM_TABLE_ROW(t, o->name, alias, o->summary);
        json_array_append_new(
            all, json_pack("{s:s, s:s, s:s}", "type", o->name, "reference_name", alias, "summary", o->summary));
    }
    sm_table_say(cli, t);
    sm_table_free(t);
    sm_cli_json(cli, json_pack("{s:o}", "types", all));
    return SM_EXIT_DONE;
}

static sm_err read_hex(const char *text, struct input *in, struct sm_errinfo *ei)
{
    const size_t n = strlen(text) / 2;
    if (strlen(text) % 2) return sm_fail(ei, SM_E_FORMAT, "--hex has an odd number of digits");
    in->p = malloc(n + 1);
    if (!in->p) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu bytes", n);
    in->n = n;
    return sm_hex_decode(text, "--hex", in->p, n, ei);
}

static sm_err read_base64(const char *text, struct input *in, struct sm_errinfo *ei)
{
    const size_t room = strlen(text) / 4 * 3 + 3;
    in->p = malloc(room);
    if (!in->p) return sm_fail(ei, SM_E_NOMEM, "out of memory for %zu bytes", room);
    return sm_base64_decode_var(text, "--base64", in->p, room, &in->n, ei);
}

static sm_err read_input(const struct args *a, struct input *in, struct sm_errinfo *ei)
{
    if (!!a->hex + !!a->base64 + !!a->file != 1)
        return sm_fail(ei, SM_E_ARG, "give the object by exactly one of --hex, --base64 and --file");
    if (a->hex) return read_hex(a->hex, in, ei);
    if (a->base64) return read_base64(a->base64, in, ei);
    char *bytes = NULL;
    sm_err err = sm_io_read_file(a->file, INPUT_MAX, &bytes, &in->n, ei);
    in->p = (uint8_t *)bytes;
    return err;
}

static sm_err option_hex(const char *text, const char *what, uint8_t *out, size_t n, struct sm_errinfo *ei)
{
    return sm_hex_decode(text, what, out, n, ei) ? SM_E_ARG : SM_OK;
}

static sm_err read_known(const struct sm_cli *cli, const struct args *a, struct known *k, struct sm_errinfo *ei)
{
    sm_err err = SM_OK;
    k->ctx.layers_per_epoch = a->layers_per_epoch;
    if (sm_cli_given(cli, "vrf-nonce")) k->ctx.vrf_nonce = &a->vrf_nonce;
    if (a->genesis_id) {
        k->ctx.genesis = &k->genesis;
        err = option_hex(a->genesis_id, "--genesis-id", k->genesis.b, sizeof k->genesis.b, ei);
    }
    if (a->beacon && !err) {
        k->ctx.beacon = &k->beacon;
        err = option_hex(a->beacon, "--beacon", k->beacon.b, sizeof k->beacon.b, ei);
    }
    return err;
}

static sm_err canonical(const struct sm_object *o, const void *obj, const struct input *in, bool *out,
                        struct sm_errinfo *ei)
{
    struct sm_scale_writer w = {0};
    sm_err err = sm_object_encode(o, obj, &w, ei);
    *out = !err && w.n == in->n && (w.n == 0 || memcmp(w.p, in->p, w.n) == 0);
    sm_scale_writer_fini(&w);
    return err;
}

/* The work of a PoET, some 60,000 hashes: a check above the codec. */
static sm_err check_work(const struct sm_cli *cli, const struct sm_object *o, const void *obj,
                         struct sm_object_facts *f, struct sm_errinfo *ei)
{
    struct sm_posw_verdict v = {0};
    if (o->type == &sm_poet_proof_type)
        f->checks[f->checks_n++] =
            (struct sm_object_check){"work", SM_KNOWN_NOT, "the statement, as in a poet-message"};
    if (o->type != &sm_poet_proof_message_type) return SM_OK;
    sm_err err = sm_posw_verify_message(obj, cli->cancel, &v, ei);
    if (err) return err;
    f->checks[f->checks_n++] = (struct sm_object_check){"work", v.failed ? SM_KNOWN_BAD : SM_KNOWN_GOOD, NULL};
    if (v.failed) sm_log(SM_LOG_WARN, "decode", sm_posw_check_text(v.failed), "check=work");
    return SM_OK;
}

static const char *word(sm_known k)
{
    return k == SM_KNOWN_GOOD ? "good" : k == SM_KNOWN_BAD ? "bad" : "unknown";
}

static json_t *document(const struct sm_object *o, const void *obj, const struct input *in, bool is_canonical,
                        const struct sm_object_facts *f)
{
    json_t *ids = json_object(), *checks = json_object(), *needs = json_object();
    json_object_set_new(checks, "canonical", json_string(word(is_canonical ? SM_KNOWN_GOOD : SM_KNOWN_BAD)));
    for (size_t i = 0; i < f->ids_n; i++)
        json_object_set_new(ids, f->ids[i].name, sm_cli_json_hex(f->ids[i].b, f->ids[i].n));
    for (size_t i = 0; i < f->checks_n; i++) {
        json_object_set_new(checks, f->checks[i].name, json_string(word(f->checks[i].known)));
        if (f->checks[i].needs) json_object_set_new(needs, f->checks[i].name, json_string(f->checks[i].needs));
    }
    return json_pack("{s:s, s:I, s:o, s:o, s:o, s:o}", "type", o->name, "bytes", (json_int_t)in->n, "ids", ids,
                     "checks", checks, "checks_need", needs, "object", sm_object_json(o, obj));
}

/* The object was accepted, so a non-canonical encoding alone is no "no". */
static bool any_bad(const struct sm_object_facts *f)
{
    bool bad = false;
    for (size_t i = 0; i < f->checks_n; i++) bad |= f->checks[i].known == SM_KNOWN_BAD;
    return bad;
}

static sm_err decode(struct sm_cli *cli, const struct args *a, const struct sm_object *o, bool *bad,
                     struct sm_errinfo *ei)
{
    struct input in = {0};
    struct sm_arena arena = {0};
    struct known known = {0};
    struct sm_object_facts facts;
    void *obj = NULL;
    bool is_canonical = false;
    json_t *doc = NULL;
    char *text = NULL;
    sm_err err = read_known(cli, a, &known, ei);
    if (!err) err = read_input(a, &in, ei);
    if (!err) err = sm_object_decode(o, (struct sm_slice){in.p, in.n}, &arena, &obj, ei);
    if (!err) err = canonical(o, obj, &in, &is_canonical, ei);
    known.ctx.received = (struct sm_slice){in.p, in.n};
    if (!err) err = sm_object_facts_of(o, obj, &known.ctx, &facts, ei);
    if (!err) err = check_work(cli, o, obj, &facts, ei);
    if (err) goto out;
    doc = document(o, obj, &in, is_canonical, &facts);
    text = doc && !cli->global.json ? json_dumps(doc, JSON_INDENT(2)) : NULL;
    if (text) sm_cli_say(cli, "%s", text);
    if (!doc || (!text && !cli->global.json)) {
        err = sm_fail(ei, SM_E_NOMEM, "out of memory writing the object");
        goto out;
    }
    sm_cli_json(cli, json_incref(doc));
    *bad = any_bad(&facts);
out:
    free(text);
    json_decref(doc);
    sm_arena_free(&arena);
    free(in.p);
    return err;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    bool bad = false;
    if (a->list) return list(cli);
    if (cli->operands_n != 1)
        return sm_cli_refuse(cli, SM_EXIT_USAGE, "exactly one TYPE is expected; --list shows the types");
    const struct sm_object *o = sm_object_find(cli->operands[0]);
    if (!o) return sm_cli_refuse(cli, SM_EXIT_USAGE, "unknown type '%s'; --list shows the types", cli->operands[0]);
    sm_err err = decode(cli, a, o, &bad, &ei);
    if (err) return sm_cli_error(cli, err, &ei);
    return bad ? SM_EXIT_NO : SM_EXIT_DONE;
}

const struct sm_command sm_cmd_decode = {
    .name = "decode",
    .summary = "show an object of the network as JSON, with its IDs and checks",
    .details =
        "Reads one encoded object and prints its fields, the identifiers computed from it, and what could be checked: "
        "whether the bytes are the canonical encoding, whether signatures are valid (with --genesis-id), whether VRF "
        "proofs are valid (with the values they depend on), and whether a PoET did its work. Under checks_need stands "
        "what a check was lacking.\n\n"
        "Exits with 3 when the bytes are no such object and with 4 when a signature, VRF proof or other property is "
        "bad. An encoding that is accepted but not canonical is reported, and no failure.",
    .operands = "[TYPE]",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
