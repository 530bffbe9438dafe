#include "cli/hub_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/io.h"
#include "util/text.h"

#define ALLOW_FILE_MAX (64u << 20) /* bytes; a line has about 200 */
#define BLANKS         " \t\r"

/* ---- who may register ---- */

struct place {
    const char *path;
    size_t line;
};

static sm_err set_text(char *out, size_t room, const char *value, const char *key, const struct place *at,
                       struct sm_errinfo *ei)
{
    if (!*value || strlen(value) >= room)
        return sm_fail(ei, SM_E_FORMAT, "%s:%zu: %s needs a value of at most %zu characters", at->path, at->line, key,
                       room - 1);
    (void)snprintf(out, room, "%s", value);
    return SM_OK;
}

static sm_err set_member(struct sm_post_known *k, char *word, const struct place *at, struct sm_errinfo *ei)
{
    uint8_t digest[32];
    char *value = strchr(word, '=');
    if (value) *value++ = '\0';
    if (value && strcmp(word, "name") == 0) return set_text(k->name, sizeof k->name, value, "name", at, ei);
    if (value && strcmp(word, "san") == 0) return set_text(k->san, sizeof k->san, value, "san", at, ei);
    if (!value || strcmp(word, "fingerprint") != 0)
        return sm_fail(ei, SM_E_FORMAT, "%s:%zu: \"%s\": name=, fingerprint= or san= is expected", at->path, at->line,
                       word);
    if (sm_hex_decode(value, "fingerprint", digest, sizeof digest, NULL))
        return sm_fail(ei, SM_E_FORMAT, "%s:%zu: fingerprint is not 64 hex digits (SHA-256 of the certificate)",
                       at->path, at->line);
    return set_text(k->fingerprint, sizeof k->fingerprint, value, "fingerprint", at, ei);
}

static sm_err parse_line(char *line, const struct place *at, struct sm_post_known *out, bool *out_any,
                         struct sm_errinfo *ei)
{
    char *rest = NULL;
    line[strcspn(line, "#")] = '\0';
    char *word = strtok_r(line, BLANKS, &rest);
    *out_any = word != NULL;
    if (!word) return SM_OK;
    *out = (struct sm_post_known){0};
    if (sm_hex_decode(word, "node ID", out->id.b, sizeof out->id.b, NULL))
        return sm_fail(ei, SM_E_FORMAT, "%s:%zu: a line begins with a node ID of 64 hex digits", at->path, at->line);
    sm_err err = SM_OK;
    while (!err && (word = strtok_r(NULL, BLANKS, &rest))) err = set_member(out, word, at, ei);
    return err;
}

sm_err sm_hub_read_allow(const char *path, struct sm_post_known **out, size_t *out_n, struct sm_errinfo *ei)
{
    char *text = NULL, *rest = NULL;
    size_t text_n = 0, n = 0, lines = 1;
    struct place at = {.path = path};
    sm_err err = sm_io_read_file(path, ALLOW_FILE_MAX, &text, &text_n, ei);
    if (err) return err;
    if (strlen(text) != text_n) {
        free(text);
        return sm_fail(ei, SM_E_FORMAT, "%s is no text file", path);
    }
    for (const char *c = text; *c; c++) lines += *c == '\n';
    struct sm_post_known *list = calloc(lines, sizeof *list);
    if (!list) err = sm_fail(ei, SM_E_NOMEM, "out of memory for %zu identities", lines);
    for (char *line = text; !err && line; line = rest) {
        bool any = false;
        rest = strchr(line, '\n');
        if (rest) *rest++ = '\0';
        at.line++;
        err = parse_line(line, &at, &list[n], &any, ei);
        n += any;
    }
    free(text);
    if (err) {
        free(list);
        return err;
    }
    *out = list;
    *out_n = n;
    return SM_OK;
}

sm_err sm_hub_parse_pair(const char *text, const char *what, struct sm_node_id *id, struct sm_challenge *challenge,
                         struct sm_errinfo *ei)
{
    char node[65];
    if (strlen(text) != 129 || (text[64] != ':' && text[64] != ' '))
        return sm_fail(ei, SM_E_ARG, "%s: NODEID:CHALLENGE is expected, 64 hex digits each", what);
    memcpy(node, text, 64);
    node[64] = '\0';
    if (sm_hex_decode(node, what, id->b, sizeof id->b, ei)) return SM_E_ARG;
    return sm_hex_decode(text + 65, what, challenge->b, sizeof challenge->b, ei) ? SM_E_ARG : SM_OK;
}

/* ---- proofs ---- */

sm_err sm_hub_proof_path(const char *dir, const struct sm_node_id *id, const struct sm_challenge *challenge,
                         char out[SM_HUB_PATH_ROOM], struct sm_errinfo *ei)
{
    char node[SM_HEX_ROOM(32)], ch[SM_HEX_ROOM(32)], name[160];
    (void)snprintf(name, sizeof name, "%s-%s.json", sm_hex_encode(id->b, 32, node),
                   sm_hex_encode(challenge->b, 32, ch));
    return sm_io_path(out, SM_HUB_PATH_ROOM, dir, name, ei);
}

sm_err sm_hub_has_proof(const char *dir, const struct sm_node_id *id, const struct sm_challenge *challenge, bool *out,
                        struct sm_errinfo *ei)
{
    char path[SM_HUB_PATH_ROOM], *text = NULL;
    size_t n = 0;
    bool has_meta = false;
    struct sm_proof proof;
    struct sm_proof_meta meta = {0};
    sm_err err = sm_hub_proof_path(dir, id, challenge, path, ei);
    if (err) return err;
    err = sm_io_read_file(path, SM_PROOF_JSON_MAX, &text, &n, ei);
    if (err == SM_E_NOTFOUND) {
        *out = false;
        return SM_OK;
    }
    if (!err) err = sm_proof_decode_json(text, n, path, &proof, &meta, &has_meta, ei);
    free(text);
    if (err && err != SM_E_FORMAT) return err;
    if (err || !has_meta || memcmp(&meta.node_id, id, sizeof *id) != 0 ||
        memcmp(&meta.challenge, challenge, sizeof *challenge) != 0)
        return sm_fail(ei, SM_E_MISMATCH,
                       "%s exists and is not the proof of its name; it is left as it is: move it away", path);
    *out = true;
    return SM_OK;
}

sm_err sm_hub_store_proof(const char *dir, const struct sm_post_verified *v, char path[SM_HUB_PATH_ROOM],
                          struct sm_errinfo *ei)
{
    char part[SM_HUB_PATH_ROOM + 8], *text = NULL;
    bool crosses = false;
    sm_err err = sm_hub_proof_path(dir, &v->meta.node_id, &v->meta.challenge, path, ei);
    if (err) return err;
    (void)snprintf(part, sizeof part, "%s.part", path);
    err = sm_proof_encode_json(&v->proof, &v->meta, &text, ei);
    if (!err) err = sm_io_write_atomic(part, text, strlen(text), 0644, ei);
    free(text);
    if (err) return err;
    err = sm_io_rename_new(part, path, &crosses, ei);
    if (!err) return sm_io_sync_dir(dir, ei);
    struct sm_errinfo ignored;
    (void)!sm_io_unlink(part, &ignored);
    return err;
}
