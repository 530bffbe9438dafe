#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/subject.h"
#include "post/datadir.h"
#include "post/difficulty.h"
#include "post/sidecar.h"
#include "post/verify.h"
#include "util/io.h"
#include "util/text.h"

struct args {
    const char *dir;
    struct sm_net_args net;
    uint32_t scrypt_n;
};

static const struct sm_option options[] = {
    SM_DIR_OPTION(struct args, dir),
    SM_NET_OPTIONS(struct args, net),
    SM_SCRYPT_N_OPTION(struct args, scrypt_n),
    SM_OPT_END,
};

typedef enum nonce_state { NONCE_NONE, NONCE_VALID, NONCE_INVALID } nonce_state;
typedef enum key_state { KEY_NONE, KEY_MATCHES, KEY_OTHER, KEY_BROKEN } key_state;

struct facts {
    struct sm_datadir_info info;
    struct sm_sidecar side;
    bool has_side;
    uint32_t scrypt_n;
    bool scrypt_known; /* the directory says so; else the network does */
    nonce_state nonce;
    uint8_t nonce_label[32];
    bool value_matches; /* NonceValue is the label at Nonce */
    key_state key;
    struct sm_node_id key_id;
    char key_file[32];
    uint64_t free_bytes;
    char **problems; /* of ours, beside those of info */
    size_t problems_n;
};

static sm_err add_problem(struct facts *f, struct sm_errinfo *ei, const char *fmt, ...) SM_PRINTF(3, 4);
static sm_err add_problem(struct facts *f, struct sm_errinfo *ei, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    const int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    char **v = n < 0 ? NULL : realloc(f->problems, (f->problems_n + 1) * sizeof *v);
    if (!v) {
        if (n >= 0) free(text);
        return sm_fail(ei, SM_E_NOMEM, "out of memory listing problems");
    }
    v[f->problems_n++] = text;
    f->problems = v;
    return SM_OK;
}

static void facts_fini(struct facts *f)
{
    for (size_t i = 0; i < f->problems_n; i++) free(f->problems[i]);
    free(f->problems);
    sm_datadir_info_fini(&f->info);
}

static sm_err judge_nonce(struct facts *f, struct sm_errinfo *ei)
{
    const struct sm_metadata *m = &f->info.meta;
    const bool whole = f->info.status == SM_DATADIR_COMPLETE || f->info.status == SM_DATADIR_OVERSIZED;
    if (!m->has_nonce) return whole ? add_problem(f, ei, "there is no VRF nonce: run init, which searches it") : SM_OK;
    const struct sm_commitment commitment = sm_commitment_of(&m->node_id, &m->commitment_atx_id);
    bool valid = false;
    sm_err err =
        sm_verify_vrf_nonce(&commitment, m->nonce, f->info.layout.num_labels, f->scrypt_n, &valid, f->nonce_label, ei);
    if (err) return err;
    f->nonce = valid ? NONCE_VALID : NONCE_INVALID;
    f->value_matches = !m->has_nonce_value || memcmp(m->nonce_value, f->nonce_label, sizeof m->nonce_value) == 0;
    if (!valid)
        return add_problem(f, ei,
                           "VRF nonce %" PRIu64 " is not valid with scrypt N %" PRIu32
                           ": choose the right network, or run nonce",
                           m->nonce, f->scrypt_n);
    if (!f->value_matches)
        return add_problem(f, ei, "NonceValue is not the label at VRF nonce %" PRIu64 ": run nonce", m->nonce);
    return SM_OK;
}

static sm_err judge_key(const char *dir, struct facts *f, struct sm_errinfo *ei)
{
    struct sm_errinfo why = {0};
    sm_err err = sm_datadir_key(dir, &f->key_id, f->key_file, &why);
    if (err == SM_E_NOTFOUND) return SM_OK;
    if (err) {
        f->key = KEY_BROKEN;
        return add_problem(f, ei, "%s", why.text);
    }
    f->key = !f->info.has_meta || memcmp(f->key_id.b, f->info.meta.node_id.b, 32) == 0 ? KEY_MATCHES : KEY_OTHER;
    return f->key == KEY_OTHER ? add_problem(f, ei, "%s is the key of another identity than the data's", f->key_file)
                               : SM_OK;
}

static sm_err judge_side(const char *dir, struct facts *f, struct sm_errinfo *ei)
{
    struct sm_errinfo why = {0};
    f->has_side = sm_sidecar_load(dir, &f->side, &why) == SM_OK; /* a broken one is among the problems of info */
    if (f->has_side && f->side.grow_to)
        return add_problem(f, ei, "growing to %" PRIu32 " units was interrupted: run grow again", f->side.grow_to);
    return SM_OK;
}

static sm_err gather(struct sm_cli *cli, const struct args *a, struct facts *f, struct sm_errinfo *ei)
{
    struct sm_subject subject = {0};
    sm_err err = sm_datadir_inspect(a->dir, &f->info, ei);
    if (!err) err = sm_subject_load(cli, a->dir, &a->net, &subject, ei);
    if (err) return err;
    err = sm_subject_scrypt_n(&subject, a->scrypt_n, &f->scrypt_n, ei);
    f->scrypt_known = subject.scrypt_n != 0;
    if (!err && f->info.has_meta && subject.network_chosen) {
        struct sm_errinfo why = {0};
        if (sm_subject_fits_network(&subject, &why)) err = add_problem(f, ei, "%s", why.text);
    }
    sm_subject_fini(&subject);
    if (!err) err = judge_side(a->dir, f, ei);
    if (!err && f->info.has_meta) err = judge_nonce(f, ei);
    if (!err) err = judge_key(a->dir, f, ei);
    if (!err && f->info.meta_from_backup)
        err = add_problem(f, ei, "%s is broken, its backup was read: run init to restore it", SM_METADATA_FILE);
    return err ? err : sm_io_free_bytes(a->dir, &f->free_bytes, ei);
}

static const char *status_text(const struct facts *f)
{
    static const char *const names[] = {"not started", "started", "complete", "oversized"};
    return names[f->info.status];
}

static bool consistent(const struct facts *f)
{
    return f->info.has_meta && f->info.status == SM_DATADIR_COMPLETE && !f->info.problems_n && !f->problems_n;
}

/* ---- for humans ---- */

static void say_metadata(struct sm_cli *cli, const struct facts *f)
{
    const struct sm_metadata *m = &f->info.meta;
    const struct sm_layout *l = &f->info.layout;
    char a[SM_HEX_ROOM(32)], b[32], c[32];
    sm_cli_say(cli, "node id     %s", sm_hex_encode(m->node_id.b, 32, a));
    sm_cli_say(cli, "ATX         %s", sm_hex_encode(m->commitment_atx_id.b, 32, a));
    sm_cli_say(cli, "size        %" PRIu32 " units of %s, %s in all", m->num_units,
               sm_text_bytes((double)m->labels_per_unit * SM_LABEL_BYTES, b),
               sm_text_bytes((double)l->num_labels * SM_LABEL_BYTES, c));
    sm_cli_say(cli, "layout      %" PRIu64 " files of up to %s", l->files, sm_text_bytes((double)m->max_file_size, b));
    sm_cli_say(cli, "on disk     %zu files, %s labels (%.2f %%)", f->info.files_n, sm_text_count(f->info.labels, b),
               l->num_labels ? 100.0 * (double)f->info.labels / (double)l->num_labels : 0);
    sm_cli_say(cli, "scrypt N    %" PRIu32 "%s", f->scrypt_n,
               f->scrypt_known ? "" : " (the network's; not recorded here)");
    if (m->has_nonce)
        sm_cli_say(cli, "VRF nonce   %" PRIu64 ", %s", m->nonce, f->nonce == NONCE_VALID ? "valid" : "NOT valid");
    else
        sm_cli_say(cli, "VRF nonce   none yet");
}

static void say(struct sm_cli *cli, const struct args *a, const struct facts *f)
{
    static const char *const keys[] = {"none", "matches", "of another identity", "broken"};
    char b[32];
    sm_cli_say(cli, "%s: %s%s%s", a->dir, sm_cli_paint(cli, consistent(f) ? SM_PAINT_GOOD : SM_PAINT_WARN),
               status_text(f), sm_cli_paint(cli, SM_PAINT_OFF));
    if (f->info.has_meta) say_metadata(cli, f);
    if (f->key != KEY_NONE) sm_cli_say(cli, "key file    %s, %s", f->key_file[0] ? f->key_file : "-", keys[f->key]);
    sm_cli_say(cli, "free space  %s", sm_text_bytes((double)f->free_bytes, b));
    for (size_t i = 0; i < f->info.problems_n; i++) sm_cli_say(cli, "problem: %s", f->info.problems[i]);
    for (size_t i = 0; i < f->problems_n; i++) sm_cli_say(cli, "problem: %s", f->problems[i]);
    if (consistent(f)) sm_cli_say(cli, "complete and consistent");
}

/* ---- for machines ---- */

static json_t *files_json(const struct facts *f)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->info.files_n; i++) {
        const struct sm_datafile *d = &f->info.files[i];
        json_t *o = json_object();
        json_object_set_new(o, "number", sm_cli_json_u64(d->number));
        json_object_set_new(o, "bytes", sm_cli_json_u64(d->bytes));
        if (f->info.has_meta)
            json_object_set_new(o, "expected_bytes",
                                sm_cli_json_u64(sm_layout_file_labels(&f->info.layout, d->number) * SM_LABEL_BYTES));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *metadata_json(const struct facts *f)
{
    const struct sm_metadata *m = &f->info.meta;
    if (!f->info.has_meta) return json_null();
    json_t *o = json_pack("{s:o, s:o}", "node_id", sm_cli_json_hex(m->node_id.b, 32), "commitment_atx_id",
                          sm_cli_json_hex(m->commitment_atx_id.b, 32));
    json_object_set_new(o, "num_units", sm_cli_json_u64(m->num_units));
    json_object_set_new(o, "labels_per_unit", sm_cli_json_u64(m->labels_per_unit));
    json_object_set_new(o, "max_file_size", sm_cli_json_u64(m->max_file_size));
    json_object_set_new(o, "num_labels", sm_cli_json_u64(f->info.layout.num_labels));
    json_object_set_new(o, "files_total", sm_cli_json_u64(f->info.layout.files));
    json_object_set_new(o, "nonce", m->has_nonce ? sm_cli_json_u64(m->nonce) : json_null());
    json_object_set_new(o, "nonce_valid", m->has_nonce ? json_boolean(f->nonce == NONCE_VALID) : json_null());
    json_object_set_new(o, "nonce_value_matches", m->has_nonce ? json_boolean(f->value_matches) : json_null());
    json_object_set_new(o, "last_position", m->has_last_position ? sm_cli_json_u64(m->last_position) : json_null());
    return o;
}

static json_t *document(const struct args *a, const struct facts *f)
{
    static const char *const keys[] = {"none", "matches", "other", "broken"};
    json_t *problems = json_array();
    for (size_t i = 0; i < f->info.problems_n; i++) json_array_append_new(problems, json_string(f->info.problems[i]));
    for (size_t i = 0; i < f->problems_n; i++) json_array_append_new(problems, json_string(f->problems[i]));
    json_t *o = json_pack("{s:s, s:s, s:b, s:o, s:o, s:s}", "dir", a->dir, "status", status_text(f), "consistent",
                          consistent(f), "metadata", metadata_json(f), "problems", problems, "key", keys[f->key]);
    json_object_set_new(o, "labels", sm_cli_json_u64(f->info.labels));
    json_object_set_new(o, "scrypt_n", sm_cli_json_u64(f->scrypt_n));
    json_object_set_new(o, "scrypt_n_recorded", json_boolean(f->scrypt_known));
    json_object_set_new(o, "free_bytes", sm_cli_json_u64(f->free_bytes));
    json_object_set_new(o, "files", files_json(f));
    return o;
}

static sm_exit run(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct facts f = {0};
    sm_exit status = SM_EXIT_DONE;
    sm_err err = gather(cli, a, &f, &ei);
    if (err) {
        status = sm_cli_error(cli, err, &ei);
        goto out;
    }
    say(cli, a, &f);
    sm_cli_json(cli, document(a, &f));
    if (!consistent(&f)) status = SM_EXIT_NO;
out:
    facts_fini(&f);
    return status;
}

const struct sm_command sm_cmd_info = {
    .name = "info",
    .summary = "show what is in a data directory and whether it is complete and consistent",
    .details =
        "Reads metadata, file sizes and the key file, and computes the label of the VRF nonce again; no data is read "
        "(for that see verify). Exits with 0 when the data is complete and consistent, and with 4 when anything is "
        "missing or wrong.",
    .options = options,
    .args_bytes = sizeof(struct args),
    .run = run,
};
