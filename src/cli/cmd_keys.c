#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/keys_args.h"
#include "util/io.h"
#include "util/log.h"
#include "util/text.h"

#define JOURNAL_JSON_MAX (1u << 30)

struct args {
    struct sm_keys_args keys;
    const char *name, *from, *out;
    bool seal;
};

static sm_exit finish(struct sm_cli *cli, sm_err err, const struct sm_errinfo *ei)
{
    return err ? sm_cli_error(cli, err, ei) : SM_EXIT_DONE;
}

/* ---- new and import ---- */

static sm_err make_dir(const char *dir, struct sm_errinfo *ei)
{
    struct stat st;
    if (mkdir(dir, 0700) == 0) return SM_OK;
    const int why = errno;
    if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode)) return SM_OK;
    return sm_fail_errno(ei, why, "cannot create directory %s", dir);
}

/* A missing journal is made only when there are no keys that may have signed before. */
static sm_err open_journal(const struct args *a, const struct sm_keys_paths *p, struct sm_journal **out,
                           struct sm_errinfo *ei)
{
    struct sm_genesis_id genesis;
    struct sm_keyring ring = {0};
    struct stat st;
    sm_err err = sm_keys_genesis(&a->keys, &genesis, ei);
    if (err) return err;
    if (stat(p->keys, &st) == 0) err = sm_keyring_load(p->keys, SM_KEYRING_LIST, NULL, &ring, ei);
    const bool first = ring.n == 0;
    sm_keyring_fini(&ring);
    if (err) return err;
    return first ? sm_journal_create(p->journal, &genesis, out, ei) : sm_journal_open(p->journal, &genesis, out, ei);
}

static json_t *key_json(const char *name, const struct sm_node_id *id, bool sealed, uint64_t rows)
{
    json_t *o = json_pack("{s:s, s:b, s:o}", "name", name, "sealed", sealed, "node_id", sm_cli_json_hex(id->b, 32));
    if (o) (void)json_object_set_new(o, "journal_rows", sm_cli_json_u64(rows));
    return o;
}

/* File first, then the journal: a key is never lost, and one that is not registered is refused until it is. */
static sm_err store(struct sm_cli *cli, const struct sm_keys_paths *p, struct sm_journal *j, const char *name,
                    struct sm_secret *s, const struct sm_passphrase *pass, json_t *list, struct sm_errinfo *ei)
{
    char id[SM_HEX_ROOM(32)];
    uint64_t rows = 0;
    bool registered = false, known = false;
    struct sm_keyring ring = {0};
    struct stat st;
    sm_err err = SM_OK;
    if (stat(p->keys, &st) == 0) err = sm_keyring_load(p->keys, SM_KEYRING_LIST, NULL, &ring, ei);
    if (!err) known = sm_keyring_find(&ring, &s->node_id) != NULL;
    sm_keyring_fini(&ring);
    if (!err && !known) err = sm_keyfile_write_new(p->keys, name, s, pass, (struct sm_seal_cost){0}, ei);
    if (!err) err = sm_journal_count(j, &s->node_id, &rows, &registered, ei);
    if (!err) err = sm_journal_register(j, &s->node_id, ei);
    if (err) return err;
    sm_cli_say(cli, "%s  %s%s", sm_hex_encode(s->node_id.b, 32, id), name, known ? " (was there already)" : "");
    (void)json_array_append_new(list, key_json(name, &s->node_id, pass != NULL, rows));
    return SM_OK;
}

static bool is_sealed_name(const char *name)
{
    const size_t n = strlen(name), k = strlen(SM_SEALED_SUFFIX);
    return n > k && strcmp(name + n - k, SM_SEALED_SUFFIX) == 0;
}

/* NAME.key becomes NAME.skey when it is to be sealed. */
static void name_of(const char *name, bool seal, char out[SM_KEY_NAME_ROOM])
{
    const size_t n = strlen(name), k = strlen(SM_KEY_SUFFIX);
    const bool plain = seal && !is_sealed_name(name) && n > k && strcmp(name + n - k, SM_KEY_SUFFIX) == 0;
    (void)snprintf(out, SM_KEY_NAME_ROOM, "%.*s%s", (int)(plain ? n - k : n), name, plain ? SM_SEALED_SUFFIX : "");
}

/* What new and import share: directories, journal, passphrase; `list` receives the keys. */
struct store {
    struct sm_keys_paths paths;
    struct sm_journal *journal;
    struct sm_passphrase pass;
    json_t *list;
};

static sm_err store_open(struct sm_cli *cli, const struct args *a, bool ask, struct store *s, struct sm_errinfo *ei)
{
    s->list = json_array();
    sm_err err = sm_keys_paths_of(&a->keys, &s->paths, ei);
    if (!err) err = make_dir(a->keys.data_dir, ei);
    if (!err && ask) err = sm_keys_passphrase(cli, &a->keys, a->seal, &s->pass, ei);
    return err ? err : open_journal(a, &s->paths, &s->journal, ei);
}

static sm_exit store_close(struct sm_cli *cli, struct store *s, sm_err err, const struct sm_errinfo *ei)
{
    sm_journal_close(s->journal);
    sm_passphrase_fini(&s->pass);
    if (!err) sm_cli_json(cli, json_pack("{s:O}", "keys", s->list));
    json_decref(s->list);
    return finish(cli, err, ei);
}

static sm_exit run_new(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct store st = {0};
    struct sm_secret *s = NULL;
    char name[SM_KEY_NAME_ROOM];
    name_of(a->name ? a->name : SM_KEY_LOCAL_NAME, a->seal, name);
    sm_err err = store_open(cli, a, a->seal, &st, &ei);
    if (!err) err = sm_secret_generate(&s, &ei);
    if (!err) err = store(cli, &st.paths, st.journal, name, s, a->seal ? &st.pass : NULL, st.list, &ei);
    sm_secret_free(s);
    return store_close(cli, &st, err, &ei);
}

static sm_err import_file(struct sm_cli *cli, const struct args *a, struct store *st, const char *path,
                          const char *name, struct sm_errinfo *ei)
{
    struct sm_secret *s = NULL;
    bool exposed = false;
    char to[SM_KEY_NAME_ROOM];
    const bool seal = a->seal || is_sealed_name(name); /* what was sealed stays so */
    name_of(name, seal, to);
    sm_err err = SM_OK;
    if (is_sealed_name(name) && !st->pass.bytes) err = sm_keys_passphrase(cli, &a->keys, false, &st->pass, ei);
    if (err) return err;
    err = sm_keyfile_read(path, st->pass.bytes ? &st->pass : NULL, &s, &exposed, ei);
    if (err) return err;
    if (exposed) sm_log(SM_LOG_WARN, "keys", "others may read this key file: chmod 600", "file=%s", path);
    err = store(cli, &st->paths, st->journal, to, s, seal ? &st->pass : NULL, st->list, ei);
    sm_secret_free(s);
    return err;
}

/* A go-spacemesh data directory holds identities/; its names are kept. */
static sm_err import_dir(struct sm_cli *cli, const struct args *a, struct store *st, const char *dir,
                         struct sm_errinfo *ei)
{
    char keys[PATH_MAX], path[PATH_MAX];
    struct stat info;
    struct sm_keyring ring = {0};
    sm_err err = sm_io_path(keys, sizeof keys, dir, "identities", ei);
    if (!err && stat(keys, &info) != 0) err = sm_io_path(keys, sizeof keys, dir, ".", ei);
    if (!err) err = sm_keyring_load(keys, SM_KEYRING_LIST, NULL, &ring, ei);
    if (!err && ring.n == 0) err = sm_fail(ei, SM_E_NOTFOUND, "%s holds no key files", dir);
    for (size_t i = 0; !err && i < ring.n; i++) {
        err = sm_io_path(path, sizeof path, keys, ring.v[i].name, ei);
        if (!err) err = import_file(cli, a, st, path, ring.v[i].name, ei);
    }
    sm_keyring_fini(&ring);
    return err;
}

static sm_exit run_import(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct store st = {0};
    struct stat info;
    const char *from = cli->operands[0], *base = strrchr(from, '/');
    const bool is_dir = stat(from, &info) == 0 && S_ISDIR(info.st_mode);
    const bool ask = a->seal || sm_cli_given(cli, "passphrase-fd") || a->keys.pass_file;
    sm_err err = store_open(cli, a, ask, &st, &ei);
    if (!err)
        err = is_dir ? import_dir(cli, a, &st, from, &ei)
                     : import_file(cli, a, &st, from,
                                   a->name ? a->name
                                   : base  ? base + 1
                                           : from,
                                   &ei);
    if (!err)
        sm_log(SM_LOG_WARN, "keys", "stop whatever signed with these keys before, for ever, and import its journal",
               "keys=%zu", json_array_size(st.list));
    return store_close(cli, &st, err, &ei);
}

/* ---- list and show ---- */

static sm_err list_keys(struct sm_cli *cli, const struct args *a, const char *only, json_t *list, struct sm_errinfo *ei)
{
    struct sm_keys_paths p;
    struct sm_keyring ring = {0};
    size_t shown = 0;
    sm_err err = sm_keys_paths_of(&a->keys, &p, ei);
    if (!err) err = sm_keyring_load(p.keys, SM_KEYRING_LIST, NULL, &ring, ei);
    for (size_t i = 0; !err && i < ring.n; i++) {
        const struct sm_keyfile *f = &ring.v[i];
        char id[SM_HEX_ROOM(32)];
        sm_hex_encode(f->node_id.b, 32, id);
        if (only && strcmp(only, f->name) != 0 && strcmp(only, id) != 0) continue;
        shown++;
        sm_cli_say(cli, "%s  %s%s%s", id, f->name, f->sealed ? "  sealed" : "",
                   f->exposed ? "  READABLE BY OTHERS" : "");
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:b, s:s}", "name", f->name, "node_id", id,
                                                    "sealed", f->sealed, "exposed", f->exposed, "dir", p.keys));
    }
    if (!err && only && !shown) err = sm_fail(ei, SM_E_NOTFOUND, "%s holds no key %s", p.keys, only);
    sm_keyring_fini(&ring);
    return err;
}

static sm_exit run_list(struct sm_cli *cli, void *args_of_command)
{
    struct sm_errinfo ei = {0};
    json_t *list = json_array();
    sm_err err = list_keys(cli, args_of_command, NULL, list, &ei);
    if (!err) sm_cli_json(cli, json_pack("{s:O}", "keys", list));
    json_decref(list);
    return finish(cli, err, &ei);
}

static sm_exit run_show(struct sm_cli *cli, void *args_of_command)
{
    struct sm_errinfo ei = {0};
    json_t *list = json_array();
    sm_err err = list_keys(cli, args_of_command, cli->operands[0], list, &ei);
    if (!err) sm_cli_json(cli, json_incref(json_array_get(list, 0)));
    json_decref(list);
    return finish(cli, err, &ei);
}

/* ---- journal ---- */

/* A wrong name must cost neither a key nor an older journal: what exists is left as it is. */
static sm_err write_new(const char *path, const char *text, struct sm_errinfo *ei)
{
    char name[PATH_MAX];
    int fd = -1;
    struct stat st;
    if ((size_t)snprintf(name, sizeof name, "%s", path) >= sizeof name)
        return sm_fail(ei, SM_E_ARG, "path too long: %s", path);
    if (lstat(path, &st) == 0)
        return sm_fail(ei, SM_E_MISMATCH, "%s exists already and is never replaced: give --out another name", path);
    sm_err err = sm_io_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, &fd, ei);
    if (err) return err;
    err = sm_io_pwrite(fd, path, (const uint8_t *)text, strlen(text), 0, ei);
    if (!err) err = sm_io_sync(fd, path, ei);
    sm_io_close(fd);
    if (err) (void)unlink(path);
    return err ? err : sm_io_sync_dir(dirname(name), ei);
}

static sm_exit run_export(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_keys_paths p;
    struct sm_genesis_id genesis;
    struct sm_journal *j = NULL;
    char *text = NULL;
    sm_err err = sm_keys_paths_of(&a->keys, &p, &ei);
    if (!err) err = sm_keys_genesis(&a->keys, &genesis, &ei);
    if (!err) err = sm_journal_open(p.journal, &genesis, &j, &ei);
    if (!err) err = sm_journal_export(j, &text, &ei);
    if (!err) err = write_new(a->out, text, &ei);
    if (!err) {
        sm_cli_say(cli, "journal written to %s; what is signed from now on is not in it", a->out);
        sm_cli_json(cli, json_pack("{s:s, s:I}", "file", a->out, "bytes", (json_int_t)strlen(text)));
    }
    free(text);
    sm_journal_close(j);
    return finish(cli, err, &ei);
}

static sm_exit run_import_journal(struct sm_cli *cli, void *args_of_command)
{
    const struct args *a = args_of_command;
    struct sm_errinfo ei = {0};
    struct sm_keys_paths p;
    struct sm_journal *j = NULL;
    char *text = NULL;
    size_t n = 0;
    uint64_t rows = 0;
    sm_err err = sm_keys_paths_of(&a->keys, &p, &ei);
    if (!err) err = make_dir(a->keys.data_dir, &ei);
    if (!err) err = sm_io_read_file(cli->operands[0], JOURNAL_JSON_MAX, &text, &n, &ei);
    struct sm_genesis_id genesis;
    if (!err) err = sm_keys_genesis(&a->keys, &genesis, &ei);
    /* Importing is how a lost journal is replaced, so one is made when it is missing. */
    if (!err) err = sm_journal_create(p.journal, &genesis, &j, &ei);
    if (!err) err = sm_journal_import(j, text, n, &rows, &ei);
    if (!err) {
        sm_cli_say(cli, "%" PRIu64 " new rows, minimal slots raised", rows);
        sm_cli_json(cli, json_pack("{s:o}", "rows", sm_cli_json_u64(rows)));
    }
    free(text);
    sm_journal_close(j);
    return finish(cli, err, &ei);
}

/* ---- tables ---- */

#define T struct args
static const struct sm_option new_options[] = {
    SM_KEYS_DIR_OPTION(T, keys),
    SM_KEYS_GENESIS_OPTION(T, keys),
    SM_OPT_TEXT(T, name, "name", NULL, "NAME", "name of the key file", .default_note = SM_KEY_LOCAL_NAME),
    SM_OPT_FLAG(T, seal, "seal", "encrypt the key with a passphrase"),
    SM_KEYS_PASS_OPTIONS(T, keys),
    SM_OPT_END,
};
static const struct sm_option import_options[] = {
    SM_KEYS_DIR_OPTION(T, keys),
    SM_KEYS_GENESIS_OPTION(T, keys),
    SM_OPT_TEXT(T, name, "name", NULL, "NAME", "name of the new key file", .default_note = "as it was"),
    SM_OPT_FLAG(T, seal, "seal", "encrypt the keys with a passphrase"),
    SM_KEYS_PASS_OPTIONS(T, keys),
    SM_OPT_END,
};
static const struct sm_option list_options[] = {SM_KEYS_DIR_OPTION(T, keys), SM_OPT_END};
static const struct sm_option export_options[] = {
    SM_KEYS_DIR_OPTION(T, keys),
    SM_KEYS_GENESIS_OPTION(T, keys),
    SM_OPT_TEXT(T, out, "out", NULL, "FILE", "file to write; one that exists is never replaced", .required = true),
    SM_OPT_END,
};
static const struct sm_option import_journal_options[] = {
    SM_KEYS_DIR_OPTION(T, keys),
    SM_KEYS_GENESIS_OPTION(T, keys),
    SM_OPT_END,
};
#undef T

const struct sm_command sm_cmd_keys_new = {
    .name = "keys new",
    .summary = "make the key of a new identity",
    .details = "Writes the key file (128 hex digits, mode 0600, as go-spacemesh reads it; sealed ones are ours) and "
               "registers the identity in the signing journal. An existing file is never replaced. A passphrase comes "
               "from a file, a descriptor or the terminal.",
    .options = new_options,
    .args_bytes = sizeof(struct args),
    .run = run_new,
};
const struct sm_command sm_cmd_keys_import = {
    .name = "keys import",
    .summary = "take over a key file, or all keys of a go-spacemesh data directory",
    .details = "Copies the keys and registers them in the signing journal; a key that is there already is only "
               "registered. Whatever signed with them before must never run again: the network bans an identity that "
               "signs twice. If it kept a journal, run import-journal first.",
    .operands = "FILE|DIR",
    .operands_min = 1,
    .options = import_options,
    .args_bytes = sizeof(struct args),
    .run = run_import,
};
const struct sm_command sm_cmd_keys_list = {
    .name = "keys list",
    .summary = "list the identities of a directory",
    .options = list_options,
    .args_bytes = sizeof(struct args),
    .run = run_list,
};
const struct sm_command sm_cmd_keys_show = {
    .name = "keys show",
    .summary = "show one identity, never its private key",
    .operands = "NAME|NODE-ID",
    .operands_min = 1,
    .options = list_options,
    .args_bytes = sizeof(struct args),
    .run = run_show,
};
const struct sm_command sm_cmd_keys_export_journal = {
    .name = "keys export-journal",
    .summary = "write the signing journal as a file for another machine",
    .details = "Stop the signer first, and do not start it here again once the file is imported elsewhere.",
    .options = export_options,
    .args_bytes = sizeof(struct args),
    .run = run_export,
};
const struct sm_command sm_cmd_keys_import_journal = {
    .name = "keys import-journal",
    .summary = "merge an exported signing journal into the one here",
    .details =
        "All of the file or nothing. Afterwards nothing can be signed at or below the highest slots of the file, "
        "except what it holds. A slot that holds another signature here is an error.",
    .operands = "FILE",
    .operands_min = 1,
    .options = import_journal_options,
    .args_bytes = sizeof(struct args),
    .run = run_import_journal,
};
